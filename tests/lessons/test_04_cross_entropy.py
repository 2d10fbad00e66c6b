"""Lesson 4: binary cross-entropy, sigmoid' = s (1 - s), their product p - y, saturated logits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40

CASES = [(z, y) for z in (-6.0, -1.0, 0.0, 0.25, 2.0, 5.0) for y in (0.0, 0.25, 1.0)]
SATURATED = (-800.0, -300.0, -40.0, -20.0, -1e-3, 0.0, 20.0, 37.0, 40.0, 300.0, 800.0)


def same(got, expected, scale=None):
    """12 digits; of `scale` where the value is a difference of terms of that size."""
    got = got.item() if isinstance(got, ga.GradArray) else got
    tolerance = 1e-12 * abs(float(expected if scale is None else scale))
    assert abs(got - float(expected)) <= tolerance, (got, expected)


def sigma(z):
    return 1 / (1 + mp.exp(-mp.mpf(z)))


def written_out(z, y):
    p = ga.sigmoid(z)
    return -(y * ga.log(p) + (1 - y) * ga.log(1 - p))


def from_logits(z, y):
    return y * ga.logaddexp(0.0, -z) + (1 - y) * ga.logaddexp(0.0, z)


@pytest.mark.parametrize(("z", "y"), CASES)
def test_two_derivatives_and_their_product(z, y):
    p = sigma(z)
    by_p = -(y / p - (1 - y) / (1 - p))
    same(
        ga.grad(lambda p: -(y * ga.log(p) + (1 - y) * ga.log(1 - p)))(float(p)),
        mp.diff(lambda p: -(y * mp.log(p) + (1 - y) * mp.log(1 - p)), mp.mpf(float(p))),
        # y/p and (1-y)/(1-p) may cancel: their rounding is that of the larger.
        scale=max(y / p, (1 - y) / (1 - p)),
    )
    same(ga.grad(ga.sigmoid)(z), p * (1 - p))
    same(ga.grad(ga.sigmoid)(z), mp.diff(lambda z: 1 / (1 + mp.exp(-z)), mp.mpf(z)))
    assert abs(by_p * p * (1 - p) - (p - y)) < mp.mpf(10) ** -35
    same(ga.grad(written_out)(z, y), p - y, scale=1)
    same(ga.grad(from_logits)(z, y), p - y, scale=max(p * (1 - y), (1 - p) * y))


def test_the_middle_forms_of_the_formulas():
    for z, y in CASES:
        p = sigma(z)
        fractions = -(y / p - (1 - y) / (1 - p))
        assert abs(fractions - (p - y) / (p * (1 - p))) < mp.mpf(10) ** -30
        assert abs(mp.exp(-mp.mpf(z)) / (1 + mp.exp(-mp.mpf(z))) - (1 - p)) < mp.mpf(10) ** -35


@pytest.mark.parametrize("z", SATURATED)
@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_from_logits_every_digit_is_there(z, y):
    mine, bce = from_logits, ga.nn.BCEWithLogitsLoss(reduction="sum")
    expected = y * mp.log1p(mp.exp(-mp.mpf(z))) + (1 - y) * mp.log1p(mp.exp(mp.mpf(z)))
    # Where y is 0 or 1 there is one term and nothing cancels, so all 12 digits are asked for.
    slope = -y * sigma(-z) + (1 - y) * sigma(z)
    terms = max(y * sigma(-z), (1 - y) * sigma(z))
    for loss in (mine, lambda z, y: bce(z, ga.array(y))):
        value, gradient = ga.value_and_grad(loss)(z, y)
        same(value, expected)
        same(gradient, slope, scale=max(terms, mp.mpf(10) ** -300))
    same(ga.grad(ga.grad(mine))(z, y), sigma(z) * sigma(-z), scale=sigma(z) * sigma(-z) or 1)


def test_written_out_it_fails_where_the_page_says():
    with np.errstate(all="ignore"):
        value, slope = ga.value_and_grad(written_out)(40.0, 0.0)
        assert value.item() == slope.item() == np.inf
        value, slope = ga.value_and_grad(written_out)(800.0, 0.0)
        assert value.item() == np.inf and slope.item() == 0
        assert np.isnan(written_out(ga.array(-800.0), 0.0).item())
        # At 36, 1 - p is one spacing of the floats below 1, times two.
        slope = ga.grad(written_out)(36.0, 0.0).item()
    same(slope, sigma(36) * sigma(-36) * 2.0**52)
    assert 1 / (1 + np.exp(-36.0)) < 1 == 1 / (1 + np.exp(-37.0))


@pytest.mark.parametrize("samples", [1, 7])
def test_gradient_of_a_perceptron_is_the_mean_of_the_errors(samples):
    rng = np.random.default_rng(samples)
    X, y, w, b = rng.normal(size=(samples, 3)), rng.uniform(size=samples), rng.normal(size=3), 0.4
    dw, db = ga.grad(lambda w, b: from_logits(X @ w + b, y).mean(), argnums=(0, 1))(w, b)
    p = [
        sigma(mp.fdot(row, w.tolist()) + mp.mpf(b))
        for row in [[mp.mpf(v) for v in r] for r in X.tolist()]
    ]
    errors = [v - mp.mpf(t) for v, t in zip(p, y.tolist(), strict=True)]
    by_hand = [
        mp.fsum(e * mp.mpf(x) for e, x in zip(errors, column, strict=True)) / samples
        for column in X.T.tolist()
    ]
    for got, expected in zip(dw.numpy(), by_hand, strict=True):
        same(got, expected, scale=max(map(abs, by_hand)))
    same(db, mp.fsum(errors) / samples, scale=max(map(abs, errors)))


def test_the_gradient_stays_large_where_that_of_squares_vanishes():
    X = np.linspace(-3, 3, 25)[:, None]
    y = 1 / (1 + np.exp(-(1.5 * X[:, 0] - 0.5)))
    squares = ga.grad(lambda w: ((ga.sigmoid(X @ w) - y) ** 2).mean())
    entropy = ga.grad(lambda w: from_logits(X @ w, y).mean())
    assert abs(squares(np.array([-100.0])).item()) < 1e-12
    assert abs(entropy(np.array([-100.0])).item()) > 1

    slopes = ga.grad(lambda w, b: from_logits(X @ w + b, y).mean(), argnums=(0, 1))
    w, b = np.array([-10.0]), np.array(0.0)
    for _ in range(1000):
        dw, db = slopes(w, b)
        w, b = w - 2 * dw.numpy(), b - 2 * db.numpy()
    np.testing.assert_allclose([w[0], b], [1.5, -0.5], rtol=1e-12)


def test_in_the_logit_cross_entropy_is_convex_and_squares_are_not():
    z = np.linspace(-6, 6, 49)
    for y in (0.0, 0.5, 1.0):
        second = [ga.grad(ga.grad(from_logits))(v, y).item() for v in z]
        np.testing.assert_allclose(second, np.exp(-z) / (1 + np.exp(-z)) ** 2, rtol=1e-12)
        squares = [ga.grad(ga.grad(lambda z, y=y: (ga.sigmoid(z) - y) ** 2))(v).item() for v in z]
        assert min(second) > 0 > min(squares)


def test_softmax_full_jacobian_and_the_product():
    z, y = np.array([2.0, -1.0, 0.5, 0.0]), np.array([0.1, 0.0, 0.9, 0.0])
    weights = [mp.exp(mp.mpf(v)) for v in z.tolist()]
    p = [v / mp.fsum(weights) for v in weights]
    _, pull = ga.vjp(lambda z: ga.exp(z) / ga.exp(z).sum(), z)
    for c in range(4):
        row = pull(np.eye(4)[c])[0].numpy()
        for k in range(4):
            same(row[k], p[c] * ((c == k) - p[k]), scale=p[c])
    losses = (
        lambda z: ga.logsumexp(z) - (y * z).sum(),
        lambda z: ga.nn.CrossEntropyLoss()(z, ga.array(y)),
    )
    for loss in losses:
        for got, pk, yk in zip(ga.grad(loss)(z).numpy(), p, y.tolist(), strict=True):
            same(got, pk - mp.mpf(yk), scale=1)


def test_two_classes_are_the_sigmoid():
    for z, _ in CASES:
        soft = ga.nn.CrossEntropyLoss()(ga.array([z, 0.0]), ga.array([0.3, 0.7]))
        same(soft, from_logits(ga.array(z), 0.3).item())
