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
from ..ops.shape import BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .program import Step
from .simplify import Rewriter, row
from .taken import AddedUp, InRange, Taken

OFTEN = 2  # rows taken for each row there is, from which on the table goes first


def _often(x: Any, rows: int) -> bool:
    return math.prod(np.shape(x)[:-1]) >= OFTEN * rows


def _of_matrix(step: Step, ndim: int) -> bool:
    """Does one index go along the first axis of a matrix?"""
    return len(step.operands) == 2 and ndim == 2 and step.params["axis"] == -2


@row(GatherGrad)
def _rows_taken(r: Rewriter, step: Step) -> Any:
    """table[i] -> its rows at indices that have been looked at, where there are many of them."""
    table, y = step.operands[0], step.values[0]
    if not _of_matrix(step, np.ndim(table)) or not _often(y, np.shape(table)[0]):
        return None
    index = r.emit(InRange, step.operands[1], count=np.shape(table)[0])
    return r.emit(Taken, table, index)


@row(ScatterAddGrad)
def _rows_added_up(r: Rewriter, step: Step) -> Any:
    """The same where rows are added up."""
    x, y = step.operands[0], step.values[0]
    if not _of_matrix(step, y.ndim) or type(x) is not Abstract or not _often(x, y.shape[0]):
        return None
    index = r.emit(InRange, step.operands[1], count=y.shape[0])
    return r.emit(AddedUp, x, index, rows=y.shape[0])


@row(InRange)
def _where_it_lies(r: Rewriter, step: Step) -> Any:
    """Indices are looked at before their axes are moved."""
    x = step.operands[0]
    for op in (TransposeGrad, ReshapeGrad, ExpandDimsGrad):
        moved = r.made_by(x, op)
        if moved is not None:
            return r.emit(op, r.emit(InRange, moved.operands[0], **step.params), **moved.params)
    return None


def _axes(step: Step) -> list[int]:
    n = step.values[0].ndim
    return [a % n for a in step.params["axes"]]


@row(TransposeGrad)
def _other_order(r: Rewriter, step: Step) -> Any:
    """Rows taken and put in another order are taken in that order."""
    taken = r.made_by(step.operands[0], Taken)
    order = _axes(step)
    if taken is None or order[-1] != len(order) - 1:
        return None
    table, index = taken.operands
    axes = tuple(a - len(order) + 1 for a in order[:-1])
    return r.emit(Taken, table, r.emit(TransposeGrad, index, axes=axes))


@row(ReshapeGrad)
def _other_shape(r: Rewriter, step: Step) -> Any:
    """The same for their shape."""
    taken, shape = r.made_by(step.operands[0], Taken), step.values[0].shape
    if taken is None or not shape or shape[-1] != step.operands[0].shape[-1]:
        return None
    table, index = taken.operands
    return r.emit(Taken, table, r.emit(ReshapeGrad, index, shape=shape[:-1]))


@row(MatMulGrad)
def _table_first(r: Rewriter, step: Step) -> Any:
    """table[i] @ w -> (table @ w)[i]."""
    x, w = step.operands
    taken = r.made_by(x, Taken)
    if taken is None or np.ndim(w) != 2:
        return None
    table, index = taken.operands
    return r.emit(Taken, r.emit(MatMulGrad, table, w), index)


@row(Elementwise)
def _each_row_alike(r: Rewriter, step: Step) -> Any:
    """f(table[i], b) -> f(table, b)[i], where b is the same for every row."""
    y = step.values[0]
    found = [r.made_by(x, Taken) for x in step.operands]
    first = next((one for one in found if one is not None), None)
    if first is None or first.values[0].shape != y.shape:
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
            x = r.emit(ReshapeGrad, x, shape=shape[-1:]) if type(x) is Abstract else x.ravel()
        operands.append(x)
    return r.emit(Taken, r.emit(step.op, *operands, **step.params), index)


# The other way: rows that are added up -----------------------------------------------------------


@row(AddedUp)
def _as_they_lie(r: Rewriter, step: Step) -> Any:
    """Rows in another order or shape are added up in their own; those times w, before."""
    x, index = step.operands
    rows = step.params["rows"]
    turned = r.made_by(x, TransposeGrad)
    if turned is not None:
        order = _axes(turned)
        if order[-1] != len(order) - 1:
            return None
        back = tuple(order.index(a) - len(order) + 1 for a in range(len(order) - 1))
        index = r.emit(TransposeGrad, index, axes=back)
        return r.emit(AddedUp, turned.operands[0], index, rows=rows)
    shaped = r.made_by(x, ReshapeGrad)
    if shaped is not None:
        shape = shaped.operands[0].shape
        if not shape or shape[-1] != x.shape[-1]:
            return None
        index = r.emit(ReshapeGrad, index, shape=shape[:-1])
        return r.emit(AddedUp, shaped.operands[0], index, rows=rows)
    product = r.made_by(x, MatMulGrad)
    if product is None:
        return None
    a, w = product.operands
    if np.ndim(w) != 2 or type(a) is not Abstract:
        return None
    return r.emit(MatMulGrad, r.emit(AddedUp, a, index, rows=rows), w)


@row(MatMulGrad)
def _rows_of_a_word(r: Rewriter, step: Step) -> Any:
    """table[i]^T @ b -> table^T @ (b added up by i).

    A row that is never taken is no part of the product: it is 0 here, for it may be infinite.
    """
    a, b = step.operands
    turned = r.made_by(a, TransposeGrad)
    taken = None if turned is None else r.made_by(turned.operands[0], Taken)
    if taken is None or type(b) is not Abstract or a.ndim != 2 or b.ndim != 2:
        return None
    table, index = taken.operands
    rows = table.shape[0]
    one = r.constant(np.ones((1, 1), a.dtype))
    ones = r.emit(BroadcastToGrad, one, shape=(b.shape[0], 1))
    count = r.emit(AddedUp, ones, index, rows=rows)
    there = r.emit(WhereGrad, r.emit(GreaterGrad, count, 0), table, 0)
    added = r.emit(AddedUp, b, index, rows=rows)
    return r.emit(MatMulGrad, r.emit(TransposeGrad, there, axes=(-1, -2)), added)
