r"""How an op's TeX template holds its operands: which need parentheses, and how tight it is itself.

`\frac{{a}}{{b}}` takes anything in its slots, `{a} \cdot {b}` takes no sums, `{x}^2` only what
cannot be misread. That is seen from what stands beside a slot, so no op says it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .precedence import ATOM, CHOICE, FACTOR, POWER, PRODUCT, RELATION, SUM

RELATIONS = frozenset({
    "=", "<", ">", r"\leq", r"\geq", r"\ne", r"\approx", r"\wedge", r"\vee", r"\veebar", r"\mid",
    ":",
})  # fmt: skip
PRODUCTS = frozenset({
    r"\cdot", r"\times", r"\star", "*", "/", r"\oplus", r"\ll", r"\gg", r"\mathrm{mod}",
    r"\mathrm{and}", r"\operatorname{fmod}",
})  # fmt: skip
CHOICES = frozenset({r"\mathrm{if}", r"\mathrm{else}"})
FUNCTIONS = frozenset({
    r"\sin", r"\cos", r"\tan", r"\arcsin", r"\arccos", r"\arctan", r"\sinh", r"\cosh", r"\tanh",
    r"\exp", r"\log", r"\det", r"\max", r"\min", r"\arg", r"\gcd", r"\Re", r"\Im", r"\neg", r"\sim",
})  # fmt: skip
BIG = frozenset({r"\sum", r"\prod", r"\bigvee", r"\bigwedge"})
CLOSED_BY = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
SPACES = frozenset({" ", r"\,", r"\;", r"\ ", r"\left", r"\right"})

PASSED_ON = -1  # the level of a template that is a slot and nothing else


@dataclass
class Slot:
    """A place for an operand: how tight it must be; `braced` where TeX takes only one token."""

    name: str
    level: int = 0
    braced: bool = False
    before: str = ""  # what follows it: ^ or _


@dataclass
class _Unit:
    kind: str  # slot, function, big, relation, choice, sign, product, separator, fraction, atom
    slot: Slot | None = None
    scripts: str = ""
    called: bool = False


@dataclass(frozen=True)
class Template:
    parts: tuple[str | Slot, ...]
    level: int


@functools.cache
def template(tex: str, names: tuple[str, ...]) -> Template:
    """The template read, with slots for these names."""
    return _Reader(tex, names).read()


class _Reader:
    def __init__(self, tex: str, names: tuple[str, ...]) -> None:
        slots = rf"\{{(?:{'|'.join(map(re.escape, names))})\}}|" if names else ""
        words = r"\\(?:mathrm|operatorname|mathcal)\{[^}]*\}"
        self.tokens = re.findall(rf"{words}|{slots}\\[A-Za-z]+|\\.|.", tex)
        self.names = {f"{{{name}}}": name for name in names}
        self.parts: list[str | Slot] = []
        self.at = 0

    def read(self) -> Template:
        units = self.sequence("")
        return Template(tuple(self.parts), _level(units))

    def take(self) -> str:
        token = self.tokens[self.at]
        self.at += 1
        self.parts.append(token)
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def slot(self) -> Slot:
        slot = Slot(self.names[self.tokens[self.at]])
        self.at += 1
        self.parts.append(slot)
        return slot

    def sequence(self, end: str) -> list[_Unit]:
        """What stands together up to `end`; its slots get their levels."""
        units: list[_Unit] = []
        spaced = True
        while self.peek() and self.peek() != end:
            token = self.peek()
            if token in SPACES:
                self.take()
                spaced = True
                continue
            if token in "^_":
                self.take()
                units[-1].scripts += token
                if units[-1].slot is not None:
                    units[-1].slot.before = units[-1].slot.before or token
                self.argument()
            elif token in ("(", "[") and units and not spaced and units[-1].kind in _CALLED:
                units[-1].called = True
                self.enclosed()
            else:
                units.append(self.unit())
            spaced = False
        if end and self.peek():
            self.take()
        _ask(units)
        return units

    def argument(self) -> None:
        """What a script, or a command such as a root, applies to."""
        if self.peek() in self.names:
            self.slot().braced = True
        elif self.peek() == "{":
            self.enclosed()
        else:
            self.take()

    def enclosed(self) -> None:
        opening = self.take()
        self.sequence(CLOSED_BY.get(opening, opening))

    def unit(self) -> _Unit:
        token = self.peek()
        if token in self.names:
            return _Unit("slot", self.slot())
        if token in CLOSED_BY or token in ("|", r"\Vert"):
            self.enclosed()
            return _Unit("closed")
        self.take()
        if token in (r"\frac", r"\binom"):
            self.argument()
            self.argument()
            return _Unit("fraction" if token == r"\frac" else "closed")
        if token == r"\sqrt":
            if self.peek() == "[":
                self.enclosed()
            self.argument()
            return _Unit("closed")
        return _Unit(next((kind for kind, known in _KINDS.items() if token in known), _word(token)))


_KINDS = {
    "relation": RELATIONS, "product": PRODUCTS, "choice": CHOICES, "function": FUNCTIONS,
    "big": BIG, "sign": frozenset("+-"), "separator": frozenset(","),
}  # fmt: skip
_CALLED = ("atom", "slot", "function")


def _word(token: str) -> str:
    return "function" if token.startswith((r"\operatorname", r"\mathcal")) else "atom"


def _ask(units: list[_Unit]) -> None:
    """What the neighbours of each slot ask of it."""
    for k, unit in enumerate(units):
        if unit.slot is None:
            continue
        left = units[k - 1].kind if k else "separator"
        right = units[k + 1].kind if k + 1 < len(units) else "separator"
        asked = ATOM if unit.scripts or unit.called else CHOICE
        unit.slot.level = max(asked, _FROM_LEFT.get(left, FACTOR), _FROM_RIGHT.get(right, PRODUCT))


_FROM_LEFT = {
    "separator": CHOICE, "choice": RELATION, "relation": SUM, "sign": PRODUCT, "product": FACTOR,
    "function": ATOM,
}  # fmt: skip
_FROM_RIGHT = {
    "separator": CHOICE, "choice": RELATION, "relation": SUM, "sign": SUM, "product": PRODUCT,
}  # fmt: skip


def _level(units: list[_Unit]) -> int:
    """How tight it is as a whole."""
    kinds = [unit.kind for unit in units]
    for kind, level in (("choice", CHOICE), ("relation", RELATION), ("sign", SUM)):
        if kind in kinds:
            return level
    if len(units) != 1:
        called = units and all(kind == "function" for kind in kinds[:-1])
        return FACTOR if called and kinds[-1] not in ("product", "big") else PRODUCT
    unit = units[0]
    if unit.kind == "slot" and not unit.scripts and not unit.called:
        return PASSED_ON
    if unit.called:
        return FACTOR if unit.kind == "function" else ATOM
    if unit.kind == "fraction":
        return FACTOR
    return POWER if "^" in unit.scripts or (unit.kind == "slot" and unit.scripts) else ATOM
