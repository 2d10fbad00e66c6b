"""LLVM's language as text: a module of kernels, functions line by line, vectors of any width."""

from __future__ import annotations

import bisect
import itertools
import re
import struct
from collections.abc import Iterable

import numpy as np

from .expr import BOOL
from .machine import Target

_NAMES = {"f4": "float", "f8": "double"}


def element(dtype: np.dtype) -> str:
    """The type of an element in a register."""
    if dtype == BOOL:
        return "i1"
    return _NAMES.get(dtype.str[1:]) or f"i{8 * dtype.itemsize}"


def stored(dtype: np.dtype) -> str:
    """The type of an element in memory."""
    return "i8" if dtype == BOOL else element(dtype)


def vector(kind: str, lanes: int) -> str:
    return kind if lanes == 1 else f"<{lanes} x {kind}>"


def suffix(dtype: np.dtype, lanes: int) -> str:
    kind = {"f4": "f32", "f8": "f64"}.get(dtype.str[1:]) or f"i{8 * dtype.itemsize}"
    return kind if lanes == 1 else f"v{lanes}{kind}"


def zero(lanes: int) -> str:
    return "0" if lanes == 1 else "zeroinitializer"


def literal(dtype: np.dtype, raw: bytes) -> str:
    """One element as LLVM writes it: floats by their bits, so that none is changed."""
    value = np.frombuffer(raw, dtype)[0]
    if dtype == BOOL:
        return "true" if value else "false"
    if dtype.kind == "f":
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
    return str(int(value))


def splat(dtype: np.dtype, raw: bytes, lanes: int) -> str:
    one = literal(dtype, raw)
    if lanes == 1:
        return one
    return f"splat ({element(dtype)} {one})"


def mask(count: int, lanes: int) -> str:
    """The first lanes of some; '' for all of them."""
    if count >= lanes:
        return ""
    return f"<{', '.join(f'i1 {str(k < count).lower()}' for k in range(lanes))}>"


def unmasked(mask: str, lanes: int) -> list[int]:
    """The lanes that a mask leaves."""
    bits = mask.strip("<>").split(", ")
    return [k for k in range(lanes) if not mask or bits[k] == "i1 true"]


# Of functions that are made with care (#0), and of those that are made quickly (#1).
ATTRIBUTES = """attributes #0 = { nounwind "frame-pointer"="none" }
attributes #1 = { nounwind "frame-pointer"="none" noinline optnone }
"""


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

    def texts(self) -> list[str]:
        """The module whole, or in two halves that may be compiled at the same time."""
        sizes = [*itertools.accumulate(map(len, self.bodies))]
        if not sizes or sizes[-1] < LONG:
            return [self.text() + ATTRIBUTES]
        middle = bisect.bisect(sizes, sizes[-1] // 2)
        return [self._part(self.bodies[middle:]), self._part(self.bodies[:middle])]

    def _part(self, bodies: list[str]) -> str:
        """Some functions, and declarations of what they use."""
        text = "\n".join(bodies).replace("define internal", "define hidden")
        own = {name for _, name, _ in map(_head, bodies)}
        used = set(_NAME.findall(text))
        declared = [
            f"declare hidden {kind} @{name}({parameters})"
            for kind, name, parameters in map(_head, self.bodies)
            if name in used and name not in own
        ]
        for line in sorted(self.declared, reverse=True):  # definitions, which use others, first
            names = _NAME.findall(line)
            if names[0] in used:
                used.update(names)
                declared.append(line)
        if "share" in used:
            declared.append("declare void @share(ptr, i64, ptr, ptr, ptr, i64)")
        return "\n".join([text, *declared]) + "\n" + ATTRIBUTES


LONG = 50_000  # characters from which on a text is worth a second thread

_NAME = re.compile(r"@([\w.]+)")
_HEAD = re.compile(r"define (?:internal )?(.*?) @([\w.]+)\((.*?)\) ")


def _head(body: str) -> tuple[str, str, str]:
    """What a function gives, its name, and the kinds of its parameters."""
    found = _HEAD.match(body)
    assert found is not None
    kind, name, parameters = found.groups()
    return kind, name, re.sub(r" %[\w.]+", "", parameters)


class Writer:
    """One function, and the intrinsics that it asks for."""

    def __init__(self, declared: set[str]) -> None:
        self.lines: list[str] = []
        self.declared = declared
        self._count = 0
        self.block = "entry"

    def name(self, prefix: str = "v") -> str:
        self._count += 1
        return f"%{prefix}{self._count}"

    def put(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def let(self, text: str) -> str:
        out = self.name()
        self.put(f"{out} = {text}")
        return out

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, kind: str, function: str, args: Iterable[tuple[str, str]]) -> str:
        args = list(args)
        self.declared.add(f"declare {kind} @{function}({', '.join(t for t, _ in args)})")
        given = ", ".join(f"{t} {v}" for t, v in args)
        if kind == "void":
            self.put(f"call void @{function}({given})")
            return ""
        return self.let(f"call {kind} @{function}({given})")

    def go(self, to: str) -> None:
        self.put(f"br label %{to}")

    def choose(self, condition: str, yes: str, no: str) -> None:
        self.put(f"br i1 {condition}, label %{yes}, label %{no}")

    def field(self, base: str, at: int, kind: str = "ptr") -> str:
        """What lies so many bytes behind an address."""
        place = self.let(f"getelementptr i8, ptr {base}, i64 {at}")
        return self.let(f"load {kind}, ptr {place}")

    def kernel(self, params: str) -> str:
        """The function whole; `Module.kernel` puts in its name."""
        return self.procedure(f"internal void @SELF({params})")

    def procedure(self, head: str, attributes: str = "#0") -> str:
        """A function that gives nothing, whole."""
        self.put("ret void")
        return self.function(head, attributes)

    def function(self, head: str, attributes: str = "#0") -> str:
        body = "\n".join(self.lines)
        return f"define {head} {attributes} {{\n{body}\n}}\n"

    # Vectors --------------------------------------------------------------------------------------

    def load(self, dtype: np.dtype, at: str, lanes: int, mask: str = "") -> str:
        """Elements that lie side by side; 0 in lanes that a mask leaves out."""
        wide, align = vector(stored(dtype), lanes), dtype.itemsize
        if mask:
            x = self.call(
                wide, f"llvm.masked.load.v{lanes}{suffix(dtype, 1)}.p0",
                [(f"ptr align {align}", at), (f"<{lanes} x i1>", mask), (wide, zero(lanes))],
            )  # fmt: skip
        else:
            x = self.let(f"load {wide}, ptr {at}, align {align}")
        return self.let(f"icmp ne {wide} {x}, {zero(lanes)}") if dtype == BOOL else x

    def store(self, dtype: np.dtype, x: str, at: str, lanes: int, mask: str = "") -> None:
        """Put elements side by side, apart from those that a mask leaves out."""
        wide, align = vector(stored(dtype), lanes), dtype.itemsize
        if dtype == BOOL:
            x = self.let(f"zext {vector('i1', lanes)} {x} to {wide}")
        if mask:
            self.call(
                "void", f"llvm.masked.store.v{lanes}{suffix(dtype, 1)}.p0",
                [(wide, x), (f"ptr align {align}", at), (f"<{lanes} x i1>", mask)],
            )  # fmt: skip
        else:
            self.put(f"store {wide} {x}, ptr {at}, align {align}")

    def spread(self, kind: str, x: str, lanes: int) -> str:
        """One element in all lanes."""
        if lanes == 1:
            return x
        wide = vector(kind, lanes)
        one = self.let(f"insertelement {wide} poison, {kind} {x}, i32 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.let(f"shufflevector {wide} {one}, {wide} poison, {zeros}")

    def shuffle(self, kind: str, a: str, b: str, lanes: int, order: Iterable[int]) -> str:
        """A vector of these lanes of two others, counted from the first lane of a to b's last."""
        wide, places = vector(kind, lanes), [f"i32 {k}" for k in order]
        to = f"<{len(places)} x i32> <{', '.join(places)}>"
        return self.let(f"shufflevector {wide} {a}, {wide} {b}, {to}")

    # Loops ----------------------------------------------------------------------------------------

    def loop(self, extent: str | int, step: int = 1, start: str | int = 0) -> Loop:
        return Loop(self, str(start), str(extent), step)


class Loop:
    """`with writer.loop(n) as i:` runs the block for i = 0, step, 2 step, .. below n.

    `carry` declares values that go from one turn to the next.
    """

    def __init__(self, w: Writer, start: str, extent: str, step: int) -> None:
        self.w, self.start, self.extent, self.step = w, start, extent, step
        self.carries: list[tuple[str, str, str]] = []
        self.next: dict[str, str] = {}

    def carry(self, kind: str, first: str) -> str:
        """A value that is `first` in the first turn; `set` says what it is in the next."""
        name = self.w.name("c")
        self.carries.append((name, kind, first))
        return name

    def set(self, name: str, value: str) -> None:
        self.next[name] = value

    def __enter__(self) -> str:
        w = self.w
        self.i = w.name("i")
        tag = self.i[1:]
        self.head, self.body, self.end = f"head_{tag}", f"body_{tag}", f"end_{tag}"
        self.before = w.block
        w.go(self.head)
        w.label(self.head)
        self.at = len(w.lines)
        self.going = w.name("g")
        w.put(f"{self.going} = icmp slt i64 {self.i}, {self.extent}")
        w.choose(self.going, self.body, self.end)
        w.label(self.body)
        return self.i

    def __exit__(self, *exc: object) -> None:
        w = self.w
        after = w.let(f"add nuw nsw i64 {self.i}, {self.step}")
        last = w.block
        w.go(self.head)
        phis = [
            f"  {self.i} = phi i64 [ {self.start}, %{self.before} ], [ {after}, %{last} ]"
        ]
        for name, kind, first in self.carries:
            phis.append(
                f"  {name} = phi {kind} [ {first}, %{self.before} ], [ {self.next[name]}, %{last} ]"
            )
        w.lines[self.at : self.at] = phis
        w.label(self.end)
