"""What layers share: parameters without values yet, inputs in the layer's dtype, number tuples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, message
from ..ops.shape import astype
from .module import float_dtype
from .parameter import Parameter


def empty(shape: tuple[int, ...], dtype: Any) -> Parameter:
    """A parameter of zeros, float32 unless `dtype` says otherwise, for `reset_parameters`."""
    for n in shape:
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
            raise ValueError(f"a number of features or channels is an integer >= 0, not {n!r}")
    return Parameter(np.zeros(shape, dtype_of(dtype)))


def dtype_of(dtype: Any) -> np.dtype:
    """The dtype of a layer: float32 unless it is given another floating one."""
    return np.dtype(np.float32) if dtype is None else float_dtype(dtype, "dtype")


def as_input(x: Any, dtype: np.dtype | None, what: str = "input") -> Any:
    """`x` as a GradArray in the layer's dtype (in its own where the layer has none: None).

    Integer arrays are refused, they are numbers of things; Python's numbers have no dtype of
    their own and are cast.
    """
    if not isinstance(x, GradArray):
        plain = not hasattr(x, "dtype")
        x = lift(x, what)
        if plain and x.dtype.kind in "biu":
            return astype(x, dtype_of(dtype))
    found = x.dtype
    if dtype is None:
        dtype = found if found.kind == "f" else dtype_of(None)
    if found is dtype or found == dtype:
        return x
    if found.kind == "f":
        return astype(x, dtype)
    if found.kind == "c":
        mend = "Split it into x.real and x.imag."
    else:
        mend = f'Cast it with x.astype("{dtype}"); only Embedding takes integers.'
    raise DTypeError(message(what, f"dtype {found} in a layer of {dtype}.", mend))

