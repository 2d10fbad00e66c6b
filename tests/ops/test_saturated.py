"""Saturated functions keep their digits: errors against the terms of their closed forms.

Of each derivative the error is at most 64 eps of the largest term (for erf times x^2, by which the
rounding of x counts in e^{-x^2}), in every mix of modes.
"""

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.testing.proof.modes import Along

mp = mpmath.mp.clone()
mp.dps = 60


def sigmoid(x):
    s, r = 1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))  # r = 1 - s
    p = s * r
    return [[p], [p * r, -p * s], [p, -6 * p**2], [p * r, -p * s, -12 * p**2 * r, 12 * p**2 * s]]


def softplus(x):
    return [[1 / (1 + mp.exp(-x))], *sigmoid(x)[:3]]


def tanh(x):
    t, s = mp.tanh(x), mp.sech(x) ** 2
    return [[s], [-2 * t * s], [4 * t**2 * s, -2 * s**2], [-8 * t**3 * s, 16 * t * s**2]]


def erf(x):
    g = 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)
    return [[g], [-2 * x * g], [4 * x * x * g, -2 * g], [-8 * x**3 * g, 12 * x * g]]


def log1p(x):
    return [[(-1) ** (n - 1) * mp.factorial(n - 1) / (1 + x) ** n] for n in (1, 2, 3, 4)]


def expm1(x):
    return [[mp.exp(x)]] * 4


CASES = [
    (ga.sigmoid, sigmoid, (3.0, 20.0, 37.0, -37.0, 80.0, -80.0, 700.0, -700.0)),
    (ga.softplus, softplus, (-40.0, 10.0, 20.5, 40.0, 80.0, 300.0, -80.0, -700.0)),
    (ga.tanh, tanh, (3.0, 10.0, 20.0, -20.0, 40.0, 300.0, -350.0)),
    (ga.erf, erf, (3.0, -6.0, 9.0, 20.0, -26.0)),
    (ga.log1p, log1p, (-1 + 2.0**-20, 1e-300, 1e8, 1e15, 1e60)),
    (ga.expm1, expm1, (-20.0, -40.0, -80.0, -700.0, 1e-300, 80.0, 700.0)),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("f", "terms", "points"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_first_four_derivatives(f, terms, points, dtype):
    info = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        xs = np.array(points, dtype)
    xs = xs[np.isfinite(xs)]
    found = Along([xs], [np.ones_like(xs)], elementwise=True).every(f)
    for k, x in enumerate(xs.tolist()):
        for order, parts in enumerate(terms(mp.mpf(x)), 1):
            exact, largest = mp.fsum(parts), max(map(abs, parts))
            weight = max(1, x * x) if f is ga.erf else 1
            for mode, results in found.items():
                if order <= 4 - len(results):
                    continue
                got = float(results[order - 5][k])
                if abs(exact) > info.max:
                    assert got == np.sign(exact) * np.inf, (mode, order, x)
                    continue
                bound = 64 * float(info.eps) * weight * largest + float(info.tiny)
                assert abs(got - exact) <= bound, (mode, order, x, got, exact)
