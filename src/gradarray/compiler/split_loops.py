"""Split, for loops: a loop goes sample by sample when its body does, for all its turns.

Which axis of a carry counts samples is found by going through the body until nothing changes. A
carry that begins with zero and to which every turn adds sums over samples is such a sum itself.
"""

from __future__ import annotations

from ..ops.arithmetic import AddGrad
from .abstract import Abstract
from .loop_ops import ScanGrad
from .program import Program, Step
from .split import RULES, Split, Together, passed, sliced


def _scan(split: Split, step: Step) -> None:
    p = step.params
    body, n, m = p["body"], p["carry"], p["along"]
    if p["counted"]:
        raise Together
    axes: list[int | None] = []
    for k, x in enumerate(step.operands):
        axis = split.axis.get(x) if type(x) is Abstract else None
        if axis is not None and n <= k < n + m:
            if axis == 0:
                raise Together  # one turn after the other
            axis -= 1
        axes.append(axis)
    totals = {k: _terms(body, k) for k in p["sums"]}
    while True:
        inside = _gone_through(split, body, axes, totals)
        found = list(axes)
        for k, v in enumerate(body.inputs):
            found[k] = inside.axis.get(v)
        for k, y in enumerate(body.outputs[:n]):
            if k not in totals and found[k] is None:
                found[k] = inside.axis.get(y) if type(y) is Abstract else None
        if found == axes:
            break
        axes = found
    _check(body, n, axes, totals, inside)
    for k, x in enumerate(step.operands):
        axis = axes[k]
        if axis is not None and not (type(x) is Abstract and x in split.axis):
            axis += n <= k < n + m
            sliced(split, x, axis - (x.ndim if type(x) is Abstract else 0))
    split.axis.update(inside.axis)
    split.work += p["length"] * inside.work
    for k, y in enumerate(body.outputs):
        if k in totals:
            split.sums.add(step.values[k])
        else:
            split.axis[step.values[k]] = inside.axis[y] + (k >= n)


def _gone_through(
    split: Split, body: Program, axes: list[int | None], totals: dict[int, set[Abstract]]
) -> Split:
    """The axes of the body's values, from those of its inputs."""
    inside = Split(split.n)
    inside.axis = {v: axis for v, axis in zip(body.inputs, axes) if axis is not None}
    parts = {x for terms in totals.values() for x in terms}
    skipped = {body.outputs[k] for k in totals}
    for step in body.steps:
        if any(v in skipped for v in step.values) or (any(v in parts for v in step.values) and (
            step.op is AddGrad and any(x in parts for x in step.inputs)
        )):
            continue  # the additions of a sum
        if any(x in inside.sums for x in step.inputs):
            raise Together
        if any(x in inside.axis for x in step.inputs):
            passed(inside, step)
    return inside


def _terms(body: Program, k: int) -> set[Abstract]:
    """What is added to carry k in a turn, the sums on the way included."""
    start, want = body.inputs[k], [body.outputs[k]]
    found: set[Abstract] = set()
    count = 0
    makers = {v: step for step in body.steps for v in step.values}
    while want:
        y = want.pop()
        if y is start:
            count += 1
            continue
        if type(y) is not Abstract:
            raise Together
        step = makers.get(y)
        if step is not None and step.op is AddGrad and all(
            type(x) is Abstract and x.shape == y.shape for x in step.operands
        ):
            want += step.operands
        else:
            found.add(y)
    if count != 1:
        raise Together
    readers = [step for step in body.steps if any(x is start for x in step.inputs)]
    if len(readers) != 1:
        raise Together
    return found


def _check(
    body: Program, n: int, axes: list[int | None], totals: dict[int, set[Abstract]], inside: Split
) -> None:
    if any(v in inside.axis for v in body.constants):
        raise Together  # it would have to be cut
    for k, y in enumerate(body.outputs):
        if k in totals:
            if not all(x in inside.sums for x in totals[k]):
                raise Together
        else:
            axis = inside.axis.get(y) if type(y) is Abstract else None
            if axis is None or (k < n and axes[k] != axis):
                raise Together
    of_totals = {x for terms in totals.values() for x in terms}
    if any(x not in of_totals for x in inside.sums):
        raise Together


def without_sums(step: Step) -> tuple[Step, dict[Abstract, Abstract]]:
    """The loop without the carries that are sums; for each of their terms, which sum it adds to."""
    p = step.params
    body, n = p["body"], p["carry"]
    terms = {x: step.values[k] for k in p["sums"] for x in _terms(body, k)}
    kept = [k for k in range(n) if k not in p["sums"]]
    places = [*kept, *range(n, len(body.inputs))]
    outputs = [body.outputs[k] for k in (*kept, *range(n, len(body.outputs)))]
    # The terms stay: they are outputs that have their place already.
    live = Program([], body.steps, [*outputs, *terms], body.constants).without_dead_steps()
    inputs = [body.inputs[k] for k in places]
    inside = Program(inputs, live.steps, outputs, live.constants)
    params = {**p, "body": inside, "carry": len(kept), "sums": ()}
    new = Step(step.op, tuple([step.operands[k] for k in places]), params, step.line)
    new.several = True
    new.values = (*[step.values[k] for k in kept], *step.values[n:])
    return new, terms


RULES[ScanGrad] = _scan
