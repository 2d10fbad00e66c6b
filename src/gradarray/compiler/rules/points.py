"""What is computed at every point of a box: elementwise ops that say more than their forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ops.arithmetic import AbsorbGrad
from ...ops.complex import ConjGrad, ImagGrad, RealGrad
from ...ops.control import AliasGrad, TrustGrad
from ...ops.create import CopyGrad
from ...ops.shape import AsTypeGrad
from ..abstract import Abstract
from ..expr import BOOL, Expr, cast, make
from ..group import Group, statements
from ..loops import Access, Alarm
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step


def points(
    sources: Sequence[View], value: Callable[..., Expr], target: View, combine: str = ""
) -> list[Any]:
    """target = value(*sources) at every point, or target combined with it."""
    group = Group(target.shape)
    e = value(*[group.leaf(view) for view in sources])
    if combine:
        group.sums.append((target, e, combine, False))
        group.summed = ()
    else:
        group.stores.append((target, e))
    return statements(group)


def copied(source: View, target: View) -> list[Any]:
    return points([source], lambda x: x, target)


def filled(value: Expr, target: View) -> list[Any]:
    """target = a constant."""
    return points([], lambda: value, target)


def leave(low: Lowering, x: Any, to: View) -> None:
    """Write a value to a place."""
    if type(x) is Abstract and low.homes.get(x) == to and low.memory(x) == to:
        return
    k = low.inline.get(x) if type(x) is Abstract else None
    if k is not None:
        group: Group = low.items[k]
        group.stores.append((to, cast(group.values[x], to.buffer.dtype)))
        return
    if type(x) is not Abstract:
        low.append(copied(low.memory(np.asarray(x, to.buffer.dtype)).broadcast(to.shape), to))
        return
    at = low._group(x.shape, low.when(x))
    group = low.items[at]
    group.stores.append((to, cast(group.leaf(low.memory(x)), to.buffer.dtype)))


@rule(AliasGrad, CopyGrad, RealGrad, ConjGrad)
def _same(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    if x.dtype.kind == "c":
        return NotImplemented
    low.elementwise([x], y, lambda x: x)
    return None


@rule(ImagGrad)
def _imag(low: Lowering, step: Step) -> None:
    low.elementwise([step.operands[0]], step.values[0], np.zeros_like)


@rule(AsTypeGrad)
def _astype(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    low.elementwise([x], y, lambda x: x.astype(y.dtype))


@rule(TrustGrad)
def _trust(low: Lowering, step: Step) -> None:
    y, fine = step.operands
    low.elementwise([y], step.values[0], lambda y: y)
    axes = tuple(range(fine.ndim))
    k = low._group(fine.shape, low._bound([fine], fine.shape), axes)
    group = low.items[k]
    found = anywhere(low, group, make("not", low._used(fine, k)))
    low.append([Alarm(low.shared.doubt(), found)])


def anywhere(low: Lowering, group: Group, truth: Expr) -> Access:
    """Where it is noted whether a truth value of the group's is true at any point."""
    outer, low.next_axis = low.next_axis, None
    place = low.fresh((), BOOL)
    low.next_axis = outer
    axes = tuple(range(len(group.shape)))
    to = View(place.buffer, 0, group.shape, (0,) * len(axes))
    if math.prod(group.shape) == 1:
        group.stores.append((to, truth))
    else:
        group.sums.append((to, truth, "or", True))
        group.summed = axes
    return Access(place.buffer)


@rule(AbsorbGrad)
def _absorb(low: Lowering, step: Step) -> None:
    def product(a: Any, b: Any) -> Any:
        y = np.multiply(a, b)
        return np.where(np.logical_or(np.equal(a, 0), np.equal(b, 0)), y.dtype.type(0), y)

    low.elementwise(step.operands, step.values[0], product)
