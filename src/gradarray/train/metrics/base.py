"""What metrics share: named state, a weighted mean, and targets in the predictions' shape."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...array import GradArray, lift, wrap
from ...errors import ShapeError, message
from ...graph import no_grad
from ...ops.reduce import mean, sum
from ...ops.shape import astype, reshape


class Metric:
    """Base class: `update_state(y_true, y_pred, sample_weight)` adds a batch, `result()` tells.

    A metric of your own derives from `MeanMetric` and defines `values(y_true, y_pred)`, one number
    per sample; or from this class, makes its state with `add_state` and defines `update_state` and
    `result`.

    >>> import gradarray as ga
    >>> class Largest(ga.train.metrics.Metric):
    ...     def __init__(self):
    ...         super().__init__("largest")
    ...         self.add_state("top")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.assign("top", ga.maximum(self.top, abs(y_true - y_pred).max()))
    ...     def result(self):
    ...         return float(self.top)
    >>> m = Largest()
    >>> m.update_state(ga.array([1.0, 2.0]), ga.array([1.0, 4.0]))
    >>> m.result()
    2.0
    """

    label: ClassVar[str] = ""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or self.label or type(self).__name__.lower()
        self._state: dict[str, GradArray] = {}

    def add_state(self, name: str, shape: tuple[int, ...] = ()) -> None:
        """State of this metric, zeros at the start, found as the attribute `name`."""
        self._state[name] = wrap(_zeros(shape))

    def __getattr__(self, name: str) -> GradArray:
        state = self.__dict__.get("_state", {})
        if name in state:
            return state[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def assign(self, name: str, value: Any) -> None:
        """Set the state `name` to `value`, outside any graph."""
        with no_grad():
            self._state[name]._rebind(astype(lift(value), np.float64)._data)

    def accumulate(self, name: str, value: Any) -> None:
        """Add `value` to the state `name`, outside any graph."""
        handle = self._state[name]
        with no_grad():
            handle._rebind((handle + astype(lift(value), np.float64))._data)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define update_state")

    def result(self) -> float:
        """The value over all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} does not define result")

    def reset_state(self) -> None:
        """Forget all batches."""
        for handle in self._state.values():
            handle._rebind(_zeros(handle.shape))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.result():.4g}>"


def _zeros(shape: tuple[int, ...]) -> Any:
    return np.zeros(shape) if shape else np.float64(0.0)


class _WeightedMean(Metric):
    """total / count, 0 before the first batch."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.add_state("total")
        self.add_state("count")

    def _add(self, values: Any, sample_weight: Any) -> None:
        with no_grad():
            if values.ndim > 1:
                values = mean(reshape(values, (values.shape[0], -1)), axis=1)
            if sample_weight is None:
                self.accumulate("total", sum(astype(values, np.float64)))
                self.accumulate("count", float(values.size))
            else:
                weight = weights_of(sample_weight, values, self.name)
                self.accumulate("total", sum(values * weight))
                self.accumulate("count", sum(weight))

    def result(self) -> float:
        count = float(self.count)
        return float(self.total) / count if count else 0.0


class MeanMetric(_WeightedMean):
    """The mean over samples of `values(y_true, y_pred)`, weighted by `sample_weight`.

    >>> import gradarray as ga
    >>> class Bias(ga.train.metrics.MeanMetric):
    ...     def values(self, y_true, y_pred):
    ...         return y_pred - y_true
    >>> m = Bias("bias")
    >>> m.update_state([1.0, 2.0], [2.0, 5.0])
    >>> m.result()
    2.0
    """

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One number per sample; further axes are averaged."""
        raise NotImplementedError(f"{type(self).__name__} does not define values")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        with no_grad():
            values = self.values(lift(y_true), lift(y_pred))
            self._add(values if values.ndim else reshape(values, 1), sample_weight)


class Mean(_WeightedMean):
    """The mean of values that are given directly, such as the loss of every batch.

    >>> import gradarray as ga
    >>> m = ga.train.metrics.Mean()
    >>> m.update_state(1.0)
    >>> m.update_state([2.0, 3.0], [1.0, 0.0])
    >>> m.result()
    1.5
    """

    label = "mean"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        with no_grad():
            values = lift(values)
            if values.ndim:
                self._add(values, sample_weight)
            else:
                weight = 1.0 if sample_weight is None else sample_weight
                self.accumulate("total", astype(values, np.float64) * weight)
                self.accumulate("count", weight)


def weights_of(sample_weight: Any, values: Any, metric: str) -> Any:
    """One weight per sample, float64."""
    weight = astype(lift(sample_weight), np.float64)
    weight = weight if weight.ndim else reshape(weight, 1)
    if weight.shape != values.shape[:1]:
        raise ShapeError(
            message(
                metric,
                f"sample_weight has shape {weight.shape}, for {values.shape[0]} samples.",
                "Give one weight per sample.",
            )
        )
    return weight


def same_shape(y_true: Any, y_pred: Any, metric: str, mend: str = "") -> Any:
    """y_true in y_pred's shape; (N,) and (N, 1) are the same thing to a metric."""
    if y_true.shape == y_pred.shape:
        return y_true
    longer, shorter = sorted((y_true.shape, y_pred.shape), key=len, reverse=True)
    if longer == (*shorter, 1):
        return reshape(y_true, y_pred.shape)
    raise ShapeError(
        message(metric, f"y_true has shape {y_true.shape}, y_pred {y_pred.shape}.", mend)
    )
