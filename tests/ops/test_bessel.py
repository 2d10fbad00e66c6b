"""Bessel functions and their derivatives of order 0 to 4 against mpmath, and their edges."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

import gradarray as ga
from gradarray import special

EPS = float(np.finfo(float).eps)
ORDERS = range(5)


def nth(f, order):
    for _ in range(order):
        f = ga.grad(f)
    return f


@pytest.mark.parametrize("n", [-3, 0, 1, 2, 7])
def test_jn(n):
    f = {0: special.j0, 1: special.j1}.get(n, lambda x: special.jn(n, x))
    for x in (-2.5, 0.0, 1e-3, 0.7, 2.404825557695773, 3.0, 11.0, 90.0):
        # J_n oscillates with the amplitude sqrt(2 / (pi x)), at most 1; the phase has an error of
        # x eps. SciPy's own error grows with the order: 4 eps for each.
        amplitude = min(1.0, math.sqrt(2 / (math.pi * max(abs(x), 1e-9))))
        bound = (2 * max(1.0, abs(x)) + 4 * abs(n) + 16) * EPS * amplitude
        for order in ORDERS:
            value = float(mp.besselj(n, x, derivative=order))
            assert abs(float(nth(f, order)(x)) - value) <= bound, (x, order)


def modified(n, x, order):
    """The derivative of I_n: sum_j binomial(order, j) I_{n - order + 2j} / 2^order (DLMF 10.29)."""
    terms = [
        mp.binomial(order, j) * mp.besseli(abs(n - order + 2 * j), x) for j in range(order + 1)
    ]
    return mp.re(mp.fsum(terms)) / 2**order


@pytest.mark.parametrize(("n", "f"), [(0, special.i0), (1, special.i1)])
def test_i0_and_i1(n, f):
    # Every derivative is a sum of I_k / 2^m; for x > 0 of one sign. e^x has the error x eps.
    for x in (-5.0, 0.0, 1e-3, 0.7, 3.0, 40.0, 700.0):
        for order in ORDERS:
            value = float(modified(n, x, order))
            bound = (8 + 2 * abs(x)) * EPS * float(mp.besseli(0, abs(x)))
            assert abs(float(nth(f, order)(x)) - value) <= bound, (x, order)


def scaled(n, x, order):
    """The derivative of e^{-x} I_n(x), x > 0, by Leibniz's rule with many digits."""
    with mp.workdps(80):
        terms = [
            mp.binomial(order, k) * (-1) ** (order - k) * modified(n, mp.mpf(x), k)
            for k in range(order + 1)
        ]
        return float(mp.exp(-mp.mpf(x)) * mp.fsum(terms))


@pytest.mark.parametrize(("n", "f"), [(0, special.i0e), (1, special.i1e)])
def test_scaled_functions_keep_their_digits(n, f):
    for x in (1e-3, 0.7, 3.0, 39.0, 41.0, 1e4, 1e8):
        for order in ORDERS:
            value = scaled(n, x, order)
            # e^{-x} I_1 and its derivatives change sign below x = 8: the bound is of both terms.
            size = abs(value) if n == 0 or x > 30 else abs(scaled(0, x, order)) + abs(value)
            assert abs(float(nth(f, order)(x)) - value) <= 16 * EPS * size, (x, order)
            mirrored = float(nth(f, order)(-x))
            assert mirrored == (-1) ** (n + order) * float(nth(f, order)(x))


def test_the_kink_of_i0e():
    assert float(ga.grad(special.i0e)(0.0)) == 0
    with ga.kinks() as met:
        special.i0e(ga.array([0.0, 1.0], requires_grad=True))
    assert "i0e" in str(met)
    # e^{-|x|} I_1 = x/2 - x |x|/2 + ...
    assert float(ga.grad(special.i1e)(0.0)) == pytest.approx(0.5, rel=4 * EPS)


def test_large_arguments():
    assert float(special.i0(800.0)) == math.inf
    assert float(ga.grad(special.i0)(800.0)) == math.inf
    for f in (special.i0e, special.i1e):
        assert [float(nth(f, order)(math.inf)) for order in range(3)] == [0, 0, 0]
    assert float(ga.grad(special.j0)(0.0)) == 0


def test_orders_are_integers_that_broadcast():
    n, x = np.array([[0], [1], [5]]), np.array([0.5, 2.0])
    y = special.jn(n, x).numpy()
    expected = [[float(mp.besselj(int(k), v)) for v in x] for k in n[:, 0]]
    np.testing.assert_allclose(y, expected, rtol=32 * EPS)
    with pytest.raises(ga.DTypeError, match="jn: the order n is an integer; given float64"):
        special.jn(0.5, 1.0)


@pytest.mark.parametrize("name", ["j0", "j1", "i0", "i1"])
def test_complex(name):
    z = 0.7 - 1.2j
    f, n = getattr(special, name), int(name[1])
    exact = mp.besselj if name[0] == "j" else mp.besseli
    assert abs(f(z).item() - complex(exact(n, z))) <= 16 * EPS * abs(z)
    slope = ga.jvp(f, (z,), (1.0 + 0j,))[1].item()
    assert abs(slope - complex(exact(n, z, derivative=1))) <= 16 * EPS * abs(z)
