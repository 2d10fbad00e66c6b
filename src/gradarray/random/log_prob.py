r"""Logarithms of probabilities: for each draw of `ga.random` the function of the same name.

`ga.random.gamma(shape, scale)` draws, `ga.random.log_prob.gamma(x, shape, scale)` is the logarithm
of the density at x: the parameters are those of the draw, all of them broadcast, and so do their
derivatives. Outside of its support a density is 0 and its logarithm -inf, with slope 0.

They are what the score function asks for (REINFORCE). For a draw that has no derivative,

    \nabla_\theta E f(x) = E [ f(x) \nabla_\theta \log p(x; \theta) ],

so the gradient of the surrogate f(x) log p(x), x and f held constant, has the right mean. What does
not depend on x may be taken off f, a baseline, and lowers the variance. (R. J. Williams, "Simple
statistical gradient-following algorithms", Machine Learning 8, 1992.)

>>> import gradarray as ga
>>> reward = ga.array([1.0, 0.0, 3.0])
>>> def surrogate(logits, rng):
...     x = rng.categorical(logits, size=10_000)
...     f = ga.stop_gradient(reward[x])
...     return (f * ga.random.log_prob.categorical(x, logits)).mean()
>>> logits = ga.array([0.0, 0.5, -0.5])
>>> ga.grad(surrogate)(logits, ga.random.Generator(0)).round(2)
GradArray([ 0.04, -0.44,  0.4 ], dtype=float64)
>>> ga.grad(lambda l: (ga.softmax(l) * reward).sum())(logits).round(2)
GradArray([ 0.04, -0.44,  0.4 ], dtype=float64)
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..ops.activations import log_expit
from ..ops.axes import one_axis
from ..ops.compare import equal, greater, less, where
from ..ops.elementwise import absolute, exp, log, square
from ..ops.entropy import xlog1py, xlogy
from ..ops.factor import cholesky
from ..ops.frame import diagonal
from ..ops.functional import log_softmax
from ..ops.gamma import betaln, gammaln
from ..ops.layout import moveaxis
from ..ops.linsolve import solve_triangular
from ..ops.logical import logical_or
from ..ops.shape import astype, broadcast_to
from ..ops.take import take_along_axis
from ..registry import arr, case, public
from .parameters import check, vectors

__all__ = [
    "bernoulli",
    "beta",
    "categorical",
    "dirichlet",
    "exponential",
    "gamma",
    "gumbel",
    "laplace",
    "logistic",
    "multivariate_normal",
    "normal",
    "uniform",
]

_LOG_2PI = math.log(2 * math.pi)


def _given(name: str, x: Any, **parameters: Any) -> list[Any]:
    """x and the parameters as floating arrays; a scale, or another that has to be, above 0."""
    op = f"log_prob.{name}"
    x = lift(x, op)
    x = x if x.dtype.kind == "f" else astype(x, np.float64)
    out = [x]
    for key, value in parameters.items():
        number = isinstance(value, int | float)
        value = lift(x.dtype.type(value) if number else value, op)
        if key not in ("loc", "low", "high", "p"):
            check(op, key, value, lambda v: ~(v <= 0), "above 0")
        out.append(value)
    return out


def _scipy(name: str) -> Any:
    """A distribution of scipy.stats, which takes long to import: only tests ask for it."""
    return getattr(importlib.import_module("scipy.stats"), name)


def _density(
    name: str, reference: Callable[..., Any], *cases: Any, positive: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """A public function of this module; arguments at the places `positive` have to be above 0."""

    def strict(*args: Any, **keywords: Any) -> Any:
        # SciPy answers NaN where these functions raise.
        if any(np.any(np.less_equal(args[k], 0)) for k in positive if k < len(args)):
            raise ValueError("not above 0")
        return reference(*args, **keywords)

    return public(name=f"random.log_prob.{name}", reference=strict, cases=list(cases))


_REAL = arr(2, 3, low=-2.5, high=4.0)
_POSITIVE = arr(2, 3, low=0.2, high=4.0)
_SCALE = arr(3, low=0.5, high=2.0)
_LOC = arr(2, 1, low=-1.0, high=1.0)

# The real line ------------------------------------------------------------------------------------


@_density(
    "uniform",
    lambda x, low=0.0, high=1.0: _scipy("uniform").logpdf(x, low, high - low),
    case(arr(4, low=0.1, high=0.9)),
    case(_REAL, arr(3, low=-4.0, high=-3.0), arr(2, 1, low=5.0, high=6.0)),
)
def uniform(x: Any, low: Any = 0.0, high: Any = 1.0) -> GradArray:
    r"""\log p = -\log(high - low) for low <= x <= high.

    >>> import gradarray as ga
    >>> ga.random.log_prob.uniform([1.0, 3.0], 0.0, 2.0)
    GradArray([-0.69314718,        -inf], dtype=float64)
    """
    x, low, high = _given("uniform", x, low=low, high=high)
    outside = logical_or(less(x, low), greater(x, high))
    y = where(outside, -math.inf, -log(high - low))
    return where(equal(x, x), y, math.nan)


@_density(
    "normal",
    lambda x, loc=0.0, scale=1.0: _scipy("norm").logpdf(x, loc, scale),
    case(_REAL),
    case(_REAL, _LOC, _SCALE),
    positive=(2,),
)
def normal(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> GradArray:
    r"""\log p = -z^2/2 - \log scale - \log(2 \pi)/2, z = (x - loc)/scale.

    Raises ValueError for a scale that is not above 0, as the functions below do.

    >>> import gradarray as ga
    >>> ga.random.log_prob.normal(0.0)
    GradArray(-0.91893853, dtype=float64)
    """
    x, loc, scale = _given("normal", x, loc=loc, scale=scale)
    return square((x - loc) / scale) * -0.5 - log(scale) - 0.5 * _LOG_2PI


@_density(
    "exponential",
    lambda x, scale=1.0: _scipy("expon").logpdf(x, 0.0, scale),
    case(_POSITIVE),
    case(_POSITIVE, _SCALE),
    positive=(1,),
)
def exponential(x: Any, scale: Any = 1.0) -> GradArray:
    r"""\log p = -x/scale - \log scale for x >= 0.

    >>> import gradarray as ga
    >>> ga.random.log_prob.exponential([-1.0, 2.0], 2.0)
    GradArray([       -inf, -1.69314718], dtype=float64)
    """
    x, scale = _given("exponential", x, scale=scale)
    return where(less(x, 0), -math.inf, -(x / scale) - log(scale))


@_density(
    "laplace",
    lambda x, loc=0.0, scale=1.0: _scipy("laplace").logpdf(x, loc, scale),
    case(arr(2, 3, low=1.5, high=4.0)),
    case(arr(2, 3, low=1.5, high=4.0), _LOC, _SCALE),
    positive=(2,),
)
def laplace(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> GradArray:
    r"""\log p = -|x - loc|/scale - \log(2 scale).

    >>> import gradarray as ga
    >>> ga.random.log_prob.laplace(0.0)
    GradArray(-0.69314718, dtype=float64)
    """
    x, loc, scale = _given("laplace", x, loc=loc, scale=scale)
    return -absolute((x - loc) / scale) - log(2 * scale)


@_density(
    "gumbel",
    lambda x, loc=0.0, scale=1.0: _scipy("gumbel_r").logpdf(x, loc, scale),
    case(_REAL),
    case(_REAL, _LOC, _SCALE),
    positive=(2,),
)
def gumbel(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> GradArray:
    r"""\log p = -z - e^{-z} - \log scale, z = (x - loc)/scale.

    >>> import gradarray as ga
    >>> ga.random.log_prob.gumbel(0.0)
    GradArray(-1., dtype=float64)
    """
    x, loc, scale = _given("gumbel", x, loc=loc, scale=scale)
    z = (x - loc) / scale
    return -(z + exp(-z)) - log(scale)


@_density(
    "logistic",
    lambda x, loc=0.0, scale=1.0: _scipy("logistic").logpdf(x, loc, scale),
    case(_REAL),
    case(_REAL, _LOC, _SCALE),
    positive=(2,),
)
def logistic(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> GradArray:
    r"""\log p = \log \sigma(z) + \log \sigma(-z) - \log scale, z = (x - loc)/scale.

    >>> import gradarray as ga
    >>> ga.random.log_prob.logistic(0.0)
    GradArray(-1.38629436, dtype=float64)
    """
    x, loc, scale = _given("logistic", x, loc=loc, scale=scale)
    z = (x - loc) / scale
    return log_expit(z) + log_expit(-z) - log(scale)


@_density(
    "gamma",
    lambda x, shape, scale=1.0: _scipy("gamma").logpdf(x, shape, 0.0, scale),
    case(_POSITIVE, arr(3, low=0.5, high=4.0)),
    case(_POSITIVE, arr(2, 1, low=0.5, high=4.0), _SCALE),
    positive=(1, 2),
)
def gamma(x: Any, shape: Any, scale: Any = 1.0) -> GradArray:
    r"""\log p = (a - 1) \log z - z - \log \Gamma(a) - \log scale, z = x/scale >= 0, a = shape.

    >>> import gradarray as ga
    >>> ga.random.log_prob.gamma([-1.0, 1.0], 2.0)
    GradArray([-inf,  -1.], dtype=float64)
    """
    x, a, scale = _given("gamma", x, shape=shape, scale=scale)
    outside = less(x, 0)
    z = where(outside, 1, x) / scale
    return where(outside, -math.inf, xlogy(a - 1, z) - z - gammaln(a) - log(scale))


@_density(
    "beta",
    lambda x, a, b: _scipy("beta").logpdf(x, a, b),
    case(arr(2, 3, low=0.1, high=0.9), arr(3, low=0.5, high=4.0), arr(2, 1, low=0.5, high=4.0)),
    positive=(1, 2),
)
def beta(x: Any, a: Any, b: Any) -> GradArray:
    r"""\log p = (a - 1) \log x + (b - 1) \log(1 - x) - \log B(a, b) for 0 <= x <= 1.

    >>> import gradarray as ga
    >>> ga.random.log_prob.beta(0.5, 2.0, 2.0)
    GradArray(0.40546511, dtype=float64)
    """
    x, a, b = _given("beta", x, a=a, b=b)
    outside = logical_or(less(x, 0), greater(x, 1))
    z = where(outside, 0.5, x)
    return where(outside, -math.inf, xlogy(a - 1, z) + xlog1py(b - 1, -z) - betaln(a, b))


# Vectors ------------------------------------------------------------------------------------------


def _dirichlet(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln

    normal = gammaln(alpha.sum(-1)) - gammaln(alpha).sum(-1)
    return normal + ((alpha - 1) * np.log(x)).sum(-1)


@_density(
    "dirichlet",
    _dirichlet,
    case(arr(2, 3, low=0.1, high=0.9), arr(3, low=0.5, high=4.0)),
    case(arr(3, low=0.1, high=0.9), arr(2, 1, 3, low=0.5, high=4.0)),
    positive=(1,),
)
def dirichlet(x: Any, alpha: Any) -> GradArray:
    r"""\log p = \sum_k (\alpha_k - 1) \log x_k - \log B(\alpha).

    B(\alpha) = \prod_k \Gamma(\alpha_k) / \Gamma(\sum_k \alpha_k). Vectors along the
    last axis, x >= 0; that their parts sum to 1 is not asked (the formula, and its slope, goes on
    outside of the simplex).

    >>> import gradarray as ga
    >>> ga.random.log_prob.dirichlet([0.2, 0.3, 0.5], [1.0, 1.0, 1.0])
    GradArray(0.69314718, dtype=float64)
    """
    x, alpha = _given("dirichlet", x, alpha=alpha)
    vectors("log_prob.dirichlet", "x", x, 1)
    outside = less(x, 0)
    parts = where(outside, -math.inf, xlogy(alpha - 1, where(outside, 1, x)))
    return parts.sum(-1) + gammaln(alpha.sum(-1)) - gammaln(alpha).sum(-1)


def _multivariate_normal(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    away = x - mean
    whole = (cov + np.swapaxes(cov, -1, -2)) / 2
    np.linalg.cholesky(whole)  # raises where it is not positive definite
    solved = np.linalg.solve(whole, away[..., None])[..., 0]
    logdet = np.linalg.slogdet(whole)[1]
    return -0.5 * ((away * solved).sum(-1) + logdet + x.shape[-1] * _LOG_2PI)


@_density(
    "multivariate_normal",
    _multivariate_normal,
    case(arr(3), arr(3), arr(3, 3, kind="spd")),
    case(arr(2, 3), arr(3), arr(2, 3, 3, kind="spd")),
)
def multivariate_normal(x: Any, mean: Any, cov: Any) -> GradArray:
    r"""\log p = -|w|^2/2 - \sum \log L_{kk} - d \log(2 \pi)/2, L w = x - mean, L L^T = cov.

    Vectors (..., d) and symmetric matrices (..., d, d), whose leading axes broadcast. Raises
    LinAlgError for a covariance that is not positive definite.

    >>> import gradarray as ga
    >>> ga.random.log_prob.multivariate_normal([0.0, 0.0], [0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    GradArray(-2.53102425, dtype=float64)
    """
    op = "log_prob.multivariate_normal"
    x, mean = vectors(op, "x", x, 1), vectors(op, "mean", mean, 1)
    cov = vectors(op, "cov", cov, 2)
    factor = cholesky(cov)
    w = solve_triangular(factor, (x - mean)[..., None], lower=True)[..., 0]
    size = log(diagonal(factor, axis1=-2, axis2=-1)).sum(-1)
    return square(w).sum(-1) * -0.5 - size - 0.5 * w.shape[-1] * _LOG_2PI


# Events and classes -------------------------------------------------------------------------------


def _bernoulli(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    if np.any((p < 0) | (p > 1)):
        raise ValueError("not from 0 to 1")
    return _scipy("bernoulli").logpmf(x, p)


@_density(
    "bernoulli",
    _bernoulli,
    case(arr(2, 3, kind="int", low=0, high=2), arr(3, low=0.1, high=0.9)),
    case(arr(3, kind="bool"), arr(2, 1, low=0.1, high=0.9)),
)
def bernoulli(x: Any, p: Any) -> GradArray:
    r"""\log p for x = 1, \log(1 - p) for x = 0 (true and false), -inf for others.

    >>> import gradarray as ga
    >>> ga.random.log_prob.bernoulli([True, False], 0.25)
    GradArray([-1.38629436, -0.28768207], dtype=float64)
    """
    op = "log_prob.bernoulli"
    p = lift(p, op)
    check(op, "p", p, lambda v: ~((v < 0) | (v > 1)), "from 0 to 1")
    x = astype(lift(x, op), p.dtype if p.dtype.kind == "f" else np.float64)
    inside = logical_or(equal(x, 0), equal(x, 1))
    return where(inside, xlogy(x, p) + xlog1py(1 - x, -p), -math.inf)


def _categorical(x: np.ndarray, logits: np.ndarray, axis: int = -1) -> np.ndarray:
    from scipy.special import log_softmax

    logp = np.moveaxis(log_softmax(logits, axis), axis, -1)
    shape = np.broadcast_shapes(x.shape, logp.shape[:-1])
    logp = np.broadcast_to(logp, (*shape, logp.shape[-1]))
    return np.take_along_axis(logp, np.broadcast_to(x, shape)[..., None], -1)[..., 0]


@_density(
    "categorical",
    _categorical,
    case(arr(2, kind="int", low=0, high=3), arr(2, 3)),
    case(arr(4, 2, kind="int", low=0, high=3), arr(3, 2), axis=0),
)
def categorical(x: Any, logits: Any, axis: int = -1) -> GradArray:
    r"""\log p = l_x - \log \sum_j e^{l_j}, x classes from 0, l the logits along `axis`.

    x and the other axes of the logits broadcast. Raises DTypeError for an x that is not integer,
    ValueError for one that is no class.

    >>> import gradarray as ga
    >>> ga.random.log_prob.categorical([0, 1], ga.log([0.25, 0.75]))
    GradArray([-1.38629436, -0.28768207], dtype=float64)
    """
    op = "log_prob.categorical"
    x, logits = lift(x, op), vectors(op, "logits", logits, 1)
    if x.dtype.kind not in "iu":
        raise DTypeError(message(op, f"a class is an integer, not {x.dtype}.", "x.astype(int)"))
    logp = moveaxis(log_softmax(logits, axis), one_axis(axis, logits.ndim, op), -1)
    count = logp.shape[-1]
    check(op, "x", x, lambda v: (v >= 0) & (v < count), f"from 0 to {count - 1}")
    try:
        shape = np.broadcast_shapes(x.shape, logp.shape[:-1])
    except ValueError:
        rest = logp.shape[:-1]
        raise ShapeError(
            message(op, f"x of shape {x.shape} does not broadcast with the logits' {rest}.")
        ) from None
    index = broadcast_to(x, shape)[..., None]
    return take_along_axis(broadcast_to(logp, (*shape, count)), index, -1)[..., 0]


def __dir__() -> list[str]:
    return __all__
