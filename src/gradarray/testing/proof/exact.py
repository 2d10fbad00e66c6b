"""Exact derivatives, for comparison: functions of high-precision numbers, differenced.

A function is evaluated on arrays of mpmath numbers at seven points around t = 0, h = 10^-40 apart,
with so many digits that cancellation leaves more than 50 of them; the truncation error, h^3 times
a seventh derivative, is some 120 digits down. Nothing here knows of graphs or rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

ORDERS = 4
DIGITS = 50
_NODES = range(-3, 4)
# (s, digits): the step is 10^-s, and a difference quotient of order 4 divides by its 4th power.
_LEVELS = ((40, 240), (46, 300), (52, 360))
_DEEP = (*_LEVELS, (58, 800), (64, 1300), (70, 1400))
_SHRUNK = 1e-10  # at least by this a level's error is smaller than that of the level before

mp: Any = mpmath.MPContext()  # a context of our own, so that nobody else's precision changes


def _methods() -> None:
    """What NumPy calls on the elements of an array of objects: np.exp(x) is x.exp()."""
    circular = ["sin", "cos", "tan", "sinh", "cosh", "tanh"]
    names = ["exp", "log", "log10", "hypot", *circular]
    named: dict[str, Any] = {name: getattr(mp, name) for name in names}
    for name in circular:
        named["arc" + name] = getattr(mp, "a" + name)
    named |= {
        "arctan2": mp.atan2,
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        "log1p": mp.log1p,
        "expm1": mp.expm1,
        "log2": lambda x: mp.log(x) / mp.log(2),
        "exp2": lambda x: mp.mpf(2) ** x,
        "fabs": abs,
        "rint": mp.nint,
        "sqrt": mp.sqrt,
        "square": lambda x: x * x,
        "deg2rad": lambda x: x * mp.pi / 180,
        "rad2deg": lambda x: x * 180 / mp.pi,
        "fmod": lambda a, b: a - b * int(a / b),
        "__trunc__": int,
    }
    for kind in (mp.mpf, mp.mpc):
        for name, function in named.items():
            setattr(kind, name, lambda *args, function=function: function(*args))


_methods()


def exactly(x: Any) -> np.ndarray:
    """An array of mpmath numbers with exactly these values."""
    x = np.asarray(x)
    out = np.empty(x.shape, object)
    for at in np.ndindex(*x.shape):
        v = x[at]
        if isinstance(v, (mp.mpf, mp.mpc)):
            out[at] = v
        else:
            out[at] = (
                mp.mpc(complex(v))
                if isinstance(v, (complex, np.complexfloating))
                else (mp.mpf(float(v)) if not isinstance(v, int) else mp.mpf(v))
            )
    return out


@functools.cache
def _weights(order: int) -> list[Fraction]:
    """w_k with sum w_k f(k) = f^(order)(0), for polynomials of the degree that the nodes allow."""
    total = [Fraction(0)] * len(_NODES)
    for at, node in enumerate(_NODES):
        # The coefficient of t^order in Lagrange's polynomial of this node.
        poly, scale = [Fraction(1)], Fraction(1)
        for other in _NODES:
            if other != node:
                shifted = [Fraction(0), *poly]
                poly = [s - other * p for s, p in zip(shifted, [*poly, Fraction(0)])]
                scale *= node - other
        total[at] = poly[order] / scale * int(mp.factorial(order))
    return total


def derivatives(
    f: Callable[[Any], Sequence[Any]], radius: Any = 1, deep: bool = False
) -> list[list[Any]]:
    """[[f, f', .., f^(4)] of every component] at t = 0; f takes a number and gives a list.

    Each level takes a finer step and more digits, until two agree. What keeps shrinking with the
    step and the digits is truncation and rounding: it is 0. `radius`: how far from 0 nothing
    happens to f, to which the step is in proportion. `deep`: look for derivatives that are by
    hundreds of digits smaller than f, as of tanh at 300.
    """
    levels: list[list[list[Any]]] = []
    for step, digits in _DEEP if deep else _LEVELS:
        h = mp.mpf(radius) * mp.mpf(10) ** -step
        levels.append(_differences(f, h, digits))
        if len(levels) > 1 and _agree(*levels[-2:], twice_0=not deep):
            return levels[-1]
    noise = [mp.mpf(10) ** (10 - digits) / h**k for k in range(ORDERS + 1)]
    return [
        [
            _settled([level[k] for level in component], abs(component[-1][0]) * noise[k])
            for k in range(ORDERS + 1)
        ]
        for component in zip(*levels, strict=True)
    ]


def _agree(before: list[list[Any]], after: list[list[Any]], twice_0: bool) -> bool:
    """To DIGITS; two zeros agree if `twice_0` (1 + e^-700 is 1 to 300 digits)."""
    close = mp.mpf(10) ** -DIGITS
    return all(
        (x and y and abs(x - y) <= close * abs(y)) or (x == y == 0 and (twice_0 or k == 0))
        for a, b in zip(before, after, strict=True)
        for k, (x, y) in enumerate(zip(a, b, strict=True))
    )


def _settled(levels: Sequence[Any], noise: Any) -> Any:
    """What the last level has, or 0 if that is nothing but its error."""
    *_, before, last = levels
    lost = abs(last) < noise or abs(last) < _SHRUNK * abs(before)
    return mp.mpf(0) if lost else last


def _differences(f: Callable[[Any], Sequence[Any]], h: Any, digits: int) -> list[list[Any]]:
    with mp.workdps(digits):
        values = [[mp.mpmathify(v) for v in f(k * h)] for k in _NODES]
        return [
            [
                mp.fsum(v * w.numerator / w.denominator for v, w in zip(row, _weights(k))) / h**k
                for k in range(ORDERS + 1)
            ]
            for row in zip(*values, strict=True)
        ]
