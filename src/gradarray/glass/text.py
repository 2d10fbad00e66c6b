"""A formula as one line of plain text: 1/(2 sqrt(c)), (A @ B)ᵀ, sum(x, axis=1).

>>> from gradarray.glass.expr import name, op
>>> c = name("c", 4.0)
>>> text(op("divide", 1, op("multiply", 2, op("sqrt", c))))
'1/(2 sqrt(c))'
>>> text(op("divide", 1, op("multiply", 2, op("sqrt", c))), numbers=True)
'1/(2 sqrt(4))'
"""

from __future__ import annotations

import functools
import inspect
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from .. import registry
from .expr import Expr, folded
from .numbers import DIGITS, WHOLE, digit
from .precedence import ATOM, CHOICE, FACTOR, INFIX, POWER, PRODUCT, RELATION, SUM
from .simplify import exponent_of, simplify

_SIGNS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤", "*": "·"}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Piece(NamedTuple):
    """Text, and how tight it is."""

    text: str
    level: int
    is_number: bool = False
    has_value: bool = False  # it begins with a number
    sign: str = ""  # what joins it, where it is made of two

    def at(self, level: int) -> str:
        if self.level >= level:
            return self.text
        return f"[{self.text}]" if self.level == RELATION else f"({self.text})"


def text(
    expr: Expr, numbers: bool = False, digits: int | None = DIGITS, within: int = CHOICE
) -> str:
    """The formula in one line; with `numbers` the values stand in place of the names.

    Numbers are rounded to so many significant `digits`; with None they are written as short as
    possible so that reading gives the same number. It gets the parentheses that it needs as a part
    of something as tight as `within`, such as a factor.
    """

    def one(e: Expr, parts: list[Piece]) -> Piece:
        return _leaf(e, numbers, digits) if e.op is None else _applied(e, parts)

    return folded(expr, one).at(within)


def factor_text(expr: Expr, within: int = CHOICE, numbers: bool = False) -> str:
    """A local derivative as a textbook prints it, as a part of something as tight as `within`."""
    return text(simplify(expr, exact=False), numbers, within=within)


def value_text(value: Any, digits: int | None = None) -> str:
    """A value: a number as it is read back, a small array by its elements, others by shape."""
    if value is None:
        return "not kept"
    if np.ndim(value):
        if np.size(value) > WHOLE:
            return f"array{list(np.shape(value))}"
        return f"[{', '.join(value_text(x, digits) for x in value)}]"
    if isinstance(value, np.ndarray):
        value = value[()]
    return digit(value, digits) if isinstance(value, (bool, complex, Number)) else str(value)


def _leaf(e: Expr, numbers: bool, digits: int | None) -> Piece:
    value = e.value
    known = numbers and value is not None and np.size(value) <= WHOLE and e.name != "π"
    if e.name and not known:
        return Piece(e.name, ATOM)
    shown = value_text(value, digits)
    if shown.startswith("-"):
        return Piece(shown, SUM, has_value=True)
    if isinstance(value, (complex, np.complexfloating)):
        return Piece(shown, SUM, has_value=True)
    if "e" in shown and shown[0].isdigit():
        return Piece(shown, PRODUCT, True, True)
    is_number = value is not None and not np.ndim(value)
    return Piece(shown, ATOM, is_number, is_number)


def _applied(e: Expr, parts: list[Piece]) -> Piece:
    assert e.op is not None
    name = e.op.name
    if name in INFIX and len(parts) == 2 and name != "power":
        return _between(name, *parts)
    if name == "negative":
        return Piece("-" + parts[0].at(PRODUCT), SUM)
    if name in ("square", "power", "fixed_power", "finite_power"):
        return _power(e, parts)
    if name in ("reciprocal", "reciprocal_or"):
        return _between("divide", Piece("1", ATOM, True, True), parts[0])
    if name == "absolute":
        return Piece(f"|{parts[0].text}|", ATOM)
    if name == "transpose" and swaps_two(e):
        return Piece(parts[0].at(ATOM) + "ᵀ", POWER)
    given = [p.text for p in parts] + [f"{k}={v}" for k, v in shown_params(e)]
    which = "" if e.which is None else f"[{e.which}]"
    return Piece(f"{name.removesuffix('_or')}({', '.join(given)}){which}", ATOM)


def _between(name: str, a: Piece, b: Piece) -> Piece:
    sign, level = INFIX[name]
    sign = _SIGNS.get(sign, sign)
    if level == PRODUCT:
        # A product of one kind within one of another is set apart: they are read in either order.
        left = a.at(level if a.level != level or a.sign in _ALIKE[sign] else FACTOR)
        # a · 1/b is the same whichever is done first.
        right = b.text if sign == "·" and b.sign == "/" and b.has_value else b.at(FACTOR)
        if right.startswith("(-"):
            a = a._replace(is_number=False)
        if sign == "·" and a.is_number and not b.has_value:
            return Piece(f"{left} {right}", level, False, True, sign)
        if not (sign == "/" and (a.level > level or left.startswith(("(", "[")))):
            sign = f" {sign} "
        return Piece(left + sign + right, level, False, a.has_value, sign.strip())
    right = b.at(level + 1)
    left = a.at(level if level == SUM else level + 1)
    return Piece(f"{left} {sign} {right}", level, False, a.has_value, sign)


_ALIKE = {"·": "·", "/": "·", "@": "@", "//": "", "%": ""}


def _power(e: Expr, parts: list[Piece]) -> Piece:
    assert e.op is not None
    n = 2 if e.op.name == "square" else exponent_of(e)
    below, base = parts[0], parts[0].at(ATOM)
    if isinstance(n, int) and n >= 0:
        raised = base + str(n).translate(_RAISED)
        return Piece(raised, POWER, below.is_number, below.has_value)
    if len(parts) > 1:
        exponent = parts[1].at(ATOM)
    else:
        exponent = value_text(n)
        exponent = f"({exponent})" if exponent.startswith("-") else exponent
    return Piece(f"{base}^{exponent}", POWER, False, below.has_value)


def swaps_two(e: Expr) -> bool:
    """Does it swap the last two axes, and leave the others?"""
    axes = e.params["axes"]
    n = len(axes)
    return n >= 2 and tuple(axes) == (*range(-n, -2), -1, -2)


def shown_params(e: Expr) -> list[tuple[str, str]]:
    """The static parameters that a reader needs."""
    out = []
    defaults = _defaults(e.op)
    for key, value in e.params.items():
        if value is None or value is False or key in _INTERNAL:
            continue
        if type(value) is type(defaults.get(key)) and value == defaults[key]:
            continue
        if key == "axis":
            value = _axis(e, value)
            if value is None:
                continue
        out.append((key, param_text(value)))
    return out


_INTERNAL = frozenset({"at_0", "finite", "at_tie"})  # what happens at single points


@functools.cache
def _defaults(op: Any) -> dict[str, Any]:
    """What the parameters are where the user says nothing."""
    for entry in registry.functions.values():
        if entry.op is op:
            known = inspect.signature(entry.fn).parameters.values()
            return {p.name: p.default for p in known if p.default is not p.empty}
    return {}


def _axis(e: Expr, axis: Any) -> Any:
    """Axes counted from the front; None where they are all there are."""
    ndim = np.ndim(e.args[0].value) if e.args and e.args[0].value is not None else 0
    if isinstance(axis, int):
        return axis + ndim if ndim and axis < 0 else axis
    if not isinstance(axis, tuple) or not ndim or not all(isinstance(a, int) for a in axis):
        return axis
    if e.op is not None and e.op.name in ("expand_dims", "squeeze"):
        return axis[0] if len(axis) == 1 else axis
    front = tuple([a + ndim if a < 0 else a for a in axis])
    if len(front) == ndim:
        return None
    return front[0] if len(front) == 1 else front


def param_text(value: Any) -> str:
    """A static parameter."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value_text(value)
    if isinstance(value, (tuple, list)):
        inner = [param_text(x) for x in value[:8]] + (["..."] if len(value) > 8 else [])
        return f"({', '.join(inner)}{',' if len(value) == 1 else ''})"
    if isinstance(value, (int, float, str, slice)) or value is Ellipsis:
        return repr(value)
    return getattr(value, "__name__", None) or getattr(value, "name", None) or str(value)
