"""Branches under trace: one step that holds each of them as a program, and runs one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..algebra import RECORDED_SWEEP
from ..array import GradArray, wrap
from ..errors import GraphError, message
from ..graph import Grad, mode
from ..record import pick
from ..transforms import pull, push
from ..transforms.batch import Level, base, later_levels
from ..transforms.steps import BRANCHES, Form
from ..transforms.whole import Way
from .abstract import Abstract
from .body import Body, Changes, spread, with_levels
from .flow import form_of, node_of, step_of
from .loop_ops import SwitchGrad


class Choice(Way):
    """The plan of a branching node: in each branch the walk goes through that branch."""

    def __init__(self, index: Any, branches: list[Body], results: list[list[Any]]) -> None:
        super().__init__()
        self.index, self.branches, self.results = index, branches, results

    def emit(self) -> tuple[Any, ...]:
        """The step; its operands are what any of the branches uses."""
        raw = [[b.value(x) for x in row] for b, row in zip(self.branches, self.results)]
        # Values outside, in order; one may be several inputs, derivatives and what they are of.
        around: dict[tuple[Abstract, int], None] = {}
        parts = []
        for branch, row in zip(self.branches, raw):
            steps, inputs = branch.steps_for(row, lambda v: v in branch.sources)  # noqa: B023
            here: dict[tuple[Abstract, int], Abstract] = {}
            for v in inputs:
                source = branch.sources[v]
                here[source, sum(x is source for x, _ in here)] = v
            parts.append((steps, here))
            around.update(dict.fromkeys(here))
        programs = []
        for branch, row, (steps, here) in zip(self.branches, raw, parts):
            places = [
                here[x] if x in here else branch.input(x[0].shape, x[0].dtype) for x in around
            ]
            programs.append(branch.program(places, steps, row))
        forms = [form_of(y) for y in raw[0]]
        operands = [self.index, *[x for x, _ in around]]
        step = step_of(SwitchGrad, operands, {"branches": tuple(programs)})
        return mode.trace.append(step, forms)

    def attach(self, values: Sequence[Any]) -> list[GradArray]:
        """Handles on the results, on a node where the graph goes on outside."""
        leaves: dict[Grad, GradArray] = {}
        outside: dict[Grad, None] = {}
        moves = [False] * len(values)
        for branch, row in zip(self.branches, self.results):
            nodes = [x._node if isinstance(x, GradArray) else None for x in row]
            found, more = branch.parents_of(nodes)
            leaves.update((leaf, branch.around[leaf]) for leaf in found)
            outside.update(dict.fromkeys(more))
            moves = [m or node is not None for m, node in zip(moves, nodes)]
        self.leaves = list(leaves)
        parents = (*[h._node for h in leaves.values()], *outside)
        node = node_of(SwitchGrad, parents, values, self)
        self.values = list(values)
        return [
            wrap(v, GradArray, pick(node, k) if node is not None and moves[k] else None)
            for k, v in enumerate(values)
        ]

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        parents = node.parents
        ends = [*self.leaves, *parents[len(self.leaves) :]]

        def through(branch: Body, row: list[Any], walk: ChoiceWalk) -> list[Any]:
            seeds: dict[Grad, Any] = {}
            for y, c in zip(row, walk.given):
                if c is not None and isinstance(y, GradArray) and y._node is not None:
                    c = branch.input_around(c, walk.recorded, walk.levels)
                    seeds[y._node] = seeds[y._node] + c if y._node in seeds else c
            arrived = pull.sweep(branch.order(seeds), seeds, variant)
            return [arrived.get(end, seeds.get(end)) for end in ends]

        return tuple(self.walked(ChoiceWalk(variant, y_bar), through))

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        leaves = self.leaves

        def through(branch: Body, row: list[Any], walk: ChoiceWalk) -> list[Any]:
            tangents = {}
            for end, dot in zip([*leaves, *node.parents[len(leaves) :]], walk.given):
                if dot is not None and end is not None:
                    tangents[end] = branch.input_around(dot, walk.recorded, walk.levels)
            nodes = [y._node if isinstance(y, GradArray) else None for y in row]
            found = push.sweep(branch.order(nodes), tangents, variant)
            return [found.get(n) if n is not None else None for n in nodes]

        walk = ChoiceWalk(variant, x_dots)
        dots = self.walked(walk, through)
        zeros = [np.zeros(*form) for form in node.metas[0]]
        zeros = [wrap(z) if walk.recorded else z for z in zeros]
        return tuple(z if dot is None else dot for z, dot in zip(zeros, dots))

    def walked(self, walk: ChoiceWalk, through: Callable[..., list[Any]]) -> list[Any]:
        """What a walk gives in the branch that is taken; None where it gives nothing in any."""
        rows = []
        for branch, row in zip(self.branches, self.results):
            with branch.recording():
                rows.append([walk.settled(c) for c in through(branch, row, walk)])
        columns = [k for k, column in enumerate(zip(*rows)) if any(c is not None for c in column)]
        if not columns:
            return [None] * len(rows[0])
        for k in columns:
            like = next(row[k] for row in rows if row[k] is not None)
            for row in rows:
                if row[k] is None:
                    zero = np.zeros(like.shape, like.dtype)
                    row[k] = wrap(zero) if walk.recorded else zero
        choice = Choice(self.index, self.branches, [[row[k] for k in columns] for row in rows])
        values = choice.emit()
        out: list[Any] = [None] * len(rows[0])
        handles = choice.attach(values) if walk.recorded else values
        for k, value in zip(columns, handles, strict=True):
            out[k] = with_levels(value, walk.levels) if walk.recorded else value
        return out


class ChoiceWalk:
    """What a sweep brings to a branching node."""

    def __init__(self, variant: int, given: Any) -> None:
        self.recorded = variant == RECORDED_SWEEP
        there = [c for c in given if c is not None]
        self.levels: tuple[Level, ...] = later_levels(there) if self.recorded else ()
        self.given = [None if c is None else self.settled(c) for c in given]

    def settled(self, c: Any) -> Any:
        if c is None or not self.recorded:
            return c
        return base(spread(c if isinstance(c, GradArray) else wrap(c), self.levels))


def choose(
    op: str, index: Any, branches: Sequence[Callable[..., Any]], operands: Sequence[Any],
    as_arrays: Callable[[list[Any]], list[Any]],
) -> Any:  # fmt: skip
    """The result of one branch, all of which are recorded."""
    levels = mode.levels
    state: list[GradArray] = []
    while True:
        bodies, results, ends = [], [], []
        found: list[GradArray] = []
        for branch in branches:
            body = Body(mode.trace)
            changes = Changes(body)
            before = [(h, h._data, h._node) for h in state]
            try:
                with body.recording():
                    result = branch(*operands)
                    ends.append([wrap(body.read(h), GradArray, h._node) for h in state])
            finally:
                for handle, data, node in before:
                    handle._data, handle._node = data, node
                refused = changes.gradients_changed()
                known = {id(h) for h in (*state, *found)}
                found += [h for h in changes.undo() if id(h) not in known]
            if refused:
                raise GraphError(
                    message(op, "a branch calls backward() on what is outside of it.",
                            "Use ga.grad inside, and return the gradient.")
                )  # fmt: skip
            bodies.append(body)
            results.append(result)
            del result
        if not found:
            break
        state += found
    rows, form = _alike(op, bodies, results, as_arrays)
    rows = [[*row, *end] for row, end in zip(rows, ends)]
    for k, body in enumerate(bodies):
        with body.recording():
            rows[k] = [base(spread(x, levels)) for x in rows[k]]
    choice = Choice(mode.trace.inner(index) if type(index) is Abstract else index, bodies, rows)
    handles = choice.attach(choice.emit())
    handles = [with_levels(h, levels) for h in handles]
    for handle, new in zip(state, handles[len(handles) - len(state) :]):
        handle._rebind(new._data, new._node)
    return tree.unflatten(form, handles[: len(handles) - len(state)])


def _alike(
    op: str, bodies: list[Body], results: list[Any], as_arrays: Callable[..., list[Any]]
) -> tuple[list[list[Any]], Any]:
    """The leaves of all results, of one form."""
    results = as_arrays(results)
    form = Form(op, results[0], BRANCHES)
    return [tree.flatten(form.kept(r))[0] for r in results], form.structure
