"""Flow: loops under trace are one step each, whose body was recorded once.

A loop's derivative is again a loop over the same steps: the body's own derivative walk, recorded
behind the body in the same list of steps. What it needs of the loop before, carries and what is
dear to compute, that loop then keeps, stacked along a first axis; the rest is computed once more.
Every such loop is itself a node whose derivative is found in the same way, and so to any order.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..algebra import RECORDED_SWEEP
from ..array import GradArray, wrap
from ..errors import GraphError, message, user_line
from ..graph import Grad, mode
from ..record import pick
from ..transforms import pull, push
from ..transforms.batch import Level, base, later_levels
from ..transforms.checkpoint import RecomputedGrad
from ..transforms.whole import Way
from .abstract import Abstract
from .body import Body, from_stacked, is_cheap, spread, stacked_base, with_levels
from .hoist import Product, products_of
from .kept import narrowest
from .loop_ops import ScanGrad, UnboundedGrad, WhileGrad
from .program import Program, Step


class LoopBody(Body):
    """The inside of a loop, and what is known of it at every step."""

    def __init__(self, outer: Any, length: int | None) -> None:
        super().__init__(outer)
        self.length = length
        self.turns: Any = None  # how many steps there were, if only running it tells
        self.going: Any = None  # does a while_loop go on?
        self.stacks: dict[Abstract, Any] = {}  # values here: outside, along a first axis
        self.made: dict[Abstract, Run] = {}  # the first loop that has a value
        self.totals: set[Abstract] = set()  # carries that begin with zero, and are added to
        self.leaves: dict[Grad, Abstract] = {}
        self.handles: dict[Grad, GradArray] = {}  # of leaves: the stack, on the graph outside

    def along(self, v: Abstract, c: Any, leaf: Grad | None) -> None:
        """The input v is what c, an array outside, has at each step."""
        self.stacks[v] = self.outer.read(c) if isinstance(c, GradArray) else c
        if leaf is not None:
            self.handles[leaf] = c

    def stack(self, v: Abstract) -> Any:
        """A value of the body at every step."""
        known = self.stacks.get(v)
        if known is None:
            known = self.stacks[v] = self.made[v].stack(v)
        return known

    def stack_handle(self, leaf: Grad) -> GradArray:
        known = self.handles.get(leaf)
        if known is None:
            v = self.leaves[leaf]
            known = self.handles[leaf] = self.made[v].keep_leaf(leaf, v)
        return known


class Run(Way):
    """A loop over a body: the plan of its node, from which further loops are derived.

    `carry` are inputs of the body, `leaves` what they are on its graph; `results` are the next
    carry, and then what is stacked: handles where the body was recorded, else raw values.
    """

    def __init__(
        self, body: LoopBody, carry: list[Abstract], leaves: list[Any], results: list[Any],
        reverse: bool, until: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.body, self.carry, self.leaves, self.results = body, carry, leaves, results
        self.reverse, self.until = reverse, until
        self.node: Any = None
        self.along: list[Grad] = []  # leaves of what is stacked
        self.ends: list[Grad] = []  # what stands for arrays outside: leaves, or their own nodes
        body.leaves.update((leaf, v) for leaf, v in zip(leaves, carry) if leaf is not None)

    def pull(self, variant: int, needed: tuple[bool, ...]) -> Any:
        return functools.partial(self._pull, variant, needed=needed)

    # As a step ------------------------------------------------------------------------------------

    def emit(self, first: Sequence[Any]) -> tuple[Any, ...]:
        """The step in the trace outside: final carries, then stacks; `first` is where it begins."""
        body, n = self.body, len(self.carry)
        self.first = list(first)
        starts = [mode.trace.read(x) if isinstance(x, GradArray) else x for x in first]
        self.raw = [body.value(x) for x in self.results]
        own = set(self.carry)
        narrow = narrowest(body, self.raw, lambda v: v in own or self._is_kept(v))
        stop = lambda v: v in own or v in narrow or self._is_kept(v)
        steps, inputs = body.steps_for(self.raw, stop)
        along = [v for v in inputs if v not in own and v not in body.sources]
        around = [v for v in inputs if v in body.sources]
        cond: Program | None = None
        if self.until:
            asked, more = body.steps_for([body.going], stop)
            around = list(dict.fromkeys([*around, *(v for v in more if v in body.sources)]))
            cond = body.program([*self.carry, *around], asked, [body.going])
        stacks = [body.stack(v) for v in along]
        self.program = body.program([*self.carry, *along, *around], steps, self.raw)
        for v in (*self.carry, *(v for s in steps for v in s.values)):
            body.made.setdefault(v, self)
        counted = body.turns is not None and not self.until
        sums = tuple(k for k, v in enumerate(self.carry) if v in body.totals)
        operands = [*starts, *stacks, *[body.sources[v] for v in around]]
        params: dict[str, Any] = {"body": self.program, "carry": len(self.carry)}
        forms = [form_of(v) for v in self.carry]
        stacked = [form_of(y, body.length) for y in self.raw[len(self.carry) :]]
        if cond is not None:
            params = {"cond": cond, **params, "length": body.length}
            forms.append(((), np.dtype(np.int64)))
        else:
            params |= {"along": len(along), "length": body.length, "reverse": self.reverse}
            params |= {"counted": counted, "sums": sums}
            operands += [body.turns] * counted
        op = ScanGrad if cond is None else WhileGrad
        self.step = step_of(op, operands, params)
        values = mode.trace.append(self.step, forms + stacked)
        if cond is not None:
            self.counted = values[len(self.carry)]
        return (*values[:n], *values[len(forms) :])

    def _is_kept(self, v: Abstract) -> bool:
        """Is a value of the body stacked, or to be stacked by the loop that computes it?"""
        body = self.body
        if v in body.stacks:
            return True
        return not self.until and v in body.made and (v.step is None or not is_cheap(v.step))

    def stack(self, v: Abstract) -> Abstract:
        """A value of the body at every step, which this loop from now on keeps."""
        s, program = self.step, self.step.params["body"]
        s.params["body"] = Program(
            program.inputs, program.steps, [*program.outputs, v], program.constants
        )
        out = Abstract(s.values[0].trace, (self.body.length or 0, *v.shape), v.dtype, s)
        s.values = (*s.values, out)
        return out

    # As a node ------------------------------------------------------------------------------------

    def attach(self, values: Sequence[Any]) -> list[GradArray]:
        """Handles on the results, on a node where the graph goes on outside."""
        body = self.body
        nodes = [x._node for x in self.results if isinstance(x, GradArray)]
        leaves, outside = body.parents_of(nodes)
        own = set(self.leaves)
        around = [leaf for leaf in leaves if leaf in body.around]
        self.along = [leaf for leaf in leaves if leaf not in own and leaf not in body.around]
        self.ends = [*around, *outside]
        heads = [x._node if isinstance(x, GradArray) else None for x in self.first]
        stacks = [body.stack_handle(leaf)._node for leaf in self.along]
        outside = [*[body.around[leaf]._node for leaf in around], *outside]
        self.node = node_of(ScanGrad, (*heads, *stacks, *outside), values, self)
        self.values = list(values)
        return [self._picked(v, k) for k, v in enumerate(values)]

    def _picked(self, value: Any, which: int) -> GradArray:
        result = self.results[which]
        moves = isinstance(result, GradArray) and result._node is not None
        node = pick(self.node, which) if moves and self.node is not None else None
        return wrap(value, GradArray, node)

    def keep_leaf(self, leaf: Grad, v: Abstract) -> GradArray:
        """The carry behind a leaf at every step, on the graph."""
        value = self.body.stack(v)
        if self.node is None:
            return wrap(value)
        self.results.append(wrap(v, GradArray, leaf))
        self.node.metas[0].append((value.shape, value.dtype))
        self.values.append(value)
        return self._picked(value, len(self.results) - 1)

    # The reverse walk -----------------------------------------------------------------------------

    def _pull(
        self, variant: int, node: Any, y_bar: Any, needed: tuple[bool, ...] | None = None
    ) -> tuple[Any, ...]:
        body = self.body
        parents = node.parents
        wanted = needed or tuple(p is not None for p in parents)
        walk = Walk(body, variant, y_bar)
        n, after = len(self.leaves), len(self.leaves) + len(self.along)
        moving = [k for k in range(n) if self.leaves[k] is not None]
        entered = {
            k: walk.entering(c, k >= n)
            for k, c in enumerate(y_bar)
            if (k in moving if k < n else not is_zero(c))
        }
        with body.recording():
            seeds: dict[Grad, Any] = {}
            for k, c in entered.items():
                c = walk.input(c, k >= n)
                end = self.results[k]._node if isinstance(self.results[k], GradArray) else None
                if end is not None:
                    seeds[end] = seeds[end] + c if end in seeds else c
            arrived = pull.sweep(body.order(seeds), seeds, variant)
            places = list(moving)
            results = [walk.leaving(arrived.get(self.leaves[k]), self.carry[k]) for k in moving]
            later: dict[int, list[Product]] = {}
            for k, end in enumerate(self.ends, after):
                bar = arrived.get(end, seeds.get(end)) if wanted[k] else None
                products = None if walk.recorded or body.turns is not None else products_of(bar)
                if products is not None:
                    later[k] = products
                elif bar is not None:
                    places.append(k)
                    results.append(walk.leaving(walk.fresh(bar) + bar))
            for k, leaf in enumerate(self.along, n):
                if wanted[k] and leaf in arrived:
                    places.append(k)
                    results.append(walk.leaving(arrived[leaf]))
        factors = [v for one in itertools.chain(*later.values()) for v in (one.a, one.b)]
        factors = [v for v in dict.fromkeys(factors) if not self._is_kept(v)]
        along = [k for k, place in enumerate(places) if n <= place < after]
        stacked = {v: k for k in along if type(v := body.value(results[k])) is Abstract}
        factors = [v for v in factors if v not in stacked]
        values = walk.run([*results, *factors], not self.reverse, self)
        out: list[Any] = [None] * len(parents)
        for k, value in zip(places, values):
            out[k] = None if parents[k] is None else value
        body.stacks.update(zip(factors, values[len(places) :]))
        body.stacks.update((x, values[k]) for x, k in stacked.items() if later)
        for k, products in later.items():
            parts = [one.of_all(body.stack(one.a), body.stack(one.b)) for one in products]
            out[k] = functools.reduce(operator.add, parts)
        return tuple(out)

    # The forward walk -----------------------------------------------------------------------------

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        body, n = self.body, len(self.leaves)
        after = n + len(self.along)
        walk = Walk(body, variant, [d for d in x_dots if d is not None])
        forms = node.metas[0]
        dots: dict[int, Any] = {}
        for k, dot in enumerate(x_dots[:after]):
            if k < n and dot is None and self.leaves[k] is not None:
                dot = np.zeros(*form_of(self.carry[k]))
            if dot is not None:
                dots[k] = walk.entering(dot, k >= n)
        around = [None if dot is None else walk.entering(dot, False) for dot in x_dots[after:]]
        with body.recording():
            leaves = [*self.leaves, *self.along]
            tangents = {leaves[k]: walk.input(dot, k >= n) for k, dot in dots.items()}
            for end, dot in zip(self.ends, around):
                if dot is not None:
                    tangents[end] = body.input_around(dot, walk.recorded, walk.levels)
            ends = [y._node if isinstance(y, GradArray) else None for y in self.results]
            found = push.sweep(body.order(ends), tangents, variant)
            ahead = [found.get(end) if end is not None else None for end in ends]
            places = [k for k in range(len(ends)) if (k in dots if k < n else ahead[k] is not None)]
            results = [walk.leaving(ahead[k], self.carry[k] if k < n else None) for k in places]
        out = [walk.zero(*form) for form in forms]
        for k, value in zip(places, walk.run(results, self.reverse, self), strict=True):
            out[k] = value
        return tuple(out)


class Walk:
    """One sweep through a body: what enters it, and the loop that it becomes."""

    def __init__(self, body: LoopBody, variant: int, given: Any) -> None:
        self.body = body
        self.recorded = variant == RECORDED_SWEEP
        self.levels: tuple[Level, ...] = later_levels(given) if self.recorded else ()
        self.first: list[Any] = []
        self.carry: list[Abstract] = []
        self.leaves: list[Any] = []

    def entering(self, c: Any, stacked: bool) -> Any:
        """A derivative as it stands outside, with all examples behind."""
        if not self.recorded:
            return c
        c = self._full(c)
        return stacked_base(c) if stacked else base(c)

    def _full(self, c: Any) -> Any:
        return spread(c if isinstance(c, GradArray) else wrap(c), self.levels)

    def input(self, c: Any, stacked: bool) -> Any:
        """An input of the body that stands for c at one step."""
        v = self.body.input(c.shape[1:] if stacked else c.shape, c.dtype)
        handle = self.body.handle_on(v) if self.recorded else None
        leaf = None if handle is None else handle._node
        if stacked:
            self.body.along(v, c, leaf)
        else:
            self.carry.append(v)
            self.leaves.append(leaf)
            self.first.append(c)
        return v if handle is None else with_levels(handle, self.levels)

    def fresh(self, bar: Any) -> Any:
        """A sum over the steps, which begins with zero."""
        b = base(self._full(bar)) if self.recorded else bar
        total = self.input(self.zero(b.shape, b.dtype), False)
        self.body.totals.add(self.carry[-1])
        return total

    def leaving(self, c: Any, like: Abstract | None = None) -> Any:
        if c is None:
            assert like is not None
            c = np.zeros(*form_of(like))
        return base(self._full(c)) if self.recorded else c

    def zero(self, shape: Any, dtype: Any) -> Any:
        zero = np.zeros(shape, dtype)
        return wrap(zero) if self.recorded else zero

    def run(self, results: list[Any], reverse: bool, of: Run) -> list[Any]:
        """The loop of what was recorded: its results outside, as the sweep takes them."""
        body, n = self.body, len(self.carry)
        if body.length is None and reverse:
            values, handles = unbounded(self, results, of)
        else:
            results = list(results)
            if body.length is None:
                self._run_along(results)
            new = Run(body, self.carry, self.leaves, results, reverse, body.length is None)
            values = new.emit(self.first)
            handles = new.attach(values) if self.recorded else []
            if body.length is None:
                values, handles = values[:n], handles[:n]  # those run along are known
        if not self.recorded:
            return list(values)
        return [
            from_stacked(h, self.levels) if k >= n else with_levels(h, self.levels)
            for k, h in enumerate(handles)
        ]

    def _run_along(self, results: list[Any]) -> None:
        """Without a known length nothing is stacked: the loops before are run along."""
        body = self.body
        while True:
            own = set(self.carry)
            roots = [*map(body.value, results), body.going]
            _, inputs = body.steps_for(roots, own.__contains__)
            missing = [v for v in inputs if v in body.made and v not in own]
            if not missing:
                return
            run = body.made[missing[0]]
            for k, v in enumerate(run.carry):
                if v not in own:
                    self.carry.append(v)
                    self.leaves.append(run.leaves[k])
                    self.first.append(run.first[k])
                    results.append(run.results[k])


def unbounded(walk: Walk, results: list[Any], of: Run) -> Any:
    """The reverse sweep of a loop of any length, which the host runs."""
    body = walk.body
    raw = [body.value(x) for x in results]
    inside = {*walk.carry, *of.carry}
    steps, inputs = body.steps_for(raw, lambda v: v in inside)
    cond, forward = of.step.params["cond"], of.step.params["body"]
    around = cond.inputs[len(of.carry) :]
    around = list(dict.fromkeys([*around, *(v for v in inputs if v in body.sources)]))
    places = [*of.carry, *around]
    params = {
        "cond": Program(places, cond.steps, cond.outputs, cond.constants),
        "body": Program(places, forward.steps, forward.outputs, forward.constants),
        "back": body.program([*walk.carry, *places], steps, raw),
        "carry": len(of.carry), "first": len(walk.carry),
    }  # fmt: skip
    operands = [
        *[mode.trace.read(x) if isinstance(x, GradArray) else x for x in (*walk.first, *of.first)],
        *[body.sources[v] for v in around],
    ]
    values = mode.trace.append(
        step_of(UnboundedGrad, operands, params), [form_of(v) for v in walk.carry]
    )
    if not walk.recorded:
        return values, []
    outside = body.parents_of([x._node for x in results if isinstance(x, GradArray)])[1]
    node = node_of(UnboundedGrad, tuple(outside), values, Unbounded())
    return values, [wrap(v, GradArray, node and pick(node, k)) for k, v in enumerate(values)]


class Unbounded(Way):
    """The plan of a node that cannot be gone through."""

    def refuse(self, *args: Any, **named: Any) -> Any:
        raise GraphError(
            message(
                "while_loop",
                "a compiled loop of unknown length has one reverse sweep, not a derivative of it.",
                "Give max_steps=, the most steps it may take.",
            )
        )

    _pull = _push = refuse


def node_of(
    op: type[RecomputedGrad], parents: tuple[Any, ...], values: Sequence[Any], plan: Any
) -> Any:
    """The node of several results; None where nothing it comes from needs a derivative."""
    return None if all(p is None for p in parents) else op.made(parents, (), values, plan)


def step_of(op: type[Grad], operands: Sequence[Any], params: dict[str, Any]) -> Step:
    trace = mode.trace
    given = []
    for x in operands:
        if type(x) is Abstract:
            given.append(trace.inner(x))
        else:
            given.append(trace.constant(x) if type(x) is np.ndarray else x)
    return Step(op, tuple(given), params, user_line())


def is_zero(c: Any) -> bool:
    """Is a derivative zero, known before anything runs?"""
    data = c._data if type(c) is GradArray else c
    return isinstance(data, (np.ndarray, np.generic)) and not np.any(data)


def form_of(y: Any, length: int | None = None) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a value, or of one for each of so many steps."""
    y = y if type(y) is Abstract else np.asarray(y)
    return (y.shape if length is None else (length, *y.shape)), y.dtype
