"""Prune: loops and branches without the carries, stacks and inputs that nothing needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .abstract import Abstract
from .loop_ops import ScanGrad, SwitchGrad, WhileGrad
from .program import Program, Step


def pruned(program: Program) -> Program:
    """The program with every loop and branch cut down to what is used of it."""
    if not any(step.op in _CUT for step in program.steps):
        return program
    needed = {y for y in program.outputs if type(y) is Abstract}
    steps = []
    for step in reversed(program.steps):
        if not any(v in needed for v in step.values):
            continue
        cut = _CUT.get(step.op)
        new = step if cut is None else cut(step, needed)
        steps.append(new)
        needed.update(new.inputs)
    constants = {v: c for v, c in program.constants.items() if v in needed}
    return Program(program.inputs, steps[::-1], program.outputs, constants, program.states)


def reached(program: Program, roots: Iterable[Any]) -> set[Abstract]:
    """The inputs that these values of a program need."""
    needed = {y for y in roots if type(y) is Abstract}
    for step in reversed(program.steps):
        if any(v in needed for v in step.values):
            needed.update(step.inputs)
    return {v for v in program.inputs if v in needed}


def _loop(step: Step, needed: set[Abstract]) -> Step:
    p = step.params
    body, n = p["body"], p["carry"]
    cond = p.get("cond")
    extra = 0 if cond is None else 1  # the count, which stays
    stacks = [k for k in range(n, len(body.outputs)) if step.values[k + extra] in needed]
    carries = {k for k in range(n) if step.values[k] in needed}
    if cond is not None:  # both programs have the same inputs, in the same places
        at = {v: k for k, v in enumerate(cond.inputs)}
        asked = {body.inputs[at[v]] for v in reached(cond, cond.outputs)}
    else:
        asked = set()
    while True:
        inputs = asked | reached(body, [body.outputs[k] for k in (*carries, *stacks)])
        more = carries | {k for k in range(n) if body.inputs[k] in inputs}
        if more == carries:
            break
        carries = more
    kept = sorted(carries)
    around = [k for k in range(n, len(body.inputs)) if body.inputs[k] in inputs]
    tail = step.operands[len(body.inputs) :]  # the count of a counted loop
    places = [*kept, *around]
    if len(places) == len(body.inputs) and len(kept) + len(stacks) == len(body.outputs):
        return step
    inside = Program(
        [body.inputs[k] for k in places], body.steps,
        [body.outputs[k] for k in (*kept, *stacks)], body.constants,
    ).without_dead_steps()  # fmt: skip
    params = {**p, "body": inside, "carry": len(kept)}
    if cond is not None:
        inputs = [cond.inputs[k] for k in places]
        params["cond"] = Program(inputs, cond.steps, cond.outputs, cond.constants)
    else:
        params["along"] = sum(k < n + p["along"] for k in around)
        params["sums"] = tuple(at for at, k in enumerate(kept) if k in p["sums"])
    new = Step(step.op, (*[step.operands[k] for k in places], *tail), params, step.line)
    new.several = True
    values = [step.values[k] for k in kept]
    values += step.values[n : n + extra]
    new.values = (*values, *[step.values[k + extra] for k in stacks])
    return new


def _switch(step: Step, needed: set[Abstract]) -> Step:
    branches = step.params["branches"]
    kept = [k for k, v in enumerate(step.values) if v in needed]
    cut = [
        Program(b.inputs, b.steps, [b.outputs[k] for k in kept], b.constants).without_dead_steps()
        for b in branches
    ]
    used = [reached(b, b.outputs) for b in cut]
    around = [
        k for k in range(len(step.operands) - 1)
        if any(b.inputs[k] in u for b, u in zip(cut, used))
    ]  # fmt: skip
    for b in cut:
        b.inputs = [b.inputs[k] for k in around]
    operands = (step.operands[0], *[step.operands[k + 1] for k in around])
    new = Step(step.op, operands, {"branches": tuple(cut)}, step.line)
    new.several = True
    new.values = tuple([step.values[k] for k in kept])
    return new


_CUT: dict[Any, Any] = {ScanGrad: _loop, WhileGrad: _loop, SwitchGrad: _switch}
