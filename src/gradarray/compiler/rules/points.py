"""What is computed at every point of a box: elementwise ops that say more than their forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ops.arithmetic import AbsorbGrad
from ...ops.complex import ConjGrad, RealGrad
from ...ops.control import AliasGrad
from ...ops.create import CopyGrad
from ...ops.shape import AsTypeGrad
from ..expr import Expr
from ..lower import Group, Lowering, View, rule, statements
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


@rule(AliasGrad, CopyGrad, RealGrad, ConjGrad)
def _same(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    if x.dtype.kind == "c":
        return NotImplemented
    low.elementwise([x], y, lambda x: x)
    return None


@rule(AsTypeGrad)
def _astype(low: Lowering, step: Step) -> Any:
    x, y = step.operands[0], step.values[0]
    low.elementwise([x], y, lambda x: x.astype(y.dtype))


@rule(AbsorbGrad)
def _absorb(low: Lowering, step: Step) -> None:
    def product(a: Any, b: Any) -> Any:
        y = np.multiply(a, b)
        return np.where(np.logical_or(np.equal(a, 0), np.equal(b, 0)), y.dtype.type(0), y)

    low.elementwise(step.operands, step.values[0], product)
