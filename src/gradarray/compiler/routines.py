"""Routines: BLAS and LAPACK, called from native code by the addresses that SciPy exports.

Their arguments go by address, as Fortran's do: letters, whole numbers of 32 bits, numbers and
arrays, matrices column by column. SciPy is imported by what calls one. The code itself holds names
only, so that it may be kept on disk: addresses are put in where it is loaded.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .addresses import address
from .ir import element
from .loops import Access, Buffer, Routine, Stretch

if TYPE_CHECKING:
    from .ir import Module

LETTERS = {"f4": "s", "f8": "d", "c8": "c", "c16": "z"}


def letter(dtype: np.dtype) -> str:
    """What the names of routines for a dtype begin with."""
    return LETTERS[dtype.str[1:]]


def symbols(names: Iterable[str]) -> dict[str, int]:
    return {name: address(name) for name in names}


# Calls --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """Memory that a routine asks for, and behind it how much there is: two arguments."""

    dtype: np.dtype


def routine(
    name: str, *arguments: Any, dtype: np.dtype, turn: Any = None, operations: float = 0.0
) -> Routine:
    """A call of a routine, given `Work` of the size that it is fastest with."""
    sizes = iter(())
    if any(isinstance(x, Work) for x in arguments):
        sizes = iter(_asked(name, tuple(map(_form, arguments)), dtype))
    given: list[Any] = []
    for x in arguments:
        if isinstance(x, Work):
            size = next(sizes)
            given += [Stretch(Access(Buffer(size, x.dtype, turn=turn)), size, "w"), size]
        else:
            given.append(x)
    return Routine(name, tuple(given), dtype, operations)


def _form(x: Any) -> Any:
    return "array" if isinstance(x, Stretch) else x


@functools.cache
def _asked(name: str, arguments: tuple[Any, ...], dtype: np.dtype) -> list[int]:
    """The sizes of `Work` that a routine answers with when it is asked with the size -1."""
    kept: list[Any] = []
    answers = []
    for x in arguments:
        if isinstance(x, Work):
            answers.append(np.zeros(1, x.dtype))
            kept += [answers[-1], np.array(-1, np.int32)]
        elif x == "array":
            kept.append(np.zeros(1, np.complex128))
        else:
            kept.append(_constant(x, dtype))
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(kept))
    kind(address(name))(*[x.ctypes.data for x in kept])
    return [max(int(x[0].real), 1) for x in answers]


def _constant(x: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(x, str):
        return np.array(x.encode(), "S1")
    return np.array(x, np.int32 if isinstance(x, int) else dtype)


def text(module: Module, s: Routine) -> str:
    """A kernel of the arrays alone, which puts the other arguments where the routine finds them."""
    lines, pointers, count = [], [], 0
    for k, x in enumerate(s.arguments):
        if isinstance(x, Stretch):
            pointers.append(f"%p{count}")
            count += 1
            continue
        kind, value = _spelled(x, s.dtype)
        lines += [f"  %c{k} = alloca {kind}", f"  store {kind} {value}, ptr %c{k}"]
        pointers.append(f"%c{k}")
    declare(module, s.name, len(pointers))
    given = ", ".join(f"ptr {p}" for p in pointers)
    params = ", ".join(f"ptr %p{k}" for k in range(count))
    lines += [f"  call void @{s.name}({given})", "  ret void"]
    body = "\n".join(lines)
    return f"define internal void @SELF({params}) #0 {{\n{body}\n}}\n"


def _spelled(x: Any, dtype: np.dtype) -> tuple[str, str]:
    if isinstance(x, str):
        return "i8", str(ord(x))
    if isinstance(x, int):
        return "i32", str(x)
    return element(dtype), repr(float(x))


def declare(module: Module, name: str, count: int) -> None:
    module.declared.add(f"declare void @{name}({', '.join(['ptr'] * count)})")
    module.routines.add(name)


# Products -----------------------------------------------------------------------------------------


def product(module: Module, dtype: np.dtype) -> str:
    """The name of a kernel C = A B + beta C, written once for each dtype."""
    blas, kind = f"{letter(dtype)}gemm", element(dtype)
    declare(module, blas, 13)
    return module.kernel(_gemm_text(kind, blas), "gemm")


def _gemm_text(kind: str, blas: str) -> str:
    numbers = ("m", "n", "k", "lda", "ldb", "ldc")
    lines = [
        "define internal void @SELF(i64 %m, i64 %n, i64 %k, i64 %lda, i64 %ldb, i64 %ldc, "
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


