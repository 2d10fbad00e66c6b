"""Floating dtypes of layers: which are taken, and changing an array's in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import DTypeError, message


def float_dtype(dtype: Any, op: str) -> np.dtype:
    """`dtype` as a floating NumPy dtype."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f" or dtype is None:
        raise DTypeError(
            message(
                op,
                f"{dtype!r} is not a floating dtype.",
                "Use float32, float64 or float16; arrays live in the machine's memory.",
            )
        )
    return found


def cast(handle: GradArray, dtype: np.dtype) -> None:
    if handle.dtype.kind != "f" or handle.dtype == dtype:
        return
    handle._rebind(handle._data.astype(dtype))
    if handle.grad is not None:
        handle.grad = wrap(handle.grad._data.astype(dtype))
