"""A loop of many tiny steps, where all is overhead."""

from typing import Any

import numpy as np

from . import Job

TITLE = "scan of 10,000 steps c = tanh(A c) + u, 3x3 float64, gradient in A"
BAR, LIMIT, RTOL = 5, 0.4, 1e-9
STEPS = 10_000

RNG = np.random.default_rng(1)
A, U, C = 0.3 * RNG.standard_normal((3, 3, 3))


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import called

    u, c = ga.array(U), ga.array(C)

    def last(A: Any) -> Any:
        end, _ = ga.scan(lambda c, _: (ga.tanh(A @ c) + u, None), c, length=STEPS)
        return (end**2).sum()

    return called(ga.value_and_grad(last), A)


def in_torch() -> Job:
    from ._torch import pulled, torch

    u, first = torch.tensor(U), torch.tensor(C)

    def last(A: Any) -> Any:
        c = first
        for _ in range(STEPS):
            c = torch.tanh(A @ c) + u
        return (c**2).sum()

    return pulled(last, A)


def in_jax() -> Job:
    from ._jax import called, jax, jnp

    def last(A: Any) -> Any:
        step = lambda c, _: (jnp.tanh(A @ c) + U, None)
        end, _ = jax.lax.scan(step, jnp.array(C), length=STEPS)
        return (end**2).sum()

    return called(jax.value_and_grad(last), A)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
