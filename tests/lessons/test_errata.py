"""The usual slips of hand derivations: each wrong formula disagrees with backward(), the right one
agrees. `docs/lessons/errata.md` lists them under the names of these tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"


def caught(wrong, right, by_backward):
    """`right` has 12 digits of what backward() gives, `wrong` not even two."""
    judge = by_backward.numpy() if isinstance(by_backward, ga.GradArray) else by_backward
    wrong, right, judge = (np.asarray(v, float) for v in (wrong, right, judge))
    scale = np.abs(judge).max()
    assert right.shape == judge.shape
    np.testing.assert_allclose(right, judge, rtol=0, atol=1e-12 * scale)
    assert wrong.shape != judge.shape or np.abs(wrong - judge).max() > 0.01 * scale


def by_backward(loss, *values):
    """The gradient of `loss` by each of the values, from backward()."""
    leaves = [ga.array(v, requires_grad=True) for v in values]
    loss(*leaves).backward()
    gradients = [leaf.grad.numpy() for leaf in leaves]
    return gradients if len(gradients) > 1 else gradients[0]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class TwoLayers:
    """s1 = W1 x + b1, h1 = tanh s1, s2 = W2 h1 + b2, h2 = sigmoid s2, L = |h2 - y|^2, with square
    layers, so that a slip in a transpose still fits."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=3), rng.uniform(size=3)
        self.W1, self.W2 = rng.normal(size=(2, 3, 3))
        self.b1, self.b2 = rng.normal(size=(2, 3))
        self.s1 = self.W1 @ self.x + self.b1
        self.h1 = np.tanh(self.s1)
        self.s2 = self.W2 @ self.h1 + self.b2
        self.h2 = sigmoid(self.s2)
        self.g3 = 2 * (self.h2 - self.y)
        self.d2 = self.g3 * self.h2 * (1 - self.h2)
        self.g2 = self.W2.T @ self.d2
        self.d1 = self.g2 * (1 - self.h1**2)
        self.dW1, self.db1, self.dW2, self.db2, self.dx = by_backward(
            self.loss, self.W1, self.b1, self.W2, self.b2, self.x
        )

    def loss(self, W1, b1, W2, b2, x):
        h2 = ga.sigmoid(W2 @ ga.tanh(W1 @ x + b1) + b2)
        return ((h2 - self.y) ** 2).sum()


@pytest.fixture(scope="module")
def net():
    return TwoLayers()


# Layers -------------------------------------------------------------------------------------------


def test_the_pre_activation_goes_on(net):
    s2 = net.W2 @ net.s1 + net.b2  # for W2 h1 + b2
    wrong = 2 * (sigmoid(s2) - net.y) * sigmoid(s2) * (1 - sigmoid(s2))
    caught(wrong, net.d2, net.db2)


def test_weight_gradient_with_the_pre_activation(net):
    caught(np.outer(net.d2, net.s1), np.outer(net.d2, net.h1), net.dW2)


def test_the_transpose_is_missing(net):
    wrong = (net.W2 @ net.d2) * (1 - net.h1**2)
    caught(wrong, net.d1, net.db1)


def test_the_outer_product_is_turned_round(net):
    caught(np.outer(net.x, net.d1), np.outer(net.d1, net.x), net.dW1)


def test_the_outer_product_is_entrywise(net):
    caught(net.d2 * net.h1, np.outer(net.d2, net.h1), net.dW2)


def test_the_slope_is_taken_after_the_activation(net):
    wrong = net.g2 * (1 - np.tanh(net.h1) ** 2)
    caught(wrong, net.d1, net.db1)


def test_the_slope_of_relu_is_read_off_its_output():
    s, g = np.array([-1.0, 0.5, -0.25, 2.0]), np.array([1.0, -2.0, 3.0, 4.0])
    h = np.maximum(s, 0)
    judge = by_backward(lambda s: (g * ga.relu(s)).sum(), s)
    caught(g * (h >= 0), g * (h > 0), judge)
    np.testing.assert_array_equal(h >= 0, True)  # no unit is ever off


def test_the_hidden_activation_stands_in_the_output(net):
    wrong = net.g3 * (1 - np.tanh(net.s2) ** 2)
    caught(wrong, net.d2, net.db2)


def test_the_last_factor_is_by_the_input_of_the_layer():
    theta, x = np.array([0.7, -1.3, 1.1]), 0.9
    f = [x]
    for t in theta:
        f.append(np.tanh(t * f[-1]))
    slopes = 1 - np.square(f[1:])
    later = slopes[2] * theta[2] * slopes[1] * theta[1]

    def chain(theta):
        value = x
        for k in range(3):
            value = ga.tanh(theta[k] * value)
        return value

    judge = by_backward(chain, theta)[0]
    caught(later * slopes[0] * theta[0], later * slopes[0] * f[0], judge)


def test_the_weights_are_updated_before_they_are_used(net):
    updated = net.W2 - 0.5 * np.outer(net.d2, net.h1)
    wrong = (updated.T @ net.d2) * (1 - net.h1**2)
    caught(wrong, net.d1, net.db1)


# Batches ------------------------------------------------------------------------------------------


class Perceptron:
    """Lesson 2: z = X w + b, p = sigmoid z, for N = 4 samples."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.X, self.w, self.b = rng.normal(size=(4, 4)), rng.normal(size=4), 0.3
        self.y = np.array([1.0, 0.0, 0.9, 0.2])
        self.p = sigmoid(self.X @ self.w + self.b)
        self.slope = self.p * (1 - self.p)
        self.dw, self.db = by_backward(self.squares, self.w, self.b)

    def squares(self, w, b):
        return ((ga.sigmoid(self.X @ w + b) - self.y) ** 2).mean()

    def entropy(self, p):
        return -(self.y * ga.log(p) + (1 - self.y) * ga.log(1 - p)).mean()


@pytest.fixture(scope="module")
def unit():
    return Perceptron()


def test_the_sum_over_the_batch_is_missing(unit):
    delta = 2 / 4 * (unit.p - unit.y) * unit.slope
    caught(delta, delta.sum(), unit.db)
    caught(delta[-1] * unit.X[-1], unit.X.T @ delta, unit.dw)


def test_the_sum_over_the_batch_is_too_early(unit):
    error = 2 / 4 * (unit.p - unit.y)
    caught((error @ unit.slope) * unit.X[0], unit.X.T @ (error * unit.slope), unit.dw)


def test_the_mean_has_lost_its_n(unit):
    sums = 2 * unit.X.T @ ((unit.p - unit.y) * unit.slope)
    caught(sums, sums / 4, unit.dw)


def test_the_square_has_lost_its_two(unit):
    halves = unit.X.T @ ((unit.p - unit.y) * unit.slope) / 4
    caught(halves, 2 * halves, unit.dw)


def test_a_column_meets_a_row(unit):
    column = ga.array(unit.p[:, None], requires_grad=True)
    ((column - unit.y) ** 2).mean().backward()  # (4, 1) - (4,) is (4, 4)
    judge = by_backward(lambda p: ((p - unit.y) ** 2).mean(), unit.p)
    caught(column.grad.numpy()[:, 0], 2 / 4 * (unit.p - unit.y), judge)
    with pytest.raises(ValueError, match="mse_loss"):
        ga.nn.MSELoss()(column, unit.y)


# Losses -------------------------------------------------------------------------------------------


def test_cross_entropy_has_lost_its_minus(unit):
    right = -(unit.y / unit.p - (1 - unit.y) / (1 - unit.p)) / 4
    caught(-right, right, by_backward(unit.entropy, unit.p))


def test_the_inner_minus_of_cross_entropy_is_lost(unit):
    first, second = unit.y / unit.p / 4, (1 - unit.y) / (1 - unit.p) / 4
    caught(-(first + second), -(first - second), by_backward(unit.entropy, unit.p))


def test_the_arguments_of_the_loss_are_swapped(unit):
    y = np.array([0.8, 0.1, 0.9, 0.2])  # log 0 would give it away
    swapped = -(np.log(y) - np.log(1 - y)) / 4
    right = (unit.p - y) / unit.slope / 4
    loss, leaf = ga.nn.BCELoss(), ga.array(unit.p, requires_grad=True)
    loss(leaf, y).backward()
    caught(swapped, right, leaf.grad)
    with pytest.raises(ValueError, match="swapped"):
        loss(y, leaf)


def test_the_slope_of_the_sigmoid_without_the_sigmoid(unit):
    z = unit.X @ unit.w + unit.b
    judge = by_backward(lambda z: ga.sigmoid(z).sum(), z)
    for wrong in (z * (1 - z), unit.p * (1 - z), sigmoid(unit.p) * (1 - sigmoid(unit.p)), unit.p):
        caught(wrong, unit.p * (1 - unit.p), judge)


def test_prediction_minus_target_with_squares(unit):
    z = unit.X @ unit.w + unit.b
    squares = by_backward(lambda z: ((ga.sigmoid(z) - unit.y) ** 2).mean() / 2, z)
    entropy = by_backward(lambda z: unit.entropy(ga.sigmoid(z)), z)
    error = (unit.p - unit.y) / 4
    caught(error, error * unit.slope, squares)
    caught(error * unit.slope, error, entropy)


def test_softmax_has_only_a_diagonal():
    z, y = np.array([1.0, -0.5, 0.3]), np.array([0.0, 1.0, 0.0])
    p = np.exp(z) / np.exp(z).sum()
    judge = by_backward(lambda z: -(y * ga.log(ga.exp(z) / ga.exp(z).sum())).sum(), z)
    caught((-y / p) * p * (1 - p), (-y / p) @ (np.diag(p) - np.outer(p, p)), judge)


# Graphs -------------------------------------------------------------------------------------------


def test_an_edge_carries_the_total_derivative():
    a = 0.25  # c = a + b, b = exp a; F = c^2
    c_bar = 2 * (a + np.exp(a))
    wrong = c_bar * (1 + np.exp(a)) + c_bar * np.exp(a)
    right = c_bar * 1 + c_bar * np.exp(a)
    caught(wrong, right, by_backward(lambda a: (a + ga.exp(a)) ** 2, a))


def test_only_the_last_consumer_counts():
    x = 0.8  # used by sin and by exp
    judge = by_backward(lambda x: ga.sin(x) + ga.exp(x), x)
    for wrong in (np.cos(x), np.exp(x)):
        caught(wrong, np.cos(x) + np.exp(x), judge)


def test_parents_are_a_set():
    caught(0.8, 0.8 + 0.8, by_backward(lambda x: x * x, 0.8))


def test_a_squared_norm_is_used_once(unit):
    y_hat, y = unit.p, unit.y
    judge = by_backward(lambda p: (p @ p - 2 * (y @ p) + y @ y) / 4, y_hat)
    caught((y_hat - 2 * y) / 4, 2 * (y_hat - y) / 4, judge)


def test_the_matrix_of_a_quadratic_form_is_not_symmetric(net):
    A, x = net.W1, net.x
    caught(2 * A @ x, (A + A.T) @ x, by_backward(lambda x: x @ (A @ x), x))


def test_the_power_rule_on_an_exponential():
    x = 1.7
    caught(x * 3.0 ** (x - 1), 3.0**x * np.log(3), by_backward(lambda x: 3.0**x, x))


# Training -----------------------------------------------------------------------------------------


def test_uphill(unit):
    before = unit.squares(unit.w, unit.b)
    assert unit.squares(unit.w - 0.5 * unit.dw, unit.b) < before
    assert unit.squares(unit.w + 0.5 * unit.dw, unit.b) > before
    w = ga.array(unit.w, requires_grad=True)
    unit.squares(w, unit.b).backward()
    ga.optim.SGD([w], lr=0.5).step()
    np.testing.assert_allclose(w.numpy(), unit.w - 0.5 * unit.dw, rtol=1e-12)


def test_the_gradient_of_the_step_before_is_still_there(unit):
    w = ga.array(unit.w, requires_grad=True)
    unit.squares(w, unit.b).backward()
    unit.squares(w, unit.b).backward()
    forgotten = w.grad
    w.zero_grad()
    unit.squares(w, unit.b).backward()
    caught(forgotten.numpy(), w.grad.numpy(), unit.dw)


# The list -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["errata.md", "errata.ko.md"])
def test_every_slip_of_the_list_has_its_test_and_every_test_its_slip(page):
    listed = re.findall(r"`(test_\w+)`", (LESSONS / page).read_text("utf-8"))
    tests = [
        node.name
        for node in ast.parse(Path(__file__).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert listed == tests[:-1]
