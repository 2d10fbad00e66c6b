"""Split, op by op: where the axis of samples of the operands is in the results."""

from __future__ import annotations

import math
from typing import Any

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
from .abstract import Abstract, shape_of
from .program import Step
from .split import RULES, Split, Together, sliced
from .taken import AddedUp, InRange, Taken
from .taps import MaxTap, TapGather, TapPlaces, TapScatter

FULL = 64  # samples that fill a block of registers by themselves
LARGE = 1 << 19  # bytes of a sum over samples that do not stay near from tile to tile


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
    return len(shape_of(x))


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
            shape = shape_of(x)
            if shape[labels.index(label)] != 1:
                sliced(split, x, labels.index(label) - len(labels))
    sizes = {}
    for x, labels in zip(step.operands, (la, lb)):
        shape = shape_of(x)
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
    return math.prod(shape_of(x)[2:])


def _stacked(split: Split, step: Step) -> None:
    """Linear algebra takes each matrix of a stack by itself; axes of samples come before them."""
    found = {split.axis[x] - x.ndim for x in step.inputs if x in split.axis}
    if len(found) != 1 or max(found) >= -2:
        raise Together
    (axis,) = found
    for x in step.operands:
        known = type(x) is Abstract and x in split.axis
        if not known and _ndim(x) >= -axis and shape_of(x)[axis] != 1:
            sliced(split, x, axis)
    lead = axis + max(_ndim(x) for x in step.operands)
    for y in step.values:
        split.axis[y] = lead


RULES.update({
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
})  # fmt: skip
