"""The coefficients of the compiler's elementary functions, made anew from mpmath.

`python -m gradarray.testing.approximate` writes `compiler/functions/tables.py`: for each function
the polynomial that interpolates it at Chebyshev's points, which comes within a factor of about two
of the best one, of the lowest degree whose error stays below 1/16 of half an ulp of the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np

mp: Any = mpmath.mp
mpf: Any = mpmath.mpf
DIGITS = 60
TARGET = Path(__file__).parents[1] / "compiler" / "functions" / "tables.py"


class Wanted(NamedTuple):
    """p(x) = f(x) on [low, high]; an error of p counts `weight(x)` times in the result."""

    name: str
    what: str
    f: Callable[[Any], Any]
    low: Any
    high: Any
    weight: Callable[[Any], Any] = lambda x: mpf(1)
    bits: tuple[int, int] | None = None  # of float32 and float64, where not their own


def interpolated(f: Callable[[Any], Any], low: Any, high: Any, degree: int) -> list[Any]:
    """The coefficients, lowest first, of the polynomial that is f at Chebyshev's points."""
    n = degree + 1
    middle, half = (mpf(low) + high) / 2, (mpf(high) - low) / 2
    ts = [mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    values = [f(middle + half * t) for t in ts]
    series = [
        sum(v * mp.cos(mp.pi * j * (2 * k + 1) / (2 * n)) for k, v in enumerate(values)) * 2 / n
        for j in range(n)
    ]
    series[0] /= 2

    # Clenshaw's recurrence on polynomials in x: t = (x - middle) / half.
    def times_t(p: list[Any]) -> list[Any]:
        out = [mpf(0)] * (len(p) + 1)
        for k, c in enumerate(p):
            out[k] -= c * middle / half
            out[k + 1] += c / half
        return out

    def plus(p: list[Any], q: list[Any], factor: int = 1) -> list[Any]:
        size = max(len(p), len(q))
        p, q = (x + [mpf(0)] * (size - len(x)) for x in (p, q))
        return [a + factor * b for a, b in zip(p, q)]

    b1, b2 = [mpf(0)], [mpf(0)]
    for c in reversed(series[1:]):
        b1, b2 = plus(plus([2 * x for x in times_t(b1)], b2, -1), [c]), b1
    p = plus(plus(times_t(b1), b2, -1), [series[0]])
    return p[:n]


def error(wanted: Wanted, coefficients: list[Any], points: int = 32) -> Any:
    """The largest weighted error between the points of interpolation."""
    low, high = mpf(wanted.low), mpf(wanted.high)
    worst = mpf(0)
    for k in range(points + 1):
        # Close to both ends too, where it is largest; never at 0, where quotients are not defined.
        x = (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (k + mpf("0.3")) / (points + 1))
        value = sum(c * x**k for k, c in enumerate(coefficients))
        worst = max(worst, abs(value - wanted.f(x)) * wanted.weight(x))
    return worst


def made(wanted: Wanted, bits: int) -> list[Any]:
    """The polynomial of the lowest degree that is good for results of so many bits."""
    limit = mpf(2) ** -(bits + 4)
    for degree in range(1, 40):
        # An even number of points: none is the middle, where quotients may be 0/0.
        coefficients = interpolated(wanted.f, wanted.low, wanted.high, degree)
        if error(wanted, coefficients) < limit:
            return coefficients
    raise ValueError(f"{wanted.name}: no polynomial of degree 39 is good enough")


def _odd(f: Callable[[Any], Any], *taken: Any) -> Callable[[Any], Any]:
    """z -> what is left of f(sqrt z)/sqrt z after its first terms, over the next power of z."""

    def rest(z: Any) -> Any:
        x = mp.sqrt(z)
        y = f(x) / x
        for k, c in enumerate(taken):
            y -= c * z**k
        return y / z ** len(taken)

    return rest


def _even(f: Callable[[Any], Any], *taken: Any) -> Callable[[Any], Any]:
    def rest(z: Any) -> Any:
        y = f(mp.sqrt(z))
        for k, c in enumerate(taken):
            y -= c * z**k
        return y / z ** len(taken)

    return rest


def _shifted(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, and its limit where it is 0/0."""
    return lambda x: f(x if abs(x) > mpf(10) ** -25 else mpf(10) ** -25)


def _stirling(w: Any) -> Any:
    x = 1 / mp.sqrt(w)
    return x * (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def _digamma(w: Any) -> Any:
    x = 1 / mp.sqrt(w)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / w


@functools.cache
def _psi_root() -> Any:
    return mp.findroot(mp.digamma, mpf("1.4616"))


def wanted() -> list[Wanted]:
    half_log2 = mp.log(2) / 2 * mpf("1.001")
    eighth = mp.pi / 8 * mpf("1.03")
    root_half = mp.sqrt(mpf(0.5))
    s2 = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.01")
    q2 = mp.tan(mp.pi / 8) ** 2 * mpf("1.01")
    # 9/8 is near 2/sqrt(pi): the slope at 0, where t moves fastest, is nearly 0.
    erfc_scaled = lambda x: (1 + mpf(9) / 8 * x) * mp.exp(x * x) * mp.erfc(x)
    return [
        Wanted("EXP", "(e^r - 1 - r) / r^2, |r| <= log(2)/2",
               _shifted(lambda r: (mp.expm1(r) - r) / r**2), -half_log2, half_log2, abs),
        Wanted("EXP2", "(2^r - 1) / r, |r| <= 1/2",
               _shifted(lambda r: mp.expm1(r * mp.log(2)) / r), mpf("-0.501"), mpf("0.501"), abs),
        Wanted("SINH", "(sinh r - r) / r^3, in r^2", _odd(mp.sinh, 1), 0, half_log2**2,
               lambda z: z),
        Wanted("COSH", "(cosh r - 1) / r^2, in r^2", _even(mp.cosh, 1), 0, half_log2**2,
               lambda z: z),
        Wanted("LOG", "(log(1 + f) - f + f^2/2) / f^3, sqrt(1/2) <= 1 + f <= sqrt 2",
               _shifted(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3),
               root_half * mpf("0.999") - 1, mp.sqrt(2) * mpf("1.001") - 1, lambda f: f * f,
               (24, 24)),
        Wanted("ARTANH", "2 (artanh s - s) / s^3, in s^2", lambda z: 2 * _odd(mp.atanh, 1)(z), 0,
               s2, lambda z: z / 2),
        Wanted("ARTANH_MORE", "2 (artanh s - s - s^3/3) / s^5, in s^2",
               lambda z: 2 * _odd(mp.atanh, 1, mpf(1) / 3)(z), 0, s2, lambda z: z * z / 2,
               (34, 66)),
        Wanted("SIN", "(sin r - r) / r^3, in r^2, |r| <= pi/4", _odd(mp.sin, 1), 0,
               4 * eighth**2, lambda z: z),
        Wanted("COS", "(cos r - 1 + r^2/2) / r^4, in r^2, |r| <= pi/4",
               _even(mp.cos, 1, -mpf(1) / 2), 0, 4 * eighth**2, lambda z: z * z / mpf("0.7")),
        Wanted("SINPI", "(sin pi r - pi r) / r^3, in r^2, |r| <= 1/2",
               _odd(lambda r: mp.sin(mp.pi * r), mp.pi), 0, mpf("0.251"), lambda z: z / 2),
        Wanted("TAN", "(tan r - r) / r^3, in r^2, |r| <= pi/8", _odd(mp.tan, 1), 0, eighth**2,
               lambda z: z),
        Wanted("ARCSIN", "(arcsin s - s) / s^3, in s^2, s <= 1/2", _odd(mp.asin, 1), 0,
               mpf("0.2505"), lambda z: z),
        Wanted("ARCTAN", "(arctan q - q) / q^3, in q^2, q <= tan(pi/8)", _odd(mp.atan, 1), 0, q2,
               lambda z: z),
        Wanted("ERF", "erf(x)/x - 1, in x^2, x <= 1", lambda z: _odd(mp.erf)(z) - 1, 0,
               mpf("1.002")),
        Wanted("ERFCX", "(1 + 9x/8) e^(x^2) erfc x, in t = (x - 4) / (x + 4), x >= 0",
               lambda t: erfc_scaled(4 * (1 + t) / (1 - t)), -1, 1),
        Wanted("LGAMMA", "log Gamma(2 + z) / z, |z| <= 1/2",
               _shifted(lambda z: mp.loggamma(2 + z) / z), mpf("-0.5005"), mpf("0.5005")),
        Wanted("STIRLING", "x (log Gamma(x) - (x - 1/2) log x + x - log(2 pi)/2), in 1/x^2, x >= 8",
               _stirling, 0, mpf(1) / 63, mp.sqrt),
        Wanted("DIGAMMA", "x^2 (log x - 1/(2x) - psi(x)), in 1/x^2, x >= 5", _digamma, 0,
               mpf(1) / 24, lambda w: w),
        Wanted("PSI", "psi(x0 + d) / d, x0 its root, 1 <= x0 + d <= 2",
               _shifted(lambda d: mp.digamma(_psi_root() + d) / d), 1 - _psi_root() - mpf("0.001"),
               2 - _psi_root() + mpf("0.001")),
        Wanted("CBRT", "the cube root of m, 1 <= m < 8", mp.cbrt, 1, 8, lambda m: 1 / mp.cbrt(m),
               (4, 4)),
    ]  # fmt: skip


class Constant(NamedTuple):
    """A number as a sum of floats, all but the last of so many bits for float32 and float64."""

    name: str
    value: Any
    bits: tuple[int, int] = (24, 53)
    parts: int = 2


def constants() -> list[Constant]:
    log = mp.log
    return [
        # Where the first part is short, its product with an exponent (or a quadrant) is exact.
        Constant("LOG2", log(2), (16, 41)),
        Constant("LOG2_PAIR", log(2)),
        Constant("LOG10_2", log(2) / log(10), (15, 41)),
        Constant("LOG2_E", 1 / log(2)),
        Constant("LOG10_E", 1 / log(10)),
        Constant("HALF_PI", mp.pi / 2, parts=3),
        Constant("QUARTER_PI", mp.pi / 4, (21, 50)),
        Constant("PI_PAIR", mp.pi),
        Constant("LOG_PI", log(mp.pi)),
        Constant("HALF_LOG_2PI", log(2 * mp.pi) / 2),
        Constant("PSI_ROOT", _psi_root(), (22, 51)),
        Constant("TWO_THIRDS", mpf(2) / 3),
        Constant("ROOT_HALF", mp.sqrt(mpf(0.5))),
        Constant("ROOT_2_BY_PI", mp.sqrt(2 / mp.pi)),
    ]


def parts(one: Constant, bits: int, kind: type) -> list[float]:
    rest, found = one.value, []
    for _ in range(one.parts - 1):
        unit = mpf(2) ** (mp.floor(mp.log(abs(rest), 2)) - bits + 1)
        found.append(float(mp.nint(rest / unit) * unit))
        rest -= found[-1]
    return [*found, float(kind(float(rest)))]


def text() -> str:
    """The module of tables."""
    lines = [
        '"""Coefficients, lowest first, for results of float32 and of float64.',
        "",
        "Made by `python -m gradarray.testing.approximate`; not to be changed by hand.",
        '"""',
    ]
    with mp.workdps(DIGITS):
        for one in wanted():
            bits = one.bits or (24, 53)
            lines += ["", f"# {one.what}", f"{one.name} = {{"]
            for double, kind in ((False, np.float32), (True, np.float64)):
                lines.append(f"    {double}: (")
                row = "       "
                for c in made(one, bits[double]):
                    number = f" {float(kind(float(c)))!r},"
                    if len(row) + len(number) > 100:
                        lines.append(row)
                        row = "       "
                    row += number
                lines += [row, "    ),"]
            lines.append("}  # fmt: skip")
        for one in constants():
            lines += ["", f"{one.name} = {{"]
            for double, kind in ((False, np.float32), (True, np.float64)):
                numbers = ", ".join(map(repr, parts(one, one.bits[double], kind)))
                lines.append(f"    {double}: ({numbers}),")
            lines.append("}  # fmt: skip")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
