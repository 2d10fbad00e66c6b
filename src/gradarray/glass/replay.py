"""Run a story again with other values: what depends on them is computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..record import apply
from .story import Row, Story


class CannotReplayError(Exception):
    """Why what follows a value cannot be computed anew."""


def again(
    rows: Iterable[Row],
    known: dict[Row, Any],
    taken: Callable[[Any], Any],
    run: Callable[[Any, list[Any], dict[str, Any]], Any],
) -> None:
    """Carry out the ops of those rows that depend on what is known, which grows by them.

    `taken` makes an operand of a recorded value, `run(op, operands, params)` carries out an op.
    """
    for row in rows:
        if row in known or not any(isinstance(x, Row) and x in known for x in row.operands):
            continue
        if row.op is None or not hasattr(row.op, "operand_names"):
            raise CannotReplayError("a whole function stands between it and the result")
        operands = [_operand(x, known, taken) for x in row.operands]
        y = run(row.op, operands, row.params)
        for one in row.siblings or [row]:
            known[one] = y if one.which is None else y[one.which]


def _operand(x: Any, known: dict[Row, Any], taken: Callable[[Any], Any]) -> Any:
    if not isinstance(x, Row):
        return taken(x)
    if x in known:
        return known[x]
    if x.value is None:
        raise CannotReplayError("a value that comes in later was not kept")
    return taken(x.value)


def replay(story: Story, changed: dict[Row, GradArray]) -> GradArray | None:
    """The result with these rows changed, recorded; None where it cannot be computed anew."""
    known: dict[Row, Any] = dict(changed)
    try:
        again(story.rows, known, _handle, lambda op, xs, params: apply(op, *xs, **params))
    except CannotReplayError:
        return None
    return known.get(story.result)


def _handle(x: Any) -> Any:
    return wrap(x) if isinstance(x, (np.ndarray, np.generic)) else x
