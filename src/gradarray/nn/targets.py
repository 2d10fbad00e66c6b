"""What losses share: input against target, class numbers in range, and the reduction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, is_abstract, lift
from ..errors import DTypeError, ShapeError, message
from ..graph import mode
from ..ops.compare import where
from ..ops.functional import known
from ..ops.reduce import any as any_of
from ..ops.reduce import mean, sum
from ..ops.shape import astype
from .calling import locate


def floating(x: Any, op: str, what: str) -> Any:
    """`x` as a GradArray of a floating dtype; Python's numbers are cast, integers refused."""
    plain = not hasattr(x, "dtype")
    x = lift(x, op)
    if x.dtype.kind == "f":
        return x
    if plain and x.dtype.kind in "biu":
        return astype(x, np.float64)
    raise DTypeError(
        message(op, f"{what} has dtype {x.dtype}.", f'Cast it, as in {what}.astype("float32").')
    )


def constant(target: Any, op: str, what: str = "target") -> Any:
    """`target` as a GradArray without a graph; one that requires a gradient is refused."""
    target = lift(target, op)
    if isinstance(target, GradArray) and target.requires_grad:
        raise ValueError(
            message(
                op,
                f"the {what} requires a gradient. Were the arguments swapped?",
                f"The order is (input, {what}); if this is meant, pass {what}.detach().",
            )
        )
    return target


def pair(input: Any, target: Any, op: str) -> tuple[Any, Any]:
    """Input and target of one shape, the target in the input's dtype."""
    input, target = floating(input, op, "input"), constant(target, op)
    if input.shape != target.shape:
        raise ShapeError(
            message(
                op,
                f"input of shape {input.shape}, target of shape {target.shape}: "
                f"{_difference(input.shape, target.shape)}.",
                "A loss compares them one by one and broadcasts nothing: "
                + _mend(input.shape, target.shape),
            )
        )
    return input, as_dtype_of(input, target)


def as_dtype_of(input: Any, other: Any) -> Any:
    return other if other.dtype == input.dtype else astype(other, input.dtype)


def _difference(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    if len(a) != len(b):
        return f"{len(a)} axes against {len(b)}"
    axis = next(k for k in range(len(a)) if a[k] != b[k])
    return f"axis {axis} has {a[axis]} and {b[axis]}"


def _mend(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    if np.prod(a) == np.prod(b):
        return "use target.reshape(input.shape)."
    return "they must have the same shape."


def check_reduction(reduction: str, op: str, known: tuple[str, ...] = ()) -> None:
    """Raise ValueError for an unknown reduction."""
    known = ("none", "mean", "sum", *known)
    if reduction not in known:
        raise ValueError(
            message(op, f"reduction is {', '.join(map(repr, known))}; not {reduction!r}.")
        )


def reduced(loss: Any, reduction: str, op: str) -> GradArray:
    """The losses one by one, their mean, or their sum."""
    check_reduction(reduction, op)
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" else sum(loss)


def class_numbers(target: Any, classes: int, op: str, ignore: int | None = None) -> Any:
    """`target` as class numbers, each checked to be in [0, classes) or the one to ignore."""
    if target.dtype.kind not in "iu":
        raise DTypeError(
            message(
                op,
                f"class numbers are integers, this target has dtype {target.dtype}.",
                "Cast it with target.astype(int).",
            )
        )

    def wrong_of(values: Any) -> Any:
        wrong = (values < 0) | (values >= classes)
        return wrong if ignore is None else wrong & (values != ignore)

    def check(values: np.ndarray) -> None:
        wrong = wrong_of(values)
        if not wrong.any():
            return
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise IndexError(
            message(
                op,
                f"label {int(values[at])} at {list(at)} is out of range for {classes} classes.",
                f"Labels go from 0 to {classes - 1}: check the last layer's size, and whether "
                "the labels start at 1.",
            )
        )

    values = known(target)
    if values is not None:
        check(values)
    elif is_abstract(target) and target._base() is target:
        layers = mode.layers

        def located(values: np.ndarray) -> None:
            """The check, when the layers that asked for it have long returned."""
            try:
                check(values)
            except IndexError as error:
                for layer in reversed(layers):
                    locate(layer, error)
                raise

        mode.trace.demand(target, where(any_of(wrong_of(target)), math.nan, 0.0), located)
    return target
