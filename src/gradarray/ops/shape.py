"""Ops that move values without changing them: reshape, transpose, broadcast, join, split."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Linear, given
from ..array import GradArray, lift, method
from ..record import apply
from ..registry import arr, case, public
from .axes import all_axes


class ReshapeGrad(Linear):
    """y = x in another shape, C order."""

    forward = staticmethod(lambda x, shape: np.reshape(x, shape))
    transpose = staticmethod(lambda y_bar, x_like: reshape(y_bar, x_like.shape))
    tex = r"\operatorname{reshape}({x})"


@public(numpy=np.reshape, op=ReshapeGrad, cases=[case(arr(2, 6), (3, 4)), case(arr(2, 3), -1)])
def reshape(x: Any, shape: Any) -> GradArray:
    """y holds the values of x, in C order, in another shape; one length may be -1.

    >>> import gradarray as ga
    >>> ga.reshape([[1.0, 2.0], [3.0, 4.0]], -1)
    GradArray([1., 2., 3., 4.], dtype=float64)
    """
    x = lift(x)
    shape = tuple(map(operator.index, shape)) if isinstance(shape, (tuple, list)) else (shape,)
    return apply(ReshapeGrad, x, shape=shape)


@method("reshape")
def _reshape_method(x: GradArray, *shape: Any) -> GradArray:
    return reshape(x, shape[0] if len(shape) == 1 else shape)


class TransposeGrad(Linear):
    """y = x with its axes permuted (negative axes)."""

    forward = staticmethod(lambda x, axes: np.transpose(x, axes))
    transpose = staticmethod(lambda y_bar, axes: apply(TransposeGrad, y_bar, axes=_inverse(axes)))
    tex = r"{x}^T"


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(axes)
    return tuple(k - n for k in np.argsort([a + n for a in axes]).tolist())


@public(numpy=np.transpose, op=TransposeGrad, cases=[case(arr(2, 3)), case(arr(2, 3, 4), (1, 0, 2))])
def transpose(x: Any, axes: Any = None) -> GradArray:
    """y = x with axes permuted; reversed by default.

    >>> import gradarray as ga
    >>> ga.transpose([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[1., 3.],
               [2., 4.]], dtype=float64)
    """
    x = lift(x)
    ndim = x.ndim
    order = range(ndim - 1, -1, -1) if axes is None else axes
    return apply(TransposeGrad, x, axes=tuple((a % ndim) - ndim for a in order) if ndim else ())


@method("transpose")
def _transpose_method(x: GradArray, *axes: Any) -> GradArray:
    if not axes or axes == (None,):
        return transpose(x)
    return transpose(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


method("T")(property(lambda x: transpose(x), doc="The array with its axes reversed."))  # pyright: ignore


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
    x = lift(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    ndim = (x.ndim if hasattr(x, "ndim") else 0) + count
    return apply(ExpandDimsGrad, x, axis=all_axes(axis, ndim, "expand_dims"))


class BroadcastToGrad(Linear):
    """y = x repeated along new axes and axes of length 1."""

    name = "broadcast_to"
    forward = staticmethod(lambda x, shape: np.broadcast_to(x, shape))
    # Summing back over the broadcast axes is the projection that the kinds do around every rule.
    transpose = staticmethod(lambda y_bar, x_like: y_bar)
    tex = "{x}"


@public(
    numpy=np.broadcast_to,
    op=BroadcastToGrad,
    cases=[case(arr(3), (2, 3)), case(arr(2, 1), (4, 2, 3))],
)
def broadcast_to(x: Any, shape: Any) -> GradArray:
    """y[..., i, j] = x broadcast to `shape` by NumPy's rule.

    >>> import gradarray as ga
    >>> ga.broadcast_to([1.0, 2.0], (2, 2))
    GradArray([[1., 2.],
               [1., 2.]], dtype=float64)
    """
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return apply(BroadcastToGrad, lift(x), shape=shape)


class AsTypeGrad(Linear):
    """y = x in another dtype."""

    forward = staticmethod(lambda x, dtype: x.astype(dtype))
    # The cast back is the projection that the kinds do around every rule.
    transpose = staticmethod(lambda y_bar, x_like: y_bar)
    tex = "{x}"


@public(
    numpy=np.astype, op=AsTypeGrad, method=True, cases=[case(arr(2, 3), "float32")], tags=("cast",)
)
def astype(x: Any, dtype: Any) -> GradArray:
    """y = x cast to `dtype`; a cast to integers or booleans ends the derivative.

    >>> import gradarray as ga
    >>> ga.astype([1.5, 2.5], "float32").dtype
    dtype('float32')
    """
    x = lift(x)
    dtype = np.dtype(dtype)
    if isinstance(x, GradArray) and dtype.kind not in "fc":
        x = x.detach()
    return apply(AsTypeGrad, x, dtype=dtype)


given.reshape = reshape
given.expand_dims = expand_dims
given.broadcast_to = broadcast_to
given.astype = astype
