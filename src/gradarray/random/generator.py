"""Generator: everything that can be drawn, from a stream of one's own."""

from __future__ import annotations

from .continuous import Continuous
from .discrete import Discrete
from .joint import Joint


class Generator(Continuous, Joint, Discrete):
    """A stream of random numbers that a seed determines.

    `seed` is an integer from 0 to 2^64 - 1; each gives a stream of its own, of 2^128 blocks of 128
    bits. The state is two GradArrays, made here and never replaced: `key`, uint32 (2,), the seed,
    and `counter`, uint32 (4,), how many blocks have been used. A draw assigns to the counter.

    Methods have the names and arguments of `numpy.random.Generator`. Its numbers they have not.

    Raises TypeError for a seed that is no integer, ValueError for one out of range.

    Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
    as 1, 2, 3", SC'11.

    >>> import gradarray as ga
    >>> rng = ga.random.Generator(seed=0)
    >>> rng.uniform(size=3)
    GradArray([0.8805202 , 0.60548185, 0.36209112], dtype=float64)
    >>> rng
    Generator(seed=0), 2 blocks used
    """
