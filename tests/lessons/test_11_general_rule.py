"""Lesson 11: the general rule in fifteen lines, against backward() and the sum over all paths; and
in matrix calculus, with the shape of every Jacobian."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40


def general_rule(inputs, graph):
    """All values x_i, and dF/dx_i for all i, for F = the last value."""
    x = list(inputs)
    for g, _, parents in graph:
        x.append(g(*[x[i] for i in parents]))

    dF = [0.0] * len(x)
    dF[-1] = 1.0
    for j in reversed(range(len(inputs), len(x))):
        _, partials, parents = graph[j - len(inputs)]
        arguments = [x[i] for i in parents]
        for i, partial in zip(parents, partials, strict=True):
            dF[i] += dF[j] * partial(*arguments)

    return x, dF


OPS = {
    "+": (lambda a, b: a + b, (lambda a, b: 1.0, lambda a, b: 1.0)),
    "-": (lambda a, b: a - b, (lambda a, b: 1.0, lambda a, b: -1.0)),
    "*": (lambda a, b: a * b, (lambda a, b: b, lambda a, b: a)),
    "sin": (np.sin, (np.cos,)),
    "exp": (np.exp, (np.exp,)),
    "tanh": (np.tanh, (lambda a: 1 / np.cosh(a) ** 2,)),
}


def make(*rows):
    return [(*OPS[name], parents) for name, *parents in rows]


def on_gradarray(inputs, graph):
    x = [ga.array(v, requires_grad=True) for v in inputs]
    for g, _, parents in graph:
        x.append(g(*[x[i] for i in parents]))
        x[-1].retain_grad()
    x[-1].backward()
    return [0.0 if v.grad is None else v.grad.item() for v in x]


def over_paths(i, x, graph, d):
    """The sum over all paths from x_i to the last value, and their number."""
    if i == len(x) - 1:
        return 1.0, 1
    total, count = 0.0, 0
    for j, (_, partials, parents) in enumerate(graph, start=d):
        for parent, partial in zip(parents, partials, strict=True):
            if parent == i:
                rest, paths = over_paths(j, x, graph, d)
                total += partial(*[x[p] for p in parents]) * rest
                count += paths
    return total, count


def random_graph(rng, d=3, operations=16):
    rows = []
    for k in range(d, d + operations):
        name = rng.choice(["+", "-", "*", "sin", "tanh"])
        recent = rng.integers(max(0, k - 5), k, size=2 if name in "+-*" else 1)
        rows.append((name, *recent.tolist()))
    return make(*rows)


@pytest.mark.parametrize("seed", range(100))
def test_rule_backward_and_paths_on_a_random_graph(seed):
    rng = np.random.default_rng(seed)
    graph, inputs = random_graph(rng), rng.uniform(-1, 1, size=3).tolist()
    x, dF = general_rule(inputs, graph)
    uses = np.bincount([i for *_, parents in graph for i in parents], minlength=len(x))
    assert np.any(uses > 1)  # shared nodes
    found = [over_paths(i, x, graph, 3) for i in range(len(x))]
    paths = np.array([value for value, _ in found])
    # Terms of different paths may cancel, so digits are those of the largest derivative.
    tolerance = 1e-12 * abs(paths).max()
    np.testing.assert_allclose(dF, paths, rtol=0, atol=tolerance)
    np.testing.assert_allclose(on_gradarray(inputs, graph), paths, rtol=0, atol=tolerance)


def test_the_random_graphs_have_what_they_are_there_for():
    shared = twice = unused = most = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        graph, inputs = random_graph(rng), rng.uniform(-1, 1, size=3).tolist()
        x, _ = general_rule(inputs, graph)
        uses = np.bincount([i for *_, parents in graph for i in parents], minlength=len(x))
        shared += np.count_nonzero(uses > 2)
        unused += np.count_nonzero(uses[:-1] == 0)
        twice += sum(len(set(parents)) < len(parents) for *_, parents in graph)
        most = max(most, *(over_paths(i, x, graph, 3)[1] for i in range(3)))
    assert min(shared, twice, unused) > 50
    assert most > 20


def test_a_value_used_three_times():
    rows = [("*", 0, 1), ("sin", 2), ("exp", 2), ("*", 2, 3), ("+", 4, 5)]
    _, dF = general_rule([0.8, 1.5], make(*rows))
    a, b = mp.mpf(0.8), mp.mpf(1.5)
    c = a * b
    terms = c * mp.cos(c), mp.exp(c), mp.sin(c)  # from x4, x5 and x6
    by_value = mp.diff(lambda v: mp.exp(v) + v * mp.sin(v), c)
    assert abs(mp.fsum(terms) - by_value) < mp.mpf(10) ** -25
    expected = [by_value * b, by_value * a, by_value, c, 1, 1, 1]
    np.testing.assert_allclose(dF, np.array(expected, float), rtol=1e-12)
    np.testing.assert_allclose(on_gradarray([0.8, 1.5], make(*rows)), dF, rtol=1e-12)


def test_the_sum_runs_over_edges():
    _, dF = general_rule([3.0], make(("*", 0, 0)))
    assert dF == [6.0, 1.0]
    assert on_gradarray([3.0], make(("*", 0, 0))) == dF


# With matrices ------------------------------------------------------------------------------------


def jacobian(f, x):
    """A row for each entry of f(x), a column for each entry of x."""
    y, pull = ga.vjp(f, x)
    units = np.eye(y.size).reshape(-1, *y.shape)
    return np.array([pull(unit)[0].numpy().ravel() for unit in units])


def same(got, expected):
    got = got.numpy() if isinstance(got, ga.GradArray) else got
    expected = np.asarray(expected, float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.fixture(params=[1, 2, 5])
def perceptron(request):
    rng = np.random.default_rng(request.param)
    N, n = request.param, 3
    return N, n, rng.normal(size=(N, n)), rng.uniform(size=N), rng.normal(size=n)


def test_the_three_places_of_the_prediction(perceptron):
    N, _, _, y, _ = perceptron
    y_hat = np.random.default_rng(9).uniform(size=N)

    def places(left, right, linear):
        return (left @ right - 2 * (y @ linear) + y @ y) / N

    left, right, linear = ga.grad(places, argnums=(0, 1, 2))(y_hat, y_hat, y_hat)
    same(left, y_hat / N)
    same(right, y_hat / N)
    same(linear, -2 * y / N)
    whole = ga.grad(lambda v: places(v, v, v))(y_hat)
    assert abs(whole.numpy() - 2 / N * (y_hat - y)).max() <= 1e-12 * abs(y_hat).max()
    assert abs(places(y_hat, y_hat, y_hat) - np.mean((y_hat - y) ** 2)) < 1e-14


def test_the_three_factors_their_shapes_and_their_product(perceptron):
    N, n, X, y, w = perceptron
    z = X @ w
    y_hat = 1 / (1 + np.exp(-z))
    mse = lambda v: (v @ v - 2 * (y @ v) + y @ y) / N
    first, second, third = (
        jacobian(mse, y_hat),
        jacobian(ga.sigmoid, z),
        jacobian(lambda w: X @ w, w),
    )
    assert (first.shape, second.shape, third.shape) == ((1, N), (N, N), (N, n))
    assert abs(first[0] - 2 / N * (y_hat - y)).max() <= 1e-12 * abs(y_hat).max()
    same(second, np.diag(y_hat * (1 - y_hat)))
    same(third, X)
    gradient = ga.grad(lambda w: mse(ga.sigmoid(X @ w)))(w).numpy()
    assert gradient.shape == (n,)  # the row as an array of the shape of w
    product = (first @ second @ third)[0]
    np.testing.assert_allclose(product, gradient, rtol=0, atol=1e-12 * abs(gradient).max())
    by_formula = 2 / N * X.T @ ((y_hat - y) * y_hat * (1 - y_hat))
    np.testing.assert_allclose(by_formula, gradient, rtol=0, atol=1e-12 * abs(gradient).max())


def test_the_jacobians_of_a_layer_and_their_pulls():
    rng = np.random.default_rng(3)
    N, m, k = 4, 3, 2
    H, W, S_bar = rng.normal(size=(N, m)), rng.normal(size=(k, m)), rng.normal(size=(N, k))

    by_weights = jacobian(lambda W: H @ W.T, W)
    assert by_weights.shape == (N * k, k * m)
    delta = np.einsum("jl,iq->ijlq", np.eye(k), H)  # dS_ij/dW_lq
    same(by_weights, delta.reshape(N * k, k * m))
    assert np.count_nonzero(by_weights) == N * k * m

    by_inputs = jacobian(lambda H: H @ W.T, H)
    assert by_inputs.shape == (N * k, N * m)
    delta = np.einsum("il,jq->ijlq", np.eye(N), W)  # dS_ij/dH_lq
    same(by_inputs, delta.reshape(N * k, N * m))
    assert np.count_nonzero(by_inputs) == N * k * m

    S = H @ W.T
    entrywise = jacobian(ga.sigmoid, S)
    slope = np.exp(-S) / (1 + np.exp(-S)) ** 2
    same(entrywise, np.diag(slope.ravel()))

    _, pull = ga.vjp(lambda H, W: H @ W.T, H, W)
    H_bar, W_bar = pull(S_bar)
    same(W_bar, S_bar.T @ H)
    same(H_bar, S_bar @ W)
    same((S_bar.ravel() @ by_weights).reshape(k, m), S_bar.T @ H)
    same((S_bar.ravel() @ by_inputs).reshape(N, m), S_bar @ W)
    _, pull = ga.vjp(ga.sigmoid, S)
    same(pull(S_bar)[0], S_bar * slope)
    same((S_bar.ravel() @ entrywise).reshape(N, k), S_bar * slope)


def test_push_acts_on_columns_without_forming_them_either():
    rng = np.random.default_rng(4)
    H, W, W_dot = rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    by_weights = jacobian(lambda W: H @ W.T, W)
    _, S_dot = ga.jvp(lambda W: H @ W.T, (W,), (W_dot,))
    same(S_dot, H @ W_dot.T)
    same((by_weights @ W_dot.ravel()).reshape(4, 2), H @ W_dot.T)
