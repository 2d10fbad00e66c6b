"""Lower: the steps of a program become loops; what shares a box of points shares a nest.

A value is inline, an expression at every point of a group's box, until somebody needs it in
memory. Reshapes, transposes, slices and broadcasts move no data: they are other strides on the
same buffer. What has no rule here stays a call of the op's own forward, on the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..algebra import Elementwise
from . import expr, passes
from .abstract import Abstract
from .expr import Expr
from .group import Group
from .loops import Access, Buffer, Contract, Gemm, Label, Loop, Turn, Var, walk
from .memory import Memory, View, contiguous, turned_over
from .program import Program, Step
from .scalar import Scalar, Unsupported, as_scalar

F = TypeVar("F", bound=Callable[..., Any])

SMALL = 8192  # multiplications below which a product is a nest, not a call of BLAS
TERMS = 2  # of a product that is written out at every point
SHARED = 4  # operations that may be carried out once more where a value is needed
MOST_LOADS = 24  # arrays that one nest goes along at a time
MOST = 1000  # expressions that one nest begins anew from: LLVM's time grows faster than they do


@dataclass(eq=False)
class Host:
    """A step that the op's own forward carries out."""

    step: Step
    operands: list[Any]  # views, or constants
    results: list[View]


# How ops that are not elementwise become loops; `rules` fills it.
RULES: dict[Any, Callable[[Any, Step], Any]] = {}


def rule(*ops: Any) -> Callable[[F], F]:
    """Declare how these ops are lowered; the function may give NotImplemented."""

    def declare(fn: F) -> F:
        for op in ops:
            RULES[op] = fn
        return fn

    return declare


class Lowering:
    """Steps become `items`: groups, statements and host steps, in order.

    `views` says where values lie, those from before (`known`) and those that are made here.
    """

    def __init__(self, program: Program, memory: Memory, known: dict[Abstract, View]) -> None:
        self.program, self.shared = program, memory
        self.items: list[Any] = []
        self.views: dict[Abstract, View] = dict(known)
        self.inline: dict[Abstract, int] = {}
        self.moved: list[tuple[Abstract, int]] = []  # inline values, and the group they were in
        # The first item that may read a value from memory.
        self.ready: dict[Abstract, int] = dict.fromkeys(known, 0)
        # Sums that are added to what their places hold.
        self.targets: dict[Abstract, View] = {}
        # Sums over samples of which each sample has its own, along a first axis.
        self.apart: dict[Abstract, View] = {}
        # Where values are to lie, if they are not views of others.
        self.homes: dict[Abstract, View] = {}
        self.doing = ("copy", "")  # the name of the op that is lowered, and the user's line

    def within(self, program: Program, known: dict[Abstract, View], turn: Any) -> Lowering:
        """The lowering of the body of a loop over `turn`: its memory is that of one turn."""
        low = Lowering(program, self.shared, known)
        low.turn = turn
        return low

    turn: Any = None
    near = False  # do operands lie in a core's cache?
    next_axis: int | None = None  # of what is made next: which axis counts a tile's samples

    def _constant(self, data: np.ndarray) -> View:
        return self.shared.constant(data)

    def output(self, y: Any) -> Any:
        """A view of a buffer of its own, as the caller gets it; constants as they are."""
        if type(y) is not Abstract:
            return y
        view = self.memory(y)
        if view.buffer.place == "arena" and view.contiguous and view.buffer.size == y.size:
            view.buffer.place = "output"
            return view
        return self._copied(y, "output")

    # Values ---------------------------------------------------------------------------------------

    def fresh(self, shape: tuple[int, ...], dtype: Any) -> View:
        return self.side_by_side(shape, dtype)

    def fresh_for(self, v: Abstract, turns: int | None = None) -> View:
        """Memory for a value, or for as many as there are turns of a loop, along a first axis."""
        return self.fresh(v.shape if turns is None else (turns, *v.shape), v.dtype)

    def side_by_side(self, shape: tuple[int, ...], dtype: Any) -> View:
        """Memory in C order, in tiles too."""
        buffer = Buffer(math.prod(shape), np.dtype(dtype), turn=self.turn)
        return View(buffer, 0, shape, contiguous(shape))

    def turned(self, of: View, to: View, items: list[Any]) -> View:
        """The same values where `to` lies, if that is another order of axes; else where they are.

        The last axis has stride 1 in one of the two, and in the other one an axis before it.
        """
        if of.strides == to.strides:
            return of
        last = len(of.shape) - 1
        there, back = of.strides[last] == 1, to.strides[last] == 1
        lane = next((a for a in range(last) if (to if there else of).strides[a] == 1), None)
        if lane is None or there == back:
            return of
        others = [(Var(n), a) for a, n in enumerate(of.shape) if a not in (lane, last)]
        of_, to_ = (
            Access(v.buffer, v.offset, (*v.outer, *((var, v.strides[a]) for var, a in others)))
            for v in (of, to)
        )
        rows, columns = (lane, last) if there else (last, lane)
        inner: list[Any] = [
            Turn(of=of_, to=to_, rows=of.shape[rows], columns=of.shape[columns],
                 of_stride=of.strides[rows], to_stride=to.strides[columns])
        ]  # fmt: skip
        for var, _ in reversed(others):
            inner = [Loop(var, inner)]
        items += inner
        return to

    def memory(self, x: Any) -> View:
        """Where a value lies; what was inline is stored by its group."""
        if type(x) is not Abstract:
            return self._constant(np.asarray(x))
        view = self.views.get(x)
        if view is None:
            k = self.inline[x]
            view = self.views[x] = self.homes.get(x) or self.fresh(x.shape, x.dtype)
            self.items[k].stores.append((view, self.items[k].values[x]))
            self.ready[x] = k + 1
        return view

    def define(self, value: Abstract, view: View, ready: int) -> None:
        self.views[value] = view
        self.ready[value] = ready

    def when(self, x: Any) -> int:
        """The first item that may read x from memory."""
        if type(x) is not Abstract:
            return 0
        self.memory(x)
        return self.ready[x]

    def append(self, item: Any) -> int:
        """Put a statement, or several in a list, at the end; the number of the next."""
        self.items.append(item)
        for s in walk(item if isinstance(item, list) else [item]):
            if isinstance(s, (Contract, Gemm)) and not s.label:
                s.label = Label((self.doing,))
        return len(self.items)

    def _copied(self, x: Abstract, place: str = "arena") -> View:
        """The values in a buffer of their own, in C order."""
        view = self.fresh(x.shape, x.dtype)
        view.buffer.place = place
        k = self._group(x.shape, self.when(x))
        group = self.items[k]
        group.stores.append((view, group.leaf(self.memory(x))))
        return view

    # Groups ---------------------------------------------------------------------------------------

    def _group(
        self, shape: tuple[int, ...], first: int, summed: tuple[int, ...] | None = None
    ) -> int:
        """The number of a group with this box, at `first` or later; a new one if there is none."""
        shared = range(first, len(self.items)) if passes.is_on("fuse") else ()
        for k in shared:
            g = self.items[k]
            if (
                isinstance(g, Group)
                and g.shape == shape
                and (not shape or len(g.views) + len(g.stores) < MOST_LOADS)
                and (not shape or len(g.made) < MOST)
                and (summed is None or g.summed in (None, summed))
            ):
                break
        else:
            k = len(self.items)
            self.items.append(Group(shape))
        self.items[k].meeting.append(self.doing)
        return k

    def _bound(self, xs: Sequence[Any], shape: tuple[int, ...]) -> int:
        """The first item in which all of xs can be used in a box of this shape."""
        first = 0
        for x in xs:
            if type(x) is not Abstract:
                continue
            k = self.inline.get(x)
            if k is None:
                first = max(first, self.ready[x])
            elif self.items[k].shape == shape:
                first = max(first, k)
            else:
                first = max(first, k + 1)
        return first

    def _used(self, x: Any, k: int) -> Expr:
        """A value as an expression in group k."""
        group = self.items[k]
        if x in group.values:
            return group.values[x]
        if type(x) is Abstract and x not in self.views:
            self._move(x, group, k)
            if x in group.values:
                return group.values[x]
        return group.leaf(self.memory(x))

    def _move(self, x: Abstract, group: Group, k: int) -> None:
        """Compute x in a later group, which needs it, if that costs little.

        So it does if nothing needs it where it is, or if it follows from what is stored there.
        """
        source: Group = self.items[self.inline[x]]
        if source.shape != group.shape or not passes.is_on("fuse"):
            return
        stored = {e: view for view, e in source.stores}
        e, ends = source.values[x], {}
        own = expr.down_to(e, stored)
        for y in own:
            if y in stored or y.op == "leaf":
                ends[y] = stored[y] if y in stored else source.views[y.attr]
        again = [y for y in own if y not in ends and y.args]
        if len(again) > SHARED and len(source.kept.intersection(again)) > SHARED:
            return
        if len(again) > SHARED and len(group.made) + len(again) > MOST:
            return
        if len(group.views) + len(ends) > MOST_LOADS:
            return
        group.define(x, expr.rebuilt(own, {y: group.leaf(view) for y, view in ends.items()}))
        self.moved.append((x, self.inline[x]))
        self.inline[x] = k

    def elementwise(
        self, xs: Sequence[Any], y: Abstract, rule: Callable[..., Any]
    ) -> None:
        """y = rule(*xs) at every point; xs are values, or numbers."""
        xs = [self._as_operand(x) for x in xs]
        first = self._bound(xs, y.shape)
        k = self._group(y.shape, first if y.shape else max(first, self._after_chains(xs)))
        group = self.items[k]
        args = []
        for x in xs:
            if type(x) is Abstract:
                args.append(Scalar(self._used(x, k), x.weak))
            else:
                args.append(x)
        found = as_scalar(rule(*args)).e
        group.define(y, expr.cast(found, y.dtype) if found.dtype != y.dtype else found)
        self.inline[y] = k

    def _after_chains(self, xs: Sequence[Any]) -> int:
        """The first item that may use numbers; what is made of very many operations is stored.

        Of numbers a group may hold any number that have nothing in common: these come apart.
        """
        first = 0
        for x in xs:
            if type(x) is Abstract and x in self.inline:
                group = self.items[self.inline[x]]
                if group.takes_more(group.values[x], MOST):
                    self.memory(x)
                    first = max(first, self.ready[x])
        return first

    def pointwise(
        self, views: Sequence[View], first: int, y: Abstract, rule: Callable[..., Any]
    ) -> None:
        """y = rule(..) at every point of y's box, of views that broadcast to it."""
        k = self._group(y.shape, first)
        group = self.items[k]
        found = as_scalar(rule(*[Scalar(group.leaf(v)) for v in views])).e
        group.define(y, expr.cast(found, y.dtype))
        self.inline[y] = k

    def _as_operand(self, x: Any) -> Any:
        """A constant array becomes a value like any other."""
        if isinstance(x, np.ndarray) and x.ndim:
            value = Abstract(self.program.trace, x.shape, x.dtype)
            self.define(value, self._constant(x), 0)
            return value
        return x[()] if isinstance(x, np.ndarray) else x

    def reduction(
        self, x: Any, y: Abstract, axes: tuple[int, ...], combine: str,
        before: Callable[..., Any] = lambda x: x,
    ) -> None:  # fmt: skip
        """y = before(x) combined over some axes."""
        x = self._as_operand(x)
        shape = x.shape
        axes = tuple(sorted(a % len(shape) for a in axes)) if shape else ()
        k = self._group(shape, self._bound([x], shape), axes)
        group = self.items[k]
        e = as_scalar(before(Scalar(self._used(x, k), x.weak))).e
        if combine in ("or", "and") and e.dtype != expr.BOOL:
            e = expr.make("ne", e, expr.const(0, e.dtype))
        e = expr.cast(e, y.dtype)
        view, fresh = self.target_of(y)
        kept = [s for n, s in zip(y.shape, view.strides)]
        if len(y.shape) == len(shape):  # keepdims
            full = tuple(0 if a in axes else s for a, s in enumerate(kept))
        else:
            strides = iter(kept)
            full = tuple(0 if a in axes else next(strides) for a in range(len(shape)))
        group.sums.append((replace(view, shape=shape, strides=full), e, combine, fresh))
        group.summed = axes
        self.define(y, view, k + 1)

    def lane_of(self, step: Step, la: Any, lb: Any) -> Any:
        """The label of a product's operands that counts samples; None outside of tiles."""
        return None

    def terms(self, y: Abstract) -> int:
        """How many sums are added up where this one goes."""
        return 1

    def adds(self, y: Abstract) -> bool:
        """Can a product like y be added to what its place holds? In lanes of samples only."""
        return False

    def target_of(self, y: Abstract) -> tuple[View, bool]:
        """Where a sum goes, and whether it starts there; else it is added to what is there."""
        view = self.targets.get(y)
        if view is not None:
            return view, False
        if y in self.homes:
            return self.homes[y], True
        if y in self.shared.turned and self.turn is None:
            return turned_over(y), True
        return self.fresh(y.shape, y.dtype), True

    # Steps ----------------------------------------------------------------------------------------

    def run(self, step: Step) -> None:
        """Lower one step."""
        op, count, moved = step.op, len(self.items), len(self.moved)
        self.doing = (op.name, step.line)
        try:
            for x in (*step.operands, *step.values):
                dtype = getattr(x, "dtype", expr.BOOL)
                if dtype.kind == "f" and not expr.has_code(dtype):
                    raise Unsupported(f"{dtype}")
            if op in RULES:
                if RULES[op](self, step) is not NotImplemented:
                    return
            elif issubclass(op, Elementwise) and not step.several:
                params = step.params
                forward: Any = op.forward
                self.elementwise(
                    step.operands, step.values[0], lambda *xs: forward(*xs, **params)
                )
                return
            self.shared.host_reasons.setdefault(op.name, "has no rule")
        except Unsupported as why:
            del self.items[count:]
            while len(self.moved) > moved:
                x, before = self.moved.pop()
                self.inline[x] = before
            self.shared.host_reasons.setdefault(op.name, str(why))
        self.host(step)

    def host(self, step: Step) -> None:
        first = [self.memory(x) if type(x) is Abstract else x for x in step.operands]
        results = [self.fresh(v.shape, v.dtype) for v in step.values]
        at = self.append(Host(step, first, results))
        for value, view in zip(step.values, results):
            self.define(value, view, at)
