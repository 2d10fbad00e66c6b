"""Making arrays: array, zeros, ones, full, and copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import array as arrays
from .. import graph
from ..algebra import Linear, given
from ..array import GradArray, check_differentiable_dtype, from_user, holds_arrays, lift, wrap
from ..errors import message
from ..graph import mode
from ..record import apply
from ..registry import arr, case, public
from ..standard import check_device
from .join import stack
from .shape import astype, broadcast_to, shape_of

__all__ = [
    "array",
    "asarray",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "identity",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


def made(data: Any, requires_grad: bool | None = False, device: Any = None) -> Any:
    """A new array as a constant, or as a leaf; inside a sweep on raw arrays it stays raw."""
    check_device(device)
    if mode.raw:
        return data
    out = wrap(data if data.shape else data[()])
    if requires_grad:
        check_differentiable_dtype(data.dtype)
        out._node = graph.leaf(out)
    return out


class CopyGrad(Linear):
    """y = x, in memory of its own."""

    forward = staticmethod(lambda x: x.copy())
    transpose = staticmethod(lambda y_bar: y_bar)
    tex = "{x}"


def stacked(values: Any, op: str = "array") -> Any:
    """Nested lists with GradArrays in them as one array, level by level."""
    return stack([lift(v, op) for v in values])


arrays.knot.stacked = stacked


@public(differentiable=False)
def array(values: Any, dtype: Any = None, *, requires_grad: bool | None = None) -> GradArray:
    """A GradArray of these values (always a copy: the caller's memory stays the caller's).

    With requires_grad=True it is a leaf whose `.grad` backward() fills. GradArrays, also in
    nested lists, are copied or stacked with their derivatives, unless `requires_grad` is given.
    Dtypes as NumPy's. Raises DTypeError for values that are not numbers, or for a gradient of
    integers.

    >>> import gradarray as ga
    >>> ga.array([1, 2, 3])
    GradArray([1, 2, 3], dtype=int64)
    >>> ga.grad(lambda t: ga.array([[ga.cos(t), ga.sin(t)], [0.0, t]]).sum())(0.0)
    GradArray(2., dtype=float64)
    """
    if not isinstance(values, GradArray) and not holds_arrays(values):
        data = from_user(values)
        return made(data if dtype is None else data.astype(dtype), requires_grad)
    y = apply(CopyGrad, values) if isinstance(values, GradArray) else stacked(values)
    if dtype is not None and y.dtype != dtype:
        y = astype(y, dtype)
    return y if requires_grad is None else made(y._data, requires_grad)


@public(
    numpy=np.asarray,
    differentiable=False,
    cases=[case([[1, 2], [3, 4]]), case(2.5), case([1, 2], dtype="float32")],
)
def asarray(
    values: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None
) -> GradArray:
    """A GradArray as it is, anything else as `array` makes it.

    With copy=True a GradArray is copied as well; copy=False raises ValueError where a copy would
    be needed: for another dtype, and for all that is not a GradArray.

    >>> import gradarray as ga
    >>> x = ga.array([1.0])
    >>> ga.asarray(x) is x
    True
    """
    check_device(device, "asarray")
    as_it_is = isinstance(values, GradArray) and (dtype is None or values.dtype == dtype)
    if as_it_is and not copy:
        return values
    if copy is False:
        raise ValueError(
            message(
                "asarray",
                f"a {type(values).__name__} does not become a GradArray "
                f"{'' if dtype is None else f'of dtype {np.dtype(dtype)} '}without a copy.",
                "Leave out copy=False; ga.from_dlpack(x, copy=False) shares memory.",
            )
        )
    return array(values, dtype)


@public(numpy=np.copy, op=CopyGrad, method=True, cases=[case(arr(2, 3)), case(arr())])
def copy(x: Any) -> GradArray:
    """y = x, in memory of its own.

    >>> import gradarray as ga
    >>> ga.copy([1.0, 2.0])
    GradArray([1., 2.], dtype=float64)
    """
    return apply(CopyGrad, lift(x, "copy"))


given.copy = copy


# Constants ----------------------------------------------------------------------------------------

_SHAPES = [case((2, 3)), case(4), case((), dtype="float32"), case((2,), dtype=int)]


@public(numpy=np.zeros, differentiable=False, cases=_SHAPES)
def zeros(
    shape: Any, dtype: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """y_i = 0, an array of this shape; float64 by default.

    >>> import gradarray as ga
    >>> ga.zeros(2)
    GradArray([0., 0.], dtype=float64)
    """
    return made(np.zeros(shape_of(shape), dtype or float), requires_grad, device)


@public(numpy=np.ones, differentiable=False, cases=_SHAPES)
def ones(
    shape: Any, dtype: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """y_i = 1, an array of this shape; float64 by default.

    >>> import gradarray as ga
    >>> ga.ones(2)
    GradArray([1., 1.], dtype=float64)
    """
    return made(np.ones(shape_of(shape), dtype or float), requires_grad, device)


@public(numpy=np.empty, reference=np.zeros, differentiable=False, cases=_SHAPES)
def empty(
    shape: Any, dtype: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """An array of this shape, to be filled; until then it holds zeros.

    >>> import gradarray as ga
    >>> ga.empty((2, 3)).shape
    (2, 3)
    """
    return zeros(shape, dtype, device=device, requires_grad=requires_grad)


@public(
    reference=np.full,  # NumPy does not ask its fill value what to call
    cases=[case((2, 3), arr()), case((2, 3), arr(3)), case(2, 7), case((), 1.5, dtype="float32")],
)
def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> GradArray:
    """y_i = fill_value, broadcast to this shape; differentiable in the value.

    >>> import gradarray as ga
    >>> ga.full(2, 7.0)
    GradArray([7., 7.], dtype=float64)
    """
    if requires_grad or (not isinstance(fill_value, GradArray) and not holds_arrays(fill_value)):
        value = fill_value._data if isinstance(fill_value, GradArray) else fill_value
        return made(np.full(shape_of(shape), value, dtype), requires_grad, device)
    check_device(device, "full")
    y = broadcast_to(fill_value, shape)
    return y if dtype is None else astype(y, dtype)


def _like(x: Any, dtype: Any, shape: Any) -> tuple[tuple[int, ...], Any]:
    x = x if hasattr(x, "dtype") else lift(x)
    return x.shape if shape is None else shape_of(shape), dtype or x.dtype


_LIKE = [case(arr(2, 3)), case(arr(2, kind="int")), case(arr(2), dtype=int, shape=(2, 1))]


@public(numpy=np.zeros_like, differentiable=False, cases=_LIKE)
def zeros_like(
    x: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """y_i = 0, of the shape and dtype of x.

    >>> import gradarray as ga
    >>> ga.zeros_like(ga.array([1.0, 2.0]))
    GradArray([0., 0.], dtype=float64)
    """
    return made(np.zeros(*_like(x, dtype, shape)), requires_grad, device)


@public(numpy=np.ones_like, differentiable=False, cases=_LIKE)
def ones_like(
    x: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """y_i = 1, of the shape and dtype of x.

    >>> import gradarray as ga
    >>> ga.ones_like(ga.array([1.0, 2.0]))
    GradArray([1., 1.], dtype=float64)
    """
    return made(np.ones(*_like(x, dtype, shape)), requires_grad, device)


@public(numpy=np.empty_like, reference=np.zeros_like, differentiable=False, cases=_LIKE)
def empty_like(
    x: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """An array of the shape and dtype of x, to be filled; until then it holds zeros.

    >>> import gradarray as ga
    >>> ga.empty_like(ga.array([1.0, 2.0])).shape
    (2,)
    """
    return zeros_like(x, dtype, shape, device=device, requires_grad=requires_grad)


@public(
    numpy=np.full_like,
    cases=[case(arr(2, 3), 2.5), case(arr(3), 2, shape=(2,)), case(arr(2, kind="int"), 7)],
)
def full_like(
    x: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> GradArray:
    """y_i = fill_value, of the shape and dtype of x; differentiable in the value.

    >>> import gradarray as ga
    >>> ga.full_like(ga.array([1.0, 2.0]), 5)
    GradArray([5., 5.], dtype=float64)
    """
    shape, dtype = _like(x, dtype, shape)
    return full(shape, fill_value, dtype, device=device, requires_grad=requires_grad)


@public(numpy=np.eye, differentiable=False, cases=[case(3), case(2, 3, 1), case(3, k=-1)])
def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = float,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> GradArray:
    """A matrix with 1 on its k-th diagonal and 0 elsewhere.

    >>> import gradarray as ga
    >>> ga.eye(2)
    GradArray([[1., 0.],
               [0., 1.]], dtype=float64)
    """
    return made(np.eye(N, M, k, dtype), requires_grad, device)


@public(numpy=np.identity, differentiable=False, cases=[case(3), case(2, dtype="float32")])
def identity(
    n: int, dtype: Any = None, *, device: Any = None, requires_grad: bool = False
) -> GradArray:
    """The identity matrix of n rows.

    >>> import gradarray as ga
    >>> ga.identity(2)
    GradArray([[1., 0.],
               [0., 1.]], dtype=float64)
    """
    return made(np.identity(n, dtype or float), requires_grad, device)


@public(numpy=np.tri, differentiable=False, cases=[case(3), case(2, 3, 1), case(3, k=-1)])
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> GradArray:
    """A matrix with 1 on and below its k-th diagonal and 0 above.

    >>> import gradarray as ga
    >>> ga.tri(2)
    GradArray([[1., 0.],
               [1., 1.]], dtype=float64)
    """
    return made(np.tri(N, M, k, dtype))
