"""Native: a lowered program as code in memory, its buffers, and the call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import ahead, bounds, cache, loops, pairs, pool, recall, routines
from .apart import apart
from .assemble import Assembled, assemble
from .cost import Cost, cost_of
from .emit import Entry
from .fault import blamed
from .group import body_of
from .hosted import callback, carry_out
from .ir import ATTRIBUTES, Module
from .loop_ops import unfinished
from .loops import Buffer
from .lower import Host
from .machine import Loaded, host, object_codes, object_name
from .memory import View
from .pair_math import complex_of
from .parallel import in_chunks
from .program import Program

ALIGN = 64
LONG = 20e-6  # seconds from which on other threads of Python run meanwhile


class Native:
    """A program that runs as native code, with calls of the host between where there must be.

    `suspects`: so many of its last outputs are no results, but looked at for a NaN. `places`: which
    outputs are written where which inputs lie, at the very end and if no NaN was found.
    """

    def __init__(
        self,
        program: Program,
        suspects: int = 0,
        places: dict[int, int] | None = None,
        recalled: bool = True,
    ) -> None:
        self.target, self.places = host(), places or {}
        self._spare: list[Work] = []
        self.of, self._setting = (program, suspects, self.places), recall.Setting.now()
        name = recall.key(*self.of) if recalled else None
        # Complex numbers lie as they do in NumPy; the code has them as pairs of real ones.
        self.kinds = [getattr(getattr(y, "dtype", None), "kind", "") for y in program.outputs]
        with blamed(program):
            codes = None if name is None else self._recall(name)
            if codes is None:
                self._make(program, suspects, places)
                if self.shares:
                    ahead.begin(pool.symbols)
                codes = object_codes(self.texts)
                if name is not None and not self.hosted:
                    recall.store(name, self._state())
            self._load(codes)

    def _make(self, program: Program, suspects: int, places: dict[int, int] | None) -> None:
        self._lower(assemble(program, suspects, places))
        late = cost_of(self.commit).seconds
        if late > LONG and 2 * late > self.cost.seconds:  # Ctrl-C would come too late
            self._lower(assemble(program, suspects, places, late=False))
        every = [*self.bodies, self.commit]
        for body in every:
            bounds.check(body)
        self._place()
        module = Module(self.target)
        self.names = [f"entry{k}" for k in range(len(self.bodies))]
        self.names += ["commit"] * bool(self.commit)
        for name, body in zip(self.names, every):
            Entry(module, name, (self.own_at, self.own_size)).write(body)
        self.text, self.texts = module.text() + ATTRIBUTES, module.texts()
        self.codes = [object_name(text) for text in self.texts]
        self.routines, self.shares = sorted(module.routines), module.shares

    def _load(self, codes: list[bytes]) -> None:
        symbols = pool.symbols() if self.shares else {}
        symbols |= routines.symbols(self.routines)
        loaded = Loaded(codes, tuple(self.names), symbols) if self.names else None
        self.loaded = loaded
        self.addresses = [loaded.addresses[name] for name in self.names] if loaded else []
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        functions = iter([kind(address) for address in self.addresses])
        self._calls = [
            part if isinstance(part, Host) else next(functions) for part in self.parts
        ]
        self._commit = next(functions, None)

    # What is kept on disk of a program that was lowered before ------------------------------------

    def _state(self) -> dict[str, Any]:
        """What a call needs: where buffers lie, and the names of the code; no loops and no text."""
        state = {name: getattr(self, name) for name in _KEPT}
        state["lowering"] = replace(self.lowering, items=[], commit=[])
        return {**state, "bodies": len(self.bodies), "codes": self.codes}

    def _recall(self, name: str) -> list[bytes] | None:
        """Become what was kept under a name, and give its code; None if it is not there."""
        state = recall.load(name)
        if type(state) is not dict or state.keys() != {*_KEPT, "lowering", "bodies", "codes"}:
            return None
        self.codes = state.pop("codes")
        codes = [code for name in self.codes if (code := cache.load(name)) is not None]
        if len(codes) < len(self.codes):
            return None
        self.bodies, self.commit, self.hosted = [[] for _ in range(state.pop("bodies"))], [], False
        self.parts: list[Any] = list(self.bodies)
        self.__dict__.update(state)
        self.is_recalled = True
        return codes

    def whole(self) -> Native:
        """This with its loops and its text, which are made again where they were not kept."""
        if not self.is_recalled:
            return self
        if self._twin is None:
            with self._setting.again():
                self._twin = Native(*self.of, recalled=False)
        return self._twin

    is_recalled = False
    _twin: Native | None = None

    def _lower(self, low: Assembled) -> None:
        self.lowering, self.parts = low, _cut(low.items)
        self.hosted = any(isinstance(part, Host) for part in self.parts)
        bodies = [body_of(part) for part in self.parts if isinstance(part, list)]
        self.bodies = [in_chunks(apart(body)) for body in bodies]
        self.commit = in_chunks(apart(body_of(low.commit)))
        self.cost = sum(map(cost_of, [*self.bodies, self.commit]), Cost())

    # Memory ---------------------------------------------------------------------------------------

    def _place(self) -> None:
        """An address for each buffer: in the arena, or in the table of what is given."""
        low = self.lowering
        self.results: list[Buffer] = []
        table = len(low.inputs)
        for view in low.outputs:
            if isinstance(view, View) and view.buffer not in self.results:
                if view.buffer.place == "given":
                    continue  # written in place
                view.buffer.index = table
                table += 1
                self.results.append(view.buffer)
        self.constants: list[tuple[int, np.ndarray]] = []
        for buffer in low.constants:
            buffer.index = table
            table += 1
            self.constants.append((buffer.index, np.ascontiguousarray(buffer.data)))
        self.unused = table  # a place for what is looked at and not read
        shared: dict[Buffer, tuple[int, int]] = {}
        private: dict[Buffer, tuple[int, int]] = {}

        def live(buffer: Buffer, at: int) -> None:
            if buffer.place == "arena":
                lives = private if buffer.private else shared
                first, _ = lives.get(buffer, (at, at))
                lives[buffer] = (min(first, at), at)

        at = 0
        shares: set[Buffer] = set()  # touched by the statement at hand
        body_at = iter(self.bodies)
        for part in (*self.parts, self.commit):
            if isinstance(part, Host):
                for view in (*part.operands, *part.results):
                    if isinstance(view, View):
                        live(view.buffer, at)
                at += 1
                continue
            for statement in self.commit if part is self.commit else next(body_at):
                first = at
                for moment in _moments(statement):
                    for inner in loops.walk([moment]):
                        for access, _ in loops.accesses(inner):
                            live(access.buffer, at)
                            if not access.buffer.private:  # from the first turn to the last
                                live(access.buffer, first)
                                shares.add(access.buffer)
                    at += 1
                for buffer in shares:
                    live(buffer, at - 1)
                shares.clear()
        if low.flag is not None:
            live(low.flag, at)
        self.own_at, self.own_size = placed(shared), placed(private)
        copies = pool.MOST if self.own_size else 0  # memory that nobody touches costs nothing
        self.arena_size = self.own_at + copies * self.own_size

    def work(self) -> Work:
        """Memory for one call at a time."""
        table = np.zeros(self.unused + 1, np.int64)
        for index, data in self.constants:
            table[index] = data.ctypes.data
        return Work(_aligned(self.arena_size), table)

    # A call ---------------------------------------------------------------------------------------

    def __call__(self, inputs: Sequence[Any]) -> list[Any] | None:
        """The outputs; None where a NaN was found and nothing written.

        Inputs are copied where they do not lie as the code expects, apart from those that are
        written.
        """
        try:
            work = self._spare.pop()  # each call of several threads has its own
        except IndexError:
            work = self.work()
        try:
            return self._run(work, inputs)
        finally:
            work.given.clear()
            self._spare.append(work)

    def _run(self, work: Work, inputs: Sequence[Any]) -> list[Any] | None:
        self.fill(work, inputs)
        if not self.go(work):
            return None
        out = []
        for view, kind in zip(self.lowering.outputs, self.kinds, strict=False):
            if isinstance(view, View):
                y = work.given[view.buffer.index].reshape(view.shape)
                y = pairs.together(y) if kind == "c" else y
                out.append(y if y.shape else y[()])
            else:
                out.append(view)
        return out

    def form(self, at: int) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an output that is made anew, as who called it has it."""
        view = self.lowering.outputs[at]
        dtype = np.dtype(view.buffer.dtype.type)
        if self.kinds[at] == "c":  # whose parts lie side by side
            return view.shape[:-1], complex_of(dtype)
        return view.shape, dtype

    def fill(self, work: Work, inputs: Sequence[Any]) -> None:
        """Give the step its inputs, and memory for its results."""
        table, given = work.table, work.given
        written = {self.lowering.inputs[k].index for k in self.places.values()}
        for buffer, x in zip(self.lowering.inputs, inputs):
            if pairs.is_complex(x):
                x = pairs.parts_of(x)
            if not (isinstance(x, np.ndarray) and x.flags.c_contiguous and x.dtype == buffer.dtype):
                assert buffer.index not in written, "state that does not lie as it must"
                x = np.ascontiguousarray(x, buffer.dtype)
            given[buffer.index] = x  # held until the call is over
            table[buffer.index] = x.__array_interface__["data"][0]
        for buffer in self.results:
            y = given[buffer.index] = np.empty(buffer.size, buffer.dtype)
            table[buffer.index] = y.__array_interface__["data"][0]

    def go(self, work: Work) -> bool:
        """Run on what was given; False where a NaN was found and nothing written."""
        arena_at, table_at = work.addresses
        for call in self._calls:
            if isinstance(call, Host):
                carry_out(call, work)
            else:
                call(arena_at, table_at)
        self._check_status()
        flag = self.lowering.flag
        if flag is not None and work.arena[flag.offset]:
            return False
        if self._commit is not None:
            self._commit(arena_at, table_at)
        return True

    def _check_status(self) -> None:
        """Raise where the code found that it could not go on as it should."""
        status, limit = self.lowering.status, 0
        if status is not None:
            limit, status.data[0] = int(status.data[0]), 0
        errors = []
        for watch in self.lowering.watched:
            error = watch.error(*watch.cells.data.tolist())
            if error is not None:
                watch.cells.data[:] = watch.fresh
                errors.append(error)
        if errors:
            raise errors[0]
        if limit:
            raise unfinished(limit)

    def ways(self, work: Work) -> list[Any]:
        """The parts as functions that native code can call: (the arena's address, the table's).

        A call of the host that raises leaves a word, `work.failed`, for who called it.
        """
        return [
            callback(call, work) if isinstance(call, Host) else call for call in self._calls
        ]  # fmt: skip


_KEPT = (
    *("cost", "own_at", "own_size", "arena_size", "unused", "results", "constants"),
    *("names", "shares", "routines"),
)


class Work:
    """The memory of one call: the arena, and the table of the addresses of what is given."""

    def __init__(self, arena: np.ndarray, table: np.ndarray) -> None:
        self.arena, self.table = arena, table
        self.addresses = arena.ctypes.data, table.ctypes.data
        self.given: dict[int, Any] = {}
        self.busy, self.failed = np.zeros(1, np.int64), np.zeros(1, np.int64)


def _cut(items: Sequence[Any]) -> list[Any]:
    """Runs of native items, and host steps between them."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, Host):
            out.append(item)
        elif out and isinstance(out[-1], list):
            out[-1].append(item)
        else:
            out.append([item])
    return out


def _moments(statement: Any) -> list[Any]:
    """What a statement does one after the other with private memory."""
    if isinstance(statement, loops.Loop) and statement.parallel and len(statement.body) == 1:
        (turn,) = statement.body
        if isinstance(turn, loops.Loop) and turn.anew:
            return turn.body
    return [statement]


def placed(lives: dict[Buffer, tuple[int, int]]) -> int:
    """Give each buffer an offset such that no two that live at once overlap; the total size."""
    done: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    total = 0
    for buffer, (first, last) in sorted(lives.items(), key=lambda kv: -kv[0].nbytes):
        size = -(-buffer.nbytes // ALIGN) * ALIGN + ALIGN
        at = 0
        for start, end, f, l in sorted(done):
            if l < first or last < f:
                continue
            if at + size <= start:
                break
            at = max(at, end)
        buffer.offset = at
        done.append((at, at + size, first, last))
        total = max(total, at + size)
    return total


def _aligned(size: int) -> np.ndarray:
    raw = np.empty(size + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + size]
