"""Digits of agreement between a derivative and the exact one, and what excuses a lost one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..numeric import ROUNDINGS
from .exact import DIGITS, ORDERS, mp

DTYPES: dict[str, Any] = {"float64": np.float64, "float32": np.float32}


def all_digits(dtype: Any) -> int:
    """As many as are ever shown: 15 of float64, 7 of float32."""
    return int(-math.log10(np.finfo(dtype).eps / 2))


@dataclass(frozen=True)
class Cell:
    """Digits of one mode and order, the worst of all arguments; `mark` says why there are few."""

    digits: int
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.digits}{self.mark}"

    @property
    def missed(self) -> bool:
        return self.mark == "!"

    def worse(self, other: Cell) -> Cell:
        """Fewest digits, gravest mark."""
        return Cell(min(self.digits, other.digits), max(self.mark, other.mark, key=_MARKS.index))


_MARKS = ("", "~", "!")


@dataclass
class Row:
    """A function on arguments of one kind, in one precision."""

    function: str
    kind: str
    dtype: str
    points: str = ""  # the arguments themselves, where they are few
    cells: dict[str, list[Cell]] = field(default_factory=dict)  # "value", and every mode

    @property
    def key(self) -> tuple[str, str, str]:
        return self.function, self.kind, self.dtype

    def all_cells(self) -> list[Cell]:
        return [c for cells in self.cells.values() for c in cells]

    def of_order(self, order: int) -> list[Cell]:
        if order == 0:
            return self.cells["value"]
        modes = [cells for mode, cells in self.cells.items() if mode != "value"]
        return [cells[order - 1 - ORDERS] for cells in modes if len(cells) > ORDERS - order]

    def missed(self) -> bool:
        return any(c.missed for c in self.all_cells())

    def text(self, column: str) -> str:
        return " ".join(map(str, self.cells[column]))

    def meet(self, column: str, cells: list[Cell]) -> None:
        """Keep the worst of what the row has and what comes."""
        if column in self.cells:
            cells = [a.worse(b) for a, b in zip(self.cells[column], cells, strict=True)]
        self.cells[column] = cells


def compare(
    got: Any,
    exact: Sequence[Any],
    scales: Sequence[Any],
    dtype: Any,
    rough: Callable[[], Sequence[Any]],
) -> Cell:
    """The worst agreement of several numbers with exact ones, relative to `scales`.

    An error is a miss (`!`) above 64 eps of the scale, unless it is below 64 eps of `rough()`, how
    large what is added up may be (`~`). Below the smallest normal number digits are not expected,
    above the largest infinity is.
    """
    info = np.finfo(dtype)
    worst = Cell(all_digits(dtype))
    with mp.workdps(DIGITS):
        for k, (y, z, scale) in enumerate(zip(np.ravel(got), exact, scales, strict=True)):
            error = _error(float(y), z, info)
            mark = ""
            if error > ROUNDINGS * info.eps * abs(scale):
                mark = "~" if error <= ROUNDINGS * info.eps * (abs(scale) + rough()[k]) else "!"
            worst = worst.worse(Cell(_digits(error, abs(scale), dtype), mark))
    return worst


def _error(y: float, z: Any, info: Any) -> Any:
    """|y - z|; 0 for what is right beyond the range of the dtype, infinity for what is wrong."""
    if mp.isnan(z):
        return mp.mpf(0) if math.isnan(y) else mp.inf
    if abs(z) > info.max:
        return mp.mpf(0) if math.isinf(y) and (y > 0) == (z > 0) else mp.inf
    if not math.isfinite(y):
        return mp.inf
    # Underflow of a step on the way costs up to a few of the smallest numbers.
    error = abs(mp.mpf(y) - z)
    return mp.mpf(0) if error <= info.tiny else error


def _digits(error: Any, scale: Any, dtype: Any) -> int:
    """Of a relative error; of an absolute one where 0 is exact."""
    if error == 0:
        return all_digits(dtype)
    if not mp.isfinite(error):
        return 0
    return max(0, min(all_digits(dtype), int(mp.floor(-mp.log10(error / (scale or 1))))))


__all__ = ["DTYPES", "ORDERS", "Cell", "Row", "all_digits", "compare"]
