"""A tile: the steps of a split for a few samples, which lie side by side along the lanes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .abstract import Abstract
from .expr import cast, make
from .group import Group, statements
from .loops import Buffer, Fill
from .lower import Lowering
from .machine import host
from .memory import Memory, View, contiguous
from .program import Program, Step
from .rules.narrow import add_to
from .scalar import Scalar, as_scalar
from .split import Split

LONG = 8  # turns of a loop, from which on sums are kept apart for every sample
APART = 24576  # bytes of those, which stay in the first cache


class Tile(Lowering):
    """The lowering of one tile of `size` samples; `sums` is where sums over samples are added to.

    Values with an axis of samples have memory with the samples side by side.
    """

    at_hand: tuple[Abstract, ...] = ()  # the values of the step that is lowered

    def __init__(
        self, program: Program, memory: Memory, split: Split, size: int, sums: dict[Abstract, View]
    ) -> None:
        super().__init__(program, memory, {})
        self.split, self.size, self.targets = split, size, sums
        self.lanes = host().lanes(4)
        self.axis: dict[Abstract, int] = {}
        self.added: dict[Abstract, int] = {}  # of how many sums a sum's place holds the total

    def terms(self, y: Abstract) -> int:
        return self.added.get(y, 1)

    def fresh(self, shape: tuple[int, ...], dtype: Any, axis: int | None = None) -> View:
        """Memory of the tile: the axis of samples has stride 1."""
        if axis is None:
            axis = self.next_axis
        if axis is None:
            return super().fresh(shape, dtype)
        others = tuple(n for a, n in enumerate(shape) if a != axis)
        width = -(-shape[axis] // self.lanes) * self.lanes
        strides = [s * width for s in contiguous(others)]
        strides.insert(axis, 1)
        buffer = Buffer(math.prod(others) * width, np.dtype(dtype), turn=self.turn)
        return View(buffer, 0, shape, tuple(strides))

    def fresh_for(self, v: Abstract, turns: int | None = None) -> View:
        axis = self.axis.get(v)
        if turns is None:
            return self.fresh(v.shape, v.dtype, axis)
        return self.fresh((turns, *v.shape), v.dtype, None if axis is None else axis + 1)

    def within(self, program: Program, known: dict[Abstract, View], turn: Any) -> Lowering:
        low = type(self)(program, self.shared, self.split, self.size, self.targets)
        low.axis, low.apart, low.turn = self.axis, self.apart, turn
        for v, view in known.items():
            low.define(v, view, 0)
        return low

    def memory(self, x: Any) -> View:
        if type(x) is Abstract and x not in self.views:
            with self._laid_out_as(x):
                return super().memory(x)
        return super().memory(x)

    def _copied(self, x: Abstract, place: str = "arena") -> View:
        with self._laid_out_as(x):
            return super()._copied(x, place)

    @contextlib.contextmanager
    def _laid_out_as(self, x: Abstract) -> Iterator[None]:
        """Fresh memory is for x, whatever the step at hand gives."""
        outer, self.next_axis = self.next_axis, self.axis.get(x)
        try:
            yield
        finally:
            self.next_axis = outer

    def lane_of(self, step: Step, la: Any, lb: Any) -> Any:
        for x, labels in zip(step.operands, (la, lb)):
            if type(x) is Abstract and x in self.axis:
                return labels[self.axis[x]]
        return None

    def adds(self, y: Abstract) -> bool:
        return y in self.axis

    def run(self, step: Step) -> None:
        self.next_axis = None if step.programs() else self.axis.get(step.values[0])
        self.at_hand = (*step.values, *step.inputs)
        super().run(step)
        self.next_axis, self.at_hand = None, ()

    def _group(
        self, shape: tuple[int, ...], first: int, summed: tuple[int, ...] | None = None
    ) -> int:
        k = super()._group(shape, first, summed)
        group = self.items[k]
        if group.lane is None:
            found = (self.axis[v] for v in self.at_hand if v in self.axis and v.shape == shape)
            group.lane = next(found, None)
        return k

    def reduction(
        self, x: Any, y: Abstract, axes: tuple[int, ...], combine: str,
        before: Callable[..., Any] = lambda x: x,
    ) -> None:  # fmt: skip
        kept = self.apart.get(y)
        if kept is None or [a % x.ndim for a in axes] != [self.axis[x]] or y.ndim == x.ndim:
            super().reduction(x, y, axes, combine, before)
            return
        k = self._group(x.shape, self._bound([x], x.shape))
        e = as_scalar(before(Scalar(self._used(x, k), x.weak))).e
        lane, (own, *others) = self.axis[x], kept.strides
        others.insert(lane, own)
        to = replace(kept, shape=x.shape, strides=tuple(others))
        add_to(self.items[k], to, lambda old: make("add", old, cast(e, y.dtype)))

    def keep_apart(self, step: Step) -> list[Abstract]:
        """Memory for what a long loop adds to small sums, for every sample alone."""
        p, left = step.params, APART
        if not p.get("sums") or p["length"] < LONG:
            return []
        found = []
        for k in p["sums"]:
            total = step.values[k]
            left -= total.nbytes * self.size
            if left < 0:
                break
            strides = (1, *[s * self.size for s in contiguous(total.shape)])
            buffer = Buffer(total.size * self.size, total.dtype)
            self.apart[total] = View(buffer, 0, (self.size, *total.shape), strides)
            self.append([Fill(buffer)])
            found.append(total)
        return found

    def add_up(self, total: Abstract) -> None:
        """Add what was kept apart to the sum over samples."""
        kept, to = self.apart[total], self.targets[total]
        group = Group(kept.shape, lane=0, summed=(0,))
        to = replace(to, shape=kept.shape, strides=(0, *to.strides))
        group.sums.append((to, group.leaf(kept), "add", False))
        self.append(statements(group))


class Slab(Tile):
    """A tile of large samples: memory is in C order, lanes go along other axes."""

    near = True

    def fresh(self, shape: tuple[int, ...], dtype: Any, axis: int | None = None) -> View:
        return self.side_by_side(shape, dtype)

    def lane_of(self, step: Step, la: Any, lb: Any) -> Any:
        return None

    def adds(self, y: Abstract) -> bool:
        return False

    def keep_apart(self, step: Step) -> list[Abstract]:
        return []

    def _group(
        self, shape: tuple[int, ...], first: int, summed: tuple[int, ...] | None = None
    ) -> int:
        return Lowering._group(self, shape, first, summed)
