"""Arithmetic: sums, products, quotients, signs and magnitudes."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise, given
from ..array import GradArray, is_foreign, lift
from ..choices import choice
from ..graph import mode
from ..project import absorb_raw
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .compare import equal, where
from .complex import conj, is_complex
from .logical import isinf, logical_and, logical_not

__all__ = [
    "abs",
    "absolute",
    "add",
    "copysign",
    "divide",
    "fabs",
    "heaviside",
    "lerp",
    "multiply",
    "negative",
    "positive",
    "sign",
    "subtract",
    "true_divide",
]


class AddGrad(Elementwise):
    """y = a + b.

    >>> import gradarray as ga
    >>> ga.add([1.0, 2.0], 3.0)
    GradArray([4., 5.], dtype=float64)
    """

    forward = operator.add
    partials = (1, 1)
    tex = "{a} + {b}"


add = elementwise(AddGrad, numpy=np.add, method="__add__")


class SubtractGrad(Elementwise):
    """y = a - b.

    >>> import gradarray as ga
    >>> ga.subtract([1.0, 2.0], 3.0)
    GradArray([-2., -1.], dtype=float64)
    """

    forward = operator.sub
    partials = (1, -1)
    tex = "{a} - {b}"


subtract = elementwise(SubtractGrad, numpy=np.subtract, method="__sub__")


class MultiplyGrad(Elementwise):
    """y = a b.

    >>> import gradarray as ga
    >>> ga.multiply([1.0, 2.0], 3.0)
    GradArray([3., 6.], dtype=float64)
    """

    forward = operator.mul
    partials = (lambda b: b, lambda a: a)
    beside = staticmethod(lambda b, a: flat_at_0_inf(b, a, b))
    tex = r"{a} \cdot {b}"


def flat_at_0_inf(p: Any, a: Any, b: Any) -> Any:
    """p, and 0 where a b is 0 times infinity: a is exactly 0, and b infinite.

    Such a product has no value, but comes of functions like x log x, which is flat at 0 by choice.
    """
    return absorb(p, logical_not(logical_and(equal(a, 0), isinf(b)))) if _may_be_inf(p) else p


def _may_be_inf(x: Any) -> bool:
    """Is it not certain that all is finite? (The sum of what holds an infinity is not.)"""
    if mode.trace is not None and (is_foreign(x) or isinstance(x, GradArray)):
        return mode.trace.absorbing
    if is_foreign(x):
        return _may_be_inf(x.c[0])
    data = x._base()._data if isinstance(x, GradArray) else x
    total = np.add.reduce(data, axis=None) if isinstance(data, np.ndarray) else data
    return total - total != 0


multiply = elementwise(MultiplyGrad, numpy=np.multiply, method="__mul__")


class DivideGrad(Elementwise):
    r"""y = a / b. dy/da = 1/b, dy/db = -y/b.

    >>> import gradarray as ga
    >>> ga.divide([1.0, 2.0], 4.0)
    GradArray([0.25, 0.5 ], dtype=float64)
    """

    forward = operator.truediv
    partials = (lambda b: 1 / b, lambda b, y: negative(divide(y, b)))
    tex = r"\frac{{a}}{{b}}"
    domain = ((-2.0, 2.0), (0.5, 2.0))


divide = elementwise(DivideGrad, numpy=np.divide, method="__truediv__", aliases=("true_divide",))
true_divide = divide


class NegativeGrad(Elementwise):
    """y = -x.

    >>> import gradarray as ga
    >>> ga.negative([1.0, -2.0])
    GradArray([-1.,  2.], dtype=float64)
    """

    forward = operator.neg
    partials = (-1,)
    tex = "-{x}"


negative = elementwise(NegativeGrad, numpy=np.negative, method="__neg__")


class PositiveGrad(Elementwise):
    """y = x.

    >>> import gradarray as ga
    >>> ga.positive([1.0, -2.0])
    GradArray([ 1., -2.], dtype=float64)
    """

    forward = operator.pos
    partials = (1,)
    tex = "{x}"


positive = elementwise(PositiveGrad, numpy=np.positive, method="__pos__")


class AbsorbGrad(Elementwise):
    """y = a b, and 0 where either factor is exactly 0, whatever the other is.

    The product of a cotangent (or tangent) with a partial derivative: a branch that was masked
    out sends back exactly 0, and 0 times an infinite partial must stay 0. Bilinear, and closed
    under its own rules.
    """

    forward = absorb_raw
    partials = (lambda b: b, lambda a: a)
    beside = staticmethod(lambda b, a: flat_at_0_inf(b, a, b))
    tex = r"{a} \cdot {b}"


absorb = AbsorbGrad.of
given.absorb = absorb


# Signs and magnitudes -----------------------------------------------------------------------------

_absolute_at_0 = choice(
    "absolute", "x = 0", 0.0, between=(-1.0, 1.0), reason="the middle, as the sign of 0",
    at={"absolute": lambda x: np.equal(x, 0), "fabs": lambda x: np.equal(x, 0)},
)  # fmt: skip


STEP = "a step: flat on both sides, and the jump itself has no slope"
choice("sign", "x = 0", 0.0, reason=STEP, at=lambda x: np.equal(x, 0))


class SignGrad(Elementwise):
    """y = -1, 0 or 1, of a real x."""

    forward = np.sign
    partials = (0,)
    tex = r"\operatorname{sign} {x}"


_sign = SignGrad.of


@public(numpy=np.sign, op=SignGrad)
def sign(x: Any) -> GradArray:
    """y = -1, 0 or 1 by the sign of x; x/|x| (and 0 at 0) if x is complex. dy/dx = 0 if real.

    >>> import gradarray as ga
    >>> ga.sign([-3.0, 0.0, 2.0])
    GradArray([-1.,  0.,  1.], dtype=float64)
    """
    x = lift(x)
    return x * _length_inverse(x) if is_complex(x) else _sign(x)


def _length_inverse(x: Any) -> Any:
    """1/|x| of a complex x, and 0 at 0."""
    at_0 = equal(x, 0)
    return where(at_0, 0, 1 / where(at_0, 1, absolute(x)))


def _absolute_slope(x: Any) -> Any:
    if is_complex(x):
        # d|x| = Re(x^* dx) / |x|, and 0 at 0.
        return conj(x) * _length_inverse(x)
    at_0 = _absolute_at_0.value
    return sign(x) if at_0 == 0 else where(equal(x, 0), at_0, sign(x))


class AbsoluteGrad(Elementwise):
    r"""y = |x|. dy/dx = sign x, 0 at 0 (see `set_subgradient`); conj(x)/|x| if x is complex.

    >>> import gradarray as ga
    >>> ga.absolute([-2.0, 1.0])
    GradArray([2., 1.], dtype=float64)
    """

    forward = operator.abs
    partials = (_absolute_slope,)
    always_meta = True  # a complex x has a real y
    tex = "|{x}|"


absolute = elementwise(AbsoluteGrad, numpy=np.absolute, method="__abs__", aliases=("abs",))
abs = absolute


class FAbsGrad(Elementwise):
    r"""y = |x| of a real x, in floating point also for integers. dy/dx = sign x, 0 at 0.

    >>> import gradarray as ga
    >>> ga.fabs([-2, 1])
    GradArray([2., 1.], dtype=float64)
    """

    forward = np.fabs
    partials = (_absolute_slope,)
    tex = "|{x}|"


fabs = elementwise(FAbsGrad, numpy=np.fabs)

_copysign_at_0 = choice(
    "copysign", "a = 0", 0.0, between=(-1.0, 1.0), at=lambda a: np.equal(a, 0),
    reason="|a| has its kink there; as absolute",
)  # fmt: skip


def _copysign_slope(a: Any, b: Any) -> Any:
    slope, at_0 = copysign(1, a) * copysign(1, b), _copysign_at_0.value
    return where(equal(a, 0), at_0 * copysign(1, b), slope)


class CopySignGrad(Elementwise):
    r"""y = |a| with the sign of b (that of zeros too). dy/da = \pm 1, 0 at a = 0; dy/db = 0.

    >>> import gradarray as ga
    >>> ga.copysign([1.0, -2.0], [-0.0, 3.0])
    GradArray([-1.,  2.], dtype=float64)
    """

    forward = np.copysign
    partials = (_copysign_slope, 0)
    tex = r"|{a}| \operatorname{sign} {b}"


copysign = elementwise(CopySignGrad, numpy=np.copysign)


choice("heaviside", "a = 0, in a", 0.0, reason=STEP, at=lambda a: np.equal(a, 0))


class HeavisideGrad(Elementwise):
    r"""y = 0 for a < 0, 1 for a > 0, b at a = 0. dy/da = 0; dy/db = 1 at a = 0, else 0.

    >>> import gradarray as ga
    >>> ga.heaviside([-1.0, 0.0, 2.0], 0.5)
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """

    forward = np.heaviside
    partials = (0, lambda a: equal(a, 0))
    tex = r"\theta({a})"


heaviside = elementwise(HeavisideGrad, numpy=np.heaviside)


# Interpolation ------------------------------------------------------------------------------------


class LerpGrad(Elementwise):
    """y = (1 - t) a + t b."""

    operands = ("a", "b", "t")
    forward = staticmethod(lambda a, b, t: (1 - t) * a + t * b)
    partials = (lambda t: 1 - t, lambda t: t, lambda a, b: b - a)
    tex = r"(1 - {t}) \cdot {a} + {t} \cdot {b}"


@public(
    op=LerpGrad,
    reference=lambda a, b, t: (1 - t) * a + t * b,
    cases=[case(arr(2, 3), arr(3), 0.25), case(arr(2, 1), arr(3), arr(2, 3, low=0.0, high=1.0))],
)
def lerp(a: Any, b: Any, t: Any) -> GradArray:
    """y = (1 - t) a + t b: on the way from a (t = 0) to b (t = 1), exact at both ends.

    >>> import gradarray as ga
    >>> ga.lerp([0.0, 10.0], [1.0, 20.0], 0.25)
    GradArray([ 0.25, 12.5 ], dtype=float64)
    """
    return apply(LerpGrad, lift(a), lift(b), t if isinstance(t, (int, float)) else lift(t))
