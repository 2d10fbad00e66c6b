"""Program: the steps of a recorded function, in order, from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..graph import Grad
from .abstract import Abstract


class Step:
    """One application of an op: its operands are values of the program, or constants."""

    __slots__ = ("line", "op", "operands", "params", "several", "values")

    def __init__(
        self, op: type[Grad], operands: tuple[Any, ...], params: dict[str, Any], line: str
    ) -> None:
        self.op, self.operands, self.params, self.line = op, operands, params, line
        self.values: tuple[Abstract, ...] = ()
        self.several = False

    @property
    def inputs(self) -> list[Abstract]:
        return [x for x in self.operands if type(x) is Abstract]

    def programs(self) -> list[tuple[str, Program]]:
        """What stands inside a loop or a branch, by name."""
        found = []
        for name, x in self.params.items():
            parts = x if isinstance(x, tuple) else (x,)
            found += [(name, part) for part in parts if isinstance(part, Program)]
        return found

    def __repr__(self) -> str:
        return f"<{self.op.name} -> {', '.join(str(v.number) for v in self.values)}>"


@dataclass
class Program:
    """A straight list of steps, with constants captured on the way."""

    inputs: list[Abstract]
    steps: list[Step]
    outputs: list[Any]  # values, or constants
    constants: dict[Abstract, Any] = field(default_factory=dict)
    states: set[Abstract] = field(default_factory=set)  # inputs that are no data: parameters, slots

    @property
    def trace(self) -> Any:
        """Where its values come from; a further one is made there."""
        for v in (*self.inputs, *self.constants):
            return v.trace
        return self.steps[0].values[0].trace

    def readers(self) -> dict[Abstract, int]:
        """How often each value is read, by steps and as an output."""
        found: dict[Abstract, int] = {}
        for x in (*(x for step in self.steps for x in step.operands), *self.outputs):
            if type(x) is Abstract:
                found[x] = found.get(x, 0) + 1
        return found

    def without_dead_steps(self) -> Program:
        """The steps that an output needs."""
        needed = {y for y in self.outputs if type(y) is Abstract}
        kept = []
        for step in reversed(self.steps):
            if any(value in needed for value in step.values):
                kept.append(step)
                needed.update(step.inputs)
        constants = {v: c for v, c in self.constants.items() if v in needed}
        return Program(self.inputs, kept[::-1], self.outputs, constants, self.states)

    def show(self) -> str:
        """The graph as text: a line for each input, constant, step and output."""
        names = Names()
        lines = [f"{names(v)} = input {form(v)}" for v in self.inputs]
        lines += [f"{names(v)} = constant {form(v)}" for v in self.constants]
        for step in self.steps:
            left = ", ".join(f"{names(v)}" for v in step.values)
            args = [names(x) for x in step.operands]
            args += [f"{k}={_short(v)}" for k, v in step.params.items()]
            forms = ", ".join(map(form, step.values))
            lines.append(f"{left} = {step.op.name}({', '.join(args)})  {forms}")
            for name, inside in step.programs():
                lines += [f"    {name}:", *(f"    {line}" for line in inside.show().split("\n"))]
        lines.append(f"return {', '.join(names(y) for y in self.outputs)}")
        return "\n".join(lines)


class Names:
    """Values by their place in the program, whatever else was recorded."""

    def __init__(self) -> None:
        self._known: dict[Abstract, str] = {}

    def __call__(self, x: Any) -> str:
        if type(x) is not Abstract:
            return _short(x)
        if x not in self._known:
            self._known[x] = f"%{len(self._known)}"
        return self._known[x]


def form(v: Abstract) -> str:
    return f"{v.dtype}[{', '.join(map(str, v.shape))}]"


def _short(x: Any) -> str:
    if isinstance(x, Program):
        return f"<{len(x.steps)} steps>"
    if isinstance(x, tuple):
        return f"({', '.join(map(_short, x))})"
    if isinstance(x, np.ndarray) and x.size > 4:
        return f"<{x.dtype}[{', '.join(map(str, x.shape))}]>"
    if isinstance(x, np.ndarray):
        return str(x.tolist())
    text = repr(x.item()) if isinstance(x, np.generic) else repr(x)
    return text if len(text) < 60 else text[:57] + "..."


def interpret(
    program: Program, moved: Callable[[Any], Any] | None = None
) -> Callable[[Iterable[Any]], list[Any]]:
    """The program as a function of its inputs' values, each op carried out as it is eagerly.

    The compiled code is compared with it, and it stands in where something cannot be compiled.
    `moved` is applied to the operands first.
    """
    place: dict[Abstract, int] = {}

    def slot(v: Abstract) -> int:
        return place.setdefault(v, len(place))

    for v in (*program.inputs, *program.constants):
        slot(v)
    start = [None] * len(program.inputs) + list(program.constants.values())
    last: dict[Abstract, int] = {}
    for k, step in enumerate(program.steps):
        for x in step.inputs:
            last[x] = k
    kept = {y for y in program.outputs if type(y) is Abstract}
    lines: list[tuple[Any, ...]] = []
    for k, step in enumerate(program.steps):
        values = [(True, slot(x)) if type(x) is Abstract else (False, x) for x in step.operands]
        targets = [slot(v) for v in step.values]
        dead = [slot(x) for x in set(step.inputs) if last[x] == k and x not in kept]
        lines.append((step.op.forward, values, step.params, targets, step.several, dead))
    size = len(place)
    ends = [(True, slot(y)) if type(y) is Abstract else (False, y) for y in program.outputs]

    def run(inputs: Iterable[Any]) -> list[Any]:
        memory: list[Any] = [*start, *[None] * (size - len(start))]
        memory[: len(program.inputs)] = inputs
        with np.errstate(all="ignore"):
            for forward, operands, params, targets, several, dead in lines:
                given = [memory[x] if known else x for known, x in operands]
                y = forward(*(given if moved is None else map(moved, given)), **params)
                if several:
                    for at, part in zip(targets, y, strict=True):
                        memory[at] = part
                else:
                    memory[targets[0]] = y
                for at in dead:
                    memory[at] = None
        return [memory[y] if known else y for known, y in ends]

    return run
