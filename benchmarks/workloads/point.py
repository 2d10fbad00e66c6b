"""sqrt(x^2 + exp x^2) + cos(x^2 + exp x^2) and its derivative at one point."""

from typing import Any

import numpy as np

from . import Job

TITLE = "value and gradient of sqrt(x^2+exp x^2)+cos(x^2+exp x^2), 1 point, float64"
BAR, LIMIT, RTOL = 4, 0.0003, 1e-12


def wave(x: Any, xp: Any) -> Any:
    a = x * x
    c = a + xp.exp(a)
    return (xp.sqrt(c) + xp.cos(c)).sum()


X = np.float64(1.3)


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import called

    return called(ga.value_and_grad(lambda x: wave(x, ga)), X)


def in_torch() -> Job:
    from ._torch import pulled, torch

    return pulled(lambda x: wave(x, torch), X)


def in_jax() -> Job:
    from ._jax import called, jax, jnp

    return called(jax.value_and_grad(lambda x: wave(x, jnp)), X)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
