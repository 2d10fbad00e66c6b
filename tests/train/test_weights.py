"""Weights of samples and of classes, against the gradients that they should give."""

import numpy as np
import pytest

import gradarray as ga
from tests.train.common import LABELS, RNG, X, Y, equal, make, weights


def gradient_step(model, loss):
    """The change of the weights by one SGD step of rate 1 on the whole of X."""
    before = weights(model)
    model.compile(ga.optim.SGD(model.parameters(), lr=1.0), loss)
    return before, lambda: {name: before[name] - now for name, now in weights(model).items()}


W = RNG.random(50)


@pytest.mark.parametrize("kind", ["nn", "sum", "function"])
def test_sample_weights_scale_the_gradient_of_each_sample(kind):
    loss = {
        "nn": ga.nn.MSELoss(),
        "sum": ga.nn.MSELoss(reduction="sum"),
        "function": lambda y_true, y_pred: ((y_true - y_pred) ** 2)[:, 0],
    }[kind]
    model = make(dtype="float64")
    _, change = gradient_step(model, loss)
    params = {name: ga.array(value) for name, value in weights(model).items()}

    def weighted(params):
        error = ga.nn.functional_call(model, params, X) - Y
        total = (ga.array(W)[:, None] * error * error).sum()
        return total if kind == "sum" else total / 50

    expected = ga.grad(weighted)(params)
    model.fit(X, Y, batch_size=50, sample_weight=W, shuffle=False, verbose=0)
    for name, value in change().items():
        # w - (w - g) has rounding errors of w, which is of the order of one.
        np.testing.assert_allclose(value, expected[name].numpy(), rtol=1e-12, atol=1e-14)


def test_class_weights_are_sample_weights_by_class():
    by_class, by_sample, by_batches = (make(3, dtype="float64") for _ in range(3))
    class_weight = {0: 0.5, 2: 3.0}
    sample_weight = np.where(LABELS == 0, 0.5, np.where(LABELS == 2, 3.0, 1.0))
    for model in (by_class, by_sample, by_batches):
        model.compile(ga.optim.SGD(model.parameters(), lr=0.1), "cross_entropy")
    options = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    by_class.fit(X, LABELS, class_weight=class_weight, **options)
    by_sample.fit(X, LABELS, sample_weight=sample_weight, **options)
    by_batches.fit(
        ga.train.batches(X, LABELS, batch_size=16), epochs=2, class_weight=class_weight, verbose=0
    )
    assert equal(weights(by_class), weights(by_sample))
    assert equal(weights(by_class), weights(by_batches))
    plain = make(3, dtype="float64")
    plain.compile(ga.optim.SGD(plain.parameters(), lr=0.1), "cross_entropy")
    plain.fit(X, LABELS, **options)
    assert not equal(weights(plain), weights(by_class))


def test_weights_of_one_change_nothing():
    """Mean over samples and positions: the same sums, in another order of float64 additions."""
    scores = RNG.normal(size=(6, 3, 4))
    labels = RNG.integers(0, 3, (6, 4))
    for loss in ("cross_entropy", ga.nn.CrossEntropyLoss(reduction="sum")):
        model = make()
        model.compile(loss=loss)
        plain = model.compute_loss(y=ga.array(labels), y_pred=ga.array(scores))
        ones = model.compute_loss(
            y=ga.array(labels), y_pred=ga.array(scores), sample_weight=np.ones(6)
        )
        assert ones.item() == pytest.approx(plain.item(), rel=1e-14)


def test_plain_metrics_do_not_heed_weights_and_weighted_ones_do():
    model = make(dtype="float64")
    model.compile(
        "adam", "mse", ["mae"], weighted_metrics=[ga.train.metrics.MeanAbsoluteError("weighted")]
    )
    found = model.evaluate(X, Y, sample_weight=W, verbose=0, return_dict=True)
    error = abs(model.predict(X) - Y)[:, 0]
    assert found["mae"] == pytest.approx(error.mean(), rel=1e-14)
    assert found["weighted"] == pytest.approx((W * error).sum() / W.sum(), rel=1e-14)
    assert found["loss"] == pytest.approx((W * error**2).mean(), rel=1e-14)


@pytest.mark.parametrize(
    ("keywords", "error", "said"),
    [
        ({"sample_weight": W[:9]}, ValueError, "x has 50, y has 50, sample_weight has 9"),
        ({"sample_weight": W[:, None]}, ValueError, r"sample_weight has shape \(32, 1\)"),
        ({"class_weight": [1.0, 2.0]}, TypeError, "class_weight is a dict"),
        ({"class_weight": {"cat": 1.0}}, ValueError, "'cat', which is no class number"),
        ({"class_weight": {0: -1.0}}, ValueError, "class 0 is -1.0"),
        ({"class_weight": {0: np.nan}}, ValueError, "class 0 is nan"),
    ],
)
def test_weights_that_are_none(keywords, error, said):
    model = make(3)
    model.compile("adam", "cross_entropy")
    with pytest.raises(error, match=said):
        model.fit(X, LABELS, verbose=0, **keywords)


def test_weights_need_a_loss_per_sample():
    model = make()
    model.compile("adam", lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean())
    with pytest.raises(ValueError, match=r"returns one number. Return one loss per sample"):
        model.fit(X, Y, sample_weight=W, verbose=0)

    class Mean(ga.nn.Module):
        def forward(self, input, target):
            return ((input - target) ** 2).mean()

    model.compile("adam", Mean())
    with pytest.raises(ValueError, match="Mean has no reduction"):
        model.fit(X, Y, sample_weight=W, verbose=0)
