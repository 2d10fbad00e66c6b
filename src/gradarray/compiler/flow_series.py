"""Truncated Taylor series through loops and branches: the coefficients are carried beside.

The series walk goes through a body as it goes through any recording, and becomes a loop whose
carries are the coefficients of the carries, or a choice among branches of coefficients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import PLAIN_SWEEP, RECORDED_SWEEP, given
from ..array import GradArray
from ..transforms.series import NODES, UNSET, Series
from .branch import Choice, ChoiceWalk
from .flow import Run, Walk
from .loop_ops import ScanGrad, SwitchGrad, UnboundedGrad


def _coefficients(walk: Any, node: Any, found: dict[Any, Series]) -> list[list[Any]]:
    """For each parent the coefficients above the value, None where they are zero."""
    count = walk.orders.count
    return [
        [found[p].coefficient(k) for k in range(1, count)] if p in found else [None] * (count - 1)
        for p in node.parents
    ]


def _through_loop(walk: Any, node: Any, found: dict[Any, Series]) -> Series:
    run: Run = node.plan
    body, n = run.body, len(run.leaves)
    after = n + len(run.along)
    rows = _coefficients(walk, node, found)
    inner = Walk(body, _variant(walk), [c for row in rows for c in row if c is not None])
    moving = [k for k in range(n) if run.leaves[k] is not None]
    for k in moving:
        form = run.carry[k].shape, run.carry[k].dtype
        rows[k] = [np.zeros(*form) if c is None else c for c in rows[k]]
    entered = [
        [None if c is None else inner.entering(c, n <= k < after) for c in row]
        for k, row in enumerate(rows)
    ]
    ends = [*run.leaves, *run.along, *run.ends]
    with body.recording():
        inside: dict[Any, Series] = {}
        for k, (end, row) in enumerate(zip(ends, entered)):
            if end is None or all(c is None for c in row):
                continue
            later = [
                c if c is None
                else inner.input(c, k >= n) if k < after
                else body.input_around(c, inner.recorded, inner.levels)
                for c in row
            ]  # fmt: skip
            inside[end] = walk.seed([UNSET, *later])  # rules have values from their nodes
        nodes = [y._node if isinstance(y, GradArray) else None for y in run.results]
        _go(walk, body, nodes, inside)
        orders = range(1, walk.orders.count)

        def term(k: int, order: int) -> Any:
            series = inside.get(nodes[k]) if nodes[k] is not None else None
            return None if series is None else series.c[order]

        carried = [(k, order) for k in moving for order in orders]
        stacked = [
            (k, order) for k in range(n, len(nodes)) for order in orders
            if term(k, order) is not None
        ]  # fmt: skip
        results = [inner.leaving(term(k, order), run.carry[k]) for k, order in carried]
        results += [inner.leaving(term(k, order)) for k, order in stacked]
    values = dict(zip([*carried, *stacked], inner.run(results, run.reverse, run)))
    return _as_series(walk, node, run.values, values)


def _through_branches(walk: Any, node: Any, found: dict[Any, Series]) -> Series:
    choice: Choice = node.plan
    count = walk.orders.count
    rows = _coefficients(walk, node, found)
    inner = ChoiceWalk(_variant(walk), [c for row in rows for c in row])
    ends = [*choice.leaves, *node.parents[len(choice.leaves) :]]

    def through(branch: Any, row: list[Any], inner: Any) -> list[Any]:
        given_ = iter(inner.given)
        inside: dict[Any, Series] = {}
        for end in ends:
            later = [next(given_) for _ in range(count - 1)]
            if end is not None and any(c is not None for c in later):
                later = [
                    c if c is None else branch.input_around(c, inner.recorded, inner.levels)
                    for c in later
                ]
                inside[end] = walk.seed([UNSET, *later])
        nodes = [y._node if isinstance(y, GradArray) else None for y in row]
        _go(walk, branch, nodes, inside)
        out = []
        for one in nodes:
            series = inside.get(one) if one is not None else None
            out += [None if series is None else series.c[k] for k in range(1, count)]
        return out

    flat = iter(choice.walked(inner, through))
    size = len(choice.results[0])
    values = {(k, order): next(flat) for k in range(size) for order in range(1, count)}
    return _as_series(walk, node, choice.values, values)


def _variant(walk: Any) -> int:
    return RECORDED_SWEEP if walk.wrapped else PLAIN_SWEEP


def _go(walk: Any, body: Any, nodes: list[Any], inside: dict[Any, Series]) -> None:
    wanted = {node for node in nodes if node is not None}
    walk.through(body.order(wanted), inside, wanted)


def _as_series(walk: Any, node: Any, raw: Any, values: dict[Any, Any]) -> Series:
    handles = given.handle_on(node, tuple(raw)) if walk.wrapped else tuple(raw)
    later = [
        tuple(values.get((k, order)) for k in range(len(raw)))
        for order in range(1, walk.orders.count)
    ]
    return walk.seed([handles, *later])


NODES[ScanGrad] = _through_loop
NODES[SwitchGrad] = _through_branches
NODES[UnboundedGrad] = lambda walk, node, found: node.plan.refuse()
