"""The error function, the normal distribution, and what their derivatives are made of.

    erfc x = e^(-x^2) g(x),   g(x) = p((x - 4)/(x + 4)) / (1 + 9x/8)                      x >= 0

The square is exact in two parts: an error of x^2 would count x^2 times in e^(-x^2).
"""

from __future__ import annotations

import math

from ..expr import Expr, make
from .exponential import LIMITS, exp_pair, within
from .logarithm import log_pair
from .pairs import Pair, constant, ordered, product, quotient, total
from .reals import Real, choose, entry, fma, polynomial, scaled
from .tables import ERF, ERFCX, ROOT_2_BY_PI


def _bell(square: Pair) -> tuple[Pair, Expr]:
    """e^-square as 2^n (high + low)."""
    inside = square.high < -LIMITS[square.high.f.double][0]
    return exp_pair(within(-square.high, LIMITS), -choose(inside, square.low, 0.0))


def _scaled_erfc(x: Real) -> Pair:
    """e^(x^2) erfc x for x >= 0."""
    f = x.f
    far = x.at_most(f.max / 16)
    t = (far - 4) / (far + 4)
    c = ERFCX[f.double]
    over = ordered(c[0], t * polynomial(t, c[1:]))
    part = product(far, 1.125)
    under = total(1, part.high)
    return quotient(over, Pair(under.high, under.low + part.low))


def _tail(x: Real, square: Pair) -> tuple[Pair, Expr]:
    """erfc x for x >= 0, as 2^n (high + low)."""
    e, n = _bell(square)
    g = _scaled_erfc(x)
    main = product(e.high, g.high)
    return Pair(main.high, main.low + fma(e.high, g.low, e.low * g.high)), n


def _below_overflow(x: Real) -> Real:
    """|x|, not so large that its square is infinite where all is 0 or 1 anyway."""
    return abs(x).at_most(40.0 if x.f.double else 16.0)


@entry("erfc")
def erfc(x: Real) -> Real:
    a = _below_overflow(x)
    y, n = _tail(a, product(a, a))
    near = scaled(y.high, n, y.low)
    return choose(x < 0, 2 - near, near)


@entry("erf")
def erf(x: Real) -> Real:
    z = x * x
    inside = fma(x, polynomial(z, ERF[x.f.double]), x)
    far = (1 - erfc(abs(x))).signed(x)
    return choose(abs(x) < 1, inside, far)


@entry("erfcx")
def erfcx(x: Real) -> Real:
    g = _scaled_erfc(abs(x)).sum()
    a = x.at_least(-30.0 if x.f.double else -10.0)
    square = product(a, a)
    e, n = exp_pair(within(square.high, LIMITS), square.low)
    left = 2 * scaled(e.high, n, e.low) - g
    y = choose(x < 0, left, g)
    return choose(x > (2.0**60 if x.f.double else 2.0**30), (1 / math.sqrt(math.pi)) / x, y)


def gauss(x: Real, c: float) -> Real:
    """e^(-c x^2), c a power of 2."""
    most = 2.0**512 if x.f.double else 2.0**60
    a = abs(x).at_most(most)
    square = product(a, a)
    square = Pair(square.high * c, square.low * c)
    e, n = _bell(square)
    return scaled(e.high, n, e.low)


# The normal distribution: Phi(x) = erfc(-x / sqrt 2) / 2 ------------------------------------------


def _normal_parts(x: Real) -> tuple[Real, Pair]:
    """(|x| / sqrt 2, its square), |x| not beyond where Phi is 0 or 1."""
    a = abs(x).at_most(64.0 if x.f.double else 24.0)
    square = product(a, a)
    return a * math.sqrt(0.5), Pair(square.high * 0.5, square.low * 0.5)


@entry("ndtr")
def ndtr(x: Real) -> Real:
    y, n = _tail(*_normal_parts(x))
    tail = scaled(y.high, make("sub", n, x.f.word(1)), y.low)
    return choose(x > 0, 1 - tail, tail)


@entry("log_ndtr")
def log_ndtr(x: Real) -> Real:
    f = x.f
    zero = x.constant(0)
    # Left of 0: log(g/2) - x^2/2.
    a = abs(x)
    most = a.at_most(2.0**511 if f.double else 2.0**63)
    square = product(most, most)
    g = _scaled_erfc(a * math.sqrt(0.5))
    # Right of 0: log(1 - tail).
    y, n = _tail(*_normal_parts(x))
    half = f.power_of_two(make("add", n, f.word(f.bias - 1)))
    end = 9.0 if f.double else 6.0
    near = x < end
    tail = Pair(choose(near, y.high * half, 0.0), choose(near, y.low * half, 0.0))
    rest = total(1, -tail.high)
    left = x < 0
    log = log_pair(
        choose(left, g.high * 0.5, rest.high), choose(left, g.low * 0.5, rest.low - tail.low)
    )
    main = ordered(-0.5 * choose(left, square.high, zero), log.high)
    low = main.low + (log.low - 0.5 * choose(left, square.low, zero))
    big = a > (1e10 if f.double else 1e5)  # where the square alone is left
    z = choose(near, choose(big, -0.5 * a * a, main.high + low), -ndtr(-x))
    return choose(x.is_nan(), x, z)


def hazard(x: Real) -> Real:
    """phi(x) / Phi(x), phi the density of the normal distribution."""
    unit = constant(x, ROOT_2_BY_PI)
    left = x < 0
    a = choose(left, -x, x.constant(0))
    g = _scaled_erfc(a * math.sqrt(0.5))
    y = quotient(unit, g)
    density = gauss(x, 0.5) * (0.5 * unit.high)
    return choose(left, y.sum(), density / ndtr(x))
