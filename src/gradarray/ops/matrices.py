"""What the operations of linear algebra share: stacks of matrices, and errors from LAPACK.

A stack has its matrices along the last two axes; the axes before them are the stack's own, and
broadcast. Nothing here is public.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import given
from ..array import lift
from ..errors import ShapeError, message
from ..record import apply
from .compare import where
from .complex import conj, is_complex, real
from .frame import diagonal
from .shape import TransposeGrad, expand_dims

LinAlgError = np.linalg.LinAlgError


def turned(x: Any) -> Any:
    """x^T of every matrix."""
    return apply(TransposeGrad, x, axes=(*range(-x.ndim, -2), -1, -2))


def adjoint(x: Any) -> Any:
    """x^H of every matrix."""
    return turned(conj(x) if is_complex(x) else x)


def hermitian_part(x: Any) -> Any:
    """(x + x^H) / 2 of every matrix."""
    return 0.5 * x + 0.5 * adjoint(x)


def hermitian_values(x: np.ndarray) -> np.ndarray:
    """`hermitian_part` on plain arrays; half of each first, so that nothing overflows."""
    return 0.5 * x + 0.5 * np.conj(np.swapaxes(x, -1, -2))


def on_diagonal(x: Any) -> Any:
    """The diagonals of a stack of matrices, a stack of vectors."""
    return diagonal(x, 0, -2, -1)


def real_diagonal(x: Any) -> Any:
    d = on_diagonal(x)
    return real(d) if is_complex(d) else d


def per_column(v: Any) -> Any:
    """Vectors as rows, which multiply the columns of matrices."""
    return expand_dims(v, -2)


def per_row(v: Any) -> Any:
    """Vectors as columns, which multiply the rows of matrices."""
    return expand_dims(v, -1)


def off_diagonal(x: Any) -> Any:
    """Square matrices with zeros on their diagonals."""
    return where(np.eye(x.shape[-1], dtype=bool), 0, x)


def value_of(x: Any) -> np.ndarray | None:
    """The plain values of an operand of a rule; None where only their form is known."""
    if hasattr(type(x), "detach"):
        x = x.detach()
        x = getattr(x, "_data", x)
    return np.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else None


# Arguments ----------------------------------------------------------------------------------------


def floating(x: Any, op: str) -> Any:
    """x as an array of numbers with a derivative: integers become float64, as in NumPy."""
    x = lift(x, op)
    return given.astype(x, np.float64) if x.dtype.kind in "biu" else x


def matrices(x: Any, op: str) -> Any:
    """x as a stack of matrices; raises ShapeError for fewer than two axes."""
    x = floating(x, op)
    if x.ndim < 2:
        raise ShapeError(
            message(
                op,
                f"takes matrices along the last two axes, not shape {x.shape}.",
                "Give a vector a second axis, x[:, None] or x[None, :].",
            )
        )
    return x


def square(x: Any, op: str) -> Any:
    """x as a stack of square matrices; raises ShapeError otherwise."""
    x = matrices(x, op)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            message(
                op,
                f"takes square matrices, not {x.shape[-2]} by {x.shape[-1]} (shape {x.shape}).",
            )
        )
    return x


# LAPACK -------------------------------------------------------------------------------------------


def in_lapack(
    op: str, fn: Callable[..., Any], *operands: np.ndarray, what: str = "", mend: str = ""
) -> Any:
    """fn(*operands); a LinAlgError names the op, and which matrix of the stack it is about."""
    try:
        return fn(*operands)
    except LinAlgError as error:
        raise _named(op, fn, operands, what or str(error).rstrip("."), mend) from None


def _named(op: str, fn: Any, operands: Any, what: str, mend: str) -> LinAlgError:
    at = first_bad(fn, operands)
    which = "the matrix" if not at else f"matrix [{', '.join(map(str, at))}] of the stack"
    return LinAlgError(message(op, f"{which}: {what}.", mend))


def first_bad(fn: Callable[..., Any], operands: Any) -> tuple[int, ...]:
    """Where in the stack the first matrix stands for which fn raises."""
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
    spread = [np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in operands]
    for at in np.ndindex(*stack):
        try:
            fn(*(x[at] for x in spread))
        except LinAlgError:
            return at
    return ()


def filled(fn: Callable[..., np.ndarray], fill: float, *operands: np.ndarray) -> np.ndarray:
    """fn(*operands), and `fill` throughout the result of a matrix for which fn raises.

    Inside derivative rules: one bad matrix in a stack must not take the others with it.
    """
    try:
        return fn(*operands)
    except LinAlgError:
        pass
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
    spread = [np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in operands]
    y = np.full((*stack, *operands[-1].shape[-2:]), fill, np.result_type(*operands))
    for at in np.ndindex(*stack):
        try:
            y[at] = fn(*(x[at] for x in spread))
        except LinAlgError:
            continue
    return y
