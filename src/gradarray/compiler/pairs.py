"""Pairs: complex numbers become two real ones, before anything is lowered.

Every value of complex numbers is replaced by its parts, and every op on it by ops on those: an
elementwise one runs on pairs (`pair_math`), a linear one with real coefficients is taken of each
part, a bilinear one of each pair of parts. So all that is done for real programs, fusing, tiles,
products in registers, is done for complex ones. Inputs and outputs keep their parts side by side,
in one more axis. What cannot be said of parts stays a call, on arrays put together again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..algebra import Elementwise, Linear, Multilinear
from ..graph import mode, raw_sweep
from ..ops.arithmetic import AbsorbGrad
from ..ops.compare import equal, where
from ..ops.complex import ConjGrad, ImagGrad, RealGrad
from ..ops.control import AliasGrad
from ..ops.fourier import FFTGrad, IRFFTGrad, RFFTGrad
from ..ops.join import ConcatenateGrad, StackGrad
from ..ops.linsolve import InvGrad, SolveGrad
from ..ops.logical import logical_and, logical_or
from ..ops.reduce import SumGrad
from ..ops.shape import AsTypeGrad, BroadcastToGrad, astype
from ..record import apply
from . import dft
from .abstract import Abstract
from .expr import Unsupported
from .loop_ops import ScanGrad, SwitchGrad, WhileGrad
from .pair_math import Pair, as_pair, complex_of, multiply, real_of, whole
from .program import Program, Step


def is_complex(x: Any) -> bool:
    if getattr(getattr(x, "dtype", None), "kind", "") == "c":
        return True
    return isinstance(x, complex)


def parts_of(x: Any) -> np.ndarray:
    """The parts of complex numbers, side by side, where they lie."""
    x = np.ascontiguousarray(x).reshape(np.shape(x))
    return np.ndarray((*x.shape, 2), x.real.dtype, x)


def together(y: Any) -> np.ndarray:
    """Complex numbers, of parts that lie side by side."""
    y = np.ascontiguousarray(y)
    return np.ndarray(y.shape[:-1], complex_of(y.dtype), y)


def paired(program: Program) -> Program:
    """The program on parts; itself where there are no complex numbers."""
    if not _has_complex(program):
        return program
    trace = program.trace
    before, outer = trace.steps, mode.trace
    trace.steps, mode.trace = [], trace
    try:
        with raw_sweep():
            return _Pairs(trace, {}, {}).program(program)
    finally:
        trace.steps, mode.trace = before, outer


def _has_complex(program: Program) -> bool:
    values = (*program.inputs, *program.constants, *program.outputs)
    if any(map(is_complex, values)):
        return True
    return any(
        _is_of_pairs(step)
        or any(_has_complex(part) for _, part in step.programs())
        for step in program.steps
    )


def _is_of_pairs(step: Step) -> bool:
    """Does a step work with complex numbers, if only on its way?"""
    return step.op is IRFFTGrad or any(map(is_complex, (*step.operands, *step.values)))


class _Pairs:
    """The parts of values, while the steps of a program are gone through."""

    def __init__(
        self, trace: Any, parts: dict[Abstract, Pair], constants: dict[Abstract, Any]
    ) -> None:
        self.trace, self.parts, self.constants = trace, parts, constants

    def program(self, p: Program) -> Program:
        """Parts of inputs and outputs side by side in one more axis."""
        inputs = [self._beside(v) if is_complex(v) else v for v in p.inputs]
        states = {new for v, new in zip(p.inputs, inputs) if v in p.states}
        self._constants(p)
        self._steps(p)
        outputs = [
            self._joined(self.parts[y]) if type(y) is Abstract and is_complex(y) else y
            for y in p.outputs
        ]
        constants = {**self.trace.constants, **self.constants}
        found = Program(inputs, self.trace.steps, outputs, constants, states)
        return found.without_dead_steps()

    def inside(self, p: Program) -> Program:
        """A body: its inputs and outputs are parts, one after the other."""
        inner = _Pairs(self.trace, {}, {})
        outer, self.trace.steps = self.trace.steps, []
        inputs: list[Abstract] = []
        for v in p.inputs:
            if is_complex(v):
                pair = inner.parts[v] = Pair(*[
                    Abstract(self.trace, v.shape, real_of(v.dtype)) for _ in range(2)
                ])  # fmt: skip
                inputs += [pair.re, pair.im]
            else:
                inputs.append(v)
        inner._constants(p)
        inner._steps(p)
        outputs = [part for y in p.outputs for part in inner._each(y)]
        steps, self.trace.steps = self.trace.steps, outer
        constants = {**self.trace.constants, **inner.constants}
        return Program(inputs, steps, outputs, constants, p.states).without_dead_steps()

    def _constants(self, p: Program) -> None:
        for v, data in p.constants.items():
            if not is_complex(v):
                self.constants[v] = data
                continue
            made = []
            for part in (np.real(data), np.imag(data)):
                new = Abstract(self.trace, v.shape, real_of(v.dtype))
                self.constants[new] = np.ascontiguousarray(part, new.dtype).reshape(v.shape)
                made.append(new)
            self.parts[v] = Pair(*made)

    def _beside(self, v: Abstract) -> Abstract:
        new = Abstract(self.trace, (*v.shape, 2), real_of(v.dtype))
        self.parts[v] = Pair(new[..., 0], new[..., 1])
        return new

    def _joined(self, pair: Pair) -> Any:
        return apply(StackGrad, pair.re, pair.im, axis=-1)

    def _each(self, x: Any) -> list[Any]:
        """The parts of a complex value, or the real value itself."""
        if not is_complex(x):
            return [x]
        pair = self.pair(x)
        return [pair.re, pair.im]

    def pair(self, x: Any) -> Pair:
        found = self.parts.get(x) if type(x) is Abstract else None
        return as_pair(x) if found is None else found

    # Steps ----------------------------------------------------------------------------------------

    def _steps(self, p: Program) -> None:
        for step in p.steps:
            inside = any(_has_complex(part) for _, part in step.programs())
            if not inside and not _is_of_pairs(step):
                self.trace.steps.append(step)
                continue
            start = len(self.trace.steps)
            if step.op in _FLOW:
                _FLOW[step.op](self, step)
                continue
            try:
                found = self._taken(step)
            except Unsupported:
                del self.trace.steps[start:]
                found = self._called(step)
            for v, y in zip(step.values, found, strict=True):
                self._bind(v, as_pair(y), step.line)
            for made in self.trace.steps[start:]:
                made.line = made.line if made.programs() else step.line

    def _taken(self, step: Step) -> Sequence[Any]:
        """The results, in ops on parts."""
        op, params = step.op, step.params
        xs = [self.pair(x) for x in step.operands]
        rule = _RULES.get(op)
        if rule is not None:
            return [rule(*xs, **params)]
        if issubclass(op, Elementwise) and not step.several:
            return [op.forward(*xs, **params)]
        if op is SumGrad or issubclass(op, Linear):
            return _of_each(op, xs, params, step.several)
        if issubclass(op, Multilinear) and len(xs) == 2:
            return [_bilinear(lambda a, b: apply(op, a, b, **params), *xs)]
        raise Unsupported(f"{op.name} of complex numbers")

    def _bind(self, v: Abstract, y: Pair, line: str) -> None:
        if not is_complex(v):
            part = self._full(y.re, v.shape, v.dtype)
            alias = Step(AliasGrad, (part,), {}, line)
            alias.values = (v,)
            self.trace.steps.append(alias)
            return
        kind = real_of(v.dtype)
        im = kind.type(0) if y.im is None else y.im
        self.parts[v] = Pair(self._full(y.re, v.shape, kind), self._full(im, v.shape, kind))

    def _full(self, x: Any, shape: tuple[int, ...], dtype: np.dtype) -> Abstract:
        """A part as a value of the whole shape."""
        if type(x) is Abstract:
            x = x if x.dtype == dtype and not x.weak else astype(x, dtype)
            if x.shape == shape:
                return x
        else:
            x = np.asarray(x, dtype)[()]
        return self._step(BroadcastToGrad, (x,), {"shape": shape}, [(shape, dtype)])[0]

    def _step(
        self, op: Any, operands: tuple[Any, ...], params: dict[str, Any], forms: list[Any],
        several: bool = False,
    ) -> tuple[Abstract, ...]:  # fmt: skip
        step = Step(op, operands, params, "")
        step.values = tuple([Abstract(self.trace, shape, dtype) for shape, dtype in forms])
        for v in step.values:
            v.step = step
        step.several = several
        self.trace.steps.append(step)
        return step.values

    def _called(self, step: Step) -> Sequence[Any]:
        """A call of the op on arrays with the parts side by side."""
        at = tuple(k for k, x in enumerate(step.operands) if type(x) is Abstract and is_complex(x))
        operands = tuple([
            self._joined(self.parts[x]) if k in at else x for k, x in enumerate(step.operands)
        ])  # fmt: skip
        forms = [
            ((*v.shape, 2), real_of(v.dtype)) if is_complex(v) else (v.shape, v.dtype)
            for v in step.values
        ]
        params = {**step.params, "complex_at": at}
        found = self._step(_beside_op(step.op), operands, params, forms, step.several)
        return [
            Pair(y[..., 0], y[..., 1]) if is_complex(v) else y for v, y in zip(step.values, found)
        ]


@functools.cache
def _beside_op(op: Any) -> Any:
    """The op on arrays whose complex numbers are pairs along a last axis."""

    def forward(*xs: Any, complex_at: tuple[int, ...], **params: Any) -> Any:
        given = [together(x)[()] if k in complex_at else x for k, x in enumerate(xs)]
        y = op.forward(*given, **params)
        return tuple(map(_apart, y)) if isinstance(y, tuple) else _apart(y)

    def _apart(y: Any) -> Any:
        return parts_of(y) if is_complex(y) else y

    return type(op.__name__, (), {"name": op.name, "forward": staticmethod(forward)})


# Ops of parts -------------------------------------------------------------------------------------

def _of_each(op: Any, xs: list[Pair], params: dict[str, Any], several: bool) -> list[Any]:
    """A linear op with real coefficients, of each part; indices are as they are."""
    index = getattr(op, "index", ())
    results = []
    for part in ("re", "im"):
        given = []
        for k, x in enumerate(xs):
            if part == "re" or k in index:
                given.append(x.re)
            else:
                given.append(0 * x.re if x.im is None else x.im)
        y = apply(op, *given, **params)
        results.append(y if several else (y,))
    return [Pair(re, im) for re, im in zip(*results, strict=True)]


def _bilinear(f: Callable[[Any, Any], Any], a: Pair, b: Pair) -> Pair:
    if a.im is None:
        return Pair(f(a.re, b.re), f(a.re, b.im))
    if b.im is None:
        return Pair(f(a.re, b.re), f(a.im, b.re))
    return Pair(f(a.re, b.re) - f(a.im, b.im), f(a.re, b.im) + f(a.im, b.re))


def _absorbed(a: Pair, b: Pair) -> Pair:
    a, b = whole(a), whole(b)
    zero = logical_or(*[logical_and(equal(x.re, 0), equal(x.im, 0)) for x in (a, b)])
    y = multiply(a, b)
    return Pair(where(zero, 0, y.re), where(zero, 0, y.im))


def _solve(a: Pair, b: Pair, fill: Any) -> Pair:
    """(a_r + i a_i) (y_r + i y_i) = b, as twice as many real equations."""
    a, b = _whole(a), _whole(b)
    y = apply(SolveGrad, _blocks(a), apply(ConcatenateGrad, b.re, b.im, axis=-2), fill=fill)
    n = a.re.shape[-1]
    return Pair(y[..., :n, :], y[..., n:, :])


def _inverse(x: Pair, fill: Any) -> Pair:
    n = x.re.shape[-1]
    y = apply(InvGrad, _blocks(_whole(x)), fill=fill)
    return Pair(y[..., :n, :n], y[..., n:, :n])


def _blocks(a: Pair) -> Any:
    rows = [apply(ConcatenateGrad, *row, axis=-1) for row in ((a.re, -a.im), (a.im, a.re))]
    return apply(ConcatenateGrad, *rows, axis=-2)


def _whole(x: Pair) -> Pair:
    return Pair(x.re, 0 * x.re) if x.im is None else x


_RULES: dict[Any, Callable[..., Any]] = {
    RealGrad: lambda x: x.real,
    ImagGrad: lambda x: x.imag,
    ConjGrad: lambda x: x.conj(),
    AsTypeGrad: lambda x, dtype: x.astype(dtype),
    AbsorbGrad: _absorbed,
    SolveGrad: _solve,
    InvGrad: _inverse,
    FFTGrad: dft.fft,
    RFFTGrad: dft.rfft,
    IRFFTGrad: dft.irfft,
}


# Loops and branches -------------------------------------------------------------------------------


def _counts(values: Sequence[Any]) -> list[int]:
    return [2 if is_complex(x) else 1 for x in values]


def _flow(pairs: _Pairs, step: Step, params: dict[str, Any]) -> None:
    """The step on parts, one after the other."""
    operands = tuple([part for x in step.operands for part in pairs._each(x)])
    forms = [
        (v.shape, real_of(v.dtype) if is_complex(v) else v.dtype)
        for v in step.values for _ in range(2 if is_complex(v) else 1)
    ]
    found = iter(pairs._step(step.op, operands, params, forms, True))
    new = pairs.trace.steps[-1]
    new.line = step.line
    values = []
    for v in step.values:
        if is_complex(v):
            pair = pairs.parts[v] = Pair(next(found), next(found))
            values += [pair.re, pair.im]
        else:
            next(found)
            values.append(v)
    new.values = tuple(values)


def _scan(pairs: _Pairs, step: Step) -> None:
    p = step.params
    body, n, m = p["body"], p["carry"], p["along"]
    each = _counts(body.inputs)
    starts = np.cumsum([0, *each])
    sums = tuple(int(starts[k]) + j for k in p["sums"] for j in range(each[k]))
    _flow(pairs, step, {
        **p, "body": pairs.inside(body), "carry": sum(each[:n]), "along": sum(each[n : n + m]),
        "sums": sums,
    })  # fmt: skip


def _while(pairs: _Pairs, step: Step) -> None:
    p = step.params
    each = _counts(p["body"].inputs)
    _flow(pairs, step, {
        **p, "body": pairs.inside(p["body"]), "cond": pairs.inside(p["cond"]),
        "carry": sum(each[: p["carry"]]),
    })  # fmt: skip


def _switch(pairs: _Pairs, step: Step) -> None:
    branches = tuple([pairs.inside(branch) for branch in step.params["branches"]])
    _flow(pairs, step, {**step.params, "branches": branches})


_FLOW: dict[Any, Callable[[_Pairs, Step], None]] = {
    ScanGrad: _scan, WhileGrad: _while, SwitchGrad: _switch,
}  # fmt: skip
