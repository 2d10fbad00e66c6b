r"""The incomplete beta function, differentiable in every argument, and its inverse.

As for the gamma function: \partial_a^m \partial_b^n I_x(a, b) is one family of ops, computed from
integrals without cancellation (`incomplete_beta_series`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray
from ..lazy import special
from ..record import apply
from ..registry import arr, case, public
from .arithmetic import absorb, negative
from .compare import equal, where
from .exponential import log, log1p
from .gamma import nth_polygamma, psi_gap
from .incomplete_beta_series import beta_kernel, beta_slopes, gap_beyond
from .incomplete_series import moments_of, times_parameter
from .logical import logical_or
from .powers import reciprocal
from .precise import in_double

# What the derivatives are made of -----------------------------------------------------------------


def _beta_density(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    inside = (x > 0) & (x < 1)
    z = np.where(inside, x, 0.5)
    y = beta_kernel(a, b, z, 1 - z) / (z * (1 - z))
    p, q = np.where(x == 0, a, b), np.where(x == 0, b, a)
    edge = np.where(p == 1, q, np.where(p < 1, math.inf * np.sign(special.beta(p, q)), 0.0))
    edge = np.where(p == 0, 0.0, edge)
    return np.where(inside, y, np.where((x == 0) | (x == 1), edge, np.nan))


class BetaDensityGrad(Elementwise):
    r"""y = x^{a-1} (1-x)^{b-1} / B(a, b). dy/dx = y (\frac{a-1}{x} - \frac{b-1}{1-x})."""

    name = "beta_density"
    operands = ("a", "b", "x")
    forward = in_double(_beta_density)
    partials = (
        lambda a, b, x, y: absorb(y, log(x) + psi_gap(a, b)),
        lambda a, b, x, y: absorb(y, log1p(negative(x)) + psi_gap(b, a)),
        lambda a, b, x, y: _beta_density_slope(a, b, x, y),
    )
    tex = r"\frac{{x}^{{a}-1} (1-{x})^{{b}-1}}{B({a}, {b})}"
    domain = ((0.5, 4.0), (0.5, 4.0), (0.1, 0.9))


def _beta_density_slope(a: Any, b: Any, x: Any, y: Any) -> Any:
    edge = logical_or(equal(x, 0), equal(x, 1))
    z = where(edge, 0.5, x)
    at_edge = (a + b - 1) * (beta_density(a - 1, b, x) - beta_density(a, b - 1, x))
    # There the factor is 0 and its product with an infinite density, -(1 - a)/x, is not.
    at_edge = where(equal(a + b, 1), where(equal(x, 0), -math.inf, math.inf), at_edge)
    return where(edge, at_edge, y * ((a - 1) / z - (b - 1) / (1 - z)))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    return apply(BetaDensityGrad, a, b, x)


def _betainc_slope(a: np.ndarray, b: np.ndarray, x: np.ndarray, m: int, n: int) -> np.ndarray:
    slopes = beta_slopes(a, b, x, 1 - x, m, n)
    return np.where((a > 0) & (b > 0) & ((x == 0) | (x == 1)), 0.0, slopes)


class BetaIncSlopeGrad(Elementwise):
    r"""y = \partial_a^m \partial_b^n I_x(a, b), m + n = 1, 2, ..."""

    name = "betainc_slope"
    operands = ("a", "b", "x")
    forward = in_double(_betainc_slope)
    partials = (
        lambda a, b, x, m, n: betainc_slope(a, b, x, m + 1, n),
        lambda a, b, x, m, n: betainc_slope(a, b, x, m, n + 1),
        lambda a, b, x, m, n: absorb(beta_density(a, b, x), _beta_factor(a, b, x, m, n)),
    )
    tex = r"\partial_a^m \partial_b^n I_{x}({a}, {b})"


def _beta_factor(a: Any, b: Any, x: Any, m: int, n: int) -> Any:
    r"""\partial_a^m \partial_b^n e^l / e^l for the logarithm l of the density."""
    if m + n == 1:
        return log(x) + psi_gap(a, b) if m else log1p(negative(x)) + psi_gap(b, a)

    def cumulant(p: int, q: int) -> Any:
        if p and q:
            return nth_polygamma(p + q - 1, a + b)
        own = gap_beyond(psi_gap, a, b, p - 1) if p else gap_beyond(psi_gap, b, a, q - 1)
        if p + q > 1:
            return own
        return own + (log(x) if p else log1p(negative(x)))

    # Of a b \Gamma(a + b) / (\Gamma(a + 1) \Gamma(b + 1)).
    y = times_parameter(moments_of(cumulant, m, n), b)
    return y[m][n] + m / a * y[m - 1][n] if m else y[m][n]


def betainc_slope(a: Any, b: Any, x: Any, m: int, n: int) -> Any:
    return apply(BetaIncSlopeGrad, a, b, x, m=m, n=n)


# The functions ------------------------------------------------------------------------------------


def _cases(low: float, high: float) -> list[Any]:
    a, b = arr(2, 3, low=0.5, high=4.0), arr(3, low=0.5, high=4.0)
    x = arr(2, 1, low=low, high=high)
    return [case(a, b, x), case(1.5, 2.0, arr(3, low=low, high=high))]


class BetaIncGrad(Elementwise):
    r"""y = I_x(a, b)."""

    operands = ("a", "b", "x")
    forward = special.betainc
    partials = (
        lambda a, b, x: betainc_slope(a, b, x, 1, 0),
        lambda a, b, x: betainc_slope(a, b, x, 0, 1),
        lambda a, b, x: beta_density(a, b, x),
    )
    tex = r"I_{x}({a}, {b})"
    domain = BetaDensityGrad.domain


@public(name="special.betainc", op=BetaIncGrad, reference=special.betainc, cases=_cases(0.15, 0.85))
def betainc(a: Any, b: Any, x: Any) -> GradArray:
    r"""y = I_x(a, b) = \frac{1}{B(a, b)} \int_0^x t^{a-1} (1-t)^{b-1} dt, the beta distribution.

    dy/dx = x^{a-1} (1-x)^{b-1} / B(a, b); dy/da and dy/db to about 8 eps by integrals without
    cancellation.

    >>> import gradarray as ga
    >>> ga.special.betainc(2.0, 3.0, [0.0, 0.5, 1.0])
    GradArray([0.    , 0.6875, 1.    ], dtype=float64)
    """
    return apply(BetaIncGrad, a, b, x)


class BetaIncCGrad(Elementwise):
    r"""y = 1 - I_x(a, b)."""

    operands = ("a", "b", "x")
    forward = special.betaincc
    partials = (
        lambda a, b, x: negative(betainc_slope(a, b, x, 1, 0)),
        lambda a, b, x: negative(betainc_slope(a, b, x, 0, 1)),
        lambda a, b, x: negative(beta_density(a, b, x)),
    )
    tex = r"1 - I_{x}({a}, {b})"
    domain = BetaDensityGrad.domain


@public(
    name="special.betaincc", op=BetaIncCGrad, reference=special.betaincc, cases=_cases(0.15, 0.85)
)
def betaincc(a: Any, b: Any, x: Any) -> GradArray:
    r"""y = 1 - I_x(a, b), with its digits where it is small.

    >>> import gradarray as ga
    >>> ga.special.betaincc(2.0, 30.0, 0.9)
    GradArray(2.8e-29, dtype=float64)
    """
    return apply(BetaIncCGrad, a, b, x)


def _implicit(slope: Any, density: Any) -> Any:
    """-slope / density, and 0 where both underflow."""
    return negative(slope / where(equal(density, 0), math.inf, density))


class BetaIncInvGrad(Elementwise):
    r"""y with I_y(a, b) = p."""

    operands = ("a", "b", "p")
    forward = special.betaincinv
    partials = (
        lambda a, b, y: _implicit(betainc_slope(a, b, y, 1, 0), beta_density(a, b, y)),
        lambda a, b, y: _implicit(betainc_slope(a, b, y, 0, 1), beta_density(a, b, y)),
        lambda a, b, y: reciprocal(beta_density(a, b, y)),
    )
    tex = r"I^{-1}_{p}({a}, {b})"
    domain = ((0.5, 4.0), (0.5, 4.0), (0.2, 0.8))


@public(
    name="special.betaincinv",
    op=BetaIncInvGrad,
    reference=special.betaincinv,
    cases=_cases(0.2, 0.8),
)
def betaincinv(a: Any, b: Any, p: Any) -> GradArray:
    r"""y with I_y(a, b) = p: the quantile of the beta distribution.

    dy/dp = 1 / \partial_y I, dy/da = -\partial_a I / \partial_y I, and so in b.

    >>> import gradarray as ga
    >>> ga.special.betaincinv(2.0, 2.0, [0.0, 0.5])
    GradArray([0. , 0.5], dtype=float64)
    """
    return apply(BetaIncInvGrad, a, b, p)
