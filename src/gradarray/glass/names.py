"""What the user calls a value: `a` where the source says `a = x**2`.

An instruction knows which part of its source line it stands for; if that part is all that is
assigned to a variable, the value has the variable's name.
"""

from __future__ import annotations

import ast
import functools
import linecache
from types import CodeType
from typing import NamedTuple

from .record import Made, Spot


class Target(NamedTuple):
    """What becomes of an expression: it is assigned to a name, or to several, or returned."""

    name: str | tuple[str, ...]
    returned: bool


Where = tuple[int, int, int, int]  # first and last line, first and last column


def named(made: list[Made], result: str) -> dict[Made, str | tuple[str, ...]]:
    """Names for those of these ops, in order, whose results the source names.

    An op with several results has a tuple of names. Where a function returns a value, its name is
    what the caller assigns it to, and `result` where it is the outermost.
    """
    last: dict[Spot, Made] = {}  # of each call that an instruction made
    for one in made:
        for spot in one.spots:
            last[spot] = one
    found: dict[Made, str | tuple[str, ...]] = {}
    for one in made:
        for spot in one.spots:
            target = target_of(spot) if last[spot] is one else None
            if target is None:
                break
            if target.name:
                found[one] = target.name
                break
            if not target.returned:
                break
        else:
            if one.spots:
                found[one] = result
    return found


def target_of(spot: Spot) -> Target | None:
    """What the source does with what this instruction computes."""
    where = _position(spot.code, spot.instruction)
    if where is None:
        return None
    return _targets(spot.code.co_filename, _text(spot.code.co_filename)).get(where)


def _position(code: CodeType, instruction: int) -> Where | None:
    for k, (line, end, column, stop) in enumerate(code.co_positions()):
        if 2 * k == instruction:
            if line is None or end is None or column is None or stop is None:
                return None
            return line, end, column, stop
    return None


def _text(filename: str) -> str:
    return "".join(linecache.getlines(filename))


@functools.lru_cache(maxsize=64)
def _targets(filename: str, text: str) -> dict[Where, Target]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[Where, Target] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            _assigned(node.targets[0], node.value, found)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            _assigned(node.target, node.value, found)
        elif isinstance(node, ast.AugAssign):  # one instruction for all of it
            _assigned(node.target, node, found)
        elif isinstance(node, (ast.Return, ast.Lambda)):
            value = node.body if isinstance(node, ast.Lambda) else node.value
            if value is not None:
                found[where_of(value)] = Target("", True)
    return found


def _assigned(target: ast.expr, value: ast.expr | ast.stmt, found: dict[Where, Target]) -> None:
    if not isinstance(target, (ast.Tuple, ast.List)):
        if _name(target):
            found[where_of(value)] = Target(_name(target), False)
    elif isinstance(value, (ast.Tuple, ast.List)):
        for one, part in zip(target.elts, value.elts, strict=False):
            _assigned(one, part, found)
    else:
        found[where_of(value)] = Target(tuple(map(_name, target.elts)), False)


def _name(target: ast.expr) -> str:
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""


def where_of(node: ast.expr | ast.stmt) -> Where:
    """The part of the source that a node stands for, as instructions tell it."""
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


class Names:
    """Hands out names, each once: a second `h` is `h_2`."""

    def __init__(self, reserved: set[str]) -> None:
        self._taken: set[str] = set()
        self._reserved = reserved
        self._count: dict[str, int] = {}
        self._numbered: dict[str, int] = {}

    def own(self, name: str) -> str:
        """A name that the user gave; what a terminal would obey in it is written out."""
        name = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
        n = self._count.get(name, 0)
        while True:
            n += 1
            full = name if n == 1 else f"{name}_{n}"
            if full not in self._taken:
                break
        self._count[name] = n
        self._taken.add(full)
        return full

    def new(self, prefix: str = "v") -> str:
        """One of ours."""
        while True:
            n = self._numbered[prefix] = self._numbered.get(prefix, 0) + 1
            name = f"{prefix}{n}"
            if name not in self._taken and name not in self._reserved:
                self._taken.add(name)
                return name
