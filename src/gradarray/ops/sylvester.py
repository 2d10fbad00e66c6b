"""Sylvester's equation a y + y b = q, and the square root of a matrix, of the same derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy
from ..array import GradArray
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .contract import matmul
from .matrices import LinAlgError, filled, in_lapack, matrices, square, turned

# The equation -------------------------------------------------------------------------------------


def _one_sylvester(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Of triangular matrices the columns of y follow one after the other."""
    dtype = np.result_type(a, b, q)
    if not q.size or not all(np.isfinite(x).all() for x in (a, b, q)):
        return np.full(q.shape, np.nan, dtype)
    r, u = lazy.linalg.schur(a, output="complex")
    s, v = lazy.linalg.schur(b, output="complex")
    sums = np.diag(r)[:, None] + np.diag(s)
    if (np.abs(sums) <= np.finfo(dtype).eps * (np.abs(r).max() + np.abs(s).max())).any():
        raise LinAlgError
    y = u.conj().T @ q @ v
    eye = np.eye(len(r), dtype=r.dtype)
    for j in range(len(s)):
        y[:, j] -= y[:, :j] @ s[:j, j]
        y[:, j] = lazy.linalg.solve_triangular(r + s[j, j] * eye, y[:, j])
    y = u @ y @ v.conj().T
    return (y if dtype.kind == "c" else y.real).astype(dtype, copy=False)


def each(fn: Any, *operands: np.ndarray) -> np.ndarray:
    """fn of every matrix of a stack; the result has the form of the last operand."""
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
    if not stack:
        return fn(*operands)
    spread = [np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in operands]
    y = np.empty(spread[-1].shape, np.result_type(*operands))
    for at in np.ndindex(*stack):
        y[at] = fn(*(x[at] for x in spread))
    return y


class SylvesterGrad(Custom):
    r"""a y + y b = q. a \dot y + \dot y b = \dot q - \dot a y - y \dot b.

    With `fill` a and b that have no one solution give it, and do not raise.
    """

    name = "solve_sylvester"
    trailing = True

    @staticmethod
    def forward(a: Any, b: Any, q: Any, *, fill: Any) -> Any:
        def solution(a: Any, b: Any, q: Any) -> Any:
            return each(_one_sylvester, a, b, q)

        if fill is not None:
            return filled(solution, fill, a, b, q)
        return in_lapack(
            "solve_sylvester",
            solution,
            a,
            b,
            q,
            what="a and -b have an eigenvalue in common, so there is no one solution",
        )

    @staticmethod
    def push(a: Any, b: Any, y: Any, a_dot: Any, b_dot: Any, q_dot: Any, fill: Any) -> Any:
        return sylvester(a, b, q_dot - matmul(a_dot, y) - matmul(y, b_dot), fill)

    @staticmethod
    def pull(y_bar: Any, a: Any, b: Any, y: Any, fill: Any) -> Any:
        q_bar = sylvester(turned(a), turned(b), y_bar, fill)
        y_t = turned(y)
        return -matmul(q_bar, y_t), -matmul(y_t, q_bar), q_bar

    tex = "{a} y + y {b} = {q}"


def sylvester(a: Any, b: Any, q: Any, fill: Any) -> Any:
    return apply(SylvesterGrad, a, b, q, fill=fill)


def _by_kronecker(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """a y + y b = q as one system for the values of y in C order."""
    a, b, q = map(np.asarray_chkfinite, (a, b, q))
    m, n = q.shape[-2:]
    eye_m, eye_n = np.eye(m, dtype=a.dtype), np.eye(n, dtype=b.dtype)
    left = np.einsum("...ik,jl->...ijkl", a, eye_n)
    right = np.einsum("ik,...lj->...ijkl", eye_m, b)
    system = (left + right).reshape(*np.broadcast_shapes(left.shape, right.shape)[:-4], m * n, -1)
    y = np.linalg.solve(system, q.reshape(*q.shape[:-2], m * n, 1))
    return y.reshape(*y.shape[:-2], m, n)


@public(
    name="linalg.solve_sylvester",
    reference=_by_kronecker,
    op=SylvesterGrad,
    cases=[
        case(arr(3, 3, kind="spd"), arr(2, 2, kind="spd"), arr(3, 2)),
        case(arr(2, 3, 3, kind="spd"), arr(2, 2, kind="spd"), arr(2, 3, 2)),
        case(arr(2, 2, kind="spd"), arr(2, 2, kind="complex"), arr(2, 2)),
    ],
)
def solve_sylvester(a: Any, b: Any, q: Any) -> GradArray:
    r"""y with a y + y b = q, Sylvester's equation.

    a: (.., m, m), b: (.., n, n), q: (.., m, n). The derivatives are equations of the same form.
    Raises LinAlgError where a and -b have an eigenvalue in common, ShapeError for shapes that do
    not fit. (R. H. Bartels, G. W. Stewart, Comm. ACM 15, 1972.)

    >>> import gradarray as ga
    >>> ga.linalg.solve_sylvester([[1.0]], [[3.0]], [[8.0]])
    GradArray([[2.]], dtype=float64)
    """
    op = "solve_sylvester"
    a, b, q = square(a, op), square(b, op), matrices(q, op)
    if q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            message(
                op,
                f"shapes {a.shape}, {b.shape} and {q.shape}.",
                "For a of (.., m, m) and b of (.., n, n) q is (.., m, n).",
            )
        )
    return sylvester(a, b, q, None)


# The square root ----------------------------------------------------------------------------------


def triangular_root(t: np.ndarray) -> np.ndarray:
    """The square root of an upper triangular matrix, a column at a time."""
    y = np.diag(np.sqrt(np.diag(t)))
    for j in range(len(t)):
        for i in range(j - 1, -1, -1):
            rest = t[i, j] - y[i, i + 1 : j] @ y[i + 1 : j, j]
            both = y[i, i] + y[j, j]
            if not both and rest:
                raise LinAlgError
            y[i, j] = rest / both if both else 0
    return y


def on_schur_form(fn: Any, x: np.ndarray, lowest: bool) -> np.ndarray:
    """z fn(t) z^H with x = z t z^H, t triangular; real if x is.

    Raises LinAlgError for real x with an eigenvalue below 0 (at 0 too if `lowest`), where the
    function has no real value.
    """
    if not x.size or not np.isfinite(x).all():
        return np.full(x.shape, np.nan, x.dtype)
    t, z = lazy.linalg.schur(x, output="complex")
    w: Any = np.diag(t)
    if x.dtype.kind != "c":
        on_axis = np.abs(w.imag) <= 4 * len(w) * np.finfo(x.dtype).eps * np.abs(w)
        if (on_axis & (w.real < 0)).any():
            raise LinAlgError
    if lowest and not w.all():
        raise LinAlgError
    y = z @ fn(t) @ z.conj().T
    return (y if x.dtype.kind == "c" else y.real).astype(x.dtype, copy=False)


class SqrtmGrad(Custom):
    r"""y y = x, every eigenvalue of y with a real part above 0. y \dot y + \dot y y = \dot x."""

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return in_lapack(
            "sqrtm",
            lambda x: each(lambda x: on_schur_form(triangular_root, x, False), x),
            x,
            what="it has no square root of its dtype",
            mend="A real matrix with a negative eigenvalue has a complex one: x.astype(complex).",
        )

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        return sylvester(y, y, x_dot, np.inf)

    @staticmethod
    def pull(y_bar: Any, y: Any) -> Any:
        y_t = turned(y)
        return sylvester(y_t, y_t, y_bar, np.inf)

    tex = "{x}^{1/2}"


def by_scipy(name: str) -> Any:
    """SciPy's function of a matrix, for finite ones; not for a step of 1e-30, which it loses."""

    def values(x: Any) -> Any:
        x = np.asarray_chkfinite(x)
        if x.ndim < 2 or (x.dtype.kind == "c" and np.abs(x.imag).max(initial=0) < 1e-20):
            raise ValueError("not for this")
        return each(getattr(lazy.linalg, name), x)

    return values


@public(
    name="linalg.sqrtm",
    reference=by_scipy("sqrtm"),
    op=SqrtmGrad,
    cases=[
        case(arr(3, 3, kind="spd")),
        case(arr(2, 2, 2, kind="spd")),
        case(arr(2, 2, kind="complex")),
    ],
)
def sqrtm(x: Any) -> GradArray:
    r"""The principal square root: y y = x, eigenvalues of y with a real part above 0.

    y \dot y + \dot y y = \dot x, which is Sylvester's equation; infinite where x is singular. A
    real matrix has a real root. Raises LinAlgError where it has none: a negative eigenvalue (give
    complex numbers), or an eigenvalue 0 in a Jordan block. (A. Bjorck, S. Hammarling, Linear
    Algebra Appl. 52, 1983; N. J. Higham, "Functions of Matrices", 2008, section 6.2.)

    >>> import gradarray as ga
    >>> ga.linalg.sqrtm([[4.0, 1.0], [0.0, 4.0]])
    GradArray([[2.  , 0.25],
               [0.  , 2.  ]], dtype=float64)
    """
    return apply(SqrtmGrad, square(x, "sqrtm"))
