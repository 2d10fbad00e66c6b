r"""A formula as LaTeX, from the templates that ops declare.

>>> from gradarray.glass.expr import name, op
>>> tex(op("divide", 1, op("multiply", 2, op("sqrt", name("c")))))
'\\frac{1}{2 \\sqrt{c}}'
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from ..algebra import Reduction
from .expr import Expr, folded, is_op
from .numbers import DIGITS, WHOLE, digit
from .precedence import ATOM, CHOICE, FACTOR, POWER, PRODUCT, RELATION, SUM
from .simplify import exponent_of
from .templates import BIG, PASSED_ON, Slot, template
from .text import shown_params, swaps_two

_GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_LETTERS = dict(zip(_GREEK_LETTERS, _GREEK_NAMES.split(" "), strict=True))
_GREEK = frozenset(_LETTERS.values())
_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\wedge ", "~": r"\sim ", " ": r"\ ", "\n": r"\ ",
}  # fmt: skip


class Piece(NamedTuple):
    tex: str
    level: int
    is_number: bool = False
    has_value: bool = False  # it begins with a number

    def at(self, level: int) -> str:
        if self.level >= level:
            return self.tex
        if self.level == RELATION:
            return rf"\left[{self.tex}\right]"
        return rf"\left({self.tex}\right)"


def tex(
    expr: Expr, numbers: bool = False, digits: int | None = DIGITS, within: int = CHOICE
) -> str:
    """The formula in LaTeX's mathematics; with `numbers` the values stand in place of the names."""

    def one(e: Expr, parts: list[Piece]) -> Piece:
        return _leaf(e, numbers, digits) if e.op is None else _applied(e, parts)

    return folded(expr, one).at(within)


# Names --------------------------------------------------------------------------------------------


def name_tex(name: str) -> str:
    r"""A variable's name: `alpha` is \alpha, `x_new` is x_{\mathrm{new}}, `v1` is v_{1}."""
    if "/∂" in name and name.startswith("∂"):
        top, bottom = name[1:].split("/∂", 1)
        bottom, _, which = bottom.partition("[")
        one = rf"\frac{{\partial {name_tex(top)}}}{{\partial {name_tex(bottom)}}}"
        return one if not which else rf"\left({one}\right)_{{{which.rstrip(']')}}}"
    head, *rest = [part for part in name.split("_") if part] if name.isidentifier() else [name]
    found = re.fullmatch(r"([^\W\d_]+)(\d+)", head)
    if found:
        head, number = found.groups()
        rest = [number, *rest]
    below = ",".join(_word(part) for part in rest)
    return _word(head) + (rf"_{{{below}}}" if below else "")


def _word(word: str) -> str:
    if word in _GREEK:
        return "\\" + word
    if word in _LETTERS:
        return "\\" + _LETTERS[word]
    if (len(word) == 1 and (word.isalpha() or word.isdigit())) or word.isdecimal():
        return word
    return rf"\mathrm{{{escaped(word)}}}"


def escaped(words: str) -> str:
    """Words of a user's, of which no character means anything to TeX."""
    return "".join(_SPECIAL.get(c, c) for c in words)


# Values -------------------------------------------------------------------------------------------


def value_tex(value: Any, digits: int | None = DIGITS, whole: int = WHOLE) -> str:
    r"""A number, a small array as a row or a pmatrix, others by their form."""
    if value is None:
        return r"\mathrm{?}"
    array = np.asarray(value)
    if array.ndim:
        return _array(array, digits, whole)
    if array.dtype.kind not in "biufc":
        return rf"\mathrm{{{escaped(str(value))}}}"
    shown = digit(array[()], digits)
    if array.dtype.kind == "b":
        return rf"\mathrm{{{shown.lower()}}}"
    shown = shown.replace("inf", r"\infty ").replace("nan", r"\mathrm{nan}").replace("j", "i")
    return re.sub(r"e([+-]?)0*(\d+)", _power_of_ten, shown).strip()


def _power_of_ten(found: re.Match[str]) -> str:
    sign = "-" if found[1] == "-" else ""
    return rf" \cdot 10^{{{sign}{found[2]}}}"


def _array(array: Any, digits: int | None, whole: int) -> str:
    if array.size and (array == array.flat[0]).all() and array.size > 1:
        return rf"{value_tex(array.flat[0], digits)}_{{{_by(array.shape)}}}"
    if array.size > whole or array.ndim > 2 or not array.size:
        return rf"\mathrm{{array}}_{{{_by(array.shape)}}}"
    rows = array if array.ndim == 2 else array[None]
    cells = [[value_tex(x, digits) for x in row] for row in rows]
    if array.ndim == 1:
        return rf"\left({', '.join(cells[0])}\right)"
    lines = r" \\ ".join(" & ".join(row) for row in cells)
    return rf"\begin{{pmatrix}}{lines}\end{{pmatrix}}"


def _by(shape: tuple[int, ...]) -> str:
    return r" \times ".join(map(str, shape))


def _leaf(e: Expr, numbers: bool, digits: int | None) -> Piece:
    value = e.value
    known = numbers and value is not None and np.size(value) <= WHOLE and e.name != "π"
    if e.name and not known:
        shown = name_tex(e.name)
        return Piece(shown, FACTOR if shown.startswith(r"\frac") else ATOM)
    # Without numbers an array that has no name is told by its form.
    shown = value_tex(value, digits, WHOLE if numbers else 0)
    if np.ndim(value if value is not None else 0):
        return Piece(shown, ATOM)
    if "e" not in shown and shown[0] in "0123456789" and "+" not in shown and "-" not in shown[1:]:
        return Piece(shown, PRODUCT if "cdot" in shown else ATOM, True, True)
    if r"\cdot 10^" in shown and not shown.startswith("-"):
        return Piece(shown, PRODUCT, True, True)
    return Piece(shown, ATOM if shown.startswith("\\") else SUM, False, True)


# Ops ----------------------------------------------------------------------------------------------


def _applied(e: Expr, parts: list[Piece]) -> Piece:
    assert e.op is not None
    piece = _templated(e, parts)
    if e.which is None:
        return piece
    return Piece(rf"{{{piece.at(ATOM)}}}_{{{e.which}}}", POWER)


def _templated(e: Expr, parts: list[Piece]) -> Piece:
    op: Any = e.op
    names = op.operands if hasattr(op, "operands") else ()
    if op.name in ("multiply", "absorb") and parts[0].is_number and not parts[1].has_value:
        right = parts[1].at(FACTOR)
        if not right.startswith(r"\frac"):  # that would be a number of its own, one and a half
            return Piece(f"{parts[0].at(PRODUCT)} {right}", PRODUCT, False, True)
    if op.name in ("square", "power", "fixed_power"):
        raised = _raised(e, parts[0])
        if raised:
            return Piece(raised, FACTOR)
    if op.name in _MULTIPLIED:
        parts = [_set_apart(op.name, a, p) for a, p in zip(e.args, parts, strict=True)]
    known: dict[str, Piece] = dict(zip(names, parts, strict=False))
    form = getattr(op, "tex", "")
    if op.name == "transpose" and not swaps_two(e):
        form = ""
    if getattr(op, "variadic", False) and not op.index:
        known["x"] = Piece(_listed(parts), CHOICE)
        form = form.replace(r", \ldots", "")
    if not form or any(name in names and name not in known for name in re.findall(r"\w+", form)):
        return _called(e, parts)
    if issubclass(op, Reduction):
        form = _over(form, e)
    known |= {k: _param(v) for k, v in e.params.items() if k not in known}
    read = template(form, tuple(known))
    if read.level == PASSED_ON:
        return next(known[part.name] for part in read.parts if isinstance(part, Slot))
    out = [p if isinstance(p, str) else _placed(p, known[p.name]) for p in read.parts]
    first = read.parts[0]
    has_value = known[first.name].has_value if isinstance(first, Slot) else first.isdigit()
    return Piece("".join(out).strip(), read.level, False, has_value)


_MULTIPLIED = {"multiply": "elements", "absorb": "elements", "matmul": "matrices"}


def _set_apart(name: str, part: Expr, piece: Piece) -> Piece:
    """A product of elements within one of matrices, or the other way round, in parentheses."""
    kind = _MULTIPLIED.get(part.op.name) if part.op is not None else None
    if kind is None or kind == _MULTIPLIED[name]:
        return piece
    return Piece(piece.at(FACTOR), FACTOR)


def _raised(e: Expr, base: Piece) -> str:
    r"""A power of a function, as \sin^2 x."""
    n = 2 if is_op(e, "square") else exponent_of(e)
    head = base.tex.split(" ", 1)[0]
    if not isinstance(n, int) or n < 2 or base.level != FACTOR or head not in _RAISED:
        return ""
    return f"{head}^{{{n}}}{base.tex[len(head):]}"


_RAISED = frozenset({
    r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh", r"\operatorname{sech}", r"\log",
})  # fmt: skip


def _placed(slot: Slot, piece: Piece) -> str:
    shown = piece.at(slot.level)
    # Neither two subscripts nor two exponents may follow one another.
    twice = slot.before and slot.before in shown and shown == piece.tex
    return f"{{{shown}}}" if slot.braced or twice else shown


def _param(value: Any) -> Piece:
    return _leaf(Expr(None, value=value), True, DIGITS)


def _over(form: str, e: Expr) -> str:
    """The axis under a sum, where it is not over all."""
    axis = dict(shown_params(e)).get("axis")
    big = next((b for b in (*BIG, r"\max", r"\min") if form.startswith(b)), None)
    if axis is None or big is None:
        return form
    return f"{big}_{{{axis.strip('()').rstrip(',')}}}{form[len(big):]}"


def _listed(parts: list[Piece]) -> str:
    shown = [p.tex for p in parts]
    return ", ".join([*shown[:3], r"\ldots", shown[-1]] if len(shown) > 6 else shown)


def _called(e: Expr, parts: list[Piece]) -> Piece:
    """As a function, where the op has no way of its own to be written."""
    assert e.op is not None
    params = [rf"\mathrm{{{escaped(k)}}}={_param_words(v)}" for k, v in shown_params(e)]
    inner = ", ".join([_listed(parts), *params] if parts else params)
    return Piece(rf"\operatorname{{{_letters(e.op.name)}}}\left({inner}\right)", FACTOR)


def _param_words(value: str) -> str:
    plain = re.fullmatch(r"[\d\s(),.+-]*", value)
    return value if plain else rf"\mathrm{{{escaped(value)}}}"


def _letters(name: str) -> str:
    """An operator's name has letters only: `reciprocal_or` as it is read aloud."""
    return "".join(c if c.isalnum() else " " for c in name).strip().replace(" ", r"\,")
