"""Tiny: a loop over a few numbers, with all of them in registers from turn to turn.

A body of nests over boxes of at most a register or two is written as straight lines: every buffer
of the body is one vector, a load is a shuffle of it, a store a blend into it, and a sum goes over
shuffles. Buffers that move with the loop, what is stacked and what is gone along, stay in memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import expr
from .expr import Expr
from .instructions import compute
from .ir import Writer, element, splat, stored, vector
from .loops import Access, Buffer, Fill, Loop, Nest, Sum, Var

LANES = 16  # the most elements of a buffer or a box
LINES = 4000  # the most operations of a body


@dataclass(eq=False)
class Held:
    """A stretch of a buffer that is a value: `size` elements from `low` on."""

    buffer: Buffer
    outer: tuple[tuple[Var, int], ...]
    low: int
    high: int
    lasting: bool  # from turn to turn, or after the loop
    stored: bool = False
    needed: bool = False  # read before it is all written
    value: str = ""

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    @property
    def lanes(self) -> int:
        return power(self.size)

    @property
    def carried(self) -> bool:
        return self.stored and (self.needed or self.lasting)


class Tiny:
    """What there is to know of such a loop; `fits` says whether it is one."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.held: dict[Any, Held] = {}
        self.inside = {v for s in loop.body if isinstance(s, Nest) for v in s.axes}
        self.fits = self._measured() and self._apart()
        if self.fits:
            self._order()

    def _measured(self) -> bool:
        lines = 0
        for s in self.loop.body:
            if isinstance(s, Fill):
                if s.buffer.size > LANES:
                    return False
                self._note(Access(s.buffer, 0), range(s.buffer.size), True)
                continue
            if not isinstance(s, Nest):
                return False
            axes, summed = split_axes(s)
            points, turns = (math.prod(v.extent for v in part) for part in (axes, summed))
            if not 0 < points <= LANES or not 0 < turns <= LANES:
                return False
            values = [one.value for one in (*s.stores, *s.sums)]
            lines += turns * len(expr.topological(values))
            for access in s.loads.values():
                self._note(access, _reach(access, s), False)
            for out in (*s.stores, *s.sums):
                self._note(out.to, _reach(out.to, s), True)
        return lines <= LINES and all(h.size <= LANES for h in self.held.values())

    def _note(self, access: Access, places: Sequence[int], stores: bool) -> None:
        key = self.key(access)
        if key is None:
            return
        low, high = min(places), max(places)
        held = self.held.get(key)
        if held is None:
            lasting = access.buffer.turn is not self.loop.var
            held = self.held[key] = Held(access.buffer, key[1], low, high, lasting)
        held.low, held.high = min(low, held.low), max(high, held.high)
        held.stored = held.stored or stores

    def key(self, access: Access) -> Any:
        """Which held stretch a place is in; None where it moves with the loop."""
        if access.stride(self.loop.var):
            return None
        outer = tuple((v, s) for v, s in access.strides if v not in self.inside)
        return access.buffer, outer

    def _apart(self) -> bool:
        """Is what is stored touched in one way only?"""
        ways: dict[Buffer, set[Any]] = {}
        stored: set[Buffer] = set()
        for s in self.loop.body:
            out = [Access(s.buffer)] if isinstance(s, Fill) else [
                one.to for one in (*s.stores, *s.sums)
            ]  # fmt: skip
            stored.update(access.buffer for access in out)
            for access in (*out, *(() if isinstance(s, Fill) else s.loads.values())):
                ways.setdefault(access.buffer, set()).add(self.key(access))
        return all(len(ways[buffer]) == 1 for buffer in stored)

    def _order(self) -> None:
        """Find what is read before this turn has written all of it."""
        written: dict[Any, set[int]] = {key: set() for key in self.held}

        def read(access: Access, places: Sequence[int]) -> None:
            key = self.key(access)
            if key is not None and not written[key].issuperset(places):
                self.held[key].needed = True

        def write(access: Access, places: Sequence[int]) -> None:
            key = self.key(access)
            if key is not None:
                written[key].update(places)

        for s in self.loop.body:
            if isinstance(s, Fill):
                write(Access(s.buffer), range(s.buffer.size))
                continue
            for access in s.loads.values():
                read(access, _reach(access, s))
            for one in s.sums:
                if not one.fresh:
                    read(one.to, _reach(one.to, s))
            for out in (*s.stores, *s.sums):
                write(out.to, _reach(out.to, s))
        for key, held in self.held.items():
            whole = range(held.low, held.high + 1)
            if not written[key].issuperset(whole):
                held.needed = True  # what is not written stays as it is


class TinyWriter:
    """Writes such a loop into an entry."""

    def __init__(self, entry: Any, tiny: Tiny) -> None:
        self.entry, self.tiny, self.loop = entry, tiny, tiny.loop
        self.w: Writer = entry.w
        self._write()

    def _write(self) -> None:
        w, s = self.w, self.loop
        end = self.entry.end_of(s)
        held = list(self.tiny.held.values())
        for h in held:
            known = h.needed or h.carried or not h.stored
            h.value = self._read(h) if known else self._zeros(h)
        carried = [h for h in held if h.carried]
        loop = w.loop(end)
        for h in carried:
            h.value = loop.carry(vector(element(h.buffer.dtype), h.lanes), h.value)
        names = [h.value for h in carried]
        with loop as i:
            self.entry.vars[s.var] = self.entry.turn_of(s, end, i)
            for statement in s.body:
                if isinstance(statement, Fill):
                    self._fill(statement)
                else:
                    self._nest(statement)
            for h, name in zip(carried, names):
                loop.set(name, h.value)
        for h, name in zip(carried, names):
            self._put(self._address(h), h.buffer.dtype, h.size, h.lanes, name)

    # Stretches ------------------------------------------------------------------------------------

    def _address(self, h: Held) -> str:
        return self.entry._pointer(Access(h.buffer, h.low, h.outer), [])

    def _read(self, h: Held) -> str:
        return self._get(self._address(h), h.buffer.dtype, h.size, h.lanes)

    def _get(self, at: str, dtype: np.dtype, count: int, lanes: int) -> str:
        """`count` elements that lie side by side, in a vector whose other lanes copy the first."""
        x = self.w.load(dtype, at, count)
        return self.shuffled(x, dtype, count, list(range(count)), lanes)

    def _put(self, at: str, dtype: np.dtype, count: int, lanes: int, x: str) -> None:
        x = self.shuffled(x, dtype, lanes, list(range(count)), count)
        self.w.store(dtype, x, at, count)

    def shuffled(
        self, x: str, dtype: np.dtype, lanes: int, places: list[int], count: int
    ) -> str:
        """The elements of x at these places, then copies of the first of them, `count` in all."""
        w, kind = self.w, element(dtype)
        if lanes == count and places == list(range(len(places))):
            return x
        if count == 1:
            return w.let(f"extractelement {vector(kind, lanes)} {x}, i32 {places[0]}")
        if lanes == 1:
            x = w.let(f"insertelement {vector(kind, count)} poison, {kind} {x}, i32 0")
            lanes, places = count, [0]
        full = [*places, *[places[0]] * (count - len(places))]
        return w.shuffle(kind, x, "poison", lanes, full)

    def _blended(self, h: Held, x: str, lanes: int, places: list[int]) -> str:
        """The stretch with the lanes of x at these places."""
        dtype = h.buffer.dtype
        source = {p: k for k, p in enumerate(places)}
        if len(source) == h.size:
            return self.shuffled(x, dtype, lanes, [source[p] for p in range(h.size)], h.lanes)
        if h.lanes == 1:
            return x
        width = max(lanes, h.lanes)
        old = self.shuffled(h.value, dtype, h.lanes, list(range(h.lanes)), width)
        new = self.shuffled(x, dtype, lanes, list(range(lanes)), width)
        order = [width + source[p] if p in source else p for p in range(h.lanes)]
        return self.w.shuffle(element(dtype), old, new, width, order)

    # Statements -----------------------------------------------------------------------------------

    def _fill(self, s: Fill) -> None:
        h = self.tiny.held[self.tiny.key(Access(s.buffer))]
        h.value = self._zeros(h)

    def _zeros(self, h: Held) -> str:
        return splat(h.buffer.dtype, np.zeros(1, h.buffer.dtype).tobytes(), h.lanes)

    def _nest(self, s: Nest) -> None:
        axes, summed = split_axes(s)
        points = list(itertools.product(*[range(v.extent) for v in axes]))
        lanes = power(len(points))
        totals: list[str] = [
            "" if one.fresh else self._load(one.to, s, axes, points, {}, lanes) for one in s.sums
        ]
        for turn in itertools.product(*[range(v.extent) for v in summed]):
            fixed = dict(zip(summed, turn))
            leaves = {
                x: self._load(access, s, axes, points, fixed, lanes)
                for x, access in s.loads.items()
            }
            values = compute(self.w, [one.value for one in s.stores], leaves, lanes)
            for one, x in zip(s.stores, values):
                self._store(one.to, s, axes, points, fixed, lanes, x)
            for k, one in enumerate(s.sums):
                totals[k] = self._added(one, totals[k], leaves, lanes)
        for one, x in zip(s.sums, totals):
            self._store(one.to, s, axes, points, {}, lanes, x)

    def _added(self, one: Sum, total: str, leaves: dict[Expr, str], lanes: int) -> str:
        value, dtype = one.value, one.value.dtype
        if not total:
            return compute(self.w, [value], leaves, lanes)[0]
        x, y, z = (expr.leaf(k, dtype) for k in range(3))
        if one.combine == "add" and value.op == "mul" and dtype.kind == "f":
            a, b = compute(self.w, value.args, leaves, lanes)
            return compute(self.w, [expr.make("fma", x, y, z)], {x: a, y: b, z: total}, lanes)[0]
        term = compute(self.w, [value], leaves, lanes)[0]
        return compute(
            self.w, [expr.make(one.combine, x, y)], {x: total, y: term}, lanes
        )[0]

    def _load(
        self, access: Access, s: Nest, axes: list[Var], points: list[Any],
        fixed: dict[Var, int], lanes: int,
    ) -> str:  # fmt: skip
        places = _places_at(access, axes, points, fixed)
        dtype, key = access.buffer.dtype, self.tiny.key(access)
        if key is not None:
            h = self.tiny.held[key]
            return self.shuffled(h.value, dtype, h.lanes, [p - h.low for p in places], lanes)
        low, high = min(places), max(places)
        at = self._moving(access, low, s)
        count = high - low + 1
        if count <= 2 * LANES:
            x = self._get(at, dtype, count, power(count))
            return self.shuffled(x, dtype, power(count), [p - low for p in places], lanes)
        wide, x = vector(element(dtype), lanes), "poison"
        for k, p in enumerate(places):
            here = self.w.let(f"getelementptr {stored(dtype)}, ptr {at}, i64 {p - low}")
            one = self._get(here, dtype, 1, 1)
            x = self.w.let(f"insertelement {wide} {x}, {element(dtype)} {one}, i32 {k}")
        return x

    def _store(
        self, access: Access, s: Nest, axes: list[Var], points: list[Any],
        fixed: dict[Var, int], lanes: int, x: str,
    ) -> None:  # fmt: skip
        places = _places_at(access, axes, points, fixed)
        dtype, key = access.buffer.dtype, self.tiny.key(access)
        if key is not None:
            h = self.tiny.held[key]
            h.value = self._blended(h, x, lanes, [p - h.low for p in places])
            return
        low, count = min(places), len(places)
        at = self._moving(access, low, s)
        if sorted(places) == list(range(low, low + count)):
            order = [places.index(low + k) for k in range(count)]
            x = self.shuffled(x, dtype, lanes, order, power(count))
            self._put(at, dtype, count, power(count), x)
            return
        for k, p in enumerate(places):
            here = self.w.let(f"getelementptr {stored(dtype)}, ptr {at}, i64 {p - low}")
            self._put(here, dtype, 1, 1, self.shuffled(x, dtype, lanes, [k], 1))

    def _moving(self, access: Access, low: int, s: Nest) -> str:
        return self.entry._pointer(Access(access.buffer, low, access.strides), s.axes)


# Places -------------------------------------------------------------------------------------------


def power(n: int) -> int:
    """The least power of two that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


def split_axes(s: Nest) -> tuple[list[Var], list[Var]]:
    """The axes whose points are lanes, and those that are gone along one by one: the summed."""
    summed = [v for v in s.axes if s.sums and not any(one.to.stride(v) for one in s.sums)]
    return [v for v in s.axes if v not in summed], summed


def _places_at(
    access: Access, axes: list[Var], points: list[Any], fixed: dict[Var, int]
) -> list[int]:
    start = access.offset + sum(access.stride(v) * k for v, k in fixed.items())
    strides = [access.stride(v) for v in axes]
    return [start + sum(s * k for s, k in zip(strides, point)) for point in points]


def _reach(access: Access, s: Nest) -> list[int]:
    points = list(itertools.product(*[range(v.extent) for v in s.axes]))
    return _places_at(access, s.axes, points, {})
