"""Matrices: what some of linear algebra is made of, in decompositions and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.arithmetic import absolute
from ..ops.compare import where
from ..ops.contract import matmul
from ..ops.eigen import EighGrad
from ..ops.join import StackGrad
from ..ops.layout import matrix_transpose
from ..ops.reduce import max, sum
from ..ops.shape import astype
from ..ops.singular import LstsqGrad, MatrixRankGrad, PinvGrad, SVDGrad, SvdvalsGrad
from ..ops.vectors import CrossGrad
from ..record import apply
from .expand import expansion


def _real(*xs: Any) -> bool:
    return all(x.dtype.kind == "f" and x.size for x in xs)


def _inverses(s: Any, rcond: Any, size: Any) -> Any:
    """1 / s, and 0 where the size of s is at most rcond times the largest."""
    large = size > rcond * max(size, axis=-1, keepdims=True)
    return where(large, 1 / where(large, s, 1), 0)


@expansion(PinvGrad)
def _pinv(x: Any, rcond: Any, hermitian: bool) -> Any:
    if not _real(x) or np.ndim(rcond):
        return NotImplemented
    if hermitian:
        w, v = apply(EighGrad, x)
        return matmul(v * _inverses(w, rcond, absolute(w))[..., None, :], matrix_transpose(v))
    u, s, vh = apply(SVDGrad, x, full=False)
    back = _inverses(s, rcond, s)[..., :, None] * matrix_transpose(u)
    return matmul(matrix_transpose(vh), back)


@expansion(LstsqGrad)
def _lstsq(a: Any, b: Any, rcond: Any) -> Any:
    if not _real(a, b):
        return NotImplemented
    u, s, vh = apply(SVDGrad, a, full=False)
    back = matmul(matrix_transpose(u), b)
    return matmul(matrix_transpose(vh), _inverses(s, rcond, s)[..., :, None] * back)


@expansion(MatrixRankGrad)
def _matrix_rank(x: Any, tol: Any, hermitian: bool, rtol: Any) -> Any:
    if not _real(x) or hermitian or tol is not None or np.ndim(rtol):
        return NotImplemented
    s = apply(SvdvalsGrad, x)
    if rtol is None:
        rtol = float(np.finfo(s.dtype).eps) * np.max(x.shape[-2:])
    return sum(astype(s > max(s, axis=-1, keepdims=True) * rtol, np.int64), axis=-1)


@expansion(CrossGrad)
def _cross(a: Any, b: Any) -> Any:
    if not _real(a, b):
        return NotImplemented
    parts = []
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        parts.append(a[..., i] * b[..., j] - a[..., j] * b[..., i])
    return apply(StackGrad, *parts, axis=-1)
