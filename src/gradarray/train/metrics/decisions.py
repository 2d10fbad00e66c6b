"""Metrics of yes and no: precision, recall and F1, of one class or averaged over classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import lift
from ...graph import no_grad
from ...ops.compare import where
from ...ops.reduce import argmax, mean, sum
from ...ops.shape import astype, reshape
from .base import Metric, same_shape, weights_of

_MEND = "For several classes give num_classes=, or class_id= for one of them."


class _Counts(Metric):
    """True positives, false positives and false negatives, of one class or of each."""

    def __init__(
        self,
        thresholds: float = 0.5,
        class_id: int | None = None,
        name: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(name)
        self.thresholds, self.class_id, self.num_classes = thresholds, class_id, num_classes
        for state in ("true_positives", "false_positives", "false_negatives"):
            self.add_state(state, () if num_classes is None else (num_classes,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            truth, chosen = self._decide(lift(y_true), lift(y_pred))
            weight: Any = 1.0
            if sample_weight is not None:
                weight = weights_of(sample_weight, truth, self.name)
                weight = reshape(weight, (-1, *([1] * (truth.ndim - 1))))
            axis = 0 if self.num_classes is not None else None
            for state, hits in (
                ("true_positives", truth * chosen),
                ("false_positives", (1 - truth) * chosen),
                ("false_negatives", truth * (1 - chosen)),
            ):
                self.accumulate(state, sum(hits * weight, axis=axis))

    def _decide(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Truth and decision as 0.0 and 1.0."""
        if self.num_classes is not None:
            classes = np.arange(self.num_classes)
            if y_true.shape == y_pred.shape:
                y_true = argmax(y_true, axis=-1)
            truth = reshape(y_true, (-1, 1)) == classes
            chosen = reshape(argmax(y_pred, axis=-1), (-1, 1)) == classes
        else:
            if self.class_id is not None:
                one_hot = y_true.shape == y_pred.shape
                y_true = y_true[..., self.class_id] if one_hot else y_true == self.class_id
                y_pred = y_pred[..., self.class_id]
            y_true = astype(y_true, np.float64)
            truth = same_shape(y_true, y_pred, self.name, _MEND) > 0.5
            chosen = y_pred > self.thresholds
        return astype(truth, np.float64), astype(chosen, np.float64)

    def _ratio(self, top: Any, bottom: Any) -> float:
        """top / bottom, 0 where there is nothing to divide by, averaged over classes."""
        return float(mean(where(bottom == 0, 0.0, top / where(bottom == 0, 1.0, bottom))))


class Precision(_Counts):
    r"""TP / (TP + FP), the share of right ones among all that was called positive.

    Positive is a prediction above `thresholds` of the class `class_id` (without it: of the only
    output). With `num_classes` the largest prediction is the answer, y_true is class numbers or
    one-hot, and the result is the mean over classes.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.Precision()
    >>> m.update_state([0, 1, 1], [0.7, 0.9, 0.4])
    >>> m.result()
    0.5
    """

    label = "precision"

    def result(self) -> float:
        return self._ratio(self.true_positives, self.true_positives + self.false_positives)


class Recall(_Counts):
    r"""TP / (TP + FN), the share that was found of all that is positive; see `Precision`."""

    label = "recall"

    def result(self) -> float:
        return self._ratio(self.true_positives, self.true_positives + self.false_negatives)


class F1Score(_Counts):
    r"""2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall; see `Precision`."""

    label = "f1_score"

    def result(self) -> float:
        double = 2 * self.true_positives
        return self._ratio(double, double + self.false_positives + self.false_negatives)
