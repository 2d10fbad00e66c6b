"""NumPy's constants and dtypes under their own names, and questions about dtypes.

A dtype or a number is the same thing here and in NumPy, and so are the answers; an array in a
question stands for its dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import (
    bool,
    bool_,
    complex64,
    complex128,
    e,
    euler_gamma,
    float16,
    float32,
    float64,
    inf,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    nan,
    newaxis,
    pi,
    uint8,
    uint16,
    uint32,
    uint64,
)

from .array import GradArray

__all__ = [
    "bool",
    "bool_",
    "can_cast",
    "complex64",
    "complex128",
    "e",
    "euler_gamma",
    "finfo",
    "float16",
    "float32",
    "float64",
    "iinfo",
    "inf",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "nan",
    "newaxis",
    "pi",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


def _dtype_of(x: Any) -> Any:
    return x.dtype if isinstance(x, (GradArray, np.ndarray)) else x


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of an operation on these arrays, dtypes and Python numbers.

    >>> import gradarray as ga
    >>> ga.result_type(ga.array([1, 2]), ga.float32, 1.0)
    dtype('float64')
    """
    return np.result_type(*map(_dtype_of, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> Any:
    """Can an array, or a dtype, be cast to the dtype `to` without loss (or by NumPy's `casting`)?

    >>> import gradarray as ga
    >>> ga.can_cast(ga.int32, ga.float64), ga.can_cast(ga.array(1.0), ga.float32)
    (True, False)
    """
    return np.can_cast(_dtype_of(from_), to, casting)


def finfo(dtype: Any) -> np.finfo[Any]:
    """The limits of a floating or complex dtype, or of an array's: `bits`, `eps`, `max`, `min`.

    >>> import gradarray as ga
    >>> float(ga.finfo(ga.float64).eps)
    2.220446049250313e-16
    """
    return np.finfo(_dtype_of(dtype))


def iinfo(dtype: Any) -> np.iinfo[Any]:
    """The limits of an integer dtype, or of an array's: `bits`, `max`, `min`.

    >>> import gradarray as ga
    >>> ga.iinfo(ga.int8).max
    127
    """
    return np.iinfo(_dtype_of(dtype))
