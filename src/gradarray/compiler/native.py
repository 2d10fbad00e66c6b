"""Native: a lowered program as code in memory, its buffers, and the call."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import message
from . import loops
from .assemble import assemble
from .emit import Entry, Module, attributes
from .loop_ops import unfinished
from .loops import Buffer
from .lower import Host, View, body_of
from .machine import Loaded, host, object_code
from .program import Program

ALIGN = 64


class Native:
    """A program that runs as native code, with calls of the host between where there must be."""

    def __init__(self, program: Program) -> None:
        low = self.lowering = assemble(program)
        self.parts = _cut(low.items)
        self.target = host()
        bodies = [body_of(part) for part in self.parts if isinstance(part, list)]
        for body in bodies:
            loops.check(body)
        self.bodies = bodies
        self._place(bodies)
        module = Module(self.target)
        for k, body in enumerate(bodies):
            Entry(module, f"entry{k}").write(body)
        products = "".join(_PRODUCTS[name] for name in sorted(module.products))
        self.text = module.text() + products + attributes(self.target)
        entries = tuple(f"entry{k}" for k in range(len(bodies)))
        self.loaded = Loaded(object_code(self.text), entries, _symbols()) if entries else None
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        functions = [
            kind(self.loaded.addresses[name]) for name in entries
        ] if self.loaded else []  # fmt: skip
        self._prepare(functions)

    # Memory ---------------------------------------------------------------------------------------

    def _place(self, bodies: list[list[Any]]) -> None:
        """An address for each buffer: in the arena, or in the table of what is given."""
        low = self.lowering
        self.results: list[Buffer] = []
        table = len(low.inputs)
        for view in low.outputs:
            if isinstance(view, View) and view.buffer not in self.results:
                view.buffer.index = table
                table += 1
                self.results.append(view.buffer)
        for buffer in low.constants:
            buffer.index = table
            table += 1
        self.table = np.zeros(max(table, 1), np.int64)
        lives: dict[Buffer, tuple[int, int]] = {}

        def live(buffer: Buffer, at: int) -> None:
            if buffer.place == "arena":
                first, _ = lives.get(buffer, (at, at))
                lives[buffer] = (min(first, at), at)

        at = 0
        body_at = iter(bodies)
        for part in self.parts:
            if isinstance(part, Host):
                for view in (*part.operands, *part.results):
                    if isinstance(view, View):
                        live(view.buffer, at)
                at += 1
                continue
            for statement in next(body_at):
                for inner in loops.walk([statement]):
                    for access, _ in loops.accesses(inner):
                        live(access.buffer, at)
                    if isinstance(inner, loops.Fill):
                        live(inner.buffer, at)
                at += 1
        self.arena_size = placed(lives)

    def _prepare(self, functions: list[Any]) -> None:
        low = self.lowering
        self.arena = _aligned(self.arena_size)
        self._arena_at = self.arena.ctypes.data
        self._table_at = self.table.ctypes.data
        self._held: list[Any] = []
        for buffer in low.constants:
            data = np.ascontiguousarray(buffer.data)
            self._held.append(data)
            self.table[buffer.index] = data.ctypes.data
        self._inputs = [(b.index, b.dtype) for b in low.inputs]
        self._given: dict[int, Any] = {}
        self._calls: list[Any] = []
        rest = iter(functions)
        for part in self.parts:
            self._calls.append(part if isinstance(part, Host) else next(rest))

    # A call ---------------------------------------------------------------------------------------

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        table, given = self.table, self._given
        for (index, dtype), x in zip(self._inputs, inputs):
            if not (isinstance(x, np.ndarray) and x.flags.c_contiguous and x.dtype == dtype):
                x = np.ascontiguousarray(x, dtype)
            given[index] = x  # held until the call is over
            table[index] = x.__array_interface__["data"][0]
        outputs = {}
        for view in self.lowering.outputs:
            if isinstance(view, View) and view.buffer not in outputs:
                y = outputs[view.buffer] = np.empty(view.shape, view.buffer.dtype)
                table[view.buffer.index] = y.__array_interface__["data"][0]
                given[view.buffer.index] = y
        for call in self._calls:
            if isinstance(call, Host):
                self._host(call)
            else:
                call(self._arena_at, self._table_at)
        self._check_status()
        out = []
        for view in self.lowering.outputs:
            if isinstance(view, View):
                y = outputs[view.buffer]
                out.append(y if y.shape else y[()])
            else:
                out.append(view)
        given.clear()
        return out

    def _check_status(self) -> None:
        status = self.lowering.status
        if status is not None and status.data[0]:
            limit, status.data[0] = int(status.data[0]), 0
            raise unfinished(limit)

        for buffer, count, op in self.lowering.watched:
            least, greatest = buffer.data.tolist()
            if least < -count or (greatest >= count and least <= greatest):
                info = np.iinfo(np.int64)
                buffer.data[:] = info.max, info.min
                raise outside(greatest if greatest >= count else least, count, op)

    def _host(self, call: Host) -> None:
        values = [self._array(x) if isinstance(x, View) else x for x in call.operands]
        with np.errstate(all="ignore"):
            y = call.step.op.forward(*values, **call.step.params)
        for view, part in zip(call.results, y if call.step.several else (y,)):
            self._array(view, True)[...] = part

    def _array(self, view: View, write: bool = False) -> Any:
        """The values of a view as NumPy sees them."""
        b, size = view.buffer, view.buffer.dtype.itemsize
        strides = tuple(s * size for s in view.strides)
        if b.place == "arena":
            x = np.ndarray(
                view.shape, b.dtype, self.arena.data, b.offset + view.offset * size, strides
            )
        else:
            owner = b.data if b.place == "constant" else self._given[b.index]
            x = np.lib.stride_tricks.as_strided(
                np.ravel(owner)[view.offset :] if owner.size else owner, view.shape, strides,
                writeable=write,
            )  # fmt: skip
            if write:
                x = np.ndarray(view.shape, b.dtype, owner.data, view.offset * size, strides)
        return x if write or x.shape else x[()]


def outside(index: int, count: int, op: str) -> IndexError:
    return IndexError(
        message(
            op,
            f"index {index} is out of bounds for length {count}.",
            f"Indices are from {-count} to {count - 1}.",
        )
    )


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


def _gemm_text(name: str, kind: str, blas: str) -> str:
    numbers = ("m", "n", "k", "lda", "ldb", "ldc")
    lines = [
        f"declare void @{blas}({', '.join(['ptr'] * 13)})",
        f"define internal void @{name}(i64 %m, i64 %n, i64 %k, i64 %lda, i64 %ldb, i64 %ldc, "
        f"i64 %ta, i64 %tb, ptr %a, ptr %b, ptr %c, {kind} %beta) #0 {{"
    ]
    for x in numbers:
        lines += [f"  %{x}p = alloca i32", f"  %{x}w = trunc i64 %{x} to i32",
                  f"  store i32 %{x}w, ptr %{x}p"]  # fmt: skip
    for x in ("a", "b"):
        lines += [
            f"  %t{x}p = alloca i8", f"  %t{x}f = icmp ne i64 %t{x}, 0",
            f"  %t{x}c = select i1 %t{x}f, i8 84, i8 78", f"  store i8 %t{x}c, ptr %t{x}p",
        ]  # fmt: skip
    lines += [
        f"  %one = alloca {kind}", f"  store {kind} 1.0, ptr %one",
        f"  %bp = alloca {kind}", f"  store {kind} %beta, ptr %bp",
        f"  call void @{blas}(ptr %tap, ptr %tbp, ptr %mp, ptr %np, ptr %kp, ptr %one, ptr %a, "
        "ptr %ldap, ptr %b, ptr %ldbp, ptr %bp, ptr %c, ptr %ldcp)",
        "  ret void", "}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


_PRODUCTS = {
    "gemm_f32": _gemm_text("gemm_f32", "float", "sgemm"),
    "gemm_f64": _gemm_text("gemm_f64", "double", "dgemm"),
}


@functools.cache
def _symbols() -> dict[str, int]:
    """The addresses of SciPy's BLAS."""
    capsules = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__
    return {name: _address(capsules[name]) for name in ("sgemm", "dgemm")}


def _address(capsule: Any) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
