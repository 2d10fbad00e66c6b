"""Watch: what a run notes while it goes on, and that it must not be used for.

An index out of bounds, a matrix that is singular, a formula that does not hold: the code goes on
with some number and notes it in a few cells. They are looked at before any state is written, and
become an error, or a run op by op.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import message
from .expr import Expr, const, make
from .loops import Buffer

_INFO = np.iinfo(np.int64)


@dataclass(eq=False)
class Watch:
    """Cells of int64 that hold `fresh` where all is well.

    `wrong`: is it not, as an expression of them; `error`: of their values, None where it is. `of`:
    the function that made it, and what of, by which it is kept on disk.
    """

    cells: Buffer
    fresh: tuple[int, ...]
    wrong: Callable[..., Expr]
    error: Callable[..., Exception | None]
    of: tuple[Callable[..., Watch], tuple[Any, ...]]

    def __reduce__(self) -> Any:
        return self.of


def indices(cells: Buffer, count: int, op: str) -> Watch:
    """The least and the greatest index into a length."""

    def wrong(least: Expr, greatest: Expr) -> Expr:
        below = make("lt", least, const(-count, np.int64))
        above = make("ge", greatest, const(count, np.int64))
        some = make("le", least, greatest)
        return make("or", below, make("and", above, some))

    def error(least: int, greatest: int) -> Exception | None:
        if least >= -count and (greatest < count or least > greatest):
            return None
        index = greatest if greatest >= count else least
        return IndexError(
            message(
                op,
                f"index {index} is out of bounds for length {count}.",
                f"Indices are from {-count} to {count - 1}.",
            )
        )

    return Watch(cells, (_INFO.max, _INFO.min), wrong, error, (indices, (cells, count, op)))


class OpByOp(ValueError):
    """Compiled code cannot do right with these values; the function itself can."""


def doubt(cells: Buffer) -> Watch:
    """Not 0 where what was computed is not to be trusted."""
    error = lambda found: OpByOp() if found else None
    return Watch(cells, (0,), _is_set, error, (doubt, (cells,)))


def _is_set(cell: Expr) -> Expr:
    return make("ne", cell, const(0, np.int64))


def failure(cells: Buffer, op: str) -> Watch:
    """Not 0 where an operation on a matrix failed, of which NumPy says LinAlgError."""

    def error(failed: int) -> Exception | None:
        if not failed:
            return None
        return np.linalg.LinAlgError(message(op, "it fails for a matrix."))

    return Watch(cells, (0,), _is_set, error, (failure, (cells, op)))
