"""Gate: the native function through which Python calls a step.

It is one function for all steps, of CPython's METH_FASTCALL kind: its `self` is an array of 64-bit
words, the plan of a step, and its arguments are the objects that the step reads and writes. For
each of them the plan has a record: where the array is found (an argument, or a handle from outside
and its slot), and which form it must have. The gate compares, puts the addresses of the data into
the table, runs the parts, looks at the flag of NaN, and commits. It takes some nanoseconds for each
array; what does not fit is left to Python.

A long step lets other threads of Python run, holds what it uses meanwhile, and sees Ctrl-C before
it commits. A step may have many turns in one entry (many.py): what `before` does, the parts, the
looks and the commit, again and again, with Python's signals seen in each.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array import GradArray
from .gate_text import ANY, ITSELF, PLAN, text
from .ir import ATTRIBUTES
from .machine import Loaded, for_good, object_code


@dataclass
class Record:
    """An array that a step reads or writes: where it is found, and its form.

    `holder`: a handle from outside; None: argument `at`. `index`: of the table; None where nothing
    is read, and only `node` and `gradient` are looked at. `references`: how many there may be, 0
    for any number. `flags`: bits that the array must have.
    """

    index: int | None
    at: int = 0
    holder: GradArray | None = None
    through: int = ITSELF
    type: type | None = None
    node: int = ANY
    gradient: int = ANY
    shape: tuple[int, ...] = ()
    dtype: np.dtype | None = None
    scalar: type | None = None
    flags: int = 0
    references: int = 0

    def words(self, keep: list[Any]) -> list[int]:
        sizes = np.array(self.shape or (0,), np.int64)
        keep += [sizes, self.holder, self.type, self.scalar, self.dtype]
        return [
            _id(self.holder), self.at, self.through, _id(self.type), self.node, self.gradient,
            _id(self.scalar), _id(self.dtype), len(self.shape), sizes.ctypes.data, self.flags,
            self.references, self.index or 0,
        ]  # fmt: skip


def _id(x: Any) -> int:
    return 0 if x is None else id(x)


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )  # fmt: skip


class Gate:
    """A way into a step: `call(*arrays)` answers DONE, NAN, MISFIT or BUSY.

    `busy`: where the word lies that is not 0 while the memory is in use, by this gate or another.
    `turns` of the plan is how many turns an entry has, `turn` how many it did, which is fewer
    where it does not answer DONE or the word at `stop` is not 0; before each turn
    `before(moves, table, turn)` is called.
    """

    def __init__(
        self, records: Sequence[Record], arguments: int, busy: int, arena: int, table: int,
        parts: Sequence[int], flag: int, commit: int, release: bool, status: int = 0,
        before: int = 0, moves: int = 0,
    ) -> None:  # fmt: skip
        self._kept: list[Any] = []
        words = [word for record in records for word in record.words(self._kept)]
        self._records = np.array(words or [0], np.int64)
        self._parts = np.array(parts or [0], np.int64)
        self._held = np.zeros(max(len(records), 1), np.int64)
        self.plan = np.array([
            busy, release, arguments, len(records), self._records.ctypes.data, arena, table,
            self._parts.ctypes.data, len(parts), flag, commit, id(None), id(np.ndarray),
            self._held.ctypes.data, status, 1, 0, before, moves, 0, 0,
        ], np.int64)  # fmt: skip
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
        self.call: Callable[..., int] = make(ctypes.addressof(_method()), self.plan, None)

    def set(self, name: str, value: int) -> None:
        """Change a word of the plan."""
        self.plan[PLAN.index(name)] = value

    def keep(self, x: Any) -> None:
        """Hold something for as long as this is there."""
        self._kept.append(x)

    def get(self, name: str) -> int:
        return int(self.plan[PLAN.index(name)])


_FASTCALL = 0x80  # METH_FASTCALL


@functools.cache
def _method() -> Any:
    return for_good(_Method(b"gate", loaded().addresses["gate"], _FASTCALL, None))


def loaded() -> Loaded:
    """The gate's code; another thread may be about to make it."""
    with making:
        return _loaded()


making = threading.RLock()


@functools.cache
def _loaded() -> Loaded:
    code = object_code(text() + ATTRIBUTES, number=1)
    return for_good(Loaded([code], ("gate",), python_symbols()))


def python_symbols() -> dict[str, int]:
    names = (
        "PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals", "PyLong_FromLong",
        "Py_IncRef", "Py_DecRef",
    )  # fmt: skip
    api = ctypes.pythonapi
    return {n: ctypes.cast(getattr(api, n), ctypes.c_void_p).value or 0 for n in names}
