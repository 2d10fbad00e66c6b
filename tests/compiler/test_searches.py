"""Solvers and searches inside compiled functions, against closed forms."""

import numpy as np
import pytest

import gradarray as ga


@pytest.fixture(autouse=True)
def numbers():
    """Each test draws the same numbers, in whatever order they run."""
    global RNG
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


# What SciPy does ----------------------------------------------------------------------------------

P = np.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize(
    "method",
    [
        *("Nelder-Mead", "Powell", "COBYLA", "CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"),
        *("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr", "dogleg", "trust-exact"),
    ],
)
def test_minimize_is_a_call_of_the_host(method):
    def bowl(y, p):
        return ga.sum(ga.cosh(y["a"]) - p * y["a"]) + (y["b"] - ga.sum(p)) ** 2

    @ga.compile
    def searched(p):
        q = ga.exp(p) - 1  # what the function uses need not be an argument
        found = ga.minimize(
            lambda y: bowl(y, q), {"a": 0.1 * p, "b": 0.0}, method=method, tol=1e-6
        )
        return found.x, found.fun, found.success

    for p in (P / 2, P / 3):
        q = np.exp(p) - 1
        x, least, success = searched(p)
        assert bool(success)
        exact = np.arcsinh(q)
        np.testing.assert_allclose(x["a"].numpy(), exact, atol=1e-3)
        np.testing.assert_allclose(x["b"].numpy(), q.sum(), atol=1e-3)
        np.testing.assert_allclose(least.numpy(), (np.cosh(exact) - q * exact).sum(), atol=1e-6)
    assert "scipy minimize" in searched.show("cost")


def test_constraints_are_recorded_with_the_function():
    from scipy.optimize import NonlinearConstraint

    @ga.compile
    def nearest(p, r):  # the point of a sphere that is nearest to p
        on = {"type": "eq", "fun": lambda x: ga.sum(x * x) - r * r}
        return ga.minimize(
            lambda x: ga.sum((x - p) ** 2), p, method="SLSQP", constraints=[on], tol=1e-12
        ).x

    @ga.compile
    def inside(p, r):
        ball = NonlinearConstraint(lambda x: r * r - ga.sum(x * x), 0.0, np.inf)
        return ga.minimize(
            lambda x: ga.sum((x - p) ** 2), 0.1 * p, method="trust-constr", constraints=ball,
            tol=1e-9,
        ).x  # fmt: skip

    exact = P * 1.5 / np.linalg.norm(P)
    np.testing.assert_allclose(nearest(P, 1.5).numpy(), exact, atol=1e-6)
    np.testing.assert_allclose(inside(P, 1.5).numpy(), exact, atol=1e-4)


@pytest.mark.parametrize("method", ["hybr", "lm", "df-sane"])
def test_roots(method):
    f = ga.compile(lambda t: ga.root(lambda y: y**3 + y - t, ga.zeros(3), method=method).x)
    for t in (P, 3 * P):
        y = f(t).numpy()
        np.testing.assert_allclose(y**3 + y, t, atol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_least_squares(sparse):
    a, b = RNG.normal(size=(9, 3)), RNG.normal(size=9)

    @ga.compile
    def fitted(a, b):
        fit = lambda x: a @ x - b
        found = ga.least_squares(fit, np.zeros(3), sparse=sparse, ftol=1e-14, xtol=1e-14)
        return found.x, found.cost, found.fun

    x, cost, fun = fitted(a, b)
    exact, squares, *_ = np.linalg.lstsq(a, b, rcond=None)
    # SciPy's lsmr, for sparse matrices, stops at 1e-6 of its own residual.
    np.testing.assert_allclose(x.numpy(), exact, 1e-5)
    np.testing.assert_allclose(cost.numpy(), squares[0] / 2, 1e-10)
    np.testing.assert_allclose(fun.numpy(), a @ exact - b, atol=1e-5)


def test_a_result_as_a_whole_and_what_comes_after_it():
    f = ga.compile(lambda t: ga.root(lambda y: y**3 - t, ga.ones(3)))
    np.testing.assert_allclose(f(np.array([1.0, 8.0, 27.0])).x.numpy(), [1, 2, 3], 1e-8)
    # No derivative goes through the search, as eagerly; one goes on behind it.
    g = ga.compile(
        ga.grad(lambda t: ga.sum(t * ga.root(lambda y: y**3 - t, ga.ones(3)).x))
    )
    np.testing.assert_allclose(g(np.array([1.0, 8.0, 27.0])).numpy(), [1, 2, 3], 1e-8)


def test_what_the_host_calls_may_not_change_arrays():
    count = ga.zeros(1)

    def counted(y):
        count[...] = count + 1
        return ga.sum(y * y)

    with pytest.raises(ga.GraphError, match="minimize: the function changes arrays outside"):
        ga.compile(lambda x: ga.minimize(counted, x).x)(P)
    assert count.numpy() == 0


def test_an_error_inside_of_a_search_is_the_users():
    f = ga.compile(lambda x: ga.minimize(lambda y: ga.sum(y * y), x, method="nothing").x)
    with pytest.raises(ValueError, match="nothing"):
        f(P)
    with pytest.raises(ga.ShapeError, match="4 equations for 3 unknowns"):
        ga.compile(lambda x: ga.root(lambda y: ga.concatenate([y, y[:1]]), x).x)(P)


# Sparse matrices ----------------------------------------------------------------------------------


def chain(x):
    return x[1:] ** 2 * ga.sin(x[:-1])


def chained(x):
    """Its Jacobian."""
    full = np.zeros((x.size - 1, x.size))
    k = np.arange(x.size - 1)
    full[k, k], full[k, k + 1] = x[1:] ** 2 * np.cos(x[:-1]), 2 * x[1:] * np.sin(x[:-1])
    return full


def test_a_sparse_jacobian_is_computed_natively_and_comes_out_as_scipys():
    f = ga.compile(ga.sparse_jacobian(chain))
    for x in (RNG.normal(size=40), RNG.normal(size=40)):
        found = f(x)
        assert type(found).__name__ == "csr_array" and found.nnz == 78
        np.testing.assert_allclose(found.toarray(), chained(x), 1e-12)
    assert "host calls" not in f.show("cost")


def test_products_with_sparse_matrices_inside():
    @ga.compile
    def used(x, v, w):
        j = ga.sparse_jacobian(chain)(x)
        assert j.shape == (39, 40) and j.nnz == 78
        return j @ v, j @ w, j.toarray(), ga.sum(j.data)

    x, v, w = RNG.normal(size=40), RNG.normal(size=40), RNG.normal(size=(40, 3))
    exact = chained(x)
    for found, true in zip(used(x, v, w), (exact @ v, exact @ w, exact, exact.sum()), strict=True):
        np.testing.assert_allclose(found.numpy(), true, 1e-11, 1e-12)


def test_a_sparse_hessian():
    f = ga.compile(ga.sparse_hessian(lambda x: ga.sum(chain(x))))
    x = RNG.normal(size=9)
    exact = ga.hessian(lambda x: ga.sum(chain(x)))(x).numpy()
    np.testing.assert_allclose(f(x).toarray(), exact, 1e-11, 1e-12)


def test_a_pattern_that_follows_from_values_is_asked_for():
    def taken(x, k):
        return x[k] ** 2

    k, x = ga.array([2, 0]), np.array([1.0, 2.0, 3.0])
    with pytest.raises(ga.GraphError, match="Find the pattern outside of it"):
        ga.compile(lambda x, k: ga.sparse_jacobian(taken)(x, k))(x, k)
    known = ga.jacobian_sparsity(taken)(x, k)
    found = ga.compile(lambda x, k: ga.sparse_jacobian(taken, sparsity=known)(x, k))(x, k)
    np.testing.assert_allclose(found.toarray(), [[0, 0, 6], [2, 0, 0]])
