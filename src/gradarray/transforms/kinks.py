"""Which points without a derivative a run has met, how often, and at which line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph
from ..choices import Choice, by_op
from ..errors import user_line

_WIDTH = 70  # of a source line in the table


@dataclass(frozen=True)
class Kink:
    """A choice that was met: at an op, called from a line of yours, so many times."""

    choice: Choice
    op: str
    line: str
    times: int


class Kinks:
    """What a block of `kinks()` has met; it prints as a table, the most frequent first.

    `rows` holds `Kink`s. It is true if there is any, and has their number as its length.
    """

    def __init__(self) -> None:
        self.sweeping = 0  # counted up while rules run: what they compute is not the user's
        self._counts: dict[tuple[str, str, str], int] = {}
        self._choices: dict[str, Choice] = {}
        self._last: Any = None

    @property
    def rows(self) -> list[Kink]:
        found = [Kink(self._choices[c], op, at, n) for (c, op, at), n in self._counts.items()]
        return sorted(found, key=lambda kink: (-kink.times, kink.choice.name, kink.line))

    def times(self, name: str) -> int:
        """How often the choice of this name was met, at all lines together."""
        return sum(n for (choice, _, _), n in self._counts.items() if choice == name)

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[Kink]:
        return iter(self.rows)

    def __repr__(self) -> str:
        if not self._counts:
            return "no point without a derivative was met"
        lines = [("choice", "op", "at", "taken", "of", "times", "line")]
        for kink in self.rows:
            choice = kink.choice
            between = "" if choice.fixed else f"[{choice.low:.4g}, {choice.high:.4g}]"
            taken = f"{choice.value:.4g}"
            line = kink.line if len(kink.line) <= _WIDTH else kink.line[: _WIDTH - 3] + "..."
            lines.append(
                (choice.name, kink.op, choice.point, taken, between, str(kink.times), line)
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    # As a watcher of ops --------------------------------------------------------------------------

    def forward(self, op: Any, raw: list[Any], params: dict[str, Any], y: Any) -> None:
        """An op was computed; whether it is on a graph is known when its node is made."""
        self._last = None if self.sweeping or op.name not in by_op else (op, raw, params, y)

    def recorded(self, node: graph.Grad) -> None:
        """Its node was made: a derivative may be taken here."""
        if self._last is None:
            return
        op, raw, params, y = self._last
        self._last = None
        given = {"y": y, **params, **dict(zip(op.operand_names(len(raw)), raw, strict=True))}
        for choice in by_op[op.name]:
            self._add(choice, op.name, choice.count(op.name, given))

    def passed(self, node: graph.Grad, came: Any, went: Any, direction: str) -> None:
        """Derivatives go by unseen: what they meet they met on the way forward."""

    def chosen(self, choice: Choice, where: Callable[[], Any]) -> None:
        """A function made of several ops has met its point where `where()` holds."""
        if not self.sweeping:
            self._add(choice, choice.name, int(np.count_nonzero(where())))

    def _add(self, choice: Choice, op: str, times: int) -> None:
        if times:
            key = (choice.name, op, user_line())
            self._counts[key] = self._counts.get(key, 0) + times
            self._choices[choice.name] = choice


@contextlib.contextmanager
def kinks() -> Iterator[Kinks]:
    """Within, what is met of the table of choices (docs/choices.md) is counted, for a report.

    Counted are values that are on a graph, in this thread: at such a point the derivative is the
    one of the table, one of several that it could be. See `set_subgradient`.

    >>> import gradarray as ga
    >>> with ga.kinks() as report:
    ...     slopes = ga.grad(lambda x: ga.relu(x).sum())(ga.array([-1.0, 0.0, 0.0, 2.0]))
    >>> report.times("relu")
    2
    >>> print(report)
    choice  op    at     taken  of      times  line
    relu    relu  x = 0  0      [0, 1]  2      ...
    """
    graph.refuse_recorded("kinks")
    report = Kinks()
    with graph.watching(report):
        yield report
