"""Each: a routine of LAPACK for every matrix of a stack, one after the other.

A routine works on matrices that lie column by column. Where results of a step may lie as they
like, it works in the result's own memory. What fails raises the alarm, or is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..expr import Expr, Unsupported, cast, const, has_code, make, select
from ..loops import Access, Alarm, Buffer, Stretch, Var, within
from ..lower import Lowering
from ..memory import View
from ..program import Step
from ..routines import letter, routine
from .points import copied, points

INT = np.dtype(np.int32)


class Each:
    """A step for every matrix of a stack: the statements of one turn, and the memory they need."""

    def __init__(self, low: Lowering, step: Step, core: int = 2) -> None:
        self.low, self.step, self.dtype = low, step, step.values[0].dtype
        for x in (*step.inputs, *step.values):
            if not has_code(x.dtype, "f"):
                raise Unsupported(f"LAPACK for {x.dtype}")
            if not x.size:
                raise Unsupported("matrices without elements")
        self.letter = letter(self.dtype)
        y = step.values[0]
        self.stack = y.shape[: y.ndim - core]
        self.vars = [Var(n) for n in self.stack]
        self.items: list[Any] = []
        self.before: list[Any] = []  # done once for all matrices
        self.leaving: list[tuple[View, View]] = []
        self.info = View(self._buffer(1, INT), 0, (), ())

    def _buffer(self, size: int, dtype: np.dtype) -> Buffer:
        return Buffer(size, dtype, turn=self.vars[-1] if self.vars else None)

    # Memory ---------------------------------------------------------------------------------------

    def operand(self, k: int, core: int = 2) -> View:
        """One matrix of an operand."""
        return self._part(self.low.memory(self.step.operands[k]), core)

    def _part(self, view: View, core: int) -> View:
        lead = len(view.shape) - core
        axes = zip(self.vars[len(self.vars) - lead :], view.shape[:lead], view.strides)
        moves = tuple((var, s) for var, n, s in axes if s and n > 1)
        outer = (*view.outer, *moves)
        return replace(view, shape=view.shape[lead:], strides=view.strides[lead:], outer=outer)

    def matrix(self, rows: int, columns: int) -> View:
        """Memory of a turn for a matrix that lies column by column."""
        return View(self._buffer(rows * columns, self.dtype), 0, (rows, columns), (1, rows))

    def vector(self, n: int, dtype: np.dtype | None = None) -> View:
        return View(self._buffer(n, dtype or self.dtype), 0, (n,), (1,))

    def result(self, k: int = 0, core: int = 2) -> View:
        """Where one matrix (`core` 2, column by column) or vector (1, 0) of a result is made."""
        y, low = self.step.values[k], self.low
        form = y.shape[y.ndim - core :]
        if core < 2 or low.next_axis is not None:
            whole = low.fresh(y.shape, y.dtype)
        else:
            whole = low.fresh((*y.shape[:-2], *form[::-1]), y.dtype)
            strides = (*whole.strides[:-2], 1, form[0])
            whole = replace(whole, shape=y.shape, strides=strides)
        low.views[y] = whole
        part = self._part(whole, core)
        if low.next_axis is None:
            return part
        inside = self.matrix(*form) if core == 2 else View(
            self._buffer(max(form, default=1), y.dtype), 0, form, (1,) * core
        )
        self.leaving.append((inside, part))
        return inside

    # Statements -----------------------------------------------------------------------------------

    def put(self, value: Callable[..., Expr], to: View, *sources: View) -> None:
        """to = value(*sources) at every place, cast to its dtype."""
        dtype = to.buffer.dtype
        self.items += points(sources, lambda *xs: cast(value(*xs), dtype), to)

    def copy(self, of: View, to: View) -> None:
        self.put(lambda x: x, to, of)

    def call(self, name: str, *arguments: Any, operations: float = 0.0) -> None:
        """Call a routine; views stand for all of what they show: (view, "r", "w" or "rw")."""
        given = [stretch(*x) if isinstance(x, tuple) else x for x in arguments]
        turn = self.vars[-1] if self.vars else None
        name = self.letter + name
        self.items.append(
            routine(name, *given, dtype=self.dtype, turn=turn, operations=operations)
        )

    @property
    def said(self) -> tuple[View, str]:
        """The argument in which a routine says whether it failed."""
        return self.info, "w"

    def judge(self, fill: float | None, *results: View) -> None:
        """What happens to the results where the routine failed."""
        if fill is None:
            alarm = self.low.shared.alarm(self.step.op.name)
            self.items.append(Alarm(alarm, Access(self.info.buffer)))
            return
        for view in results:
            filled_in = const(fill, view.buffer.dtype)
            self.put(lambda x, info, f=filled_in: select(failed(info), f, x), view, view,
                     self.info.broadcast(view.shape))  # fmt: skip

    def done(self) -> None:
        for source, part in self.leaving:
            self.items += copied(source, part)
        at = self.low.append([*self.before, *within(self.vars, self.items)])
        for y in self.step.values:
            self.low.define(y, self.low.views[y], at)


def stretch(view: View, how: str) -> Stretch:
    size = 1 + sum((n - 1) * s for n, s in zip(view.shape, view.strides))
    return Stretch(view.start, size, how)


def failed(info: Expr) -> Expr:
    """Does this say that a routine failed?"""
    return make("ne", info, const(0, INT))
