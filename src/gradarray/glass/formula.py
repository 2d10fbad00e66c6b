"""A derivative as formulas: the chain rule step by step, and all of it in one.

The steps are those of the sweep: what each value is, then each adjoint as the sum over the uses of
the value. One formula in the inputs alone follows by putting the steps into one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .. import errors
from .carry import Carrier
from .expr import Expr, folded, number, op
from .mathml import FormulaError, mathml
from .simplify import simplify
from .source import identifier
from .statements import expression
from .story import Row, Story, Term
from .symbolic import simplified
from .tex import name_tex, tex
from .text import text

LONGEST = 40  # operations of a formula that is shown in one piece


# Steps --------------------------------------------------------------------------------------------


def steps_text(story: Story, numbers: bool = False) -> str:
    """The steps, one a line, in plain text; then the derivative in one formula."""
    lines = [f"{left} = {text(right, numbers)}" for left, right in steps(story)]
    for row in _told(story):
        try:
            one = formula(story, row.name)
            lines.append(f"{_total_text(story, row)} = {one.text(numbers)}")
        except FormulaError as error:
            lines.append(str(error).splitlines()[0])
    return "\n".join(lines)


def steps_latex(story: Story, numbers: bool = False) -> str:
    r"""The steps as an `align*` block for a LaTeX document with amsmath."""
    return "\\begin{align*}\n" + " \\\\\n".join(_rows(story, numbers)) + "\n\\end{align*}"


def steps_mathml(story: Story, numbers: bool = False) -> str:
    """The steps as one table of MathML."""
    return mathml(r"\begin{aligned}" + r" \\ ".join(_rows(story, numbers)) + r"\end{aligned}", True)


def _rows(story: Story, numbers: bool) -> Iterator[str]:
    for left, right in steps(story):
        yield f"{name_tex(left)} &= {tex(right, numbers)}"
    for row in _told(story):
        try:
            one = formula(story, row.name)
            yield f"{_total_tex(story, row)} &= {one.latex(numbers)}"
        except FormulaError as error:
            yield rf"{_total_tex(story, row)} &: \text{{{_words(error)}}}"


def steps(story: Story) -> Iterator[tuple[str, Expr]]:
    """What each name stands for: values, oldest first, then adjoints, newest first."""
    for row in story.rows:
        if row.kind == "result":
            yield row.name, row.formula
    for row in reversed(story.rows):
        if row.adjoint is not None and row.terms and row.kind != "constant":
            yield row.symbol, adjoint(row, story)


def adjoint(row: Row, story: Story) -> Expr:
    """The adjoint of a value as the sum over its uses."""
    terms = [x for x in (contribution(t, story) for t in row.terms) if x is not None]
    total = terms[0]
    for x in terms[1:]:
        total = op("add", total, x)
    return total


def contribution(term: Term, story: Story) -> Expr | None:
    """What one use of a value adds: what comes in times the local derivative, if there is one."""
    found = term.pulled
    if found is None:
        return None
    came = number(1) if term.to is story.result else term.to.incoming
    if found.factor is None:
        if term.to is not story.result or np.ndim(story.result.value):
            return simplify(found.whole)
        return simplify(_with(found.whole, {story.result.symbol: number(1)}))
    factor = simplify(found.factor, exact=False)
    total = _times(came, factor, found.core.value)
    for one in found.projections:
        total = Expr(one.op, [total, *one.args[1:]], one.params, one.value)
    return simplify(total) if found.projections else total


def _times(came: Expr, factor: Expr, value: object) -> Expr:
    if factor.is_number and factor.value == 1:
        return came
    if came.is_number:
        return factor
    if factor.is_number and factor.value == -1:
        return Expr(op("negative", came).op, [came], value=value)
    return Expr(op("multiply", came, factor).op, [came, factor], value=value)


# In one piece -------------------------------------------------------------------------------------


class Formula:
    """A derivative as one formula in the inputs; it prints as text."""

    def __init__(self, expr: Expr, order: Iterable[str] = ()) -> None:
        self.expr = expr
        known = _names(expr)
        # What it is a function of.
        self.names = [name for name in dict.fromkeys(order) if name in known]

    def text(self, numbers: bool = False) -> str:
        return text(self.expr, numbers)

    def latex(self, numbers: bool = False) -> str:
        return tex(self.expr, numbers)

    def mathml(self, numbers: bool = False) -> str:
        return mathml(self.latex(numbers))

    def python(self) -> str:
        """A function of the inputs, with what it needs, for NumPy."""
        carrier = Carrier()
        names = {name: carrier.new(identifier(name)) for name in self.names}
        lines, code = expression(self.expr, carrier, names)
        body = "\n".join(f"    {line}" for line in [*lines, f"return {code}"])
        head = carrier.text()
        parts = [head] if head else []
        parts.append(f"def derivative({', '.join(names.values())}):\n{body}\n")
        return "\n\n\n".join(parts)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def formula(
    story: Story, name: str = "", *, longest: int = LONGEST, sympy: bool = False
) -> Formula:
    """The derivative in the input `name` as one simplified formula in the inputs.

    With `sympy` it is simplified further by SymPy (pip install gradarray[symbolic]). Raises
    FormulaError where it would have more than `longest` operations.
    """
    row = _input(story, name)
    if row.adjoint is None:
        return Formula(number(0))
    expr = _Inlined(story).bar(row)
    size = expr.count()
    if size <= 10 * longest:
        expr = simplify(expr, exact=False)
        if sympy:
            expr = simplified(expr)
        size = expr.count()
    if size > longest:
        about = f"{size:,}" if size < 10**6 else f"about 10^{len(str(size)) - 1}"
        raise FormulaError(
            errors.message(
                "formula",
                f"{row.symbol} in one piece has {about} operations, more than {longest}.",
                "The steps of the chain rule are the formula; or give a larger `longest`.",
            )
        )
    return Formula(expr, [one.name for one in (*story.inputs, *story.rows)])


def _input(story: Story, name: str) -> Row:
    known = {row.name: row for row in story.inputs}
    if name in known:
        return known[name]
    if not name and len(known) == 1:
        return next(iter(known.values()))
    asked = f"{name!r} is none of the inputs" if name else "there are several inputs"
    listed = ", ".join(map(repr, known))
    raise ValueError(errors.message("formula", f"{asked}.", f"They are {listed}."))


class _Inlined:
    """Values and adjoints with every step put in."""

    def __init__(self, story: Story) -> None:
        self.there: dict[str, Expr] = {story.result.symbol: number(1)}
        for row in story.rows:
            if row.kind == "result":
                self.there[row.name] = self._whole(row.formula)
        self.bars: dict[Row, Expr] = {}
        for row in reversed(story.rows):
            if row.adjoint is None or row is story.result or not row.terms:
                continue
            parts = [self._whole(t.pulled.whole) for t in row.terms if t.pulled is not None]
            total = parts[0]
            for x in parts[1:]:
                total = op("add", total, x)
            self.bars[row] = self.there[row.symbol] = total
            if row.which is not None:
                self.there[f"{row.siblings[0].symbol}[{row.which}]"] = total

    def bar(self, row: Row) -> Expr:
        return self.bars.get(row) or number(1)

    def _whole(self, e: Expr) -> Expr:
        return _with(e, self.there)


def _with(e: Expr, there: dict[str, Expr]) -> Expr:
    """With these names replaced."""

    def one(part: Expr, args: list[Expr]) -> Expr:
        if part.op is None:
            return there.get(part.name, part) if part.name else part
        return Expr(part.op, args, part.params, part.value, which=part.which)

    return folded(e, one)


def _names(e: Expr) -> dict[str, None]:
    found: dict[str, None] = {}

    def one(part: Expr, _: object) -> None:
        if part.op is None and part.name and part.name != "π":
            found.setdefault(part.name)

    folded(e, one)
    return found


def _told(story: Story) -> list[Row]:
    """Inputs of which the derivative is told in one piece as well."""
    moving = [row for row in story.arguments if row.adjoint is not None]
    return [row for row in moving if row.terms or row is story.result]


def _total_text(story: Story, row: Row) -> str:
    return f"d{story.result.name}/d{row.name}"


def _total_tex(story: Story, row: Row) -> str:
    top, bottom = name_tex(story.result.name), name_tex(row.name)
    return rf"\frac{{\mathrm{{d}} {top}}}{{\mathrm{{d}} {bottom}}}"


def _words(error: FormulaError) -> str:
    return str(error).splitlines()[0].replace("∂", "d").replace("_", r"\_").replace("^", " to the ")
