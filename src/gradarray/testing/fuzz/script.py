"""Script: a case of the fuzzer, as a Python program of a few lines that anybody can run."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...array import GradArray, wrap
from ...registry import Sample, functions
from ..draw import calls_of, drawn


def given(
    kind: str, shape: Sequence[int], seed: int, low: float = -2.0, high: float = 2.0,
    dtype: str = "float64", layout: str = "C",
) -> GradArray:  # fmt: skip
    """An array drawn as its kind says, the same for the same seed, with this layout in memory."""
    x = np.asarray(drawn(Sample(tuple(shape), low, high, kind), np.random.default_rng(seed)))
    return wrap(_laid_out(x.astype(dtype), layout)[()])


def _laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    if not x.ndim or layout == "C":
        return x
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "backward":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)  # every second place
    wide[..., 1::2] = x
    return wide[..., 1::2]


LAYOUTS = ("C", "C", "C", "F", "backward", "strided")


def call(name: str, number: int) -> Callable[..., Any]:
    """A declared call of a function, as a function of its arrays."""
    one = calls_of(functions[name])[number]
    return lambda *arrays: one.run(one.entry.fn, arrays)


IMPORTS = "import gradarray as ga\nfrom gradarray.testing.fuzz import call, given\n"


@functools.cache
def namespace() -> dict[str, Any]:
    """The names that every script knows."""
    scope: dict[str, Any] = {}
    exec(IMPORTS, scope)
    return scope


@dataclass(frozen=True)
class Given:
    """An array that the case starts from. `batch`: the axis that vmap takes, None for none."""

    name: str
    kind: str
    shape: tuple[int, ...]
    seed: int
    low: float = -2.0
    high: float = 2.0
    dtype: str = "float64"
    layout: str = "C"
    batch: int | None = None

    @property
    def moving(self) -> bool:
        """Can one differentiate in it?"""
        return self.kind in ("float", "distinct", "regular", "spd")

    def text(self) -> str:
        more = ""
        if (self.low, self.high) != (-2.0, 2.0):
            more += f", low={self.low}, high={self.high}"
        if self.dtype != "float64":
            more += f", dtype={self.dtype!r}"
        if self.layout != "C":
            more += f", layout={self.layout!r}"
        return f"{self.name} = given({self.kind!r}, {self.shape}, {self.seed}{more})"

    def value(self) -> GradArray:
        return given(
            self.kind, self.shape, self.seed, self.low, self.high, self.dtype, self.layout
        )


@dataclass(frozen=True)
class Line:
    """One statement of the function: `name = text`, in terms of other names."""

    name: str
    text: str

    @property
    def uses(self) -> set[str]:
        return set(re.findall(r"\b[gv]\d+\b", self.text))


@dataclass(frozen=True)
class Case:
    """Arrays, the lines of a function of them, what is made of it, and how it is compiled."""

    givens: tuple[Given, ...]
    lines: tuple[Line, ...]
    results: tuple[str, ...]
    transform: str = "value"
    loss: str = "ga.sum(y)"
    eager: tuple[str, ...] = ()  # of KNOBS: what is done also where it is not worth it
    off: str = ""  # the pass that the second compiled version is without
    careful: bool = True  # does LLVM take its time? Else each compile takes a third of it
    tangents: tuple[Given, ...] = field(default=())

    def pruned(self) -> Case:
        """Without what no result needs."""
        needed = set(self.results)
        lines = []
        for line in reversed(self.lines):
            if line.name in needed:
                lines.append(line)
                needed |= line.uses
        givens = tuple(g for g in self.givens if g.name in needed)
        return replace(self, givens=givens, lines=tuple(lines[::-1]))

    # Text -----------------------------------------------------------------------------------------

    def body(self) -> str:
        """The givens, the function, and `run(wrap)`, which calls wrap(what is to be compiled)."""
        args = ", ".join(g.name for g in self.givens)
        moving = [g for g in self.givens if g.moving]
        along = [replace(g, name=f"t{k}", seed=g.seed + 1000, kind="float", low=-1.0, high=1.0)
                 for k, g in enumerate(moving)]  # fmt: skip
        text = "\n".join(g.text() for g in self.givens) + "\n\n\n"
        text += f"def f({args}):\n"
        text += "".join(f"    {line.name} = {line.text}\n" for line in self.lines)
        text += f"    return [{', '.join(self.results)}]\n\n\n"
        if "loss" in TRANSFORMS[self.transform]:
            text += f"def loss({args}):\n    return sum([{self.loss} for y in f({args})])\n\n\n"
        names = ", ".join(g.name for g in moving)
        axes = ", ".join("None" if g.batch is None else str(g.batch) for g in self.givens)
        made = TRANSFORMS[self.transform].format(
            args=args, moving=names, axes=f"({axes},)",
            numbers=tuple(k for k, g in enumerate(self.givens) if g.moving),
            first=tuple(range(len(moving))), tangents=", ".join(g.name for g in along),
        )  # fmt: skip
        if along and "t0" in made:
            text += "\n".join(g.text() for g in along) + "\n\n\n"
        return text + made

    def text(self) -> str:
        """The whole script: it prints what is eager and what is compiled."""
        modules = sorted({"passes"} | {module for _, module, *_ in self.knobs()})
        head = f"{IMPORTS}from gradarray.compiler import {', '.join(modules)}\n\n"
        for _, module, name, value in self.knobs():
            head += f"{module}.{name} = {value}\n"
        code = () if self.careful else ("code",)
        tail = "\n\nprint(run(lambda f: f))\n"
        for off in [code, (*code, self.off)] if self.off else [code]:
            tail += f"with passes.without({', '.join(map(repr, off))}):\n    " if off else ""
            tail += "print(run(ga.compile))\n"
        return head + self.body() + tail

    def knobs(self) -> list[tuple[str, str, str, float]]:
        """What is set while it compiles: (of KNOBS, module of the compiler, name, value)."""
        return [(knob, *setting) for knob in self.eager for setting in KNOBS[knob]]

    def built(self) -> Callable[[Callable[..., Any]], Any]:
        """The function `run` of the script."""
        scope = dict(namespace())
        exec(compile(self.body(), "<fuzz>", "exec"), scope)
        return scope["run"]


_WITHIN = "def run(wrap):\n    return wrap({}){}\n"

# What the compiler does where it is worth it, done everywhere: (module, name, value) each.
KNOBS: dict[str, list[tuple[str, str, float]]] = {
    "tiles": [("split", "LEAST", 1), ("tiles", "WORTH", 1000)],
    "chunks": [("parallel", "WORTH", 0.0)],
    "narrow": [("machine", "VECTOR", 16)],
    "short nests": [("lower", "MOST", 24)],
}

# What is made of f, as text; `wrap` stands where ga.compile does.
TRANSFORMS = {
    "value": _WITHIN.format("f", "({args})"),
    "gradient": _WITHIN.format("ga.value_and_grad(loss, {numbers})", "({args})"),
    "push": _WITHIN.format(
        "lambda {args}, *ts: ga.jvp(lambda {moving}: f({args}), [{moving}], list(ts))",
        "({args}, {tangents})",
    ),
    "forward over reverse": _WITHIN.format(
        "lambda {args}, *ts: ga.jvp("
        "ga.grad(lambda {moving}: loss({args}), {first}), [{moving}], list(ts))",
        "({args}, {tangents})",
    ),
    "reverse over forward": _WITHIN.format(
        "lambda {args}, *ts: ga.grad("
        "lambda {moving}: ga.jvp(lambda {moving}: loss({args}), [{moving}], list(ts))[1], {first}"
        ")({moving})",
        "({args}, {tangents})",
    ),
    "series": _WITHIN.format(
        "lambda {args}, *ts: ga.jet("
        "lambda {moving}: f({args}), [{moving}], [[t, ga.zeros_like(t)] for t in ts])",
        "({args}, {tangents})",
    ),
    "examples": _WITHIN.format("ga.vmap(f, {axes})", "({args})"),
    "gradients of examples": _WITHIN.format(
        "ga.vmap(ga.grad(loss, {numbers}), {axes})", "({args})"
    ),
    "step of SGD": "",
    "step of Adam": "",
}

_STEP = """\
def run(wrap):
    ps = [p.copy().requires_grad_() for p in ({moving},)]
    opt = OPT
    def step({args}):
        {moving}, = ps
        opt.zero_grad()
        y = loss({args})
        y.backward()
        opt.step()
        return y
    step({args})
    y = wrap(step)({args})
    return [y, *ps]
"""
TRANSFORMS["step of SGD"] = _STEP.replace("OPT", "ga.optim.SGD(ps, lr=0.01, momentum=0.9)")
TRANSFORMS["step of Adam"] = _STEP.replace("OPT", "ga.optim.Adam(ps, lr=0.01)")
