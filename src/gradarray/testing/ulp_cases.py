"""What the compiler's elementary functions are held to: definitions, ranges and limits.

A range is that of float32 and of float64; `core` is where most of what can go wrong is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath

mp: Any = mpmath.mp
MAX = (3.4e38, 1.7e308)
LEAST = (1e-45, 5e-324)


class Argument(NamedTuple):
    """From low to high, by float32 and float64; most points lie in the core."""

    low: tuple[float, float]
    high: tuple[float, float]
    core: tuple[float, float]


class Case(NamedTuple):
    """A function, its definition in mpmath, and how far a result may be off, in ulps."""

    name: str
    exact: Callable[..., Any]
    arguments: tuple[Argument, ...]
    limit: float = 2.0
    least: float = 0.0  # ulps are not smaller than those of this number
    largest: bool = False  # ulps are those of the largest of the arguments and the result
    cost: int = 1  # how many times fewer points


def _from(low: Any, high: Any, core: tuple[float, float]) -> Argument:
    low, high = (x if isinstance(x, tuple) else (x, x) for x in (low, high))
    return Argument(low, high, core)


def _real(core: tuple[float, float]) -> Argument:
    return _from((-MAX[0], -MAX[1]), MAX, core)


def _positive(core: tuple[float, float]) -> Argument:
    return _from(LEAST, MAX, core)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _log_ndtr(x: Any) -> Any:
    tail = mp.erfc(abs(x) / mp.sqrt(2)) / 2
    return mp.log1p(-tail) if x > 0 else mp.log(tail)


def _erfcx(x: Any) -> Any:
    if x > 1e6:  # the next terms are below 1e-24 of the first
        return (1 - 1 / (2 * x * x)) / (x * mp.sqrt(mp.pi))
    return mp.exp(x * x) * mp.erfc(x)


def _root(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def _log_gamma(x: Any) -> Any:
    if x > 0:
        return mp.loggamma(x)
    sine = mp.sinpi(x)
    return mp.log(mp.pi / abs(x * sine)) - mp.loggamma(-x) if sine else mp.inf


def _log_sum(base: Any) -> Callable[..., Any]:
    def log_sum(a: Any, b: Any) -> Any:
        low, high = sorted((a, b))
        return high + mp.log1p(mp.power(base, low - high)) / mp.log(base)

    return log_sum


_EXP = _from((-104.5, -746.0), (88.7, 709.7), (-1.0, 1.0))
_EXP2 = _from((-150.5, -1075.5), (127.9, 1023.9), (-1.0, 1.0))
_UNIT = _from(-1, 1, (-1.0, 1.0))
_ANGLE = _from(-1e5, 1e5, (-10.0, 10.0))
_FAR_ANGLE = _from(1e5, MAX, (1e5, 1e6))
_HYPERBOLIC = _from((-89.4, -710.4), (89.4, 710.4), (-2.0, 2.0))

CASES = [
    Case("exp", mp.exp, (_EXP,)),
    Case("exp2", lambda x: mp.power(2, x), (_EXP2,)),
    Case("expm1", mp.expm1, (_from((-104, -746), (88.7, 709.7), (-1.0, 1.0)),)),
    Case("expit", _sigmoid, (_from((-104, -745), (104, 745), (-5.0, 5.0)),)),
    Case("log", mp.log, (_positive((0.5, 2.0)),)),
    Case("log2", lambda x: mp.log(x) / mp.log(2), (_positive((0.5, 2.0)),)),
    Case("log10", lambda x: mp.log(x) / mp.log(10), (_positive((0.5, 2.0)),)),
    Case("log1p", mp.log1p, (_from(-0.99999, MAX, (-0.9, 2.0)),)),
    Case("log_expit", lambda x: -mp.log1p(mp.exp(-x)),
         (_from((-1e4, -1e5), (103.0, 744.0), (-5.0, 5.0)),)),
    Case("logit", lambda x: mp.log(x) - mp.log1p(-x), (_from(LEAST, 0.9999999, (0.0, 1.0)),)),
    Case("logaddexp", _log_sum(mp.e), (_from(-1e4, 1e4, (-5.0, 5.0)),) * 2, largest=True),
    Case("logaddexp2", _log_sum(2), (_from(-1e4, 1e4, (-5.0, 5.0)),) * 2, largest=True),
    Case("sin", mp.sin, (_ANGLE,)),
    Case("cos", mp.cos, (_ANGLE,)),
    Case("tan", mp.tan, (_ANGLE,)),
    Case("sin, far", mp.sin, (_FAR_ANGLE,), cost=4),
    Case("cos, far", mp.cos, (_FAR_ANGLE,), cost=4),
    Case("tan, far", mp.tan, (_FAR_ANGLE,), cost=4),
    Case("arcsin", mp.asin, (_UNIT,)),
    Case("arccos", mp.acos, (_UNIT,)),
    Case("arctan", mp.atan, (_real((-3.0, 3.0)),)),
    Case("arctan2", mp.atan2, (_real((-3.0, 3.0)),) * 2),
    Case("sinh", mp.sinh, (_HYPERBOLIC,)),
    Case("cosh", mp.cosh, (_HYPERBOLIC,)),
    Case("tanh", mp.tanh, (_from(-400, 400, (-2.0, 2.0)),), limit=3.0),
    Case("arcsinh", mp.asinh, (_real((-3.0, 3.0)),)),
    Case("arccosh", mp.acosh, (_from(1, MAX, (1.0, 3.0)),)),
    Case("arctanh", mp.atanh, (_from(-0.9999999, 0.9999999, (-1.0, 1.0)),)),
    Case("erf", mp.erf, (_real((-3.0, 3.0)),), cost=2),
    Case("erfc", mp.erfc, (_from((-5, -7), (10.05, 27.2), (-3.0, 3.0)),), cost=2),
    Case("erfcx", _erfcx, (_from((-9.3, -26.6), (1e37, 1e307), (-3.0, 3.0)),), cost=2),
    Case("ndtr", mp.ncdf, (_from((-14.2, -38.4), (10, 10), (-3.0, 3.0)),), cost=2),
    Case("log_ndtr", _log_ndtr, (_from((-1e5, -1e5), (14.2, 38.4), (-3.0, 3.0)),), cost=2),
    Case("gammaln", _log_gamma, (_positive((0.0, 10.0)),), least=1.0, cost=4),
    Case("gammaln, x < 0", _log_gamma, (_from(-1e5, (-1e-40, -1e-300), (-10.0, 0.0)),), least=1.0,
         cost=4),
    Case("psi", mp.digamma, (_from((1e-38, 1e-307), MAX, (0.0, 10.0)),), least=1.0, cost=4),
    Case("power", mp.power, (_positive((0.5, 2.0)), _from(-3e3, 3e3, (-40.0, 40.0))), cost=2),
    Case("cbrt", _root, (_real((-8.0, 8.0)),)),
    Case("hypot", mp.hypot, (_real((-3.0, 3.0)),) * 2),
    Case("xlogy", lambda a, b: a * mp.log(b), (_from(-100, 100, (-3.0, 3.0)),
                                               _positive((0.5, 2.0)))),
    Case("xlog1py", lambda a, b: a * mp.log1p(b), (_from(-100, 100, (-3.0, 3.0)),
                                                   _from(-0.99999, 1e30, (-0.9, 2.0)))),
    Case("entr", lambda x: -x * mp.log(x), (_from(LEAST, 1e30, (0.0, 3.0)),)),
]  # fmt: skip
