"""Data put together: concatenate, stack, place, set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.indexing import PlaceGrad, SetGrad
from ...ops.join import ConcatenateGrad, StackGrad
from ..abstract import Abstract, shape_of
from ..expr import cast
from ..loops import Fill
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from .points import copied, points
from .views import indexed


@rule(ConcatenateGrad)
def _concatenate(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    if any(x.dtype != y.dtype for x in step.operands):
        return NotImplemented
    out = low.homes.get(y) or low.fresh(y.shape, y.dtype)
    low.define(y, out, _put(low, list(zip(step.operands, parts_of(out, step)))))
    return None


def parts_of(out: View, step: Step) -> list[View]:
    """Where the operands lie in what they are put together to."""
    axis, start, places = step.params["axis"] % len(out.shape), 0, []
    for x in step.operands:
        at = out.offset + start * out.strides[axis]
        places.append(replace(out, offset=at, shape=shape_of(x)))
        start += shape_of(x)[axis]
    return places


def _put(low: Lowering, places: list[tuple[Any, View]]) -> int:
    """Bring values to their places, at once where they are computed; when all are there."""
    copies: list[Any] = []
    ready = 0
    for x, place in places:
        if type(x) is Abstract and x in low.inline and x not in low.views:
            k = low.inline[x]
            group = low.items[k]
            group.stores.append((place, group.values[x]))
            low.define(x, place, k + 1)
            ready = max(ready, k + 1)
        else:
            view = low.memory(x)
            ready = max(ready, low.when(x))
            copies += copied(view, place) if view != place else []
    return low.append(copies) if copies else ready


@rule(StackGrad)
def _stack(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    axis = step.params["axis"] % y.ndim
    if any(np.asarray(x).dtype != y.dtype if type(x) is not Abstract else x.dtype != y.dtype
           for x in step.operands):  # fmt: skip
        return NotImplemented
    out = low.fresh(y.shape, y.dtype)
    strides = tuple(s for a, s in enumerate(out.strides) if a != axis)
    places = []
    for k, x in enumerate(step.operands):
        shape = shape_of(x)
        place = replace(out, offset=k * out.strides[axis], shape=shape, strides=strides)
        places.append((x, place))
    low.define(y, out, _put(low, places))
    return None


@rule(PlaceGrad)
def _place(low: Lowering, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    out = low.fresh(y.shape, y.dtype)
    target = indexed(out, step.params["index"])
    low.define(y, out, low.append([Fill(out.buffer), *copied(low.memory(x), target)]))


@rule(SetGrad)
def _set(low: Lowering, step: Step) -> Any:
    x, v = step.operands
    y = step.values[0]
    out = low.fresh(y.shape, y.dtype)
    target = indexed(out, step.params["index"])
    first = points([low.memory(x)], _cast_to(y.dtype), out)
    then = points([low.memory(v)], _cast_to(y.dtype), target)
    low.define(y, out, low.append([*first, *then]))
    return None


def _cast_to(dtype: np.dtype) -> Any:
    return lambda x: cast(x, dtype)
