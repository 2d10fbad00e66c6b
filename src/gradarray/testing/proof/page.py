"""docs/derivatives.md: written from the rows of the proof, and read back by the test of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from ...registry import functions
from .measure import DTYPES, ORDERS, Cell, Row, all_digits
from .misses import WHY
from .modes import MODES

COLUMNS = ("value", *MODES)
UNEXPLAINED = "**not explained**"

Key = tuple[str, str, str]  # function, kind of arguments, dtype

_HEAD = """# How right the derivatives are

*Written by `make proof`; a test does a part of it again and fails where digits are lost.*

Every differentiable function, its value and its derivatives of order 1 to {orders} in every mix of
modes, in float64 and float32, against exact ones: differences of 7 points 1e-40 apart, of the
function evaluated by [mpmath](https://mpmath.org) with some 300 digits (50 are compared). Nothing
of the library takes part in them: a function is given by its definition.

{count} functions, {rows} rows, {cells} digits below: {good} are within rounding, {weak} are where
rounding of the operands or cancellation between them does as much, {missed} are misses, explained.

"""

_READING = """
## How to read the tables

Digits of agreement, the worst of all arguments and directions in the row, at most 15 in float64
and 7 in float32: the second line of a row (numbers that float32 cannot hold are left out in it).
The four numbers of a mode are the orders 1 to 4; where two modes are mixed, orders 2 to 4, the
mode named last being the innermost.

- A number alone: an error of at most 64 eps of the exact derivative, which is 2 digits less.
- `~`: more than that, but no more than 64 eps times what a relative change of the operands by 1
  would do, going by the slope there, or times the derivative along other directions no longer than
  this one, in which its terms do not cancel. No computation that rounds could do better for all of
  them.
- `!`: a miss. Every one is in the table of misses, with the reason.

Where a function has no derivative, the one of the [table of choices](choices.md) is expected. An
overflow is to be infinite; what is below the smallest normal number is expected to no digit.

**Arguments.** Elementwise functions are taken at the numbers shown: *inside* of the domain, at an
*edge* (of the domain, of a case of the formula, next to a zero), *saturated*, and *large*. Of two
operands there are three directions: either alone, and both. Functions of arrays are taken *as
declared*, at what the tests draw for every declared call, and some at chosen arrays (`cases.py` of
the proof): zeros in a product, equal values, weights that saturate, numbers far from 0 or from one
another. Of these the sum of all results, each with a weight of its own, is differentiated along
one direction through all operands.

"""


def page(rows: Sequence[Row]) -> str:
    """All of it."""
    cells = [c for row in rows for c in row.all_cells()]
    missed = [row for row in rows if row.missed()]
    head = _HEAD.format(
        orders=ORDERS,
        count=len({row.function for row in rows}),
        rows=len({(row.function, row.kind) for row in rows}),
        cells=f"{len(cells):,}",
        good=f"{sum(not c.mark for c in cells):,}",
        weak=sum(c.mark == "~" for c in cells),
        missed=sum(c.missed for c in cells),
    )
    parts = [head, _summary(rows), _misses(missed), _READING, _contents(rows)]
    ordered = sorted(rows, key=lambda row: (_group(row), row.function.lower()))
    for group, members in groupby(ordered, key=_group):
        parts.append(f"## {group.replace('_', ' ').capitalize()}\n\n" + _table(list(members)))
    return "".join(parts)


def _group(row: Row) -> str:
    return functions[row.function].group


def _summary(rows: Sequence[Row]) -> str:
    """By precision and order: the worst of what is within rounding, how much has all digits."""
    lines = ["| | value | order 1 | order 2 | order 3 | order 4 |\n| --- |" + " --- |" * 5 + "\n"]
    # Of a cast the result has the digits of another dtype.
    kept = [row for row in rows if "cast" not in functions[row.function].tags]
    for dtype in DTYPES:
        full, worst = [], []
        for order in range(ORDERS + 1):
            cells = [c for row in kept if row.dtype == dtype for c in row.of_order(order)]
            most = all_digits(DTYPES[dtype])
            share = sum(c.digits >= most - 1 for c in cells) / len(cells)
            full.append(f"{100 * share:.1f} %")
            worst.append(str(min((c.digits for c in cells if not c.mark), default=0)))
        most = all_digits(DTYPES[dtype])
        lines.append(f"| {dtype}: {most} or {most - 1} digits | {' | '.join(full)} |\n")
        lines.append(f"| {dtype}: fewest, if no `~` or `!` | {' | '.join(worst)} |\n")
    return "".join(lines)


def _misses(missed: Sequence[Row]) -> str:
    lines = ["\n## Misses\n\n| function | arguments | digits | why |\n| --- | --- | --- | --- |\n"]
    for (name, kind), members in groupby(missed, key=lambda row: (row.function, row.kind)):
        worst = [
            f"{row.dtype}: {min(c.digits for c in row.all_cells() if c.missed)}" for row in members
        ]
        why = WHY.get((name, kind), UNEXPLAINED)
        lines.append(f"| `{name}` | {kind} | {', '.join(worst)} | {why} |\n")
    return "".join(lines)


def _contents(rows: Sequence[Row]) -> str:
    titles = sorted({_group(row).replace("_", " ") for row in rows})
    return ", ".join(f"[{t}](#{t.replace(' ', '-')})" for t in titles) + "\n\n"


def _table(rows: Sequence[Row]) -> str:
    names = ["function", "arguments", *COLUMNS]
    lines = [f"| {' | '.join(names)} |\n|{' --- |' * len(names)}\n"]
    for (name, kind), found in groupby(rows, key=lambda row: (row.function, row.kind)):
        members = {row.dtype: row for row in found}
        widest = next(iter(members.values()))
        shown = [f"`{name}`", kind + (f": {widest.points}" if widest.points else "")]
        for column in COLUMNS:
            both = [members[d].text(column) if d in members else "" for d in DTYPES]
            shown.append("<br>".join(both))
        lines.append(f"| {' | '.join(shown)} |\n")
    return "".join(lines) + "\n"


def read(text: str) -> dict[Key, dict[str, list[Cell]]]:
    """The digits that a page has, of every row of its tables."""
    found: dict[Key, dict[str, list[Cell]]] = {}
    for line in text.splitlines():
        parts = line.strip("| ").split(" | ")
        if len(parts) != 2 + len(COLUMNS) or not parts[0].startswith("`"):
            continue
        name, kind = parts[0].strip("`"), parts[1].split(":")[0]
        for at, dtype in enumerate(DTYPES):
            texts = [cell.split("<br>")[at] for cell in parts[2:]]
            if any(texts):
                cells = [[_cell(t) for t in text.split()] for text in texts]
                found[name, kind, dtype] = dict(zip(COLUMNS, cells, strict=True))
    return found


def _cell(text: str) -> Cell:
    digits, mark = re.fullmatch(r"(\d+)([~!]?)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return Cell(int(digits), mark)


def unexplained(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """(function, kind) of the misses without a reason."""
    return sorted({(r.function, r.kind) for r in rows if r.missed()} - WHY.keys())
