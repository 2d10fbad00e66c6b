"""The ops that control flow becomes under trace: what they compute, step by step on raw arrays.

As nodes they stand for a loop or a branch on the graph; as ops of a program they hold the inside
as a program of its own. `forward` is the oracle that compiled code is compared with, and what runs
where the inside cannot be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import GraphError, message
from ..transforms.checkpoint import RecomputedGrad
from .program import Program, interpret


def _scan(
    *operands: Any, body: Program, carry: int, along: int, length: int, reverse: bool,
    counted: bool, sums: tuple[int, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """carry, stacks: the body at every step, forward or in reverse, up to a count if it has one.

    `sums` are the carries that begin with zero and that every step adds to.
    """
    run = interpret(body)
    count = length
    if counted:
        operands, count = operands[:-1], operands[-1]
    now, xs, around = list(operands[:carry]), operands[carry : carry + along], operands[carry:]
    around = around[along:]
    stacks = [_stack(y, length) for y in body.outputs[carry:]]
    for k in range(int(count))[:: -1 if reverse else 1]:
        results = run([*now, *[x[k] for x in xs], *around])
        now = results[:carry]
        for stack, y in zip(stacks, results[carry:], strict=True):
            stack[k] = y
    return (*now, *stacks)


def _stack(y: Any, length: int) -> np.ndarray:
    return np.zeros((length, *y.shape), y.dtype)


def _turns(
    operands: Any, cond: Program, body: Program, carry: int
) -> tuple[list[Any], Callable[[list[Any]], bool], Callable[[list[Any]], list[Any]]]:
    going, run = interpret(cond), interpret(body)
    around = operands[carry:]
    return (
        list(operands[:carry]),
        lambda now: bool(going([*now, *around])[0]),
        lambda now: run([*now, *around]),
    )


def _while(
    *operands: Any, cond: Program, body: Program, carry: int, length: int | None
) -> tuple[Any, ...]:
    """carry, count, stacks: the body while the condition holds."""
    now, going, run = _turns(operands, cond, body, carry)
    stacks = [_stack(y, length or 0) for y in body.outputs[carry:]]
    count = 0
    while going(now):
        if length is not None and count == length:
            raise unfinished(length)
        results = run(now)
        now = results[:carry]
        for stack, y in zip(stacks, results[carry:], strict=True):
            stack[count] = y
        count += 1
    return (*now, np.int64(count), *stacks)


def unfinished(length: int) -> GraphError:
    return GraphError(message("while_loop", f"not finished after {length} steps."))


def _unbounded(
    *operands: Any, cond: Program, body: Program, back: Program, carry: int, first: int
) -> tuple[Any, ...]:
    """The reverse sweep of a loop of any length: every carry is kept on the way, on the host."""
    bars, operands = list(operands[:first]), operands[first:]
    now, going, run = _turns(operands, cond, body, carry)
    around = operands[carry:]
    tape = []
    while going(now):
        tape.append(now)
        now = run(now)[:carry]
    pull = interpret(back)
    for then in reversed(tape):
        bars = pull([*bars, *then, *around])
    return tuple(bars)


def _switch(index: Any, *around: Any, branches: tuple[Program, ...]) -> tuple[Any, ...]:
    """The results of the branch of this number."""
    k = min(max(int(index), 0), len(branches) - 1)
    results = interpret(branches[k])(around)
    return tuple([np.asarray(y)[()] for y in results])


class ScanGrad(RecomputedGrad, internal=True):
    """A loop of known length, or up to a count of at most that."""

    __slots__ = ()
    name = "scan"
    forward = staticmethod(_scan)


class WhileGrad(RecomputedGrad, internal=True):
    """A loop as long as a condition holds, at most `length` steps where that is given."""

    __slots__ = ()
    name = "while_loop"
    forward = staticmethod(_while)


class UnboundedGrad(RecomputedGrad, internal=True):
    """The derivative of a loop whose length nothing bounds."""

    __slots__ = ()
    name = "while_loop_pull"
    forward = staticmethod(_unbounded)


class SwitchGrad(RecomputedGrad, internal=True):
    """One of several branches."""

    __slots__ = ()
    name = "switch"
    forward = staticmethod(_switch)


FLOW = (ScanGrad, WhileGrad, UnboundedGrad, SwitchGrad)
