"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Reduction, given
from ..array import GradArray, lift
from ..choices import choice
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import absolute, sign
from .axes import all_axes
from .compare import equal, where
from .complex import conj, is_complex
from .exponential import FinitePowerGrad, power
from .layout import moveaxis
from .reduce import max, min, over_axes, sum
from .shape import reshape
from .singular import svdvals

__all__ = [
    "norm",
]

choice(
    "norm",
    "x = 0",
    0.0,
    at={"norm": lambda y: np.equal(y, 0), "p_norm": lambda y: np.equal(y, 0)},
    reason="the centre of the dual unit ball, the one subgradient that favours no direction; so "
    "std and nanstd of equal values",
)
choice(
    "norm.p",
    "x_i = 0, where p < 1",
    0.0,
    at={"p_norm": lambda x, p: np.equal(x, 0) & (0 < p < 1)},
    reason="the ball has a cusp there, of infinite slope on both sides; 0 lies between",
)


def _euclidean(x: Any, axis: Any, keepdims: bool) -> Any:
    squares = (x * np.conj(x)).real if x.dtype.kind == "c" else x * x
    return np.sqrt(np.add.reduce(squares, axis, keepdims=keepdims))


def _slope(x: Any, y: Any) -> Any:
    at_0 = equal(y, 0)
    return (conj(x) if is_complex(x) else x) * where(at_0, 0, 1 / where(at_0, 1, y))


class NormGrad(Reduction):
    r"""y = \sqrt{\sum |x|^2} over `axis`; dy/dx = x^* / y, and 0 at x = 0."""

    keeps_y_form = True  # of a complex x the result is real, and so is its tangent
    forward = _euclidean
    partial = _slope
    tex = r"\Vert {x} \Vert_2"


def _p_norm(x: Any, axis: Any, keepdims: bool, p: float) -> Any:
    total = np.add.reduce(np.abs(x) ** p, axis, keepdims=keepdims)
    return total ** total.dtype.type(1 / p)


def _p_slope(x: Any, y: Any, p: float) -> Any:
    at_0 = equal(y, 0)
    ratio = absolute(x) / where(at_0, 1, y)
    # Below p = 1 the ball has cusps: a coordinate of 0 has an infinite slope.
    share = apply(FinitePowerGrad, ratio, p - 1, True) if p < 1 else power(ratio, p - 1)
    return where(at_0, 0, share * (conj(sign(x)) if is_complex(x) else sign(x)))


class PNormGrad(Reduction):
    r"""y = (\sum |x|^p)^{1/p} over `axis`; dy/dx = (|x| / y)^{p-1} sign x, and 0 at x = 0."""

    name = "p_norm"
    keeps_y_form = True
    forward = _p_norm
    partial = _p_slope
    tex = r"\Vert {x} \Vert_p"


@public(
    numpy=np.linalg.norm,
    op=NormGrad,
    cases=[
        case(arr(4)),
        case(arr(2, 3)),
        *[case(arr(2, 3, kind="distinct"), p, axis=1) for p in (1, 2, 3, np.inf, -np.inf, 0, -1.5)],
        *[case(arr(3, 2, kind="distinct"), p) for p in (1, -1, np.inf, -np.inf, "fro")],
        *[case(arr(3, 2, kind="regular"), p) for p in (2, -2, "nuc")],
        case(arr(2, 3, 2), 2, axis=(0, 2), keepdims=True),
        case(arr(2, 2, 3), axis=(0, 2), keepdims=True),
        case(arr(2, 3, 2, kind="distinct"), 1, axis=(2, 0)),
    ],
)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = (\sum_i |x_i|^p)^{1/p} over `axis`, p = `ord`; the Euclidean norm by default.

    As `numpy.linalg.norm`: of a vector (one axis) p may be any number, inf (the largest |x_i|),
    -inf (the smallest) or 0 (how many are not 0); of a matrix (two axes) "fro", 1 and -1 (largest
    and smallest sum of a column), inf and -inf (of a row), 2, -2 and "nuc" (the largest, the
    smallest and the sum of the singular values, see `linalg.svdvals`). Without `ord` and `axis` x
    is flattened. At x = 0 the derivative of a vector norm and of "fro" is 0.

    >>> import gradarray as ga
    >>> ga.grad(ga.norm)(ga.array([3.0, 4.0]))
    GradArray([0.6, 0.8], dtype=float64)
    """
    x = lift(x, "norm")
    if x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    if axis is None and ord is None:
        return over_axes(NormGrad, x, None, keepdims)
    axes = all_axes(axis, x.ndim, "norm")
    if len(axes) == 1:
        return _vector(x, ord, axes, keepdims)
    if len(axes) == 2:
        pair = axes if axis is None else tuple(k - x.ndim if k >= 0 else k for k in axis)
        return _matrix(x, ord, pair, keepdims)
    raise ShapeError(
        message(
            "norm",
            f"ord={ord!r} over {len(axes)} axes of an array of shape {x.shape}.",
            "A vector norm takes one axis, a matrix norm two; name them with axis=.",
        )
    )


def _vector(x: Any, ord: Any, axis: tuple[int, ...], keepdims: bool) -> GradArray:
    if ord is None or ord == 2:
        return over_axes(NormGrad, x, axis, keepdims)
    if isinstance(ord, str):
        raise ValueError(message("norm", f"ord={ord!r} is a matrix norm; a vector has numbers."))
    if ord == 0:
        return sum(given.astype(x != 0, absolute(x).dtype), axis=axis, keepdims=keepdims)
    if ord in (math.inf, -math.inf):
        return _extreme(absolute(x), ord, axis, keepdims)
    if ord == 1:
        return sum(absolute(x), axis=axis, keepdims=keepdims)
    return over_axes(PNormGrad, x, axis, keepdims, p=float(ord))


def _extreme(x: Any, ord: float, axis: tuple[int, ...], keepdims: bool) -> GradArray:
    if ord > 0 and not x.shape[axis[0]]:
        return sum(x, axis=axis, keepdims=keepdims)  # the largest of no lengths is 0
    return (max if ord > 0 else min)(x, axis=axis, keepdims=keepdims)


def _kept(x: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if k in axes else n for k, n in enumerate(x.shape, -x.ndim))


def _of_singular_values(x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    s = svdvals(x if axes == (-2, -1) else moveaxis(x, axes, (-2, -1)))
    if ord == "nuc":
        return sum(s, axis=-1)
    return _extreme(s, ord, (-1,), False)


def _matrix(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> GradArray:
    if ord in (None, "fro", "f"):
        return over_axes(NormGrad, x, axes, keepdims)
    if ord in (2, -2, "nuc"):
        y = _of_singular_values(x, ord, axes)
        return reshape(y, _kept(x, axes)) if keepdims else y
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(
            message(
                "norm",
                f"ord={ord!r} is no matrix norm; known are 'fro', 'nuc', 2, -2, 1, -1, inf and "
                "-inf.",
                "For a vector norm name its one axis.",
            )
        )
    row, column = axes
    summed, over = (row, column) if ord in (1, -1) else (column, row)
    sums = sum(absolute(x), axis=summed, keepdims=True)
    y = _extreme(sums, ord, (over,), True)
    if keepdims:
        return y
    return reshape(y, tuple(n for k, n in enumerate(y.shape, -y.ndim) if k not in axes))
