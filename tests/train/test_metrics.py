"""Metrics against scikit-learn, over several batches, weighted and not."""

import numpy as np
import pytest
from sklearn import metrics as sk

import gradarray as ga
from gradarray.train import metrics as m

RNG = np.random.default_rng(0)
N, CLASSES = 97, 5
# Scores with two digits have ties; 1/199 steps of the AUC's thresholds fall between them.
SCORES = RNG.random((N, CLASSES)).round(2)
LABELS = RNG.integers(0, CLASSES, N)
P = RNG.random(N).round(2)
TRUTH = (RNG.random(N) < 0.3 + 0.4 * P).astype(int)
WEIGHTS = RNG.random(N)
Y = RNG.normal(size=(N, 3)) + 1e4  # far from zero: a difference of squares would lose digits
Y_PRED = Y + 0.3 * RNG.normal(size=(N, 3))
ONE_HOT = np.eye(CLASSES)[LABELS]
CHOICE = SCORES.argmax(1)

MACRO = {"average": "macro"}

# metric, target, prediction; what scikit-learn calls it, with its own form of the two
CASES = {
    "binary": (m.BinaryAccuracy(), TRUTH, P, sk.accuracy_score, TRUTH, P > 0.5),
    "binary, threshold": (m.BinaryAccuracy(None, 0.3), TRUTH, P, sk.accuracy_score, TRUTH, P > 0.3),
    "binary, (N, 1)": (m.BinaryAccuracy(), TRUTH[:, None], P, sk.accuracy_score, TRUTH, P > 0.5),
    "class numbers": (
        m.SparseCategoricalAccuracy(), LABELS, SCORES, sk.accuracy_score, LABELS, CHOICE
    ),
    "one-hot": (m.CategoricalAccuracy(), ONE_HOT, SCORES, sk.accuracy_score, LABELS, CHOICE),
    "any: binary": (m.Accuracy(), TRUTH, P, sk.accuracy_score, TRUTH, P > 0.5),
    "any: class numbers": (m.Accuracy(), LABELS, SCORES, sk.accuracy_score, LABELS, CHOICE),
    "any: one-hot": (m.Accuracy(), ONE_HOT, SCORES, sk.accuracy_score, LABELS, CHOICE),
    "precision": (m.Precision(), TRUTH, P, sk.precision_score, TRUTH, P > 0.5),
    "recall": (m.Recall(thresholds=0.7), TRUTH, P, sk.recall_score, TRUTH, P > 0.7),
    "F1": (m.F1Score(), TRUTH, P, sk.f1_score, TRUTH, P > 0.5),
    "precision of a class": (
        m.Precision(class_id=2), LABELS, SCORES, sk.precision_score, LABELS == 2, SCORES[:, 2] > 0.5
    ),
    "recall of a one-hot class": (
        m.Recall(class_id=2), ONE_HOT, SCORES, sk.recall_score, LABELS == 2, SCORES[:, 2] > 0.5
    ),
    "precision, all classes": (
        m.Precision(num_classes=CLASSES), LABELS, SCORES, sk.precision_score, LABELS, CHOICE, MACRO
    ),
    "recall, all classes": (
        m.Recall(num_classes=CLASSES), LABELS, SCORES, sk.recall_score, LABELS, CHOICE, MACRO
    ),
    "F1, all classes, one-hot": (
        m.F1Score(num_classes=CLASSES), ONE_HOT, SCORES, sk.f1_score, LABELS, CHOICE, MACRO
    ),
    "AUC": (m.AUC(), TRUTH, P, sk.roc_auc_score, TRUTH, P),
    "mse": (m.MeanSquaredError(), Y, Y_PRED, sk.mean_squared_error, Y, Y_PRED),
    "rmse": (
        m.RootMeanSquaredError(), Y[:, 0], Y_PRED[:, 0],
        sk.root_mean_squared_error, Y[:, 0], Y_PRED[:, 0],
    ),
    "mae": (m.MeanAbsoluteError(), Y, Y_PRED, sk.mean_absolute_error, Y, Y_PRED),
    "R2": (m.R2Score(outputs=3), Y, Y_PRED, sk.r2_score, Y, Y_PRED),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_against_scikit_learn(case, weighted):
    metric, y_true, y_pred, reference, their_true, their_pred, *options = CASES[case]
    metric.reset_state()
    for rows in np.split(np.arange(N), [40, 41, 80]):
        weight = WEIGHTS[rows] if weighted else None
        metric.update_state(ga.array(y_true[rows]), ga.array(y_pred[rows]), weight)
    # Sums of about 100 float64 terms in another order.
    weight = WEIGHTS if weighted else None
    expected = reference(their_true, their_pred, sample_weight=weight, **dict(*options))
    assert metric.result() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k(k):
    scores = RNG.permuted(np.tile(np.arange(CLASSES), (N, 1)), axis=1) / CLASSES  # no ties
    expected = sk.top_k_accuracy_score(LABELS, scores, k=k, labels=range(CLASSES))
    for metric, y_true in (
        (m.TopKCategoricalAccuracy(k), ONE_HOT),
        (m.SparseTopKCategoricalAccuracy(k), LABELS),
        (m.SparseTopKCategoricalAccuracy(k), LABELS[:, None]),
    ):
        metric.update_state(y_true, scores)
        assert metric.result() == pytest.approx(expected, rel=1e-12)


def test_auc_of_logits_is_that_of_their_probabilities():
    logits = np.log((P + 0.001) / (1.001 - P))
    metric = m.AUC(num_thresholds=20_000, from_logits=True)
    metric.update_state(TRUTH, logits)
    assert metric.result() == pytest.approx(sk.roc_auc_score(TRUTH, logits), rel=1e-12)


def test_auc_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match=r"not all in \[0, 1\].*from_logits=True"):
        m.AUC().update_state([0, 1], [-2.0, 3.0])
    with pytest.raises(ValueError, match="not all in"):
        m.AUC().update_state([0, 1], [0.5, np.nan])


def test_class_axis_of_images():
    """(N, C, H, W) scores against (N, H, W) class numbers, the classes along axis 1."""
    scores, labels = RNG.random((4, 3, 2, 2)), RNG.integers(0, 3, (4, 2, 2))
    metric = m.Accuracy(axis=1)
    metric.update_state(labels, scores)
    assert metric.result() == pytest.approx((scores.argmax(1) == labels).mean(), rel=1e-12)


@pytest.mark.parametrize("metric", [case[0] for case in CASES.values()], ids=list(CASES))
def test_without_samples_the_value_is_zero(metric):
    metric.reset_state()
    assert metric.result() == 0.0


def test_state_is_made_once_and_keeps_its_form():
    metric = m.R2Score(outputs=3)
    before = dict(metric._state)
    metric.update_state(Y, Y_PRED)
    metric.reset_state()
    assert all(metric._state[name] is handle for name, handle in before.items())
    assert {name: h.shape for name, h in before.items()} == {
        "center": (3,), "spread": (3,), "residual": (3,), "count": (),
    }  # fmt: skip
    assert all(not h.numpy().any() for h in before.values())


def test_metrics_record_nothing():
    x = ga.array([0.2, 0.8], requires_grad=True)
    metric = m.MeanSquaredError()
    metric.update_state([0.0, 1.0], x)
    assert not metric.total.requires_grad


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "said"),
    [
        (m.MeanSquaredError(), np.ones(3), np.ones(4), r"\(3,\), y_pred \(4,\)"),
        (m.MeanSquaredError(), np.ones((1, 3)), np.ones((3, 1)), r"\(1, 3\), y_pred \(3, 1\)"),
        (m.Precision(), LABELS, SCORES, "num_classes="),
        (m.R2Score(), Y, Y_PRED, r"R2Score\(outputs="),
        (m.SparseCategoricalAccuracy(), LABELS[:3], SCORES, r"\(3,\)"),
    ],
)
def test_shapes_that_do_not_fit(metric, y_true, y_pred, said):
    with pytest.raises(ga.ShapeError, match=said):
        metric.update_state(y_true, y_pred)


def test_weights_are_one_per_sample():
    with pytest.raises(ga.ShapeError, match=r"sample_weight has shape \(2,\), for 3 samples"):
        m.MeanAbsoluteError().update_state(np.ones(3), np.ones(3), np.ones(2))
