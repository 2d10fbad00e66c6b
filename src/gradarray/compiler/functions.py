"""Elementary functions in primitives: exp, log, sin, tanh, ... for float32 and float64.

FUNCTIONS maps the name of a NumPy or SciPy ufunc to a function of expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .expr import Expr, bits, cast, const, make


class Missing(Exception):
    """There is no version for this dtype."""


FUNCTIONS: dict[str, Callable[..., Expr]] = {}


def entry(*names: str) -> Callable[[Callable[..., Expr]], Callable[..., Expr]]:
    def enter(fn: Callable[..., Expr]) -> Callable[..., Expr]:
        for name in names:
            FUNCTIONS[name] = fn
        return fn

    return enter


class N:
    """An expression with Python's operators, in one floating dtype; numbers take its dtype."""

    __slots__ = ("e",)

    def __init__(self, e: Expr) -> None:
        self.e = e

    def of(self, value: Any) -> Expr:
        return value.e if isinstance(value, N) else const(value, self.e.dtype)

    def __add__(self, other: Any) -> N:
        return N(make("add", self.e, self.of(other)))

    def __radd__(self, other: Any) -> N:
        return N(make("add", self.of(other), self.e))

    def __sub__(self, other: Any) -> N:
        return N(make("sub", self.e, self.of(other)))

    def __rsub__(self, other: Any) -> N:
        return N(make("sub", self.of(other), self.e))

    def __mul__(self, other: Any) -> N:
        return N(make("mul", self.e, self.of(other)))

    def __rmul__(self, other: Any) -> N:
        return N(make("mul", self.of(other), self.e))

    def __truediv__(self, other: Any) -> N:
        return N(make("div", self.e, self.of(other)))

    def __rtruediv__(self, other: Any) -> N:
        return N(make("div", self.of(other), self.e))

    def __neg__(self) -> N:
        return N(make("neg", self.e))


def fma(a: N, b: Any, c: Any) -> N:
    """a b + c, rounded once."""
    return N(make("fma", a.e, a.of(b), a.of(c)))


def polynomial(x: N, coefficients: Sequence[float]) -> N:
    """c_0 + c_1 x + c_2 x^2 + .., by Horner's rule."""
    total = N(const(coefficients[-1], x.e.dtype))
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, c)
    return total


class Format:
    """What a routine needs to know of a floating dtype."""

    def __init__(self, dtype: np.dtype) -> None:
        if dtype not in (np.float32, np.float64):
            raise Missing
        self.double = dtype == np.float64
        self.int = np.dtype(np.int64 if self.double else np.int32)
        self.mantissa = 52 if self.double else 23
        self.bias = 1023 if self.double else 127

    def power_of_two(self, n: Expr) -> N:
        """2^n for an integer n of the normal range."""
        shifted = make("add", n, const(self.bias, self.int))
        dtype = np.float64 if self.double else np.float32
        return N(bits(make("shl", shifted, const(self.mantissa, self.int)), dtype))


# ln 2 in two parts, the first with so many zeros at its end that n times it is exact.
_LN2 = {
    True: (float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")),
    False: (float.fromhex("0x1.62e400p-1"), float.fromhex("0x1.7f7d1cp-20")),
}
_FACTORIALS = [1 / math.factorial(k) for k in range(16)]


def _reduced(x: N, f: Format) -> tuple[N, N]:
    """(n, r) with x = n ln 2 + r, |r| <= ln(2)/2."""
    n = N(make("rint", (x * (1 / math.log(2))).e))
    high, low = _LN2[f.double]
    return n, fma(n, -low, fma(n, -high, x))


def _rest(r: N, f: Format) -> N:
    """(e^r - 1 - r) / r^2 for |r| <= ln(2)/2, by its series: the next term is below half an ulp."""
    return polynomial(r, _FACTORIALS[2 : 15 if f.double else 9])


@entry("exp")
def exp(e: Expr) -> Expr:
    f = Format(e.dtype)
    low, high = (-746.0, 710.0) if f.double else (-104.0, 89.0)
    x = N(make("min", make("max", e, const(low, e.dtype)), const(high, e.dtype)))
    n, r = _reduced(x, f)
    y = fma(r * r, _rest(r, f), r) + 1
    # 2^n in two factors, so that subnormal results are rounded once and 2^1024 is reached.
    whole = cast(n.e, f.int)
    half = make("shr", whole, const(1, f.int))
    other = make("sub", whole, half)
    return (y * f.power_of_two(half) * f.power_of_two(other)).e


@entry("expm1")
def expm1(e: Expr) -> Expr:
    f = Format(e.dtype)
    low, high = (-40.0, 710.0) if f.double else (-20.0, 89.0)
    x = N(make("min", make("max", e, const(low, e.dtype)), const(high, e.dtype)))
    n, r = _reduced(x, f)
    q = fma(r * r, _rest(r, f), r)
    # 2 (2^(n-1) (q + 1) - 1/2): 2^1024 is not a number.
    half = f.power_of_two(make("sub", cast(n.e, f.int), const(1, f.int)))
    y = fma(q, half, half - 0.5) * 2
    # -0 stays -0, and what is below the precision of 1 + q stays itself.
    return make("select", make("eq", n.e, const(0, e.dtype)), q.e, y.e)


def _twice(e: Expr, f: Format) -> N:
    """e^(2 |x|) - 1, not beyond where tanh is 1 and sech^2 is 0 or nearly."""
    limit = 350.0 if f.double else 43.0
    x = N(make("min", make("abs", e), const(limit, e.dtype)))
    return N(expm1((x + x).e))


@entry("tanh")
def tanh(e: Expr) -> Expr:
    f = Format(e.dtype)
    t = _twice(e, f)
    return make("copysign", (t / (t + 2)).e, e)


def sech_squared(e: Expr) -> Expr:
    """4 (t + 1) / (t + 2)^2, from the exponential that tanh takes too."""
    f = Format(e.dtype)
    t = _twice(e, f)
    d = t + 2
    return ((t + 1) / d * 4 / d).e
