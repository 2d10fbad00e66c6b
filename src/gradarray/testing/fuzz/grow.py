"""Grow: a random function, line by line, carried out as it grows so that it stays in range."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ...array import GradArray, wrap
from ...compiler.passes import PASSES
from ...errors import GraphError
from ...graph import no_grad
from ...registry import Sample
from . import steps
from .script import KNOBS, LAYOUTS, Case, Given, Line, namespace

T = TypeVar("T")

LARGEST = 8_000  # elements of a value
BOUND = 1e3  # of its magnitudes

# Transforms and how often each is drawn.
_TRANSFORMS = {
    "value": 3, "gradient": 6, "push": 2, "forward over reverse": 3, "reverse over forward": 2,
    "series": 2, "examples": 2, "gradients of examples": 2, "step of SGD": 2, "step of Adam": 2,
}  # fmt: skip


def grown(seed: int) -> Case:
    """The case of a seed."""
    return Grower(seed).case()


class Grower:
    """A case that is not finished."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.transform = self.choose([t for t, often in _TRANSFORMS.items() for _ in range(often)])
        self.dtype = self.choose(["float64", "float64", "float32"])
        self.n = int(self.choose([16, 17, 64, 65, 100, 128, 130, 200, 300]))
        self.examples = "examples" in self.transform
        self.batch = self.choose([3, 17, 64])
        self.givens: list[Given] = []
        self.lines: list[Line] = []
        self.values: dict[str, GradArray] = {}

    def case(self) -> Case:
        rng = self.rng
        second = self.transform in ("series",) or "over" in self.transform
        count = int(np.exp(rng.uniform(np.log(5), np.log(30 if second else 60))))
        d = self.choose(steps.SIZES)
        self.new(Sample((d,) if self.examples else (self.n, d)), batch=True)
        with no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tries = 0
            while len(self.lines) < count and tries < 20 * count:
                tries += 1
                self.step()
        used = {name for line in self.lines for name in line.uses}
        last = [line.name for line in self.lines if line.name not in used]
        wanted = [n for n in last if self.transform == "value" or self._is_real(n)][-8:]
        if not wanted:
            wanted = [n for n in self.values if self._is_real(n)][-1:]
        off = self.choose(list(PASSES))
        case = Case(
            tuple(self.givens), tuple(self.lines), tuple(wanted), self.transform,
            self.choose(["ga.sum(y)", "ga.mean(y * y)", "ga.sum(ga.sin(y))"]),
            tuple(knob for knob in KNOBS if self.chance(0.5)), off, careful=off == "code",
        )  # fmt: skip
        case = case.pruned()
        if not any(g.moving for g in case.givens):
            case = replace(case, transform="value")
        if self.examples and not any(g.batch is not None for g in case.givens):
            case = replace(case, transform="value")
        return case

    def step(self) -> None:
        makers, often = zip(*steps.STEPS, strict=True)
        make = self.rng.choice(np.asarray(makers), p=np.asarray(often) / sum(often))
        before = len(self.givens), len(self.lines), dict(self.values)
        text = make(self)
        if text is None or not self.add(text):  # what was drawn for it goes too
            self.givens, self.lines = self.givens[: before[0]], self.lines[: before[1]]
            self.values = before[2]

    def add(self, text: str) -> str:
        """A line, and its name; '' if it raises, or leaves the range."""
        scope = {**namespace(), **self.values}
        try:
            y = eval(text, scope)
        except (ValueError, TypeError, IndexError, GraphError, AttributeError, ArithmeticError,
                NotImplementedError):  # fmt: skip
            return ""
        if isinstance(y, (tuple, list)) and steps.arrays(y):
            k = int(self.rng.integers(len(y)))
            y, text = y[k], f"{text}[{k}]"
        if not isinstance(y, GradArray) or y.size > LARGEST or y.ndim > 5 or not y.size:
            return ""
        values = y._array
        if values.dtype.kind in "fc" and not (np.abs(values) <= BOUND).all():
            return ""  # NaN too
        if "prod" in text and values.dtype.kind == "f" and np.abs(values).min() < 1e-10:
            return ""  # whether it becomes 0 on the way depends on the order
        if values.dtype == np.float16 or values.dtype.kind not in "fciub":
            return ""
        name = f"v{len(self.lines)}"
        self.lines.append(Line(name, text))
        self.values[name] = y
        return name

    # What steps ask for ---------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def choose(self, among: Sequence[T]) -> T:
        return among[int(self.rng.integers(len(among)))]

    def _is_real(self, name: str) -> bool:
        return self.values[name].dtype.kind == "f"

    def some(self, least: int = 0, like: tuple[int, ...] | None = None) -> str:
        """A real value with at least so many axes (or of a shape), a young one rather."""
        names = [n for n in self.values if self._is_real(n) and self.values[n].ndim >= least]
        if like is not None:
            names = [n for n in names if self.values[n].shape == like]
        if not names:
            return self.new(Sample(like if like is not None else (self.n,) * least))
        back = min(int(self.rng.geometric(0.3)), len(names))
        return names[-back]

    def new(self, sample: Sample, batch: bool = False) -> str:
        """A further array that the case starts from."""
        name = f"g{len(self.givens)}"
        dtype = {"int": "int64", "bool": "bool"}.get(sample.kind, self.dtype)
        seed = int(self.rng.integers(1, 10_000))
        one = Given(name, sample.kind, sample.shape, seed, sample.low, sample.high, dtype)
        one = replace(one, layout=self.choose(LAYOUTS))
        if self.examples and (batch or (one.kind == "float" and self.chance(0.3))):
            axis = self.choose([0, 0, len(one.shape)])
            shape = (*one.shape[:axis], self.batch, *one.shape[axis:])
            one = replace(one, shape=shape, batch=axis)
        value = one.value()
        self.givens.append(one)
        self.values[name] = value if one.batch is None else wrap(value._array.take(0, one.batch))
        return name

    def within(self, x: str, sample: Sample) -> str:
        """A value where a function is defined."""
        values = self.values[x]._array
        if not values.size or (values.min() >= sample.low and values.max() <= sample.high):
            return x
        middle, half = (sample.low + sample.high) / 2, (sample.high - sample.low) / 2
        squash = self.choose(["sin", "tanh", "cos"])
        return self.add(f"{middle} + {0.99 * half} * ga.{squash}({x})") or x

    def partner(self, shape: tuple[int, ...], sample: Sample) -> str:
        """Something to go with an array of this shape: a value that broadcasts, or a number."""
        if sample.kind in ("int", "bool"):
            return self.new(replace(sample, shape=shape))
        if self.chance(0.2):
            return repr(round(float(self.rng.uniform(sample.low, sample.high)), 2))
        names = [n for n in self.values if self._is_real(n) and _fits(self.values[n].shape, shape)]
        if names and self.chance(0.75):
            return self.within(self.choose(names), sample)
        small = tuple(1 if self.chance(0.2) else n for n in shape)
        return self.new(replace(sample, shape=small[int(self.rng.integers(len(shape) + 1)) :]))

    def like(self, sample: Sample, shape: tuple[int, ...]) -> str:
        """A value of this shape and kind: one that is there, cut to it, or a new one."""
        sample = replace(sample, shape=shape)
        if sample.kind != "float":
            return self.new(sample)
        size = int(np.prod(shape, dtype=int))
        names = [n for n in self.values if self._is_real(n) and self.values[n].size >= size]
        same = [n for n in names if self.values[n].shape == shape]
        if same and self.chance(0.8):
            return self.within(self.choose(same[-3:]), sample)
        if names and size and self.chance(0.6):
            cut = self.add(f"ga.reshape(ga.ravel({self.choose(names[-3:])})[:{size}], {shape})")
            return self.within(cut, sample) if cut else self.new(sample)
        return self.new(sample)


def _fits(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Does it broadcast to another shape as it is?"""
    if len(shape) > len(to):
        return False
    return all(n in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False))
