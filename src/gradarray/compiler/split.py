"""Split: which axis of which value counts the samples.

Most of a training step treats each sample alone, and what joins them are sums. This analysis
finds the axis: it starts at an input whose first axis has a length n, and says for every step
whether its result has an axis of samples, is a sum over them, or needs all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..algebra import Elementwise
from ..ops.arithmetic import AddGrad
from ..ops.shape import TransposeGrad
from .abstract import Abstract, shape_of
from .program import Program, Step
from .taken import InRange

SHORTEST = 16  # samples that are worth lanes
HEAVY = 1_000_000  # multiplications of one sample that are worth a tile of few
LEAST = 50_000  # multiplications in products that are worth tiles

Term = tuple[Abstract, tuple[int, ...]]


@dataclass(eq=False)
class Split:
    """n samples: the axis that counts them in each value, and the steps that take them singly."""

    n: int
    axis: dict[Abstract, int] = field(default_factory=dict)
    sums: set[Abstract] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    cut: set[Abstract] = field(default_factory=set)  # there before, read tile by tile
    # What a step reads whole, though other steps may read it tile by tile.
    whole: dict[Step, set[Abstract]] = field(default_factory=dict)
    work: int = 0  # multiplications in products whose lanes can be samples
    products: int = 0  # and in all products
    planes: bool = False  # are there planes, whose lanes are samples?
    readers: dict[Abstract, int] = field(default_factory=dict)  # how often a value is read
    joins: dict[Abstract, Step] = field(default_factory=dict)  # sums that are made of sums

    @property
    def largest(self) -> int:
        """The bytes of one sample of the largest value."""
        return max(v.nbytes for v in self.axis) // self.n

    @property
    def slabs(self) -> bool:
        """Are lanes along other axes better, in tiles of a few large samples?"""
        heavy = self.products >= self.n * HEAVY
        return heavy and 2 * self.work < self.products and not self.planes

    @property
    def worth(self) -> int:
        """The multiplications that tiles gain by."""
        return self.products if self.slabs else self.work

    def terms(self, total: Abstract, axes: tuple[int, ...] | None = None) -> Iterator[Term]:
        """The sums over samples that a sum is made of, and the order of its axes in each."""
        step = self.joins.get(total)
        if axes is None:
            axes = tuple(range(total.ndim))
        if step is None:
            yield total, axes
        elif step.op is TransposeGrad:
            x, turned = step.operands[0], [a % total.ndim for a in step.params["axes"]]
            yield from self.terms(x, tuple([axes[turned.index(a)] for a in range(x.ndim)]))
        else:
            for x in step.operands:
                yield from self.terms(x, axes)


class Together(Exception):
    """A step that needs all samples at once."""


# How ops that are not elementwise pass samples on; `split_rules` and `split_loops` fill it.
RULES: dict[Any, Callable[[Split, Step], None]] = {}


def splits_of(program: Program, without: set[Step]) -> list[Split]:
    """The splits of a program, the one with most work first; no step is in two."""
    found: list[Split] = []
    taken = set(without)
    data = [v for v in (*program.inputs, *program.constants) if v not in program.states]
    # Where there are loops, the first axis may count their steps, and the second the samples.
    axes = (0, 1) if any(step.programs() for step in program.steps) else (0,)
    seeds = [(v, a) for v in data for a in axes if v.ndim > a and v.shape[a] >= SHORTEST]
    while seeds:
        tried = [_analysed(program, seed, axis, taken) for seed, axis in seeds]
        best = max(tried, key=lambda split: (split.worth, len(split.steps)))
        if best.worth < LEAST:
            break
        found.append(best)
        taken.update(best.steps)
        seeds = [(v, a) for v, a in seeds if v not in best.axis]
    return found


def _analysed(program: Program, seed: Abstract, axis: int, taken: set[Step]) -> Split:
    """What follows if this axis of an input counts samples."""
    split = Split(seed.shape[axis], readers=program.readers())
    sliced(split, seed, axis - seed.ndim)
    heavy: set[Abstract] = set()  # what is made by products, or from it
    for step in program.steps:
        if step in taken or not any(x in split.axis or x in split.sums for x in step.inputs):
            continue
        if step.op is InRange and any(x in heavy for x in step.inputs):
            continue
        products, before = split.products, set(split.cut)
        try:
            passed(split, step)
        except Together:
            for x in split.cut - before:
                del split.axis[x]
            split.cut = before
            continue
        split.steps.append(step)
        split.whole[step] = {
            x for x in step.inputs if x not in split.axis and x not in split.sums
        }
        if split.products > products or any(x in heavy for x in step.inputs):
            heavy.update(step.values)
    early = _early(program, split, heavy)
    split.steps = [step for step in split.steps if step not in early]
    return split


def _early(program: Program, split: Split, heavy: set[Abstract]) -> set[Step]:
    """Sums of a few operations (how many labels count) that other samples' tiles wait for, and
    indices, which are looked at as a whole.

    Taken before all tiles, with what they need, they spare a second walk over the samples.
    """
    awaited = {x for step in split.steps if step.values[0] not in split.joins for x in step.inputs}
    for step in reversed(program.steps):
        if any(v in awaited for v in step.values):
            awaited.update(step.inputs)
    sums = {v for v in split.sums if v in awaited and v not in heavy}
    sums.update(step.values[0] for step in split.steps if step.op is InRange)
    found: set[Step] = set()
    for step in reversed(split.steps):
        if any(v in sums for v in step.values):
            found.add(step)
            sums.update(step.inputs)
    return found


def passed(split: Split, step: Step) -> None:
    """Find the axis of the step's results."""
    op = step.op
    if any(x in split.sums for x in step.inputs):
        _join_sums(split, step)
        return
    if issubclass(op, Elementwise) and not step.several:
        axis = _broadcast_axis(split, step.operands, step.values[0])
        split.axis[step.values[0]] = axis
        return
    rule = RULES.get(op)
    if rule is None:
        raise Together
    rule(split, step)


def _join_sums(split: Split, step: Step) -> None:
    """Sums over samples, added up or turned over, are one such sum: all add to its memory."""
    y = step.values[0]
    if not all(type(x) is Abstract and x in split.sums for x in step.operands):
        raise Together
    if any(split.readers[x] != 1 or x.dtype != y.dtype for x in step.operands):
        raise Together
    if step.op is AddGrad:
        if any(x.shape != y.shape for x in step.operands):
            raise Together
    elif step.op is not TransposeGrad or y.ndim != 2:
        raise Together
    split.sums.add(y)
    split.joins[y] = step


def _broadcast_axis(split: Split, operands: tuple[Any, ...], y: Abstract) -> int:
    """The axis of samples of the result, on which all operands agree."""
    found: int | None = None
    for x in operands:
        if x in split.axis if type(x) is Abstract else False:
            axis = split.axis[x] - x.ndim
            if found is not None and axis != found:
                raise Together
            found = axis
    assert found is not None
    for x in operands:
        shape = shape_of(x)
        known = type(x) is Abstract and x in split.axis
        if not known and len(shape) >= -found and shape[found] != 1:
            sliced(split, x, found)
    return found + y.ndim


def sliced(split: Split, x: Any, axis: int) -> None:
    """Something with an axis of samples that is not made of them is read tile by tile."""
    if type(x) is not Abstract or x in split.sums:
        raise Together
    split.axis[x] = axis + x.ndim
    split.cut.add(x)
