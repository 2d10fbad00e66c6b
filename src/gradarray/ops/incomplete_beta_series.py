r"""Numbers behind the incomplete beta function and its derivatives in both parameters.

As for the gamma function (`incomplete_series`): with t = x e^{-w}, y = 1 - x,

    I_x(a, b) = F (1 + \frac{(a + b) x}{y} \int_0^\infty e^{-(a+1) w + (b-1) \lambda} dw),

F = x^a y^b / (a B(a, b)), \lambda = \log \frac{1 - x e^{-w}}{1 - x}; a derivative in a brings down
-w, one in b brings down \lambda. Beyond the middle it is 1 - I_y(b, a).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..lazy import special
from .gamma_series import polygamma_gap, polygamma_values, stirling
from .incomplete_series import deviance, integrals, moments_of, times_parameter
from .precise import exp_rest, log_rest, where_else

_LARGE = 30.0


def beta_kernel(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""x^a y^b / B(a, b), y = 1 - x."""

    def both(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        c = a + b
        away = x * b - y * a
        apart = deviance(x * c, a, away) + deviance(y * c, b, -away)
        remainder = stirling(c) - stirling(a) - stirling(b)
        return np.sqrt(a / c * b / (2 * math.pi)) * np.exp(remainder - apart)

    def one(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        # b is large: \Gamma(a + b)/\Gamma(b) = (a + b)^a e^{what follows}.
        c = a + b
        rest = stirling(c) - stirling(b) - 0.5 * np.log1p(a / b) - b * log_rest(a / b)
        return np.power(x * c, a) * special.rgamma(a) * np.exp(rest + b * _log(y, x))

    def small(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.power(x, a) * np.power(y, b) / special.beta(a, b)

    def uneven(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return where_else(a < b, one, lambda a, b, x, y: one(b, a, y, x), a, b, x, y)

    def not_both(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return where_else(np.maximum(a, b) < _LARGE, small, uneven, a, b, x, y)

    return where_else(np.minimum(a, b) >= _LARGE, both, not_both, a, b, x, y)


def _log(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log x of x = 1 - y, from the smaller of them."""
    return np.where(x < 0.5, np.log(x), np.log1p(-y))


def beta_slopes(
    a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, i: int, j: int
) -> np.ndarray:
    r"""\partial_a^i \partial_b^j I_x(a, b), i + j >= 1, y = 1 - x."""
    inside = (a > 0) & (b > 0) & (np.maximum(a, b) < math.inf) & (x > 0) & (y > 0)
    a, b, x, y = (np.where(inside, v, 0.5) for v in (a, b, x, y))
    # Where the logarithm that a derivative brings down has one sign with what the integral gives.
    if i:
        lower = _log(x, y) <= -polygamma_gap(a + 1, b, 0)
    else:
        lower = _log(y, x) >= -polygamma_gap(b, a, 0)
    slopes = where_else(
        lower,
        lambda a, b, x, y: _below(a, b, x, y, i, j),
        lambda a, b, x, y: -_below(b, a, y, x, j, i),
        a,
        b,
        x,
        y,
    )
    return np.where(inside, slopes, np.nan)


def _below(
    a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, i: int, j: int
) -> np.ndarray:
    odds = x / y
    slope = ((a + 1) * y - (b - 1) * x) / y  # of the exponent, at w = 0
    curvature = np.maximum(b - 1, 0) * odds / y
    scale = 1 / (np.maximum(slope, 0) + np.sqrt(curvature) + 0.5)

    def f(w: Any, *at: Any) -> list[np.ndarray]:
        a1, b1, odds, slope = at
        z = -odds * np.expm1(-w)
        lam = np.log1p(z)
        exponent = np.where(
            np.minimum(a1, b1) < 64,
            b1 * lam - a1 * w,
            -slope * w - b1 * (odds * exp_rest(-w) + log_rest(z)),
        )
        weight = np.exp(exponent)
        return [(-w) ** p * lam**q * weight for p in range(i + 1) for q in range(j + 1)]

    # The integrand may fall at first, and have a tail of width 1 / (a + 1).
    spread = float(np.max(np.log(np.maximum(1 / (scale * (a + 1)), 1)), initial=0.0))
    found = integrals(f, scale, spread, a + 1, b - 1, odds, slope)
    parts = found.reshape(i + 1, j + 1, *a.shape)
    first = _moments(a, b, x, y, 0.0, i, j)
    rest = _moments(a, b, x, y, 1.0, i, j)
    total = np.zeros_like(a)
    for p in range(i + 1):
        for q in range(j + 1):
            total += math.comb(i, p) * math.comb(j, q) * rest[i - p][j - q] * parts[p, q]
    return beta_kernel(a, b, x, y) / a * (first[i][j] + (a + b) * odds * total)


def gap_beyond(gap: Any, a: Any, b: Any, n: int) -> Any:
    r"""\psi^{(n)}(a + b) - \psi^{(n)}(a + 1), by the recurrence where a + b may be small."""
    return gap(a + 1, b, n) - (-1) ** n * math.factorial(n) / (a + b) ** (n + 1)


def _moments(
    a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, more: float, i: int, j: int
) -> list[list[Any]]:
    r"""Of the logarithm of x^a y^b \Gamma(a + b + more) / (\Gamma(a + 1) \Gamma(b))."""

    def cumulants(from_1: bool) -> Any:
        r"""With \Gamma(b), or with \Gamma(b + 1) in its place."""

        def cumulant(p: int, q: int) -> Any:
            n = p + q - 1
            if p and q:
                return polygamma_values(np.float64(n), a + b + more)
            first, second, log = (a, b, _log(x, y)) if p else (b, a, _log(y, x))
            if q and not from_1:
                own = polygamma_gap(b, a + more, n)
            elif more:
                own = polygamma_gap(first + 1, second, n)
            else:
                own = gap_beyond(polygamma_gap, first, second, n)
            return log + own if n == 0 else own

        return cumulant

    direct = moments_of(cumulants(False), i, j)
    if j < 2:
        return direct
    # 1/b^2 of \psi'(b) cancels against the square of \psi(b), unless that does against another.
    shifted = times_parameter(moments_of(cumulants(True), i, j), b)
    return [
        [np.where(b < a, u, v) for u, v in zip(*rows, strict=True)]
        for rows in zip(shifted, direct, strict=True)
    ]
