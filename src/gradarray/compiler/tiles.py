"""Tiles: the steps of a split, a few samples at a time, with the samples along the lanes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .loops import Buffer, Fill, Loop, Var
from .lower import Lowering, Memory, View, body_of, contiguous
from .machine import host
from .program import Program, Step
from .split import Split

TILE = 64  # samples: small enough that a tile stays in cache, and wide enough for four registers


class Tile(Lowering):
    """The lowering of one tile of `size` samples; `around` is how addresses move from tile to tile.

    Values with an axis of samples have memory with the samples side by side.
    """

    def __init__(
        self, program: Program, memory: Memory, split: Split, size: int, sums: dict[Abstract, View]
    ) -> None:
        super().__init__(program, memory, {})
        self.split, self.size, self.sums = split, size, sums
        self.lanes = host().lanes(4)
        self.axis: dict[Abstract, int] = {}

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
        buffer = Buffer(math.prod(others) * width, np.dtype(dtype))
        return View(buffer, 0, shape, tuple(strides))

    next_axis: int | None = None

    def memory(self, x: Any) -> View:
        if type(x) is Abstract and x not in self.views:
            outer, self.next_axis = self.next_axis, self.axis.get(x)
            try:
                return super().memory(x)
            finally:
                self.next_axis = outer
        return super().memory(x)

    def lane_of(self, step: Step, la: Any, lb: Any) -> Any:
        for x, labels in zip(step.operands, (la, lb)):
            if type(x) is Abstract and x in self.axis:
                return labels[self.axis[x]]
        return None

    def target_of(self, y: Abstract) -> tuple[View, bool]:
        view = self.sums.get(y)
        return super().target_of(y) if view is None else (view, False)

    def run(self, step: Step) -> None:
        self.next_axis = self.axis.get(step.values[0])
        super().run(step)
        self.next_axis = None


def tiled(
    program: Program, memory: Memory, split: Split, region: list[Step], left: Sequence[Step],
    views: dict[Abstract, View],
) -> list[Any]:
    """The loops over tiles for the steps of a region; `views` gets what is there afterwards."""
    made = {v for step in region for v in step.values}
    wanted = {x for step in left for x in step.inputs}
    wanted |= {y for y in program.outputs if type(y) is Abstract}
    sums: dict[Abstract, View] = {}
    escaping: dict[Abstract, View] = {}
    for v in made:
        if v in split.sums:
            sums[v] = _laid_out(v, left)
        elif v in wanted:
            escaping[v] = View(Buffer(v.size, v.dtype), 0, v.shape, contiguous(v.shape))
    size = tile_size(split.n)
    whole, rest = divmod(split.n, size)
    body: list[Any] = [Fill(view.buffer) for view in sums.values()]
    if whole:
        turn = Var(whole)
        body.append(
            Loop(turn, _one(program, memory, split, region, views, sums, escaping, size, turn, 0))
        )
    if rest:
        body += _one(
            program, memory, split, region, views, sums, escaping, rest, None, whole * size
        )
    views.update(sums)
    views.update(escaping)
    return [body]


def _laid_out(v: Abstract, left: Sequence[Step]) -> View:
    """Memory for a sum over samples: turned over if it is only read so, as by the optimiser."""
    readers = [step for step in left if any(x is v for x in step.inputs)]
    if v.ndim == 2 and readers and all(step.op is TransposeGrad for step in readers):
        return View(Buffer(v.size, v.dtype), 0, v.shape, (1, v.shape[0]))
    return View(Buffer(v.size, v.dtype), 0, v.shape, contiguous(v.shape))


def tile_size(n: int) -> int:
    """About TILE samples; a size that divides n leaves no remainder to write code for."""
    if n <= 2 * TILE:
        return n if n <= TILE or n % TILE else TILE
    for size in (TILE, 80, 96, 48, 112, 128, 32):
        if n % size == 0:
            return size
    return TILE


def _one(
    program: Program, memory: Memory, split: Split, region: list[Step],
    views: dict[Abstract, View], sums: dict[Abstract, View], escaping: dict[Abstract, View],
    size: int, turn: Var | None, start: int,
) -> list[Any]:  # fmt: skip
    """The statements of one tile, the samples from start + turn * size on."""
    low = Tile(program, memory, split, size, sums)
    twins: dict[Abstract, Abstract] = {}

    def part(view: View, axis: int) -> View:
        """The tile's part of something that holds all samples."""
        stride = view.strides[axis]
        shape = tuple(size if a == axis else n for a, n in enumerate(view.shape))
        outer = view.outer
        if turn is not None and stride:
            outer = (*outer, (turn, size * stride))
        return replace(view, offset=view.offset + start * stride, shape=shape, outer=outer)

    def twin(x: Any, made: bool) -> Any:
        """The value of the tile that stands for x; whole ones stand for themselves."""
        if type(x) is not Abstract:
            return x
        known = twins.get(x)
        if known is not None:
            return known
        axis = split.axis.get(x)
        if axis is None:
            if not made and x not in low.views:
                low.define(x, views[x], 0)
            twins[x] = x
            return x
        shape = tuple(size if a == axis else n for a, n in enumerate(x.shape))
        new = twins[x] = Abstract(x.trace, shape, x.dtype, weak=x.weak)
        low.axis[new] = axis
        if not made:
            low.define(new, part(views[x], axis), 0)
        return new

    for step in region:
        operands = tuple([twin(x, False) for x in step.operands])
        copy = Step(step.op, operands, step.params, step.line)
        copy.several = step.several
        copy.values = tuple([twin(v, True) for v in step.values])
        low.run(copy)
    for v, view in escaping.items():
        _leave(low, twins[v], part(view, split.axis[v]))
    return body_of(low.items)


def _leave(low: Lowering, x: Abstract, to: View) -> None:
    """Write a value of the tile to its place among all samples."""
    k = low.inline.get(x)
    if k is not None:
        low.items[k].stores.append((to, low.items[k].values[x]))
        return
    at = low._group(x.shape, low.when(x))
    group = low.items[at]
    group.stores.append((to, group.leaf(low.memory(x))))

