"""What a distribution is given, checked: parameters, the shape of the result, its dtype."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import GradArray, is_abstract, lift
from ..errors import DTypeError, ShapeError, message
from ..ops.shape import astype


def parameter(op: str, name: str, value: Any) -> Any:
    """A number, an ndarray or a GradArray; raises for a tuple or list, which was meant as size."""
    if isinstance(value, tuple | list):
        raise TypeError(
            message(
                op,
                f"{name} is {value!r}; a parameter is a number or an array.",
                f"A shape is given by its name: {op}(size={value!r}); values as ga.array(...).",
            )
        )
    if isinstance(value, GradArray | np.ndarray | np.generic | int | float):
        return value
    raise TypeError(message(op, f"{name} is a number or an array, not {value!r}."))


def vectors(op: str, name: str, value: Any, axes: int) -> GradArray:
    """A parameter whose last axes are a vector (1) or a matrix (2); a list is meant as values."""
    array = lift(value, op)
    if array.ndim < axes:
        kind = "vectors" if axes == 1 else "matrices"
        raise ShapeError(
            message(op, f"{name} holds {kind}: {axes} axes at least, not {array.shape}.")
        )
    return array


def check(op: str, name: str, value: Any, holds: Callable[[Any], Any], what: str) -> None:
    """Raise ValueError unless `holds` is true for every number of a parameter."""
    if is_abstract(value):
        return
    array = value._base()._array if isinstance(value, GradArray) else np.asarray(value)
    right = np.asarray(holds(array))
    if not right.all():
        wrong = array[~right].flat[0]
        raise ValueError(message(op, f"{name} has to be {what}, but has the value {wrong}."))


def shape_of(op: str, size: Any, *parameters: Any) -> tuple[int, ...]:
    """The shape of the result: `size`, or what the parameters broadcast to."""
    shapes = [np.shape(p._data if isinstance(p, GradArray) else p) for p in parameters]
    if size is None:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            listed = " and ".join(map(str, shapes))
            raise ShapeError(
                message(op, f"parameters of the shapes {listed} do not broadcast.")
            ) from None
    shape = as_size(op, size)
    for form in shapes:
        if form:
            try:
                fits = np.broadcast_shapes(shape, form) == shape
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(
                    message(
                        op,
                        f"a parameter of shape {form} does not broadcast to size={shape}.",
                        "Leave size out to draw one number for each parameter.",
                    )
                )
    return shape


def as_size(op: str, size: Any) -> tuple[int, ...]:
    """`size` as a tuple of integers: a single one is the length of one axis."""
    try:
        lengths = size if isinstance(size, tuple | list) else (size,)
        shape = tuple(operator.index(n) for n in lengths)
    except TypeError:
        raise TypeError(
            message(op, f"size is an integer or a tuple of integers, not {size!r}.")
        ) from None
    if any(n < 0 for n in shape):
        raise ValueError(message(op, f"size={size!r} has a negative length."))
    return shape


def floating(op: str, dtype: Any, *parameters: Any) -> np.dtype:
    """The dtype asked for, or else that of the floating arrays among the parameters."""
    if dtype is None:
        given = [p.dtype for p in parameters if hasattr(p, "dtype") and p.dtype.kind == "f"]
        return np.result_type(*given) if given else np.dtype(np.float64)
    dtype = np.dtype(dtype)
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise DTypeError(message(op, f"makes float16, float32 or float64, not {dtype}."))
    return dtype


def cast(value: Any, dtype: np.dtype) -> Any:
    """An array in this dtype; a Python number stays one, and promotes nothing."""
    if isinstance(value, GradArray):
        return value if value.dtype == dtype else astype(value, dtype)
    return value.astype(dtype) if isinstance(value, np.ndarray | np.generic) else value


def is_number(value: Any, number: float) -> bool:
    """Is a parameter this plain number?"""
    return isinstance(value, int | float) and value == number


def whole(op: str, name: str, value: Any) -> Any:
    """Integers as Python integers, one or an array of them, so that no bound can overflow."""
    value = value._array if isinstance(value, GradArray) else value
    if isinstance(value, bool | np.bool_) or np.asarray(value).dtype.kind not in "iuO":
        raise TypeError(message(op, f"{name} is an integer or an array of them, not {value!r}."))
    parameter(op, name, value)
    return value if isinstance(value, int) else np.asarray(value).astype(object)


def probabilities(op: str, p: Any, count: int) -> np.ndarray:
    """`count` probabilities as float64: at least 0, with the sum 1."""
    given = np.asarray(p._array if isinstance(p, GradArray) else p)
    weights = given.astype(np.float64)
    if weights.shape != (count,):
        raise ValueError(
            message(op, f"p has the shape {weights.shape}; for {count} parts it is ({count},).")
        )
    check(op, "p", weights, lambda x: x >= 0, "at least 0")
    total = float(weights.sum())
    # Half the digits that the probabilities have: what a sum in their own precision may lose.
    exact = given.dtype if given.dtype.kind == "f" else weights.dtype
    if count and not abs(total - 1) <= float(np.finfo(exact).eps) ** 0.5:
        raise ValueError(
            message(
                op, f"the probabilities p sum to {total!r}, not 1.", "Divide them by their sum."
            )
        )
    return weights
