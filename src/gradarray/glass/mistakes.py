"""Gradients that common mistakes lead to, computed from the record of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import graph
from ..algebra import Elementwise
from ..array import GradArray, wrap
from ..record import apply
from .build import Builder
from .record import Keeper
from .replay import replay
from .story import Row, Story


def mistakes(value: GradArray, loss: GradArray) -> Iterator[tuple[str, Any]]:
    """(what was done wrong, the gradient of `value` that comes of it)."""
    story = Builder([loss._base()], Keeper(), "loss").story(None, [])
    row = next((r for r in story.rows if r.node is value._node), None)
    if row is None:
        return
    yield from _forgotten(story, row)
    yield from _before_activation(story, row)
    yield from _swapped(story, row)


def _forgotten(story: Story, row: Row) -> Iterator[tuple[str, Any]]:
    """The local derivative of a use of the value was left out: the adjoint came as it was."""
    for to in _uses(story, row):
        if to.op is None or not issubclass(to.op, Elementwise) or to.shape != row.shape:
            continue
        bar = _gradient(story, to, to.value)
        if bar is not None:
            yield f"the local derivative of {to.op.name} is missing", bar


def _before_activation(story: Story, row: Row) -> Iterator[tuple[str, Any]]:
    """Where an activation was meant, its input was used."""
    for to in _uses(story, row):
        for other in to.operands:
            if not isinstance(other, Row) or other is row or not _is_activation(other):
                continue
            before = other.operands[0]
            bar = _pulled(story, to, {row: row.value, other: before.value}, row)
            if bar is not None:
                name = other.op.name if other.op is not None else ""
                yield f"{before.name}, the input of {name}, was used in place of {other.name}", bar


def _swapped(story: Story, row: Row) -> Iterator[tuple[str, Any]]:
    """The value and a constant of its shape have changed places."""
    for other in story.rows:
        if other.kind == "constant" and other.shape == row.shape and other.value is not None:
            bar = _gradient(story, other, row.value, {row: other.value})
            if bar is not None:
                yield f"{row.name} and {other.name} are swapped in the loss", bar


def _is_activation(row: Row) -> bool:
    return (
        row.op is not None
        and issubclass(row.op, Elementwise)
        and sum(isinstance(x, Row) for x in row.operands) == 1
        and isinstance(row.operands[0], Row)
    )


def _uses(story: Story, row: Row) -> list[Row]:
    return [r for r in story.rows if any(x is row for x in r.operands)]


def _pulled(story: Story, to: Row, values: dict[Row, Any], at: Row) -> np.ndarray | None:
    """What one op hands back to `at` for the right adjoint of its result, with these operands."""
    bar = _gradient(story, to, to.value)
    operands = [values.get(x, x.value) if isinstance(x, Row) else x for x in to.operands]
    if bar is None or any(x is None for x in operands) or to.which is not None:
        return None
    leaf = wrap(values[at])
    leaf.requires_grad = True
    given = [leaf if x is at else v for x, v in zip(to.operands, operands, strict=True)]
    with graph.recording(), np.errstate(all="ignore"):
        y = apply(to.op, *given, **to.params)  # type: ignore[arg-type]
        y.backward(wrap(bar))
    return None if leaf.grad is None else leaf.grad.numpy()


def _gradient(
    story: Story, at: Row, value: Any, others: dict[Row, Any] | None = None
) -> np.ndarray | None:
    """The gradient of the result in the row `at`, which has this value, others being changed."""
    if value is None:
        return None
    x = wrap(value)
    x.requires_grad = True
    changed = {row: wrap(v) for row, v in (others or {}).items() if v is not None}
    with graph.recording(), np.errstate(all="ignore"):
        y = replay(story, {**changed, at: x})
        if y is None or y._node is None:
            return None
        y.backward(wrap(np.ones(y.shape, y.dtype)[()]))
    return None if x.grad is None else x.grad.numpy()
