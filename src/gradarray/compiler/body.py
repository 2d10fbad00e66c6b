"""Body: the inside of a loop or a branch, recorded in a trace of its own.

What the inside uses from around it, values of the trace outside or arrays that this one meets for
the first time, become further inputs. Handles that the inside binds to other values (a random
stream's counter, running statistics) are state: found by a first recording, and then carried.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import graph
from ..algebra import Elementwise
from ..array import GradArray, wrap
from ..graph import Grad, Leaf, mode
from ..ops.complex import ConjGrad, RealGrad
from ..ops.contract import MatMulGrad
from ..ops.control import AliasGrad
from ..ops.einsum import ContractGrad
from ..ops.indexing import IndexGrad
from ..ops.join import ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad
from ..ops.layout import moveaxis
from ..ops.shape import AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from ..transforms.batch import Level, base, batched, insert_level, levels_of
from .abstract import Abstract
from .lower import TERMS
from .program import Program, Step
from .trace import Trace

# What is computed once more rather than kept for later: it costs no more than to read it back.
_MOVES = frozenset(
    {AliasGrad, RealGrad, ConjGrad, AsTypeGrad, TransposeGrad, ExpandDimsGrad, BroadcastToGrad}
    | {ReshapeGrad, IndexGrad, ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad}
)


LARGE = 1024  # bytes of a value at one step, which to keep costs more than to add up few terms


def is_cheap(step: Step) -> bool:
    return issubclass(step.op, Elementwise) or step.op in _MOVES or _adds_few(step)


def _adds_few(step: Step) -> bool:
    """Is it a large product of which every element has but a few terms?"""
    if step.op not in (MatMulGrad, ContractGrad) or step.values[0].nbytes < LARGE:
        return False
    if step.op is MatMulGrad:
        return step.operands[0].shape[-1] <= TERMS
    sizes = {}
    for x, labels in zip(step.operands, (step.params["la"], step.params["lb"])):
        sizes.update(zip(labels, x.shape))
    return math.prod(n for label, n in sizes.items() if label not in step.params["ly"]) <= TERMS


class Body(Trace):
    """One inside, and what was derived from it: all in one list of steps, run in parts."""

    def __init__(self, outer: Any) -> None:
        super().__init__(absorbing=True)
        self.outer = outer
        self.closures: dict[Abstract, Abstract] = {}  # a value outside: what stands for it here
        self.sources: dict[Abstract, Abstract] = {}  # the other way round
        self.touched: dict[int, tuple[GradArray, Any, Any]] = {}  # handles, as they were
        self.around: dict[Grad, GradArray] = {}  # of leaves: what they are outside
        self.floor = graph.next_seq()
        self.open = False

    # As a trace -----------------------------------------------------------------------------------

    @property
    def root(self) -> Trace:
        return self.outer.root if type(self.outer) is Body else self.outer

    def bind(self, handle: GradArray, of: Any = None) -> Abstract:
        self.root.read(handle)
        return self.inner(handle._data)

    def inner(self, value: Abstract) -> Abstract:
        if value.trace is self:
            return value
        value = self.outer.inner(value)
        known = self.closures.get(value)
        if known is None:
            known = self.closures[value] = self.input(value.shape, value.dtype, value.weak)
            self.sources[known] = value
        return known

    def run(self, op: type[Grad], raw: Any, params: dict[str, Any]) -> Any:
        raw = [self.inner(x) if type(x) is Abstract else x for x in raw]
        return super().run(op, raw, params)

    def touch(self, handle: GradArray) -> None:
        if type(handle._data) is not Abstract:
            self.root.touch(handle)
        if handle._data.trace is not self and id(handle) not in self.touched:
            self.touched[id(handle)] = handle, handle._data, handle._node

    def demand(self, x: Any, doubt: Any, check: Any) -> None:
        """Inside a loop nothing is looked at."""

    def note(self, owner: Any) -> None:
        self.root.note(owner)

    def close(self) -> None:
        """Nothing is bound here, only outside."""

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Within, ops become steps of this body."""
        outer, mode.trace = mode.trace, self
        self.open = True
        try:
            yield
        finally:
            mode.trace = outer
            self.open = False

    # Inputs and results ---------------------------------------------------------------------------

    def handle_on(self, value: Abstract) -> GradArray:
        """A handle of its own on an input, differentiable where that can be."""
        handle = wrap(value)
        if value.dtype.kind in "fc" and mode.grad:
            handle._node = graph.leaf(handle)
            self._kept.append(handle)  # a leaf holds its handle weakly
        return handle

    def input_around(self, c: Any, recorded: bool, levels: Sequence[Level]) -> Any:
        """What stands here for a derivative c outside, with a leaf of its own if recorded."""
        source = self.outer.read(c) if isinstance(c, GradArray) else c
        source = source if type(source) is Abstract else self.outer.constant(np.asarray(source))
        if type(source) is not Abstract:
            return c  # a number
        v = self.input(c.shape, c.dtype)
        self.sources[v] = source
        if not recorded:
            return v
        handle = self.handle_on(v)
        if handle._node is not None:
            self.around[handle._node] = c
        return with_levels(handle, levels)

    def value(self, x: Any) -> Any:
        """The raw value of a result: of this body, or a constant."""
        if isinstance(x, GradArray):
            return self.read(x)
        return self.inner(x) if type(x) is Abstract else np.asarray(x)

    def steps_for(
        self, roots: Iterable[Any], stop: Callable[[Abstract], bool]
    ) -> tuple[list[Step], list[Abstract]]:
        """The steps that these values need, and the inputs: those at which `stop` says so."""
        want = [v for v in roots if type(v) is Abstract]
        seen: set[Abstract] = set()
        steps: set[Step] = set()
        inputs: list[Abstract] = []
        while want:
            v = want.pop()
            if v in seen or v in self.constants:
                continue
            seen.add(v)
            if v.step is None or stop(v):
                inputs.append(v)
            else:
                steps.add(v.step)
                want += v.step.inputs
        inputs.sort(key=lambda v: v.number)
        return [step for step in self.steps if step in steps], inputs

    def program(
        self, inputs: Sequence[Abstract], steps: list[Step], outputs: Sequence[Any]
    ) -> Program:
        used = {x for step in steps for x in step.inputs}
        used |= {y for y in outputs if type(y) is Abstract}
        constants = {v: c for v, c in self.constants.items() if v in used}
        return Program(list(inputs), steps, list(outputs), constants)

    # The graph ------------------------------------------------------------------------------------

    def order(self, nodes: Iterable[Any]) -> list[Grad]:
        """What these were recorded from, inside, oldest first."""
        roots = [n for n in nodes if n is not None and n.seq >= self.floor]
        return graph.ancestry(roots, self.floor)[0]

    def parents_of(self, nodes: Iterable[Any]) -> tuple[list[Grad], list[Grad]]:
        """The leaves that these nodes come from, and the nodes outside."""
        leaves, outside = [], []
        seen: set[Any] = set()
        for node in self.order(nodes):
            if type(node) is Leaf:
                leaves.append(node)
            for parent in node.parents:
                if parent is not None and parent.seq < self.floor and parent not in seen:
                    seen.add(parent)
                    outside.append(parent)
        for node in nodes:  # a result that is itself from outside
            if node is not None and node.seq < self.floor and node not in seen:
                seen.add(node)
                outside.append(node)
        return leaves, outside


# State that the inside changes --------------------------------------------------------------------


class Changes:
    """What was bound to other values while a body was recorded, put back at the end."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.gradients = {k: b.handle._gradient for k, b in body.root.bound.items()}

    def undo(self) -> list[GradArray]:
        """Put all back; the handles that somebody outside holds."""
        touched, self.body.touched = list(self.body.touched.values()), {}
        handles = []
        while touched:
            handle, data, node = touched.pop()
            handle._data, handle._node = data, node
            # Held by `touched` no more: by `handle`, the root's bound handles, and the call.
            if sys.getrefcount(handle) > 2 + (id(handle) in self.body.root.bound):
                handles.append(handle)
        return handles[::-1]

    def gradients_changed(self) -> bool:
        """Has a backward() inside reached leaves outside? Their gradients are put back."""
        found = False
        for key, bound in self.body.root.bound.items():
            before = self.gradients.get(key, bound.gradient)
            if bound.handle._gradient is not before:
                found = True
                bound.handle._gradient = before
        return found


# Examples of vmap ---------------------------------------------------------------------------------


def spread(x: Any, levels: Sequence[Level]) -> Any:
    """x with examples of its own on each of these levels."""
    known = levels_of(x)
    for level in levels:
        if level not in known:
            x = insert_level(x, level)
    return x


def stacked_base(x: Any) -> Any:
    """The array behind, its axis of steps first and the examples after it."""
    m = len(levels_of(x))
    return moveaxis(base(x), m, 0) if m else x


def with_levels(x: GradArray, levels: Sequence[Level]) -> GradArray:
    """A handle on examples that stand behind, those of the outermost vmap first."""
    for level in levels:
        x = batched(x, level)
    return x


def from_stacked(x: GradArray, levels: Sequence[Level]) -> GradArray:
    return with_levels(moveaxis(x, 0, len(levels)) if levels else x, levels)
