"""Losses against SciPy and the formulas written out; stability; what bad targets are told."""

import math

import numpy as np
import pytest
from scipy import special, stats

import gradarray as ga
from gradarray import nn
from gradarray.testing import check

F = nn.functional
RNG = np.random.default_rng(1)
EPS = np.finfo(np.float64).eps
LOGITS = RNG.normal(size=(6, 5))
OTHER = RNG.normal(size=(6, 5))
LABELS = np.array([0, 4, 2, 3, 1, 2])
WEIGHT = RNG.uniform(0.5, 2.0, 5)
PROBABILITIES = RNG.dirichlet(np.ones(5), 6)
SIGNS = np.array([1, -1, 1, 1, -1, -1])

# Every value is a sum of some tens of products of order one.
CLOSE = {"rtol": 64 * EPS, "atol": 64 * EPS}


def one_by_one(fn, *args, **kwargs):
    return fn(*args, **kwargs, reduction="none").numpy()


def huber(d, delta):
    return np.where(d < delta, d**2 / 2, delta * (d - delta / 2))


D = np.abs(LOGITS - OTHER)
NUMBERS = {
    "mse": (F.mse_loss, {}, D**2),
    "l1": (F.l1_loss, {}, D),
    "smooth_l1": (F.smooth_l1_loss, {"beta": 0.4}, huber(D, 0.4) / 0.4),
    "smooth_l1 at beta 0": (F.smooth_l1_loss, {"beta": 0.0}, D),
    "huber": (F.huber_loss, {"delta": 0.7}, special.huber(0.7, D)),
    "soft_margin": (F.soft_margin_loss, {}, np.log1p(np.exp(-LOGITS * OTHER))),
    "poisson": (F.poisson_nll_loss, {}, np.exp(LOGITS) - OTHER * LOGITS),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_losses_between_numbers(name):
    fn, kwargs, expected = NUMBERS[name]
    assert np.allclose(one_by_one(fn, LOGITS, OTHER, **kwargs), expected, **CLOSE)
    assert np.allclose(fn(LOGITS, OTHER, **kwargs).item(), expected.mean(), **CLOSE)
    assert np.allclose(
        fn(LOGITS, OTHER, **kwargs, reduction="sum").item(), expected.sum(), **CLOSE
    )
    check(lambda x: fn(x, OTHER, **kwargs), LOGITS)


def test_gaussian_nll_is_the_normal_densitys_logarithm():
    var = RNG.uniform(0.5, 2.0, (6, 5))
    expected = -stats.norm.logpdf(OTHER, LOGITS, np.sqrt(var))
    got = one_by_one(F.gaussian_nll_loss, LOGITS, OTHER, var, full=True)
    assert np.allclose(got, expected, **CLOSE)
    column = one_by_one(F.gaussian_nll_loss, LOGITS, OTHER, var[:, :1], full=True)
    assert np.allclose(column, -stats.norm.logpdf(OTHER, LOGITS, np.sqrt(var[:, :1])), **CLOSE)
    row = one_by_one(F.gaussian_nll_loss, LOGITS, OTHER, var[:, 0], full=True)
    assert np.array_equal(row, column)
    check(lambda x, v: F.gaussian_nll_loss(x, OTHER, v), LOGITS, var)
    with pytest.raises(ValueError, match="a variance is negative"):
        F.gaussian_nll_loss(LOGITS, OTHER, -var)
    with pytest.raises(ga.ShapeError, match=r"var of shape \(3,\)"):
        F.gaussian_nll_loss(LOGITS, OTHER, var[0, :3])


def test_full_poisson_adds_stirlings_approximation():
    counts = np.array([0.0, 1.0, 2.0, 5.0])
    rate = np.array([0.5, 1.0, 2.0, 4.0])
    plain = one_by_one(F.poisson_nll_loss, rate, counts, log_input=False, eps=0.0)
    full = one_by_one(F.poisson_nll_loss, rate, counts, log_input=False, eps=0.0, full=True)
    stirling = counts[2:] * np.log(counts[2:]) - counts[2:] + np.log(2 * np.pi * counts[2:]) / 2
    assert np.allclose(plain, rate - counts * np.log(rate), **CLOSE)
    assert np.allclose(full - plain, [0, 0, *stirling], **CLOSE)


# Cross-entropy ------------------------------------------------------------------------------------

LOG_P = special.log_softmax(LOGITS, axis=1)
PICKED = -LOG_P[np.arange(6), LABELS]


def test_cross_entropy_of_class_numbers():
    assert np.allclose(one_by_one(F.cross_entropy, LOGITS, LABELS), PICKED, **CLOSE)
    assert np.allclose(F.cross_entropy(LOGITS, LABELS).item(), PICKED.mean(), **CLOSE)
    assert np.allclose(nn.CrossEntropyLoss(reduction="sum")(LOGITS, LABELS).item(), PICKED.sum())
    check(lambda x: F.cross_entropy(x, LABELS), LOGITS)


def test_its_gradient_is_p_less_y():
    gradient = ga.grad(lambda x: F.cross_entropy(x, LABELS, reduction="sum"))(ga.array(LOGITS))
    expected = special.softmax(LOGITS, axis=1) - np.eye(5)[LABELS]
    assert np.allclose(gradient.numpy(), expected, **CLOSE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_smoothing_and_ignored_labels(weighted, smoothing):
    w = WEIGHT if weighted else np.ones(5)
    target = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    each = -(target * w * LOG_P).sum(1)
    # The one-hot part is weighted by the label, the smooth part by each class: the same sum.
    kwargs = {"weight": WEIGHT if weighted else None, "label_smoothing": smoothing}
    assert np.allclose(one_by_one(F.cross_entropy, LOGITS, LABELS, **kwargs), each, **CLOSE)
    mean = each.sum() / w[LABELS].sum()
    assert np.allclose(F.cross_entropy(LOGITS, LABELS, **kwargs).item(), mean, **CLOSE)
    for ignore in (-100, 2, 7):
        labels = np.where(LABELS == 2, ignore, LABELS)
        counted = LABELS != 2
        got = one_by_one(F.cross_entropy, LOGITS, labels, ignore_index=ignore, **kwargs)
        assert np.allclose(got, each * counted, **CLOSE)
        mean = (each * counted).sum() / w[LABELS][counted].sum()
        got = F.cross_entropy(LOGITS, labels, ignore_index=ignore, **kwargs).item()
        assert np.allclose(got, mean, **CLOSE)
    check(lambda x: F.cross_entropy(x, LABELS, **kwargs), LOGITS)


def test_cross_entropy_of_probabilities():
    expected = -(PROBABILITIES * LOG_P).sum(1)
    assert np.allclose(F.cross_entropy(LOGITS, PROBABILITIES).item(), expected.mean(), **CLOSE)
    got = F.cross_entropy(LOGITS, PROBABILITIES, weight=WEIGHT, label_smoothing=0.3)
    target = (0.7 * PROBABILITIES + 0.06) * WEIGHT
    assert np.allclose(got.item(), -(target * LOG_P).sum() / 6, **CLOSE)
    check(lambda x: F.cross_entropy(x, PROBABILITIES), LOGITS)
    # A divergence from itself is 0: the entropy is least where the prediction is the target.
    logs = ga.log(PROBABILITIES)
    entropy = stats.entropy(PROBABILITIES, axis=1)
    assert np.allclose(one_by_one(F.cross_entropy, logs, PROBABILITIES), entropy, **CLOSE)
    gradient = ga.grad(lambda x: F.cross_entropy(x, PROBABILITIES))(logs)
    assert np.allclose(gradient.numpy(), 0, atol=8 * EPS)


def test_cross_entropy_over_images_and_of_one_sample():
    images = RNG.normal(size=(2, 5, 3, 4))
    labels = RNG.integers(0, 5, (2, 3, 4))
    log_p = special.log_softmax(images, axis=1)
    expected = -np.take_along_axis(log_p, labels[:, None], 1)[:, 0]
    assert np.allclose(one_by_one(F.cross_entropy, images, labels), expected, **CLOSE)
    assert np.allclose(F.cross_entropy(LOGITS[0], np.array(2)).item(), -LOG_P[0, 2], **CLOSE)
    soft = np.moveaxis(RNG.dirichlet(np.ones(5), (2, 3, 4)), -1, 1)
    expected = -(soft * log_p).sum(1)
    assert np.allclose(F.cross_entropy(images, soft).item(), expected.mean(), **CLOSE)


def test_saturated_logits_stay_exact():
    logits = ga.array([[1000.0, 0.0], [0.0, 1000.0]], requires_grad=True)
    loss = F.cross_entropy(logits, np.array([0, 0]), reduction="none")
    assert loss.tolist() == [0.0, 1000.0]
    assert not np.signbit(loss.numpy()).any()
    loss.sum().backward()
    assert logits.grad.tolist() == [[0.0, 0.0], [-1.0, 1.0]]
    never = ga.array([[0.0, -math.inf]], requires_grad=True)
    F.cross_entropy(never, np.array([[1.0, 0.0]])).backward()
    assert never.grad.tolist() == [[0.0, 0.0]]


def test_nll_is_cross_entropy_after_log_softmax():
    log_p = F.log_softmax(LOGITS, dim=1)
    for kwargs in ({}, {"weight": WEIGHT}, {"ignore_index": 2}):
        a = F.nll_loss(log_p, LABELS, **kwargs).item()
        assert np.allclose(a, F.cross_entropy(LOGITS, LABELS, **kwargs).item(), **CLOSE)
    assert nn.NLLLoss()([[-0.5, -2.0]], np.array([0])).item() == 0.5


def test_float32_networks_stay_in_float32():
    x = ga.array(LOGITS.astype(np.float32), requires_grad=True)
    for loss in (F.cross_entropy(x, PROBABILITIES), F.mse_loss(x, OTHER), F.huber_loss(x, OTHER)):
        assert loss.dtype == np.float32
    assert F.cross_entropy(x, LABELS, weight=WEIGHT, label_smoothing=0.1).dtype == np.float32
    assert F.binary_cross_entropy_with_logits(x, np.ones((6, 5), int)).dtype == np.float32


# Binary -------------------------------------------------------------------------------------------


def test_binary_cross_entropy():
    p, y = special.expit(LOGITS), (OTHER > 0).astype(float)
    expected = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    assert np.allclose(one_by_one(F.binary_cross_entropy, p, y), expected, **CLOSE)
    got = one_by_one(F.binary_cross_entropy_with_logits, LOGITS, y)
    assert np.allclose(got, expected, **CLOSE)
    weight = RNG.uniform(0.5, 2, 5)
    got = F.binary_cross_entropy(p, y, weight).item()
    assert np.allclose(got, (expected * weight).mean(), **CLOSE)
    positive = RNG.uniform(0.5, 3, 5)
    got = nn.BCEWithLogitsLoss(weight=weight, pos_weight=positive)(LOGITS, y).item()
    each = -weight * (positive * y * np.log(p) + (1 - y) * np.log1p(-p))
    assert np.allclose(got, each.mean(), **CLOSE)
    check(lambda x: F.binary_cross_entropy(x, y), p)
    check(lambda x: F.binary_cross_entropy_with_logits(x, y, pos_weight=positive), LOGITS)


def test_the_gradient_with_logits_is_p_less_y_also_where_they_saturate():
    z = np.array([-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0])
    for y in (np.zeros(7), np.ones(7), np.full(7, 0.25)):
        gradient = ga.grad(
            lambda x, y=y: F.binary_cross_entropy_with_logits(x, y, reduction="sum")
        )(ga.array(z))
        # p - y, without cancellation: (1 - y) p - y (1 - p).
        expected = (1 - y) * special.expit(z) - y * special.expit(-z)
        assert np.allclose(gradient.numpy(), expected, rtol=4 * EPS, atol=1e-300)


def test_probabilities_of_0_and_1_give_a_finite_loss():
    p = ga.array([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(p, [0.0, 1.0, 1.0, 0.0], reduction="none")
    assert loss.tolist() == [0.0, 0.0, 100.0, 100.0]
    loss.sum().backward()
    assert np.isfinite(p.grad.numpy()).all()
    with pytest.raises(ValueError, match=r"1.5 is outside \[0, 1\].*BCEWithLogitsLoss"):
        F.binary_cross_entropy([0.5, 1.5], [1.0, 1.0])


# Distributions, margins, pairs --------------------------------------------------------------------


def test_kl_divergence():
    log_q = special.log_softmax(LOGITS, axis=1)
    expected = special.rel_entr(PROBABILITIES, np.exp(log_q))
    assert np.allclose(one_by_one(F.kl_div, log_q, PROBABILITIES), expected, **CLOSE)
    got = F.kl_div(log_q, np.log(PROBABILITIES), reduction="sum", log_target=True).item()
    assert np.allclose(got, expected.sum(), **CLOSE)
    got = nn.KLDivLoss(reduction="batchmean")(log_q, PROBABILITIES).item()
    assert np.allclose(got, expected.sum() / 6, **CLOSE)
    one_hot = np.eye(5)[LABELS]
    assert np.allclose(F.kl_div(log_q, one_hot, reduction="batchmean").item(), PICKED.mean())
    check(lambda x: F.kl_div(x, PROBABILITIES), log_q)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_margin(p, weighted):
    w = WEIGHT if weighted else np.ones(5)
    expected = []
    for x, y in zip(LOGITS, LABELS, strict=True):
        terms = [w[y] * max(0.0, 0.7 - x[y] + x[c]) ** p for c in range(5) if c != y]
        expected.append(sum(terms) / 5)
    kwargs = {"p": p, "margin": 0.7, "weight": WEIGHT if weighted else None}
    got = one_by_one(F.multi_margin_loss, LOGITS, LABELS, **kwargs)
    assert np.allclose(got, expected, **CLOSE)
    got = nn.MultiMarginLoss(**kwargs)(LOGITS[0], np.array(0)).item()
    assert np.allclose(got, expected[0], **CLOSE)
    check(lambda x: F.multi_margin_loss(x, LABELS, **kwargs), LOGITS)


def test_cosine_embedding():
    cosine = (LOGITS * OTHER).sum(1)
    cosine /= np.linalg.norm(LOGITS, axis=1) * np.linalg.norm(OTHER, axis=1)
    expected = np.where(SIGNS == 1, 1 - cosine, np.maximum(0, cosine - 0.1))
    loss = nn.CosineEmbeddingLoss(margin=0.1)
    assert np.allclose(loss(LOGITS, OTHER, SIGNS).item(), expected.mean(), **CLOSE)
    one = F.cosine_embedding_loss(LOGITS[0], OTHER[0], np.array(1)).item()
    assert np.allclose(one, 1 - cosine[0], **CLOSE)
    check(lambda a, b: loss(a, b, SIGNS), LOGITS, OTHER)
    with pytest.raises(ga.ShapeError, match=r"shape \(6,\)"):
        loss(LOGITS, OTHER, SIGNS[:, None])


def test_hinge_embedding_ranking_and_triplets():
    x = RNG.uniform(0, 2, 6)
    expected = np.where(SIGNS == 1, x, np.maximum(0, 1 - x))
    assert np.allclose(nn.HingeEmbeddingLoss()(x, SIGNS).item(), expected.mean(), **CLOSE)
    a, b = LOGITS[:, 0], OTHER[:, 0]
    expected = np.maximum(0, -SIGNS * (a - b) + 0.1)
    got = nn.MarginRankingLoss(margin=0.1)(a, b, SIGNS).item()
    assert np.allclose(got, expected.mean(), **CLOSE)
    far = OTHER[::-1]
    near, apart = (np.linalg.norm(LOGITS - y + 1e-6, axis=1) for y in (OTHER, far))
    got = nn.TripletMarginLoss()(LOGITS, OTHER, far).item()
    assert np.allclose(got, np.maximum(0, near - apart + 1).mean(), **CLOSE)


# What does not fit --------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss])
def test_n_against_n_1_raises(fn):
    with pytest.raises(ga.ShapeError, match=r"\(4,\).*\(4, 1\).*target\.reshape\(input\.shape\)"):
        fn(np.ones(4), np.ones((4, 1)))
    with pytest.raises(ga.ShapeError, match=r"axis 1 has 3 and 2.*broadcasts nothing"):
        fn(np.ones((4, 3)), np.ones((4, 2)))


def test_binary_losses_do_not_broadcast_either():
    for fn in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(ga.ShapeError, match="broadcasts nothing"):
            fn(np.full(4, 0.5), np.ones((4, 1)))
        with pytest.raises(ga.ShapeError, match=r"weight of shape \(2, 4\)"):
            fn(np.full(4, 0.5), np.ones(4), np.ones((2, 4)))


def test_a_label_out_of_range_is_named():
    with pytest.raises(IndexError, match=r"label 5 at \[1\] is out of range for 5 classes.*0 to 4"):
        F.cross_entropy(LOGITS, np.array([0, 5, 2, 3, 1, 2]))
    with pytest.raises(IndexError, match=r"label -1 at \[0\]"):
        F.nll_loss(LOGITS, np.array([-1, 4, 2, 3, 1, 2]))
    with pytest.raises(IndexError, match=r"label 7 at \[0\]"):
        F.multi_margin_loss(LOGITS[:1], np.array([7]))


def test_shapes_and_dtypes_of_targets_are_explained():
    with pytest.raises(ga.ShapeError, match=r"use target\.reshape\(\(6,\)\)"):
        F.cross_entropy(LOGITS, LABELS[:, None])
    with pytest.raises(ga.ShapeError, match=r"Probabilities are floating, .* int64"):
        F.cross_entropy(LOGITS, np.eye(5, dtype=int)[LABELS])
    with pytest.raises(ga.ShapeError, match=r"class numbers of shape \(6,\)"):
        F.cross_entropy(LOGITS, LABELS[:3])
    with pytest.raises(ga.DTypeError, match=r"class numbers are integers, .* float64"):
        F.cross_entropy(LOGITS, LABELS.astype(float))
    with pytest.raises(ga.DTypeError, match="input has dtype int64"):
        F.mse_loss(np.ones(3, int), np.ones(3))
    with pytest.raises(ga.ShapeError, match=r"weight of shape \(4,\) for 5 classes"):
        F.cross_entropy(LOGITS, LABELS, np.ones(4))
    with pytest.raises(ga.ShapeError, match="an axis of classes"):
        F.cross_entropy(1.0, 0)


@pytest.mark.parametrize(
    "loss",
    [
        nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.BCELoss(),
        nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss(), nn.KLDivLoss(), nn.HingeEmbeddingLoss(),
        nn.PoissonNLLLoss(), nn.SoftMarginLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_a_target_that_requires_a_gradient_raises(loss):
    prediction = ga.array([[0.25, 0.75]], requires_grad=True)
    with pytest.raises(ValueError, match="Were the arguments swapped"):
        loss(ga.array([[0.0, 1.0]]), prediction)
    loss(prediction, prediction.detach())


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MSELoss(reduction="average"),
        lambda: F.mse_loss([1.0], [1.0], reduction="batchmean"),
        lambda: nn.CrossEntropyLoss(label_smoothing=2.0)(LOGITS, LABELS),
        lambda: F.huber_loss([1.0], [1.0], delta=0.0),
        lambda: F.smooth_l1_loss([1.0], [1.0], beta=-1.0),
        lambda: F.multi_margin_loss(LOGITS, LABELS, p=3),
    ],
)
def test_arguments_out_of_range_raise(make):
    with pytest.raises(ValueError, match=r"reduction is|label_smoothing|delta|beta|p is 1 or 2"):
        make()


def test_python_numbers_are_numbers_of_any_dtype():
    assert nn.MSELoss()([1, 2], [1, 4]).item() == 2.0
    assert nn.CrossEntropyLoss()([[0, 0]], [1]).item() == math.log(2)


def test_a_weighted_loss_saves_its_weight():
    loss = nn.CrossEntropyLoss(weight=WEIGHT)
    assert list(loss.state_dict()) == ["weight"]
    assert loss.get_config()["weight"] is WEIGHT
    assert list(nn.CrossEntropyLoss().state_dict()) == []


NAN_ROW = np.where(np.arange(30).reshape(6, 5) == 7, np.nan, 0.5)
WITH_NAN = {
    "binary_cross_entropy": (NAN_ROW, PROBABILITIES),
    "binary_cross_entropy_with_logits": (NAN_ROW, PROBABILITIES),
    "mse_loss": (NAN_ROW, OTHER),
    "l1_loss": (NAN_ROW, OTHER),
    "smooth_l1_loss": (NAN_ROW, OTHER),
    "huber_loss": (NAN_ROW, OTHER),
    "cross_entropy": (NAN_ROW, LABELS),
    "nll_loss": (NAN_ROW, np.full(6, 2)),
    "kl_div": (NAN_ROW, PROBABILITIES),
    "hinge_embedding_loss": (NAN_ROW[:, 2], SIGNS),
    "multi_margin_loss": (NAN_ROW, LABELS),
    "soft_margin_loss": (NAN_ROW, OTHER),
}


@pytest.mark.parametrize("name", WITH_NAN)
def test_a_nan_in_the_input_shows_in_the_loss_and_nowhere_else(name):
    losses = one_by_one(getattr(F, name), *WITH_NAN[name])
    there = np.isnan(losses)
    assert there.sum() == 1 and np.argwhere(there)[0][0] == 1
