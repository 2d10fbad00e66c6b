r"""Numbers behind the incomplete gamma and beta functions and their derivatives in the parameters.

With t = x e^{-w} below the point and t = x e^w above it,

    P(a, x) = G \int_0^\infty e^{-aw + x (1 - e^{-w})} dw,       G = x^a e^{-x} / \Gamma(a)
    Q(a, x) = G \int_0^\infty e^{aw - x (e^w - 1)} dw

and a derivative in a brings down -w or w: nothing changes sign inside. Below, the first step of
the recurrence P(a) = G/a + P(a + 1) is split off, and \Gamma(a) is taken as \Gamma(a + 1)/a, which
a small a asks for. The derivative in a of a product is then a sum of terms of one sign, if the
lower integral is taken up to about the mean and the upper one from there. The beta function goes
alike. The integrals are smooth and decay at least exponentially: the trapezoidal rule in s,
w = \sigma e^{s - e^{-s}}, is exact to rounding.

Sources: H. Takahasi, M. Mori, "Double exponential formulas for numerical integration", Publ. RIMS
9, 1974; C. Loader, "Fast and accurate computation of binomial probabilities", 2000 (G and its like
at large parameters, from deviations).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..lazy import special
from .gamma_series import BERNOULLI, polygamma_values, stirling
from .precise import exp_rest, log_quotient, log_rest, polynomial, where_else

_STEP = 1 / 10
_LEFT, _RIGHT = -3.625, 4.0  # where e^{s - e^{-s}} and e^{-e^s} are below eps / 1000
_AT_ONCE = 1 << 17  # nodes and elements together: their arrays stay in a core's own cache

Integrand = Callable[..., list[np.ndarray]]


def integrals(f: Integrand, scale: np.ndarray, spread: float, *xs: np.ndarray) -> np.ndarray:
    r"""\int_0^\infty of each result of f(w, *xs), which decays from `scale` to `scale` e^spread."""
    s = np.arange(math.floor(_LEFT / _STEP), math.ceil((_RIGHT + spread) / _STEP) + 1) * _STEP
    shape = np.exp(s - np.exp(-s))
    weights = _STEP * shape * (1 + np.exp(-s))
    rows = max(1, _AT_ONCE // s.size)
    flat = [np.ravel(x)[:, None] for x in (scale, *xs)]
    parts = []
    for start in range(0, max(1, scale.size), rows):
        sigma, *at = (x[start : start + rows] for x in flat)
        parts.append(np.stack([g @ weights * sigma[:, 0] for g in f(sigma * shape, *at)]))
    return np.concatenate(parts, axis=1).reshape(len(parts[0]), *scale.shape)


def moments_of(cumulants: Callable[[int, int], Any], i: int, j: int) -> list[list[Any]]:
    r"""Y_{pq} = e^{-l} \partial_a^p \partial_b^q e^l for p <= i, q <= j, from l's derivatives."""
    y: list[list[Any]] = [[1.0] * (j + 1) for _ in range(i + 1)]
    for p in range(i + 1):
        for q in range(j + 1):
            if p:  # one derivative in a, of the product e^l
                y[p][q] = sum(
                    math.comb(p - 1, r) * math.comb(q, t) * cumulants(r + 1, t)
                    * y[p - 1 - r][q - t]
                    for r in range(p) for t in range(q + 1)
                )  # fmt: skip
            elif q:
                y[p][q] = sum(
                    math.comb(q - 1, t) * cumulants(0, t + 1) * y[0][q - 1 - t] for t in range(q)
                )
    return y


def times_parameter(y: list[list[Any]], b: Any) -> list[list[Any]]:
    r"""Those of b e^l, over b: \partial^q (b e^l) = b \partial^q e^l + q \partial^{q-1} e^l."""
    return [[row[q] + q / b * row[q - 1] if q else row[q] for q in range(len(row))] for row in y]


# Stirling's remainder -----------------------------------------------------------------------------

_DIGAMMA = [b / (2 * k) for k, b in enumerate(BERNOULLI, 1)]


def log_less_psi(a: np.ndarray) -> np.ndarray:
    r"""\log a - \psi(a), for a >= 16: 1/(2a) + \sum B_{2k} / (2k a^{2k})."""
    return 0.5 / a + polynomial(1 / (a * a), _DIGAMMA) / (a * a)


def deviance(x: np.ndarray, a: np.ndarray, away: np.ndarray) -> np.ndarray:
    r"""x - a - a \log(x/a), where `away` is x - a."""
    return where_else(
        np.abs(away) < 0.5 * a,
        lambda x, a, away: a * log_rest(away / a),
        lambda x, a, away: away - a * np.log(x / a),
        x,
        a,
        away,
    )


def log_over_psi(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    r"""\log x - \psi(a)."""
    return where_else(
        a >= 16,
        lambda x, a: log_quotient(x, a) + log_less_psi(a),
        lambda x, a: np.log(x) - special.psi(a),
        x,
        a,
    )


# Gamma --------------------------------------------------------------------------------------------


def gamma_kernel(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    r"""G = x^a e^{-x} / \Gamma(a)."""

    def large(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.sqrt(a / (2 * math.pi)) * np.exp(-deviance(x, a, x - a) - stirling(a))

    def small(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        # In two halves: e^{-x} alone may underflow where the product does not.
        y = np.power(x, a) * np.exp(-0.5 * x) * special.rgamma(a) * np.exp(-0.5 * x)
        return np.where(x == math.inf, 0.0, y)

    return where_else((a >= 60) & (a < math.inf), large, small, a, x)


def gamma_ratios(a: np.ndarray, x: np.ndarray, log_x: np.ndarray, m: int) -> np.ndarray:
    r"""\partial_a^m P(a, x) / G, m >= 1; log_x may be below the logarithm of any double."""
    inside = (a > 0) & (a < math.inf) & (log_x < math.inf)
    a, log_x = np.where(inside, a, 1.0), np.where(inside, log_x, 0.0)
    x = np.where(inside, x, 1.0)
    y = where_else(
        log_x <= special.psi(a + 1),
        lambda a, x, log_x: _below(a, x, log_x, m),
        lambda a, x, log_x: _above(a, x, log_x, m),
        a,
        x,
        log_x,
    )
    return np.where(inside, y, np.nan)


def _gamma_moments(a: np.ndarray, x: np.ndarray, log_x: np.ndarray, m: int) -> list[Any]:
    first = where_else(
        (a >= 16) & (log_x > -700),
        lambda a, x, log_x: log_over_psi(x, a),
        lambda a, x, log_x: log_x - special.psi(a),
        a,
        x,
        log_x,
    )

    def cumulant(q: int) -> Any:
        return first if q == 1 else -polygamma_values(np.float64(q - 1), a)

    return moments_of(lambda p, q: cumulant(q), 0, m)[0]


def _powers(w: np.ndarray, weight: np.ndarray, m: int) -> list[np.ndarray]:
    out = [weight]
    for _ in range(m):
        out.append(out[-1] * w)
    return out


def _below(a: np.ndarray, x: np.ndarray, log_x: np.ndarray, m: int) -> np.ndarray:
    def f(w: np.ndarray, a: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        return _powers(-w, np.exp(-a * w - x * np.expm1(-w)), m)

    def f_large(w: np.ndarray, a: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        return _powers(-w, np.exp((x - a) * w - x * exp_rest(-w)), m)

    b = _by_size(f, f_large, 1 / (a + 1 - x + np.sqrt(x)), a + 1, x)
    y = _gamma_moments(a + 1, x, log_x, m)
    return (y[m] + x * sum(math.comb(m, k) * y[m - k] * b[k] for k in range(m + 1))) / a


def _above(a: np.ndarray, x: np.ndarray, log_x: np.ndarray, m: int) -> np.ndarray:
    # In u = e^w - 1, du = (1 + u) dw, for which the integrand decays no faster than e^{-u}.
    def f(u: np.ndarray, a: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        w = np.log1p(u)
        return _powers(w, np.exp((a - 1) * w - x * u), m)

    def f_large(u: np.ndarray, a: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        return _powers(np.log1p(u), np.exp((a - 1 - x) * u - (a - 1) * log_rest(u)), m)

    c = _by_size(f, f_large, 1 / (x - a + np.sqrt(x)), a, x)
    y = _gamma_moments(a + 1, x, log_x, m)
    y = times_parameter([y], a)[0]
    return -sum((math.comb(m, k) * y[m - k] * c[k] for k in range(m + 1)), np.zeros_like(a))


def _by_size(f: Integrand, f_large: Integrand, scale: np.ndarray, *xs: np.ndarray) -> np.ndarray:
    """Exponents above 64 nearly cancel, and their rounding would count."""
    large = xs[0] > 64
    if not large.any():
        return integrals(f, scale, 0.0, *xs)
    if large.all():
        return integrals(f_large, scale, 0.0, *xs)
    some = integrals(f, scale[~large], 0.0, *(x[~large] for x in xs))
    others = integrals(f_large, scale[large], 0.0, *(x[large] for x in xs))
    y = np.empty((len(some), *scale.shape))
    y[:, ~large], y[:, large] = some, others
    return y
