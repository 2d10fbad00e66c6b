"""Groups: what is computed at every point of one box, as a nest of loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import expr
from .abstract import Abstract
from .expr import Expr
from .loops import Access, Label, Nest, Store, Sum, Var
from .memory import View


@dataclass(eq=False)
class Group:
    """What is computed at every point of one box."""

    shape: tuple[int, ...]
    values: dict[Abstract, Expr] = field(default_factory=dict)
    loads: dict[Any, Expr] = field(default_factory=dict)  # (buffer, offset, strides): leaf
    views: list[View] = field(default_factory=list)  # by the number of the leaf
    stores: list[tuple[View, Expr]] = field(default_factory=list)
    sums: list[tuple[View, Expr, str, bool]] = field(default_factory=list)  # .., combine, fresh
    summed: tuple[int, ...] | None = None  # the axes of the sums
    lane: int | None = None  # the axis that lanes go along, where it is known
    meeting: list[tuple[str, str]] = field(default_factory=list)  # ops that meet here; their lines
    made: dict[Expr, Expr] = field(default_factory=dict)  # operation: the value that it came with
    weights: dict[Expr, int] = field(default_factory=dict)  # of values: at most so many operations

    def define(self, x: Abstract, e: Expr) -> None:
        """x is e at every point."""
        self.values[x] = e
        if e in self.weights:
            return
        own = [part for part in expr.down_to(e, self.made) if part.args]
        new = [part for part in own if part not in self.made]
        others = dict.fromkeys(self.made[part] for part in own if part in self.made)
        self.weights[e] = len(new) + sum([self.weights[value] for value in others])
        self.made.update(dict.fromkeys(new, e))

    def takes_more(self, e: Expr, most: int) -> bool:
        """Is a value made of more operations than that?"""
        if self.weights[e] > most:
            self.weights[e] = len(expr.topological([e]))
        return self.weights[e] > most

    def leaf(self, view: View) -> Expr:
        view = view.broadcast(self.shape)
        key = (view.buffer, view.offset, view.strides, view.outer)
        known = self.loads.get(key)
        if known is None:
            known = self.loads[key] = expr.leaf(len(self.views), view.buffer.dtype)
            self.views.append(view)
        return known

    @property
    def kept(self) -> set[Expr]:
        """All that is computed for what is stored or summed."""
        roots = [*(e for _, e in self.stores), *(one[1] for one in self.sums)]
        return set(expr.topological(roots))


def statements(group: Group) -> list[Any]:
    """The nest of a group, its axes merged where memory allows.

    Vector lanes go along the axis that most of the memory lies along; sums are taken in the
    innermost loops, so that registers hold them.
    """
    if not group.sums and (not group.stores or math.prod(group.shape) == 0):
        return []
    summed = set(group.summed or ()) if group.sums else set()
    points = [*group.views, *(v for v, _ in group.stores)]
    every = [*points, *(v for v, *_ in group.sums)]
    axes = range(len(group.shape))
    lane = group.lane
    if lane is None or group.shape[lane] == 1:
        lane = max(
            (a for a in axes if group.shape[a] > 1),
            key=lambda a: (
                sum(v.strides[a] == 1 for v in points),
                sum(v.strides[a] == 1 for v, *_ in group.sums),
                group.shape[a] >= 8, a,
            ),
            default=None,
        )
    order = [a for a in axes if a not in summed and a != lane]
    tail = [a for a in axes if a in summed and a != lane]
    if lane is not None:
        # Lanes that are summed are summed last; others stay apart, and all sums are inside.
        order = [*order, *tail, lane] if lane in summed or not summed else [*order, lane, *tail]
    merged = _merged(group.shape, order, every, summed)
    vars_ = [Var(extent) for extent, _ in merged]
    lanes = [v for v, (_, a) in zip(vars_, merged) if a == lane]

    def access(view: View) -> Access:
        pairs = tuple(
            (var, view.strides[a]) for var, (_, a) in zip(vars_, merged) if view.strides[a]
        )
        return Access(view.buffer, view.offset, pairs + view.outer)

    loads = {leaf: access(view) for leaf, view in zip(group.loads.values(), group.views)}
    nest = Nest(vars_, loads, label=Label(tuple(group.meeting)), lane=lanes[0] if lanes else None)
    nest.stores = [Store(access(view), e) for view, e in group.stores]
    nest.sums = [Sum(access(view), e, combine, fresh) for view, e, combine, fresh in group.sums]
    return [nest]


def _merged(
    shape: tuple[int, ...], order: list[int], views: list[View], summed: set[int]
) -> list[tuple[int, int]]:
    """(extent, axis whose strides hold) for the loops, neighbours joined where strides allow."""
    out: list[tuple[int, int]] = []
    for a in order:
        if shape[a] == 1:
            continue
        if out:
            extent, outer = out[-1]
            fits = all(v.strides[outer] == v.strides[a] * shape[a] for v in views)
            if fits and (outer in summed) == (a in summed):
                out[-1] = (extent * shape[a], a)
                continue
        out.append((shape[a], a))
    return out


def body_of(items: Sequence[Any]) -> list[Any]:
    """The statements of groups and of what stands between them."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, Group):
            out += statements(item)
        elif isinstance(item, list):
            out += item
        else:
            out.append(item)
    return out
