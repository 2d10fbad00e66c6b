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
from .tables import HALF_LOG_2PI, LGAMMA, LOG_PI, PI_PAIR, SINPI, STIRLING

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
    return choose(a < math.inf, z, a)
