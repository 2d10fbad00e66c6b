"""Commit: state is written last, where it lies, when nothing can stop the step any more.

A step reads its state and writes it back. What only the new state needs comes after everything
else: after the calls of the host, and after the look for a NaN that asks for another run. There
the new values go into the arrays that the old ones are read from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..ops.logical import IsNaNGrad
from . import expr
from .abstract import Abstract
from .group import Group
from .loops import Access, Buffer, Check, Nest, Store
from .lower import Lowering
from .memory import Memory, View
from .program import Program, Step


def needed_by(steps: Iterable[Step], wanted: Iterable[Any]) -> set[Step]:
    """The steps that some values need."""
    values = {v for v in wanted if type(v) is Abstract}
    found: set[Step] = set()
    for step in reversed(list(steps)):
        if any(v in values for v in step.values):
            found.add(step)
            values.update(step.inputs)
    return found


def late_steps(program: Program, places: dict[int, int], early: Iterable[Step]) -> list[Step]:
    """The steps that nothing but the new state needs, apart from `early` and what they need."""
    wanted = [y for k, y in enumerate(program.outputs) if k not in places]
    wanted += [v for step in early for v in step.values]
    now = needed_by(program.steps, wanted)
    return [step for step in program.steps if step not in now]


def look_for_nan(low: Lowering, suspects: Iterable[Abstract]) -> tuple[Buffer, list[Any]]:
    """A byte that is not 0 after the statements if there is a NaN in one of these values."""
    flag = Buffer(1, expr.BOOL)
    place = View(flag, 0, (), ())
    checks: list[Any] = []
    for x in suspects:
        form = x if type(x) is Abstract else np.asarray(x)
        if form.dtype.kind not in "fc" or not form.size:
            continue
        if form.dtype.kind == "f" and not expr.has_code(form.dtype):
            step = Step(IsNaNGrad, (low._as_operand(x),), {}, "")
            step.values = (Abstract(low.program.trace, form.shape, expr.BOOL),)
            low.run(step)
            _look(low, step.values[0], place, lambda v: v)
            continue
        if type(x) is Abstract and x in low.inline:
            _look(low, x, place, lambda v: v != v)
        else:
            view = low.memory(x)
            if not view.contiguous or view.outer:
                view = low._copied(x)
            checks.append(Check(flag, view.access(()), math.prod(view.shape)))
    return flag, checks


def _look(low: Lowering, x: Abstract, place: View, is_wrong: Callable[..., Any]) -> None:
    y = Abstract(x.trace, (), expr.BOOL)
    low.targets[y] = place
    low.reduction(x, y, tuple(range(x.ndim)), "or", is_wrong)


def commit(low: Lowering, program: Program, places: dict[int, int], inputs: list[View]) -> None:
    """Write outputs to the places of inputs: where they are computed if nobody reads later."""
    moved = []
    inline = []
    for at, source in places.items():
        y, to = program.outputs[at], inputs[source]
        if type(y) is Abstract and y in low.inline:
            inline.append((y, to, low.inline[y]))
            continue
        view = low.memory(y)
        if view.buffer.place == "given" or not view.contiguous or view.outer:
            view = low._copied(y)  # before any state changes
        moved.append((view, to))
    for y, to, k in inline:
        if _may_write(low, k, to):
            low.items[k].stores.append((to, low.items[k].values[y]))
        else:
            moved.append((low.memory(y), to))
    for view, to in moved:  # at the end, where nobody reads any more
        group = Group(to.shape)
        group.stores.append((to, expr.cast(group.leaf(view), to.buffer.dtype)))
        low.append(group)


def _may_write(low: Lowering, k: int, to: View) -> bool:
    """Is what lies at `to` read by nobody after group k, and there only point by point?"""
    for j, item in enumerate(low.items[k:], k):
        if not isinstance(item, Group):
            return False  # a statement, which may read anything
        for view in item.views:
            if view.buffer is to.buffer and (j > k or view != to):
                return False
    return True


def look_at_watched(memory: Memory) -> list[Any]:
    """Statements that set the status where something is wrong, before state is written."""
    out: list[Any] = []
    for watch in list(memory.watched):
        cells = [expr.leaf(k, np.int64) for k in range(len(watch.fresh))]
        status, old = memory.unfinished(), expr.leaf(len(cells), np.int64)
        loads = {x: Access(watch.cells, k) for k, x in enumerate(cells)}
        value = expr.select(watch.wrong(*cells), expr.const(1, np.int64), old)
        out.append(Nest([], {**loads, old: status}, [Store(status, value)]))
    return out
