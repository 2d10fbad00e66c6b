"""Cost: what the statements of a step do, counted: operations, and bytes that are touched."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import expr, loops
from .machine import host

CLOCK = 3e9  # vectors a second, about: for choices that need no more than an order of magnitude
STREAM = 1e10  # bytes a second
CALL = 3e-7  # seconds that a call of LAPACK takes at least, for small matrices


@dataclass
class Cost:
    """Operations on numbers (a multiply-add is two), bytes read and written, and seconds, about."""

    operations: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.operations + other.operations, self.bytes + other.bytes,
            self.seconds + other.seconds,
        )  # fmt: skip

    def times(self, n: int) -> Cost:
        return Cost(self.operations * n, self.bytes * n, self.seconds * n)


def cost_of(statements: Iterable[Any]) -> Cost:
    """The sum over statements, loops counted by their turns."""
    total = Cost()
    for s in statements:
        if isinstance(s, loops.Loop):
            total += cost_of(s.body).times(s.var.extent)
        elif isinstance(s, loops.While):  # as if it went on to its limit
            total += cost_of([*s.test, *s.body]).times(s.var.extent)
        elif isinstance(s, loops.Branch):
            total += max(map(cost_of, s.bodies), key=lambda cost: cost.seconds)
        else:
            total += _one(s)
    return total


def _one(s: Any) -> Cost:
    operations = instructions = 0
    if isinstance(s, loops.Nest):
        points = math.prod(v.extent for v in s.axes)
        roots = [x.value for x in (*s.stores, *s.sums)]
        each = [x for x in expr.topological(roots) if x.op not in ("leaf", "const")]
        operations = points * (len(each) + len(s.sums))
        width = max([x.dtype.itemsize for x in each if x.dtype != expr.BOOL], default=8)
        instructions = operations / host().lanes(width)
    elif isinstance(s, (loops.Contract, loops.Gemm)):
        several = len(s.pairs) * s.depth if isinstance(s, loops.Contract) else 1
        operations = 2 * s.rows * s.inner * s.columns * several
        instructions = operations / (2 * host().lanes(s.c.buffer.dtype.itemsize))
    elif isinstance(s, loops.Routine):
        operations = int(s.operations)
        instructions = CALL * CLOCK + operations / 2
    elif isinstance(s, loops.Sort):
        operations = s.size * s.keys.buffer.dtype.itemsize * 10
        instructions = operations
    elif isinstance(s, loops.Search):
        operations = s.count * max(s.size, 1).bit_length() * 4
        instructions = operations
    touched = sum(_bytes(s, access) for access, _ in loops.accesses(s))
    return Cost(operations, touched, max(instructions / CLOCK, touched / STREAM))


def _bytes(s: Any, access: loops.Access) -> int:
    """Of the elements that a statement touches, each counted once."""
    itemsize = access.buffer.dtype.itemsize
    if isinstance(s, loops.Nest):
        count = math.prod(v.extent for v, stride in access.strides if stride and v in s.axes)
    elif isinstance(s, (loops.Contract, loops.Gemm)):
        pairs = s.pairs if isinstance(s, loops.Contract) else ((s.a, s.b),)
        first = any(access is a for a, _ in pairs)
        sizes = (s.rows, s.columns) if access is s.c else (s.inner, s.columns)
        count = math.prod((s.rows, s.inner) if first else sizes)
        count *= s.depth if isinstance(s, loops.Contract) else 1
    elif isinstance(s, loops.Turn):
        count = s.rows * s.columns
    elif isinstance(s, loops.Fill):
        count = s.buffer.size
    elif isinstance(s, loops.Routine):
        count = next(one.size for one in s.stretches if one.at is access)
    elif isinstance(s, loops.Sort):
        count = s.size
    elif isinstance(s, loops.Search):
        count = s.size if access is s.sorted else s.count
    elif isinstance(s, loops.Check):
        count = s.size if access is s.of else 1
    else:
        count = 1
    return count * itemsize
