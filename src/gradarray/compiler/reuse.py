"""Reuse: a product is not taken through layers through which its other factor has been taken.

A Hessian by forward-over-reverse walks its tangents forward, F = (E t) W^T, and what they do to
the gradient back, x -> (x W) t. The end of the walk back is a product with the E at the start,
and sum_u ((x W) t)_u E_u = sum_v x_v F_v: for each layer that is gone back a product of the whole
layer is saved, where F is there. Sums on the way are taken apart: (a + b) E = a E + b E.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..ops.arithmetic import AddGrad, MultiplyGrad, NegativeGrad, SubtractGrad
from ..ops.contract import MatMulGrad
from ..ops.control import AliasGrad
from ..ops.einsum import ContractGrad
from ..ops.shape import BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .program import Program, Step
from .simplify import Rewriter

LEAST = 100_000  # multiplications that are worth the search
Label = int | None  # None: of length 1, or the same all along


@dataclass(frozen=True, eq=False)
class Factor:
    """An array that is no view of another, and a label for each of its axes."""

    base: Abstract
    labels: tuple[Label, ...]
    alone: bool  # is it used by nobody else?

    def sizes(self) -> dict[int, int]:
        return {k: n for k, n in zip(self.labels, self.base.shape) if k is not None}


@dataclass(eq=False)
class Plan:
    """How a product is taken: what it costs, and what need not be computed for it any more."""

    op: Any  # None: one product
    parts: list[Any] = field(default_factory=list)
    cost: int = 0
    saved: int = 0


def reused(program: Program) -> Program:
    """The program without the products that others stand for."""
    large = [s for s in program.steps if s.op in (MatMulGrad, ContractGrad)
             and s.values[0].size * 4 >= LEAST]  # fmt: skip
    return Reusing(program).result() if len(large) > 2 else program


class Reusing(Rewriter):
    def __init__(self, program: Program) -> None:
        self.uses: dict[Abstract, int] = {}
        for step in program.steps:
            for x in step.inputs:
                self.uses[x] = self.uses.get(x, 0) + 1
        for y in program.outputs:
            if type(y) is Abstract:
                self.uses[y] = self.uses.get(y, 0) + 2
        self.labels = itertools.count()
        self.pairs: dict[frozenset[Abstract], list[Step]] = {}  # what was multiplied with what
        super().__init__(program)

    def _step(self, step: Step) -> None:
        operands = tuple([self.now.get(x, x) if type(x) is Abstract else x for x in step.operands])
        self.line = step.line
        new = Step(step.op, operands, step.params, step.line)
        new.several, new.values = step.several, step.values
        if step.op in (MatMulGrad, ContractGrad):
            found = self._other_way(new)
            if found is not None:
                self.now[step.values[0]] = found
                return
        if step.op in (MatMulGrad, ContractGrad, MultiplyGrad):
            bases = [self.seen(x)[0] for x in new.operands]
            if all(type(x) is Abstract for x in bases):
                self.pairs.setdefault(frozenset(bases), []).append(new)
        self._append(new)

    # What a value is a view of --------------------------------------------------------------------

    def seen(self, x: Any) -> tuple[Any, tuple[Label, ...]]:
        """The array behind views, and for each axis of x the axis there."""
        if type(x) is not Abstract:
            return x, ()
        axes: list[Label] = [a if n > 1 else None for a, n in enumerate(x.shape)]
        while True:
            step = self.makers.get(x)
            found = None if step is None else _axes_before(step)
            if found is None:
                return x, tuple(axes)
            assert step is not None
            axes = [None if a is None else found[a] for a in axes]
            x = step.operands[0]

    def factor(self, x: Any, labels: tuple[Label, ...]) -> Factor | None:
        """An operand whose axes have these labels."""
        base, axes = self.seen(x)
        alone = self.uses.get(base, 0) == 1
        while x is not base and alone:
            alone, x = self.uses.get(x, 0) == 1, self.makers[x].operands[0]
        if type(base) is not Abstract:
            return None
        of: list[Label] = [None] * base.ndim
        for label, a in zip(labels, axes):
            if a is not None:
                of[a] = label
        return Factor(base, tuple(of), alone)

    def operands(self, step: Step, out: tuple[Label, ...]) -> list[Factor] | None:
        """The factors of a product, or of an elementwise step, whose result has these labels."""
        y = step.values[0]
        if step.op in (MatMulGrad, ContractGrad):
            la, lb, ly = _labels(step)
            named: dict[Any, Label] = dict(zip(ly, out))
            parts = []
            for x, own in zip(step.operands, (la, lb)):
                for k in own:
                    if k not in named:
                        named[k] = next(self.labels)
                parts.append(self.factor(x, tuple(named[k] for k in own)))
        else:
            parts = [
                self.factor(x, out[y.ndim - x.ndim :]) if type(x) is Abstract else None
                for x in step.operands
            ]
        if any(part is None for part in parts):
            return None
        return [part for part in parts if part is not None]

    def existing(self, a: Factor, b: Factor, summed: bool) -> Factor | None:
        """What a times b is, summed over what they share and nothing else, if that is there."""
        for step in self.pairs.get(frozenset((a.base, b.base)), ()):
            if (step.op is MultiplyGrad) == summed:
                continue
            y = step.values[0]
            out = tuple([next(self.labels) if n > 1 else None for n in y.shape])
            parts = self.operands(step, out)
            if parts is None:
                continue
            for first, second in (parts, parts[::-1]):
                name = _renamed(((first, a), (second, b)))
                if name is None:
                    continue
                inside = {name[k] for part in parts for k in part.labels if k is not None}
                outside = {name.get(k) for k in out if k is not None}
                shared = set(a.sizes()) & set(b.sizes())
                if None not in outside and inside - outside == (shared if summed else set()):
                    return self.factor(y, tuple([None if k is None else name[k] for k in out]))
        return None

    # Another way ----------------------------------------------------------------------------------

    def _other_way(self, step: Step) -> Abstract | None:
        y = step.values[0]
        out = tuple([next(self.labels) if n > 1 else None for n in y.shape])
        parts = self.operands(step, out)
        if parts is None:
            return None
        for x, e in (parts, parts[::-1]):
            if not (set(x.sizes()) & set(e.sizes()) - set(out)):
                continue
            plan = self.moved(x, e)
            if plan.saved and 2 * plan.cost < plan.saved + _count(x, e) and plan.saved > LEAST:
                labels = tuple([k for k in out if k is not None])
                return self.emit(ReshapeGrad, self.made(plan, labels), shape=y.shape)
        return None

    def moved(self, x: Factor, e: Factor, depth: int = 0) -> Plan:
        """The best way found to take the sum of x times e."""
        best = Plan(None, [x, e], _count(x, e))
        step = self.makers.get(x.base)
        if step is None or not x.alone or depth > 32:
            return best
        for plan in self._ways(step, x, e, depth + 1):
            if plan.saved - plan.cost > best.saved - best.cost:
                best = plan
        return best

    def _ways(self, step: Step, x: Factor, e: Factor, depth: int) -> Iterator[Plan]:
        parts = self.operands(step, x.labels)
        if parts is None:
            return
        if step.op in (AddGrad, SubtractGrad):
            if any(p.sizes() != x.sizes() for p in parts):
                return
            a, b = (self.moved(p, e, depth) for p in parts)
            yield Plan(step.op, [a, b], a.cost + b.cost, a.saved + b.saved)
        elif step.op is NegativeGrad:
            a = self.moved(parts[0], e, depth)
            yield Plan(step.op, [a], a.cost, a.saved)
        elif step.op in (MultiplyGrad, MatMulGrad, ContractGrad):
            product = step.op is not MultiplyGrad
            for a, b in (parts, parts[::-1]):
                f = self.existing(e, b, product)
                if f is not None:
                    plan = self.moved(a, f, depth)
                    saved = plan.saved + (_count(a, b) if product else 0)
                    yield Plan(plan.op, plan.parts, plan.cost, saved)

    def made(self, plan: Plan, labels: tuple[int, ...]) -> Abstract:
        """The steps of a plan; its result has these labels."""
        if plan.op is not None:
            return self.emit(plan.op, *[self.made(part, labels) for part in plan.parts])
        operands, named = [], []
        for part in plan.parts:
            kept = tuple([k for k in part.labels if k is not None])
            operands.append(self.emit(ReshapeGrad, part.base, shape=tuple(part.sizes().values())))
            named.append(kept)
        number = {k: n for n, k in enumerate(dict.fromkeys((*named[0], *named[1])))}
        la, lb, ly = (tuple([number[k] for k in part]) for part in (*named, labels))
        return self.emit(ContractGrad, *operands, la=la, lb=lb, ly=ly)


def _labels(step: Step) -> tuple[Any, Any, Any]:
    if step.op is ContractGrad:
        p = step.params
        return p["la"], p["lb"], p["ly"]
    n = step.values[0].ndim - 2
    a, b = (x.ndim for x in step.operands)
    return (*range(n - a + 2, n), "i", "k"), (*range(n - b + 2, n), "k", "j"), (*range(n), "i", "j")


def _axes_before(step: Step) -> list[Label] | None:
    """For each axis of a view the axis of what it is a view of; None of what is none."""
    x, y = step.operands[0], step.values[0]
    if type(x) is not Abstract:
        return None
    if step.op is AliasGrad:
        return list(range(x.ndim))
    if step.op is TransposeGrad:
        return [a % x.ndim for a in step.params["axes"]]
    if step.op is BroadcastToGrad:
        extra = y.ndim - x.ndim
        return [None if a < extra or x.shape[a - extra] == 1 else a - extra
                for a in range(y.ndim)]  # fmt: skip
    if step.op in (ReshapeGrad, ExpandDimsGrad):
        if [n for n in x.shape if n > 1] != [n for n in y.shape if n > 1]:
            return None
        real = iter([a for a, n in enumerate(x.shape) if n > 1])
        return [next(real) if n > 1 else None for n in y.shape]
    return None


def _renamed(pairs: Any) -> dict[int, int] | None:
    """Labels of the first factors as those of the second, one for one; None if they differ."""
    name: dict[int, int] = {}
    for mine, theirs in pairs:
        if mine.base is not theirs.base:
            return None
        for k, to in zip(mine.labels, theirs.labels):
            if (k is None) != (to is None) or (k is not None and name.setdefault(k, to) != to):
                return None
    return name if len(set(name.values())) == len(name) else None


def _count(a: Factor, b: Factor) -> int:
    return math.prod({**a.sizes(), **b.sizes()}.values())
