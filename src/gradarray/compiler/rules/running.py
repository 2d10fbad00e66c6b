"""Running sums, products and recurrences: a loop along the axis, everything else at once in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.running import CumArgGrad, LogCumSumExpGrad
from ...ops.scan import CumProdGrad, CumSumGrad, LinearRecurrenceGrad
from ..expr import Expr, Unsupported, cast, has_code, make, select
from ..loops import Loop, Var
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from ..scalar import Scalar, apply
from .points import points


def _at(view: View, axis: int, t: int, var: Var | None = None, by: int = 1) -> View:
    """One step along an axis; moved on by a loop variable."""
    stride = view.strides[axis]
    shape = tuple(1 if a == axis else n for a, n in enumerate(view.shape))
    outer = view.outer if var is None else (*view.outer, (var, by * stride))
    return replace(view, offset=view.offset + t * stride, shape=shape, outer=outer)


def _along(
    low: Lowering, step: Step, sources: Sequence[View], first: Callable[..., Expr],
    then: Callable[..., Expr],
) -> None:  # fmt: skip
    """y_0 = first(*x_0), y_t = then(y_{t-1}, *x_t); from the other end where `reverse`."""
    y = step.values[0]
    axis, out = step.params["axis"] % y.ndim, low.fresh(y.shape, y.dtype)
    n, back = y.shape[axis], step.params.get("reverse", False)
    start, by = (n - 1, -1) if back else (0, 1)
    items: list[Any] = []
    if y.size:
        items += points([_at(x, axis, start) for x in sources], first, _at(out, axis, start))
    if y.size and n > 1:
        var = Var(n - 1)
        before = _at(out, axis, start, var, by)
        now = [_at(x, axis, start + by, var, by) for x in (*sources, out)]
        items.append(Loop(var, points([before, *now[:-1]], then, now[-1])))
    low.define(y, out, low.append(items))


def _views(low: Lowering, step: Step, dtypes: str = "iuf") -> list[View]:
    """Where the operands lie, broadcast to the result."""
    y = step.values[0]
    for v in (*step.inputs, y):
        if not has_code(v.dtype, dtypes):
            raise Unsupported(f"a running sum of {v.dtype}")
    return [low.memory(x).broadcast(y.shape) for x in step.operands]


@rule(CumSumGrad)
def _cumsum(low: Lowering, step: Step) -> None:
    _combined(low, step, "add")


@rule(CumProdGrad)
def _cumprod(low: Lowering, step: Step) -> None:
    _combined(low, step, "mul")


def _combined(low: Lowering, step: Step, how: str) -> None:
    dtype = step.values[0].dtype
    _along(
        low, step, _views(low, step, "biuf"), lambda x: cast(x, dtype),
        lambda before, x: make(how, before, cast(x, dtype)),
    )  # fmt: skip


@rule(LinearRecurrenceGrad)
def _linear_recurrence(low: Lowering, step: Step) -> None:
    dtype = step.values[0].dtype

    def then(before: Expr, a: Expr, b: Expr) -> Expr:
        return make("add", make("mul", cast(a, dtype), before), cast(b, dtype))

    _along(low, step, _views(low, step), lambda a, b: cast(b, dtype), then)


@rule(LogCumSumExpGrad)
def _log_running_sum(low: Lowering, step: Step) -> None:
    def then(before: Expr, x: Expr) -> Expr:
        return apply(np.logaddexp, (Scalar(before), Scalar(x))).e

    _along(low, step, _views(low, step, "f"), lambda x: x, then)


@rule(CumArgGrad)
def _running_place(low: Lowering, step: Step) -> None:
    """The value at the place so far is kept beside the place."""
    (x,) = _views(low, step)
    y = step.values[0]
    axis, largest = step.params["axis"] % y.ndim, step.params["largest"]
    n = y.shape[axis]
    best = low.fresh(y.shape, x.buffer.dtype)
    out = low.fresh(y.shape, y.dtype)
    shape = tuple(n if a == axis else 1 for a in range(y.ndim))
    numbers = low.shared.constant(np.arange(n, dtype=y.dtype).reshape(shape)).broadcast(y.shape)

    def better(now: Expr, before: Expr) -> Expr:
        more = make("gt" if largest else "lt", now, before)
        if now.dtype.kind != "f":
            return more
        new = make("and", make("ne", now, now), make("eq", before, before))
        return make("or", more, new)  # a NaN is an extremum, and stays one

    items: list[Any] = []
    if y.size:
        items += points([_at(x, axis, 0)], lambda now: now, _at(best, axis, 0))
        items += points([_at(numbers, axis, 0)], lambda k: k, _at(out, axis, 0))
    if y.size and n > 1:
        var = Var(n - 1)
        now, number, place, most = (_at(v, axis, 1, var) for v in (x, numbers, out, best))
        before, held = _at(best, axis, 0, var), _at(out, axis, 0, var)

        def chosen(now: Expr, before: Expr, number: Expr, held: Expr) -> Expr:
            return select(better(now, before), number, held)

        def value(now: Expr, before: Expr) -> Expr:
            return select(better(now, before), now, before)

        body = points([now, before, number, held], chosen, place)
        items.append(Loop(var, [*body, *points([now, before], value, most)]))
    low.define(y, out, low.append(items))
