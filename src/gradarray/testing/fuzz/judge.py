"""Judge: a case run eagerly, compiled, and compiled without one pass; all must agree.

How far results may differ is measured: the recorded program is carried out a few times with every
result of every step moved at random by 2^13 of its roundings. What that does to the end, over
2^13, is what rounding does, sums that cancel and ill-conditioned functions included (Monte Carlo
arithmetic: D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ... import tree
from ...array import GradArray
from ...compiler import passes, recall
from ...compiler.abstract import Abstract
from ...compiler.compile import compile
from ...compiler.follow import followed
from ...compiler.native import Native
from ...compiler.program import Program, interpret
from ...compiler.record import Output, Recorded, Slot, record
from ...errors import GraphError
from ...ops.fourier import FFTGrad, IRFFTGrad, RFFTGrad
from ..numeric import Where, agree
from .script import Case

NOISE = 2.0**13  # roundings that every step is moved by
RUNS = 5
# One rounding each step is what noise stands for; compiled code has functions within a few ulp
# and sums in another order, and of five draws the largest may be small by chance.
MARGIN = 256
FOURIER = (FFTGrad, RFFTGrad, IRFFTGrad)


class Refused(Exception):
    """The case cannot be recorded, and an error said so."""


def judge(case: Case) -> None:
    """Raise AssertionError where eager and compiled code differ; Refused if nothing is compiled."""
    code = () if case.careful else ("code",)
    with warnings.catch_warnings(), np.errstate(all="ignore"), turned(case), passes.without(*code):
        warnings.simplefilter("ignore")
        _judged(case)


@contextlib.contextmanager
def turned(case: Case) -> Iterator[None]:
    """Within, the compiler does what the case says, also where it is not worth it."""
    with contextlib.ExitStack() as before:
        before.callback(setattr, recall, "enabled", recall.enabled)
        recall.enabled = False  # nothing is as it was lowered before
        for _, module, name, value in case.knobs():
            of = importlib.import_module(f"gradarray.compiler.{module}")
            before.callback(setattr, of, name, getattr(of, name))
            setattr(of, name, value)
        yield


def _judged(case: Case) -> None:
    run = case.built()
    try:
        expected = _leaves(run(lambda f: f))
    except (ValueError, np.linalg.LinAlgError) as why:  # an example that some function refuses
        raise Refused(str(why)) from why
    seen = Seen()
    try:
        got = _leaves(run(seen.compiled))
    except GraphError as why:
        raise Refused(str(why)) from why
    if seen.native is not None:
        followed(seen.native)
        if case.careful:
            _recalled(seen.native, seen.inputs)
    bounds = Bounds(seen.recorded.program, seen.inputs)
    of = {id(leaf): bounds.at(at) for leaf, at in seen.results()}
    assert len(got) == len(expected), "another number of results"
    for k, (x, y) in enumerate(zip(got, expected, strict=True)):
        where = Where("compiled", f"result {k}")
        _compare(where, x, y, of.get(id(x)), bounds)
    if case.off:
        with passes.without(case.off):
            native = Native(seen.recorded.program, recalled=False)
        followed(native)
        values = native([x.copy() if isinstance(x, np.ndarray) else x for x in seen.inputs]) or []
        for k, (x, y) in enumerate(zip(values, bounds.base, strict=True)):
            where = Where(f"compiled without {case.off!r}", f"output {k} of the program")
            _compare(where, x, y, bounds.at(k), bounds)


def _recalled(native: Native, inputs: list[Any]) -> None:
    """What is kept of a program, and recalled, is the program, to the last bit."""
    with kept_apart():
        made, again = Native(*native.of), Native(*native.of)
        assert again.is_recalled or recall.key(*native.of) is None or made.hosted, "not recalled"
        followed(again)
        one, two = (run([np.array(x) for x in inputs]) or [] for run in (made, again))
    for x, y in zip(one, two, strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes(), "recalled, other bits"


@contextlib.contextmanager
def kept_apart() -> Iterator[None]:
    """Within, programs are kept, in a folder of their own: knobs are in no program's name."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as before:
        outer = os.environ.get("GRADARRAY_CACHE")
        before.callback(setattr, recall, "enabled", recall.enabled)
        if outer is not None:
            before.callback(os.environ.__setitem__, "GRADARRAY_CACHE", outer)
        before.callback(os.environ.pop, "GRADARRAY_CACHE")
        recall.enabled, os.environ["GRADARRAY_CACHE"] = True, folder
        yield


def _leaves(result: Any) -> list[Any]:
    return tree.flatten(result)[0]


def _compare(where: Where, x: Any, y: Any, bound: Any, bounds: Bounds) -> None:
    x, y = (v._array if isinstance(v, GradArray) else np.asarray(v) for v in (x, y))
    if x.dtype != y.dtype:
        raise where.fail(f"dtype {x.dtype}, not {y.dtype}")
    for again in (False, True):
        limit = np.zeros(y.shape) if bound is None else bound(y)
        if y.dtype.kind not in "fc" and x.shape == y.shape:  # a comparison on the edge
            x = np.where(limit > 0, y, x)
        try:
            agree(where, x, y, limit, "eager")
        except AssertionError:
            if again:
                raise
            bounds.look_closer()  # before it is said
        else:
            return


class Seen:
    """What is compiled, recorded once more, with the inputs that it had."""

    def __init__(self) -> None:
        self.recorded: Any = None
        self.inputs: list[Any] = []
        self.native: Native | None = None
        self._result: Any = None
        self._leaves: Sequence[Any] = ()

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._leaves, form = tree.flatten((args, {}))
            recorded: Recorded = record(f, self._leaves, form, absorbing=False)
            self.recorded = recorded
            self.inputs = [np.copy(self._read(slot))[()] for slot, _ in recorded.reads]
            compiled = compile(f)
            self._result = compiled(*args)
            self.native = getattr(compiled._versions.last, "_run", None)
            return self._result

        return call

    def _read(self, slot: Slot) -> Any:
        owner: Any = slot.owner(self._leaves)
        if slot.gradient:
            owner = owner._gradient
        return owner._data if isinstance(owner, GradArray) else owner

    def results(self) -> list[tuple[Any, int]]:
        """Handles, and which output of the program each holds."""
        pairs = zip(_leaves(self._result), self.recorded.result, strict=True)
        found = [(leaf, how.at) for leaf, how in pairs if type(how) is Output]
        for slot, at in self.recorded.writes:
            owner = slot.owner(self._leaves)
            found.append((owner._gradient if slot.gradient else owner, at))
        return found


class Bounds:
    """How far each output of a program may be from the exact one."""

    def __init__(self, program: Program, inputs: list[Any]) -> None:
        self.program, self.inputs = program, inputs
        self.base = interpret(program)(inputs)
        self._rng = np.random.default_rng(0)
        self._moved = self._changes(RUNS, NOISE)
        self._jumps = [np.zeros(np.shape(y)) for y in self.base]

    def look_closer(self) -> None:
        """More draws, and draws of less noise, that tell where the program jumps nearby.

        What does not get smaller with the noise (two equal numbers that are sorted, a comparison
        on its edge) is as large for one rounding.
        """
        many, small = self._changes(64, NOISE), self._changes(64, NOISE / 64)
        self._moved = [np.maximum(a, b) for a, b in zip(self._moved, many, strict=True)]
        pairs = zip(self._moved, small, strict=True)
        self._jumps = [np.where(less > more / 8, 2 * less, 0) for more, less in pairs]

    def _changes(self, runs: int, noise: float) -> list[np.ndarray]:
        """By how much noise changes each output, at most."""
        largest = [np.zeros(np.shape(y)) for y in self.base]
        for _ in range(runs):
            found = noisy(self.program, self.inputs, self._rng, noise)
            for k, (y, moved) in enumerate(zip(self.base, found, strict=True)):
                y, moved = np.asarray(y), np.asarray(moved)
                if y.dtype.kind in "fc":
                    change = np.abs(np.asarray(moved - y, np.complex128))
                    change = np.where(y == moved, 0, np.nan_to_num(change, nan=np.inf))
                else:
                    change = np.where(y == moved, 0, np.inf)
                largest[k] = np.maximum(largest[k], change)
        return largest

    def at(self, k: int) -> Callable[[np.ndarray], np.ndarray]:
        """The bound on output k, as a function of its expected value."""

        def bound(y: np.ndarray) -> np.ndarray:
            if y.dtype.kind not in "fc":
                return self._moved[k]
            info = np.finfo(y.dtype)
            size = np.where(np.isfinite(y), np.abs(y), 0).astype(np.float64)
            rounded = self._moved[k] / NOISE + info.eps * size + info.tiny
            return MARGIN * rounded + self._jumps[k]

        return bound


def noisy(
    program: Program, inputs: Sequence[Any], rng: np.random.Generator, noise: float
) -> list[Any]:
    """The outputs of a program of which every step is moved by some of its roundings."""

    def moved(x: Any) -> Any:
        if np.asarray(x).dtype.kind not in "fc":
            return x
        x = np.asarray(x)
        info = np.finfo(x.dtype)
        by = noise * info.eps * rng.standard_normal(x.shape)
        # The square of a sech is 0 where it would be subnormal.
        beside = np.where(x == 0, 0, noise * float(info.tiny) * rng.standard_normal(x.shape))
        return (x * (1 + by) + beside).astype(x.dtype)[()]

    def moved_as_one(y: Any) -> Any:
        """A Fourier transform rounds by the size of all that it adds up (Higham, 2002, 24.1)."""
        size = float(np.max(np.abs(y), initial=0))
        by = rng.standard_normal(y.shape)
        if y.dtype.kind == "c":
            by = by + 1j * rng.standard_normal(y.shape)
        return (y + noise * np.finfo(y.dtype).eps * size * by).astype(y.dtype)

    values: dict[Abstract, Any] = dict(program.constants)
    values.update(zip(program.inputs, map(moved, inputs), strict=True))
    for step in program.steps:
        operands = [values[x] if type(x) is Abstract else x for x in step.operands]
        y = step.op.forward(*operands, **step.params)
        if step.op in FOURIER:
            y = moved_as_one(y)
        parts = y if step.several else (y,)
        values.update(zip(step.values, map(moved, parts), strict=True))
    return [values[y] if type(y) is Abstract else y for y in program.outputs]
