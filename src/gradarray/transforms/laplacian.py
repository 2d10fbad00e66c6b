"""laplacian: the sum of second derivatives, in one forward walk for all directions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, wrap
from ..errors import ShapeError, message
from ..graph import mode
from ..ops.axes import one_axis
from .analytic import check_arguments
from .arguments import Arguments, call, completed, outputs
from .batch import Batched, Level, batched, entering, only_levels
from .collapsed import CollapsedWalk, Second, both
from .local import Locals
from .pull import is_nan

__all__ = ["laplacian"]

# Bytes of one array of first derivatives: as many directions at once as stay near the processor.
CHUNK = 1 << 21


def laplacian(
    f: Callable[..., Any], axis: int | None = None, *, chunk: int | None = None
) -> Callable[..., Any]:
    r"""\Delta f(x) = \sum_i d^2 f / dx_i^2, a function of what f takes, in f's first argument.

    The sum is over all values of x, an array or a pytree; with `axis` over those along this axis
    of an array of many points, each of which f must treat by itself (a network does: rows of x).
    The result has f's shape. One forward walk carries all first derivatives and one sum of second
    ones, `chunk` directions at a time (by default as many as stay in the processor's cache, and
    all where the walk is recorded, for a gradient through it): at most half the time and memory of
    nested reverse mode along all directions. Raises ShapeError where x has no such axis,
    ValueError for a chunk below 1, DTypeError for integers and complex x, RuleError naming an op
    whose rule cannot run on series. (Dangel et al., "Collapsing Taylor mode automatic
    differentiation", 2025.)

    >>> import gradarray as ga
    >>> ga.laplacian(lambda x: (x**3).sum())(ga.array([1.0, 2.0]))
    GradArray(18., dtype=float64)
    >>> ga.laplacian(lambda x: (x**3).sum(-1), axis=-1)(ga.array([[1.0, 2.0], [0.0, 1.0]]))
    GradArray([18.,  6.], dtype=float64)
    """

    if chunk is not None and chunk < 1:
        raise ValueError(message("laplacian", f"chunk={chunk}: at least one direction at a time."))

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def sum_of_second(x: Any, *args: Any, **kwargs: Any) -> Any:
        attach = mode.grad
        arguments = Arguments((x, *args), 0, "laplacian")
        check_arguments("laplacian", arguments.aliases, None)
        directions = _Directions(arguments.aliases, axis)
        y, _ = call(f, arguments, kwargs, False)
        ys, form = outputs(y, "laplacian")
        found = _collapsed(ys, arguments.aliases, directions, attach, chunk)
        return tree.unflatten(form, completed(ys, found))

    return sum_of_second


class _Directions:
    """The unit vectors along which f is differentiated, some at a time."""

    def __init__(self, xs: Sequence[GradArray], axis: int | None) -> None:
        self.xs, self.axis = xs, None
        if axis is None:
            self.count = sum(x.size for x in xs)
            return
        if len(xs) > 1:
            raise TypeError(message("laplacian", "axis= is for one array, and x is a pytree."))
        try:
            self.axis = one_axis(axis, xs[0].ndim, "laplacian")
        except np.exceptions.AxisError:
            raise ShapeError(
                message("laplacian", f"x of shape {xs[0].shape} has no axis {axis}.")
            ) from None
        self.count = xs[0].shape[self.axis]

    def chunks(self, size: int) -> Iterator[tuple[int, list[Any]]]:
        """(how many, for every x the unit vectors or None) in turn."""
        for low in range(0, self.count, size):
            high = min(low + size, self.count)
            yield high - low, self._between(low, high)

    def _between(self, low: int, high: int) -> list[Any]:
        out: list[Any] = []
        at = 0
        for x in self.xs:
            n = x.size if self.axis is None else self.count
            rows = np.zeros((high - low, n), x.dtype)
            first, last = max(low, at), min(high, at + n)
            rows[np.arange(first, last) - low, np.arange(first, last) - at] = 1
            shape = x.shape
            if self.axis is not None:
                shape = tuple(n if k == self.axis else 1 for k in range(-x.ndim, 0))
            out.append(rows.reshape(high - low, *shape) if first < last else None)
            at += n
        return out


def _collapsed(
    ys: Sequence[GradArray],
    xs: Sequence[GradArray],
    directions: _Directions,
    attach: bool,
    chunk: int | None,
) -> list[Any]:
    """The sum of the second derivatives of `ys` along the directions, None where it is 0."""
    roots = [y._node for y in ys if y._node is not None]
    ends = [x._node for x in xs if x._node is not None]
    order, older = graph.ancestry(roots, min(node.seq for node in ends))
    for node in order:
        if node.saved is None:
            graph.check_alive(node, "laplacian")
    recorded = (attach and older) or mode.trace is not None  # a program has no values
    locals = Locals(order, ends, recorded)
    size = directions.count if recorded else CHUNK // _largest(order)
    size = max(1, min(size, directions.count) if chunk is None else chunk)
    total: list[Any] = [None] * len(ys)
    for count, units in directions.chunks(size):
        level = Level(count, len(mode.levels), "same")
        part = _sweep(CollapsedWalk(level, False, locals), order, ys, xs, units)
        if not recorded and is_nan([c._data for c in part if c is not None]):
            part = _sweep(CollapsedWalk(level, True, locals), order, ys, xs, units)
        total = [both(a, b) for a, b in zip(total, part)]
    return total


def _largest(order: Sequence[Any]) -> int:
    """Bytes of the largest value that moves and that a node has kept."""
    found = [1]
    for node in order:
        kept = getattr(node.plan, "where_saved", {}) if hasattr(node, "plan") else {}
        for k, at in kept.items():
            if node.parents[k] is not None:
                found.append(getattr(node.saved[at], "nbytes", 0))
    return max(found)


def _sweep(
    walk: CollapsedWalk,
    order: Sequence[Any],
    ys: Sequence[GradArray],
    xs: Sequence[GradArray],
    units: Sequence[Any],
) -> list[Any]:
    found: dict[Any, Any] = {}
    for x, rows in zip(xs, units, strict=True):
        if rows is not None:
            first = entering(batched(wrap(rows), walk.level), x)
            assert type(first) is Batched
            found[x._node] = Second(first, None, x._base().shape)
    outer, mode.raw = mode.raw, 0
    roots = {y._node for y in ys if y._node is not None}
    recording = graph.recording() if walk.recorded else graph.no_grad()
    try:
        with np.errstate(all="ignore"), only_levels((walk.level,)), recording, graph.sweeping():
            walk.through(order, found, roots)
    finally:
        mode.raw = outer
    return [found[y._node].second if y._node in found else None for y in ys]
