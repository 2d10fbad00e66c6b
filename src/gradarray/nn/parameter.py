"""Parameter: an array that a module trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import graph
from ..array import GradArray, check_differentiable_dtype, from_user, wrap


class Parameter(GradArray):
    """A GradArray that a module registers, under the attribute's name, when it is assigned to it.

    The values are copied. Numbers and lists become float32, arrays keep their dtype (`dtype`
    overrides both). Raises DTypeError for values without derivative, unless `requires_grad=False`.

    >>> import gradarray as ga
    >>> w = ga.nn.Parameter([1.0, 2.0])
    >>> w.requires_grad, w.dtype
    (True, dtype('float32'))
    """

    __slots__ = ()

    def __new__(cls, data: Any, requires_grad: bool = True, *, dtype: Any = None) -> Parameter:
        if dtype is None and not hasattr(data, "dtype"):
            dtype = np.float32
        data = data._array if isinstance(data, GradArray) else data
        array = np.array(from_user(data, "Parameter"), dtype)
        out = wrap(array if array.shape else array[()], cls)
        if requires_grad:
            check_differentiable_dtype(array.dtype)
            out._node = graph.leaf(out)
        return out  # pyright: ignore[reportReturnType] - `wrap` makes an instance of `cls`

    def __init__(self, data: Any, requires_grad: bool = True, *, dtype: Any = None) -> None:
        pass

    def __repr__(self) -> str:
        return super().__repr__().replace("GradArray", "Parameter", 1)

    __str__ = __repr__
