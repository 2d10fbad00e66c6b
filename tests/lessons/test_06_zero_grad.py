"""Lesson 6: backward passes add up, what forgetting it does, None and 0, what travels back."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.graph import ancestry

mp = mpmath.mp.clone()
mp.dps = 40


def test_backward_passes_add_up():
    x = ga.array(3.0, requires_grad=True)
    for total in (6, 12, 18):
        (x * x).backward()
        assert x.grad.item() == total
    x.zero_grad()
    assert x.grad is None
    (x * x * x).backward()
    assert x.grad.item() == 27


def test_two_passes_leave_the_gradient_of_the_sum():
    rng = np.random.default_rng(0)
    w, A = rng.normal(size=5), rng.normal(size=(5, 5))
    one, two = lambda w: (ga.tanh(A @ w) ** 2).sum(), lambda w: ga.exp(w).sum()
    leaf = ga.array(w, requires_grad=True)
    one(leaf).backward()
    two(leaf).backward()
    both = 2 * A.T @ (np.tanh(A @ w) * (1 - np.tanh(A @ w) ** 2)) + np.exp(w)
    np.testing.assert_allclose(leaf.grad.numpy(), both, rtol=0, atol=1e-12 * abs(both).max())
    whole = ga.grad(lambda w: one(w) + two(w))(w).numpy()
    np.testing.assert_allclose(whole, both, rtol=0, atol=1e-12 * abs(both).max())


def test_pieces_of_a_batch_add_up_to_the_batch():
    rng = np.random.default_rng(1)
    X, y, w = rng.normal(size=(64, 3)), rng.uniform(size=64), rng.normal(size=3)
    loss, leaf = ga.nn.BCEWithLogitsLoss(), ga.array(w, requires_grad=True)
    for rows in np.split(np.arange(64), [10, 30, 31]):
        (loss(X[rows] @ leaf, y[rows]) * (len(rows) / 64)).backward()
    by_hand = X.T @ (1 / (1 + np.exp(-X @ w)) - y) / 64
    scale = abs(by_hand).max()
    np.testing.assert_allclose(leaf.grad.numpy(), by_hand, rtol=0, atol=1e-12 * scale)


# Forgetting ---------------------------------------------------------------------------------------


def descend(forget, rate, steps):
    x = ga.array(1.0, requires_grad=True)
    path = [x.item()]
    for _ in range(steps):
        if not forget:
            x.zero_grad()
        (0.5 * x * x).backward()
        with ga.no_grad():
            x -= rate * x.grad
        path.append(x.item())
    return path


@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 3.9])
def test_forgotten_zero_grad_is_a_spring_without_friction(rate):
    path = descend(forget=True, rate=rate, steps=60)
    theta = mp.acos(1 - mp.mpf(rate) / 2)
    exact = [float(mp.cos((k + mp.mpf(1) / 2) * theta) / mp.cos(theta / 2)) for k in range(61)]
    np.testing.assert_allclose(path, exact, rtol=0, atol=1e-12 * max(map(abs, exact)))
    # What every step keeps, as a spring keeps its energy:
    a, b = np.array(path[:-1]), np.array(path[1:])
    kept = a * a - 2 * (1 - rate / 2) * a * b + b * b
    np.testing.assert_allclose(kept, kept[0], rtol=1e-11)


def test_with_zero_grad_the_path_is_geometric():
    path = descend(forget=False, rate=0.1, steps=60)
    np.testing.assert_allclose(path, 0.9 ** np.arange(61.0), rtol=1e-12)


def test_momentum_is_a_part_of_the_old_sum():
    rate, mu = 0.1, 0.9
    x = ga.array(1.0, requires_grad=True)
    optimizer = ga.optim.SGD([x], lr=rate, momentum=mu)
    exact, v = mp.mpf(1), mp.mpf(0)
    for _ in range(50):
        optimizer.zero_grad()
        (0.5 * x * x).backward()
        optimizer.step()
        v = mp.mpf(mu) * v + exact
        exact -= mp.mpf(rate) * v
        assert abs(x.item() - float(exact)) < 1e-14


def test_zero_grad_between_backward_and_step_leaves_nothing_to_step_along():
    w = ga.array([1.0, 2.0], requires_grad=True)
    optimizer = ga.optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.zero_grad()
    with pytest.raises(ga.GraphError):
        optimizer.step()


# None and 0 ---------------------------------------------------------------------------------------


def test_what_the_loss_does_not_reach_keeps_none_and_has_the_derivative_zero():
    used, unused = (ga.array(v, requires_grad=True) for v in (2.0, 5.0))
    (used**3).backward()
    assert used.grad.item() == 12
    assert unused.grad is None
    slopes = ga.grad(lambda p: p["used"] ** 3)({"used": 2.0, "unused": np.ones((2, 3))})
    assert slopes["used"].item() == 12
    np.testing.assert_array_equal(slopes["unused"].numpy(), np.zeros((2, 3)))


@pytest.mark.parametrize(("gradient", "moves"), [(0.0, True), (None, False)])
def test_momentum_carries_a_gradient_of_zero_on_and_skips_none(gradient, moves):
    p, other = (ga.array(1.0, requires_grad=True) for _ in range(2))
    optimizer = ga.optim.SGD([p, other], lr=0.1, momentum=0.9)
    p.grad = other.grad = 1.0
    optimizer.step()
    for _ in range(10):
        p.grad, other.grad = gradient, 0.0
        optimizer.step()
    momenta = sum(0.9**k for k in range(11)) if moves else 1
    assert abs(p.item() - (1 - 0.1 * momenta)) < 1e-14


# What travels back --------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_values_of_derivatives_travel_back(y):
    w, b = ga.array(0.8, requires_grad=True), ga.array(-0.5, requires_grad=True)
    z = w * 1.5 + b
    p = ga.sigmoid(z)
    loss = -(y * ga.log(p) + (1 - y) * ga.log(1 - p))
    for v in (z, p, loss):
        v.retain_grad()
    loss.backward()
    exact = 1 / (1 + mp.exp(-(mp.mpf(0.8) * mp.mpf(1.5) - mp.mpf(0.5))))
    by_p = -(y / exact - (1 - y) / (1 - exact))
    expected = (1, by_p, exact - y, (exact - y) * mp.mpf(1.5), exact - y)
    for v, derivative in zip((loss, p, z, w, b), expected, strict=True):
        assert abs(v.grad.item() - float(derivative)) <= 1e-12 * abs(float(derivative))


def test_the_loss_is_not_among_what_the_graph_keeps():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    w = ga.array(rng.normal(size=2), requires_grad=True)
    loss = ((X @ w - y) ** 2).mean() + 1000.0
    kept = [np.asarray(a) for node in ancestry([loss._node])[0] for a in node.saved or ()]
    assert kept
    assert not any(np.any(array == loss.item()) for array in kept)
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 / 6 * X.T @ (X @ w.numpy() - y), rtol=1e-12)


def test_the_sweep_starts_with_one_or_with_what_is_given():
    x = ga.array([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward(grad=2.5)
    np.testing.assert_array_equal(x.grad.numpy(), [5, 10])
    x.zero_grad()
    (x * x).backward(grad=np.array([1.0, -1.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [2, -4])


def test_a_graph_serves_once_unless_it_is_kept():
    x = ga.array(2.0, requires_grad=True)
    square = x * x
    square.backward(retain_graph=True)
    square.backward()
    assert x.grad.item() == 8
    with pytest.raises(ga.GraphError):
        square.backward()
