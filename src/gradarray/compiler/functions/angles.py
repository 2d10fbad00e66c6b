"""Inverse trigonometric functions.

    arcsin x = pi/2 - 2 arcsin sqrt((1 - x)/2)                 1/2 < x <= 1
    arctan q = pi/4 + arctan((q - 1) / (q + 1))                tan(pi/8) < q <= 1
    the angle of (x, y) = pi/2 - the angle of (y, x),  pi - the angle of (-x, y)
"""

from __future__ import annotations

import math

from .pairs import Pair, choose_pair, constant, ordered, quotient, root, total
from .reals import Real, both, choose, either, entry, fma, polynomial
from .tables import ARCSIN, ARCTAN, HALF_PI, QUARTER_PI


def _arcsin_parts(x: Real) -> tuple[Pair, Real]:
    """(s, arcsin s - s) where s = |x| up to 1/2, and sqrt((1 - |x|)/2) from there."""
    a = abs(x)
    large = a > 0.5
    half = (1 - a) * 0.5  # exact
    z = choose(large, half, a * a)
    zero = x.constant(0)
    s = root(Pair(choose(both(large, half > 0), half, 1.0), zero))
    s = choose_pair(half.equals(0), Pair(zero, zero), s)
    s = choose_pair(large, s, Pair(a, zero))
    return s, fma(s.high * z, polynomial(z, ARCSIN[x.f.double]), s.low)


def _half_pi(x: Real) -> Pair:
    high, low, _ = HALF_PI[x.f.double]
    return Pair(x.constant(high), x.constant(low))


@entry("arcsin")
def arcsin(x: Real) -> Real:
    s, rest = _arcsin_parts(x)
    right = _half_pi(x)
    main = ordered(right.high, -2 * s.high)
    far = main.high + (main.low + fma(rest, -2.0, right.low))
    y = choose(abs(x) > 0.5, far, s.high + rest)
    return choose(abs(x) > 1, math.nan, y).signed(x)


@entry("arccos")
def arccos(x: Real) -> Real:
    s, rest = _arcsin_parts(x)
    right = _half_pi(x)
    large, down = abs(x) > 0.5, x < 0
    # pi/2 - arcsin x; 2 arcsin s near 1, and pi - 2 arcsin s near -1.
    twice = choose(large, 2.0, x.constant(1))
    base = choose(large, choose(down, 2.0, x.constant(0)), 1.0)
    sign = choose(down, 1.0, x.constant(-1))
    factor = twice * choose(large, -sign, sign)
    main = total(base * right.high, factor * s.high)
    y = main.high + (main.low + fma(base, right.low, factor * rest))
    return choose(abs(x) > 1, math.nan, y)


def _angle(small: Real, large: Real, base: Real, sign: Real) -> Real:
    """base pi/4 + sign arctan(small / large), for 0 <= small <= large, large > 0; base 0, 2, 4."""
    middle = small > math.tan(math.pi / 8) * large
    zero = small.constant(0)
    over = choose_pair(middle, total(small, -large), Pair(small, zero))
    under = choose_pair(middle, total(small, large), Pair(large, zero))
    q = quotient(over, under)
    z = q.high * q.high
    rest = fma(q.high * z, polynomial(z, ARCTAN[small.f.double]), q.low)
    base = base + choose(middle, sign, 0.0)
    unit = constant(small, QUARTER_PI)
    main = ordered(base * unit.high, sign * q.high)
    y = main.high + (main.low + fma(base, unit.low, sign * rest))
    # Without a base the first sum would lose the sign of -0.
    return choose(base.equals(0), sign * (q.high + rest), y)


@entry("arctan")
def arctan(x: Real) -> Real:
    a = abs(x)
    one = x.constant(1)
    steep = a > 1
    small, large = choose(steep, 1.0, a), choose(steep, a, 1.0)
    large = large.at_most(x.f.max / 4)
    base, sign = choose(steep, 2.0, x.constant(0)), choose(steep, -1.0, one)
    y = _angle(small, large, base, sign)
    return choose(x.is_nan(), x, y).signed(x)


@entry("arctan2")
def arctan2(y: Real, x: Real) -> Real:
    a, b = abs(y), abs(x)
    steep = a > b
    small, large = choose(steep, b, a), choose(steep, a, b)
    infinite = large.equals(math.inf)
    same = small.equals(math.inf)
    small = choose(infinite, choose(same, 1.0, x.constant(0)), small)
    large = choose(either(infinite, large.equals(0)), 1.0, large)
    # Away from the ends, so that neither sums nor inverses leave the numbers.
    edge = 2.0**900 if x.f.double else 2.0**100
    scale = choose(large > edge, 1 / edge, choose(large < 1 / edge, edge, x.constant(1)))
    small, large = small * scale, large * scale
    left = x.negative()
    one = x.constant(1)
    sign = choose(steep, -1.0, one)
    base = choose(steep, 2.0, x.constant(0))
    sign, base = choose(left, -sign, sign), choose(left, 4 - base, base)
    z = _angle(small, large, base, sign).signed(y)
    return choose(either(x.is_nan(), y.is_nan()), x + y, z)
