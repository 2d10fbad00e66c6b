"""Functions of matrices: matrix_power, expm, logm.

The derivative of f at x along e is a block of f itself: f([[x, e], [0, x]]) has it in the upper
right. (R. Mathias, SIAM J. Matrix Anal. Appl. 17, 1996; N. J. Higham, "Functions of Matrices:
Theory and Computation", 2008, theorem 3.6.)
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from .. import lazy
from ..array import GradArray, lift
from ..custom import Custom
from ..record import apply
from ..registry import arr, case, public
from .contract import matmul
from .join import concatenate
from .linsolve import inv
from .matrices import in_lapack, square, turned
from .shape import broadcast_to
from .sylvester import by_scipy, each, on_schur_form, triangular_root


@public(
    name="linalg.matrix_power",
    numpy=np.linalg.matrix_power,
    cases=[
        case(arr(3, 3, kind="regular"), 5),
        case(arr(2, 2, 2, kind="regular"), -3),
        case(arr(2, 2), 0),
        case(arr(2, 2), 1),
    ],
)
def matrix_power(x: Any, n: int) -> GradArray:
    """y = x x .. x, n factors, by repeated squaring; of the inverse for a negative n, 1 for n = 0.

    Raises LinAlgError for a singular matrix where n is negative.

    >>> import gradarray as ga
    >>> ga.linalg.matrix_power([[1.0, 1.0], [0.0, 1.0]], 10)
    GradArray([[ 1., 10.],
               [ 0.,  1.]], dtype=float64)
    """
    kept = lift(x, "matrix_power")
    x = square(kept, "matrix_power")
    n = operator.index(n)
    if n >= 0 and kept.dtype.kind in "biu":
        x = kept  # powers of integers are integers
    if n == 0:
        return broadcast_to(lift(np.eye(x.shape[-1], dtype=x.dtype)), x.shape)
    if n < 0:
        x, n = inv(x), -n
    y: Any = None
    while True:
        if n & 1:
            y = x if y is None else matmul(y, x)
        n >>= 1
        if not n:
            return y
        x = matmul(x, x)


def _along(op: type[Custom], x: Any, e: Any) -> Any:
    """The derivative of op at x along e."""
    n = x.shape[-1]
    zeros = np.zeros((n, n), x.dtype)
    rows = [concatenate([x, e], -1), concatenate([_like(zeros, x), x], -1)]
    return apply(op, concatenate(rows, -2))[..., :n, n:]


def _like(zeros: np.ndarray, x: Any) -> Any:
    return np.broadcast_to(zeros, x.shape)


# The exponential ----------------------------------------------------------------------------------


def _expm(x: np.ndarray) -> np.ndarray:
    if not np.isfinite(x).all():
        return each(lambda x: lazy.linalg.expm(x) if np.isfinite(x).all() else x + np.nan, x)
    return lazy.linalg.expm(x)


class ExpmGrad(Custom):
    r"""y = \sum_k x^k / k!. \dot y = \int_0^1 e^{s x} \dot x e^{(1 - s) x} ds."""

    trailing = True
    forward = staticmethod(lambda x: _expm(x))

    @staticmethod
    def push(x: Any, x_dot: Any) -> Any:
        return _along(ExpmGrad, x, x_dot)

    @staticmethod
    def pull(y_bar: Any, x: Any) -> Any:
        return _along(ExpmGrad, turned(x), y_bar)

    tex = "e^{{x}}"


def _expm_by_series(x: np.ndarray) -> np.ndarray:
    """x halved 4 times, 24 terms of the series, squared 4 times."""
    x = np.asarray_chkfinite(x) / 16
    term = y = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    for k in range(1, 25):
        term = term @ x / k
        y = y + term
    for _ in range(4):
        y = y @ y
    return y


@public(
    name="linalg.expm",
    reference=_expm_by_series,
    op=ExpmGrad,
    cases=[case(arr(2, 3, 3)), case(arr(2, 2, kind="complex"))],
)
def expm(x: Any) -> GradArray:
    r"""y = e^x = \sum_k x^k / k! of square matrices.

    \dot y = \int_0^1 e^{s x} \dot x e^{(1 - s) x} ds, computed as a block of the exponential of a
    matrix twice as large. (A. H. Al-Mohy, N. J. Higham, SIAM J. Matrix Anal. Appl. 31, 2009, for
    the value; Higham 2008, section 10.6, for the derivative.)

    >>> import gradarray as ga
    >>> ga.linalg.expm([[0.0, 1.0], [0.0, 0.0]])
    GradArray([[1., 1.],
               [0., 1.]], dtype=float64)
    """
    return apply(ExpmGrad, square(x, "expm"))


# The logarithm ------------------------------------------------------------------------------------


@functools.cache
def _gauss() -> Any:
    r"""Points and weights for log(1 + x) = \int_0^1 x / (1 + s x) ds.

    Of 12 points, the [12/12] Pade approximant: for |x| < 1/4 right to 1e-20. (Higham 2008,
    section 11.4.)
    """
    points, weights = np.polynomial.legendre.leggauss(12)
    return list(zip((points + 1) / 2, weights / 2))


def _triangular_log(t: np.ndarray) -> np.ndarray:
    """Square roots until t is near 1, where the logarithm is a rational function."""
    eye = np.eye(len(t), dtype=t.dtype)
    halvings = 0
    while np.abs(t - eye).sum(0).max() > 0.25:
        t = triangular_root(t)
        halvings += 1
    x = t - eye
    y = np.zeros_like(x)
    for s, w in _gauss():
        y += w * np.linalg.solve(eye + s * x, x)
    return y * 2.0**halvings


def _log_in_double(x: np.ndarray) -> np.ndarray:
    # A derivative of order n is a block of the logarithm of a matrix 2^n times as large, whose
    # equal eigenvalues rounding scatters by a root of eps: in float32 as far as the branch cut.
    wide = x.astype(np.result_type(x, np.float64), copy=False)
    return on_schur_form(_triangular_log, wide, True).astype(x.dtype, copy=False)


class LogmGrad(Custom):
    r"""e^y = x, eigenvalues of y with an imaginary part in (-pi, pi)."""

    trailing = True

    @staticmethod
    def forward(x: Any) -> Any:
        return in_lapack(
            "logm",
            lambda x: each(_log_in_double, x),
            x,
            what="it has no logarithm of its dtype",
            mend="A real matrix with a negative eigenvalue has a complex one: x.astype(complex).",
        )

    @staticmethod
    def push(x: Any, x_dot: Any) -> Any:
        return _along(LogmGrad, x, x_dot)

    @staticmethod
    def pull(y_bar: Any, x: Any) -> Any:
        return _along(LogmGrad, turned(x), y_bar)

    tex = r"\log {x}"


@public(
    name="linalg.logm",
    reference=by_scipy("logm"),
    op=LogmGrad,
    cases=[
        case(arr(3, 3, kind="spd")),
        case(arr(2, 2, 2, kind="spd")),
        case(arr(2, 2, low=0.5, high=2.0, kind="complex")),
    ],
)
def logm(x: Any) -> GradArray:
    r"""y with e^y = x, the principal logarithm: imaginary parts of eigenvalues in (-pi, pi).

    The derivative is a block of the logarithm of a matrix twice as large. A real matrix has a
    real logarithm. Raises LinAlgError where it has none: an eigenvalue 0, or a negative one (give
    complex numbers). (Higham 2008, chapter 11, inverse scaling and squaring.)

    >>> import gradarray as ga
    >>> ga.linalg.logm([[1.0, 1.0], [0.0, 1.0]])
    GradArray([[0., 1.],
               [0., 0.]], dtype=float64)
    """
    return apply(LogmGrad, square(x, "logm"))
