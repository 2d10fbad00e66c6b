"""Sides: a product of two matrices, each side one axis, and where its operands lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..loops import Buffer, Contract, Turn
from ..memory import View
from .points import copied

LINE = 16  # elements: the lines of what is packed begin where a register's worth does


class Side(NamedTuple):
    """A length, and the strides along it in A, B and C; 0 where an operand has no such side."""

    n: int
    a: int
    b: int
    c: int


@dataclass(frozen=True)
class Sides:
    """C[m, n] = sum over k of A[m, k] B[k, n]; the views say where A, B and C begin."""

    a: View
    b: View
    c: View
    rows: Side
    summed: Side
    columns: Side

    @property
    def work(self) -> int:
        return self.rows.n * self.summed.n * self.columns.n

    def turned(self) -> Sides:
        """The same as C^T = B^T A^T."""
        sides = (Side(s.n, s.b, s.a, s.c) for s in (self.columns, self.summed, self.rows))
        return Sides(self.b, self.a, self.c, *sides)

    def along_c(self) -> Sides:
        """With columns that lie side by side in C, if one of the sides there does."""
        return self.turned() if self.columns.c != 1 and self.rows.c == 1 else self

    def matrices(self) -> tuple[View, View, View]:
        """A, B and C as matrices."""
        m, k, n = self.rows, self.summed, self.columns
        return (
            replace(self.a, shape=(m.n, k.n), strides=(m.a, k.a)),
            replace(self.b, shape=(k.n, n.n), strides=(k.b, n.b)),
            replace(self.c, shape=(m.n, n.n), strides=(m.c, n.c)),
        )

    def with_packed_rows(self, items: list[Any]) -> Sides:
        """With B's rows each in one piece, copied by `items` where they do not lie so."""
        k, n = self.summed, self.columns
        if n.b == 1:
            return self
        b = packed(self.matrices()[1], items)
        return replace(self, b=b, summed=k._replace(b=b.strides[0]), columns=n._replace(b=1))

    def with_packed_sums(self, items: list[Any]) -> Sides:
        """With what is summed in one piece in A and in B, copied where it does not lie so."""
        m, k, n = self.rows, self.summed, self.columns
        a, b, _ = self.matrices()
        b = replace(b, shape=b.shape[::-1], strides=b.strides[::-1])
        a, b = (v if v.strides[1] == 1 else packed(v, items) for v in (a, b))
        rows, columns = m._replace(a=a.strides[0]), n._replace(b=b.strides[0])
        return Sides(a, b, self.c, rows, Side(k.n, 1, 1, 0), columns)

    def contract(self, lanes: str = "columns", add: bool = False, depth: int = 1) -> Contract:
        m, k, n = self.rows, self.summed, self.columns
        return Contract(
            self.c.start, self.a.start, self.b.start, m.n, k.n, n.n, (m.c, n.c), (m.a, k.a),
            (k.b, n.b), lanes, add, depth=depth,
        )  # fmt: skip


def packed(v: View, items: list[Any]) -> View:
    """A copy of a matrix in which each row is one piece; `items` get what makes it."""
    rows, columns = v.shape
    width = -(-columns // LINE) * LINE
    to = View(Buffer(rows * width, v.buffer.dtype), 0, v.shape, (width, 1))
    items += by_rows(v, to)
    return to


def by_rows(v: View, to: View) -> list[Any]:
    """to = v, a matrix; turned over if its columns lie in one piece."""
    if v.strides[0] != 1:
        return copied(v, to)
    rows, columns = v.shape
    return [Turn(to.start, v.start, columns, rows, to.strides[0], v.strides[1])]
