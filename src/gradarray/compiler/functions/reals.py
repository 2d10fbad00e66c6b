"""Real: an expression with Python's operators, in which the elementary functions are written.

A number beside a Real takes its dtype. Comparisons give truth values, for `choose`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..expr import Expr, bits, cast, const, make, select


class Missing(Exception):
    """There is no version for this dtype."""


class Real:
    """A floating-point expression."""

    __slots__ = ("e", "f")

    def __init__(self, e: Expr) -> None:
        self.e = e
        self.f = format_of(e.dtype)

    def of(self, value: Any) -> Expr:
        return value.e if isinstance(value, Real) else const(value, self.e.dtype)

    def constant(self, value: float) -> Real:
        """A number of the same dtype."""
        return Real(const(value, self.e.dtype))

    def _two(self, op: str, a: Any, b: Any) -> Real:
        return Real(make(op, self.of(a), self.of(b)))

    def __add__(self, other: Any) -> Real:
        return self._two("add", self, other)

    def __radd__(self, other: Any) -> Real:
        return self._two("add", other, self)

    def __sub__(self, other: Any) -> Real:
        return self._two("sub", self, other)

    def __rsub__(self, other: Any) -> Real:
        return self._two("sub", other, self)

    def __mul__(self, other: Any) -> Real:
        return self._two("mul", self, other)

    def __rmul__(self, other: Any) -> Real:
        return self._two("mul", other, self)

    def __truediv__(self, other: Any) -> Real:
        return self._two("div", self, other)

    def __rtruediv__(self, other: Any) -> Real:
        return self._two("div", other, self)

    def __neg__(self) -> Real:
        return Real(make("neg", self.e))

    def __abs__(self) -> Real:
        return Real(make("abs", self.e))

    def __lt__(self, other: Any) -> Expr:
        return make("lt", self.e, self.of(other))

    def __le__(self, other: Any) -> Expr:
        return make("le", self.e, self.of(other))

    def __gt__(self, other: Any) -> Expr:
        return make("gt", self.e, self.of(other))

    def __ge__(self, other: Any) -> Expr:
        return make("ge", self.e, self.of(other))

    def equals(self, other: Any) -> Expr:
        return make("eq", self.e, self.of(other))

    def differs(self, other: Any) -> Expr:
        return make("ne", self.e, self.of(other))

    def is_nan(self) -> Expr:
        return make("ne", self.e, self.e)

    def negative(self) -> Expr:
        """The sign bit, of -0 too."""
        return make("lt", self.bits(), const(0, self.f.int))

    def apply(self, op: str) -> Real:
        """sqrt, rint, floor, trunc, .."""
        return Real(make(op, self.e))

    def sqrt(self) -> Real:
        return self.apply("sqrt")

    def cast(self, dtype: Any) -> Real:
        return Real(cast(self.e, dtype))

    def bits(self) -> Expr:
        return bits(self.e, self.f.int)

    def signed(self, other: Real) -> Real:
        """With the sign of another number."""
        return Real(make("copysign", self.e, other.e))

    def at_most(self, limit: float) -> Real:
        """min(x, limit); NaN stays NaN."""
        return choose(self > limit, limit, self)

    def at_least(self, limit: float) -> Real:
        return choose(self < limit, limit, self)


def choose(condition: Expr, a: Any, b: Any) -> Real:
    """a where the condition holds, else b; one of them may be a number."""
    like = a if isinstance(a, Real) else b
    return Real(select(condition, like.of(a), like.of(b)))


def both(a: Expr, b: Expr) -> Expr:
    return make("and", a, b)


def either(a: Expr, b: Expr) -> Expr:
    return make("or", a, b)


def neither(a: Expr) -> Expr:
    return make("not", a)


def fma(a: Real, b: Any, c: Any) -> Real:
    """a b + c, rounded once."""
    return Real(make("fma", a.e, a.of(b), a.of(c)))


def polynomial(x: Real, coefficients: Sequence[float]) -> Real:
    """c_0 + c_1 x + c_2 x^2 + .., by Horner's rule."""
    total = Real(const(coefficients[-1], x.e.dtype))
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, c)
    return total


class Format:
    """What a routine needs to know of a floating dtype."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.double = dtype == np.float64
        self.int = np.dtype(np.int64 if self.double else np.int32)
        self.mantissa = 52 if self.double else 23
        self.bias = 1023 if self.double else 127
        # What is added to a number so that its last bit counts ones: x + magic is rounded.
        self.magic = 1.5 * 2.0**self.mantissa
        info = np.finfo(dtype)
        self.tiny, self.max, self.eps = float(info.tiny), float(info.max), float(info.eps)

    def word(self, value: int) -> Expr:
        return const(value, self.int)

    def real(self, word: Expr) -> Real:
        """The number with these bits."""
        return Real(bits(word, self.dtype))

    def value(self, word: Expr) -> Real:
        """An integer as a number."""
        return Real(cast(word, self.dtype))

    def power_of_two(self, biased: Expr) -> Real:
        """2^n from n + bias, for n of the normal range."""
        return self.real(make("shl", biased, self.word(self.mantissa)))


_FORMATS = {np.dtype(t): Format(np.dtype(t)) for t in (np.float32, np.float64)}


def format_of(dtype: np.dtype) -> Format:
    try:
        return _FORMATS[dtype]
    except KeyError:
        raise Missing from None


def nearest(x: Real, scale: float) -> tuple[Real, Expr]:
    """The integer nearest to scale x as a number, and as a word; |scale x| < 2^(mantissa - 2)."""
    moved = fma(x, scale, x.f.magic)
    base = int(np.asarray(x.f.magic, x.f.dtype).view(x.f.int)[()])
    return moved - x.f.magic, make("sub", bits(moved.e, x.f.int), x.f.word(base))


def scaled(y: Real, n: Expr, low: Real | None = None) -> Real:
    """2^n y, of any n that a format's exponents can differ by; rounded once where it underflows.

    By two factors, so that 2^1024 is reached and subnormal numbers too.
    """
    f = y.f
    biased = make("add", n, f.word(2 * f.bias))
    half = make("shr", biased, f.word(1))
    other = make("sub", biased, half)
    first = f.power_of_two(half)
    y = y * first if low is None else fma(low, first, y * first)
    return y * f.power_of_two(other)


FUNCTIONS: dict[str, Callable[..., Expr]] = {}


def entry(*names: str) -> Callable[[Callable[..., Real]], Callable[..., Real]]:
    """Enter a function of Reals as what these ufuncs of NumPy or SciPy compute."""

    def enter(fn: Callable[..., Real]) -> Callable[..., Real]:
        def run(*args: Expr) -> Expr:
            return fn(*map(Real, args)).e

        for name in names:
            FUNCTIONS[name] = run
        return fn

    return enter


def in_double(fn: Callable[..., Real]) -> Callable[..., Real]:
    """float32 by way of float64: for what needs more digits than a pair of float32 keeps simply."""

    def run(*args: Real) -> Real:
        if args[0].f.double:
            return fn(*args)
        return fn(*(x.cast(np.float64) for x in args)).cast(np.float32)

    return run
