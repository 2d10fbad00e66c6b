"""Long loops: a fixed number of snapshots of the carry, and the steps between them run again.

Snapshots stand where the fewest steps are run again; where the number of steps is found only by
running the loop, at those of many equal distances that come nearest. A snapshot has the random
streams, too: a step that is run again draws what it drew.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..errors import GraphError, message
from ..graph import Grad, mode, next_seq, no_grad
from ..ops.join import stack
from ..plan import RECORDED_SWEEP
from .checkpoint import (
    Recomputation,
    captured_by,
    drawn_state,
    node_for,
    recording_here,
    replayed,
)
from .pull import sweep
from .steps import Form, run_scan, step


def binomial(snapshots: int, repeats: int) -> int:
    """How many steps so many snapshots can reverse if none is run more than `repeats` times."""
    return math.comb(snapshots + repeats, snapshots) if repeats >= 0 else 0


@functools.lru_cache(maxsize=65536)
def fewest_advances(steps: int, snapshots: int) -> int:
    r"""The least number of steps run to reverse a loop, the recorded ones not counted.

    t(l, s) = r l - \binom{s + r}{s + 1}, r the least with \binom{s + r}{s} >= l; the start is one
    of the s snapshots. (Griewank & Walther, "Evaluating Derivatives", 2nd ed., section 12.3.)

    >>> [fewest_advances(*case) for case in [(10, 3), (56, 5), (100, 10), (300, 10)]]
    [15, 140, 222, 836]
    """
    if steps <= 1:
        return 0
    r = 0
    while binomial(snapshots, r) < steps:
        r += 1
    return r * steps - binomial(snapshots + 1, r - 1)


@functools.lru_cache(maxsize=65536)
def next_snapshot(steps: int, snapshots: int) -> int:
    """After how many steps to take the next snapshot, `snapshots` being free with the start's."""
    best, at = None, 1
    r = 0
    while binomial(snapshots, r) < steps:
        r += 1
    # The best place lies among those whose two parts are reversed with r - 1 and r repeats.
    low = max(1, steps - binomial(snapshots - 1, r))
    high = min(steps - 1, binomial(snapshots, r - 1))
    for m in range(low, max(high, low) + 1):
        cost = m + fewest_advances(steps - m, snapshots - 1) + fewest_advances(m, snapshots)
        if best is None or cost < best:
            best, at = cost, m
        if cost == fewest_advances(steps, snapshots):
            break
    return at


class Point(NamedTuple):
    """Where a loop stands: the steps done, the leaves of the carry, the random streams."""

    step: int
    carry: list[GradArray]
    drawn: Any


class Recorded(NamedTuple):
    """One step, recorded on leaves of its own; no node of it is older than `floor`."""

    inputs: list[GradArray]
    outputs: list[GradArray]
    floor: int


class SnapshotLoop:
    """A loop whose carry is kept at a few steps only.

    `f(carry, x)` gives (carry, y); `xs` are the leaves of what it goes along, and `steps` is None
    until the loop has been run if that alone tells.
    """

    def __init__(
        self, op: str, f: Callable[..., Any], init: Any, xs: Any, *, snapshots: int,
        steps: int | None = None, reverse: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(snapshots, int) or snapshots < 1:
            raise ValueError(message(op, f"snapshots is at least 1, not {snapshots!r}."))
        self.f, self.reverse, self.snapshots = f, reverse, snapshots
        self.form = Form(op, init)
        self.init, self.carry_form = tree.flatten(init)
        self.along, self.x_form = tree.flatten(xs)
        self.xs = [x.detach() for x in self.along]
        self.steps = steps
        self.captured: list[Grad] = []
        self.kept: list[Point] = []
        self.last: Recorded | None = None
        self._every = 1

    def at(self, k: int) -> int:
        """Where step k reads its x and writes its y."""
        return self.steps - 1 - k if self.reverse and self.steps is not None else k

    # Forward ------------------------------------------------------------------------------------

    def run(self, going: Callable[[Point], bool]) -> tuple[Any, Any]:
        """(carry, ys), on one node that keeps the snapshots."""
        state = drawn_state()
        point = Point(0, [c.detach() for c in self.init], state)
        self.kept, ys = [point], []
        wanted = self._next(point)
        # Every step is recorded, and let go: so it is known what it takes from around it.
        with graph.recording():
            while going(point):
                done = self.last = self.recorded(point)
                known = set(self.captured)
                self.captured += captured_by(done.outputs, done.floor, known)
                results = [y.detach() for y in done.outputs]
                point = Point(point.step + 1, results[: len(self.init)], drawn_state())
                ys.append(results[len(self.init) :])
                if self.steps is None:
                    self._thin(point)
                elif point.step == wanted:
                    self.kept.append(point)
                    wanted = self._next(point)
        if self.steps is None:
            self.steps = point.step
            self.kept = self._best()
        if not self.steps:
            return tree.unflatten(self.carry_form, self.init), None
        if self.reverse:
            ys.reverse()
        columns = [stack(list(column)) for column in zip(*ys)]
        arrays = [*self.init, *self.along]
        plan = LoopRecomputation(self.whole, self, len(arrays))
        values = [*point.carry, *columns]
        results = node_for(self.whole, arrays, self.captured, values, state, plan)
        n = len(self.init)
        carry = tree.unflatten(self.carry_form, results[:n])
        return carry, tree.unflatten(self.y_form, results[n:])

    def recorded(self, point: Point) -> Recorded:
        """The next step on leaves of its own."""
        inputs = [leaf_on(c) for c in point.carry]
        if self.xs:
            inputs += [leaf_on(lift(column[self.at(point.step)])) for column in self.xs]
        floor = min([x._node.seq for x in inputs if x._node is not None], default=next_seq())
        n = len(point.carry)
        x = tree.unflatten(self.x_form, inputs[n:])
        carry, y = step(self.f, tree.unflatten(self.carry_form, inputs[:n]), x, self.form)
        leaves, self.y_form = tree.flatten(y)
        return Recorded(inputs, [*tree.flatten(carry)[0], *map(lift, leaves)], floor)

    def whole(self, *leaves: Any) -> Any:
        """The loop, every step recorded."""
        assert self.steps is not None
        n = len(self.init)
        carry = tree.unflatten(self.carry_form, leaves[:n])
        xs = tree.unflatten(self.x_form, leaves[n:])
        return run_scan(self.f, carry, xs, self.steps, self.reverse)

    def _next(self, point: Point) -> int:
        """The step whose carry to keep next, -1 if none."""
        free = self.snapshots - len(self.kept)
        if self.steps is None or free < 1 or self.steps - point.step < 2:
            return -1
        return point.step + next_snapshot(self.steps - point.step, free + 1)

    def _thin(self, point: Point) -> None:
        """Keep this carry if it is one of every so many; when there are too many, half of them."""
        if point.step % self._every:
            return
        if len(self.kept) == self.snapshots:
            self.kept = self.kept[::2]
            self._every *= 2
        if point.step % self._every == 0 and len(self.kept) < self.snapshots:
            self.kept.append(point)

    def _best(self) -> list[Point]:
        """Of what was kept before the length was known, what stands nearest to the best places."""
        assert self.steps is not None
        points, self.kept = self.kept[1:], self.kept[:1]
        while (wanted := self._next(self.kept[-1])) >= 0:
            points = [p for p in points if self.kept[-1].step < p.step < self.steps]
            if not points:
                break
            self.kept.append(min(points, key=lambda p: abs(p.step - wanted)))
        return self.kept

    def advanced(self, point: Point, stop: int) -> Point:
        """The loop from a point on, up to `stop`, nothing recorded."""
        if stop == point.step:
            return point
        carry = tree.unflatten(self.carry_form, point.carry)
        outer, mode.raw = mode.raw, 0
        try:
            with no_grad(), replayed(point.drawn):
                for k in range(point.step, stop):
                    x = [column[self.at(k)] for column in self.xs]
                    carry, _ = step(self.f, carry, tree.unflatten(self.x_form, x), self.form)
                return Point(stop, tree.flatten(carry)[0], drawn_state())
        finally:
            mode.raw = outer


def leaf_on(x: GradArray) -> GradArray:
    out = wrap(x._data)
    if out.dtype.kind in "fc":
        out._node = graph.leaf(out)
    return out


class LoopRecomputation(Recomputation):
    """The plan of a loop with snapshots: reversed step by step, each recorded alone."""

    def __init__(self, whole: Any, loop: SnapshotLoop, count: int) -> None:
        super().__init__(whole, count)
        self.loop = loop

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        if variant == RECORDED_SWEEP:
            return super()._pull(variant, node, y_bar)  # on a graph of every step
        return _Reversal(self.loop, variant, y_bar).through(node)


class _Reversal:
    """One sweep back through a loop: what has arrived so far."""

    def __init__(self, loop: SnapshotLoop, variant: int, y_bar: Any) -> None:
        self.loop, self.variant = loop, variant
        n = len(loop.init)
        self.carry, self.ys = list(y_bar[:n]), y_bar[n:]
        self.xs = [np.zeros(x.shape, x.dtype) for x in loop.xs]
        self.outside: dict[Grad, Any] = {}

    def through(self, node: Any) -> tuple[Any, ...]:
        loop = self.loop
        assert loop.steps is not None
        high = loop.steps
        if loop.last is not None:
            done, loop.last = loop.last, None
            high -= 1
            self.pulled(high, done)
        for number in range(len(loop.kept) - 1, -1, -1):
            point = loop.kept[number]
            if high > point.step:
                self.part(point, high, loop.snapshots - number)
                high = point.step
        given = len(self.carry) + len(self.xs)
        bars = [*self.carry, *self.xs, *[self.outside.get(p) for p in node.parents[given:]]]
        return tuple([None if p is None else c for p, c in zip(node.parents, bars)])

    def part(self, point: Point, high: int, snapshots: int) -> None:
        """Reverse the steps from a point up to `high`; the point is one of so many snapshots."""
        low = point.step
        while high - low > 1 and snapshots > 1:
            middle = low + next_snapshot(high - low, snapshots)
            self.part(self.loop.advanced(point, middle), high, snapshots - 1)
            high = middle
        for k in range(high - 1, low - 1, -1):
            before = self.loop.advanced(point, k)
            with recording_here(), replayed(before.drawn):
                done = self.loop.recorded(before)
            self.pulled(k, done)

    def pulled(self, k: int, done: Recorded) -> None:
        """Back through step k."""
        seeds: dict[Grad, Any] = {}
        at = self.loop.at(k)
        for y, c in zip(done.outputs, [*self.carry, *[c[at] for c in self.ys]], strict=True):
            if y._node is not None:
                old = seeds.get(y._node)
                seeds[y._node] = c if old is None else old + c
        order, _ = graph.ancestry(list(seeds), done.floor)
        arrived = sweep(order, seeds, self.variant)
        for captured, c in seeds.items():
            old = self.outside.get(captured)
            self.outside[captured] = c if old is None else old + c
        found = [arrived.get(x._node) if x._node is not None else None for x in done.inputs]
        n = len(self.carry)
        for i, x in enumerate(done.inputs[:n]):
            self.carry[i] = np.zeros(x.shape, x.dtype) if found[i] is None else found[i]
        for column, c in zip(self.xs, found[n:], strict=True):
            if c is not None:
                column[at] = c


def snapshot_scan(
    f: Callable[..., Any], init: Any, xs: Any, steps: int, reverse: bool, snapshots: int,
    op: str = "scan",
) -> tuple[Any, Any]:  # fmt: skip
    """`scan` with at most `snapshots` carries kept."""
    loop = SnapshotLoop(op, f, init, xs, snapshots=snapshots, steps=steps, reverse=reverse)
    if steps == 0 or not mode.grad:
        return run_scan(f, init, xs, steps, reverse, op)
    return loop.run(lambda point: point.step < steps)


def snapshot_while(
    going: Callable[[Any], bool],
    body: Callable[[Any], Any],
    init: Any,
    max_steps: int | None,
    snapshots: int,
) -> Any:
    """`while_loop` with at most `snapshots` carries kept."""
    loop = SnapshotLoop(
        "while_loop", lambda carry, _: (body(carry), None), init, None, snapshots=snapshots
    )

    def more(point: Point) -> bool:
        with no_grad():
            if not going(tree.unflatten(loop.carry_form, point.carry)):
                return False
        check_steps(point.step, max_steps)
        return True

    return loop.run(more)[0]


def check_steps(taken: int, max_steps: int | None) -> None:
    if max_steps is not None and taken >= max_steps:
        raise GraphError(message("while_loop", f"not finished after {max_steps} steps."))
