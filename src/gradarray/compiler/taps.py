"""Max pooling as the compiler sees it: not the place in the plane that is largest, but which tap.

A gather at places that a pooling found is a choice among what the taps of each window see, and
its transpose gives each tap its own part: no index is followed. Places in the plane are made of
taps only where somebody asks for them.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops.columns import Geometry
from ..ops.pool import (
    MaxPlacesGrad,
    PlaneGatherGrad,
    PlaneScatterGrad,
    first_taps,
    max_taps,
    taps_as_places,
    window_starts,
)
from .abstract import Abstract
from .expand import expansion, inner
from .expr import const, has_code, make, select
from .group import Group, statements
from .loops import Fill
from .lower import Lowering, rule
from .memory import View
from .program import Step
from .rules.points import points
from .rules.windows import all_taps, padded, seen

Sizes = tuple[int, ...]


class MaxTap:
    """Which tap of each window sees its largest value."""

    name = "max_tap"

    @staticmethod
    def forward(x: Any, kernel: Sizes, out: Sizes, at: Geometry) -> Any:
        return max_taps(x, kernel, out, at).astype(_counter(x.dtype))


class TapPlaces:
    """The places in the plane that taps see."""

    name = "tap_places"
    forward = staticmethod(taps_as_places)


class TapGather:
    """y = what the given tap of each window sees."""

    name = "tap_gather"

    @staticmethod
    def forward(x: Any, which: Any, kernel: Sizes, at: Geometry) -> Any:
        index = taps_as_places(which, kernel, which.shape[2:], at, x.shape[2:])
        return PlaneGatherGrad.forward(x, index, True)


class TapScatter:
    """The transpose: every window gives its x to the place that its tap sees."""

    name = "tap_scatter"

    @staticmethod
    def forward(x: Any, which: Any, size: Sizes, kernel: Sizes, at: Geometry) -> Any:
        index = taps_as_places(which, kernel, which.shape[2:], at, size)
        return PlaneScatterGrad.forward(x, index, size, False)


def apart(kernel: Sizes, at: Geometry) -> bool:
    """Does each place belong to at most one window?"""
    return all(s > d * (k - 1) for s, k, d in zip(at.stride, kernel, at.dilation))


def _counter(dtype: Any) -> np.dtype:
    """Integers as wide as the values, so that they go through the same lanes."""
    return np.dtype(np.int64 if dtype.itemsize == 8 else np.int32)


# The taps that a pooling of a value has found, by the value's id and the pooling's parameters;
# they hold the value through the step that made them.
_found: weakref.WeakValueDictionary[Any, Abstract] = weakref.WeakValueDictionary()


@expansion(MaxPlacesGrad)
def _max_places(x: Any, kernel: Any, out: Any, at: Any) -> Any:
    if not has_code(x.dtype, "iuf") or not x.size:
        return NotImplemented
    params = {"kernel": kernel, "out": out, "at": at}
    shape = (*x.shape[:2], *out)
    taps = inner(MaxTap, (x,), params, shape, _counter(x.dtype))
    _found[id(x), kernel, out, at] = taps
    return inner(TapPlaces, (taps,), {**params, "length": x.shape[2:]}, shape, np.int64)


@expansion(PlaneGatherGrad)
def _gather(x: Any, index: Any, distinct: bool) -> Any:
    taps, p = _taps(index)
    if taps is None or x.dtype.kind != "f":
        return NotImplemented
    return inner(TapGather, (x, taps), p, taps.shape, x.dtype)


@expansion(PlaneScatterGrad)
def _scatter(x: Any, index: Any, size: Any, distinct: bool) -> Any:
    taps, p = _taps(index)
    if taps is None or x.dtype.kind != "f":
        return NotImplemented
    return inner(TapScatter, (x, taps), {"size": size, **p}, (*x.shape[:2], *size), x.dtype)


def _taps(index: Any) -> tuple[Abstract | None, dict[str, Any]]:
    """The taps behind places that a pooling found, and its kernel and geometry."""
    step = index.step if type(index) is Abstract else None
    if step is None or step.op is not MaxPlacesGrad:
        return None, {}
    p = step.params
    taps = _found.get((id(step.operands[0]), p["kernel"], p["out"], p["at"]))
    return taps, {"kernel": p["kernel"], "at": p["at"]}


# As loops -----------------------------------------------------------------------------------------


def _seen_values(low: Lowering, x: Any, y: Abstract, p: dict[str, Any], fill: Any) -> list[Any]:
    """What each tap sees, as values of their own."""
    kernel, out = p["kernel"], y.shape[2:]
    view, at, items = padded(low, low.memory(x), kernel, out, p["at"], fill)
    ready = low.append(items) if items else low.when(x)
    windows = View(view.buffer, 0, y.shape, (0,) * y.ndim)
    values = []
    for tap in all_taps(view, windows, kernel, at) or ():
        value = Abstract(y.trace, y.shape, x.dtype)
        low.define(value, tap, ready)
        values.append(value)
    return values


@rule(MaxTap)
def _max_tap(low: Lowering, step: Step) -> None:
    x, y, p = step.operands[0], step.values[0], step.params
    least: Any = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    xs: list[Any] = _seen_values(low, x, y, p, least)
    number = y.dtype.type

    def largest(first: Any, *others: Any) -> Any:
        others, edge = (others[:-1], others[-1]) if any(p["at"].low) else (others, None)
        best, which = first, number(0)
        for k, x in enumerate(others, 1):
            better = np.greater(x, best)
            if x.dtype.kind == "f":  # a NaN is larger than what is not one
                better = np.logical_or(better, np.not_equal(x, x) & np.equal(best, best))
            best, which = np.where(better, x, best), np.where(better, number(k), which)
        return which if edge is None else np.where(np.equal(best, least), edge, which)

    if any(p["at"].low):
        xs.append(np.asarray(first_taps(p["kernel"], p["out"], p["at"]), y.dtype))
    low.elementwise(xs, y, largest)


@rule(TapPlaces)
def _tap_places(low: Lowering, step: Step) -> None:
    taps, y, p = step.operands[0], step.values[0], step.params
    kernel, length, at = p["kernel"], p["length"], p["at"]
    starts = np.asarray(window_starts(p["out"], at, length), y.dtype)

    def place(tap: Any, start: Any) -> Any:
        tap, far, taps, steps = tap.astype(np.int64), start, 1, 1
        for k, m, d in zip(kernel[::-1], length[::-1], at.dilation[::-1]):
            far = far + tap // taps % k * (d * steps)
            taps, steps = taps * k, steps * m
        return far

    low.elementwise([taps, starts], y, place)


@rule(TapGather)
def _tap_gather(low: Lowering, step: Step) -> None:
    (x, taps), y = step.operands, step.values[0]

    def chosen(taps: Any, first: Any, *others: Any) -> Any:
        y = first
        for k, x in enumerate(others, 1):
            y = np.where(np.equal(taps, taps.dtype.type(k)), x, y)
        return y

    low.elementwise([taps, *_seen_values(low, x, y, step.params, 0)], y, chosen)


@rule(TapScatter)
def _tap_scatter(low: Lowering, step: Step) -> None:
    x, taps = (low.memory(v) for v in step.operands)
    y, kernel, at = step.values[0], step.params["kernel"], step.params["at"]
    out = low.fresh(y.shape, y.dtype)
    zero = const(0, y.dtype)

    def part(k: int) -> Any:
        number = const(k, taps.buffer.dtype)
        return lambda x, tap: select(make("eq", tap, number), x, zero)

    views = all_taps(out, x, kernel, at) if apart(kernel, at) else None
    if views:  # each place has at most one window
        covered = all(
            n * s == m and k == s for n, s, m, k in zip(x.shape[2:], at.stride, y.shape[2:], kernel)
        )
        items: list[Any] = [] if covered else [Fill(out.buffer)]
        low.define(y, out, low.append([*items, *_stored(x, taps, views, part)]))
        return
    items = [Fill(out.buffer)]
    for k, tap in enumerate(np.ndindex(*kernel)):
        found = seen(out, x, tap, at)
        if found:
            target, source = found
            (_, which) = seen(out, taps, tap, at) or found
            items += points([source, which], part(k), target, "add")
    low.define(y, out, low.append(items))


def _stored(x: View, taps: View, views: Sequence[View], part: Any) -> list[Any]:
    """What each tap gets of x, in one nest."""
    group = Group(x.shape)
    leaves = [group.leaf(x), group.leaf(taps)]
    group.stores = [(view, part(k)(*leaves)) for k, view in enumerate(views)]
    return statements(group)
