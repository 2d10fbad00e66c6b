"""Sink: what is rather done elsewhere, for rows that are taken by index.

Rows that a loop takes one step after the other are looked up inside of it: outside they would all
be put side by side in memory, only to be read once. And rows that are added up, by their index and
also all in one, as the gradient of a bias is, are added up by index first: few are left.
"""

from __future__ import annotations

from typing import Any

from ..ops.reduce import SumGrad
from .abstract import Abstract
from .loop_ops import ScanGrad
from .program import Program, Step
from .taken import AddedUp, Taken


def sunk(program: Program) -> Program:
    """The program with rows taken inside of the one loop that goes along them."""
    if not any(step.op is ScanGrad for step in program.steps):
        return program
    makers = {v: step for step in program.steps for v in step.values}
    uses: dict[Abstract, int] = {}
    for x in (*(x for step in program.steps for x in step.operands), *program.outputs):
        if type(x) is Abstract:
            uses[x] = uses.get(x, 0) + 1
    steps = []
    for step in program.steps:
        if step.op is ScanGrad:
            n, m = step.params["carry"], step.params["along"]
            for k, x in enumerate(step.operands[n : n + m], n):
                taken = makers.get(x) if type(x) is Abstract and uses[x] == 1 else None
                if taken is not None and taken.op is Taken and type(taken.operands[1]) is Abstract:
                    step = _with_rows(step, k, taken) if taken.operands[1].ndim > 1 else step
        steps.append(step)
    new = Program(program.inputs, steps, program.outputs, program.constants, program.states)
    return new.without_dead_steps()


def summed_by_index(program: Program) -> Program:
    """The program with sums over all rows taken from those by index, where there are such."""
    by_index = {step.operands[0]: step for step in program.steps if step.op is AddedUp}
    if not by_index:
        return program
    steps: list[Step] = []
    there = {*program.inputs, *program.constants}
    for step in program.steps:
        known = any(v in there for v in step.values)  # brought forward
        rows = by_index.get(step.operands[0]) if step.op is SumGrad else None
        if rows is not None and _is_total(step) and all(x in there for x in rows.inputs):
            if rows.values[0] not in there:
                steps.append(rows)
                there.update(rows.values)
            step = _sum_of(rows.values[0], step)
        if not known:
            steps.append(step)
            there.update(step.values)
    return Program(program.inputs, steps, program.outputs, program.constants, program.states)


def _is_total(step: Step) -> bool:
    """Is it the sum over all axes but the last one?"""
    n = step.operands[0].ndim
    axes = {a % n for a in step.params["axis"]}
    return axes == set(range(n - 1)) and not step.params["keepdims"]


def _sum_of(rows: Abstract, step: Step) -> Step:
    new = Step(SumGrad, (rows,), {**step.params, "axis": (-2,)}, step.line)
    new.values = step.values
    return new


def _with_rows(step: Step, k: int, taken: Step) -> Step:
    """The loop that takes its operand k, rows, from the table."""
    body = step.params["body"]
    row, (table, index) = body.inputs[k], taken.operands
    at = Abstract(row.trace, index.shape[1:], index.dtype)
    whole = Abstract(row.trace, table.shape, table.dtype)
    op: Any = Taken
    look = Step(op, (whole, at), {}, taken.line)
    look.values = (row,)
    inputs = [*body.inputs[:k], at, *body.inputs[k + 1 :], whole]
    inside = Program(inputs, [look, *body.steps], body.outputs, body.constants)
    count = len(body.inputs)
    operands = (*step.operands[:k], index, *step.operands[k + 1 : count], table)
    new = Step(step.op, (*operands, *step.operands[count:]), {**step.params, "body": inside},
               step.line)  # fmt: skip
    new.several, new.values = step.several, step.values
    return new
