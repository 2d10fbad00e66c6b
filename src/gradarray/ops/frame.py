"""Frames, diagonals and triangles: pad, diag, diagonal, tril, triu."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .compare import where
from .indexing import IndexGrad, place
from .join import concatenate
from .keys import ALL
from .layout import ravel
from .scatter import gather_at
from .shape import astype, broadcast_to, reshape, transpose

__all__ = [
    "diag",
    "diagflat",
    "diagonal",
    "pad",
    "tril",
    "triu",
]


# Framing ------------------------------------------------------------------------------------------

_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")


@public(
    numpy=np.pad,
    cases=[
        case(arr(2, 3), 1),
        case(arr(3), (2, 1), "constant", constant_values=(1.5, -2.0)),
        case(arr(2, 3), ((1, 0), (2, 1)), constant_values=0.5),
        case(arr(2, 3), ((1, 2), (0, 2)), "edge"),
        case(arr(3, 4), ((1, 2), (3, 2)), "reflect"),
        case(arr(3, 2), ((1, 2), (3, 0)), "symmetric"),
        case(arr(3, 2), ((1, 2), (3, 0)), "wrap"),
    ],
)
def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> GradArray:
    """y = x in a frame, `pad_width` (before, after) wide along each axis.

    The frame is constant, or continues x by its "edge", by "reflect" (without the edge), by
    "symmetric" (with it) or by "wrap". Differentiable in x and in the constants.

    >>> import gradarray as ga
    >>> ga.pad([1.0, 2.0, 3.0], (1, 2), "reflect")
    GradArray([2., 1., 2., 3., 2., 1.], dtype=float64)
    """
    x = lift(x, "pad")
    widths = _pairs(pad_width, x.ndim)
    if mode == "constant":
        return _pad_constant(x, widths, constant_values)
    if mode not in _BY_INDEX:
        raise ValueError(
            message(
                "pad",
                f"mode {mode!r} is not supported.",
                f"Known are constant, {', '.join(_BY_INDEX)}.",
            )
        )
    how: Any = mode
    for k, (before, after) in enumerate(widths, -x.ndim):
        if before or after:
            index: Any = np.arange(x.shape[k])
            try:
                index = np.pad(index, (before, after), how)
            except ValueError as error:
                raise ShapeError(
                    message("pad", f"axis {k + x.ndim} of shape {x.shape}: {error}.")
                ) from None
            x = gather_at(x, (index,), k)
    return x


def _pairs(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        raise ShapeError(
            message(
                "pad",
                f"pad_width {pad_width} for {ndim} axes.",
                "Give a number, a pair (before, after), or one pair for each axis.",
            )
        ) from None
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ValueError(message("pad", f"pad_width {pad_width}: widths are integers from 0 on."))
    return [(int(a), int(b)) for a, b in pairs]


def _pad_constant(x: Any, widths: list[tuple[int, int]], values: Any) -> Any:
    zero = type(values) in (int, float) and values == 0
    if zero:
        shape = tuple([a + n + b for n, (a, b) in zip(x.shape, widths, strict=True)])
        inner = tuple([slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True)])
        return place(x, shape, inner)
    constants = broadcast_to(astype(lift(values, "pad"), x.dtype), (x.ndim, 2))
    for k, pair in enumerate(widths):
        parts = [x]
        for side, width in enumerate(pair):
            if width:
                frame = broadcast_to(
                    apply(IndexGrad, constants, index=(k, side)),
                    (*x.shape[:k], width, *x.shape[k + 1 :]),
                )
                parts.insert(side * len(parts), frame)
        x = concatenate(parts, k) if len(parts) > 1 else x
    return x


# Diagonals and triangles --------------------------------------------------------------------------


@public(
    numpy=np.diagonal,
    method=True,
    cases=[
        case(arr(3, 3)),
        case(arr(3, 4), 1),
        case(arr(3, 2), -1),
        case(arr(2, 3, 2), axis1=0, axis2=2),
        case(arr(2, 2), 3),
    ],
)
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> GradArray:
    """y_{..i} = x_{i, i + offset} of the matrices in two axes; the other axes come first.

    >>> import gradarray as ga
    >>> ga.diagonal([[1.0, 2.0], [3.0, 4.0]])
    GradArray([1., 4.], dtype=float64)
    """
    x = lift(x, "diagonal")
    if x.ndim < 2:
        raise ShapeError(message("diagonal", f"shape {x.shape} has no two axes."))
    a, b = (one_axis(n, x.ndim, "diagonal") for n in (axis1, axis2))
    if a == b:
        raise ValueError(message("diagonal", f"axis1 and axis2 are both axis {axis1}."))
    rest = [k for k in range(-x.ndim, 0) if k not in (a, b)]
    if (a, b) != (-2, -1):
        x = transpose(x, (*rest, a, b))
    rows, columns = x.shape[-2:]
    # In a flattened matrix a diagonal is every (columns + 1)-th value.
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    start, count = _diagonal_at(rows, columns, operator.index(offset))
    step = slice(start, start + max(count - 1, 0) * (columns + 1) + (count > 0), columns + 1)
    return apply(IndexGrad, flat, index=(*(ALL,) * len(rest), step))


def _diagonal_at(rows: int, columns: int, offset: int) -> tuple[int, int]:
    """Where a diagonal begins in a flattened matrix, and how long it is."""
    if offset >= 0:
        return offset, max(min(rows, columns - offset), 0)
    return -offset * columns, max(min(rows + offset, columns), 0)


@public(
    numpy=np.diag,
    cases=[case(arr(3)), case(arr(2), 1), case(arr(2), -2), case(arr(3, 2)), case(arr(2, 3), k=1)],
)
def diag(v: Any, k: int = 0) -> GradArray:
    """A matrix with v on its k-th diagonal and 0 elsewhere; of a matrix, its k-th diagonal.

    >>> import gradarray as ga
    >>> ga.diag([1.0, 2.0])
    GradArray([[1., 0.],
               [0., 2.]], dtype=float64)
    """
    v = lift(v, "diag")
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ShapeError(message("diag", f"takes a vector or a matrix, not shape {v.shape}."))
    k = operator.index(k)
    n = v.shape[0] + abs(k)
    start, count = _diagonal_at(n, n, k)
    step = slice(start, start + max(count - 1, 0) * (n + 1) + (count > 0), n + 1)
    return reshape(place(v, (n * n,), (step,)), (n, n))


@public(numpy=np.diagflat, cases=[case(arr(2, 2)), case(arr(2), 1)])
def diagflat(v: Any, k: int = 0) -> GradArray:
    """A matrix with the values of v, flattened, on its k-th diagonal.

    >>> import gradarray as ga
    >>> ga.diagflat([[1.0], [2.0]])
    GradArray([[1., 0.],
               [0., 2.]], dtype=float64)
    """
    return diag(ravel(v), k)


def _triangle(x: Any, k: int, lower: bool, op: str) -> GradArray:
    x = lift(x, op)
    if not x.ndim:
        raise ShapeError(message(op, "a 0-d array has no triangle."))
    mask = np.tri(*x.shape[-2:], k=k if lower else k - 1, dtype=bool)
    return where(mask if lower else ~mask, x, x.dtype.type(0))


@public(
    numpy=np.tril,
    cases=[case(arr(3, 3)), case(arr(2, 3), 1), case(arr(2, 3, 2), -1), case(arr(3))],
)
def tril(x: Any, k: int = 0) -> GradArray:
    """y = x with 0 above the k-th diagonal of its matrices.

    >>> import gradarray as ga
    >>> ga.tril([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[1., 0.],
               [3., 4.]], dtype=float64)
    """
    return _triangle(x, k, True, "tril")


@public(
    numpy=np.triu,
    cases=[case(arr(3, 3)), case(arr(2, 3), 1), case(arr(2, 3, 2), -1), case(arr(3))],
)
def triu(x: Any, k: int = 0) -> GradArray:
    """y = x with 0 below the k-th diagonal of its matrices.

    >>> import gradarray as ga
    >>> ga.triu([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[1., 2.],
               [0., 4.]], dtype=float64)
    """
    return _triangle(x, k, False, "triu")
