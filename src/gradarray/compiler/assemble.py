"""Assemble: a program cut into regions, whole steps and tiles of samples, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops.shape import TransposeGrad
from . import (
    expansions,
    matrices,
    passes,
    rules,
    simplify_broadcast,
    simplify_gather,
    simplify_pool,
    simplify_reshape,
    split_loops,
    split_rules,
    taps,
)
from .abstract import Abstract
from .commit import commit, late_steps, look_at_watched, look_for_nan
from .expand import expanded
from .factor import factored
from .loops import Buffer, Fill
from .lower import RULES, Host, Lowering
from .memory import Memory, View, contiguous
from .pairs import paired
from .program import Program, Step
from .prune import pruned
from .reuse import reused
from .simplify import simplified
from .sink import summed_by_index, sunk
from .split import Split, splits_of
from .tiles import tiled
from .turned import without_turns
from .watch import Watch

# Imported for what they declare.
_DECLARED = (
    expansions, matrices, rules, simplify_broadcast, simplify_gather, simplify_pool,
    simplify_reshape, split_loops, split_rules, taps,
)


@dataclass
class Assembled:
    """What a program becomes: items in order, and where inputs, constants and outputs lie."""

    items: list[Any]
    commit: list[Any]  # the items that write state, at the very end
    flag: Buffer | None  # says, before that, whether a NaN was found
    inputs: list[Buffer]
    constants: list[Buffer]
    outputs: list[Any]
    host_reasons: dict[str, str]
    status: Buffer | None  # where a loop that was not finished says so
    watched: list[Watch]


def assemble(
    program: Program, suspects: int = 0, places: dict[int, int] | None = None, late: bool = True
) -> Assembled:
    """`suspects`: how many of the last outputs are only looked at for a NaN. `places`: outputs that
    go where an input lies. `late`: are they computed there, or before and copied at the end?"""
    program = prepared(program)
    memory = Memory()
    memory.turned = _only_turned(program)
    views: dict[Abstract, View] = {}
    given = [memory.given(v) for v in program.inputs]
    views.update(zip(program.inputs, given))
    for v, data in program.constants.items():
        views[v] = memory.constant(np.asarray(data))
    places = places or {}
    hosted = {step for step in program.steps if needs_host(program, step)}
    splits = splits_of(program, hosted) if passes.is_on("split") else []
    of: dict[Step, Split] = {step: split for split in splits for step in split.steps}
    after = late_steps(program, places, [*of, *hosted]) if late else []
    behind = set(after)
    left = [step for step in program.steps if step not in behind]
    items: list[Any] = []
    while True:
        whole = Lowering(program, memory, views)
        left = _take_whole(whole, left, of)
        if not left:
            break
        _keep(whole, [*left, *after], program.outputs)
        items += whole.items
        views.update(whole.views)
        before = len(left), len(of)
        for split in splits:
            region, left = _take_tiles(split, left, of, views)
            if region:
                items += tiled(program, memory, split, region, [*left, *after], views)
        assert (len(left), len(of)) != before, "no step can go on"
    count = len(program.outputs) - suspects
    outputs = [
        given[places[k]] if k in places else whole.output(y)
        for k, y in enumerate(program.outputs[:count])
    ]
    flag = None
    checks: list[Any] = []
    if suspects:
        flag, checks = look_for_nan(whole, program.outputs[count:])
        items.insert(0, [Fill(flag)])
    _keep(whole, after, [program.outputs[k] for k in places])
    items += [*whole.items, [*checks, *look_at_watched(memory)]]
    views.update(whole.views)
    last = Lowering(program, memory, views)
    for step in after:
        last.run(step)
    commit(last, program, places, given)
    return Assembled(
        items, last.items, flag, memory.inputs, memory.constants, outputs, memory.host_reasons,
        memory.status, memory.watched,
    )  # fmt: skip


def _only_turned(program: Program) -> set[Abstract]:
    """Matrices that all readers turn over: gradients of weights, as layers write x @ W.T."""
    found = {v for step in program.steps for v in step.values if v.ndim == 2}
    for step in program.steps:
        if step.op is not TransposeGrad:
            found.difference_update(step.inputs)
    return found.difference(y for y in program.outputs if type(y) is Abstract)


def _keep(low: Lowering, steps: list[Step], outputs: list[Any]) -> None:
    """Store what is still an expression and needed later."""
    needed = {x for step in steps for x in step.inputs}
    needed.update(y for y in outputs if type(y) is Abstract)
    for v in list(low.inline):
        if v in needed:
            low.memory(v)


def prepared(program: Program) -> Program:
    """The program, and every body within, expanded and simplified, and cut to what is used."""
    program = paired(expanded(program) if passes.is_on("expand") else program)
    if passes.is_on("simplify"):
        program = sunk(summed_by_index(simplified(program)))
    program = factored(program) if passes.is_on("factor") else program
    program = pruned(reused(program) if passes.is_on("reuse") else program)
    program = without_turns(program) if passes.is_on("simplify") else program
    for step in program.steps:
        if step.programs():
            step.params = {k: _prepared(v) for k, v in step.params.items()}
    return program


def _prepared(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_prepared, x))
    return prepared(x) if isinstance(x, Program) else x


def needs_host(program: Program, step: Step) -> bool:
    """Is there no rule for a step, so that it stays a call?"""
    if step.programs() and step.op in RULES:
        inside = [(part, s) for _, part in step.programs() for s in part.steps]
        return any(needs_host(part, s) for part, s in inside)
    try:
        form = step.op, tuple(map(_form, step.operands)), tuple(step.params.items())
        found = _hosted.get(form)
    except TypeError:  # a parameter that is no key
        form, found = None, None
    if found is None:
        known: dict[Abstract, View] = {}
        for x in step.inputs:
            known[x] = View(Buffer(x.size, x.dtype), 0, x.shape, contiguous(x.shape))
        low = Lowering(program, Memory(), known)
        low.run(step)
        found = any(isinstance(item, Host) for item in low.items)
        if form is not None:
            _hosted[form] = found
    return found


_hosted: dict[Any, bool] = {}


def _form(x: Any) -> Any:
    if type(x) is Abstract:
        return x.shape, x.dtype, x.weak
    return (x.shape, x.dtype) if isinstance(x, np.ndarray) else (type(x), x)


def _take_whole(low: Lowering, left: list[Step], of: dict[Step, Split]) -> list[Step]:
    """Lower the steps without samples whose operands are there; the steps that are left."""
    rest = []
    awaited = _awaited(left, of)
    for step in left:
        there = all(x in low.views or x in low.inline for x in step.inputs)
        if step not in of and there and (awaited is None or step in awaited):
            low.run(step)
        else:
            rest.append(step)
    return rest


def _awaited(left: list[Step], of: dict[Step, Split]) -> set[Step] | None:
    """The steps that tiles wait for, directly or through others; None where no tiles are left.

    What nobody waits for comes after the tiles, where it may share a nest with what uses it.
    """
    needed = {x for step in left if step in of for x in step.inputs}
    if not any(step in of for step in left):
        return None
    found = set()
    for step in reversed(left):
        if step not in of and any(v in needed for v in step.values):
            found.add(step)
            needed.update(step.inputs)
    return found


def _take_tiles(
    split: Split, left: list[Step], of: dict[Step, Split], views: dict[Abstract, View]
) -> tuple[list[Step], list[Step]]:
    """The steps of a split that can go on now, and the others."""
    region: list[Step] = []
    rest = []
    inside: set[Abstract] = set()
    for step in left:
        joins = step.values[0] in split.joins
        if joins and any(x in views for x in step.inputs):
            of.pop(step, None)  # one of its sums is there already: it adds them up as a whole
        if of.get(step) is split and all(
            x in inside if x in split.sums else x in views or x in inside for x in step.inputs
        ):
            region.append(step)
            inside.update(step.values)
        else:
            rest.append(step)
    return region, rest
