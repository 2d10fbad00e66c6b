"""Weights of samples by their class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import message
from .data import arrays_of, unpack


def by_class(y: Any, class_weight: Mapping[int, float], sample_weight: Any = None) -> np.ndarray:
    """The weight of every sample: its class's (1 for a class without one), times its own.

    `y`: class numbers (N,) or (N, 1), or one-hot (N, C).

    >>> by_class([0, 2, 1], {0: 0.5, 1: 3.0})
    array([0.5, 1. , 3. ])
    """
    labels = arrays_of(y)
    if not isinstance(labels, np.ndarray):
        raise TypeError(message("fit", "class_weight needs class numbers y, in one array."))
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    if labels.ndim != 1:
        raise ValueError(
            message(
                "fit",
                f"class_weight needs one class per sample, and y has shape {labels.shape}.",
                "Give sample_weight.",
            )
        )
    classes, where = np.unique(labels, return_inverse=True)
    factors = np.array([class_weight.get(int(c), 1.0) for c in classes], float)[where]
    if sample_weight is not None:
        own = arrays_of(sample_weight)
        factors = factors * own.reshape(len(factors))
    return factors


def check_class_weight(class_weight: Any) -> None:
    """Raise unless it maps class numbers to weights."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            message("fit", f"class_weight is a dict, class number to weight, not {class_weight!r}.")
        )
    for number, weight in class_weight.items():
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise ValueError(
                message("fit", f"class_weight has the key {number!r}, which is no class number.")
            )
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                message("fit", f"class_weight of class {number} is {weight}, not 0 or above.")
            )


class Weighted:
    """Batches with the weights of their classes."""

    def __init__(self, data: Iterable[Any], class_weight: Mapping[int, float]) -> None:
        self.data, self.class_weight = data, class_weight

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        for batch in self.data:
            x, y, weight = unpack(batch)
            own = weight.numpy() if isinstance(weight, GradArray) else weight
            yield x, y, wrap(by_class(y, self.class_weight, own))
