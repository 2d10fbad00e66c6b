r"""The error function and the normal distribution, their complements, logarithms and inverses.

Far out these functions are saturated or tiny, and their derivatives are differences of nearly
equal numbers when written out. Here every derivative comes from four functions without such
differences: e^{-c x^2} from an exact square, the hazard \phi(x) / \Phi(x), the ratios r_n of the
moments of e^{-tu - u^2/2}, and the slopes of the inverses from the probability itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import lift
from ..errors import DTypeError, message
from ..lazy import special
from ..short import elementwise
from .arithmetic import negative
from .compare import less, where
from .complex import is_complex
from .powers import square
from .precise import in_double, where_else

__all__ = ["erf", "erfc", "erfinv", "log_ndtr", "ndtr", "ndtri"]

_2_SQRT_PI = 2 / math.sqrt(math.pi)
_SQRT_2 = math.sqrt(2)
_SQRT_2PI = math.sqrt(2 * math.pi)


def function_of(op: type[Elementwise], **declared: Any) -> Callable[..., Any]:
    """The public function of an elementwise op that is found in `gradarray.special` only."""
    return elementwise(op, name=f"special.{op.name}", **declared)


def integer_order(op: str, n: Any) -> Any:
    """The order n of a family of functions, an integer or an array of them; raises for others."""
    if isinstance(n, int) and not isinstance(n, bool):
        return n
    n = lift(n, op)
    if n.dtype.kind not in "iu":
        raise DTypeError(
            message(op, f"the order n is an integer; given {n.dtype}.", "Cast it: n.astype(int).")
        )
    return n


# What the derivatives are made of -----------------------------------------------------------------


def _exp_square(x: np.ndarray, c: float) -> np.ndarray:
    # The square of a number of 24 digits is exact; an error of x^2 would count e^{x^2} times x^2.
    x = np.clip(x, -40.0, 40.0)
    upper = x.astype(np.float32).astype(np.float64)
    return np.exp(-c * upper * upper) * np.exp(-c * (x - upper) * (x + upper))


_real_gauss = in_double(_exp_square).__func__


class GaussGrad(Elementwise):
    """y = e^{-c x^2}, c a power of 2. dy/dx = -2 c x y."""

    @staticmethod
    def forward(x: Any, c: float) -> Any:
        return np.exp(-c * (x * x)) if is_complex(x) else _real_gauss(x, c=c)

    partials = (lambda x, y, c: (-2 * c) * x * y,)
    tex = r"e^{-{c} \cdot {x}^2}"


gauss = GaussGrad.of


def normal_density(x: Any) -> Any:
    r"""\phi(x) = e^{-x^2/2} / \sqrt{2 \pi}."""
    return gauss(x, 0.5) * (1 / _SQRT_2PI)


def _tail(x: np.ndarray) -> np.ndarray:
    r"""\Phi(-x) for x > 0."""
    return _exp_square(x, 0.5) * (0.5 * special.erfcx(x / _SQRT_2))


def _hazard(x: Any) -> Any:
    return where_else(
        x <= 0,
        lambda x: (2 / _SQRT_2PI) / special.erfcx(x / -_SQRT_2),
        lambda x: _exp_square(x, 0.5) / (_SQRT_2PI * special.ndtr(x)),
        x,
    )


_real_hazard = in_double(_hazard).__func__


def _hazard_slope(x: Any, y: Any) -> Any:
    if is_complex(x):
        return negative(y * (x + y))
    t = negative(x)
    r = moments(t, 1)
    # For x << 0 the slope is nearly -1: what is left of it has the digits of the next derivatives.
    return where(less(x, -1), r * (moments(t, 2) - r) - 1, negative(y * r))


class HazardGrad(Elementwise):
    r"""y = \phi(x) / \Phi(x). dy/dx = -y (x + y) = -y r_1 = r_1 (r_2 - r_1) - 1, r_n at -x."""

    @staticmethod
    def forward(x: Any) -> Any:
        if is_complex(x):
            return np.exp(-0.5 * (x * x)) / (_SQRT_2PI * special.ndtr(x))
        return _real_hazard(x)

    partials = (lambda x, y: _hazard_slope(x, y),)
    tex = r"\frac{\phi({x})}{\Phi({x})}"
    domain = (-4.0, 3.0)


hazard = HazardGrad.of


def _fraction(t: np.ndarray, n: int, terms: int) -> np.ndarray:
    r = np.sqrt(n + terms) + 0 * t
    for k in range(n + terms, n - 1, -1):
        r = k / (t + r)
    return r


def _moments(t: np.ndarray, n: int) -> np.ndarray:
    def upward(t: np.ndarray) -> np.ndarray:
        r = (2 / _SQRT_2PI) / special.erfcx(t / _SQRT_2) - t
        for k in range(1, n):
            r = k / r - t
        return r

    def slow(t: np.ndarray) -> np.ndarray:
        return where_else(t < 1, upward, lambda t: _fraction(t, n, 300), t)

    return where_else(t > 4, lambda t: _fraction(t, n, 40), slow, t)


class MomentsGrad(Elementwise):
    r"""y = r_n(t) = I_n / I_{n-1}, I_n(t) = \int_0^\infty u^n e^{-tu - u^2/2} du, n = 1, 2, ...

    I_0 is Mills' ratio \Phi(-t)/\phi(t), r_1 = 1/I_0 - t, and r_n = n / (t + r_{n+1}), Laplace's
    continued fraction. dr_n/dt = r_n (r_n - r_{n+1}), where nothing cancels for t > 0.
    """

    operands = ("t",)
    forward = in_double(_moments)
    partials = (lambda t, y, n: y * (y - moments(t, n + 1)),)
    tex = r"r_n({t})"


moments = MomentsGrad.of


# The error function -------------------------------------------------------------------------------


class ErfGrad(Elementwise):
    r"""y = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt. dy/dx = \frac{2}{\sqrt\pi} e^{-x^2}.

    >>> import gradarray as ga
    >>> ga.erf([0.0, 1.0])
    GradArray([0.        , 0.84270079], dtype=float64)
    """

    forward = special.erf
    partials = (lambda x: gauss(x, 1.0) * _2_SQRT_PI,)
    tex = r"\operatorname{erf} {x}"


erf = elementwise(ErfGrad, reference=special.erf)


class ErfcGrad(Elementwise):
    r"""y = 1 - erf x, without loss of digits at a large x. dy/dx = -\frac{2}{\sqrt\pi} e^{-x^2}.

    >>> import gradarray as ga
    >>> ga.erfc([0.0, 10.0])
    GradArray([1.00000000e+00, 2.08848758e-45], dtype=float64)
    """

    forward = special.erfc
    partials = (lambda x: gauss(x, 1.0) * -_2_SQRT_PI,)
    tex = r"\operatorname{erfc} {x}"


erfc = elementwise(ErfcGrad, reference=special.erfc)


class ErfcxGrad(Elementwise):
    r"""y = e^{x^2} erfc x, about 1/(\sqrt\pi x) at a large x. dy/dx = 2 x y - 2/\sqrt\pi.

    >>> import gradarray as ga
    >>> ga.special.erfcx([0.0, 1e10])
    GradArray([1.00000000e+00, 5.64189584e-11], dtype=float64)
    """

    forward = special.erfcx
    partials = (
        lambda x, y: (
            2 * x * y - _2_SQRT_PI if is_complex(x) else y * moments(x * _SQRT_2, 1) * -_SQRT_2
        ),
    )
    tex = r"\operatorname{erfcx} {x}"


erfcx = function_of(ErfcxGrad, reference=special.erfcx)


def _below(x: Any, y: Any, room: Any) -> Any:
    """e^{y^2} where erfc |y| = room: from the probability, which has more digits than y^2."""
    return np.where(room == 0, np.inf, special.erfcx(np.abs(y)) / room)


class ErfInvSlopeGrad(Elementwise):
    r"""y = \frac{\sqrt\pi}{2} e^{v^2}, the slope of v = erf^{-1} x. dy/dx = 2 v y^2."""

    name = "erfinv_slope"
    forward = in_double(lambda x: _below(x, special.erfinv(x), 1 - np.abs(x)) / _2_SQRT_PI)
    partials = (lambda x, y: 2 * erfinv(x) * square(y),)
    tex = r"\frac{\sqrt{\pi}}{2} e^{(\operatorname{erf}^{-1} {x})^2}"


_erfinv_slope = ErfInvSlopeGrad.of


class ErfInvGrad(Elementwise):
    r"""y = erf^{-1} x, -1 <= x <= 1. dy/dx = \frac{\sqrt\pi}{2} e^{y^2}, infinite at -1 and 1.

    >>> import gradarray as ga
    >>> ga.erfinv([0.0, 0.5, 1.0])
    GradArray([0.        , 0.47693628,        inf], dtype=float64)
    """

    name = "erfinv"
    forward = special.erfinv
    partials = (lambda x: _erfinv_slope(x),)
    tex = r"\operatorname{erf}^{-1} {x}"
    domain = (-0.8, 0.8)


erfinv = elementwise(ErfInvGrad, reference=special.erfinv)


class ErfcInvSlopeGrad(Elementwise):
    r"""y = -\frac{\sqrt\pi}{2} e^{v^2}, the slope of v = erfc^{-1} x. dy/dx = 2 v y^2."""

    name = "erfcinv_slope"
    forward = in_double(
        lambda x: -_below(x, special.erfcinv(x), np.minimum(x, 2 - x)) / _2_SQRT_PI
    )
    partials = (lambda x, y: 2 * erfcinv(x) * square(y),)
    tex = r"-\frac{\sqrt{\pi}}{2} e^{(\operatorname{erfc}^{-1} {x})^2}"
    domain = (0.2, 1.8)


_erfcinv_slope = ErfcInvSlopeGrad.of


class ErfcInvGrad(Elementwise):
    r"""y = erfc^{-1} x, 0 <= x <= 2. dy/dx = -\frac{\sqrt\pi}{2} e^{y^2}.

    >>> import gradarray as ga
    >>> ga.special.erfcinv([1e-300, 0.5])
    GradArray([26.20946996,  0.47693628], dtype=float64)
    """

    name = "erfcinv"
    forward = special.erfcinv
    partials = (lambda x: _erfcinv_slope(x),)
    tex = r"\operatorname{erfc}^{-1} {x}"
    domain = (0.2, 1.8)


erfcinv = function_of(ErfcInvGrad, reference=special.erfcinv)


# The normal distribution --------------------------------------------------------------------------


_real_ndtr = in_double(
    lambda x: where_else(x < -1, lambda x: _tail(-x), special.ndtr, x), special.ndtr
).__func__
_real_log_ndtr = in_double(
    lambda x: where_else(x > 1, lambda x: np.log1p(-_tail(x)), special.log_ndtr, x),
    special.log_ndtr,
).__func__


class NdtrGrad(Elementwise):
    r"""y = \Phi(x) = \int_{-\infty}^x \phi(t) dt, the normal distribution. dy/dx = \phi(x).

    >>> import gradarray as ga
    >>> ga.ndtr([0.0, 1.0])
    GradArray([0.5       , 0.84134475], dtype=float64)
    """

    forward = staticmethod(lambda x: special.ndtr(x) if is_complex(x) else _real_ndtr(x))
    partials = (lambda x: normal_density(x),)
    tex = r"\Phi({x})"


ndtr = elementwise(NdtrGrad, reference=special.ndtr)


class LogNdtrGrad(Elementwise):
    r"""y = \log \Phi(x), exact in both tails. dy/dx = \phi(x) / \Phi(x).

    >>> import gradarray as ga
    >>> ga.log_ndtr([-1000.0, 0.0])
    GradArray([-5.00007827e+05, -6.93147181e-01], dtype=float64)
    """

    name = "log_ndtr"
    forward = staticmethod(lambda x: special.log_ndtr(x) if is_complex(x) else _real_log_ndtr(x))
    partials = (lambda x: hazard(x),)
    tex = r"\log \Phi({x})"
    domain = (-4.0, 3.0)


log_ndtr = elementwise(LogNdtrGrad, reference=special.log_ndtr)


class NdtriSlopeGrad(Elementwise):
    r"""y = 1/\phi(v), the slope of v = \Phi^{-1}(x). dy/dx = v y^2."""

    name = "ndtri_slope"
    forward = in_double(
        lambda x: (_SQRT_2PI / 2)
        * _below(x, special.ndtri(x) / _SQRT_2, np.minimum(x, 1 - x))
    )
    partials = (lambda x, y: ndtri(x) * square(y),)
    tex = r"\frac{1}{\phi(\Phi^{-1}({x}))}"
    domain = (0.1, 0.9)


_ndtri_slope = NdtriSlopeGrad.of


class NdtriGrad(Elementwise):
    r"""y = \Phi^{-1}(x), 0 <= x <= 1: the quantile of the normal distribution. dy/dx = 1/\phi(y).

    >>> import gradarray as ga
    >>> ga.ndtri([0.5, 0.975])
    GradArray([0.        , 1.95996398], dtype=float64)
    """

    forward = special.ndtri
    partials = (lambda x: _ndtri_slope(x),)
    tex = r"\Phi^{-1}({x})"
    domain = (0.1, 0.9)


ndtri = elementwise(NdtriGrad, reference=special.ndtri)
