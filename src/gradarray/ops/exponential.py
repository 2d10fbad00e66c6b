"""Powers with any exponent, exponentials and logarithms."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise, given
from ..array import GradArray, lift
from ..choices import choice
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import absorb
from .compare import equal, greater, greater_equal, less, where
from .complex import is_complex, real
from .hyperbolic import sigmoid
from .logical import logical_and
from .powers import VERTICAL, reciprocal, sqrt, square

__all__ = [
    "exp",
    "exp2",
    "expm1",
    "float_power",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "pow",
    "power",
]

_LN2, _LN10 = math.log(2), math.log(10)

# Powers -----------------------------------------------------------------------------------------


_power_base_at_0 = choice(
    "power.a", "a = 0, where a^b is finite and its slope in a is not (0 < b < 1)", 0.0,
    between=(0.0, math.inf), reason=VERTICAL,
    at={
        "fixed_power": lambda x, n: np.equal(x, 0) & (0 < n) & (n < 1),
        "power": lambda a, b: np.equal(a, 0) & np.greater(b, 0) & np.less(b, 1),
    },
)  # fmt: skip
_power_at_0 = choice(
    "power.b", "a = b = 0, in b", 0.0, between=(-math.inf, 0.0),
    reason="0^b is 1 at b = 0 and 0 above: no finite slope; 0 as at every b > 0",
    at={"power": lambda a, b: np.equal(a, 0) & np.equal(b, 0)},
)  # fmt: skip


class FixedPowerGrad(Elementwise):
    """y = x^n for a fixed number n. dy/dx = n x^(n-1), and 0 exactly where n = 0."""

    name = "fixed_power"
    forward = staticmethod(lambda x, n: x**n)
    partials = (lambda x, n: _fixed_slope(x, n),)
    tex = "{x}^{{n}}"


_fixed_power = FixedPowerGrad.of


def _fixed_slope(x: Any, n: Any) -> Any:
    if n == 0:
        return 0
    if not 0 < n < 1:
        return n * x ** (n - 1)
    return _at_0(equal(x, 0), n * apply(FinitePowerGrad, x, n - 1, True))


def _at_0(where_0: Any, slope: Any) -> Any:
    value = _power_base_at_0.value
    return slope if value == 0 else where(where_0, value, slope)


def _finite_power(a: Any, b: Any, finite: Any) -> Any:
    pole = np.equal(a, 0) & np.less(np.real(b), 0) & finite
    return np.where(pole, 0, np.where(pole, 1, a) ** b)[()] if np.any(pole) else a**b


class FinitePowerGrad(Elementwise):
    """y = a^b, but where `finite` holds 0 at a = 0, however negative b is.

    The slopes of what is finite at a = 0, but from some order on has none that are.
    """

    name = "finite_power"
    operands = ("a", "b", "finite")
    forward = _finite_power
    partials = (
        lambda a, b, finite: absorb(b, apply(FinitePowerGrad, a, b - 1, finite)),
        lambda a, b, y: absorb(y, _log_of_base(a, b)),
        None,
    )
    tex = "{a}^{{b}}"


def _not_negative(b: Any) -> Any:
    return greater_equal(real(b) if is_complex(b) else b, 0)


def _log_of_base(a: Any, b: Any) -> Any:
    """log a; and where a = 0 <= b, so that a^b is finite, 0: its pole does not count there."""
    finite = logical_and(equal(a, 0), _not_negative(b))
    log_a = log(where(finite, 1, a))
    value = _power_at_0.value
    return log_a if value == 0 else where(logical_and(finite, equal(b, 0)), value, log_a)


def _base_slope(a: Any, b: Any) -> Any:
    slope = absorb(b, apply(FinitePowerGrad, a, b - 1, _not_negative(b)))
    if _power_base_at_0.value == 0:
        return slope
    return _at_0(logical_and(equal(a, 0), logical_and(greater(b, 0), less(b, 1))), slope)


class PowerGrad(Elementwise):
    r"""y = a^b. dy/da = b a^{b-1}, dy/db = y \log a.

    The products absorb zeros: dy/da is 0 where b = 0, and dy/db is 0 where a = 0 < b. So is, where
    a = 0 < b, every derivative that would be infinite.
    """

    forward = operator.pow
    partials = (_base_slope, lambda a, b, y: absorb(y, _log_of_base(a, b)))
    tex = "{a}^{{b}}"
    domain = ((0.2, 2.0), (-2.0, 2.0))


_any_power = PowerGrad.of


@public(
    numpy=np.power,
    op=PowerGrad,
    method="__pow__",
    aliases=("pow",),
    cases=[
        case(arr(2, 3, low=0.2), arr(2, 3)),
        case(arr(2, 1, low=0.2), arr(3)),
        case(arr(low=0.2), arr(2)),
        case(arr(4), 2),
        case(arr(4), 3),
        case(arr(4), 1),
        case(arr(4), 0),
        case(arr(4, low=0.5), -1),
        case(arr(4, low=0.5), -3),
        case(arr(4, low=0.5), 0.5),
        case(arr(4, low=0.5), 2.5),
        case(2.0, arr(4)),
        case(arr(3), arr(2, 1, kind="int", low=1, high=4)),
    ],
)
def power(a: Any, b: Any) -> GradArray:
    r"""y = a^b. dy/da = b a^{b-1} (0 where b = 0), dy/db = y \log a (0 where a = 0 and b > 0).

    Where a = 0 and a^b is finite, derivatives that would be infinite are 0 (see `set_subgradient`):
    the first of x^{0.5}, the second of x^{1.5}. A Python number as exponent is part of the
    operation: x**3 has the derivatives 3x^2, 6x, 6, 0, exactly, at 0 and at negative x too. Raises
    ValueError for a negative integer power of integers.

    >>> import gradarray as ga
    >>> ga.power([1.0, 2.0], 3.0)
    GradArray([1., 8.], dtype=float64)
    """
    kind = type(b)
    if (kind is int or kind is float) and isinstance(a, GradArray):
        of = a._data.dtype.kind
        if of == "f" or of == "c":
            # As NumPy does: exact, and many times faster than pow.
            if b == 2:
                return square(a)
            if b == 0.5:
                return sqrt(a)
            if b == -1:
                return reciprocal(a)
            return _fixed_power(a, b)
        if of == "b" and kind is int:
            b = np.int64(b)  # booleans count as integers; Python's operator makes int8 of them
    return _any_power(a, b)


pow = power


@public(numpy=np.float_power, cases=[case(arr(2, 3, low=0.2), arr(3)), case(arr(3), 3)])
def float_power(a: Any, b: Any) -> GradArray:
    """y = a^b computed in float64 (or complex128) at least, also for integers; see `power`.

    >>> import gradarray as ga
    >>> ga.float_power([2, 4], -1)
    GradArray([0.5 , 0.25], dtype=float64)
    """
    a, b = lift(a), lift(b)
    dtype = np.result_type(a.dtype, b.dtype, np.float64)
    return power(_astype(a, dtype), _astype(b, dtype))


def _astype(x: Any, dtype: np.dtype) -> Any:
    return x if x.dtype == dtype else given.astype(x, dtype)


# Exponentials -------------------------------------------------------------------------------------


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


class Exp2Grad(Elementwise):
    r"""y = 2^x. dy/dx = y \log 2.

    >>> import gradarray as ga
    >>> ga.exp2([0.0, 3.0])
    GradArray([1., 8.], dtype=float64)
    """

    forward = np.exp2
    partials = (lambda y: _LN2 * y,)
    tex = "2^{{x}}"


exp2 = elementwise(Exp2Grad, numpy=np.exp2)


class Expm1Grad(Elementwise):
    r"""y = e^x - 1, with all its digits near 0. dy/dx = e^x.

    >>> import gradarray as ga
    >>> ga.expm1([0.0, 1e-10])
    GradArray([0.e+00, 1.e-10], dtype=float64)
    """

    forward = np.expm1
    # From x: y + 1 has no digits left where y is near -1.
    partials = (lambda x: exp(x),)
    tex = r"\exp({x}) - 1"


expm1 = elementwise(Expm1Grad, numpy=np.expm1)


# Logarithms ---------------------------------------------------------------------------------------


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


class Log2Grad(Elementwise):
    r"""y = \log_2 x. dy/dx = 1/(x \log 2).

    >>> import gradarray as ga
    >>> ga.log2([1.0, 8.0])
    GradArray([0., 3.], dtype=float64)
    """

    forward = np.log2
    partials = (lambda x: (1 / _LN2) / x,)
    tex = r"\log_2 {x}"
    domain = (0.2, 3.0)


log2 = elementwise(Log2Grad, numpy=np.log2)


class Log10Grad(Elementwise):
    r"""y = \log_{10} x. dy/dx = 1/(x \log 10).

    >>> import gradarray as ga
    >>> ga.log10([1.0, 1000.0])
    GradArray([0., 3.], dtype=float64)
    """

    forward = np.log10
    partials = (lambda x: (1 / _LN10) / x,)
    tex = r"\log_{10} {x}"
    domain = (0.2, 3.0)


log10 = elementwise(Log10Grad, numpy=np.log10)


class Log1pGrad(Elementwise):
    r"""y = \log(1 + x), with all its digits near 0. dy/dx = 1/(1 + x).

    >>> import gradarray as ga
    >>> ga.log1p([0.0, 1e-10])
    GradArray([0.e+00, 1.e-10], dtype=float64)
    """

    forward = np.log1p
    partials = (lambda x: reciprocal(1 + x),)
    tex = r"\log(1 + {x})"
    domain = (-0.7, 2.0)


log1p = elementwise(Log1pGrad, numpy=np.log1p)


# Sums of exponentials -----------------------------------------------------------------------------


def _gap(a: Any, b: Any) -> Any:
    gap = np.subtract(a, b)
    return np.where(np.equal(a, b), gap.dtype.type(0), gap)[()]


class GapGrad(Elementwise):
    """y = a - b, and 0 where both are the same infinity."""

    forward = _gap
    partials = (1, -1)
    tex = "{a} - {b}"


gap = GapGrad.of


def _same_infinity(a: Any, b: Any) -> Any:
    return np.isinf(a) & np.equal(a, b)


choice(
    "logaddexp", "a = b, both infinite", 0.5,
    at={"logaddexp": _same_infinity, "logaddexp2": _same_infinity},
    reason="as at every other a = b; logaddexp2 as well",
)  # fmt: skip


class LogAddExpGrad(Elementwise):
    r"""y = \log(e^a + e^b) without overflow. dy/da = \sigma(a - b), dy/db = \sigma(b - a).

    >>> import gradarray as ga
    >>> ga.logaddexp([0.0, 1000.0], [0.0, 1000.0])
    GradArray([6.93147181e-01, 1.00069315e+03], dtype=float64)
    """

    forward = np.logaddexp
    partials = (lambda a, b: sigmoid(gap(a, b)), lambda a, b: sigmoid(gap(b, a)))
    tex = r"\log(\exp {a} + \exp {b})"


logaddexp = elementwise(LogAddExpGrad, numpy=np.logaddexp)


class LogAddExp2Grad(Elementwise):
    r"""y = \log_2(2^a + 2^b) without overflow. dy/da = \sigma((a - b) \log 2).

    >>> import gradarray as ga
    >>> ga.logaddexp2([0.0, 10.0], [0.0, 10.0])
    GradArray([ 1., 11.], dtype=float64)
    """

    forward = np.logaddexp2
    partials = (
        lambda a, b: sigmoid(_LN2 * gap(a, b)),
        lambda a, b: sigmoid(_LN2 * gap(b, a)),
    )
    tex = r"\log_2(2^{{a}} + 2^{{b}})"


logaddexp2 = elementwise(LogAddExp2Grad, numpy=np.logaddexp2)
