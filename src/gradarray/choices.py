"""The one table of choices at points without a derivative (relu at 0, max at a tie, ...).

At such a point any value between the one-sided derivatives is a subgradient; the table says which
one is used and why, `set_subgradient` changes it, and `kinks` reports which ones a run has met.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import UnknownNameError
from .graph import flags, mode
from .registry import functions

Where = Callable[..., Any]  # a mask, from operands, the result `y` and parameters by their names


@dataclass
class Choice:
    """What is taken as the derivative of `name` at `point`, between `low` and `high`."""

    name: str
    point: str
    value: float
    low: float
    high: float
    reason: str
    at: dict[str, Where] = field(default_factory=dict)  # for each op that may meet the point
    default: float = field(init=False)

    def __post_init__(self) -> None:
        self.default = self.value

    @property
    def fixed(self) -> bool:
        """Is there nothing else to choose?"""
        return self.low == self.high

    def count(self, op: str, given: dict[str, Any]) -> int:
        """How often an application of an op meets the point, from what it was given."""
        where = self.at[op]
        names = inspect.signature(where).parameters
        with np.errstate(all="ignore"):
            return int(np.count_nonzero(where(*[given[name] for name in names])))

    def met(self, x: Any, where: Where) -> None:
        """For a function that takes values of x from their places: `where(values)` are the ties."""
        if flags.special and mode.watchers and getattr(x, "_node", None) is not None:
            values = x._base()._data
            for watcher in mode.watchers:
                tell = getattr(watcher, "chosen", None)
                if tell is not None:
                    tell(self, lambda: where(values))


table: dict[str, Choice] = {}
by_op: dict[str, list[Choice]] = {}


def choice(
    name: str,
    point: str,
    value: float,
    *,
    between: tuple[float, float] | None = None,
    reason: str,
    at: Where | dict[str, Where] | None = None,
) -> Choice:
    """Enter a choice in the table; a rule reads its `value`.

    `between`: what may be chosen, nothing else by default. `at`: where the op of this name meets
    the point, or a dict with that of several ops, on raw arrays. (A function that is no op calls
    `met`.)
    """
    if name in table:
        raise ValueError(f"a choice for {name!r} is in the table already")
    low, high = (value, value) if between is None else between
    where = at if isinstance(at, dict) else {} if at is None else {name: at}
    entry = table[name] = Choice(name, point, value, low, high, reason, where)
    for op in where:
        by_op.setdefault(op, []).append(entry)
    return entry


class set_subgradient:
    """Take `value` as the derivative of `op` at its point without one: from now on, or in a block.

    As a call it lasts, for all threads, until `.undo()` of what it gives, or until a value of
    None brings back the table's own; in a `with` statement until the block ends. `op` is a name in
    the table of choices (docs/choices.md), or the function of that name. Raises KeyError for a
    name that is not in it, ValueError outside the subdifferential.

    >>> import gradarray as ga
    >>> with ga.set_subgradient("relu", 0.5):
    ...     print(ga.grad(ga.relu)(0.0))
    GradArray(0.5, dtype=float64)
    >>> change = ga.set_subgradient("relu", 1.0)
    >>> ga.grad(ga.relu)(0.0)
    GradArray(1., dtype=float64)
    >>> change.undo()
    >>> ga.grad(ga.relu)(0.0)
    GradArray(0., dtype=float64)
    """

    def __init__(self, op: Any, value: float | None) -> None:
        op = getattr(op, "__name__", op)  # a function stands for its name
        entry = table.get(op)
        if entry is None and op in functions and functions[op].name in table:
            entry = table[functions[op].name]
        if entry is None:
            near = ", ".join(difflib.get_close_matches(str(op), table, 3))
            raise UnknownNameError(
                f"set_subgradient: {op!r} has no choice to make"
                + (f"; near to it are {near}." if near else ".")
                + " docs/choices.md lists all that have."
            )
        if value is None:
            value = entry.default
        if not isinstance(value, (int, float)):
            raise TypeError(f"set_subgradient: the value for {op} is a number, not {value!r}.")
        if not entry.low <= value <= entry.high:
            may = f"[{entry.low}, {entry.high}]"
            if entry.fixed:
                may += ": its rule takes no other"
            raise ValueError(
                f"the subdifferential of {op} at {entry.point} is {may}; {value} is outside"
            )
        self._entry, self._outer = entry, entry.value
        entry.value = float(value)

    def undo(self) -> None:
        """Take again what was taken before."""
        self._entry.value = self._outer

    def __enter__(self) -> set_subgradient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"set_subgradient({self._entry.name!r}, {self._entry.value}); .undo() takes it back"
