"""Accuracy: binary, of class numbers, one-hot, among the k largest, or whichever fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import lift
from ...ops.reduce import argmax, sum
from ...ops.shape import astype
from ...ops.take import take_along_axis
from .base import MeanMetric, Metric, same_shape


class BinaryAccuracy(MeanMetric):
    """The share of predictions on the right side of `threshold`.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.BinaryAccuracy()
    >>> m.update_state([0, 1, 1], [0.2, 0.9, 0.4])
    >>> round(m.result(), 4)
    0.6667
    """

    label = "binary_accuracy"

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true = same_shape(y_true, y_pred, self.name)
        return astype((y_pred > self.threshold) == (y_true > 0.5), np.float64)


class SparseCategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction, along `axis`, is the class number y_true.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.SparseCategoricalAccuracy()
    >>> m.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    >>> m.result()
    0.5
    """

    label = "sparse_categorical_accuracy"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, y_true: Any, y_pred: Any) -> Any:
        chosen = argmax(y_pred, axis=self.axis)
        return astype(chosen == same_shape(y_true, chosen, self.name), np.float64)


class CategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is where y_true (one-hot) is largest.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.CategoricalAccuracy()
    >>> m.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])
    >>> m.result()
    0.5
    """

    label = "categorical_accuracy"

    def __init__(self, name: str | None = None, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true = same_shape(y_true, y_pred, self.name)
        right = argmax(y_pred, axis=self.axis) == argmax(y_true, axis=self.axis)
        return astype(right, np.float64)


class TopKCategoricalAccuracy(MeanMetric):
    """The share of samples whose class (number or one-hot) is among the k largest predictions.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.TopKCategoricalAccuracy(k=2)
    >>> m.update_state([2, 1], [[0.5, 0.2, 0.3], [0.4, 0.1, 0.5]])
    >>> m.result()
    0.5
    """

    label = "top_k_categorical_accuracy"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = k

    def values(self, y_true: Any, y_pred: Any) -> Any:
        if y_true.shape == y_pred.shape:
            y_true = argmax(y_true, axis=-1)
        labels = same_shape(astype(y_true, np.int64), y_pred[..., :1], self.name)
        score = take_along_axis(y_pred, labels, axis=-1)
        above = sum(astype(y_pred > score, np.float64), axis=-1)
        return astype(above < self.k, np.float64)


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Top-k accuracy, under the name that Keras has for class numbers."""

    label = "sparse_top_k_categorical_accuracy"


class Accuracy(Metric):
    """Accuracy of the kind that fits the first batch: binary, one-hot or of class numbers.

    One prediction per sample is binary (`threshold`), a target of the predictions' shape is
    one-hot, anything else holds class numbers. The classes are along `axis` of the predictions.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.Accuracy()
    >>> m.update_state([2, 0], [[0.1, 0.2, 0.7], [0.3, 0.5, 0.2]])
    >>> m.result()
    0.5
    """

    label = "accuracy"

    def __init__(self, name: str | None = None, threshold: float = 0.5, axis: int = -1) -> None:
        super().__init__(name)
        self.threshold, self.axis = threshold, axis
        self._kind: MeanMetric | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = lift(y_true), lift(y_pred)
        if self._kind is None:
            self._kind = self._fitting(y_true, y_pred)
        self._kind.update_state(y_true, y_pred, sample_weight)

    def _fitting(self, y_true: Any, y_pred: Any) -> MeanMetric:
        if y_pred.ndim < 2 or y_pred.shape[self.axis] == 1:
            return BinaryAccuracy(self.name, self.threshold)
        if y_true.shape == y_pred.shape:
            return CategoricalAccuracy(self.name, self.axis)
        return SparseCategoricalAccuracy(self.name, self.axis)

    def result(self) -> float:
        return 0.0 if self._kind is None else self._kind.result()

    def reset_state(self) -> None:
        if self._kind is not None:
            self._kind.reset_state()
