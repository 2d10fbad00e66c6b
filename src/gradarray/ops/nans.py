"""Reductions that leave NaN out: nansum, nanmean, nanmax and their kin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Reduction, given
from ..array import GradArray, lift
from ..choices import choice
from ..registry import arr, case, public
from .arithmetic import absolute
from .compare import equal, where
from .complex import is_complex
from .logical import isnan
from .norm import NormGrad
from .powers import sqrt, square
from .reduce import AXES, DISTINCT, mean, over_axes, shares, some, sum, tied
from .scan import prod

__all__ = [
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _filled(x: Any, value: float, op: str) -> tuple[Any, Any]:
    """x with `value` for NaN, and where the NaN are (None where x cannot hold any)."""
    x = lift(x, op)
    if x.dtype.kind not in "fc":
        return x, None
    missing = isnan(x)
    return where(missing, value, x), missing


@public(numpy=np.nansum, cases=AXES)
def nansum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \sum_i x_i over `axis`, NaN counting as 0.

    >>> import gradarray as ga
    >>> ga.nansum([1.0, float("nan"), 2.0])
    GradArray(3., dtype=float64)
    """
    return sum(_filled(x, 0, "nansum")[0], axis=axis, dtype=dtype, keepdims=keepdims)


@public(numpy=np.nanprod, cases=AXES)
def nanprod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \prod_i x_i over `axis`, NaN counting as 1.

    >>> import gradarray as ga
    >>> ga.nanprod([2.0, float("nan"), 3.0])
    GradArray(6., dtype=float64)
    """
    return prod(_filled(x, 1, "nanprod")[0], axis=axis, dtype=dtype, keepdims=keepdims)


@public(numpy=np.nanmean, cases=AXES)
def nanmean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = the mean over `axis` of the x_i that are not NaN; NaN where all of them are.

    >>> import gradarray as ga
    >>> ga.nanmean([1.0, float("nan"), 2.0])
    GradArray(1.5, dtype=float64)
    """
    filled, missing = _filled(x, 0, "nanmean")
    if missing is None:
        return mean(filled, axis=axis, dtype=dtype, keepdims=keepdims)
    total = sum(filled, axis=axis, dtype=dtype, keepdims=keepdims)
    return total / _present(missing, axis, keepdims, total.dtype)


def _present(missing: Any, axis: Any, keepdims: bool, dtype: Any) -> Any:
    return sum(~missing, axis=axis, dtype=np.finfo(dtype).dtype, keepdims=keepdims)


for _name in ("nanmax", "nanmin"):
    choice(
        _name, "k equal extrema", 1.0, at=tied,
        reason="each gets 1/k, which no order of the values changes",
    )  # fmt: skip


def _tied(x: Any, y: Any, axis: Any) -> Any:
    return shares(equal(x, y), axis, 1.0, x.dtype)


class NanMaxGrad(Reduction):
    """y = the largest of x over `axis` that is not NaN; a tie shares the derivative evenly."""

    forward = staticmethod(lambda x, axis, keepdims: np.fmax.reduce(x, axis, keepdims=keepdims))
    partial = _tied
    tex = r"\max {x}"


class NanMinGrad(Reduction):
    """y = the smallest of x over `axis` that is not NaN; a tie shares the derivative evenly."""

    forward = staticmethod(lambda x, axis, keepdims: np.fmin.reduce(x, axis, keepdims=keepdims))
    partial = _tied
    tex = r"\min {x}"


@public(numpy=np.nanmax, op=NanMaxGrad, cases=DISTINCT)
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \max_i x_i over `axis`, of those that are not NaN; k ties share the derivative.

    >>> import gradarray as ga
    >>> ga.nanmax([1.0, float("nan"), 2.0])
    GradArray(2., dtype=float64)
    """
    return over_axes(NanMaxGrad, some(x, axis, "nanmax"), axis, keepdims)


@public(numpy=np.nanmin, op=NanMinGrad, cases=DISTINCT)
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \min_i x_i over `axis`, of those that are not NaN; k ties share the derivative.

    >>> import gradarray as ga
    >>> ga.nanmin([1.0, float("nan"), 2.0])
    GradArray(1., dtype=float64)
    """
    return over_axes(NanMinGrad, some(x, axis, "nanmin"), axis, keepdims)


def _spread(x: Any, axis: Any, dtype: Any, ddof: float, keepdims: bool, op: str) -> tuple[Any, Any]:
    """Deviations from the mean, 0 for NaN, and the degrees of freedom, NaN where there are none."""
    x = lift(x, op)
    if dtype is not None or x.dtype.kind in "biu":
        x = given.astype(x, dtype or np.float64)
    missing = isnan(x)
    centre = nanmean(x, axis=axis, keepdims=True)
    freedom = _present(missing, axis, keepdims, x.dtype) - ddof
    return where(missing, 0, x - centre), where(freedom > 0, freedom, math.nan)


_SPREAD = [*AXES, case(arr(4), ddof=1)]


@public(numpy=np.nanvar, cases=_SPREAD)
def nanvar(
    x: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False
) -> GradArray:
    r"""y = \frac{1}{n - ddof} \sum_i |x_i - m|^2 over the n values that are not NaN, m their mean.

    >>> import gradarray as ga
    >>> ga.nanvar([1.0, float("nan"), 3.0])
    GradArray(1., dtype=float64)
    """
    d, freedom = _spread(x, axis, dtype, ddof, keepdims, "nanvar")
    squares = square(absolute(d)) if is_complex(d) else square(d)
    return sum(squares, axis=axis, keepdims=keepdims) / freedom


@public(numpy=np.nanstd, cases=_SPREAD)
def nanstd(
    x: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False
) -> GradArray:
    r"""y = \sqrt{\frac{1}{n - ddof} \sum_i |x_i - m|^2} over the n values that are not NaN.

    m is their mean; where all values are equal, the derivative is 0.

    >>> import gradarray as ga
    >>> ga.nanstd([1.0, float("nan"), 3.0])
    GradArray(1., dtype=float64)
    """
    d, freedom = _spread(x, axis, dtype, ddof, keepdims, "nanstd")
    return over_axes(NormGrad, d, axis, keepdims) / sqrt(freedom)
