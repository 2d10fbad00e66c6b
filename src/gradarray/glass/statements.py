"""One formula as Python for NumPy: an expression, and the statements that it needs before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import errors
from .carry import Carrier
from .expr import Expr, folded, is_op
from .keys import Keys
from .mathml import FormulaError
from .precedence import ATOM, FACTOR, INFIX, POWER, PRODUCT, SUM
from .simplify import exponent_of

LONG = 60  # characters of a part that becomes a statement of its own


def expression(expr: Expr, carrier: Carrier, names: dict[str, str]) -> tuple[list[str], str]:
    """One formula as Python, after statements that it needs; `names` are what its names become."""
    writer = Writer(carrier, names)
    writer.share([expr])
    code = writer.code(expr)
    return writer.lines, code


def not_kept(name: str) -> FormulaError:
    return FormulaError(
        errors.message(
            "explain",
            f"{name} was not kept, and the program would need it.",
            "Compute it within `with ga.keep_all():`, or explain the function.",
        )
    )


class _Piece(NamedTuple):
    code: str
    level: int

    def at(self, level: int) -> str:
        return self.code if self.level >= level else f"({self.code})"


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
                raise not_kept(e.name)
            return _Piece(self.names[e.name], ATOM)
        value = e.value
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
