"""Names: what a function reads by name from around it, and whether that is what it was.

A recording holds what the names of a function meant then: a number, a model, a helper. Where a
name means something else at a later call (`model` made anew, a global number, an attribute of
`self`), the function is another one, and is recorded again. Seen are globals, variables of
functions around, attributes of plain objects and modules, entries of lists and dicts, also in the
functions of the user's that are read. Arrays are followed by their handles, whose values are
inputs; what has settings (modules, optimisers) says itself when they change (trace.py).
"""

from __future__ import annotations

import contextlib
import dis
import functools
import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from ..errors import no_user_wrote

PLAIN = (bool, int, float, complex, str, bytes)
ITEMS = 64  # of a list or a dict that are looked at
FUNCTIONS = 100  # that are read through

_NONE = object()
_STRONG = (*PLAIN, type(None), FunctionType, ModuleType, type, list, dict, tuple)


class Name:
    """A key of a dict or a cell, and what it meant: `weak` where an object's attribute means
    another object, which it may hold only by reference, for versions go with their instance."""

    def __init__(self, what: str, holder: Any, key: str, value: Any, weak: bool = False) -> None:
        self.what, self.holder, self.key, self.was, self.weak = what, holder, key, value, False
        if weak and not isinstance(value, _STRONG):
            with contextlib.suppress(TypeError):
                self.was, self.weak = weakref.ref(value), True

    def now(self) -> Any:
        if isinstance(self.holder, CellType):
            return _in(self.holder)
        return self.holder.get(self.key, _NONE)

    def is_same(self) -> bool:
        now, was = self.now(), self.was() if self.weak else self.was
        if now is was:
            return not self.weak or was is not None
        return type(now) is type(was) and isinstance(now, PLAIN) and now == was

    def test(self, name: Callable[[Any], str]) -> str:
        """An expression that is true where it means something else; `name`: of an object in it."""
        is_cell = isinstance(self.holder, CellType)
        now = f"{name(self.holder)}.cell_contents" if is_cell else (
            f"{name(self.holder.get)}({self.key!r}, {name(_NONE)})"
        )  # fmt: skip
        if not self.weak:
            return f"{now} is not {name(self.was)}"
        return f"(was := {name(self.was)}()) is None or {now} is not was"


class Entries:
    """The entries of a list or a dict, one by one."""

    def __init__(self, what: str, container: Any) -> None:
        self.what, self._container, self._was = what, container, self._now(container)

    @staticmethod
    def _now(container: Any) -> tuple[Any, ...]:
        return tuple(container.values() if isinstance(container, dict) else container)

    def is_same(self) -> bool:
        now = self._now(self._container)
        return len(now) == len(self._was) and all(map(operator.is_, now, self._was))

    def test(self, name: Callable[[Any], str]) -> str:
        return f"not {name(self.is_same)}()"


class Names:
    """The names that a function reads; `held`: its static arguments by name, self among them."""

    def __init__(self, f: Any = None, held: dict[str, Any] | None = None) -> None:
        self.all: list[Name | Entries] = []
        self._met: set[tuple[int, str]] = set()
        self._seen: set[Any] = set()
        if f is not None:
            self._through(f, held or {})
        for value in (held or {}).values():
            if hasattr(type(value), "_settings"):
                self._module(value)

    def settle(self) -> None:
        """What the function itself has changed while it was recorded is not looked at."""
        self.all = self.changed(same=True)
        self._seen.clear()
        self._met.clear()

    def changed(self, same: bool = False) -> list[Name | Entries]:
        return [name for name in self.all if name.is_same() is same]

    def are_same(self) -> bool:
        return all(name.is_same() for name in self.all)

    def _through(self, f: Any, held: dict[str, Any]) -> None:
        """All that a callable reads."""
        if isinstance(f, MethodType):
            held, f = _with_self(f.__func__, f.__self__, held), f.__func__
        if isinstance(f, FunctionType):
            self._function(f, held)
        elif isinstance(f, functools.partial):
            self._through(f.func, {})
        elif hasattr(f, "__wrapped__"):  # a compiled function, or one that another one stands for
            self._through(f.__wrapped__, held)
        elif hasattr(type(f), "_settings"):
            self._module(f)
        elif isinstance(call := type(f).__dict__.get("__call__"), FunctionType):
            self._through(MethodType(call, f), held)

    def _module(self, module: Any) -> None:
        """What the forward functions, and the steps of training, of a user's modules read."""
        for part in getattr(module, "modules", tuple)():
            for name in ("forward", "train_step", "test_step", "predict_step"):
                fn = getattr(type(part), name, None)
                if isinstance(fn, FunctionType) and not no_user_wrote(fn.__code__.co_filename):
                    self._function(fn, {})

    def _function(self, f: FunctionType, held: dict[str, Any]) -> None:
        key = id(f), *sorted((name, id(value)) for name, value in held.items())
        if key in self._seen or len(self._seen) >= FUNCTIONS:
            return
        self._seen.add(key)
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
        if no_user_wrote(f.__code__.co_filename):  # grad(f): what is inside is the user's
            for cell in cells.values():
                value = _in(cell)
                if callable(value) and not isinstance(value, type):
                    self._through(value, {})
            return
        for kind, name, attributes in _reads(f.__code__):
            if kind == "cell" and name in held:
                self._attributes(held[name], attributes)
            elif kind == "global" and name in f.__globals__:
                self._meet(name, f.__globals__, name, attributes)
            elif kind == "cell" and name in cells:
                self._meet(name, cells[name], name, attributes)

    def _meet(self, what: str, holder: Any, key: str, attributes: list[str]) -> None:
        """A name, what is inside of its value, and what is read of it."""
        found = Name(what, holder, key, None)
        value = found.now()
        if value is _NONE:
            return
        if not (isinstance(value, ModuleType) and _is_library(value)):
            self._look(Name(what, holder, key, value, weak=what != key), holder, key)
        if isinstance(value, (list, dict)) and len(value) <= ITEMS:
            self._look(Entries(what, value), value, "")
        elif callable(value) and not isinstance(value, type):
            self._through(value, {})
        if attributes:
            self._attributes(value, attributes)

    def _look(self, entry: Name | Entries, holder: Any, key: str) -> None:
        if (id(holder), key) not in self._met:
            self._met.add((id(holder), key))
            self.all.append(entry)

    def _attributes(self, owner: Any, attributes: list[str]) -> None:
        """owner.a.b as far as the attributes of plain objects go."""
        if not attributes or _is_library(owner):
            return
        first, rest = attributes[0], attributes[1:]
        own = getattr(owner, "__dict__", {})
        kinds = [own, *(kind.__dict__ for kind in type(owner).__mro__)]
        holder = next((kind for kind in kinds if first in kind), None)
        if holder is None:
            return
        value = holder[first]
        kind = owner.__name__ if hasattr(owner, "__name__") else type(owner).__name__
        what = f"{kind}.{first}"
        if holder is not own:
            fn = value.fget if isinstance(value, property) else value
            if isinstance(fn, FunctionType):  # a method, on this object
                self._function(fn, _with_self(fn, owner, {}))
                return
            # The class has it, and the object may get one of its own.
            self._look(Name(what, own, first, _NONE), own, first)
        self._meet(what, holder, first, rest)


def _is_library(owner: Any) -> bool:
    """Has it settings of its own, or did no user write it?"""
    if isinstance(owner, ModuleType):
        file = getattr(owner, "__file__", None)
        return no_user_wrote(file) if file else owner.__name__ in sys.builtin_module_names
    kind = owner if isinstance(owner, type) else type(owner)
    module = kind.__module__.partition(".")[0]
    return hasattr(kind, "_settings") or module in ("builtins", "numpy", __name__.partition(".")[0])


def _with_self(f: Any, owner: Any, held: dict[str, Any]) -> dict[str, Any]:
    code = getattr(f, "__code__", None)
    return held if code is None or not code.co_argcount else held | {code.co_varnames[0]: owner}


def _reads(code: CodeType) -> Iterator[tuple[str, str, list[str]]]:
    """(kind, name, attributes) of all that is read by name, in functions inside of it, too."""
    last: tuple[str, str, list[str]] | None = None
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and last is not None:
            last[2].append(step.argval)
            continue
        if last is not None:
            yield last
        last = None
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            last = "global", step.argval, []
        elif step.opname.startswith(("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FAST")):
            both = step.argval  # two names, where one instruction loads two variables
            last = "cell", both[-1] if isinstance(both, tuple) else both, []
    if last is not None:
        yield last
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            own = {*inner.co_varnames, *inner.co_cellvars}
            yield from (read for read in _reads(inner) if read[0] == "global" or read[1] not in own)


def _in(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return _NONE
