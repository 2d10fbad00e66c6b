"""Simplify: a program rewritten, step by step, into one that does the same with less.

Each row of the table is a pattern, its replacement, and why. Rows never change a value by more
than the rounding of another order of the same operations, and most do not change it at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..ops.arithmetic import MultiplyGrad, NegativeGrad
from ..ops.complex import ConjGrad, RealGrad
from ..ops.control import AliasGrad
from ..ops.create import CopyGrad
from ..ops.reduce import SumGrad
from ..ops.shape import AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract, shape_of
from .program import Program, Step
from .trace import infer

FOLDED = 4096  # elements of a result that is computed while compiling

Row = Callable[["Rewriter", Step], Any]  # gives what stands for the result, or None
ROWS: dict[Any, list[Row]] = {}


def row(*ops: Any) -> Callable[[Row], Row]:
    """A row for these ops; for Elementwise, it holds for each of them."""

    def declare(fn: Row) -> Row:
        for op in ops:
            ROWS.setdefault(op, []).append(fn)
        return fn

    return declare


def simplified(program: Program) -> Program:
    return Rewriter(program).result()


class Rewriter:
    """One pass from the first step to the last; `now` says what stands for a value."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now: dict[Abstract, Any] = {}
        self.steps: list[Step] = []
        self.makers: dict[Abstract, Step] = {}
        self.constants: dict[Abstract, Any] = {}
        self.known: dict[Any, tuple[Any, ...]] = {}  # steps that were made, for equal ones
        self.line = ""
        for v, data in program.constants.items():
            self.now[v] = self._uniform(v, np.asarray(data))
        for step in program.steps:
            self._step(step)

    def result(self) -> Program:
        p = self.program
        outputs = [self.now.get(y, y) if type(y) is Abstract else y for y in p.outputs]
        new = Program(p.inputs, self.steps, outputs, self.constants, p.states)
        return new.without_dead_steps()

    def _step(self, step: Step) -> None:
        operands = tuple(
            [self.now.get(x, x) if type(x) is Abstract else x for x in step.operands]
        )
        self.line = step.line
        new = Step(step.op, operands, step.params, step.line)
        new.several, new.values = step.several, step.values
        found = self._rewritten(new)
        if found is not None:
            self.now[step.values[0]] = found
            return
        key = _key(new)
        if key is not None:
            known = self.known.get(key)
            if known is not None:
                self.now.update(zip(step.values, known))
                return
            self.known[key] = new.values
        self._append(new)

    def _append(self, step: Step) -> None:
        self.steps.append(step)
        self.makers.update(dict.fromkeys(step.values, step))

    def _rewritten(self, step: Step) -> Any:
        if step.several:
            return None
        found = self._folded(step)
        if found is not None:
            return found
        rows = ROWS.get(step.op, [])
        if issubclass(step.op, Elementwise):
            rows = rows + ROWS.get(Elementwise, [])
        for fn in rows:
            found = fn(self, step)
            if found is not None:
                return found
        return None

    def there(self, op: Any, *operands: Any, **params: Any) -> Abstract | None:
        """The result of a step that has been taken already."""
        known = self.known.get(_key(Step(op, operands, params, self.line)))
        return None if known is None else known[0]

    def emit(self, op: Any, *operands: Any, form: Any = None, **params: Any) -> Abstract:
        """A further step, simplified in its turn; its result. `form`: shape and dtype, if known."""
        shape, dtype = form or infer(op, operands, params)
        value = Abstract(self.program.trace, shape, dtype)
        step = Step(op, operands, params, self.line)
        step.values = (value,)
        found = self._rewritten(step)
        if found is not None:
            return found
        key = _key(step)
        known = self.known.get(key) if key is not None else None
        if known is not None:
            return known[0]
        if key is not None:
            self.known[key] = step.values
        self._append(step)
        return value

    def constant(self, data: Any) -> Abstract:
        data = np.asarray(data)
        value = Abstract(self.program.trace, data.shape, data.dtype)
        self.constants[value] = data
        return value

    def made_by(self, x: Any, op: Any) -> Step | None:
        """The step that makes x, if it is one of this op."""
        step = self.makers.get(x) if type(x) is Abstract else None
        return step if step is not None and step.op is op else None

    def _uniform(self, v: Abstract, data: np.ndarray) -> Abstract:
        """A constant whose values repeat along an axis is broadcast along it."""
        slim = data
        for axis, n in enumerate(data.shape):
            if n > 1:
                first = slim[(slice(None),) * axis + (slice(0, 1),)]
                if (slim == first).all():
                    slim = first
        if slim.shape == data.shape:
            self.constants[v] = data
            return v
        slim = np.ascontiguousarray(slim)
        return self.emit(BroadcastToGrad, self.constant(slim), shape=data.shape)

    def _folded(self, step: Step) -> Any:
        """A small result of constants alone is computed now."""
        xs = [
            x if type(x) is not Abstract else self.constants.get(x, None) for x in step.operands
        ]
        if not step.inputs or any(x is None for x in xs) or step.values[0].size > FOLDED:
            return None
        if not issubclass(step.op, (Elementwise, *_MOVING)):
            return None
        with np.errstate(all="ignore"):
            y = step.op.forward(*[x[()] if isinstance(x, np.ndarray) else x for x in xs],
                                **step.params)  # fmt: skip
        return self.constant(np.asarray(y))


def _key(step: Step) -> Any:
    """Equal keys, equal results; None where that cannot be said."""
    parts: list[Any] = [step.op]
    for x in step.operands:
        if type(x) is Abstract:
            parts.append(x)
        elif isinstance(x, (np.generic, np.ndarray)):
            parts.append((x.dtype, x.tobytes()))
        else:
            parts.append((type(x), repr(x)))
    try:
        key = (*parts, tuple(sorted(step.params.items())))
        hash(key)
    except TypeError:
        return None
    return key


_MOVING = (AsTypeGrad, TransposeGrad, ExpandDimsGrad, ReshapeGrad, AliasGrad, CopyGrad)


# Rows ---------------------------------------------------------------------------------------------


@row(AliasGrad, CopyGrad)
def _same(r: Rewriter, step: Step) -> Any:
    """x -> x: a program has no other names for a value, and copies nothing."""
    return step.operands[0]


@row(RealGrad, ConjGrad)
def _of_real(r: Rewriter, step: Step) -> Any:
    """real(x) -> x, conj(x) -> x for a real x."""
    x = step.operands[0]
    return x if type(x) is Abstract and x.dtype.kind != "c" else None


@row(AsTypeGrad)
def _as_it_is(r: Rewriter, step: Step) -> Any:
    """x.astype(its dtype) -> x."""
    x = step.operands[0]
    return x if type(x) is Abstract and x.dtype == step.values[0].dtype and not x.weak else None


@row(ReshapeGrad, BroadcastToGrad)
def _same_shape(r: Rewriter, step: Step) -> Any:
    """x in the shape that it has -> x."""
    x = step.operands[0]
    return x if type(x) is Abstract and x.shape == step.values[0].shape else None


@row(ReshapeGrad)
def _sum_without_axes(r: Rewriter, step: Step) -> Any:
    """A sum that keeps its axes, and then loses them -> a sum that does not keep them."""
    before = r.made_by(step.operands[0], SumGrad)
    if before is None or not before.params["keepdims"]:
        return None
    x, axes = before.operands[0], before.params["axis"]
    full = shape_of(x)
    gone = {a % len(full) for a in axes}
    shape = tuple([n for a, n in enumerate(full) if a not in gone])
    if shape != step.values[0].shape:
        return None
    return r.emit(SumGrad, x, **{**before.params, "keepdims": False})


@row(TransposeGrad)
def _turned_twice(r: Rewriter, step: Step) -> Any:
    """(x^T)^T -> x, and two permutations of axes are one."""
    x = step.operands[0]
    before = r.made_by(x, TransposeGrad)
    n = step.values[0].ndim
    order = [a % n for a in step.params["axes"]]
    if before is not None:
        inner = [a % n for a in before.params["axes"]]
        joined = [inner[a] for a in order]
        if joined == list(range(n)):
            return before.operands[0]
        return r.emit(TransposeGrad, before.operands[0], axes=tuple(a - n for a in joined))
    return x if order == list(range(n)) else None


@row(MultiplyGrad)
def _times_one(r: Rewriter, step: Step) -> Any:
    """1 x -> x, -1 x -> -x."""
    for number, x in (step.operands, step.operands[::-1]):
        if type(x) is not Abstract or x.dtype != step.values[0].dtype or x.weak:
            continue
        if type(number) is Abstract:
            number = r.constants.get(number)
            if number is None or number.size != 1:
                continue
        if np.shape(number) and np.broadcast_shapes(np.shape(number), x.shape) != x.shape:
            continue
        value = complex(np.ravel(number)[0])
        if value == 1:
            return x
        if value == -1 and x.dtype.kind in "fc":
            return r.emit(NegativeGrad, x)
    return None
