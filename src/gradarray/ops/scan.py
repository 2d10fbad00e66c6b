"""Running sums and products along an axis, products, and the linear recurrence behind them.

The derivatives of a product are products of the other factors, never the product divided by one:
they are right where factors are zero. All of them come down to y_t = a_t y_{t-1} + b_t, whose
derivatives are recurrences of the same form.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..algebra import Linear, Reduction, given
from ..array import GradArray, lift
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import all_axes, one_axis
from .layout import moveaxis, ravel
from .reduce import as_dtype
from .shape import reshape

__all__ = [
    "cumprod",
    "cumsum",
    "linear_recurrence",
    "prod",
]

ALONG = [case(arr(4), axis=0), case(arr(3, 4), axis=1), case(arr(2, 3))]


def line(x: Any, axis: Any, op: str) -> tuple[Any, int]:
    """x and a negative axis of it; x flattened for axis None."""
    x = lift(x, op)
    return (ravel(x), -1) if axis is None else (x, one_axis(axis, x.ndim, op))


def _back(x: Any, axis: int) -> Any:
    """x with the order along `axis` turned round."""
    return x[(Ellipsis, slice(None, None, -1), *(slice(None),) * (-axis - 1))]


# Sums ---------------------------------------------------------------------------------------------


class CumSumGrad(Linear):
    r"""y_t = \sum_{s <= t} x_s, or over s >= t if `reverse`: each is the other's transpose."""

    @staticmethod
    def forward(x: Any, axis: int, reverse: bool) -> Any:
        if not reverse:
            return np.add.accumulate(x, axis)
        return _back(np.add.accumulate(_back(x, axis), axis), axis)

    transpose = staticmethod(
        lambda y_bar, axis, reverse: apply(CumSumGrad, y_bar, axis=axis, reverse=not reverse)
    )
    tex = r"\operatorname{cumsum} {x}"


@public(numpy=np.cumsum, op=CumSumGrad, method=True, cases=ALONG)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> GradArray:
    r"""y_t = \sum_{s <= t} x_s along `axis` (of x flattened by default).

    >>> import gradarray as ga
    >>> ga.cumsum([1.0, 2.0, 3.0])
    GradArray([1., 3., 6.], dtype=float64)
    """
    x, axis = line(x, axis, "cumsum")
    if dtype is None:
        return apply(CumSumGrad, x, axis=axis, reverse=False)
    return as_dtype(apply(CumSumGrad, as_dtype(x, dtype), axis=axis, reverse=False), dtype)


# The linear recurrence ----------------------------------------------------------------------------


class ShiftGrad(Linear):
    """y_t = x_{t - by} along `axis`, 0 where there is none; the shift back is its transpose."""

    @staticmethod
    def forward(x: Any, axis: int, by: int) -> Any:
        y = np.zeros_like(x)
        ahead, behind = np.moveaxis(y, axis, 0), np.moveaxis(x, axis, 0)
        if by > 0:
            ahead[by:] = behind[:-by]
        else:
            ahead[:by] = behind[-by:]
        return y

    transpose = staticmethod(lambda y_bar, axis, by: apply(ShiftGrad, y_bar, axis=axis, by=-by))
    tex = r"{x}_{t-1}"


def shift(x: Any, axis: int, by: int) -> Any:
    return apply(ShiftGrad, x, axis=axis, by=by)


def _recur(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    dtype = np.result_type(a, b)
    shape = b.shape
    a, b = np.moveaxis(np.broadcast_to(a, shape), axis, 0), np.moveaxis(b, axis, 0)
    if reverse:
        a, b = a[::-1], b[::-1]
    steps = len(b)
    if b.size == steps and dtype == np.float64:
        # One line: Python's floats are the same numbers, and ten times faster to step through.
        # The first factor meets nothing, so it counts for nothing, NaN or not.
        factors, terms = a.ravel().tolist(), b.ravel().tolist()
        out = terms[:1]
        for factor, term in zip(factors[1:], terms[1:]):
            out.append(factor * out[-1] + term)
        y = np.array(out, dtype).reshape(b.shape)
    else:
        y = np.array(b, dtype)
        for t in range(1, steps):
            y[t] += a[t] * y[t - 1]
    y = y[::-1] if reverse else y
    return np.moveaxis(y, 0, axis)


class LinearRecurrenceGrad(Custom):
    r"""y_t = a_t y_{t-1} + b_t along `axis`, y_{-1} = 0; from the other end if `reverse`.

    \dot y_t = a_t \dot y_{t-1} + (\dot a_t y_{t-1} + \dot b_t); \bar b_t = \bar y_t + a_{t+1}
    \bar b_{t+1}, \bar a_t = \bar b_t y_{t-1}.
    """

    name = "linear_recurrence"

    @staticmethod
    def forward(a: Any, b: Any, *, axis: Any, reverse: Any) -> Any:
        return _recur(a, b, axis, reverse)

    @staticmethod
    def push(a: Any, y: Any, a_dot: Any, b_dot: Any, axis: Any, reverse: Any) -> Any:
        before = shift(y, axis, -1 if reverse else 1)
        return recurrence(a, a_dot * before + b_dot, axis, reverse)

    @staticmethod
    def pull(y_bar: Any, a: Any, y: Any, axis: Any, reverse: Any) -> Any:
        step = -1 if reverse else 1
        b_bar = recurrence(shift(a, axis, -step), y_bar, axis, not reverse)
        return b_bar * shift(y, axis, step), b_bar

    tex = r"y_t = {a}_t y_{t-1} + {b}_t"


def recurrence(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    return apply(LinearRecurrenceGrad, a, b, axis=axis, reverse=reverse)


def _recurrence_values(a: Any, b: Any, axis: int = -1, reverse: bool = False) -> Any:
    a, b = np.broadcast_arrays(a, b)
    y = np.array(b, np.result_type(a, b))
    at = [
        (Ellipsis, t, *(slice(None),) * (-axis - 1 if axis < 0 else y.ndim - axis - 1))
        for t in range(y.shape[axis])
    ]
    at = at[::-1] if reverse else at
    for before, now in itertools.pairwise(at):
        y[now] += a[now] * y[before]
    return y


@public(
    op=LinearRecurrenceGrad,
    reference=_recurrence_values,
    cases=[
        case(arr(4), arr(4)),
        case(arr(3, 4), arr(3, 4), axis=0),
        case(arr(3, 1), arr(3, 4), reverse=True),
        case(0.5, arr(2, 3)),
    ],
)
def linear_recurrence(a: Any, b: Any, axis: int = -1, reverse: bool = False) -> GradArray:
    r"""y_t = a_t y_{t-1} + b_t along `axis`, with y_{-1} = 0.

    With `reverse` it runs from the last step to the first, y_t = a_t y_{t+1} + b_t. a and b
    broadcast; a start y_{-1} = s is added to b_0 as a_0 s. Derivatives are recurrences of the same
    form, so a_t may be zero. (G. E. Blelloch, "Prefix sums and their applications", CMU-CS-90-190,
    section 1.4.)

    >>> import gradarray as ga
    >>> ga.linear_recurrence(0.5, [1.0, 1.0, 1.0])
    GradArray([1.  , 1.5 , 1.75], dtype=float64)
    """
    a, b = lift(a, "linear_recurrence"), lift(b, "linear_recurrence")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            message(
                "linear_recurrence",
                f"factors of shape {a.shape} and terms of shape {b.shape} do not broadcast.",
                "Both have the time axis, or length 1 there.",
            )
        ) from None
    axis = one_axis(axis, len(shape), "linear_recurrence")
    a, b = (x if x.shape == shape else given.broadcast_to(x, shape) for x in (a, b))
    return recurrence(a, b, axis, bool(reverse))


# Products -----------------------------------------------------------------------------------------


def _first(like: Any, axis: int, reverse: bool) -> np.ndarray:
    """1 at the first step along `axis`, 0 at the others: what an empty product adds to a shift."""
    steps = like.shape[axis]
    one = np.zeros((steps, *(1,) * (-axis - 1)), like.dtype)
    one[slice(-1, None) if reverse else slice(1)] = 1
    return one


def _before(y: Any, axis: int, reverse: bool) -> Any:
    """The product of all factors before each step, from a running product."""
    return shift(y, axis, -1 if reverse else 1) + _first(y, axis, reverse)


class CumProdGrad(Custom):
    r"""y_t = \prod_{s <= t} x_s along `axis`, or over s >= t if `reverse`.

    \dot y_t = x_t \dot y_{t-1} + y_{t-1} \dot x_t: a linear recurrence, right where x is zero.
    """

    @staticmethod
    def forward(x: Any, *, axis: Any, reverse: Any) -> Any:
        if not reverse:
            return np.multiply.accumulate(x, axis)
        return _back(np.multiply.accumulate(_back(x, axis), axis), axis)

    @staticmethod
    def push(x: Any, y: Any, x_dot: Any, axis: Any, reverse: Any) -> Any:
        return recurrence(x, x_dot * _before(y, axis, reverse), axis, reverse)

    @staticmethod
    def pull(y_bar: Any, x: Any, y: Any, axis: Any, reverse: Any) -> Any:
        later = shift(x, axis, 1 if reverse else -1)
        return recurrence(later, y_bar, axis, not reverse) * _before(y, axis, reverse)

    tex = r"\operatorname{cumprod} {x}"


@public(numpy=np.cumprod, op=CumProdGrad, method=True, cases=ALONG)
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> GradArray:
    r"""y_t = \prod_{s <= t} x_s along `axis` (of x flattened by default), also at zeros.

    >>> import gradarray as ga
    >>> x = ga.array([2.0, 0.0, 3.0])
    >>> ga.grad(lambda x: ga.cumprod(x)[2])(x)
    GradArray([0., 6., 0.], dtype=float64)
    """
    x, axis = line(x, axis, "cumprod")
    if dtype is None:
        return apply(CumProdGrad, x, axis=axis, reverse=False)
    return as_dtype(apply(CumProdGrad, as_dtype(x, dtype), axis=axis, reverse=False), dtype)


def _others(x: Any, axis: tuple[int, ...]) -> Any:
    """The product of all values but the one at hand: of those before it and those after it."""
    (k,) = axis
    left = apply(CumProdGrad, x, axis=k, reverse=False)
    right = apply(CumProdGrad, x, axis=k, reverse=True)
    return _before(left, k, False) * _before(right, k, True)


class ProdGrad(Reduction):
    r"""y = \prod x over one axis; dy/dx_i is the product of the others, right where x is zero."""

    forward = staticmethod(lambda x, axis, keepdims: np.multiply.reduce(x, axis, keepdims=keepdims))
    partial = _others
    tex = r"\prod {x}"


@public(
    numpy=np.prod,
    op=ProdGrad,
    method=True,
    cases=[
        case(arr(4)),
        case(arr(2, 3), axis=0),
        case(arr(2, 3, 2), axis=(0, -1)),
        case(arr(2, 3), keepdims=True),
    ],
)
def prod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> GradArray:
    r"""y = \prod_i x_i over `axis`. dy/dx_i = \prod_{j \ne i} x_j, also at zeros.

    >>> import gradarray as ga
    >>> ga.grad(ga.prod)(ga.array([2.0, 0.0, 3.0]))
    GradArray([0., 6., 0.], dtype=float64)
    """
    x = lift(x, "prod")
    if dtype is not None:
        x = as_dtype(x, dtype)
    axes = all_axes(axis, x.ndim, "prod")
    kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape, -x.ndim))
    if len(axes) != 1:
        # Several axes, or none, become one.
        if axes and axes != tuple(range(-len(axes), 0)):
            x = moveaxis(x, axes, tuple(range(-len(axes), 0)))
        lead = x.ndim - len(axes)
        x = reshape(x, (*x.shape[:lead], math.prod(x.shape[lead:])))
        axes = (-1,)
    y = apply(ProdGrad, x, axis=axes, keepdims=False)
    y = y if dtype is None else as_dtype(y, dtype)
    return reshape(y, kept) if keepdims else y
