"""Labels: a product of arrays whose axes have labels, on its way to two matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..expr import leaf, make
from ..loops import Access, Nest, Store, Sum, Var
from ..lower import Lowering
from ..memory import View
from .points import copied
from .sides import Side, Sides


@dataclass(frozen=True)
class Labelled:
    """c[..] = sum over what is `summed` of a[..] b[..]; labels of length 1 are left out.

    `views`: where a, b and c begin, with `strides` by label. `stack`: in all three of them. `add`:
    to what c holds.
    """

    views: tuple[View, View, View]
    strides: tuple[dict[Any, int], dict[Any, int], dict[Any, int]]
    size: dict[Any, int]
    stack: list[Any]
    rows: list[Any]
    columns: list[Any]
    summed: list[Any]
    add: bool

    @property
    def work(self) -> int:
        labels = (*self.stack, *self.rows, *self.columns, *self.summed)
        return math.prod(self.size[k] for k in labels)

    def sides(self) -> Sides | None:
        """The product at one place of the stack, if each side is one axis."""
        rows, summed, columns = (
            self._as_one(part) for part in (self.rows, self.summed, self.columns)
        )
        if rows is None or summed is None or columns is None:
            return None
        return Sides(*self.views, rows, summed, columns)

    def _as_one(self, labels: list[Any]) -> Side | None:
        """Several axes as one; None where they are not."""
        if not labels:
            return Side(1, 0, 0, 0)
        far = sorted(labels, key=lambda k: -max(s.get(k, 0) for s in self.strides))
        for order in (labels, far):
            if all(
                s.get(x, 0) == s.get(z, 0) * self.size[z]
                for x, z in itertools.pairwise(order)
                for s in self.strides
            ):
                a, b, c = (s.get(order[-1], 0) for s in self.strides)
                return Side(math.prod(self.size[k] for k in order), a, b, c)
        return None

    def around(self, vars_: dict[Any, Var]) -> Labelled:
        """What is done in a turn of loops over some of the labels."""
        a, b, c = (
            replace(v, outer=_moves(vars_, s) + v.outer)
            for v, s in zip(self.views, self.strides)
        )
        stack, rows, columns, summed = (
            [k for k in part if k not in vars_]
            for part in (self.stack, self.rows, self.columns, self.summed)
        )
        return replace(
            self, views=(a, b, c), stack=stack, rows=rows, columns=columns, summed=summed
        )

    def in_order(self, low: Lowering, items: list[Any]) -> Labelled:
        """With copies of a and b, made by `items`, whose axes are in one order, so that several
        are one."""
        far = self.strides[2]
        rows, columns = (
            sorted(part, key=lambda k: -far.get(k, 0)) for part in (self.rows, self.columns)
        )
        (a, sa), (b, sb) = (
            self._copied(low, k, order, items)
            for k, order in enumerate(
                ([*self.stack, *rows, *self.summed], [*self.stack, *self.summed, *columns])
            )
        )
        return replace(
            self, views=(a, b, self.views[2]), strides=(sa, sb, far), rows=rows, columns=columns
        )

    def _copied(
        self, low: Lowering, which: int, order: list[Any], items: list[Any]
    ) -> tuple[View, dict[Any, int]]:
        v, strides = self.views[which], self.strides[which]
        there = [k for k in order if strides.get(k)]
        shape = tuple([self.size[k] for k in there])
        to = low.side_by_side(shape, v.buffer.dtype)
        of = replace(v, shape=shape, strides=tuple([strides[k] for k in there]))
        items += copied(of, to)
        return to, dict(zip(there, to.strides))

    def nest(self, order: Sequence[Any], fresh: bool, lane: Any = None) -> Nest:
        """Loops over the labels in this order; `fresh`: do sums start in it?"""
        dtype = self.views[2].buffer.dtype
        x, y = leaf(0, dtype), leaf(1, dtype)
        vars_ = {k: Var(self.size[k]) for k in order}
        a, b, c = (
            Access(v.buffer, v.offset, _moves(vars_, s) + v.outer)
            for v, s in zip(self.views, self.strides)
        )
        nest = Nest(list(vars_.values()), {x: a, y: b}, lane=vars_.get(lane))
        value = make("mul", x, y)
        if self.summed:
            nest.sums.append(Sum(c, value, "add", fresh))
        else:
            nest.stores.append(Store(c, value))
        return nest


def labelled(
    operands: Sequence[tuple[Sequence[Any], View]], size: dict[Any, int], add: bool
) -> Labelled:
    """The product of a and b that gives c, each with its labels; lengths 1 broadcast."""
    (_, a), (_, b), (ly, c) = operands
    sa, sb, sc = (
        {label: s if n != 1 else 0 for label, n, s in zip(labels, v.shape, v.strides)}
        for labels, v in operands
    )
    every = [label for label in size if size[label] != 1]
    in_a, in_b = ([k for k in every if s.get(k)] for s in (sa, sb))
    stack = [k for k in every if k in ly and (k in in_a) == (k in in_b)]
    rows = [k for k in every if k in ly and k in in_a and k not in in_b]
    columns = [k for k in every if k in ly and k in in_b and k not in in_a]
    summed = [k for k in every if k not in ly]
    return Labelled((a, b, c), (sa, sb, sc), size, stack, rows, columns, summed, add)


def _moves(vars_: dict[Any, Var], strides: dict[Any, int]) -> tuple[tuple[Var, int], ...]:
    return tuple((var, strides[k]) for k, var in vars_.items() if strides.get(k))
