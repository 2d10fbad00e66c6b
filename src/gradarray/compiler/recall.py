"""Recall: a program that was lowered before, by this library on this machine, is not lowered again.

What the code of a program depends on is written down, from its inputs to its outputs, and a digest
of that is the name of a file in the cache (cache.py): where buffers lie, and the name of the object
code. Programs with ops of the user's own, or with functions among their parameters, have no such
name, and are lowered each time; so are those with large constants.

The library itself is known by the sizes and dates of its files, so that a change of any of them
counts. Set `enabled` to False where parts of the compiler are replaced while it runs, as in tests.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from .. import choices
from . import cache, passes
from .abstract import Abstract
from .machine import host
from .program import Program, Step

LARGE = 1 << 22  # bytes of constants

enabled = True


class _Unknown(Exception):
    """Something that nothing can be said about."""


def key(program: Program, suspects: int, places: dict[int, int]) -> str | None:
    """The name of what a program becomes; None for no name."""
    if not enabled or cache.folder() is None:
        return None
    if sum(np.asarray(x).nbytes for x in program.constants.values()) > LARGE:
        return None
    try:
        said = _Words({}).program(program)
    except _Unknown:
        return None
    choice = ",".join([f"{c.name}={c.value}" for c in choices.table.values()])
    on = ",".join([name for name in passes.PASSES if passes.is_on(name)])
    target, version = host(), ".".join(map(str, llvm.llvm_version_info))
    return cache.key(
        "program", said, str(suspects), repr(sorted(places.items())), choice, on, version,
        np.__version__, target.cpu, target.features,
        str(target.vector_bytes), _library(),
    )  # fmt: skip


def load(name: str) -> Any:
    """What was kept under a name, if it is there and whole."""
    data = cache.load(name)
    if data is None:
        return None
    try:
        return pickle.loads(data)
    except Exception:  # of another Python, or what else: made anew
        return None


def store(name: str, state: Any) -> None:
    try:
        data = pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError):  # holds a function: made each time
        return
    cache.store(name, data)


@functools.cache
def _library() -> str:
    """This library's files: a change of any of them is another library."""
    root = Path(__file__).parents[1]
    return "\n".join(sorted(_files(str(root))))


def _files(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry.path)
        elif entry.name.endswith(".py"):
            found = entry.stat()
            yield f"{entry.path} {found.st_size} {found.st_mtime_ns}"


class _Words:
    """A program in words; its values are counted in the order of their making."""

    def __init__(self, number: dict[Abstract, int]) -> None:
        self.number = number

    def program(self, p: Program) -> str:
        lines = [f"{self.made(v)} {v in p.states}" for v in p.inputs]
        lines += [f"{self.made(v)} = {self.word(np.asarray(x))}" for v, x in p.constants.items()]
        lines += [self.step(step) for step in p.steps]
        lines.append(" ".join([self.word(y) for y in p.outputs]))
        return "\n".join(lines)

    def made(self, v: Abstract) -> str:
        n = self.number[v] = len(self.number)
        return f"%{n}:{v.dtype.str}{v.shape}{'' if v.weak is None else v.weak.__name__}"

    def step(self, s: Step) -> str:
        if not s.op.__module__.startswith("gradarray."):
            raise _Unknown
        operands = " ".join([self.word(x) for x in s.operands])
        params = " ".join([f"{k}={self.word(x)}" for k, x in sorted(s.params.items())])
        values = " ".join([self.made(v) for v in s.values])
        return f"{values} = {s.op.__module__}.{s.op.__qualname__} {operands} ; {params} {s.several}"

    def word(self, x: Any) -> str:
        kind = type(x)
        if kind is Abstract:
            n = self.number.get(x)
            if n is None:
                raise _Unknown
            return f"%{n}"
        if kind in _PLAIN:
            return f"{kind.__name__}:{x!r}"
        if kind is tuple or kind is list:
            return f"{kind.__name__}({' '.join([self.word(part) for part in x])})"
        if issubclass(kind, np.generic):
            return f"{x.dtype.str}:{x.tobytes().hex()}"
        if kind is np.ndarray and x.dtype.kind in "biufc":
            values = hashlib.sha256(x.tobytes()).hexdigest()
            return f"{x.dtype.str}{x.shape}:{values}"
        if issubclass(kind, np.dtype) and x.kind in "biufc":
            return x.str
        if issubclass(kind, Program):
            return f"{{\n{self.program(x)}\n}}"
        if kind is slice:
            return f"slice({self.word((x.start, x.stop, x.step))})"
        if kind is dict:
            return f"dict({' '.join([self.word(pair) for pair in x.items()])})"
        return self.named(x)

    def named(self, x: Any) -> str:
        """A class, or an object of a class that is only its fields."""
        of = x if isinstance(x, type) else type(x)
        if of.__module__.split(".")[0] not in ("gradarray", "numpy", "builtins"):
            raise _Unknown
        name = f"{of.__module__}.{of.__qualname__}"
        if isinstance(x, type):
            return name
        if isinstance(x, tuple):
            return f"{name}({' '.join([self.word(part) for part in x])})"
        if dataclasses.is_dataclass(x):
            fields = [getattr(x, f.name) for f in dataclasses.fields(x)]
            return f"{name}({' '.join([self.word(part) for part in fields])})"
        raise _Unknown


_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None), type(...)})
