"""What elementwise functions are, in numbers of any precision.

Most references are NumPy's functions or formulas of them, and run on such numbers as they are;
here stand those that do not: SciPy's, and where a formula holds a constant of 16 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...lazy import special
from . import densities
from .exact import mp


def _sign_of(b: Any) -> int:
    return -1 if b < 0 else 1


def _sinc(x: Any) -> Any:
    return mp.sin(mp.pi * x) / (mp.pi * x) if x else mp.mpf(1)


def _log1p_exp(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def _heaviside(a: Any, b: Any) -> Any:
    return mp.mpf(0) if a < 0 else mp.mpf(1) if a > 0 else mp.mpmathify(b)


def _xlogy(a: Any, b: Any) -> Any:
    return a * mp.log(b) if a else mp.mpf(0)


def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "none":
        return x * mp.erfc(-x / mp.sqrt(2)) / 2
    inner = mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)
    return x / (1 + mp.exp(-2 * inner))


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return x if x > 0 else alpha * (mp.exp(x) - 1)


def _lambda_elu(x: Any) -> Any:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * _elu(x, alpha)


def _normal(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _with_more(x: Any, f: Callable[[], Any]) -> Any:
    """f() with as many further digits as x has zeros behind the point."""
    with mp.extradps(10 + max(0, int(-mp.log10(abs(x))) if x else 0)):
        return f()


def _erfcinv(x: Any) -> Any:
    return _with_more(x, lambda: mp.erfinv(1 - x))


def _normal_quantile(p: Any) -> Any:
    return -mp.sqrt(2) * _erfcinv(2 * p)


def _log_gamma(x: Any) -> Any:
    return mp.log(abs(mp.gamma(x)))


def _multigammaln(a: Any, d: int) -> Any:
    total = mp.mpf(d * (d - 1)) / 4 * mp.log(mp.pi)
    return total + sum(mp.loggamma(a - mp.mpf(j) / 2) for j in range(d))


def _angle(z: Any, deg: bool = False) -> Any:
    y = mp.atan2(mp.im(z), mp.re(z))
    return y * 180 / mp.pi if deg else y


def _inverse(f: Callable[[Any], Any], slope: Callable[[Any], Any], start: float) -> Any:
    """The root of f, from one of double precision, by Newton's method."""
    y = mp.mpf(start)
    for _ in range(20):
        step = f(y) / slope(y)
        y -= step
        if abs(step) < abs(y) * mp.mpf(10) ** (-mp.dps * 2 // 3):
            break
    return y


def _gamma_density(a: Any, x: Any) -> Any:
    return mp.exp((a - 1) * mp.log(x) - x) / mp.gamma(a)


def _gammainc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def _gammaincinv(a: Any, p: Any) -> Any:
    start = special.gammaincinv(float(a), float(p))
    return _inverse(lambda y: _gammainc(a, y) - p, lambda y: _gamma_density(a, y), start)


def _gammainccinv(a: Any, q: Any) -> Any:
    start = special.gammainccinv(float(a), float(q))
    return _inverse(lambda y: _gammainc(a, y) - (1 - q), lambda y: _gamma_density(a, y), start)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def _betaincinv(a: Any, b: Any, p: Any) -> Any:
    start = special.betaincinv(float(a), float(b), float(p))
    return _inverse(
        lambda y: _betainc(a, b, y) - p,
        lambda y: y ** (a - 1) * (1 - y) ** (b - 1) / mp.beta(a, b),
        start,
    )


EXACT: dict[str, Callable[..., Any]] = densities.SCALARS | {
    "abs": abs,
    "angle": _angle,
    "celu": lambda x, alpha=1.0: x if x > 0 else alpha * (mp.exp(x / mp.mpf(alpha)) - 1),
    "copysign": lambda a, b: abs(a) * _sign_of(b),
    "digamma": mp.digamma,
    "elu": _elu,
    "entr": lambda x: -_xlogy(x, x),
    "erf": mp.erf,
    "erfc": mp.erfc,
    "erfinv": mp.erfinv,
    "float_power": lambda a, b: a ** mp.mpmathify(b),
    "gammaln": _log_gamma,
    "gelu": _gelu,
    "hardshrink": lambda x, lambd=0.5: x if abs(x) > lambd else mp.mpf(0),
    "heaviside": _heaviside,
    "i0": lambda x: mp.besseli(0, x),
    "ldexp": lambda a, b: a * mp.mpf(2) ** int(b),
    "log_ndtr": lambda x: mp.log(_normal(x)),
    "log_sigmoid": lambda x: -_log1p_exp(-x),
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
    "logaddexp2": lambda a, b: mp.log(mp.mpf(2) ** a + mp.mpf(2) ** b) / mp.log(2),
    "logit": lambda x: mp.log(x / (1 - x)),
    "mish": lambda x: x * mp.tanh(_log1p_exp(x)),
    "ndtr": _normal,
    "ndtri": _normal_quantile,
    "polygamma": lambda n, x: mp.psi(int(n), x),
    "rel_entr": lambda a, b: a * mp.log(a / b) if a else mp.mpf(0),
    "selu": _lambda_elu,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "sinc": _sinc,
    "softplus": lambda x, beta=1.0, threshold=20.0: _log1p_exp(beta * x) / beta,
    "special.beta": mp.beta,
    "special.betainc": _betainc,
    "special.betaincc": lambda a, b, x: mp.betainc(a, b, x, 1, regularized=True),
    "special.betaincinv": _betaincinv,
    "special.betaln": lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b),
    "special.binom": mp.binomial,
    "special.erfcinv": _erfcinv,
    "special.erfcx": lambda x: mp.exp(x * x) * mp.erfc(x),
    "special.factorial": lambda x: mp.gamma(x + 1),
    "special.gamma": mp.gamma,
    "special.gammainc": _gammainc,
    "special.gammaincc": lambda a, x: 1 - _gammainc(a, x),
    "special.gammainccinv": _gammainccinv,
    "special.gammaincinv": _gammaincinv,
    "special.i0e": lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
    "special.i1": lambda x: mp.besseli(1, x),
    "special.i1e": lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
    "special.j0": lambda x: mp.besselj(0, x),
    "special.j1": lambda x: mp.besselj(1, x),
    "special.jn": lambda n, x: mp.besselj(int(n), x),
    "special.kl_div": lambda a, b: (a * mp.log(a / b) if a else mp.mpf(0)) - a + b,
    "special.loggamma": _log_gamma,
    "special.multigammaln": _multigammaln,
    "special.poch": lambda a, b: mp.gamma(a + b) / mp.gamma(a),
    "special.zeta": mp.zeta,
    "xlog1py": lambda a, b: a * mp.log(1 + b) if a else mp.mpf(0),
    "xlogy": _xlogy,
}
