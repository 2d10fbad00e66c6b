"""Check: compiled code against the same program carried out op by op.

How far two ways of computing the same may lie apart follows from rounding, and rounding from the
program: it is carried out a few times more with every operand moved at random by a few units in
its last place, and what that does to a result is what rounding can do to it (stochastic
arithmetic; D. S. Parker, "Monte Carlo arithmetic", UCLA CSD-970002, 1997). A difference beyond it
is an error. Then the values between are looked at, one after another, and the first that differs is
named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import message
from .abstract import Abstract
from .native import Native
from .program import Program, form, interpret

RUNS = 3  # with rounding at random
ULPS = 8.0  # by which each operand moves: vector functions are within 2, sums are reordered
FACTOR = 16.0  # how much further than in any of the runs a difference may go


class CheckError(ArithmeticError):
    """Compiled code gave something else than the operations one by one."""


class Checked:
    """A native program that is also carried out op by op, and compared."""

    def __init__(self, program: Program, suspects: int = 0) -> None:
        self.program, self._suspects = program, suspects
        self._run = Native(program)
        self._plain = interpret(program)

    def __call__(self, inputs: Iterable[Any]) -> list[Any] | None:
        """As of a Native: None where there is a NaN among the suspects."""
        inputs = list(inputs)
        expected = [np.copy(y) for y in self._plain(inputs)]
        found = self._run(inputs) or []
        shaken = [interpret(self.program, _shaken(seed))(inputs) for seed in range(RUNS)]
        for k, (y, wanted) in enumerate(zip(found, expected, strict=True)):
            if not agree(y, wanted, [run[k] for run in shaken]):
                raise CheckError(self._told(inputs, k, y, wanted))
        suspects = found[len(found) - self._suspects :]
        return None if any(np.isnan(y).any() for y in suspects) else found

    def whole(self) -> Native:
        """The native program itself, with what it is shown and exported from."""
        return self._run.whole()

    def _told(self, inputs: list[Any], k: int, y: Any, wanted: Any) -> str:
        step = self._first(inputs, self.program.outputs[k])
        worst = _worst(y, wanted)
        if step is None:
            return message(
                "compile",
                f"check: result {k} differs, by {worst}, and no operation alone.",
                "The compiler is at fault: please report it with step.show('graph').",
            )
        line = f", at {step.line}" if step.line else ""
        results = ", ".join(map(form, step.values))
        operands = ", ".join(form(x) if type(x) is Abstract else repr(x) for x in step.operands)
        return message(
            "compile",
            f"check: {step.op.name}({operands}) -> {results}{line} is the first "
            f"operation that differs from NumPy's; result {k} differs by {worst}.",
            "The compiler is at fault: please report it with step.show('graph').",
        )

    def _first(self, inputs: list[Any], output: Any) -> Any:
        """The first step whose values differ where the program ends with it, or with all."""
        needed = self._up_to([output])
        values = [v for step in needed.steps for v in step.values]
        at_once = Program(needed.inputs, needed.steps, values, needed.constants, needed.states)
        wanted = dict(zip(values, interpret(at_once)(inputs), strict=True))
        runs = [interpret(at_once, _shaken(seed))(inputs) for seed in range(RUNS)]
        shaken = dict(zip(values, zip(*runs, strict=True), strict=True))
        found = dict(zip(values, Native(at_once)(inputs) or [], strict=True))

        def wrong(step: Any, got: dict[Any, Any]) -> bool:
            return not all(agree(got[v], wanted[v], shaken[v]) for v in step.values)

        for step in needed.steps:
            if wrong(step, found):
                return step
        for step in needed.steps:  # each alone: with all results asked for, other code is made
            alone = self._up_to(step.values)
            if wrong(step, dict(zip(step.values, Native(alone)(inputs) or [], strict=True))):
                return step
        return None

    def _up_to(self, outputs: Iterable[Any]) -> Program:
        p = self.program
        return Program(p.inputs, p.steps, list(outputs), p.constants, p.states).without_dead_steps()


def agree(y: Any, wanted: Any, shaken: Any) -> bool:
    """Is y what rounding can make of `wanted`?"""
    y, wanted = np.asarray(y), np.asarray(wanted)
    if y.shape != wanted.shape or y.dtype != wanted.dtype:
        return False
    runs = np.stack([np.asarray(x) for x in shaken]) if y.size else np.empty((0, *y.shape))
    if y.dtype.kind not in "fc":
        return bool(np.all((y == wanted) | np.any(runs != wanted, axis=0)))
    with np.errstate(all="ignore"):
        moved = np.abs(runs - wanted).max(0, initial=0.0)
        steady = np.isfinite(moved)
        finite = moved[steady]
        spread = float(np.sqrt(np.mean(finite.astype(float) ** 2))) if finite.size else 0.0
        eps = np.finfo(y.dtype).eps
        bound = FACTOR * (np.maximum(moved, spread) + ULPS * eps * np.abs(wanted))
        same = (y == wanted) | (np.isnan(y) & np.isnan(wanted))
        return bool(np.all(same | (np.abs(y - wanted) <= bound) | ~steady))


def _worst(y: Any, wanted: Any) -> str:
    y, wanted = np.asarray(y), np.asarray(wanted)
    if y.shape != wanted.shape or not y.size:
        return f"form, {y.dtype}{list(y.shape)} for {wanted.dtype}{list(wanted.shape)}"
    with np.errstate(all="ignore"):
        gap = np.where(y == wanted, 0.0, np.abs(y.astype(complex) - wanted.astype(complex)))
    at = np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), y.shape)
    return f"{gap[at]:.3g} at {[int(k) for k in at]}: {y[at]!s} for {wanted[at]!s}"


def _shaken(seed: int) -> Any:
    """Moves the floating numbers among operands by a few units in the last place, at random."""
    rng = np.random.default_rng(seed)

    def move(x: Any) -> Any:
        dtype = getattr(x, "dtype", None)
        if dtype is None or dtype.kind not in "fc":
            return x
        noise = ULPS * np.finfo(dtype).eps * rng.uniform(-1, 1, np.shape(x))
        return (x * (1 + noise)).astype(dtype)[()]

    return move
