"""The same function summed over a million points: one loop, or as many as there are operations."""

import numpy as np

from . import Job
from .point import wave

TITLE = "the same function at 1,000,000 points, summed, float32"
BAR, LIMIT, RTOL = 2, 0.48, 1e-4

X = np.linspace(-1.3, 1.3, 1_000_000, dtype=np.float32)


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
