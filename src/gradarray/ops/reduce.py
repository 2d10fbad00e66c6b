"""Reductions over axes: sum, mean, max."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Reduction, given
from ..array import GradArray, lift
from ..record import apply
from ..registry import arr, case, public
from .axes import all_axes
from .compare import equal

_AXES = [
    case(arr(2, 3)),
    case(arr(2, 3), axis=0),
    case(arr(2, 3, 2), axis=(0, -1)),
    case(arr(2, 3), axis=1, keepdims=True),
]


def over_axes(op: type[Reduction], x: Any, axis: Any, keepdims: bool) -> GradArray:
    """Apply a reduction over `axis`, made canonical."""
    x = lift(x, op.name)
    return apply(op, x, axis=all_axes(axis, x.ndim, op.name), keepdims=bool(keepdims))


class SumGrad(Reduction):
    """y = sum of x over `axis`."""

    forward = staticmethod(lambda x, axis, keepdims: np.add.reduce(x, axis, keepdims=keepdims))
    partial = 1
    tex = r"\sum {x}"


@public(numpy=np.sum, op=SumGrad, method=True, cases=_AXES)
def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \sum_i x_i over `axis` (all axes by default). dy/dx_i = 1.

    >>> import gradarray as ga
    >>> ga.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    GradArray([4., 6.], dtype=float64)
    """
    x = lift(x)
    return over_axes(SumGrad, x if dtype is None else given.astype(x, dtype), axis, keepdims)


@public(numpy=np.mean, method=True, cases=_AXES)
def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \frac1n \sum_i x_i over `axis`, n values. dy/dx_i = 1/n.

    >>> import gradarray as ga
    >>> ga.mean([1.0, 2.0, 6.0])
    GradArray(3., dtype=float64)
    """
    x = lift(x)
    if dtype is not None:
        x = given.astype(x, dtype)
    elif x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    n = math.prod(x.shape[k] for k in all_axes(axis, x.ndim, "mean"))
    return over_axes(SumGrad, x, axis, keepdims) / n


def even_split(chosen: Any, axis: Any) -> Any:
    """1/k on each of the k values that tie for the extremum, 0 elsewhere."""
    return chosen / sum(chosen, axis=axis, keepdims=True)


class MaxGrad(Reduction):
    """y = the largest of x over `axis`; a tie shares the derivative evenly."""

    forward = staticmethod(lambda x, axis, keepdims: np.maximum.reduce(x, axis, keepdims=keepdims))
    partial = staticmethod(lambda x, y, axis: even_split(equal(x, y), axis))
    tex = r"\max {x}"


@public(
    numpy=np.max,
    op=MaxGrad,
    method=True,
    aliases=("amax",),
    cases=[case(arr(2, 3, kind="distinct"), axis=1), case(arr(5, kind="distinct"))],
)
def max(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \max_i x_i over `axis`. dy/dx_i is 1 at the maximum; k ties share it as 1/k each.

    >>> import gradarray as ga
    >>> ga.grad(ga.max)(ga.array([1.0, 3.0, 3.0]))
    GradArray([0. , 0.5, 0.5], dtype=float64)
    """
    return over_axes(MaxGrad, x, axis, keepdims)


given.sum = sum
