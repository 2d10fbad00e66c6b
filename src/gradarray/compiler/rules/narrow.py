"""Narrow products in tiles: of few terms, or with few results, they join the nests around them.

A product that adds up a few terms is an expression at every point, as cheap as what surrounds it.
One with a few results is some sums in the nest that computes its large factor, which then need not
be stored. And what a loop adds to the gradient of a small weight is kept for every sample apart
until the loop has ended, so that no turn adds up across the lanes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..abstract import Abstract
from ..expr import has_code, make
from ..group import Group
from ..lower import TERMS, Lowering
from ..memory import View
from ..program import Step
from ..scalar import Scalar

RESULTS = 4  # of a product that joins the nest of its large factor
LARGEST = 16384  # bytes of the large factor in a tile, beyond which a nest leaves the first cache


@dataclass
class Factor:
    """One side of a product."""

    x: Abstract
    labels: tuple[Any, ...]

    def part(self, view: View, at: dict[Any, int], box: Sequence[Any], shape: Any) -> View:
        """The elements at these labels, along the axes of a box whose axes have labels too."""
        strides = dict(zip(self.labels, view.strides))
        offset = view.offset + sum(strides[k] * n for k, n in at.items() if k in strides)
        along = tuple([0 if k in at else strides.get(k, 0) for k in box])
        return replace(view, offset=offset, shape=tuple(shape), strides=along)


def joined(low: Lowering, step: Step, la: Any, lb: Any, ly: Any) -> bool:
    """Lower the product in such a way, if it is narrow."""
    y, lane = step.values[0], low.lane_of(step, la, lb)
    if lane is None or not has_code(y.dtype, "f"):
        return False
    if any(type(x) is not Abstract or x.dtype != y.dtype for x in step.operands):
        return False
    a, b = Factor(step.operands[0], tuple(la)), Factor(step.operands[1], tuple(lb))
    size: dict[Any, int] = {}
    for factor in (a, b):
        if len(set(factor.labels)) < len(factor.labels):
            return False
        for k, n in zip(factor.labels, factor.x.shape):
            if size.setdefault(k, n) != n:
                return False
    summed = [k for k in size if k not in ly]
    if any(k in a.labels and k in b.labels and k in ly for k in size):
        return False
    if lane in summed:
        return summed == [lane] and _apart(low, y, a, b, size, lane, ly)
    if y in low.targets:
        return False  # it is added to what its place holds
    if math.prod(size[k] for k in summed) <= TERMS:
        _few_terms(low, y, a, b, size, summed, ly)
        return True
    return _few_results(low, y, a, b, size, summed, lane, ly)


def _few_terms(
    low: Lowering, y: Abstract, a: Factor, b: Factor, size: dict[Any, int], summed: list[Any],
    ly: Any,
) -> None:  # fmt: skip
    first = max(low.when(a.x), low.when(b.x))
    views = [
        factor.part(low.memory(factor.x), at, ly, y.shape)
        for at in _places(summed, size)
        for factor in (a, b)
    ]

    def total(*xs: Scalar) -> Scalar:
        e = make("mul", xs[0].e, xs[1].e)
        for v, w in zip(xs[2::2], xs[3::2]):
            e = make("fma", v.e, w.e, e)
        return Scalar(e)

    low.pointwise(views, first, y, total)


def _few_results(
    low: Lowering, y: Abstract, a: Factor, b: Factor, size: dict[Any, int], summed: list[Any],
    lane: Any, ly: Any,
) -> bool:  # fmt: skip
    large, small = (a, b) if lane in a.labels else (b, a)
    rows = [k for k in ly if k != lane]
    k = low.inline.get(large.x)
    if k is None or math.prod(size[r] for r in rows) > RESULTS or large.x.nbytes > LARGEST:
        return False
    if any(r in large.labels for r in rows) or low.when(small.x) > k:
        return False
    group: Group = low.items[k]
    axes = tuple([n for n, label in enumerate(large.labels) if label in summed])
    if group.shape != large.x.shape or group.summed not in (None, axes):
        return False
    out, _ = low.target_of(y)
    place = Factor(y, tuple(ly))
    for at in _places(rows, size):
        factor = group.leaf(small.part(low.memory(small.x), at, large.labels, group.shape))
        to = place.part(out, at, large.labels, group.shape)
        group.sums.append((to, make("mul", group.values[large.x], factor), "add", True))
    group.summed = axes
    low.define(y, out, k + 1)
    return True


def _apart(
    low: Lowering, y: Abstract, a: Factor, b: Factor, size: dict[Any, int], lane: Any, ly: Any
) -> bool:
    """A sum over samples of which each has its own."""
    kept = low.apart.get(y)
    if kept is None:
        return False
    large, small = (a, b) if a.x.size >= b.x.size else (b, a)
    rows = [k for k in small.labels if k != lane]
    if math.prod(size[r] for r in rows) > RESULTS:
        return False
    first = max(low.when(small.x), low._bound([large.x], large.x.shape))
    k, view = low._group(large.x.shape, first), low.memory(small.x)
    group: Group = low.items[k]
    x, place = low._used(large.x, k), Factor(y, (lane, *ly))
    for at in _places(rows, size):
        factor = group.leaf(small.part(view, at, large.labels, group.shape))
        to = place.part(kept, at, large.labels, group.shape)
        add_to(group, to, lambda old, f=factor: make("fma", x, f, old))
    return True


def add_to(group: Group, to: View, more: Any) -> None:
    """Add to what every point of a group keeps."""
    for n, (view, e) in enumerate(group.stores):
        if view == to:
            group.stores[n] = to, more(e)
            return
    group.stores.append((to, more(group.leaf(to))))


def _places(labels: list[Any], size: dict[Any, int]) -> Iterator[dict[Any, int]]:
    for at in itertools.product(*[range(size[k]) for k in labels]):
        yield dict(zip(labels, at))
