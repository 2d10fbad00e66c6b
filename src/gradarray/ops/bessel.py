r"""Bessel functions of integer order: J_n, the modified I_0 and I_1, and those times e^{-|x|}.

J_n' = (J_{n-1} - J_{n+1})/2 and I_n' = (I_{n-1} + I_{n+1})/2 (DLMF 10.6, 10.29) close both
families. The scaled functions would be differences of nearly equal numbers at a large x; their
derivatives are the moments

    A_m(x) = \frac{1}{\pi} \int_0^\pi (1 - \cos t)^m e^{-x (1 - \cos t)} dt,    A_m' = -A_{m+1},

e^{-x} I_0 = A_0 and e^{-x} I_1 = A_0 - A_1 for x >= 0, of which no term changes sign.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import choice
from ..lazy import special
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import absolute, negative, sign
from .compare import equal, where
from .complex import is_complex
from .precise import in_double, polynomial, result_dtype, where_else
from .special import function_of, integer_order

__all__ = ["i0"]

# J_n ----------------------------------------------------------------------------------------------


class BesselJGrad(Elementwise):
    r"""y = J_n(x). dy/dx = (J_{n-1}(x) - J_{n+1}(x)) / 2."""

    name = "jn"
    operands = ("n", "x")

    @staticmethod
    def forward(n: Any, x: Any) -> Any:
        y = special.jv(n, x)
        return y if is_complex(x) else y.astype(result_dtype(x))[()]

    partials = (None, lambda n, x: (_jn(n - 1, x) - _jn(n + 1, x)) * 0.5)
    tex = r"J_{n}({x})"


_jn = BesselJGrad.of


@public(
    name="special.jn",
    op=BesselJGrad,
    reference=lambda n, x: special.jv(n, x),
    cases=[
        case(0, arr(3, low=-6.0, high=6.0)),
        case(2, arr(2, 3, low=-6.0, high=6.0)),
        case(-3, arr(low=1.0, high=9.0)),
    ],
)
def jn(n: Any, x: Any) -> GradArray:
    r"""y = J_n(x) = \frac{1}{\pi} \int_0^\pi \cos(n t - x \sin t) dt, of integer order n.

    dy/dx = (J_{n-1} - J_{n+1})/2 (DLMF 10.6.1). n: integers of either sign that broadcast with x;
    complex x too. Raises DTypeError for an n that is not integer.

    >>> import gradarray as ga
    >>> ga.special.jn(2, [0.0, 1.0])
    GradArray([0.        , 0.11490348], dtype=float64)
    """
    return _jn(integer_order("jn", n), lift(x, "jn"))


class J0Grad(Elementwise):
    r"""y = J_0(x), the Bessel function of order 0. dy/dx = -J_1(x). Complex x too.

    >>> import gradarray as ga
    >>> ga.special.j0([0.0, 1.0])
    GradArray([1.        , 0.76519769], dtype=float64)
    """

    forward = staticmethod(lambda x: special.jv(0, x) if is_complex(x) else special.j0(x))
    partials = (lambda x: negative(j1(x)),)
    tex = r"J_0({x})"
    domain = (-6.0, 6.0)


class J1Grad(Elementwise):
    r"""y = J_1(x), the Bessel function of order 1. dy/dx = (J_0(x) - J_2(x)) / 2. Complex x too.

    >>> import gradarray as ga
    >>> ga.special.j1([0.0, 1.0])
    GradArray([0.        , 0.44005059], dtype=float64)
    """

    forward = staticmethod(lambda x: special.jv(1, x) if is_complex(x) else special.j1(x))
    partials = (lambda x: (j0(x) - _jn(2, x)) * 0.5,)
    tex = r"J_1({x})"
    domain = (-6.0, 6.0)


j0 = function_of(J0Grad, reference=special.j0)
j1 = function_of(J1Grad, reference=special.j1)

# I_n ----------------------------------------------------------------------------------------------


class BesselIGrad(Elementwise):
    r"""y = I_n(x), n >= 1. dy/dx = (I_{n-1}(x) + I_{n+1}(x)) / 2."""

    name = "bessel_i"

    @staticmethod
    def forward(x: Any, n: Any) -> Any:
        y = special.iv(n, x)
        return y if is_complex(x) else y.astype(result_dtype(x))[()]

    partials = (lambda x, n: (_bessel_i(x, n - 1) + _bessel_i(x, n + 1)) * 0.5,)
    tex = r"I_{n}({x})"


_bessel_i = BesselIGrad.of


class I0Grad(Elementwise):
    r"""y = I_0(x) = \frac{1}{\pi} \int_0^\pi e^{x \cos t} dt. dy/dx = I_1(x). Complex x too.

    >>> import gradarray as ga
    >>> ga.i0([0.0, 1.0])
    GradArray([1.        , 1.26606588], dtype=float64)
    """

    forward = staticmethod(lambda x: special.iv(0, x) if is_complex(x) else special.i0(x))
    partials = (lambda x: i1(x),)
    tex = r"I_0({x})"
    domain = (-3.0, 3.0)


class I1Grad(Elementwise):
    r"""y = I_1(x) = I_0'(x). dy/dx = (I_0(x) + I_2(x)) / 2. Complex x too.

    >>> import gradarray as ga
    >>> ga.special.i1([0.0, 1.0])
    GradArray([0.       , 0.5651591], dtype=float64)
    """

    forward = staticmethod(lambda x: special.iv(1, x) if is_complex(x) else special.i1(x))
    partials = (lambda x: (i0(x) + _bessel_i(x, 2)) * 0.5,)
    tex = r"I_1({x})"
    domain = (-3.0, 3.0)


i0 = elementwise(I0Grad, numpy=np.i0, reference=special.i0)
i1 = function_of(I1Grad, reference=special.i1)

# e^{-|x|} I_n -------------------------------------------------------------------------------------

_FAR = 40.0  # beyond it sixty terms of the asymptotic series are below eps of the first
_POINTS = 64  # the midpoint rule is exact to rounding for x <= 40: I_128(40) / I_0(40) < 1e-50


def _moment(x: np.ndarray, m: int) -> np.ndarray:
    def near(x: np.ndarray) -> np.ndarray:
        u = 2 * np.square(np.sin((np.arange(_POINTS) + 0.5) * (math.pi / (2 * _POINTS))))
        return (np.exp(-x[..., None] * u) * u**m).mean(-1)

    def far(x: np.ndarray) -> np.ndarray:
        # With u = (1 - cos t)/2 it is a beta integral, up to terms of e^{-2x}.
        terms, c = [], math.gamma(m + 0.5) / math.pi
        for k in range(60):
            terms.append(c)
            c *= (k + 0.5) * (m + k + 0.5) / (k + 1)
        return polynomial(1 / (2 * x), terms) / (np.sqrt(2 * x) * x**m)

    y = where_else(x < _FAR, near, far, np.where(x == math.inf, _FAR, x))
    return np.where(x == math.inf, 0.0, y)


class BesselMomentGrad(Elementwise):
    r"""y = A_m(x), x >= 0. dy/dx = -A_{m+1}(x)."""

    name = "bessel_moment"
    forward = in_double(_moment)
    partials = (lambda x, m: negative(_moments(x, m + 1)),)
    tex = r"A_m({x})"


_moments = BesselMomentGrad.of

_i0e_at_0 = choice(
    "i0e", "x = 0", 0.0, between=(-1.0, 1.0), at=lambda x: np.equal(x, 0),
    reason="the kink of e^{-|x|}; the middle, as absolute",
)  # fmt: skip


class I0eGrad(Elementwise):
    r"""y = e^{-|x|} I_0(x), which does not overflow. dy/dx = -sign(x) A_1(|x|), 0 at 0.

    A_1 = e^{-|x|} (I_0 - I_1), with all its digits. At 0 the higher derivatives are 0 as well.

    >>> import gradarray as ga
    >>> ga.special.i0e([0.0, 1000.0])
    GradArray([1.        , 0.01261724], dtype=float64)
    """

    forward = special.i0e
    partials = (
        lambda x: where(equal(x, 0), _i0e_at_0.value, negative(sign(x) * _moments(absolute(x), 1))),
    )
    tex = r"e^{-|{x}|} I_0({x})"
    domain = (0.2, 60.0)


class I1eGrad(Elementwise):
    r"""y = e^{-|x|} I_1(x), which does not overflow. dy/dx = A_2(|x|) - A_1(|x|).

    At 0 the slope is 1/2, and |x| is taken to be flat for the higher derivatives.

    >>> import gradarray as ga
    >>> ga.special.i1e([0.0, 1000.0])
    GradArray([0.        , 0.01261093], dtype=float64)
    """

    forward = special.i1e
    partials = (lambda x: _moments(absolute(x), 2) - _moments(absolute(x), 1),)
    tex = r"e^{-|{x}|} I_1({x})"
    domain = (0.2, 60.0)


i0e = function_of(I0eGrad, reference=special.i0e)
i1e = function_of(I1eGrad, reference=special.i1e)
