"""Loops and branches: a body is lowered once, on views that move with the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.arithmetic import AddGrad
from ...ops.contract import MatMulGrad
from ...ops.join import ConcatenateGrad
from ..abstract import Abstract
from ..expr import Unsupported
from ..group import body_of
from ..loop_ops import ScanGrad, SwitchGrad, WhileGrad
from ..loops import Access, Branch, Loop, Var, While
from ..lower import Host, Lowering, rule
from ..memory import View
from ..program import Program, Step
from ..taken import Taken
from ..tiny import LANES
from .join import parts_of
from .points import copied, leave


@rule(ScanGrad)
def _scan(low: Lowering, step: Step) -> None:
    p = step.params
    body, n, m, length = p["body"], p["carry"], p["along"], p["length"]
    var = Var(length)
    count = _place(low, step.operands[-1]) if p["counted"] else None
    known = _around(low, body.inputs[n + m :], step.operands[n + m :])
    for v, x in zip(body.inputs[n : n + m], step.operands[n : n + m]):
        known[v] = at_turn(low.memory(x), var)
    inside = _Inside(low, body, known, var)
    stacks = _stacks(low, step.values[n:], var)
    carried = _Carried(inside, low, step, p["reverse"] and 1, var, stacks, count is None)
    places = [*(view for _, view in stacks), *carried.next]
    inside.settle([*body.outputs[n:], *body.outputs[:n]], places)
    inside.steps()
    for y, (_, view) in zip(body.outputs[n:], stacks):
        if view is not None:
            leave(inside.low, y, view)
    carried.leave()
    loop = Loop(var, body_of(inside.low.items), backward=p["reverse"], count=count)
    at = low.append([loop])
    carried.define(low, at)
    for v, (whole, _) in zip(step.values[n:], stacks):
        low.define(v, whole, at)


@rule(WhileGrad)
def _while(low: Lowering, step: Step) -> None:
    p = step.params
    cond, body, n, length = p["cond"], p["body"], p["carry"], p["length"]
    var = Var(length or 2**62)
    inside = _Inside(low, body, _around(low, body.inputs[n:], step.operands[n:]), var)
    stacks = _stacks(low, step.values[n + 1 :], var)
    carried = _Carried(inside, low, step, 0, var, [], False)
    asked = dict(zip(cond.inputs, [inside.low.views[v] for v in body.inputs]))
    test = _Inside(low, cond, asked, var)
    test.steps()
    going = test.low.fresh((), np.dtype(bool))
    leave(test.low, cond.outputs[0], going)
    inside.steps()
    for y, (_, view) in zip(body.outputs[n:], stacks):
        assert view is not None
        leave(inside.low, y, view)
    carried.leave()
    count = low.fresh((), np.dtype(np.int64))
    status = low.shared.unfinished() if length is not None else None
    at = low.append(
        [
            While(
                var, body_of(test.low.items), going.access([]), body_of(inside.low.items),
                count.access([]), status,
            )
        ]
    )  # fmt: skip
    carried.define(low, at)
    low.define(step.values[n], count, at)
    for v, (whole, _) in zip(step.values[n + 1 :], stacks):
        low.define(v, whole, at)


@rule(SwitchGrad)
def _switch(low: Lowering, step: Step) -> None:
    index = step.operands[0]
    results = [low.fresh(v.shape, v.dtype) for v in step.values]
    parts = []
    place = _place(low, index)
    for branch in step.params["branches"]:
        known = _around(low, branch.inputs, step.operands[1:])
        inside = _Inside(low, branch, known, None)
        inside.steps()
        for y, view in zip(branch.outputs, results):
            leave(inside.low, y, view)
        parts.append(body_of(inside.low.items))
    at = low.append([Branch(place, parts)])
    for v, view in zip(step.values, results):
        low.define(v, view, at)


# Pieces -------------------------------------------------------------------------------------------


class _Inside:
    """The lowering of a body, of a loop over `turn`."""

    def __init__(
        self, low: Lowering, program: Program, known: dict[Abstract, View], turn: Var | None
    ) -> None:
        self.program = program
        for v, data in program.constants.items():
            known[v] = low.shared.constant(np.asarray(data))
        self.low = low.within(program, known, turn)
        self.begun: dict[Step, Abstract] = {}

    def settle(self, outputs: Sequence[Any], places: Sequence[View | None]) -> None:
        """What is kept is made where it is kept, and what is put together from it in its part."""
        made = {v: step for step in self.program.steps for v in step.values}
        homes = self.low.homes

        def settled(y: Any, place: View) -> None:
            step = made.get(y) if type(y) is Abstract else None
            if step is None or y in homes or y.size <= LANES or y.dtype != place.buffer.dtype:
                return
            homes[y] = place
            if step.op is ConcatenateGrad:
                for x, part in zip(step.operands, parts_of(place, step)):
                    settled(x, part)

        for y, place in zip(outputs, places):
            if place is not None:
                settled(y, place)
        readers = self.program.readers()
        for step in self.program.steps:
            if step.op is AddGrad and step.values[0] in homes and self.low.adds(step.values[0]):
                self._begin(step, made, readers)

    def _begin(self, step: Step, made: dict[Abstract, Step], readers: dict[Abstract, int]) -> None:
        """Rows that were looked up and a product: its sums begin with the rows, in their place."""
        y = step.values[0]
        for rows, product in (step.operands, step.operands[::-1]):
            if any(type(x) is not Abstract or x not in made for x in (rows, product)):
                continue
            ops = made[rows].op, made[product].op
            alike = all(x.shape == y.shape and x.dtype == y.dtype for x in (rows, product))
            if ops == (Taken, MatMulGrad) and alike and readers[rows] == readers[product] == 1:
                steps = self.program.steps
                if steps.index(made[rows]) < steps.index(made[product]):
                    self.low.homes[rows] = self.low.targets[product] = self.low.homes[y]
                    self.begun[step] = product
                return

    def steps(self) -> None:
        for step in self.program.steps:
            product = self.begun.get(step)
            if product is None:
                self.low.run(step)
            else:
                self.low.define(step.values[0], self.low.memory(product), self.low.when(product))
        for item in self.low.items:
            if isinstance(item, Host):
                raise Unsupported(f"{item.step.op.name} inside has no rule")


class _Carried:
    """The memory of carries: the next one goes beside the present one, or over it at the end.

    A carry that is stacked has its place in the stack, with one more place at its end.
    """

    def __init__(
        self, inside: _Inside, low: Lowering, step: Step, back: int, var: Var,
        stacks: list[Any], known_length: bool,
    ) -> None:  # fmt: skip
        self.inside, self.step = inside, step
        body, self.n = inside.program, step.params["carry"]
        self.ends: list[View] = []
        self.now: list[View] = []
        self.next: list[View | None] = []
        saved = {y: k for k, y in enumerate(body.outputs[self.n :]) if type(y) is Abstract}
        for v, x, y in zip(body.inputs, step.operands, body.outputs[: self.n]):
            at = saved.get(v) if known_length else None
            if at is None or v is y or v.size <= LANES:  # those stay in registers
                now = end = low.fresh_for(v)
                start, then = now, None
            else:
                length = var.extent
                whole = low.fresh_for(v, length + 1)
                size = whole.strides[0]
                moving = at_turn(whole, var)
                now = replace(moving, offset=back * size)
                then = replace(moving, offset=(1 - back) * size)
                start = replace(moving, offset=back * length * size, outer=whole.outer)
                end = replace(start, offset=(1 - back) * length * size)
                stack = replace(whole, offset=back * size, shape=(length, *v.shape))
                stacks[at] = (stack, None)
            low.append(copied(low.memory(x), start))
            self.now.append(now)
            self.next.append(then)
            self.ends.append(end)
            inside.low.define(v, now, 0)

    def leave(self) -> None:
        """Write the next carries, when nothing of the turn reads the present ones any more."""
        low, over = self.inside.low, []
        present = {view.buffer for view, then in zip(self.now, self.next) if then is None}
        outputs = self.inside.program.outputs[: self.n]
        for y, now, then, v in zip(outputs, self.now, self.next, self.inside.program.inputs):
            if y is v:
                continue
            if then is not None:
                leave(low, y, then)
                continue
            source = low.memory(y)
            if source.buffer in present:
                beside = low.fresh_for(v)
                leave(low, y, beside)
                source = beside
            over.append((source, now))
        for source, now in over:
            low.append(copied(source, now))

    def define(self, low: Lowering, at: int) -> None:
        for v, view in zip(self.step.values, self.ends):
            low.define(v, view, at)


def _around(
    low: Lowering, inputs: Sequence[Abstract], operands: Sequence[Any]
) -> dict[Abstract, View]:
    return {v: low.memory(x) for v, x in zip(inputs, operands)}


def _place(low: Lowering, x: Any) -> Access:
    """Where one integer lies."""
    if type(x) is Abstract and x.dtype != np.int64:
        raise Unsupported(f"a count of {x.dtype}")
    return low.memory(x if type(x) is Abstract else np.asarray(x, np.int64)).access([])


def at_turn(view: View, var: Var) -> View:
    """What stands at the place of the loop's variable along the first axis."""
    outer = view.outer
    if view.strides[0] and var.extent > 1:
        outer = (*outer, (var, view.strides[0]))
    return replace(view, shape=view.shape[1:], strides=view.strides[1:], outer=outer)


def _stacks(
    low: Lowering, values: Sequence[Abstract], var: Var
) -> list[tuple[View, View | None]]:
    """For each stack its memory, and the place of one turn; None where that is a carry's own."""
    out: list[tuple[View, View | None]] = []
    for v in values:
        whole = low.fresh_for(v)
        out.append((whole, at_turn(whole, var)))
    return out
