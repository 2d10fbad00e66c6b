"""Which loop of a compiled function each value was fused into."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import shown_place
from .story import Row

_EXPANDED = {"matmul": "contract"}  # ops that the compiler knows by another's name

Fused = Sequence[tuple[str, Sequence[tuple[str, str]]]]  # loops, each with ops and their lines


def link(rows: list[Row], loops: Fused) -> None:
    """Say of each row in which loops its op is carried out: those that have its name and line.

    What simplification has taken away is in none; what is computed again where it is needed, in
    several.
    """
    where: dict[tuple[str, str], dict[str, None]] = {}
    for k, (words, made) in enumerate(loops):
        for name, line in made:
            for key in ((name, line), (name, "")):
                where.setdefault(key, {})[f"loop {k + 1}: {words}"] = None
    for row in rows:
        if row.op is not None:
            name = _EXPANDED.get(row.op.name, row.op.name)
            row.loops = tuple(where.get((name, _line(row)), ()))


def _line(row: Row) -> str:
    if row.made is None or not row.made.spots:
        return ""
    spot = row.made.spots[0]
    return shown_place((spot.code.co_filename, spot.line))


def told(rows: list[Row]) -> list[str]:
    """The loops, each with the rows that were fused into it."""
    members: dict[str, list[str]] = {}
    for row in rows:
        for loop in row.loops or ():
            members.setdefault(loop, []).append(row.name)
    lines = [f"{loop}  <- {', '.join(members[loop])}" for loop in sorted(members, key=_number)]
    gone = [r.name for r in rows if r.loops == ()]
    if gone:
        lines.append(f"simplified away, or carried out as another op: {', '.join(gone)}")
    return lines


def _number(loop: str) -> int:
    return int(loop.partition(":")[0].removeprefix("loop "))
