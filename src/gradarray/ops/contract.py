"""Products of matrices and vectors: matmul and its kin."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..algebra import Multilinear
from ..array import GradArray, lift, method
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .complex import conj, is_complex
from .layout import moveaxis
from .operators import in_place
from .shape import expand_dims, reshape, transpose

__all__ = [
    "dot",
    "inner",
    "matmul",
    "matvec",
    "multi_dot",
    "vecmat",
]


def _swap(x: Any) -> Any:
    """The transposed matrices of a stack."""
    n = x.ndim
    return transpose(x) if n == 2 else transpose(x, (*range(n - 2), n - 1, n - 2))


def _flat(x: Any) -> Any:
    """A stack of matrices as one: all axes but the last in a row."""
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _matmul(a: Any, b: Any) -> Any:
    try:
        if b.ndim == 2 and a.ndim > 2:
            # One large product instead of many small ones.
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return np.matmul(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        if a.shape[-1] == 1 == b.shape[-2] and b.ndim > 2:
            return a * b  # a stack of columns times rows: many small products take twice as long
        return np.matmul(a, b)
    except ValueError:
        check_inner("matmul", a, b, -1, -2)
        raise


def _pull_left(y_bar: Any, b: Any, a_like: Any) -> Any:
    if b.ndim > 2 and len(a_like.shape) == 2:
        # The sum over the stack as one product: columns of all y_bar against those of all b.
        order = (b.ndim - 2, *range(b.ndim - 2), b.ndim - 1)
        rows = [reshape(transpose(x, order), (x.shape[-2], -1)) for x in (y_bar, b) if b.size]
        if rows:
            return matmul(rows[0], _swap(rows[1]))
    return matmul(y_bar, _swap(b))


def _pull_right(y_bar: Any, a: Any, b_like: Any) -> Any:
    if a.ndim > 2 and len(b_like.shape) == 2:
        return matmul(_swap(_flat(a)), _flat(y_bar))
    return matmul(_swap(a), y_bar)


class MatMulGrad(Multilinear):
    r"""y_{..ij} = \sum_k a_{..ik} b_{..kj}, both at least matrices; leading axes broadcast."""

    forward = _matmul
    shape_of = staticmethod(
        lambda a, b: None
        if a[-1] != b[-2]
        else (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
    )
    # Summing over other broadcast leading axes is the projection that the kinds do.
    transposes = (_pull_left, _pull_right)
    tex = "{a} {b}"


@public(
    numpy=(np.matmul, np.linalg.matmul),
    op=MatMulGrad,
    method="__matmul__",
    cases=[
        case(arr(2, 3), arr(3, 4)),
        case(arr(3), arr(3)),
        case(arr(2, 3), arr(3)),
        case(arr(3), arr(3, 2)),
        case(arr(4, 2, 3), arr(3, 2)),
        case(arr(2, 3), arr(4, 3, 2)),
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
    if not isinstance(a, GradArray):
        a = lift(a)
    if not isinstance(b, GradArray):
        b = lift(b)
    m, n = a.ndim, b.ndim
    if m > 1 and n > 1:
        return MatMulGrad.of(a, b)
    if not m or not n:
        raise ShapeError(message("matmul", "a 0-d operand; use * to scale by a number."))
    check_inner("matmul", a, b, -1, -2 if n > 1 else -1)
    # Vectors become matrices, so that the op itself has one case.
    row, column = m == 1, n == 1
    y = apply(MatMulGrad, expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
    dropped = {y.ndim - 2} if row else set()
    dropped |= {y.ndim - 1} if column else set()
    return reshape(y, tuple(n for k, n in enumerate(y.shape) if k not in dropped))


method("__rmatmul__")(lambda b, a: matmul(a, b))
method("__imatmul__")(in_place("@", matmul))


def check_inner(op: str, a: Any, b: Any, at: int, bt: int) -> None:
    if a.shape[at] != b.shape[bt]:
        raise ShapeError(
            message(
                op,
                f"shapes {a.shape} and {b.shape}: axis {at} of the left operand has length "
                f"{a.shape[at]}, axis {bt} of the right one {b.shape[bt]}.",
                "They must be equal; transpose or reshape one of them.",
            )
        )


@public(
    numpy=np.dot,
    op=MatMulGrad,
    method=True,
    cases=[
        case(arr(3), arr(3)),
        case(arr(2, 3), arr(3, 4)),
        case(arr(2, 2, 3), arr(3)),
        case(arr(2, 3), arr(2, 3, 2)),
    ],
)
def dot(a: Any, b: Any) -> GradArray:
    r"""y = \sum_k a_{..k} b_{..k.}: the last axis of a, the last but one (or only one) of b.

    A number multiplies. Other axes do not broadcast as in `matmul`: those of a come first, then
    those of b. Raises ShapeError where the lengths of the two axes differ.

    >>> import gradarray as ga
    >>> ga.dot([1.0, 2.0], [3.0, 4.0])
    GradArray(11., dtype=float64)
    """
    a, b = lift(a), lift(b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim <= 2:
        check_inner("dot", a, b, -1, -2 if b.ndim > 1 else -1)
        return matmul(a, b)
    check_inner("dot", a, b, -1, -2)
    columns = moveaxis(b, -2, 0)
    y = matmul(_flat(expand_dims(a, 0)), reshape(columns, (b.shape[-2], -1)))
    return reshape(y, (*a.shape[:-1], *columns.shape[1:]))


@public(
    numpy=np.inner,
    op=MatMulGrad,
    cases=[case(arr(3), arr(3)), case(arr(2, 3), arr(2, 2, 3)), case(arr(2, 3), arr())],
)
def inner(a: Any, b: Any) -> GradArray:
    r"""y = \sum_k a_{..k} b_{..k}: the last axis of each, the other axes of a, then those of b.

    >>> import gradarray as ga
    >>> ga.inner([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]])
    GradArray([[11., 17.]], dtype=float64)
    """
    a, b = lift(a), lift(b)
    if not a.ndim or not b.ndim:
        return a * b
    check_inner("inner", a, b, -1, -1)
    y = matmul(_flat(expand_dims(a, 0)), _swap(_flat(expand_dims(b, 0))))
    return reshape(y, (*a.shape[:-1], *b.shape[:-1]))


@public(
    numpy=getattr(np, "matvec", ()),
    reference=lambda a, x: np.matmul(a, x[..., None])[..., 0],
    op=MatMulGrad,
    cases=[case(arr(2, 3), arr(3)), case(arr(4, 2, 3), arr(4, 3)), case(arr(2, 3), arr(4, 3))],
)
def matvec(a: Any, x: Any) -> GradArray:
    r"""y_{..i} = \sum_k a_{..ik} x_{..k}, a stack of matrices times a stack of vectors.

    >>> import gradarray as ga
    >>> ga.matvec([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    GradArray([21., 43.], dtype=float64)
    """
    a, x = lift(a), lift(x)
    _check_matrix_and_vector("matvec", a, x)
    check_inner("matvec", a, x, -1, -1)
    y = matmul(a, expand_dims(x, -1))
    return reshape(y, y.shape[:-1])


@public(
    numpy=getattr(np, "vecmat", ()),
    reference=lambda x, a: np.matmul(np.conj(x)[..., None, :], a)[..., 0, :],
    op=MatMulGrad,
    cases=[case(arr(2), arr(2, 3)), case(arr(4, 2), arr(4, 2, 3)), case(arr(4, 2), arr(2, 3))],
)
def vecmat(x: Any, a: Any) -> GradArray:
    r"""y_{..j} = \sum_k x_{..k}^* a_{..kj}, a stack of vectors times a stack of matrices.

    >>> import gradarray as ga
    >>> ga.vecmat([1.0, 10.0], [[1.0, 2.0], [3.0, 4.0]])
    GradArray([31., 42.], dtype=float64)
    """
    x, a = lift(x), lift(a)
    _check_matrix_and_vector("vecmat", a, x)
    check_inner("vecmat", x, a, -1, -2)
    x = conj(x) if is_complex(x) else x
    y = matmul(expand_dims(x, -2), a)
    return reshape(y, (*y.shape[:-2], y.shape[-1]))


def _check_matrix_and_vector(op: str, a: Any, x: Any) -> None:
    if a.ndim < 2 or x.ndim < 1:
        raise ShapeError(
            message(op, f"takes matrices (.., m, n) and vectors (.., n), not {a.shape}, {x.shape}.")
        )


@public(
    numpy=np.linalg.multi_dot,
    op=MatMulGrad,
    cases=[
        case([arr(2, 3), arr(3, 4), arr(4, 2)]),
        case([arr(5), arr(5, 2), arr(2, 4), arr(4)]),
        case([arr(2, 3), arr(3)]),
    ],
)
def multi_dot(arrays: Any) -> GradArray:
    """y = a_1 a_2 .. a_n, the matrices multiplied in the order that takes the fewest operations.

    The first and the last may be vectors. Raises ShapeError for fewer than two arrays, or others
    than matrices between. (T. H. Cormen et al., "Introduction to Algorithms", section 14.2.)

    >>> import gradarray as ga
    >>> ga.multi_dot([[1.0, 2.0], [[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0]])
    GradArray(19., dtype=float64)
    """
    xs = [lift(x) for x in arrays]
    ends = (0, len(xs) - 1)
    if len(xs) < 2:
        raise ShapeError(message("multi_dot", f"takes two or more arrays, not {len(xs)}."))
    if any(x.ndim != 2 and not (x.ndim == 1 and k in ends) for k, x in enumerate(xs)):
        raise ShapeError(
            message(
                "multi_dot",
                f"shapes {', '.join(str(x.shape) for x in xs)}: not a chain of matrices.",
                "Only the first and the last may be vectors.",
            )
        )
    for x, y in itertools.pairwise(xs):
        check_inner("multi_dot", x, y, -1, 0)
    lengths = [1 if xs[0].ndim == 1 else xs[0].shape[0]]
    lengths += [x.shape[0] for x in xs[1:]] + [1 if xs[-1].ndim == 1 else xs[-1].shape[1]]
    return _chain(xs, _splits(lengths), 0, len(xs) - 1)


def _splits(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each part i..j of a chain whose matrix k is lengths[k] x lengths[k + 1]."""
    n = len(lengths) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            cost[i, j], split[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + lengths[i] * lengths[k + 1] * lengths[j + 1], k)
                for k in range(i, j)
            )
    return split


def _chain(xs: list[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return xs[i]
    k = split[i, j]
    return matmul(_chain(xs, split, i, k), _chain(xs, split, k + 1, j))
