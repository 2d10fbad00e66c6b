"""Linear equations: solve, inv, solve_triangular, tensorsolve, tensorinv.

Their derivatives are equations with the same matrices. (M. B. Giles, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation", 2008, sections 2.2.3, 2.2.4.)
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import lazy
from ..array import GradArray
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .contract import matmul
from .frame import tril, triu
from .layout import moveaxis
from .matrices import (
    LinAlgError,
    adjoint,
    filled,
    floating,
    in_lapack,
    square,
    turned,
)
from .shape import expand_dims, reshape

_TRSM = {"f": "strsm", "d": "dtrsm", "F": "ctrsm", "D": "ztrsm"}
_SINGULAR = (
    "it is singular, so the equations have no solution or many",
    "Use pinv or lstsq for the smallest of the closest solutions.",
)


def _with_shared(fn: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """fn(a, b); where all of b share one matrix, their columns are solved for at once."""
    if a.ndim > 2 or b.ndim == 2:
        return fn(a, b)
    columns = np.moveaxis(b, -2, 0)
    y = fn(a, columns.reshape(len(a), -1))
    return np.moveaxis(y.reshape(columns.shape), 0, -2)


def _solve_values(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _with_shared(np.linalg.solve, a, b)


# Full matrices ------------------------------------------------------------------------------------


class SolveGrad(Custom):
    r"""y = a^{-1} b, of matrices. \dot y = a^{-1} (\dot b - \dot a y).

    \bar b = a^{-T} \bar y, \bar a = -\bar b y^T. With `fill` a singular matrix gives it, and
    does not raise.
    """

    trailing = True

    @staticmethod
    def forward(a: Any, b: Any, *, fill: Any) -> Any:
        if fill is not None:
            return filled(_solve_values, fill, a, b)
        return in_lapack("solve", _solve_values, a, b, what=_SINGULAR[0], mend=_SINGULAR[1])

    @staticmethod
    def push(a: Any, y: Any, a_dot: Any, b_dot: Any, fill: Any) -> Any:
        return apply(SolveGrad, a, b_dot - matmul(a_dot, y), fill=fill)

    @staticmethod
    def pull(y_bar: Any, a: Any, y: Any, fill: Any) -> Any:
        b_bar = apply(SolveGrad, turned(a), y_bar, fill=fill)
        return -matmul(b_bar, turned(y)), b_bar

    tex = "{a}^{-1} {b}"


@public(
    name="linalg.solve",
    numpy=np.linalg.solve,
    op=SolveGrad,
    cases=[
        case(arr(3, 3, kind="regular"), arr(3)),
        case(arr(3, 3, kind="regular"), arr(3, 2)),
        case(arr(2, 3, 3, kind="regular"), arr(3, 1)),
        case(arr(2, 2, kind="regular"), arr(3, 2, 2)),
        case(arr(2, 2, kind="regular"), arr(2, kind="complex")),
        case(arr(2, 2, kind="complex"), arr(2)),
    ],
)
def solve(a: Any, b: Any) -> GradArray:
    r"""y = a^{-1} b, the solution of a y = b.

    a: (.., n, n). b: (.., n, k), or (n,) for one vector; leading axes broadcast. \bar b = a^{-T}
    \bar y, \bar a = -\bar b y^T. Raises LinAlgError for a singular matrix, naming its place in
    the stack, ShapeError for shapes that do not fit. (Giles 2008, section 2.2.4.)

    >>> import gradarray as ga
    >>> ga.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    GradArray([1. , 0.5], dtype=float64)
    """
    a, b = square(a, "solve"), floating(b, "solve")
    return _solved("solve", SolveGrad, a, b, fill=None)


def _solved(op: str, kind: Any, a: Any, b: Any, **params: Any) -> Any:
    """Vectors become matrices of one column, so that the op itself has one case."""
    if not b.ndim or b.shape[-1 if b.ndim == 1 else -2] != a.shape[-1]:
        raise ShapeError(
            message(
                op,
                f"matrices of shape {a.shape} and right-hand sides of shape {b.shape}.",
                "b is a vector (n,) or matrices (.., n, k) for matrices (.., n, n).",
            )
        )
    if b.ndim > 1:
        return apply(kind, a, b, **params)
    y = apply(kind, a, expand_dims(b, -1), **params)
    return reshape(y, y.shape[:-1])


class InvGrad(Custom):
    r"""y = x^{-1}. \dot y = -y \dot x y. With `fill` a singular matrix gives it."""

    trailing = True

    @staticmethod
    def forward(x: Any, *, fill: Any) -> Any:
        if fill is not None:
            return filled(np.linalg.inv, fill, x)
        return in_lapack(
            "inv",
            np.linalg.inv,
            x,
            what="it is singular, and has no inverse",
            mend="Use pinv for the pseudoinverse.",
        )

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        return -matmul(matmul(y, x_dot), y)

    @staticmethod
    def pull(y_bar: Any, y: Any) -> Any:
        y_t = turned(y)
        return -matmul(matmul(y_t, y_bar), y_t)

    tex = "{x}^{-1}"


@public(
    name="linalg.inv",
    numpy=np.linalg.inv,
    op=InvGrad,
    cases=[
        case(arr(3, 3, kind="regular")),
        case(arr(2, 1, 2, 2, kind="regular")),
        case(arr(3, 3, kind="complex")),
    ],
)
def inv(x: Any) -> GradArray:
    r"""y = x^{-1} of square matrices. \dot y = -y \dot x y.

    To solve equations use `solve`, which is faster and loses fewer digits. Raises LinAlgError for
    a singular matrix, naming its place in the stack. (Giles 2008, section 2.2.3.)

    >>> import gradarray as ga
    >>> ga.linalg.inv([[2.0, 0.0], [0.0, 4.0]])
    GradArray([[0.5 , 0.  ],
               [0.  , 0.25]], dtype=float64)
    """
    return apply(InvGrad, square(x, "inv"), fill=None)


def inverse_or(x: Any, fill: float) -> Any:
    """x^{-1}, and `fill` for every element of it where x is singular."""
    return apply(InvGrad, x, fill=fill)


# Triangular matrices ------------------------------------------------------------------------------


def _triangular_values(a: np.ndarray, b: np.ndarray, lower: bool, unit: bool) -> np.ndarray:
    dtype = np.result_type(a, b)
    if dtype.char not in _TRSM:
        raise TypeError(f"BLAS has no routine for {dtype}")
    n = a.shape[-1]
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if not unit and not (np.einsum("...ii->...i", a) != 0).all():
        raise LinAlgError
    trsm = getattr(lazy.blas, _TRSM[dtype.char])
    # To BLAS, which counts columns first, a and b are their transposes: x a^T = b^T.
    how = {"side": 1, "lower": not lower, "diag": unit}
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if not b.size or not math.prod(stack):
        return np.zeros((*stack, *b.shape[-2:]), dtype)
    if not stack:
        return trsm(1, a.T, b.T, **how).T
    a, b = (np.broadcast_to(x, (*stack, n, x.shape[-1])) for x in (a, b))
    y = np.empty(b.shape, dtype)
    for at in np.ndindex(*stack):
        y[at] = trsm(1, a[at].T, b[at].T, **how).T
    return y


class SolveTriangularGrad(Custom):
    r"""y = t^{-1} b, t the lower or upper triangle of a; \dot y = t^{-1} (\dot b - \dot t y).

    With `unit` the diagonal counts as ones, and has no derivative.
    """

    name = "solve_triangular"
    trailing = True

    @staticmethod
    def forward(a: Any, b: Any, *, lower: Any, unit: Any, fill: Any) -> Any:
        def solution(a: Any, b: Any) -> Any:
            return _with_shared(lambda a, b: _triangular_values(a, b, lower, unit), a, b)

        if fill is not None:
            return filled(solution, fill, a, b)
        return in_lapack(
            "solve_triangular", solution, a, b, what="it is singular, with a 0 on its diagonal"
        )

    @staticmethod
    def push(
        a: Any, y: Any, a_dot: Any, b_dot: Any, lower: Any, unit: Any, fill: Any
    ) -> Any:
        moved = b_dot - matmul(_triangle(a_dot, lower, unit), y)
        return apply(SolveTriangularGrad, a, moved, lower=lower, unit=unit, fill=fill)

    @staticmethod
    def pull(y_bar: Any, a: Any, y: Any, lower: Any, unit: Any, fill: Any) -> Any:
        b_bar = apply(
            SolveTriangularGrad, turned(a), y_bar, lower=not lower, unit=unit, fill=fill
        )
        return -_triangle(matmul(b_bar, turned(y)), lower, unit), b_bar

    tex = "{a}^{-1} {b}"


def _triangle(x: Any, lower: bool, unit: bool) -> Any:
    return tril(x, -1 if unit else 0) if lower else triu(x, 1 if unit else 0)


def triangular(a: Any, b: Any, lower: bool, fill: Any = None) -> Any:
    """t^{-1} b for stacks of matrices, t a triangle of a."""
    return apply(SolveTriangularGrad, a, b, lower=lower, unit=False, fill=fill)


_TRANS = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def _solve_triangular_values(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    def one(a: Any, b: Any) -> Any:
        return lazy.linalg.solve_triangular(a, b, trans, lower, unit_diagonal)

    if b.ndim == 1:
        return np.vectorize(one, signature="(n,n),(n)->(n)")(a, b)
    return np.vectorize(one, signature="(n,n),(n,k)->(n,k)")(a, b)


@public(
    name="linalg.solve_triangular",
    reference=_solve_triangular_values,
    op=SolveTriangularGrad,
    cases=[
        case(arr(3, 3, kind="spd"), arr(3)),
        case(arr(3, 3, kind="spd"), arr(3, 2), lower=True),
        case(arr(2, 3, 3, kind="spd"), arr(3, 2), lower=True),
        case(arr(3, 3, kind="spd"), arr(2, 3, 1), trans="T"),
        case(arr(2, 2, kind="complex"), arr(2), trans="C"),
        case(arr(3, 3, kind="spd"), arr(3), unit_diagonal=True),
        case(arr(2, 3, 3, kind="spd"), arr(3, 2), lower=True, unit_diagonal=True),
    ],
)
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> GradArray:
    r"""y = t^{-1} b, t the upper (or `lower`) triangle of a; the other triangle is not read.

    `trans`: 0 or "N" for t, 1 or "T" for t^T, 2 or "C" for t^H, as in SciPy. Shapes as in `solve`.
    The derivative with respect to a is 0 in the other triangle, and with `unit_diagonal`, which
    takes the diagonal as ones, on the diagonal. Raises LinAlgError for a 0 on the diagonal.

    >>> import gradarray as ga
    >>> ga.linalg.solve_triangular([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0], lower=True)
    GradArray([1., 2.], dtype=float64)
    """
    a, b = square(a, "solve_triangular"), floating(b, "solve_triangular")
    if trans not in _TRANS:
        raise ValueError(
            message("solve_triangular", f"trans={trans!r}; known are 0, 1, 2, 'N', 'T' and 'C'.")
        )
    how = _TRANS[trans]
    if how:
        a, lower = (adjoint(a) if how == 2 else turned(a)), not lower
    params = {"lower": bool(lower), "unit": bool(unit_diagonal), "fill": None}
    return _solved("solve_triangular", SolveTriangularGrad, a, b, **params)


# Tensors ------------------------------------------------------------------------------------------


@public(
    name="linalg.tensorsolve",
    numpy=np.linalg.tensorsolve,
    op=SolveGrad,
    cases=[
        case(arr(2, 3, 6), arr(2, 3)),
        case(arr(4, 2, 2, kind="regular"), arr(2, 2), axes=(0,)),
    ],
)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> GradArray:
    """y with tensordot(a, y, axes=y.ndim) = b: the first axes of a are those of b, the rest y's.

    `axes` of a are moved to its end first. Raises ShapeError where the two groups of axes of a
    have different sizes, LinAlgError where a is singular as a matrix between them.

    >>> import gradarray as ga
    >>> ga.linalg.tensorsolve(2 * ga.eye(4).reshape(2, 2, 4), ga.ones((2, 2)))
    GradArray([0.5, 0.5, 0.5, 0.5], dtype=float64)
    """
    a, b = floating(a, "tensorsolve"), floating(b, "tensorsolve")
    if axes is not None:
        moved = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
        a = moveaxis(a, moved, tuple(range(a.ndim - len(moved), a.ndim)))
    found = a.shape[b.ndim :]
    if math.prod(found) != b.size or math.prod(a.shape[: b.ndim]) != b.size:
        raise ShapeError(
            message(
                "tensorsolve",
                f"a of shape {a.shape} is not square between the {b.ndim} axes of b, of shape "
                f"{b.shape}, and those of the solution, {found}.",
            )
        )
    y = solve(reshape(a, (b.size, b.size)), reshape(b, (b.size,)))
    return reshape(y, found)


@public(
    name="linalg.tensorinv",
    numpy=np.linalg.tensorinv,
    op=InvGrad,
    cases=[
        case(arr(2, 2, 4)),
        case(arr(4, 2, 2), ind=1),
    ],
)
def tensorinv(a: Any, ind: int = 2) -> GradArray:
    """y with tensordot(y, b, axes=ind) the solution of tensordot(a, x, ..) = b.

    The first `ind` axes of a come last in y. Raises ShapeError where the two groups of axes have
    different sizes, LinAlgError where a is singular as a matrix between them.

    >>> import gradarray as ga
    >>> ga.linalg.tensorinv(2 * ga.eye(4).reshape(4, 2, 2), ind=1).shape
    (2, 2, 4)
    """
    a = floating(a, "tensorinv")
    ind = operator.index(ind)
    if ind < 1 or not a.ndim:
        raise ValueError(
            message("tensorinv", f"ind={ind} for {a.ndim} axes.", "Both are 1 or more.")
        )
    rows, columns = a.shape[:ind], a.shape[ind:]
    n = math.prod(rows)
    if math.prod(columns) != n:
        raise ShapeError(
            message(
                "tensorinv",
                f"shape {a.shape}: the first {ind} axes have {n} values, the rest "
                f"{math.prod(columns)}.",
                "They must be equally many.",
            )
        )
    return reshape(inv(reshape(a, (n, n))), (*columns, *rows))


