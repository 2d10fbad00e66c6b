"""A Hamiltonian network: the loss is of the gradient of a network in its inputs."""

from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "Hamiltonian network 4-200-200-1 tanh, batch 256, Adam"
BAR, LIMIT, RTOL = 1.7, 0.58, 1e-4


def net(nn: Any) -> Any:
    hidden = [nn.Linear(4, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh()]
    return nn.Sequential(*hidden, nn.Linear(200, 1))


# The field of two uncoupled pendulums: q' = p, p' = -sin q.
def data(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).uniform(-1, 1, (256, 4)).astype(dtype)
    return x, np.concatenate([x[:, 2:], -np.sin(x[:, :2])], axis=1)


def ours(dtype: Any = np.float32) -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model = model_of(net, dtype)

    def loss(x: Any, y: Any) -> Any:
        slope = ga.grad(lambda x: model(x).sum())(x)
        field = ga.concatenate([slope[:, 2:], -slope[:, :2]], axis=1)
        return ((field - y) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_torch(dtype: Any = np.float32) -> Job:
    from ._torch import COMPILED, model_of, torch, trained

    model = model_of(net, dtype)

    def energy(x: Any) -> Any:
        return model(x).sum()

    def loss(x: Any, y: Any) -> Any:
        if COMPILED:  # torch.compile takes a derivative inside only as torch.func's
            slope = torch.func.grad(energy)(x)
        else:
            x = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(energy(x), x, create_graph=True)
        field = torch.cat([slope[:, 2:], -slope[:, :2]], dim=1)
        return ((field - y) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_jax(dtype: Any = np.float32) -> Job:
    from ._jax import jax, jnp, trained

    def energy(params: Any, x: Any) -> Any:
        *hidden, (w, b) = layers(params)
        for v, a in hidden:
            x = jnp.tanh(x @ v + a)
        return (x @ w + b).sum()

    def loss(params: Any, x: Any, y: Any) -> Any:
        slope = jax.grad(energy, 1)(params, x)
        field = jnp.concatenate([slope[:, 2:], -slope[:, :2]], axis=1)
        return ((field - y) ** 2).mean()

    return trained(initial(net, dtype), loss, *data(dtype))


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
