"""A story as Python that runs on its own on NumPy: the value step by step, and the sweep back.

Both come from what was recorded. An op that NumPy or SciPy has is called by its name there,
arithmetic is written as such, and of any other op the library's own forward is brought along.
"""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import errors
from ..record import NotKept
from .carry import Carrier
from .expr import Expr, folded, is_op, op
from .keys import Keys
from .mathml import FormulaError
from .precedence import ATOM, FACTOR, INFIX, POWER, PRODUCT, SUM
from .simplify import exponent_of, simplify
from .story import Row, Story

INLINE = 64  # elements of a constant that is written into the program
LONG = 60  # characters of a part that becomes a statement of its own

_RESERVED = frozenset(keyword.kwlist) | {
    *dir(builtins), "np", "special", "linalg", "math", "types", "collections", "functools",
    "operator",
}  # fmt: skip


def python(story: Story) -> str:
    """The program: helpers, and `value_and_grad` of the inputs.

    It returns the value, and the derivatives in a dict by the names of the inputs.
    """
    return _Program(story).text()


def expression(expr: Expr, carrier: Carrier, names: dict[str, str]) -> tuple[list[str], str]:
    """One formula as Python, after statements that it needs; `names` are what its names become."""
    writer = Writer(carrier, names)
    writer.share([expr])
    code = writer.code(expr)
    return writer.lines, code


class _Piece(NamedTuple):
    code: str
    level: int

    def at(self, level: int) -> str:
        return self.code if self.level >= level else f"({self.code})"


# One expression -----------------------------------------------------------------------------------


class Writer:
    """Writes expressions; `lines` are the statements that they need before them."""

    def __init__(self, carrier: Carrier, names: dict[str, str]) -> None:
        self.carrier, self.names = carrier, names
        self.lines: list[str] = []
        self.keys = Keys()
        self.known: dict[int, str] = {}  # by key: what was computed already
        self._shared: set[int] = set()
        self._count = 0

    def code(self, expr: Expr) -> str:
        return folded(expr, lambda e, parts: self._one(e, parts, e is expr)).code

    def share(self, formulas: Iterable[Expr]) -> None:
        """What stands in these in more than one place is computed once."""
        counts: dict[int, int] = {}
        seen: set[int] = set()

        def one(e: Expr, _: Any) -> None:
            if id(e) in seen:
                return
            seen.add(id(e))
            for part in e.args:
                if part.op is not None:
                    key = self.keys(part)
                    counts[key] = counts.get(key, 0) + 1

        for formula in formulas:
            folded(formula, one)
            key = self.keys(formula)
            counts[key] = counts.get(key, 0) + 1
        self._shared = {key for key, n in counts.items() if n > 1}

    def _one(self, e: Expr, parts: list[_Piece], is_root: bool) -> _Piece:
        if e.op is None:
            return self._leaf(e)
        key = self.keys(e)
        if key in self.known:
            return _Piece(self.known[key], ATOM)
        piece = self._which(e, parts) if e.which is not None else self._applied(e, parts)
        long = len(piece.code) > LONG or (key in self._shared and len(piece.code) > LONG // 4)
        if is_root or not long:
            return piece
        return _Piece(self.statement(piece.code, key), ATOM)

    def statement(self, code: str, key: int) -> str:
        self._count += 1
        label = self.carrier.new(f"t{self._count}")
        self.lines.append(f"{label} = {code}")
        self.known[key] = label
        return label

    def _which(self, e: Expr, parts: list[_Piece]) -> _Piece:
        """One of several results: all of them are computed once."""
        whole = Expr(e.op, e.args, e.params)
        key = self.keys(whole)
        if key not in self.known:
            self.statement(self._applied(whole, parts).code, key)
        return _Piece(f"{self.known[key]}[{e.which}]", ATOM)

    def _leaf(self, e: Expr) -> _Piece:
        if e.name:
            if e.name == "π":
                return _Piece(f"{self.carrier.numpy()}.pi", ATOM)
            if e.name not in self.names:
                raise FormulaError(errors.message("explain", f"{e.name} was not kept."))
            return _Piece(self.names[e.name], ATOM)
        value = e.value
        if isinstance(value, NotKept) or value is None:
            raise FormulaError(
                errors.message(
                    "explain",
                    "a value that the program would need was not kept.",
                    "Compute it within `with ga.keep_all():`, or explain the function.",
                )
            )
        if isinstance(value, np.ndarray) and value.size > 1 and (value == value.flat[0]).all():
            np_ = self.carrier.numpy()
            one = self.carrier.value(value.flat[0].item())
            return _Piece(f"{np_}.full({value.shape}, {one}, dtype={value.dtype.name!r})", ATOM)
        if isinstance(value, np.float64) or (
            isinstance(value, np.ndarray) and not value.ndim and value.dtype == np.float64
        ):
            value = float(value)
        code = self.carrier.value(value)
        return _Piece(code, FACTOR if code.startswith("-") else ATOM)

    # Ops ------------------------------------------------------------------------------------------

    def _applied(self, e: Expr, parts: list[_Piece]) -> _Piece:
        assert e.op is not None
        name = e.op.name
        if name in INFIX and name != "absorb":
            return _infix(name, *parts)
        written = _WRITTEN.get(name)
        if written is not None:
            piece = written(self, e, parts)
            if piece is not None:
                return piece
        if not hasattr(e.op, "forward"):
            raise FormulaError(
                errors.message("explain", f"{name} is a function of yours or a loop, no one op.")
            )
        given = [p.code for p in parts] + [
            f"{k}={self.carrier.value(v)}" for k, v in e.params.items()
        ]
        return _Piece(f"{self.carrier.forward(e.op)}({', '.join(given)})", ATOM)

    def call(self, function: str, *parts: Any, **params: Any) -> _Piece:
        given = [p.code if isinstance(p, _Piece) else self.carrier.value(p) for p in parts]
        given += [f"{k}={self.carrier.value(v)}" for k, v in params.items()]
        return _Piece(f"{self.carrier.numpy()}.{function}({', '.join(given)})", ATOM)


def _infix(name: str, a: _Piece, b: _Piece) -> _Piece:
    sign, level = INFIX[name]
    if level == POWER:
        return _Piece(f"{a.at(ATOM)}**{b.at(ATOM)}", POWER)
    left = a.at(level if level in (SUM, PRODUCT) else level + 1)
    right = b.at(level + 1)
    if right.startswith("-"):
        right = f"({right})"
    return _Piece(f"{left} {sign} {right}", level)


def _raised(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece | None:
    n = 2 if is_op(e, "square") else exponent_of(e)
    return None if n is None else _Piece(f"{parts[0].at(ATOM)}**{w.carrier.value(n)}", POWER)


def _same(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    return parts[0]


def _negative(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    return _Piece("-" + parts[0].at(POWER), FACTOR)


def _reciprocal(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    return _infix("divide", _Piece("1", ATOM), parts[0])


def _reduced(function: str) -> Any:
    def write(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
        axis, keep = e.params["axis"], e.params["keepdims"]
        axis = axis[0] if len(axis) == 1 else axis
        every = e.args[0].value is not None and len(e.params["axis"]) == np.ndim(e.args[0].value)
        params = {"axis": None if every else axis, "keepdims": keep or None}
        return w.call(function, parts[0], **{k: v for k, v in params.items() if v is not None})

    return write


def _transposed(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    axes = e.params["axes"]
    if tuple(axes) == tuple(range(-1, -len(axes) - 1, -1)):
        return _Piece(parts[0].at(ATOM) + ".T", ATOM)
    return w.call("transpose", parts[0], axes)


def _cast(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    return w.call("asarray", parts[0], np.dtype(e.params["dtype"]).type)


def _index(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
    inner = [_subscript(w, one) for one in e.params["index"]]
    return _Piece(f"{parts[0].at(ATOM)}[{', '.join(['...', *inner])}]", ATOM)


def _subscript(w: Writer, one: Any) -> str:
    if not isinstance(one, slice):
        return w.carrier.value(one)
    start, stop, step = ("" if x is None else str(x) for x in (one.start, one.stop, one.step))
    return f"{start}:{stop}" + (f":{step}" if step and step != "1" else "")


def _numpy(function: str, *keys: str) -> Any:
    """NumPy's function of these static parameters, by position."""

    def write(w: Writer, e: Expr, parts: list[_Piece]) -> _Piece:
        return w.call(function, *parts, *(e.params[k] for k in keys))

    return write


_WRITTEN: dict[str, Any] = {
    "square": _raised,
    "fixed_power": _raised,
    "positive": _same,
    "copy": _same,
    "alias": _same,
    "negative": _negative,
    "reciprocal": _reciprocal,
    "sum": _reduced("sum"),
    "max": _reduced("max"),
    "min": _reduced("min"),
    "transpose": _transposed,
    "astype": _cast,
    "index": _index,
    "reshape": _numpy("reshape", "shape"),
    "expand_dims": _numpy("expand_dims", "axis"),
    "broadcast_to": _numpy("broadcast_to", "shape"),
    "where": _numpy("where"),
}


# A whole story ------------------------------------------------------------------------------------


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
