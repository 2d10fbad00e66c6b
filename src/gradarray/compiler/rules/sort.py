"""Sorting: the order of keys along an axis, one line of an array after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.compare import equal, less, not_equal
from ...ops.logical import logical_and, logical_not, logical_or
from ...ops.reduce import any as any_of
from ...ops.reduce import sum
from ...ops.shape import astype, expand_dims, reshape
from ...ops.sort import (
    ArgSortGrad,
    DigitizeGrad,
    LexSortGrad,
    SearchSortedGrad,
    TopKGrad,
)
from ...ops.unique import IsInGrad
from ..abstract import Abstract
from ..expand import expansion
from ..expr import Unsupported, cast, const, has_code, leaf, make
from ..loops import Access, Buffer, Nest, Search, Sort, Store, Var, within
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from ..sorting import key_of, key_type
from .points import copied, points

INT = np.dtype(np.int64)
FEW = 256  # sorted values that are all compared with, instead of searched


def _order(low: Lowering, keys: Sequence[Any], axis: int, descending: bool) -> View:
    """The order of several keys along an axis, the last one first: int64."""
    views = [low.memory(x) for x in keys]
    for v in views:
        if not has_code(v.buffer.dtype):
            raise Unsupported(f"a sort of {v.buffer.dtype}")
    shape = views[0].shape
    n = shape[axis]
    out = low.fresh(shape, INT)
    vars_ = [Var(1 if a == axis % len(shape) else m) for a, m in enumerate(shape)]

    def line(view: View) -> View:
        moves = tuple((v, s) for v, s in zip(vars_, view.strides) if s and v.extent > 1)
        stride = view.strides[axis]
        return replace(view, shape=(n,), strides=(stride,), outer=(*view.outer, *moves))

    turn = next((v for v in reversed(vars_) if v.extent > 1), None)

    def scratch(dtype: np.dtype) -> View:
        return View(Buffer(n, dtype, turn=turn), 0, (n,), (1,))

    order, beside = line(out), scratch(INT)
    inside = order if order.strides == (1,) else scratch(INT)
    items = copied(low.shared.constant(np.arange(n)), inside)
    for view in views:
        kind = key_type(view.buffer.dtype)
        sorted_, other = scratch(kind), scratch(kind)
        if view is views[0]:
            source = points([line(view)], lambda x: key_of(x, descending), sorted_)
        else:
            unsorted = scratch(kind)
            source = points([line(view)], lambda x: key_of(x, descending), unsorted)
            source.append(_in_order(unsorted, inside, sorted_))
        items += source
        items.append(Sort(sorted_.start, inside.start, other.start, beside.start, n))
    if inside is not order:
        items += copied(inside, order)
    low.append(within([v for v in vars_ if v.extent > 1], items))
    return out


def _in_order(values: View, order: View, to: View) -> Nest:
    """to[i] = values[order[i]]."""
    (n,) = to.shape
    var, x = Var(n), leaf(0, values.buffer.dtype)
    through = ((order.access([var]), 1, n),)
    access = Access(values.buffer, values.offset, values.outer, through)
    return Nest([var], {x: access}, [Store(to.access([var]), x)])


def _define(low: Lowering, y: Abstract, order: View) -> None:
    low.define(y, replace(order, shape=y.shape), len(low.items))


@rule(ArgSortGrad)
def _argsort(low: Lowering, step: Step) -> None:
    p = step.params
    _define(low, step.values[0], _order(low, step.operands, p["axis"], p["descending"]))


@rule(TopKGrad)
def _topk(low: Lowering, step: Step) -> None:
    p = step.params
    _define(low, step.values[0], _order(low, step.operands, p["axis"], p["largest"]))


@rule(LexSortGrad)
def _lexsort(low: Lowering, step: Step) -> None:
    _define(low, step.values[0], _order(low, step.operands, step.params["axis"], False))


# Places among sorted values -----------------------------------------------------------------------


@rule(SearchSortedGrad)
def _searchsorted(low: Lowering, step: Step) -> None:
    a, v = (low.memory(x) for x in step.operands)
    y = step.values[0]
    items, places = _search(low, a, v, y, step.params["side"] == "right")
    low.define(y, places, low.append(items))


@rule(DigitizeGrad)
def _digitize(low: Lowering, step: Step) -> None:
    """As a search; bins that descend are searched from their other end."""
    x, bins = step.operands
    known = low.program.constants.get(bins) if type(bins) is Abstract else np.asarray(bins)
    if known is None:
        raise Unsupported("bins whose order depends on values")
    y, right = step.values[0], not step.params["right"]
    up, down = ((np.diff(sign * known) >= 0).all() for sign in (1, -1))
    if not up and not down:
        raise Unsupported("bins in no order")
    known = known if up else known[::-1]
    items, places = _search(low, low.shared.constant(known), low.memory(x), y, right)
    if not up:
        count = const(len(known), INT)
        items += points([places], lambda k: make("sub", count, k), places)
    low.define(y, places, low.append(items))


def _search(
    low: Lowering, a: View, v: View, y: Abstract, right: bool
) -> tuple[list[Any], View]:
    """How many of the sorted values a are less than each of v, `right`: or equal."""
    dtype = np.result_type(a.buffer.dtype, v.buffer.dtype)
    if not has_code(dtype) or not y.size:
        raise Unsupported(f"a search among {dtype}")
    kind, (n,) = key_type(dtype), a.shape
    sorted_, keys, places = low.fresh((n,), kind), low.fresh(y.shape, kind), low.fresh(y.shape, INT)
    key = lambda x: key_of(cast(x, dtype))
    items = [*points([a], key, sorted_), *points([v.broadcast(y.shape)], key, keys)]
    items.append(Search(sorted_.start, keys.start, places.start, n, y.size, right))
    return items, places


@expansion(SearchSortedGrad)
def _counted(a: Any, v: Any, side: str) -> Any:
    """Few sorted values are all compared with, in lanes."""
    if a.shape[0] > FEW or a.dtype.kind not in "biuf" or v.dtype.kind not in "biuf":
        return NotImplemented
    a, v = expand_dims(a, tuple(range(v.ndim))), expand_dims(v, -1)
    before = _comes_before(a, v) if side == "left" else logical_not(_comes_before(v, a))
    return sum(astype(before, np.int64), axis=-1)


def _comes_before(a: Any, b: Any) -> Any:
    """a < b in the order in which NaN is last."""
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        return less(a, b)
    return logical_or(less(a, b), logical_and(equal(a, a), not_equal(b, b)))


@expansion(IsInGrad)
def _is_in(x: Any, test: Any, invert: bool) -> Any:
    if test.size > FEW:
        return NotImplemented
    found = any_of(equal(expand_dims(x, -1), reshape(test, (-1,))), axis=-1)
    return logical_not(found) if invert else found
