"""x[i] and x[i] = v: NumPy's indexing, made of a few linear ops.

An index expression is read into two steps. The basic step (integers, slices, new axes) is one op
with a static index of full rank. Index arrays, if any, come after it: they are brought to
adjacent axes, masks become integers, and `scatter` does the rest.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from ..algebra import Linear
from ..array import GradArray, from_user, lift, method, wrap
from ..custom import Custom
from ..errors import DTypeError, ShapeError, message
from ..graph import flags
from ..record import apply
from .join import unstack
from .scatter import gather_at, put
from .shape import reshape, transpose

__all__: list[str] = []

BasicIndex = tuple[Any, ...]  # integers, slices and None, one for every axis: of full rank
ALL = slice(None)


class IndexGrad(Linear):
    """y = x[index], a basic index of full rank. Transpose: place."""

    @staticmethod
    def forward(x: Any, index: BasicIndex) -> Any:
        y = x[(Ellipsis, *index)]
        return y if y.shape else y[()]

    transpose = staticmethod(
        lambda y_bar, x_like, index: apply(PlaceGrad, y_bar, shape=x_like.shape, index=index)
    )
    tex = "{x}_I"


class PlaceGrad(Linear):
    """y = 0 of `shape`, but y[index] = x. Transpose: index."""

    @staticmethod
    def forward(x: Any, shape: tuple[int, ...], index: BasicIndex) -> Any:
        y = np.zeros(shape, x.dtype)
        y[(Ellipsis, *index)] = x
        return y

    transpose = staticmethod(lambda y_bar, index: apply(IndexGrad, y_bar, index=index))
    tex = "0[I := {x}]"


class SetGrad(Linear):
    """y = x, but y[index] = v, a basic index of full rank."""

    operands = ("x", "v")

    @staticmethod
    def forward(x: Any, v: Any, index: BasicIndex) -> Any:
        y = np.array(x)
        y[(Ellipsis, *index)] = v
        return y

    transposes = (
        lambda y_bar, index: apply(SetGrad, y_bar, 0, index=index),
        lambda y_bar, v_like, index: apply(IndexGrad, y_bar, index=index),
    )
    tex = "{x}[I := {v}]"


class NonzeroGrad(Custom):
    """The indices of the true elements, one array for each axis, in C order."""

    @staticmethod
    def forward(x: Any) -> Any:
        return np.nonzero(np.asarray(x))


def place(x: Any, shape: tuple[int, ...], index: BasicIndex) -> Any:
    """Zeros of `shape` with x at a basic index of full rank."""
    return apply(PlaceGrad, x, shape=shape, index=index)


# Reading an index expression ----------------------------------------------------------------------


class _BadIndex(IndexError):
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
        if type(k) is slice and not _plain(k):
            basic = tuple(_sliced(k) if type(k) is slice else k for k in basic)
            break
    return Reading(None if basic == (ALL,) * x.ndim else basic, (), None, None, 0)


def _plain(k: slice) -> bool:
    return all(type(n) in (int, type(None)) for n in (k.start, k.stop, k.step))


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
            raise _BadIndex(_not_integers(k.dtype))
        return k
    if not isinstance(k, np.ndarray):
        try:
            return operator.index(k)
        except TypeError:
            k = np.asarray(from_user(k, "index"))
            k = k if k.size else k.astype(np.intp)
    if k.dtype.kind not in "iub":
        raise _BadIndex(_not_integers(k.dtype))
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
        raise _BadIndex("an index can only have a single ellipsis ('...')")
    left = ndim - sum(_taken(k) for k in keys if k is not Ellipsis)
    if left < 0:
        raise _BadIndex(f"too many indices: the array has {ndim} axes, {ndim - left} were indexed")
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
            lengths.append(int(np.prod(x.shape[dim : dim + taken], dtype=np.intp)))
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
            raise _BadIndex(
                f"the boolean index has length {length} along axis {dim + n}, which has "
                f"length {shape[dim + n]}"
            )


# Getting ------------------------------------------------------------------------------------------


def get(x: Any, key: Any) -> Any:
    """x[key], for arrays of every kind."""
    how = read(x, key)
    if how.basic is not None:
        x = apply(IndexGrad, x, index=how.basic)
    elif not how.arrays:
        return apply(IndexGrad, x, index=(ALL,) * x.ndim)
    if not how.arrays:
        return x
    return gather_at(_arranged(x, how), how.arrays, how.axis)


def _arranged(x: Any, how: Reading) -> Any:
    if how.merged is not None:
        x = reshape(x, how.merged)
    return x if how.order is None else transpose(x, how.order)


@method("__getitem__")
def getitem(x: GradArray, key: Any) -> GradArray:
    """x[key] by NumPy's rules. Raises IndexError naming the index, the axis and the shape."""
    try:
        return get(x, key)
    except IndexError as error:
        raise _complaint("index", x, key, error) from None


def _complaint(op: str, x: GradArray, key: Any, error: IndexError) -> IndexError:
    """In NumPy's own words where an op failed: they count the axes as the user does."""
    text = str(error).rstrip()
    if not isinstance(error, _BadIndex):
        try:
            x._array[_raw(key)]
        except IndexError as native:
            text = str(native).rstrip()
    return IndexError(message(op, f"{text} (an array of shape {x.shape})."))


@method("__iter__")
def iterate(x: GradArray) -> Iterator[GradArray]:
    """Over the first axis; one operation for all of it."""
    if not x.ndim:
        raise TypeError(message("iter", "a 0-d array has no axis to go along."))
    return iter(unstack(x))


@method("__contains__")
def contains(x: GradArray, value: Any) -> bool:
    """Does any element equal `value`?"""
    other = value._data if isinstance(value, GradArray) else value
    return bool(np.any(x._data == other))


# Setting ------------------------------------------------------------------------------------------


def replaced(x: Any, key: Any, v: Any) -> Any:
    """x with v at `key`: what x is after x[key] = v."""
    how = read(x, key)
    if not how.arrays:
        index = (ALL,) * x.ndim if how.basic is None else how.basic
        return apply(SetGrad, x, v, index=index)
    part = x if how.basic is None else apply(IndexGrad, x, index=how.basic)
    form = part.shape
    part = put(_arranged(part, how), v, how.arrays, how.axis)
    if how.order is not None:
        part = transpose(part, tuple(int(n) for n in np.argsort(how.order)))
    if how.merged is not None:
        part = reshape(part, form)
    return part if how.basic is None else apply(SetGrad, x, part, index=how.basic)


@method("__setitem__")
def setitem(x: GradArray, key: Any, value: Any) -> None:
    """x[key] = value: the handle is bound to a new value, and derivatives follow both.

    Where an index repeats, the last value stays. Raises GraphError for a leaf that requires a
    gradient outside no_grad, IndexError, ShapeError where the value does not broadcast.
    """
    value = lift(value, "assign")
    _check_value(x, value)
    try:
        if x._node is None and value._node is None and not flags.special and _alone(x):
            how = read(x, key)
            if not how.arrays:
                x._data[(Ellipsis, *(how.basic or ()))] = value._data  # nobody else can see it
                return
        x._assign("assign", replaced(x, key, value))
    except IndexError as error:
        raise _complaint("assign", x, key, error) from None
    except ValueError as error:
        raise _misfit(x, key, value.shape, error) from None


def _check_value(x: GradArray, value: GradArray) -> None:
    if value._node is not None and x.dtype.kind not in "fc":
        raise DTypeError(
            message(
                "assign",
                f"a value that requires a gradient cannot go into an array of {x.dtype}.",
                "Convert the array first, x = x.astype(float), or assign value.detach().",
            )
        )
    if value.dtype.kind == "c" and x.dtype.kind != "c":
        raise DTypeError(
            message(
                "assign",
                f"complex values do not fit into an array of {x.dtype}.",
                "Assign value.real, or convert the array with .astype(complex).",
            )
        )


def _misfit(x: GradArray, key: Any, shape: tuple[int, ...], error: ValueError) -> Exception:
    try:
        place = x._array[_raw(key)].shape
    except IndexError as native:
        return _complaint("assign", x, key, native)
    try:
        if np.broadcast_shapes(place, shape) == place:
            return error
    except ValueError:
        pass
    return ShapeError(
        message(
            "assign",
            f"a value of shape {shape} does not broadcast to the place of shape {place} that the "
            f"index takes of an array of shape {x.shape}.",
            "Reshape the value.",
        )
    )


def _raw(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(k._array if isinstance(k, GradArray) else k for k in key)
    return key._array if isinstance(key, GradArray) else key


def _holders(x: GradArray) -> int:
    return sys.getrefcount(x._data)


_probe = wrap(np.zeros(1))
_ONE_HOLDER = _holders(_probe)


def _alone(x: GradArray) -> bool:
    """Does this handle alone hold its memory? Then it can be written in place, unseen."""
    data = x._data
    if type(data) is not np.ndarray or not (data.flags.owndata and data.flags.writeable):
        return False
    del data
    return _holders(x) == _ONE_HOLDER


@method("fill")
def fill(x: GradArray, value: Any) -> None:
    """Set every element to `value`, as x[...] = value does."""
    setitem(x, Ellipsis, value)
