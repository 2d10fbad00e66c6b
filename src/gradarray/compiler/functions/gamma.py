"""The logarithm of the gamma function, and its derivative.

    log Gamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + ..            x >= 8   (Stirling)
    Gamma(x + 1) = x Gamma(x)                                        into [3/2, 5/2] from (0, 8)
    Gamma(x) Gamma(1 - x) = pi / sin(pi x)                           x < 0
"""

from __future__ import annotations

import math

from .logarithm import log, log_pair
from .pairs import Pair, choose_pair, constant, ordered, product, total
from .reals import Real, both, choose, entry, fma, in_double, neither, polynomial
from .tables import DIGAMMA, HALF_LOG_2PI, LGAMMA, LOG_PI, PI_PAIR, PSI, PSI_ROOT, SINPI, STIRLING

FAR = 8.0
MIDDLE = 2.5


def _near(x: Real) -> Pair:
    """log Gamma(x) for 0 < x <= FAR."""
    # Gamma(x) = up Gamma(y) / down, y in [3/2, 5/2].
    one = x.constant(1)
    up, y = one, x
    for _ in range(6):
        high = y > MIDDLE
        y = choose(high, y - 1, y)
        up = choose(high, up * y, up)
    low, lower = x < 1.5, x < 0.5
    down = choose(lower, x * (x + 1), choose(low, x, 1.0))
    # Exact as 2 + z: x - 1 and x are, and x + 2 is not.
    z = choose(lower, x, choose(low, x - 1, y - 2))
    base = z * polynomial(z, LGAMMA[x.f.double])
    tiny = x < x.f.tiny * 4  # x (x + 1) = x
    ratio = choose(low, choose(tiny, x, down), up)
    change = log_pair(ratio, x.constant(0))
    sign = choose(low, -1.0, x.constant(1))
    y = total(base, sign * change.high)
    return Pair(y.high, y.low + sign * change.low)


def _far(x: Real) -> Pair:
    w = 1 / x
    series = w * polynomial(w * w, STIRLING[x.f.double])
    log_x = log_pair(x, x.constant(0))
    # (x - 1/2)(log x - 1) - 1/2 + log(2 pi)/2
    less = total(log_x.high, -1)
    half = x - 0.5
    main = product(half, less.high)
    unit = constant(x, HALF_LOG_2PI)
    rest = fma(half, less.low + log_x.low, main.low) + series
    whole = ordered(main.high, unit.high - 0.5)
    return ordered(whole.high, whole.low + (rest + unit.low))


def _positive(x: Real) -> Pair:
    far = x >= FAR
    # From here on (x - 1/2) is x, and the product may be infinite.
    huge = x > 2.0**200
    a = choose(both(far, neither(huge)), x, FAR)
    y = choose_pair(far, _far(a), _near(choose(far, 2.0, x)))
    end = x * (log(choose(huge, x, 2.0)) - 1)
    return choose_pair(huge, Pair(end, x.constant(0)), y)


@entry("gammaln")
@in_double
def gammaln(x: Real) -> Real:
    a = abs(x)
    y = _positive(a)
    # log(pi / |x sin(pi x)|) - log Gamma(-x)
    r = a - a.apply("rint")
    z = r * r
    pi = constant(x, PI_PAIR)
    main = product(r, pi.high)
    sine = ordered(main.high, fma(r * z, polynomial(z, SINPI[x.f.double]), main.low))
    sine = Pair(sine.high, fma(r, pi.low, sine.low))
    over = product(a, sine.high)
    sign = choose(over.high < 0, -1.0, x.constant(1))
    # A number so small that its product underflows is not near a pole other than 0.
    small = a < 2.0**-200
    inside = choose(small, 1.0, sign * over.high)
    log_x = log_pair(inside, sign * fma(a, sine.low, over.low))
    unit = constant(x, LOG_PI)
    first = total(unit.high, -log_x.high)
    second = total(first.high, -y.high)
    mirrored = second.high + (second.low + (first.low + (unit.low - log_x.low - y.low)))
    pole = both(x <= 0, r.equals(0))
    z = choose(x < 0, choose(small, -log(a), mirrored), y.sum())
    z = choose(pole, math.inf, z)
    return choose(a < math.inf, z, x)  # SciPy has -inf at -inf


def _sine_pi(r: Real) -> Real:
    """sin(pi r), |r| <= 1/2."""
    z = r * r
    return fma(r * z, polynomial(z, SINPI[r.f.double]), math.pi * r)


def _digamma_near(x: Real) -> Real:
    """psi(x), 0 < x < 5."""
    low = x < 1
    y, over, under = x, x.constant(0), x.constant(1)
    for _ in range(3):
        high = y >= 2
        y = choose(high, y - 1, y)
        over = choose(high, fma(over, y, under), over)
        under = choose(high, under * y, under)
    over, under = choose(low, -1.0, over), choose(low, x, under)
    root = constant(x, PSI_ROOT)
    d = y - choose(low, root.high - 1, root.high) - root.low
    return d * polynomial(d, PSI[x.f.double]) + over / under


def _digamma_far(x: Real) -> Real:
    w = 1 / x
    return log(x) - fma(w * w, polynomial(w * w, DIGAMMA[x.f.double]), 0.5 * w)


@entry("psi")
@in_double
def digamma(x: Real) -> Real:
    """psi(x + 1) = psi(x) + 1/x into [1, 2]; log x - 1/(2x) - .. far out."""
    left = x <= 0
    a = choose(left, 1 - x, x)
    far = a >= 5
    y = choose(far, _digamma_far(choose(far, a, 5.0)), _digamma_near(choose(far, 1.0, a)))
    # psi(1 - x) = psi(x) + pi cot(pi x)
    r = x - x.apply("rint")
    pole = r.equals(0)
    cotangent = _sine_pi(0.5 - abs(r)) / _sine_pi(choose(pole, 0.5, r))
    y = choose(left, y - math.pi * cotangent, y)
    # SciPy's poles: at 0 by its sign, at others NaN.
    y = choose(both(left, pole), math.nan, y)
    y = choose(x.equals(0), -(1 / x), y)
    return choose(x.equals(math.inf), x, y)
