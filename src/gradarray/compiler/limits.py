"""Limits: what one core of this machine does at best, measured once: GFLOP/s and GB/s."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable

import numpy as np

from .ir import ATTRIBUTES, Writer, element, suffix, vector
from .machine import Loaded, host, object_code

CHAINS = 12  # multiply-adds under way at once: enough to hide what each of them takes
TURNS = 100_000
STREAM = 64 << 20  # bytes, more than a cache holds


@functools.cache
def operations(dtype: np.dtype) -> float:
    """Operations a second of multiply-adds in registers (each is two), on one core."""
    w, kind, lanes = Writer(set()), element(dtype), host().lanes(dtype.itemsize)
    wide = vector(kind, lanes)
    w.label("entry")
    start = w.let(f"load {wide}, ptr %x")
    loop = w.loop(TURNS)
    chains = [loop.carry(wide, start) for _ in range(CHAINS)]
    with loop:
        for c in chains:
            name = f"llvm.fma.v{lanes}{suffix(dtype, 1)}"
            loop.set(c, w.call(wide, name, [(wide, c), (wide, start), (wide, start)]))
    total = chains[0]
    for c in chains[1:]:
        total = w.let(f"fadd {wide} {total}, {c}")
    w.put(f"store {wide} {total}, ptr %x")
    w.put("ret void")
    body, declared = "\n".join(w.lines), "\n".join(sorted(w.declared))
    text = f"define void @spin(ptr %x) #0 {{\n{body}\n}}\n{declared}\n" + ATTRIBUTES
    loaded = Loaded([object_code(text)], ("spin",), {})
    spin = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded.addresses["spin"])
    x = np.zeros(2 * lanes, dtype)
    at = x.ctypes.data + -x.ctypes.data % 64
    return 2 * CHAINS * lanes * TURNS / _best(lambda: spin(at))


@functools.cache
def stream() -> float:
    """Bytes a second that are read and written where no cache helps, on one core."""
    a, b = np.ones(STREAM // 8), np.zeros(STREAM // 8)
    return 2 * STREAM / _best(lambda: np.copyto(b, a))


def _best(f: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        f()
        taken.append(time.perf_counter() - start)
    return min(taken)
