"""Expand: an op that is made of other library functions becomes them, before anything is lowered.

So it needs no loops of its own, the parts of several such ops meet in one nest, and the split
over samples sees through it. What an expansion computes is what the op's forward does, written
in library functions on the values of the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..graph import mode, raw_sweep
from ..ops.control import AliasGrad
from .abstract import Abstract
from .program import Program, Step

F = TypeVar("F", bound=Callable[..., Any])

EXPANSIONS: dict[Any, Callable[..., Any]] = {}


def expansion(*ops: Any) -> Callable[[F], F]:
    """Declare what these ops are made of: a function of their operands and parameters.

    It may give NotImplemented; then the op stays.
    """

    def declare(fn: F) -> F:
        for op in ops:
            EXPANSIONS[op] = fn
        return fn

    return declare


def expanded(program: Program) -> Program:
    """The program with every op that has an expansion replaced by it."""
    if not any(step.op in EXPANSIONS for step in program.steps):
        return program
    steps = [made for step in program.steps for made in _parts(program.trace, step)]
    constants = {**program.trace.constants, **program.constants}
    found = Program(program.inputs, steps, program.outputs, constants, program.states)
    return found.without_dead_steps()


def _parts(trace: Any, step: Step) -> list[Step]:
    """The steps that an op consists of; the op itself where nothing is said of it."""
    rule = EXPANSIONS.get(step.op)
    if rule is None:
        return [step]
    before, outer = trace.steps, mode.trace
    trace.steps = made = []
    mode.trace = trace
    try:
        with raw_sweep():
            found = rule(*step.operands, **step.params)
    finally:
        trace.steps, mode.trace = before, outer
    if found is NotImplemented:
        return [step]
    if not step.several:
        found = (found,)
    last = {v: part for part in made for v in part.values}
    for y, new in zip(step.values, found, strict=True):
        part = last.pop(new, None) if type(new) is Abstract else None
        if part is None or (new.shape, new.dtype) != (y.shape, y.dtype):
            part = Step(AliasGrad, (new,), {}, step.line)
            part.values = (y,)
            made.append(part)
        else:  # the value that was asked for takes the place of the new one
            part.values = tuple([y if v is new else v for v in part.values])
            for other in made:
                other.operands = tuple([y if x is new else x for x in other.operands])
    for part in made:
        part.line = step.line
    return [deeper for part in made for deeper in _parts(trace, part)]


def inner(
    op: Any, operands: tuple[Any, ...], params: dict[str, Any], shape: tuple[int, ...], dtype: Any
) -> Abstract:
    """A step with an op that only the compiler knows: a class with a name and a forward."""
    trace = next(x for x in operands if type(x) is Abstract).trace
    step = Step(op, operands, params, "")
    step.values = (Abstract(trace, shape, np.dtype(dtype), step),)
    trace.steps.append(step)
    return step.values[0]
