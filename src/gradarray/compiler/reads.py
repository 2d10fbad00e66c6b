"""Reads: a record of the gate for every array that a step reads, and for what must be as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import GradArray
from .arguments import weak_of
from .gate import Record
from .gate_text import ABSENT, ANY, ITS_DATA, ITS_GRADIENT, THERE
from .native import Native
from .objects import ALIGNED, CONTIGUOUS, OWNED, WRITEABLE
from .record import Recorded, Slot

# What an array that is read, or written where it lies, must be.
READ = CONTIGUOUS | ALIGNED
WRITTEN = READ | OWNED | WRITEABLE


class Reads:
    """The records of what a step reads, and of what else must be as it was."""

    def __init__(self, recorded: Recorded, native: Native, leaves: Sequence[Any]) -> None:
        self.recorded, self.native, self.leaves = recorded, native, leaves
        self.records: list[Record] = []
        self.argument: dict[int, str] = {}
        self.given: list[str] = []  # what the gate is called with

    def passed(self, name: str) -> int:
        if name not in self.given:
            self.given.append(name)
        return self.given.index(name)

    def read(self) -> None:
        """A record for every array that is read, and for what else must be as it was."""
        written = set(self.native.places.values())
        buffers = self.native.lowering.inputs
        gradients = {
            (id(slot.handle), slot.argument): THERE if had else ABSENT
            for slot, had in self.recorded.gradients
        }
        needs = {id(handle): need for handle, _, _, need in self.recorded.outside}
        known = set()
        for k, (slot, value) in enumerate(self.recorded.reads):
            if self._is_elsewhere(slot):
                continue
            record = self.record(slot)
            record.index = buffers[k].index
            self._form(record, value.shape, value.dtype, value.weak)
            if k in written:
                record.flags, record.references, record.scalar = WRITTEN, 1, None
            if not slot.gradient:
                record.gradient = gradients.pop((id(slot.handle), slot.argument), ANY)
            if slot.handle is not None and not slot.gradient:
                record.node = THERE if needs.pop(id(slot.handle)) else ABSENT
            known.add((id(slot.handle), slot.argument, slot.gradient))
            self.records.append(record)
        for k in self.argument:
            if (id(None), k, False) not in known and k not in self.recorded.same:
                record = self.record(Slot(None, k, False))
                leaf = self.leaves[k]
                weak = weak_of(leaf)
                self._form(record, np.shape(leaf) if weak else leaf.shape,
                           np.dtype(weak) if weak else leaf.dtype, weak)  # fmt: skip
                record.gradient = gradients.pop((id(None), k), ANY)
                self.records.append(record)
        for handle, shape, dtype, need in self.recorded.outside:
            if id(handle) in needs:
                record = self.record(Slot(handle, -1, False))
                self._form(record, shape, dtype, None)
                record.node = THERE if need else ABSENT
                record.gradient = gradients.pop((id(handle), -1), ANY)
                self.records.append(record)
        for slot, had in self.recorded.gradients:
            if (id(slot.handle), slot.argument) in gradients and not self._is_elsewhere(slot):
                record = self.record(Slot(slot.handle, slot.argument, False))
                record.gradient = THERE if had else ABSENT
                self.records.append(record)

    def _form(self, record: Record, shape: Any, dtype: np.dtype, weak: type | None) -> None:
        if record.index is None:
            record.index = self.native.unused
        record.shape, record.flags = shape, READ
        record.dtype = None if weak else plain(dtype)
        if not shape:
            record.scalar = weak or dtype.type

    def _is_elsewhere(self, slot: Slot) -> bool:
        """Is this an argument that is not among those given to the gate?"""
        return slot.handle is None and slot.argument not in self.argument

    def record(self, slot: Slot) -> Record:
        """Where it is found."""
        through = ITS_GRADIENT if slot.gradient else ITS_DATA
        if slot.handle is not None:
            return Record(None, holder=slot.handle, through=through)
        leaf = self.leaves[slot.argument]
        at = self.passed(self.argument[slot.argument])
        if not isinstance(leaf, GradArray):
            return Record(None, at)
        node = THERE if leaf._node is not None else ABSENT
        return Record(None, at, through=through, type=type(leaf), node=node)


def plain(dtype: np.dtype) -> np.dtype:
    """The dtype without metadata: one object for each type, which the gate compares."""
    return np.dtype(dtype.type)
