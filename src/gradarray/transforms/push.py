"""Push: the forward walk, inputs to outputs. jvp.

The function is recorded first, then tangents are pushed through its nodes from the oldest to the
newest, so the memory of a push is that of the recording. Like a pull, it runs on raw arrays
unless it must be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, data_of, wrap
from ..errors import message
from ..graph import Grad, mode
from ..plan import ABSORBING_SWEEP, PLAIN_SWEEP, RECORDED_SWEEP
from ..record import PickGrad
from .arguments import Arguments, call, completed, matching, outputs
from .batch import Batched, entering, later_levels, only_levels, plainly
from .pull import differentiable, is_nan


def sweep(order: list[Grad], tangents: dict[Grad, Any], variant: int) -> dict[Grad, Any]:
    """Push `tangents` through `order` (oldest first); the tangents of all nodes reached."""
    for node in order:
        if node in tangents:
            continue
        x_dots = [tangents.get(parent) if parent is not None else None for parent in node.parents]
        moving = tuple([x_dot is not None for x_dot in x_dots])
        if True not in moving:
            continue
        if type(node) is PickGrad:
            parts: Any = x_dots[0]
            tangents[node] = parts[node.which]
        else:
            tangents[node] = node.plan.push(variant, moving)(node, x_dots)
            for watcher in mode.watchers:
                watcher.passed(node, x_dots, tangents[node], "forward")
    return tangents


def run_handles(order: list[Grad], seeds: dict[Grad, Any], *, record: bool) -> dict[Grad, Any]:
    """A sweep on GradArrays; unless `record`, its results are on no graph."""
    outer, mode.raw = mode.raw, 0
    try:
        with graph.recording() if record else graph.no_grad(), graph.sweeping():
            handles = {n: d if isinstance(d, GradArray) else wrap(d) for n, d in seeds.items()}
            found = sweep(order, handles, RECORDED_SWEEP)
    finally:
        mode.raw = outer
    if record:
        return found
    return {n: d.detach() for n, d in found.items() if isinstance(d, GradArray)}


def run_plainly(
    order: list[Grad], seeds: dict[Grad, Any], ys: Sequence[GradArray]
) -> dict[Grad, Any] | None:
    """A sweep of many tangents at once, unrecorded and with plain products; None if it fails."""
    if not plainly(order):
        return None
    with graph.raw_sweep(), graph.no_grad():
        found = sweep(order, dict(seeds), PLAIN_SWEEP)
    results = [found.get(y._node) for y in ys if y._node is not None]
    return None if is_nan([r for r in results if r is not None]) else found


def push_to(
    ys: Sequence[GradArray],
    xs: Sequence[GradArray],
    x_dots: Sequence[Any],
    *,
    attach: bool,
    floor: int = 0,
) -> list[Any]:
    """The tangents of `ys` (None where they do not depend on `xs`).

    `floor` is the oldest alias of the transform, if `xs` are not all of them.
    """
    roots = [y._node for y in ys if y._node is not None]
    x_dots = [entering(d, x) for d, x in zip(x_dots, xs, strict=True)]
    seeds: dict[Grad, Any] = {x._node: d for x, d in zip(xs, x_dots, strict=True) if x._node}
    order, older = graph.ancestry(roots, floor or min(n.seq for n in seeds))
    for node in order:
        if node.saved is None:
            graph.check_alive(node, "jvp")
    recorded = attach and (older or differentiable(x_dots))
    with np.errstate(all="ignore"):
        if Batched in map(type, x_dots):
            with only_levels(later_levels(x_dots)):
                plain = None if recorded else run_plainly(order, seeds, ys)
                found = plain or run_handles(order, seeds, record=recorded)
        elif recorded:
            found = run_handles(order, seeds, record=True)
        else:
            raw = {n: data_of(d) if isinstance(d, GradArray) else d for n, d in seeds.items()}
            with graph.raw_sweep():
                results: list[Any] = []
                found: dict[Grad, Any] = {}
                if not mode.watchers:
                    found = sweep(order, dict(raw), PLAIN_SWEEP)
                    results = [found.get(y._node) for y in ys if y._node is not None]
                if mode.watchers or is_nan([r for r in results if r is not None]):
                    found = sweep(order, raw, ABSORBING_SWEEP)
    return [found.get(y._node) if y._node is not None else None for y in ys]


def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> Any:
    r"""(y, \dot y): y = f(*primals) and its derivative along `tangents`, \dot y = J \dot x.

    `tangents` has the structure, shapes and dtypes of `primals`. With `has_aux`, f returns
    (y, aux) and the result is (y, y_dot, aux). (Griewank & Walther, "Evaluating Derivatives",
    2nd ed., section 3.1.)

    >>> import gradarray as ga
    >>> ga.jvp(lambda x: x * x, (3.0,), (1.0,))
    (GradArray(9., dtype=float64), GradArray(6., dtype=float64))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            message("jvp", "primals and tangents are tuples, one entry per argument of f.")
        )
    attach = mode.grad
    primals, tangents = tuple(primals), tuple(tangents)
    arguments = Arguments(primals, tuple(range(len(primals))), "jvp")
    form = tree.flatten(primals)[1]
    x_dots = matching(tangents, arguments.aliases, form, "jvp", "tangent")
    y, aux = call(f, arguments, {}, has_aux)
    ys, y_form = outputs(y, "jvp")
    y_dots = completed(ys, push_to(ys, arguments.aliases, x_dots, attach=attach))
    y = arguments.leave(tree.unflatten(y_form, ys), attach)
    y_dot = tree.unflatten(y_form, y_dots)
    return (y, y_dot, arguments.leave(aux, attach)) if has_aux else (y, y_dot)
