"""Metrics that accumulate over batches: update_state, result, reset_state.

State is held in 0-d (or small) float64 GradArrays made at construction, and updated by gradarray
functions, so that a compiled step can carry it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..array import GradArray, lift, wrap
from ..errors import ShapeError, message
from ..graph import no_grad
from ..ops.compare import where
from ..ops.reduce import argmax, mean, sum
from ..ops.shape import astype, reshape
from ..ops.take import take_along_axis


class Metric:
    """Base class: `update_state(y_true, y_pred, sample_weight)` adds a batch, `result()` tells.

    A metric of your own derives from `MeanMetric` and defines `values(y_true, y_pred)`, one number
    per sample, or from this class and defines all three methods.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.MeanSquaredError()
    >>> m.update_state([1.0, 2.0], [1.0, 4.0])
    >>> m.result()
    2.0
    """

    label: ClassVar[str] = ""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or self.label or type(self).__name__.lower()
        self._state: dict[str, GradArray] = {}

    def add_state(self, name: str, shape: tuple[int, ...] = ()) -> None:
        """State of this metric, zeros at the start, found as the attribute `name`."""
        self._state[name] = wrap(np.zeros(shape))

    def __getattr__(self, name: str) -> GradArray:
        state = self.__dict__.get("_state", {})
        if name in state:
            return state[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def accumulate(self, name: str, value: Any) -> None:
        """Add `value` to the state `name`."""
        handle = self._state[name]
        handle._rebind((handle + astype(lift(value), np.float64))._data)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        for handle in self._state.values():
            handle._rebind(np.zeros(handle.shape))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.result():.4g}>"


class MeanMetric(Metric):
    """The mean over samples of `values(y_true, y_pred)`, weighted by `sample_weight`."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.add_state("total")
        self.add_state("count")

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One number per sample."""
        raise NotImplementedError(f"{type(self).__name__} does not define values")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            values = self.values(lift(y_true), lift(y_pred))
            if values.ndim > 1:
                values = mean(reshape(values, (values.shape[0], -1)), axis=1)
            if sample_weight is None:
                self.accumulate("total", sum(astype(values, np.float64)))
                self.accumulate("count", float(values.size))
            else:
                weight = astype(lift(sample_weight), np.float64)
                self.accumulate("total", sum(values * weight))
                self.accumulate("count", sum(weight))

    def result(self) -> float:
        count = float(self.count)
        return float(self.total) / count if count else 0.0


class Mean(MeanMetric):
    """The weighted mean of a value that is given directly, such as the loss of a batch."""

    label = "mean"

    def add(self, value: Any, weight: float = 1.0) -> None:
        with no_grad():
            self.accumulate("total", lift(value) * weight)
            self.accumulate("count", weight)


def same_shape(y_true: Any, y_pred: Any, metric: str) -> Any:
    """y_true in y_pred's shape; (N,) and (N, 1) are the same thing to a metric."""
    if y_true.shape == y_pred.shape:
        return y_true
    if y_true.size == y_pred.size and 1 in (y_true.shape[-1:] + y_pred.shape[-1:]):
        return reshape(y_true, y_pred.shape)
    raise ShapeError(
        message(metric, f"y_true has shape {y_true.shape}, y_pred {y_pred.shape}.")
    )


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
    """The share of samples whose largest prediction is the class number y_true.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.SparseCategoricalAccuracy()
    >>> m.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    >>> m.result()
    0.5
    """

    label = "sparse_categorical_accuracy"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        chosen = argmax(y_pred, axis=-1)
        return astype(chosen == same_shape(y_true, chosen, self.name), np.float64)


class CategoricalAccuracy(MeanMetric):
    """The share of samples whose largest prediction is where y_true (one-hot) is largest."""

    label = "categorical_accuracy"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true = same_shape(y_true, y_pred, self.name)
        return astype(argmax(y_pred, axis=-1) == argmax(y_true, axis=-1), np.float64)


class TopKCategoricalAccuracy(MeanMetric):
    """The share of samples whose class (number or one-hot) is among the k largest predictions."""

    label = "top_k_categorical_accuracy"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = k

    def values(self, y_true: Any, y_pred: Any) -> Any:
        if y_true.shape == y_pred.shape:
            y_true = argmax(y_true, axis=-1)
        labels = reshape(astype(y_true, np.int64), (*y_pred.shape[:-1], 1))
        score = take_along_axis(y_pred, labels, axis=-1)
        above = sum(astype(y_pred > score, np.float64), axis=-1)
        return astype(above < self.k, np.float64)


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Top-k accuracy of class numbers."""

    label = "sparse_top_k_categorical_accuracy"


class MeanSquaredError(MeanMetric):
    """mean (y_true - y_pred)^2."""

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
    r"""1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2, the mean over outputs.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.R2Score()
    >>> m.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    >>> m.result()
    1.0
    """

    label = "r2_score"

    def __init__(self, name: str | None = None, outputs: int = 1) -> None:
        super().__init__(name)
        for state in ("total", "squares", "residual"):
            self.add_state(state, (outputs,))
        self.add_state("count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            y_pred = astype(lift(y_pred), np.float64)
            y_true = astype(same_shape(lift(y_true), y_pred, self.name), np.float64)
            y_true, y_pred = (reshape(v, (v.shape[0], -1)) for v in (y_true, y_pred))
            weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
            weight = reshape(astype(lift(weight), np.float64), (-1, 1))
            self.accumulate("total", sum(weight * y_true, axis=0))
            self.accumulate("squares", sum(weight * y_true * y_true, axis=0))
            residual = y_true - y_pred
            self.accumulate("residual", sum(weight * residual * residual, axis=0))
            self.accumulate("count", sum(weight))

    def result(self) -> float:
        count = float(self.count)
        if not count:
            return 0.0
        spread = self.squares - self.total * self.total / count
        return float(mean(1 - self.residual / where(spread == 0, 1.0, spread)))


class _Counts(Metric):
    """True and false positives and negatives, of one class, or per class and then averaged."""

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
                weight = lift(sample_weight)
                weight = reshape(weight, (*weight.shape, *([1] * (truth.ndim - weight.ndim))))
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
                if y_true.shape == y_pred.shape:
                    y_true = y_true[..., self.class_id]
                else:
                    y_true = y_true == self.class_id
                y_pred = y_pred[..., self.class_id]
            truth = same_shape(y_true, y_pred, self.name) > 0.5
            chosen = y_pred > self.thresholds
        return astype(truth, np.float64), astype(chosen, np.float64)

    def _ratio(self, top: Any, bottom: Any) -> float:
        ratio = where(bottom == 0, 0.0, top / where(bottom == 0, 1.0, bottom))
        return float(mean(ratio))


class Precision(_Counts):
    """True positives among all that was called positive; with `num_classes` the mean over classes.

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
    """True positives among all that is positive; with `num_classes` the mean over classes."""

    label = "recall"

    def result(self) -> float:
        return self._ratio(self.true_positives, self.true_positives + self.false_negatives)


class F1Score(_Counts):
    """2 TP / (2 TP + FP + FN); with `num_classes` the mean over classes."""

    label = "f1_score"

    def result(self) -> float:
        double = 2 * self.true_positives
        return self._ratio(double, double + self.false_positives + self.false_negatives)


class AUC(Metric):
    """The area under the ROC curve, by the trapezoid rule over `num_thresholds` thresholds.

    Predictions are probabilities in [0, 1]. The error of the rule is at most the largest step of
    the curve between two thresholds.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.AUC()
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> m.result()
    0.75
    """

    label = "auc"

    def __init__(self, num_thresholds: int = 200, name: str | None = None) -> None:
        super().__init__(name)
        step = 1 / (num_thresholds - 1)
        inner = np.arange(1, num_thresholds - 1) * step
        self.thresholds = np.concatenate([[-1e-7], inner, [1 + 1e-7]])
        self.add_state("positives", (num_thresholds,))
        self.add_state("negatives", (num_thresholds,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            y_pred = reshape(lift(y_pred), -1)
            truth = astype(reshape(lift(y_true), -1) > 0.5, np.float64)
            weight = np.ones(truth.shape) if sample_weight is None else sample_weight
            weight = reshape(astype(lift(weight), np.float64), -1)
            above = astype(reshape(y_pred, (-1, 1)) > self.thresholds, np.float64)
            for state, share in (("positives", truth), ("negatives", 1 - truth)):
                self.accumulate(state, (share * weight) @ above)

    def result(self) -> float:
        hits, alarms = self.positives.numpy(), self.negatives.numpy()
        if not hits[0] or not alarms[0]:
            return 0.0
        hits, alarms = hits / hits[0], alarms / alarms[0]
        return float(np.sum((alarms[:-1] - alarms[1:]) * (hits[:-1] + hits[1:]) / 2))


BY_NAME: dict[str, type[Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    "rmse": RootMeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "r2": R2Score,
    "r2_score": R2Score,
    "precision": Precision,
    "recall": Recall,
    "f1": F1Score,
    "f1_score": F1Score,
    "auc": AUC,
}


class Accuracy(Metric):
    """Accuracy of the kind that fits the first batch: binary, categorical or class numbers.

    One prediction per sample is binary (`threshold`), a target of the predictions' shape is
    one-hot, anything else holds class numbers.
    """

    label = "accuracy"

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold
        self._kind: MeanMetric | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = lift(y_true), lift(y_pred)
        if self._kind is None:
            if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
                self._kind = BinaryAccuracy(self.name, self.threshold)
            elif y_true.shape == y_pred.shape:
                self._kind = CategoricalAccuracy(self.name)
            else:
                self._kind = SparseCategoricalAccuracy(self.name)
        self._kind.update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:
        return 0.0 if self._kind is None else self._kind.result()

    def reset_state(self) -> None:
        if self._kind is not None:
            self._kind.reset_state()
