"""Nests as LLVM text: loops over a box, a vector of points at a time, with sums in registers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import expr
from .expr import BOOL
from .instructions import compute
from .ir import Module, Writer, element, mask, splat, stored, unmasked, vector
from .loops import Access, Nest, Sum, Var
from .tiny import power


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
        params = ", ".join(f"ptr noalias {self.names[a]}" for a in self.accesses)
        self.text = self.w.kernel(params)

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
            turns.append(((width, mask(rest, width)), (var.extent, width, whole)))
        return turns

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
        for k in unmasked(mask, lanes):
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
        w, dtype, at = self.w, access.buffer.dtype, self._address(access)
        stride = access.stride(self.lane) if self.lane is not None else 0
        if stride == 0 or lanes == 1:
            return w.spread(element(dtype), w.load(dtype, at, 1), lanes)
        if stride == 1:
            return w.load(dtype, at, lanes, mask)
        kind, x = stored(dtype), "zeroinitializer"
        wide = vector(kind, lanes)
        for k in unmasked(mask, lanes):  # they do not lie side by side
            here = w.let(f"getelementptr {kind}, ptr {at}, i64 {k * stride}")
            one = w.let(f"load {kind}, ptr {here}, align {dtype.itemsize}")
            x = w.let(f"insertelement {wide} {x}, {kind} {one}, i32 {k}")
        return w.let(f"icmp ne {wide} {x}, zeroinitializer") if dtype == BOOL else x

    def _store(self, access: Access, x: str, mask: str, lanes: int) -> None:
        w, dtype, at = self.w, access.buffer.dtype, self._address(access)
        stride = access.stride(self.lane) if self.lane is not None else 0
        if lanes == 1 or stride == 1:
            w.store(dtype, x, at, lanes, mask if lanes > 1 else "")
            return
        for k in unmasked(mask, lanes) if stride else [0]:
            one = w.let(f"extractelement {vector(element(dtype), lanes)} {x}, i32 {k}")
            here = w.let(f"getelementptr {stored(dtype)}, ptr {at}, i64 {k * stride}")
            w.store(dtype, one, here, 1)

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
            half = lanes // 2
            low, high = (
                w.shuffle(kind, x, "poison", lanes, range(start, start + half))
                for start in (0, half)
            )
            if half == 1:
                low, high = (
                    w.let(f"extractelement <1 x {kind}> {v}, i32 0") for v in (low, high)
                )
            x = self._combine(one, low, high, half)
            lanes = half
        return x
