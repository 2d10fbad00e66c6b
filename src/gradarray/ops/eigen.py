"""Eigenvalues and eigenvectors: eigh, eigvalsh of Hermitian matrices, eig, eigvals of any.

Where eigenvalues meet, derivatives of single ones do not exist; sums over those that are equal
have them, and get them. (P. Lancaster, "On eigenvalues of matrices dependent on a parameter",
Numer. Math. 6, 1964; M. B. Giles, "Collected matrix derivative results for forward and reverse
mode algorithmic differentiation", 2008, section 3.1; M. Seeger et al., arXiv:1710.08717, 2017.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray
from ..choices import choice
from ..custom import Custom
from ..errors import message
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import absolute, absorb
from .compare import equal, less_equal, where
from .complex import conj, imag, is_complex, real
from .contract import matmul
from .frame import tril, triu
from .linsolve import SolveGrad
from .matrices import (
    adjoint,
    hermitian_part,
    hermitian_values,
    in_lapack,
    on_diagonal,
    per_column,
    per_row,
    real_diagonal,
    square,
)
from .reduce import argmax, max, sum


def meets_the_next(values: Any) -> Any:
    """Where two neighbours of an ordered spectrum are equal to rounding."""
    size = np.max(np.abs(values), axis=-1, keepdims=True, initial=0)
    return np.abs(np.diff(values)) <= values.shape[-1] * np.finfo(size.dtype).eps * size


_EQUAL_EIGENVALUES = choice(
    "eigh",
    "equal eigenvalues",
    math.inf,
    between=(0.0, math.inf),
    at={op: lambda y: meets_the_next(np.sort(y[0])) for op in ("eigh", "eig")},
    reason="their vectors turn infinitely fast; 0 is right for functions of the space they span",
)


def gap_reciprocals(values: Any, equal_gaps: float) -> Any:
    """f_ij = 1 / (w_j - w_i), 0 on the diagonal, `equal_gaps` where the two are equal.

    Equal to rounding, n eps max |w|: a smaller gap has no digit of its own.
    """
    gap = per_column(values) - per_row(values)
    n = values.shape[-1]
    size = absolute(values)
    eps = float(np.finfo(size.dtype).eps)
    scale = max(size, axis=-1, keepdims=True) * (n * eps) if n else size
    met = less_equal(absolute(gap), per_row(scale))
    f = 1 / where(met, 1, gap)
    side = np.where(np.tri(n, k=-1, dtype=bool), -equal_gaps, equal_gaps)
    np.fill_diagonal(side, 0.0)
    return where(met, side.astype(size.dtype), f)


# Hermitian matrices -------------------------------------------------------------------------------


class EighResult(NamedTuple):
    """x = eigenvectors diag(eigenvalues) eigenvectors^H."""

    eigenvalues: Any
    eigenvectors: Any


class EighGrad(Custom):
    r"""(w, v) of the Hermitian part of x: x v = v diag(w), v^H v = 1, w ascending.

    With g = v^H \dot x v: \dot w = \Re diag g, \dot v = v (f \circ g), f_ij = 1 / (w_j - w_i).
    """

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return tuple(in_lapack("eigh", np.linalg.eigh, hermitian_values(x)))

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        w, v = y
        g = hermitian_part(matmul(matmul(adjoint(v), x_dot), v))
        f = gap_reciprocals(w, _EQUAL_EIGENVALUES.value)
        return real_diagonal(g), matmul(v, absorb(f, g))

    tex = r"\operatorname{eigh} {x}"


class EigvalshGrad(Custom):
    r"""w, the eigenvalues of the Hermitian part of x; \dot w = \Re diag(v^H \dot x v)."""

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return in_lapack("eigvalsh", np.linalg.eigvalsh, hermitian_values(x))

    @staticmethod
    def push(x: Any, x_dot: Any) -> Any:
        _, v = apply(EighGrad, x)
        # Column by column: v_j^H \dot x v_j.
        return sum(real(_conj(v) * matmul(hermitian_part(x_dot), v)), axis=-2)

    tex = r"\operatorname{eigvalsh} {x}"


def _conj(x: Any) -> Any:
    return conj(x) if is_complex(x) else x


def _one_triangle(x: Any, uplo: Any, op: str) -> Any:
    """x, or the Hermitian matrices of which only a triangle is given."""
    x = square(x, op)
    if uplo is None:
        return x
    if str(uplo).upper() not in ("L", "U"):
        raise ValueError(message(op, f"UPLO={uplo!r}; known are 'L', 'U' and None (both)."))
    lower = str(uplo).upper() == "L"
    return tril(x) + adjoint(tril(x, -1)) if lower else triu(x) + adjoint(triu(x, 1))


def _eigh_values(x: Any, UPLO: Any = None) -> Any:
    return np.linalg.eigh(hermitian_values(x)) if UPLO is None else np.linalg.eigh(x, UPLO)


@public(
    name="linalg.eigh",
    numpy=np.linalg.eigh,
    reference=_eigh_values,
    op=EighGrad,
    cases=[
        case(arr(3, 3, kind="spd")),
        case(arr(2, 3, 3, kind="spd"), "L"),
        case(arr(2, 2, kind="spd"), UPLO="U"),
        case(arr(1, 1)),
    ],
)
def eigh(x: Any, UPLO: Any = None) -> EighResult:
    r"""(w, v) of Hermitian matrices: x v = v diag(w), v^H v = 1, w real and ascending.

    \dot w_i = v_i^H \dot x v_i, \dot v_i = \sum_{j \ne i} v_j (v_j^H \dot x v_i) / (w_i - w_j).

    x is taken as (x + x^H) / 2 (for a Hermitian x as NumPy), so that its gradient is Hermitian
    too; with `UPLO` "L" or "U" one triangle is read, and only it has a derivative.

    - Signs, and phases of complex vectors, are LAPACK's. A vector moves at right angles to itself,
      v_i^H \dot v_i = 0: what does not depend on the phases has the right derivative.
    - Equal eigenvalues (to rounding): the sum of w over them has the right derivative, a single
      one that for the computed v. Their vectors may turn infinitely fast, so a derivative that
      uses v is infinite or NaN. For a function of the space that they span alone (a projector)
      turning counts for nothing: compute it within `set_subgradient("eigh", 0.0)`.

    Raises LinAlgError where the iteration fails. (Giles 2008, section 3.1.)

    >>> import gradarray as ga
    >>> ga.linalg.eigh([[2.0, 1.0], [1.0, 2.0]]).eigenvalues
    GradArray([1., 3.], dtype=float64)
    """
    return EighResult(*apply(EighGrad, _one_triangle(x, UPLO, "eigh")))


def _eigvalsh_values(x: Any, UPLO: Any = None) -> Any:
    return np.linalg.eigvalsh(hermitian_values(x)) if UPLO is None else np.linalg.eigvalsh(x, UPLO)


@public(
    name="linalg.eigvalsh",
    numpy=np.linalg.eigvalsh,
    reference=_eigvalsh_values,
    op=EigvalshGrad,
    cases=[
        case(arr(3, 3, kind="spd")),
        case(arr(2, 3, 3, kind="spd"), "U"),
    ],
)
def eigvalsh(x: Any, UPLO: Any = None) -> GradArray:
    r"""w, the eigenvalues of Hermitian matrices, ascending: \dot w_i = v_i^H \dot x v_i.

    The first derivative is finite everywhere: at equal eigenvalues right for their sum. The
    second then is infinite or NaN. `UPLO` as in `eigh`.

    >>> import gradarray as ga
    >>> ga.grad(lambda x: ga.linalg.eigvalsh(x)[1])(ga.array([[2.0, 1.0], [1.0, 2.0]]))
    GradArray([[0.5, 0.5],
               [0.5, 0.5]], dtype=float64)
    """
    return apply(EigvalshGrad, _one_triangle(x, UPLO, "eigvalsh"))


# Any matrices -------------------------------------------------------------------------------------


class EigResult(NamedTuple):
    """x eigenvectors = eigenvectors diag(eigenvalues)."""

    eigenvalues: Any
    eigenvectors: Any


class EigGrad(Custom):
    r"""(w, v), complex: x v = v diag(w), every column of v of norm 1, its largest entry real.

    With c = v^{-1} \dot x v: \dot w = diag c, and \dot v = v (f \circ c) up to a multiple of each
    column, which is what keeps the norm and the phase.
    """

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        w, v = in_lapack("eig", np.linalg.eig, x)
        dtype = np.result_type(x, np.complex64)
        return w.astype(dtype), v.astype(dtype)

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        w, v = y
        c = apply(SolveGrad, v, matmul(x_dot, v), fill=np.nan)
        u = matmul(v, absorb(gap_reciprocals(w, _EQUAL_EIGENVALUES.value), c))
        along = u * conj(v)
        anchor = _anchor(v)
        shrink = sum(real(along), axis=-2, keepdims=True)
        size = sum(where(anchor, real(v * conj(v)), 0), axis=-2, keepdims=True)
        turn = sum(where(anchor, imag(along), 0), axis=-2, keepdims=True) / size
        return on_diagonal(c), u - v * (shrink + 1j * turn)

    tex = r"\operatorname{eig} {x}"


def _anchor(v: Any) -> Any:
    """Of each column the entry that LAPACK made real: the largest of those that are."""
    if not v.shape[-1]:
        return np.zeros(v.shape, bool)
    at = argmax(where(equal(imag(v), 0), absolute(v), -1), axis=-2)
    rows = np.arange(v.shape[-2])[:, None]
    return equal(per_column(at), rows)


def _complex_eig(x: Any) -> Any:
    w, v = np.linalg.eig(x)
    dtype = np.result_type(x, np.complex64)
    return w.astype(dtype), v.astype(dtype)


@public(
    name="linalg.eig",
    numpy=np.linalg.eig,
    reference=_complex_eig,
    op=EigGrad,
    cases=[case(arr(3, 3)), case(arr(2, 2, 2)), case(arr(2, 2, kind="complex"))],
)
def eig(x: Any) -> EigResult:
    r"""(w, v) of any square matrices: x v = v diag(w), columns of v of norm 1. Always complex.

    \dot w = diag c with c = v^{-1} \dot x v, \dot v = v (f \circ c + diag d), f_ij = 1 / (w_j -
    w_i); d keeps the norm of each vector, and its largest entry real, as LAPACK has them. The
    dtype does not depend on values: real eigenvalues are complex numbers too. At equal eigenvalues
    as in `eigh`; where the vectors are dependent (a defective matrix) infinite or NaN. (Giles
    2008, section 3.1; LAPACK, xGEEV, for the scaling.)

    >>> import gradarray as ga
    >>> ga.linalg.eig([[0.0, -1.0], [1.0, 0.0]]).eigenvalues
    GradArray([0.+1.j, 0.-1.j], dtype=complex128)
    """
    return EigResult(*apply(EigGrad, square(x, "eig")))


@public(
    name="linalg.eigvals",
    numpy=np.linalg.eigvals,
    reference=lambda x: _complex_eig(x)[0],
    op=EigGrad,
    cases=[case(arr(3, 3)), case(arr(2, 2, 2))],
)
def eigvals(x: Any) -> GradArray:
    r"""w, the eigenvalues of any square matrices, complex and in the order of `eig`.

    \dot w = diag(v^{-1} \dot x v).

    >>> import gradarray as ga
    >>> ga.linalg.eigvals([[2.0, 1.0], [0.0, 3.0]])
    GradArray([2.+0.j, 3.+0.j], dtype=complex128)
    """
    return apply(EigGrad, square(x, "eigvals"))[0]
