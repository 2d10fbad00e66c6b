"""Values moved by index arrays: gather, its transpose scatter_add, and put.

One op takes index arrays for several adjacent axes at once: `axis` (negative) is the first of
them, the others follow, and the axes of the broadcast indices stand in their place. Axes before
and after are carried along, so leading batch axes can be added without touching an index.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..algebra import Linear
from ..errors import message
from ..record import apply
from .compare import where

Lengths = tuple[int, ...]


class _Indexed(Linear):
    """A linear op on `movable` operands, followed by any number of index operands."""

    variadic = True
    movable: ClassVar[int] = 1

    @classmethod
    def prepare(cls) -> None:
        cls.index = tuple(range(cls.movable, cls.movable + 64))  # NumPy's limit of dimensions
        super().prepare()

    @classmethod
    def rule(cls, i: int) -> Any:
        return cls.rules[i] if i < len(cls.rules) else None

    @classmethod
    def operand_names(cls, count: int) -> tuple[str, ...]:
        return (*cls.operands, *(f"index{k}" for k in range(count - len(cls.operands))))


def flat_index(indices: tuple[Any, ...], lengths: Lengths) -> np.ndarray:
    """One index into the product of the axes, C order, for index arrays of each of them."""
    flat: Any = None
    for index, n in zip(indices, lengths, strict=True):
        index = np.asarray(index)
        if index.dtype != np.intp:
            index = index.astype(np.intp)
        negative = index < 0
        if negative.any():
            index = np.where(negative, index + n, index)
        if index.size and not (0 <= index.min() and index.max() < n):
            raise IndexError(f"index {_first_outside(index, n)} is out of bounds for length {n}")
        flat = index if flat is None else flat * n + index
    return flat


def _first_outside(index: np.ndarray, n: int) -> int:
    outside = index[(index < 0) | (index >= n)].flat[0]
    return int(outside - n if outside < 0 else outside)


class GatherGrad(_Indexed):
    r"""y_{..i..} = x_{..J_i..}: the values of x at the indices. Transpose: scatter_add."""

    operands = ("x",)
    tex = "{x}_J"

    @staticmethod
    def shape_of(x: Lengths, *indices: Lengths, axis: int) -> Lengths:
        return x[:axis] + np.broadcast_shapes(*indices) + x[len(x) + axis + len(indices) :]

    @staticmethod
    def forward(x: Any, *indices: Any, axis: int) -> Any:
        if len(indices) == 1:
            y = np.take(x, indices[0], axis)
        else:
            after = (slice(None),) * (-axis - len(indices))
            y = x[(Ellipsis, *indices, *after)]
        return y if y.shape else y[()]

    transpose = staticmethod(
        lambda y_bar, x_like, indices, axis: scatter(
            y_bar, indices, axis, x_like.shape[axis : axis + len(indices) or None]
        )
    )


class ScatterAddGrad(_Indexed):
    r"""y_{..n..} = \sum_{i: J_i = n} x_{..i..}, on axes of `lengths`. Transpose: gather."""

    name = "scatter_add"
    operands = ("x",)
    tex = r"\sum_{J} {x}"

    @staticmethod
    def shape_of(x: Lengths, *indices: Lengths, axis: int, lengths: Lengths) -> Lengths:
        after = -axis - len(lengths)
        before = len(x) - len(np.broadcast_shapes(*indices)) - after
        return x[:before] + lengths + x[len(x) - after :]

    @staticmethod
    def forward(x: Any, *indices: Any, axis: int, lengths: Lengths) -> Any:
        flat = flat_index(indices, lengths)
        x = np.asarray(x)
        after = -axis - len(lengths)
        before = x.ndim - flat.ndim - after
        outer, inner = x.shape[:before], x.shape[x.ndim - after :]
        size = math.prod(lengths)
        rows = flat.ravel()
        count = math.prod(outer)
        if count != 1:
            rows = (rows + size * np.arange(count)[:, None]).ravel()
        sums = add_rows(x.reshape(rows.size, math.prod(inner)), rows, count * size)
        return sums.reshape(*outer, *lengths, *inner)

    transpose = staticmethod(lambda y_bar, indices, axis: gather_at(y_bar, indices, axis))


class PutGrad(_Indexed):
    r"""y = x, but y_{..J_i..} = v_{..i..}; where an index repeats, the last value stays."""

    operands = ("x", "v")
    movable = 2
    tex = "{x}[J := {v}]"

    @staticmethod
    def forward(x: Any, v: Any, *indices: Any, axis: int) -> Any:
        y = np.array(x, order="C")
        k = len(indices)
        lengths = y.shape[axis : axis + k or None]
        flat = flat_index(indices, lengths)
        outer, inner = y.shape[:axis], y.shape[y.ndim + axis + k :]
        v = np.broadcast_to(v, (*outer, *flat.shape, *inner))
        sizes = (math.prod(outer), -1, math.prod(inner))
        if y.size and v.size:
            # Through one flat index in C order NumPy writes in that order: the last value stays.
            rows = y.reshape(sizes)
            rows[:, flat.ravel()] = v.reshape(sizes)
        return y

    transposes = (
        lambda y_bar, indices, axis: put(y_bar, 0, indices, axis),
        lambda y_bar, indices, axis, v_like: where(
            last_of(indices, axis, y_bar.shape), gather_at(y_bar, indices, axis), 0
        ),
    )


class LastGrad(_Indexed):
    """Which of the index tuples no later one repeats; boolean, with `after` axes of length 1."""

    operands = ()
    movable = 0

    @staticmethod
    def forward(*indices: Any, lengths: Lengths, after: int) -> Any:
        flat = flat_index(indices, lengths)
        order = np.arange(flat.size).reshape(flat.shape)
        last = np.zeros(math.prod(lengths), np.intp)
        last[flat.ravel()] = order.ravel()
        return np.asarray(last[flat] == order).reshape(flat.shape + (1,) * after)


def add_rows(x: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """y[r] = the sum of the rows of the matrix x whose number in `rows` is r, in their order."""
    width = x.shape[1]
    real = x.dtype == np.float64 or x.dtype == np.float32
    if width == 1 and real:
        return np.bincount(rows, x[:, 0], count).astype(x.dtype, copy=False)[:, None]
    if width >= 8 and x.size >= 4096 and (real or x.dtype.kind == "c"):
        # A product with a matrix of one 1 in each column: 2 to 5 times faster than np.add.at.
        from scipy.sparse import csc_array

        ones = np.ones(rows.size, x.dtype)
        shape = (count, rows.size)
        return csc_array((ones, rows, np.arange(rows.size + 1)), shape=shape) @ x
    y = np.zeros(count * width, x.dtype)
    np.add.at(y, (rows[:, None] * width + np.arange(width)).ravel(), x.ravel())
    return y.reshape(count, width)


def gather_at(x: Any, indices: tuple[Any, ...], axis: int) -> Any:
    """The values of x at index arrays for the adjacent axes that begin at `axis`."""
    return apply(GatherGrad, x, *indices, axis=axis)


def scatter(x: Any, indices: tuple[Any, ...], axis: int, lengths: Lengths) -> Any:
    """The transpose of `gather_at`: values added up where their indices say."""
    return apply(ScatterAddGrad, x, *indices, axis=axis, lengths=tuple(lengths))


def put(x: Any, v: Any, indices: tuple[Any, ...], axis: int) -> Any:
    """x with the values v at index arrays for the adjacent axes that begin at `axis`."""
    return apply(PutGrad, x, v, *indices, axis=axis)


def last_of(indices: tuple[Any, ...], axis: int, shape: tuple[int, ...]) -> Any:
    """True where an index is not repeated later on."""
    k = len(indices)
    return apply(LastGrad, *indices, lengths=shape[axis : axis + k or None], after=-axis - k)


def integer_index(index: Any, op: str) -> Any:
    """An index operand: a GradArray as it is, anything else as a copy; integers only."""
    if not hasattr(index, "dtype"):
        index = np.asarray(index)
        if not index.size:
            index = index.astype(np.intp)
    if index.dtype.kind not in "iu":
        raise IndexError(
            message(
                op,
                f"indices must be integers, not {index.dtype}.",
                "Convert them with .astype(int).",
            )
        )
    return index.copy() if isinstance(index, np.ndarray) else index
