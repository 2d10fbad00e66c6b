"""Arrays made longer or shorter along an axis: append, insert, delete, resize."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import one_axis
from .join import concatenate
from .layout import moveaxis, ravel
from .scatter import gather_at
from .shape import astype, broadcast_to, expand_dims, reshape, shape_of

__all__ = [
    "append",
    "delete",
    "insert",
    "resize",
]


@public(
    numpy=np.append,
    cases=[case(arr(3), arr(2)), case(arr(2, 2), arr(3)), case(arr(2, 3), arr(2, 1), axis=1)],
)
def append(x: Any, values: Any, axis: int | None = None) -> GradArray:
    """y = x with `values` after it along `axis` (None: both flattened).

    >>> import gradarray as ga
    >>> ga.append([1.0, 2.0], [3.0])
    GradArray([1., 2., 3.], dtype=float64)
    """
    return concatenate([lift(x, "append"), lift(values, "append")], axis)


def _places(obj: Any) -> Any:
    """Positions as NumPy takes them: an integer, a slice, or an array."""
    if isinstance(obj, slice):
        return obj
    return np.asarray(obj)[()]


def _along(x: Any, axis: int | None, op: str) -> tuple[Any, int]:
    x = lift(x, op)
    if axis is None:
        return ravel(x), -1
    return x, one_axis(axis, x.ndim, op)


def _edited(edit: Any, length: int, op: str, shape: tuple[int, ...]) -> np.ndarray:
    """What an edit of NumPy's makes of the places 0 .. length - 1."""
    try:
        return edit(np.arange(length))
    except (IndexError, ValueError) as error:
        raise IndexError(
            message(op, f"{error} (along an axis of length {length} of shape {shape}).")
        ) from None


@public(
    numpy=np.delete,
    cases=[
        case(arr(4), 1),
        case(arr(3, 2), [0, -1], axis=0),
        case(arr(2, 3), slice(0, 4, 2)),
        case(arr(2, 3), np.array([True, False, True]), axis=1),
    ],
)
def delete(x: Any, obj: Any, axis: int | None = None) -> GradArray:
    """y = x without the places `obj` (an index, indices, a slice or a mask) along `axis`.

    >>> import gradarray as ga
    >>> ga.delete([1.0, 2.0, 3.0], 1)
    GradArray([1., 3.], dtype=float64)
    """
    x, axis = _along(x, axis, "delete")
    places = _places(obj)
    kept = _edited(lambda n: np.delete(n, places), x.shape[axis], "delete", x.shape)
    return gather_at(x, (kept,), axis)


@public(
    numpy=np.insert,
    cases=[
        case(arr(4), 1, arr()),
        case(arr(3, 2), 1, arr(2), axis=0),
        case(arr(2, 3), 1, arr(2), axis=1),
        case(arr(2, 3), [0, 3], arr(2, 2), axis=1),
        case(arr(4), [1, 3, 3], arr(3)),
        case(arr(2, 2), slice(0, 2), arr(2), axis=1),
    ],
)
def insert(x: Any, obj: Any, values: Any, axis: int | None = None) -> GradArray:
    """y = x with `values` put in before the places `obj` (an index, indices or a slice).

    >>> import gradarray as ga
    >>> ga.insert([1.0, 3.0], 1, 2.0)
    GradArray([1., 2., 3.], dtype=float64)
    """
    x, axis = _along(x, axis, "insert")
    values = astype(lift(values, "insert"), x.dtype)
    places = _places(obj)
    n = x.shape[axis]
    cut = isinstance(places, slice)
    while values.ndim < x.ndim:
        values = expand_dims(values, 0)
    if cut:
        count = len(range(*places.indices(n)))
    elif places.size == 1:
        # As x[..., place, ...] = values would take them: their first axis lies along `axis`.
        if places.ndim == 0:
            values = moveaxis(values, 0, axis)
        count = values.shape[axis]
    else:
        count = len(places)
    shape = list(x.shape)
    shape[axis] = count
    try:
        values = broadcast_to(values, tuple(shape))
    except ShapeError:
        raise ShapeError(
            message(
                "insert",
                f"values of shape {values.shape} do not fit into {count} places along axis "
                f"{axis + x.ndim} of shape {x.shape}.",
            )
        ) from None
    # The places of x are 0 .. n - 1, those of the values follow.
    order = _edited(lambda at: np.insert(at, places, n + np.arange(count)), n, "insert", x.shape)
    return gather_at(concatenate([x, values], axis), (order,), axis)


@public(numpy=np.resize, cases=[case(arr(2, 2), (2, 3)), case(arr(4), 3), case(arr(3), (2, 4))])
def resize(x: Any, new_shape: Any) -> GradArray:
    """y = the values of x, repeated as often as needed, in another shape.

    >>> import gradarray as ga
    >>> ga.resize([1.0, 2.0], 5)
    GradArray([1., 2., 1., 2., 1.], dtype=float64)
    """
    x = ravel(lift(x, "resize"))
    shape = shape_of(new_shape)
    if any(operator.index(n) < 0 for n in shape):
        raise ShapeError(message("resize", f"shape {shape}: lengths are 0 or more."))
    count, size = math.prod(shape), x.shape[0]
    if count and not size:
        return astype(broadcast_to(lift(0), shape), x.dtype)
    places = np.arange(count) % max(size, 1)
    return reshape(gather_at(x, (places,), -1), shape)
