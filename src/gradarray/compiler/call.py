"""Call: the short way from a user's call to native code and back, a function written for one form.

Everything that can be known when a function is compiled is written out: where in the arguments the
arrays are, which arrays are made for the results, what becomes of each. What is looked at in every
call is looked at by the gate (gate.py). A call that does not fit goes the long way (compile.py).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..graph import flags
from .abstract import Abstract
from .arguments import is_dynamic, unboxed
from .gate import Gate, Record
from .memory import View
from .names import Names
from .native import LONG, Native, Work
from .objects import slots
from .reads import WRITTEN, Reads, plain
from .record import Output, Recorded, Slot

MISS = object()  # this call goes the long way


def places_of(recorded: Recorded, leaves: Sequence[Any]) -> dict[int, int]:
    """The state that can stay where it lies: which output goes where which input is read."""
    found: dict[int, int] = {}
    reads = {id(slot): k for k, (slot, _) in enumerate(recorded.reads)}
    for slot, at in recorded.writes:
        k = reads.get(id(slot))
        if k is None or slot.gradient or not isinstance(slot.owner(leaves), GradArray):
            continue
        x, y = recorded.reads[k][1], recorded.program.outputs[at]
        if type(y) is Abstract and y.shape == x.shape and y.dtype == x.dtype:
            found[at] = k
    return found


def _references(handle: GradArray) -> int:
    return sys.getrefcount(handle._data)


_ALONE = _references(wrap(np.zeros(1)))  # of what nobody else holds


def own(handle: GradArray) -> None:
    """See that what a handle is bound to can be written: nobody else has a part in it."""
    data = handle._data
    if type(data) is np.ndarray:
        dtype = plain(data.dtype)
        fits = data.flags.num & WRITTEN == WRITTEN and data.dtype is dtype
        del data
        if fits and _references(handle) == _ALONE:
            return
        data = handle._data
    alone = np.empty(np.shape(data), plain(data.dtype))  # np.array would keep the dtype's object
    alone[...] = data
    handle._data = alone


class Call:
    """A version's short way: `enter(args, kwargs)` gives the result, or MISS.

    `method`: its first leaf is the instance, which is not among the arguments. `settled.at`: the
    count of settings (flags.settings) for which the version is known to hold.
    """

    def __init__(
        self, recorded: Recorded, native: Native, leaves: Sequence[Any], form: tree.Structure,
        method: bool, settled: Any, names: Names,
    ) -> None:  # fmt: skip
        self.enter: Callable[[Any, Any], Any] | None = None
        self.gate: Gate | None = None
        if slots() is None or recorded.attached:
            return
        writer = _Written(recorded, native, leaves, form, method, settled, names)
        if not writer.lines:
            return
        work = native.work()
        self.work, self.gate = work, gate_of(native, work, writer.records, len(writer.given))
        writer.names["held"] = self, native  # for as long as the function lives
        writer.names["gate"] = self.gate.call
        exec(compile("\n".join(writer.lines), "<a compiled call>", "exec"), writer.names)
        self.enter = writer.names["enter"]


def gate_of(
    native: Native, work: Work, records: Sequence[Record], given: int, before: int = 0,
    moves: int = 0,
) -> Gate:  # fmt: skip
    """A way into native code with this memory."""
    arena, table = work.addresses
    count = len(native.bodies)
    flag, status = native.lowering.flag, native.lowering.status
    parts = native.ways(work)
    gate = Gate(
        records, given, work.busy.ctypes.data, arena, table,
        [ctypes.cast(part, ctypes.c_void_p).value or 0 for part in parts],
        0 if flag is None else arena + flag.offset,
        native.addresses[count] if len(native.addresses) > count else 0,
        native.hosted or native.cost.seconds > LONG,
        0 if status is None else status.data.ctypes.data, before, moves,
    )  # fmt: skip
    gate.keep(parts)
    if native.hosted:
        gate.set("failed", work.failed.ctypes.data)
    return gate


class _Written(Reads):
    """The text of a call, the objects it names, and the records of the gate."""

    def __init__(
        self, recorded: Recorded, native: Native, leaves: Sequence[Any], form: tree.Structure,
        method: bool, settled: Any, names: Names,
    ) -> None:  # fmt: skip
        super().__init__(recorded, native, leaves)
        self.method = method
        self.names: dict[str, Any] = {
            "MISS": MISS, "GradArray": GradArray, "new": GradArray.__new__, "empty": np.empty,
            "unflatten": tree.unflatten, "flags": flags, "settled": settled,
        }  # fmt: skip
        self.lines: list[str] = ["def enter(args, kwargs):"]
        if recorded.settings:
            self.put("if flags.settings != settled.at: return MISS")
        if names.all:
            changed = " or ".join([entry.test(self.name) for entry in names.all])
            self.put(f"if {changed}: return MISS")
        self._count = 0
        try:
            self._unpacked(form)
            self.read()
            made = self._results()
            self.put(f"if gate({', '.join(self.given)}): return MISS")
            self._end(made)
        except Unusual:
            self.lines = []

    def put(self, line: str) -> None:
        self.lines.append("    " + line)

    def name(self, value: Any, prefix: str = "k") -> str:
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    # Arguments ------------------------------------------------------------------------------------

    def _unpacked(self, form: tree.Structure) -> None:
        """The leaves of (args, kwargs), each under a name; static ones compared."""
        args, kwargs = form.children
        first = int(self.method)  # the instance is no argument here
        found: list[str] = []
        self._children("args", args._replace(children=args.children[first:]), found)
        if kwargs.keys:
            self._children("kwargs", kwargs, found)
        else:
            self.put("if kwargs: return MISS")
        for k, (name, leaf) in enumerate(zip(found, self.leaves[first:], strict=True), first):
            if is_dynamic(leaf):
                self.argument[k] = name
                continue
            leaf = unboxed(leaf)
            kept = self.name(leaf)
            line = f"if {name} is not {kept}"
            try:
                hash(leaf)
                kind = self.name(type(leaf))
                line += f" and (type({name}) is not {kind} or {name} != {kept})"
            except TypeError:
                pass
            self.put(f"{line}: return MISS")
        for k, other in self.recorded.same.items():
            self.put(f"if {self.argument[k]} is not {self.argument[other]}: return MISS")
        self._apart()

    def _apart(self) -> None:
        """An array that is changed comes one way alone: as this argument, or from outside."""
        arrays = [k for k in self.argument if isinstance(self.leaves[k], GradArray)]
        forms = {k: (self.leaves[k].shape, self.leaves[k].dtype) for k in arrays}
        for slot, _ in self.recorded.writes:
            for k in () if slot.gradient else arrays:
                if slot.handle is not None and forms[k] == (slot.handle.shape, slot.handle.dtype):
                    self.put(f"if {self.argument[k]} is {self.name(slot.handle)}: return MISS")
                elif slot.handle is None and k != slot.argument and k not in self.recorded.same:
                    a, b = self.argument[k], self.argument[slot.argument]
                    self.put(f"if {a} is {b}: return MISS")

    def _tree(self, name: str, form: tree.Structure, found: list[str]) -> None:
        if form.kind is None:
            found.append(name)
        elif form.kind == "none":
            self.put(f"if {name} is not None: return MISS")
        elif form.kind in (tuple, list, dict):
            self.put(f"if type({name}) is not {form.kind.__name__}: return MISS")
            self._children(name, form, found)
        else:
            raise Unusual

    def _children(self, name: str, form: tree.Structure, found: list[str]) -> None:
        self.put(f"if len({name}) != {len(form.children)}: return MISS")
        names = [self.fresh() for _ in form.children]
        if form.kind is dict:
            self.put(f"if tuple({name}) != {self.name(form.keys)}: return MISS")
            for child, key in zip(names, form.keys):
                self.put(f"{child} = {name}[{self.name(key)}]")
        elif names:
            self.put(f"{', '.join(names)}, = {name}")
        for child, part in zip(names, form.children):
            self._tree(child, part, found)

    # Results --------------------------------------------------------------------------------------

    def _results(self) -> dict[int, str]:
        """Arrays for the outputs that are made anew; their names by output."""
        made: dict[int, str] = {}
        by_buffer: dict[Any, str] = {}
        for at, view in enumerate(self.native.lowering.outputs):
            if not isinstance(view, View):
                made[at] = self.name(view)
                continue
            if at in self.native.places:
                continue
            known = by_buffer.get(view.buffer)
            if known is not None:
                made[at] = known
                continue
            name = made[at] = by_buffer[view.buffer] = self.fresh()
            form, dtype = self.native.form(at)
            record = Record(view.buffer.index, shape=form, dtype=dtype)
            if form or dtype.kind == "b":  # NumPy's truth values are two objects for all
                shape, kind = self.name(form), self.name(dtype)
                self.put(f"{name} = empty({shape}, {kind})")
            else:
                record.scalar = dtype.type
                self.put(f"{name} = {self.name(dtype.type)}()")
            record.at = self.passed(name)
            self.records.append(record)
        return made

    def _end(self, made: dict[int, str]) -> None:
        """State and gradients are bound, and the result is built."""
        for slot in self.recorded.cleared:
            self.put(f"{self._owner(slot)}._gradient = None")
        for slot, at in self.recorded.writes:
            if at in self.native.places:
                continue
            if slot.gradient:
                self.put(f"{self._owner(slot)}._gradient = {self._wrapped(made[at])}")
            elif slot.handle is None and not isinstance(self.leaves[slot.argument], GradArray):
                raise Unusual  # an array of the user's that is changed
            else:
                self.put(f"{self._owner(slot)}._rebind({made[at]})")
        leaves = []
        for x in self.recorded.result:
            if type(x) is Output:
                y = made.get(x.at)
                if y is None:
                    raise Unusual  # state that is a result, too, and stays the step's own
                leaves.append(self._wrapped(y))
            else:
                leaves.append(self.name(x))
        self.put(f"return {self._built(self.recorded.form, iter(leaves))}")

    def _owner(self, slot: Slot) -> str:
        if slot.handle is None:
            return self.argument[slot.argument]
        return self.name(slot.handle)

    def _wrapped(self, data: str) -> str:
        out = self.fresh()
        self.put(f"{out} = new(GradArray)")
        self.put(f"{out}._data = {data}")
        self.put(f"{out}._node = {out}._gradient = None")
        return out

    def _built(self, form: tree.Structure, leaves: Any) -> str:
        if form.kind is None:
            return next(leaves)
        if form.kind == "none":
            return "None"
        if form.kind not in (tuple, list, dict):
            count = _leaves_in(form)
            parts = ", ".join(next(leaves) for _ in range(count))
            return f"unflatten({self.name(form)}, [{parts}])"
        parts = [self._built(child, leaves) for child in form.children]
        if form.kind is dict:
            return "{" + ", ".join(f"{self.name(k)}: {v}" for k, v in zip(form.keys, parts)) + "}"
        inside = ", ".join(parts)
        return f"[{inside}]" if form.kind is list else f"({inside}{',' * (len(parts) == 1)})"


def _leaves_in(form: tree.Structure) -> int:
    return 1 if form.kind is None else sum(map(_leaves_in, form.children))


class Unusual(Exception):
    """Something that the short way does not know."""
