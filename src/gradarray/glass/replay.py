"""Run a story again with other values: what depends on them is computed anew."""

from __future__ import annotations

from typing import Any

from ..array import GradArray, wrap
from ..record import apply
from .story import Row, Story


def replay(story: Story, changed: dict[Row, GradArray]) -> GradArray | None:
    """The result with these rows changed; None where a value that it takes was not kept."""
    known: dict[Row, Any] = dict(changed)
    several: dict[tuple[Row, ...], Any] = {}
    for row in story.rows:
        if row in known or row.kind != "result" or not any(x in known for x in row.operands):
            continue
        operands = [_operand(x, known) for x in row.operands]
        if any(x is None for x in operands) or not hasattr(row.op, "operand_names"):
            return None
        if row.which is None:
            known[row] = apply(row.op, *operands, **row.params)  # type: ignore[arg-type]
        else:
            key = tuple(row.siblings)
            if key not in several:
                several[key] = apply(row.op, *operands, **row.params)  # type: ignore[arg-type]
            known[row] = several[key][row.which]
    return known.get(story.result)


def _operand(x: Any, known: dict[Row, Any]) -> Any:
    if not isinstance(x, Row):
        return x
    if x in known:
        return known[x]
    return None if x.value is None else wrap(x.value)
