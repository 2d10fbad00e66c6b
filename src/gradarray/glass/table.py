"""The table: forward rows, local derivatives, and the sweep back, in symbols and in numbers."""

from __future__ import annotations

import linecache
import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from . import fused
from .formula import contribution
from .numbers import digit, shape, shown
from .precedence import PRODUCT
from .states import states, subgradients
from .story import Row, Story, Term
from .text import factor_text, text
from .words import Language, words_of

LONGEST = 200  # rows that are printed whole; of more the middle is left out
WIDTH = 100  # columns that a line has, where what it says can be cut to that
_FORMULA, _VALUE, _NOTE = 28, 46, 22  # most columns of each
_SOURCE = 12  # fewest columns in which a source line is shown, beside its number

_CODES = {"head": "1", "name": "36", "value": "33", "dim": "2"}


def table(
    story: Story, colour: bool = False, every: bool = False, lang: Language = "en"
) -> str:
    """The whole story as text; `colour` with a terminal's codes, `every` with all rows."""
    return _Table(story, colour, every, lang).text()


class _Line(NamedTuple):
    """A row of the first section."""

    left: str
    value: str
    note: str
    states: str
    source: str
    below: list[str]


class _Table:
    def __init__(self, story: Story, colour: bool, every: bool, lang: Language) -> None:
        self.story, self.colour, self.every = story, colour, every
        self.lang: Language = lang
        self.words = words_of(lang)

    def text(self) -> str:
        rows, words = self.story.rows, self.words
        file, lines = self._forward()
        parts = [
            self._section(words["forward"] + (f"  ({file})" if file else ""), lines),
            self._section(words["local"], [block for r in rows if (block := self._locals(r))]),
            self._section(
                words["backward"], [block for r in rows[::-1] if (block := [*self._backward(r)])]
            ),
        ]
        if self.story.result.loops is not None:
            title = self._pen("head", words["compiled"])
            parts.append("\n".join([title, *(f"  {line}" for line in fused.told(rows))]))
        if self.story.result.freed:
            parts.append(words["freed_note"])
        return "\n\n".join(part for part in parts if part)

    def _pen(self, kind: str, words: str) -> str:
        return f"\x1b[{_CODES[kind]}m{words}\x1b[0m" if self.colour and words else words

    def _section(self, title: str, blocks: list[list[str]]) -> str:
        if not blocks:
            return ""
        if len(blocks) > LONGEST and not self.every:
            half = LONGEST // 2
            left = self.words["more"].format(n=f"{len(blocks) - 2 * half:,}")
            blocks = [*blocks[:half], ["  " + self._pen("dim", left)], *blocks[-half:]]
        return "\n".join([self._pen("head", title), *(line for block in blocks for line in block)])

    def _shown(self, value: object, width: int) -> str:
        return shown(value, width=width, lang=self.lang)

    # Forward --------------------------------------------------------------------------------------

    def _forward(self) -> tuple[str, list[list[str]]]:
        """The file where all stand in one, and each row's lines."""
        files = list(dict.fromkeys(file for r in self.story.rows if (file := _place(r)[0])))
        lines, before = [], ("", 0, "")
        for row in self.story.rows:
            place = _place(row)
            lines.append(self._told(row, place, before, len(files) > 1))
            before = place if place[1] else before
        formula = min(_FORMULA, max(_width(x.left) for x in lines))
        value = min(_VALUE, max(_width(x.value) for x in lines))
        note = min(_NOTE, max((_width(x.note) for x in lines if x.source), default=0))
        one = files[0] if len(files) == 1 else ""
        return one, [[*self._laid_out(x, formula, value, note)] for x in lines]

    def _told(
        self, row: Row, place: tuple[str, int, str], before: tuple[str, int, str], files: bool
    ) -> _Line:
        words = self.words
        note, left, source = words[row.kind], row.name, ""
        if row.kind == "result":
            note = row.op.name if row.op is not None else ""
            left = f"{row.name} = {text(row.formula)}"
            file, number, code = place
            if number and place == before:
                source = "″"
            elif number:
                source = (f"{file}:" if file and files else "") + f"{number}" + (
                    f": {code}" if code else ""
                )
        found = [s for s in states(row) if s not in ("not kept", "subgradient")]
        told = ", ".join(words[s].lower() for s in found) if self.story.swept else ""
        kinks = [
            words["subgradient_why"].format(name=n, slope=digit(value), times=times)
            for n, value, times in subgradients(row)
        ]
        return _Line(left, self._shown(row.value, _VALUE), note, told, source, kinks)

    def _laid_out(self, x: _Line, formula: int, value: int, note: int) -> Iterator[str]:
        head = "  " + self._pen("name", x.left)
        if _width(x.left) > formula:  # what follows has a line of its own
            yield head
            head = " " * (formula + 2)
        else:
            head += " " * (formula - _width(x.left))
        gap = " " * (value - _width(x.value))
        taken = 2 + formula + 3 + max(value, _width(x.value)) + 2
        short = f"{x.note}, {x.states}" if x.states else x.note
        fits = taken + _width(short) + (4 if x.source else 0) <= WIDTH
        tail, below = (short, x.below) if fits else (x.note, [x.states, *x.below])
        if x.source:
            padded = tail + " " * (note - _width(tail)) + "  "
            room = WIDTH - taken - _width(padded)
            source = _cut(x.source, room)
            tail = padded + source if _width(source) <= room else f"{tail}  {source}"
        yield f"{head} = {self._pen('value', x.value)}{gap}  {self._pen('dim', tail)}".rstrip()
        yield from (f"    {self._pen('dim', line)}" for line in below)

    # Local derivatives ----------------------------------------------------------------------------

    def _locals(self, row: Row) -> list[str]:
        """How a row changes with each of its operands."""
        out: list[str] = []
        for x in dict.fromkeys(x for x in row.operands if isinstance(x, Row)):
            for term in x.terms:
                local = term.local
                if term.to is not row or local is None:
                    continue
                formula = factor_text(local)
                line = f"∂{row.name}/∂{x.name} = {formula}"
                value = self._shown(local.value, WIDTH - 5 - max(_FORMULA, _width(line)))
                told = "  " + self._pen("name", line)
                if value != formula:
                    told += " " * (_FORMULA - _width(line)) + f" = {self._pen('value', value)}"
                out.append(told)
        return out

    # Backward -------------------------------------------------------------------------------------

    def _backward(self, row: Row) -> Iterator[str]:
        """The adjoint of a row: in symbols, with the local derivatives, in numbers."""
        story = self.story
        if row.adjoint is None or row is story.result:
            return
        if len(row.terms) == 1 and _stands_above(row.terms[0], story):
            return
        left, blank = f"  {row.symbol}", " " * (2 + _width(row.symbol))
        plugged = [self._plugged(t) for t in row.terms]
        counted = [_counted(t) for t in row.terms]
        lines = [
            " + ".join(f"{incoming(t, story)}{derivative(t)}" for t in row.terms),
            " + ".join(plugged) if all(plugged) else "",
            " + ".join(counted) if all(counted) else "",
            self._shown(row.adjoint, WIDTH - 3 - len(blank)),
        ]
        kept = list(dict.fromkeys(line for line in lines if line and line != row.symbol))
        for k, line in enumerate(kept):
            head = self._pen("name", left) if k == 0 else blank
            yield f"{head} = {self._pen('value', line) if k == len(kept) - 1 else line}"
            if line == lines[1]:
                for note in self._sums(row):
                    yield f"{blank}   {self._pen('dim', note)}"
        if row.kind != "result" and np.asarray(row.adjoint).dtype.kind == "c":
            told = self._shown(np.conj(row.adjoint), WIDTH)
            yield f"{blank}   {self._pen('dim', self.words['conjugate'].format(value=told))}"

    def _plugged(self, term: Term) -> str:
        """A term with its local derivative as a formula."""
        if term.local is None:
            whole = contribution(term, self.story)
            return "" if whole is None else text(whole)
        came = term.to.symbol
        if term.to is self.story.result:
            came = "1"
        elif all(_is_constant(t, self.story) for t in term.to.terms):
            came = grouped(shown(term.to.adjoint))
        return f"{came} · {factor_text(term.local, PRODUCT)}"

    def _sums(self, row: Row) -> Iterator[str]:
        """Sums over axes along which the value was broadcast."""
        for term in row.terms:
            for axes, before in term.sums:
                yield self.words["summed"].format(
                    axis=", ".join(map(str, axes)), shape=shape(before), name=row.name
                )


def incoming(term: Term, story: Story) -> str:
    """The adjoint that comes from a use of a value; of the result itself it is 1."""
    return "" if term.to is story.result else f"{term.to.symbol} "


def derivative(term: Term) -> str:
    """The local derivative's symbol."""
    return f"∂{term.to.name}/∂{term.row.name}"


def grouped(words: str) -> str:
    """In brackets where it is not one factor."""
    return f"({words})" if words.startswith("-") or " " in words.strip("()") else words


def _stands_above(term: Term, story: Story) -> bool:
    """Is the adjoint a local derivative, which has been told?"""
    return term.to is story.result and term.local is not None and not term.sums


def _is_constant(term: Term, story: Story) -> bool:
    return term.to is story.result and term.local is not None and term.local.is_number


def _counted(term: Term) -> str:
    """A term in numbers, where they are single ones."""
    if term.local is None or np.ndim(term.to.adjoint) or np.ndim(term.local.value):
        return ""
    return f"{grouped(shown(term.to.adjoint))} · {grouped(shown(term.local.value))}"


def _cut(source: str, room: int) -> str:
    """A line's number and source, as far as there is room; its number in any case."""
    if _width(source) <= room:
        return source
    if room >= _SOURCE:
        return source[: room - 2] + ".."
    return source.partition(": ")[0]


def _place(row: Row) -> tuple[str, int, str]:
    """The user's line: file (without a name for what is in none), number, source."""
    if row.made is None or not row.made.spots:
        return "", 0, ""
    spot = row.made.spots[0]
    file = spot.code.co_filename
    name = "" if file.startswith("<") else os.path.basename(file)
    return name, spot.line, linecache.getline(file, spot.line).strip()


def _width(words: str) -> int:
    """Columns in a terminal, where Korean letters take two and marks above a letter none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in words)
    return len(words) + wide - sum(unicodedata.combining(c) > 0 for c in words)
