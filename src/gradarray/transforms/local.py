"""First and second derivatives of elementwise ops along their own operands, from their partials.

With the operands' own directions in place of those of a walk, what an elementwise op does to
second derivatives is known from a few arrays of its own size, however many directions there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..algebra import given
from ..array import GradArray, wrap
from ..project import absorb
from .orders import closure
from .series import MISSING, UNSET, Series, Walk, factors_of, moves

BLOCK = 1 << 13  # values at once where nothing is recorded: what is computed on the way stays small


class Local(NamedTuple):
    """dy/dx_k of an elementwise op, and d^2 y/dx_k dx_j for k <= j where they are not 0."""

    slopes: dict[int, Any]
    bends: dict[tuple[int, int], Any]


class Locals:
    """The local derivatives of the elementwise nodes of one recording.

    Unless they are recorded they are kept, and what the nodes kept is let go: nothing else can
    use it.
    """

    def __init__(self, order: Sequence[Any], ends: Iterable[Any], recorded: bool) -> None:
        self.live, self.recorded = set(ends), recorded  # the nodes that depend on the arguments
        for node in order:
            if any(parent in self.live for parent in node.parents):
                self.live.add(node)
        self._known: dict[Any, Local] = {}

    def of(self, node: Any) -> Local:
        local = self._known.get(node)
        if local is None:
            local = self._local(node)
            if not self.recorded:
                self._known[node] = local
                node.saved = ()
        return local

    def _local(self, node: Any) -> Local:
        moving = [k for k, p in enumerate(node.parents) if p in self.live]
        plan, saved = node.plan, node.saved
        values: list[Any] = [MISSING] * len(node.parents)
        for k, at in plan.where_saved.items():
            values[k] = saved[at]
        y = saved[len(plan.keep)] if plan.keep_y else UNSET
        shape = self._in_blocks(node, [v for v in (*values, y) if isinstance(v, np.ndarray)])
        if shape is None:
            for k, at in plan.where_saved.items():
                values[k] = wrap(saved[at], GradArray, node.parents[k])
            y = y if y is UNSET else given.handle_on(node, y)
            return local_of(node, values, y, moving)
        whole: Any = None
        for cut in _blocks(shape):
            part = local_of(
                node,
                [v if v is MISSING else wrap(_cut(v, cut)) for v in values],
                y if y is UNSET else wrap(_cut(y, cut)),
                moving,
            )
            whole = _joined(whole, part, cut, shape)
        return whole

    def _in_blocks(self, node: Any, arrays: Sequence[np.ndarray]) -> tuple[int, ...] | None:
        """The shape to go through in blocks, None to do all at once."""
        if self.recorded or not arrays or arrays[0].size <= 2 * BLOCK:
            return None
        shape = arrays[0].shape
        contiguous = all(a.shape == shape and a.flags.c_contiguous for a in arrays)
        return shape if contiguous else None


def local_of(node: Any, values: Sequence[Any], y0: Any, moving: Sequence[int]) -> Local:
    """The local derivatives of `node` from what it kept, along the operands that are `moving`."""
    op, params = type(node), node.params or {}
    units = tuple(tuple(int(i == j) for j in range(len(moving))) for i in range(len(moving)))
    walk = Walk(closure(units), wrapped=True)
    walk.product = _beside_one
    operands = list(values)
    for i, k in enumerate(moving):
        unit = [1 if i == j else None for j in range(len(moving))]
        operands[k] = walk.seed([UNSET if values[k] is MISSING else values[k], *unit])
    y = walk.series(y0)
    y.make = walk.maker(op, operands, params, y, None)
    along = [k for k in moving if moves(op, k, operands[k])]
    factors = factors_of(op, operands, params, y, node.metas)
    slopes, bends = {}, {}
    for n, (k, (_, p)) in enumerate(zip(along, factors, strict=True)):
        slopes[k] = p.c[0] if type(p) is Series else p
        for j in along[n:]:
            bend = p.coefficient(1 + moving.index(j)) if type(p) is Series else None
            if bend is not None:
                bends[k, j] = bend
    walk.forget(walk.cut(0))
    return Local(slopes, bends)


def _beside_one(a: Any, b: Any) -> Any:
    """A product in which the number 1, the slope of an operand along itself, costs nothing."""
    if type(a) is int and a == 1:
        return b
    return a if type(b) is int and b == 1 else absorb(a, b)


# Blocks -----------------------------------------------------------------------------------------


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    size = int(np.prod(shape))
    for low in range(0, size, BLOCK):
        yield slice(low, min(low + BLOCK, size))


def _cut(v: Any, cut: slice) -> Any:
    return v.reshape(-1)[cut] if isinstance(v, np.ndarray) else v


def _joined(whole: Local | None, part: Local, cut: slice, shape: tuple[int, ...]) -> Local:
    """The blocks' arrays written into whole ones; numbers stay what they are."""
    if whole is None:
        whole = Local(
            {k: _room(v, shape) for k, v in part.slopes.items()},
            {k: _room(v, shape) for k, v in part.bends.items()},
        )
    pairs: list[tuple[Any, Any]] = [(part.slopes, whole.slopes), (part.bends, whole.bends)]
    for found, into in pairs:
        for k, v in found.items():
            if isinstance(v, GradArray) and v.ndim:
                into[k]._data.reshape(-1)[cut] = v._data
    return whole


def _room(v: Any, shape: tuple[int, ...]) -> Any:
    return wrap(np.empty(shape, v.dtype)) if isinstance(v, GradArray) and v.ndim else v
