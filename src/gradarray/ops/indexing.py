"""x[i] and x[i] = v: NumPy's indexing, made of a few linear ops.

An index expression is read into two steps. The basic step (integers, slices, new axes) is one op
with a static index of full rank. Index arrays, if any, come after it: they are brought to
adjacent axes, masks become integers, and `scatter` does the rest.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift, method, wrap
from ..errors import DTypeError, ShapeError, message
from ..graph import flags, mode
from ..record import PLAIN, apply
from .join import unstack
from .keys import ALL, BadIndex, BasicIndex, Reading, is_plain, read
from .scatter import gather_at, put
from .shape import reshape, transpose

__all__: list[str] = []


class IndexGrad(Linear):
    """y = x[index], a basic index of full rank. Transpose: place."""

    @staticmethod
    def forward(x: Any, index: BasicIndex) -> Any:
        y = x[(Ellipsis, *index)]
        return y if y.shape else y[()]

    @staticmethod
    def transpose(y_bar: Any, x_like: Any, index: BasicIndex) -> Any:
        if type(y_bar) in PLAIN and mode.raw and y_bar.dtype == x_like.dtype:
            return Placed(y_bar, x_like.shape, index)
        return apply(PlaceGrad, y_bar, shape=x_like.shape, index=index)

    tex = "{x}_I"


class Placed:
    """What `place` gives, as a sweep on raw arrays adds it up: where parts of x are used in turn.

    A loop over x[t] sends back one cotangent of the size of x for every t, almost all zeros. Here
    the first makes an array, and those that follow are added in their places: the sweep's work
    grows with the size of the parts.
    """

    __slots__ = ("dtype", "shape", "sum", "terms")
    __array_ufunc__ = None  # so that an array leaves `array + placed` to __radd__

    def __init__(self, x: Any, shape: tuple[int, ...], index: BasicIndex) -> None:
        self.shape, self.dtype = shape, x.dtype
        self.terms: tuple[Any, Any] | None = ((Ellipsis, *index), x)
        self.sum: Any = None

    def dense(self) -> Any:
        """The array, which nobody else holds."""
        if self.sum is None:
            assert self.terms is not None
            self.sum = np.zeros(self.shape, self.dtype)
            self.sum[self.terms[0]] = self.terms[1]
            self.terms = None
        return self.sum

    def __add__(self, other: Any) -> Any:
        total = self.dense()
        if type(other) is not Placed and type(other) not in PLAIN:  # a value of a trace
            return total + other
        if type(other) is Placed and other.terms is not None:
            index, x = other.terms
            total[index] += x
        else:
            total += other.dense() if type(other) is Placed else other
        return self

    __radd__ = __add__


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


def place(x: Any, shape: tuple[int, ...], index: BasicIndex) -> Any:
    """Zeros of `shape` with x at a basic index of full rank."""
    return apply(PlaceGrad, x, shape=shape, index=index)


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
    kind = type(key)
    try:
        if (kind is int or kind is slice or kind is tuple) and not flags.special:
            data = x._data
            keys = key if kind is tuple else (key,)
            for k in keys:
                if not (type(k) is int or (type(k) is slice and is_plain(k))):
                    break
            else:
                if len(keys) <= data.ndim:
                    index = (*keys, *(ALL,) * (data.ndim - len(keys)))
                    return IndexGrad.made(x, data[keys], {"index": index})
        if kind is np.ndarray and key.dtype.kind in "iu" and x.ndim:
            return gather_at(x, (key.astype(np.intp),), -x.ndim)
        return get(x, key)
    except IndexError as error:
        raise _complaint("index", x, key, error) from None


def _complaint(op: str, x: GradArray, key: Any, error: IndexError) -> IndexError:
    """In NumPy's own words where an op failed: they count the axes as the user does."""
    text = str(error).rstrip()
    if not isinstance(error, BadIndex):
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


class _Counted:
    def __setitem__(self, key: Any, value: list[int]) -> None:
        value.append(sys.getrefcount(self))


def _held_by_nobody() -> int:
    """The references to an array in x[i][j] = v, where x[i] has no name; 0 if that cannot be told.

    An interpreter may lend a name's reference (Python 3.14 does): then both count the same.
    """
    counts: list[int] = []
    _Counted()[0] = counts
    named = _Counted()
    named[0] = counts
    return counts[0] if counts[0] < counts[1] else 0


def _is_statement(frame: Any) -> bool:
    """Is the frame at a statement x[i] = v, and not at a call, which lends its references?"""
    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap.get("STORE_SUBSCR")


_HELD_BY_NOBODY = _held_by_nobody()


@method("__setitem__")
def setitem(x: GradArray, key: Any, value: Any) -> None:
    """x[key] = value: the handle is bound to a new value, and derivatives follow both.

    Where an index repeats, the last value stays. Raises GraphError for a leaf that requires a
    gradient outside no_grad, IndexError, ShapeError where the value does not broadcast, TypeError
    for x[i][j] = value, which would change a copy that nobody holds.
    """
    if sys.getrefcount(x) == _HELD_BY_NOBODY and _is_statement(sys._getframe(1)):
        raise TypeError(
            message(
                "assign",
                "this changes a copy that nothing holds: an index gives a value, not a view.",
                "Use one index, x[i, j] = v.",
            )
        )
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
