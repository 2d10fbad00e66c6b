"""Products of vectors: outer, vdot, vecdot, cross, and kron of arrays of any rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Multilinear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .complex import conj, is_complex
from .contract import check_inner, matmul
from .layout import moveaxis
from .shape import expand_dims, reshape

__all__ = [
    "cross",
    "kron",
    "outer",
    "vdot",
    "vecdot",
]


@public(
    numpy=(np.outer, np.linalg.outer),
    cases=[case(arr(3), arr(2)), case(arr(2, 2), arr(3))],
)
def outer(a: Any, b: Any) -> GradArray:
    """y_ij = a_i b_j, of vectors; other arrays are flattened.

    >>> import gradarray as ga
    >>> ga.outer([1.0, 2.0], [3.0, 4.0])
    GradArray([[3., 4.],
               [6., 8.]], dtype=float64)
    """
    a, b = lift(a), lift(b)
    return reshape(a, (a.size, 1)) * reshape(b, (1, b.size))


@public(numpy=np.vdot, cases=[case(arr(3), arr(3)), case(arr(2, 3), arr(3, 2))])
def vdot(a: Any, b: Any) -> GradArray:
    r"""y = \sum_i a_i^* b_i over all values, in C order.

    >>> import gradarray as ga
    >>> ga.vdot([1j, 2.0], [1j, 3.0])
    GradArray(7.+0.j, dtype=complex128)
    """
    a, b = lift(a), lift(b)
    if a.size != b.size:
        raise ShapeError(
            message("vdot", f"shapes {a.shape} and {b.shape} hold {a.size} and {b.size} values.")
        )
    a = conj(a) if is_complex(a) else a
    return matmul(reshape(a, (a.size,)), reshape(b, (b.size,)))


@public(
    numpy=(np.vecdot, np.linalg.vecdot),
    cases=[case(arr(2, 3), arr(2, 3)), case(arr(3, 2, 1), arr(3, 4), axis=0)],
)
def vecdot(a: Any, b: Any, axis: Any = -1) -> GradArray:
    r"""y = \sum_k a_k^* b_k along `axis`; the other axes broadcast.

    >>> import gradarray as ga
    >>> ga.vecdot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    GradArray([21., 43.], dtype=float64)
    """
    a, b = lift(a), lift(b)
    at, bt = one_axis(axis, a.ndim, "vecdot"), one_axis(axis, b.ndim, "vecdot")
    a, b = moveaxis(a, at, -1), moveaxis(b, bt, -1)
    check_inner("vecdot", a, b, -1, -1)
    a = conj(a) if is_complex(a) else a
    y = matmul(expand_dims(a, -2), expand_dims(b, -1))
    return reshape(y, y.shape[:-2])


@public(
    numpy=np.kron,
    cases=[case(arr(2, 2), arr(2, 3)), case(arr(3), arr(2, 2)), case(arr(), arr(2))],
)
def kron(a: Any, b: Any) -> GradArray:
    """y[.., i p + k, ..] = a[.., i, ..] b[.., k, ..]: a block a_i b for every value of a.

    p is the length of b along that axis; an operand with fewer axes gains some in front.

    >>> import gradarray as ga
    >>> ga.kron([1.0, 10.0], [1.0, 2.0])
    GradArray([ 1.,  2., 10., 20.], dtype=float64)
    """
    a, b = lift(a), lift(b)
    n = a.ndim if a.ndim > b.ndim else b.ndim
    long = (1,) * (n - a.ndim) + tuple(a.shape)
    short = (1,) * (n - b.ndim) + tuple(b.shape)
    left = reshape(a, tuple(m for pair in zip(long, (1,) * n) for m in pair))
    right = reshape(b, tuple(m for pair in zip((1,) * n, short) for m in pair))
    return reshape(left * right, tuple(p * q for p, q in zip(long, short)))


class CrossGrad(Multilinear):
    r"""y = a \times b along the last axis, of length 3; the others broadcast."""

    forward = staticmethod(lambda a, b: np.cross(a, b))
    # a . (b x c) is the same for every cyclic order of the three.
    transposes = (
        lambda y_bar, b: apply(CrossGrad, b, y_bar),
        lambda y_bar, a: apply(CrossGrad, y_bar, a),
    )
    tex = r"{a} \times {b}"


@public(
    numpy=(np.cross, np.linalg.cross),
    op=CrossGrad,
    cases=[case(arr(3), arr(3)), case(arr(2, 3), arr(3)), case(arr(3, 2), arr(3, 2), axis=0)],
)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> GradArray:
    r"""y = a \times b, y_1 = a_2 b_3 - a_3 b_2 and so on, of vectors of length 3.

    They lie along `axisa` and `axisb`, the result along `axisc` (all three are `axis` if that is
    given). Raises ShapeError for another length: a vector in the plane gets a third component 0.

    >>> import gradarray as ga
    >>> ga.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    GradArray([0., 0., 1.], dtype=float64)
    """
    a, b = lift(a), lift(b)
    if axis is not None:
        axisa = axisb = axisc = axis
    a = moveaxis(a, one_axis(axisa, a.ndim, "cross"), -1)
    b = moveaxis(b, one_axis(axisb, b.ndim, "cross"), -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ShapeError(
            message(
                "cross",
                f"lengths {a.shape[-1]} and {b.shape[-1]} along axes {axisa} and {axisb}.",
                "Both must have 3 components; give a vector in the plane a third one, 0.",
            )
        )
    y = apply(CrossGrad, a, b)
    return moveaxis(y, -1, one_axis(axisc, y.ndim, "cross"))
