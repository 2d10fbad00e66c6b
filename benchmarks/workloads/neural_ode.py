"""A neural ODE: the gradient goes back through a solver's loop."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "neural ODE 2-50-2 tanh on y^3, RK4, 100 steps, batch 20, Adam"
BAR, LIMIT, RTOL = 4, 0.5, 1e-3
STEPS, H = 100, 0.01


def net(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))


def rk4(f: Callable[[Any], Any], y: Any) -> Any:
    k1 = f(y)
    k2 = f(y + H / 2 * k1)
    k3 = f(y + H / 2 * k2)
    k4 = f(y + H * k3)
    return y + H / 6 * (k1 + 2 * (k2 + k3) + k4)


def data(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Where the paths start, and where they went."""
    rng = np.random.default_rng(1)
    start = rng.uniform(-1, 1, (20, 2)).astype(dtype)
    return start, rng.uniform(-1, 1, (STEPS, 20, 2)).astype(dtype)


def ours(dtype: Any = np.float32) -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model = model_of(net, dtype)

    def loss(y: Any, truth: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            y = rk4(lambda y: model(y**3), y)
            return y, y

        _, path = ga.scan(step, y, length=STEPS)
        return ((path - truth) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_torch(dtype: Any = np.float32) -> Job:
    from ._torch import model_of, torch, trained

    model = model_of(net, dtype)

    def loss(y: Any, truth: Any) -> Any:
        path = []
        for _ in range(STEPS):
            y = rk4(lambda y: model(y**3), y)
            path.append(y)
        return ((torch.stack(path) - truth) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_jax(dtype: Any = np.float32) -> Job:
    from ._jax import jax, jnp, trained

    def loss(params: Any, y: Any, truth: Any) -> Any:
        (v, a), (w, b) = layers(params)

        def step(y: Any, _: Any) -> Any:
            y = rk4(lambda y: jnp.tanh(y**3 @ v + a) @ w + b, y)
            return y, y

        _, path = jax.lax.scan(step, y, length=STEPS)
        return ((path - truth) ** 2).mean()

    return trained(initial(net, dtype), loss, *data(dtype))


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
