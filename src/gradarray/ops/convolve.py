"""Sums of products of shifted vectors: convolve, correlate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Multilinear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .complex import conj
from .move import flip

__all__ = [
    "convolve",
    "correlate",
]


def _pulled(y_bar: Any, other: Any, like: Any) -> Any:
    r"""\bar a_k = \sum_n \bar y_{k+n} b_n, which is a part of a convolution with b reversed."""
    start = other.shape[0] - 1
    return apply(ConvolveGrad, y_bar, flip(other))[start : start + like.shape[0]]


class ConvolveGrad(Multilinear):
    r"""y_k = \sum_n a_{k-n} b_n, all of them. \bar a and \bar b are convolutions again."""

    name = "convolve"
    forward = staticmethod(lambda a, b: np.convolve(a, b))
    transposes = (
        lambda y_bar, b, a_like: _pulled(y_bar, b, a_like),
        lambda y_bar, a, b_like: _pulled(y_bar, a, b_like),
    )
    tex = "{a} * {b}"


_CASES = [
    case(arr(4), arr(3), mode="full"),
    case(arr(2), arr(5), mode="same"),
    case(arr(5), arr(2), mode="same"),
    case(arr(4), arr(4), "same"),
    case(arr(5), arr(3), "valid"),
    case(arr(3), arr(4), "valid"),
    case(arr(3), arr(1), "full"),
]


def _vectors(a: Any, v: Any, mode: str, op: str) -> tuple[Any, Any]:
    a, v = lift(a, op), lift(v, op)
    if a.ndim > 1 or v.ndim > 1:
        raise ShapeError(message(op, f"takes two vectors, not shapes {a.shape} and {v.shape}."))
    if not a.size or not v.size:
        raise ValueError(message(op, f"takes no empty vector (shapes {a.shape} and {v.shape})."))
    if mode not in ("full", "same", "valid"):
        raise ValueError(message(op, f"mode={mode!r}; it is 'full', 'same' or 'valid'."))
    return a.reshape(-1), v.reshape(-1)


def _within(y: Any, short: int, long: int, mode: str, first: int) -> Any:
    """The part of a full convolution that a mode asks for; "same" begins at `first`."""
    if mode == "full":
        return y
    return y[first : first + long] if mode == "same" else y[short - 1 : long]


@public(numpy=np.convolve, op=ConvolveGrad, cases=[*_CASES, case(arr(3), arr(2))])
def convolve(a: Any, v: Any, mode: str = "full") -> GradArray:
    r"""y_k = \sum_n a_{k-n} v_n of two vectors.

    `mode`: "full", of length M + N - 1; "same", its middle max(M, N); "valid", where the shorter
    one lies within the longer, |M - N| + 1. Raises ShapeError and ValueError for other arguments.
    (For channels and batches: `conv1d`.)

    >>> import gradarray as ga
    >>> ga.convolve([1.0, 2.0, 3.0], [0.0, 1.0, 0.5])
    GradArray([0. , 1. , 2.5, 4. , 1.5], dtype=float64)
    """
    a, v = _vectors(a, v, mode, "convolve")
    short, long = sorted((a.shape[0], v.shape[0]))
    return _within(apply(ConvolveGrad, a, v), short, long, mode, (short - 1) // 2)


@public(numpy=np.correlate, cases=[*_CASES, case(arr(5), arr(2))])
def correlate(a: Any, v: Any, mode: str = "valid") -> GradArray:
    r"""y_k = \sum_n a_{n+k} v_n^* of two vectors; modes as in `convolve`.

    >>> import gradarray as ga
    >>> ga.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], "same")
    GradArray([2. , 3.5, 3. ], dtype=float64)
    """
    a, v = _vectors(a, v, mode, "correlate")
    n, m = a.shape[0], v.shape[0]
    first = (m - 1) // 2 if n >= m else n // 2
    y = apply(ConvolveGrad, a, flip(conj(v) if v.dtype.kind == "c" else v))
    return _within(y, min(n, m), max(n, m), mode, first)
