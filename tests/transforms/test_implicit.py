"""Implicit functions against closed forms and dense linear algebra, to third order."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

import gradarray as ga
from gradarray.errors import ConvergenceError

rng = np.random.default_rng(5)


def forward(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


def fifth_root(a):
    # x^5 = a: no derivative of x is a rule of an op.
    return ga.implicit.root(lambda x, a: x**5 - a)(1.0, a)


def kepler(M, e=0.3):
    return ga.implicit.fixed_point(lambda E, M: M + e * ga.sin(E))(1.0, M)


def least(a):
    # The minimum over x of x - a log x is at x = a, and of x a + 1/x at a^(-1/2).
    return ga.implicit.minimize(lambda x, a: a * x + 1 / x)(1.0, a)


def linear(k):
    return ga.implicit.linear_solve(lambda x: k * x, ga.array([1.0, 2.0]), "cg").sum()


E0 = scipy.optimize.brentq(lambda E: E - 0.3 * np.sin(E) - 0.8, 0, 2, xtol=1e-15)
D = 1 - 0.3 * np.cos(E0)
CASES = {
    "root": (fifth_root, 3.0, [3**0.2, 0.2 * 3**-0.8, -0.16 * 3**-1.8, 0.288 * 3**-2.8]),
    "fixed_point": (
        kepler,
        0.8,
        [
            E0,
            1 / D,
            -0.3 * np.sin(E0) / D**3,
            -0.3 * np.cos(E0) / D**4 + 3 * (0.3 * np.sin(E0)) ** 2 / D**5,
        ],
    ),
    "minimize": (least, 2.0, [2**-0.5, -0.5 * 2**-1.5, 0.75 * 2**-2.5, -1.875 * 2**-3.5]),
    "linear_solve": (linear, 4.0, [3 / 4, -3 / 16, 6 / 64, -18 / 256]),
}


@pytest.mark.parametrize("name", CASES)
def test_three_derivatives_in_every_mix_of_modes(name):
    f, x, exact = CASES[name]
    assert f(x).item() == pytest.approx(exact[0], rel=1e-12)
    for modes in itertools.product([ga.grad, forward], repeat=3):
        g = f
        for mode, value in zip(modes, exact[1:], strict=True):
            g = mode(g)
            assert g(x).item() == pytest.approx(value, rel=1e-10), modes


@pytest.mark.parametrize("name", CASES)
def test_series_and_batches(name):
    f, x, exact = CASES[name]
    found = [ga.derivative(f, n)(x).item() for n in range(4)]
    assert found == pytest.approx(exact, rel=1e-10)
    several = ga.vmap(ga.grad(ga.grad(f)))(ga.array([x, x, x])).numpy()
    np.testing.assert_allclose(several, exact[2], rtol=1e-10)


def test_the_solvers_steps_are_not_recorded():
    calls = []

    def f(x, a):
        calls.append(1)
        return x**5 - a

    def slow(g, x):
        for _ in range(5000):
            x = x - 0.01 * g(x)
        return x

    _, pull = ga.vjp(lambda a: ga.implicit.root(f, slow)(1.0, a), 3.0)
    assert len(calls) > 5000
    before = len(calls)
    assert pull(1.0)[0].item() == pytest.approx(0.2 * 3**-0.8, rel=1e-10)
    assert len(calls) - before <= 2


def test_a_solver_that_does_not_arrive_is_told():
    with pytest.raises(ConvergenceError, match="what the solver gave is no solution"):
        ga.implicit.root(lambda x: x**5 - 3, lambda g, x: x)(1.0)
    with pytest.raises(ConvergenceError, match="Newton's method did not converge in 50"):
        ga.implicit.root(lambda x: x**2 + 1)(0.7)
    with pytest.raises(ConvergenceError, match="saddle"):
        ga.implicit.minimize(lambda p: p[0] ** 2 - p[1] ** 2)(ga.zeros(2))


def test_ridge_regression_in_its_penalty_and_its_data():
    A, b, lam = rng.normal(size=(8, 3)), rng.normal(size=8), 0.7
    cost = lambda w, A, b, lam: ((A @ w - b) ** 2).sum() + lam * (w**2).sum()
    solve = lambda A, b, lam: ga.implicit.minimize(cost)(ga.zeros(3), A, b, lam)
    M = A.T @ A + lam * np.eye(3)
    w = np.linalg.solve(M, A.T @ b)
    np.testing.assert_allclose(solve(A, b, lam).numpy(), w, rtol=1e-9)
    for jacobian in (ga.jacrev, ga.jacfwd):
        by_b = jacobian(lambda b: solve(A, b, lam))(b).numpy()
        np.testing.assert_allclose(by_b, np.linalg.solve(M, A.T), rtol=1e-8, atol=1e-12)
        by_lam = jacobian(lambda t: solve(A, b, t))(lam).numpy()
        np.testing.assert_allclose(by_lam, -np.linalg.solve(M, w), rtol=1e-8)


def spd(n):
    q = rng.normal(size=(n, n))
    return q @ q.T / n + np.eye(n)


@pytest.mark.parametrize("method", ["direct", "cg", "gmres", "bicgstab"])
def test_linear_systems_known_by_their_products(method):
    n = 12
    A = spd(n) if method == "cg" else np.eye(n) + 0.3 * rng.normal(size=(n, n)) / np.sqrt(n)
    b, v, dA = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(n, n))
    dA = dA + dA.T if method == "cg" else dA

    def solve(A, b):
        return ga.implicit.linear_solve(lambda x: A @ x, b, method)

    x, u = np.linalg.solve(A, b), np.linalg.solve(A.T, v)
    near = {"rtol": 1e-7, "atol": 1e-8}
    np.testing.assert_allclose(solve(A, b).numpy(), x, **near)
    by_A, by_b = ga.grad(lambda A, b: solve(A, b) @ v, argnums=(0, 1))(A, b)
    np.testing.assert_allclose(by_b.numpy(), u, **near)
    np.testing.assert_allclose((by_A.numpy() * dA).sum(), -u @ dA @ x, **near)
    x_dot = ga.jvp(lambda A: solve(A, b), (A,), (dA,))[1].numpy()
    np.testing.assert_allclose(x_dot, -np.linalg.solve(A, dA @ x), **near)
    # d^2 x = 2 A^{-1} dA A^{-1} dA x along dA.
    second = ga.jvp(lambda A: ga.jvp(lambda A: solve(A, b), (A,), (dA,))[1], (A,), (dA,))[1]
    twice = 2 * np.linalg.solve(A, dA @ np.linalg.solve(A, dA @ x))
    np.testing.assert_allclose(second.numpy(), twice, rtol=1e-6, atol=1e-7)
    bs = rng.normal(size=(4, n))
    several = ga.vmap(lambda b: solve(A, b))(bs).numpy()
    np.testing.assert_allclose(several, np.linalg.solve(A, bs.T).T, **near)


def test_a_large_system_is_never_formed():
    # The second difference of 5,000 points; the matrix would take 200 MB.
    n = 5000

    def product(x, k):
        inner = 2 * x - ga.concatenate([[0.0], x[:-1]]) - ga.concatenate([x[1:], [0.0]])
        return k * x + inner

    b = rng.normal(size=n)
    f = lambda k: (ga.implicit.linear_solve(lambda x: product(x, k), b, "cg") * b).sum()
    bands = np.zeros((3, n))
    bands[1] = 2 + 0.5
    bands[0, 1:] = bands[2, :-1] = -1
    x = scipy.linalg.solve_banded((1, 1), bands, b)
    assert f(0.5).item() == pytest.approx(x @ b, rel=1e-9)
    assert ga.grad(f)(0.5).item() == pytest.approx(-x @ x, rel=1e-8)


def test_pytrees_weights_from_around_and_gradients_of_leaves():
    w = ga.array(2.0, requires_grad=True)
    circle = lambda p: {"x": p["x"] ** 2 + p["y"] ** 2 - w, "y": p["x"] - p["y"]}
    p = ga.implicit.root(circle)({"x": 1.0, "y": 0.5})
    assert p["x"].item() == pytest.approx(1.0)
    p["x"].backward()
    # x = sqrt(w / 2).
    assert w.grad.item() == pytest.approx(0.25)


def test_matvec_that_is_not_linear():
    with pytest.raises(ValueError, match="matvec is not linear"):
        ga.implicit.linear_solve(lambda x: x * x + x, ga.ones(3))
