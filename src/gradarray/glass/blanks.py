"""What a quiz asks for: values, local derivatives and adjoints, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .numbers import WHOLE
from .story import Row, Story
from .table import derivative, incoming
from .text import text


@dataclass(frozen=True)
class Blank:
    """One thing to fill in: its symbol, what it is computed from, and its value."""

    symbol: str
    hint: str
    right: Any


def blanks_of(story: Story) -> Iterator[Blank]:
    """Values forward, local derivatives, then adjoints, each asked for once."""
    seen: set[str] = set()

    def once(symbol: str, hint: str, right: Any) -> Iterator[Blank]:
        if symbol not in seen and right is not None and np.size(right) <= WHOLE:
            seen.add(symbol)
            yield Blank(symbol, hint, np.asarray(right)[()])

    for row in story.rows:
        if row.kind == "result":
            yield from once(row.name, text(row.formula), row.value)
    for row in story.rows:
        for x in dict.fromkeys(x for x in row.operands if isinstance(x, Row)):
            uses = [t for t in x.terms if t.to is row]
            if len(uses) == 1 and uses[0].local is not None:
                yield from once(derivative(uses[0]), f"∂({text(row.formula)})/∂{x.name}",
                                uses[0].local.value)
    for row in reversed(story.rows):
        if row.adjoint is not None and row is not story.result:
            hint = " + ".join(f"{incoming(t, story)}{derivative(t)}" for t in row.terms)
            yield from once(row.symbol, hint, row.adjoint)
