"""Powers, roots and distances.

    a^b = e^(b log a), with log a to so many digits that b log a has all of e's
"""

from __future__ import annotations

import math

import numpy as np

from ..expr import Expr, make
from .exponential import LIMITS, exp, exp_pair, within
from .logarithm import log, reduced
from .pairs import Pair, constant, ordered, product, quotient, total
from .reals import Real, both, choose, either, entry, fma, neither, polynomial, scaled
from .tables import ARTANH_MORE, CBRT, LOG2_PAIR, TWO_THIRDS


def _sharp_log(x: Real) -> Pair:
    """log x to 2^-65: log(1 + f) = 2s + (2/3) s^3 + s^5 p(s^2), s = f / (2 + f)."""
    k, _, m = reduced(x)
    s = quotient(Pair(m - 1, x.constant(0)), total(m - 1, 2.0))
    s = ordered(s.high, s.low)
    z = product(s.high, s.high)
    z = Pair(z.high, fma(2 * s.high, s.low, z.low))
    third = constant(x, TWO_THIRDS)
    # (2/3 + z p(z)) z s
    more = ordered(third.high, z.high * polynomial(z.high, ARTANH_MORE[x.f.double]))
    more = Pair(more.high, more.low + third.low)
    cube = _times(_times(z, more), s)
    unit = constant(x, LOG2_PAIR)
    whole = product(k, unit.high)
    main = total(whole.high, 2 * s.high)
    upper = ordered(main.high, cube.high)
    low = main.low + whole.low + fma(k, unit.low, 2 * s.low + (upper.low + cube.low))
    return ordered(upper.high, low)


def _times(a: Pair, b: Pair) -> Pair:
    main = product(a.high, b.high)
    return ordered(main.high, fma(a.high, b.low, fma(a.low, b.high, main.low)))


def _whole(b: Real) -> tuple[Expr, Expr]:
    """Is b an integer, and an odd one?"""
    half = b * 0.5
    return b.apply("trunc").equals(b), half.apply("trunc").differs(half)


def _magnitude(x: Real, b: Real) -> Real:
    """x^b for x >= 0."""
    sharp = _sharp_log(x)
    p = sharp.high * b
    low = fma(sharp.high, b, -p) + sharp.low * b
    # What is 0 or infinite has no lower part.
    p = choose(x.equals(0), -b, choose(x.equals(math.inf), b, p))
    ends = either(either(x.equals(0), x.equals(math.inf)), abs(p) > -2 * LIMITS[True][0])
    p = choose(both(ends, abs(p) > 0), p * math.inf, p)
    e, n = exp_pair(within(p, LIMITS), choose(ends, 0.0, low))
    return scaled(e.high, n, e.low)


@entry("power", "float_power")
def power(a: Real, b: Real) -> Real:
    x = abs(a)
    if a.f.double:
        y = _magnitude(x, b)
    else:
        wide = log(x.cast(np.float64)) * b.cast(np.float64)
        y = exp(wide).cast(np.float32)
    integer, odd = _whole(b)
    negative = a.negative()
    y = choose(both(negative, both(integer, odd)), -y, y)
    # A negative base has integer powers only.
    y = choose(both(both(a < 0, neither(integer)), x < math.inf), math.nan, y)
    y = choose(either(a.is_nan(), b.is_nan()), a + b, y)
    one = either(b.equals(0), a.equals(1))
    return choose(either(one, both(x.equals(1), abs(b).equals(math.inf))), 1.0, y)


@entry("cbrt")
def cbrt(x: Real) -> Real:
    f = x.f
    a = abs(x)
    small = a < f.tiny
    a = choose(small, a * 2.0 ** (f.mantissa * 3), a)
    word = a.bits()
    exponent = make("sub", make("shr", word, f.word(f.mantissa)), f.word(f.bias))
    third = (f.value(exponent) * (1 / 3) + 1e-3).apply("floor")  # exponents are at most 1100
    by = make("cast", third.e, dtype=f.int)
    three = make("add", by, make("add", by, by))
    # 1 <= m < 8
    m = f.real(make("sub", word, make("shl", three, f.word(f.mantissa))))
    y = polynomial(m, CBRT[f.double])
    cube = y * y * y
    y = y * (cube + 2 * m) / (2 * cube + m)  # Halley: three times as many digits
    square = product(y, y)
    cube_ = product(square.high, y)
    rest = (m - cube_.high) - fma(square.low, y, cube_.low)
    y = y + rest / (3 * square.high)
    by = make("sub", by, make("select", small, f.word(f.mantissa), f.word(0)))
    y = y * f.power_of_two(make("add", by, f.word(f.bias)))
    y = choose(both(abs(x) > 0, abs(x) < math.inf), y, abs(x))
    return y.signed(x)


@entry("hypot")
def hypot(a: Real, b: Real) -> Real:
    a, b = abs(a), abs(b)
    # Squares of what is scaled neither overflow nor lose digits.
    big, factor = (2.0**500, 2.0**600) if a.f.double else (2.0**60, 2.0**75)
    most = choose(a > b, a, b)
    down, up = most > big, most < 1 / big
    scale = choose(down, 1 / factor, choose(up, factor, a.constant(1)))
    back = choose(down, factor, choose(up, 1 / factor, a.constant(1)))
    x, y = a * scale, b * scale
    h = fma(x, x, y * y).sqrt() * back
    return choose(either(a.equals(math.inf), b.equals(math.inf)), math.inf, h)


@entry("nextafter")
def nextafter(a: Real, b: Real) -> Real:
    f = a.f
    one = f.word(1)
    bits = a.bits()
    away = either(both(a > 0, b > a), both(a < 0, b < a))
    moved = f.real(make("select", away, make("add", bits, one), make("sub", bits, one)))
    moved = choose(a.equals(0), f.real(one).signed(b), moved)
    moved = choose(a.equals(b), b, moved)
    return choose(either(a.is_nan(), b.is_nan()), a + b, moved)
