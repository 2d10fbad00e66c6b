"""Metrics of numbers: squared and absolute errors, and the share of variance explained."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import lift
from ...errors import ShapeError, message
from ...graph import no_grad
from ...ops.compare import where
from ...ops.reduce import mean, sum
from ...ops.shape import astype, reshape
from .base import MeanMetric, Metric, same_shape, weights_of


class MeanSquaredError(MeanMetric):
    """mean (y_true - y_pred)^2.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.MeanSquaredError()
    >>> m.update_state([1.0, 2.0], [1.0, 4.0])
    >>> m.result()
    2.0
    """

    label = "mean_squared_error"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        difference = same_shape(y_true, y_pred, self.name) - y_pred
        return difference * difference


class RootMeanSquaredError(MeanSquaredError):
    """The square root of the mean squared error."""

    label = "root_mean_squared_error"

    def result(self) -> float:
        return super().result() ** 0.5


class MeanAbsoluteError(MeanMetric):
    """mean |y_true - y_pred|."""

    label = "mean_absolute_error"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        return abs(same_shape(y_true, y_pred, self.name) - y_pred)


class R2Score(Metric):
    r"""1 - \sum_n w_n (y_n - \hat y_n)^2 / \sum_n w_n (y_n - \bar y)^2, the mean over outputs.

    `outputs` is how many numbers a sample has. The spread about the mean is carried from batch to
    batch as in T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm
    for computing sample variances", 1979; the difference of two large sums would lose digits.
    Where the targets are all equal the score of that output is 0.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.R2Score()
    >>> m.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    >>> m.result()
    0.5
    """

    label = "r2_score"

    def __init__(self, name: str | None = None, outputs: int = 1) -> None:
        super().__init__(name)
        self.outputs = outputs
        for state in ("center", "spread", "residual"):
            self.add_state(state, (outputs,))
        self.add_state("count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            y_pred = astype(lift(y_pred), np.float64)
            y_true = astype(same_shape(lift(y_true), y_pred, self.name), np.float64)
            rows = (y_true.shape[0], self.outputs)
            if y_true.size != rows[0] * rows[1]:
                raise ShapeError(
                    message(
                        self.name,
                        f"targets of shape {y_true.shape}, not {self.outputs} numbers a sample.",
                        "Say how many there are: metrics.R2Score(outputs=...).",
                    )
                )
            y_true, y_pred = reshape(y_true, rows), reshape(y_pred, rows)
            weight = np.ones(rows[0]) if sample_weight is None else sample_weight
            weight = reshape(weights_of(weight, y_true, self.name), (-1, 1))
            self._add(y_true, y_true - y_pred, weight)

    def _add(self, y: Any, residual: Any, weight: Any) -> None:
        added = sum(weight)
        count = self.count + added
        here = sum(weight * y, axis=0) / where(added == 0, 1.0, added)
        shift = here - self.center
        share = added / where(count == 0, 1.0, count)
        about = sum(weight * (y - here) ** 2, axis=0)
        self.accumulate("spread", about + shift * shift * (self.count * share))
        self.accumulate("center", shift * share)
        self.accumulate("residual", sum(weight * residual * residual, axis=0))
        self.assign("count", count)

    def result(self) -> float:
        flat = self.spread == 0
        score = 1 - self.residual / where(flat, 1.0, self.spread)
        return float(mean(where(flat, 0.0, score)))
