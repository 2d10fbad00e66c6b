"""Rules: how ops that are not elementwise become loops, one entry per op."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ops.arithmetic import AbsorbGrad
from ..ops.complex import ConjGrad, RealGrad
from ..ops.contract import MatMulGrad
from ..ops.control import AliasGrad
from ..ops.einsum import ContractGrad
from ..ops.indexing import IndexGrad, PlaceGrad
from ..ops.join import ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad
from ..ops.reduce import AllGrad, AnyGrad, MaxGrad, MinGrad, SumGrad
from ..ops.scan import ProdGrad
from ..ops.shape import AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .expr import leaf, make
from .loops import Access, Buffer, Contract, Fill, Gemm, Loop, Nest, Store, Sum, Turn, Var
from .lower import SMALL, Lowering, View, contiguous, rule
from .machine import host
from .program import Step
from .scalar import Unsupported

# The same data under other strides ----------------------------------------------------------------


def _seen(low: Lowering, step: Step, view: View) -> None:
    """The result is a view of the operand's memory."""
    low.define(step.values[0], view, low.when(step.operands[0]))


@rule(AliasGrad, RealGrad, ConjGrad)
def _same(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    if x.dtype.kind == "c":
        return NotImplemented
    low.elementwise([x], y, lambda x: x)
    return None


@rule(AsTypeGrad)
def _astype(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    low.elementwise([x], y, lambda x: x.astype(y.dtype))


@rule(TransposeGrad)
def _transpose(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    order = [a % len(v.shape) for a in step.params["axes"]]
    shape, strides = (tuple(s[a] for a in order) for s in (v.shape, v.strides))
    _seen(low, step, replace(v, shape=shape, strides=strides))


@rule(ExpandDimsGrad)
def _expand_dims(low: Lowering, step: Step) -> None:
    v, y = low.memory(step.operands[0]), step.values[0]
    new = {a % y.ndim for a in step.params["axis"]}
    old = iter(v.strides)
    strides = tuple(0 if a in new else next(old) for a in range(y.ndim))
    _seen(low, step, replace(v, shape=y.shape, strides=strides))


@rule(BroadcastToGrad)
def _broadcast(low: Lowering, step: Step) -> None:
    _seen(low, step, low.memory(step.operands[0]).broadcast(step.values[0].shape))


@rule(ReshapeGrad)
def _reshape(low: Lowering, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    view = reshaped(low.memory(x), y.shape)
    if view is None:
        view = reshaped(low._copied(x), y.shape)
        assert view is not None
        low.define(y, view, len(low.items))
    else:
        _seen(low, step, view)


def reshaped(v: View, shape: tuple[int, ...]) -> View | None:
    """The view in another shape, if strides can say it."""
    if math.prod(shape) == 0 or v.contiguous:
        return replace(v, shape=shape, strides=contiguous(shape))
    old = [(n, s) for n, s in zip(v.shape, v.strides) if n != 1]
    strides: list[int] = []
    at = 0
    k = 0
    shape_left = list(shape)
    while k < len(shape_left):
        n = shape_left[k]
        if n == 1:
            strides.append(0)
            k += 1
            continue
        # Take as many old axes as are needed for some of the new ones.
        first, have, start = k, 1, at
        want = 1
        while True:
            if have < want or (have == 1 and start == at):
                if at == len(old):
                    return None
                have *= old[at][0]
                at += 1
            if want < have:
                want *= shape_left[k]
                k += 1
                if want > have and at == len(old):
                    return None
            if want == have:
                break
            if want < have and k == len(shape_left):
                return None
        parts = old[start:at]
        for (_n1, s1), (n2, s2) in itertools.pairwise(parts):
            if s1 != n2 * s2:
                return None
        inner = parts[-1][1]
        found = []
        for n in reversed(shape_left[first:k]):
            found.append(inner)
            inner *= n
        strides += found[::-1]
    return replace(v, shape=shape, strides=tuple(strides))


@rule(IndexGrad)
def _index(low: Lowering, step: Step) -> Any:
    x = step.operands[0]
    view = indexed(low.memory(x), step.params["index"])
    _seen(low, step, view)


def indexed(v: View, index: Sequence[Any]) -> View:
    """v[..., *index], a basic index."""
    offset = v.offset
    given = sum(1 for i in index if i is not None)
    lead = len(v.shape) - given
    shape, strides = list(v.shape[:lead]), list(v.strides[:lead])
    at = lead
    for i in index:
        if i is None:
            shape.append(1)
            strides.append(0)
            continue
        n, s = v.shape[at], v.strides[at]
        at += 1
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            count = len(range(start, stop, step))
            offset += start * s if count else 0
            shape.append(count)
            strides.append(s * step)
        else:
            offset += (int(i) % n) * s
    return replace(v, offset=offset, shape=tuple(shape), strides=tuple(strides))


@rule(SplitGrad)
def _split(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    axis = step.params["axis"] % len(v.shape)
    start = 0
    for y in step.values:
        offset = v.offset + start * v.strides[axis]
        low.define(y, replace(v, offset=offset, shape=y.shape), low.when(step.operands[0]))
        start += y.shape[axis]


@rule(UnstackGrad)
def _unstack(low: Lowering, step: Step) -> None:
    v = low.memory(step.operands[0])
    axis = step.params["axis"] % len(v.shape)
    strides = tuple(s for a, s in enumerate(v.strides) if a != axis)
    for k, y in enumerate(step.values):
        view = replace(v, offset=v.offset + k * v.strides[axis], shape=y.shape, strides=strides)
        low.define(y, view, low.when(step.operands[0]))


# Elementwise ops that say more than their forward does --------------------------------------------


@rule(AbsorbGrad)
def _absorb(low: Lowering, step: Step) -> None:
    def product(a: Any, b: Any) -> Any:
        y = np.multiply(a, b)
        return np.where(np.logical_or(np.equal(a, 0), np.equal(b, 0)), y.dtype.type(0), y)

    low.elementwise(step.operands, step.values[0], product)


# Data put together --------------------------------------------------------------------------------


def _copy(source: View, target: View) -> Nest:
    axes = [Var(n) for n in target.shape]
    x = _leaf(source)
    return Nest(axes, {x: source.access(axes)}, [Store(target.access(axes), x)])


def _leaf(view: View) -> Any:
    return leaf(0, view.buffer.dtype)


@rule(ConcatenateGrad)
def _concatenate(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    axis = step.params["axis"] % y.ndim
    if any(x.dtype != y.dtype for x in step.operands):
        return NotImplemented
    out = low.fresh(y.shape, y.dtype)
    start, copies = 0, []
    for x in step.operands:
        shape = x.shape
        place = replace(out, offset=start * out.strides[axis], shape=shape)
        copies.append(_copy(low.memory(x), place))
        start += shape[axis]
    low.define(y, out, low.append(copies))
    return None


@rule(StackGrad)
def _stack(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    axis = step.params["axis"] % y.ndim
    if any(np.asarray(x).dtype != y.dtype if type(x) is not Abstract else x.dtype != y.dtype
           for x in step.operands):  # fmt: skip
        return NotImplemented
    out = low.fresh(y.shape, y.dtype)
    strides = tuple(s for a, s in enumerate(out.strides) if a != axis)
    copies = []
    for k, x in enumerate(step.operands):
        v = low.memory(x)
        place = replace(out, offset=k * out.strides[axis], shape=v.shape, strides=strides)
        copies.append(_copy(v, place))
    low.define(y, out, low.append(copies))
    return None


@rule(PlaceGrad)
def _place(low: Lowering, step: Step) -> None:
    x, y = step.operands[0], step.values[0]
    out = low.fresh(y.shape, y.dtype)
    target = indexed(out, step.params["index"])
    low.define(y, out, low.append([Fill(out.buffer), _copy(low.memory(x), target)]))


# Sums ---------------------------------------------------------------------------------------------

_COMBINE = {
    SumGrad: "add", MaxGrad: "max", MinGrad: "min", ProdGrad: "mul", AnyGrad: "or", AllGrad: "and"
}  # fmt: skip


@rule(*_COMBINE)
def _reduction(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    if y.dtype.kind not in "biuf" or y.dtype == np.float16:
        raise Unsupported(f"sums of {y.dtype}")
    if x.dtype == bool and _COMBINE[step.op] in ("max", "min"):
        return NotImplemented
    low.reduction(x, y, step.params["axis"], _COMBINE[step.op])
    return None


# Products -----------------------------------------------------------------------------------------


@rule(MatMulGrad)
def _matmul(low: Lowering, step: Step) -> Any:
    y = step.values[0]
    a, b = (low.memory(x) for x in step.operands)
    n = y.ndim - 2
    labels = [*range(n)]
    la = (*labels[n - len(a.shape) + 2 :], "i", "k")
    lb = (*labels[n - len(b.shape) + 2 :], "k", "j")
    return _product(low, step, a, b, la, lb, (*labels, "i", "j"))


@rule(ContractGrad)
def _contract(low: Lowering, step: Step) -> Any:
    a, b = (low.memory(x) for x in step.operands)
    p = step.params
    return _product(low, step, a, b, p["la"], p["lb"], p["ly"])


def _product(
    low: Lowering, step: Step, a: View, b: View, la: Any, lb: Any, ly: Any
) -> Any:
    """y[ly] = sum over the other labels of a[la] b[lb]; lengths 1 broadcast."""
    y = step.values[0]
    if y.dtype.kind not in "f" or y.dtype == np.float16:
        raise Unsupported(f"products of {y.dtype}")
    if a.buffer.dtype != y.dtype or b.buffer.dtype != y.dtype:
        raise Unsupported("a product of two dtypes")
    size: dict[Any, int] = {}
    for labels, v in ((la, a), (lb, b)):
        for label, n in zip(labels, v.shape):
            size[label] = max(size.get(label, 1), n)
    out, fresh = low.target_of(y)
    strides = [
        {label: (s if n != 1 else 0) for label, n, s in zip(labels, v.shape, v.strides)}
        for labels, v in ((la, a), (lb, b), (ly, out))
    ]
    every = [label for label in size if size[label] != 1]
    in_a, in_b, _in_y = ([k for k in every if s.get(k)] for s in strides)
    summed = [k for k in every if k not in ly]
    stack = [k for k in every if k in ly and (k in in_a) == (k in in_b)]
    rows = [k for k in every if k in ly and k in in_a and k not in in_b]
    columns = [k for k in every if k in ly and k in in_b and k not in in_a]
    work = math.prod(size.values())
    merged = [_joined(part, size, strides) for part in (rows, summed, columns)]
    lane = low.lane_of(step, la, lb)
    if lane is not None:
        parts = {"stack": stack, "rows": rows, "columns": columns, "summed": summed}
        if _in_lanes(low, y, a, b, out, strides, size, parts, merged, lane, fresh):
            return None
        _nest_in_lanes(low, y, a, b, out, strides, size, parts, lane, fresh)
        return None
    rows_, summed_, columns_ = merged
    if (
        rows_ and summed_ and columns_
        and work // max(math.prod(size[k] for k in stack), 1) > SMALL
    ):  # fmt: skip
        (m, *ms), (k, *ks), (n, *ns) = rows_, summed_, columns_
        left, right = _matrix(ms[0], ks[0], m, k), _matrix(ks[1], ns[1], k, n)
        c = _matrix(ms[2], ns[2], m, n)
        if left and right and c and not c[1]:
            (lda, ta), (ldb, tb), (ldc, _) = left, right, c
            vars_ = {label: Var(size[label]) for label in stack}

            def access(v: View, s: dict[Any, int]) -> Access:
                pairs = tuple((vars_[label], s[label]) for label in stack if s.get(label))
                return Access(v.buffer, v.offset, pairs + v.outer)

            gemm: Any = Gemm(
                access(out, strides[2]), access(a, strides[0]), access(b, strides[1]),
                m, k, n, ldc, lda, ldb, ta, tb,
            )  # fmt: skip
            for label in reversed(stack):
                gemm = Loop(vars_[label], [gemm])
            low.define(y, out, low.append([gemm]))
            return None
    _as_nest(low, y, a, b, out, strides, size, stack, rows, columns, summed)
    return None


def _in_lanes(
    low: Lowering, y: Abstract, a: View, b: View, out: View, strides: list[dict[Any, int]],
    size: dict[Any, int], parts: dict[str, list[Any]], merged: list[Any], lane: Any, fresh: bool,
) -> bool:  # fmt: skip
    """A product of which one label counts samples, as blocks of registers."""
    if parts["stack"] or not all(merged):
        return False
    (m, *ms), (k, *ks), (n, *ns) = merged
    if lane in parts["rows"]:  # the samples are the columns
        a, b, m, n, ms, ns = b, a, n, m, ns, ms
        ms, ns, ks = [ms[1], ms[0], ms[2]], [ns[1], ns[0], ns[2]], [ks[1], ks[0], ks[2]]
        parts = {**parts, "rows": parts["columns"], "columns": parts["rows"]}
    if lane in parts["columns"]:
        if parts["columns"] != [lane] or ns[2] != 1:
            return False
        items: list[Any] = []
        bk, bn = ks[1], ns[1]
        if bn != 1:
            b, bk = _packed(b, k, n, bk, bn, items)
            bn = 1
        items.append(
            Contract(
                Access(out.buffer, out.offset, out.outer), Access(a.buffer, a.offset, a.outer),
                Access(b.buffer, b.offset, b.outer), m, k, n,
                (ms[2], 1), (ms[0], ks[0]), (bk, bn), "columns", not fresh,
            )
        )  # fmt: skip
        low.define(y, out, low.append(items))
        return True
    if parts["summed"] != [lane]:
        return False
    # A sum over samples: the transposed factor has other labels along the lanes.
    items = []
    if ns[2] != 1 and ms[2] == 1:
        a, b, m, n, ms, ns = b, a, n, m, ns, ms
        ms, ns, ks = [ms[1], ms[0], ms[2]], [ns[1], ns[0], ns[2]], [ks[1], ks[0], ks[2]]
    if ns[2] != 1 and n != 1:
        return False
    width = host().lanes(y.dtype.itemsize)
    if k >= 128 or (n < width and not (ns[1] == 1 and n > 4)):
        places = []
        for v, rows_, sk, so in ((a, m, ks[0], ms[0]), (b, n, ks[1], ns[1])):
            if sk != 1:
                v, so = _packed(v, rows_, k, so, sk, items)
            places.append((v, so))
        (a, am), (b, bn) = places
        items.append(
            Contract(
                Access(out.buffer, out.offset, out.outer), Access(a.buffer, a.offset, a.outer),
                Access(b.buffer, b.offset, b.outer), m, k, n,
                (ms[2], ns[2]), (am, 1), (1, bn), "inner", not fresh,
            )
        )  # fmt: skip
    else:
        bk, bn = ks[1], ns[1]
        if bn != 1:
            b, bk = _packed(b, k, n, bk, bn, items)
        items.append(
            Contract(
                Access(out.buffer, out.offset, out.outer), Access(a.buffer, a.offset, a.outer),
                Access(b.buffer, b.offset, b.outer), m, k, n,
                (ms[2], 1), (ms[0], ks[0]), (bk, 1), "columns", not fresh,
            )
        )  # fmt: skip
    low.define(y, out, low.append(items))
    return True


def _packed(
    v: View, rows: int, columns: int, row: int, column: int, items: list[Any]
) -> tuple[View, int]:
    """The matrix with its columns side by side, in memory of its own; its new row stride."""
    width = -(-columns // 16) * 16
    buffer = Buffer(rows * width, v.buffer.dtype)
    to = View(buffer, 0, (rows, columns), (width, 1))
    of = Access(v.buffer, v.offset, v.outer)
    if row == 1:
        items.append(Turn(Access(buffer), of, columns, rows, width, column))
    else:
        axes = [Var(rows), Var(columns)]
        x = _leaf(v)
        strides = tuple(p for p in ((axes[0], row), (axes[1], column)) if p[1])
        load = Access(v.buffer, v.offset, strides + v.outer)
        items.append(Nest(axes, {x: load}, [Store(to.access(axes), x)]))
    return to, width


def _nest_in_lanes(
    low: Lowering, y: Abstract, a: View, b: View, out: View, strides: list[dict[Any, int]],
    size: dict[Any, int], parts: dict[str, list[Any]], lane: Any, fresh: bool,
) -> None:  # fmt: skip
    """Loops over all labels with the samples in the lanes and the sums in registers."""
    sa, sb, sy = strides
    x0, x1 = leaf(0, y.dtype), leaf(1, y.dtype)
    kept = [k for p in ("stack", "rows", "columns") for k in parts[p] if k != lane]
    summed = [k for k in parts["summed"] if k != lane]
    order = [*kept, *summed, lane] if lane in parts["summed"] else [*kept, lane, *summed]
    vars_ = {k: Var(size[k]) for k in order}

    def access(v: View, s: dict[Any, int]) -> Access:
        pairs = tuple((vars_[k], s[k]) for k in order if s.get(k))
        return Access(v.buffer, v.offset, pairs + v.outer)

    value, to = make("mul", x0, x1), access(out, sy)
    nest = Nest([vars_[k] for k in order], {x0: access(a, sa), x1: access(b, sb)})
    nest.lane = vars_[lane]
    if parts["summed"]:
        nest.sums.append(Sum(to, value, "add", fresh))
    else:
        nest.stores.append(Store(to, value))
    low.define(y, out, low.append([nest]))


def _joined(
    labels: list[Any], size: dict[Any, int], strides: list[dict[Any, int]]
) -> tuple[int, ...] | None:
    """Several axes as one: its length, and its stride in each operand; None where they do not."""
    if not labels:
        return (1, 0, 0, 0)
    best = None
    for order in (labels, sorted(labels, key=lambda k: -max(s.get(k, 0) for s in strides))):
        fits = all(
            s.get(x, 0) == s.get(z, 0) * size[z]
            for x, z in itertools.pairwise(order)
            for s in strides
        )
        if fits:
            best = order
            break
    if best is None:
        return None
    return (math.prod(size[k] for k in best), *(s.get(best[-1], 0) for s in strides))


def _matrix(row: int, column: int, rows: int, columns: int) -> tuple[int, bool] | None:
    """(leading stride, is it the transpose) of a matrix as BLAS takes it."""
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return max(row, columns, 1), False
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return max(column, rows, 1), True
    return None


def _as_nest(
    low: Lowering, y: Abstract, a: View, b: View, out: View, strides: list[dict[Any, int]],
    size: dict[Any, int], stack: list[Any], rows: list[Any], columns: list[Any],
    summed: list[Any],
) -> None:  # fmt: skip
    """Loops over all labels; the innermost has unit stride where one does."""
    sa, sb, sy = strides
    dtype = y.dtype
    x0, x1 = leaf(0, dtype), leaf(1, dtype)
    dense = [k for k in summed if sa.get(k) == 1 and sb.get(k) == 1]
    registers = bool(dense) or not (rows or columns or stack)
    if registers:
        order = [*stack, *rows, *columns, *[k for k in summed if k not in dense], *dense]
    else:
        unit = [k for k in (*columns, *rows, *stack) if sy.get(k) == 1]
        free = [k for k in (*stack, *rows, *columns) if k not in unit]
        order = [*free, *summed, *unit]
        registers = not unit
    vars_ = {k: Var(size[k]) for k in order}

    def access(v: View, s: dict[Any, int]) -> Access:
        pairs = tuple((vars_[k], s[k]) for k in order if s.get(k))
        return Access(v.buffer, v.offset, pairs + v.outer)

    value = make("mul", x0, x1)
    to = access(out, sy)
    axes = [vars_[k] for k in order]
    nest = Nest(axes, {x0: access(a, sa), x1: access(b, sb)})
    if not summed:
        nest.stores.append(Store(to, value))
        low.define(y, out, low.append([nest]))
        return
    nest.sums.append(Sum(to, value, "add", fresh=registers))
    low.define(y, out, low.append([nest] if registers else [Fill(out.buffer), nest]))

