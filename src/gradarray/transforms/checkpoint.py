"""Checkpoint: keep less, compute again in the reverse sweep.

A recomputed node keeps the inputs of a function instead of everything inside it; a walk that comes
to it runs the function again. Arrays that the function takes from around it (a layer's weights)
are found by running it once, and are parents of the node like its arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..errors import check_function
from ..graph import Grad, mode, next_seq
from ..ops.control import alias
from ..plan import RECORDED_SWEEP
from ..random.stream import generators
from ..record import handle_on
from . import push
from .pull import sweep
from .whole import Way, WholeGrad


class RecomputedGrad(WholeGrad, internal=True):
    """One application of a function whose inside was not kept."""

    __slots__ = ("random",)
    name = "checkpoint"

    @classmethod
    def made(
        cls, parents: tuple[Any, ...], saved: tuple[Any, ...], results: Iterable[Any], plan: Any,
        random: Any = (),
    ) -> RecomputedGrad:  # fmt: skip
        """A node of these results, walked by this plan."""
        node = cls()
        node.parents, node.saved, node.params = parents, saved, {}
        node.form, node.metas = None, ([(y.shape, y.dtype) for y in results],)
        node.plan, node.random = plan, random
        node.seq = next_seq()
        return node


class Recomputation(Way):
    """The function is run again, and then walked."""

    def __init__(self, function: Callable[..., Any], count: int) -> None:
        super().__init__()
        self.function, self.count = function, count

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
        return tuple(
            z if y._node is None else found.get(y._node, z) for y, z in zip(ys, zeros, strict=True)
        )


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
    restore(state)
    try:
        yield
    finally:
        restore(now)


def drawn_state() -> list[tuple[Any, Any, Any]]:
    return [(g, g.key._data, g.counter._data) for g in generators]


def restore(state: Iterable[tuple[Any, Any, Any]]) -> None:
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

    check_function(f, "checkpoint")

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
    saved = tuple(x._data for x in arrays)
    plan = plan or Recomputation(function, len(arrays))
    node = RecomputedGrad.made(parents, saved, ys, plan, state)
    return list(handle_on(node, tuple(y._data for y in ys)))
