"""Record: one trace of a user's function, as a program with its inputs, results and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, wrap
from ..errors import message
from . import control
from .abstract import Abstract
from .program import Program
from .trace import Bound, Trace, tracing

_FLOW = control  # imported for what it declares


@dataclass
class Slot:
    """Where an input is read at each call, and a changed value written: an argument or a handle."""

    handle: GradArray | None  # None: an argument
    argument: int
    gradient: bool  # of its `.grad`

    def owner(self, leaves: Sequence[Any]) -> Any:
        return leaves[self.argument] if self.handle is None else self.handle


@dataclass
class Recorded:
    """A function as a program, and what its inputs and outputs mean."""

    program: Program
    reads: list[tuple[Slot, Abstract]]
    writes: list[tuple[Slot, int]]  # slot, and which output of the program it becomes
    cleared: list[Slot]  # gradients that are None afterwards
    result: Any  # a pytree whose leaves are Output or what the function returned
    form: tree.Structure
    suspects: int  # the last outputs of the program, to be looked at for NaN
    attached: bool  # a result is on the graph of what was given
    absent: list[GradArray]  # handles that had no gradient


@dataclass(frozen=True)
class Output:
    """A result of the function: which output of the program it is."""

    at: int


def record(
    f: Callable[..., Any], leaves: Sequence[Any], form: tree.Structure, absorbing: bool
) -> Recorded:
    """Trace f(*args, **kwargs); `leaves` and `form` are those of (args, kwargs)."""
    with tracing(absorbing) as trace:
        given, arguments = _arguments(trace, leaves)
        args, kwargs = tree.unflatten(form, given)
        result = f(*args, **kwargs)
        return _finished(trace, arguments, result)


def _arguments(trace: Trace, leaves: Sequence[Any]) -> tuple[list[Any], dict[int, int]]:
    """Handles for the arguments that are arrays, and for each which argument it is."""
    given: list[Any] = []
    arguments: dict[int, int] = {}
    for k, leaf in enumerate(leaves):
        if not is_dynamic(leaf):
            given.append(leaf)
            continue
        weak = type(leaf) if type(leaf) in (float, complex) else None
        data = leaf._data if isinstance(leaf, GradArray) else np.asarray(leaf)[()]
        handle = wrap(data)
        if isinstance(leaf, GradArray):
            handle._gradient = leaf._gradient
            if leaf._node is not None:
                handle._node = graph.leaf(handle)
        value = trace.input(data.shape, data.dtype, weak)
        bound = trace.bound[id(handle)] = Bound(handle, value, None)
        handle._data = value
        if handle._gradient is not None:
            trace.bind(handle._gradient, bound)
        arguments[id(handle)] = k
        given.append(handle)
    return given, arguments


def is_dynamic(leaf: Any) -> bool:
    """Is this argument a value of the program? Others are static: a new one records anew."""
    return isinstance(leaf, (GradArray, np.ndarray, np.generic)) or type(leaf) in (float, complex)


def _finished(trace: Trace, arguments: dict[int, int], result: Any) -> Recorded:
    found, form = tree.flatten(result)
    outputs: list[Any] = []
    leaves: list[Any] = []
    attached = False
    by_handle = {id(b.handle): b for b in trace.bound.values()}
    for leaf in found:
        if isinstance(leaf, GradArray) and type(leaf._data) is Abstract:
            bound = by_handle.get(id(leaf))
            if bound is not None and id(leaf) not in arguments:
                leaves.append(leaf)  # something from outside, itself
                continue
            node = leaf._node
            attached = attached or (node is not None and node.saved is not None)
            leaves.append(Output(len(outputs)))
            outputs.append(leaf._data)
        else:
            leaves.append(leaf)
    del found, result
    temporary = {key for key, bound in trace.bound.items() if trace.is_temporary(bound)}
    slots: dict[int, Slot] = {}
    for key, bound in trace.bound.items():
        owner = bound.of if bound.of is not None else bound
        k = arguments.get(id(owner.handle), -1)
        slots[key] = Slot(None if k >= 0 else owner.handle, k, bound.of is not None)
    writes, cleared = _changes(trace, slots, outputs)
    reads: list[tuple[Slot, Abstract]] = []
    constants: dict[Abstract, Any] = {}
    for key, bound in trace.bound.items():
        slot = slots[key]
        fixed = slot.handle is not None and not slot.gradient and key in temporary
        if fixed:
            constants.setdefault(bound.value, bound.data)
        else:
            reads.append((slot, bound.value))
    for _, value in reads:
        constants.pop(value, None)
    # One array may stand behind several handles: it is read through one of them.
    unique = {value: (slot, value) for slot, value in reversed(reads)}
    reads = list(unique.values())[::-1]
    outputs += trace.suspects
    states = {
        value
        for (slot, value), bound in ((r, trace.bound_to(r[1])) for r in reads)
        if slot.handle is not None
        and (slot.gradient or bound.node is not None or any(w is slot for w, _ in writes))
    }
    constants.update(trace.constants)
    program = Program([value for _, value in reads], trace.steps, outputs, constants, states)
    absent = [
        b.handle
        for b in trace.bound.values()
        if b.gradient is None and b.of is None and b.node is not None
        and id(b.handle) not in arguments
    ]  # fmt: skip
    return Recorded(
        program.without_dead_steps(), reads, writes, cleared, leaves, form,
        len(trace.suspects), attached, absent,
    )  # fmt: skip


def _changes(
    trace: Trace, slots: dict[int, Slot], outputs: list[Any]
) -> tuple[list[tuple[Slot, int]], list[Slot]]:
    """What the function changed: handles bound to other values, gradients set or cleared."""
    writes: list[tuple[Slot, int]] = []
    cleared: list[Slot] = []

    def write(slot: Slot, handle: GradArray) -> None:
        data = handle._data
        writes.append((slot, len(outputs)))
        outputs.append(data)

    for key, bound in trace.bound.items():
        slot, handle = slots[key], bound.handle
        if bound.of is None and handle._data is not bound.value:
            write(slot, handle)
        if bound.of is not None:
            continue
        gradient = handle._gradient
        of_gradient = Slot(slot.handle, slot.argument, True)
        if gradient is None:
            if bound.gradient is not None:
                cleared.append(of_gradient)
            continue
        known = trace.bound.get(id(gradient))
        same = gradient is bound.gradient
        if not same or (known is not None and gradient._data is not known.value):
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
            if type(x) is not Abstract and not np.array_equal(x, y, equal_nan=True):
                return f"a number in {a.op.name}, {x!r} and then {y!r}, at {a.line}"
        for (_, x), (_, y) in zip(a.programs(), b.programs(), strict=True):
            what = mismatch(x, y)
            if what:
                return what
    for x, y in zip(first.constants.values(), second.constants.values(), strict=False):
        if not np.array_equal(x, y):
            return f"an array {x.dtype}{list(x.shape)} that was made inside"
    return ""


def changed_each_time(f: Any, what: str) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return message(
        "compile",
        f"{name} does not do the same at every call: {what}. What the first call saw is kept.",
        "Give it as an argument, keep it in a GradArray, or draw it with ga.random.",
    )
