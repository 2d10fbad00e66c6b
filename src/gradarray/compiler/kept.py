"""Kept: which values of a loop's steps its derivatives find again, where there is a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..algebra import Elementwise
from .abstract import Abstract
from .program import Step


def narrowest(
    body: Any, results: Sequence[Any], stop: Callable[[Abstract], bool]
) -> set[Abstract]:
    """What a loop before is to keep instead of what is dear, so that these results need less.

    If all that is asked of a product is its sum with an input, then the sum takes no more room, and
    the input is not asked for.
    """
    steps, inputs = body.steps_for(results, stop)
    readers: dict[Abstract, list[Step | None]] = {}
    for step in steps:
        for x in set(step.inputs):
            readers.setdefault(x, []).append(step)
    for x in results:
        if type(x) is Abstract:
            readers.setdefault(x, []).append(None)
    found = set()
    for v in inputs:
        if v not in body.made or v in body.stacks or v.step is None:
            continue
        x = v
        while (y := _only(readers.get(x, []))) is not None and y in body.made:
            if y.nbytes > x.nbytes:
                break
            x = y
        if x is not v:
            found.add(x)
    return found


def _only(readers: list[Step | None]) -> Abstract | None:
    """The result of the one step that reads a value, if it goes element by element."""
    step = readers[0] if len(readers) == 1 else None
    if step is None or step.several or not issubclass(step.op, Elementwise):
        return None
    return step.values[0]
