"""Solvers and searches inside compiled functions, against closed forms."""

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(4)


def system(n):
    """A matrix far from symmetric, whose eigenvalues lie around 1."""
    return np.eye(n) + RNG.normal(size=(n, n)) / (3 * np.sqrt(n)), RNG.normal(size=n)


@pytest.mark.parametrize("n", [1, 7, 120])  # 120 unknowns take cycles of 50
@pytest.mark.parametrize("method", ["gmres", "bicgstab"])
def test_a_system_solved_by_products(method, n):
    a, b = system(n)

    def solved(a, b):
        return ga.implicit.linear_solve(lambda v: a @ v, b, method, rtol=1e-13)

    exact = np.linalg.solve(a, b)
    np.testing.assert_allclose(ga.compile(solved)(a, b).numpy(), exact, 1e-10, 1e-11)
    # d(w x)/da = -u x^T, d(w x)/db = u, where A^T u = w.
    u = np.linalg.solve(a.T, np.ones(n))
    slopes = ga.compile(ga.grad(lambda a, b: ga.sum(solved(a, b)), (0, 1)))(a, b)
    np.testing.assert_allclose(slopes[0].numpy(), -np.outer(u, exact), 1e-9, 1e-10)
    np.testing.assert_allclose(slopes[1].numpy(), u, 1e-9, 1e-10)


def test_systems_of_examples_stop_each_by_itself():
    a, _ = system(6)
    scales = np.array([0.0, 0.5, 1.0])
    rights = np.stack([np.zeros(6), *RNG.normal(size=(2, 6))])  # the first is solved at once
    solve = lambda s, b: ga.implicit.linear_solve(lambda v: v + s * (a @ v), b, "gmres", rtol=1e-13)
    found = ga.compile(ga.vmap(solve))(scales, rights).numpy()
    for s, b, x in zip(scales, rights, found, strict=True):
        np.testing.assert_allclose(x, np.linalg.solve(np.eye(6) + s * a, b), 1e-10, 1e-12)


def test_a_krylov_space_that_ends_early_is_enough():
    # b is an eigenvector: the second vector of the basis is 0.
    solve = lambda b: ga.implicit.linear_solve(lambda v: 4.0 * v, b, "gmres")
    np.testing.assert_allclose(ga.compile(solve)(np.arange(3.0)).numpy(), np.arange(3.0) / 4)


@pytest.mark.parametrize("what", ["singular", "not finite"])
def test_a_system_without_a_solution_is_an_error(what):
    factor = {"singular": np.array([1.0, 0.0]), "not finite": np.array([1.0, np.nan])}[what]
    solve = ga.compile(lambda d, b: ga.implicit.linear_solve(lambda v: d * v, b, "gmres"))
    with pytest.raises(ga.GraphError, match="not finished after"):
        solve(factor, np.ones(2))


def test_a_linear_solver_of_ones_own():
    def own(apply, b):
        return ga.linalg.solve(ga.stack([apply(e) for e in ga.eye(4)], 1), b)

    a, b = system(4)
    solve = ga.compile(lambda a, b: ga.implicit.linear_solve(lambda v: a @ v, b, own))
    np.testing.assert_allclose(solve(a, b).numpy(), np.linalg.solve(a, b), 1e-12)


def test_many_unknowns():
    t = RNG.uniform(-3, 3, 600)  # above the number up to which a matrix is formed
    x0 = np.zeros(600)
    root = lambda t: ga.implicit.root(lambda y: ga.sinh(y) - t)(x0)
    least = lambda t: ga.implicit.minimize(lambda y: ga.sum(ga.cosh(y) - t * y))(x0)
    fixed = lambda t: ga.implicit.fixed_point(lambda y: y - 0.2 * (ga.sinh(y) - t))(x0)
    for solved in (root, least, fixed):
        np.testing.assert_allclose(ga.compile(solved)(t).numpy(), np.arcsinh(t), 1e-9, 1e-9)
        slope = ga.compile(ga.grad(lambda t, f=solved: ga.sum(f(t))))(t).numpy()
        np.testing.assert_allclose(slope, 1 / np.sqrt(1 + t * t), 1e-8)


def test_a_search_for_a_minimum_leaves_where_it_bends_down():
    # sum (x^2 - 1)^2 has a hill at 0 and valleys at 1 and -1.
    x0 = np.where(np.arange(600) % 2, 0.1, -0.1)
    valley = ga.compile(lambda s: ga.implicit.minimize(lambda y: ga.sum((y * y - s) ** 2))(x0))
    np.testing.assert_allclose(valley(4.0).numpy(), np.sign(x0) * 2, 1e-9)
