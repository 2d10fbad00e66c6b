"""Triangular factors: cholesky and qr.

The derivatives follow from differentiating the product and splitting it into a part that a
triangular factor can take and one that an orthogonal factor can take. (S. F. Walter, "Structured
higher-order algorithmic differentiation in the forward and reverse mode with application in
optimum experimental design", PhD thesis, HU Berlin, 2012; M. Seeger et al., "Auto-differentiating
linear algebra", 2017, arXiv:1710.08717.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray
from ..custom import Custom
from ..errors import message
from ..record import apply
from ..registry import arr, case, public
from .complex import imag, is_complex
from .contract import matmul
from .frame import tril
from .join import concatenate
from .linsolve import triangular
from .matrices import (
    adjoint,
    hermitian_part,
    hermitian_values,
    in_lapack,
    matrices,
    on_diagonal,
    per_column,
    square,
    turned,
)

# Cholesky -----------------------------------------------------------------------------------------


class CholeskyGrad(Custom):
    r"""y lower triangular with y y^H = x, the Hermitian part of the operand.

    \dot y = y \Phi(y^{-1} \dot x y^{-H}), \Phi the lower triangle with half the diagonal.
    """

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return in_lapack(
            "cholesky",
            np.linalg.cholesky,
            hermitian_values(x),
            what="it is not positive definite",
            mend="Add a small multiple of the identity, or use eigh.",
        )

    @staticmethod
    def push(y: Any, x_dot: Any) -> Any:
        half = triangular(y, hermitian_part(x_dot), lower=True)
        s = triangular(y, adjoint(half), lower=True)
        return matmul(y, 0.5 * (tril(s) + tril(s, -1)))

    tex = r"\operatorname{chol} {x}"


def _cholesky_values(x: Any, *, upper: bool = False) -> Any:
    return np.linalg.cholesky(hermitian_values(x), upper=upper)


@public(
    name="linalg.cholesky",
    numpy=np.linalg.cholesky,
    reference=_cholesky_values,
    op=CholeskyGrad,
    cases=[
        case(arr(3, 3, kind="spd")),
        case(arr(2, 3, 3, kind="spd"), upper=True),
        case(arr(1, 1, kind="spd")),
    ],
)
def cholesky(x: Any, *, upper: bool = False) -> GradArray:
    r"""y lower triangular with a positive diagonal and y y^H = x; with `upper` y^H y = x.

    x is taken as (x + x^H) / 2 (NumPy reads one triangle: the same for a Hermitian x), so that its
    gradient is Hermitian too. Raises LinAlgError where x is not positive definite, naming its
    place in the stack. (Walter 2012, section 2.5; I. Murray, arXiv:1602.07527.)

    >>> import gradarray as ga
    >>> ga.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]])
    GradArray([[2., 0.],
               [1., 2.]], dtype=float64)
    """
    y = apply(CholeskyGrad, square(x, "cholesky"))
    return adjoint(y) if upper else y


# QR -----------------------------------------------------------------------------------------------


class QRResult(NamedTuple):
    """x = Q R."""

    Q: Any
    R: Any


class QRGrad(Custom):
    r"""(q, r) with q r = x, q^H q = 1, r upper triangular with a real diagonal.

    Of the first k = min(m, n) columns: with c = q^H \dot x r^{-1} and the skew-Hermitian
    \Omega = c_< - c_<^H + i \Im diag c, \dot r = (c - \Omega) r, \dot q = \dot x r^{-1} -
    q (c - \Omega). Columns of x beyond the m-th add \dot r = q^H \dot x - \Omega r; columns of
    q beyond the n-th (`complete`) are moved by what those before them need, and not among
    themselves.
    """

    trailing = True

    @staticmethod
    def forward(x: Any, *, complete: Any) -> Any:
        return tuple(np.linalg.qr(x, "complete" if complete else "reduced"))

    @staticmethod
    def push(y: Any, x_dot: Any, complete: Any) -> Any:
        q, r = y
        m, n = x_dot.shape[-2:]
        k = min(m, n)
        q1, r1 = q[..., :k], r[..., :k, :k]
        # A row of r^{-1} is a column of r^{-T}; where r is singular there is no derivative: NaN.
        moved = triangular(turned(r1), turned(x_dot[..., :k]), lower=True, fill=np.nan)
        moved = turned(moved)
        c = matmul(adjoint(q), moved)
        top = c[..., :k, :]
        below = tril(top, -1)
        omega = below - adjoint(below)
        if is_complex(top):
            omega = omega + per_column(imag(on_diagonal(top))) * (1j * np.eye(k, dtype=top.dtype))
        rest = top - omega
        q_dot, r_dot = moved - matmul(q1, rest), matmul(rest, r1)
        if n > m:
            beyond = matmul(adjoint(q), x_dot[..., m:]) - matmul(omega, r[..., m:])
            r_dot = concatenate([r_dot, beyond], -1)
        if complete and m > n:
            q_dot = concatenate([q_dot, -matmul(q1, adjoint(c[..., n:, :]))], -1)
            r_dot = concatenate([r_dot, np.zeros((*r.shape[:-2], m - n, n), r.dtype)], -2)
        return q_dot, r_dot

    tex = r"\operatorname{qr} {x}"


_MODES = ("reduced", "complete", "r")


@public(
    name="linalg.qr",
    numpy=np.linalg.qr,
    op=QRGrad,
    cases=[
        case(arr(3, 3, kind="regular")),
        case(arr(4, 2, kind="regular")),
        case(arr(2, 2, 3, kind="regular")),
        case(arr(2, 3, 2, kind="regular"), "complete"),
        case(arr(3, 3, kind="regular"), mode="r"),
        case(arr(3, 2, kind="complex")),
        case(arr(2, 3, kind="complex")),
    ],
)
def qr(x: Any, mode: str = "reduced") -> Any:
    r"""(Q, R) with Q R = x, Q^H Q = 1 and R upper triangular with a real diagonal.

    x: (.., m, n), k = min(m, n). Q: (.., m, k), R: (.., k, n); with mode "complete" (.., m, m) and
    (.., m, n); mode "r" gives R alone. The signs of R's diagonal are LAPACK's; they jump, and do
    not move. Where the first k columns of x are linearly dependent there is no derivative: NaN.
    The columns that "complete" adds beyond the n-th are one orthonormal basis of many: functions
    of the space that they span have the right derivative. (Walter 2012, section 2.4; D. A. O.
    Roberts, L. R. Roberts, "QR and LQ decomposition matrix backpropagation algorithms for square,
    wide, and deep matrices", arXiv:2009.10071, 2020, for m < n.)

    >>> import gradarray as ga
    >>> ga.linalg.qr([[0.0, 2.0], [-1.0, 3.0]]).R
    GradArray([[-1.,  3.],
               [ 0.,  2.]], dtype=float64)
    """
    x = matrices(x, "qr")
    if mode not in _MODES:
        raise ValueError(
            message(
                "qr",
                f"mode={mode!r}; known are {', '.join(map(repr, _MODES))}.",
                "LAPACK's packed reflectors ('raw') have no derivative here.",
            )
        )
    q, r = apply(QRGrad, x, complete=mode == "complete")
    return r if mode == "r" else QRResult(q, r)
