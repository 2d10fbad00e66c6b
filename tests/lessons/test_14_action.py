"""Lesson 14: accelerations from a Lagrangian, and paths that make the action stationary."""

from __future__ import annotations

import numpy as np
import pytest

import gradarray as ga

G = 9.81


def acceleration(L):
    def a(q, v):
        L_v = ga.grad(L, 1)
        L_vv = ga.jacfwd(L_v, 1)(q, v)
        L_vq_v = ga.jvp(lambda q: L_v(q, v), (q,), (v,))[1]
        return ga.linalg.solve(L_vv, ga.grad(L)(q, v) - L_vq_v)

    return a


def double(m1, m2, l1, l2):
    def L(q, v):
        swing = (m1 + m2) * l1**2 * v[0] ** 2 / 2 + m2 * l2**2 * v[1] ** 2 / 2
        swing = swing + m2 * l1 * l2 * v[0] * v[1] * ga.cos(q[0] - q[1])
        return swing + (m1 + m2) * G * l1 * ga.cos(q[0]) + m2 * G * l2 * ga.cos(q[1])

    return L


@pytest.mark.parametrize("seed", range(5))
def test_the_double_pendulum(seed):
    rng = np.random.default_rng(seed)
    m1, m2, l1, l2 = rng.uniform(0.5, 2, size=4)
    q, v = rng.normal(size=(2, 2))
    s, c, M = np.sin(q[0] - q[1]), np.cos(q[0] - q[1]), m1 + m2
    # The equations of motion as they come out of the two Euler-Lagrange equations, solved as they
    # stand: M l1 a1 + m2 l2 c a2 = .., l1 c a1 + l2 a2 = ..
    left = np.array([[M * l1, m2 * l2 * c], [l1 * c, l2]])
    right = [-m2 * l2 * v[1] ** 2 * s - M * G * np.sin(q[0]), l1 * v[0] ** 2 * s - G * np.sin(q[1])]
    exact = np.linalg.solve(left, right)
    L = double(m1, m2, l1, l2)
    scale = np.linalg.cond(left) * np.abs(exact).max()
    np.testing.assert_allclose(acceleration(L)(q, v), exact, rtol=0, atol=1e-13 * scale)
    # The same motion from another Lagrangian: three times it, and a total derivative added.
    other = lambda q, v: 3 * L(q, v) + v[0] * ga.cos(q[0]) * q[1] + v[1] * ga.sin(q[0])
    np.testing.assert_allclose(acceleration(other)(q, v), exact, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("seed", range(3))
def test_polar_coordinates_give_the_forces_that_nobody_put_in(seed):
    q, v = np.random.default_rng(seed).uniform(0.5, 2, size=(2, 2))
    L = lambda q, v: (v[0] ** 2 + (q[0] * v[1]) ** 2) / 2 + 1 / q[0]
    r, (r_dot, angular) = q[0], v
    exact = [r * angular**2 - 1 / r**2, -2 * r_dot * angular / r]
    np.testing.assert_allclose(
        acceleration(L)(q, v), exact, rtol=0, atol=1e-12 * np.abs(exact).max()
    )


# A Lagrangian that is a network ------------------------------------------------------------


def lagrangian(parameters):
    W, b, c = parameters
    return lambda q, v: v * v / 2 + ga.softplus(ga.stack([q, v]) @ W + b) @ c


def one(L):
    def a(q, v):
        L_v = ga.grad(L, 1)
        L_vq, L_vv = ga.grad(L_v, (0, 1))(q, v)
        return (ga.grad(L)(q, v) - L_vq * v) / L_vv

    return a


def parameters_of(seed, n=16):
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(2, n)), rng.normal(size=n), 0.3 * rng.normal(size=n)
    return [ga.array(x, requires_grad=True) for x in shapes]


def test_the_formula_for_one_coordinate_in_closed_form():
    W, b, c = (p.numpy() for p in parameters_of(5))
    for q, v in np.random.default_rng(0).normal(size=(6, 2)):
        s = 1 / (1 + np.exp(-(np.array([q, v]) @ W + b)))
        d = s * (1 - s) * c
        L_vv, L_vq, L_q = 1 + d @ W[1] ** 2, d @ (W[0] * W[1]), (s * c) @ W[0]
        exact = (L_q - L_vq * v) / L_vv
        scale = (np.abs(c) @ np.abs(W[0]) + abs(L_vq * v)) / abs(L_vv)
        found = one(lagrangian([W, b, c]))(q, v).item()
        assert abs(found - exact) < 1e-13 * scale


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_learns_a_lagrangian_and_an_energy_with_it(seed):
    rng = np.random.default_rng(seed)
    Q, V = rng.uniform(-2, 2, size=(2, 80))
    A = -2 * np.sin(Q) + 0.02 * rng.normal(size=80)
    parameters = parameters_of(seed)
    optimizer = ga.optim.LBFGS(parameters, max_iter=80, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((ga.vmap(one(lagrangian(parameters)))(Q, V) - A) ** 2).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    L = lagrangian([p.detach() for p in parameters])
    Q, V = np.random.default_rng(99).uniform(-1.8, 1.8, size=(2, 200))
    found = ga.vmap(one(L))(Q, V).numpy()
    error = np.sqrt(((found + 2 * np.sin(Q)) ** 2).mean())
    # The accelerations have a root mean square of 1.4, the noise 0.02.
    assert error < 0.2
    # dE/dt = E_q v + E_v a is 0 for any L, learned well or not.
    energy = lambda q, v: v * ga.grad(L, 1)(q, v) - L(q, v)
    E_q, E_v = ga.vmap(ga.grad(energy, (0, 1)))(Q, V)
    change, scale = (E_q * V + E_v * found).numpy(), np.abs(E_v.numpy() * found).max()
    assert np.abs(change).max() < 1e-12 * scale


# The action --------------------------------------------------------------------------------


def action(q, ends, T, U):
    q = ga.concatenate([ends[:1], q, ends[1:]])
    h = T / (len(q) - 1)
    u = U(q)
    return (((q[1:] - q[:-1]) / h) ** 2 / 2 - (u[1:] + u[:-1]) / 2).sum() * h


def spring(q):
    return q * q / 2


def pendulum(q):
    return 1 - ga.cos(q)


def stationary(ends, T, U, bend=0.0, n=100):
    S = lambda q: action(q, ends, T, U)
    q = (np.linspace(*ends, n + 1) + bend * np.sin(np.linspace(0, np.pi, n + 1)))[1:-1]
    for _ in range(20):
        slope = ga.grad(S)(q).numpy()
        if np.abs(slope).max() < 1e-12:
            break
        q = q - np.linalg.solve(ga.sparse_hessian(S)(q).toarray(), slope)
    return q


@pytest.mark.parametrize("halves", [0.3, 0.9, 1.1, 1.5, 2.4, 3.5])
def test_the_path_of_a_spring(halves):
    ends, T, n = np.array([1.0, 0.5]), halves * np.pi, 100
    h, i = T / n, np.arange(1, n)
    q = stationary(ends, T, spring)
    angle = np.arccos(1 - h * h / 2)
    exact = np.sin((n - i) * angle) * ends[0] + np.sin(i * angle) * ends[1]
    exact = exact / np.sin(n * angle)
    # The condition of the Hessian, about n^2, is what a solution of the linear system loses.
    np.testing.assert_allclose(q, exact, rtol=0, atol=1e-15 * n * n * np.abs(exact).max() * 10)
    smooth = (np.sin(T - i * h) * ends[0] + np.sin(i * h) * ends[1]) / np.sin(T)
    # angle / h is 1 + h^2/24: a phase of at most T h^2/24, over sin T at the end.
    assert np.abs(q - smooth).max() < 3 * T * h * h / 24 / np.sin(T) ** 2
    # lambda_j = (2 - 2 cos(j pi/n))/h - h, of which one is negative for each half period gone.
    H = ga.sparse_hessian(lambda q: action(q, ends, T, spring))(q).toarray()
    found, formula = np.linalg.eigvalsh(H), (2 - 2 * np.cos(i * np.pi / n)) / h - h
    np.testing.assert_allclose(found, formula, rtol=0, atol=1e-12 * formula[-1])
    assert np.count_nonzero(found < 0) == int(halves)


@pytest.mark.parametrize("halves", [0.6, 1.6])
def test_descent_finds_the_path_before_half_a_period_and_runs_away_after(halves):
    ends, T, n = np.array([1.0, 0.5]), halves * np.pi, 8
    slope = ga.grad(lambda q: action(q, ends, T, spring))
    q, rate = np.linspace(*ends, n + 1)[1:-1], T / n / 4  # below 1 over the largest eigenvalue
    for _ in range(1500):
        q = q - rate * slope(q).numpy()
    off = np.abs(q - stationary(ends, T, spring, n=n)).max()
    assert off < 1e-6 if halves < 1 else off > 1e3


def test_two_motions_of_a_pendulum_with_the_same_ends_and_time():
    ends, T, n = np.array([0.1, 0.05]), 1.3 * np.pi, 100
    h, seen = T / n, []
    S = lambda q: action(q, ends, T, pendulum)
    for bend in (0.0, 2.0):
        q = stationary(ends, T, pendulum, bend)
        walk = [ends[0], q[0]]
        while len(walk) <= n:
            walk.append(2 * walk[-1] - walk[-2] - h * h * np.sin(walk[-1]))
        np.testing.assert_allclose(walk[1:-1], q, rtol=0, atol=1e-10)
        assert abs(walk[-1] - ends[1]) < 1e-10
        H = ga.sparse_hessian(S)(q).toarray()
        seen.append((np.count_nonzero(np.linalg.eigvalsh(H) < 0), S(q).item(), np.abs(q).max()))
    (small, S_small, low), (large, S_large, high) = seen
    assert (small, large) == (1, 0)
    assert S_large < S_small and low < 0.3 < 1.5 < high
