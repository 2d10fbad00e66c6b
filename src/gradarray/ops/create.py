"""Making arrays: array, zeros, ones, full, arange, linspace, eye."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import graph
from ..array import GradArray, check_differentiable_dtype, from_user, wrap
from ..registry import public


def _leaf(data: Any, requires_grad: bool) -> GradArray:
    out = wrap(data if data.shape else data[()])
    if requires_grad:
        check_differentiable_dtype(data.dtype)
        out._node = graph.leaf(out)
    return out


@public(differentiable=False)
def array(values: Any, dtype: Any = None, *, requires_grad: bool = False) -> GradArray:
    """A GradArray of these values (always a copy: the caller's memory stays the caller's).

    With `requires_grad` it is a leaf whose `.grad` backward() fills. Dtypes as NumPy's. Raises
    DTypeError for values that are not numbers, or for a gradient of integers.

    >>> import gradarray as ga
    >>> ga.array([1, 2, 3])
    GradArray([1, 2, 3], dtype=int64)
    """
    if isinstance(values, GradArray):
        values = values._array
    data = from_user(values)
    return _leaf(data if dtype is None else data.astype(dtype), requires_grad)
