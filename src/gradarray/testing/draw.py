"""The calls that a declaration implies, with their arguments drawn."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import tree
from ..algebra import Elementwise
from ..array import GradArray, wrap
from ..registry import Case, Function, Sample, case

# Operand shapes of an elementwise function of one operand, and of two.
_UNARY = (((2, 3),), ((),))
_BINARY = (((2, 3), (2, 3)), ((2, 1), (3,)), ((), (2,)))


@dataclass(frozen=True)
class Call:
    """One call of a function: where its arrays stand among the arguments, and how it reads.

    A complex argument is drawn as two real arrays, its parts, so that everything is about real
    numbers: differences, both modes, and the parts of complex results.
    """

    entry: Function
    case: Case
    samples: tuple[Sample, ...]

    @property
    def moving(self) -> list[int]:
        """Which of the arrays are differentiated."""
        if not self.entry.differentiable:
            return []
        return [k for k, s in enumerate(self.samples) if s.differentiable]

    def with_shapes(self, shapes: Sequence[tuple[int, ...]]) -> Call:
        samples = [replace(s, shape=n) for s, n in zip(self.samples, shapes, strict=True)]
        return replace(self, samples=tuple(samples))

    def rng(self) -> np.random.Generator:
        """The same numbers for the same call, in every run."""
        return np.random.default_rng(self._seed)

    def draw(
        self, dtype: Any = np.float64, rng: np.random.Generator | None = None
    ) -> list[np.ndarray]:
        """The arrays of one call, floating ones in this dtype."""
        rng = rng or self.rng()
        drawings = [np.asarray(drawn(s, rng)) for s in self.samples]
        return [x.astype(dtype) if x.dtype.kind == "f" else x for x in drawings]

    def run(self, fn: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        """The call with these arrays in place of the samples."""
        args, kwargs = self._placed(arrays, lambda re, im: re + 1j * im)
        return fn(*args, **kwargs)

    def _placed(self, arrays: Sequence[Any], join: Callable[[Any, Any], Any]) -> Any:
        leaves, form = self._arguments
        rest = iter(arrays)
        placed = []
        for x in leaves:
            if isinstance(x, Sample):
                x = join(next(rest), next(rest)) if x.kind == "complex" else next(rest)
            placed.append(x)
        return tree.unflatten(form, placed)

    @functools.cached_property
    def _arguments(self) -> tuple[list[Any], tree.Structure]:
        return tree.flatten((self.case.args, self.case.kwargs))

    @functools.cached_property
    def _seed(self) -> int:
        return zlib.crc32(str(self).encode())

    def __str__(self) -> str:
        args, kwargs = self._placed(
            [_Shown(s) for s in self.samples], lambda re, im: _Shown(re.sample, " complex")
        )
        shown = [*map(_spelled, args), *(f"{k}={_spelled(v)}" for k, v in kwargs.items())]
        return f"{self.entry.name}({', '.join(shown)})"

    __repr__ = __str__


class _Shown:
    def __init__(self, sample: Sample, kind: str | None = None) -> None:
        self.sample = sample
        self.kind = f" {sample.kind}".replace(" float", "") if kind is None else kind

    def __repr__(self) -> str:
        return f"array{list(self.sample.shape)}{self.kind}"


def _spelled(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


def calls_of(entry: Function) -> list[Call]:
    """The declared cases; for an elementwise op without any, cases from its domain."""
    cases = entry.cases
    op = entry.op
    if not cases and op is not None and issubclass(op, Elementwise):
        count = len(op.operands)
        domain: Any = op.domain
        domains = domain if isinstance(domain[0], tuple) else (domain,) * count
        forms = {1: _UNARY, 2: _BINARY}.get(count, (((2, 3),) * count,))
        cases = tuple(
            case(*(Sample(s, *d) for s, d in zip(shapes, domains, strict=True))) for shapes in forms
        )
    out = []
    for one in cases:
        leaves, _ = tree.flatten((one.args, one.kwargs))
        samples = [x for x in leaves if isinstance(x, Sample)]
        out.append(Call(entry, one, tuple(part for x in samples for part in _parts(x))))
    return out


def _parts(sample: Sample) -> tuple[Sample, ...]:
    return (replace(sample, kind="float"),) * 2 if sample.kind == "complex" else (sample,)


def drawn(sample: Sample, rng: np.random.Generator) -> Any:
    """Values for a sample, in C order."""
    shape, low, high = sample.shape, sample.low, sample.high
    if sample.kind == "float":
        return rng.uniform(low, high, shape)
    if sample.kind == "distinct":
        # A shuffled grid, each value moved by at most a quarter of a step: no near ties.
        count = max(int(np.prod(shape)), 1)
        grid = rng.permutation(count) + rng.uniform(0.25, 0.75, count)
        values = low + (high - low) * grid / count
        return values[: int(np.prod(shape))].reshape(shape)
    if sample.kind == "int":
        first = int(np.ceil(low))
        return rng.integers(first, max(int(np.ceil(high)), first + 1), shape)
    if sample.kind == "bool":
        return np.asarray(rng.integers(0, 2, shape) == 1)
    if sample.kind in ("regular", "spd"):
        return _matrices(sample, rng)
    raise ValueError(
        f"a sample of kind {sample.kind!r}; known: float, distinct, int, bool, regular, spd"
    )


def _matrices(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """Stacks of matrices Q_1 diag(s) Q_2^T with s spread over [1, 2]; Q_1 = Q_2 for spd."""
    *batch, rows, columns = sample.shape
    n = min(rows, columns)
    left, right = (
        np.linalg.qr(rng.standard_normal((*batch, m, m)))[0][..., :n] for m in (rows, columns)
    )
    if sample.kind == "spd":
        right = left
    s = 1 + (np.arange(n) + rng.uniform(0.25, 0.75, (*batch, 1, n))) / max(n, 1)
    y = (left * s) @ np.swapaxes(right, -1, -2)
    return (y + np.swapaxes(y, -1, -2)) / 2 if sample.kind == "spd" else y


def handle(x: np.ndarray) -> GradArray:
    """A GradArray on this very memory, whatever its strides (ga.array would copy)."""
    return wrap(x if x.shape else x[()])


def results(value: Any) -> list[Any]:
    """The arrays of a result, as ndarrays."""
    leaves, _ = tree.flatten(value)
    return [x._array if isinstance(x, GradArray) else np.asarray(x) for x in leaves]


def float_results(value: Any) -> list[GradArray]:
    """The GradArrays of a result that can have a derivative."""
    leaves, _ = tree.flatten(value)
    return [x for x in leaves if isinstance(x, GradArray) and x.dtype.kind in "fc"]
