"""Other names for a reshape, a transpose or a broadcast: squeeze, swapaxes, atleast_2d, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift, method
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import all_axes, one_axis
from .shape import broadcast_to, reshape, transpose

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_arrays",
    "matrix_transpose",
    "moveaxis",
    "ravel",
    "rollaxis",
    "squeeze",
    "swapaxes",
]


@public(
    numpy=np.ravel,
    method=True,
    cases=[case(arr(2, 3)), case(arr(2, 3), order="F"), case(arr())],
)
def ravel(x: Any, order: str = "C") -> GradArray:
    """y = the values of x as a vector.

    >>> import gradarray as ga
    >>> ga.ravel([[1.0, 2.0], [3.0, 4.0]], order="F")
    GradArray([1., 3., 2., 4.], dtype=float64)
    """
    return reshape(x, -1, order)


method("flatten")(ravel)


@public(
    numpy=np.squeeze,
    method=True,
    cases=[case(arr(1, 2, 1)), case(arr(1, 2, 1), axis=0), case(arr(2, 1, 1), axis=(1, -1))],
)
def squeeze(x: Any, axis: Any = None) -> GradArray:
    """y = x without its axes of length 1, or without those in `axis`.

    Raises ShapeError for an axis of another length.

    >>> import gradarray as ga
    >>> ga.squeeze([[[1.0], [2.0]]]).shape
    (2,)
    """
    x = lift(x, "squeeze")
    if axis is None:
        return reshape(x, tuple([n for n in x.shape if n != 1]))
    axes = all_axes(axis, x.ndim, "squeeze")
    for k in axes:
        if x.shape[k] != 1:
            raise ShapeError(
                message("squeeze", f"axis {k + x.ndim} of shape {x.shape} has length {x.shape[k]}.")
            )
    return reshape(x, tuple([n for k, n in enumerate(x.shape, -x.ndim) if k not in axes]))


@public(
    numpy=(np.matrix_transpose, np.linalg.matrix_transpose),
    cases=[case(arr(2, 3)), case(arr(4, 2, 3))],
)
def matrix_transpose(x: Any) -> GradArray:
    """y_{..ij} = x_{..ji}, the transposed matrices of a stack.

    >>> import gradarray as ga
    >>> ga.matrix_transpose(ga.zeros((4, 2, 3))).shape
    (4, 3, 2)
    """
    x = lift(x, "matrix_transpose")
    if x.ndim < 2:
        raise ShapeError(
            message("matrix_transpose", f"shape {x.shape} has no two axes to exchange.")
        )
    return swapaxes(x, -1, -2)


_mt: Any = property(matrix_transpose, doc="The transposed matrices of a stack.")
method("mT")(_mt)


@public(numpy=np.swapaxes, method=True, cases=[case(arr(2, 3, 4), 0, 2), case(arr(2, 3), -1, -2)])
def swapaxes(x: Any, axis1: int, axis2: int) -> GradArray:
    """y = x with two axes exchanged.

    >>> import gradarray as ga
    >>> ga.swapaxes(ga.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    x = lift(x, "swapaxes")
    a, b = (one_axis(axis, x.ndim, "swapaxes") for axis in (axis1, axis2))
    order = list(range(-x.ndim, 0))
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


@public(
    numpy=np.moveaxis,
    cases=[case(arr(2, 3, 4), 0, -1), case(arr(2, 3, 4), (0, 1), (-1, 0)), case(arr(2, 3), 1, 0)],
)
def moveaxis(x: Any, source: Any, destination: Any) -> GradArray:
    """y = x with the axes `source` put at the positions `destination`, the others in order.

    >>> import gradarray as ga
    >>> ga.moveaxis(ga.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = lift(x, "moveaxis")
    sides = []
    for axes in (source, destination):
        axes = axes if isinstance(axes, (tuple, list)) else (axes,)
        sides.append([one_axis(k, x.ndim, "moveaxis") for k in axes])
    from_, to = sides
    if len(set(from_)) != len(from_) or len(set(to)) != len(to) or len(from_) != len(to):
        raise ValueError(
            message(
                "moveaxis",
                f"source {source} and destination {destination}.",
                "Name equally many axes, each once.",
            )
        )
    order: list[Any] = [None] * x.ndim
    for a, b in zip(from_, to, strict=True):
        order[b] = a
    rest = iter([k for k in range(-x.ndim, 0) if k not in from_])
    return transpose(x, [next(rest) if k is None else k for k in order])


@public(numpy=np.rollaxis, cases=[case(arr(2, 3, 4), 2), case(arr(2, 3, 4), 0, 2)])
def rollaxis(x: Any, axis: int, start: int = 0) -> GradArray:
    """y = x with `axis` moved to just before what was axis `start`.

    >>> import gradarray as ga
    >>> ga.rollaxis(ga.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = lift(x, "rollaxis")
    a = one_axis(axis, x.ndim, "rollaxis") + x.ndim
    b = one_axis(start, x.ndim + 1, "rollaxis") + x.ndim + 1
    return moveaxis(x, a, b - 1 if a < b else b)


@public(numpy=np.atleast_1d, cases=[case(arr()), case(arr(2))])
def atleast_1d(*arrays: Any) -> Any:
    """y = x with at least one axis; a tuple for several arrays.

    >>> import gradarray as ga
    >>> ga.atleast_1d(3.0)
    GradArray([3.], dtype=float64)
    """
    return _each(lambda x: x if x.ndim else reshape(x, 1), arrays)


@public(numpy=np.atleast_2d, cases=[case(arr()), case(arr(3)), case(arr(2, 1))])
def atleast_2d(*arrays: Any) -> Any:
    """y = x with at least two axes, put in front; a tuple for several arrays.

    >>> import gradarray as ga
    >>> ga.atleast_2d([1.0, 2.0]).shape
    (1, 2)
    """
    return _each(lambda x: x if x.ndim > 1 else reshape(x, (1, x.size)), arrays)


@public(numpy=np.atleast_3d, cases=[case(arr()), case(arr(3)), case(arr(2, 3)), case(arr(1, 2, 1))])
def atleast_3d(*arrays: Any) -> Any:
    """y = x with at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1).

    >>> import gradarray as ga
    >>> ga.atleast_3d([1.0, 2.0]).shape
    (1, 2, 1)
    """

    def wider(x: Any) -> Any:
        if x.ndim > 2:
            return x
        return reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, x.size, 1))

    return _each(wider, arrays)


def _each(change: Any, arrays: tuple[Any, ...]) -> Any:
    changed = tuple([change(lift(x)) for x in arrays])
    return changed[0] if len(changed) == 1 else changed


@public(
    numpy=np.broadcast_arrays,
    cases=[case(arr(2, 1), arr(3)), case(arr(), arr(2)), case(arr(2), arr(2))],
)
def broadcast_arrays(*arrays: Any) -> tuple[GradArray, ...]:
    """The arrays broadcast against one another by NumPy's rule, to one shape.

    >>> import gradarray as ga
    >>> a, b = ga.broadcast_arrays([[1.0], [2.0]], [1.0, 2.0, 3.0])
    >>> a.shape, b.shape
    ((2, 3), (2, 3))
    """
    xs = [lift(x, "broadcast_arrays") for x in arrays]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in xs))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in xs)
        raise ShapeError(
            message(
                "broadcast_arrays",
                f"shapes {shapes} do not broadcast.",
                "Axes are compared from the end and must be equal or 1.",
            )
        ) from None
    return tuple([x if x.shape == shape else broadcast_to(x, shape) for x in xs])
