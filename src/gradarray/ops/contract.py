"""Products that sum over an index: matmul and its kin."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Multilinear
from ..array import GradArray, lift, method
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .shape import expand_dims, reshape, transpose


def _swap(x: Any) -> Any:
    """The transposed matrices of a stack."""
    n = x.ndim
    return transpose(x, (*range(n - 2), n - 1, n - 2))


class MatMulGrad(Multilinear):
    r"""y_{..ij} = \sum_k a_{..ik} b_{..kj}, both at least matrices; leading axes broadcast."""

    forward = operator.matmul
    # Summing over broadcast leading axes is the projection that the kinds do around every rule.
    transposes = (
        lambda y_bar, b: matmul(y_bar, _swap(b)),
        lambda y_bar, a: matmul(_swap(a), y_bar),
    )
    tex = "{a} {b}"


@public(
    numpy=np.matmul,
    op=MatMulGrad,
    method="__matmul__",
    cases=[
        case(arr(2, 3), arr(3, 4)),
        case(arr(3), arr(3)),
        case(arr(2, 3), arr(3)),
        case(arr(3), arr(3, 2)),
        case(arr(4, 2, 3), arr(3, 2)),
        case(arr(5, 1, 2, 3), arr(4, 3, 2)),
    ],
)
def matmul(a: Any, b: Any) -> GradArray:
    r"""y_{..ij} = \sum_k a_{..ik} b_{..kj}; a vector is a row on the left, a column on the right.

    a_bar = y_bar b^T, b_bar = a^T y_bar. Raises ShapeError where the inner lengths differ.

    >>> import gradarray as ga
    >>> ga.matmul([[1.0, 2.0]], [[3.0], [4.0]])
    GradArray([[11.]], dtype=float64)
    """
    a, b = lift(a), lift(b)
    if not a.ndim or not b.ndim:
        raise ShapeError(message("matmul", "a 0-d operand; use * to scale by a number."))
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(
            message(
                "matmul",
                f"shapes {a.shape} and {b.shape}: the last axis of the left operand has "
                f"{a.shape[-1]}, axis {-2 if b.ndim > 1 else -1} of the right one has {inner}.",
                "They must be equal; transpose or reshape one of them.",
            )
        )
    if a.ndim > 1 and b.ndim > 1:
        return apply(MatMulGrad, a, b)
    # Vectors become matrices, so that the op itself has one case.
    row, column = a.ndim == 1, b.ndim == 1
    y = apply(MatMulGrad, expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
    dropped = {y.ndim - 2} if row else set()
    dropped |= {y.ndim - 1} if column else set()
    return reshape(y, tuple(n for k, n in enumerate(y.shape) if k not in dropped))


method("__rmatmul__")(lambda b, a: matmul(a, b))
