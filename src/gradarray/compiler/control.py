"""Control: what scan, fori_loop, while_loop, cond and switch do under trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, lift, wrap
from ..errors import GraphError, ShapeError, message
from ..graph import mode
from ..ops.compare import where
from ..ops.reduce import any as any_of
from ..transforms.batch import Batched, base, levels_of
from ..transforms.steps import Form, run_scan, step
from .body import Changes, from_stacked, spread, stacked_base, with_levels
from .branch import choose
from .flow import LoopBody, Run
from .searches import Part, search
from .trace import Trace


class Unrolled(Exception):
    """A loop whose body does what only Python's own loop can."""


def scan(f: Callable[..., Any], init: Any, xs: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """`ga.scan` as one step."""
    if not steps:
        return run_scan(f, init, xs, steps, reverse)
    try:
        return _loop("scan", f, init, xs, steps, reverse)
    except Unrolled:
        return run_scan(f, init, xs, steps, reverse)


def fori_loop(lower: int, upper: int, body: Callable[..., Any], init: Any) -> Any:
    """`ga.fori_loop` as one step; NotImplemented where its body reads the number of the step."""
    if upper <= lower:
        return init
    numbers = wrap(np.arange(lower, upper))
    f = lambda carry, k: (body(k, carry), None)
    try:
        return _loop("fori_loop", f, init, numbers, upper - lower, False)[0]
    except (Unrolled, GraphError):
        return NotImplemented


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], init: Any, max_steps: int | None
) -> Any:
    """`ga.while_loop` as one step."""
    f = lambda carry, _: (body(carry), None)
    try:
        return _loop("while_loop", f, init, None, max_steps, False, cond)[0]
    except Unrolled:
        raise GraphError(
            message(
                "while_loop",
                "its body calls backward() on what is outside of it.",
                "Use ga.grad inside, and carry what it gives.",
            )
        ) from None


def _loop(
    op: str, f: Callable[..., Any], init: Any, xs: Any, length: int | None, reverse: bool,
    cond: Callable[..., Any] | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    state: list[GradArray] = []
    while True:
        recorded = _Recorded(op, f, init, xs, length, cond, state)
        if not recorded.changed:
            return recorded.run(reverse)
        state += recorded.changed


class _Recorded:
    """A loop's body, recorded with these handles as state that is carried."""

    def __init__(
        self, op: str, f: Any, init: Any, xs: Any, length: int | None, cond: Any,
        state: list[GradArray],
    ) -> None:  # fmt: skip
        self.levels, self.state, self.until = mode.levels, state, cond is not None
        body = self.body = LoopBody(mode.trace, length)
        changes = Changes(body)
        leaves, structure = tree.flatten(init)
        form = Form(op, init)
        columns, x_form = tree.flatten(xs)
        self.first = [base(spread(x, self.levels)) for x in leaves]
        self.first += [wrap(mode.trace.read(h), GradArray, h._node) for h in state]
        along = [(stacked_base(x), levels_of(x)[::-1]) for x in columns]
        before = [(h, h._data, h._node) for h in state]
        outer, mode.raw = mode.raw, 0
        try:
            with body.recording():
                self.carry = [body.input(x.shape, x.dtype) for x in self.first]
                handles = [body.handle_on(v) for v in self.carry]
                self.leaves = [h._node for h in handles]
                n = len(leaves)
                now = [with_levels(h, self.levels) for h in handles[:n]]
                for target, h in zip(state, handles[n:]):
                    target._data = h._data
                    target._node = h._node if target._node is not None else None
                row = []
                for x, levels in along:
                    v = body.input(x.shape[1:], x.dtype)
                    h = body.handle_on(v)
                    body.along(v, x, h._node)
                    row.append(with_levels(h, levels))
                carry = tree.unflatten(structure, now)
                if cond is not None:
                    self._condition(cond, carry)
                carry, y = step(f, carry, tree.unflatten(x_form, row), form)
                self._results(now, carry, y)
        finally:
            mode.raw = outer
            for handle, data, node in before:
                handle._data, handle._node = data, node
            unrolled = changes.gradients_changed()
            carry = y = now = row = handles = None
            self.changed = changes.undo()
        self.structure = structure
        if unrolled:
            raise Unrolled

    def _condition(self, cond: Any, carry: Any) -> None:
        going = lift(cond(carry), "while_loop")
        if going.shape != ():
            raise ShapeError(
                message("while_loop", f"cond gave shape {going.shape}; it is one boolean.")
            )
        self.each = going if type(going) is Batched else None
        self.body.going = self.body.value(any_of(base(going)) if self.each is not None else going)

    def _results(self, now: list[Any], carry: Any, y: Any) -> None:
        leaves = tree.flatten(carry)[0]
        if self.until and self.each is not None:  # each example stops by itself
            leaves = [where(self.each, new, old) for new, old in zip(leaves, now)]
        ys, self.y_form = tree.flatten(y)
        out = [base(spread(lift(x), self.levels)) for x in leaves]
        out += [wrap(h._data, GradArray, h._node) for h in self.state]
        out += [base(spread(lift(x), self.levels)) for x in ys]
        # A handle of its own for each result: what was returned may be something from outside.
        self.results = [wrap(self.body.value(x), GradArray, x._node) for x in out]

    def run(self, reverse: bool) -> tuple[Any, Any]:
        run = Run(self.body, self.carry, self.leaves, self.results, reverse, self.until)
        values = run.emit(self.first)
        if self.until and self.body.length is not None:
            self.body.turns = run.counted
        handles = run.attach(values)
        n, k = len(self.first) - len(self.state), len(self.first)
        for target, new in zip(self.state, handles[n:k]):
            target._rebind(new._data, new._node)
        carry = tree.unflatten(self.structure, [with_levels(h, self.levels) for h in handles[:n]])
        ys = [from_stacked(h, self.levels) for h in handles[k:]]
        return carry, tree.unflatten(self.y_form, ys)


def switch(
    op: str, index: GradArray, branches: Sequence[Callable[..., Any]], operands: Sequence[Any],
    as_arrays: Any,
) -> Any:  # fmt: skip
    """`ga.switch`, or `ga.cond`, as one step."""
    return choose(op, mode.trace.read(index), branches, operands, as_arrays)


class Flow:
    """What `transforms.loops` asks the trace for."""

    scan = staticmethod(scan)
    fori_loop = staticmethod(fori_loop)
    while_loop = staticmethod(while_loop)
    switch = staticmethod(switch)
    part = Part
    search = staticmethod(search)


Trace.flow = Flow
