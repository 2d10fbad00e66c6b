"""Memory: views, which say where values lie, and the buffers of a program beside its arena."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .abstract import Abstract
from .loops import Access, Buffer, Var
from .watch import Doubt, Failure, Indices, Watch


@dataclass(frozen=True)
class View:
    """Where the values of an array lie."""

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    outer: tuple[tuple[Var, int], ...] = ()  # how the place moves with loops around

    def broadcast(self, shape: tuple[int, ...]) -> View:
        extra = len(shape) - len(self.shape)
        strides = [
            0 if have == 1 and want != 1 else s
            for have, want, s in zip(self.shape, shape[extra:], self.strides)
        ]
        return replace(self, shape=shape, strides=(*[0] * extra, *strides))

    @property
    def contiguous(self) -> bool:
        return all(n == 1 or s == t for n, s, t in zip(
            self.shape, self.strides, contiguous(self.shape)))  # fmt: skip

    @property
    def start(self) -> Access:
        """Where it begins."""
        return self.access(())

    def access(self, axes: Sequence[Var]) -> Access:
        pairs = tuple((v, s) for v, s in zip(axes, self.strides) if s and v.extent > 1)
        return Access(self.buffer, self.offset, pairs + self.outer)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, size = [], 1
    for n in reversed(shape):
        strides.append(size)
        size *= n
    return tuple(strides[::-1])


def turned_over(v: Abstract) -> View:
    """Memory for a matrix with its columns side by side."""
    return View(Buffer(v.size, v.dtype), 0, v.shape, (1, v.shape[0]))


class Memory:
    """The buffers that a lowering makes, beside those in the arena."""

    def __init__(self) -> None:
        self.inputs: list[Buffer] = []
        self.constants: list[Buffer] = []
        self.host_reasons: dict[str, str] = {}
        self.status: Buffer | None = None  # where a loop that was not finished says so
        self.watched: list[Watch] = []
        self.turned: set[Abstract] = set()  # matrices that are only read turned over

    def unfinished(self) -> Access:
        """Where a loop writes its limit if it would have gone on."""
        if self.status is None:
            self.status = self.constant(np.zeros(1, np.int64)).buffer
        return Access(self.status)

    def watch(self, count: int, op: str) -> Buffer:
        """Where the least and the greatest index that an op is given for a length are kept."""
        return self._watched(lambda cells: Indices(cells, op, count), Indices.fresh)

    def alarm(self, op: str) -> Access:
        """Where it is noted that an operation on a matrix failed."""
        return Access(self._watched(lambda cells: Failure(cells, op)))

    def doubt(self) -> Access:
        """Where it is noted that what was computed is not to be trusted."""
        return Access(self._watched(lambda cells: Doubt(cells, "")))

    def _watched(
        self, kind: Callable[[Buffer], Watch], fresh: tuple[int, ...] = Watch.fresh
    ) -> Buffer:
        buffer = self.constant(np.array(fresh, np.int64)).buffer
        self.watched.append(kind(buffer))
        return buffer

    def given(self, v: Abstract) -> View:
        buffer = Buffer(v.size, v.dtype, "given", index=len(self.inputs))
        self.inputs.append(buffer)
        return View(buffer, 0, v.shape, contiguous(v.shape))

    def constant(self, data: np.ndarray) -> View:
        shape = np.shape(data)
        data = np.ascontiguousarray(data)  # of one axis at least
        buffer = Buffer(data.size, data.dtype, "constant", data=data)
        self.constants.append(buffer)
        return View(buffer, 0, shape, contiguous(shape))
