"""Hessians of a network in its inputs, point by point."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "Hessian of a 10-64-64-64-1 tanh MLP in its inputs, 256 points"
BAR, LIMIT, RTOL = 1.3, 0.41, 1e-4


def net(nn: Any) -> Any:
    hidden = [nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()]
    return nn.Sequential(*hidden, nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


X = np.random.default_rng(1).uniform(-1, 1, (256, 10)).astype(np.float32)


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import called, model_of

    model = model_of(net)
    model.requires_grad_(False)
    return called(ga.vmap(ga.hessian(lambda x: model(x)[0])), X)


def in_torch() -> Job:
    from ._torch import compiled, model_of, torch

    model, x = model_of(net), torch.tensor(X)
    model.requires_grad_(False)
    f = compiled(torch.func.vmap(torch.func.hessian(lambda x: model(x)[0])))
    step = lambda: f(x)
    return Job(step, lambda: [step().numpy()])


def in_jax() -> Job:
    from ._jax import called, jax, jnp, turned

    weights = turned(initial(net))

    def f(weights: Any, x: Any) -> Any:
        *hidden, (w, b) = layers(weights)
        for v, a in hidden:
            x = jnp.tanh(x @ v + a)
        return (x @ w + b)[0]

    weights = jax.tree.map(jnp.array, weights)
    return called(jax.vmap(jax.hessian(lambda x: f(weights, x))), X)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
