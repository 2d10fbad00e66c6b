"""Lesson 3: the layer recursion for any depth, over a batch, by the input; and what reuse saves."""

from __future__ import annotations

from itertools import pairwise, product

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.graph import Leaf, ancestry

mp = mpmath.mp.clone()
mp.dps = 40


def same(got, expected):
    """12 digits of the largest entry: the entries are sums of terms of that size."""
    got = got.numpy() if isinstance(got, ga.GradArray) else np.asarray(got)
    expected = np.asarray(expected, float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def sigmoid(s):
    return 1 / (1 + ga.exp(-s))


# name: the function in gradarray, in NumPy, and its derivative by hand
ACTIVATIONS = {
    "tanh": (ga.tanh, np.tanh, lambda s: 1 - np.tanh(s) ** 2),
    "sigmoid": (
        sigmoid,
        lambda s: 1 / (1 + np.exp(-s)),
        lambda s: np.exp(-s) / (1 + np.exp(-s)) ** 2,
    ),
    "relu": (ga.relu, lambda s: np.maximum(s, 0), lambda s: np.where(s > 0, 1.0, 0.0)),
    "none": (lambda s: s, lambda s: s, np.ones_like),
}


def network(depth, seed=0):
    """Layers (W, b, name of the activation) of drawn widths."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(2, 7, size=depth + 1)
    names = [list(ACTIVATIONS)[k] for k in rng.integers(0, 4, size=depth)]
    return [
        (rng.normal(size=(n, m)) / np.sqrt(m), rng.normal(size=n), name)
        for (m, n), name in zip(pairwise(widths), names, strict=True)
    ]


def forward(layers, x):
    h, s = [x], []
    for W, b, name in layers:
        s.append(W @ h[-1] + b)
        h.append(ACTIVATIONS[name][1](s[-1]))
    return h, s


def recursion(layers, x, y):
    """g_{D+1} = 2 (h_D - y); db_d = g_{d+1} f'_d(s_d), dW_d = db_d h_{d-1}^T, g_d = W_d^T db_d."""
    h, s = forward(layers, x)
    g, gradients = 2 * (h[-1] - y), []
    for d in reversed(range(len(layers))):
        W, _, name = layers[d]
        db = g * ACTIVATIONS[name][2](s[d])
        gradients.insert(0, (np.outer(db, h[d]), db))
        g = W.T @ db
    return gradients, g


def loss(parameters, X, Y, names):
    """Summed squares of the errors. A sample is a vector or a row."""
    H = X
    for (W, b), name in zip(parameters, names, strict=True):
        H = ACTIVATIONS[name][0](H @ W.T + b)
    return ((H - Y) ** 2).sum()


def leaves(layers):
    return [
        (ga.array(W, requires_grad=True), ga.array(b, requires_grad=True)) for W, b, _ in layers
    ]


def sample(layers, *lead, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*lead, layers[0][0].shape[1])), rng.normal(
        size=(*lead, layers[-1][0].shape[0])
    )


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 10, 40])
def test_recursion_is_backward_for_any_depth_and_for_the_input(depth):
    layers = network(depth, seed=depth)
    x, y = sample(layers)
    parameters, inputs = leaves(layers), ga.array(x, requires_grad=True)
    loss(parameters, inputs, y, [name for *_, name in layers]).backward()
    gradients, dx = recursion(layers, x, y)
    for (W, b), (dW, db) in zip(parameters, gradients, strict=True):
        same(W.grad, dW)
        same(b.grad, db)
    same(inputs.grad, dx)


def test_recursion_against_derivatives_taken_at_forty_digits():
    layers = [(W, b, "tanh") for W, b, _ in network(3, seed=5)]
    x, y = sample(layers)

    def exact(layers, x):
        h = [mp.mpf(v) for v in x]
        for W, b in layers:
            h = [mp.tanh(mp.fdot(row, h) + c) for row, c in zip(W, b, strict=True)]
        return mp.fsum((v - mp.mpf(t)) ** 2 for v, t in zip(h, y.tolist(), strict=True))

    numbers = [(W.tolist(), b.tolist()) for W, b, _ in layers]
    gradients, dx = recursion(layers, x, y)

    def with_entry(d, which, index, value):
        changed = [([list(row) for row in W], list(b)) for W, b in numbers]
        at = changed[d][which]
        for k in index[:-1]:
            at = at[k]
        at[index[-1]] = value
        return exact(changed, x.tolist())

    for d, (W, b) in enumerate(numbers):
        for which, index in ((0, (0, 1)), (0, (1, 0)), (1, (1,))):
            start = W[index[0]][index[1]] if which == 0 else b[index[0]]
            derivative = mp.diff(lambda v, d=d, w=which, i=index: with_entry(d, w, i, v), start)
            got = gradients[d][which][index]
            assert abs(got - float(derivative)) <= 1e-12 * np.abs(gradients[d][which]).max()
    slope = mp.diff(lambda v: exact(numbers, [v, *x.tolist()[1:]]), x[0])
    assert abs(dx[0] - float(slope)) <= 1e-12 * np.abs(dx).max()


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_batch_is_the_sum_of_its_samples(depth):
    layers = network(depth, seed=10 + depth)
    names = [name for *_, name in layers]
    X, Y = sample(layers, 7)
    parameters, inputs = leaves(layers), ga.array(X, requires_grad=True)
    loss(parameters, inputs, Y, names).backward()
    singly = [recursion(layers, x, y) for x, y in zip(X, Y, strict=True)]
    for d, (W, b) in enumerate(parameters):
        same(W.grad, sum(gradients[d][0] for gradients, _ in singly))
        same(b.grad, sum(gradients[d][1] for gradients, _ in singly))
    same(inputs.grad, np.array([dx for _, dx in singly]))

    # The same in matrices: dW = Delta^T H, db = sum of the rows of Delta, G = Delta W.
    H, S = [X], []
    for W, b, name in layers:
        S.append(H[-1] @ W.T + b)
        H.append(ACTIVATIONS[name][1](S[-1]))
    G = 2 * (H[-1] - Y)
    for d in reversed(range(depth)):
        Delta = G * ACTIVATIONS[names[d]][2](S[d])
        same(parameters[d][0].grad, Delta.T @ H[d])
        same(parameters[d][1].grad, Delta.sum(axis=0))
        G = Delta @ layers[d][0]
    same(inputs.grad, G)


def test_the_bias_is_a_weight_on_a_constant_one():
    layers = network(4, seed=20)
    x, y = sample(layers)
    names = [name for *_, name in layers]
    joined = [ga.array(np.column_stack([b, W]), requires_grad=True) for W, b, _ in layers]
    parameters = leaves(layers)
    loss(parameters, x, y, names).backward()

    # Weights that let the 1 pass: an identity column puts it in front of every layer's input.
    h = ga.array(x)
    for bW, name in zip(joined, names, strict=True):
        lift = np.eye(h.shape[0] + 1)[:, 1:]
        h = ACTIVATIONS[name][0](bW @ (lift @ h + np.eye(h.shape[0] + 1)[0]))
    ((h - y) ** 2).sum().backward()
    for bW, (W, b) in zip(joined, parameters, strict=True):
        gradient = bW.grad.numpy()
        same(gradient[:, 0], b.grad.numpy())
        same(gradient[:, 1:], W.grad.numpy())


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_input_of_a_layer_is_the_activation_before_it(activation):
    # A common slip takes s_{d-1} for h_{d-1}: right only where the activation changed nothing.
    rng = np.random.default_rng(0)
    layers = [
        (np.eye(3), np.zeros(3), activation),
        (rng.uniform(1, 2, size=(2, 3)), np.full(2, 3.0), activation),
    ]
    x, y = np.array([1.0, -1.0, 0.5]), np.array([-1.0, -2.0])
    _, s = forward(layers, x)
    gradients, _ = recursion(layers, x, y)
    dW, db = gradients[1]
    parameters = leaves(layers)
    loss(parameters, x, y, [activation] * 2).backward()
    same(parameters[1][0].grad, dW)
    wrong = np.abs(np.outer(db, s[0]) - dW)
    assert wrong.max() > 1e-3 * np.abs(dW).max()
    if activation == "relu":
        assert wrong[:, s[0] > 0].max() == 0


# What reuse saves ---------------------------------------------------------------------------------


class Counter:
    def __init__(self):
        self.count = 0

    def times(self, a, b):
        self.count += 1
        return a * b


def chain_factors(theta):
    f = [0.9]
    for t in theta:
        f.append(np.tanh(t * f[-1]))
    slopes = [1 - v**2 for v in f[1:]]
    steps = [s * t for s, t in zip(slopes, theta, strict=True)]
    locals_ = [s * v for s, v in zip(slopes, f[:-1], strict=True)]
    return steps, locals_, 2 * (f[-1] - 0.25)


def chain(theta):
    f = 0.9
    for t in theta:
        f = ga.tanh(t * f)
    return (f - 0.25) ** 2


@pytest.mark.parametrize("K", [1, 2, 3, 10, 50])
def test_on_a_chain_reuse_is_linear_and_no_reuse_quadratic(K):
    theta = np.random.default_rng(K).uniform(0.8, 1.2, size=K).tolist()
    steps, locals_, seed = chain_factors(theta)

    keep, kept, bar = Counter(), [], seed
    for i in reversed(range(K)):
        kept.insert(0, keep.times(bar, locals_[i]))
        if i > 0:
            bar = keep.times(bar, steps[i])

    forget, forgotten = Counter(), []
    for i in range(K):
        bar = seed
        for j in reversed(range(i + 1, K)):
            bar = forget.times(bar, steps[j])
        forgotten.append(forget.times(bar, locals_[i]))

    assert keep.count == 2 * K - 1
    assert forget.count == K * (K + 1) // 2
    graph = [g.item() for g in ga.grad(chain)(theta)]
    np.testing.assert_allclose(kept, graph, rtol=1e-12)
    np.testing.assert_allclose(forgotten, graph, rtol=1e-12)


def residual(f, K):
    for _ in range(K):
        f = f + ga.tanh(f)
    return f


@pytest.mark.parametrize("K", [1, 2, 3, 8, 12])
def test_over_paths_the_cost_is_exponential_and_over_nodes_linear(K):
    f = [0.3]
    for _ in range(K):
        f.append(f[-1] + np.tanh(f[-1]))
    edges = [(1.0, 1 - np.tanh(v) ** 2) for v in f[:-1]]

    paths, total = Counter(), 0.0
    for path in product(*edges):
        term = 1.0
        for slope in path:
            term = paths.times(term, slope)
        total += term

    nodes, bar = Counter(), 1.0
    for pair in reversed(edges):
        bar = sum(nodes.times(bar, slope) for slope in pair)

    assert paths.count == K * 2**K
    assert nodes.count == 2 * K
    gradient = ga.grad(residual)(0.3, K).item()
    np.testing.assert_allclose([total, bar], gradient, rtol=1e-12)


def operations_of_the_sweep(K):
    x = ga.array(0.3, requires_grad=True)
    y = residual(x, K)
    y.backward(create_graph=True)
    forward = {node for node in ancestry([y._node])[0] if not isinstance(node, Leaf)}
    both = {node for node in ancestry([x.grad._node])[0] if not isinstance(node, Leaf)}
    return len(both - forward), len(forward)


def test_the_recorded_sweep_grows_by_the_same_number_of_operations_with_each_layer():
    counts = [operations_of_the_sweep(K)[0] for K in (1, 2, 3, 10, 20)]
    each = counts[1] - counts[0]
    assert counts == [counts[0] + each * (K - 1) for K in (1, 2, 3, 10, 20)]
    sweep, forward = operations_of_the_sweep(20)
    assert forward == 40
    assert sweep <= 3 * forward
