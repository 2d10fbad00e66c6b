"""expm, logm, sqrtm and powers: in a basis of eigenvectors, at equal eigenvalues, as series."""

import math

import numpy as np
import pytest

import gradarray as ga
from gradarray import linalg as la

EPS = np.finfo(np.float64).eps
CLOSE = {"rtol": 1e4 * EPS, "atol": 1e4 * EPS}  # some tens of products of 4 by 4 matrices
KINDS = pytest.mark.parametrize("kind", [float, complex])


def drawn(*shape, seed=0, kind=float):
    rng = np.random.default_rng([seed, *shape])
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def regular(*shape, kind=float):
    return drawn(*shape, kind=kind) + 4 * np.eye(shape[-1])


def pushed(f, pair):
    x, d = pair
    return ga.jvp(f, (x,), (d,))[1].numpy()


@KINDS
@pytest.mark.parametrize("name", ["expm", "sqrtm", "logm"])
def test_functions_of_matrices_by_divided_differences(kind, name):
    # Daleckii and Krein: in the basis of eigenvectors the derivative is an elementwise product.
    f, slope = {
        "expm": (np.exp, np.exp),
        "sqrtm": (np.sqrt, lambda w: 0.5 / np.sqrt(w)),
        "logm": (np.log, lambda w: 1 / w),
    }[name]
    x, d = regular(3, 3, kind=kind), drawn(3, 3, seed=1, kind=kind)
    w, v = np.linalg.eig(x)
    i, j = np.meshgrid(range(3), range(3), indexing="ij")
    with np.errstate(all="ignore"):
        quotient = np.where(i == j, slope(w)[i], (f(w)[i] - f(w)[j]) / (w[i] - w[j]))
    expected = v @ (quotient * np.linalg.solve(v, d @ v)) @ np.linalg.inv(v)
    close = {"rtol": 1e-11, "atol": 1e-11 * np.abs(expected).max()}  # v has a condition of its own
    np.testing.assert_allclose(pushed(getattr(la, name), (x, d)), expected, **close)


def test_functions_of_matrices_at_equal_eigenvalues():
    # x = 2: f(x + t d) = f(2) + f'(2) t d + f''(2) t^2 d^2 / 2.
    x, d = 2 * np.eye(3), drawn(3, 3)
    for f, first, second in [
        (la.expm, np.exp(2), np.exp(2)),
        (la.sqrtm, 0.5 / np.sqrt(2), -0.25 / np.sqrt(8)),
        (la.logm, 0.5, -0.25),
        (la.inv, -0.25, 0.25),
        (lambda x: la.matrix_power(x, 3), 12.0, 12.0),
    ]:
        slope = lambda x, f=f: ga.jvp(f, (x,), (ga.array(d),))[1]
        np.testing.assert_allclose(slope(ga.array(x)).numpy(), first * d, **CLOSE)
        np.testing.assert_allclose(pushed(slope, (x, d)), second * d @ d, **CLOSE)


@pytest.mark.parametrize(
    ("f", "scaled"),
    [
        # d^k/dt^k at t = 0, as a multiple of a^k.
        (lambda ta: la.expm(ta), lambda k: 1.0),
        (lambda ta: la.inv(np.eye(3) - ta), lambda k: float(math.factorial(k))),
        (lambda ta: la.solve(np.eye(3) + ta, np.eye(3)), lambda k: (-1.0) ** k * math.factorial(k)),
        (lambda ta: la.logm(np.eye(3) + ta), lambda k: (-1.0) ** (k - 1) * math.factorial(k - 1)),
        (lambda ta: la.sqrtm(np.eye(3) + ta), lambda k: math.prod(0.5 - j for j in range(k))),
        (lambda ta: la.matrix_power(np.eye(3) + ta, 3), lambda k: math.perm(3, k) * 1.0),
    ],
    ids=["expm", "inv", "solve", "logm", "sqrtm", "matrix_power"],
)
def test_taylor_series_of_functions_of_matrices(f, scaled):
    a, orders = drawn(3, 3), 5
    steps = [ga.array(1.0), *[ga.array(0.0)] * (orders - 1)]
    _, series = ga.jet(lambda t: f(t * a), (0.0,), (steps,))
    for k, term in enumerate(series, start=1):
        expected = scaled(k) * np.linalg.matrix_power(a, k)
        size = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(term.numpy(), expected, rtol=0, atol=1e-12 * size)


def test_the_logarithm_undoes_the_exponential():
    x = 0.5 * drawn(2, 4, 4)
    np.testing.assert_allclose(la.logm(la.expm(x)).numpy(), x, **CLOSE)
    root = la.sqrtm(regular(2, 4, 4)).numpy()
    np.testing.assert_allclose(root @ root, regular(2, 4, 4), **CLOSE)
