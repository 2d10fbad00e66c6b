"""A learner's gradient against the right one, and what may have gone wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..array import GradArray
from ..errors import GraphError, message
from .mistakes import mistakes
from .numbers import digit, shape
from .record import latest_of

Fix = tuple[str, Callable[[Any], Any]]  # what was forgotten, and what mends it


@dataclass(frozen=True)
class Comparison:
    """How a gradient agrees with the right one; true unless it is wrong, and prints as a line.

    `verdict` is "exact" (the same numbers), "close" (but for rounding: the largest difference is
    below sqrt(eps) of the largest right number) or "wrong"; `index` is the first place that
    differs by more, None where shapes differ; `hint` what may have gone wrong, "" if unknown.
    """

    name: str
    verdict: Literal["exact", "close", "wrong"]
    difference: float  # the largest, NaN where shapes differ
    index: tuple[int, ...] | None = None
    mine: Any = None
    right: Any = None
    hint: str = ""

    def __bool__(self) -> bool:
        return self.verdict != "wrong"

    def __str__(self) -> str:
        if self.verdict == "exact":
            return f"{self.name}: exact"
        if self.verdict == "close":
            return f"{self.name}: close, largest difference {digit(self.difference, 3)}"
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        if self.index is None:
            shapes = f"shape {shape(np.shape(self.mine))}, the gradient has"
            return f"{self.name}: wrong, {shapes} {shape(np.shape(self.right))}{hint}"
        at = f"[{', '.join(map(str, self.index))}]" if self.index else "the value"
        mine, right = digit(self.mine[self.index]), digit(self.right[self.index])
        many = int(np.count_nonzero(_differs(self.mine, self.right)))
        return (
            f"{self.name}: wrong at {many} of {np.size(self.right)}, first at {at}: yours {mine}, "
            f"right {right}{hint}"
        )

    __repr__ = __str__


def compare_grad(name: str, mine: Any, value: Any, loss: GradArray | None = None) -> Comparison:
    r"""Compare a gradient that was derived by hand with the right one, `value.grad`.

    `mine` is what you computed for \partial L / \partial value. Exact, close or wrong; where it
    first differs; and a hint: transposed, a sum over a broadcast axis or over the batch missing, a
    sign, a factor of 2 or N. With `loss` (or where everything was recorded inside
    `ga.keep_all()`) also an activation that was forgotten or mistaken for its input, and arguments
    of the loss that were swapped. Raises GraphError where `value` has no gradient.

    >>> import gradarray as ga
    >>> x = ga.array([[1.0, 2.0], [3.0, 4.0]])
    >>> w = ga.array([[1.0, -1.0]], requires_grad=True)
    >>> loss = ((x * w) ** 2).sum()
    >>> loss.backward()
    >>> ga.compare_grad("w", 2 * (x * w) * x, w)
    w: wrong, shape (2, 2), the gradient has (1, 2)
      hint: a sum over axis 0 is missing, along which it was broadcast
    """
    right = _gradient(name, value)
    mine = np.asarray(mine.numpy() if isinstance(mine, GradArray) else mine)
    if mine.shape != right.shape:
        return Comparison(
            name, "wrong", math.nan, None, mine, right, _hint(mine, right, value, loss)
        )
    difference = float(np.max(np.abs(mine - right), initial=0.0))
    if np.array_equal(mine, right, equal_nan=True):
        return Comparison(name, "exact", 0.0, None, mine, right)
    wrong = _differs(mine, right)
    if not wrong.any():
        return Comparison(name, "close", difference, None, mine, right)
    index = tuple(int(k) for k in np.argwhere(wrong)[0])
    return Comparison(
        name, "wrong", difference, index, mine, right, _hint(mine, right, value, loss)
    )


def _gradient(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, GradArray):
        raise TypeError(
            message(
                "compare_grad",
                f"the third argument is the value itself, a GradArray, not {type(value).__name__}.",
                f"Write ga.compare_grad({name!r}, mine, {name}).",
            )
        )
    if value.grad is None:
        raise GraphError(
            message(
                "compare_grad",
                f"{name} has no gradient to compare with.",
                "Call loss.backward() first; of a value in the middle call value.retain_grad() "
                "before that.",
            )
        )
    return value.grad.numpy()


def agree(mine: Any, right: Any) -> bool:
    """Are they the same but for rounding?"""
    return np.shape(mine) == np.shape(right) and not _differs(mine, right).any()


def _differs(mine: Any, right: Any) -> np.ndarray:
    """Where they differ by more than half of the digits of the largest number.

    Sums in another order differ by about n eps of their largest terms, far below sqrt(eps); a
    mistake differs by a factor.
    """
    mine, right = np.asarray(mine), np.asarray(right)
    eps = max((np.finfo(x.dtype).eps for x in (mine, right) if x.dtype.kind in "fc"), default=0)
    scale = np.max(np.abs(right), initial=0.0, where=np.isfinite(right))
    with np.errstate(all="ignore"):
        far = ~(np.abs(mine - right) <= math.sqrt(eps) * scale)
    return far & ~((mine == right) | (np.isnan(mine) & np.isnan(right)))


# Hints --------------------------------------------------------------------------------------------


def _hint(mine: np.ndarray, right: np.ndarray, value: GradArray, loss: GradArray | None) -> str:
    """What one or two slips explain the difference, the likeliest first."""
    if not (right.any() and np.isfinite(right).all() and np.isfinite(mine).all()):
        return ""
    found = next((words for words, y in _mended(mine, right) if agree(y, right)), "")
    if found:
        return found
    loss = latest_of(value) if loss is None else loss
    for words, wrong in mistakes(value, loss) if loss is not None else ():
        if agree(mine, wrong):
            return words
        other = next((w for w, y in _mended(mine, wrong) if agree(y, wrong)), "")
        if other:
            return f"{words}; and {other}"
    return ""


def _mended(mine: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Any]]:
    """What mine would be without one slip, then without two."""
    once = list(_fixes(mine, right))
    yield from once
    for words, y in once:
        for more, z in _fixes(y, right):
            if more != words:
                yield f"{words}; and {more}", z


def _fixes(mine: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Any]]:
    if mine.ndim >= 2:
        yield "it is transposed", np.swapaxes(mine, -1, -2)
    if mine.ndim > right.ndim or (mine.ndim == right.ndim and mine.shape != right.shape):
        yield from _sums(mine, right)
    if mine.shape == right.shape:
        yield "its sign is wrong: were the arguments of a difference swapped?", -mine
        yield from _factors(mine, right)
    elif mine.ndim < right.ndim or mine.size < right.size:
        yield from _spreads(mine, right)


def _sums(mine: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Sums over axes along which the value was broadcast, or that the batch has."""
    extra = mine.ndim - right.ndim
    axes = tuple(range(extra)) + tuple(
        k + extra for k, n in enumerate(right.shape) if n == 1 and mine.shape[k + extra] != 1
    )
    if axes:
        told = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
        y = mine.sum(axes, keepdims=True)
        y = y.reshape(right.shape) if y.size == right.size else y
        batch = axes == (0,) and extra == 1 and mine.shape[1:] == right.shape and mine.ndim > 2
        words = "the batch" if batch else f"{told}"
        yield f"a sum over {words} is missing" + (
            " (axis 0)" if batch else ", along which it was broadcast"
        ), y
    for k in range(mine.ndim):
        if mine.shape[:k] + mine.shape[k + 1 :] == right.shape and (k,) != axes:
            yield f"a sum over axis {k} is missing", mine.sum(k)


def _spreads(mine: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Any]]:
    try:
        spread = np.broadcast_to(mine, right.shape)
    except ValueError:
        return
    yield "it was summed over an axis that the value has", spread


def _factors(mine: np.ndarray, right: np.ndarray) -> Iterator[tuple[str, Any]]:
    """One factor everywhere: of 2, of the length of an axis, of a product of lengths."""
    top = np.unravel_index(int(np.argmax(np.abs(right))), right.shape)
    if not mine[top]:
        return
    factor = float(np.real(right[top] / mine[top]))
    minus = "" if factor > 0 else ", and its sign is wrong"
    times = max(abs(factor), 1 / abs(factor)) if factor else 0.0
    whole = round(times)
    if whole < 2 or not math.isclose(times, whole, rel_tol=1e-3):
        return
    small = abs(factor) > 1
    words = f"a factor of {whole} is missing" if small else f"it is {whole} times too large"
    if whole == 2:
        words += " (the derivative of a square has a 2)"
    else:
        words += f" (is a sum of {whole} terms meant, or their mean?)"
    yield words + minus, mine * math.copysign(whole if small else 1 / whole, factor)
