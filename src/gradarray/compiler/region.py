"""A region: steps of a split that go on together, for tiles of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .group import body_of
from .loops import Var
from .memory import Memory, View
from .merge import merged
from .program import Program, Step
from .rules.points import leave
from .split import Split
from .split_loops import without_sums
from .tile import Slab, Tile


class Region:
    """The steps of a region, to be lowered for tiles of any size."""

    def __init__(
        self, program: Program, memory: Memory, split: Split, steps: list[Step],
        views: dict[Abstract, View], escaping: dict[Abstract, View],
    ) -> None:  # fmt: skip
        self.program, self.memory, self.split, self.steps = program, memory, split, steps
        self.views, self.escaping = views, escaping

    def tile(
        self, size: int, start: int, turns: tuple[tuple[Var, int], ...], sums: dict[Abstract, View]
    ) -> list[Any]:
        """The statements of one tile: samples from start + the sum of turn * count on."""
        split = self.split
        targets, added = {}, {}
        for v, view in sums.items():
            terms = list(split.terms(v))
            targets.update((x, turned(view, a)) for x, a in terms)
            added.update((x, len(terms)) for x, _ in terms)
        kind = Slab if split.slabs else Tile
        low = kind(self.program, self.memory, split, size, targets)
        low.added = added
        twins: dict[Abstract, Abstract] = {}

        def part(view: View, axis: int) -> View:
            """The tile's part of something that holds all samples."""
            stride = view.strides[axis]
            shape = tuple(size if a == axis else n for a, n in enumerate(view.shape))
            outer = view.outer
            if stride:
                moves = [(turn, count * stride) for turn, count in turns if turn.extent > 1]
                outer = (*outer, *moves)
            return replace(view, offset=view.offset + start * stride, shape=shape, outer=outer)

        def twin(x: Any, made: bool) -> Any:
            """The value of the tile that stands for x; whole ones stand for themselves."""
            if type(x) is not Abstract:
                return x
            known = twins.get(x)
            if known is not None:
                return known
            axis = split.axis.get(x)
            if axis is None:
                if not made and x not in low.views:
                    low.define(x, self.views[x], 0)
                twins[x] = x
                return x
            shape = tuple(size if a == axis else n for a, n in enumerate(x.shape))
            new = twins[x] = Abstract(x.trace, shape, x.dtype, weak=x.weak)
            low.axis[new] = axis
            if not made:
                low.define(new, part(self.views[x], axis), 0)
            return new

        def whole(x: Abstract) -> Abstract:
            """A value that a step reads whole, whatever others read of it."""
            if x not in low.views:
                low.define(x, self.views[x], 0)
            return x

        def copied(step: Step, made: bool) -> Step:
            """The step on values of the tile; `made` if its operands are."""
            at_once = split.whole.get(step, set())
            if step.programs():
                step, sums = without_sums(step, split)
                for total, terms in sums.items():
                    low.targets.update((x, turned(low.targets[total], a)) for x, a in terms)
                    if total in low.apart:
                        kept = low.apart[total]
                        low.apart.update((x, turned(kept, a, 1)) for x, a in terms)
            operands = tuple([
                whole(x) if type(x) is Abstract and x in at_once else twin(x, made)
                for x in step.operands
            ])  # fmt: skip
            copy = Step(step.op, operands, step.params, step.line)
            copy.several = step.several
            copy.values = tuple([twin(v, True) for v in step.values])
            if step.programs():
                copy.params = {**step.params, "body": inside(step.params["body"])}
            return copy

        def inside(body: Program) -> Program:
            steps = [copied(step, True) for step in body.steps]
            ends = ([twin(v, True) for v in part] for part in (body.inputs, body.outputs))
            return Program(next(ends), steps, next(ends), body.constants)

        for step in self.steps:
            if step.values[0] not in split.joins:
                kept = low.keep_apart(step)
                low.run(copied(step, False))
                for total in kept:
                    low.add_up(total)
        turns_of = {s.values[0]: s for s in self.steps if s.op is TransposeGrad}
        for v, view in self.escaping.items():
            to = part(view, split.axis[v])
            while v in turns_of and turns_of[v].inputs[0] in split.axis:
                order = [a % v.ndim for a in turns_of[v].params["axes"]]
                v, to = turns_of[v].inputs[0], turned(to, tuple(map(order.index, range(v.ndim))))
            leave(low, twins[v], to)
        return merged(body_of(low.items))


def turned(view: View, axes: tuple[int, ...], first: int = 0) -> View:
    """The same memory with its axes in this order, those from `first` on."""
    order = (*range(first), *[first + a for a in axes])
    shape, strides = (tuple([part[a] for a in order]) for part in (view.shape, view.strides))
    return replace(view, shape=shape, strides=strides)
