"""Lesson 12: each kind of derivative against a closed form, from points that are drawn anew."""

from __future__ import annotations

from math import comb

import mpmath
import numpy as np
import pytest

import gradarray as ga

SEEDS = [0, 1, 2]


def close(found, formula, rtol=1e-12):
    scale = np.abs(formula).max()
    np.testing.assert_allclose(np.asarray(found), formula, rtol=0, atol=rtol * scale)


def polar(x):
    return ga.stack([x[0] * ga.cos(x[1]), x[0] * ga.sin(x[1])])


@pytest.mark.parametrize("seed", SEEDS)
def test_push_pull_and_jacobian_of_polar_coordinates(seed):
    rng = np.random.default_rng(seed)
    x, v, w = rng.uniform(0.5, 3, size=2), rng.normal(size=2), rng.normal(size=2)
    (r, c, s) = x[0], np.cos(x[1]), np.sin(x[1])
    J = np.array([[c, -r * s], [s, r * c]])
    close(ga.jvp(polar, (x,), (v,))[1], J @ v)
    close(ga.vjp(polar, x)[1](w)[0], w @ J)
    for jacobian in (ga.jacobian, ga.jacfwd, ga.jacrev):
        close(jacobian(polar)(x), J)
    close(ga.grad(lambda x: (polar(x) ** 2).sum())(x), np.array([2 * r, 0.0]))


@pytest.mark.parametrize("shape", [(3, 40), (40, 3), (7, 7), (1, 9), (9, 1)])
def test_a_jacobian_of_any_shape(shape):
    m, n = shape
    rng = np.random.default_rng(m)
    A, x = rng.normal(size=(m, n)), rng.normal(size=n)
    formula = np.cos(A @ x)[:, None] * A
    for jacobian in (ga.jacobian, ga.jacfwd, ga.jacrev):
        close(jacobian(lambda x: ga.sin(A @ x))(x), formula)


def L(x):
    return ga.log(ga.exp(x).sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_way_to_a_second_and_a_third_derivative(seed):
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=5), rng.normal(size=5)
    p = np.exp(x) / np.exp(x).sum()
    eye = np.eye(5)
    H = np.diag(p) - np.outer(p, p)
    # The third derivatives are the third cumulants of one draw from p.
    third = np.einsum("i,ia,ib,ic->abc", p, eye - p, eye - p, eye - p)
    close(ga.hessian(L)(x), H)
    close(ga.hvp(L)(x, v), H @ v)
    for outer in (ga.jacfwd, ga.jacrev):
        for inner in (ga.jacfwd, ga.jacrev):
            close(outer(inner(L))(x), H)
            for outermost in (ga.jacfwd, ga.jacrev):
                close(outermost(outer(inner(L)))(x), third)
    close(ga.directional(L, x, v, order=3), np.einsum("abc,a,b,c", third, v, v, v))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gradient_for_each_sample(seed):
    rng = np.random.default_rng(seed)
    X, Y, w = rng.normal(size=(30, 4)), rng.integers(0, 2, 30), rng.normal(size=4)

    def loss(w, x, y):
        z = x @ w
        return ga.softplus(z) - y * z

    p = 1 / (1 + np.exp(-X @ w))
    close(ga.vmap(ga.grad(loss), in_axes=(None, 0, 0))(w, X, Y), (p - Y)[:, None] * X)
    second = ga.vmap(ga.hessian(loss), in_axes=(None, 0, 0))(w, X, Y)
    close(second, (p * (1 - p))[:, None, None] * X[:, :, None] * X[:, None, :])


@pytest.mark.parametrize("n", [*range(11), 15, 20, 30])
def test_the_derivatives_of_a_wave_that_grows(n):
    for x in (-1.3, 0.5, 2.0):
        scale = 2 ** (n / 2) * np.exp(x)
        found = ga.derivative(lambda x: ga.exp(x) * ga.sin(x), n)(x).item()
        # A sum of n + 1 terms with binomial weights, 2^n in all, that cancel down to 2^(n/2).
        assert abs(found - scale * np.sin(x + n * np.pi / 4)) < 1e-15 * 2 ** (n / 2) * scale * 4


@pytest.mark.parametrize("x0", [0.0, 0.5, -1.2, 3.0])
def test_a_series_with_a_pole_beside_the_line(x0):
    K = 40
    y, found = ga.jet(
        lambda x: 1 / (1 + x * x), (x0,), ([1.0] + [0.0] * (K - 1),), factorial_scaled=False
    )
    with mpmath.workdps(40):
        # -1/(x + i) = -1/(z + h) = sum (-1)^(k+1) h^k / z^(k+1), z = x0 + i, h = x - x0
        z = mpmath.mpc(x0, 1)
        formula = [float(((-1) ** (k + 1) / z ** (k + 1)).imag) for k in range(K + 1)]
    radius = abs(x0 + 1j)
    for k, c in enumerate([y, *found]):
        assert abs(c.item() - formula[k]) < 1e-12 / radius ** (k + 1)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_along_a_line_through_a_harmonic_function(order):
    for seed in SEEDS:
        z, v = np.random.default_rng(seed).normal(size=(2, 2))
        found = ga.directional(lambda z: ga.exp(z[0]) * ga.cos(z[1]), z, v, order=order).item()
        complete = complex(*v) ** order * np.exp(complex(*z))
        assert abs(found - complete.real) < 1e-12 * abs(complete)


def logistic(x0, n):
    return ga.scan(lambda x, _: (4 * x * (1 - x), None), x0, length=n)[0]


@pytest.mark.parametrize("n", [1, 2, 5, 10, 20, 40])
def test_the_derivative_of_a_chaotic_loop(n):
    with mpmath.workdps(60):
        theta = mpmath.asin(mpmath.sqrt(mpmath.mpf(0.3)))
        exact = 2**n * mpmath.sin(2 ** (n + 1) * theta) / mpmath.sin(2 * theta)
    pulled = ga.grad(logistic)(0.3, n).item()
    pushed = ga.jvp(lambda x: logistic(x, n), (0.3,), (1.0,))[1].item()
    # A rounding of the start is doubled by every step, and so is its share of the derivative.
    bound = 2.0**n * 1e-15 * 2.0**n * n
    assert abs(pulled - float(exact)) < bound
    assert abs(pushed - pulled) <= 1e-13 * n * abs(pulled)


E = 0.8


def kepler(M):
    def step(state):
        e, _, k = state
        move = (e - E * ga.sin(e) - M) / (1 - E * ga.cos(e))
        return e - move, ga.abs(move), k + 1

    return ga.while_loop(lambda state: state[1] > 1e-9, step, (M + 0 * M, 1 + 0 * M, 0))


def test_keplers_equation_stops_for_each_planet_by_itself():
    M = np.linspace(0.05, 3.1, 23)
    found, _, steps = ga.vmap(kepler)(M)
    alone = [int(kepler(m)[2]) for m in M]
    assert steps.numpy().tolist() == alone and len(set(alone)) > 2
    with mpmath.workdps(30):
        e = np.array(
            [float(mpmath.findroot(lambda e, m=m: e - E * mpmath.sin(e) - m, 2)) for m in M]
        )
    close(found, e)
    slope = 1 / (1 - E * np.cos(e))
    first = ga.grad(lambda m: kepler(m)[0])
    close(ga.vmap(first)(M), slope)
    close(ga.vmap(lambda m: ga.jvp(lambda m: kepler(m)[0], (m,), (1.0,))[1])(M), slope)
    bend = -E * np.sin(e) * slope**3
    close(ga.vmap(ga.grad(first))(M), bend)
    close(ga.vmap(lambda m: ga.jvp(first, (m,), (1.0,))[1])(M), bend)
    by_e, by_m = ga.grad(lambda e, m: (e - E * ga.sin(e) - m).sum(), argnums=(0, 1))(e, M)
    close(-by_m / by_e, slope)


@pytest.mark.parametrize(
    ("steps", "snapshots"), [(1, 1), (7, 1), (10, 3), (56, 5), (57, 5), (90, 4)]
)
def test_a_loop_runs_as_few_steps_as_the_formula_says(steps, snapshots):
    ran = []

    def step(x, k):
        ran.append(int(k))
        return ga.sin(x) + 0.1 * x, None

    slope = ga.grad(lambda x: ga.scan(step, x, np.arange(steps), snapshots=snapshots)[0])(1.0)
    r = next(r for r in range(steps + 1) if comb(snapshots + r, snapshots) >= steps)
    assert len(ran) == steps + r * steps - comb(snapshots + r, snapshots + 1)
    assert max(np.bincount(ran)) <= r + 1
    x, product = 1.0, 1.0
    for _ in range(steps):
        product *= np.cos(x) + 0.1
        x = np.sin(x) + 0.1 * x
    close(slope, np.array(product))


def test_a_checkpointed_function_is_run_twice():
    ran = []

    def f(x):
        ran.append(1)
        return ga.sin(x) * x

    close(ga.grad(ga.checkpoint(f))(1.0), np.sin(1.0) + np.cos(1.0))
    assert len(ran) == 2


@pytest.mark.parametrize("n", [5, 100, 2000])
def test_three_products_for_a_tridiagonal_jacobian(n):
    u = np.random.default_rng(n).normal(size=n)

    def burgers(u):
        around = ga.pad(u, 1)
        left, right = around[:-2], around[2:]
        return -u * (right - left) / 2 + (right - 2 * u + left)

    assert ga.jacobian_sparsity(burgers)(u).products == 3
    J = ga.sparse_jacobian(burgers)(u)
    around = np.pad(u, 1)
    close(J.diagonal(0), -2 - (around[2:] - around[:-2]) / 2)
    close(J.diagonal(1), 1 - u[:-1] / 2)
    close(J.diagonal(-1), 1 + u[1:] / 2)
    assert J.nnz == 3 * n - 2
