"""Products: blocks of registers, calls of BLAS, or loops over all labels."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.contract import MatMulGrad
from ...ops.einsum import ContractGrad
from ..abstract import Abstract
from ..expr import Unsupported, leaf, make
from ..loops import Access, Buffer, Contract, Fill, Gemm, Loop, Nest, Store, Sum, Turn, Var
from ..lower import SMALL, Lowering, rule
from ..machine import host
from ..memory import View
from ..program import Step
from .blocks import LEAST, MOST, in_blocks
from .narrow import joined
from .panels import in_panels, in_row_blocks
from .points import copied, points


@rule(MatMulGrad)
def _matmul(low: Lowering, step: Step) -> Any:
    n = step.values[0].ndim - 2
    labels = [*range(n)]
    a, b = (np.ndim(x) if type(x) is not Abstract else x.ndim for x in step.operands)
    la = (*labels[n - a + 2 :], "i", "k")
    lb = (*labels[n - b + 2 :], "k", "j")
    return _product(low, step, la, lb, (*labels, "i", "j"))


@rule(ContractGrad)
def _contract(low: Lowering, step: Step) -> Any:
    p = step.params
    return _product(low, step, p["la"], p["lb"], p["ly"])


def _product(low: Lowering, step: Step, la: Any, lb: Any, ly: Any) -> Any:
    """y[ly] = sum over the other labels of a[la] b[lb]; lengths 1 broadcast."""
    if joined(low, step, la, lb, ly):
        return None
    y = step.values[0]
    a, b = (low.memory(x) for x in step.operands)
    if y.dtype.kind not in "f" or y.dtype == np.float16:
        raise Unsupported(f"products of {y.dtype}")
    if a.buffer.dtype != y.dtype or b.buffer.dtype != y.dtype:
        raise Unsupported("a product of two dtypes")
    size: dict[Any, int] = {}
    for labels, v in ((la, a), (lb, b)):
        for label, n in zip(labels, v.shape):
            size[label] = max(size.get(label, 1), n)
    lane = low.lane_of(step, la, lb)
    alone = all(size[k] == 1 for k in size if k not in ly)
    if (lane is not None and size[lane] == 1) or (alone and y in low.targets):
        target, lane = low.targets.pop(y, None), None
        if target is not None:  # the sum of one sample, or of one term, added to the others
            _product(low, step, la, lb, ly)
            added = points([low.memory(y)], lambda x: x, target, "add")
            low.define(y, target, low.append(added))
            low.targets[y] = target
            return None
    if alone:
        # Nothing is added up: a product at every point.
        seen = [
            replace(v, shape=y.shape, strides=tuple(
                dict(zip(labels, v.strides)).get(k, 0) if n != 1 and k in labels
                and v.shape[labels.index(k)] != 1 else 0 for k, n in zip(ly, y.shape)
            ))
            for v, labels in ((a, la), (b, lb))
        ]  # fmt: skip
        first = max(low.when(x) for x in step.operands)
        low.pointwise(seen, first, y, np.multiply)
        return None
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
    if lane is not None:
        parts = {"stack": stack, "rows": rows, "columns": columns, "summed": summed}
        if _in_lanes(low, y, a, b, out, strides, size, parts, merged, lane, fresh):
            return None
        if _turn_by_turn(low, y, a, b, out, strides, size, parts, lane, fresh):
            return None
        views = a, b, out
        large = work >= LEAST * size[lane]
        if large and _in_each_lane(low, y, views, strides, size, parts, merged, lane, fresh):
            return None
        _nest_in_lanes(low, y, a, b, out, strides, size, parts, lane, fresh)
        return None
    if None in merged and work > SMALL:
        order = lambda part, s: sorted(part, key=lambda k: -s.get(k, 0))
        rows, columns = order(rows, strides[2]), order(columns, strides[2])
        a, strides[0] = _in_order(low, a, strides[0], [*stack, *rows, *summed], size)
        b, strides[1] = _in_order(low, b, strides[1], [*stack, *summed, *columns], size)
        merged = [_joined(part, size, strides) for part in (rows, summed, columns)]
    rows_, summed_, columns_ = merged
    each = work // max(math.prod(size[k] for k in stack), 1)
    blocks = None
    if rows_ and summed_ and columns_:
        blocks = in_blocks((a, b, out), strides, size, stack, merged, not fresh)
        if blocks and (low.near or (stack and each <= MOST)):
            low.define(y, out, low.append(blocks))
            return None
    if fresh and rows_ and summed_ and columns_ and not stack and each > MOST:
        panels = in_panels(a, b, out, rows_, summed_, columns_)
        if panels:
            low.define(y, out, low.append(panels))
            return None
    if rows_ and summed_ and columns_ and each > SMALL:
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
                m, k, n, ldc, lda, ldb, ta, tb, not fresh,
            )  # fmt: skip
            for label in reversed(stack):
                gemm = Loop(vars_[label], [gemm])
            low.define(y, out, low.append([gemm]))
            return None
    if blocks:
        low.define(y, out, low.append(blocks))
        return None
    _as_nest(low, y, a, b, out, strides, size, stack, rows, columns, summed, fresh)
    return None


def _in_order(
    low: Lowering, v: View, strides: dict[Any, int], order: list[Any], size: dict[Any, int]
) -> tuple[View, dict[Any, int]]:
    """A copy with its axes in this order, so that several are one."""
    there = [k for k in order if strides.get(k)]
    shape = tuple([size[k] for k in there])
    to = low.side_by_side(shape, v.buffer.dtype)
    of = replace(v, shape=shape, strides=tuple([strides[k] for k in there]))
    low.append(copied(of, to))
    return to, dict(zip(there, to.strides))


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
        b = replace(b, shape=(k, n), strides=(bk, bn))
        a = replace(a, shape=(m, k), strides=(ms[0], ks[0]))
        items += in_row_blocks(a, b, replace(out, strides=(ms[2], 1)), not fresh)
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
    if k * low.terms(y) >= 128 or (n < width and not (ns[1] == 1 and n > 4)):
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


def _turn_by_turn(
    low: Lowering, y: Abstract, a: View, b: View, out: View, strides: list[dict[Any, int]],
    size: dict[Any, int], parts: dict[str, list[Any]], lane: Any, fresh: bool,
) -> bool:  # fmt: skip
    """Loops around a product in lanes: over axes that stand with the samples', as steps in time."""
    beside = next(part for part in parts.values() if lane in part)
    others = [k for k in (*beside, *parts["stack"]) if k != lane]
    left = {name: [k for k in part if k not in others] for name, part in parts.items()}
    if not others or math.prod(size[k] for part in left.values() for k in part) < SMALL:
        return False
    turns = [Var(size[k]) for k in others]

    def moving(v: View, s: dict[Any, int]) -> View:
        pairs = tuple((turn, s[k]) for turn, k in zip(turns, others) if s.get(k))
        return replace(v, outer=(*v.outer, *pairs))

    added = any(k in parts["summed"] for k in others)
    merged = [_joined(left[name], size, strides) for name in ("rows", "summed", "columns")]
    a, b, to = moving(a, strides[0]), moving(b, strides[1]), moving(out, strides[2])
    alone = fresh and not added
    if not _in_lanes(low, y, a, b, to, strides, size, left, merged, lane, alone):
        return False
    items: list[Any] = low.items.pop()
    for turn in reversed(turns):
        items = [Loop(turn, items)]
    if fresh and added:
        items = [Fill(out.buffer), *items]
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
        items += copied(replace(v, shape=(rows, columns), strides=(row, column)), to)
    return to, width


def _in_each_lane(
    low: Lowering, y: Abstract, views: tuple[View, View, View], strides: list[dict[Any, int]],
    size: dict[Any, int], parts: dict[str, list[Any]], merged: list[Any], lane: Any, fresh: bool,
) -> bool:  # fmt: skip
    """A product for each sample, as blocks of registers with a sample in each lane."""
    if parts["stack"] != [lane] or not all(merged) or any(s[lane] != 1 for s in strides):
        return False
    a, b, out = (Access(v.buffer, v.offset, v.outer) for v in views)
    (m, *ms), (k, *ks), (n, *ns) = merged
    low.define(y, views[2], low.append([
        Contract(
            out, a, b, m, k, n, (ms[2], ns[2]), (ms[0], ks[0]), (ks[1], ns[1]), "each",
            not fresh, depth=size[lane],
        )
    ]))  # fmt: skip
    return True


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
    summed: list[Any], fresh: bool,
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
    nest.sums.append(Sum(to, value, "add", fresh and registers))
    begin = [Fill(out.buffer)] if fresh and not registers else []
    low.define(y, out, low.append([*begin, nest]))
