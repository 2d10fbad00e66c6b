"""Parallel: large statements cut into chunks, whose turns may run at the same time.

How many chunks there are follows from the shapes alone. Sums over the axis that is cut go into a
place of each chunk, and those are added in one order: any number of threads gives the same bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import passes
from .cost import cost_of
from .expr import leaf
from .loops import Access, Buffer, Fill, Gemm, Loop, Nest, Store, Sum, Var, accesses

WORTH = 100e-6  # seconds: what crosses from core to core costs more than a smaller one gains
CHUNKS = 16  # about; several to a thread, so that none waits long for another
LINE = 16  # elements: chunks begin where no two share a line of memory


def in_chunks(body: list[Any]) -> list[Any]:
    """The body with its large nests and products in chunks."""
    if not passes.is_on("chunks"):
        return body
    out: list[Any] = []
    for s in body:
        # What lies in a thread's own memory is not there for another one.
        own = any(access.buffer.private for access, _ in accesses(s))
        large = isinstance(s, (Nest, Gemm)) and not own and cost_of([s]).seconds > WORTH
        cut = (_nest(s) if isinstance(s, Nest) else _product(s)) if large else None
        out += [s] if cut is None else cut
    return out


def _chunks(extent: int) -> int:
    """A number of chunks that divides the extent, into whole lines, where one near CHUNKS does."""
    near = (*range(CHUNKS, 2 * CHUNKS), *range(CHUNKS - 1, CHUNKS // 2 - 1, -1))
    fits = [n for n in near if extent % n == 0]
    return next((n for n in fits if extent // n % LINE == 0), fits[0] if fits else CHUNKS)


def _cut(extent: int) -> tuple[int, int, int]:
    """How many chunks, of how many, and how many are left."""
    n = _chunks(extent)
    each = extent // n
    if extent % n and each > LINE:
        each = -(-each // LINE) * LINE
    return extent // each, each, extent % each


def _nest(s: Nest) -> list[Any] | None:
    """Chunks of the longest axis that can be cut; rather one along which nothing is summed."""
    axes = [v for v in s.axes if v.extent >= 2 * CHUNKS and _apart(s, v)]
    if not axes:
        return None
    axis = max(axes, key=lambda v: (all(_held(s, one, v) for one in s.sums), v.extent))
    count, each, rest = _cut(axis.extent)
    parts = count + bool(rest)
    turn = Var(count)
    partial: list[tuple[Sum, Buffer, int, int]] = []  # sum, its places, how many, from where
    for one in s.sums:
        if not one.to.stride(axis):
            low, high = one.to.span()
            size = high - low + 1
            partial.append((one, Buffer(parts * size, one.to.buffer.dtype), size, low))
    out: list[Any] = [Fill(buffer) for one, buffer, _, _ in partial if not s.holds(one)]
    out.append(Loop(turn, [_chunk(s, axis, each, 0, turn, partial, 0)], parallel=True))
    if rest:
        out.append(_chunk(s, axis, rest, count * each, None, partial, count))
    out += [_together(s, one, buffer, size, low, parts) for one, buffer, size, low in partial]
    return out


def _apart(s: Nest, axis: Var) -> bool:
    """Do the turns along an axis write places of their own, or what can be added up later?"""
    for out in (*s.stores, *s.sums):
        to = out.to
        if to.through:  # the numbers of two turns may be one
            if not to.stride(axis) or any(at.moves(axis) for at, _, _ in to.through):
                return False
        elif isinstance(out, Store):
            if not to.stride(axis):
                return False
        elif not _held(s, out, axis) and out.combine != "add":
            return False
    return True


def _held(s: Nest, one: Sum, axis: Var) -> bool:
    """Has each turn along an axis its own place for a sum, or registers that hold it?"""
    return bool(one.to.stride(axis)) or s.holds(one)


def _chunk(
    s: Nest, axis: Var, extent: int, start: int, turn: Var | None,
    partial: list[tuple[Sum, Buffer, int, int]], number: int,
) -> Nest:  # fmt: skip
    """The nest from `start` on, or of a turn; chunk `number` where there is no turn."""
    short = Var(extent)

    def moved(access: Access) -> Access:
        if not access.moves(axis):
            return access
        stride = access.stride(axis)
        strides = [(short if v is axis else v, k) for v, k in access.strides]
        if turn is not None and stride:
            strides.append((turn, stride * extent))
        through = tuple((moved(at), far, count) for at, far, count in access.through)
        offset = access.offset + start * stride
        return Access(access.buffer, offset, tuple(strides), through)

    places = {id(one): (buffer, size, low) for one, buffer, size, low in partial}
    sums = []
    for one in s.sums:
        found = places.get(id(one))
        if found is None:
            sums.append(replace(one, to=moved(one.to)))
            continue
        buffer, size, low = found
        strides = one.to.strides if turn is None else (*one.to.strides, (turn, size))
        to = Access(buffer, one.to.offset - low + number * size, strides)
        sums.append(replace(one, to=to, fresh=s.holds(one)))
    return Nest(
        [short if v is axis else v for v in s.axes],
        {x: moved(a) for x, a in s.loads.items()},
        [Store(moved(store.to), store.value) for store in s.stores],
        sums, s.label, short if s.lane is axis else s.lane,
    )  # fmt: skip


def _together(s: Nest, one: Sum, buffer: Buffer, size: int, low: int, parts: int) -> Nest:
    """The sums of all chunks, from the first to the last."""
    axes = [v for v in s.axes if one.to.stride(v)]
    part = Var(parts)
    x = leaf(0, one.value.dtype)
    load = Access(buffer, one.to.offset - low, (*one.to.strides, (part, size)))
    return Nest(
        [*axes, part], {x: load}, [], [replace(one, value=x)],
        lane=max(axes, key=lambda v: v.extent, default=part),
    )  # fmt: skip


def _product(s: Gemm) -> list[Any] | None:
    """Chunks of the rows or of the columns, whichever are more."""
    by_rows = s.rows >= s.columns
    extent = s.rows if by_rows else s.columns
    if extent < 2 * CHUNKS or any(stride for a in (s.a, s.b, s.c) for _, stride in a.strides):
        return None
    count, each, rest = _cut(extent)
    turn = Var(count)

    def part(n: int, start: int, turn: Var | None) -> Gemm:
        def moved(access: Access, stride: int) -> Access:
            strides = () if turn is None else ((turn, stride * n),)
            return replace(access, offset=access.offset + start * stride, strides=strides)

        if by_rows:
            a = moved(s.a, 1 if s.transpose_a else s.lda)
            return replace(s, rows=n, a=a, c=moved(s.c, s.ldc))
        b = moved(s.b, s.ldb if s.transpose_b else 1)
        return replace(s, columns=n, b=b, c=moved(s.c, 1))

    out: list[Any] = [Loop(turn, [part(each, 0, turn)], parallel=True)]
    return [*out, part(rest, count * each, None)] if rest else out
