"""The machine that code is made for: its vector width, and how text becomes callable code."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import cache, passes
from .fault import verified
from .llvm import llvm

# LLVM's objects are shared by all compiles, those of a second thread by its own; code is linked
# one after the other.
lock, beside, linking = threading.RLock(), threading.RLock(), threading.RLock()
_number = itertools.count()


@dataclass(frozen=True)
class Target:
    """What the emitter needs to know of a processor."""

    cpu: str
    features: str
    vector_bytes: int  # of one register
    registers: int  # how many of them

    def lanes(self, itemsize: int) -> int:
        return max(self.vector_bytes // itemsize, 1)


VECTOR: int | None = None  # bytes of a vector, where a test asks for another machine's width


def host() -> Target:
    """The processor that code is made for: the one that this runs on."""
    found = _processor()
    return found if VECTOR is None else replace(found, vector_bytes=VECTOR, registers=16)


@functools.cache
def _processor() -> Target:
    _start()
    cpu = llvm.get_host_cpu_name()
    features = llvm.get_host_cpu_features()
    on = {name for name, there in features.items() if there}
    if "avx512f" in on:
        size, registers = 64, 32
    elif "avx2" in on:
        size, registers = 32, 16
    elif "sve" in on or "neon" in on:
        size, registers = 16, 32
    else:
        size, registers = 16, 16
    return Target(cpu, features.flatten(), size, registers)


@functools.cache
def _start() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@functools.cache
def _machine(careful: bool = True, number: int = 0) -> Any:
    """`number`: of the thread that uses it."""
    target = host()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2 * careful, reloc="pic", codemodel="small"
    )


@functools.cache
def _jit() -> Any:
    _start()
    return for_good(llvm.create_lljit_compiler(_machine()))


def for_good(x: Any) -> Any:
    """x, held until the process ends.

    When Python ends it clears modules in an order of its own, while what they made is still used:
    a function from native code reads its definition whenever it is collected, threads of the pool
    wait in their code, and a `__del__` may call what is compiled.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(x))
    return x


def object_code(text: str, number: int = 0) -> bytes:
    """LLVM's text as an object file, from the cache if it is there; it is verified first."""
    if not passes.is_on("code"):
        with lock:
            return _machine(careful=False).emit_object(verified(text))
    name = object_name(text)
    code = cache.load(name)
    if code is None:
        with beside if number else lock:
            code = _emitted(_machine(number=number), verified(text, llvm.create_context()))
        cache.store(name, code)
    return code


def object_codes(texts: Sequence[str]) -> list[bytes]:
    """The object files of texts, of the second one by a second thread if it has a processor."""
    if len(texts) != 2 or not passes.is_on("code") or processors() == 1:
        return [object_code(text) for text in texts]
    found: list[Any] = []

    def second() -> None:
        try:
            found.append(object_code(texts[1], 1))
        except BaseException as why:  # raised by who waits
            found.append(why)

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    try:
        first = object_code(texts[0])
    finally:
        thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return [first, found[0]]


def processors() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _emitted(machine: Any, module: Any) -> bytes:
    """A module of a context of its own as an object file.

    llvmlite lets one thread at a time into LLVM. A context and a machine that no other thread has
    need no such care, so that two threads compile at the same time.
    """
    lib = llvm.ffi.lib
    emit = getattr(lib.LLVMPY_TargetMachineEmitToMemory, "_cfn", None)
    if emit is None:
        return machine.emit_object(module)
    with llvm.ffi.OutputString() as why:
        buffer = emit(machine, module, 1, why)
        if not buffer:
            raise RuntimeError(str(why))
    try:
        start, size = lib.LLVMPY_GetBufferStart(buffer), lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        lib.LLVMPY_DisposeMemoryBuffer(buffer)


def object_name(text: str) -> str:
    """The name in the cache of the code of a text."""
    target = host()
    return cache.key(text, llvm_name(), target.cpu, target.features)


def llvm_name() -> str:
    """LLVM, its version, and the kind of machine."""
    return ".".join(map(str, llvm.llvm_version_info)) + " " + llvm.get_default_triple()


def assembly(text: str) -> str:
    """LLVM's text as the assembly of this machine."""
    with lock:
        _start()
        return _machine().emit_assembly(verified(text))


class Loaded:
    """Object code in memory, ready to be called, for as long as this is held."""

    def __init__(
        self, codes: Sequence[bytes], entries: tuple[str, ...], symbols: dict[str, int]
    ) -> None:
        with linking:
            builder = llvm.JITLibraryBuilder().add_current_process()
            for code in codes:
                builder.add_object_img(code)
            for name, address in symbols.items():
                builder.import_symbol(name, address)
            for name in entries:
                builder.export_symbol(name)
            self._library = builder.link(_jit(), f"gradarray{next(_number)}")
        self.addresses = {name: self._library[name] for name in entries}
