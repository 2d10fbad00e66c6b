"""Lesson 2: the perceptron with mean squared error, its gradient for N samples, and descent."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40


def same(got, expected):
    """12 digits of the largest entry: the entries are sums of terms of that size."""
    got = got.numpy() if isinstance(got, ga.GradArray) else got
    expected = np.asarray(expected, float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def sigmoid(z):
    return 1 / (1 + ga.exp(-z))


def data(samples, features, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(samples, features))
    return X, rng.uniform(size=samples), rng.normal(size=features), rng.normal()


def loss_on(X, y):
    return lambda w, b: ((sigmoid(X @ w + b) - y) ** 2).mean()


def exact(X, y, w, b):
    """Loss and gradient at 40 digits, by the sum over samples."""
    N, n = X.shape
    loss, dw, db = mp.mpf(0), [mp.mpf(0)] * n, mp.mpf(0)
    for x, target in zip(X.tolist(), y.tolist(), strict=True):
        z = mp.fsum(mp.mpf(wj) * mp.mpf(xj) for wj, xj in zip(w.tolist(), x, strict=True)) + b
        s = 1 / (1 + mp.exp(-z))
        error, slope = s - mp.mpf(target), s * (1 - s)
        loss += error**2 / N
        dw = [d + 2 * error * slope * mp.mpf(xj) / N for d, xj in zip(dw, x, strict=True)]
        db += 2 * error * slope / N
    return loss, dw, db


SIZES = [(1, 1), (1, 3), (2, 1), (3, 2), (50, 4)]


@pytest.mark.parametrize("size", SIZES)
def test_gradient_is_the_sum_over_samples(size):
    X, y, w, b = data(*size)
    value, (dw, db) = ga.value_and_grad(loss_on(X, y), argnums=(0, 1))(w, b)
    loss, *expected = exact(X, y, w, b)
    same(value, loss)
    same(dw, expected[0])
    same(db, expected[1])


@pytest.mark.parametrize("size", SIZES)
def test_gradient_is_the_matrix_product(size):
    X, y, w, b = data(*size, seed=1)
    leaf_w, leaf_b = ga.array(w, requires_grad=True), ga.array(b, requires_grad=True)
    loss_on(X, y)(leaf_w, leaf_b).backward()
    y_hat = 1 / (1 + np.exp(-(X @ w + b)))
    delta = 2 / len(X) * (y_hat - y) * y_hat * (1 - y_hat)
    same(leaf_w.grad, X.T @ delta)
    same(leaf_b.grad, delta.sum())


@pytest.mark.parametrize("size", SIZES)
def test_pushing_a_direction_gives_the_gradient_along_it(size):
    X, y, w, b = data(*size, seed=2)
    rng = np.random.default_rng(3)
    w_dot, b_dot = rng.normal(size=w.shape), rng.normal()
    _, slope = ga.jvp(loss_on(X, y), (w, b), (w_dot, b_dot))
    _, dw, db = exact(X, y, w, b)
    terms = [float(d) * v for d, v in zip([*dw, db], [*w_dot, b_dot], strict=True)]
    assert abs(slope.item() - sum(terms)) <= 1e-12 * np.abs(terms).max()


def test_row_times_column_times_row_is_right_for_one_sample_only():
    X, y, w, b = data(3, 2)
    for samples in (1, 3):
        Xs, ys = X[:samples], y[:samples]
        y_hat = 1 / (1 + np.exp(-(Xs @ w + b)))
        slip = (2 / samples * (y_hat - ys) @ (y_hat * (1 - y_hat))) * Xs[0]
        gradient = ga.grad(loss_on(Xs, ys))(w, b).numpy()
        error = np.abs(slip - gradient).max() / np.abs(gradient).max()
        assert error < 1e-12 if samples == 1 else error > 0.1


def test_gradient_descent_finds_the_weights_that_made_the_targets():
    X = np.linspace(-3, 3, 25)[:, None]
    y = 1 / (1 + np.exp(-(1.5 * X[:, 0] - 0.5)))
    value_and_grad = ga.value_and_grad(loss_on(X, y), argnums=(0, 1))
    w, b, losses = np.array([-1.0]), np.array(1.0), []
    for _ in range(1000):
        value, (dw, db) = value_and_grad(w, b)
        losses.append(value.item())
        w, b = w - 2 * dw.numpy(), b - 2 * db.numpy()
    # At the minimum the loss is a sum of squared roundings, about eps^2, so 12 digits are there.
    np.testing.assert_allclose([w[0], b], [1.5, -0.5], rtol=1e-12)
    falling = np.array(losses[:300])
    assert np.all(np.diff(falling) < 0)
    # Convergence is linear, at the rate (1 - 2 alpha lambda) of the smallest curvature, squared:
    # the Hessian at the minimum is 2/N sum sigma'^2 (x, 1)(x, 1)^T, for the errors vanish there.
    design = np.column_stack([X[:, 0], np.ones(len(X))]) * (y * (1 - y))[:, None]
    smallest = np.linalg.eigvalsh(2 / len(X) * design.T @ design)[0]
    ratio = losses[299] / losses[298]
    np.testing.assert_allclose(ratio, (1 - 2 * smallest) ** 2, rtol=1e-3)


@pytest.mark.parametrize(("start", "largest"), [(-10.0, 1e-2), (-100.0, 1e-10)])
def test_far_out_the_gradient_vanishes_while_the_error_does_not(start, largest):
    X = np.linspace(-3, 3, 25)[:, None]
    y = 1 / (1 + np.exp(-(1.5 * X[:, 0] - 0.5)))
    value, dw = ga.value_and_grad(loss_on(X, y))(np.array([start]), 0.0)
    assert value.item() > 0.7
    assert 0 < abs(dw.item()) < largest
    same(dw, exact(X, y, np.array([start]), 0.0)[1])
