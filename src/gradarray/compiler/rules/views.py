"""The same data under other strides: reshapes, transposes, slices and parts move nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...ops.indexing import IndexGrad
from ...ops.join import SplitGrad, UnstackGrad
from ...ops.shape import BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from ..lower import Lowering, rule
from ..memory import View, contiguous
from ..program import Step


def _seen(low: Lowering, step: Step, view: View) -> None:
    """The result is a view of the operand's memory."""
    low.define(step.values[0], view, low.when(step.operands[0]))


@rule(TransposeGrad)
def _transpose(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    order = [a % len(v.shape) for a in step.params["axes"]]
    shape, strides = (tuple(s[a] for a in order) for s in (v.shape, v.strides))
    _seen(low, step, replace(v, shape=shape, strides=strides))


@rule(ExpandDimsGrad)
def _expand_dims(low: Lowering, step: Step) -> None:
    v, y = low.memory(step.operands[0]), step.values[0]
    new = {a % y.ndim for a in step.params["axis"]}
    old = iter(v.strides)
    strides = tuple(0 if a in new else next(old) for a in range(y.ndim))
    _seen(low, step, replace(v, shape=y.shape, strides=strides))


@rule(BroadcastToGrad)
def _broadcast(low: Lowering, step: Step) -> None:
    _seen(low, step, low.memory(step.operands[0]).broadcast(step.values[0].shape))


@rule(ReshapeGrad)
def _reshape(low: Lowering, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    view = reshaped(low.memory(x), y.shape)
    if view is None:
        view = reshaped(low._copied(x), y.shape)
        assert view is not None
        low.define(y, view, len(low.items))
    else:
        _seen(low, step, view)


def reshaped(v: View, shape: tuple[int, ...]) -> View | None:
    """The view in another shape, if strides can say it."""
    if math.prod(shape) == 0 or v.contiguous:
        return replace(v, shape=shape, strides=contiguous(shape))
    old = [(n, s) for n, s in zip(v.shape, v.strides) if n != 1]
    strides: list[int] = []
    at = 0
    k = 0
    shape_left = list(shape)
    while k < len(shape_left):
        n = shape_left[k]
        if n == 1:
            strides.append(0)
            k += 1
            continue
        # Take as many old axes as are needed for some of the new ones.
        first, have, start = k, 1, at
        want = 1
        while True:
            if have < want or (have == 1 and start == at):
                if at == len(old):
                    return None
                have *= old[at][0]
                at += 1
            if want < have:
                want *= shape_left[k]
                k += 1
                if want > have and at == len(old):
                    return None
            if want == have:
                break
            if want < have and k == len(shape_left):
                return None
        parts = old[start:at]
        for (_n1, s1), (n2, s2) in itertools.pairwise(parts):
            if s1 != n2 * s2:
                return None
        inner = parts[-1][1]
        found = []
        for n in reversed(shape_left[first:k]):
            found.append(inner)
            inner *= n
        strides += found[::-1]
    return replace(v, shape=shape, strides=tuple(strides))


@rule(IndexGrad)
def _index(low: Lowering, step: Step) -> Any:
    x = step.operands[0]
    view = indexed(low.memory(x), step.params["index"])
    _seen(low, step, view)


def indexed(v: View, index: Sequence[Any]) -> View:
    """v[..., *index], a basic index."""
    offset = v.offset
    given = sum(1 for i in index if i is not None)
    lead = len(v.shape) - given
    shape, strides = list(v.shape[:lead]), list(v.strides[:lead])
    at = lead
    for i in index:
        if i is None:
            shape.append(1)
            strides.append(0)
            continue
        n, s = v.shape[at], v.strides[at]
        at += 1
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            count = len(range(start, stop, step))
            offset += start * s if count else 0
            shape.append(count)
            strides.append(s * step)
        else:
            offset += (int(i) % n) * s
    return replace(v, offset=offset, shape=tuple(shape), strides=tuple(strides))


@rule(SplitGrad)
def _split(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    axis = step.params["axis"] % len(v.shape)
    start = 0
    for y in step.values:
        offset = v.offset + start * v.strides[axis]
        low.define(y, replace(v, offset=offset, shape=y.shape), low.when(step.operands[0]))
        start += y.shape[axis]


@rule(UnstackGrad)
def _unstack(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    axis = step.params["axis"] % len(v.shape)
    strides = tuple(s for a, s in enumerate(v.strides) if a != axis)
    for k, y in enumerate(step.values):
        view = replace(v, offset=v.offset + k * v.strides[axis], shape=y.shape, strides=strides)
        low.define(y, view, low.when(step.operands[0]))
