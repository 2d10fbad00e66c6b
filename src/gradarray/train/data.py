"""Batches: arrays cut into pieces along their first axis, in order or shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import random, tree
from ..array import GradArray, wrap
from ..errors import ShapeError, message


def batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int = 32,
    shuffle: bool = False,
    drop_last: bool = False,
    generator: Any = None,
) -> Batches:
    """An iterable of batches (x, y) or (x, y, sample_weight); each pass may be shuffled anew.

    `x` and `y` are arrays, or pytrees of arrays, of equal first lengths. Shuffling draws from
    `generator` (default: `ga.random`), so a seeded run repeats. Raises ShapeError where lengths
    differ, ValueError for a batch size below 1.

    >>> import gradarray as ga
    >>> for x, y in ga.train.batches([[1.0], [2.0], [3.0]], [0, 1, 1], batch_size=2):
    ...     print(x.shape, y)
    (2, 1) GradArray([0, 1], dtype=int64)
    (1, 1) GradArray([1], dtype=int64)
    """
    return Batches(x, y, sample_weight, batch_size, shuffle, drop_last, generator)


class Batches:
    """What `batches` gives: iterable any number of times, with a length."""

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Any = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(message("batches", f"batch_size is at least 1, not {batch_size!r}."))
        self._parts = [_arrays(part) for part in (x, y, sample_weight)]
        self.samples = _common_length(self._parts)
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.generator = generator

    def __len__(self) -> int:
        whole, rest = divmod(self.samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order = None
        if self.shuffle:
            generator = self.generator or random.default_generator
            order = generator.permutation(self.samples).numpy()
        width = max((k for k, part in enumerate(self._parts) if part is not None), default=0) + 1
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            stop = min(start + self.batch_size, self.samples)
            rows = slice(start, stop) if order is None else order[start:stop]
            yield tuple(_rows(part, rows) for part in self._parts[:width])


def split_last(parts: tuple[Any, ...], share: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first samples, and the last `share` of them: a validation split as Keras makes it."""
    if not 0 < share < 1:
        raise ValueError(message("fit", f"validation_split is between 0 and 1, not {share}."))
    arrays = [_arrays(part) for part in parts]
    count = _common_length(arrays)
    kept = int(count * (1 - share))
    if not 0 < kept < count:
        raise ValueError(
            message("fit", f"validation_split={share} of {count} samples leaves one side empty.")
        )

    def cut(rows: slice) -> tuple[Any, ...]:
        return tuple(
            None if part is None else tree.map(lambda a: a[rows], part) for part in arrays
        )

    return cut(slice(0, kept)), cut(slice(kept, count))


def _arrays(part: Any) -> Any:
    """Lists of numbers as arrays; a tuple, list or dict of arrays stays a pytree."""
    if part is None or isinstance(part, np.ndarray):
        return part
    if isinstance(part, GradArray):
        return part._array
    if isinstance(part, dict):
        return {k: _arrays(v) for k, v in part.items()}
    if isinstance(part, (tuple, list)) and any(hasattr(v, "shape") and v.shape for v in part):
        first = part[0]
        if isinstance(part, tuple) or len({np.shape(v) for v in part}) > 1 or first.ndim == 0:
            return tuple(_arrays(v) for v in part)
    return np.asarray(part)


def _common_length(parts: list[Any]) -> int:
    names = ("x", "y", "sample_weight")
    lengths = {}
    for name, part in zip(names, parts, strict=False):
        if part is None:
            continue
        for leaf, path in zip(tree.flatten(part)[0], tree.paths(tree.flatten(part)[1])):
            if not leaf.shape:
                raise ShapeError(message("batches", f"{name}{path} is 0-d: it has no samples."))
            lengths[name + path] = leaf.shape[0]
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ShapeError(
            message(
                "batches",
                f"the first axes differ: {told}." if lengths else "no arrays were given.",
                "The first axis counts the samples, and is equal in all.",
            )
        )
    return next(iter(lengths.values()))


def _rows(part: Any, rows: Any) -> Any:
    if part is None:
        return None
    if isinstance(rows, slice):
        # Copied: a recorded step may still need the rows when their owner changes the array.
        return tree.map(lambda a: wrap(a[rows].copy()), part)
    return tree.map(lambda a: wrap(a[rows]), part)
