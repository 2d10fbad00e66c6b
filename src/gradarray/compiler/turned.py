"""Transposes that only products read become labels of their axes: nothing is stored for them.

    matmul(transpose(a), b)  ->  contract(a, b)
"""

from __future__ import annotations

from typing import Any

from ..ops.contract import MatMulGrad
from ..ops.einsum import ContractGrad
from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .program import Program, Step


def without_turns(program: Program) -> Program:
    """The program with the transposes of factors as the factors' labels."""
    made = {v: step for step in program.steps for v in step.values}
    steps = []
    for step in program.steps:
        labels = _labels(step)
        if labels is not None:
            (a, la), (b, lb) = (_under(x, part, made) for x, part in zip(step.operands, labels))
            if a is not step.operands[0] or b is not step.operands[1]:
                params = {"la": la, "lb": lb, "ly": labels[2]}
                new = Step(ContractGrad, (a, b), params, step.line)
                new.values = step.values
                step = new
        steps.append(step)
    return Program(
        program.inputs, steps, program.outputs, program.constants, program.states
    ).without_dead_steps()


def _labels(step: Step) -> tuple[tuple[Any, ...], ...] | None:
    """The labels of a product's operands and of its result."""
    if step.op not in (MatMulGrad, ContractGrad):
        return None
    a, b = step.operands
    if type(a) is not Abstract or type(b) is not Abstract or a.dtype.kind != "f":
        return None
    if step.op is ContractGrad:
        p = step.params
        return p["la"], p["lb"], p["ly"]
    n = a.ndim - 2
    if a.ndim != b.ndim or a.shape[:n] != b.shape[:n] or a.dtype != b.dtype:
        return None
    return (*range(n), n, n + 1), (*range(n), n + 1, n + 2), (*range(n), n, n + 2)


def _under(
    x: Any, labels: tuple[Any, ...], made: dict[Abstract, Step]
) -> tuple[Any, tuple[Any, ...]]:
    """What x is a transpose of, with the labels of its axes."""
    step = made.get(x)
    while step is not None and step.op is TransposeGrad:
        order = [a % x.ndim for a in step.params["axes"]]
        x, labels = step.operands[0], tuple([labels[order.index(a)] for a in range(len(order))])
        step = made.get(x)
    return x, labels
