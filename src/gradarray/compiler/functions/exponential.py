"""Exponentials: exp, exp2, expm1, and what is made of them without more: sigmoid.

    e^x = 2^n e^r,   x = n log 2 + r,   |r| <= log(2)/2
"""

from __future__ import annotations

import math

from ..expr import Expr, make
from .pairs import Pair, ordered
from .reals import Real, choose, entry, fma, nearest, polynomial, scaled
from .tables import EXP, EXP2, LOG2

# Beyond these e^x is 0 or infinite, rounded; e^x - 1 is -1.
LIMITS = {True: (-746.0, 710.0), False: (-104.0, 89.0)}
LIMITS_2 = {True: (-1076.0, 1025.0), False: (-151.0, 129.0)}
# From here on e^(2x) is infinite, and 4 e^(-2x) subnormal.
END = {True: 354.8, False: 44.3}
LIMITS_M1 = {True: (-40.0, 710.0), False: (-20.0, 89.0)}


def within(x: Real, limits: dict[bool, tuple[float, float]]) -> Real:
    low, high = limits[x.f.double]
    return x.at_least(low).at_most(high)


def reduced(x: Real) -> tuple[Real, Expr, Real]:
    """(n, n as a word, r)."""
    n, word = nearest(x, 1 / math.log(2))
    high, low = LOG2[x.f.double]
    return n, word, fma(n, -low, fma(n, -high, x))


def exp_pair(x: Real, low: Real | None = None) -> tuple[Pair, Expr]:
    """e^(x + low) as 2^n (high + low'), to more digits than a number has; x within LIMITS."""
    n, word = nearest(x, 1 / math.log(2))
    first, second = LOG2[x.f.double]
    r = fma(n, -first, x)  # exact
    part = fma(n, -second, r)
    rest = fma(n, -second, r - part)  # what the line before has rounded away
    if low is not None:
        rest = rest + low
    whole = ordered(1, part)
    w = fma(part * part, polynomial(part, EXP[x.f.double]), whole.low)
    return Pair(whole.high, fma(rest, whole.high + w, w)), word


@entry("exp")
def exp(x: Real) -> Real:
    x = within(x, LIMITS)
    _, n, r = reduced(x)
    y = fma(r * r, polynomial(r, EXP[x.f.double]), r) + 1
    return scaled(y, n)


@entry("exp2")
def exp2(x: Real) -> Real:
    x = within(x, LIMITS_2)
    n, word = nearest(x, 1.0)
    r = x - n
    return scaled(fma(r, polynomial(r, EXP2[x.f.double]), 1), word)


def tanh_part(x: Real) -> Real:
    """(e^(2 |x|) - 1) / 2 up to END, within 2.3 ulp."""
    f = x.f
    x = abs(x).at_most(END[f.double])
    _, word, r = reduced(x + x)
    q = fma(r * r, polynomial(r, EXP[f.double]), r)
    # 2^(n-1) (q + 1) - 1/2. For n = 0 it is q / 2: a subnormal q is 2 |x|, and its half exact.
    half = f.power_of_two(make("add", word, f.word(f.bias - 1)))
    return fma(q, half, half - 0.5)


@entry("expm1")
def expm1(x: Real) -> Real:
    f = x.f
    inside = within(x, LIMITS_M1)
    n, word = nearest(inside, 1 / math.log(2))
    first, second = LOG2[f.double]
    part = fma(n, -first, inside)  # exact
    r = fma(n, -second, part)
    rest = fma(r * r, polynomial(r, EXP[f.double]), fma(n, -second, part - r))
    half = f.power_of_two(make("add", word, f.word(f.bias - 1)))
    whole = ordered(half - 0.5, r * half)
    y = (whole.high + fma(rest, half, whole.low)) * 2
    # -0 stays -0, and a number so small that its square is nothing stays itself.
    return choose(abs(x) < f.eps / 2, x, y)


def _expit_parts(x: Real) -> tuple[Pair, Pair, Real]:
    """e^-|x| and 1 + e^-|x| in all their digits, and about the inverse of that."""
    e, n = exp_pair((-abs(x)).at_least(LIMITS[x.f.double][0]))
    e = Pair(scaled(e.high, n, e.low), scaled(e.low, n))
    under = ordered(1, e.high)
    return e, under, 1 / under.high


@entry("expit")
def expit(x: Real) -> Real:
    # e / (1 + e) with all digits of both: three roundings would be more than 2 ulp.
    e, under, inverse = _expit_parts(x)
    over = choose(x < 0, e.high, 1.0)
    y = over * inverse
    y = fma(fma(-y, under.high, over) - y * under.low, inverse, y)
    return choose(x.is_nan(), x, y)


def expit_slope(x: Real) -> Real:
    """e / (1 + e)^2, e = e^-|x|, from what expit takes too."""
    e, _, inverse = _expit_parts(x)
    return e.high * inverse * inverse
