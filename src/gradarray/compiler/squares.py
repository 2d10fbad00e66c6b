"""Matrices turned over, in squares as wide as a register."""

from __future__ import annotations

import numpy as np

from .block import BlockWriter
from .ir import Module, suffix
from .loops import Turn


class TurnWriter(BlockWriter):
    """A matrix turned over, in squares as wide as a register; a kernel of (of, to)."""

    def __init__(self, module: Module, s: Turn) -> None:
        super().__init__(module, s.to.buffer.dtype)
        self.m, self.t = module, s
        self._each(
            s.rows, self.width,
            lambda i, rows: self._each(
                s.columns, self.width, lambda j, columns: self._square(i, j, rows, columns)
            ),
        )  # fmt: skip
        self.text = self.w.kernel("ptr noalias %of, ptr noalias %to")

    def _square(self, i: str, j: str, rows: int, columns: int) -> None:
        t = self.t
        of = self._at("%of", (i, t.of_stride), (j, 1))
        to = self._at("%to", (j, t.to_stride), (i, 1))
        name = self.m.kernel(SquareWriter(self.m, self.dtype, rows, columns).text, "square")
        self.w.put(f"call void @{name}(ptr {of}, ptr {to}, i64 {t.of_stride}, i64 {t.to_stride})")


class SquareWriter(BlockWriter):
    """A square turned over in registers; a kernel of (of, to, of_stride, to_stride) for all."""

    def __init__(self, module: Module, dtype: np.dtype, rows: int, columns: int) -> None:
        super().__init__(module, dtype)
        w, n = self.w, self.width
        x, at = ["zeroinitializer"] * n, "%of"
        for r in range(rows):
            at = self._further(at, "%from") if r else at
            x[r] = self._load(at, self._mask(columns))
        s = n // 2
        while s:
            for p in range(n):
                if p & s:
                    continue
                q = p | s
                low = [lane if not lane & s else n + lane - s for lane in range(n)]
                high = [lane + s if not lane & s else n + lane for lane in range(n)]
                x[p], x[q] = (self._picked(x[p], x[q], order, s > 1) for order in (low, high))
            s //= 2
        at = "%to"
        for c in range(columns):
            at = self._further(at, "%by") if c else at
            self._store(x[c], at, self._mask(rows))
        self.text = w.kernel("ptr noalias %of, ptr noalias %to, i64 %from, i64 %by")

    def _further(self, at: str, stride: str) -> str:
        return self.w.let(f"getelementptr {self.kind}, ptr {at}, i64 {stride}")

    def _picked(self, a: str, b: str, order: list[int], again: bool) -> str:
        """Lanes of two vectors. LLVM spends milliseconds to join shuffles of shuffles, in vain;
        where more follow a fence, which is no instruction, keeps it from that."""
        y = self._shuffled(a, b, order)
        if not again or self.dtype.kind != "f":
            return y
        name = f"llvm.arithmetic.fence.{suffix(self.dtype, self.width)}"
        return self.w.call(self.wide, name, [(self.wide, y)])
