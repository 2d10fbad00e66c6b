"""Again: a compiled function on a graph. One node stands for all of it, and walks are compiled too.

A walk that comes to the node needs the function's pull or push at the inputs that it had. That is
a function of arrays like any other: the user's function on aliases of its inputs, those that it
reaches from outside among them, and a sweep through what it records. It is compiled at its first
use, and being compiled it can be differentiated in its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..graph import Grad, next_seq
from ..ops.control import alias
from ..ops.create import zeros
from ..plan import RECORDED_SWEEP
from ..record import handle_on
from ..transforms.batch import Batched
from ..transforms.checkpoint import Recomputation, RecomputedGrad, recording_here
from ..transforms.pull import pull_to
from ..transforms.push import push_to
from .record import Slot
from .trace import lock

if TYPE_CHECKING:
    from .version import Version


class Again(Recomputation):
    """What the nodes of one compiled version do instead of a plan."""

    def __init__(self, version: Version) -> None:
        super().__init__(self.outputs, len(version.recorded.reads))
        self.version = version
        self._compiled: dict[Any, Any] = {}

    def node(
        self, owners: Sequence[Any], inputs: Sequence[Any], ys: Sequence[Any]
    ) -> list[GradArray]:
        """Handles on the outputs that are on the graph of the inputs."""
        parents = tuple([_node_of(x) for x in owners])
        if not any(parents):
            return [wrap(y) for y in ys]
        node = RecomputedGrad.made(parents, tuple(inputs), ys, self)
        return list(handle_on(node, tuple(ys)))

    def outputs(self, *values: Any) -> list[GradArray]:
        """The function's attached outputs, recorded on these values of all that it reads."""
        recorded = self.version.recorded
        leaves, outside = self.version.arguments(values)
        with lock, _standing_in(recorded.outside, outside, leaves):
            found = tree.flatten(self.version.run(leaves))[0]
            at: dict[int, Any] = {}
            for k, output in enumerate(recorded.result):
                if hasattr(output, "at"):
                    at[output.at] = found[k]
            for slot, k in recorded.writes:
                at[k] = slot.array(leaves)
            return [wrap(y._data, GradArray, y._node) for y in (at[k] for k in recorded.attached)]

    # Walks ----------------------------------------------------------------------------------------

    def _again(self, node: Any, variant: int) -> tuple[list[GradArray], int]:
        with recording_here():
            aliases = _aliases(self._inputs(node, RECORDED_SWEEP), node.parents)
            floor = min((a._node.seq for a in aliases if _node_of(a)), default=next_seq())
            return self.outputs(*aliases), floor

    def _inputs(self, node: Any, variant: int) -> list[Any]:
        parents = node.parents if variant == RECORDED_SWEEP else [None] * self.count
        return [
            wrap(x, GradArray, parent) if hasattr(x, "dtype") else x
            for x, parent in zip(node.saved, parents, strict=True)
        ]

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        bars = y_bar if isinstance(y_bar, tuple) else (y_bar,)
        if any(type(c) is Batched for c in bars):
            return super()._pull(variant, node, y_bar)
        needed = tuple([parent is not None for parent in node.parents])
        with recording_here():
            run = self._of("pull", needed, self._pulled)
            found = run(self._inputs(node, variant), [lift(c) for c in bars])
        return tuple([_for(variant, c) for c in found])

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        if any(type(c) is Batched for c in x_dots):
            return super()._push(variant, node, x_dots)
        moving = tuple([dot is not None for dot in x_dots])
        with recording_here():
            run = self._of("push", moving, self._pushed)
            found = run(self._inputs(node, variant), [lift(c) for c in x_dots if c is not None])
        return tuple([_for(variant, c) for c in found])

    def _of(self, what: str, which: tuple[bool, ...], made: Any) -> Any:
        known = self._compiled.get((what, which))
        if known is None:
            f = made(which)
            known = self._compiled[what, which] = self.version.compiling(f, once=True)
        return known

    def _pulled(self, needed: tuple[bool, ...]) -> Any:
        def pulled(xs: list[Any], bars: list[Any]) -> list[Any]:
            with graph.recording():
                aliases = _aliases(xs, needed)
                targets: list[Any] = [a._node for a, n in zip(aliases, needed, strict=True) if n]
                found, _ = pull_to(self.outputs(*aliases), bars, targets, attach=True)
            parts = iter(found)
            return [_handle(next(parts)) if n else None for n in needed]

        return pulled

    def _pushed(self, moving: tuple[bool, ...]) -> Any:
        def pushed(xs: list[Any], dots: list[Any]) -> list[Any]:
            with graph.recording():
                aliases = _aliases(xs, moving)
                roots = [a for a, m in zip(aliases, moving, strict=True) if m]
                ys = self.outputs(*aliases)
                found = push_to(ys, roots, dots, attach=True)
            return [
                zeros(y.shape, y.dtype) if dot is None else _handle(dot)
                for y, dot in zip(ys, found, strict=True)
            ]

        return pushed


def _node_of(x: Any) -> Grad | None:
    return x._node if isinstance(x, GradArray) and x.dtype.kind in "fc" else None


def _aliases(xs: Sequence[Any], which: Sequence[Any]) -> list[Any]:
    return [alias(x) if moves else x for x, moves in zip(xs, which, strict=True)]


def _handle(c: Any) -> Any:
    return c if c is None or isinstance(c, GradArray) else wrap(c)


def _for(variant: int, c: Any) -> Any:
    return c if c is None or variant == RECORDED_SWEEP else c._data


@contextmanager
def _standing_in(
    handles: Sequence[Any], values: Sequence[tuple[Slot, Any]], leaves: Sequence[Any]
) -> Iterator[None]:
    """Within, what is reached from outside has these values; nothing that changes stays so."""
    before = [(h, h._data, h._node, h._gradient) for h, *_ in handles]
    try:
        for slot, value in values:
            owner, x = slot.owner(leaves), _handle(value)
            if slot.gradient:
                owner._gradient = x
            else:
                owner._data, owner._node = x._data, x._node
        yield
    finally:
        for handle, data, node, gradient in before:
            handle._data, handle._node, handle._gradient = data, node, gradient
