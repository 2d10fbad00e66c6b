"""cg, bicgstab and gmres: systems solved, one or many at once, and said when they are not."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.transforms.krylov import METHODS, bicgstab, cg, gmres

RNG = np.random.default_rng(3)
N = 30


def system(name, lead):
    a = RNG.normal(size=(*lead, N, N))
    if name == "cg":
        a = a @ np.swapaxes(a, -1, -2) + N * np.eye(N)
    else:
        a = a + 12 * np.eye(N)
    return a, RNG.normal(size=(*lead, N))


def product(a):
    return lambda v: (a @ v[..., None])[..., 0]


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
@pytest.mark.parametrize("name", METHODS)
def test_solutions_against_lapack(name, lead):
    a, b = system(name, lead)
    x = METHODS[name](product(a), b, 1e-12, 1000)
    exact = np.linalg.solve(a, b[..., None])[..., 0]
    # The residual is 1e-12 |b|; the condition numbers are below 100.
    assert np.abs(x - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.parametrize("name", METHODS)
def test_as_many_products_as_distinct_eigenvalues(name):
    # Krylov's spaces end there: with 3 eigenvalues, after 3 products (bicgstab takes 2 a step).
    a = np.diag(np.repeat([1.0, 2.0, 5.0], N // 3))
    count = [0]

    def counted(v):
        count[0] += 1
        return a @ v

    METHODS[name](counted, np.ones(N), 1e-10, 100)
    assert count[0] <= {"cg": 3, "gmres": 4, "bicgstab": 6}[name]


@pytest.mark.parametrize("name", METHODS)
def test_zero_right_hand_sides_and_solved_ones_beside_others(name):
    a, b = system(name, ())
    b = np.stack([np.zeros(N), b, 1e-8 * b])
    x = METHODS[name](product(a), b, 1e-12, 1000)
    assert (x[0] == 0).all()
    np.testing.assert_allclose(x[2], 1e-8 * x[1], rtol=1e-9)
    assert np.isfinite(x).all()


def test_restarts_of_gmres():
    a, b = system("gmres", ())
    x = gmres(product(a), b, 1e-11, 3000, restart=7)
    assert np.linalg.norm(a @ x - b) <= 1e-10 * np.linalg.norm(b)


def test_a_singular_but_consistent_system():
    a = np.diag([1.0, 2.0, 0.0])
    b = np.array([1.0, 2.0, 0.0])
    np.testing.assert_allclose(gmres(product(a), b, 1e-12, 50), [1.0, 1.0, 0.0], rtol=1e-12)


@pytest.mark.parametrize("method", [cg, bicgstab, gmres])
def test_what_does_not_converge_says_so(method):
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    big = np.kron(np.eye(5), rotation) if method is cg else np.diag(10.0 ** np.arange(0, 60, 5))
    with (
        np.errstate(all="ignore"),
        pytest.raises(ga.ConvergenceError, match=rf"{method.__name__}: not solved after \d+ prod"),
    ):
        method(product(big), np.ones(len(big)), 1e-14, 6)
