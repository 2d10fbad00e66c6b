"""Version: one recording of a function, compiled, and how it is run."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..errors import GraphError, message, warn
from ..graph import flags
from . import ahead, gate, passes, report, split_text, written_arrays
from .abstract import Abstract
from .again import Again
from .arguments import Static, is_dynamic, unboxed
from .assemble import prepared
from .call import Call, Unusual, own, places_of
from .check import Checked
from .export import export
from .many import Many
from .names import Names
from .native import Native
from .plain import plainly
from .program import Program, interpret
from .record import (
    Output,
    Recorded,
    Slot,
    captured_by_value,
    changed_each_time,
    differing_results,
    mismatch,
    record,
)
from .trace import example, lock
from .watch import OpByOp

LARGE = 1 << 20  # bytes of a constant that a word is said about


class Version:
    """One recording of a function, and how it is run.

    `instance`: what the function is a method of, held weakly. `once`: the function is the
    library's own, and known to do the same at every call. `compiling`: how a function is compiled.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        leaves: Sequence[Any],
        form: tree.Structure,
        instance: Any = None,
        check: bool = False,
        strict: bool = False,
        once: bool = False,
        compiling: Any = None,
    ) -> None:
        self._f, self._form, self.compiling = f, form, compiling
        # Static values keep their ids, and with them the function can be run again.
        self._leaves = [_kept(x, instance) for x in leaves]
        self._instance = None if instance is None else _reference(instance.value)
        self.varies = ""  # what is not the same at every call, in words
        self.names = Names() if once else Names(f, _held(f, leaves, form))
        self.recorded = self._record(leaves, strict, once)
        self.names.settle()
        # What is on a graph and was walked inside is run op by op.
        walked = any(slot.gradient for slot, _ in self.recorded.writes)
        self.eager = walked and bool(self.recorded.attached)
        self._settled = SimpleNamespace(at=flags.settings)  # the settings for which this holds
        if self.eager:
            return
        recorded, self._places = self.recorded, {}
        program, suspects = recorded.program, recorded.suspects
        if passes.is_on("plain"):
            program, suspects = plainly(program, suspects)
        self._is_new = True
        self._call: Call | None = None
        self._many: Many | None = None
        self._is_many_known = False
        if check:
            self._run: Any = Checked(program, suspects)
        else:
            if not recorded.attached:  # what is on a graph keeps what it was computed from
                self._places = places_of(recorded, leaves)
            self._run = Native(program, suspects, self._places)
            ahead.begin(gate.loaded)
        self._absorbing: tuple[Recorded, Any] | None = None
        self._again: Again | None = None

    def _record(self, leaves: Sequence[Any], strict: bool, once: bool) -> Recorded:
        """The function recorded; twice, to see whether it does the same each time.

        The second time arrays that had a gradient have none, and the other way round: a step that
        begins with zero_grad() is one program whether there were gradients before or not.
        """
        f, form = self._f, self._form
        first = record(f, leaves, form)
        if once:
            return first
        second = record(f, leaves, form, otherwise=True)
        if first.uses_gradients() or second.uses_gradients() or _differ(first, second):
            second = record(f, leaves, form)
        else:
            second.gradients = []
            known = {(id(s.handle), s.argument) for s in second.cleared}
            second.cleared += [
                s for s in first.cleared if (id(s.handle), s.argument) not in known
            ]
        self.varies = _differ(first, second)
        if self.varies and strict:
            raise GraphError(changed_each_time(f, self.varies))
        if self.varies:
            warn(changed_each_time(f, self.varies))
        for x in second.program.constants.values():
            if x.nbytes > LARGE and np.any(x != x.flat[0]):  # not a seed of ones
                warn(captured_by_value(f, x))
        return second

    def fits(self, leaves: Sequence[Any]) -> bool:
        """Is what the function reaches from outside as it was when it was recorded?"""
        for handle, shape, dtype, needs in self.recorded.outside:
            if handle.shape != shape or handle.dtype != dtype:
                return False
            if (handle._node is not None) != needs:
                return False
        for slot, had in self.recorded.gradients:
            if (slot.owner(leaves)._gradient is not None) != had:
                return False
        if self._settled.at != flags.settings and not self._are_settings_the_same():
            return False
        return self.names.are_same()

    def overlaps(self, leaves: Sequence[Any]) -> bool:
        """Is an argument an array that is also reached from outside, and changed?"""
        if not self.recorded.writes:
            return False
        given = {id(leaf) for leaf in leaves}
        return any(
            id(slot.handle) in given and not slot.gradient for slot, _ in self.recorded.writes
        )

    def _are_settings_the_same(self) -> bool:
        now = flags.settings
        for ref, settings in self.recorded.settings:
            owner = ref()
            if owner is None or owner._settings() != settings:
                return False
        self._settled.at = now
        return True

    def __call__(self, leaves: Sequence[Any]) -> Any:
        recorded, places = self.recorded, self._places
        inputs = self._inputs(leaves)
        try:
            values = self._run(inputs)
        except OpByOp:
            return self.run([x.value if type(x) is Static else x for x in leaves])
        except (IndexError, ValueError) as error:
            self._look(inputs)
            if isinstance(error, np.linalg.LinAlgError):  # of which matrix the op itself tells
                interpret(recorded.program)(inputs)
            raise
        if values is None:
            self._look(inputs)
            recorded, values = self._absorbed(leaves)
            inputs, places = [read(slot, leaves) for slot, _ in recorded.reads], {}
        handles: dict[int, GradArray] = {}
        if recorded.attached:
            handles = self._on_graph(recorded, leaves, inputs, values)
        return self._end(recorded, leaves, values, handles, places)

    def _inputs(self, leaves: Sequence[Any]) -> list[Any]:
        """What is read, state that is written in place so that it can be; raise where an argument
        that is changed must not be, before anything is."""
        written_arrays.check(self.recorded, self._form, leaves)
        inputs = [read(slot, leaves) for slot, _ in self.recorded.reads]
        for k in self._places.values():
            handle = self.recorded.reads[k][0].owner(leaves)
            inputs[k] = None
            own(handle)
            inputs[k] = handle._data
        return inputs

    def _end(
        self, recorded: Recorded, leaves: Sequence[Any], values: list[Any],
        handles: dict[int, Any], places: dict[int, int],
    ) -> Any:  # fmt: skip
        """Bind what was changed, and build the result."""
        if recorded.writes or recorded.cleared:
            with lock:  # nobody records meanwhile
                self._write(recorded, leaves, values, handles, places)
        out = [
            x if type(x) is not Output
            else handles[x.at] if x.at in handles
            else wrap(values[x.at])
            for x in recorded.result
        ]  # fmt: skip
        return tree.unflatten(recorded.form, out)

    def _write(
        self, recorded: Recorded, leaves: Sequence[Any], values: list[Any],
        handles: dict[int, Any], places: dict[int, int],
    ) -> None:  # fmt: skip
        for slot in recorded.cleared:
            slot.owner(leaves)._gradient = None
        for slot, at in recorded.writes:
            if at in places:
                continue
            owner = slot.owner(leaves)
            if slot.gradient:
                owner._gradient = handles[at] if at in handles else wrap(values[at])
            elif isinstance(owner, GradArray):
                known = handles.get(at)
                owner._rebind(values[at], None if known is None else known._node)
            elif isinstance(owner, np.ndarray):
                owner[...] = values[at]

    def _look(self, inputs: list[Any]) -> None:
        """Raise what the function raises for values like these."""
        p = self.recorded.program
        for x, check in self.recorded.demands:
            alone = Program(p.inputs, p.steps, [x], p.constants).without_dead_steps()
            check(np.asarray(interpret(alone)(inputs)[0]))

    def _absorbed(self, leaves: Sequence[Any]) -> tuple[Recorded, list[Any]]:
        """The same with absorbing products, in which a 0 wins over what is infinite."""
        if self._absorbing is None:
            recorded = record(self._f, leaves, self._form, absorbing=True)
            self._absorbing = recorded, Native(recorded.program)
        recorded, run = self._absorbing
        return recorded, run([read(slot, leaves) for slot, _ in recorded.reads])

    def way_in(self, leaves: Sequence[Any]) -> Any:
        """The short way in, None where there is none; the first call does not wait for it."""
        if not self._is_new and self.is_short:
            return self._short(leaves).enter
        self._is_new = False
        return None

    @property
    def is_short(self) -> bool:
        """May there be a short way in?"""
        return isinstance(self._run, Native)

    def _short(self, leaves: Sequence[Any]) -> Call:
        if self._call is None:
            self._call = Call(
                self.recorded, self._run, leaves, self._form, self._instance is not None,
                self._settled, self.names,
            )  # fmt: skip
        return self._call

    def many(self, leaves: Sequence[Any]) -> Many | None:
        """What runs it on many batches in one entry; None where each is a call."""
        if not self._is_many_known and self.is_short:
            with contextlib.suppress(Unusual):
                call = self._short(leaves)
                self._many = Many(self.recorded, self._run, call, self._leaves)
        self._is_many_known = True
        return self._many

    # Results on a graph ---------------------------------------------------------------------------

    def _on_graph(
        self, recorded: Recorded, leaves: Sequence[Any], inputs: list[Any], values: list[Any]
    ) -> dict[int, GradArray]:
        """Handles on the attached outputs, behind which one node stands for the whole function."""
        if self._again is None:
            self._again = Again(self)
        owners = [slot.array(leaves) for slot, _ in recorded.reads]
        found = self._again.node(owners, inputs, [values[at] for at in recorded.attached])
        return dict(zip(recorded.attached, found, strict=True))

    def arguments(self, values: Sequence[Any]) -> tuple[list[Any], list[tuple[Slot, Any]]]:
        """The leaves of (args, kwargs) with these values of the program's inputs, and the rest."""
        leaves = list(self._leaves)
        if self._instance is not None:
            leaves[0] = self._instance()
        outside = []
        for (slot, _), value in zip(self.recorded.reads, values, strict=True):
            if slot.handle is None and not slot.gradient:
                leaves[slot.argument] = value
            else:
                outside.append((slot, value))
        for k, first in self.recorded.same.items():
            leaves[k] = leaves[first]
        return leaves, outside

    def run(self, leaves: Sequence[Any]) -> Any:
        """The function itself."""
        args, kwargs = tree.unflatten(self._form, list(leaves))
        return self._f(*args, **kwargs)

    def show(self, what: str) -> str:
        """Its program or its code, as text."""
        if what == "graph":
            return self.recorded.program.show()
        if what == "simplified":
            return prepared(self.recorded.program).show()
        if what == "split":
            return split_text.text(prepared(self.recorded.program))
        if what not in report.KINDS:
            kinds = ", ".join(("graph", "simplified", "split", *report.KINDS))
            raise ValueError(message("show", f"{what!r} is none of {kinds}."))
        if self.eager:
            return "It runs op by op: a result is on a graph that was walked inside."
        run = self._run.whole()
        inputs = [
            example(v) if slot.handle is None or slot.gradient else read(slot, ())
            for slot, v in self.recorded.reads
        ]  # fmt: skip
        return report.shown(run, what, inputs)

    def fused(self) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """Its statements in a few words, each with the ops and lines that it carries out."""
        return [] if self.eager else report.fused(self._run.whole())

    def export(self, folder: Any, name: str) -> list[Path]:
        """Write it as an object file, a header and weights (see export.py)."""
        if self.eager or self.recorded.attached:
            raise ValueError(
                message(
                    "export",
                    "a result is on the graph of what requires a gradient, and C has no graph.",
                    "Return x.detach(), or call it once inside ga.no_grad().",
                )
            )
        run = self._run.whole()
        values = [
            None if slot.handle is None else read(slot, ()) for slot, _ in self.recorded.reads
        ]
        return export(folder, name, self.recorded, run, self._form, values)


def _differ(first: Recorded, second: Recorded) -> str:
    return mismatch(first.program, second.program) or differing_results(first, second)


def _held(f: Any, leaves: Sequence[Any], form: tree.Structure) -> dict[str, Any]:
    """The static arguments by their names, of which attributes are read."""
    code = getattr(f, "__code__", None)
    if code is None:
        return {}
    args, kwargs = tree.unflatten(form, list(leaves))
    named = dict(zip(code.co_varnames[: code.co_argcount], args)) | kwargs
    return {name: unboxed(x) for name, x in named.items() if not is_dynamic(x)}


def _kept(leaf: Any, instance: Any) -> Any:
    """A static argument as it is; of an array its form, with values that nothing depends on."""
    if leaf is instance:
        return None
    if type(leaf) is Static:
        return leaf.value
    if not is_dynamic(leaf):
        return leaf
    if not hasattr(leaf, "shape"):
        return type(leaf)(1)
    return wrap(np.broadcast_to(leaf.dtype.type(1), leaf.shape)[()])


def _reference(instance: Any) -> Any:
    try:
        return weakref.ref(instance)
    except TypeError:
        return lambda: instance


def read(slot: Slot, leaves: Sequence[Any]) -> Any:
    """The value of an input as it is now."""
    owner = slot.owner(leaves)
    if not isinstance(owner, GradArray):
        return owner
    data = (owner._gradient if slot.gradient else owner)._data  # type: ignore[union-attr]
    if type(data) is Abstract:  # another thread records, and will put back what was there
        with lock:
            data = (owner._gradient if slot.gradient else owner)._data  # type: ignore[union-attr]
    return data
