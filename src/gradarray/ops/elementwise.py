"""Elementwise ops of one and two operands: arithmetic, powers, exponentials, trigonometry."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise, absorb_raw, given
from ..array import GradArray, method
from ..record import elementwise, elementwise_function
from .compare import equal, greater, logical_and, where


def _reflected(name: str, fn: Any) -> None:
    def reflected(b: Any, a: Any) -> GradArray:
        return fn(a, b)

    method(name)(reflected)


# Arithmetic -------------------------------------------------------------------------------------


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
_reflected("__radd__", add)


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
_reflected("__rsub__", subtract)


class MultiplyGrad(Elementwise):
    """y = a b.

    >>> import gradarray as ga
    >>> ga.multiply([1.0, 2.0], 3.0)
    GradArray([3., 6.], dtype=float64)
    """

    forward = operator.mul
    partials = (lambda b: b, lambda a: a)
    tex = r"{a} \cdot {b}"


multiply = elementwise(MultiplyGrad, numpy=np.multiply, method="__mul__")
_reflected("__rmul__", multiply)


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
_reflected("__rtruediv__", divide)


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


class AbsorbGrad(Elementwise):
    """y = a b, and 0 where either factor is exactly 0, whatever the other is.

    The product of a cotangent (or tangent) with a partial derivative: a branch that was masked
    out sends back exactly 0, and 0 times an infinite partial must stay 0. Bilinear, and closed
    under its own rules.
    """

    forward = absorb_raw
    partials = (lambda b: b, lambda a: a)
    tex = r"{a} \cdot {b}"


absorb = elementwise_function(AbsorbGrad)


# Powers -----------------------------------------------------------------------------------------


class SquareGrad(Elementwise):
    """y = x^2.

    >>> import gradarray as ga
    >>> ga.square([1.0, -3.0])
    GradArray([1., 9.], dtype=float64)
    """

    forward = staticmethod(lambda x: x * x)
    partials = (lambda x: x + x,)
    tex = "{x}^2"


square = elementwise(SquareGrad, numpy=np.square)


class ReciprocalGrad(Elementwise):
    """y = 1/x. dy/dx = -y^2.

    >>> import gradarray as ga
    >>> ga.reciprocal([1.0, 4.0])
    GradArray([1.  , 0.25], dtype=float64)
    """

    forward = np.reciprocal
    partials = (lambda y: negative(square(y)),)
    tex = r"\frac{1}{{x}}"
    domain = (0.5, 2.0)


reciprocal = elementwise(ReciprocalGrad, numpy=np.reciprocal)


class SqrtGrad(Elementwise):
    r"""y = \sqrt x. dy/dx = 1/(2y).

    >>> import gradarray as ga
    >>> ga.sqrt([1.0, 4.0])
    GradArray([1., 2.], dtype=float64)
    """

    forward = np.sqrt
    partials = (lambda y: 0.5 / y,)
    tex = r"\sqrt{{x}}"
    domain = (0.1, 3.0)


sqrt = elementwise(SqrtGrad, numpy=np.sqrt)


class PowerGrad(Elementwise):
    r"""y = a^b. dy/da = b a^{b-1} (0 where b = 0), dy/db = y \log a (0 where a = 0 and b > 0).

    >>> import gradarray as ga
    >>> ga.power([1.0, 2.0], 3.0)
    GradArray([1., 8.], dtype=float64)
    """

    forward = operator.pow
    partials = (
        lambda a, b: b * power(a, where(equal(b, 0), 1, b - 1)),
        lambda a, b, y: y * log(where(logical_and(equal(a, 0), greater(b, 0)), 1, a)),
    )
    tex = "{a}^{{b}}"
    domain = ((0.2, 2.0), (-2.0, 2.0))


power = elementwise(PowerGrad, numpy=np.power)


@method("__pow__")
def _pow(a: Any, b: Any) -> GradArray:
    # NumPy's own short ways for a constant exponent: exact, and many times faster than pow.
    if type(b) in (int, float):
        if b == 2:
            return square(a)
        if b == 1:
            return multiply(a, 1)
        if b == 0.5:
            return sqrt(a)
        if b == -1 and a.dtype.kind in "fc":
            return reciprocal(a)
    return power(a, b)


_reflected("__rpow__", power)


# Exponentials and logarithms ----------------------------------------------------------------------


class ExpGrad(Elementwise):
    r"""y = e^x. dy/dx = y.

    >>> import gradarray as ga
    >>> ga.exp([0.0, 1.0])
    GradArray([1.        , 2.71828183], dtype=float64)
    """

    forward = np.exp
    partials = (lambda y: y,)
    tex = r"\exp {x}"


exp = elementwise(ExpGrad, numpy=np.exp)


class LogGrad(Elementwise):
    r"""y = \log x, the natural logarithm. dy/dx = 1/x.

    >>> import gradarray as ga
    >>> ga.log([1.0, 2.0])
    GradArray([0.        , 0.69314718], dtype=float64)
    """

    forward = np.log
    partials = (lambda x: reciprocal(x),)
    tex = r"\log {x}"
    domain = (0.2, 3.0)


log = elementwise(LogGrad, numpy=np.log)


# Trigonometric and hyperbolic ---------------------------------------------------------------------


class SinGrad(Elementwise):
    r"""y = \sin x, x in radians. dy/dx = \cos x.

    >>> import gradarray as ga
    >>> ga.sin([0.0, 1.0])
    GradArray([0.        , 0.84147098], dtype=float64)
    """

    forward = np.sin
    partials = (lambda x: cos(x),)
    tex = r"\sin {x}"


sin = elementwise(SinGrad, numpy=np.sin)


class CosGrad(Elementwise):
    r"""y = \cos x, x in radians. dy/dx = -\sin x.

    >>> import gradarray as ga
    >>> ga.cos([0.0, 1.0])
    GradArray([1.        , 0.54030231], dtype=float64)
    """

    forward = np.cos
    partials = (lambda x: negative(sin(x)),)
    tex = r"\cos {x}"


cos = elementwise(CosGrad, numpy=np.cos)


class TanhGrad(Elementwise):
    r"""y = \tanh x. dy/dx = sech^2 x.

    Keeps x: sech(x)^2 stays exact where tanh saturates (1 - y^2 is 0 at 20), and tanh and sech
    are a closed pair under differentiation.

    >>> import gradarray as ga
    >>> ga.tanh([0.0, 1.0])
    GradArray([0.        , 0.76159416], dtype=float64)
    """

    forward = np.tanh
    partials = (lambda x: square(sech(x)),)
    tex = r"\tanh {x}"
    domain = (-3.0, 3.0)


tanh = elementwise(TanhGrad, numpy=np.tanh)


def _sech(x: Any) -> Any:
    # 2 e / (1 + e^2) with e = exp(-|x|): no overflow anywhere.
    e = np.exp(-np.abs(x))
    return 2 * e / (1 + e * e)


class SechGrad(Elementwise):
    r"""y = sech x = 1 / \cosh x. dy/dx = -y \tanh x.

    >>> import gradarray as ga
    >>> ga.sech([0.0, 1.0])
    GradArray([1.        , 0.64805427], dtype=float64)
    """

    forward = _sech
    partials = (lambda x, y: negative(y * tanh(x)),)
    tex = r"\operatorname{sech} {x}"
    domain = (-3.0, 3.0)


sech = elementwise(SechGrad, reference=lambda x: 1 / np.cosh(x))


given.absorb = absorb
