"""Metrics of a curve over all thresholds: the area under it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import lift
from ...errors import message
from ...graph import no_grad
from ...ops.activations import sigmoid
from ...ops.shape import astype, reshape
from .base import Metric, same_shape, weights_of


class AUC(Metric):
    """The area under the ROC curve, by the trapezoid rule over `num_thresholds` thresholds.

    Predictions are probabilities in [0, 1], or with `from_logits` any numbers, of which the
    sigmoid is taken. Two predictions between the same thresholds count as equal, so that the error
    is at most half the share of pairs of a positive and a negative of which this is so. Raises
    ValueError for predictions that are no probabilities.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.AUC()
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> m.result()
    0.75
    """

    label = "auc"

    def __init__(
        self, num_thresholds: int = 200, name: str | None = None, from_logits: bool = False
    ) -> None:
        super().__init__(name)
        if num_thresholds < 2:
            raise ValueError(message("AUC", f"num_thresholds is at least 2, not {num_thresholds}."))
        self.from_logits = from_logits
        # The first threshold is below every probability, the last above.
        inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1)
        self.thresholds = np.concatenate([[-1e-7], inner, [1 + 1e-7]])
        self.add_state("positives", (num_thresholds,))
        self.add_state("negatives", (num_thresholds,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            y_pred = lift(y_pred)
            truth = same_shape(astype(lift(y_true), np.float64), y_pred, self.name)
            y_pred = astype(reshape(y_pred, -1), np.float64)
            if self.from_logits:
                y_pred = sigmoid(y_pred)
            elif not ((y_pred >= 0) & (y_pred <= 1)).all():
                raise ValueError(
                    message(
                        self.name,
                        "the predictions are not all in [0, 1].",
                        "For logits give metrics.AUC(from_logits=True).",
                    )
                )
            truth = astype(reshape(truth, -1) > 0.5, np.float64)
            weight = np.ones(truth.shape) if sample_weight is None else sample_weight
            weight = weights_of(weight, truth, self.name)
            above = astype(reshape(y_pred, (-1, 1)) > self.thresholds, np.float64)
            for state, share in (("positives", truth), ("negatives", 1 - truth)):
                self.accumulate(state, (share * weight) @ above)

    def result(self) -> float:
        hits, alarms = self.positives.numpy(), self.negatives.numpy()
        if not hits[0] or not alarms[0]:
            return 0.0
        hits, alarms = hits / hits[0], alarms / alarms[0]
        return float(np.sum((alarms[:-1] - alarms[1:]) * (hits[:-1] + hits[1:]) / 2))
