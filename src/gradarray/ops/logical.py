"""Truth values and bits: logical and bitwise ops, and questions about numbers."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise

__all__ = [
    "allclose",
    "array_equal",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "invert",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "left_shift",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "right_shift",
    "signbit",
]

_BOOLS = [
    case(arr(2, 3, kind="bool"), arr(3, kind="bool")),
    case(arr(4, kind="int"), arr(4, kind="bool")),
]
_BITS = [
    case(arr(2, 3, low=-9, high=9, kind="int"), arr(3, low=-9, high=9, kind="int")),
    case(arr(2, 1, kind="bool"), arr(3, kind="bool")),
]
_SHIFTS = [case(arr(2, 3, low=-9, high=9, kind="int"), arr(3, low=0, high=5, kind="int"))]


# Logic ------------------------------------------------------------------------------------------


class LogicalAndGrad(Elementwise):
    """y = a and b, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_and([True, True], [True, False])
    GradArray([ True, False], dtype=bool)
    """

    name = "logical_and"
    forward = np.logical_and
    partials = (None, None)
    tex = r"{a} \wedge {b}"


class LogicalOrGrad(Elementwise):
    """y = a or b, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_or([True, False], [False, False])
    GradArray([ True, False], dtype=bool)
    """

    name = "logical_or"
    forward = np.logical_or
    partials = (None, None)
    tex = r"{a} \vee {b}"


class LogicalXorGrad(Elementwise):
    """y = either a or b but not both, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_xor([True, True], [True, False])
    GradArray([False,  True], dtype=bool)
    """

    name = "logical_xor"
    forward = np.logical_xor
    partials = (None, None)
    tex = r"{a} \veebar {b}"


class LogicalNotGrad(Elementwise):
    """y = not x, boolean; without derivative.

    >>> import gradarray as ga
    >>> ga.logical_not([True, False])
    GradArray([False,  True], dtype=bool)
    """

    name = "logical_not"
    forward = np.logical_not
    partials = (None,)
    tex = r"\neg {x}"


logical_and = elementwise(LogicalAndGrad, numpy=np.logical_and, differentiable=False, cases=_BOOLS)
logical_or = elementwise(LogicalOrGrad, numpy=np.logical_or, differentiable=False, cases=_BOOLS)
logical_xor = elementwise(LogicalXorGrad, numpy=np.logical_xor, differentiable=False, cases=_BOOLS)
logical_not = elementwise(LogicalNotGrad, numpy=np.logical_not, differentiable=False)


# Bits -------------------------------------------------------------------------------------------


class BitwiseAndGrad(Elementwise):
    """y = the bits that a and b both have, for integers or booleans; `a & b`.

    >>> import gradarray as ga
    >>> ga.bitwise_and([12, 10], 6)
    GradArray([4, 2], dtype=int64)
    """

    name = "bitwise_and"
    forward = operator.and_
    partials = (None, None)
    tex = r"{a} \;\mathrm{and}\; {b}"


class BitwiseOrGrad(Elementwise):
    """y = the bits that a or b has, for integers or booleans; `a | b`.

    >>> import gradarray as ga
    >>> ga.bitwise_or([12, 10], 6)
    GradArray([14, 14], dtype=int64)
    """

    name = "bitwise_or"
    forward = operator.or_
    partials = (None, None)
    tex = r"{a} \mid {b}"


class BitwiseXorGrad(Elementwise):
    """y = the bits in which a and b differ, for integers or booleans; `a ^ b`.

    >>> import gradarray as ga
    >>> ga.bitwise_xor([12, 10], 6)
    GradArray([10, 12], dtype=int64)
    """

    name = "bitwise_xor"
    forward = operator.xor
    partials = (None, None)
    tex = r"{a} \oplus {b}"


class InvertGrad(Elementwise):
    """y = every bit of x turned over, for integers or booleans; `~x`.

    >>> import gradarray as ga
    >>> ga.invert([True, False])
    GradArray([False,  True], dtype=bool)
    """

    forward = np.invert
    partials = (None,)
    tex = r"\sim {x}"


class LeftShiftGrad(Elementwise):
    """y = a 2^b for integers; `a << b`.

    >>> import gradarray as ga
    >>> ga.left_shift([1, 3], 2)
    GradArray([ 4, 12], dtype=int64)
    """

    name = "left_shift"
    forward = operator.lshift
    partials = (None, None)
    tex = r"{a} \ll {b}"


class RightShiftGrad(Elementwise):
    r"""y = \lfloor a / 2^b \rfloor for integers; `a >> b`.

    >>> import gradarray as ga
    >>> ga.right_shift([5, 12], 2)
    GradArray([1, 3], dtype=int64)
    """

    name = "right_shift"
    forward = operator.rshift
    partials = (None, None)
    tex = r"{a} \gg {b}"


bitwise_and = elementwise(
    BitwiseAndGrad, numpy=np.bitwise_and, method="__and__", differentiable=False, cases=_BITS
)
bitwise_or = elementwise(
    BitwiseOrGrad, numpy=np.bitwise_or, method="__or__", differentiable=False, cases=_BITS
)
bitwise_xor = elementwise(
    BitwiseXorGrad, numpy=np.bitwise_xor, method="__xor__", differentiable=False, cases=_BITS
)
invert = elementwise(
    InvertGrad,
    numpy=np.invert,
    method="__invert__",
    aliases=("bitwise_not", "bitwise_invert"),
    differentiable=False,
    cases=[case(arr(2, 3, low=-9, high=9, kind="int")), case(arr(3, kind="bool"))],
)
left_shift = elementwise(
    LeftShiftGrad,
    numpy=np.left_shift,
    method="__lshift__",
    aliases=("bitwise_left_shift",),
    differentiable=False,
    cases=_SHIFTS,
)
right_shift = elementwise(
    RightShiftGrad,
    numpy=np.right_shift,
    method="__rshift__",
    aliases=("bitwise_right_shift",),
    differentiable=False,
    cases=_SHIFTS,
)
bitwise_not = bitwise_invert = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


# Questions about numbers --------------------------------------------------------------------------


class IsNaNGrad(Elementwise):
    """y = is x not a number?

    >>> import gradarray as ga
    >>> ga.isnan([1.0, float("nan")])
    GradArray([False,  True], dtype=bool)
    """

    forward = np.isnan
    partials = (None,)
    tex = r"\operatorname{isnan} {x}"


class IsInfGrad(Elementwise):
    """y = is x infinite, of either sign?

    >>> import gradarray as ga
    >>> ga.isinf([1.0, float("-inf")])
    GradArray([False,  True], dtype=bool)
    """

    forward = np.isinf
    partials = (None,)
    tex = r"|{x}| = \infty"


class IsFiniteGrad(Elementwise):
    """y = is x a number, and not infinite?

    >>> import gradarray as ga
    >>> ga.isfinite([1.0, float("inf")])
    GradArray([ True, False], dtype=bool)
    """

    forward = np.isfinite
    partials = (None,)
    tex = r"|{x}| < \infty"


class IsPosInfGrad(Elementwise):
    r"""y = is x = +\infty?

    >>> import gradarray as ga
    >>> ga.isposinf([float("inf"), float("-inf")])
    GradArray([ True, False], dtype=bool)
    """

    forward = staticmethod(lambda x: np.isposinf(x))
    partials = (None,)
    tex = r"{x} = \infty"


class IsNegInfGrad(Elementwise):
    r"""y = is x = -\infty?

    >>> import gradarray as ga
    >>> ga.isneginf([float("inf"), float("-inf")])
    GradArray([False,  True], dtype=bool)
    """

    forward = staticmethod(lambda x: np.isneginf(x))
    partials = (None,)
    tex = r"{x} = -\infty"


class SignBitGrad(Elementwise):
    """y = is the sign bit of x set? True for negative numbers and for -0.0.

    >>> import gradarray as ga
    >>> ga.signbit([-2.0, -0.0, 0.0])
    GradArray([ True,  True, False], dtype=bool)
    """

    forward = np.signbit
    partials = (None,)
    tex = r"\operatorname{signbit} {x}"


isnan = elementwise(IsNaNGrad, numpy=np.isnan, differentiable=False)
isinf = elementwise(IsInfGrad, numpy=np.isinf, differentiable=False)
isfinite = elementwise(IsFiniteGrad, numpy=np.isfinite, differentiable=False)
isposinf = elementwise(IsPosInfGrad, numpy=np.isposinf, differentiable=False)
isneginf = elementwise(IsNegInfGrad, numpy=np.isneginf, differentiable=False)
signbit = elementwise(SignBitGrad, numpy=np.signbit, differentiable=False)


class IsCloseGrad(Elementwise):
    """y = is |a - b| <= atol + rtol |b|?"""

    forward = staticmethod(
        lambda a, b, rtol, atol, equal_nan: np.isclose(a, b, rtol, atol, equal_nan)
    )
    partials = (None, None)
    tex = r"{a} \approx {b}"


@public(
    numpy=np.isclose,
    op=IsCloseGrad,
    differentiable=False,
    cases=[
        case(arr(2, 3), arr(3)),
        case(arr(4), arr(4), rtol=0.5),
        case(arr(4), arr(4), atol=1.0, equal_nan=True),
    ],
)
def isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> GradArray:
    r"""y = is |a - b| \le atol + rtol |b|, element by element? Boolean, without derivative.

    >>> import gradarray as ga
    >>> ga.isclose([1.0, 1.1], 1.0 + 1e-9)
    GradArray([ True, False], dtype=bool)
    """
    return apply(IsCloseGrad, a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)


_SAME = [case(arr(2, 3), arr(2, 3)), case([1.0, 2.0], [1.0, 2.0 + 1e-12]), case([1, 2], [1, 2])]


@public(numpy=np.allclose, differentiable=False, cases=_SAME)
def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    r"""Is |a - b| \le atol + rtol |b| for every element? A bool, as NumPy's.

    >>> import gradarray as ga
    >>> ga.allclose([1.0, 2.0], [1.0, 2.0 + 1e-9])
    True
    """
    return bool(np.all(values(isclose(a, b, rtol, atol, equal_nan))))


@public(numpy=np.array_equal, differentiable=False, cases=_SAME)
def array_equal(a: Any, b: Any, equal_nan: bool = False) -> bool:
    """Have a and b the same shape and the same elements? A bool, as NumPy's.

    >>> import gradarray as ga
    >>> ga.array_equal([1.0, 2.0], [[1.0, 2.0]])
    False
    """
    return bool(np.array_equal(values(lift(a)), values(lift(b)), equal_nan))


def values(x: Any) -> Any:
    """The plain values of an array."""
    return x._array if isinstance(x, GradArray) else x
