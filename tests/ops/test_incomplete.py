"""Incomplete gamma and beta functions: every derivative against mpmath, and the edges.

A bound is eight times what the arguments' own rounding makes of the derivative, found by moving
each argument by eps, and eps of the result; four times more for each further order in a parameter,
whose sums have terms of both signs (the square of log x - psi and -psi', say).
"""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest

import gradarray as ga
from gradarray import special

EPS = float(np.finfo(float).eps)


def gamma_p(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def gamma_slope(a, x):
    return x ** (a - 1) * mp.exp(-x) / mp.gamma(a)


def beta_i(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def beta_slope(a, b, x):
    return x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b)


def derivative(f, p, orders):
    """The partial derivative of these orders at p, by mpmath's differences."""
    moving = [k for k, n in enumerate(orders) if n]
    if not moving:
        return f(*p)

    def g(*moved):
        at = dict(zip(moving, moved, strict=True))
        return f(*[at.get(k, v) for k, v in enumerate(p)])

    if len(moving) == 1:
        return mp.diff(g, p[moving[0]], orders[moving[0]])
    return mp.diff(g, tuple(p[k] for k in moving), tuple(orders[k] for k in moving))


def exact(f, slope, point, orders):
    """A derivative of f, and what rounding of the point makes of it; slope is f's in the last."""
    if orders[-1]:
        f, orders = slope, (*orders[:-1], orders[-1] - 1)
    # A difference is of functions of the size of 1, the derivatives may be far smaller.
    with mp.workdps(90):
        p = [mp.mpf(v) for v in point]
        value = derivative(f, p, orders)
        moved = mp.mpf(0)
        for k in range(len(p)):
            step = mp.mpf(10) ** -15
            other = [v * (1 + step) if j == k else v for j, v in enumerate(p)]
            moved += abs(derivative(f, other, orders) - value) * EPS / step
        return float(value), float(moved)


def ours(f, point, orders):
    for k, n in enumerate(orders):
        for _ in range(n):
            f = ga.grad(f, argnums=k)
    return float(f(*point))


GAMMA_POINTS = [
    (a, a * r) for a in (1e-3, 0.3, 1.0, 2.5, 12.0, 63.5, 400.0) for r in (0.05, 0.6, 1.0, 1.1, 3.0)
]
BETA_POINTS = [
    (a, b, x)
    for a, b in itertools.product((1e-3, 0.4, 2.0, 31.0), (1e-3, 1.0, 6.0, 150.0))
    for x in (0.02, a / (a + b), 0.9)
]


def assert_exact(f, orders, sign=1):
    gamma = f in (special.gammainc, special.gammaincc)
    reference = (gamma_p, gamma_slope) if gamma else (beta_i, beta_slope)
    loss = 8 * 4 ** max(0, sum(orders[:-1]) - 1)
    points = GAMMA_POINTS if gamma else BETA_POINTS
    for point in points[:: 1 if gamma or sum(orders) == 1 else 4]:
        value, moved = exact(*reference, point, orders)
        error = abs(sign * ours(f, point, orders) - value)
        assert error <= loss * (moved + EPS * abs(value)) + 1e-80, (point, orders, value)


@pytest.mark.parametrize("orders", [(1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (2, 1), (1, 2)])
def test_gamma_derivatives(orders):
    assert_exact(special.gammainc, orders)
    if sum(orders) == 1:
        assert_exact(special.gammaincc, orders, -1)


@pytest.mark.parametrize(
    "orders",
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (2, 0, 0), (0, 2, 0), (1, 0, 1), (0, 1, 1)],
)
def test_beta_derivatives(orders):
    assert_exact(special.betainc, orders)
    if sum(orders) == 1:
        assert_exact(special.betaincc, orders, -1)


@pytest.mark.parametrize(
    ("f", "sign", "p"),
    [
        (special.gammaincinv, 1, (0.3, 0.9, 0.01)),
        (special.gammainccinv, -1, (0.3, 0.9, 0.01)),
        (special.betaincinv, 1, (0.3, 0.9, 0.01)),
    ],
)
def test_quantiles(f, sign, p):
    """y(a, p) with F(a, y) = p moves by dy = (dp - F_a da) / F_y."""
    beta = f is special.betaincinv
    reference = (beta_i, beta_slope) if beta else (gamma_p, gamma_slope)
    shapes = [(0.5, 2.0), (4.0, 1.5), (30.0, 60.0)] if beta else [(0.4,), (2.5,), (40.0,)]
    for shape, q in itertools.product(shapes, p):
        y = float(f(*shape, q))
        n = len(shape)
        density, _ = exact(*reference, (*shape, y), (0,) * n + (1,))
        assert ours(f, (*shape, q), (0,) * n + (1,)) == pytest.approx(sign / density, rel=32 * EPS)
        for k in range(n):
            one = tuple(int(j == k) for j in range(n))
            slope, moved = exact(*reference, (*shape, y), (*one, 0))
            bound = 8 * (moved + EPS * abs(slope)) / density + 32 * EPS * abs(slope) / density
            assert abs(ours(f, (*shape, q), (*one, 0)) + slope / density) <= bound


@pytest.mark.parametrize(
    ("f", "point", "slopes"),
    [
        # At the ends the functions are 0 and 1 whatever the parameters are; along x the density.
        (special.gammainc, (2.0, 0.0), (0, 0)),
        (special.gammainc, (1.0, 0.0), (0, 1)),
        (special.gammainc, (0.5, 0.0), (0, math.inf)),
        (special.gammainc, (2.0, math.inf), (0, 0)),
        (special.gammaincc, (1.0, 0.0), (0, -1)),
        (special.betainc, (2.0, 3.0, 0.0), (0, 0, 0)),
        (special.betainc, (1.0, 3.0, 0.0), (0, 0, 3)),
        (special.betainc, (3.0, 1.0, 1.0), (0, 0, 3)),
        (special.betainc, (0.5, 0.5, 1.0), (0, 0, math.inf)),
        (special.gammaincinv, (2.0, 0.0), (0, math.inf)),
        (special.gammaincinv, (2.0, 1.0), (math.inf, math.inf)),
        (special.betaincinv, (2.0, 2.0, 0.0), (0, 0, math.inf)),
        (special.betaincinv, (2.0, 2.0, 1.0), (0, 0, math.inf)),
        # Outside, SciPy's value is NaN or a limit, and there is no slope in a parameter.
        (special.gammainc, (-1.0, 1.0), (math.nan, 0)),
    ],
)
def test_edges(f, point, slopes):
    found = ga.grad(f, argnums=tuple(range(len(point))))(*point)
    np.testing.assert_array_equal([float(g) for g in found], slopes)


@pytest.mark.parametrize(
    ("f", "point", "value"),
    [
        (special.gammainc, (1.0, 0.0), -1.0),
        (special.gammainc, (2.0, 0.0), 1.0),
        (special.gammainc, (3.0, 0.0), 0.0),
        (special.gammainc, (2.0, math.inf), 0.0),
        (special.betainc, (1.0, 3.0, 0.0), -6.0),
        (special.betainc, (2.0, 1.0, 1.0), 2.0),
        (special.betainc, (0.25, 0.75, 0.0), -math.inf),
        (special.betainc, (0.25, 0.75, 1.0), math.inf),
    ],
)
def test_curvatures_at_the_edges(f, point, value):
    orders = [0] * (len(point) - 1) + [2]
    assert ours(f, point, orders) == value


def test_the_logarithm_of_a_quantile_that_underflows():
    r"""P(a, x) = x^a / \Gamma(a + 1) to a relative x: log x = (log p + log \Gamma(a + 1)) / a."""
    from gradarray.ops.incomplete_gamma import log_gamma_quantile

    a, p = 1e-4, 0.3
    value = (math.log(p) + math.lgamma(a + 1)) / a
    assert value < -10_000
    assert float(log_gamma_quantile(a, p)) == pytest.approx(value, rel=4 * EPS)
    slope = float(mp.psi(0, a + 1)) / a - value / a
    assert ours(log_gamma_quantile, (a, p), (1, 0)) == pytest.approx(slope, rel=32 * EPS)
    assert ours(log_gamma_quantile, (a, p), (0, 1)) == pytest.approx(1 / (a * p), rel=1e-12)
