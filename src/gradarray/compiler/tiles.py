"""Tiles: the loops in which the steps of a split go over the samples, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..ops.contract import MatMulGrad
from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .expr import leaf
from .loops import Access, Buffer, Fill, Loop, Nest, Sum, Var, accesses, walk
from .lower import Lowering
from .memory import Memory, View, contiguous, turned_over
from .program import Program, Step
from .region import Region
from .split import Split

BIG = 1 << 20  # bytes of one value in a tile, beyond which tiles are small
SMALL_TILE = 16
SWEEPS = 2  # operations for each multiplication of a product: it is followed by an addition
WORTH = 10_000_000  # operations that are worth a second thread, some 100 us
NEAR = 1 << 19  # bytes, half of the second cache
SLAB = 1 << 17  # bytes of the largest value in a slab: some of them stay in a core's cache
TILE = 64  # samples: small enough that a tile stays in cache, and wide enough for four registers


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
    one = Region(program, memory, split, region, around, escaping)
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


def slab_size(n: int, largest: int) -> int:
    """So many that the largest value stays near; a number that divides n where there is one."""
    most = max(min(SLAB // largest, n), 1)
    return next((size for size in range(most, most // 2, -1) if n % size == 0), most)
