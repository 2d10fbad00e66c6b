"""Split, for loops: a loop goes sample by sample when its body does, for all its turns.

Which axis of a carry counts samples is found by going through the body until nothing changes. A
carry that begins with zero and to which every turn adds sums over samples is such a sum itself.
"""

from __future__ import annotations

from .abstract import Abstract, shape_of
from .loop_ops import ScanGrad
from .program import Program, Step
from .split import RULES, Split, Term, Together, passed, sliced
from .taken import InRange


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
    while True:
        inside = _gone_through(split, body, axes, p["sums"])
        found = list(axes)
        for k, v in enumerate(body.inputs):
            found[k] = inside.axis.get(v)
        for k, y in enumerate(body.outputs[:n]):
            if k not in p["sums"] and found[k] is None:
                found[k] = inside.axis.get(y) if type(y) is Abstract else None
        if found == axes:
            break
        axes = found
    _check(body, n, axes, p["sums"], inside)
    for k, x in enumerate(step.operands):
        axis = axes[k]
        if axis is not None and not (type(x) is Abstract and x in split.axis):
            axis += n <= k < n + m
            sliced(split, x, axis - len(shape_of(x)))
    split.axis.update(inside.axis)
    split.joins.update(inside.joins)
    split.work += p["length"] * inside.work
    split.products += p["length"] * inside.products
    for k, y in enumerate(body.outputs):
        if k in p["sums"]:
            split.sums.add(step.values[k])
        else:
            split.axis[step.values[k]] = inside.axis[y] + (k >= n)


def _gone_through(
    split: Split, body: Program, axes: list[int | None], totals: tuple[int, ...]
) -> Split:
    """The axes of the body's values, from those of its inputs."""
    inside = Split(split.n, readers=body.readers())
    inside.axis = {v: axis for v, axis in zip(body.inputs, axes) if axis is not None}
    inside.sums = {body.inputs[k] for k in totals}
    for step in body.steps:
        if step.op is InRange and any(x in inside.axis for x in step.inputs):
            raise Together  # indices are looked at before tiles, as a whole
        if any(x in inside.axis or x in inside.sums for x in step.inputs):
            passed(inside, step)
    return inside


def _check(
    body: Program, n: int, axes: list[int | None], totals: tuple[int, ...], inside: Split
) -> None:
    if any(v in inside.axis for v in body.constants):
        raise Together  # it would have to be cut
    if any(v in inside.cut for s in body.steps for v in s.values):
        raise Together  # and so would this, which is made for all samples at once
    starts, whole = {body.inputs[k] for k in totals}, set()
    for k, y in enumerate(body.outputs):
        if k in totals:
            terms = [x for x, _ in inside.terms(y)] if y in inside.sums else []
            found = [x for x in terms if x in starts]
            if len(found) != 1 or found[0] is not body.inputs[k] or inside.readers[y] != 1:
                raise Together
            whole.update(terms)
        else:
            axis = inside.axis.get(y) if type(y) is Abstract else None
            if axis is None or (k < n and axes[k] != axis):
                raise Together
    if any(x not in whole for x in inside.sums if x not in inside.joins):
        raise Together


def without_sums(step: Step, split: Split) -> tuple[Step, dict[Abstract, list[Term]]]:
    """The loop without the carries that are sums; for each of those, what every turn adds to it."""
    p = step.params
    body, n = p["body"], p["carry"]
    terms = {
        step.values[k]: [t for t in split.terms(body.outputs[k]) if t[0] is not body.inputs[k]]
        for k in p["sums"]
    }
    kept = [k for k in range(n) if k not in p["sums"]]
    places = [*kept, *range(n, len(body.inputs))]
    outputs = [body.outputs[k] for k in (*kept, *range(n, len(body.outputs)))]
    # The terms stay: they are outputs that have their place already.
    added = [x for parts in terms.values() for x, _ in parts]
    live = Program([], body.steps, [*outputs, *added], body.constants).without_dead_steps()
    inputs = [body.inputs[k] for k in places]
    inside = Program(inputs, live.steps, outputs, live.constants)
    params = {**p, "body": inside, "carry": len(kept), "sums": ()}
    new = Step(step.op, tuple([step.operands[k] for k in places]), params, step.line)
    new.several = True
    new.values = (*[step.values[k] for k in kept], *step.values[n:])
    return new, terms


RULES[ScanGrad] = _scan
