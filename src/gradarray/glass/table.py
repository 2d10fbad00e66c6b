"""The table: forward rows, local derivatives, and the sweep back, in symbols and in numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import shown_place
from .fused import told
from .numbers import digit, shape, shown
from .precedence import FACTOR
from .simplify import simplify
from .states import states, subgradients
from .story import Row, Story, Term
from .text import factor_text, text

LONGEST = 200  # rows that are printed whole; of more the middle is left out
_WIDTH = 36  # of a formula beside which something stands

_CODES = {"head": "1", "name": "36", "value": "33", "dim": "2", "state": "31"}


def table(story: Story, colour: bool = False, every: bool = False) -> str:
    """The whole story as text; `colour` with a terminal's codes, `every` with all rows."""
    pen = _Pen(colour)
    parts = [
        _section(pen, "Forward", [_forward(pen, row, story) for row in story.rows], every),
        _section(pen, "Local derivatives", [_locals(pen, row) for row in story.rows], every),
        _section(pen, "Backward", [_backward(pen, r, story) for r in story.rows[::-1]], every),
    ]
    if story.result.loops is not None:
        parts.append("\n".join([pen("head", "Compiled"), *(f"  {x}" for x in told(story.rows))]))
    if story.result.freed:
        parts.append(
            "The graph was freed by a backward(). Explain the value before that, or record it "
            "inside ga.keep_all()."
        )
    return "\n\n".join(part for part in parts if part)


class _Pen:
    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, kind: str, words: str) -> str:
        return f"\x1b[{_CODES[kind]}m{words}\x1b[0m" if self.colour and words else words


def _section(pen: _Pen, title: str, found: list[Iterator[str]], every: bool) -> str:
    blocks = [block for block in map(list, found) if block]
    if not blocks:
        return ""
    if len(blocks) > LONGEST and not every:
        half = LONGEST // 2
        left = f"  .. {len(blocks) - 2 * half:,} more ..  (print(e.table(every=True)) shows all)"
        blocks = [*blocks[:half], [pen("dim", left)], *blocks[-half:]]
    return "\n".join([pen("head", title), *(line for block in blocks for line in block)])


# Forward ------------------------------------------------------------------------------------------


def _forward(pen: _Pen, row: Row, story: Story) -> Iterator[str]:
    if row.kind == "result":
        left = f"{row.name} = {text(row.formula)}"
        value = shown(row.value)
        notes = [row.op.name if row.op is not None else "", _place(row)]
    else:
        left, value = row.name, shown(row.value)
        notes = [row.kind]
    notes += _told_states(row) if story.swept else []
    head = f"  {pen('name', left)}{' ' * max(0, _WIDTH - len(left))} = {pen('value', value)}"
    room = " " * max(0, _WIDTH - 12 - len(value))
    yield f"{head}{room}  {pen('dim', '  '.join(n for n in notes if n))}".rstrip()


def _place(row: Row) -> str:
    if row.made is None or not row.made.spots:
        return ""
    spot = row.made.spots[0]
    return shown_place((spot.code.co_filename, spot.line))


def _told_states(row: Row) -> list[str]:
    out = [s for s in states(row) if s not in ("not kept", "subgradient")]
    for name, value, times in subgradients(row):
        out.append(f"at a kink of {name} {times} times, where the slope is taken as {digit(value)}")
    return out


# Local derivatives --------------------------------------------------------------------------------


def _locals(pen: _Pen, row: Row) -> Iterator[str]:
    """How a row changes with each of its operands."""
    seen: set[int] = set()
    for x in row.operands:
        for term in x.terms if isinstance(x, Row) else ():
            if term.to is row and term.operand not in seen:
                seen.add(term.operand)
                left = f"∂{row.name}/∂{x.name}"
                local = term.local
                if local is None:
                    continue
                formula = factor_text(local)
                line = f"{left} = {formula}"
                value = shown(local.value)
                same = value == formula
                yield f"  {pen('name', line)}" + (
                    "" if same else f"{' ' * max(0, _WIDTH - len(line))} = {pen('value', value)}"
                )


# Backward -----------------------------------------------------------------------------------------


def _backward(pen: _Pen, row: Row, story: Story) -> Iterator[str]:
    """The adjoint of a row: in symbols, with the local derivatives, in numbers."""
    if row.adjoint is None or row is story.result:
        return
    if all(t.to is story.result and t.local is not None for t in row.terms):
        return  # it is a local derivative, which stands above
    left = f"  {row.symbol}"
    blank = " " * len(left)
    lines = [
        " + ".join(f"{incoming(t, story)}{derivative(t)}" for t in row.terms),
        _sum([_plugged(t, story) for t in row.terms]),
        _sum([_counted(t) for t in row.terms]),
        shown(row.adjoint),
    ]
    kept: list[str] = []
    for line in lines:
        if line and line not in kept:
            kept.append(line)
    for k, line in enumerate(kept):
        head = pen("name", left) if k == 0 else blank
        yield f"{head} = {pen('value', line) if k == len(kept) - 1 else line}"
        if k == 1:
            for t in row.terms:
                yield from (f"{blank}   {pen('dim', note)}" for note in _notes(t))


def _sum(parts: list[str]) -> str:
    """Their sum; nothing where one of them cannot be told."""
    return " + ".join(parts) if all(parts) else ""


def incoming(term: Term, story: Story) -> str:
    """The adjoint that comes from a use of a value; of the result itself it is 1."""
    return "" if term.to is story.result else f"{term.to.symbol} "


def derivative(term: Term) -> str:
    """The local derivative's symbol."""
    return f"∂{term.to.name}/∂{term.row.name}"


def _plugged(term: Term, story: Story) -> str:
    """A term with its local derivative as a formula."""
    if term.pulled is None:
        return ""
    if term.local is None:
        return text(simplify(term.pulled.whole))
    came = term.to.symbol
    if term.to is story.result:
        came = "1"
    elif all(_is_constant(t, story) for t in term.to.terms):
        came = shown(term.to.adjoint)
    return f"{came} · {factor_text(term.local, FACTOR)}"


def _is_constant(term: Term, story: Story) -> bool:
    return term.to is story.result and term.local is not None and term.local.is_number


def _counted(term: Term) -> str:
    """A term in numbers, where they are single ones."""
    if term.local is None or np.ndim(term.to.adjoint) or np.ndim(term.local.value):
        return ""
    return f"{grouped(shown(term.to.adjoint))} · {grouped(shown(term.local.value))}"


def grouped(words: str) -> str:
    """In brackets where it is not one factor."""
    return f"({words})" if words.startswith("-") or " " in words.strip("()") else words


def _notes(term: Term) -> Iterator[str]:
    if term.pulled is None or term.local is None:
        return
    for one in term.pulled.projections:
        if one.op is not None and one.op.name == "sum":
            over = ", ".join(str(a) for a in one.params.get("axis", ()))
            here = shape(np.shape(one.args[0].value))
            yield f"summed over axis {over} of {here}, along which {term.row.name} was broadcast"
