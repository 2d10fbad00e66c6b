"""Differences and integrals along an axis: diff, ediff1d, trapezoid."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import one_axis
from .compare import not_equal
from .indexing import get
from .join import concatenate
from .layout import ravel
from .reduce import sum
from .shape import broadcast_to, reshape

__all__ = [
    "diff",
    "ediff1d",
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
