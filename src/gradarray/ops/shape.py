"""The form of an array without its values: reshape, transpose, broadcast, astype."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..algebra import Linear, given
from ..array import GradArray, has_values, lift, method
from ..errors import ShapeError, message
from ..graph import flags
from ..record import apply
from ..registry import arr, case, public
from ..standard import check_device
from .axes import REVERSED, all_axes, one_axis

__all__ = [
    "astype",
    "broadcast_to",
    "expand_dims",
    "permute_dims",
    "reshape",
    "transpose",
]


class ReshapeGrad(Linear):
    """y = x in another shape, C order."""

    forward = staticmethod(lambda x, shape: np.reshape(x, shape))
    transpose = staticmethod(lambda y_bar, x_like: reshape(y_bar, x_like.shape))
    tex = r"\operatorname{reshape}({x})"


@public(
    numpy=np.reshape,
    op=ReshapeGrad,
    cases=[
        case(arr(2, 6), (3, 4)),
        case(arr(2, 3), -1),
        case(arr(2, 6), (4, -1), order="F"),
        case(arr(1), ()),
    ],
)
def reshape(x: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> GradArray:
    """y holds the values of x, in C order, in another shape; one length may be -1.

    With order="F" values are read and written with the first axis fastest. With copy=True y has
    memory of its own. Raises ShapeError where the sizes differ, ValueError where copy=False and
    the values would have to be moved in memory.

    >>> import gradarray as ga
    >>> ga.reshape([[1.0, 2.0], [3.0, 4.0]], -1)
    GradArray([1., 2., 3., 4.], dtype=float64)
    """
    if copy is not None:
        return _placed(lift(x, "reshape"), shape, order, copy)
    if isinstance(x, GradArray) and order == "C" and not flags.special:
        try:
            y = x._data.reshape(shape)
        except (ValueError, TypeError):
            pass  # said below, with the shapes
        else:
            return ReshapeGrad.made(x, y, {"shape": y.shape})
    x = lift(x, "reshape")
    shape = shape_of(shape)
    if -1 in shape or math.prod(shape) != math.prod(x.shape):
        shape = _completed(x.shape, shape)
    _check_order(order, "reshape")
    if order == "F":
        return transpose(reshape(transpose(x), shape[::-1]))
    return ReshapeGrad.of(x, shape)


def _placed(x: Any, shape: Any, order: str, copy: bool) -> Any:
    """`x` in another shape, surely in other memory (copy=True) or in the same (copy=False)."""
    y = reshape(x, shape, order)
    if copy:
        return given.copy(y)
    if (
        isinstance(x, GradArray)
        and has_values(x)
        and x.ndim
        and x.size
        and not np.may_share_memory(x._array, y._array)
    ):
        raise ValueError(
            message(
                "reshape",
                f"the values of this array of shape {x.shape} cannot stay where they are.",
                "Leave out copy=False.",
            )
        )
    return y


def shape_of(shape: Any) -> tuple[int, ...]:
    """A shape given as a number, a sequence or an integer array."""
    if isinstance(shape, (tuple, list)):
        return tuple([operator.index(n) for n in shape])
    if hasattr(shape, "tolist") and getattr(shape, "ndim", 0):
        return tuple([operator.index(n) for n in shape.tolist()])
    return (operator.index(shape),)


def _check_order(order: str, op: str) -> None:
    if order not in ("C", "F"):
        raise ValueError(
            message(op, f"order is {order!r}.", 'It can be "C" (last axis fastest) or "F".')
        )


def _completed(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """`new` with its -1 replaced by the length that is left for it."""
    size, known = math.prod(old), math.prod(n for n in new if n != -1)
    free = new.count(-1)
    if any(n < -1 for n in new) or free > 1:
        raise ShapeError(
            message("reshape", f"shape {new}: lengths are 0 or more, and one of them may be -1.")
        )
    if free and known and not size % known:
        return tuple([size // known if n == -1 else n for n in new])
    if free and not known:
        why = "the length of the -1 is not determined"
    else:
        why = f"shape {old} has {size} values and shape {new} " + (
            f"needs a multiple of {known}" if free else f"has {known}"
        )
    raise ShapeError(message("reshape", f"{why}.", "Use -1 for one length that follows."))


@method("reshape")
def _reshape_method(x: GradArray, *shape: Any, order: str = "C") -> GradArray:
    """The array in another shape, given as a tuple or as numbers: see `gradarray.reshape`."""
    return reshape(x, shape[0] if len(shape) == 1 else shape, order)


class TransposeGrad(Linear):
    """y = x with its axes permuted (negative axes)."""

    forward = staticmethod(lambda x, axes: x.transpose(axes))
    transpose = staticmethod(lambda y_bar, axes: apply(TransposeGrad, y_bar, axes=_inverse(axes)))
    tex = r"{x}^T"


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(axes)
    return tuple(k - n for k in np.argsort([a + n for a in axes]).tolist())


@public(
    numpy=np.transpose,
    op=TransposeGrad,
    aliases=("permute_dims",),
    cases=[
        case(arr(2, 3)),
        case(arr(2, 3, 4), (1, 0, 2)),
        case(arr(2, 3, 4), (-1, 0, 1)),
        case(arr()),
    ],
)
def transpose(x: Any, axes: Any = None) -> GradArray:
    """y = x with axes permuted: axis k of y is axis axes[k] of x; reversed by default.

    Raises ShapeError where `axes` is not a permutation.

    >>> import gradarray as ga
    >>> ga.transpose([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[1., 3.],
               [2., 4.]], dtype=float64)
    """
    if axes is None and isinstance(x, GradArray) and not flags.special:
        y = x._data.T
        return TransposeGrad.made(x, y, {"axes": REVERSED[y.ndim]})
    x = lift(x, "transpose")
    ndim = x.ndim
    if axes is None:
        return TransposeGrad.of(x, REVERSED[ndim])
    order = tuple([one_axis(a, ndim, "transpose") for a in axes])
    if len(order) != ndim or len(set(order)) != ndim:
        raise ShapeError(
            message(
                "transpose",
                f"axes {tuple(axes)} of an array of {ndim} axes, shape {x.shape}.",
                "Name each axis once.",
            )
        )
    return TransposeGrad.of(x, order)


permute_dims = transpose


@method("transpose")
def _transpose_method(x: GradArray, *axes: Any) -> GradArray:
    """The array with its axes in this order, or reversed: see `gradarray.transpose`."""
    if not axes or axes == (None,):
        return transpose(x)
    return transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


_t: Any = property(transpose, doc="The array with its axes reversed.")
method("T")(_t)


class ExpandDimsGrad(Linear):
    """y = x with axes of length 1 put in."""

    name = "expand_dims"
    forward = staticmethod(lambda x, axis: np.expand_dims(x, axis))
    transpose = staticmethod(lambda y_bar, x_like: reshape(y_bar, x_like.shape))
    tex = "{x}"


@public(
    numpy=np.expand_dims, op=ExpandDimsGrad, cases=[case(arr(2, 3), 1), case(arr(3), axis=(0, -1))]
)
def expand_dims(x: Any, axis: Any) -> GradArray:
    """y = x with an axis of length 1 at each position `axis` of the result.

    >>> import gradarray as ga
    >>> ga.expand_dims([1.0, 2.0], 0).shape
    (1, 2)
    """
    x = lift(x, "expand_dims")
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    ndim = (x.ndim if hasattr(x, "ndim") else 0) + count
    return ExpandDimsGrad.of(x, all_axes(axis, ndim, "expand_dims"))


def _no_fit(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Why an array does not broadcast to a shape, and what to do."""
    head = f"shape {given} does not broadcast to {wanted}"
    if len(given) > len(wanted):
        return f"{head}: it has {len(given)} axes, not {len(wanted)} or fewer. Sum or index first."
    for axis in range(-1, -len(given) - 1, -1):
        if given[axis] not in (1, wanted[axis]):
            return (
                f"{head}: axis {axis} has {given[axis]}, not {wanted[axis]} or 1. "
                "Axes are compared from the end; reshape the array, or add an axis with x[:, None]."
            )
    return f"{head}: a length is negative."


class BroadcastToGrad(Linear):
    """y = x repeated along new axes and axes of length 1."""

    name = "broadcast_to"

    @staticmethod
    def forward(x: Any, shape: tuple[int, ...]) -> Any:
        try:
            return np.broadcast_to(x, shape)
        except ValueError:
            raise ShapeError(message("broadcast_to", _no_fit(np.shape(x), shape))) from None

    # Summing back over the broadcast axes is the projection that the kinds do around every rule.
    transpose = staticmethod(lambda y_bar, x_like: y_bar)
    tex = "{x}"


@public(
    numpy=np.broadcast_to,
    op=BroadcastToGrad,
    cases=[case(arr(3), (2, 3)), case(arr(2, 1), (4, 2, 3))],
)
def broadcast_to(x: Any, shape: Any) -> GradArray:
    """y[..., i, j] = x broadcast to `shape` by NumPy's rule. Raises ShapeError where it does not.

    >>> import gradarray as ga
    >>> ga.broadcast_to([1.0, 2.0], (2, 2))
    GradArray([[1., 2.],
               [1., 2.]], dtype=float64)
    """
    return BroadcastToGrad.of(lift(x, "broadcast_to"), shape_of(shape))


class AsTypeGrad(Linear):
    """y = x in another dtype."""

    forward = staticmethod(lambda x, dtype: x.astype(dtype))
    shape_of = staticmethod(lambda x, dtype: x)
    dtype_of = staticmethod(lambda x, dtype: np.dtype(dtype))
    # The cast back is the projection that the kinds do around every rule.
    transpose = staticmethod(lambda y_bar, x_like: y_bar)
    tex = "{x}"


@public(
    numpy=getattr(np, "astype", ()),  # from NumPy 2.1
    reference=lambda x, dtype: x.astype(dtype),
    op=AsTypeGrad,
    method=True,
    cases=[case(arr(2, 3), "float32")],
    tags=("cast",),
)
def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> GradArray:
    """y = x cast to `dtype`; a cast to integers or booleans ends the derivative.

    With copy=False an array of this dtype is given back as it is.

    >>> import gradarray as ga
    >>> ga.astype([1.5, 2.5], "float32").dtype
    dtype('float32')
    """
    if device is not None:
        check_device(device, "astype")
    x = lift(x)
    dtype = np.dtype(dtype)
    if not copy and x.dtype == dtype:
        return x
    if isinstance(x, GradArray) and dtype.kind not in "fc":
        x = x.detach()
    return apply(AsTypeGrad, x, dtype=dtype)


given.reshape = reshape
given.expand_dims = expand_dims
given.broadcast_to = broadcast_to
given.astype = astype
