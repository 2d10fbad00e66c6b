"""Indexed access: values that are read or written where other values say.

Indices are brought into 0 .. n - 1 first, a negative one counting from the end; the least and the
greatest are kept, and an index outside raises IndexError when the run is over. Sums into indexed
places are taken one after the other, in the order of the indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ops.compare import equal, where
from ...ops.reduce import sum
from ...ops.scatter import GatherGrad, LastGrad, PutGrad, ScatterAddGrad
from ..abstract import Abstract
from ..expand import expansion, inner
from ..expr import Unsupported, cast, has_code, leaf, make
from ..loops import Access, Fill, Nest, Store, Sum, Var
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from ..taken import AddedUp, InRange, Taken
from .points import copied

MOST_CLASSES = 256  # places along an axis that are all looked at, instead of following an index


@rule(InRange)
def _in_range(low: Lowering, step: Step) -> None:
    x, y, count = step.operands[0], step.values[0], step.params["count"]
    _normal(low, x, y, count, "index")


def _normal(low: Lowering, x: Any, y: Abstract, count: int, op: str) -> None:
    """y = the index x from 0 on, whose extremes are watched."""

    def inside(x: Any) -> Any:
        x = x.astype(np.int64)
        x = np.where(np.less(x, 0), x + count, x)
        return np.minimum(np.maximum(x, 0), max(count - 1, 0))

    axes = tuple(range(len(x.shape)))
    k = low._group(x.shape, low._bound([x], x.shape), axes)
    group = low.items[k]
    value = cast(low._used(x, k), np.int64)
    cells = low.shared.watch(count, op)
    for at, combine in enumerate(("min", "max")):
        view = View(cells, at, x.shape, (0,) * len(x.shape))
        group.sums.append((view, value, combine, False))
    group.summed = axes
    low.elementwise([x], y, inside)


def _index(low: Lowering, x: Any, count: int, op: str) -> View:
    """Where an index lies, from 0 on, as int64."""
    if type(x) is Abstract and x in low.program.constants:
        x = np.asarray(low.program.constants[x])
    if type(x) is not Abstract:
        return low.shared.constant(np.asarray(InRange.forward(x, count)))
    if x.step is not None and x.step.op is InRange:
        return low.memory(x)
    y = Abstract(x.trace, x.shape, np.dtype(np.int64))
    _normal(low, x, y, count, op)
    return low.memory(y)


@rule(Taken)
def _taken(low: Lowering, step: Step) -> None:
    table, index = step.operands
    y = step.values[0]
    if not has_code(y.dtype):
        raise Unsupported(f"indexed {y.dtype}")
    view, at = low.memory(table), low.memory(index)
    rows = low.side_by_side(y.shape, y.dtype)
    *places, column = vars_ = [Var(n) for n in y.shape]
    through = ((at.access(places), view.strides[0], view.shape[0]),)
    e = leaf(0, y.dtype)
    load = Access(view.buffer, view.offset, ((column, view.strides[1]), *view.outer), through)
    items: list[Any] = [Nest(vars_, {e: load}, [Store(rows.access(vars_), e)], lane=column)]
    home = low.homes.get(y)
    out = low.turned(rows, home or low.fresh(y.shape, y.dtype), items)
    if home is not None and out != home:
        items += copied(out, home)
        out = home
    low.define(y, out, low.append(items))


@rule(AddedUp)
def _added_up(low: Lowering, step: Step) -> None:
    x, index = step.operands
    y = step.values[0]
    if not has_code(y.dtype, "iuf") or x.dtype != y.dtype:
        raise Unsupported(f"sums of {y.dtype}")
    at, view = low.memory(index), low.memory(x)
    items: list[Any] = []
    view = low.turned(view, low.side_by_side(view.shape, y.dtype), items)
    out, fresh = low.target_of(y)
    if fresh:
        items.insert(0, Fill(out.buffer))
    *places, column = vars_ = [Var(n) for n in view.shape]
    through = ((at.access(places), out.strides[0], y.shape[0]),)
    e = leaf(0, y.dtype)
    to = Access(out.buffer, out.offset, ((column, out.strides[1]), *out.outer), through)
    total = Sum(to, e, "add", False)
    items.append(Nest(vars_, {e: view.access(vars_)}, sums=[total], lane=column))
    low.define(y, out, low.append(items))


class _Places:
    """Loops over (.., *index axes, ..), and where indexed arrays are touched in them."""

    def __init__(
        self, low: Lowering, step: Step, indices: Sequence[Any], lengths: Sequence[int],
        outer: Sequence[int], inner: Sequence[int],
    ) -> None:  # fmt: skip
        views = [_index(low, x, n, step.op.name) for x, n in zip(indices, lengths)]
        shape = np.broadcast_shapes(*[v.shape for v in views])
        self.shape = (*outer, *shape, *inner)
        self.vars = [Var(n) for n in self.shape]
        self.at, self.count = len(outer), len(shape)
        index_vars = self.vars[self.at : self.at + self.count]
        self.indices = [(v.broadcast(shape).access(index_vars), n) for v, n in zip(views, lengths)]

    def indexed(self, view: View) -> Access:
        """Where an array with the indexed axes is touched."""
        k, at = len(self.indices), self.at
        strides = view.strides[at : at + k]
        through = [(i, s, n) for (i, n), s in zip(self.indices, strides)]
        others = [*self.vars[:at], *self.vars[at + self.count :]]
        steps = [*view.strides[:at], *view.strides[at + k :]]
        pairs = [(v, s) for v, s in zip(others, steps) if s and v.extent > 1]
        return Access(view.buffer, view.offset, (*pairs, *view.outer), tuple(through))

    def plain(self, view: View) -> Access:
        return view.broadcast(self.shape).access(self.vars)


def _real(step: Step) -> None:
    for v in (*step.values, *(x for x in step.operands if type(x) is Abstract)):
        if not has_code(v.dtype):
            raise Unsupported(f"indexed {v.dtype}")


@rule(GatherGrad)
def _gather(low: Lowering, step: Step) -> None:
    _real(step)
    x, *indices = step.operands
    y, axis, view = step.values[0], step.params["axis"], low.memory(x)
    k, n = len(indices), len(view.shape)
    at = n + axis
    lengths = view.shape[at : at + k]
    places = _Places(low, step, indices, lengths, view.shape[:at], view.shape[at + k :])
    out = low.fresh(y.shape, y.dtype)
    e = leaf(0, y.dtype)
    nest = Nest(places.vars, {e: places.indexed(view)}, [Store(places.plain(out), e)])
    low.define(y, out, low.append([nest]))


@rule(ScatterAddGrad)
def _scatter_add(low: Lowering, step: Step) -> None:
    _real(step)
    x, *indices = step.operands
    y, lengths = step.values[0], step.params["lengths"]
    if y.dtype == bool:
        raise Unsupported("sums of truth values")
    view = low.memory(x)
    at = y.ndim + step.params["axis"]
    places = _Places(low, step, indices, lengths, y.shape[:at], y.shape[at + len(lengths) :])
    out = low.fresh(y.shape, y.dtype)
    e = leaf(0, view.buffer.dtype)
    sums = [Sum(places.indexed(out), cast(e, y.dtype), "add", False)]
    nest = Nest(places.vars, {e: places.plain(view)}, sums=sums)
    low.define(y, out, low.append([Fill(out.buffer), nest]))


@rule(PutGrad)
def _put(low: Lowering, step: Step) -> None:
    _real(step)
    x, v, *indices = step.operands
    y, k = step.values[0], len(step.operands) - 2
    at = y.ndim + step.params["axis"]
    source, values = low.memory(x), low.memory(v)
    if source.buffer.dtype != y.dtype:
        raise Unsupported(f"a copy of {source.buffer.dtype}")
    places = _Places(low, step, indices, y.shape[at : at + k], y.shape[:at], y.shape[at + k :])
    out = low.fresh(y.shape, y.dtype)
    e = leaf(0, values.buffer.dtype)
    store = Store(places.indexed(out), _cast(e, y.dtype))
    nest = Nest(places.vars, {e: places.plain(values)}, [store])
    low.define(y, out, low.append([*copied(source, out), nest]))


def _cast(e: Any, dtype: Any) -> Any:
    if dtype.kind == "b" and e.dtype.kind != "b":
        raise Unsupported("numbers put into truth values")
    return cast(e, dtype)


@rule(LastGrad)
def _last(low: Lowering, step: Step) -> None:
    y, lengths = step.values[0], step.params["lengths"]
    places = _Places(low, step, step.operands, lengths, (), ())
    order = low.shared.constant(np.arange(max(y.size, 1))[: y.size].reshape(places.shape))
    last = low.fresh(tuple(lengths), np.int64)
    out = low.fresh(y.shape, y.dtype)
    flat = View(out.buffer, 0, places.shape, out.strides[: len(places.shape)])
    e, f = leaf(0, np.int64), leaf(1, np.int64)
    write = Nest(places.vars, {e: places.plain(order)}, [Store(places.indexed(last), e)])
    look = Nest(
        places.vars, {e: places.plain(order), f: places.indexed(last)},
        [Store(places.plain(flat), make("eq", e, f))],
    )  # fmt: skip
    low.define(y, out, low.append([write, look]))


# One place along an axis --------------------------------------------------------------------------


@expansion(GatherGrad)
def _picked(x: Any, *indices: Any, axis: int) -> Any:
    lengths = x.shape[axis : axis + len(indices) or None]
    found = _one_place(x, indices, lengths)
    if found is None:
        return NotImplemented
    numbers, label, k = found
    return sum(where(equal(numbers, label), x, 0), axis=axis + k, keepdims=True)


@expansion(ScatterAddGrad)
def _placed(x: Any, *indices: Any, axis: int, lengths: Any) -> Any:
    found = _one_place(x, indices, lengths)
    if found is None:
        return NotImplemented
    numbers, label, _ = found
    return where(equal(numbers, label), x, 0)


def _one_place(x: Any, indices: Sequence[Any], lengths: Sequence[int]) -> Any:
    """(0, 1, .. along axis k, an index there, k) where every other index is its axis's own.

    Then one place is taken of each line along that axis, as the log-probability of a label, and
    to look at all of a short line is less than to follow an index.
    """
    if not has_code(x.dtype, "f") or type(x) is not Abstract:
        return None
    n = len(indices)
    own = [_is_own(i, k, n, m, x.trace) for k, (i, m) in enumerate(zip(indices, lengths))]
    if n < 2 or n != x.ndim or own.count(False) != 1:
        return None
    k = own.index(False)
    label = indices[k]
    if type(label) is not Abstract or label.ndim != n or label.shape[k] != 1:
        return None
    if lengths[k] > MOST_CLASSES:
        return None
    if any(label.shape[j] not in (1, lengths[j]) for j in range(n) if j != k):
        return None
    label = inner(InRange, (label,), {"count": lengths[k]}, label.shape, np.int64)
    numbers = np.arange(lengths[k]).reshape(-1, *(1,) * (n - k - 1))
    return numbers, label, k


def _is_own(index: Any, k: int, n: int, length: int, trace: Any) -> bool:
    """Is this index 0, 1, .. along its own axis?"""
    values = trace.constants.get(index) if type(index) is Abstract else index
    shape = (length, *(1,) * (n - k - 1))
    if not isinstance(values, np.ndarray) or values.shape[-len(shape) :] != shape:
        return False
    return values.size == length and bool((values.ravel() == np.arange(length)).all())
