"""Index expressions, read: what x[key] asks for, in steps that a few ops can take."""

from __future__ import annotations

import math
import operator
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray, from_user
from ..custom import Custom
from ..record import apply
from .shape import reshape

BasicIndex = tuple[Any, ...]  # integers, slices and None, one for every axis: of full rank
ALL = slice(None)


class NonzeroGrad(Custom):
    """The indices of the true elements, one array for each axis, in C order."""

    @staticmethod
    def forward(x: Any) -> Any:
        return np.nonzero(np.asarray(x))


class BadIndex(IndexError):
    """An index that cannot be read; its text says why, in the user's axes."""


class Reading(NamedTuple):
    """What an index expression asks for, step by step."""

    basic: BasicIndex | None  # the basic step; None where it changes nothing
    arrays: tuple[Any, ...]  # integer index arrays
    merged: tuple[int, ...] | None  # the shape in which each mask's axes are one axis
    order: tuple[int, ...] | None  # the permutation that makes the indexed axes adjacent
    axis: int  # the first of them, negative


_SIMPLE = (int, slice, type(None), EllipsisType)


def read(x: Any, key: Any) -> Reading:
    """Read the index expression `key` for x."""
    keys = key if type(key) is tuple else (key,)
    for k in keys:
        if type(k) not in _SIMPLE:
            return _read_arrays(x, tuple(_entry(k) for k in keys))
    basic = _expanded(keys, x.ndim)
    for k in basic:
        if type(k) is slice and not is_plain(k):
            basic = tuple(_sliced(k) if type(k) is slice else k for k in basic)
            break
    return Reading(None if basic == (ALL,) * x.ndim else basic, (), None, None, 0)


def is_plain(k: slice) -> bool:
    """Are the ends of a slice Python integers or None?"""
    a, b, c = k.start, k.stop, k.step
    return (
        (a is None or type(a) is int)
        and (b is None or type(b) is int)
        and (c is None or type(c) is int)
    )


def _sliced(k: slice) -> slice:
    ends = (n if n is None else operator.index(n) for n in (k.start, k.stop, k.step))
    return slice(*ends)


def _entry(k: Any) -> Any:
    """One part of an index: an integer, a slice, None, Ellipsis, or an array."""
    if k is None or k is Ellipsis or type(k) is int:
        return k
    if isinstance(k, slice):
        return _sliced(k)
    if isinstance(k, (bool, np.bool_)):
        return np.asarray(k)
    if isinstance(k, GradArray):
        if k.dtype.kind not in "iub":
            raise BadIndex(_not_integers(k.dtype))
        return k
    if not isinstance(k, np.ndarray):
        try:
            return operator.index(k)
        except TypeError:
            k = np.asarray(from_user(k, "index"))
            k = k if k.size else k.astype(np.intp)
    if k.dtype.kind not in "iub":
        raise BadIndex(_not_integers(k.dtype))
    # A copy: the caller may change it, and the reverse sweep needs it as it was.
    return k.copy() if k.dtype.kind == "b" else k.astype(np.intp)


def _not_integers(dtype: Any) -> str:
    return f"an index must be of integers or booleans, not {dtype}; convert it with .astype(int)"


def _taken(k: Any) -> int:
    """How many axes of x an entry uses."""
    if k is None:
        return 0
    return k.ndim if hasattr(k, "dtype") and k.dtype.kind == "b" else 1


def _expanded(keys: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """The entries with an Ellipsis (put in at the end where there is none) spelled out."""
    at = [n for n, k in enumerate(keys) if k is Ellipsis]
    if len(at) > 1:
        raise BadIndex("an index can only have a single ellipsis ('...')")
    left = ndim - sum(_taken(k) for k in keys if k is not Ellipsis)
    if left < 0:
        raise BadIndex(f"too many indices: the array has {ndim} axes, {ndim - left} were indexed")
    if not at:
        return (*keys, *(ALL,) * left)
    return (*keys[: at[0]], *(ALL,) * left, *keys[at[0] + 1 :])


def _read_arrays(x: Any, keys: tuple[Any, ...]) -> Reading:
    arrays = [hasattr(k, "dtype") for k in keys]
    if True not in arrays:
        basic = _expanded(keys, x.ndim)
        return Reading(None if basic == (ALL,) * x.ndim else basic, (), None, None, 0)
    steps: list[Any] = []
    # Of the array after the basic step: its axes, those of a mask taken as one.
    lengths: list[int] = []
    indexed: list[int] = []
    indices: list[Any] = []
    dim = 0
    for k in _expanded(keys, x.ndim):
        if k is None:
            steps.append(None)
            lengths.append(1)
        elif isinstance(k, slice):
            steps.append(k)
            lengths.append(len(range(*k.indices(x.shape[dim]))))
            dim += 1
        elif isinstance(k, int):
            steps.append(k)
            dim += 1
        else:
            taken = _taken(k)
            indexed.append(len(lengths))
            if k.dtype.kind == "b":
                _check_mask(k, x.shape, dim)
                k = apply(NonzeroGrad, reshape(k, -1))[0]
            indices.append(k)
            lengths.append(math.prod(x.shape[dim : dim + taken]))
            steps += [ALL] * taken if taken else [None]
            dim += taken
    step = None if all(k == ALL and k is not None for k in steps) else tuple(steps)
    kept = sum(not isinstance(k, int) for k in steps)
    merged = tuple(lengths) if len(lengths) != kept else None
    order, first = None, indexed[0]
    if _parted(keys):
        # NumPy puts the axes of the indices first where something stands between them.
        rest = [n for n in range(len(lengths)) if n not in indexed]
        order, first = (*indexed, *rest), 0
        if order == tuple(range(len(lengths))):
            order = None
    return Reading(step, tuple(indices), merged, order, first - len(lengths))


def _parted(keys: tuple[Any, ...]) -> bool:
    """Does something stand between arrays? (Integers count as arrays, and '...' as something.)"""
    which = [n for n, k in enumerate(keys) if k is not None and not isinstance(k, slice)]
    which = [n for n in which if keys[n] is not Ellipsis]
    return which[-1] - which[0] != len(which) - 1


def _check_mask(mask: Any, shape: tuple[int, ...], dim: int) -> None:
    for n, length in enumerate(mask.shape):
        if length != shape[dim + n]:
            raise BadIndex(
                f"the boolean index has length {length} along axis {dim + n}, which has "
                f"length {shape[dim + n]}"
            )
