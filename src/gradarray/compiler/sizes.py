"""Sizes: a program for batches of N samples that is right for any smaller batch, too.

The function is recorded at two sizes. Where the two programs differ, they differ by the size: an
axis of N against one of n, or a number (1 / N against 1 / n). Such an axis counts samples, and
such a number becomes an input. The arguments are filled up to N samples; wherever samples are
added up, or the largest of them is looked for, those beyond n are left out. What is recorded for
another size is compared with that: it gives the numbers, or says that the program is another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..algebra import Elementwise, Reduction
from ..ops.compare import LessGrad, WhereGrad
from ..ops.indexing import IndexGrad, PlaceGrad
from ..ops.reduce import AllGrad, AnyGrad, MaxGrad, MinGrad, SumGrad
from ..ops.scan import ProdGrad
from ..ops.scatter import GatherGrad, ScatterAddGrad
from ..ops.shape import BroadcastToGrad, ReshapeGrad
from .abstract import Abstract
from .program import Program, Step
from .rules.index import InRange
from .split import Split, Together, passed

# Ops whose parameters are shapes and slices, which say the size once more.
_SHAPED = frozenset({BroadcastToGrad, ReshapeGrad, ScatterAddGrad, IndexGrad, PlaceGrad})


class Unsized(Exception):
    """The program is another one for another size, or something needs all samples at once."""


@dataclass
class Free:
    """A program at size `n`: which axis of which value counts samples, and how many each is."""

    program: Program
    n: int
    axes: dict[Abstract, tuple[int, int]] = field(default_factory=dict)
    spots: list[tuple[int, int]] = field(default_factory=list)  # step, operand: numbers
    filled: dict[Abstract, Any] = field(default_factory=dict)  # arrays that hold one number


def compared(p: Program, big: int, q: Program, small: int) -> Free:
    """What differs between a program for `big` samples and the same for `small` ones."""
    free = Free(p, big)
    twin: dict[Abstract, Abstract] = {}

    def pair(x: Abstract, y: Abstract) -> None:
        twin[x] = y
        axis = _axis(x.shape, y.shape, big, small)
        if axis is not None:
            free.axes[x] = axis, x.shape[axis] // big

    def match(same: bool, what: str, line: str = "") -> None:
        if not same:
            raise Unsized(f"{what}{line and ', at ' + line}")

    match(len(p.inputs) == len(q.inputs), "what it reads depends on the size")
    match(len(p.steps) == len(q.steps), "what it does depends on the size")
    match(len(p.constants) == len(q.constants), "what it makes depends on the size")
    for x, y in zip(p.inputs, q.inputs):
        pair(x, y)
    for (x, a), (y, b) in zip(p.constants.items(), q.constants.items()):
        pair(x, y)
        if not _is_part(a, b):
            match(_is_one_number(a) and _is_one_number(b),
                  "an array that is made inside depends on the size")  # fmt: skip
            free.filled[x] = a
    for k, (s, t) in enumerate(zip(p.steps, q.steps)):
        match(s.op is t.op and len(s.operands) == len(t.operands), "what it does differs", s.line)
        match(not s.programs() or _is_apart(s, free), "a loop over samples or beside them", s.line)
        for j, (x, y) in enumerate(zip(s.operands, t.operands)):
            if type(x) is Abstract:
                match(twin.get(x) is y, "an operand differs", s.line)
            elif np.ndim(x):
                match(_is_part(x, y), "an array that is made inside differs", s.line)
            elif type(x) is not type(y) or not (x == y or (x != x and y != y)):
                free.spots.append((k, j))
        for name, v in s.params.items():
            match(name in t.params, "what it does differs", s.line)
            w = t.params[name]
            if isinstance(v, Program):
                match(isinstance(w, Program), "what it does differs", s.line)
                inside = compared(v, big, w, small)
                match(not (inside.axes or inside.spots or inside.filled), "a loop", s.line)
                continue
            known = _is_same(v, w) or (s.op in _SHAPED and _is_sized(v, w, big, small))
            match(known, f"{s.op.name} takes {name} from the size", s.line)
        for x, y in zip(s.values, t.values):
            pair(x, y)
    return free


def _axis(a: tuple[int, ...], b: tuple[int, ...], big: int, small: int) -> int | None:
    """The axis that counts samples, of a value that has the shape a at `big`, b at `small`."""
    differ = [k for k, (m, n) in enumerate(zip(a, b)) if m != n]
    if len(a) != len(b) or len(differ) > 1 or not all(_is_sized(a[k], b[k], big, small)
                                                       for k in differ):  # fmt: skip
        raise Unsized(f"a shape is {a} at {big} and {b} at {small}")
    return differ[0] if differ else None


def _is_same(v: Any, w: Any) -> bool:
    try:
        return bool(np.all(v == w)) and type(v) is type(w)
    except ValueError:
        return False


def _is_sized(v: Any, w: Any, big: int, small: int) -> bool:
    """Are these equal, or a whole multiple of the size in one place?"""
    if isinstance(v, tuple):
        return isinstance(w, tuple) and len(v) == len(w) and all(
            _is_sized(a, b, big, small) for a, b in zip(v, w)
        )  # fmt: skip
    if isinstance(v, slice):
        return isinstance(w, slice) and all(
            _is_sized(getattr(v, end), getattr(w, end), big, small)
            for end in ("start", "stop", "step")
        )
    if type(v) is int and type(w) is int and v != w:
        return v % big == 0 and v // big * small == w
    return _is_same(v, w)


def _is_part(a: Any, b: Any) -> bool:
    """Is the smaller array the first part of the larger one?"""
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != b.ndim or a.dtype != b.dtype or any(m < n for m, n in zip(a.shape, b.shape)):
        return False
    return np.array_equal(a[tuple([slice(n) for n in b.shape])], b, equal_nan=a.dtype.kind in "fc")


def _is_one_number(a: Any) -> bool:
    a = np.asarray(a)
    return bool(a.size) and bool(np.all(a == a.flat[0]))


def _is_apart(step: Step, free: Free) -> bool:
    return not any(x in free.axes for x in step.inputs)


# Masks --------------------------------------------------------------------------------------------


def masked(free: Free, looked_at: int) -> Program:
    """The program with what lies beyond n left out, and further inputs: n, and the numbers.

    `looked_at`: so many of its last outputs are looked at, and have nothing there either.
    """
    p = free.program
    maker = _Maker(free)
    steps: list[Step] = []
    spots = {spot: maker.number(p.steps[spot[0]], spot[1]) for spot in free.spots}
    filled = [Abstract(maker.trace, (), x.dtype) for x in free.filled]
    made = {x: maker.filled(x, number, steps) for x, number in zip(free.filled, filled)}
    for k, step in enumerate(p.steps):
        fills = _fills(step, free)
        new = [
            spots[k, j] if (k, j) in spots
            else maker.mask(x, fills[j], steps) if j in fills
            else x
            for j, x in enumerate([_instead(made, x) for x in step.operands])
        ]  # fmt: skip
        copy = Step(step.op, tuple(new), step.params, step.line)
        copy.values, copy.several = step.values, step.several
        steps.append(copy)
    first = len(p.outputs) - looked_at
    outputs = [
        maker.mask(y, 0, steps) if k >= first and type(y) is Abstract and y in maker.axes else y
        for k, y in enumerate([_instead(made, y) for y in p.outputs])
    ]
    inputs = [*p.inputs, maker.n, *spots.values(), *filled]
    constants = {v: a for v, a in p.constants.items() if v not in free.filled}
    return Program(inputs, steps, outputs, {**constants, **maker.constants}, p.states)


def _instead(made: dict[Abstract, Abstract], x: Any) -> Any:
    return made.get(x, x) if type(x) is Abstract else x


class _Maker:
    """Makes the further inputs, and masks."""

    def __init__(self, free: Free) -> None:
        self.axes, self.trace = dict(free.axes), free.program.trace
        self.n = Abstract(self.trace, (), np.dtype(np.int64))
        self.constants: dict[Abstract, Any] = {}
        self._below: dict[Any, Abstract] = {}

    def number(self, step: Step, j: int) -> Abstract:
        """The input for a number of a step."""
        x, kind = step.operands[j], step.values[0].dtype.kind
        if isinstance(x, np.generic):
            return Abstract(self.trace, (), x.dtype)
        if kind not in "fc" or type(x) not in (int, float):
            raise Unsized(f"{step.op.name} takes a number from the size, at {step.line}")
        return Abstract(self.trace, (), np.dtype(float), weak=float)

    def filled(self, x: Abstract, number: Abstract, steps: list[Step]) -> Abstract:
        """What takes the place of an array that holds one number."""
        y = self._put(BroadcastToGrad, (number,), x.shape, x.dtype, steps, shape=x.shape)
        if x in self.axes:
            self.axes[y] = self.axes[x]
        return y

    def mask(self, x: Any, fill: Any, steps: list[Step]) -> Abstract:
        """x where its sample is one, else `fill`."""
        axis, each = self.axes[x]
        form = x.ndim - axis, each
        below = self._below.get(form)
        if below is None:
            count = np.arange(x.shape[axis]).reshape(-1, *[1] * (x.ndim - axis - 1)) // each
            places = Abstract(self.trace, count.shape, count.dtype)
            self.constants[places] = count
            below = self._below[form] = self._put(
                LessGrad, (places, self.n), count.shape, np.dtype(bool), steps
            )
        return self._put(WhereGrad, (below, x, x.dtype.type(fill)), x.shape, x.dtype, steps)

    def _put(
        self, op: Any, operands: Any, form: Any, dtype: Any, steps: list[Step], **params: Any
    ) -> Abstract:
        step = Step(op, operands, params, "")
        step.values = (Abstract(self.trace, form, dtype, step),)
        steps.append(step)
        return step.values[0]


def _fills(step: Step, free: Free) -> dict[int, Any]:
    """Which operands have samples that must not count, and what stands for those."""
    axes = free.axes
    has = [j for j, x in enumerate(step.operands) if type(x) is Abstract and x in axes]
    made = [v for v in step.values if v in axes]
    if not has and not made:
        return {}
    if not has:
        if step.op is BroadcastToGrad:
            return {}
        raise Unsized(f"{step.op.name} makes samples, at {step.line}")
    if step.op is InRange or (issubclass(step.op, Elementwise) and not step.several):
        return {}
    op, x, y = step.op, step.operands[0], step.values[0]
    if op is ReshapeGrad:
        if y in axes and _before(x, axes) == _before(y, axes):
            return {}
    elif op in (GatherGrad, ScatterAddGrad):
        return _moved(step, free)
    elif issubclass(op, Reduction):
        over = {a % x.ndim for a in step.params["axis"]}
        if axes[x][0] not in over:
            return {}
        if op in _NEUTRAL:
            return {0: _NEUTRAL[op](x.dtype)}
    else:
        split = Split(free.n, {v: axes[v][0] for v in step.inputs if v in axes})
        try:
            if all(axes[step.operands[j]][1] == 1 for j in has):
                passed(split, step)
                if y in split.sums and not made:
                    return dict.fromkeys(has, 0)
                if all(v in axes and split.axis[v] == axes[v][0] for v in step.values):
                    return {}
        except Together:
            pass
    raise Unsized(f"{op.name} needs all samples at once, at {step.line}")


def _before(x: Abstract, axes: dict[Abstract, tuple[int, int]]) -> int:
    return math.prod(x.shape[: axes[x][0]])


def _extreme(dtype: np.dtype, least: bool) -> Any:
    """What is least of all, or greatest."""
    if dtype.kind == "f":
        return -np.inf if least else np.inf
    if dtype.kind == "b":
        return not least
    info = np.iinfo(dtype)
    return info.min if least else info.max


# What a sample is that does not count, in a reduction of this dtype.
_NEUTRAL: dict[Any, Callable[[np.dtype], Any]] = {
    SumGrad: lambda dtype: 0, AnyGrad: lambda dtype: 0, AllGrad: lambda dtype: 1,
    ProdGrad: lambda dtype: 1, MaxGrad: lambda dtype: _extreme(dtype, True),
    MinGrad: lambda dtype: _extreme(dtype, False),
}  # fmt: skip


def _moved(step: Step, free: Free) -> dict[int, Any]:
    """Samples are gathered by index, or scattered: along their own axis only where the index is
    a count of them, since an index from the end, or beyond it, would find another."""
    x, *indices = step.operands
    whole = x if step.op is GatherGrad else step.values[0]
    first = whole.ndim + step.params["axis"] if type(whole) is Abstract else 0
    if type(whole) is Abstract and whole in free.axes:
        at = free.axes[whole][0] - first
        if 0 <= at < len(indices) and not _counts(indices[at], free):
            raise Unsized(f"{step.op.name} takes samples by number, at {step.line}")
    scatters = step.op is ScatterAddGrad and type(x) is Abstract and x in free.axes
    return {0: 0} if scatters else {}


def _counts(index: Any, free: Free) -> bool:
    data = free.program.constants.get(index) if type(index) is Abstract else index
    return data is not None and bool(np.all(np.asarray(data) >= 0))


# Rows ---------------------------------------------------------------------------------------------


def resized(x: np.ndarray, n: int) -> np.ndarray:
    """The first n rows, or all and copies of the last one."""
    if n <= len(x):
        return x[:n]
    y = np.empty((n, *x.shape[1:]), x.dtype)
    y[: len(x)] = x
    y[len(x) :] = x[-1]
    return y


def cut(y: Any, axis: int, count: int) -> Any:
    """The part of a result that samples have made."""
    return y[(slice(None),) * axis + (slice(count),)]


def numbers(free: Free, other: Free | None, q: Program) -> list[Any]:
    """The numbers of a program for another size, which differs from ours (`other`) there alone."""
    if other is not None and not (
        set(other.spots) <= set(free.spots)
        and other.filled.keys() <= free.filled.keys()
        and other.axes == free.axes
    ):
        raise Unsized("another number depends on the size")
    arrays = dict(zip(free.program.constants, q.constants.values(), strict=True))
    return [
        *[q.steps[k].operands[j] for k, j in free.spots],
        *[np.asarray(arrays[x]).flat[0] for x in free.filled],
    ]
