"""Differences and integrals along an axis: diff, ediff1d, gradient, trapezoid."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..registry import arr, case, public
from .axes import all_axes, one_axis
from .compare import not_equal
from .indexing import get
from .join import concatenate
from .layout import ravel
from .reduce import sum
from .shape import astype, broadcast_to, reshape

__all__ = [
    "diff",
    "ediff1d",
    "gradient",
    "trapezoid",
]


def _part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """x[start:stop] along a negative axis."""
    return get(x, (Ellipsis, slice(start, stop), *(slice(None),) * (-axis - 1)))


@public(
    numpy=np.diff,
    cases=[
        case(arr(4)),
        case(arr(2, 4), n=2),
        case(arr(3, 2), axis=0, prepend=arr(1, 2), append=0.5),
        case(arr(3), n=0),
    ],
)
def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> GradArray:
    r"""y_i = x_{i+1} - x_i along `axis`, n times over.

    `prepend` and `append` are joined to x first (a number once). Of booleans: do they differ?
    Raises ValueError for a negative n.

    >>> import gradarray as ga
    >>> ga.diff([1.0, 4.0, 9.0])
    GradArray([3., 5.], dtype=float64)
    """
    x = lift(x, "diff")
    if n < 0:
        raise ValueError(message("diff", f"n={n} must be at least 0."))
    if not n:
        return x
    if not x.ndim:
        raise ShapeError(message("diff", "a 0-d array has no neighbours."))
    axis = one_axis(axis, x.ndim, "diff")
    ends = []
    for end in (prepend, append):
        end = None if end is None else lift(end, "diff")
        if end is not None and not end.ndim:
            end = broadcast_to(end, tuple(1 if k == axis else m for k, m in _axes(x)))
        ends.append(end)
    parts = [part for part in (ends[0], x, ends[1]) if part is not None]
    x = concatenate(parts, axis=axis) if len(parts) > 1 else x
    for _ in range(n):
        above, below = _part(x, axis, 1, None), _part(x, axis, None, -1)
        x = not_equal(above, below) if x.dtype.kind == "b" else above - below
    return x


def _axes(x: Any) -> Any:
    return enumerate(x.shape, -x.ndim)


@public(
    numpy=np.ediff1d,
    cases=[case(arr(4)), case(arr(2, 2), to_end=arr(2), to_begin=arr())],
)
def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> GradArray:
    r"""y_i = x_{i+1} - x_i of x flattened, between `to_begin` and `to_end`.

    >>> import gradarray as ga
    >>> ga.ediff1d([[1.0, 4.0], [9.0, 16.0]], to_begin=0.0)
    GradArray([0., 3., 5., 7.], dtype=float64)
    """
    x = ravel(lift(x, "ediff1d"))
    parts = [_part(x, -1, 1, None) - _part(x, -1, None, -1)]
    for at, end in ((0, to_begin), (2, to_end)):
        if end is None:
            continue
        end = ravel(lift(end, "ediff1d"))
        if not np.can_cast(end.dtype, x.dtype, "same_kind"):
            raise TypeError(
                message("ediff1d", f"an end of dtype {end.dtype} does not go with {x.dtype}.")
            )
        parts.insert(at, end)
    return concatenate(parts, axis=0, dtype=x.dtype) if len(parts) > 1 else parts[0]


_PLACES = [0.0, 0.5, 2.0, 2.25]


@public(
    numpy=np.gradient,
    cases=[
        case(arr(4)),
        case(arr(3, 4)),
        case(arr(4), 0.5, edge_order=2),
        case(arr(4), _PLACES),
        case(arr(2, 4), _PLACES, axis=1, edge_order=2),
        case(arr(3, 4), 2.0, _PLACES),
        case(arr(3, 2, 2), axis=(0, -1)),
    ],
)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    r"""Slopes of f between its neighbours: y_i = (f_{i+1} - f_{i-1}) / (2 h) along each axis.

    For samples at x with h_i = x_{i+1} - x_i, y_i = (h_{i-1}^2 f_{i+1} + (h_i^2 - h_{i-1}^2) f_i -
    h_i^2 f_{i-1}) / (h_i h_{i-1} (h_i + h_{i-1})), of second order; at the two ends of the first,
    or the second (`edge_order`). `varargs`: nothing (h = 1), one h for all axes, or for every axis
    h or its x. One array for one axis, else a tuple. Differentiable in f and in the places.
    Raises ShapeError and ValueError as NumPy does. (Quarteroni, Sacco & Saleri, "Numerical
    Mathematics", section 10.10.)

    >>> import gradarray as ga
    >>> ga.gradient([0.0, 1.0, 4.0, 9.0])
    GradArray([1., 2., 4., 5.], dtype=float64)
    """
    f = lift(f, "gradient")
    axes = all_axes(axis, f.ndim, "gradient")
    if edge_order not in (1, 2):
        raise ValueError(message("gradient", f"edge_order={edge_order} is neither 1 nor 2."))
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(message("gradient", f"{len(varargs)} spacings for {len(axes)} axes."))
    steps = [lift(h, "gradient") for h in varargs or (1.0,)]
    if len(steps) == 1 and not steps[0].ndim:
        steps *= len(axes)
    if len(steps) != len(axes):
        raise TypeError(message("gradient", f"places along one axis, for {len(axes)} axes."))
    if f.dtype.kind == "b" and not (edge_order == 2 and all(h.ndim for h in steps)):
        raise DTypeError(message("gradient", "booleans have no slopes.", "Use .astype(float)."))
    if f.dtype.kind not in "fc":
        f = astype(f, np.float64)
    found = tuple(_slopes(f, h, k, edge_order) for h, k in zip(steps, axes, strict=True))
    return found[0] if len(found) == 1 else found


def _slopes(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    length = f.shape[axis]
    if length <= edge_order:
        raise ValueError(
            message(
                "gradient",
                f"{length} values along axis {axis + f.ndim}: at least {edge_order + 1} are "
                f"needed with edge_order={edge_order}.",
            )
        )
    if h.ndim > 1 or (h.ndim and h.shape[0] != length):
        raise ShapeError(
            message("gradient", f"places of shape {h.shape} for {length} values along an axis.")
        )
    if h.ndim:
        h = diff(reshape(h, (-1, *(1,) * (-axis - 1))), axis=axis)
    h = astype(h, f.dtype)
    left, middle, right = (_part(f, axis, k, length - 2 + k) for k in range(3))
    if h.ndim:
        p, q = _part(h, axis, None, -1), _part(h, axis, 1, None)
        inner = right * (p / (q * (p + q))) - left * (q / (p * (p + q)))
        inner = inner + middle * ((q - p) / (p * q))
    else:
        inner = (right - left) / (2.0 * h)
    ends = [_end(f, h, axis, edge_order, k) for k in (False, True)]
    return concatenate([ends[0], inner, ends[1]], axis=axis)


def _end(f: Any, h: Any, axis: int, order: int, last: bool) -> Any:
    """The slope at the first value, or the last, of the line or parabola through those beside."""
    at = lambda v, k: _part(v, axis, -k - 1, -k or None) if last else _part(v, axis, k, k + 1)
    sign = -1.0 if last else 1.0
    p = at(h, 0) if h.ndim else h
    if order == 1:
        return (at(f, 1) - at(f, 0)) / (sign * p)
    q = at(h, 1) if h.ndim else h
    rest = at(f, 1) * ((p + q) / (p * q)) - at(f, 2) * (p / (q * (p + q)))
    return sign * (rest - at(f, 0) * ((2.0 * p + q) / (p * (p + q))))


@public(
    numpy=np.trapezoid,
    cases=[
        case(arr(4)),
        case(arr(2, 4), dx=0.5),
        case(arr(4), arr(4)),
        case(arr(3, 2), arr(3), axis=0),
        case(arr(2, 3), arr(2, 3)),
    ],
)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> GradArray:
    r"""The integral \sum_i \frac{1}{2} (y_i + y_{i+1})(x_{i+1} - x_i) along `axis`.

    x has the shape of y, or one axis; without it the distance is `dx`. Differentiable in y, x, dx.

    >>> import gradarray as ga
    >>> ga.trapezoid([0.0, 1.0, 4.0], [0.0, 1.0, 2.0])
    GradArray(3., dtype=float64)
    """
    y = lift(y, "trapezoid")
    axis = one_axis(axis, y.ndim, "trapezoid")
    step = dx
    if x is not None:
        x = lift(x, "trapezoid")
        if x.ndim == 1:
            step = reshape(diff(x), (-1, *(1,) * (-axis - 1)))
        else:
            step = diff(x, axis=axis)
    return sum(step * (_part(y, axis, 1, None) + _part(y, axis, None, -1)) / 2.0, axis=axis)
