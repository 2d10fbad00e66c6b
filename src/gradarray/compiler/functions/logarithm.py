"""Logarithms: log, log2, log10, log1p, and of sums of exponentials.

    log x = k log 2 + log(1 + f),   x = 2^k (1 + f),   sqrt(1/2) <= 1 + f < sqrt 2
    log(1 + f) = f - f^2/2 + ..     with s = f / (2 + f):   2 artanh s
"""

from __future__ import annotations

import math

import numpy as np

from ..expr import Expr, bits, make
from .exponential import LIMITS, LIMITS_2, exp, exp2, exp_pair, within
from .pairs import Pair, constant, ordered, quotient, total
from .reals import Format, Real, both, choose, either, entry, fma, neither, polynomial
from .tables import ARTANH, LOG, LOG2, LOG2_E, LOG10_2, LOG10_E


def _word_of(value: float, f: Format) -> int:
    return int(np.asarray(value, f.dtype).view(f.int)[()])


def reduced(x: Real) -> tuple[Real, Expr, Real]:
    """(k as a number, k, 1 + f) of a positive x; its subnormal numbers are scaled first."""
    f = x.f
    up = 2.0 ** (f.mantissa + 1)
    small = x < f.tiny
    x = choose(small, x * up, x)
    # The exponent changes at sqrt(1/2), not at a power of two.
    root_half = _word_of(math.sqrt(0.5), f)
    word = make("sub", bits(x.e, f.int), f.word(root_half))
    k = make("shr", word, f.word(f.mantissa))
    mantissa = make("and", word, f.word((1 << f.mantissa) - 1))
    m = f.real(make("add", mantissa, f.word(root_half)))
    k = make("sub", k, make("select", small, f.word(f.mantissa + 1), f.word(0)))
    return f.value(k), k, m


def rest(f: Real) -> Real:
    """log(1 + f) - f."""
    if f.f.double:
        s = f / (f + 2)
        z = s * s
        half = 0.5 * f * f
        return fma(s, fma(z, polynomial(z, ARTANH[True]), half), -half)
    return f * f * fma(f, polynomial(f, LOG[False]), -0.5)


def _ends(x: Real, y: Real) -> Real:
    """log x: y, but -inf at 0, NaN below, inf and NaN where x is."""
    y = choose(x.equals(0), -math.inf, y)
    y = choose(x < 0, math.nan, y)
    return choose(x < math.inf, y, x)


def _down(k: Expr, f: Format) -> Real:
    """2^-k, or what is small enough where that is no normal number: lower parts are lost there."""
    shift = make("max", make("sub", f.word(f.bias), k), f.word(1))
    return f.power_of_two(make("min", shift, f.word(2 * f.bias)))


def log_pair(x: Real, low: Real, twice: Real | None = None) -> Pair:
    """log(x + low) to more digits than a number has, near x = 1 too; x > 0, and normal."""
    k, word, m = reduced(x)
    g = ordered(m - 1, low * _down(word, x.f))
    high, lower = LOG2[x.f.double]
    if twice is not None:
        k = k + twice
    main = ordered(k * high, g.high)
    main = _first_alone(k, main, g.high)
    tail = fma(-g.high, g.low, g.low) + rest(g.high)
    return Pair(main.high, main.low + fma(k, lower, tail))


def _first_alone(k: Real, main: Pair, high: Real) -> Pair:
    """k = 0: the number itself."""
    none = k.equals(0)
    return Pair(choose(none, high, main.high), choose(none, 0.0, main.low))


@entry("log")
def log(x: Real) -> Real:
    k, _, m = reduced(x)
    f = m - 1
    high, low = LOG2[x.f.double]
    return _ends(x, fma(k, high, f + fma(k, low, rest(f))))


def _other(x: Real, unit: Pair, e: Pair, k: Real, f: Real) -> Real:
    """k unit + log(1 + f) e, with a rounding of the sum alone: exact where the result is."""
    part = f * e.high
    lower = fma(f, e.high, -part) + fma(f, e.low, rest(f) * e.high)
    main = ordered(k * unit.high, part)
    main = _first_alone(k, main, part)
    return _ends(x, main.high + (main.low + fma(k, unit.low, lower)))


@entry("log2")
def log2(x: Real) -> Real:
    k, _, m = reduced(x)
    one = Pair(x.constant(1), x.constant(0))
    return _other(x, one, constant(x, LOG2_E), k, m - 1)


@entry("log10")
def log10(x: Real) -> Real:
    k, _, m = reduced(x)
    return _other(x, constant(x, LOG10_2), constant(x, LOG10_E), k, m - 1)


@entry("log1p")
def log1p(x: Real) -> Real:
    u = total(1, x)
    k, word, m = reduced(u.high)
    # The whole of 1 + x once more: for k = 0 this is x itself.
    g = fma(u.low, _down(word, x.f), m - 1)
    high, low = LOG2[x.f.double]
    y = fma(k, high, g + fma(k, low, rest(g)))
    y = choose(x.equals(-1), -math.inf, y)
    y = choose(x < -1, math.nan, y)
    y = choose(x < math.inf, y, x)
    return choose(x.equals(0), x, y)


# Of sums of exponentials ----------------------------------------------------------------------


def _log1p_exp(d: Real) -> Real:
    """log(1 + e^d) for d <= 0."""
    e, n = exp_pair(within(d, LIMITS))
    f = d.f
    # Below eps^2 it is e^d itself, which exp rounds once where it underflows.
    power = f.power_of_two(make("add", n, f.word(f.bias)))
    far = d < (-90.0 if f.double else -40.0)
    power = choose(far, 0.0, power)
    u = total(1, e.high * power)
    y = log_pair(u.high, fma(e.low, power, u.low))
    return choose(far, exp(d), y.sum())


@entry("log_expit")
def log_expit(x: Real) -> Real:
    y = _log1p_exp(-abs(x))
    return choose(x > 0, -y, x - y)


@entry("logaddexp")
def logaddexp(a: Real, b: Real) -> Real:
    big = choose(a > b, a, b)
    y = big + _log1p_exp(-abs(a - b))
    # The same infinities have no difference.
    y = choose(a.equals(b), a + math.log(2), y)
    return choose(either(a.is_nan(), b.is_nan()), a + b, y)


@entry("logaddexp2")
def logaddexp2(a: Real, b: Real) -> Real:
    big = choose(a > b, a, b)
    y = big + log1p(exp2(within(-abs(a - b), LIMITS_2))) * (1 / math.log(2))
    y = choose(a.equals(b), a + 1, y)
    return choose(either(a.is_nan(), b.is_nan()), a + b, y)


# Of probabilities ---------------------------------------------------------------------------------


def _times_log(a: Real, b: Real, log_b: Real) -> Real:
    """a log b, 0 where a = 0 and b is a number."""
    return choose(both(a.equals(0), neither(b.is_nan())), 0.0, a * log_b)


@entry("xlogy")
def xlogy(a: Real, b: Real) -> Real:
    return _times_log(a, b, log(b))


@entry("xlog1py")
def xlog1py(a: Real, b: Real) -> Real:
    return _times_log(a, b, log1p(b))


@entry("entr")
def entr(x: Real) -> Real:
    y = choose(x.equals(0), 0.0, -x * log(x))
    return choose(x < 0, -math.inf, y)


@entry("logit")
def logit(x: Real) -> Real:
    """log(x / (1 - x)) = log(1 + (2x - 1)/(1 - x)), near 1/2 too."""
    inside = choose(both(x > 0, x < 1), x, 0.5)
    middle = both(inside > 0.25, inside < 0.75)
    near = choose(middle, inside, 0.5)
    u = quotient(Pair(near, x.constant(0)), total(1, -near))
    u = ordered(u.high, u.low)
    center = log_pair(u.high, u.low).sum()
    y = choose(middle, center, log(inside) - log1p(-inside))
    y = choose(x.equals(0), -math.inf, choose(x.equals(1), math.inf, y))
    y = choose(either(x < 0, x > 1), math.nan, y)
    return choose(x.is_nan(), x, y)
