"""Follow: every place that the loops of a compiled program touch, in the order in which they run.

What `bounds.check` cannot see from the ends of an access alone is seen here, place by place:

- what is read was written before, by the same buffer: nothing is read that nobody made, and no two
  buffers that live at once share memory;
- no two points of a nest, and no two turns of a parallel loop, write one place, and no turn reads
  what another one writes;
- all of every result is written;
- what needs the host stands between native parts, never within one.

A program that was recalled is lowered again for that, and must then have the same code, on the same
places, as was kept. It takes time in proportion to the work of the program, so tests ask for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .loops import (
    Access,
    Alarm,
    Branch,
    Buffer,
    Check,
    Contract,
    Fill,
    Gemm,
    Loop,
    Nest,
    Routine,
    Search,
    Sort,
    Turn,
    Var,
    While,
    parts,
)  # fmt: skip
from .lower import Host
from .memory import View

if TYPE_CHECKING:
    from .native import Native

MOST = 20_000_000  # places that are followed
ARENA = 1 << 26  # bytes of memory that are followed
STATEMENT = 100  # places whose following takes as long as a statement's beginning

# A part of a statement that goes on by itself: how many times, and the step each time.
Steps = tuple[tuple[int, int], ...]


def followed(native: Native) -> bool:
    """Raise AssertionError where the program touches what it must not; False if it is too large."""
    whole = native.whole()
    if whole is not native:
        for name, kept, made in zip(_LAYOUT, layout(native), layout(whole), strict=True):
            assert kept == made, f"recalled with {name} that are not the program's"
        native = whole
    bodies = [*native.bodies, native.commit]
    if native.own_at + native.own_size > ARENA or sum(map(touched, bodies)) > MOST:
        return False
    follow = Follow(native)
    rest = iter(native.bodies)
    for part in native.parts:
        if isinstance(part, Host):
            follow.host(part)
        else:
            follow.run(next(rest))
    follow.run(native.commit)
    for view in native.lowering.outputs:
        if isinstance(view, View) and view.buffer.place == "output":
            follow.read(Access(view.buffer), ((view.buffer.size, 1),), "the caller")
    return True


_LAYOUT = ("code", "inputs", "constants", "outputs", "a flag or cells", "memory and entries")


def layout(native: Native) -> tuple[Any, ...]:
    """All that a call uses of a program, to be compared."""

    def place(b: Buffer | None) -> Any:
        return b and (b.place, b.index, b.offset, b.size, b.dtype.str)

    def output(y: Any) -> Any:
        if isinstance(y, View):
            return place(y.buffer), y.offset, y.shape, y.strides
        return np.asarray(y).dtype.str, np.shape(y), np.asarray(y).tobytes()

    low = native.lowering
    return (
        native.codes,
        [place(b) for b in low.inputs],
        [(at, x.dtype.str, x.tobytes()) for at, x in native.constants],
        [output(y) for y in low.outputs],
        [place(low.flag), place(low.status)]
        + [(type(w), w.op, place(w.cells), w.cells.data.dtype.str) for w in low.watched],
        (native.own_at, native.own_size, native.arena_size, native.unused, native.names,
         native.shares, native.routines, len(native.bodies), native.cost),
    )  # fmt: skip


def touched(body: list[Any]) -> int:
    """About how many places the statements touch, as they are followed."""
    total = STATEMENT * len(body)
    for s in body:
        if isinstance(s, (Loop, While)):
            total += s.var.extent * sum(map(touched, parts(s)))
        elif isinstance(s, Branch):
            total += sum(map(touched, s.bodies))
        elif isinstance(s, Nest):
            total += sum([_count(s.axes, access) for access in s.loads.values()])
            total += sum([_count(s.axes, one.to) for one in s.sums])
            total += len(s.stores) * math.prod([v.extent for v in s.axes])
        elif isinstance(s, Contract):
            depth = math.prod([n for n, _, _ in s.outer]) * len(s.pairs) * s.inner
            total += s.depth * (depth * (s.rows + s.columns) + s.rows * s.columns)
        elif isinstance(s, Gemm):
            total += s.rows * s.inner + s.inner * s.columns + s.rows * s.columns
        elif isinstance(s, Fill):
            total += s.buffer.size
        elif isinstance(s, Turn):
            total += 2 * s.rows * s.columns
        elif isinstance(s, Routine):
            total += sum([one.size for one in s.stretches])
        elif isinstance(s, Sort):
            total += 6 * s.size
        elif isinstance(s, Search):
            total += s.size + 2 * s.count
        elif isinstance(s, Check):
            total += s.size
    return total


def _count(axes: Iterable[Var], access: Access) -> int:
    """How many places an access touches, those of an index that is read anywhere in its range."""
    moving = [v.extent for v in axes if access.stride(v)]
    return math.prod([*moving, *(count for _, stride, count in access.through if stride)])


class Follow:
    """Which buffer wrote each place last, and in which turn of the parallel loop at hand."""

    def __init__(self, native: Native) -> None:
        self.at: dict[Var, int] = {}
        self.numbers: dict[Buffer, int] = {}
        self.buffers: list[Buffer] = []
        self.own_at = native.own_at
        self.arena = np.zeros(native.own_at + native.own_size, np.int32)  # the writer of a byte
        self.others: dict[Buffer, np.ndarray] = {}  # of an output: the writer of an element
        self.turn = 0  # of a parallel loop; 0 outside
        self.turns: dict[int, np.ndarray] = {}  # by memory: which turn wrote a place last

    def run(self, body: list[Any]) -> None:
        for s in body:
            kind = type(s)
            assert kind in _FOLLOWED, f"{kind.__name__} within native code"
            _FOLLOWED[kind](self, s)

    def host(self, call: Host) -> None:
        for views, touch in ((call.operands, self.read), (call.results, self.write)):
            for view in views:
                if isinstance(view, View):
                    steps = tuple(zip(view.shape, view.strides, strict=True))
                    touch(Access(view.buffer, view.offset), steps, call.step.op.name)

    # Places ---------------------------------------------------------------------------------------

    def places(self, access: Access, steps: Steps = (), axes: Iterable[Var] = ()) -> np.ndarray:
        """The elements that an access touches, one for each point of its own loops and of axes."""
        inside = list(axes)
        at = np.array(access.offset)
        for var, stride in access.strides:
            if stride and var not in inside:
                at = at + stride * self.at[var]
        every = [(v.extent, access.stride(v)) for v in inside]
        every += [*steps, *((count, stride) for _, stride, count in access.through if stride)]
        for count, stride in every:
            at = np.add.outer(at, stride * np.arange(count))
        return at.ravel()

    def _memory(self, buffer: Buffer) -> tuple[np.ndarray, int, int]:
        """The writers of its memory, where it begins, and how many writers an element has."""
        if buffer.place == "arena":
            start = buffer.offset + (self.own_at if buffer.private else 0)
            return self.arena, start, buffer.dtype.itemsize
        known = self.others.get(buffer)
        if known is None:
            known = self.others[buffer] = np.zeros(buffer.size, np.int32)
            if buffer.place != "output":
                known[:] = self.number(buffer)
        return known, 0, 1

    def number(self, buffer: Buffer) -> int:
        found = self.numbers.get(buffer)
        if found is None:
            self.buffers.append(buffer)
            found = self.numbers[buffer] = len(self.buffers)
        return found

    def read(self, access: Access, steps: Steps, who: str, axes: Iterable[Var] = ()) -> None:
        axes = list(axes)
        if all(v.extent for v in axes):  # a place that is read again is looked at once
            moving = [v for v in axes if access.stride(v)]
            self._read(access, self.places(access, steps, moving), who)

    def _read(self, access: Access, at: np.ndarray, who: str) -> None:
        memory, start, size = self._memory(access.buffer)
        at = start + size * at
        wrong = memory[at] != self.number(access.buffer)
        if wrong.any():
            place = int(at[wrong][0])
            other = int(memory[place])
            found = f"what {self.buffers[other - 1].name} left" if other else "what nobody wrote"
            place = (place - start) // size
            raise AssertionError(f"{who} reads {found} at {access.buffer.name}[{place}] ({access})")
        self._alone(access.buffer, memory, at, f"{who} reads {access}")

    def write(self, access: Access, steps: Steps, who: str, axes: Iterable[Var] = ()) -> None:
        self._write(access, self.places(access, steps, axes), who, self.number(access.buffer))

    def _write(self, access: Access, at: np.ndarray, who: str, writer: int) -> None:
        memory, start, size = self._memory(access.buffer)
        at = start + size * at
        self._alone(access.buffer, memory, at, f"{who} writes {access}")
        for byte in range(size):
            memory[at + byte] = writer
        if self.turn and not access.buffer.private:
            self._turns_of(memory)[at] = self.turn

    def _turns_of(self, memory: np.ndarray) -> np.ndarray:
        if id(memory) not in self.turns:
            self.turns[id(memory)] = np.zeros(memory.shape, np.int32)
        return self.turns[id(memory)]

    def _alone(self, buffer: Buffer, memory: np.ndarray, at: np.ndarray, what: str) -> None:
        if not self.turn or buffer.private:
            return
        turns = self._turns_of(memory)[at]
        assert ((turns == 0) | (turns == self.turn)).all(), (
            f"{what}, which another turn of the parallel loop writes"
        )

    def forget(self, test: Any) -> None:
        """What these buffers hold is no longer theirs."""
        for buffer in filter(test, self.buffers):
            memory, start, size = self._memory(buffer)
            own = memory[start : start + size * buffer.size]
            own[own == self.number(buffer)] = 0

    # Statements -----------------------------------------------------------------------------------

    def nest(self, s: Nest) -> None:
        points = math.prod(v.extent for v in s.axes)
        who = f"nest {s.label}".rstrip()
        outs = [*s.stores, *s.sums]
        if points:
            for access in (*s.loads.values(), *(out.to for out in outs)):
                for at, _, _ in access.through:
                    self.read(at, (), who, s.axes)
            for access in s.loads.values():
                self.read(access, (), who, s.axes)
        for store in s.stores:
            places = self.places(store.to, (), s.axes)
            if not store.to.through:
                assert len(np.unique(places)) == len(places), f"{who} writes {store.to} twice"
                self.write(store.to, (), who, s.axes)
        for one in s.sums:
            if not one.fresh or one.to.through:
                self.read(one.to, (), who, s.axes)
            self.write(one.to, (), who, [v for v in s.axes if one.to.stride(v)])

    def loop(self, s: Loop) -> None:
        if s.count is not None:
            self.read(s.count, (), "a loop")
        outer, turns = self.turn, self.turns
        if s.parallel:
            self.turns = {}
        order = range(s.var.extent)
        for k in reversed(order) if s.backward else order:
            self.at[s.var] = k
            if s.parallel and not outer:
                self.turn = k + 1
            self.forget(lambda b: b.turn is s.var or (s.parallel and b.private))
            self.run(s.body)
        self.turn, self.turns = outer, turns

    def while_(self, s: While) -> None:
        for k in range(min(s.var.extent, 2)):
            self.at[s.var] = k
            self.run(s.test)
            self.read(s.going, (), "a loop's test")
            self.run(s.body)
        self.run(s.test)
        self.write(s.count, (), "a loop")

    def branch(self, s: Branch) -> None:
        self.read(s.index, (), "a branch")
        before, both = self.arena.copy(), None
        for body in s.bodies:
            self.arena[:] = before
            self.run(body)
            both = self.arena.copy() if both is None else np.where(both == self.arena, both, 0)
        if both is not None:
            self.arena[:] = both

    def gemm(self, s: Gemm) -> None:
        c = ((s.rows, s.ldc), (s.columns, 1))
        a = ((s.rows, s.lda), (s.inner, 1))
        b = ((s.inner, s.ldb), (s.columns, 1))
        if s.transpose_a:
            a = ((s.rows, 1), (s.inner, s.lda))
        if s.transpose_b:
            b = ((s.inner, 1), (s.columns, s.ldb))
        self._product(s, c, a, b)

    def contract(self, s: Contract) -> None:
        c, a, b = (
            tuple(zip(sizes, strides, strict=True))
            for sizes, strides in (
                ((s.rows, s.columns), s.c_strides),
                ((s.rows, s.inner), s.a_strides),
                ((s.inner, s.columns), s.b_strides),
            )
        )
        a += tuple((n, of_a) for n, of_a, _ in s.outer)
        b += tuple((n, of_b) for n, _, of_b in s.outer)
        if s.depth > 1:
            c, a, b = (*c, (s.depth, 1)), (*a, (s.depth, 1)), (*b, (s.depth, 1))
        for more_a, more_b in s.more:
            self.read(more_a, a, "a product")
            self.read(more_b, b, "a product")
        self._product(s, c, a, b)

    def _product(self, s: Any, c: Steps, a: Steps, b: Steps) -> None:
        who = "a product"
        self.read(s.a, a, who)
        # Lanes may go over room between rows, where nothing is: what is computed there is nothing.
        at_b = self.places(s.b, b).reshape(s.inner, s.columns, -1)
        at_c = self.places(s.c, c).reshape(s.rows, s.columns)
        memory, start, size = self._memory(s.b.buffer)
        made = memory[start + size * at_b] == self.number(s.b.buffer)
        empty = ~made.any((0, 2)) if type(s) is Contract else np.zeros(s.columns, bool)
        self._read(s.b, at_b[:, ~empty].ravel(), who)
        if s.add:
            self._read(s.c, at_c[:, ~empty].ravel(), who)
        self._write(s.c, at_c[:, ~empty].ravel(), who, self.number(s.c.buffer))
        self._write(s.c, at_c[:, empty].ravel(), who, 0)

    def turned(self, s: Turn) -> None:
        self.read(s.of, ((s.rows, s.of_stride), (s.columns, 1)), "a turned matrix")
        self.write(s.to, ((s.columns, s.to_stride), (s.rows, 1)), "a turned matrix")

    def fill(self, s: Fill) -> None:
        self.write(Access(s.buffer), ((s.buffer.size, 1),), "zeros")

    def routine(self, s: Routine) -> None:
        for one in s.stretches:
            if "r" in one.how:
                self.read(one.at, ((one.size, 1),), s.name)
        for one in s.stretches:
            if "w" in one.how:
                self.write(one.at, ((one.size, 1),), s.name)

    def sort(self, s: Sort) -> None:
        line = ((s.size, 1),)
        for access in (s.keys, s.order):
            self.read(access, line, "a sort")
        for access in (s.keys, s.order, s.keys_beside, s.order_beside):
            self.write(access, line, "a sort")

    def search(self, s: Search) -> None:
        self.read(s.sorted, ((s.size, 1),), "a search")
        self.read(s.keys, ((s.count, 1),), "a search")
        self.write(s.places, ((s.count, 1),), "a search")

    def alarm(self, s: Alarm) -> None:
        self.read(s.of, (), "an alarm")  # what it raises is the same from every turn

    def look(self, s: Check) -> None:
        self.read(s.of, ((s.size, 1),), "the look for a NaN")
        self.read(Access(s.flag), (), "the look for a NaN")


_FOLLOWED: dict[type, Any] = {
    Nest: Follow.nest, Loop: Follow.loop, While: Follow.while_, Branch: Follow.branch,
    Gemm: Follow.gemm, Contract: Follow.contract, Turn: Follow.turned, Fill: Follow.fill,
    Check: Follow.look, Routine: Follow.routine, Alarm: Follow.alarm, Sort: Follow.sort,
    Search: Follow.search,
}  # fmt: skip
