"""Blocks: what kernels have in common that go through matrices block by block, in registers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .ir import Module, Writer, element, mask, suffix, vector


class BlockWriter:
    """A kernel on elements of one dtype, in vectors as wide as a register."""

    def __init__(self, module: Module, dtype: np.dtype) -> None:
        self.target, self.dtype = module.target, dtype
        self.width, self.kind = self.target.lanes(dtype.itemsize), element(dtype)
        self.wide = vector(self.kind, self.width)
        self.w = Writer(module.declared)
        self.w.label("entry")

    def _blocks(self, total: int, step: int) -> list[tuple[str, int, int, int]]:
        """(kind, start, stop, size) of whole blocks in a loop, and of the rest."""
        whole = total // step * step
        out = []
        if whole:
            out.append(("loop", 0, whole, step))
        if whole < total:
            out.append(("rest", whole, total, total - whole))
        return out

    def _each(self, total: int, step: int, body: Any) -> None:
        """body(start, size) over blocks; start is text."""
        for kind, start, stop, size in self._blocks(total, step):
            if kind == "loop" and stop > step:
                with self.w.loop(stop, step) as i:
                    body(i, size)
            else:
                body(str(start), size)

    def _at(self, base: str, *terms: tuple[str | int, int]) -> str:
        """base + sum of index * stride; whole numbers are added up."""
        w, at, fixed = self.w, base, 0
        for index, stride in terms:
            text = str(index)
            if text.isdigit():
                fixed += int(text) * stride
            elif stride:
                far = text if stride == 1 else w.let(f"mul nsw i64 {text}, {stride}")
                at = w.let(f"getelementptr {self.kind}, ptr {at}, i64 {far}")
        return w.let(f"getelementptr {self.kind}, ptr {at}, i64 {fixed}") if fixed else at

    def _mask(self, count: int) -> str:
        return mask(count, self.width)

    def _load(self, at: str, mask: str = "") -> str:
        return self.w.load(self.dtype, at, self.width, mask)

    def _store(self, x: str, at: str, mask: str = "") -> None:
        self.w.store(self.dtype, x, at, self.width, mask)

    def _spread(self, at: str) -> str:
        return self.w.spread(self.kind, self.w.load(self.dtype, at, 1), self.width)

    def _fma(self, a: str, b: str, c: str) -> str:
        name = f"llvm.fma.v{self.width}{suffix(self.dtype, 1)}"
        return self.w.call(self.wide, name, [(self.wide, a), (self.wide, b), (self.wide, c)])

    def _shuffled(self, a: str, b: str, order: list[int]) -> str:
        return self.w.shuffle(self.kind, a, b, self.width, order)
