"""Determinants: det, slogdet, and the matrix of cofactors, which is right at singular matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray
from ..custom import Custom
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import absolute, absorb
from .compare import where
from .complex import imag, is_complex, real
from .contract import matmul
from .control import TrustGrad, stop_gradient
from .join import concatenate, stack
from .linsolve import inverse_or
from .matrices import filled, on_diagonal, square, turned, value_of
from .move import flip
from .reduce import max, sum
from .shape import expand_dims
from .vectors import cross

# Cofactors ----------------------------------------------------------------------------------------


def cofactors(x: Any, det: Any) -> Any:
    r"""The cofactors C of x, C_ij = d det x / d x_ij, in operations that have all derivatives.

    Of a regular matrix C = det(x) x^{-T}. A singular one is turned by unitary matrices, which are
    constants, into blocks of which only the first is regular; of the last, the part of x that
    vanishes, all derivatives are those of sums and products.
    """
    known = value_of(x)
    if known is None:
        return _unseen(x, det)
    if not known.size:
        return _regular(x, det)
    deficit = _deficits(known)
    if not deficit.any():
        return _regular(x, det)
    singular = (deficit > 0)[..., None, None]
    n = x.shape[-1]
    u, _, vh = np.linalg.svd(np.where(singular, known, 0))
    regular = _regular(where(singular, np.eye(n, dtype=x.dtype), x), det)
    return where(singular, _by_blocks(where(singular, x, 0), u, vh, n - deficit.max()), regular)


def _regular(x: Any, det: Any) -> Any:
    return _of_matrix(det) * turned(inverse_or(x, np.nan))


def _unseen(x: Any, det: Any) -> Any:
    """The cofactors of matrices of which only the form is known, as in a recording."""
    n = x.shape[-1]
    if n <= 3:
        return _minors(x)
    y = inverse_or(x, np.nan)
    sizes = absolute(x), absolute(y)
    a, b = (max(sum(size, axis=-2), axis=-1) for size in sizes)
    fine = stop_gradient(a * b * (n * float(np.finfo(x.dtype).eps)) < 1)
    return _of_matrix(det) * turned(apply(TrustGrad, y, _of_matrix(fine)))


def _minors(x: Any) -> Any:
    """The cofactors of matrices of up to three rows, written out: right for every rank."""
    n = x.shape[-1]
    if n == 0:
        return x
    rows = [x[..., k, :] for k in range(n)]
    if n == 1:
        return x * 0.0 + 1.0
    if n == 2:
        signs = np.array([1.0, -1.0], x.dtype)
        return stack([flip(rows[1], -1) * signs, flip(rows[0], -1) * -signs], -2)
    return stack([cross(rows[(k + 1) % 3], rows[(k + 2) % 3]) for k in range(3)], -2)


def _deficits(x: np.ndarray) -> np.ndarray:
    """By how much the rank of each matrix falls short, to the rounding of its largest value."""
    n = x.shape[-1]
    y = filled(np.linalg.inv, np.inf, x)
    # A bound on the condition: most matrices are so far from singular that it says enough.
    with np.errstate(invalid="ignore"):
        sizes = np.abs(x).sum(-2).max(-1) * np.abs(y).sum(-2).max(-1)
        doubtful = np.asarray(~(sizes * n * np.finfo(x.dtype).eps < 1))
    out = np.zeros(doubtful.shape, int)
    doubtful &= np.isfinite(x).all((-1, -2))
    if doubtful.any():
        out[doubtful] = n - np.linalg.matrix_rank(x[doubtful])
    return out


def _by_blocks(x: Any, u: np.ndarray, vh: np.ndarray, rank: int) -> Any:
    """The cofactors of x from m = u^H x v in blocks: a (rank by rank), b, c, d.

    det x = det(u v^H) det(a) det(d - c a^{-1} b).
    """
    uh, v = np.conj(np.swapaxes(u, -1, -2)), np.conj(np.swapaxes(vh, -1, -2))
    turn = np.linalg.det(u) * np.linalg.det(vh)
    m = matmul(matmul(uh, x), v)
    a, b = m[..., :rank, :rank], m[..., :rank, rank:]
    c, d = m[..., rank:, :rank], m[..., rank:, rank:]
    if not rank:
        return _turned_back(_faddeev(d)[0], uh, v, turn)
    a_inv = inverse_or(a, np.nan)
    left, right = matmul(c, a_inv), matmul(a_inv, b)
    small, det_small = _faddeev(d - matmul(left, b))
    top = _of_matrix(det_small) * a_inv + matmul(matmul(right, small), left)
    rows = [[top, -matmul(right, small)], [-matmul(small, left), small]]
    whole = concatenate([concatenate(row, -1) for row in rows], -2)
    return _turned_back(_of_matrix(det(a)) * whole, uh, v, turn)


def _turned_back(adj: Any, uh: np.ndarray, v: np.ndarray, turn: Any) -> Any:
    """The cofactors of x from the adjugate of u^H x v."""
    return turned(matmul(matmul(v, adj), uh) * np.asarray(turn)[..., None, None])


def _of_matrix(d: Any) -> Any:
    return expand_dims(expand_dims(d, -1), -1)


def _faddeev(x: Any) -> tuple[Any, Any]:
    """(adj x, det x) by sums and products of matrices alone, divided by 1 .. n only.

    (D. K. Faddeev and U. J. Le Verrier; F. R. Gantmacher, "The Theory of Matrices", IV, 5.)
    """
    n = x.shape[-1]
    eye = np.eye(n, dtype=x.dtype)
    adj: Any = np.broadcast_to(eye, x.shape)
    c: Any = 1.0
    for k in range(1, n + 1):
        product = matmul(x, adj)
        c = sum(on_diagonal(product), axis=-1) / k
        if k < n:
            adj = _of_matrix(c) * eye - product
    return adj, c


# det ----------------------------------------------------------------------------------------------


class DetGrad(Custom):
    r"""y = \det x. \dot y = \sum_{ij} C_{ij} \dot x_{ij}, C the cofactors."""

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return np.linalg.det(x)

    @staticmethod
    def push(x: Any, y: Any, x_dot: Any) -> Any:
        return sum(cofactors(x, y) * x_dot, axis=(-2, -1))

    @staticmethod
    def pull(y_bar: Any, x: Any, y: Any) -> Any:
        return _of_matrix(y_bar) * cofactors(x, y)

    tex = r"\det {x}"


@public(
    name="linalg.det",
    numpy=np.linalg.det,
    op=DetGrad,
    orders=3,
    cases=[case(arr(3, 3)), case(arr(2, 1, 2, 2)), case(arr(2, 2, kind="complex"))],
)
def det(x: Any) -> GradArray:
    r"""y = \det x of square matrices. dy/dx_ij = C_ij, the cofactor; det(x) x^{-T} where regular.

    Derivatives of every order are right at singular matrices too, of any rank: det is a
    polynomial. For a large matrix take `slogdet`, which does not overflow. (Giles 2008, section
    2.2.2; G. W. Stewart, Linear Algebra Appl. 283, 1998, for the adjugate from singular values.)

    >>> import gradarray as ga
    >>> ga.grad(ga.linalg.det)(ga.array([[1.0, 2.0], [2.0, 4.0]]))
    GradArray([[ 4., -2.],
               [-2.,  1.]], dtype=float64)
    """
    return apply(DetGrad, square(x, "det"))


# slogdet ------------------------------------------------------------------------------------------


class SlogdetResult(NamedTuple):
    """det x = sign exp(logabsdet)."""

    sign: Any
    logabsdet: Any


class SlogdetGrad(Custom):
    r"""(s, l) with \det x = s e^l. With t = tr(x^{-1} \dot x): \dot l = \Re t, \dot s = i s \Im t.

    The sign of a real determinant does not move.
    """

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return tuple(np.linalg.slogdet(x))

    @staticmethod
    def push(x: Any, y: Any, x_dot: Any) -> Any:
        t = sum(absorb(turned(inverse_or(x, np.inf)), x_dot), axis=(-2, -1))
        if not is_complex(t):
            return absorb(t, 0.0), t
        return y[0] * imag(t) * 1j, real(t)

    @staticmethod
    def pull(y_bar: Any, x: Any, y: Any) -> Any:
        s_bar, l_bar = y_bar
        if is_complex(y[0]):
            # Re(s_bar i s Im t) = Re(-i Re(i s_bar s) t): the pairing without a conjugate.
            l_bar = l_bar - 1j * real(s_bar * y[0] * 1j)
        return absorb(_of_matrix(l_bar), turned(inverse_or(x, np.inf)))

    tex = r"\log |\det {x}|"


@public(
    name="linalg.slogdet",
    numpy=np.linalg.slogdet,
    op=SlogdetGrad,
    cases=[case(arr(3, 3)), case(arr(2, 1, 2, 2)), case(arr(2, 2, kind="complex"))],
)
def slogdet(x: Any) -> SlogdetResult:
    r"""(sign, logabsdet) with \det x = sign exp(logabsdet), which neither over- nor underflows.

    d logabsdet / dx = x^{-T}. At a singular matrix (0, -inf), with infinite derivatives. (Giles
    2008, section 2.2.2.)

    >>> import gradarray as ga
    >>> ga.linalg.slogdet([[0.0, 2.0], [3.0, 0.0]]).sign
    GradArray(-1., dtype=float64)
    """
    return SlogdetResult(*apply(SlogdetGrad, square(x, "slogdet")))
