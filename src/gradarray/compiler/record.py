"""Record: one trace of a user's function, as a program with its inputs, results and state."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, wrap
from ..errors import GraphError, message
from . import control, flow_series
from .abstract import Abstract
from .arguments import is_dynamic, unboxed, weak_of
from .leaks import refuse_leaks
from .program import Program
from .trace import Bound, Trace, tracing

_FLOW = control, flow_series  # imported for what it declares


@dataclass
class Slot:
    """Where an input is read at each call, and a changed value written: an argument or a handle."""

    handle: GradArray | None  # None: an argument
    argument: int
    gradient: bool  # of its `.grad`

    def owner(self, leaves: Sequence[Any]) -> Any:
        return leaves[self.argument] if self.handle is None else self.handle

    def array(self, leaves: Sequence[Any]) -> Any:
        """The array that is read: the owner, or its gradient."""
        owner = self.owner(leaves)
        return owner._gradient if self.gradient else owner


@dataclass
class Recorded:
    """A function as a program, and what its inputs and outputs mean."""

    program: Program
    reads: list[tuple[Slot, Abstract]]
    writes: list[tuple[Slot, int]]  # slot, and which output of the program it becomes
    cleared: list[Slot]  # gradients that are None afterwards
    result: list[Any]  # the leaves of what the function returned, Outputs among them
    form: tree.Structure
    suspects: int  # the last outputs of the program, to be looked at for NaN
    attached: list[int]  # outputs that are on the graph of what was given
    outside: list[tuple[GradArray, tuple[int, ...], Any, bool]]  # handle, form, needs gradient?
    gradients: list[tuple[Slot, bool]]  # had the handle a gradient?
    demands: list[tuple[Abstract, Callable[[np.ndarray], None]]]  # what values may not be
    same: dict[int, int]  # arguments that are another one once more
    settings: list[tuple[Any, Any]]  # weak references to what has settings, and the settings

    def uses_gradients(self) -> bool:
        """Is a gradient that was there before an input of the program?"""
        return any(slot.gradient for slot, _ in self.reads)


@dataclass(frozen=True)
class Output:
    """A result of the function: which output of the program it is."""

    at: int


def record(
    f: Callable[..., Any],
    leaves: Sequence[Any],
    form: tree.Structure,
    absorbing: bool = False,
    otherwise: bool = False,
) -> Recorded:
    """Trace f(*args, **kwargs); `leaves` and `form` are those of (args, kwargs)."""
    with tracing(absorbing, otherwise) as trace:
        given, arguments = _arguments(trace, leaves)
        args, kwargs = tree.unflatten(form, given)
        result = f(*args, **kwargs)
        del args, kwargs, given
        recorded = _finished(trace, arguments, result)
        del result
        refuse_leaks(trace, f)
        return recorded


def _arguments(trace: Trace, leaves: Sequence[Any]) -> tuple[list[Any], dict[int, int]]:
    """Handles for the arguments that are arrays, and for each which argument it is.

    One array that is given twice is one handle.
    """
    given: list[Any] = []
    arguments: dict[int, int] = {}
    known: dict[int, Any] = {}
    for k, leaf in enumerate(leaves):
        if not is_dynamic(leaf):
            leaf = unboxed(leaf)
            given.append(leaf)
            trace.note(leaf)
            continue
        if isinstance(leaf, GradArray) and id(leaf) in known:
            given.append(known[id(leaf)])
            trace.same[k] = arguments[id(known[id(leaf)])]
            continue
        weak = weak_of(leaf)
        data = leaf._data if isinstance(leaf, GradArray) else np.asarray(leaf)[()]
        handle = wrap(data, type(leaf) if isinstance(leaf, GradArray) else GradArray)
        if isinstance(leaf, GradArray):
            handle._gradient = leaf._gradient
            if leaf._node is not None:
                handle._node = graph.leaf(handle)
        value = trace.input(data.shape, data.dtype, weak)
        bound = trace.bound[id(handle)] = Bound(handle, value, None)
        handle._data = value
        trace.bind_gradient(bound)
        arguments[id(handle)] = k
        known[id(leaf)] = handle
        given.append(handle)
    return given, arguments


def _finished(trace: Trace, arguments: dict[int, int], result: Any) -> Recorded:
    fixed = [
        bound
        for key, bound in trace.bound.items()
        if key not in arguments and bound.of is None and trace.is_temporary(bound)
    ]
    found, form = tree.flatten(result)
    outputs: list[Any] = []
    leaves: list[Any] = []
    attached: list[int] = []
    for leaf in found:
        if isinstance(leaf, GradArray) and type(leaf._data) is Abstract:
            if id(leaf) in trace.bound and id(leaf) not in arguments:
                leaves.append(leaf)  # something from outside, itself
                continue
            if _is_attached(leaf._node):
                attached.append(len(outputs))
            leaves.append(Output(len(outputs)))
            outputs.append(leaf._data)
        else:
            leaves.append(leaf)
    slots: dict[int, Slot] = {}
    for key, bound in trace.bound.items():
        owner = bound.of if bound.of is not None else bound
        k = arguments.get(id(owner.handle), -1)
        slots[key] = Slot(None if k >= 0 else owner.handle, k, bound.of is not None)
    writes, cleared = _changes(trace, slots, outputs, attached)
    outputs += trace.suspects
    made_inside = {id(bound.handle) for bound in fixed}
    constants = {bound.value: bound.data for bound in fixed}
    program = Program([], trace.steps, outputs, {**constants, **trace.constants})
    program = program.without_dead_steps()
    needed = {x for step in program.steps for x in step.inputs}
    needed.update(y for y in outputs if type(y) is Abstract)
    # One array may stand behind several handles: it is read through one of them.
    reads: dict[Abstract, tuple[Slot, Abstract]] = {}
    for key, bound in trace.bound.items():
        if bound.value in needed and key not in made_inside:
            reads.setdefault(bound.value, (slots[key], bound.value))
            program.constants.pop(bound.value, None)
    program.inputs = list(reads)
    written = {id(slot) for slot, _ in writes}
    program.states = {
        value
        for slot, value in reads.values()
        if slot.handle is not None
        and (slot.gradient or trace.bound_to(value).node is not None or id(slot) in written)
    }
    outer = [
        (bound, slots[key])
        for key, bound in trace.bound.items()
        if bound.of is None and key not in made_inside
    ]
    outside = [
        (slot.handle, bound.value.shape, bound.value.dtype, bound.node is not None)
        for bound, slot in outer
        if slot.handle is not None
    ]
    gradients = [
        (Slot(slot.handle, slot.argument, True), bound.gradient is not None)
        for bound, slot in outer
        if bound.node is not None or bound.gradient is not None
    ]
    settings = [
        (weakref.ref(owner), owner._settings()) for owner in trace.settings.values()
    ]
    return Recorded(
        program, list(reads.values()), writes, cleared, leaves, form, len(trace.suspects),
        attached, outside, gradients, trace.demands, trace.same, settings,
    )  # fmt: skip


def _is_attached(node: Any) -> bool:
    """Can a walk start here? (Not where backward() was called already.)"""
    return node is not None and node.saved is not None


def _changes(
    trace: Trace, slots: dict[int, Slot], outputs: list[Any], attached: list[int]
) -> tuple[list[tuple[Slot, int]], list[Slot]]:
    """What the function changed: handles bound to other values, gradients set or cleared."""
    writes: list[tuple[Slot, int]] = []
    cleared: list[Slot] = []

    def write(slot: Slot, handle: GradArray) -> None:
        if type(handle._node) is not graph.Leaf and _is_attached(handle._node):
            attached.append(len(outputs))
        writes.append((slot, len(outputs)))
        outputs.append(handle._data)

    for key, bound in trace.bound.items():
        slot, handle = slots[key], bound.handle
        if bound.of is not None:
            continue
        if handle._data is not bound.value:
            write(slot, handle)
        gradient = handle._gradient
        of_gradient = Slot(slot.handle, slot.argument, True)
        if gradient is None:
            if bound.seen is not None:
                cleared.append(of_gradient)
            continue
        known = trace.bound.get(id(gradient))
        same = gradient is bound.seen
        if not same or (known is not None and gradient._data is not known.value):
            if bound.node is not None and type(bound.node) is not graph.Leaf:
                raise GraphError(
                    message(
                        "compile",
                        f"backward() came to an array {bound.value.dtype}"
                        f"{list(bound.value.shape)} that was computed outside the function.",
                        "Compute it inside, or call backward() outside, on what the function "
                        "returns.",
                    )
                )
            write(of_gradient, gradient)
    return writes, cleared


def mismatch(first: Program, second: Program) -> str:
    """Where two traces of one function differ, in words; '' if they do not."""
    if len(first.steps) != len(second.steps):
        return f"{len(first.steps)} operations the first time, {len(second.steps)} the second"
    for a, b in zip(first.steps, second.steps, strict=True):
        if a.op is not b.op:
            return f"{a.op.name} the first time, {b.op.name} the second, at {a.line}"
        for x, y in zip(a.operands, b.operands, strict=True):
            if (type(x) is Abstract) != (type(y) is Abstract):
                return f"an operand of {a.op.name}, at {a.line}"
            if x is y or type(x) is Abstract:
                continue
            if not np.array_equal(x, y, equal_nan=True):
                return f"a number in {a.op.name}, {x!r} and then {y!r}, at {a.line}"
        for (_, x), (_, y) in zip(a.programs(), b.programs(), strict=True):
            what = mismatch(x, y)
            if what:
                return what
    for x, y in zip(first.constants.values(), second.constants.values(), strict=False):
        if not np.array_equal(x, y):
            return f"an array {x.dtype}{list(x.shape)} that was made inside"
    return ""


def differing_results(first: Recorded, second: Recorded) -> str:
    """Where what two traces returned differs, in words; '' if it does not."""
    if first.form != second.form:
        return "a result of another structure"
    for x, y in zip(first.result, second.result, strict=True):
        if x is y or isinstance(x, (Output, GradArray)) or type(x) is not type(y):
            continue
        try:
            if not np.all(x == y):
                return f"{x!r} is returned the first time, {y!r} the second"
        except Exception:  # whatever the comparison of a user's objects raises
            continue
    return ""


def changed_each_time(f: Any, what: str) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return message(
        "compile",
        f"{name} does not do the same at every call: {what}. What the first call saw is kept.",
        "Give it as an argument, keep it in a GradArray, or draw it with ga.random.",
    )


def captured_by_value(f: Any, x: np.ndarray) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    size = f"{x.nbytes / 2**20:.1f} MiB"
    return message(
        "compile",
        f"{name} captures an array {x.dtype}{list(x.shape)} of {size} by value: a copy "
        "of it is part of the program, and later changes are not seen.",
        "Give it as an argument, or make it a GradArray outside (ga.array(x)).",
    )
