"""A small decoder-only transformer."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial

TITLE = "transformer, 2 layers, d 64, 4 heads, context 64, batch 16, Adam"
BAR, LIMIT, RTOL = 1.4, 3.4, 1e-3
VOCABULARY, D, HEADS, CONTEXT, LAYERS = 65, 64, 4, 64, 2


def net(nn: Any) -> Any:
    form = {"dropout": 0.0, "batch_first": True, "norm_first": True}
    parts = {
        "embedding": nn.Embedding(VOCABULARY, D),
        "position_embedding": nn.Embedding(CONTEXT, D),
        **{f"layer{k}": nn.TransformerEncoderLayer(D, HEADS, 4 * D, **form) for k in range(LAYERS)},
        "norm": nn.LayerNorm(D),
        "head": nn.Linear(D, VOCABULARY),
    }
    return nn.ModuleDict(parts)


TEXT = np.random.default_rng(1).integers(0, VOCABULARY, (16, CONTEXT + 1))


def loss_of(model: Any, cross_entropy: Any, places: Any, mask: Any) -> Any:
    def loss(text: Any) -> Any:
        x = model["embedding"](text[:, :-1]) + model["position_embedding"](places)
        for k in range(LAYERS):
            x = model[f"layer{k}"](x, src_mask=mask, is_causal=True)
        scores = model["head"](model["norm"](x))
        return cross_entropy(scores.reshape(-1, VOCABULARY), text[:, 1:].reshape(-1))

    return loss


FUTURE = np.triu(np.ones((CONTEXT, CONTEXT), bool), 1)


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model, places = model_of(net), ga.arange(CONTEXT)
    cross_entropy = ga.nn.functional.cross_entropy
    return trained(model, loss_of(model, cross_entropy, places, ga.array(FUTURE)), TEXT)


def in_torch() -> Job:
    from ._torch import model_of, torch, trained

    model, places = model_of(net), torch.arange(CONTEXT)
    cross_entropy = torch.nn.functional.cross_entropy
    return trained(model, loss_of(model, cross_entropy, places, torch.tensor(FUTURE)), TEXT)


def in_jax() -> Job:
    from ._jax import jax, jnp, trained

    def norm(x: Any, w: Any, b: Any) -> Any:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + np.float32(1e-5)) * w + b

    def attend(p: Any, x: Any) -> Any:
        n, length, _ = x.shape
        q, k, v = jnp.split(x @ p["in_proj_weight"] + p["in_proj_bias"], 3, axis=-1)
        q, k, v = (a.reshape(n, length, HEADS, -1) for a in (q, k, v))
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) * np.float32((D // HEADS) ** -0.5)
        weights = jax.nn.softmax(jnp.where(FUTURE, -jnp.inf, scores))
        x = jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(n, length, D)
        return x @ p["out_proj.weight"] + p["out_proj.bias"]

    def block(p: Any, x: Any) -> Any:
        attention = {k.removeprefix("self_attn."): w for k, w in p.items()}
        x = x + attend(attention, norm(x, p["norm1.weight"], p["norm1.bias"]))
        h = norm(x, p["norm2.weight"], p["norm2.bias"])
        h = jax.nn.relu(h @ p["linear1.weight"] + p["linear1.bias"])
        return x + h @ p["linear2.weight"] + p["linear2.bias"]

    def loss(params: Any, text: Any) -> Any:
        x = params["embedding.weight"][text[:, :-1]] + params["position_embedding.weight"]
        for k in range(LAYERS):
            start = f"layer{k}."
            x = block({n[len(start) :]: w for n, w in params.items() if n.startswith(start)}, x)
        x = norm(x, params["norm.weight"], params["norm.bias"])
        scores = jax.nn.log_softmax(x @ params["head.weight"] + params["head.bias"])
        return -jnp.take_along_axis(scores, text[:, 1:, None], -1).mean()

    return trained(initial(net), loss, TEXT)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
