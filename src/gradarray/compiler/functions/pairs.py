"""Pairs: numbers as unevaluated sums high + low, with twice the digits where a result needs them.

(Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18, 1971;
Muller et al., Handbook of Floating-Point Arithmetic, chapter 4.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..expr import Expr
from .reals import Real, choose, fma


class Pair(NamedTuple):
    high: Real
    low: Real

    def sum(self) -> Real:
        return self.high + self.low

    def times(self, power_of_two: Any) -> Pair:
        return Pair(self.high * power_of_two, self.low * power_of_two)


def constant(x: Real, parts: dict[bool, tuple[float, float]]) -> Pair:
    """One of the tables' constants in the dtype of x."""
    high, low = parts[x.f.double]
    return Pair(x.constant(high), x.constant(low))


def total(a: Any, b: Any) -> Pair:
    """a + b without error (Knuth)."""
    high = a + b
    part = high - a
    return Pair(high, (a - (high - part)) + (b - part))


def ordered(a: Any, b: Any) -> Pair:
    """a + b without error where |a| >= |b|, or a = 0 (Dekker)."""
    high = a + b
    return Pair(high, b - (high - a))


def product(a: Real, b: Any) -> Pair:
    """a b without error."""
    high = a * b
    return Pair(high, fma(a, b, -high))


def choose_pair(condition: Expr, a: Pair, b: Pair) -> Pair:
    return Pair(choose(condition, a.high, b.high), choose(condition, a.low, b.low))


def quotient(a: Pair, b: Pair) -> Pair:
    """a / b to about twice the digits, with one division."""
    inverse = 1 / b.high
    high = a.high * inverse
    rest = fma(-high, b.high, a.high) + fma(-high, b.low, a.low)
    return Pair(high, rest * inverse)


def root(a: Pair) -> Pair:
    """sqrt(a) to about twice the digits; a > 0."""
    high = a.high.sqrt()
    rest = fma(-high, high, a.high) + a.low
    return Pair(high, rest / (high + high))
