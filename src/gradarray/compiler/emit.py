"""Emit: loops as LLVM text. Every statement is a kernel; equal kernels are one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import expr, routines, sorting
from .contract import ContractWriter, TurnWriter
from .expr import BOOL
from .ir import Writer, compute, element, splat, stored, suffix, vector
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
    Sum,
    Turn,
    Var,
    While,
    accesses,
    walk,
)
from .machine import Target
from .tiny import Tiny, TinyWriter, power


def neutral(combine: str, dtype: np.dtype) -> Any:
    """What a combination starts from."""
    if combine in ("add", "or"):
        return 0
    if combine in ("mul", "and"):
        return 1
    if dtype.kind == "f":
        if combine in ("fmin", "fmax"):
            return math.nan  # loses to everything
        return math.inf if combine == "min" else -math.inf
    if dtype == BOOL:
        return combine == "min"
    info = np.iinfo(dtype)
    return info.max if combine in ("min", "fmin") else info.min


class Module:
    """The text of one step: its kernels, and the entry that runs them in order."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.declared: set[str] = set()
        self.kernels: dict[str, str] = {}  # text without the name: name
        self.bodies: list[str] = []
        self.routines: set[str] = set()  # of BLAS and LAPACK, that are called
        self.shares = False  # are there parallel loops?

    def kernel(self, text: str, kind: str) -> str:
        """The name of the kernel with this text, written once."""
        name = self.kernels.get(text)
        if name is None:
            name = self.kernels[text] = f"{kind}{len(self.kernels)}"
            self.bodies.append(text.replace("@SELF(", f"@{name}("))
        return name

    def text(self) -> str:
        share = ["declare void @share(ptr, i64, ptr, ptr, ptr, i64)"] * self.shares
        return "\n".join([*self.bodies, *sorted(self.declared), *share]) + "\n"


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
        self.w.put("ret void")
        calm = "#0" if self.loops else "#1"  # calls that are made once need no care
        text = (
            f"define void @{self.name}(ptr %arena, ptr %table) {calm} {{\n"
            + "\n".join(self.w.lines) + "\n}\n"
        )  # fmt: skip
        self.m.bodies.append(text)

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
        w.put(f"br i1 {bad}, label %alarm_{tag}, label %calm_{tag}")
        w.label(f"alarm_{tag}")
        to, kind = self._pointer(s.to, []), stored(s.to.buffer.dtype)
        w.put(f"store atomic {kind} 1, ptr {to} monotonic, align {s.to.buffer.dtype.itemsize}")
        w.put(f"br label %calm_{tag}")
        w.label(f"calm_{tag}")

    def _share(self, s: Loop) -> None:
        turns = Turns(self.m, f"{self.name}.{s.var.name}", self.own)
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
        w.put(f"br label %{head}")
        w.label(head)
        phi = len(w.lines)
        self.vars[s.var] = i
        w.put(f"br label %{test}")
        w.label(test)
        self._statements(s.test)
        going = w.let(f"load i8, ptr {self._pointer(s.going, [])}, align 1")
        going = w.let(f"icmp ne i8 {going}, 0")
        w.put(f"br i1 {going}, label %{turn}, label %{end}")
        w.label(turn)
        more = w.let(f"icmp slt i64 {i}, {limit}")
        w.put(f"br i1 {more}, label %{body}, label %{over}")
        w.label(body)
        self._statements(s.body)
        w.put(f"{after} = add nuw nsw i64 {i}, 1")
        w.lines.insert(phi, f"  {i} = phi i64 [ 0, %{before} ], [ {after}, %{w.block} ]")
        w.put(f"br label %{head}")
        w.label(over)
        if s.status is not None:
            w.put(f"store i64 {limit}, ptr {self._pointer(s.status, [])}, align 8")
        w.put(f"br label %{end}")
        w.label(end)
        w.put(f"store i64 {i}, ptr {self._pointer(s.count, [])}, align 8")
        w.put(f"br label %{out}")
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
            w.put(f"br label %join_{tag}")
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
        self.w.put("ret void")
        body = "\n".join(self.w.lines)
        self.m.bodies.append(
            f"define internal void @{self.name}(ptr %arena, ptr %table, i64 %turn, ptr %own) #0 "
            f"{{\n{body}\n}}\n"
        )


class NestWriter:
    """One nest as a kernel: a function of the addresses that it reads and writes."""

    def __init__(self, module: Module, nest: Nest) -> None:
        self.m, self.nest = module, nest
        self.accesses: list[Access] = []
        self.names: dict[Access, str] = {}  # state is written where it is read: one address
        places = [*nest.loads.values(), *(s.to for s in (*nest.stores, *nest.sums))]
        for access in [*places, *(at for place in places for at, _, _ in place.through)]:
            if access not in self.names:
                self.names[access] = f"%p{len(self.accesses)}"
                self.accesses.append(access)
        self.w = Writer(module.declared)
        self.w.label("entry")
        wide = [a.buffer.dtype.itemsize for a in self.accesses]
        roots = [s.value for s in (*nest.stores, *nest.sums)]
        wide += [x.dtype.itemsize for x in expr.topological(roots) if x.dtype != BOOL]
        self.lane = nest.lane or (nest.axes[-1] if nest.axes else None)
        self.width = module.target.lanes(max(wide)) if self.lane is not None else 1
        if self.lane is not None and self.lane.extent < self.width:
            self.width = 1 << max(self.lane.extent - 1, 0).bit_length()
        if any(at.moves(self.lane) for s in (*nest.stores, *nest.sums) for at, _, _ in s.to.through
               if self.lane is not None):  # fmt: skip
            self.width = 1  # two lanes may have one place
        self.at: dict[Var, str] = {}
        self.held = nest.held
        assert all(not one.fresh or nest.holds(one) for one in nest.sums), "sums go inside"
        self._from(0, 1, "")
        self.w.put("ret void")
        params = ", ".join(f"ptr noalias {self.names[a]}" for a in self.accesses)
        lines = "\n".join(self.w.lines)
        self.text = f"define internal void @SELF({params}) #0 {{\n{lines}\n}}\n"

    def _from(self, k: int, lanes: int, mask: str) -> None:
        """The loops from axis k on."""
        axes = self.nest.axes
        if self.nest.sums and k == self.held < len(axes):
            self._sums_in_registers(k, lanes, mask)
        elif k == len(axes):
            self._point(lanes, mask)
        else:
            for width, part in self._turns(axes[k], True):
                with self.w.loop(*part) as i:
                    self.at[axes[k]] = i
                    self._from(k + 1, max(width[0], lanes), width[1] or mask)

    def _turns(
        self, var: Var, narrow: bool = False
    ) -> list[tuple[tuple[int, str], tuple[Any, ...]]]:
        """How to go along a variable: ((lanes, mask), (extent, step, start)), the rest masked,
        in the fewest lanes if it may be narrower."""
        if var is not self.lane:
            return [((1, ""), (var.extent,))]
        whole = var.extent // self.width * self.width
        turns: list[Any] = []
        if whole:
            turns.append(((self.width, ""), (whole, self.width)))
        if whole < var.extent:
            rest = var.extent - whole
            width = min(power(rest), self.width) if narrow else self.width
            turns.append(((width, self._mask(rest, width)), (var.extent, width, whole)))
        return turns

    def _mask(self, count: int, width: int) -> str:
        if count == width:
            return ""
        bits = ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(width))
        return f"<{bits}>"

    def _values(self, lanes: int, mask: str) -> list[str]:
        """What is stored and what is summed, at the point that the loops have reached."""
        nest = self.nest
        leaves = {x: self._load(a, mask, lanes) for x, a in nest.loads.items()}
        values = compute(
            self.w, [s.value for s in (*nest.stores, *nest.sums)], leaves, lanes
        )
        for store, value in zip(nest.stores, values):
            self._store(store.to, value, mask, lanes)
        return values[len(nest.stores) :]

    def _point(self, lanes: int, mask: str) -> None:
        for one, value in zip(self.nest.sums, self._values(lanes, mask)):
            if not one.fresh:  # else every point has a place of its own: nothing is added up
                old = self._load(one.to, mask, lanes)
                value = self._combine(one, old, value, lanes)
            self._store(one.to, value, mask, lanes)

    # Memory ---------------------------------------------------------------------------------------

    def _address(self, access: Access, lanes: int = 1) -> str:
        """Where the first lane's element lies; what moves from lane to lane is left out."""
        w, kind = self.w, stored(access.buffer.dtype)
        at = self.names[access]
        for var in self.nest.axes:
            stride = access.stride(var)
            if not stride:
                continue
            i = self.at[var]
            far = i if stride == 1 else w.let(f"mul nsw i64 {i}, {stride}")
            at = w.let(f"getelementptr {kind}, ptr {at}, i64 {far}")
        for index, stride, _ in access.through:
            if not (lanes > 1 and self.lane is not None and index.moves(self.lane)):
                far = w.let(f"load i64, ptr {self._address(index)}, align 8")
                far = w.let(f"mul nsw i64 {far}, {stride}")
                at = w.let(f"getelementptr {kind}, ptr {at}, i64 {far}")
        return at

    def _scattered(self, access: Access, mask: str, lanes: int) -> str:
        """Elements whose places are read from memory, lane by lane."""
        w, dtype = self.w, access.buffer.dtype
        kind, base, lane = stored(dtype), self._address(access, lanes), self.lane
        assert lane is not None
        wide, x = vector(kind, lanes), "zeroinitializer"
        own = [(i, s) for i, s, _ in access.through if i.moves(lane)]
        starts = [(self._address(i), i.stride(lane), s) for i, s in own]
        there = mask.strip("<>").split(", ") if mask else []
        for k in range(lanes):
            if there and there[k] != "i1 true":
                continue
            at = w.let(f"getelementptr {kind}, ptr {base}, i64 {k * access.stride(lane)}")
            for start, step, stride in starts:
                place = w.let(f"getelementptr i64, ptr {start}, i64 {k * step}")
                far = w.let(f"load i64, ptr {place}, align 8")
                far = w.let(f"mul nsw i64 {far}, {stride}")
                at = w.let(f"getelementptr {kind}, ptr {at}, i64 {far}")
            one = w.let(f"load {kind}, ptr {at}, align {dtype.itemsize}")
            x = w.let(f"insertelement {wide} {x}, {kind} {one}, i32 {k}")
        return w.let(f"icmp ne {wide} {x}, zeroinitializer") if dtype == BOOL else x

    def _load(self, access: Access, mask: str, lanes: int) -> str:
        lane = self.lane if lanes > 1 else None
        if lane is not None and any(at.moves(lane) for at, _, _ in access.through):
            return self._scattered(access, mask, lanes)
        w, dtype = self.w, access.buffer.dtype
        kind, at = stored(dtype), self._address(access)
        stride = access.stride(self.lane) if self.lane is not None else 0
        align = dtype.itemsize
        if stride == 0 or lanes == 1:
            x = w.let(f"load {kind}, ptr {at}, align {align}")
            if dtype == BOOL:
                x = w.let(f"icmp ne i8 {x}, 0")
            return self._splatted(x, element(dtype), lanes)
        wide = vector(kind, lanes)
        if stride == 1 and not mask:
            x = w.let(f"load {wide}, ptr {at}, align {align}")
        elif stride == 1:
            x = w.call(
                wide, f"llvm.masked.load.v{lanes}{_tag(dtype)}.p0",
                [(f"ptr align {align}", at), (f"<{lanes} x i1>", mask), (wide, "zeroinitializer")],
            )  # fmt: skip
        else:
            x = self._gathered(at, kind, stride, mask, lanes, align)
        return w.let(f"icmp ne {wide} {x}, zeroinitializer") if dtype == BOOL else x

    def _gathered(
        self, at: str, kind: str, stride: int, mask: str, lanes: int, align: int
    ) -> str:
        """Elements that do not lie side by side, one by one."""
        w, wide = self.w, vector(kind, lanes)
        x = "zeroinitializer"
        for k in range(lanes):
            if mask and "i1 true" != mask.strip("<>").split(", ")[k]:
                continue
            here = w.let(f"getelementptr {kind}, ptr {at}, i64 {k * stride}")
            one = w.let(f"load {kind}, ptr {here}, align {align}")
            x = w.let(f"insertelement {wide} {x}, {kind} {one}, i32 {k}")
        return x

    def _store(self, access: Access, x: str, mask: str, lanes: int) -> None:
        w, dtype = self.w, access.buffer.dtype
        kind, at = stored(dtype), self._address(access)
        stride = access.stride(self.lane) if self.lane is not None else 0
        wide, align = vector(kind, lanes), dtype.itemsize
        if dtype == BOOL:
            x = w.let(f"zext {vector('i1', lanes)} {x} to {wide}")
        if lanes == 1:
            w.put(f"store {kind} {x}, ptr {at}, align {align}")
        elif stride == 1 and not mask:
            w.put(f"store {wide} {x}, ptr {at}, align {align}")
        elif stride == 1:
            w.call(
                "void", f"llvm.masked.store.v{lanes}{_tag(dtype)}.p0",
                [(wide, x), (f"ptr align {align}", at), (f"<{lanes} x i1>", mask)],
            )  # fmt: skip
        else:
            bits = mask.strip("<>").split(", ") if mask else []
            for k in range(lanes if stride else 1):
                if bits and bits[k] != "i1 true":
                    continue
                one = w.let(f"extractelement {wide} {x}, i32 {k}")
                here = w.let(f"getelementptr {kind}, ptr {at}, i64 {k * stride}")
                w.put(f"store {kind} {one}, ptr {here}, align {align}")

    def _splatted(self, x: str, kind: str, lanes: int) -> str:
        if lanes == 1:
            return x
        wide = vector(kind, lanes)
        one = self.w.let(f"insertelement {wide} poison, {kind} {x}, i32 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.w.let(f"shufflevector {wide} {one}, {wide} poison, {zeros}")

    # Sums -----------------------------------------------------------------------------------------

    def _combine(self, one: Sum, a: str, b: str, lanes: int) -> str:
        dtype = one.value.dtype
        x, y = expr.leaf(0, dtype), expr.leaf(1, dtype)
        return compute(
            self.w, [expr.make(one.combine, x, y)], {x: a, y: b}, lanes
        )[0]

    def _sums_in_registers(self, k: int, lanes: int, mask: str) -> None:
        """The loops from axis k on, over all of which the sums go."""
        across = self.lane in self.nest.axes[k:]
        width = self.width if across else lanes
        starts = []
        for one in self.nest.sums:
            starts.append(self._neutral(one, width))
        totals = self._summed(k, width if across else lanes, mask, starts)
        for one, total in zip(self.nest.sums, totals):
            value = self._across(one, total, width) if across else total
            if not one.fresh:
                old = self._load(one.to, mask, lanes)
                value = self._combine(one, old, value, lanes)
            self._store(one.to, value, mask, lanes)

    def _neutral(self, one: Sum, lanes: int) -> str:
        dtype = one.value.dtype
        raw = expr.const(neutral(one.combine, dtype), dtype).attr
        return splat(dtype, raw, lanes)

    def _summed(self, k: int, lanes: int, mask: str, totals: list[str]) -> list[str]:
        """The sums over the loops from axis k on, going on from `totals`."""
        axes = self.nest.axes
        if k == len(axes):
            return self._one_turn(totals, lanes, mask)
        kinds = [vector(element(s.value.dtype), lanes) for s in self.nest.sums]
        for (_, masked), part in self._turns(axes[k]):
            loop = self.w.loop(*part)
            carried = [loop.carry(kind, t) for kind, t in zip(kinds, totals)]
            with loop as i:
                self.at[axes[k]] = i
                for name, value in zip(
                    carried, self._summed(k + 1, lanes, masked or mask, carried)
                ):
                    loop.set(name, value)
            totals = carried
        return totals

    def _one_turn(self, totals: list[str], lanes: int, mask: str) -> list[str]:
        out = []
        for one, total, value in zip(self.nest.sums, totals, self._values(lanes, mask)):
            if mask:
                kind = vector(element(one.value.dtype), lanes)
                value = self.w.let(
                    f"select <{lanes} x i1> {mask}, {kind} {value}, "
                    f"{kind} {self._neutral(one, lanes)}"
                )
            out.append(self._combine(one, total, value, lanes))
        return out

    def _across(self, one: Sum, x: str, lanes: int) -> str:
        """All lanes combined: halves, quarters, .. in one fixed order."""
        w, kind = self.w, element(one.value.dtype)
        while lanes > 1:
            half, wide = lanes // 2, vector(kind, lanes)
            low, high = (
                w.let(
                    f"shufflevector {wide} {x}, {wide} poison, <{half} x i32> "
                    f"<{', '.join(f'i32 {k}' for k in range(start, start + half))}>"
                )
                for start in (0, half)
            )
            if half == 1:
                low, high = (
                    w.let(f"extractelement <1 x {kind}> {v}, i32 0") for v in (low, high)
                )
            x = self._combine(one, low, high, half)
            lanes = half
        return x


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
    w.put("ret void")
    body = "\n".join(w.lines)
    return f"define internal void @SELF(ptr %x, ptr %flag, i64 %n) #0 {{\n{body}\n}}\n"


def _tag(dtype: np.dtype) -> str:
    return "i8" if dtype == BOOL else suffix(dtype, 1)


def attributes(target: Target) -> str:
    """Of functions that are made with care (#0), and of those that are made quickly (#1)."""
    plain = 'nounwind "frame-pointer"="none"'
    return f"attributes #0 = {{ {plain} }}\nattributes #1 = {{ {plain} noinline optnone }}\n"
