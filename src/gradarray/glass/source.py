"""A story as Python that runs on its own on NumPy: the value step by step, and the sweep back.

Both come from what was recorded. An op that NumPy or SciPy has is called by its name there,
arithmetic is written as such, and of any other op the library's own forward is brought along.
"""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap
from typing import Any

import numpy as np

from .carry import Carrier
from .expr import Expr, folded, is_op, op
from .simplify import simplify
from .statements import Writer, not_kept
from .story import Row, Story

INLINE = 64  # elements of a constant that is written into the program

_RESERVED = frozenset(keyword.kwlist) | {
    *dir(builtins), "np", "special", "linalg", "math", "types", "collections", "functools",
    "operator",
}  # fmt: skip


def python(story: Story) -> str:
    """The program: helpers, and `value_and_grad` of the inputs.

    It returns the value, and the derivatives in a dict by the names of the inputs.
    """
    return _Program(story).text()


class _Program:
    def __init__(self, story: Story) -> None:
        self.story = story
        self.carrier = Carrier()
        self.carrier.taken |= _RESERVED
        self.names: dict[str, str] = {}
        self.bars: dict[Row, str] = {}
        self.places: dict[Any, str] = {}  # inputs by where they lie
        self.body: list[str] = []

    def text(self) -> str:
        rows = self.story.rows
        for row in rows:
            self.names[row.name] = self.carrier.new(identifier(row.name))
        self.writer = Writer(self.carrier, self.names)
        inputs = self.story.inputs
        for row in inputs:
            self._input(row)
        given = [r for r in rows if r.kind == "constant" and self._constant(r)]
        for row in rows:
            self._forward(row)
        self._backward()
        result = self.names[self.story.result.name]
        gradients = ", ".join(f"{r.name!r}: {self._gradient(r)}" for r in inputs)
        arguments = ", ".join(self.names[r.name] for r in inputs)
        if given:
            arguments += ", *, " + ", ".join(self.names[r.name] for r in given)
        self.body.append(f"return {result}, {{{gradients}}}")
        head = [f'"""{_about(inputs, given, self.names)}"""']
        body = textwrap.indent("\n".join([*head, *self.body]), "    ")
        function = f"def value_and_grad({arguments}):\n{body}\n"
        return f"{self.carrier.text()}\n\n\n{function}"

    def _write(self, target: str, expr: Expr) -> None:
        code = self.writer.code(expr)
        self.body += [*self.writer.lines, f"{target} = {code}"]
        self.writer.lines.clear()

    def _input(self, row: Row) -> None:
        name, dtype = self.names[row.name], np.dtype(row.dtype or np.float64).name
        self.body.append(f"{name} = {self.carrier.numpy()}.asarray({name}, np.{dtype})")
        if row.value is not None and np.ndim(row.value):
            self.places[_place(row.value)] = name

    def _constant(self, row: Row) -> bool:
        """Write what it is; or it is asked for, if it is large."""
        if row.value is None:
            raise not_kept(row.name)
        name, same = self.names[row.name], self.places.get(_place(row.value))
        if same is not None:  # an input, where no derivative is to go through it
            self.body.append(f"{name} = {same}")
        elif np.size(row.value) <= INLINE:
            self.body.append(f"{name} = {self.carrier.value(np.asarray(row.value))}")
        else:
            return True
        return False

    def _forward(self, row: Row) -> None:
        if row.kind == "result":
            name, formula = self.names[row.name], row.formula
            self._write(name, formula)
            self.writer.known[self.writer.keys(formula)] = name

    def _backward(self) -> None:
        rows = [row for row in reversed(self.story.rows) if row.adjoint is not None]
        totals = {row: _total(row) for row in rows if row.terms}
        self.writer.share(totals.values())
        for row in rows:
            bar = self.carrier.new("d_" + self.names[row.name])
            self.bars[row] = bar
            if row in totals:
                self._write(bar, totals[row])
                self.writer.known.setdefault(self.writer.keys(totals[row]), bar)
            else:
                self.body.append(f"{bar} = np.ones_like({self.names[row.name]})")
            self._name_adjoint(row, bar)

    def _name_adjoint(self, row: Row, bar: str) -> None:
        self.names[row.symbol] = bar
        if row.which is None:
            return
        first = row.siblings[0]
        self.names[f"{first.symbol}[{row.which}]"] = bar
        for k, came in enumerate(row.came or ()):
            self.names.setdefault(f"{first.symbol}[{k}]", f"np.zeros({np.shape(came)})")

    def _gradient(self, row: Row) -> str:
        return self.bars.get(row) or f"np.zeros_like({self.names[row.name]})"


def _total(row: Row) -> Expr:
    """The sum of what its uses contribute."""
    first, *rest = [usable(t.pulled.whole) for t in row.terms if t.pulled is not None]
    for one in rest:
        less = is_op(one, "negative")
        first = op("subtract", first, one.args[0]) if less else op("add", first, one)
    return first


def _place(value: Any) -> Any:
    """Where an array lies in memory."""
    array = np.asarray(value)
    return array.__array_interface__["data"][0], array.shape, array.strides


def usable(whole: Expr) -> Expr:
    """A contribution, simplified where that is the same on the values at hand.

    Products that make 0 of 0 times infinity, and the like, stay where there is an infinity.
    """
    return simplify(whole, shapes=True) if folded(whole, _is_plain) else whole


def _is_plain(e: Expr, parts: list[bool]) -> bool:
    if not all(parts):
        return False
    value = e.value
    dtype = getattr(value, "dtype", None)
    if dtype is not None and dtype.kind in "fc" and not np.isfinite(value).all():
        return False
    if is_op(e, "reciprocal_or"):
        return e.args[0].value is not None and bool(np.all(e.args[0].value))
    return True


def identifier(name: str) -> str:
    """A Python name for what a value is called."""
    found = re.sub(r"\W", "_", name).lstrip("_") or "v"
    return found if found.isidentifier() and found not in _RESERVED else f"v_{found}"


def _about(inputs: list[Row], given: list[Row], names: dict[str, str]) -> str:
    forms = [f"{names[r.name]} {tuple(r.shape)} {r.dtype}" for r in (*inputs, *given)]
    told = textwrap.fill(f"Its shapes are fixed: {', '.join(forms)}.", 88)
    return f"The value, and its derivatives in a dict.\n\n{told}\n"
