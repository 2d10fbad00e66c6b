"""Order statistics: median, quantile, percentile. Values taken from their places in the order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray, has_values, lift
from ..choices import choice
from ..errors import DTypeError, message
from ..registry import arr, case, public
from .axes import all_axes
from .compare import clip, equal, minimum, where
from .control import stop_gradient
from .layout import moveaxis, ravel
from .logical import isinf, isnan, logical_and
from .reduce import sum
from .rounding import floor
from .shape import astype, reshape
from .sort import argsort, ties
from .take import take, take_along_axis

__all__ = [
    "median",
    "percentile",
    "quantile",
]

_equal_values = choice(
    "quantile",
    "equal values",
    1.0,
    reason="each keeps its own place in the order, the first one the first; median and percentile "
    "as well",
)

_CASES = [
    case(arr(5, kind="distinct")),
    case(arr(2, 4, kind="distinct"), axis=1),
    case(arr(3, 2, 3, kind="distinct"), axis=(0, -1), keepdims=True),
]


def _row(x: Any, axis: Any, op: str) -> tuple[Any, tuple[int, ...]]:
    """x with the axes to reduce as one, the last, and the shape of the result with them kept."""
    axes = all_axes(axis, x.ndim, op)
    kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape, -x.ndim))
    if axes != tuple(range(-len(axes), 0)):
        x = moveaxis(x, axes, tuple(range(-len(axes), 0)))
    lead = x.ndim - len(axes)
    x = reshape(x, (*x.shape[:lead], math.prod(x.shape[lead:])))
    _equal_values.met(x, lambda x: ties(x, -1))
    return x, kept


def _placed(x: Any, order: Any, places: Any) -> Any:
    """The values at these places of the order along the last axis, then those axes in front."""
    index = take(order, ravel(places), -1)
    y = moveaxis(take_along_axis(x, index, -1), -1, 0)
    return reshape(y, (*places.shape, *y.shape[1:]))


def _or_nan(y: Any, x: Any, order: Any) -> Any:
    """y, and NaN where x has one: a NaN comes last in the order."""
    last = _placed(x, order, np.array(-1))
    return where(isnan(last), last, y) if x.dtype.kind in "fc" else y


@public(
    numpy=np.median,
    reference=lambda x, **how: np.median(x, **how),  # it may take 0 for -0
    cases=[*_CASES, case(arr(6, kind="distinct"))],
)
def median(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = the middle of x in order over `axis`, the mean of the two middle ones of an even count.

    dy/dx is 1, or 1/2 each, at the places of these values. NaN if there is one.

    >>> import gradarray as ga
    >>> ga.median([3.0, 1.0, 2.0, 10.0])
    GradArray(2.5, dtype=float64)
    """
    x, kept = _row(lift(x, "median"), axis, "median")
    if x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    n = x.shape[-1]
    if not n:
        y = sum(x, axis=-1) / 0  # NaN, as NumPy's
        return reshape(y, kept) if keepdims else y
    order = argsort(x, -1)
    y = _placed(x, order, np.array((n - 1) // 2))
    if n % 2 == 0:
        y = (y + _placed(x, order, np.array(n // 2))) / 2
    y = _or_nan(y, x, order)
    return reshape(y, kept) if keepdims else y


def _quantile(
    op: str, x: Any, q: Any, axis: Any, method: str, keepdims: bool, out_of: float
) -> GradArray:
    if method != "linear":
        raise ValueError(
            message(op, f"method={method!r}; only 'linear' interpolation has a derivative in q.")
        )
    x, kept = _row(lift(x, op), axis, op)
    if x.dtype.kind == "b":
        raise DTypeError(message(op, "booleans have nothing between them.", "Use .astype(float)."))
    if x.dtype.kind in "iu":
        x = given.astype(x, np.float64)
    # A plain number does not widen float32, as in NumPy.
    plain = isinstance(q, (int, float))
    q = lift(q, op)
    q = given.astype(q, x.dtype if plain else np.result_type(x.dtype, q.dtype))
    q = q / out_of
    at = stop_gradient(q)
    if has_values(at) and not ((at._array >= 0) & (at._array <= 1)).all():
        raise ValueError(message(op, f"q must lie between 0 and {out_of}."))
    n = x.shape[-1]
    low = astype(clip(floor(at * (n - 1)), 0, n - 1), np.intp)
    high = minimum(low + 1, n - 1)
    order = argsort(x, -1)
    a, b = _placed(x, order, low), _placed(x, order, high)
    t = reshape(q * (n - 1) - astype(low, q.dtype), (*at.shape, *(1,) * (a.ndim - at.ndim)))
    gap = b - a
    y = where(t >= 0.5, b - gap * (1 - t), a + gap * t)
    # Between equal infinities there is no gap to take a part of.
    y = _or_nan(where(logical_and(equal(a, b), isinf(a)), a, y), x, order)
    return reshape(y, (*at.shape, *kept)) if keepdims else y


_QUANTILES = [
    case(arr(5, kind="distinct"), 0.3),
    case(arr(2, 4, kind="distinct"), [0.0, 0.5, 0.9, 1.0], axis=1),
    case(arr(3, 2, 3, kind="distinct"), [[0.1], [0.6]], axis=(0, -1), keepdims=True),
    case(arr(4, kind="distinct"), arr(2, low=0.4, high=0.6)),
]


@public(
    numpy=np.quantile,
    reference=lambda x, q, **how: np.quantile(x, q, **how),
    cases=_QUANTILES,
)
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> GradArray:
    r"""y = (1 - t) x_{(k)} + t x_{(k+1)}, x_{(0)} <= x_{(1)} <= ..., k + t = q (n - 1).

    q between 0 and 1, or an array of them: its axes come first in the result. The derivative is in
    x, at the places of the two values, and in q. NaN if there is one. (Type 7 of R. J. Hyndman, Y.
    Fan, "Sample quantiles in statistical packages", Am. Stat. 50, 1996.) Raises ValueError for
    another q or another `method`.

    >>> import gradarray as ga
    >>> ga.quantile([3.0, 1.0, 2.0, 10.0], 0.75)
    GradArray(4.75, dtype=float64)
    """
    return _quantile("quantile", x, q, axis, method, keepdims, 1)


_PERCENTILES = [
    case(arr(5, kind="distinct"), 30),
    case(arr(2, 4, kind="distinct"), [0.0, 50.0, 90.0], axis=1),
]


@public(
    numpy=np.percentile,
    reference=lambda x, q, **how: np.percentile(x, q, **how),
    cases=_PERCENTILES,
)
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> GradArray:
    r"""y = the quantile of q / 100 (see `quantile`), q between 0 and 100.

    >>> import gradarray as ga
    >>> ga.percentile([3.0, 1.0, 2.0, 10.0], 75)
    GradArray(4.75, dtype=float64)
    """
    return _quantile("percentile", x, q, axis, method, keepdims, 100)
