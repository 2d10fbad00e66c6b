"""Hyperbolic functions and their inverses.

    tanh |x| = u / (u + 1),   sech^2 x = (1 + tanh |x|) / (u + 1),   u = (e^(2|x|) - 1) / 2
    sinh x = S cosh r + C sinh r,   cosh x = C cosh r + S sinh r,   x = n log 2 + r,
        where C and S = (2^n +- 2^-n) / 2 are exact
"""

from __future__ import annotations

import math

from ..expr import Expr, make
from .exponential import END, exp, tanh_part
from .logarithm import log_pair
from .pairs import Pair, choose_pair, ordered, product, quotient, root, total
from .reals import Real, choose, entry, fma, nearest, polynomial
from .tables import COSH, LOG2, SINH


@entry("tanh")
def tanh(x: Real) -> Real:
    u = tanh_part(x)
    return (u / (u + 1)).signed(x)


def sech_squared(x: Real) -> Real:
    """From the quotient that tanh is: (1 + tanh |x|) / (u + 1); 0 where it would be subnormal."""
    u = tanh_part(x)
    d = u + 1
    return choose(abs(x) > END[x.f.double], 0.0, (u / d + 1) / d)


def sech(x: Real) -> Real:
    """2 e / (1 + e^2), e = e^-|x|."""
    e = exp(-abs(x))
    return (e + e) / fma(e, e, 1)


def _cosh_sinh(x: Real) -> tuple[Real, Real]:
    """(cosh x, sinh x) of x >= 0."""
    f = x.f
    double = f.double
    x = x.at_most(710.6 if double else 89.6)  # infinite from here on
    n, word = nearest(x, 1 / math.log(2))
    first, second = LOG2[double]
    part = fma(n, -first, x)  # exact
    r = fma(n, -second, part)
    r_low = fma(n, -second, part - r)
    z = r * r
    odd = fma(r * z, polynomial(z, SINH[double]), r_low)  # sinh r - r
    even = fma(z, polynomial(z, COSH[double]), r * r_low)  # cosh r - 1
    # A quarter of 2^n +- 2^-n, so that the greatest is a number.
    up = f.power_of_two(make("add", word, f.word(f.bias - 2)))
    down = make("sub", f.word(f.bias - 2), word)
    down = f.power_of_two(make("select", make("lt", down, f.word(1)), f.word(1), down))
    c, s = up + down, up - down
    # Above 2^(mantissa / 2) the sums are rounded, and what is lost is added.
    c_low, s_low = down - (c - up), -down - (s - up)

    def combined(a: Real, a_low: Real, b: Real, b_low: Real) -> Real:
        main = product(b, r)
        whole = ordered(a, main.high)
        rest = fma(b, odd, fma(a, even, whole.low + main.low)) + fma(b_low, r, a_low)
        return (whole.high + rest) * 2

    sinh_0 = (r + odd)  # n = 0: the first term is the sum's
    sinh = choose(n.equals(0), sinh_0, combined(s, s_low, c, c_low))
    return combined(c, c_low, s, s_low), sinh


@entry("cosh")
def cosh(x: Real) -> Real:
    return _cosh_sinh(abs(x))[0]


@entry("sinh")
def sinh(x: Real) -> Real:
    return _cosh_sinh(abs(x))[1].signed(x)


# Inverses -----------------------------------------------------------------------------------------


def _far(x: Real) -> Expr:
    """Where x^2 + 1 is x^2 and may overflow."""
    return x > (2.0**500 if x.f.double else 2.0**60)


def _area(x: Real, one: float) -> Real:
    """log(x + sqrt(x^2 + one)) of x >= 0."""
    far = _far(x)
    near = choose(far, 2.0, x)
    square = product(near, near)
    moved = total(square.high, one)
    h = root(ordered(moved.high, moved.low + square.low))
    u = total(near, h.high)
    u = choose_pair(far, Pair(x, x.constant(0)), ordered(u.high, u.low + h.low))
    return log_pair(u.high, u.low, choose(far, x.constant(1), 0.0)).sum()


@entry("arcsinh")
def arcsinh(x: Real) -> Real:
    a = abs(x)
    y = choose(a < 2.0 ** (-28 if x.f.double else -13), a, _area(a, 1.0))
    return choose(a < math.inf, y, a).signed(x)


@entry("arccosh")
def arccosh(x: Real) -> Real:
    inside = choose(x > 1, x, 2.0)
    y = choose(x.equals(1), 0.0, _area(inside, -1.0))
    y = choose(x < 1, math.nan, y)
    return choose(x < math.inf, y, x)


@entry("arctanh")
def arctanh(x: Real) -> Real:
    a = abs(x)
    inside = choose(a < 1, a, 0.5)
    u = quotient(total(1, inside), total(1, -inside))
    u = ordered(u.high, u.low)
    y = log_pair(u.high, u.low).sum() * 0.5
    y = choose(a < 2.0 ** (-28 if x.f.double else -13), a, y)
    y = choose(a.equals(1), math.inf, y)
    y = choose(a > 1, math.nan, y)
    return choose(a.is_nan(), a, y).signed(x)
