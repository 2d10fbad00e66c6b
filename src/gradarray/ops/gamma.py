r"""The gamma function and its relatives: logarithm, polygamma, zeta, beta, Pochhammer, binomial.

Derivatives stay in the family: \Gamma' = \Gamma \psi, \psi^{(n)'} = \psi^{(n+1)}, and what beta
functions need, differences \psi^{(n)}(a + b) - \psi^{(n)}(a), is one op without the subtraction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..errors import message
from ..lazy import special
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import negative
from .compare import less, where
from .complex import is_complex
from .gamma_series import betaln_values, gammaln_values, hurwitz, polygamma_gap, polygamma_values
from .precise import in_double, result_dtype
from .special import function_of, integer_order

__all__ = ["digamma", "gammaln", "polygamma"]


class GammaGrad(Elementwise):
    r"""y = \Gamma(x) = \int_0^\infty t^{x-1} e^{-t} dt. dy/dx = y \psi(x). Complex x too.

    >>> import gradarray as ga
    >>> ga.special.gamma([0.5, 5.0])
    GradArray([ 1.77245385, 24.        ], dtype=float64)
    """

    forward = special.gamma
    partials = (lambda x, y: y * digamma(x),)
    tex = r"\Gamma({x})"
    domain = (0.3, 4.0)


gamma = function_of(GammaGrad, reference=special.gamma)


class GammaLnGrad(Elementwise):
    r"""y = \log |\Gamma(x)|, with all its digits near its zeros 1 and 2. dy/dx = \psi(x).

    >>> import gradarray as ga
    >>> ga.gammaln([1.0, 1e10])
    GradArray([0.00000000e+00, 2.20258509e+11], dtype=float64)
    """

    forward = in_double(gammaln_values, special.gammaln)
    partials = (lambda x: digamma(x),)
    tex = r"\log |\Gamma({x})|"
    domain = (0.3, 4.0)


# SciPy's loses digits near 1 and 2; the real part of its complex function does not.
gammaln = elementwise(
    GammaLnGrad,
    reference=lambda x: np.where(
        np.greater(x, 0), special.loggamma(np.abs(x)), special.gammaln(x)
    )[()],
)


class LogGammaGrad(Elementwise):
    r"""y = \log \Gamma(x), the branch that is real on x > 0 and analytic off x <= 0. dy/dx = \psi.

    Of a real x <= 0 the logarithm is complex, and NaN stands for it.

    >>> import gradarray as ga
    >>> ga.special.loggamma([3.0, 1j])
    GradArray([ 0.69314718+0.j        , -0.6509232 -1.87243665j], dtype=complex128)
    """

    forward = special.loggamma
    partials = (lambda x: digamma(x),)
    tex = r"\log \Gamma({x})"
    domain = (0.3, 4.0)


loggamma = function_of(LogGammaGrad, reference=special.loggamma)


class GammaSgnGrad(Elementwise):
    r"""y = the sign of \Gamma(x): 1, -1, or at a pole 0 or NaN as SciPy has it; no derivative.

    >>> import gradarray as ga
    >>> ga.special.gammasgn([0.5, -0.5])
    GradArray([ 1., -1.], dtype=float64)
    """

    forward = special.gammasgn
    partials = (None,)
    tex = r"\operatorname{sign} \Gamma({x})"
    domain = (-2.9, 3.0)


gammasgn = function_of(GammaSgnGrad, reference=special.gammasgn, differentiable=False)


class DigammaGrad(Elementwise):
    r"""y = \psi(x) = \Gamma'(x) / \Gamma(x). dy/dx = \psi'(x), the trigamma function. Complex too.

    >>> import gradarray as ga
    >>> ga.digamma([1.0, 1e-8])
    GradArray([-5.77215665e-01, -1.00000001e+08], dtype=float64)
    """

    forward = special.psi
    partials = (lambda x: nth_polygamma(1, x),)
    tex = r"\psi({x})"
    domain = (0.3, 4.0)


digamma = elementwise(DigammaGrad, reference=special.psi)


class PolyGammaGrad(Elementwise):
    r"""y = \psi^{(n)}(x). dy/dx = \psi^{(n+1)}(x)."""

    operands = ("n", "x")
    @staticmethod
    def forward(n: Any, x: Any) -> Any:
        if is_complex(x):
            return polygamma_values(n, x)
        return _real_polygamma(n, x).astype(result_dtype(x))[()]

    partials = (None, lambda n, x: nth_polygamma(n + 1, x))
    tex = r"\psi^{({n})}({x})"


_real_polygamma = in_double(polygamma_values).__func__
nth_polygamma = PolyGammaGrad.of


@public(
    op=PolyGammaGrad,
    reference=lambda n, x: special.polygamma(n, x),
    cases=[
        case(0, arr(3, low=0.3, high=4.0)),
        case(1, arr(2, 3, low=0.3, high=4.0)),
        case(3, arr(low=0.5, high=4.0)),
        case(2, arr(3, low=-0.8, high=-0.3)),
    ],
)
def polygamma(n: Any, x: Any) -> GradArray:
    r"""y = \psi^{(n)}(x) = (-1)^{n+1} n! \zeta(n + 1, x), the nth derivative of \psi = \psi^{(0)}.

    n: integers, at least 0, that broadcast with x; dy/dx = \psi^{(n+1)}(x). Complex x too. Raises
    DTypeError for an n that is not integer, ValueError for a negative one.

    >>> import gradarray as ga
    >>> ga.polygamma(1, [1.0, 2.0])
    GradArray([1.64493407, 0.64493407], dtype=float64)
    """
    n = integer_order("polygamma", n)
    values = n._data if isinstance(n, GradArray) else n
    if isinstance(values, (int, np.ndarray, np.generic)) and np.any(np.less(values, 0)):
        raise ValueError(message("polygamma", f"n is at least 0, given {np.min(values)}."))
    return nth_polygamma(n, lift(x, "polygamma"))


# The zeta function --------------------------------------------------------------------------------


class ZetaGrad(Elementwise):
    r"""y = \partial_s^m \zeta(s, q), by Euler's and Maclaurin's sum."""

    operands = ("s", "q")

    @staticmethod
    def forward(s: Any, q: Any, m: int) -> Any:
        return _real_zeta(s, q) if m == 0 else _zeta_slope(s, q, m=m)

    partials = (
        lambda s, q, m: _zeta(s, q, m + 1),
        lambda s, q, m: negative(s * _zeta(s + 1, q, m) + (m * _zeta(s + 1, q, m - 1) if m else 0)),
    )
    tex = r"\zeta({s}, {q})"


_real_zeta = in_double(lambda s, q: special.zeta(s, q)).__func__
_zeta_slope = in_double(hurwitz).__func__


def _zeta(s: Any, q: Any, m: int) -> Any:
    return apply(ZetaGrad, s, q, m=m)


@public(
    name="special.zeta",
    op=ZetaGrad,
    reference=lambda x, q=1.0: special.zeta(x, q),
    cases=[
        case(arr(2, 3, low=1.3, high=6.0)),
        case(arr(2, 1, low=1.3, high=6.0), arr(3, low=0.3, high=4.0)),
        case(3.0, arr(low=0.3, high=4.0)),
    ],
)
def zeta(x: Any, q: Any = 1.0) -> GradArray:
    r"""y = \sum_{k \ge 0} (q + k)^{-x}, x > 1, q > 0: Riemann's for q = 1, Hurwitz's otherwise.

    dy/dq = -x \zeta(x + 1, q); dy/dx = -\sum (q + k)^{-x} \log(q + k), both to any order, to about
    16 eps of the largest term. (DLMF 25.11; Johansson, "Rigorous high-precision computation of the
    Hurwitz zeta function and its derivatives", Numer. Algorithms 69, 2015, equation 5.)

    >>> import gradarray as ga
    >>> ga.special.zeta(2.0)
    GradArray(1.64493407, dtype=float64)
    """
    # Python's numbers stay numbers, which promote nothing.
    q = q if isinstance(q, (int, float)) else lift(q, "zeta")
    x = x if isinstance(x, (int, float)) and not isinstance(q, (int, float)) else lift(x, "zeta")
    return _zeta(x, q, 0)


# Beta functions -----------------------------------------------------------------------------------


class PolyGammaGapGrad(Elementwise):
    r"""y = \psi^{(n)}(a + b) - \psi^{(n)}(a), without the subtraction where a, a + b > 0."""

    name = "polygamma_gap"
    forward = in_double(polygamma_gap)
    partials = (
        lambda a, b, n: psi_gap(a, b, n + 1),
        lambda a, b, n: nth_polygamma(n + 1, a + b),
    )
    tex = r"\psi^{(n)}({a} + {b}) - \psi^{(n)}({a})"
    domain = ((0.3, 4.0), (0.3, 4.0))


def psi_gap(a: Any, b: Any, n: int = 0) -> Any:
    return apply(PolyGammaGapGrad, a, b, n=n)


class BetaGrad(Elementwise):
    r"""y = B(a, b) = \Gamma(a) \Gamma(b) / \Gamma(a + b). dy/da = -y (\psi(a + b) - \psi(a)).

    >>> import gradarray as ga
    >>> ga.special.beta(2.0, [3.0, 4.0])
    GradArray([0.08333333, 0.05      ], dtype=float64)
    """

    forward = special.beta
    partials = (
        lambda a, b, y: negative(y * psi_gap(a, b)),
        lambda a, b, y: negative(y * psi_gap(b, a)),
    )
    tex = r"B({a}, {b})"
    domain = ((0.3, 4.0), (0.3, 4.0))


beta = function_of(BetaGrad, reference=special.beta)


class BetaLnGrad(Elementwise):
    r"""y = \log |B(a, b)|. dy/da = -(\psi(a + b) - \psi(a)), which keeps its digits at a large a.

    >>> import gradarray as ga
    >>> ga.special.betaln(1e10, 1.0)
    GradArray(-23.02585093, dtype=float64)
    """

    forward = in_double(betaln_values, special.betaln)
    partials = (lambda a, b: negative(psi_gap(a, b)), lambda a, b: negative(psi_gap(b, a)))
    tex = r"\log |B({a}, {b})|"
    domain = ((0.3, 4.0), (0.3, 4.0))


betaln = function_of(BetaLnGrad, reference=special.betaln)


class PochGrad(Elementwise):
    r"""y = (a)_b = \Gamma(a + b) / \Gamma(a). dy/db = y \psi(a + b).

    >>> import gradarray as ga
    >>> ga.special.poch(3.0, [1.0, 2.0])
    GradArray([ 3., 12.], dtype=float64)
    """

    forward = special.poch
    partials = (lambda a, b, y: y * psi_gap(a, b), lambda a, b, y: y * digamma(a + b))
    tex = r"({a})_{{b}}"
    domain = ((0.3, 4.0), (0.3, 4.0))


poch = function_of(PochGrad, reference=special.poch)


class BinomGrad(Elementwise):
    r"""y = \Gamma(n + 1) / (\Gamma(k + 1) \Gamma(n - k + 1)): n over k, of any real numbers.

    dy/dn = y (\psi(n + 1) - \psi(n - k + 1)), dy/dk = y (\psi(n - k + 1) - \psi(k + 1)), NaN at
    the poles of \psi.

    >>> import gradarray as ga
    >>> ga.special.binom(5.0, [1.0, 2.0])
    GradArray([ 5., 10.], dtype=float64)
    """

    operands = ("n", "k")
    forward = special.binom
    partials = (
        lambda n, k, y: y * psi_gap(n - k + 1, k),
        lambda n, k, y: y * psi_gap(k + 1, n - k - k),
    )
    tex = r"\binom{{n}}{{k}}"
    domain = ((3.2, 6.0), (0.3, 2.0))


binom = function_of(BinomGrad, reference=special.binom)


@public(
    name="special.factorial",
    reference=lambda n: special.factorial(n),
    cases=[case(arr(2, 3, low=0.3, high=5.0)), case(arr(4, kind="int", low=0, high=9))],
)
def factorial(n: Any) -> GradArray:
    r"""y = n! = \Gamma(n + 1), of real numbers too, and 0 below 0. dy/dn = y \psi(n + 1).

    >>> import gradarray as ga
    >>> ga.special.factorial([0, 5])
    GradArray([  1., 120.], dtype=float64)
    """
    n = lift(n, "factorial")
    inside = where(less(n, 0), 0, n)
    return where(less(n, 0), 0, gamma(inside + 1))


@public(
    name="special.multigammaln",
    reference=lambda a, d: special.multigammaln(a, d),
    cases=[case(arr(2, 3, low=2.0, high=5.0), 3), case(arr(low=2.0, high=5.0), 1)],
)
def multigammaln(a: Any, d: int) -> GradArray:
    r"""y = \frac{d(d-1)}{4} \log \pi + \sum_{j=1}^d \log \Gamma(a + \frac{1-j}{2}), a > (d-1)/2.

    The normaliser of Wishart's distribution. Raises ValueError for a d below 1 (and NaN stands
    where a is too small).

    >>> import gradarray as ga
    >>> ga.special.multigammaln(3.0, 2)
    GradArray(1.55019499, dtype=float64)
    """
    if d < 1:
        raise ValueError(message("multigammaln", f"the dimension d is at least 1, given {d}."))
    a = lift(a, "multigammaln")
    y = d * (d - 1) / 4 * math.log(math.pi) + gammaln(a)
    for j in range(1, d):
        y = y + gammaln(a - j / 2)
    return where(less(a, (d - 1) / 2), math.nan, y)
