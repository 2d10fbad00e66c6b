"""Simplify, for rows that are taken by index: what is done to each row is done to the table first.

A vocabulary has fewer words than a text. A table of an embedding times a weight is a smaller
product than the rows of the text times the weight, and its derivative adds up the rows that belong
to one word before it multiplies.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..ops.compare import GreaterGrad, WhereGrad
from ..ops.contract import MatMulGrad
from ..ops.scatter import GatherGrad, ScatterAddGrad
from ..ops.shape import BroadcastToGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .program import Step
from .simplify import Rewriter, row

OFTEN = 2  # rows taken for each row there is, from which on the table goes first


def _taken(r: Rewriter, x: Any) -> Step | None:
    """The step that takes x, rows of a matrix, by one index."""
    step = r.made_by(x, GatherGrad)
    if step is None or len(step.operands) != 2 or step.params["axis"] != -2:
        return None
    return step if np.ndim(step.operands[0]) == 2 else None


def _often(x: Abstract, step: Step) -> bool:
    return math.prod(x.shape[:-1]) >= OFTEN * step.operands[0].shape[0]


def _axes(step: Step) -> list[int]:
    n = step.values[0].ndim
    return [a % n for a in step.params["axes"]]


@row(TransposeGrad)
def _other_order(r: Rewriter, step: Step) -> Any:
    """Rows taken and put in another order are taken in that order."""
    taken = _taken(r, step.operands[0])
    order = _axes(step)
    if taken is None or order[-1] != len(order) - 1 or len(order) == 2:
        return None
    table, index = taken.operands
    index = r.emit(TransposeGrad, index, axes=tuple(a - len(order) + 1 for a in order[:-1]))
    return r.emit(GatherGrad, table, index, axis=-2)


@row(ReshapeGrad)
def _other_shape(r: Rewriter, step: Step) -> Any:
    """The same for their shape."""
    taken, shape = _taken(r, step.operands[0]), step.values[0].shape
    if taken is None or not shape or shape[-1] != step.operands[0].shape[-1]:
        return None
    table, index = taken.operands
    return r.emit(GatherGrad, table, r.emit(ReshapeGrad, index, shape=shape[:-1]), axis=-2)


@row(MatMulGrad)
def _table_first(r: Rewriter, step: Step) -> Any:
    """table[i] @ w -> (table @ w)[i]."""
    x, w = step.operands
    taken = _taken(r, x)
    if taken is None or np.ndim(w) != 2 or not _often(x, taken):
        return None
    table, index = taken.operands
    return r.emit(GatherGrad, r.emit(MatMulGrad, table, w), index, axis=-2)


@row(Elementwise)
def _each_row_alike(r: Rewriter, step: Step) -> Any:
    """f(table[i], b) -> f(table, b)[i], where b is the same for every row."""
    y = step.values[0]
    found = [_taken(r, x) for x in step.operands]
    first = next((one for one in found if one is not None), None)
    if first is None or first.values[0].shape != y.shape or not _often(y, first):
        return None
    table, index = first.operands
    operands = []
    for x, taken in zip(step.operands, found):
        shape = np.shape(x)
        if taken is not None:
            if taken.operands[1] is not index or taken.operands[0].shape[0] != table.shape[0]:
                return None
            x = taken.operands[0]
        elif math.prod(shape[:-1]) != 1:
            return None
        elif len(shape) > 2:
            x = r.emit(ReshapeGrad, x, shape=shape[-1:]) if type(x) is Abstract else None
            if x is None:
                return None
        operands.append(x)
    return r.emit(GatherGrad, r.emit(step.op, *operands, **step.params), index, axis=-2)


# The other way: rows that are added up -----------------------------------------------------------


def _added_up(r: Rewriter, x: Any, index: Any, rows: int) -> Any:
    return r.emit(ScatterAddGrad, x, index, axis=-2, lengths=(rows,))


@row(ScatterAddGrad)
def _as_they_lie(r: Rewriter, step: Step) -> Any:
    """Rows in another order or shape are added up in their own; those times w, before."""
    x, *indices = step.operands
    y = step.values[0]
    if len(indices) != 1 or y.ndim != 2 or step.params["axis"] != -2:
        return None
    index, rows = indices[0], y.shape[0]
    turned = r.made_by(x, TransposeGrad)
    if turned is not None:
        order = _axes(turned)
        if order[-1] != len(order) - 1 or np.ndim(index) != len(order) - 1:
            return None
        back = tuple(order.index(a) - len(order) + 1 for a in range(len(order) - 1))
        index = r.emit(TransposeGrad, index, axes=back)
        return _added_up(r, turned.operands[0], index, rows)
    shaped = r.made_by(x, ReshapeGrad)
    if shaped is not None:
        shape = shaped.operands[0].shape
        if not shape or shape[-1] != x.shape[-1] or np.shape(index) != x.shape[:-1]:
            return None
        index = r.emit(ReshapeGrad, index, shape=shape[:-1])
        return _added_up(r, shaped.operands[0], index, rows)
    product = r.made_by(x, MatMulGrad)
    if product is None or x.shape[:-1] != np.shape(index):
        return None
    a, w = product.operands
    if np.ndim(w) != 2 or type(a) is not Abstract or math.prod(x.shape[:-1]) < OFTEN * rows:
        return None
    return r.emit(MatMulGrad, _added_up(r, a, index, rows), w)


@row(MatMulGrad)
def _rows_of_a_word(r: Rewriter, step: Step) -> Any:
    """table[i]^T @ b -> table^T @ (b added up by i).

    A row that is never taken is no part of the product: it is 0 here, for it may be infinite.
    """
    a, b = step.operands
    turned = r.made_by(a, TransposeGrad)
    taken = None if turned is None else _taken(r, turned.operands[0])
    if taken is None or type(b) is not Abstract or a.ndim != 2 or b.ndim != 2:
        return None
    if not _often(turned.operands[0], taken):  # type: ignore[union-attr]
        return None
    table, index = taken.operands
    rows = table.shape[0]
    one = r.constant(np.ones((1, 1), a.dtype))
    ones = r.emit(BroadcastToGrad, one, shape=(b.shape[0], 1))
    count = _added_up(r, ones, index, rows)
    there = r.emit(WhereGrad, r.emit(GreaterGrad, count, 0), table, 0)
    return r.emit(MatMulGrad, r.emit(TransposeGrad, there, axes=(-1, -2)),
                  _added_up(r, b, index, rows))  # fmt: skip
