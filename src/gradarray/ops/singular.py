"""Singular values: svd, svdvals, and what is made of them: pinv, lstsq, matrix_rank, cond.

(M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008, section 3.2; M. Seeger et al., arXiv:1710.08717, 2017; G. H. Golub, V.
Pereyra, SIAM J. Numer. Anal. 10, 1973, for the pseudoinverse.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray
from ..choices import choice
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import absolute, absorb, sign
from .compare import equal, where
from .complex import conj, is_complex, real
from .contract import matmul
from .eigen import eigh, eigvalsh, gap_reciprocals, meets_the_next
from .join import concatenate
from .matrices import (
    adjoint,
    floating,
    hermitian_part,
    hermitian_values,
    in_lapack,
    matrices,
    per_column,
    per_row,
    real_diagonal,
    square,
    value_of,
)
from .move import flip
from .reduce import any, sum
from .shape import astype, expand_dims, reshape
from .sort import argsort
from .take import take_along_axis

_EQUAL_SINGULAR_VALUES = choice(
    "svd",
    "equal singular values",
    math.inf,
    between=(0.0, math.inf),
    at=lambda y: meets_the_next(y[1]),
    reason="their vectors turn infinitely fast; 0 is right for functions of the spaces they span",
)


# Singular values ----------------------------------------------------------------------------------


class SVDResult(NamedTuple):
    """x = U diag(S) Vh."""

    U: Any
    S: Any
    Vh: Any


class SVDGrad(Custom):
    r"""(u, s, v^H) with x = u diag(s) v^H, u^H u = v^H v = 1, s descending from 0 on.

    With p = u^H \dot x v = h + k, Hermitian and skew: \dot s = \Re diag p, \dot u = u (f \circ h
    + g \circ k), \dot v = v (f \circ h - g \circ k), f_ij = 1 / (s_j - s_i), g_ij = 1 / (s_i +
    s_j), and what of \dot x is outside of u and v over s on top. Further columns (`full`) are
    moved by what the first need, and not among themselves.
    """

    trailing = True

    @staticmethod
    def forward(x: Any, *, full: Any) -> Any:
        return tuple(in_lapack("svd", lambda x: np.linalg.svd(x, full_matrices=full), x))

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        u, s, vh = y
        k, (m, n) = s.shape[-1], x_dot.shape[-2:]
        u1, v1 = u[..., :k], adjoint(vh[..., :k, :])
        moved = matmul(x_dot, v1)  # m by k
        p = matmul(adjoint(u1), moved)
        f = gap_reciprocals(s, _EQUAL_SINGULAR_VALUES.value)
        both = per_row(s) + per_column(s)
        g = where(equal(both, 0), math.inf, 1 / where(equal(both, 0), 1, both))
        inside = hermitian_part(p)
        turning, twisting = absorb(f, inside), absorb(g, p - inside)
        u_dot, v_dot = matmul(u1, turning + twisting), matmul(v1, turning - twisting)
        if m > k:
            u_dot = _outside(u, u1, u_dot, moved, s)
        if n > k:
            v_dot = _outside(adjoint(vh), v1, v_dot, matmul(adjoint(x_dot), u1), s)
        return u_dot, real_diagonal(p), adjoint(v_dot)

    tex = r"\operatorname{svd} {x}"


def _outside(u: Any, u1: Any, u_dot: Any, moved: Any, s: Any) -> Any:
    """u_dot and the part of `moved` / s that is at right angles to the first columns u1 of u."""
    per_s = per_column(where(equal(s, 0), math.inf, 1 / where(equal(s, 0), 1, s)))
    rest = absorb(moved - matmul(u1, matmul(adjoint(u1), moved)), per_s)
    u_dot = u_dot + rest
    k = u1.shape[-1]
    if u.shape[-1] == k:
        return u_dot
    more = u[..., k:]
    return concatenate([u_dot, -matmul(u1, matmul(adjoint(rest), more))], -1)


class SvdvalsGrad(Custom):
    r"""s, the singular values of x, descending; \dot s = \Re diag(u^H \dot x v)."""

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return in_lapack("svdvals", lambda x: np.linalg.svd(x, compute_uv=False), x)

    @staticmethod
    def push(x: Any, x_dot: Any) -> Any:
        u, _, vh = apply(SVDGrad, x, full=False)
        # Column by column: u_j^H \dot x v_j.
        u = conj(u) if is_complex(u) else u
        return sum(real(u * matmul(x_dot, adjoint(vh))), axis=-2)

    tex = r"\sigma({x})"


_CASES = [
    case(arr(2, 2, kind="regular")),
    case(arr(2, 3, 2, kind="regular")),
    case(arr(2, 3, kind="regular")),
]


@public(
    name="linalg.svd",
    numpy=np.linalg.svd,
    op=SVDGrad,
    cases=[
        *_CASES,
        case(arr(4, 2, kind="regular"), full_matrices=False),
        case(arr(2, 2, 3, kind="regular"), full_matrices=False),
        case(arr(3, 2, kind="regular"), compute_uv=False),
    ],
)
def svd(
    x: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    r"""(U, S, Vh) with x = U diag(S) Vh, U^H U = Vh Vh^H = 1, S real and descending from 0 on.

    x: (.., m, n), k = min(m, n). U: (.., m, m), S: (.., k), Vh: (.., n, n); without
    `full_matrices` (.., m, k) and (.., k, n). \dot S_i = \Re u_i^H \dot x v_i. Without
    `compute_uv` S alone. `hermitian`: x is Hermitian, and `eigh` does the work.

    - Signs, and phases of complex vectors, are LAPACK's; a common phase of u_i and v_i does not
      move. What does not depend on the phases has the right derivative.
    - Equal values (to rounding): the sum of S over them has the right derivative, single ones
      that for the computed vectors. A derivative that uses the vectors is infinite or NaN, unless
      they may be taken as still: `set_subgradient("svd", 0.0)`, for functions of the spaces.
    - At S_i = 0, S_i is |.| of a signed value, and its derivative that for the computed u_i, v_i:
      one of the subgradients. That of vectors to it is infinite where m and n differ.
    - Columns beyond the k-th are one basis of many: functions of the space that they span have
      the right derivative.

    Raises LinAlgError where the iteration fails. (Giles 2008, section 3.2.)

    >>> import gradarray as ga
    >>> ga.linalg.svd([[0.0, 3.0], [4.0, 0.0]]).S
    GradArray([4., 3.], dtype=float64)
    """
    if hermitian:
        return _svd_of_hermitian(square(x, "svd"), compute_uv)
    x = matrices(x, "svd")
    if not compute_uv:
        return apply(SvdvalsGrad, x)
    return SVDResult(*apply(SVDGrad, x, full=bool(full_matrices)))


def _svd_of_hermitian(x: Any, compute_uv: bool) -> Any:
    if not compute_uv:
        return _descending(absolute(eigvalsh(x)))[0]
    w, v = eigh(x)
    s, order = _descending(absolute(w))
    u = take_along_axis(v, per_column(order), -1)
    signs = per_column(take_along_axis(sign(w), order, -1))
    return SVDResult(u, s, adjoint(u * signs))


def _descending(x: Any) -> tuple[Any, Any]:
    order = flip(argsort(x, -1), -1)
    return take_along_axis(x, order, -1), order


@public(name="linalg.svdvals", numpy=np.linalg.svdvals, op=SvdvalsGrad, cases=_CASES)
def svdvals(x: Any) -> GradArray:
    r"""s, the singular values of x, descending; \dot s_i = \Re u_i^H \dot x v_i.

    The first derivative is finite everywhere: at equal values right for their sum, at 0 one of
    the subgradients. The second then is infinite or NaN.

    >>> import gradarray as ga
    >>> ga.grad(lambda x: ga.linalg.svdvals(x)[0])(ga.array([[3.0, 0.0], [0.0, 4.0]]))
    GradArray([[0., 0.],
               [0., 1.]], dtype=float64)
    """
    return apply(SvdvalsGrad, matrices(x, "svdvals"))


# The pseudoinverse --------------------------------------------------------------------------------


class PinvGrad(Custom):
    r"""y = x^+. \dot y = -y \dot x y + y y^H \dot x^H (1 - x y) + (1 - y x) \dot x^H y^H y."""

    trailing = True

    @staticmethod
    def forward(x: Any, *, rcond: Any, hermitian: Any) -> Any:
        x = hermitian_values(x) if hermitian else x
        return in_lapack("pinv", lambda x: np.linalg.pinv(x, rcond, hermitian), x)

    @staticmethod
    def push(x: Any, y: Any, x_dot: Any, hermitian: Any) -> Any:
        if hermitian:
            x, x_dot = hermitian_part(x), hermitian_part(x_dot)
        moved = matmul(y, adjoint(matmul(x_dot, y)))  # y y^H \dot x^H
        turned_y = adjoint(matmul(y, x_dot))  # \dot x^H y^H
        left = moved - matmul(matmul(moved, x), y)
        right = matmul(turned_y, y)
        right = right - matmul(y, matmul(x, right))
        return left + right - matmul(matmul(y, x_dot), y)

    tex = "{x}^+"


def _pinv_values(x: Any, hermitian: bool = False, **how: Any) -> Any:
    x = hermitian_values(x) if hermitian else x
    return np.linalg.pinv(x, hermitian=hermitian, **how)


@public(
    name="linalg.pinv",
    numpy=np.linalg.pinv,
    reference=_pinv_values,
    op=PinvGrad,
    cases=[
        *_CASES,
        case(arr(2, 2, kind="spd"), hermitian=True),
        case(arr(3, 2, kind="complex")),
        case(arr(3, 2, kind="regular"), rtol=1e-8),
    ],
)
def pinv(
    x: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue
) -> GradArray:
    r"""y = x^+, the pseudoinverse: x y x = x, y x y = y, x y and y x Hermitian.

    \dot y = -y \dot x y + y y^H \dot x^H (1 - x y) + (1 - y x) \dot x^H y^H y, which is right
    where the rank does not change nearby. With `hermitian` x is taken as (x + x^H) / 2. Singular
    values up to `rcond` (1e-15; or `rtol`, whose None is max(m, n) eps) times the largest count
    as 0. (Golub & Pereyra 1973, theorem 4.3.)

    >>> import gradarray as ga
    >>> ga.linalg.pinv([[3.0], [4.0]])
    GradArray([[0.12, 0.16]], dtype=float64)
    """
    x = matrices(x, "pinv")
    if rtol is not np._NoValue:
        if rcond is not None:
            raise ValueError(message("pinv", "rcond and rtol are two names of one thing."))
        rcond = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    rcond = 1e-15 if rcond is None else rcond
    return apply(PinvGrad, x, rcond=rcond, hermitian=bool(hermitian))


# Least squares ------------------------------------------------------------------------------------


def _least_squares(a: np.ndarray, b: np.ndarray, rcond: float) -> np.ndarray:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    largest = s.max(-1, keepdims=True, initial=0)
    kept = s > rcond * largest
    inverse = np.where(kept, 1 / np.where(kept, s, 1), 0)[..., None]
    back = np.conj(np.swapaxes(u, -1, -2)) @ b
    return np.conj(np.swapaxes(vh, -1, -2)) @ (inverse * back)


class LstsqGrad(Custom):
    r"""y = a^+ b. \dot y = a^+ (\dot b - \dot a y) + a^+ a^{+H} \dot a^H (b - a y) + (1 - a^+ a)
    \dot a^H a^{+H} y."""

    trailing = True

    @staticmethod
    def forward(a: Any, b: Any, *, rcond: Any) -> Any:
        return in_lapack("lstsq", lambda a, b: _least_squares(a, b, rcond), a, b)

    @staticmethod
    def push(a: Any, b: Any, y: Any, a_dot: Any, b_dot: Any, rcond: Any) -> Any:
        p = apply(PinvGrad, a, rcond=rcond, hermitian=False)
        ph, ah_dot = adjoint(p), adjoint(a_dot)
        direct = matmul(p, b_dot - matmul(a_dot, y))
        residual = matmul(p, matmul(ph, matmul(ah_dot, b - matmul(a, y))))
        missing = matmul(ah_dot, matmul(ph, y))
        return direct + residual + missing - matmul(p, matmul(a, missing))

    tex = "{a}^+ {b}"


class LstsqResult(NamedTuple):
    """A solution of least squares, and what there is to say about it."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def _lstsq_values(a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = np.asarray_chkfinite(a), np.asarray_chkfinite(b)  # LAPACK would print complaints
    x, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    return x, residuals, int(rank), s


@public(
    name="linalg.lstsq",
    numpy=np.linalg.lstsq,
    reference=_lstsq_values,
    op=LstsqGrad,
    cases=[
        case(arr(4, 2, kind="regular"), arr(4)),
        case(arr(3, 2, kind="regular"), arr(3, 2)),
        case(arr(2, 4, kind="regular"), arr(2)),
        case(arr(3, 2, kind="complex"), arr(3)),
    ],
)
def lstsq(a: Any, b: Any, rcond: Any = None) -> LstsqResult:
    r"""(y, residuals, rank, s): y = a^+ b, the shortest y of those with the least |a y - b|.

    a: (.., m, n). b: (.., m, k), or (m,) for one vector. `residuals`: |a y - b|^2 of every column
    where m > n and the rank is n, else empty. Singular values s up to `rcond` (max(m, n) eps)
    times the largest count as 0. The derivative is right where the rank does not change nearby.
    Unlike NumPy's, for stacks too, and `rank` is an array. (Golub & Pereyra 1973.)

    >>> import gradarray as ga
    >>> ga.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0]).solution
    GradArray([1., 2.], dtype=float64)
    """
    a, b = matrices(a, "lstsq"), floating(b, "lstsq")
    m, n = a.shape[-2:]
    if not b.ndim or b.shape[-1 if b.ndim == 1 else -2] != m:
        raise ShapeError(
            message(
                "lstsq",
                f"matrices of shape {a.shape} and right-hand sides of shape {b.shape}.",
                f"Both have as many rows: b is ({m},) or (.., {m}, k).",
            )
        )
    if rcond is None:
        rcond = float(np.finfo(np.result_type(a.dtype, b.dtype)).eps) * max(m, n)
    columns = expand_dims(b, -1) if b.ndim == 1 else b
    y = apply(LstsqGrad, a, columns, rcond=rcond)
    s = svdvals(a)
    rank = sum(s > rcond * s[..., :1], axis=-1)
    residuals = _residuals(a, columns, y, rank)
    if b.ndim == 1:
        y = reshape(y, y.shape[:-1])
    return LstsqResult(y, residuals, rank, s)


def _residuals(a: Any, b: Any, y: Any, rank: Any) -> Any:
    m, n = a.shape[-2:]
    known = value_of(rank)
    if m <= n or (known is not None and (known < n).any()):
        return real(y[..., :0, 0])
    off = absolute(b - matmul(a, y))
    return sum(off * off, axis=-2)


# Rank and condition -------------------------------------------------------------------------------


class MatrixRankGrad(Custom):
    """The number of singular values above a tolerance; without derivative."""

    name = "matrix_rank"
    trailing = True

    @staticmethod
    def forward(x: Any, *, tol: Any, hermitian: Any, rtol: Any) -> Any:
        return np.asarray(np.linalg.matrix_rank(x, tol, hermitian, rtol=rtol))


@public(
    name="linalg.matrix_rank",
    numpy=np.linalg.matrix_rank,
    differentiable=False,
    cases=[case(arr(3, 3)), case(arr(2, 3, 2)), case(arr(2, 2)), case(arr(3))],
)
def matrix_rank(
    A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> GradArray:
    """The number of singular values above `tol`, or above `rtol` times the largest.

    Neither given: above max(m, n) eps times the largest. It has no derivative.

    >>> import gradarray as ga
    >>> ga.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]])
    GradArray(1, dtype=int64)
    """
    x = floating(A, "matrix_rank")
    if x.ndim < 2:
        return astype(any(x != 0), np.int64)  # a vector is a matrix of one row
    return apply(MatrixRankGrad, x, tol=tol, hermitian=bool(hermitian), rtol=rtol)
