"""Windows of a plane: what each tap of a kernel sees is the plane itself, under other strides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from ...ops.avgpool import PartSpreadGrad, WindowSpreadGrad, WindowSumGrad
from ...ops.columns import Geometry
from ...ops.unfold import FoldGrad, UnfoldGrad
from ..expr import const, make
from ..loops import Fill
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from .points import copied, filled, points

Sizes = tuple[int, ...]
MOST_TAPS = 16  # that one nest reads or writes at a time


def inside(k: int, count: int, length: int, stride: int, dilation: int, low: int) -> range:
    """The windows whose tap k lies in the plane, along one axis."""
    start = k * dilation - low
    first = max(0, -(start // stride))
    last = (length - 1 - start) // stride
    return range(first, max(min(count, last + 1), first))


def seen(plane: View, windows: View, tap: Sizes, at: Geometry) -> tuple[View, View] | None:
    """What a tap of the kernel sees of the plane, and the windows for which that is inside."""
    n = len(tap)
    sizes = zip(tap, windows.shape[-n:], plane.shape[-n:], *at)
    spans = [inside(*each) for each in sizes]
    if not all(spans):
        return None
    steps = plane.strides[-n:]
    starts = [r.start * s + k * d - p for r, k, s, d, p in zip(spans, tap, *at)]
    taken = replace(
        plane,
        offset=plane.offset + sum(i * s for i, s in zip(starts, steps)),
        shape=(*plane.shape[:-n], *map(len, spans)),
        strides=(*plane.strides[:-n], *(s * b for s, b in zip(steps, at.stride))),
    )
    return taken, part_of(windows, spans)


def part_of(view: View, spans: Sequence[range]) -> View:
    """These spans of the last axes."""
    n = len(spans)
    offset = view.offset + sum(r.start * s for r, s in zip(spans, view.strides[-n:]))
    return replace(view, offset=offset, shape=(*view.shape[:-n], *map(len, spans)))


def all_taps(plane: View, windows: View, kernel: Sizes, at: Geometry) -> list[View] | None:
    """What every tap sees, for all windows; None where one sees beyond the plane."""
    views = []
    for tap in np.ndindex(*kernel):
        found = seen(plane, windows, tap, at)
        if found is None or found[1].shape != windows.shape:
            return None
        views.append(found[0])
    return views


def padded(
    low: Lowering, x: View, kernel: Sizes, out: Sizes, at: Geometry, fill: Any, **how: Any
) -> tuple[View, Geometry, list[Any]]:
    """(x with `fill` around it, the geometry there, the statements that make it)."""
    n = len(kernel)
    reach, lengths = at.reach(kernel, out), x.shape[-n:]
    if not any(at.low) and all(r <= m for r, m in zip(reach, lengths)):
        return x, at, []
    y = low.fresh((*x.shape[:-n], *reach), x.buffer.dtype, **how)
    whole, part = at.inside(lengths, reach)
    to = part_of(y, [range(s.start, s.stop) for s in whole])
    of = part_of(x, [range(s.start, s.stop) for s in part])
    edge = [Fill(y.buffer)] if not fill else filled(const(fill, x.buffer.dtype), y)
    return y, at._replace(low=(0,) * n), [*edge, *copied(of, to)]


# Columns ------------------------------------------------------------------------------------------


def _at_tap(view: View, tap: Sizes) -> View:
    """Windows (N, C, *kernel, *out) at one tap."""
    n = len(tap)
    offset = view.offset + sum(k * s for k, s in zip(tap, view.strides[2 : 2 + n]))
    shape, strides = ((*s[:2], *s[2 + n :]) for s in (view.shape, view.strides))
    return replace(view, offset=offset, shape=shape, strides=strides)


@rule(UnfoldGrad)
def _unfold(low: Lowering, step: Step) -> None:
    x, y = low.memory(step.operands[0]), step.values[0]
    kernel, at = step.params["kernel"], step.params["at"]
    out = low.fresh(y.shape, y.dtype)
    items: list[Any] = [Fill(out.buffer)]
    if all_taps(x, _at_tap(out, (0,) * len(kernel)), kernel, at):
        items = []
    for tap in np.ndindex(*kernel):
        found = seen(x, _at_tap(out, tap), tap, at)
        items += copied(*found) if found else []
    low.define(y, out, low.append(items))


@rule(FoldGrad)
def _fold(low: Lowering, step: Step) -> None:
    x = low.memory(step.operands[0])
    _put_back(low, step, lambda tap: _at_tap(x, tap), step.params["at"])


def _put_back(low: Lowering, step: Step, windows: Callable[[Sizes], View], at: Geometry) -> None:
    """What the windows hold for each tap is added where that tap sees the plane."""
    y = step.values[0]
    out = low.fresh(y.shape, y.dtype)
    items: list[Any] = [Fill(out.buffer)]
    for tap in np.ndindex(*step.params["kernel"]):
        found = seen(out, windows(tap), tap, at)
        items += _added(found[1], found[0]) if found else []
    low.define(y, out, low.append(items))


def _added(source: View, target: View) -> list[Any]:
    return points([source], lambda x: x, target, "add")


# Sums over windows --------------------------------------------------------------------------------


@rule(WindowSumGrad)
def _window_sum(low: Lowering, step: Step) -> None:
    x, y = low.memory(step.operands[0]), step.values[0]
    kernel, at = step.params["kernel"], _dense(step.params["at"])
    out = low.fresh(y.shape, y.dtype)
    views = all_taps(x, out, kernel, at)
    if views and len(views) <= MOST_TAPS:
        items = points(views, lambda *xs: reduce(lambda a, b: make("add", a, b), xs), out)
    else:
        items = [Fill(out.buffer)]
        for tap in np.ndindex(*kernel):
            found = seen(x, out, tap, at)
            items += _added(*found) if found else []
    low.define(y, out, low.append(items))


@rule(WindowSpreadGrad)
def _window_spread(low: Lowering, step: Step) -> None:
    x = low.memory(step.operands[0])
    _put_back(low, step, lambda tap: x, _dense(step.params["at"]))


def _dense(at: Geometry) -> Geometry:
    """Sums over windows take every value of theirs."""
    return at._replace(dilation=(1,) * len(at.stride))


@rule(PartSpreadGrad)
def _part_spread(low: Lowering, step: Step) -> None:
    x, y = low.memory(step.operands[0]), step.values[0]
    axis = step.params["axis"] % y.ndim
    out = low.fresh(y.shape, y.dtype)
    items: list[Any] = [Fill(out.buffer)]
    for t, (start, stop) in enumerate(step.params["cuts"]):
        of = _cut(x, axis, t, t + 1)
        to = _cut(out, axis, start, stop)
        items += _added(of.broadcast(to.shape), to)
    low.define(y, out, low.append(items))


def _cut(view: View, axis: int, start: int, stop: int) -> View:
    shape = tuple(stop - start if a == axis else n for a, n in enumerate(view.shape))
    return replace(view, offset=view.offset + start * view.strides[axis], shape=shape)
