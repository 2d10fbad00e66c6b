"""Rows for what is broadcast: it is so at the end, where that costs nothing.

Products of rows that are all alike are taken once, and those with ones or unit vectors not at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..ops.contract import MatMulGrad
from ..ops.einsum import ContractGrad
from ..ops.reduce import SumGrad
from ..ops.shape import BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract, shape_of
from .program import Step
from .simplify import Rewriter, row


def _slim(r: Rewriter, x: Any) -> Any:
    """What is broadcast to x, with as many axes as x has; x itself where it is not."""
    step = r.made_by(x, BroadcastToGrad)
    if step is None:
        return x
    inner = step.operands[0]
    if inner.ndim < x.ndim:
        inner = r.emit(ReshapeGrad, inner, shape=(1,) * (x.ndim - inner.ndim) + inner.shape)
    return inner


@row(Elementwise)
def _narrowed(r: Rewriter, step: Step) -> Any:
    """f(broadcast(a), b) -> f(a, b), broadcast if that is smaller."""
    if not any(r.made_by(x, BroadcastToGrad) for x in step.operands):
        return None
    operands = tuple([_slim(r, x) for x in step.operands])
    y = step.values[0]
    small = r.emit(step.op, *operands, **step.params)
    return small if small.shape == y.shape else r.emit(BroadcastToGrad, small, shape=y.shape)


@row(ExpandDimsGrad, TransposeGrad)
def _moved_later(r: Rewriter, step: Step) -> Any:
    """Axes of a broadcast are moved before it."""
    x = step.operands[0]
    if r.made_by(x, BroadcastToGrad) is None:
        return None
    y = step.values[0]
    return r.emit(
        BroadcastToGrad, r.emit(step.op, _slim(r, x), **step.params), shape=y.shape
    )


@row(BroadcastToGrad)
def _once(r: Rewriter, step: Step) -> Any:
    """broadcast(broadcast(x)) -> broadcast(x)."""
    before = r.made_by(step.operands[0], BroadcastToGrad)
    if before is None:
        return None
    return r.emit(BroadcastToGrad, before.operands[0], shape=step.values[0].shape)


@row(ReshapeGrad)
def _reshaped_later(r: Rewriter, step: Step) -> Any:
    """A broadcast that gets or loses axes of length 1 is taken after it."""
    x, y = step.operands[0], step.values[0]
    if r.made_by(x, BroadcastToGrad) is None:
        return None
    if [n for n in x.shape if n > 1] != [n for n in y.shape if n > 1]:
        return None
    slim = _slim(r, x)
    real = iter([m for m, n in zip(slim.shape, x.shape) if n > 1])
    small = r.emit(ReshapeGrad, slim, shape=tuple([next(real) if n > 1 else 1 for n in y.shape]))
    return r.emit(BroadcastToGrad, small, shape=y.shape)


@row(MatMulGrad)
def _times_identity(r: Rewriter, step: Step) -> Any:
    """I b -> b, a I -> a: the unit vectors that tangents start from."""
    a, b = step.operands
    y = step.values[0]
    if _is_identity(r, a, -1) and type(b) is Abstract and (b.ndim, b.dtype) == (2, y.dtype):
        return r.emit(ReshapeGrad, b, shape=y.shape)
    if type(a) is not Abstract or (a.ndim, a.dtype) != (2, y.dtype):
        return None
    if _is_identity(r, b, -2) and b.shape[-1] == 1:  # columns one by one
        return r.emit(ReshapeGrad, r.emit(TransposeGrad, a, axes=(-1, -2)), shape=y.shape)
    return a if _is_identity(r, b, -2) and b.ndim == 2 else None


def _is_identity(r: Rewriter, x: Any, axis: int) -> bool:
    """Is it 1 where this axis and another one count alike, and 0 elsewhere?"""
    data = r.constants.get(x) if type(x) is Abstract else None
    if data is None or data.ndim < 2 or data.dtype.kind not in "fc":
        return False
    n = data.shape[axis]
    lengths = [m for m in data.shape if m > 1]
    return n > 1 and lengths == [n, n] and np.array_equal(data.reshape(n, n), np.eye(n))


@row(MatMulGrad)
def _rows_alike(r: Rewriter, step: Step) -> Any:
    """A product of equal rows (or columns) is taken once."""
    a, b = step.operands
    y = step.values[0]
    n = y.ndim - 2
    labels = tuple(range(n))
    return _product_alike(
        r, step, (*labels[n - len(shape_of(a)) + 2 :], "i", "k"),
        (*labels[n - len(shape_of(b)) + 2 :], "k", "j"), (*labels, "i", "j"), MatMulGrad,
    )  # fmt: skip


@row(MatMulGrad)
def _ones_add_up(r: Rewriter, step: Step) -> Any:
    """1^T B -> the sum of B's rows, A 1 -> the sums of A's rows, where 1 is all ones."""
    a, b = step.operands
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2:
        return None
    for ones, x, axis, length in ((a, b, -2, 0), (b, a, -1, 1)):
        one = r.made_by(ones, BroadcastToGrad)
        value = None if one is None else r.constants.get(one.operands[0])
        if value is None or value.size != 1 or value.ravel()[0] != 1 or ones.shape[length] != 1:
            continue
        if type(x) is Abstract and x.dtype == step.values[0].dtype and x.dtype.kind == "f":
            return r.emit(SumGrad, x, axis=(axis,), keepdims=True)
    return None


def _product_alike(r: Rewriter, step: Step, la: Any, lb: Any, ly: Any, op: Any) -> Any:
    a, b = step.operands
    if all(r.made_by(x, BroadcastToGrad) is None for x in (a, b)):
        return None
    slim_a, slim_b = _slim(r, a), _slim(r, b)
    new = []
    for x, slim, labels, others in ((a, slim_a, la, lb), (b, slim_b, lb, la)):
        # Only along axes that are neither summed nor shared.
        shape = tuple(
            small if k in ly and k not in others else full
            for k, small, full in zip(labels, shape_of(slim), x.shape)
        )
        if type(slim) is Abstract and slim.shape != shape:
            slim = r.emit(BroadcastToGrad, slim, shape=shape)
        new.append(slim)
    if all(x.shape == old.shape for x, old in zip(new, (a, b))):
        return None
    small = r.emit(op, *new, **step.params)
    return r.emit(BroadcastToGrad, small, shape=step.values[0].shape)


@row(ContractGrad)
def _contract_alike(r: Rewriter, step: Step) -> Any:
    """As for products of matrices."""
    p = step.params
    return _product_alike(r, step, p["la"], p["lb"], p["ly"], ContractGrad)
