r"""The incomplete gamma functions, differentiable in both arguments, and their inverses.

In the parameter there is no closed derivative: \partial_a^m P(a, x) is an op of its own, one
family with the order m as static parameter, computed from integrals without cancellation
(`incomplete_series`): to about 8 eps, or what changing the arguments by eps makes where that is
more. Derivatives of an inverse follow from the implicit function theorem.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..lazy import special
from ..record import apply
from .arithmetic import absorb, negative
from .compare import equal, less, where
from .exponential import exp, log
from .gamma import digamma, gammaln, nth_polygamma
from .incomplete_series import gamma_kernel, gamma_ratios, log_over_psi, moments_of, times_parameter
from .powers import reciprocal
from .precise import in_double
from .special import function_of

# What the derivatives are made of -----------------------------------------------------------------


class LogOverPsiGrad(Elementwise):
    r"""y = \log x - \psi(a), with its digits where x is near a. dy/dx = 1/x, dy/da = -\psi'(a)."""

    name = "log_over_psi"
    operands = ("x", "a")
    forward = in_double(log_over_psi)
    partials = (lambda x: reciprocal(x), lambda a: negative(nth_polygamma(1, a)))
    tex = r"\log {x} - \psi({a})"
    domain = ((0.3, 4.0), (0.3, 4.0))


_log_over_psi = LogOverPsiGrad.of


def _factor(first: Any, a: Any, m: int) -> Any:
    r"""\partial_a^m e^l / e^l, l = a \log x - \log \Gamma(a); first = \log x - \psi(a + 1)."""
    cumulant = lambda _, q: first if q == 1 else negative(nth_polygamma(q - 1, a + 1))
    return times_parameter(moments_of(cumulant, 0, m), a)[0][m]


def _gamma_density(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    at_0 = np.where(a > 1, 0.0, np.where(a == 1, 1.0, math.inf * special.rgamma(a)))
    at_0 = np.where(a == 0, 0.0, at_0)
    inside = np.where(x > 0, x, 1.0)
    return np.where(x > 0, gamma_kernel(a, inside) / inside, np.where(x == 0, at_0, np.nan))


class GammaDensityGrad(Elementwise):
    r"""y = x^{a-1} e^{-x} / \Gamma(a). dy/da = y (\log x - \psi(a)), dy/dx = y ((a - 1)/x - 1)."""

    name = "gamma_density"
    operands = ("a", "x")
    forward = in_double(_gamma_density)
    partials = (
        lambda a, x, y: absorb(y, _log_over_psi(x, a)),
        lambda a, x, y: where(
            equal(x, 0), gamma_density(a - 1, x) - y, y * ((a - 1) / where(equal(x, 0), 1, x) - 1)
        ),
    )
    tex = r"\frac{{x}^{{a} - 1} e^{-{x}}}{\Gamma({a})}"
    domain = ((0.5, 4.0), (0.3, 4.0))


gamma_density = GammaDensityGrad.of


def _gammainc_slope(a: np.ndarray, x: np.ndarray, m: int) -> np.ndarray:
    inside = (a > 0) & (x > 0) & (x < math.inf)
    z = np.where(inside, x, 1.0)
    slope = gamma_kernel(a, z) * gamma_ratios(a, z, np.log(z), m)
    return np.where(inside, slope, np.where((a > 0) & (x >= 0), 0.0, np.nan))


class GammaIncSlopeGrad(Elementwise):
    r"""y = \partial_a^m P(a, x), m = 1, 2, ..."""

    name = "gammainc_slope"
    operands = ("a", "x")
    forward = in_double(_gammainc_slope)
    partials = (
        lambda a, x, m: gammainc_slope(a, x, m + 1),
        lambda a, x, m: absorb(gamma_density(a, x), _factor(_log_over_psi(x, a + 1), a, m)),
    )
    tex = r"\partial_a^m P({a}, {x})"


def gammainc_slope(a: Any, x: Any, m: int = 1) -> Any:
    return apply(GammaIncSlopeGrad, a, x, m=m)


class GammaRatioGrad(Elementwise):
    r"""y = \partial_a^m P(a, x) / G, G = x^a e^{-x}/\Gamma(a), x = e^w, also where x underflows."""

    name = "gamma_ratio"
    operands = ("a", "w")
    forward = in_double(lambda a, w, m: gamma_ratios(a, np.exp(w), w, m))
    partials = (
        lambda a, w, y, m: gamma_ratio(a, w, m + 1) - y * (w - digamma(a)),
        lambda a, w, y, m: _factor(w - digamma(a + 1), a, m) - y * (a - exp(w)),
    )
    tex = r"\frac{\partial_a^m P({a}, e^{{w}})}{G}"


def gamma_ratio(a: Any, w: Any, m: int = 1) -> Any:
    return apply(GammaRatioGrad, a, w, m=m)


# The functions -----------------------------------------------------------------------------


class GammaIncGrad(Elementwise):
    r"""y = P(a, x) = \frac{1}{\Gamma(a)} \int_0^x t^{a-1} e^{-t} dt, the gamma distribution.

    dy/dx = x^{a-1} e^{-x} / \Gamma(a); dy/da to about 8 eps, by the integral of the substituted
    density (M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS
    2018, is what it is for).

    >>> import gradarray as ga
    >>> ga.special.gammainc(2.0, [0.0, 1.0, 3.0])
    GradArray([0.        , 0.26424112, 0.80085173], dtype=float64)
    >>> ga.grad(ga.special.gammainc)(2.0, 1.0)
    GradArray(-0.27619605, dtype=float64)
    """

    operands = ("a", "x")
    forward = special.gammainc
    partials = (lambda a, x: gammainc_slope(a, x), lambda a, x: gamma_density(a, x))
    tex = r"P({a}, {x})"
    domain = ((0.5, 4.0), (0.5, 5.0))


gammainc = function_of(GammaIncGrad, reference=special.gammainc)


class GammaIncCGrad(Elementwise):
    r"""y = Q(a, x) = 1 - P(a, x), with its digits where it is small. dy/da, dy/dx: those of -P.

    >>> import gradarray as ga
    >>> ga.special.gammaincc(2.0, [0.0, 50.0])
    GradArray([1.00000000e+00, 9.83662422e-21], dtype=float64)
    """

    operands = ("a", "x")
    forward = special.gammaincc
    partials = (
        lambda a, x: negative(gammainc_slope(a, x)),
        lambda a, x: negative(gamma_density(a, x)),
    )
    tex = r"Q({a}, {x})"
    domain = ((0.5, 4.0), (0.5, 5.0))


gammaincc = function_of(GammaIncCGrad, reference=special.gammaincc)


def _quantile_slope(a: Any, y: Any) -> Any:
    inside = less(y, math.inf)
    return where(inside, negative(absorb(y, gamma_ratio(a, log(where(inside, y, 1))))), math.inf)


class GammaIncInvGrad(Elementwise):
    r"""y with P(a, y) = p: the quantile of the gamma distribution. dy/dp = 1/P_x, dy/da = -P_a/P_x.

    >>> import gradarray as ga
    >>> ga.special.gammaincinv(2.0, [0.0, 0.5])
    GradArray([0.        , 1.67834699], dtype=float64)
    """

    operands = ("a", "p")
    forward = special.gammaincinv
    partials = (
        lambda a, y: _quantile_slope(a, y),
        lambda a, y: reciprocal(gamma_density(a, y)),
    )
    tex = r"P^{-1}({a}, {p})"
    domain = ((0.5, 4.0), (0.2, 0.9))


gammaincinv = function_of(GammaIncInvGrad, reference=special.gammaincinv)


class GammaIncCInvGrad(Elementwise):
    r"""y with Q(a, y) = q. dy/dq = -1/P_x, dy/da = -P_a/P_x.

    >>> import gradarray as ga
    >>> ga.special.gammainccinv(2.0, [0.5, 1e-20])
    GradArray([ 1.67834699, 49.98319799], dtype=float64)
    """

    operands = ("a", "q")
    forward = special.gammainccinv
    partials = (
        lambda a, y: _quantile_slope(a, y),
        lambda a, y: negative(reciprocal(gamma_density(a, y))),
    )
    tex = r"Q^{-1}({a}, {q})"
    domain = ((0.5, 4.0), (0.2, 0.9))


gammainccinv = function_of(GammaIncCInvGrad, reference=special.gammainccinv)


def _log_quantile(a: np.ndarray, p: np.ndarray) -> np.ndarray:
    y = special.gammaincinv(a, p)
    # P = x^a / \Gamma(a + 1) to a relative x, where x may underflow.
    tiny = (np.log(p) + special.gammaln(a + 1)) / a
    return np.where(tiny < -40, tiny, np.log(y))


class LogGammaQuantileGrad(Elementwise):
    r"""y = \log x with P(a, x) = p, also where x underflows. dy/da = -P_a / (x P_x)."""

    name = "log_gamma_quantile"
    operands = ("a", "p")
    forward = in_double(_log_quantile)
    partials = (
        lambda a, y: negative(gamma_ratio(a, y)),
        lambda a, y: exp(gammaln(a) + exp(y) - a * y),
    )
    tex = r"\log P^{-1}({a}, {p})"
    domain = ((0.5, 4.0), (0.2, 0.9))


log_gamma_quantile = LogGammaQuantileGrad.of
