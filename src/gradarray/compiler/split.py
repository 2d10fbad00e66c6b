"""Split: which axis of which value counts the samples.

Most of a training step treats each sample alone, and what joins them are sums. This analysis
finds the axis: it starts at an input whose first axis has a length n, and says for every step
whether its result has an axis of samples, is a sum over them, or needs all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..ops.arithmetic import AddGrad
from ..ops.avgpool import WindowSpreadGrad, WindowSumGrad
from ..ops.complex import ConjGrad, RealGrad
from ..ops.contract import MatMulGrad
from ..ops.control import AliasGrad
from ..ops.conv import ConvGrad, ConvTransposeGrad, ConvWeightGrad
from ..ops.determinant import DetGrad, SlogdetGrad
from ..ops.eigen import EighGrad, EigvalshGrad
from ..ops.einsum import ContractGrad
from ..ops.factor import CholeskyGrad, QRGrad
from ..ops.indexing import IndexGrad, PlaceGrad
from ..ops.join import ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad
from ..ops.linsolve import InvGrad, SolveGrad, SolveTriangularGrad
from ..ops.reduce import MaxGrad, MinGrad, SumGrad
from ..ops.shape import AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from ..ops.singular import SVDGrad, SvdvalsGrad
from ..ops.unfold import FoldGrad, UnfoldGrad
from .abstract import Abstract
from .program import Program, Step
from .taken import AddedUp, InRange, Taken
from .taps import MaxTap, TapGather, TapPlaces, TapScatter

SHORTEST = 16  # samples that are worth lanes
FULL = 64  # samples that fill a block of registers by themselves
HEAVY = 1_000_000  # multiplications of one sample that are worth a tile of few
LEAST = 50_000  # multiplications in products that are worth tiles
LARGE = 1 << 19  # bytes of a sum over samples that do not stay near from tile to tile

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
        shape = np.shape(x) if type(x) is not Abstract else x.shape
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


def _same(split: Split, step: Step) -> None:
    split.axis[step.values[0]] = split.axis[step.operands[0]]


def _transpose(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    order = [a % x.ndim for a in step.params["axes"]]
    split.axis[y] = order.index(split.axis[x])


def _expand_dims(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    new = {a % y.ndim for a in step.params["axis"]}
    kept = [a for a in range(y.ndim) if a not in new]
    split.axis[y] = kept[split.axis[x]]


def _broadcast(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    split.axis[y] = split.axis[x] + y.ndim - x.ndim


def _reshape(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    axis = split.axis[x]
    before = math.prod(x.shape[:axis])
    at = 1
    for a, n in enumerate(y.shape):
        if at == before and n == split.n:
            split.axis[y] = a
            return
        at *= n
    raise Together


def _index(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    index = step.params["index"]
    axis = split.axis[x]
    lead = x.ndim - sum(1 for i in index if i is not None)
    if axis < lead:
        split.axis[y] = axis
        return
    at, out = lead, lead
    for i in index:
        if i is None:
            out += 1
            continue
        if at == axis:
            if not isinstance(i, slice) or i.indices(split.n) != (0, split.n, 1):
                raise Together
            split.axis[y] = out
            return
        at += 1
        out += isinstance(i, slice)
    raise Together


def _place(split: Split, step: Step) -> None:
    """The opposite of an index: the axis of the result that the samples' axis is put at."""
    x, y = step.operands[0], step.values[0]
    index = step.params["index"]
    axis = split.axis[x]
    lead = y.ndim - sum(1 for i in index if i is not None)
    if axis < lead:
        split.axis[y] = axis
        return
    at, out = lead, lead  # axes of x, of y
    for i in index:
        if i is None:
            if at == axis:
                raise Together
            at += 1
            continue
        if isinstance(i, slice):
            if at == axis:
                if i.indices(split.n) != (0, split.n, 1) or y.shape[out] != split.n:
                    raise Together
                split.axis[y] = out
                return
            at += 1
        out += 1
    raise Together


def _join(split: Split, step: Step) -> None:
    y = step.values[0]
    new = step.op is StackGrad
    axis = step.params["axis"] % y.ndim
    places = {split.axis[x] for x in step.inputs if x in split.axis}
    if len(places) != 1:
        raise Together
    (place,) = places
    if not new and axis == place:
        raise Together
    for x in step.operands:
        if type(x) is not Abstract or x not in split.axis:
            if type(x) is not Abstract:
                raise Together
            sliced(split, x, place - x.ndim)
    split.axis[y] = place + (new and axis <= place)


def _part(split: Split, step: Step) -> None:
    x = step.operands[0]
    place = split.axis[x]
    axis = step.params["axis"] % x.ndim
    if axis == place:
        raise Together
    gone = step.op is UnstackGrad and axis < place
    for y in step.values:
        split.axis[y] = place - gone


def _reduction(split: Split, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    axes = {a % x.ndim for a in step.params["axis"]}
    place = split.axis[x]
    if place in axes:
        if step.op is not SumGrad:
            raise Together
        split.sums.add(y)
        return
    if step.params["keepdims"]:
        split.axis[y] = place
    else:
        split.axis[y] = place - sum(1 for a in axes if a < place)


def _matmul(split: Split, step: Step) -> None:
    a, b = step.operands
    n = step.values[0].ndim - 2
    labels = [*range(n)]
    la = (*labels[n - _ndim(a) + 2 :], "i", "k")
    lb = (*labels[n - _ndim(b) + 2 :], "k", "j")
    _product(split, step, la, lb, (*labels, "i", "j"))


def _contract(split: Split, step: Step) -> None:
    p = step.params
    _product(split, step, p["la"], p["lb"], p["ly"])


def _ndim(x: Any) -> int:
    return x.ndim if type(x) is Abstract else np.ndim(x)


def _product(split: Split, step: Step, la: Any, lb: Any, ly: Any) -> None:
    y = step.values[0]
    found = {
        labels[split.axis[x]]
        for x, labels in zip(step.operands, (la, lb))
        if type(x) is Abstract and x in split.axis
    }
    if len(found) != 1:
        raise Together
    (label,) = found
    if label not in ly and y.nbytes >= LARGE:
        raise Together  # better one product of all samples than to add up for each tile
    for x, labels in zip(step.operands, (la, lb)):
        if type(x) is Abstract and x in split.axis:
            continue
        if label in labels:
            shape = np.shape(x) if type(x) is not Abstract else x.shape
            if shape[labels.index(label)] != 1:
                sliced(split, x, labels.index(label) - len(labels))
    sizes = {}
    for x, labels in zip(step.operands, (la, lb)):
        shape = np.shape(x) if type(x) is not Abstract else x.shape
        for k, n in zip(labels, shape):
            sizes[k] = max(sizes.get(k, 1), n)
    # In blocks of registers if the samples alone are the rows, the columns, or what is summed,
    # and there is one product: only then are lanes of samples a gain. Other axes beside theirs are
    # turns of a loop, each with the lanes of samples.
    sides = {k: (k in la, k in lb, k in ly) for k, n in sizes.items() if n > 1}
    alike = [k for k in sides if sides[k] == sides[label]]
    alone = alike == [label] or (label in alike and split.n >= FULL)
    if alone and (True, True, True) not in sides.values():
        split.work += math.prod(sizes.values())
    split.products += math.prod(sizes.values())
    if label in ly:
        split.axis[y] = ly.index(label)
    else:
        split.sums.add(y)


def _taken(split: Split, step: Step) -> None:
    table, index = step.operands
    if type(table) is Abstract and table in split.axis:
        raise Together
    split.axis[step.values[0]] = split.axis[index]


def _added_up(split: Split, step: Step) -> None:
    x, index = step.operands
    if x in split.axis and split.axis[x] == x.ndim - 1:
        raise Together
    place = split.axis.get(x, split.axis.get(index)) if type(index) is Abstract else None
    for v in (x, index):
        if v not in split.axis:
            sliced(split, v, (place or 0) - _ndim(v))
    if place is None or split.axis[x] != split.axis[index]:
        raise Together
    split.sums.add(step.values[0])


def _planes(split: Split, step: Step) -> None:
    """What goes plane by plane, (N, C, ..), keeps both axes."""
    split.planes = True
    found = {split.axis[x] for x in step.inputs if x in split.axis}
    if len(found) != 1 or max(found) > 1:
        raise Together
    (axis,) = found
    for x in step.operands:
        if type(x) is not Abstract or x not in split.axis:
            sliced(split, x, axis - _ndim(x))
    split.axis[step.values[0]] = axis


def _convolution(split: Split, step: Step) -> None:
    """Samples are the first axis of arrays, and none of the kernel."""
    split.planes = True
    x, second = step.operands
    sums = step.op is ConvWeightGrad
    for v in (x, second) if sums else (x,):
        if v not in split.axis:
            sliced(split, v, -_ndim(v))
        if split.axis[v]:
            raise Together
    y = step.values[0]
    w = y if sums else second
    if not sums and type(w) is Abstract and w in split.axis:
        raise Together
    planes = min(_plane(x), _plane(second if sums else y))
    split.work += split.n * planes * math.prod(w.shape)
    split.products += split.n * planes * math.prod(w.shape)
    if sums:
        split.sums.add(y)
    else:
        split.axis[y] = 0


def _plane(x: Any) -> int:
    return math.prod(np.shape(x)[2:] if type(x) is not Abstract else x.shape[2:])


def _stacked(split: Split, step: Step) -> None:
    """Linear algebra takes each matrix of a stack by itself; axes of samples come before them."""
    found = {split.axis[x] - x.ndim for x in step.inputs if x in split.axis}
    if len(found) != 1 or max(found) >= -2:
        raise Together
    (axis,) = found
    for x in step.operands:
        known = type(x) is Abstract and x in split.axis
        if not known and _ndim(x) >= -axis and np.shape(x)[axis] != 1:
            sliced(split, x, axis)
    lead = axis + max(_ndim(x) for x in step.operands)
    for y in step.values:
        split.axis[y] = lead


RULES: dict[Any, Any] = {
    ConvGrad: _convolution, ConvTransposeGrad: _convolution, ConvWeightGrad: _convolution,
    UnfoldGrad: _planes, FoldGrad: _planes, WindowSumGrad: _planes, WindowSpreadGrad: _planes,
    MaxTap: _planes, TapPlaces: _planes, TapGather: _planes, TapScatter: _planes,
    Taken: _taken, AddedUp: _added_up, InRange: _same,
    AliasGrad: _same, RealGrad: _same, ConjGrad: _same, AsTypeGrad: _same,
    TransposeGrad: _transpose, ExpandDimsGrad: _expand_dims, BroadcastToGrad: _broadcast,
    ReshapeGrad: _reshape, IndexGrad: _index, PlaceGrad: _place,
    ConcatenateGrad: _join, StackGrad: _join, SplitGrad: _part, UnstackGrad: _part,
    SumGrad: _reduction, MaxGrad: _reduction, MinGrad: _reduction,
    MatMulGrad: _matmul, ContractGrad: _contract,
    SolveGrad: _stacked, InvGrad: _stacked, SolveTriangularGrad: _stacked, DetGrad: _stacked,
    SlogdetGrad: _stacked, CholeskyGrad: _stacked, QRGrad: _stacked, EighGrad: _stacked,
    EigvalshGrad: _stacked, SVDGrad: _stacked, SvdvalsGrad: _stacked,
}  # fmt: skip
