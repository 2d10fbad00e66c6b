"""A character-level language model on an LSTM."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial

TITLE = "char-LSTM, vocabulary 65, hidden 128, 64 steps, batch 32, Adam"
BAR, LIMIT, RTOL = 1.5, 5, 1e-3
VOCABULARY, HIDDEN = 65, 128


def net(nn: Any) -> Any:
    parts = {
        "embedding": nn.Embedding(VOCABULARY, HIDDEN),
        "lstm": nn.LSTM(HIDDEN, HIDDEN, batch_first=True),
        "head": nn.Linear(HIDDEN, VOCABULARY),
    }
    return nn.ModuleDict(parts)


TEXT = np.random.default_rng(1).integers(0, VOCABULARY, (32, 65))


def loss_of(model: Any, cross_entropy: Any) -> Any:
    def loss(text: Any) -> Any:
        h, _ = model["lstm"](model["embedding"](text[:, :-1]))
        return cross_entropy(model["head"](h).reshape(-1, VOCABULARY), text[:, 1:].reshape(-1))

    return loss


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model = model_of(net)
    return trained(model, loss_of(model, ga.nn.functional.cross_entropy), TEXT)


def in_torch() -> Job:
    from ._torch import model_of, torch, trained

    model = model_of(net)
    return trained(model, loss_of(model, torch.nn.functional.cross_entropy), TEXT)


def in_jax() -> Job:
    from ._jax import jax, jnp, trained

    def loss(params: Any, text: Any) -> Any:
        table, w_ih, w_hh, b_ih, b_hh, w, b = params.values()
        inputs = (table @ w_ih + b_ih + b_hh)[text[:, :-1].T]  # what needs no step before

        def step(state: Any, x: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(x + h @ w_hh, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((len(text), HIDDEN), w.dtype)
        _, h = jax.lax.scan(step, (zero, zero), inputs)
        scores = jax.nn.log_softmax(h @ w + b)
        return -jnp.take_along_axis(scores, text[:, 1:].T[..., None], -1).mean()

    return trained(initial(net), loss, TEXT)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
