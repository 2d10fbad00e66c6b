r"""Series behind the gamma functions, on raw float64 arrays.

Far from the origin \psi^{(n)} and \zeta(s, q) follow Euler's and Maclaurin's asymptotic series in
the Bernoulli numbers (DLMF 5.11, 5.15, 25.11); arguments near the origin are first moved there by
the recurrence, 16 steps.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..lazy import special
from .precise import log_rest, polynomial, where_else

SHIFT = 16
# B_2, B_4, ...: at 16 the tenth term of a series is below eps / 1000 of its sum.
BERNOULLI = [
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798,
    -174611 / 330,
]  # fmt: skip

_EULER = 0.5772156649015329


# log |Gamma| near its zeros -----------------------------------------------------------------------


@functools.cache
def _series() -> list[float]:
    # zeta(k) - 1 = zeta(k, 2) falls as 2^-k: the last term is below eps / 1000 for |z| <= 1/2.
    higher = [(-1) ** k * float(special.zeta(k, 2.0)) / k for k in range(2, 32)]
    return [0.0, 1 - _EULER, *higher]


def _beyond_2(z: np.ndarray) -> np.ndarray:
    r"""log Gamma(2 + z) = (1 - \gamma) z + \sum_{k>1} (-1)^k (zeta(k) - 1) z^k / k, |z| <= 1/2."""
    return polynomial(z, _series())


def gammaln_values(x: np.ndarray) -> np.ndarray:
    def near(x: np.ndarray) -> np.ndarray:
        z = np.where(x < 1.5, x - 1, x - 2)
        return _beyond_2(z) - np.where(x < 1.5, np.log1p(z), 0.0)

    return where_else((x > 0.5) & (x < 2.5), near, special.gammaln, x)


# Far from the origin, and log B -------------------------------------------------------------------

_STIRLING = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI, 1)]


def stirling(a: np.ndarray) -> np.ndarray:
    r"""log \Gamma(a) - (a - 1/2) \log a + a - \log(2 \pi)/2, for a >= 16."""
    return polynomial(1 / (a * a), _STIRLING) / a


def betaln_values(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""log |B(a, b)|: of the large terms of the three log \Gamma what cancels is left out."""

    def far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = np.minimum(a, b), np.maximum(a, b)
        return where_else(a < SHIFT, _one_large, _both_large, a, b)

    large = (np.minimum(a, b) > 0) & (np.maximum(a, b) >= SHIFT) & (np.maximum(a, b) < math.inf)
    return where_else(large, far, special.betaln, a, b)


def _one_large(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    c = a + b
    rest = b * log_rest(a / b) + 0.5 * np.log1p(a / b) + stirling(b) - stirling(c)
    return gammaln_values(a) - a * np.log(c) + rest


def _both_large(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    c = a + b
    rest = 0.5 * np.log(2 * math.pi * (c / a) / b) + stirling(a) + stirling(b) - stirling(c)
    return rest - a * np.log1p(b / a) - b * np.log1p(a / b)


# Polygamma ----------------------------------------------------------------------------------------


def polygamma_values(n: Any, x: Any) -> Any:
    if np.iscomplexobj(x):
        n, x = np.broadcast_arrays(n, x)
        y = np.empty(x.shape, np.complex128)
        for k in np.unique(n):
            y[n == k] = _complex_polygamma(int(k), x[n == k].astype(np.complex128))
        return y.astype(x.dtype)[()]
    sign = np.where(n % 2 == 0, -1.0, 1.0)
    order = np.maximum(n, 1)
    higher = sign * special.gamma(order + 1.0) * special.zeta(order + 1.0, x)
    return np.where(n == 0, special.psi(x), higher)


def _complex_polygamma(n: int, z: np.ndarray) -> np.ndarray:
    if n == 0:
        return special.psi(z)
    steps = SHIFT + n + max(0, math.ceil(-float(np.min(np.real(z))))) if z.size else 0
    y = np.zeros_like(z)
    for j in range(steps):
        y += (z + j) ** (-n - 1.0)
    y *= math.factorial(n)
    far = z + steps
    for coefficient, power in _tail_terms(n):
        y += coefficient * far**-power
    return y if n % 2 else -y


def _tail_terms(n: int) -> list[tuple[float, float]]:
    r"""(c, p) with (-1)^{n+1} \psi^{(n)}(x) = \sum c x^{-p} far out; for n = 0 less -log x."""
    terms: list[tuple[float, float]] = [(math.factorial(n - 1), n)] if n else []
    terms.append((math.factorial(n) / 2, n + 1.0))
    for k, b in enumerate(BERNOULLI, 1):
        terms.append((b * math.factorial(2 * k + n - 1) / math.factorial(2 * k), 2.0 * k + n))
    return terms


def polygamma_gap(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    r"""\psi^{(n)}(a + b) - \psi^{(n)}(a), subtracted term by term, x^{-p} at a time."""
    return where_else(
        (a > 0) & (a + b > 0) & (a < math.inf),
        lambda a, b: _gap(a, b, n),
        lambda a, b: polygamma_values(np.float64(n), a + b) - polygamma_values(np.float64(n), a),
        a,
        b,
    )


def _gap(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    y = np.zeros_like(a)
    # The shift is larger for higher orders, whose coefficients grow with n.
    steps = SHIFT + n
    for j in range(steps):
        x = a + j
        y += np.expm1(-(n + 1) * np.log1p(b / x)) * x ** (-n - 1.0)
    y *= math.factorial(n)
    far = a + steps
    ratio = np.log1p(b / far)
    for coefficient, power in _tail_terms(n):
        y += coefficient * np.expm1(-power * ratio) * far**-power
    if n == 0:
        y -= ratio
    return y if n % 2 else -y


# Zeta ---------------------------------------------------------------------------------------------


def hurwitz(s: np.ndarray, q: np.ndarray, m: int) -> np.ndarray:
    r"""\partial_s^m \zeta(s, q), s > 1, q > 0: each term is a polynomial in a step of s."""
    inside = (s > 1) & (q > 0)
    s, q = np.where(inside, s, 2.0), np.where(inside, q, 1.0)
    total = np.zeros_like(s)
    for k in range(SHIFT):
        total += np.power(-np.log(q + k), m) * (q + k) ** -s
    far = q + SHIFT
    log = -np.log(far)
    power = [log**i / math.factorial(i) for i in range(m + 1)]  # far^-step
    inverse = [(-1.0) ** i / (s - 1) ** (i + 1) for i in range(m + 1)]
    tail = far * _times(power, inverse)[m] + power[m] / 2
    rising = [s, np.ones_like(s), *[np.zeros_like(s)] * max(0, m - 1)][: m + 1]  # (s + step)
    scale = 1 / far
    for k, b in enumerate(BERNOULLI, 1):
        if k > 1:
            for step in (2 * k - 3, 2 * k - 2):
                rising = _times(rising, [s + step, np.ones_like(s)])
            scale = scale / far**2
        tail = tail + b / math.factorial(2 * k) * scale * _times(rising, power)[m]
    return np.where(inside, total + math.factorial(m) * far**-s * tail, np.nan)


def _times(a: list[np.ndarray], b: list[np.ndarray]) -> list[np.ndarray]:
    """Coefficients of a product of polynomials, as many as a has."""
    return [
        sum((a[i] * b[k - i] for i in range(k + 1) if k - i < len(b)), np.zeros_like(a[0]))
        for k in range(len(a))
    ]
