"""Trigonometric functions.

    x = n pi/2 + r,   |r| <= pi/4

n pi/2 is taken off in three parts (Cody and Waite), of which the first leaves no error; beyond
LIMIT, where that would need more parts, the C library is asked, for the lanes of one vector.
"""

from __future__ import annotations

import math

from ..expr import Expr, make
from .pairs import Pair, choose_pair, ordered, product, quotient, total
from .reals import Real, choose, entry, fma, nearest, polynomial
from .tables import COS, HALF_PI, SIN, TAN

LIMIT = 2.0**17


def reduced(x: Real) -> tuple[Expr, Real]:
    """(n as a word, r), r within an ulp."""
    n, word = nearest(x, 2 / math.pi)
    first, second, third = HALF_PI[x.f.double]
    return word, fma(n, -third, fma(n, -second, fma(n, -first, x)))


def reduced_pair(x: Real) -> tuple[Expr, Pair]:
    """(n as a word, r), r to more digits than a number has."""
    n, word = nearest(x, 2 / math.pi)
    first, second, third = HALF_PI[x.f.double]
    part = product(n, second)
    whole = total(fma(n, -first, x), -part.high)  # the first of these is exact
    return word, ordered(whole.high, fma(n, -third, whole.low - part.low))


def beyond(x: Real, y: Real, name: str) -> Real:
    far = abs(x) > LIMIT
    return Real(make("rare", far, y.e, make("libm", x.e, attr=name)))


def _wave(word: Expr, r: Real) -> Real:
    """sin(r + n pi/2)."""
    f = r.f
    z = r * r
    sine = fma(r * z, polynomial(z, SIN[f.double]), r)
    cosine = fma(z * z, polynomial(z, COS[f.double]), fma(z, -0.5, 1))
    one, two = f.word(1), f.word(2)
    odd = make("ne", make("and", word, one), f.word(0))
    y = choose(odd, cosine, sine)
    sign = make("shl", make("and", word, two), f.word(f.int.itemsize * 8 - 2))
    return f.real(make("xor", y.bits(), sign))


@entry("sin")
def sin(x: Real) -> Real:
    word, r = reduced(x)
    return beyond(x, choose(x.equals(0), x, _wave(word, r)), "sin")


@entry("cos")
def cos(x: Real) -> Real:
    word, r = reduced(x)
    return beyond(x, _wave(make("add", word, x.f.word(1)), r), "cos")


@entry("tan")
def tan(x: Real) -> Real:
    word, r = reduced_pair(x)
    f = x.f
    u, low = r.high * 0.5, r.low * 0.5
    z = u * u
    t = ordered(u, fma(u * z, polynomial(z, TAN[f.double]), low))
    # tan 2u = 2t / (1 - t^2), and -1 / tan 2u in odd quadrants.
    square = product(t.high, t.high)
    under = ordered(1, -square.high)
    under = Pair(under.high, under.low - fma(2 * t.high, t.low, square.low))
    over = t.times(2)
    odd = make("ne", make("and", word, f.word(1)), f.word(0))
    over, under = choose_pair(odd, under, over), choose_pair(odd, over.times(-1), under)
    zero = x.equals(0)
    y = quotient(over, Pair(choose(zero, 1.0, under.high), under.low)).sum()
    tiny = abs(x) < (2.0**-28 if f.double else 2.0**-13)
    return beyond(x, choose(tiny, x, y), "tan")
