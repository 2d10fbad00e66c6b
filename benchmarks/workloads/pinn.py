"""A physics-informed network for Burgers' equation: first and second derivatives of a network."""

import functools
import itertools
import math
from typing import Any

import numpy as np

from . import Job
from ._weights import initial, layers

TITLE = "PINN (Burgers), 2-20x8-1 tanh, 10,000 + 100 points, Adam, float32"
BAR, LIMIT, RTOL = 5, 3.2, 1e-3
NU = 0.01 / math.pi


def net(nn: Any) -> Any:
    sizes = [2] + [20] * 8
    pairs = itertools.pairwise(sizes)
    hidden = [layer for m, n in pairs for layer in (nn.Linear(m, n), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(20, 1))


def data(dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (t, x) inside, points of the start, and u there."""
    rng = np.random.default_rng(1)
    inside = rng.uniform((0, -1), (1, 1), (10_000, 2)).astype(dtype)
    start = np.stack([np.zeros(100), np.linspace(-1, 1, 100)], axis=1).astype(dtype)
    return inside, start, -np.sin(math.pi * start[:, 1:])


def ours(dtype: Any = np.float32) -> Job:
    import gradarray as ga

    from ._gradarray import model_of, trained

    model = model_of(net, dtype)

    def loss(X: Any, start: Any, at_start: Any) -> Any:
        u = ga.partials(model, X, "tx", of=("", "t", "x", "xx"))
        residual = u["t"] + u[""] * u["x"] - NU * u["xx"]
        return (residual**2).mean() + ((model(start) - at_start) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_torch(dtype: Any = np.float32) -> Job:
    from ._torch import COMPILED, model_of, torch, trained

    model = model_of(net, dtype)

    def reverse(X: Any) -> Any:
        """u, u_t, u_x, u_xx by a backward pass of a backward pass."""
        X = X.clone().requires_grad_()
        u = model(X)
        (slope,) = torch.autograd.grad(u.sum(), X, create_graph=True)
        (second,) = torch.autograd.grad(slope[:, 1].sum(), X, create_graph=True)
        return u, slope[:, :1], slope[:, 1:], second[:, 1:]

    def forward(X: Any) -> Any:
        """The same by torch.func, which torch.compile takes."""
        t, x = torch.zeros_like(X), torch.zeros_like(X)
        t[:, 0], x[:, 1] = 1, 1
        along = lambda f, v: lambda X: torch.func.jvp(f, (X,), (v,))[1]
        u_x, u_xx = torch.func.jvp(along(model, x), (X,), (x,))
        u, u_t = torch.func.jvp(model, (X,), (t,))
        return u, u_t, u_x, u_xx

    def loss(X: Any, start: Any, at_start: Any) -> Any:
        u, u_t, u_x, u_xx = (forward if COMPILED else reverse)(X)
        residual = u_t + u * u_x - NU * u_xx
        return (residual**2).mean() + ((model(start) - at_start) ** 2).mean()

    return trained(model, loss, *data(dtype))


def in_jax(dtype: Any = np.float32, reverse: bool = False) -> Job:
    from ._jax import jax, jnp, trained

    def u_of(params: Any, X: Any) -> Any:
        *hidden, (w, b) = layers(params)
        for v, a in hidden:
            X = jnp.tanh(X @ v + a)
        return X @ w + b

    def forward_partials(f: Any, X: Any) -> Any:
        t, x = (jnp.zeros_like(X).at[:, k].set(1) for k in (0, 1))
        u, u_t = jax.jvp(f, (X,), (t,))
        u_x, u_xx = jax.jvp(lambda X: jax.jvp(f, (X,), (x,))[1], (X,), (x,))
        return u, u_t, u_x, u_xx

    def reverse_partials(f: Any, X: Any) -> Any:
        slope_of = jax.grad(lambda X: f(X).sum())
        slope = slope_of(X)
        second = jax.grad(lambda X: slope_of(X)[:, 1].sum())(X)
        return f(X), slope[:, :1], slope[:, 1:], second[:, 1:]

    partials = reverse_partials if reverse else forward_partials

    def loss(params: Any, X: Any, start: Any, at_start: Any) -> Any:
        u, u_t, u_x, u_xx = partials(lambda X: u_of(params, X), X)
        residual = u_t + u * u_x - NU * u_xx
        return (residual**2).mean() + ((u_of(params, start) - at_start) ** 2).mean()

    return trained(initial(net, dtype), loss, *data(dtype))


CONTENDERS = {
    "gradarray": ours,
    "PyTorch": in_torch,
    "JAX, forward": in_jax,
    "JAX, reverse": functools.partial(in_jax, reverse=True),
}
