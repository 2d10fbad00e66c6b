"""Simplify, for axes that are made one: batch and time, to be rows of a loss.

What goes element by element, or along other axes, does not ask for it. The axes stay apart for as
long as that is so: then one of them may count the samples of a tile.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..ops.contract import MatMulGrad
from ..ops.einsum import ContractGrad
from ..ops.reduce import MaxGrad, MinGrad, SumGrad
from ..ops.shape import AsTypeGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .program import Step
from .simplify import Rewriter, row

Parts = list[tuple[int, ...]]


def _parts(r: Rewriter, x: Any) -> Parts | None:
    """For each axis of x those that it was made of, if some was made of several."""
    step = r.made_by(x, ReshapeGrad)
    if step is None:
        return None
    before = [n for n in step.operands[0].shape if n != 1]
    parts: Parts = []
    for n in x.shape:
        part: list[int] = []
        while math.prod(part) < n and before:
            part.append(before.pop(0))
        if math.prod(part) != n:
            return None
        parts.append(tuple(part) or (1,))
    return parts if any(len(part) > 1 for part in parts) else None


def _apart(r: Rewriter, x: Any, parts: Parts) -> Any:
    """x, whose last axes are these or 1 long, with its axes apart; None where it has others."""
    shape = np.shape(x)
    if not shape:
        return x
    if type(x) is not Abstract:
        x = r.constant(x)
    new: list[int] = []
    for n, part in zip(shape, parts[len(parts) - len(shape) :]):
        if n == 1:
            new += [1] * len(part)
        elif n == math.prod(part):
            new += part
        elif part == (1,):
            new.append(n)
        else:
            return None
    return r.emit(ReshapeGrad, x, shape=tuple(new))


@row(ReshapeGrad, ExpandDimsGrad)
def _one_shape(r: Rewriter, step: Step) -> Any:
    """The shape of another shape is a shape."""
    before = r.made_by(step.operands[0], ReshapeGrad)
    if before is None:
        return None
    return r.emit(ReshapeGrad, before.operands[0], shape=step.values[0].shape)


@row(Elementwise, AsTypeGrad)
def _element_by_element(r: Rewriter, step: Step) -> Any:
    """f(reshape(a), b) -> reshape(f(a, b))."""
    y = step.values[0]
    found = [_parts(r, x) for x in step.operands]
    parts = next((p for p in found if p is not None and len(p) == y.ndim), None)
    if parts is None:
        return None
    operands = []
    for x in step.operands:
        x = _apart(r, x, parts)
        if x is None:
            return None
        operands.append(x)
    return r.emit(ReshapeGrad, r.emit(step.op, *operands, **step.params), shape=y.shape)


@row(SumGrad, MaxGrad, MinGrad)
def _along_others(r: Rewriter, step: Step) -> Any:
    """A sum or a maximum along axes goes along those that they were made of."""
    x, y = step.operands[0], step.values[0]
    parts = _parts(r, x)
    if parts is None:
        return None
    gone = {a % x.ndim for a in step.params["axis"]}
    count = sum(map(len, parts))
    axes, at = [], 0
    for k, part in enumerate(parts):
        axes += range(at - count, at - count + len(part)) if k in gone else []
        at += len(part)
    small = r.emit(step.op, _apart(r, x, parts), **{**step.params, "axis": tuple(axes)})
    return r.emit(ReshapeGrad, small, shape=y.shape)


@row(MatMulGrad)
def _summed_apart(r: Rewriter, step: Step) -> Any:
    """reshape(a)^T @ reshape(b), as a weight's gradient, sums over the axes that there were."""
    a, b = step.operands
    turned = r.made_by(a, TransposeGrad)
    if turned is None or a.ndim != 2 or np.ndim(b) != 2:
        return None
    a = turned.operands[0]
    parts, others = _parts(r, a), _parts(r, b)
    if parts is None or others is None or parts[0] != others[0]:
        return None
    if len(parts[1]) > 1 or len(others[1]) > 1:
        return None
    n = len(parts[0])
    summed = tuple(range(n))
    a, b = _apart(r, a, parts), _apart(r, b, others)
    return r.emit(ContractGrad, a, b, la=(*summed, n), lb=(*summed, n + 1), ly=(n, n + 1))
