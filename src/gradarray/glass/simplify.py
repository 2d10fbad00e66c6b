"""A rule's expression as one would write it down: x + x is 2 x, reciprocal(x) is 1/x.

Rules are written so that they compute well; here what they compute is put in the form in which it
reads well. Every step keeps the value in exact arithmetic, wherever both sides have one. With
`exact=False` also what a book writes but a computer should not compute: 1 - tanh(x)^2 for
sech(x)^2, which loses digits where tanh saturates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from .expr import Expr, folded, is_op, number, op, plain
from .keys import Keys
from .rules import RULES, TEXTBOOK, named_constant

MOST = 400  # ops of a formula that is still simplified


def simplify(expr: Expr, exact: bool = True, shapes: bool = False) -> Expr:
    """The same value, in fewer or more usual words; what nobody would read is left as it is.

    With `shapes` an array of equal numbers stays an array: 0 x is then not 0.
    """
    if expr.count() > MOST:
        return expr
    return _Simplifier(exact, shapes).run(expr)


# Numbers ------------------------------------------------------------------------------------------


def _ratio(top: Any, bottom: Any) -> tuple[Any, Any]:
    """top/bottom in lowest terms where both are integers, or halves and quarters of them."""
    top, bottom = plain(top), plain(bottom)
    broken = not (isinstance(top, int) and isinstance(bottom, int))
    if bottom != 1 and broken and isinstance(plain(top * 8), int):
        top, bottom = plain(top * 8), plain(bottom * 8)
    if isinstance(top, int) and isinstance(bottom, int) and bottom:
        whole = Fraction(top, bottom)
        return whole.numerator, whole.denominator
    if isinstance(bottom, (int, float, np.floating)) and bottom < 0:
        return plain(-top), plain(-bottom)
    return top, bottom


# Products -----------------------------------------------------------------------------------------


@dataclass
class _Product:
    """top / bottom times the product of base^exponent; the key of a base tells it from others."""

    top: Any = 1
    bottom: Any = 1
    powers: dict[int, tuple[Expr, Any]] = field(default_factory=dict)

    def times(self, other: _Product) -> _Product:
        powers = dict(self.powers)
        for key, (base, n) in other.powers.items():
            powers[key] = base, plain(powers[key][1] + n if key in powers else n)
        with np.errstate(all="ignore"):
            return _Product(self.top * other.top, self.bottom * other.bottom, powers)

    def inverse(self) -> _Product:
        return _Product(
            self.bottom, self.top, {key: (base, -n) for key, (base, n) in self.powers.items()}
        )

    def to(self, n: int) -> _Product:
        if n < 0:
            return self.inverse().to(-n)
        return _Product(
            self.top**n,
            self.bottom**n,
            {key: (base, plain(m * n)) for key, (base, m) in self.powers.items()},
        )


_PRODUCTS = frozenset({
    "multiply", "absorb", "divide", "negative", "reciprocal", "reciprocal_or", "square", "rsqrt",
    "power", "fixed_power",
})  # fmt: skip
_SUMS = frozenset({"add", "subtract", "gap"})


class _Simplifier:
    def __init__(self, exact: bool, shapes: bool) -> None:
        self.exact, self.shapes = exact, shapes
        self.rules = {**RULES, **({} if exact else TEXTBOOK)}
        self.key = Keys()

    def run(self, expr: Expr) -> Expr:
        return folded(expr, self._step)

    def _step(self, e: Expr, args: list[Expr]) -> Expr:
        if e.op is None:
            return e if self.exact or not e.is_number else self.run_constant(e)
        name = e.op.name
        e = Expr(e.op, args, e.params, e.value, which=e.which)
        rule = self.rules.get(name)
        if rule is not None:
            simpler = rule(e)
            if simpler is not None and simpler is not e:
                return self._as(self.run(simpler), e)
        if name in _PRODUCTS:
            return self._as(self._built(self._product(e)), e)
        if name in _SUMS:
            return self._as(self._sum(e), e)
        return e

    def run_constant(self, e: Expr) -> Expr:
        named = named_constant(e)
        return e if named is e else self.run(named)

    def _as(self, simpler: Expr, e: Expr) -> Expr:
        """In place of `e`, whose value it has."""
        if self.shapes and np.ndim(e.value if e.value is not None else 0):
            gone = simpler.is_number or self._leaves(simpler) < self._leaves(e)
            if gone:  # what broadcast the rest may be gone with it
                return e
        if simpler.op is not None and simpler.value is None:
            return Expr(simpler.op, simpler.args, simpler.params, e.value, which=simpler.which)
        return simpler

    @staticmethod
    def _leaves(e: Expr) -> set[str]:
        return folded(e, lambda one, below: {one.name}.union(*below) if one.name else (
            set().union(*below)
        ))  # fmt: skip

    # Products -------------------------------------------------------------------------------------

    def _product(self, e: Expr) -> _Product:
        """As a product; the arguments of `e` are simple already."""
        if e.is_number:
            return _Product(plain(e.value))
        if not is_op(e, *_PRODUCTS):
            return self._power(e, 1)
        assert e.op is not None
        name = e.op.name
        first = e.args[0]
        if name in ("multiply", "absorb"):
            return self._product(first).times(self._product(e.args[1]))
        if name == "divide":
            return self._product(first).times(self._product(e.args[1]).inverse())
        if name == "negative":
            return _Product(-1).times(self._product(first))
        if name in ("reciprocal", "reciprocal_or"):
            return self._product(first).inverse()
        if name == "rsqrt":
            return self._power(op("sqrt", first), -1)
        n = 2 if name == "square" else exponent_of(e)
        if isinstance(n, int) and abs(n) < 64:
            return self._product(first).to(n)
        return self._power(e, 1) if n is None else self._power(first, n)

    def _power(self, base: Expr, n: Any) -> _Product:
        return _Product(1, 1, {self.key(base): (base, n)})

    def _built(self, p: _Product) -> Expr:
        top, bottom = _ratio(p.top, p.bottom)
        powers = self._roots_squared(p.powers)
        if isinstance(top, (int, float)) and top == 0 and bottom != 0:
            return number(0)
        negative = isinstance(top, (int, float, np.floating)) and top < 0
        top = plain(-top) if negative else top
        if not self.exact:  # names before what is longer
            powers.sort(key=lambda power: power[0].op is not None)
        above = [_raised(base, n) for base, n in powers if n > 0]
        below = [_raised(base, -n) for base, n in powers if n < 0]
        if negative and top == 1 == bottom and not below and len(above) == 1:
            turned = above[0]
            if is_op(turned, "subtract"):
                return op("subtract", *reversed(turned.args))
        if top != 1 or not above:
            above = [number(top), *above]
        if bottom != 1:
            below = [number(bottom), *below]
        e = _times(above)
        e = op("divide", e, _times(below)) if below else e
        return _negated(e) if negative else e

    def _roots_squared(self, powers: dict[int, tuple[Expr, Any]]) -> list[tuple[Expr, Any]]:
        """sqrt(x)^2 is x, where sqrt(x) is a number at all."""
        out = _Product()
        for key, (base, n) in powers.items():
            if is_op(base, "sqrt") and isinstance(n, int) and abs(n) > 1:
                inner = self._product(base.args[0]).to(abs(n) // 2)
                out = out.times(inner if n > 0 else inner.inverse())
                n = (n % 2) if n > 0 else -(n % 2)
            out = out.times(_Product(1, 1, {key: (base, n)}))
        if out.top != 1 or out.bottom != 1:  # sqrt(2 x)^2 would bring a number of its own
            return [(base, n) for base, n in powers.values() if n]
        return [(base, n) for base, n in out.powers.values() if n]

    # Sums -----------------------------------------------------------------------------------------

    def _terms(self, e: Expr, sign: int, out: list[tuple[int, Expr]]) -> None:
        if is_op(e, *_SUMS):
            self._terms(e.args[0], sign, out)
            self._terms(e.args[1], sign if is_op(e, "add") else -sign, out)
        elif is_op(e, "negative"):
            self._terms(e.args[0], -sign, out)
        else:
            out.append((sign, e))

    def _common(self, e: Expr) -> Expr | None:
        """S a + S b is S (a + b) where S is a sum; S itself is S 1."""
        parts = [self._product(x) for x in e.args]
        for key, (base, n) in parts[0].powers.items():
            if is_op(base, *_SUMS) and n == 1 and parts[1].powers.get(key, (base, 0))[1] == 1:
                others = [
                    _Product(p.top, p.bottom, {k: v for k, v in p.powers.items() if k != key})
                    for p in parts
                ]
                rest = Expr(e.op, [self._built(p) for p in others])
                return self.run(op("multiply", base, rest))
        return None

    def _sum(self, e: Expr) -> Expr:
        if not self.exact and (common := self._common(e)) is not None:
            return common
        terms: list[tuple[int, Expr]] = []
        self._terms(e, 1, terms)
        grouped: dict[Any, list[tuple[_Product, Expr]]] = {}
        for sign, term in terms:
            p = self._product(term)
            key = tuple(sorted((k, repr(n)) for k, (_, n) in p.powers.items()))
            grouped.setdefault(key, []).append((_Product(sign * p.top, p.bottom, p.powers), term))
        added = [x for group in grouped.values() if (x := self._added(group)) is not None]
        if not added:
            return number(0)
        first = next((k for k, x in enumerate(added) if not is_negative(x)), 0)
        added = [added[first], *added[:first], *added[first + 1 :]]
        total = added[0]
        for x in added[1:]:
            total = op("subtract", total, _negated(x)) if is_negative(x) else op("add", total, x)
        return total

    def _added(self, group: list[tuple[_Product, Expr]]) -> Expr | None:
        """Terms that differ by a number only, added up; None if they cancel."""
        if len(group) == 1 and group[0][0].top != 0:
            return self._built(group[0][0])
        tops = [_fraction(p.top, p.bottom) for p, _ in group]
        total = sum(tops[1:], tops[0])
        if total == 0:
            return None
        exact = isinstance(total, Fraction)
        top, bottom = (total.numerator, total.denominator) if exact else (total, 1)
        return self._built(_Product(top, bottom, group[0][0].powers))


def _fraction(top: Any, bottom: Any) -> Any:
    top, bottom = _ratio(top, bottom)
    if isinstance(top, int) and isinstance(bottom, int) and bottom:
        return Fraction(top, bottom)
    return top / bottom


def exponent_of(e: Expr) -> Any:
    """The exponent of a power, where it is a number."""
    if is_op(e, "fixed_power"):
        return plain(e.params["n"])
    if is_op(e, "power") and e.args[1].is_number:
        n = plain(e.args[1].value)
        return n if isinstance(n, (int, float, np.floating)) else None
    return None


def _raised(base: Expr, n: Any) -> Expr:
    if n == 1:
        return base
    return op("square", base) if n == 2 else op("power", base, n)


def _times(factors: list[Expr]) -> Expr:
    if not factors:
        return number(1)
    total = factors[0]
    for x in factors[1:]:
        total = op("multiply", total, x)
    return total


def is_negative(e: Expr) -> bool:
    """Does it begin with a minus sign?"""
    if e.is_number:
        v = e.value
        return isinstance(v, (int, float, np.floating, np.integer)) and bool(v < 0)
    return is_op(e, "negative")


def _negated(e: Expr) -> Expr:
    if e.is_number:
        return number(-e.value)
    return e.args[0] if is_op(e, "negative") else op("negative", e)
