"""NumPy's `linalg` forms of norms, diagonals and traces, and the condition of a matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import all_axes
from .compare import where
from .frame import diagonal as diagonal_of_axes
from .layout import moveaxis
from .linsolve import inverse_or
from .logical import isnan, logical_and, logical_not
from .matrices import matrices, square
from .norm import norm
from .reduce import any, sum
from .shape import reshape
from .singular import svdvals


@public(
    name="linalg.vector_norm",
    numpy=np.linalg.vector_norm,
    cases=[
        case(arr(2, 3)),
        case(arr(2, 3, kind="distinct"), axis=1, ord=np.inf),
        case(arr(2, 3, 2, kind="distinct"), axis=(0, -1), ord=1, keepdims=True),
        case(arr(3, 2), keepdims=True, ord=3),
    ],
)
def vector_norm(
    x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2
) -> GradArray:
    r"""y = (\sum_i |x_i|^p)^{1/p} over `axis` (one or several; all by default), p = `ord`.

    Orders and derivatives as in `norm`.

    >>> import gradarray as ga
    >>> ga.linalg.vector_norm([[3.0, 0.0], [0.0, 4.0]])
    GradArray(5., dtype=float64)
    """
    x = lift(x, "vector_norm")
    axes = all_axes(axis, x.ndim, "vector_norm")
    kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape, -x.ndim))
    if len(axes) != 1:
        # Several axes, or none, become one.
        if axes and axes != tuple(range(-len(axes), 0)):
            x = moveaxis(x, axes, tuple(range(-len(axes), 0)))
        lead = x.ndim - len(axes)
        x = reshape(x, (*x.shape[:lead], math.prod(x.shape[lead:])))
        axes = (-1,)
    y = norm(x, ord, axis=axes[0])
    return reshape(y, kept) if keepdims else y


@public(
    name="linalg.matrix_norm",
    numpy=np.linalg.matrix_norm,
    cases=[
        case(arr(2, 3, 2)),
        case(arr(3, 2, kind="distinct"), ord=1),
        case(arr(2, 3, 2, kind="regular"), ord="nuc", keepdims=True),
    ],
)
def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> GradArray:
    """The norms of the matrices in the last two axes, `ord` as in `norm`.

    >>> import gradarray as ga
    >>> ga.linalg.matrix_norm([[3.0, 0.0], [0.0, 4.0]], ord="nuc")
    GradArray(7., dtype=float64)
    """
    x = lift(x, "matrix_norm")
    if x.ndim < 2:
        raise ShapeError(message("matrix_norm", f"shape {x.shape} has no matrices."))
    return norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@public(
    name="linalg.diagonal",
    numpy=np.linalg.diagonal,
    cases=[case(arr(3, 3)), case(arr(2, 3, 2)), case(arr(2, 3), offset=1)],
)
def diagonal(x: Any, *, offset: int = 0) -> GradArray:
    """y_{..i} = x_{.., i, i + offset} of the matrices in the last two axes.

    >>> import gradarray as ga
    >>> ga.linalg.diagonal([[1.0, 2.0], [3.0, 4.0]])
    GradArray([1., 4.], dtype=float64)
    """
    return diagonal_of_axes(lift(x, "diagonal"), offset, -2, -1)


@public(
    name="linalg.trace",
    numpy=np.linalg.trace,
    cases=[case(arr(3, 3)), case(arr(2, 3, 2)), case(arr(2, 3), offset=-1)],
)
def trace(x: Any, *, offset: int = 0, dtype: Any = None) -> GradArray:
    r"""y = \sum_i x_{.., i, i + offset} of the matrices in the last two axes.

    >>> import gradarray as ga
    >>> ga.linalg.trace([[1.0, 2.0], [3.0, 4.0]])
    GradArray(5., dtype=float64)
    """
    return sum(diagonal_of_axes(lift(x, "trace"), offset, -2, -1), axis=-1, dtype=dtype)


@public(
    name="linalg.cond",
    numpy=np.linalg.cond,
    cases=[
        case(arr(2, 3, 2, kind="regular")),
        case(arr(2, 2, kind="regular"), -2),
        case(arr(2, 2, kind="regular"), "fro"),
        case(arr(2, 2, 2, kind="regular"), 1),
    ],
)
def cond(x: Any, p: Any = None) -> GradArray:
    r"""y = |x| |x^{-1}|, in the matrix norm `p` of `norm`; for p = 2, the default, s_1 / s_k.

    That form, of singular values, is for matrices that are not square too. A singular matrix has
    an infinite condition. (G. H. Golub, C. F. Van Loan, "Matrix Computations", section 2.6.2.)

    >>> import gradarray as ga
    >>> ga.linalg.cond([[2.0, 0.0], [0.0, 4.0]])
    GradArray(2., dtype=float64)
    """
    x = matrices(x, "cond")
    if 0 in x.shape[-2:]:
        raise ShapeError(message("cond", f"shape {x.shape}: an empty matrix has no condition."))
    with np.errstate(all="ignore"):  # a singular matrix is no accident here
        if p in (None, 2, -2):
            s = svdvals(x)
            y = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        else:
            x = square(x, "cond")
            y = norm(x, p, axis=(-2, -1)) * norm(inverse_or(x, np.nan), p, axis=(-2, -1))
    lost = logical_and(isnan(y), logical_not(any(isnan(x), axis=(-2, -1))))
    return where(lost, math.inf, y)
