"""Running extrema, and running sums of exponentials, along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray
from ..choices import choice
from ..custom import Custom
from ..record import apply
from ..registry import arr, case, public
from .compare import equal, where
from .exponential import exp, gap
from .logical import logical_and
from .scan import ALONG, line, recurrence, shift
from .take import take_along_axis

__all__ = [
    "cummax",
    "cummin",
    "logcumsumexp",
]

_met_again = {}
for _name in ("cummax", "cummin"):
    _met_again[_name] = choice(
        _name,
        "an extremum met again",
        1.0,
        reason="the first gets all: the value is taken from its place",
    )


class CumArgGrad(Custom):
    """y_t = the place of the extremum up to step t along `axis`, the first of equal ones."""

    name = "cumarg"

    @staticmethod
    def forward(x: Any, *, axis: Any, largest: Any) -> Any:
        x = np.moveaxis(np.asarray(x), axis, 0)
        best = (np.maximum if largest else np.minimum).accumulate(x, 0)
        new = np.ones(x.shape, bool)
        # A NaN is an extremum; it stays one.
        new[1:] = (best[1:] != best[:-1]) & ~((best[1:] != best[1:]) & (best[:-1] != best[:-1]))
        steps = np.arange(len(x)).reshape(-1, *(1,) * (x.ndim - 1))
        return np.moveaxis(np.maximum.accumulate(np.where(new, steps, 0), 0), 0, axis)


def _accumulated(ufunc: np.ufunc, x: Any, axis: int | None = None) -> Any:
    return ufunc.accumulate(x.ravel()) if axis is None else ufunc.accumulate(x, axis)


def _extremum(x: Any, axis: int | None, largest: bool) -> GradArray:
    name, best = ("cummax", np.maximum) if largest else ("cummin", np.minimum)
    x, axis = line(x, axis, name)
    _met_again[name].met(
        x,
        lambda x: np.equal(
            np.delete(x, 0, axis), np.delete(best.accumulate(x, axis), -1, axis)
        ),
    )
    return take_along_axis(x, apply(CumArgGrad, x, axis=axis, largest=largest), axis)


_DISTINCT = [
    case(arr(5, kind="distinct")),
    case(arr(2, 4, kind="distinct"), axis=1),
    case(arr(3, 2, kind="distinct"), axis=0),
]


@public(
    reference=lambda x, axis=None: _accumulated(np.maximum, x, axis),
    cases=_DISTINCT,
)
def cummax(x: Any, axis: int | None = None) -> GradArray:
    r"""y_t = \max_{s <= t} x_s along `axis` (of x flattened by default), as np.maximum.accumulate.

    dy_t/dx_s is 1 at the place of the maximum, the first one of a tie.

    >>> import gradarray as ga
    >>> ga.cummax([1.0, 3.0, 2.0, 4.0])
    GradArray([1., 3., 3., 4.], dtype=float64)
    """
    return _extremum(x, axis, True)


@public(
    reference=lambda x, axis=None: _accumulated(np.minimum, x, axis),
    cases=_DISTINCT,
)
def cummin(x: Any, axis: int | None = None) -> GradArray:
    r"""y_t = \min_{s <= t} x_s along `axis` (of x flattened by default), as np.minimum.accumulate.

    dy_t/dx_s is 1 at the place of the minimum, the first one of a tie.

    >>> import gradarray as ga
    >>> ga.cummin([3.0, 1.0, 2.0, 0.0])
    GradArray([3., 1., 1., 0.], dtype=float64)
    """
    return _extremum(x, axis, False)


# Sums of exponentials -----------------------------------------------------------------------------


def _shares(x: Any, y: Any, axis: int) -> tuple[Any, Any]:
    """The shares of what came before, and of x, in the sum whose logarithm y is."""
    before = shift(y, axis, 1)
    z = where(equal(y, -math.inf), 0, y)  # so that x - y is -inf there and not undefined
    both = logical_and(equal(before, math.inf), equal(x, math.inf))
    tied = where(both, x.dtype.type(0.5), 1)
    return exp(gap(before, z)) * tied, exp(gap(x, z)) * tied


class LogCumSumExpGrad(Custom):
    r"""y_t = \log \sum_{s <= t} e^{x_s} along `axis`.

    \dot y_t = e^{y_{t-1} - y_t} \dot y_{t-1} + e^{x_t - y_t} \dot x_t: both factors are at most 1
    (1/2 each where both terms are infinite).
    """

    forward = staticmethod(lambda x, *, axis: np.logaddexp.accumulate(x, axis))

    @staticmethod
    def push(x: Any, y: Any, x_dot: Any, axis: Any) -> Any:
        earlier, now = _shares(x, y, axis)
        return recurrence(earlier, now * x_dot, axis, False)

    @staticmethod
    def pull(y_bar: Any, x: Any, y: Any, axis: Any) -> Any:
        earlier, now = _shares(x, y, axis)
        return now * recurrence(shift(earlier, axis, -1), y_bar, axis, True)

    tex = r"\operatorname{logcumsumexp} {x}"


def _log_running_sum(x: Any, axis: int | None = None) -> Any:
    return _accumulated(np.logaddexp, x, axis)


@public(op=LogCumSumExpGrad, reference=_log_running_sum, cases=ALONG)
def logcumsumexp(x: Any, axis: int | None = None) -> GradArray:
    r"""y_t = \log \sum_{s <= t} e^{x_s} along `axis` (of x flattened by default).

    dy_t/dx_s = e^{x_s - y_t} for s <= t. Nothing overflows; -inf counts for nothing.

    >>> import gradarray as ga
    >>> ga.logcumsumexp([1000.0, 1000.0])
    GradArray([1000.        , 1000.69314718], dtype=float64)
    """
    x, axis = line(x, axis, "logcumsumexp")
    if x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    return apply(LogCumSumExpGrad, x, axis=axis)
