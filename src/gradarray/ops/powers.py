"""Squares, roots and reciprocals: powers with a fixed exponent; distances from the origin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..choices import choice
from ..short import elementwise
from .arithmetic import negative
from .compare import equal, where
from .complex import is_complex

__all__ = [
    "cbrt",
    "hypot",
    "reciprocal",
    "rsqrt",
    "sqrt",
    "square",
]

_float64 = np.float64


class SquareGrad(Elementwise):
    """y = x^2. dy/dx = 2x.

    >>> import gradarray as ga
    >>> ga.square([1.0, -3.0])
    GradArray([1., 9.], dtype=float64)
    """

    # A NumPy scalar is multiplied many times faster than a ufunc is called on it.
    forward = staticmethod(lambda x: x * x if type(x) is _float64 else np.square(x))
    partials = (lambda x: x + x,)
    tex = "{x}^2"


square = elementwise(SquareGrad, numpy=np.square)


class ReciprocalGrad(Elementwise):
    """y = 1/x. dy/dx = -y^2. Of integers 1/x without remainder, as in NumPy.

    >>> import gradarray as ga
    >>> ga.reciprocal([1.0, 4.0])
    GradArray([1.  , 0.25], dtype=float64)
    """

    forward = staticmethod(lambda x: 1 / x if type(x) is _float64 else np.reciprocal(x))
    partials = (lambda y: negative(square(y)),)
    tex = r"\frac{1}{{x}}"
    domain = (0.5, 2.0)


reciprocal = elementwise(ReciprocalGrad, numpy=np.reciprocal)


def _reciprocal_or(x: Any, at_0: float) -> Any:
    if type(x) is _float64:
        return 1 / x if x else _float64(at_0)
    y = 1 / x
    return y if x.all() else np.where(np.equal(x, 0), y.dtype.type(at_0), y)[()]


class ReciprocalOrGrad(Elementwise):
    """y = 1/x, and `at_0` at 0; the derivatives are 0 there. dy/dx = -y^2.

    The slope of a function that is itself finite where its slope is not: sqrt, cbrt, arcsin, ...
    """

    name = "reciprocal_or"
    forward = _reciprocal_or
    partials = (lambda x: negative(square(reciprocal_or(x, 0.0))),)
    tex = r"\frac{1}{{x}}"
    domain = (0.5, 2.0)


reciprocal_or = ReciprocalOrGrad.of

VERTICAL = "upright: an infinite slope times a 0 from elsewhere is NaN; 0 leaves the point at rest"
_sqrt_at_0 = choice(
    "sqrt", "x = 0", 0.0, between=(0.0, math.inf), at=lambda x: np.equal(x, 0),
    reason=f"{VERTICAL}; sqrt(x^2) then has the slope of |x|",
)  # fmt: skip


class SqrtGrad(Elementwise):
    r"""y = \sqrt x. dy/dx = 1/(2y), and 0 at 0, where it is infinite (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.sqrt([1.0, 4.0])
    GradArray([1., 2.], dtype=float64)
    """

    forward = np.sqrt
    partials = (lambda y: reciprocal_or(y + y, _sqrt_at_0.value),)
    tex = r"\sqrt{{x}}"
    domain = (0.1, 3.0)


sqrt = elementwise(SqrtGrad, numpy=np.sqrt)


class CoSquareGrad(Elementwise):
    """y = 1 - x^2, factored: 1 - x^2 itself loses digits near 1. dy/dx = -2x, exact near 0 too."""

    forward = staticmethod(lambda x: (1 - x) * (1 + x))
    partials = (lambda x: -2 * x,)
    tex = "1 - {x}^2"


co_square = CoSquareGrad.of


class RSqrtGrad(Elementwise):
    r"""y = 1/\sqrt x. dy/dx = -y^3/2.

    >>> import gradarray as ga
    >>> ga.rsqrt([1.0, 4.0])
    GradArray([1. , 0.5], dtype=float64)
    """

    forward = staticmethod(lambda x: 1 / np.sqrt(x))
    partials = (lambda y: -0.5 * y * square(y),)
    tex = r"\frac{1}{\sqrt{{x}}}"
    domain = (0.3, 3.0)


rsqrt = elementwise(RSqrtGrad, reference=lambda x: 1 / np.sqrt(x))


_cbrt_at_0 = choice(
    "cbrt", "x = 0", 0.0, between=(0.0, math.inf), at=lambda x: np.equal(x, 0), reason=VERTICAL
)


class CbrtGrad(Elementwise):
    r"""y = \sqrt[3] x, of negative x too. dy/dx = 1/(3y^2), 0 at 0 (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.cbrt([8.0, -27.0])
    GradArray([ 2., -3.], dtype=float64)
    """

    forward = np.cbrt
    partials = (lambda y: reciprocal_or(3 * square(y), _cbrt_at_0.value),)
    tex = r"\sqrt[3]{{x}}"
    domain = (0.3, 3.0)


cbrt = elementwise(CbrtGrad, numpy=np.cbrt)


# Distances ----------------------------------------------------------------------------------------


def both_0(a: Any, b: Any) -> Any:
    return np.equal(a, 0) & np.equal(b, 0)


_hypot_at_0 = choice(
    "hypot", "a = b = 0", 0.0, between=(-1.0, 1.0), at=both_0,
    reason="the centre of the unit disc",
)  # fmt: skip


def _direction(a: Any, b: Any) -> Any:
    h = np.hypot(a, b)
    return a / (h + np.equal(h, 0))


def away_from_0(h: Any) -> Any:
    """h, and 1 where h = 0."""
    return where(equal(h, 0), 1, h)


class DirectionGrad(Elementwise):
    r"""y = a / \sqrt{a^2 + b^2}, the cosine of the angle from a to (a, b); 0 at the origin.

    With v = b / \sqrt{a^2 + b^2}, dy/da = v^2/h and dy/db = -y v/h: a closed family, in which
    nothing cancels and nothing overflows before its result does.
    """

    forward = _direction
    partials = (
        lambda a, b: square(direction(b, a)) / away_from_0(hypot(a, b)),
        lambda a, b: negative(direction(a, b) * direction(b, a)) / away_from_0(hypot(a, b)),
    )
    tex = r"\frac{{a}}{\sqrt{{a}^2 + {b}^2}}"


direction = DirectionGrad.of


def at_origin(a: Any, b: Any, value: float, elsewhere: Any) -> Any:
    """`elsewhere`, which is 0 where a = b = 0, with `value` there."""
    return elsewhere if value == 0 else where(equal(hypot(a, b), 0), value, elsewhere)


class HypotGrad(Elementwise):
    r"""y = \sqrt{a^2 + b^2} without overflow. dy/da = a/y, 0 at the origin.

    >>> import gradarray as ga
    >>> ga.hypot(3.0, [4.0, 0.0])
    GradArray([5., 3.], dtype=float64)
    """

    forward = np.hypot
    partials = (
        lambda a, b: at_origin(a, b, _hypot_at_0.value, direction(a, b)),
        lambda a, b: at_origin(a, b, _hypot_at_0.value, direction(b, a)),
    )
    tex = r"\sqrt{{a}^2 + {b}^2}"


hypot = elementwise(HypotGrad, numpy=np.hypot)


def hypot1(x: Any) -> Any:
    """sqrt(1 + x^2), without overflow where x is real."""
    return sqrt(1 + square(x)) if is_complex(x) else hypot(1, x)
