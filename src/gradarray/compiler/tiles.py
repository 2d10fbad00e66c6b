"""Tiles: the steps of a split, a few samples at a time, with the samples along the lanes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ops.contract import MatMulGrad
from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .expr import cast, leaf, make
from .group import Group, body_of, statements
from .loops import Access, Buffer, Fill, Loop, Nest, Sum, Var, accesses, walk
from .lower import Lowering
from .machine import host
from .memory import Memory, View, contiguous, turned_over
from .merge import merged
from .program import Program, Step
from .rules.narrow import add_to
from .scalar import Scalar, as_scalar
from .split import Split
from .split_loops import without_sums

BIG = 1 << 20  # bytes of one value in a tile, beyond which tiles are small
SMALL_TILE = 16
SWEEPS = 2  # operations for each multiplication of a product: it is followed by an addition
WORTH = 10_000_000  # operations that are worth a second thread, some 100 us
NEAR = 1 << 19  # bytes, half of the second cache
LONG = 8  # turns of a loop, from which on sums are kept apart for every sample
APART = 24576  # bytes of those, which stay in the first cache
SLAB = 1 << 17  # bytes of the largest value in a slab: some of them stay in a core's cache
TILE = 64  # samples: small enough that a tile stays in cache, and wide enough for four registers


class Tile(Lowering):
    """The lowering of one tile of `size` samples; `around` is how addresses move from tile to tile.

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


def tiled(
    program: Program, memory: Memory, split: Split, region: list[Step], left: Sequence[Step],
    views: dict[Abstract, View],
) -> list[Any]:
    """The loops over tiles for the steps of a region; `views` gets what is there afterwards.

    Tiles come in chunks, whose number follows from the shapes alone. Each chunk adds up sums of
    its own, and they are added in one order, so that any number of threads gives the same bits.
    """
    _turn_whole(program, memory, region, views)
    # In the order of the steps: the text is the same each time.
    made = [v for step in region for v in step.values if v not in views]
    wanted = {x for step in left for x in step.inputs}
    wanted |= {y for y in program.outputs if type(y) is Abstract}
    joined = {x for step in region if step.values[0] in split.joins for x in step.inputs}
    sums = {v: _laid_out(v, memory) for v in made if v in split.sums and v not in joined}
    results = {y for y in program.outputs if type(y) is Abstract}
    escaping = {
        v: _side_by_side(v, v.ndim - 1 if split.slabs or v in results else split.axis[v])
        for v in made if v not in split.sums and v in wanted
    }
    if split.slabs:
        size = slab_size(split.n, split.largest)
    else:
        size = tile_size(split.n, split.largest)
    tiles, rest = divmod(split.n, size)
    chunks = chunk_count(tiles, split.worth, sum(v.nbytes for v in sums))
    each, over = divmod(tiles, chunks) if chunks else (0, tiles)
    copies = chunks + bool(over or rest)
    parts = {v: _copies(view, copies) for v, view in sums.items()}
    turned: list[Any] = []
    around = views
    if split.slabs:
        around = _weights_turned(Lowering(program, memory, views), region, split, turned)
    one = _Region(program, memory, split, region, around, escaping)
    body: list[Any] = []
    if chunks:
        chunk, turn = Var(chunks), Var(each)
        inner = one.tile(size, 0, ((chunk, each * size), (turn, size)), _moving(parts, chunk))
        body.append(Loop(chunk, [Loop(turn, inner, anew=True)], parallel=chunks > 1))
        shared = {p.buffer for p in (*parts.values(), *escaping.values())}
        for statement in walk(inner):
            for access, written in accesses(statement):
                if written and access.buffer not in shared and access.buffer.place == "arena":
                    access.buffer.private = chunks > 1
    last = {v: replace(p, offset=p.offset + chunks * v.size) for v, p in parts.items()}
    if over:
        turn = Var(over)
        inner = one.tile(size, chunks * each * size, ((turn, size),), last)
        body.append(Loop(turn, inner))
    if rest:
        body += one.tile(rest, tiles * size, (), last)
    body = [*turned, *[Fill(p.buffer) for p in parts.values()], *body]
    for v, view in sums.items():
        if copies > 1:
            body.append(_added(parts[v], view, copies))
        else:
            sums[v] = replace(view, buffer=parts[v].buffer)
    views.update(sums)
    views.update(escaping)
    return [body]


def _turn_whole(
    program: Program, memory: Memory, region: list[Step], views: dict[Abstract, View]
) -> None:
    """What is there before the tiles is turned over as a whole, where it lies, too."""
    whole = Lowering(program, memory, views)
    for step in region:
        if step.op is TransposeGrad and all(x in views for x in step.inputs):
            whole.run(step)
            views[step.values[0]] = whole.views[step.values[0]]


def _weights_turned(
    low: Lowering, region: list[Step], split: Split, items: list[Any]
) -> dict[Abstract, View]:
    """Where weights lie, copied once for all slabs where that puts their rows side by side."""
    views = dict(low.views)
    for step in region:
        w = step.operands[1] if step.op is MatMulGrad else None
        if type(w) is not Abstract or w in split.axis or w.ndim != 2 or w not in views:
            continue
        views[w] = low.turned(views[w], low.side_by_side(w.shape, w.dtype), items)
    return views


def _side_by_side(v: Abstract, axis: int) -> View:
    """Memory in which that axis has stride 1, as it has in tiles."""
    others = contiguous(tuple(n for a, n in enumerate(v.shape) if a != axis))
    strides = [s * v.shape[axis] for s in others]
    strides.insert(axis, 1)
    return View(Buffer(v.size, v.dtype), 0, v.shape, tuple(strides))


def _copies(view: View, copies: int) -> View:
    """Memory for one sum of each chunk, side by side."""
    return replace(view, buffer=Buffer(view.buffer.size * copies, view.buffer.dtype))


def _moving(parts: dict[Abstract, View], chunk: Var) -> dict[Abstract, View]:
    if chunk.extent == 1:
        return parts
    return {v: replace(p, outer=(*p.outer, (chunk, v.size))) for v, p in parts.items()}


def _added(parts: View, to: View, copies: int) -> Nest:
    """The sums of all chunks, added from the first to the last."""
    element, copy = Var(to.buffer.size), Var(copies)
    x = leaf(0, to.buffer.dtype)
    load = Access(parts.buffer, 0, ((element, 1), (copy, to.buffer.size)))
    total = Sum(Access(to.buffer, 0, ((element, 1),)), x)
    return Nest([element, copy], {x: load}, [], [total], lane=element)


def chunk_count(tiles: int, work: int, kept: int) -> int:
    """How many chunks: as many as divide the tiles, none too short to be worth a thread.

    Two, or as many as have all their sums near, of `kept` bytes each.
    """
    if tiles < 2 or work * SWEEPS < WORTH:
        return min(tiles, 1)
    near = max(NEAR // max(kept, 1), 2)
    most = min(tiles, 32, work * SWEEPS // (WORTH // 4), near)
    even = [c for c in range(2, most + 1) if tiles % c == 0]
    if even and (even[-1] >= 8 or even[-1] == tiles or most == near < 8):
        return even[-1]
    return max(min(most, 16), 1)


def _laid_out(v: Abstract, memory: Memory) -> View:
    """Memory for a sum over samples: turned over if it is only read so, as by the optimiser."""
    if v in memory.turned:
        return turned_over(v)
    return View(Buffer(v.size, v.dtype), 0, v.shape, contiguous(v.shape))


def tile_size(n: int, largest: int) -> int:
    """About TILE samples; a size that divides n leaves no remainder to write code for.

    A few where one sample of the largest value takes many bytes.
    """
    if largest * TILE > BIG and n >= SMALL_TILE:
        return SMALL_TILE
    if n <= 2 * TILE:
        return n if n <= TILE or n % TILE else TILE
    for size in (TILE, 80, 96, 48, 112, 128, 32):
        if n % size == 0:
            return size
    return TILE


def turned(view: View, axes: tuple[int, ...], first: int = 0) -> View:
    """The same memory with its axes in this order, those from `first` on."""
    order = (*range(first), *[first + a for a in axes])
    shape, strides = (tuple([part[a] for a in order]) for part in (view.shape, view.strides))
    return replace(view, shape=shape, strides=strides)


def slab_size(n: int, largest: int) -> int:
    """So many that the largest value stays near; a number that divides n where there is one."""
    most = max(min(SLAB // largest, n), 1)
    return next((size for size in range(most, most // 2, -1) if n % size == 0), most)


class _Region:
    """The steps of a region, to be lowered for tiles of any size."""

    def __init__(
        self, program: Program, memory: Memory, split: Split, steps: list[Step],
        views: dict[Abstract, View], escaping: dict[Abstract, View],
    ) -> None:  # fmt: skip
        self.program, self.memory, self.split, self.steps = program, memory, split, steps
        self.views, self.escaping = views, escaping

    def tile(
        self, size: int, start: int, turns: tuple[tuple[Var, int], ...], sums: dict[Abstract, View]
    ) -> list[Any]:
        """The statements of one tile: samples from start + the sum of turn * count on."""
        split = self.split
        targets, added = {}, {}
        for v, view in sums.items():
            terms = list(split.terms(v))
            targets.update((x, turned(view, a)) for x, a in terms)
            added.update((x, len(terms)) for x, _ in terms)
        kind = Slab if split.slabs else Tile
        low = kind(self.program, self.memory, split, size, targets)
        low.added = added
        twins: dict[Abstract, Abstract] = {}

        def part(view: View, axis: int) -> View:
            """The tile's part of something that holds all samples."""
            stride = view.strides[axis]
            shape = tuple(size if a == axis else n for a, n in enumerate(view.shape))
            outer = view.outer
            if stride:
                moves = [(turn, count * stride) for turn, count in turns if turn.extent > 1]
                outer = (*outer, *moves)
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
                    low.define(x, self.views[x], 0)
                twins[x] = x
                return x
            shape = tuple(size if a == axis else n for a, n in enumerate(x.shape))
            new = twins[x] = Abstract(x.trace, shape, x.dtype, weak=x.weak)
            low.axis[new] = axis
            if not made:
                low.define(new, part(self.views[x], axis), 0)
            return new

        def whole(x: Abstract) -> Abstract:
            """A value that a step reads whole, whatever others read of it."""
            if x not in low.views:
                low.define(x, self.views[x], 0)
            return x

        def copied(step: Step, made: bool) -> Step:
            """The step on values of the tile; `made` if its operands are."""
            at_once = split.whole.get(step, set())
            if step.programs():
                step, sums = without_sums(step, split)
                for total, terms in sums.items():
                    low.targets.update((x, turned(low.targets[total], a)) for x, a in terms)
                    if total in low.apart:
                        kept = low.apart[total]
                        low.apart.update((x, turned(kept, a, 1)) for x, a in terms)
            operands = tuple([
                whole(x) if type(x) is Abstract and x in at_once else twin(x, made)
                for x in step.operands
            ])  # fmt: skip
            copy = Step(step.op, operands, step.params, step.line)
            copy.several = step.several
            copy.values = tuple([twin(v, True) for v in step.values])
            if step.programs():
                copy.params = {**step.params, "body": inside(step.params["body"])}
            return copy

        def inside(body: Program) -> Program:
            steps = [copied(step, True) for step in body.steps]
            ends = ([twin(v, True) for v in part] for part in (body.inputs, body.outputs))
            return Program(next(ends), steps, next(ends), body.constants)

        for step in self.steps:
            if step.values[0] not in split.joins:
                kept = low.keep_apart(step)
                low.run(copied(step, False))
                for total in kept:
                    low.add_up(total)
        turns_of = {s.values[0]: s for s in self.steps if s.op is TransposeGrad}
        for v, view in self.escaping.items():
            to = part(view, split.axis[v])
            while v in turns_of and turns_of[v].inputs[0] in split.axis:
                order = [a % v.ndim for a in turns_of[v].params["axes"]]
                v, to = turns_of[v].inputs[0], turned(to, tuple(map(order.index, range(v.ndim))))
            _leave(low, twins[v], to)
        return merged(body_of(low.items))


def _leave(low: Lowering, x: Abstract, to: View) -> None:
    """Write a value of the tile to its place among all samples."""
    k = low.inline.get(x)
    if k is not None:
        low.items[k].stores.append((to, low.items[k].values[x]))
        return
    at = low._group(x.shape, low.when(x))
    group = low.items[at]
    group.stores.append((to, group.leaf(low.memory(x))))

