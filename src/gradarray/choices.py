"""The one table of choices at points without a derivative (relu at 0, max at a tie, ...).

At such a point any value between the one-sided derivatives is a subgradient; the table says which
one is used and why, and `set_subgradient` changes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Choice:
    """What `op` takes as its derivative at `point`, between `low` and `high`."""

    op: str
    point: str
    value: float
    low: float
    high: float
    reason: str


table: dict[str, Choice] = {}


def choice(
    op: str, point: str, value: float, *, between: tuple[float, float], reason: str
) -> Choice:
    """Enter a choice in the table; an op's rule reads its `value`."""
    if op in table:
        raise ValueError(f"a choice for {op!r} is in the table already")
    entry = table[op] = Choice(op, point, value, *between, reason)
    return entry


@contextlib.contextmanager
def set_subgradient(op: str, value: float) -> Iterator[None]:
    """Within the block, take `value` as the derivative of `op` at its point without one.

    Raises KeyError for an op without such a choice, ValueError outside its subdifferential.

    >>> import gradarray as ga
    >>> with ga.set_subgradient("relu", 0.5):
    ...     print(ga.grad(ga.relu)(0.0))
    GradArray(0.5, dtype=float64)
    """
    if op not in table:
        raise KeyError(f"{op!r} has no choice to make; those that have: {', '.join(sorted(table))}")
    entry = table[op]
    if not entry.low <= value <= entry.high:
        raise ValueError(
            f"the subdifferential of {op} at {entry.point} is [{entry.low}, {entry.high}]; "
            f"{value} is outside"
        )
    outer, entry.value = entry.value, value
    try:
        yield
    finally:
        entry.value = outer
