"""Products: blocks of registers, calls of BLAS, or loops over all labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.contract import MatMulGrad
from ...ops.einsum import ContractGrad
from ..abstract import shape_of
from ..expr import Unsupported, has_code
from ..loops import Fill, Gemm, Nest, Var, within
from ..lower import SMALL, Lowering, rule
from ..machine import host
from ..memory import View
from ..program import Step
from .blocks import LEAST, MOST, in_blocks
from .labels import Labelled, labelled
from .narrow import joined
from .panels import in_panels, in_row_blocks
from .points import points
from .sides import Sides


@rule(MatMulGrad)
def _matmul(low: Lowering, step: Step) -> Any:
    n = step.values[0].ndim - 2
    labels = [*range(n)]
    a, b = (len(shape_of(x)) for x in step.operands)
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
    if not has_code(y.dtype, "f"):
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
    product = labelled(((la, a), (lb, b), (ly, out)), size, not fresh)
    if lane is None:
        items = _whole(low, product)
    else:
        items = _in_tile(product, lane, low.terms(y))
    low.define(y, out, low.append(items))
    return None


# Outside of tiles, and in those of large samples --------------------------------------------------


def _whole(low: Lowering, p: Labelled) -> list[Any]:
    items: list[Any] = []
    sides = p.sides()
    if sides is None and p.work > SMALL:
        p = p.in_order(low, items)
        sides = p.sides()
    if sides is None:
        return [*items, *_as_nest(p)]
    vars_ = {k: Var(p.size[k]) for k in p.stack}
    around = p.around(vars_).sides()
    assert around is not None
    blocks = in_blocks(around, p.add)
    if blocks and (low.near or (p.stack and sides.work <= MOST)):
        return [*items, *within(vars_.values(), blocks)]
    if not p.add and not p.stack and sides.work > MOST:
        panels = in_panels(sides)
        if panels:
            return [*items, *panels]
    gemm = _gemm(around, p.add) if sides.work > SMALL else None
    if gemm is not None:
        return [*items, *within(vars_.values(), [gemm])]
    return [*items, *(within(vars_.values(), blocks) if blocks else _as_nest(p))]


def _gemm(p: Sides, add: bool) -> Gemm | None:
    """As a call of BLAS, if it takes matrices that lie so."""
    a, b, c = (_leading(v) for v in p.matrices())
    if not a or not b or not c or c[1]:
        return None
    return Gemm(
        p.c.start, p.a.start, p.b.start, p.rows.n, p.summed.n, p.columns.n, c[0], a[0], b[0],
        a[1], b[1], add,
    )  # fmt: skip


def _leading(v: View) -> tuple[int, bool] | None:
    """(leading stride, is it the transpose) of a matrix as BLAS takes it."""
    (rows, columns), (row, column) = v.shape, v.strides
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return max(row, columns, 1), False
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return max(column, rows, 1), True
    return None


def _as_nest(p: Labelled) -> list[Any]:
    """Loops over all labels; the innermost has unit stride where one does."""
    sa, sb, sy = p.strides
    dense = [k for k in p.summed if sa.get(k) == 1 and sb.get(k) == 1]
    registers = bool(dense) or not (p.rows or p.columns or p.stack)
    if registers:
        order = [*p.stack, *p.rows, *p.columns, *[k for k in p.summed if k not in dense], *dense]
    else:
        unit = [k for k in (*p.columns, *p.rows, *p.stack) if sy.get(k) == 1]
        free = [k for k in (*p.stack, *p.rows, *p.columns) if k not in unit]
        order = [*free, *p.summed, *unit]
        registers = not unit
    begin = [Fill(p.views[2].buffer)] if p.summed and not p.add and not registers else []
    return [*begin, p.nest(order, not p.add and registers)]


# With samples in the lanes ------------------------------------------------------------------------


def _in_tile(p: Labelled, lane: Any, terms: int) -> list[Any]:
    """A product of which one label counts samples; so many of them are added up."""
    return (
        _in_lanes(p, lane, terms, p.add)
        or _turn_by_turn(p, lane, terms)
        or _in_each_lane(p, lane)
        or [_nest_in_lanes(p, lane)]
    )


def _in_lanes(p: Labelled, lane: Any, terms: int, add: bool) -> list[Any] | None:
    """As blocks of registers, where the samples alone are a side."""
    product = p.sides()
    if p.stack or product is None:
        return None
    items: list[Any] = []
    if lane in p.rows or lane in p.columns:
        if (p.rows if lane in p.rows else p.columns) != [lane]:
            return None
        if lane in p.rows:  # the samples are the columns
            product = product.turned()
        if product.columns.c != 1:
            return None
        a, b, c = product.with_packed_rows(items).matrices()
        return [*items, *in_row_blocks(a, b, c, add)]
    if p.summed != [lane]:
        return None
    # A sum over samples: the transposed factor has other labels along the lanes.
    product = product.along_c()
    n = product.columns
    if n.c != 1 and n.n != 1:
        return None
    width = host().lanes(product.c.buffer.dtype.itemsize)
    if product.summed.n * terms < 128 and (n.n >= width or (n.b == 1 and n.n > 4)):
        product = product.with_packed_rows(items)
        return [*items, product.contract(add=add)]
    product = product.with_packed_sums(items)
    return [*items, product.contract("inner", add)]


def _turn_by_turn(p: Labelled, lane: Any, terms: int) -> list[Any] | None:
    """Loops around a product in lanes: over axes that stand with the samples', as steps in time."""
    beside = next(part for part in (p.stack, p.rows, p.columns, p.summed) if lane in part)
    vars_ = {k: Var(p.size[k]) for k in (*beside, *p.stack) if k != lane}
    left = p.around(vars_)
    if not vars_ or left.work < SMALL:
        return None
    added = any(k in p.summed for k in vars_)
    items = _in_lanes(left, lane, terms, p.add or added)
    if items is None:
        return None
    begin = [Fill(p.views[2].buffer)] if added and not p.add else []
    return [*begin, *within(vars_.values(), items)]


def _in_each_lane(p: Labelled, lane: Any) -> list[Any] | None:
    """A product for each sample, as blocks of registers with a sample in each lane."""
    if p.work < LEAST * p.size[lane]:
        return None
    product = p.sides()
    if p.stack != [lane] or product is None or any(s[lane] != 1 for s in p.strides):
        return None
    return [product.contract("each", p.add, p.size[lane])]


def _nest_in_lanes(p: Labelled, lane: Any) -> Nest:
    """Loops over all labels with the samples in the lanes and the sums in registers."""
    kept = [k for k in (*p.stack, *p.rows, *p.columns) if k != lane]
    summed = [k for k in p.summed if k != lane]
    order = [*kept, *summed, lane] if lane in p.summed else [*kept, lane, *summed]
    return p.nest(order, not p.add, lane)
