"""What a picture writes: on the card of a value, on that of a closed group, along an edge."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from .expr import Expr
from .groups import Group
from .layout import Item
from .numbers import digit, shape, shown
from .states import states
from .story import Row, Story, Term
from .text import factor_text, text

LETTER = 7.23  # width of a letter of the monospaced 12 px face
SMALL = 6.33  # and of the 10.5 px one
LINE = 17
_WIDEST = 30  # letters in a line of a card
_LABEL = 26  # and in a label


@dataclass(frozen=True)
class Card:
    """The lines of a card, from the top."""

    head: str
    value: str
    adjoint: str
    size: tuple[float, float]


def cut(words: str, most: int) -> str:
    return words if columns(words) <= most else words[: most - 1].rstrip() + "…"


def columns(words: str) -> int:
    """How many letters wide a text is; those of East Asian scripts count twice."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in words
    )


def card(row: Row) -> Card:
    head = f"{row.name} = {text(row.formula)}" if row.kind == "result" else row.name
    lines = [cut(head, _WIDEST), brief(row.value), f"∂ {brief_adjoint(row)}"]
    width = max(map(columns, lines)) * LETTER + 24
    return Card(*lines, size=(max(84.0, round(width, 1)), 3.0 * LINE + 13))


def group_card(group: Group) -> tuple[list[str], tuple[float, float]]:
    """Title and size of a group that is closed."""
    count = sum(1 for _ in group.rows())
    many = f"{group.times} × {count // group.times}" if group.times > 1 else str(count)
    lines = [cut(group.title, _WIDEST), f"{many} values"]
    return lines, (max(map(columns, lines)) * LETTER + 44, 2.0 * LINE + 14)


def brief(value: Any) -> str:
    """A value in a few letters."""
    if value is None:
        return "not kept"
    whole = shown(value)
    if isinstance(value, tuple) or np.ndim(value) == 0 or len(whole) <= _WIDEST - 4:
        return cut(whole, _WIDEST)
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not array.size:
        return cut(whole, _WIDEST)
    fine = array[np.isfinite(array)]
    if fine.size < array.size:
        return f"{shape(array.shape)} {array.size - fine.size} not finite"
    return f"{shape(array.shape)} {digit(fine.min(), 3)} to {digit(fine.max(), 3)}"


def brief_adjoint(row: Row) -> str:
    if row.adjoint is not None:
        return brief(row.adjoint)
    return next((s for s in states(row) if s in ("not required", "not reached", "freed")), "none")


class Labels:
    """What stands along the edges: the local derivatives."""

    def __init__(self, story: Story) -> None:
        self._terms = {(t.to, t.operand): t for row in story.rows for t in row.terms}

    def term(self, item: Item) -> Term | None:
        return None if item.use is None else self._terms.get(item.use)

    def __call__(self, item: Item) -> str:
        term = self.term(item)
        return "" if term is None else label(term)

    def size(self, item: Item) -> tuple[float, float]:
        """Of a label, a port or a bend."""
        words = self(item) if item.kind == "label" else ""
        return (columns(words) * SMALL + 8, 15.0) if words else (2.0, 0.0)


_FORMS = frozenset({"broadcast_to", "expand_dims", "reshape", "astype", "real"})


def _transposed(whole: Expr, to: Row) -> str:
    """What a linear op does on the way back, ∂ standing for what comes in: `∂ @ wᵀ`, `sum ∂`."""
    while whole.op is not None and whole.op.name in _FORMS:
        whole = whole.args[0]
    if whole.is_name and whole.name == to.symbol:
        return "1"
    if whole.op is not None and whole.op.name == "sum" and whole.args[0].name == to.symbol:
        return "sum ∂"
    return text(whole).replace(to.symbol, "∂")


def label(term: Term) -> str:
    """A local derivative in symbols and, for single numbers, in numbers: `2 x = 3`."""
    if term.pulled is None:
        return ""
    if term.local is None:
        return cut(_transposed(term.pulled.whole, term.to), _LABEL)
    formula = factor_text(term.local)
    value = shown(term.local.value) if np.ndim(term.local.value) == 0 else formula
    if value == formula or columns(value) > _LABEL:
        return cut(formula, _LABEL)
    room = _LABEL - columns(value) - 3
    return f"{formula} = {value}" if columns(formula) <= room else value
