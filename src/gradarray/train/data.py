"""Data as `fit` takes it: arrays, cut into batches along their first axis, or batches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import random, tree
from ..array import GradArray, lift, wrap
from ..compiler.rows import Rows
from ..errors import ShapeError, message

_NAMES = ("x", "y", "sample_weight")


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
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(message("batches", f"batch_size is at least 1, not {batch_size!r}."))
        self._parts = [arrays_of(part) for part in (x, y, sample_weight)]
        self.samples = _common_length(self._parts)
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.generator = generator

    def __len__(self) -> int:
        whole, rest = divmod(self.samples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Pass:
        order = None
        if self.shuffle:
            generator = self.generator or random.default_generator
            order = generator.permutation(self.samples).numpy()
        width = max((k for k, part in enumerate(self._parts) if part is not None), default=0) + 1
        return Pass(tuple(self._parts[:width]), order, self.samples, self.batch_size, len(self))


class Pass:
    """One pass over arrays: an iterator of batches, of which some may be taken ahead as rows."""

    def __init__(
        self, parts: tuple[Any, ...], order: np.ndarray | None, samples: int, size: int, count: int
    ) -> None:
        self._parts, self._order, self._samples, self._size = parts, order, samples, size
        self._at, self._left = 0, count

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> tuple[Any, ...]:
        if not self._left:
            raise StopIteration
        start, stop = self._at, min(self._at + self._size, self._samples)
        self.skip(1)
        rows = slice(start, stop) if self._order is None else self._order[start:stop]
        return tuple([_rows(part, rows) for part in self._parts])

    def ahead(self) -> Rows:
        """The whole batches that are left."""
        arrays = tree.flatten(self._parts)[0]
        whole = min(self._left, (self._samples - self._at) // self._size)
        return Rows(arrays, self._order, self._at, self._size, whole)

    def skip(self, count: int) -> None:
        """Go on after so many batches."""
        self._at += count * self._size
        self._left -= count


def arrays_of(part: Any) -> Any:
    """Lists of numbers as arrays; a tuple, list or dict of arrays stays a pytree."""
    if part is None or isinstance(part, np.ndarray):
        return part
    if isinstance(part, GradArray):
        return part._array
    if isinstance(part, dict):
        return {k: arrays_of(v) for k, v in part.items()}
    if isinstance(part, (tuple, list)) and any(hasattr(v, "shape") and v.shape for v in part):
        if isinstance(part, tuple) or len({np.shape(v) for v in part}) > 1:
            return tuple(arrays_of(v) for v in part)
        return np.stack([arrays_of(v) for v in part])
    out = np.asarray(part)
    if out.dtype.kind not in "biufc":
        raise TypeError(
            message(
                "batches",
                f"{type(part).__name__} is neither an array of numbers nor a pytree of them.",
            )
        )
    return out


def _common_length(parts: list[Any]) -> int:
    lengths = {}
    for name, part in zip(_NAMES, parts):
        if part is None:
            continue
        leaves, structure = tree.flatten(part)
        for leaf, path in zip(leaves, tree.paths(structure)):
            if not leaf.shape:
                raise ShapeError(message("batches", f"{name}{path} is 0-d: it has no samples."))
            lengths[name + path] = leaf.shape[0]
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ShapeError(
            message(
                "batches",
                f"the first axes differ: {told}." if lengths else "no arrays were given.",
                "The first axis counts the samples, and is equal in all; several inputs come as a "
                "tuple or a dict.",
            )
        )
    return next(iter(lengths.values()))


def _rows(part: Any, rows: Any) -> Any:
    if part is None:
        return None
    if isinstance(rows, slice):
        # Copied: a recorded step may still need the rows when their owner changes the array.
        return tree.map(lambda a: wrap(a[rows].copy()), part)
    if isinstance(part, np.ndarray):
        return wrap(part[rows])
    return tree.map(lambda a: wrap(a[rows]), part)


def split_last(parts: tuple[Any, ...], share: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first samples, and the last `share` of them: a validation split as Keras makes it."""
    if not 0 < share < 1:
        raise ValueError(message("fit", f"validation_split is between 0 and 1, not {share}."))
    arrays = [arrays_of(part) for part in parts]
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


# Batches of the user's ----------------------------------------------------------------------------


def is_batches(x: Any, y: Any = None) -> bool:
    """Is `x` an iterable of batches rather than an array?"""
    if isinstance(x, (Batches, Iterator)):
        return True
    if y is not None or x is None or isinstance(x, (np.ndarray, GradArray, dict, str)):
        return False
    if isinstance(x, (list, tuple)):
        first = x[0] if len(x) else None
        return isinstance(first, (tuple, list)) and bool(first) and hasattr(first[0], "shape")
    return hasattr(x, "__iter__") and not hasattr(x, "shape")


def as_batches(data: Any, batch_size: int) -> Any:
    """validation_data as batches: a tuple is (x, y[, sample_weight]), as in Keras."""
    if isinstance(data, tuple):
        x, y, weight = unpack(data)
        return Batches(x, y, weight, batch_size)
    if is_batches(data):
        return data
    raise TypeError(
        message("fit", f"validation_data is (x, y) or batches, not {type(data).__name__}.")
    )


def refuse_beside_batches(op: str, **given: Any) -> None:
    """Raise for arguments that say again, or otherwise, what batches hold already."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                message(
                    op,
                    f"{name} was given beside batches.",
                    "Batches are (x, y[, sample_weight]), cut and split already.",
                )
            )


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch, None for what it lacks; for a `train_step` of one's own.

    >>> import gradarray as ga
    >>> ga.train.unpack(("x", "y"))
    ('x', 'y', None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 0 < len(data) <= 3:
        raise ValueError(
            message(
                "fit",
                f"a batch is (x, y) or (x, y, sample_weight); this one has {len(data)} parts.",
            )
        )
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def lifted(data: Any) -> Any:
    """A batch with every array as a GradArray."""
    if not isinstance(data, (tuple, list)):
        data = (data,)
    if all(isinstance(part, GradArray) for part in data):
        return data
    return tuple([tree.map(lift, arrays_as_leaves(part)) for part in data])


def arrays_as_leaves(part: Any) -> Any:
    """Lists of numbers are arrays too, not pytrees of 0-d ones."""
    if isinstance(part, (list, tuple)) and not any(hasattr(v, "shape") for v in part):
        return np.asarray(part)
    return part


def first_length(data: Any) -> int:
    """How many samples there are, by the first array."""
    first = next(iter(tree.flatten(data)[0]), None)
    return 1 if first is None or not first.shape else first.shape[0]


class Source:
    """An iterable of batches, gone through pass by pass, or so many steps at a time.

    With `steps` and `resume`, a pass goes on where the last one stopped, and begins anew at the
    end of the data. Raises ValueError for a pass without a batch, and at once for an iterator that
    would be needed more often than it can be gone through.
    """

    def __init__(
        self,
        data: Iterable[Any],
        op: str,
        steps: int | None = None,
        passes: int = 1,
        resume: bool = False,
    ) -> None:
        if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
            raise ValueError(message(op, f"a number of steps is at least 1, not {steps!r}."))
        if isinstance(data, Iterator) and passes > 1 and steps is None:
            raise ValueError(
                message(
                    op,
                    f"an iterator can be gone through once, and {passes} passes are asked for.",
                    "Give a list, ga.train.batches(...), or a number of steps per epoch.",
                )
            )
        self.data, self.op, self.steps = data, op, steps
        self._going: Iterator[Any] | None = None
        self._left = 0  # batches of the pass at hand
        self._resume = resume and steps is not None

    @property
    def total(self) -> int | None:
        """The number of batches in a pass, where it is known."""
        try:
            size: int | None = len(self.data)  # type: ignore[arg-type]
        except TypeError:
            return self.steps
        return self.steps if self.steps and (self._resume or self.steps < size) else size

    def __iter__(self) -> Iterator[Any]:
        if not self._resume or self._going is None:
            self._going = iter(self.data)
        self._left = sys.maxsize if self.steps is None else self.steps
        empty = True
        while self._left > 0:
            batch = next(self._going, _END)
            if batch is _END and self._resume:
                self._going = iter(self.data)
                batch = next(self._going, _END)
            if batch is _END:
                break
            empty = False
            self._left -= 1
            yield lifted(batch)
        if empty:
            raise ValueError(
                message(
                    self.op,
                    "there is no batch (left).",
                    "An iterator can be gone through once: give a list or ga.train.batches(...).",
                )
            )

    def ahead(self) -> Rows | None:
        """The whole batches that come next, where they are rows of arrays."""
        if not isinstance(self._going, Pass):
            return None
        rows = self._going.ahead()
        return rows._replace(count=min(rows.count, self._left))

    def skip(self, count: int) -> None:
        """Go on after so many batches of those."""
        assert isinstance(self._going, Pass)
        self._going.skip(count)
        self._left -= count


_END = object()
