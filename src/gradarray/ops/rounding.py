"""Rounding, remainders, and the parts of a floating-point number.

A step function has the derivative 0 wherever it has one, and 0 is what its ops send back: the
gradient is there, and is zeros, as PyTorch's is.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import choice
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import STEP, negative
from .complex import imag, is_complex, real
from .exponential import exp2
from .logical import isfinite

__all__ = [
    "around",
    "ceil",
    "divmod",
    "fix",
    "floor",
    "floor_divide",
    "fmod",
    "frexp",
    "gcd",
    "lcm",
    "ldexp",
    "mod",
    "modf",
    "nan_to_num",
    "nextafter",
    "remainder",
    "rint",
    "round",
    "trunc",
]


def _whole_step(x: Any) -> Any:
    return np.equal(x, np.trunc(x))


_STEPS: dict[str, tuple[str, Any]] = {
    "floor": ("a whole number", _whole_step),
    "ceil": ("a whole number", _whole_step),
    "trunc": ("a whole number but 0", lambda x: _whole_step(x) & np.not_equal(x, 0)),
    "rint": ("half-way between whole numbers", lambda x: _whole_step(x + 0.5)),
    "round": ("half-way", lambda x, decimals: _whole_step(x * 10.0**decimals + 0.5)),
    "floor_divide": ("a multiple of b", lambda a, b: np.equal(np.remainder(a, b), 0)),
    "remainder": ("a multiple of b", lambda y: np.equal(y, 0)),
    "fmod": ("a multiple of b but 0", lambda a, y: np.equal(y, 0) & np.not_equal(a, 0)),
}
for _name, (_point, _at) in _STEPS.items():
    _saw = _name in ("remainder", "fmod")
    choice(
        _name, f"{'a' if _saw or 'divide' in _name else 'x'} {_point}", 1.0 if _saw else 0.0,
        reason="a saw: the slope of its teeth" if _saw else STEP, at=_at,
    )  # fmt: skip


class FloorGrad(Elementwise):
    r"""y = \lfloor x \rfloor, the largest integer not above x. dy/dx = 0.

    >>> import gradarray as ga
    >>> ga.floor([1.7, -1.2])
    GradArray([ 1., -2.], dtype=float64)
    """

    forward = np.floor
    partials = (0,)
    tex = r"\lfloor {x} \rfloor"


class CeilGrad(Elementwise):
    r"""y = \lceil x \rceil, the smallest integer not below x. dy/dx = 0.

    >>> import gradarray as ga
    >>> ga.ceil([1.2, -1.7])
    GradArray([ 2., -1.], dtype=float64)
    """

    forward = np.ceil
    partials = (0,)
    tex = r"\lceil {x} \rceil"


class TruncGrad(Elementwise):
    """y = x without its fraction: the integer next to x toward 0. dy/dx = 0.

    >>> import gradarray as ga
    >>> ga.trunc([1.7, -1.7])
    GradArray([ 1., -1.], dtype=float64)
    """

    forward = np.trunc
    partials = (0,)
    tex = r"\operatorname{trunc} {x}"


class RIntGrad(Elementwise):
    """y = the integer nearest to x, the even one of two. dy/dx = 0.

    >>> import gradarray as ga
    >>> ga.rint([0.5, 1.5, 1.7])
    GradArray([0., 2., 2.], dtype=float64)
    """

    forward = np.rint
    partials = (0,)
    tex = r"\operatorname{rint} {x}"


floor = elementwise(FloorGrad, numpy=np.floor)
ceil = elementwise(CeilGrad, numpy=np.ceil)
trunc = elementwise(TruncGrad, numpy=(np.trunc, np.fix), aliases=("fix",))
rint = elementwise(RIntGrad, numpy=np.rint)
fix = trunc


class RoundGrad(Elementwise):
    """y = x rounded to a number of decimals."""

    forward = staticmethod(lambda x, decimals: np.round(x, decimals))
    partials = (0,)
    tex = r"\operatorname{round} {x}"


@public(
    numpy=(np.round, np.around),
    op=RoundGrad,
    method=("round", "__round__"),
    aliases=("around",),
    cases=[case(arr(2, 3)), case(arr(4, high=400.0), -2), case(arr(4), decimals=1)],
)
def round(x: Any, decimals: int | None = None) -> GradArray:
    """y = x rounded to `decimals` decimals (0 by default; negative ones count to the left of the
    point), ties to the even digit. dy/dx = 0.

    >>> import gradarray as ga
    >>> ga.round([1.25, 2.5, 17.0], 1)
    GradArray([ 1.2,  2.5, 17. ], dtype=float64)
    """
    return apply(RoundGrad, x, decimals=0 if decimals is None else operator.index(decimals))


around = round


# Division with a remainder ------------------------------------------------------------------------


class FloorDivideGrad(Elementwise):
    r"""y = \lfloor a/b \rfloor; `a // b`. dy/da = dy/db = 0.

    >>> import gradarray as ga
    >>> ga.floor_divide([7.0, -7.0], 2.0)
    GradArray([ 3., -4.], dtype=float64)
    """

    name = "floor_divide"
    forward = operator.floordiv
    partials = (0, 0)
    tex = r"\left\lfloor \frac{{a}}{{b}} \right\rfloor"
    domain = ((-5.0, 5.0), (0.5, 2.0))


floor_divide = elementwise(FloorDivideGrad, numpy=np.floor_divide, method="__floordiv__")


class RemainderGrad(Elementwise):
    r"""y = a - b q with q = \lfloor a/b \rfloor; `a % b`. dy/da = 1, dy/db = -q.

    y has the sign of b.

    >>> import gradarray as ga
    >>> ga.remainder([7.0, -7.0], 4.0)
    GradArray([3., 1.], dtype=float64)
    """

    forward = operator.mod
    partials = (1, lambda a, b: negative(floor_divide(a, b)))
    tex = r"{a} \;\mathrm{mod}\; {b}"
    domain = ((-5.0, 5.0), (0.5, 2.0))


remainder = elementwise(RemainderGrad, numpy=np.remainder, method="__mod__", aliases=("mod",))
mod = remainder


class FModGrad(Elementwise):
    """y = a - b trunc(a/b), with the sign of a. dy/da = 1, dy/db = -trunc(a/b).

    >>> import gradarray as ga
    >>> ga.fmod([7.0, -7.0], 4.0)
    GradArray([ 3., -3.], dtype=float64)
    """

    forward = np.fmod
    # From the remainder: a/b itself may round up to the next integer.
    partials = (1, lambda a, b, y: negative(rint((a - y) / b)))
    tex = r"{a} \operatorname{fmod} {b}"
    domain = ((-5.0, 5.0), (0.5, 2.0))


fmod = elementwise(FModGrad, numpy=np.fmod)


@public(
    numpy=np.divmod,
    method="__divmod__",
    cases=[case(arr(2, 3, low=-5.0, high=5.0), arr(3, low=0.5))],
)
def divmod(a: Any, b: Any) -> tuple[GradArray, GradArray]:
    """(floor_divide(a, b), remainder(a, b)).

    >>> import gradarray as ga
    >>> ga.divmod(7.0, 2.0)
    (GradArray(3., dtype=float64), GradArray(1., dtype=float64))
    """
    return floor_divide(a, b), remainder(a, b)


class GCDGrad(Elementwise):
    """y = the greatest common divisor of two integers; without derivative.

    >>> import gradarray as ga
    >>> ga.gcd([12, 18], 8)
    GradArray([4, 2], dtype=int64)
    """

    forward = np.gcd
    partials = (None, None)
    tex = r"\gcd({a}, {b})"


class LCMGrad(Elementwise):
    """y = the least common multiple of two integers; without derivative.

    >>> import gradarray as ga
    >>> ga.lcm([4, 6], 10)
    GradArray([20, 30], dtype=int64)
    """

    forward = np.lcm
    partials = (None, None)
    tex = r"\operatorname{lcm}({a}, {b})"


_INTEGERS = [case(arr(2, 3, low=-9, high=9, kind="int"), arr(3, low=-9, high=9, kind="int"))]
gcd = elementwise(GCDGrad, numpy=np.gcd, differentiable=False, cases=_INTEGERS)
lcm = elementwise(LCMGrad, numpy=np.lcm, differentiable=False, cases=_INTEGERS)


# Parts of a number --------------------------------------------------------------------------------


class FractionGrad(Elementwise):
    """y = x - trunc(x), with the sign of x."""

    forward = staticmethod(lambda x: np.modf(x)[0])
    partials = (1,)
    tex = r"{x} - \operatorname{trunc} {x}"


class WholeGrad(Elementwise):
    """y = trunc(x), in floating point also for integers."""

    forward = staticmethod(lambda x: np.modf(x)[1])
    partials = (0,)
    tex = r"\operatorname{trunc} {x}"


_fraction, _whole = FractionGrad.of, WholeGrad.of


@public(numpy=np.modf, cases=[case(arr(2, 3))])
def modf(x: Any) -> tuple[GradArray, GradArray]:
    """(x - trunc(x), trunc(x)): the fraction, with derivative 1, and the integer, with 0.

    >>> import gradarray as ga
    >>> ga.modf([1.5, -0.25])
    (GradArray([ 0.5 , -0.25], dtype=float64), GradArray([ 1., -0.], dtype=float64))
    """
    return _fraction(x), _whole(x)


class LdExpGrad(Elementwise):
    """y = a 2^b, b integers. dy/da = 2^b.

    >>> import gradarray as ga
    >>> ga.ldexp(0.75, [0, 1, 4])
    GradArray([ 0.75,  1.5 , 12.  ], dtype=float64)
    """

    forward = np.ldexp
    partials = (lambda b: exp2(b), None)
    tex = r"{a} \cdot 2^{{b}}"


ldexp = elementwise(
    LdExpGrad, numpy=np.ldexp, cases=[case(arr(2, 3), arr(3, low=-3, high=4, kind="int"))]
)


class MantissaGrad(Elementwise):
    """y = x 2^-b in (-1, -1/2] or [1/2, 1), b its binary exponent (see `frexp`)."""

    operands = ("x", "b")
    forward = staticmethod(lambda x, b: np.frexp(x)[0])
    partials = (lambda b: exp2(negative(b)), None)
    tex = r"{x} \cdot 2^{-{b}}"


class ExponentGrad(Elementwise):
    """y = the binary exponent of x: an integer."""

    forward = staticmethod(lambda x: np.frexp(x)[1])
    partials = (None,)
    tex = r"\lfloor \log_2 |{x}| \rfloor + 1"


@public(
    numpy=np.frexp, cases=[case(arr(2, 3, low=0.3, high=0.45)), case(arr(3, low=4.5, high=7.0))]
)
def frexp(x: Any) -> tuple[GradArray, GradArray]:
    r"""(m, b) with x = m 2^b, 1/2 \le |m| < 1 and b integers. dm/dx = 2^{-b}.

    >>> import gradarray as ga
    >>> ga.frexp([0.75, 8.0])
    (GradArray([0.75, 0.5 ], dtype=float64), GradArray([0, 4], dtype=int32))
    """
    x = lift(x)
    b = apply(ExponentGrad, x)
    return apply(MantissaGrad, x, b), b


class NextAfterGrad(Elementwise):
    """y = the floating number next to a on the way to b; b itself where they are equal.

    A question about the format of numbers: it has no derivative.

    >>> import gradarray as ga
    >>> ga.nextafter(1.0, 2.0) - 1.0
    GradArray(2.22044605e-16, dtype=float64)
    """

    name = "nextafter"
    forward = np.nextafter
    partials = (None, None)
    tex = r"\operatorname{nextafter}({a}, {b})"


nextafter = elementwise(NextAfterGrad, numpy=np.nextafter, differentiable=False)


class NanToNumGrad(Elementwise):
    """y = x with `nan`, `posinf` and `neginf` in the places of NaN and the infinities."""

    name = "nan_to_num"
    forward = staticmethod(
        lambda x, nan, posinf, neginf: np.nan_to_num(x, True, nan, posinf, neginf)
    )
    partials = (lambda x: isfinite(x),)
    tex = "{x}"


@public(
    numpy=np.nan_to_num,
    op=NanToNumGrad,
    cases=[case(arr(2, 3)), case(arr(3), nan=1.5, posinf=9.0, neginf=-9.0)],
)
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> GradArray:
    """y = x with NaN replaced by `nan` and infinities by the largest numbers, or by `posinf` and
    `neginf`. dy/dx = 1 where x is finite, 0 where it was replaced.

    The result is always a new array (`copy=False` is NumPy's way to overwrite x, and is refused
    with ValueError).

    >>> import gradarray as ga
    >>> ga.nan_to_num([1.0, float("nan")])
    GradArray([1., 0.], dtype=float64)
    """
    if not copy:
        raise ValueError("nan_to_num: copy=False would overwrite x; assign the result instead.")
    x = lift(x)
    if is_complex(x):
        return nan_to_num(real(x), True, nan, posinf, neginf) + 1j * nan_to_num(
            imag(x), True, nan, posinf, neginf
        )
    return apply(NanToNumGrad, x, nan=nan, posinf=posinf, neginf=neginf)
