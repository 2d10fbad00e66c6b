"""Leaks: what a function stored outside while it was recorded, and where it is kept now.

A handle that was made inside and outlives the recording has no values. At the next call it would
stand there as it was, while the function, run eagerly, would have stored a new one: it is found,
named, and refused.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CellType, FrameType, ModuleType
from typing import Any

from ..array import GradArray
from ..errors import GraphError, message
from .abstract import Abstract
from .names import Entries, Name
from .trace import Trace

_data_of = GradArray.__dict__["_data"].__get__

# What holds arrays for the recording itself: loops' bodies, nodes, steps.
_INSIDE = tuple(
    f"{GradArray.__module__.partition('.')[0]}.{part}"
    for part in ("compiler", "transforms", "graph", "record", "array", "algebra", "custom", "plan")
)


def refuse_leaks(trace: Trace, f: Callable[..., Any]) -> None:
    """Raise if an array that was made inside is held from outside; while the trace is open."""
    known = {id(bound.handle) for bound in trace.bound.values()}
    known |= {id(bound.handle._gradient) for bound in trace.bound.values()}
    handles = [x for x in _young(trace) if id(x) not in known]
    if not handles:
        return
    young = {id(x) for x in gc.get_objects(generation=0)}
    refs = [weakref.ref(x) for x in _held_elsewhere(trace, young, handles)]
    del handles
    if not refs:
        return
    gc.collect()  # what only a cycle held
    left = [x for x in [ref() for ref in refs] if x is not None]
    elsewhere = _held_elsewhere(trace, young, left)
    for handle in elsewhere:
        place = _place(handle, f, {id(left), id(elsewhere)})
        if place:
            raise _refusal(handle._data, place)


def _held_elsewhere(trace: Trace, young: set[int], handles: list[GradArray]) -> list[GradArray]:
    """Those to which there are more references than the recording's own."""
    counts = _held_by(trace, young, handles)
    # Two more: of the list, and of the call that counts.
    return [
        handles[k]
        for k in range(len(handles))
        if sys.getrefcount(handles[k]) - 2 > counts[id(handles[k])]
    ]


def _held_by(trace: Trace, young: set[int], handles: list[GradArray]) -> dict[int, int]:
    """How many references to each handle the recording has, through what was made with it."""
    counts = {id(x): 0 for x in handles}
    seen = {id(trace)}
    level: list[Any] = [trace]
    while level:
        above = []
        for x in gc.get_referents(*level):
            key = id(x)
            if key in counts:
                counts[key] += 1
            if key in young and key not in seen:
                seen.add(key)
                above.append(x)
        level = above
    return counts


def _refusal(value: Abstract, place: str) -> GraphError:
    made = f", made at {value.step.line}," if value.step is not None else ""
    return GraphError(
        message(
            "compile",
            f"the function stores an array {value.dtype}{list(value.shape)}{made} in {place}; a "
            "compiled function would store it once, and never again.",
            "Return it, or keep an array there from the start and write into it (a[...] = v; in a "
            "module register_buffer, which assignment writes into).",
        )
    )


def _young(trace: Trace) -> Iterator[GradArray]:
    """The handles on values of a trace, which Python's collector, at rest, has as its youngest."""
    for x in gc.get_objects(generation=0):
        if isinstance(x, GradArray):
            try:
                data = _data_of(x)
            except AttributeError:  # an example inside vmap: behind it stands another
                continue
            if type(data) is Abstract and data.trace is trace:
                yield x


def _place(x: Any, f: Callable[..., Any], skip: set[int]) -> str:
    """Who holds x from outside, in the user's words; '' if nobody but the recording."""
    for holder in gc.get_referrers(x):
        if id(holder) in skip or isinstance(holder, (FrameType, weakref.ref)):
            continue
        if isinstance(holder, CellType):
            if any(holder is cell for cell in getattr(f, "__closure__", None) or ()):
                return "a variable of the function around it"
        elif type(holder) is dict:
            place = _in_dict(holder, x, f)
            if place:
                return place
        elif isinstance(holder, (list, tuple, set)):
            if _is_outside(holder):
                return f"a {type(holder).__name__} that is not its own"
        elif not _is_inside(holder):
            return _attribute(holder, x)
    return ""


def _is_outside(container: Any, depth: int = 3) -> bool:
    """Does none of the recording's own objects hold it, nor what holds it?"""
    for holder in gc.get_referrers(container):
        if isinstance(holder, FrameType):
            continue
        if isinstance(holder, (list, tuple, set, dict, CellType)):
            if depth and not _is_outside(holder, depth - 1):
                return False
        elif _is_inside(holder):
            return False
    return True


def _in_dict(holder: dict[Any, Any], x: Any, f: Any) -> str:
    name = next((k for k, v in holder.items() if v is x), "")
    for owner in gc.get_referrers(holder):
        if isinstance(owner, ModuleType) or holder is getattr(f, "__globals__", None):
            return f"the global variable {name}"
        if getattr(owner, "__dict__", None) is holder:
            return "" if _is_inside(owner) else _attribute(owner, x)
    return f"a dict, under {name!r}" if _is_outside(holder) else ""


def _attribute(owner: Any, x: Any) -> str:
    for name, value in getattr(owner, "__dict__", {}).items():
        if value is x:
            return f"the attribute {name!r} of a {type(owner).__name__}"
    return f"a {type(owner).__name__}"


def _is_inside(x: Any) -> bool:
    if type(x) in (Name, Entries):  # knows of what the user's names mean
        return False
    module = getattr(x if callable(x) else type(x), "__module__", None) or ""
    return module.startswith(_INSIDE) or type(x).__module__.startswith(_INSIDE)
