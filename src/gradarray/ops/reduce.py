"""Reductions over axes: sum, mean, max, min, argmax, argmin, any, all, logsumexp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise, Reduction, given
from ..array import GradArray, lift
from ..choices import choice
from ..errors import ShapeError, message
from ..lazy import special
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import negative
from .axes import all_axes, one_axis
from .compare import equal, where
from .complex import is_complex, real
from .control import stop_gradient
from .exponential import exp, log
from .logical import isfinite
from .shape import reshape

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "ptp",
    "sum",
]

AXES = [
    case(arr(2, 3)),
    case(arr(2, 3), axis=0),
    case(arr(2, 3, 2), axis=(0, -1)),
    case(arr(2, 3), axis=1, keepdims=True),
]
DISTINCT = [
    case(arr(5, kind="distinct")),
    case(arr(2, 3, kind="distinct"), axis=1),
    case(arr(2, 3, 2, kind="distinct"), axis=(0, -1), keepdims=True),
]
_BOOLS = [case(arr(2, 3, kind="bool"), axis=1), case(arr(3)), case(arr(2, 3), keepdims=True)]


def over_axes(op: type[Reduction], x: Any, axis: Any, keepdims: bool, **params: Any) -> GradArray:
    """Apply a reduction over `axis`, made canonical."""
    if not isinstance(x, GradArray):
        x = lift(x, op.name)
    return op.of(x, all_axes(axis, x.ndim, op.name), bool(keepdims), **params)


def counted(shape: tuple[int, ...], axis: Any, op: str) -> int:
    """How many values one result of a reduction over `axis` takes in."""
    return math.prod([shape[k] for k in all_axes(axis, len(shape), op)])


class SumGrad(Reduction):
    """y = sum of x over `axis`."""

    forward = staticmethod(lambda x, axis, keepdims: np.add.reduce(x, axis, keepdims=keepdims))
    partial = 1
    tex = r"\sum {x}"


@public(numpy=np.sum, op=SumGrad, method=True, cases=AXES)
def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \sum_i x_i over `axis` (all axes by default). dy/dx_i = 1.

    >>> import gradarray as ga
    >>> ga.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    GradArray([4., 6.], dtype=float64)
    """
    if dtype is None:
        return over_axes(SumGrad, x, axis, keepdims)
    return as_dtype(over_axes(SumGrad, as_dtype(lift(x), dtype), axis, keepdims), dtype)


def as_dtype(x: Any, dtype: Any) -> Any:
    """x in a dtype, x itself where it has it."""
    return x if x.dtype == dtype else given.astype(x, dtype)


@public(numpy=np.mean, method=True, cases=AXES)
def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \frac1n \sum_i x_i over `axis`, n values. dy/dx_i = 1/n.

    >>> import gradarray as ga
    >>> ga.mean([1.0, 2.0, 6.0])
    GradArray(3., dtype=float64)
    """
    x = lift(x)
    result = dtype = None if dtype is None else np.dtype(dtype)
    if dtype is None and x.dtype.kind in "biu":
        result = dtype = np.dtype(np.float64)
    elif (dtype or x.dtype) == np.float16:
        result, dtype = np.dtype(np.float16), np.dtype(np.float32)  # a sum of them overflows soon
    if dtype is not None:
        x = as_dtype(x, dtype)
    y = over_axes(SumGrad, x, axis, keepdims) / counted(x.shape, axis, "mean")
    return y if result is None else as_dtype(y, result)


# Extrema ------------------------------------------------------------------------------------------


def tied(x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """Where an extremum is met more than once."""
    return np.add.reduce(np.equal(x, y if keepdims else np.expand_dims(y, axis)), axis) > 1


def _tie(op: str) -> Any:
    return choice(
        op,
        "k equal extrema",
        1.0,
        between=(0.0, 1.0),
        at=tied,
        reason="1: each gets 1/k, which no order of the values changes; 0: the first gets all",
    )


_max_at_tie, _min_at_tie = _tie("max"), _tie("min")


def shares(chosen: Any, axis: Any, even: float, dtype: Any) -> Any:
    """What each of k equal extrema gets: `even` times 1/k, and the first one the rest."""
    count = sum(chosen, axis=axis, dtype=dtype, keepdims=True)
    share = where(chosen, 1 / count, 0)
    if even == 1:
        return share
    first = apply(FirstGrad, chosen, axis=axis)
    return share * even + first * (1 - even)


class FirstGrad(Reduction):
    """y = 1 at the first true value along `axis`, 0 elsewhere."""

    @staticmethod
    def forward(x: Any, axis: Any) -> Any:
        x = np.asarray(x)
        last = tuple(range(-len(axis), 0))
        rows = np.moveaxis(x, axis, last).reshape(*np.delete(x.shape, axis), -1)
        first = (np.cumsum(rows, -1) == 1) & rows
        return np.moveaxis(first.reshape(np.moveaxis(x, axis, last).shape), last, axis)

    partial = None


class MaxGrad(Reduction):
    """y = the largest of x over `axis`; a tie shares the derivative evenly."""

    forward = staticmethod(lambda x, axis, keepdims: np.maximum.reduce(x, axis, keepdims=keepdims))
    partial = staticmethod(lambda x, y, axis: shares(equal(x, y), axis, _max_at_tie.value, x.dtype))
    tex = r"\max {x}"


class MinGrad(Reduction):
    """y = the smallest of x over `axis`; a tie shares the derivative evenly."""

    forward = staticmethod(lambda x, axis, keepdims: np.minimum.reduce(x, axis, keepdims=keepdims))
    partial = staticmethod(lambda x, y, axis: shares(equal(x, y), axis, _min_at_tie.value, x.dtype))
    tex = r"\min {x}"


@public(numpy=(np.max, np.amax), op=MaxGrad, method=True, aliases=("amax",), cases=DISTINCT)
def max(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \max_i x_i over `axis`. dy/dx_i is 1 at the maximum; k ties share it as 1/k each.

    Raises ShapeError where there is nothing to take the maximum of.

    >>> import gradarray as ga
    >>> ga.grad(ga.max)(ga.array([1.0, 3.0, 3.0]))
    GradArray([0. , 0.5, 0.5], dtype=float64)
    """
    return over_axes(MaxGrad, some(x, axis, "max"), axis, keepdims)


@public(numpy=(np.min, np.amin), op=MinGrad, method=True, aliases=("amin",), cases=DISTINCT)
def min(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \min_i x_i over `axis`. dy/dx_i is 1 at the minimum; k ties share it as 1/k each.

    Raises ShapeError where there is nothing to take the minimum of.

    >>> import gradarray as ga
    >>> ga.min([[3.0, 1.0], [2.0, 5.0]], axis=1)
    GradArray([1., 2.], dtype=float64)
    """
    return over_axes(MinGrad, some(x, axis, "min"), axis, keepdims)


def some(x: Any, axis: Any, op: str) -> Any:
    x = lift(x, op)
    if not x.size and not counted(x.shape, axis, op):
        raise ShapeError(
            message(
                op,
                f"an array of shape {x.shape} has nothing to compare over axis {axis}.",
                "Give it at least one value, or leave the case out.",
            )
        )
    return x


amax, amin = max, min


@public(numpy=np.ptp, cases=DISTINCT)
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \max_i x_i - \min_i x_i over `axis`.

    >>> import gradarray as ga
    >>> ga.ptp([3.0, 1.0, 7.0])
    GradArray(6., dtype=float64)
    """
    x = some(x, axis, "ptp")
    return over_axes(MaxGrad, x, axis, keepdims) - over_axes(MinGrad, x, axis, keepdims)


class ArgMaxGrad(Reduction):
    """y = the index of the largest of x along one axis, the first of a tie; without derivative."""

    forward = staticmethod(lambda x, axis, keepdims: np.argmax(x, *axis, keepdims=keepdims))
    partial = None
    tex = r"\arg\max {x}"


class ArgMinGrad(Reduction):
    """y = the index of the smallest of x along one axis, the first of a tie; no derivative."""

    forward = staticmethod(lambda x, axis, keepdims: np.argmin(x, *axis, keepdims=keepdims))
    partial = None
    tex = r"\arg\min {x}"


def _index_of(op: type[Reduction], x: Any, axis: int | None, keepdims: bool) -> GradArray:
    x = stop_gradient(lift(x, op.name))
    if axis is not None:
        return over_axes(op, x, one_axis(axis, x.ndim, op.name), keepdims)
    y = over_axes(op, reshape(x, (x.size,)), -1, False)
    return reshape(y, (1,) * x.ndim) if keepdims else y


@public(numpy=np.argmax, method=True, differentiable=False, cases=DISTINCT[:2])
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> GradArray:
    """y = the index of the largest x along `axis` (of x flattened by default), the first of a tie.

    >>> import gradarray as ga
    >>> ga.argmax([[1.0, 5.0], [7.0, 7.0]], axis=1)
    GradArray([1, 0], dtype=int64)
    """
    return _index_of(ArgMaxGrad, x, axis, keepdims)


@public(numpy=np.argmin, method=True, differentiable=False, cases=DISTINCT[:2])
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> GradArray:
    """y = the index of the smallest x along `axis` (of x flattened by default), first of a tie.

    >>> import gradarray as ga
    >>> ga.argmin([[1.0, 5.0], [7.0, 7.0]], axis=0)
    GradArray([0, 0], dtype=int64)
    """
    return _index_of(ArgMinGrad, x, axis, keepdims)


# Truth --------------------------------------------------------------------------------------------


class AnyGrad(Reduction):
    """y = is any of x over `axis` not 0; without derivative."""

    forward = staticmethod(
        lambda x, axis, keepdims: np.logical_or.reduce(x, axis, keepdims=keepdims)
    )
    partial = None
    tex = r"\bigvee {x}"


class AllGrad(Reduction):
    """y = is none of x over `axis` 0; without derivative."""

    forward = staticmethod(
        lambda x, axis, keepdims: np.logical_and.reduce(x, axis, keepdims=keepdims)
    )
    partial = None
    tex = r"\bigwedge {x}"


@public(numpy=np.any, op=AnyGrad, method=True, differentiable=False, cases=_BOOLS)
def any(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    """y = is any of x over `axis` true (not 0)?

    >>> import gradarray as ga
    >>> ga.any([[False, True], [False, False]], axis=1)
    GradArray([ True, False], dtype=bool)
    """
    return over_axes(AnyGrad, x, axis, keepdims)


@public(numpy=np.all, op=AllGrad, method=True, differentiable=False, cases=_BOOLS)
def all(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    """y = are all of x over `axis` true (not 0)?

    >>> import gradarray as ga
    >>> ga.all([[True, True], [False, True]], axis=1)
    GradArray([ True, False], dtype=bool)
    """
    return over_axes(AllGrad, x, axis, keepdims)


# Sums of exponentials -----------------------------------------------------------------------------


def _log_sum_exp(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """log k + log(1 + s / k) + m: m the maximum, met k times, s the sum of the other e^(x - m)."""
    m = np.maximum.reduce(x, axis, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        e = np.exp(x - np.where(np.isfinite(m), m, x.dtype.type(0)))
        top = x == m
        k = np.add.reduce(top, axis, dtype=x.dtype, keepdims=True)
        s = np.add.reduce(np.where(top, x.dtype.type(0), e), axis, keepdims=True)
        y = np.where(k == 0, m + s, np.log1p(s / k) + np.log(k) + m)
    y = np.asarray(y, x.dtype)
    return y if keepdims else np.squeeze(y, axis)


def _share_of_exp(a: Any, b: Any, axis: Any) -> Any:
    y = np.exp(a - b)
    if np.isnan(np.add.reduce(y, axis=None)):
        top = np.equal(a, np.inf)
        count = np.add.reduce(top, axis, dtype=y.dtype, keepdims=True)
        y = np.where(np.equal(b, np.inf), np.where(top, 1 / count, 0), y)
        y = np.where(np.equal(b, -np.inf), 0, y).astype(y.dtype)[()]
    return y


class ShareOfExpGrad(Elementwise):
    r"""y = e^{a - b} for b = \log \sum e^a over `axis`: the share of each term in the sum.

    0 where b is -inf; where it is inf, k infinite a have a share of 1/k each.
    """

    name = "share_of_exp"
    forward = _share_of_exp
    partials = (lambda y: y, lambda y: negative(y))
    tex = r"\exp({a} - {b})"


choice(
    "logsumexp", "all x = -inf, or k of them inf", 0.0, at=lambda y: np.isinf(y),
    reason="no term of an empty sum has a share; of k infinite ones each has 1/k",
)  # fmt: skip


class LogSumExpGrad(Reduction):
    r"""y = \log \sum e^x over `axis`; dy/dx = e^{x - y}, 0 where all of x is -inf."""

    forward = _log_sum_exp
    partial = staticmethod(lambda x, y, axis: apply(ShareOfExpGrad, x, y, axis=axis))
    tex = r"\log \sum e^{{x}}"


def _weighted(x: Any, b: Any, axis: Any, keepdims: bool) -> Any:
    """The logarithm of sum b e^x, b of any sign; a b of 0 counts for nothing, whatever its x is."""
    used = where(equal(b, 0), -math.inf, x)
    m = stop_gradient(max(real(used) if is_complex(used) else used, axis=axis, keepdims=True))
    m = where(isfinite(m), m, 0)
    y = log(sum(b * exp(used - m), axis=axis, keepdims=keepdims))
    return y + (m if keepdims else reshape(m, y.shape))


@public(
    op=LogSumExpGrad,
    reference=lambda x, **how: special.logsumexp(x, **how),
    cases=[*AXES, case(arr(2, 3), axis=0, b=arr(2, 3, low=0.1, high=2.0))],
)
def logsumexp(x: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \log \sum_i b_i e^{x_i} over `axis`, b_i = 1 by default. dy/dx_i = b_i e^{x_i - y}.

    Nothing overflows. Where all of x is -inf, so is y, with derivative 0; k infinite x_i share it
    as 1/k. (P. Blanchard, D. J.
    Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J.
    Numer. Anal. 41, 2021.)

    >>> import gradarray as ga
    >>> ga.logsumexp([1000.0, 1000.0])
    GradArray(1000.69314718, dtype=float64)
    """
    x = lift(x, "logsumexp")
    if x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    if b is not None or is_complex(x):
        return _weighted(x, 1 if b is None else lift(b, "logsumexp"), axis, keepdims)
    return over_axes(LogSumExpGrad, x, axis, keepdims)


given.sum, given.sum_over = sum, SumGrad.of
