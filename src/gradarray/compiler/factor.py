"""Factor: powers of sech and tanh are taken out of products and sums, and multiplied at the end.

Derivatives of tanh are polynomials in s = sech x and t = tanh x, and s^2 and t come from one
exponential. The rules say them in factors: x (-s t) (2 s), one step after the other, and sums of
such. Each value is followed as a Term, c s^j t^k b, and a sum of terms is s^j (b1 + c b2): so what
is left are even powers of s, and a few products. Both factors are at most 1, and c is a small
number of few bits; the order among other factors stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ops.arithmetic import AddGrad, DivideGrad, MultiplyGrad, NegativeGrad, SubtractGrad
from ..ops.hyperbolic import SechGrad, TanhGrad
from ..ops.powers import SquareGrad
from .abstract import Abstract
from .program import Program, Step
from .simplify import Rewriter

MOST = 4  # arguments of sech and tanh in one term: in a chain of layers they grow with each layer

Powers = tuple[tuple[Abstract, int, int], ...]  # (x, power of sech x, power of tanh x), ..


@dataclass(frozen=True, eq=False)
class Term:
    """c, times powers of sech and tanh, times a value (1 where there is none)."""

    c: float
    powers: Powers
    base: Abstract | None

    @property
    def key(self) -> Any:
        """What is the same for terms of the same factors; arrays are never compared with ==."""
        return tuple(sorted((id(x), j, k) for x, j, k in self.powers)), id(self.base)

    @property
    def sech(self) -> int:
        return max((j for _, j, _ in self.powers), default=0)


def factored(program: Program) -> Program:
    """The program with sech and tanh as factors of sums, where there is a sech."""
    if not any(step.op is SechGrad for step in program.steps):
        return program
    return Factoring(program).result()


class Factoring(Rewriter):
    """`terms` says what a value is a product of; what uses it otherwise gets it multiplied out."""

    def __init__(self, program: Program) -> None:
        self.terms: dict[Abstract, Term] = {}
        self.made: dict[Any, Abstract] = {}
        super().__init__(program)

    def result(self) -> Program:
        p = self.program
        p = Program(p.inputs, p.steps, [self.whole(y) for y in p.outputs], p.constants, p.states)
        self.program = p
        return super().result()

    def _step(self, step: Step) -> None:
        self.line = step.line
        rule = _RULES.get(step.op)
        term = None
        if rule is not None and step.values[0].dtype in (np.float32, np.float64):
            term = rule(self, step)
        if term is not None:
            self.terms[step.values[0]] = term
            if term.sech:  # else it is as well made as it was written
                return
        for x in step.inputs:
            self.whole(x)
        super()._step(step)

    def whole(self, x: Any) -> Any:
        """A value multiplied out, if it is a term that was not computed as it was written."""
        if type(x) is Abstract and x not in self.now and x in self.terms:
            self.now[x] = self.product(self.terms[x])
        return x

    def value(self, x: Any) -> Any:
        return self.now.get(x, x) if type(x) is Abstract else x

    def term(self, x: Any, y: Abstract) -> Term | None:
        """What an operand is a product of; None for what is no array of y's dtype."""
        if type(x) is Abstract:
            if x.dtype != y.dtype or x.weak:
                return None
            return self.terms.get(x) or Term(1.0, (), self.value(x))
        number = np.ndim(x) == 0 and isinstance(x, (int, float, np.floating, np.integer))
        return Term(float(x), (), None) if number and _is_scale(float(x)) else None

    def product(self, term: Term) -> Abstract:
        """The steps that multiply a term out."""
        known = self.made.get((term.c, term.key))
        if known is not None:
            return known
        factors = []
        for x, j, k in term.powers:
            if k:
                factors += [self.emit(TanhGrad, x)] * k
            if j >= 2:
                square = self.emit(SquareGrad, self.emit(SechGrad, x))
                factors += [square] * (j // 2)
            if j % 2:
                factors.append(self.emit(SechGrad, x))
        base, c = term.base, term.c
        every = factors if base is None else [base, *factors]
        whole = math.prod(np.broadcast_shapes(*[x.shape for x in every]))
        if base is not None and factors and all(x.size < whole for x in factors):
            factors = [base, self._scaled(self._multiplied(factors), c)]  # the small ones first
            c = 1.0
        else:
            factors = every
        y = self.made[term.c, term.key] = self._scaled(self._multiplied(factors), c)
        return y

    def _multiplied(self, factors: list[Abstract]) -> Abstract:
        y = factors[0]
        for factor in factors[1:]:
            y = self.emit(MultiplyGrad, y, factor)
        return y

    def _scaled(self, y: Abstract, c: float) -> Abstract:
        if c == -1:
            return self.emit(NegativeGrad, y)
        return y if c == 1 else self.emit(MultiplyGrad, y, y.dtype.type(c))


def _is_scale(c: float) -> bool:
    """Is it a number of a few bits, of either sign, that is neither large nor small?"""
    return 2.0**-8 <= abs(c) <= 2.0**8 and (c * 2.0**10).is_integer()


# What the steps make of terms ---------------------------------------------------------------------


def _sech(f: Factoring, step: Step) -> Term | None:
    x = step.operands[0]
    return Term(1.0, ((f.value(x), 1, 0),), None) if _fits(f, x, step) else None


def _tanh(f: Factoring, step: Step) -> Term | None:
    x = step.operands[0]
    return Term(1.0, ((f.value(x), 0, 1),), None) if _fits(f, x, step) else None


def _fits(f: Factoring, x: Any, step: Step) -> bool:
    if type(x) is not Abstract or x.dtype != step.values[0].dtype or x.weak:
        return False
    f.whole(x)
    return True


def _times(f: Factoring, a: Term | None, b: Term | None) -> Term | None:
    if a is None or b is None or not _is_scale(a.c * b.c):
        return None
    powers = {x: (j, k) for x, j, k in a.powers}
    for x, j, k in b.powers:
        j0, k0 = powers.get(x, (0, 0))
        powers[x] = j + j0, k + k0
    if len(powers) > MOST:
        return None
    base = a.base if b.base is None else b.base
    if a.base is not None and b.base is not None:
        base = f.emit(MultiplyGrad, a.base, b.base)
    joined = tuple((x, j, k) for x, (j, k) in powers.items())
    return Term(a.c * b.c, joined, base)


def _multiply(f: Factoring, step: Step) -> Term | None:
    a, b = (f.term(x, step.values[0]) for x in step.operands)
    return _times(f, a, b) if _any_factor(a, b) else None


def _square(f: Factoring, step: Step) -> Term | None:
    a = f.term(step.operands[0], step.values[0])
    return _times(f, a, a) if _any_factor(a) else None


def _negative(f: Factoring, step: Step) -> Term | None:
    a = f.term(step.operands[0], step.values[0])
    return None if a is None else replace(a, c=-a.c)


def _divide(f: Factoring, step: Step) -> Term | None:
    a, b = (f.term(x, step.values[0]) for x in step.operands)
    if b is None or b.base is not None or b.powers:
        return None
    return _times(f, a, replace(b, c=1 / b.c))


def _any_factor(*terms: Term | None) -> bool:
    """Is there a power, or a number, that can be taken out?"""
    return any(t is not None and (t.powers or t.c != 1) for t in terms)


def _add(f: Factoring, step: Step) -> Term | None:
    return _sum(f, step, 1.0)


def _subtract(f: Factoring, step: Step) -> Term | None:
    return _sum(f, step, -1.0)


def _sum(f: Factoring, step: Step, sign: float) -> Term | None:
    """c1 s^j b1 + c2 s^k b2 = c1 s^min (s^.. b1 + c2/c1 s^.. b2)."""
    y = step.values[0]
    a, b = (f.term(x, y) for x in step.operands)
    if a is None or b is None or not (a.sech and b.sech):
        return None
    b = replace(b, c=sign * b.c)
    if a.key == b.key:
        c = a.c + b.c
        return replace(a, c=c) if _is_scale(c) else None
    others = {x: (j, k) for x, j, k in b.powers}
    common = [
        (x, min(j, others[x][0]), min(k, others[x][1])) for x, j, k in a.powers if x in others
    ]
    common = [(x, j, k) for x, j, k in common if j]
    if not common:
        return None
    if not all(y.shape == np.broadcast_shapes(y.shape, x.shape) for x, _, _ in common):
        return None
    left, right = (_without(t, common) for t in (a, b))
    outside = a.c if _is_scale(b.c / a.c) else math.copysign(1.0, a.c)
    ratio = b.c / outside
    if any(t.base is None and not t.powers for t in (left, right)):  # a power alone
        return None
    first = f.product(replace(left, c=a.c / outside))
    second = f.product(replace(right, c=abs(ratio)))
    base = f.emit(AddGrad if ratio > 0 else SubtractGrad, first, second)
    return Term(outside, tuple(common), base)


def _without(term: Term, common: list[tuple[Abstract, int, int]]) -> Term:
    taken = {x: (j, k) for x, j, k in common}
    rest = []
    for x, j, k in term.powers:
        j0, k0 = taken.get(x, (0, 0))
        if j > j0 or k > k0:
            rest.append((x, j - j0, k - k0))
    return replace(term, powers=tuple(rest))


_RULES: dict[Any, Any] = {
    SechGrad: _sech, TanhGrad: _tanh, MultiplyGrad: _multiply, SquareGrad: _square,
    NegativeGrad: _negative, DivideGrad: _divide, AddGrad: _add, SubtractGrad: _subtract,
}  # fmt: skip
