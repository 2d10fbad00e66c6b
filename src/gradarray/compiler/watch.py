"""Watch: what a run notes while it goes on, and that it must not be used for.

An index out of bounds, a matrix that is singular, a formula that does not hold: the code goes on
with some number and notes it in a few cells. They are looked at before any state is written, and
become an error, or a run op by op.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import message
from .expr import Expr, const, make
from .loops import Buffer

_INFO = np.iinfo(np.int64)


class OpByOp(ValueError):
    """Compiled code cannot do right with these values; the function itself can."""


@dataclass(eq=False)
class Watch:
    """Cells of int64 that hold `fresh` where all is well with an op."""

    cells: Buffer
    op: str

    fresh: ClassVar[tuple[int, ...]] = (0,)

    def wrong(self, *cells: Expr) -> Expr:
        """Is it not, as an expression of the cells?"""
        return make("ne", cells[0], const(0, np.int64))

    def error(self, *values: int) -> Exception | None:
        """The error of these values; None where all is well."""
        raise NotImplementedError


@dataclass(eq=False)
class Indices(Watch):
    """The least and the greatest index into a length."""

    count: int

    fresh: ClassVar[tuple[int, ...]] = (_INFO.max, _INFO.min)

    def wrong(self, *cells: Expr) -> Expr:
        least, greatest = cells
        below = make("lt", least, const(-self.count, np.int64))
        above = make("ge", greatest, const(self.count, np.int64))
        some = make("le", least, greatest)
        return make("or", below, make("and", above, some))

    def error(self, *values: int) -> Exception | None:
        (least, greatest), count = values, self.count
        if least >= -count and (greatest < count or least > greatest):
            return None
        index = greatest if greatest >= count else least
        return IndexError(
            message(
                self.op,
                f"index {index} is out of bounds for length {count}.",
                f"Indices are from {-count} to {count - 1}.",
            )
        )


class Failure(Watch):
    """Not 0 where an operation on a matrix failed, of which NumPy says LinAlgError."""

    def error(self, *values: int) -> Exception | None:
        if not values[0]:
            return None
        return np.linalg.LinAlgError(message(self.op, "it fails for a matrix."))


class Doubt(Watch):
    """Not 0 where what was computed is not to be trusted."""

    def error(self, *values: int) -> Exception | None:
        return OpByOp() if values[0] else None
