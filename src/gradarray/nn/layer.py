"""What layers share: parameters without values yet, inputs in the layer's dtype, number tuples."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, message
from ..ops.shape import astype
from .dtypes import float_dtype
from .parameter import Parameter


class _Quota(threading.local):
    """How much new layers may still take, in this thread."""

    arrays: float = math.inf
    values: float = math.inf


_quota = _Quota()


@contextmanager
def limited(arrays: int, values: int) -> Iterator[None]:
    """Inside, a layer that would exceed so many arrays or values raises ValueError, and takes none.

    A model that is built as a file describes it must not take more than the file holds.
    """
    outer = _quota.arrays, _quota.values
    _quota.arrays, _quota.values = arrays, values
    try:
        yield
    finally:
        _quota.arrays, _quota.values = outer


def claim(values: int, arrays: int = 1) -> None:
    """Count arrays that a layer is about to make; raise ValueError if they are too many."""
    _quota.arrays -= arrays
    _quota.values -= values
    if _quota.arrays < 0 or _quota.values < 0:
        raise ValueError(f"its {arrays} arrays of {values} values are more than there may be")


def empty(shape: tuple[int, ...], dtype: Any) -> Parameter:
    """A parameter of zeros, float32 unless `dtype` says otherwise, for `reset_parameters`."""
    for n in shape:
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
            raise ValueError(f"a number of features or channels is an integer >= 0, not {n!r}")
    claim(math.prod(map(int, shape)))
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

