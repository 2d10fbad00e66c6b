"""A network that the overhead of small kernels rules."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "MLP 2-64-64-1 tanh, batch 128, MSE, Adam"
BAR, LIMIT, RTOL = 3, 0.025, 1e-4


def net(nn: Any) -> Any:
    hidden = [nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()]
    return nn.Sequential(*hidden, nn.Linear(64, 1))


X = np.random.default_rng(1).uniform(-1, 1, (128, 2)).astype(np.float32)
Y = np.sin(3 * X[:, :1]) * X[:, 1:]


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model, mse = model_of(net), ga.nn.MSELoss()
    return trained(model, lambda x, y: mse(model(x), y), X, Y)


def in_torch() -> Job:
    from ._torch import model_of, torch, trained

    model, mse = model_of(net), torch.nn.MSELoss()
    return trained(model, lambda x, y: mse(model(x), y), X, Y)


def in_jax() -> Job:
    from ._jax import jnp, trained

    def loss(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = layers(params)
        for v, a in hidden:
            x = jnp.tanh(x @ v + a)
        return ((x @ w + b - y) ** 2).mean()

    return trained(initial(net), loss, X, Y)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
