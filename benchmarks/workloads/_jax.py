"""JAX as its users write it: one jitted step, Adam inside, its state donated."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import Job
from ._weights import turned

jax.config.update("jax_enable_x64", True)  # arrays keep the dtype that they are made with


def adam(params: Any, grads: Any, m: Any, v: Any, t: Any, lr: float = 1e-3) -> Any:
    """The new parameters and slots; t counts from 1."""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    a, b = lr / (1 - 0.9**t), 1 / (1 - 0.999**t)
    update = lambda p, m, v: (
        p - a.astype(p.dtype) * m / (jnp.sqrt(v * b.astype(p.dtype)) + p.dtype.type(1e-8))
    )
    return jax.tree.map(update, params, m, v), m, v


def trained(weights: dict[str, np.ndarray], loss: Callable[..., Any], *data: np.ndarray) -> Job:
    """Training steps on the same batch; `loss` takes the weights, matrices turned, and the data."""
    first = turned(weights)

    def step(state: Any, *batch: Any) -> Any:
        params, m, v, t = state
        value, grads = jax.value_and_grad(loss)(params, *batch)
        t = t + 1
        return (*adam(params, grads, m, v, t.astype(jnp.float32)), t), value

    jitted = jax.jit(step, donate_argnums=0)
    batch = [jnp.array(x) for x in data]
    copies = [jax.tree.map(make, first) for make in (jnp.array, jnp.zeros_like, jnp.zeros_like)]
    state: list[Any] = [(*copies, jnp.int32(0))]

    def call() -> Any:
        state[0], value = jitted(state[0], *batch)
        return jax.block_until_ready(value)

    def gradients() -> list[np.ndarray]:
        grads = jax.jit(jax.grad(loss))(first, *batch)
        return list(turned({k: np.asarray(grads[k]) for k in first}).values())

    return Job(call, gradients)


def called(f: Callable[..., Any], *args: Any) -> Job:
    """A jitted function whose results are the gradients."""
    jitted = jax.jit(f)
    inputs = [jnp.array(x) for x in args]
    step = lambda: jax.block_until_ready(jitted(*inputs))
    return Job(step, lambda: [np.asarray(x) for x in jax.tree.leaves(step())])
