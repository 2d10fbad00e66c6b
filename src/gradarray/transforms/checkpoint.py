"""Checkpoint: keep less, compute again in the reverse sweep.

A recomputed node keeps the inputs of a function instead of everything inside it; a walk that comes
to it runs the function again. Arrays that the function takes from around it (a layer's weights)
are found by running it once, and are parents of the node like its arguments. A long loop keeps a
fixed number of snapshots of its carry, placed so that the fewest steps are run again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import graph, tree
from ..algebra import RECORDED_SWEEP, given
from ..array import GradArray, lift, wrap
from ..errors import message
from ..graph import Grad, mode, next_seq, no_grad
from ..ops.control import alias
from ..ops.join import stack
from ..random.generator import generators
from ..record import handle_on
from . import push
from .pull import sweep
from .steps import run_scan, step


class RecomputedGrad(Grad, internal=True):
    """One application of a function whose inside was not kept."""

    __slots__ = ("inner", "random", "random_after")
    name = "checkpoint"
    operands = ()
    forward = staticmethod(lambda *xs: xs)

    @property
    def inputs(self) -> tuple[GradArray, ...]:
        return given.inputs_of(self)

    def backward(self, y_bar: Any) -> tuple[Any, ...]:
        graph.check_alive(self)
        c = tuple(map(lift, y_bar)) if isinstance(y_bar, tuple) else (lift(y_bar),)
        return self.plan.pulls[RECORDED_SWEEP](self, c)


class Recomputation:
    """What a recomputed node does instead of a plan: run again, then walk."""

    keep: tuple[int, ...] = ()
    where_saved: dict[int, int] = {}

    def __init__(self, function: Callable[..., Any], count: int) -> None:
        self.function, self.count = function, count
        self.pulls = [functools.partial(self._pull, variant) for variant in range(3)]

    def pull(self, variant: int, needed: tuple[bool, ...]) -> Any:
        return self.pulls[variant]

    def push(self, variant: int, moving: tuple[bool, ...]) -> Any:
        return functools.partial(self._push, variant)

    def _again(self, node: Any, variant: int) -> tuple[list[GradArray], int]:
        """The function's results, recorded on aliases of the node's inputs, and their floor."""
        inputs = [
            wrap(x, GradArray, parent)
            for x, parent in zip(node.saved, node.parents[: self.count], strict=True)
        ]
        with recording_here(), replayed(node.random):
            aliases = [alias(x) if x.dtype.kind in "fc" else x for x in inputs]
            floor = min((a._node.seq for a in aliases if a._node is not None), default=next_seq())
            leaves, _ = tree.flatten(self.function(*aliases))
        ys = [lift(y) for y in leaves]
        return ys, floor

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        ys, floor = self._again(node, variant)
        cotangents: dict[Grad, Any] = {}
        for y, c in zip(ys, y_bar if isinstance(y_bar, tuple) else (y_bar,), strict=True):
            if y._node is not None:
                old = cotangents.get(y._node)
                cotangents[y._node] = c if old is None else old + c
        order, _ = graph.ancestry(list(cotangents), floor)
        sweep(order, cotangents, variant)
        return _shares(node, cotangents)

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        ys, floor = self._again(node, variant)
        tangents = {
            parent: dot
            for parent, dot in zip(node.parents, x_dots, strict=True)
            if parent is not None and dot is not None
        }
        order, _ = graph.ancestry([y._node for y in ys if y._node is not None], floor)
        found = push.sweep(order, tangents, variant)
        zeros = [np.zeros(y.shape, y.dtype) for y in ys]
        if variant == RECORDED_SWEEP:
            zeros = [wrap(z) for z in zeros]
        dots = tuple(
            z if y._node is None else found.get(y._node, z) for y, z in zip(ys, zeros, strict=True)
        )
        return dots if node.inner else dots[0]


def _shares(node: Any, cotangents: dict[Grad, Any]) -> tuple[Any, ...]:
    """What arrived at the node's parents; a parent that stands twice gets it once."""
    out = []
    for parent in node.parents:
        out.append(None if parent is None else cotangents.pop(parent, None))
    return tuple(out)


@contextmanager
def recording_here() -> Iterator[None]:
    """The user's function runs on recorded arrays, also inside a sweep on raw ones."""
    outer, mode.raw = mode.raw, 0
    try:
        with graph.recording():
            yield
    finally:
        mode.raw = outer


@contextmanager
def replayed(state: Any) -> Iterator[None]:
    """Random numbers as they were drawn the first time; the streams go on where they were."""
    now = drawn_state()
    _restore(state)
    try:
        yield
    finally:
        _restore(now)


def drawn_state() -> list[tuple[Any, Any, Any]]:
    return [(g, g.key._data, g.counter._data) for g in generators]


def _restore(state: Iterable[tuple[Any, Any, Any]]) -> None:
    for generator, key, counter in state:
        generator.key._rebind(key)
        generator.counter._rebind(counter)


def captured_by(ys: Iterable[GradArray], floor: int, known: Iterable[Any]) -> list[Grad]:
    """The older nodes that a recording from `floor` on uses, beside those known."""
    roots = [y._node for y in ys if y._node is not None]
    order, _ = graph.ancestry(roots, floor)
    seen = set(known)
    found = []
    for node in order:
        for parent in node.parents:
            if parent is not None and parent.seq < floor and parent not in seen:
                seen.add(parent)
                found.append(parent)
    return found


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, keeping only its inputs: what is inside is computed again in the reverse sweep.

    The memory of a reverse sweep falls from everything inside f to f's arguments, for one more run
    of f. f may use arrays from around it (a layer's weights); random numbers repeat. It must be a
    function of its inputs: what it changes outside is changed twice. Works in both modes and to
    any order; inside vmap f runs plainly. (Chen et al., "Training deep nets with sublinear memory
    cost", 2016.)

    >>> import gradarray as ga
    >>> f = ga.checkpoint(lambda x: ga.sin(ga.exp(x)))
    >>> bool(ga.isclose(ga.grad(f)(0.5), ga.grad(lambda x: ga.sin(ga.exp(x)))(0.5)))
    True
    """

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if mode.levels or not mode.grad:
            return f(*args, **kwargs)
        leaves, form = tree.flatten((args, kwargs))
        at = [k for k, x in enumerate(leaves) if isinstance(x, (GradArray, np.ndarray))]
        arrays = [lift(leaves[k], "checkpoint") for k in at]
        out_form: list[Any] = []

        def function(*xs: Any) -> Any:
            filled = list(leaves)
            for k, x in zip(at, xs, strict=True):
                filled[k] = x
            inner_args, inner_kwargs = tree.unflatten(form, filled)
            y = f(*inner_args, **inner_kwargs)
            out_form[:] = [tree.flatten(y)[1]]
            return y

        outputs = recomputed(function, arrays)
        return tree.unflatten(out_form[0], outputs)

    return checkpointed


def recomputed(
    function: Callable[..., Any], arrays: list[GradArray], plan: Any = None
) -> list[GradArray]:
    """Run `function` and put one node in place of what it recorded."""
    state = drawn_state()
    aliases = [alias(x) if x.dtype.kind in "fc" else x for x in arrays]
    floor = min((a._node.seq for a in aliases if a._node is not None), default=next_seq())
    ys = [lift(y) for y in tree.flatten(function(*aliases))[0]]
    parents = [x._node for x in arrays]
    captured = captured_by(ys, floor, [p for p in parents if p is not None])
    return node_for(function, arrays, captured, ys, state, plan)


def node_for(
    function: Any,
    arrays: list[GradArray],
    captured: list[Grad],
    ys: list[GradArray],
    state: Any,
    plan: Any = None,
) -> list[GradArray]:
    """Handles on `ys` whose one node recomputes them."""
    parents = (*(x._node for x in arrays), *captured)
    if all(p is None for p in parents):
        return [y.detach() for y in ys]
    node = RecomputedGrad()
    node.parents = parents
    node.saved = tuple(x._data for x in arrays)
    node.params = {}
    node.metas = ([(y.shape, y.dtype) for y in ys],)
    node.plan = plan or Recomputation(function, len(arrays))  # type: ignore[assignment]
    node.random = state
    node.inner = True
    node.seq = next_seq()
    return list(handle_on(node, tuple(y._data for y in ys)))


# Long loops -------------------------------------------------------------------------------------


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


class LoopRecomputation(Recomputation):
    """The plan of a loop with snapshots: reversed step by step, each recorded alone."""

    def __init__(self, whole: Any, loop: _Loop, count: int) -> None:
        super().__init__(whole, count)
        self.loop = loop

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        if variant == RECORDED_SWEEP:
            return super()._pull(variant, node, y_bar)  # on a graph of every step
        return self.loop.pull(variant, node, y_bar)


class _Loop:
    """A scan whose carries are kept at a few steps only."""

    def __init__(
        self, f: Any, forms: tuple[Any, Any], counts: tuple[int, int], steps: int, reverse: bool,
        snapshots: int,
    ) -> None:  # fmt: skip
        self.f, self.forms, self.counts = f, forms, counts
        self.steps, self.reverse, self.snapshots = steps, reverse, snapshots
        self.kept: list[tuple[int, list[Any]]] = []
        self.y_form: Any = None
        self.advances = 0
        self.last: Any = None

    def at(self, k: int) -> int:
        """Where step k reads its x and writes its y."""
        return self.steps - 1 - k if self.reverse else k

    def run(self, k: int, carry: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        """Step k on leaves: (carry, y)."""
        c = tree.unflatten(self.forms[0], carry)
        x = tree.unflatten(self.forms[1], [column[self.at(k)] for column in xs])
        new, y = step(self.f, c, x)
        y_leaves, self.y_form = tree.flatten(y)
        return tree.flatten(new)[0], [lift(v) for v in y_leaves]

    def forward(self, carry: list[Any], xs: list[Any]) -> tuple[list[Any], list[list[Any]]]:
        """The loop without its last step, nothing recorded, snapshots taken on the way."""
        self.kept = [(0, carry)]
        free, position = self.snapshots - 1, 0
        wanted = self._next(position, free)
        ys = []
        with no_grad():
            for k in range(self.steps - 1):
                carry, y = self.run(k, carry, xs)
                self.advances += 1
                ys.append(y)
                if k + 1 == wanted:
                    self.kept.append((wanted, carry))
                    position, free = wanted, free - 1
                    wanted = self._next(position, free)
        return carry, ys

    def _next(self, position: int, free: int) -> int:
        rest = self.steps - position
        return position + next_snapshot(rest, free + 1) if free > 0 and rest > 1 else -1

    def pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        n_carry = self.counts[0]
        raw = [wrap(x) for x in node.saved]
        xs = raw[n_carry:]
        bars = list(y_bar)
        carry_bar = bars[:n_carry]
        ys_bar = bars[n_carry:]
        xs_bar = [np.zeros(x.shape, x.dtype) for x in xs]
        outside: dict[Grad, Any] = {}

        def reverse_step(k: int, carry: list[Any]) -> None:
            nonlocal carry_bar
            with recording_here(), replayed(node.random):
                held = self.last if k == self.steps - 1 else None
                self.last = None
                if held is None:
                    inputs, outputs, floor = self._recorded(k, carry, xs)
                else:
                    inputs, outputs, floor = held
            seeds: dict[Grad, Any] = {}
            part = [b[self.at(k)] for b in ys_bar]
            for out, c in zip(outputs, [*carry_bar, *part], strict=True):
                if out._node is not None:
                    old = seeds.get(out._node)
                    seeds[out._node] = c if old is None else old + c
            order, _ = graph.ancestry(list(seeds), floor)
            arrived = sweep(order, seeds, variant)
            for captured, c in seeds.items():
                old = outside.get(captured)
                outside[captured] = c if old is None else old + c
            found = [arrived.get(x._node) if x._node is not None else None for x in inputs]
            carry_bar = [
                np.zeros(x.shape, x.dtype) if c is None else c
                for x, c in zip(inputs[:n_carry], found[:n_carry], strict=True)
            ]
            for column, c in zip(xs_bar, found[n_carry:], strict=True):
                if c is not None:
                    column[self.at(k)] = c

        def advance(k: int, stop: int, carry: list[Any]) -> list[Any]:
            outer, mode.raw = mode.raw, 0
            try:
                with no_grad(), replayed(node.random):
                    for j in range(k, stop):
                        carry, _ = self.run(j, carry, xs)
                        self.advances += 1
            finally:
                mode.raw = outer
            return carry

        def reverse_part(low: int, carry: list[Any], high: int, snapshots: int) -> None:
            """Reverse the steps from `low` to `high`; `low`'s is one of so many snapshots."""
            while high - low > 1 and snapshots > 1:
                middle = low + next_snapshot(high - low, snapshots)
                reverse_part(middle, advance(low, middle, carry), high, snapshots - 1)
                high = middle
            for k in range(high - 1, low - 1, -1):
                reverse_step(k, advance(low, k, carry))

        high = self.steps
        for number in range(len(self.kept) - 1, -1, -1):
            low, carry = self.kept[number]
            if high == self.steps and self.last is not None:
                reverse_step(high - 1, [])
                high -= 1
            if high > low:
                reverse_part(low, carry, high, self.snapshots - number)
            high = low
        found: list[Any] = []
        for parent, c in zip(node.parents, [*carry_bar, *xs_bar], strict=False):
            found.append(None if parent is None else c)
        for parent in node.parents[len(found) :]:
            found.append(outside.pop(parent, None))
        return tuple(found)

    def _recorded(
        self, k: int, carry: list[Any], xs: list[Any]
    ) -> tuple[list[Any], list[Any], int]:
        """Step k recorded on leaves of its own: its inputs, its results, and the floor."""
        x = [column[self.at(k)] for column in xs]
        inputs = [leaf_on(v) for v in (*carry, *x)]
        nodes = [v._node.seq for v in inputs if v._node is not None]
        floor = min(nodes, default=next_seq())
        n = self.counts[0]
        new, y = step(
            self.f,
            tree.unflatten(self.forms[0], inputs[:n]),
            tree.unflatten(self.forms[1], inputs[n:]),
        )
        y_leaves, self.y_form = tree.flatten(y)
        return inputs, [*tree.flatten(new)[0], *map(lift, y_leaves)], floor


def leaf_on(x: GradArray) -> GradArray:
    out = wrap(x._data)
    if out.dtype.kind in "fc":
        out._node = graph.leaf(out)
    return out


def checkpointed_scan(
    f: Any, init: Any, xs: Any, steps: int, reverse: bool, snapshots: int
) -> tuple[Any, Any]:
    """`scan` with at most `snapshots` carries kept."""
    if snapshots < 1:
        raise ValueError(message("scan", f"snapshots is at least 1, not {snapshots}."))
    carry_leaves, carry_form = tree.flatten(init)
    x_leaves, x_form = tree.flatten(xs)
    if steps == 0 or not mode.grad:
        return run_scan(f, init, xs, steps, reverse)
    counts = (len(carry_leaves), len(x_leaves))
    loop = _Loop(f, (carry_form, x_form), counts, steps, reverse, snapshots)
    state = drawn_state()
    carry, ys = loop.forward([c.detach() for c in carry_leaves], [x.detach() for x in x_leaves])
    inputs, outputs, floor = loop._recorded(steps - 1, carry, [x.detach() for x in x_leaves])
    n = counts[0]
    ys.append([y.detach() for y in outputs[n:]])
    if reverse:
        ys.reverse()
    captured = captured_by(outputs, floor, [])
    loop.last = (inputs, outputs, floor)
    columns = [stack([row[k] for row in ys]) for k in range(len(outputs) - n)]

    def whole(*leaves: Any) -> Any:
        return run_scan(
            f,
            tree.unflatten(carry_form, list(leaves[:n])),
            tree.unflatten(x_form, list(leaves[n:])),
            steps,
            reverse,
        )

    plan = LoopRecomputation(whole, loop, len(carry_leaves) + len(x_leaves))
    results = node_for(
        whole, [*carry_leaves, *x_leaves], captured, [*outputs[:n], *columns], state, plan
    )
    y_form = loop.y_form
    return tree.unflatten(carry_form, results[:n]), tree.unflatten(y_form, results[n:])


