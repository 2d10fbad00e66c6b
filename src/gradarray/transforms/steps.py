"""Steps of a loop with a carry: run one after another, the carry checked at each."""

from __future__ import annotations

from typing import Any

from .. import tree
from ..array import lift
from ..errors import DTypeError, ShapeError, message
from ..ops.join import stack, unstack


def run_scan(f: Any, init: Any, xs: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """The loop itself, every step recorded."""
    leaves, form = tree.flatten(xs)
    columns = [unstack(x) for x in leaves]
    carry, ys = init, []
    order = range(steps - 1, -1, -1) if reverse else range(steps)
    for k in order:
        x = tree.unflatten(form, [column[k] for column in columns])
        carry, y = step(f, carry, x)
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, tree.map(lambda *parts: stack(list(parts)), *ys) if ys else None


def step(f: Any, carry: Any, x: Any, op: str = "scan") -> tuple[Any, Any]:
    """One step, its carry checked."""
    result = f(carry, x)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(message(op, "the step must return (carry, y)."))
    return same_carry(op, carry, result[0]), result[1]


def same_carry(op: str, before: Any, after: Any, what: str = "carry") -> Any:
    """The new carry, its arrays lifted; raises where its form is not that of the old one."""
    old, form = tree.flatten(before)
    new, came = tree.flatten(after)
    if came != form:
        raise TypeError(
            message(
                op,
                f"the {what} changes structure, from {tree.describe(form)} to "
                f"{tree.describe(came)}.",
            )
        )
    out = []
    for a, b, path in zip(old, new, tree.paths(form), strict=True):
        plain = not hasattr(b, "dtype")
        b = lift(b, op)
        if plain and b.dtype != a.dtype and b.dtype.kind in "biuf":
            b = b.astype(a.dtype)
        if b.shape != a.shape:
            raise ShapeError(
                message(op, f"the {what}{path} changes shape, from {a.shape} to {b.shape}.")
            )
        if b.dtype != a.dtype:
            raise DTypeError(
                message(
                    op,
                    f"the {what}{path} changes dtype, from {a.dtype} to {b.dtype}.",
                    "Start with the dtype that the step gives.",
                )
            )
        out.append(b)
    return tree.unflatten(form, out)
