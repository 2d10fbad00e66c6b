"""Comparisons, and choices between values: where, maximum, minimum, clip, relu."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift, method
from ..choices import Choice, choice
from ..errors import message
from ..record import PLAIN, apply
from ..registry import arr, case, public
from ..short import elementwise
from .logical import isnan, logical_not

__all__ = [
    "clip",
    "equal",
    "fmax",
    "fmin",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "maximum",
    "minimum",
    "not_equal",
    "relu",
    "where",
]

# Integers, so that some of them are equal.
_TIES = [case(arr(4, 5, kind="int"), arr(5, kind="int")), case(arr(2, 3), arr(3)), case(1, 2.0)]


class EqualGrad(Elementwise):
    """y = (a == b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.equal([1.0, 2.0], 2.0)
    GradArray([False,  True], dtype=bool)
    """

    forward = operator.eq
    partials = (None, None)
    tex = "{a} = {b}"


class NotEqualGrad(Elementwise):
    """y = (a != b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.not_equal([1.0, 2.0], 2.0)
    GradArray([ True, False], dtype=bool)
    """

    name = "not_equal"
    forward = operator.ne
    partials = (None, None)
    tex = r"{a} \ne {b}"


class GreaterGrad(Elementwise):
    """y = (a > b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.greater([1.0, 2.0], 1.5)
    GradArray([False,  True], dtype=bool)
    """

    forward = operator.gt
    partials = (None, None)
    tex = "{a} > {b}"


class GreaterEqualGrad(Elementwise):
    """y = (a >= b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.greater_equal([1.0, 2.0], 2.0)
    GradArray([False,  True], dtype=bool)
    """

    name = "greater_equal"
    forward = operator.ge
    partials = (None, None)
    tex = r"{a} \geq {b}"


class LessGrad(Elementwise):
    """y = (a < b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.less([1.0, 2.0], 1.5)
    GradArray([ True, False], dtype=bool)
    """

    forward = operator.lt
    partials = (None, None)
    tex = "{a} < {b}"


class LessEqualGrad(Elementwise):
    """y = (a <= b), boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.less_equal([1.0, 2.0], 1.0)
    GradArray([ True, False], dtype=bool)
    """

    name = "less_equal"
    forward = operator.le
    partials = (None, None)
    tex = r"{a} \leq {b}"


equal = elementwise(EqualGrad, numpy=np.equal, differentiable=False, cases=_TIES)
not_equal = elementwise(NotEqualGrad, numpy=np.not_equal, differentiable=False, cases=_TIES)
greater = elementwise(
    GreaterGrad, numpy=np.greater, method="__gt__", differentiable=False, cases=_TIES
)
greater_equal = elementwise(
    GreaterEqualGrad, numpy=np.greater_equal, method="__ge__", differentiable=False, cases=_TIES
)
less = elementwise(LessGrad, numpy=np.less, method="__lt__", differentiable=False, cases=_TIES)
less_equal = elementwise(
    LessEqualGrad, numpy=np.less_equal, method="__le__", differentiable=False, cases=_TIES
)


def _comparable(x: Any) -> bool:
    return (
        isinstance(x, (GradArray, list, tuple, complex))
        or type(x) in PLAIN
        or hasattr(type(x), "__ga_apply__")
    )


# With a stranger (None, a string) Python then goes by identity, as it does for its own types.
@method("__eq__")
def _eq(a: GradArray, b: Any) -> Any:
    return equal(a, b) if _comparable(b) else NotImplemented


@method("__ne__")
def _ne(a: GradArray, b: Any) -> Any:
    return not_equal(a, b) if _comparable(b) else NotImplemented


# Choices between values ---------------------------------------------------------------------------


_DOUBLES = {float, np.float64}


def _where(cond: Any, a: Any, b: Any) -> Any:
    if type(cond) is np.bool_ and type(a) in _DOUBLES and type(b) in _DOUBLES:
        return np.float64(a if cond else b)  # np.where takes 20 times as long
    y = np.where(cond, a, b)
    return y if y.shape else y[()]


class WhereGrad(Elementwise):
    """y = a where cond, else b."""

    operands = ("cond", "a", "b")
    forward = _where
    partials = (None, lambda cond: cond, lambda cond: logical_not(cond))
    tex = r"{a} \;\mathrm{if}\; {cond} \;\mathrm{else}\; {b}"


@public(
    numpy=np.where,
    op=WhereGrad,
    cases=[
        case(arr(2, 3, kind="bool"), arr(2, 3), arr(2, 3)),
        case(arr(3, kind="bool"), arr(2, 1), 1.5),
        case(arr(4, kind="int"), 0, arr(2, 4)),
    ],
)
def where(cond: Any, a: Any = None, b: Any = None) -> Any:
    """y = a where `cond` holds, else b; the derivative of the branch not taken is exactly 0.

    Given `cond` alone: the indices at which it holds, one array per axis. Raises ValueError where
    only one of a and b is given.

    >>> import gradarray as ga
    >>> x = ga.array([0.0, 4.0])
    >>> ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).sum())(x)
    GradArray([0.  , 0.25], dtype=float64)
    """
    if a is None or b is None:
        if a is not b:
            raise ValueError(message("where", "give both a and b, or neither."))
        from .select import nonzero  # which needs this module

        return nonzero(cond)
    if not isinstance(cond, GradArray):
        cond = lift(cond)
    kind = getattr(cond, "dtype", None)
    if kind is not None and kind.kind != "b":
        cond = not_equal(cond, 0)
    return WhereGrad.of(cond, a, b)


def _share(a: Any, b: Any, at_tie: float) -> Any:
    kind = np.result_type(a, b).type
    y = np.where(np.equal(a, b), kind(at_tie), np.greater(a, b))
    return y if y.shape else y[()]


class ShareGrad(Elementwise):
    """y = 1 where a > b, 0 where a < b, `at_tie` where they are equal; in the operands' dtype."""

    forward = _share
    partials = (None, None)
    tex = "[{a} > {b}]"


def share(a: Any, b: Any, at_tie: float) -> Any:
    """What a gets of the derivative of the larger of a and b; booleans where they suffice."""
    if at_tie == 0:
        return greater(a, b)
    if at_tie == 1:
        return greater_equal(a, b)
    return ShareGrad.of(a, b, at_tie)


def step(x: Any, at_0: float) -> Any:
    """0 below 0, 1 above, `at_0` at 0: the derivative of a kink at 0."""
    return share(x, 0, at_0)


def _tie(op: str) -> Choice:
    return choice(
        op, "a = b", 0.5, between=(0.0, 1.0), at=lambda a, b: np.equal(a, b),
        reason="both are the extremum: an even share to each; the value is the share of a",
    )  # fmt: skip


_maximum_at_tie, _minimum_at_tie = _tie("maximum"), _tie("minimum")
_fmax_at_tie, _fmin_at_tie = _tie("fmax"), _tie("fmin")


class MaximumGrad(Elementwise):
    r"""y = \max(a, b). dy/da is 1 where a > b, 0 where a < b; a tie shares it, 1/2 each.

    NaN if either is (see `fmax`); for the tie see `set_subgradient`.

    >>> import gradarray as ga
    >>> ga.maximum([1.0, 5.0], 3.0)
    GradArray([3., 5.], dtype=float64)
    """

    forward = np.maximum
    partials = (
        lambda a, b: share(a, b, _maximum_at_tie.value),
        lambda a, b: share(b, a, 1 - _maximum_at_tie.value),
    )
    tex = r"\max({a}, {b})"


class MinimumGrad(Elementwise):
    r"""y = \min(a, b). dy/da is 1 where a < b, 0 where a > b; a tie shares it, 1/2 each.

    NaN if either is (see `fmin`); for the tie see `set_subgradient`.

    >>> import gradarray as ga
    >>> ga.minimum([1.0, 5.0], 3.0)
    GradArray([1., 3.], dtype=float64)
    """

    forward = np.minimum
    partials = (
        lambda a, b: share(b, a, _minimum_at_tie.value),
        lambda a, b: share(a, b, 1 - _minimum_at_tie.value),
    )
    tex = r"\min({a}, {b})"


def _in_place_of_nan(x: Any, value: float) -> Any:
    return where(isnan(x), value, x)


class FMaxGrad(Elementwise):
    r"""y = \max(a, b), or the other where one is NaN; derivatives as of `maximum`.

    >>> import gradarray as ga
    >>> ga.fmax([1.0, float("nan")], 3.0)
    GradArray([3., 3.], dtype=float64)
    """

    forward = np.fmax
    partials = (
        lambda a, b: share(a, _in_place_of_nan(b, -math.inf), _fmax_at_tie.value),
        lambda a, b: share(b, _in_place_of_nan(a, -math.inf), 1 - _fmax_at_tie.value),
    )
    tex = r"\max({a}, {b})"


class FMinGrad(Elementwise):
    r"""y = \min(a, b), or the other where one is NaN; derivatives as of `minimum`.

    >>> import gradarray as ga
    >>> ga.fmin([1.0, float("nan")], 3.0)
    GradArray([1., 3.], dtype=float64)
    """

    forward = np.fmin
    partials = (
        lambda a, b: share(_in_place_of_nan(b, math.inf), a, _fmin_at_tie.value),
        lambda a, b: share(_in_place_of_nan(a, math.inf), b, 1 - _fmin_at_tie.value),
    )
    tex = r"\min({a}, {b})"


maximum = elementwise(MaximumGrad, numpy=np.maximum)
minimum = elementwise(MinimumGrad, numpy=np.minimum)
fmax = elementwise(FMaxGrad, numpy=np.fmax)
fmin = elementwise(FMinGrad, numpy=np.fmin)


_clip_at_end = choice(
    "clip",
    "x at an end of the interval",
    1.0,
    between=(0.0, 1.0),
    at=lambda x, low, high: np.equal(x, low) | np.equal(x, high),
    reason="a value on the bound may still move inside; PyTorch's too",
)


class ClipGrad(Elementwise):
    """y = min(max(x, low), high)."""

    operands = ("x", "low", "high")
    forward = staticmethod(lambda x, low, high: np.minimum(np.maximum(x, low), high))
    # Inside: at or above `low` and at or below `high`; each end has its share where x is at it.
    partials = (
        lambda x, low, high: (
            share(x, low, _clip_at_end.value) * share(high, maximum(x, low), _clip_at_end.value)
        ),
        lambda x, low, high: (
            share(low, x, 1 - _clip_at_end.value) * share(high, maximum(x, low), _clip_at_end.value)
        ),
        lambda x, low, high: share(maximum(x, low), high, 1 - _clip_at_end.value),
    )
    tex = r"\min(\max({x}, {low}), {high})"


@public(
    numpy=np.clip,
    op=ClipGrad,
    method=True,
    cases=[
        case(arr(2, 3), -0.5, 0.5),
        case(arr(2, 3), arr(3, low=-1.0, high=-0.5), arr(2, 1, low=0.5, high=1.0)),
        case(arr(4), None, arr(4)),
        case(arr(4), 0.3, None),
    ],
)
def clip(
    x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> GradArray:
    r"""y = \min(\max(x, a_{min}), a_{max}). dy/dx is 1 inside and at the ends, 0 outside.

    A bound may be None, or an array that broadcasts; it gets the derivative where it is y. The
    ends are a choice (see `set_subgradient`). `min` and `max` are NumPy's other names of the
    bounds. Raises ValueError where a bound is given under both names.

    >>> import gradarray as ga
    >>> ga.clip([-2.0, 0.5, 3.0], 0.0, 1.0)
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """
    for old, new, name in ((a_min, min, "min"), (a_max, max, "max")):
        if old is not None and new is not None:
            raise ValueError(message("clip", f"{name} and a_{name} are the same bound; give one."))
    x = lift(x)
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    return apply(
        ClipGrad,
        x,
        _unbounded(x.dtype, -1) if low is None else low,
        _unbounded(x.dtype, 1) if high is None else high,
    )


def _unbounded(dtype: np.dtype, sign: int) -> Any:
    """A bound that bounds nothing, and leaves the dtype as it is."""
    if dtype.kind == "b":
        return sign > 0
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min)
    return sign * math.inf


_relu_at_0 = choice(
    "relu", "x = 0", 0.0, between=(0.0, 1.0), at=lambda x: np.equal(x, 0),
    reason="a unit that is off stays off; PyTorch's too",
)  # fmt: skip


class ReLUGrad(Elementwise):
    r"""y = \max(x, 0). dy/dx is 1 above 0, 0 below, and 0 at 0 (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.relu([-1.0, 2.0])
    GradArray([0., 2.], dtype=float64)
    """

    name = "relu"
    forward = staticmethod(lambda x: np.maximum(x, 0))
    partials = (lambda x: step(x, _relu_at_0.value),)
    tex = r"\max({x}, 0)"


relu = elementwise(ReLUGrad, reference=lambda x: np.maximum(x, 0))
