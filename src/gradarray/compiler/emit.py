"""Emit: loops as LLVM text. Every statement is a kernel; equal kernels are one."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import routines, sorting
from .contract import ContractWriter
from .ir import Module, Writer, element, stored, vector
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
    accesses,
    walk,
)
from .nest import NestWriter
from .squares import TurnWriter
from .tiny import Tiny, TinyWriter


class Entry:
    """`void entry(ptr arena, ptr table)`: the statements of a body, one after the other.

    The turns of a parallel loop are a function of their own, which the pool calls with the number
    of the turn and with the calling thread's own memory; `own` says where in the arena these
    memories begin, and how much each has.
    """

    def __init__(self, module: Module, name: str, own: tuple[int, int] = (0, 0)) -> None:
        self.m, self.name, self.own = module, name, own
        self.inside = False  # of a loop, or of a turn
        self.loops = False  # are there any here?
        self.w = Writer(module.declared)
        self.w.label("entry")
        self.bases: dict[Buffer, str] = {}
        self.vars: dict[Var, str] = {}

    def write(self, body: list[Any]) -> None:
        for statement in body:
            self._base_of(statement)  # pointers are read once, before all loops
        self._statements(body)
        care = "#0" if self.loops else "#1"  # calls that are made once need none
        head = f"void @{self.name}(ptr %arena, ptr %table)"
        self.m.bodies.append(self.w.procedure(head, care))

    def _base_of(self, statement: Any) -> None:
        for s in walk([statement]):
            for access, _ in accesses(s):
                if access.buffer.place != "arena":
                    self._base(access.buffer)

    def _base(self, buffer: Buffer) -> str:
        w = self.w
        if buffer.place == "arena":  # written at each use: hundreds of them would fill registers
            start = self._own() if buffer.private else "%arena"
            return w.let(f"getelementptr i8, ptr {start}, i64 {buffer.offset}")
        known = self.bases.get(buffer)
        if known is None:
            at = w.let(f"getelementptr ptr, ptr %table, i64 {buffer.index}")
            known = self.bases[buffer] = w.let(f"load ptr, ptr {at}, align 8")
        return known

    def _own(self) -> str:
        """Where this thread's own memory begins; the caller's comes first."""
        return self.w.let(f"getelementptr i8, ptr %arena, i64 {self.own[0]}")

    def _pointer(self, access: Access, inside: list[Var]) -> str:
        """The address at the turn of the enclosing loops; the nest's own variables come later."""
        w, kind = self.w, stored(access.buffer.dtype)
        at = self._base(access.buffer)
        if access.offset:
            at = w.let(f"getelementptr {kind}, ptr {at}, i64 {access.offset}")
        for var, stride in access.strides:
            if var not in inside and stride:
                far = w.let(f"mul nsw i64 {self.vars[var]}, {stride}")
                at = w.let(f"getelementptr {kind}, ptr {at}, i64 {far}")
        return at

    def _statements(self, body: list[Any]) -> None:
        for s in body:
            if isinstance(s, Loop) and s.parallel and not self.inside:
                self._share(s)
            elif isinstance(s, Loop):
                self._loop(s)
            elif isinstance(s, While):
                self._while(s)
            elif isinstance(s, Branch):
                self._branch(s)
            elif isinstance(s, Nest):
                self._nest(s)
            elif isinstance(s, Gemm):
                self._gemm(s)
            elif isinstance(s, Contract):
                more = [x for pair in s.more for x in pair]
                self._kernel(ContractWriter(self.m, s).text, "contract", (s.a, s.b, s.c, *more))
            elif isinstance(s, Turn):
                self._kernel(TurnWriter(self.m, s).text, "turn", (s.of, s.to))
            elif isinstance(s, Check):
                self._check(s)
            elif isinstance(s, Routine):
                places = tuple(one.at for one in s.stretches)
                self._kernel(routines.text(self.m, s), "routine", places)
            elif isinstance(s, Alarm):
                self._alarm(s)
            elif isinstance(s, Sort):
                self.m.declared.update(sorting.MEMORY)
                places = s.keys, s.order, s.keys_beside, s.order_beside
                self._kernel(sorting.sort_text(s), "sort", places)
            elif isinstance(s, Search):
                self._kernel(sorting.search_text(s), "search", (s.sorted, s.keys, s.places))
            elif isinstance(s, Fill):
                self.m.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
                base = self._base(s.buffer)
                self.w.put(
                    f"call void @llvm.memset.p0.i64(ptr {base}, i8 0, "
                    f"i64 {s.buffer.size * s.buffer.dtype.itemsize}, i1 false)"
                )

    def _alarm(self, s: Alarm) -> None:
        w, kind = self.w, stored(s.of.buffer.dtype)
        x = w.let(f"load {kind}, ptr {self._pointer(s.of, [])}")
        bad = w.let(f"icmp ne {kind} {x}, 0")
        tag = bad[1:]
        w.choose(bad, f"alarm_{tag}", f"calm_{tag}")
        w.label(f"alarm_{tag}")
        to, kind = self._pointer(s.to, []), stored(s.to.buffer.dtype)
        w.put(f"store atomic {kind} 1, ptr {to} monotonic, align {s.to.buffer.dtype.itemsize}")
        w.go(f"calm_{tag}")
        w.label(f"calm_{tag}")

    def _share(self, s: Loop) -> None:
        turns = Turns(self.m, f"{self.name}.{len(self.m.bodies)}", self.own)
        turns.write_turn(s)
        self.m.shares = True
        self.w.put(
            f"call void @share(ptr @{turns.name}, i64 {s.var.extent}, ptr %arena, ptr %table, "
            f"ptr {self._own()}, i64 {self.own[1]})"
        )

    def _loop(self, s: Loop) -> None:
        self.loops = True
        tiny = Tiny(s)
        if tiny.fits:
            TinyWriter(self, tiny)
            return
        end = self.end_of(s)
        outside, self.inside = self.inside, True
        with self.w.loop(end) as i:
            self.vars[s.var] = self.turn_of(s, end, i)
            self._statements(s.body)
        self.inside = outside

    def end_of(self, s: Loop) -> str:
        """How many turns there are."""
        if s.count is None:
            return str(s.var.extent)
        return self.w.let(f"load i64, ptr {self._pointer(s.count, [])}, align 8")

    def turn_of(self, s: Loop, end: str, i: str) -> str:
        """The loop's variable in its turn i."""
        if not s.backward:
            return i
        last = self.w.let(f"sub nsw i64 {end}, 1")
        return self.w.let(f"sub nsw i64 {last}, {i}")

    def _while(self, s: While) -> None:
        w, limit = self.w, s.var.extent
        self.loops = True
        outside, self.inside = self.inside, True
        i, after = w.name("i"), w.name("i")
        head, test, turn, body, end, over, out = (
            f"{name}_{i[1:]}"
            for name in ("head", "test", "turn", "body", "end", "over", "out")
        )
        before = w.block
        w.go(head)
        w.label(head)
        phi = len(w.lines)
        self.vars[s.var] = i
        w.go(test)
        w.label(test)
        self._statements(s.test)
        going = w.let(f"load i8, ptr {self._pointer(s.going, [])}, align 1")
        going = w.let(f"icmp ne i8 {going}, 0")
        w.choose(going, turn, end)
        w.label(turn)
        more = w.let(f"icmp slt i64 {i}, {limit}")
        w.choose(more, body, over)
        w.label(body)
        self._statements(s.body)
        w.put(f"{after} = add nuw nsw i64 {i}, 1")
        w.lines.insert(phi, f"  {i} = phi i64 [ 0, %{before} ], [ {after}, %{w.block} ]")
        w.go(head)
        w.label(over)
        if s.status is not None:
            w.put(f"store i64 {limit}, ptr {self._pointer(s.status, [])}, align 8")
        w.go(end)
        w.label(end)
        w.put(f"store i64 {i}, ptr {self._pointer(s.count, [])}, align 8")
        w.go(out)
        w.label(out)
        self.inside = outside

    def _branch(self, s: Branch) -> None:
        w, last = self.w, len(s.bodies) - 1
        k = w.let(f"load i64, ptr {self._pointer(s.index, [])}, align 8")
        tag = k[1:]
        low = w.let(f"icmp sle i64 {k}, 0")
        k = w.let(f"select i1 {low}, i64 0, i64 {k}")
        cases = " ".join(f"i64 {n}, label %case_{tag}_{n}" for n in range(last))
        w.put(f"switch i64 {k}, label %case_{tag}_{last} [ {cases} ]")
        for n, body in enumerate(s.bodies):
            w.label(f"case_{tag}_{n}")
            self._statements(body)
            w.go(f"join_{tag}")
        w.label(f"join_{tag}")

    def _check(self, s: Check) -> None:
        of, flag = self._pointer(s.of, []), self._base(s.flag)
        size, dtype = s.size, s.of.buffer.dtype
        if dtype.kind == "c":
            size, dtype = 2 * size, dtype.type(0).real.dtype
        name = self.m.kernel(nan_kernel(self.m, dtype), "nan")
        self.w.put(f"call void @{name}(ptr {of}, ptr {flag}, i64 {size})")

    def _nest(self, nest: Nest) -> None:
        if any(v.extent == 0 for v in nest.axes) and not nest.sums:
            return
        writer = NestWriter(self.m, nest)
        name = self.m.kernel(writer.text, "nest")
        args = ", ".join(f"ptr {self._pointer(a, nest.axes)}" for a in writer.accesses)
        self.w.put(f"call void @{name}({args})")

    def _kernel(self, text: str, kind: str, places: tuple[Access, ...]) -> None:
        name = self.m.kernel(text, kind)
        args = ", ".join(f"ptr {self._pointer(a, [])}" for a in places)
        self.w.put(f"call void @{name}({args})")

    def _gemm(self, g: Gemm) -> None:
        kind = element(g.c.buffer.dtype)
        name = routines.product(self.m, g.c.buffer.dtype)
        a, b, c = (self._pointer(x, []) for x in (g.a, g.b, g.c))
        # BLAS counts down columns first: it is given C^T = B^T A^T.
        numbers = [g.columns, g.rows, g.inner, g.ldb, g.lda, g.ldc]
        flags = [int(g.transpose_b), int(g.transpose_a)]
        beta = "1.0" if g.add else "0.0"
        args = ", ".join(
            [*(f"i64 {n}" for n in numbers), *(f"i64 {f}" for f in flags),
             f"ptr {b}", f"ptr {a}", f"ptr {c}", f"{kind} {beta}"]
        )  # fmt: skip
        self.w.put(f"call void @{name}({args})")


class Turns(Entry):
    """`void turns(ptr arena, ptr table, i64 turn, ptr own)`: one turn of a parallel loop."""

    def _own(self) -> str:
        return "%own"

    def write_turn(self, s: Loop) -> None:
        self.inside = True
        self.vars[s.var] = "%turn"
        for statement in s.body:
            self._base_of(statement)
        self._statements(s.body)
        given = "ptr %arena, ptr %table, i64 %turn, ptr %own"
        self.m.bodies.append(self.w.procedure(f"internal void @{self.name}({given})"))


def nan_kernel(module: Module, dtype: np.dtype) -> str:
    """A kernel of (elements, flag, how many): the flag becomes 1 if there is a NaN."""
    w, kind, lanes = Writer(module.declared), element(dtype), module.target.lanes(dtype.itemsize)
    w.label("entry")
    found = "false"
    whole = w.let(f"and i64 %n, {-lanes}")
    for width, start, stop in ((lanes, "0", whole), (1, whole, "%n")):
        loop = w.loop(stop, width, start)
        carried = loop.carry(vector("i1", width), "zeroinitializer" if width > 1 else found)
        with loop as i:
            at = w.let(f"getelementptr {kind}, ptr %x, i64 {i}")
            wide = vector(kind, width)
            x = w.let(f"load {wide}, ptr {at}, align {dtype.itemsize}")
            nan = w.let(f"fcmp uno {wide} {x}, {x}")
            loop.set(carried, w.let(f"or {vector('i1', width)} {carried}, {nan}"))
        if width > 1:
            bits = w.let(f"bitcast <{width} x i1> {carried} to i{width}")
            found = w.let(f"icmp ne i{width} {bits}, 0")
        else:
            found = carried
    byte = w.let(f"zext i1 {found} to i8")
    old = w.let("load i8, ptr %flag")
    both = w.let(f"or i8 {old}, {byte}")
    w.put(f"store i8 {both}, ptr %flag")
    return w.kernel("ptr %x, ptr %flag, i64 %n")
