"""The same weights and data for every library, from a seed."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

import gradarray as ga


def initial(net: Callable[[Any], Any], dtype: Any = np.float32) -> dict[str, np.ndarray]:
    """Weights for what `net` makes of a library's layers, by their names in a state dict."""
    rng = np.random.default_rng(0)

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        k = 1 / math.sqrt(math.prod(shape[1:]) or 1)
        return rng.uniform(-k, k, shape).astype(dtype)

    return {name: drawn(value.shape) for name, value in net(ga.nn).state_dict().items()}


def turned(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices as JAX's users keep them, inputs first, and back; JAX would sort a plain dict."""
    return OrderedDict(
        (name, np.ascontiguousarray(w.T) if w.ndim == 2 and "embedding" not in name else w)
        for name, w in weights.items()
    )


def layers(weights: dict[str, Any]) -> list[tuple[Any, Any]]:
    """(weight, bias) of every linear layer of a Sequential."""
    values = list(weights.values())
    return list(zip(values[::2], values[1::2], strict=True))
