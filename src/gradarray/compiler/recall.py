"""Recall: a program that was lowered before, by this library on this machine, is not lowered again.

What the code of a program depends on is written down, from its inputs to its outputs, and a digest
of that is the name of a file in the cache (cache.py): where buffers lie, and the name of the object
code. Programs with ops of the user's own, or with functions among their parameters, have no such
name, and are lowered each time; so are those with large constants.

The library itself is known by the sizes and dates of its files, so that a change of any of them
counts; if one was changed since this process began, it is not known what runs here, and nothing is
recalled or kept. Set `enabled` to False where parts of the compiler are replaced while it runs, as
in tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import choices, loaded
from . import cache, machine, passes
from .abstract import Abstract
from .program import Program, Step
from .trace import lock

LARGE = 1 << 22  # bytes of constants

enabled = True


class _Unknown(Exception):
    """Something that nothing can be said about."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What code depends on beside its program, and what may be another one at the next moment."""

    choices: tuple[tuple[str, float], ...]
    off: tuple[str, ...]
    vector: int | None

    @staticmethod
    def now() -> Setting:
        chosen = tuple([(c.name, c.value) for c in choices.table.values()])
        return Setting(chosen, passes.left_out(), machine.VECTOR)

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Within, it is as it was."""
        with lock, passes.leaving_out(self.off):
            outer = Setting.now()
            self._take()
            try:
                yield
            finally:
                outer._take()

    def _take(self) -> None:
        for name, value in self.choices:
            choices.table[name].value = value
        machine.VECTOR = self.vector


def key(program: Program, suspects: int, places: dict[int, int]) -> str | None:
    """The name of what a program becomes; None for no name."""
    if not enabled or cache.folder() is None:
        return None
    if sum(np.asarray(x).nbytes for x in program.constants.values()) > LARGE:
        return None
    library = _library()
    if library is None:
        return None
    try:
        said = _Words({}).program(program)
    except _Unknown:
        return None
    return cache.key(
        "program", said, str(suspects), repr(sorted(places.items())), repr(Setting.now()),
        repr(machine.host()), machine.llvm_name(), library,
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
def _library() -> str | None:
    """This library and those that it computes constants with; None where that cannot be said."""
    try:
        files = sorted(_files(str(Path(__file__).parents[1])))
        scipy = importlib.util.find_spec("scipy")
        assert scipy is not None and scipy.origin is not None
        files.append((scipy.origin, os.stat(scipy.origin)))
    except OSError:
        return None  # in an archive, as frozen programs are
    if len(files) < 2 or any(_changed(found) > loaded.at for _, found in files):
        return None
    said = [
        f"{path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}" for path, found in files
    ]
    return "\n".join([np.__version__, sys.version, *said])


def _changed(found: os.stat_result) -> float:
    """When a file became what it is; its date can be set, that of its entry cannot."""
    return found.st_mtime if os.name == "nt" else found.st_ctime


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry.path, entry.stat()


@functools.cache
def _name(of: type) -> str:
    """The name of a class of the library's, by which it is found again."""
    package, name = of.__module__.split(".")[0], f"{of.__module__}.{of.__qualname__}"
    found: Any = sys.modules.get(of.__module__)
    for part in of.__qualname__.split("."):
        found = getattr(found, part, None)
    if package not in ("gradarray", "numpy", "builtins") or found is not of:
        raise _Unknown
    return name


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
        op = _name(s.op)
        operands = " ".join([self.word(x) for x in s.operands])
        params = " ".join([f"{k}={self.word(x)}" for k, x in sorted(s.params.items())])
        values = " ".join([self.made(v) for v in s.values])
        return f"{values} = {op} {operands} ; {params} {s.several}"

    def word(self, x: Any) -> str:
        kind = type(x)
        if kind is Abstract:
            n = self.number.get(x)
            if n is None:
                raise _Unknown
            return f"%{n}"
        if kind in _PLAIN:
            return f"{kind.__name__}:{x!r}"
        if kind is float or kind is complex:  # a NaN's sign is not in its text
            return f"{kind.__name__}:{np.array(x).tobytes().hex()}"
        if kind is tuple or kind is list:
            return f"{kind.__name__}({' '.join([self.word(part) for part in x])})"
        if issubclass(kind, np.generic):
            return f"{x.dtype.str}:{x.tobytes().hex()}"
        if kind is np.ndarray and x.dtype.kind in "biufc":
            return f"{x.dtype.str}{x.shape}:{_digest(x)}"
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
        name = _name(x if isinstance(x, type) else type(x))
        if isinstance(x, type):
            return name
        if isinstance(x, tuple):
            return f"{name}({' '.join([self.word(part) for part in x])})"
        if dataclasses.is_dataclass(x):
            fields = [getattr(x, f.name) for f in dataclasses.fields(x)]
            return f"{name}({' '.join([self.word(part) for part in fields])})"
        raise _Unknown


def _digest(x: np.ndarray) -> str:
    """Of an array's values; of one that is the same everywhere, as a seed of ones, said shortly."""
    words = np.frombuffer(x.tobytes(), np.uint8 if x.itemsize > 8 else f"u{x.itemsize}")
    if words.size and words[0] == words[-1] and (words == words[0]).all():
        return f"everywhere {words[0]}"
    return hashlib.sha256(words.tobytes()).hexdigest()


_PLAIN = frozenset({int, bool, str, bytes, type(None), type(...)})
