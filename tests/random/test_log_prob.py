"""Logarithms of probabilities beyond what their declarations test, and the score function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

import gradarray as ga
from gradarray.random import Generator, log_prob

SIGMAS = float(stats.norm.isf(1e-6 / 2))
EPS = float(np.finfo(float).eps)
INF = math.inf


@pytest.mark.parametrize(
    ("f", "x", "parameters", "value"),
    [
        (
            log_prob.uniform,
            [-1.0, 0.0, 2.0, 3.0],
            (0.0, 2.0),
            [-INF, -math.log(2), -math.log(2), -INF],
        ),
        (log_prob.exponential, [-1.0, 0.0, INF], (2.0,), [-INF, -math.log(2), -INF]),
        (log_prob.gamma, [-1.0, 0.0], (2.0,), [-INF, -INF]),
        (log_prob.gamma, [-1.0, 0.0], (1.0,), [-INF, 0.0]),
        (log_prob.gamma, [-1.0, 0.0], (0.5,), [-INF, INF]),
        (log_prob.beta, [-0.1, 0.0, 1.0, 1.1], (1.0, 2.0), [-INF, math.log(2), -INF, -INF]),
        (log_prob.bernoulli, [0.0, 1.0, 0.5], (1.0,), [-INF, 0.0, -INF]),
    ],
)
def test_supports(f, x, parameters, value):
    x = np.array(x)
    np.testing.assert_allclose(f(x, *parameters).numpy(), value, rtol=4 * EPS)
    # outside, the slope in x and in every parameter is 0, and never NaN
    outside = np.isneginf(value) & ~((x == 0) | (x == 1) | np.isinf(x))
    full = [x, *(np.full(x.shape, p) for p in parameters)]
    for slopes in ga.vjp(f, *full)[1](np.ones(x.shape)):
        assert np.all(slopes.numpy()[outside] == 0)


def test_far_out_they_keep_their_digits():
    assert log_prob.logistic(800.0).item() == -800.0
    assert log_prob.logistic(-800.0).item() == -800.0
    assert ga.grad(log_prob.logistic)(800.0).item() == -1.0
    assert log_prob.normal(1e10).item() == pytest.approx(-5e19, rel=4 * EPS)


@pytest.mark.parametrize(
    ("name", "parameters", "low", "high"),
    [
        ("normal", (1.0, 2.0), -30.0, 30.0),
        ("laplace", (1.0, 2.0), -80.0, 80.0),
        ("gumbel", (1.0, 2.0), -15.0, 90.0),
        ("logistic", (1.0, 2.0), -90.0, 90.0),
        ("gamma", (2.5, 0.5), 0.0, 30.0),
        ("beta", (2.5, 3.0), 0.0, 1.0),
        ("exponential", (2.0,), 0.0, 80.0),
    ],
)
def test_probabilities_sum_to_one_and_scores_to_zero(name, parameters, low, high):
    """The integral of p is 1 for all parameters, so that of p times the score is 0."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    edges = np.linspace(low, high, 33)
    if name == "laplace":  # the kink is an edge
        edges = np.sort(np.append(edges, 1.0))
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()
    w = (half * weights).ravel()
    f = getattr(log_prob, name)
    p = np.exp(f(x, *parameters).numpy())
    assert w @ p == pytest.approx(1, rel=1e-9)
    for k in range(len(parameters)):
        full = [np.full(x.shape, v) for v in parameters]
        score = ga.grad(lambda *a: f(x, *a).sum(), argnums=k)(*full).numpy()
        assert w @ (p * score) == pytest.approx(0, abs=1e-6)


# --- the score function ---------------------------------------------------------------------------


def test_the_score_function_of_classes():
    """Its mean over all classes is the gradient of the expectation, and so over draws."""
    reward, logits = np.array([1.0, 0.0, 3.0]), np.array([0.0, 0.5, -0.5])
    p = special.softmax(logits)
    exact = p * (reward - p @ reward)

    def surrogate(x, weight, logits):
        return (weight * log_prob.categorical(x, logits)).sum()

    every = ga.grad(surrogate, argnums=2)(np.arange(3), p * reward, logits).numpy()
    np.testing.assert_allclose(every, exact, rtol=0, atol=16 * EPS)

    n = 50_000
    x = Generator(1).categorical(logits, size=n).numpy()
    rows = np.tile(logits, (n, 1))
    scores = ga.grad(surrogate, argnums=2)(x, reward[x], rows).numpy()
    assert np.all(np.abs(scores.mean(0) - exact) < SIGMAS * scores.std(0) / math.sqrt(n))


@pytest.mark.parametrize(
    ("name", "parameters", "moment"),
    [
        ("normal", (0.5, 1.5), lambda m, s: m * m + s * s),
        ("exponential", (1.5,), lambda s: 2 * s * s),
        ("laplace", (0.5, 1.5), lambda m, s: m * m + 2 * s * s),
        ("logistic", (0.5, 1.5), lambda m, s: m * m + s * s * (math.pi**2 / 3)),
        ("gamma", (2.5, 0.5), lambda a, s: a * (a + 1) * s * s),
        ("beta", (2.0, 3.0), lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1))),
    ],
)
def test_the_score_function_and_the_path_agree_with_the_expectation(name, parameters, moment):
    """Of E x^2: the mean score times x^2, the mean slope of the draw, and the closed form."""
    n = 50_000
    full = [np.full(n, p) for p in parameters]
    for k in range(len(parameters)):
        exact = ga.grad(moment, argnums=k)(*parameters).item()
        x = getattr(Generator(2), name)(*full).numpy()
        score = ga.grad(
            lambda *p: (x * x * getattr(log_prob, name)(x, *p)).sum(),  # noqa: B023
            argnums=k,
        )(*full).numpy()
        path = ga.grad(lambda *p: (getattr(Generator(2), name)(*p) ** 2).sum(), argnums=k)(
            *full
        ).numpy()
        for slopes in (score, path):
            assert abs(slopes.mean() - exact) < SIGMAS * slopes.std() / math.sqrt(n)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: log_prob.normal(0.0, 0.0, 0.0), ValueError, "log_prob.normal: scale has to be"),
        (lambda: log_prob.gamma(1.0, -1.0), ValueError, "log_prob.gamma: shape has to be above 0"),
        (lambda: log_prob.bernoulli(1, 1.5), ValueError, "log_prob.bernoulli: p has to be from 0"),
        (lambda: log_prob.categorical(0.0, [0.0]), ga.DTypeError, "a class is an integer"),
        (lambda: log_prob.categorical(2, [0.0, 1.0]), ValueError, "x has to be from 0 to 1"),
        (
            lambda: log_prob.categorical([0, 1, 0], np.zeros((2, 4))),
            ga.ShapeError,
            r"x of shape \(3,\) does not broadcast with the logits' \(2,\)",
        ),
        (lambda: log_prob.dirichlet(0.5, [1.0]), ga.ShapeError, "x holds vectors"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
