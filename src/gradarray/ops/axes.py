"""Axis arguments, made canonical: tuples of negative integers, counted from the end."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import message

# All axes of an array of n, for every n that NumPy knows; in order, and reversed.
EVERY = [tuple(range(-n, 0)) for n in range(65)]
REVERSED = [axes[::-1] for axes in EVERY]


def one_axis(axis: Any, ndim: int, op: str) -> int:
    """`axis` as a negative integer; raises AxisError naming the op."""
    try:
        k = operator.index(axis)
    except TypeError:
        raise TypeError(message(op, f"axis must be an integer, not {axis!r}.")) from None
    if not -ndim <= k < ndim:
        raise np.exceptions.AxisError(
            message(op, f"axis {k} is out of bounds for an array of {ndim} dimensions.")
        )
    return k - ndim if k >= 0 else k


def all_axes(axis: Any, ndim: int, op: str) -> tuple[int, ...]:
    """`axis` (None, an integer or a tuple) as a sorted tuple of negative integers."""
    if axis is None:
        return EVERY[ndim]
    if not isinstance(axis, (tuple, list)):
        return (one_axis(axis, ndim, op),)
    axes = tuple(sorted(one_axis(k, ndim, op) for k in axis))
    if len(set(axes)) != len(axes):
        raise ValueError(message(op, f"axis {axis} names one axis twice."))
    return axes
