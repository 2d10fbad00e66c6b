"""Activation functions that bend or saturate; those with corners are in `piecewise`.

Each is one op with a partial of its own, so that values and derivatives keep their digits where
the written-out formula would lose them: far out, and where it subtracts what is nearly equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import choice
from ..errors import message
from ..lazy import special
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .arithmetic import absolute, negative
from .compare import greater, where
from .exponential import exp
from .hyperbolic import sech, sigmoid, tanh
from .piecewise import SHARE, kinked, like
from .powers import reciprocal, square
from .special import erfc

__all__ = [
    "celu",
    "elu",
    "gelu",
    "log_expit",
    "log_sigmoid",
    "mish",
    "selu",
    "silu",
    "softplus",
    "softsign",
    "swish",
    "tanhshrink",
]

_elu_at_0 = choice(
    "elu", "x = 0", 0.0, between=(0.0, 1.0), at=lambda x: np.equal(x, 0),
    reason=f"PyTorch's: alpha, the slope of the negative side (no kink where it is 1); {SHARE}",
)  # fmt: skip


class ELUGrad(Elementwise):
    """y = x for x > 0, else alpha (e^x - 1)."""

    name = "elu"
    forward = staticmethod(lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))
    partials = (lambda x, alpha: _elu_slope(x, alpha),)
    tex = r"\max({x}, 0) + {alpha} \min(e^{{x}} - 1, 0)"


def _elu_slope(x: Any, alpha: float) -> Any:
    # The exponential is of what is not positive, so that nothing overflows on the other side.
    return kinked(x, 0, alpha * exp(where(greater(x, 0), like(x, 0), x)), 1, _elu_at_0.value)


@public(
    op=ELUGrad,
    reference=lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1)),
    cases=[case(arr(2, 3)), case(arr(), 0.5)],
)
def elu(x: Any, alpha: float = 1.0) -> GradArray:
    """y = x for x > 0, else alpha (e^x - 1).

    (Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential
    linear units", ICLR 2016.)

    >>> import gradarray as ga
    >>> ga.elu([-1000.0, 2.0])
    GradArray([-1.,  2.], dtype=float64)
    """
    return apply(ELUGrad, x, alpha=float(alpha))


@public(
    reference=lambda x, alpha=1.0: (
        np.maximum(x, 0) + np.minimum(alpha * (np.exp(np.minimum(x, 0) / alpha) - 1), 0)
    ),
    cases=[case(arr(2, 3)), case(arr(2, 3), 0.5)],
)
def celu(x: Any, alpha: float = 1.0) -> GradArray:
    r"""y = x for x > 0, else alpha (e^{x/alpha} - 1), which has slope 1 at 0 for every alpha.

    (Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483.)

    >>> import gradarray as ga
    >>> ga.celu([-1000.0, 2.0], 0.5)
    GradArray([-0.5,  2. ], dtype=float64)
    """
    return elu(lift(x) / alpha) * alpha


# Chosen such that activations of mean 0 and variance 1 keep them.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@public(
    reference=lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    cases=[case(arr(2, 3))],
)
def selu(x: Any) -> GradArray:
    r"""y = \lambda x for x > 0, else \lambda \alpha (e^x - 1), \lambda = 1.0507, \alpha = 1.6733.

    (Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017, equation 2.)

    >>> import gradarray as ga
    >>> ga.selu([0.0, 1.0])
    GradArray([0.        , 1.05070099], dtype=float64)
    """
    return elu(x, _SELU_ALPHA) * _SELU_SCALE


# Smooth -------------------------------------------------------------------------------------------


def _log1p_exp(x: Any) -> Any:
    # As np.logaddexp(x, 0), by functions that NumPy computes many at a time.
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


class SoftplusGrad(Elementwise):
    r"""y = \log(1 + e^{bx}) / b; its value is taken as x where b x is above the threshold.

    The derivatives are those of the logarithm everywhere: beyond the threshold the slope is 1 to
    e^{-bx}, and that small difference is all there is of the second derivative.
    """

    forward = staticmethod(
        lambda x, beta, threshold: np.where(beta * x > threshold, x, _log1p_exp(beta * x) / beta)
    )
    partials = (lambda x, beta: sigmoid(beta * x),)
    tex = r"\log(1 + e^{{x}})"


@public(
    op=SoftplusGrad,
    reference=lambda x, beta=1.0, threshold=20.0: np.where(
        beta * x > threshold, x, np.log1p(np.exp(beta * np.minimum(x, 50.0))) / beta
    ),
    cases=[case(arr(2, 3)), case(arr(2, 3, low=-9.0, high=9.0), beta=2.0)],
)
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> GradArray:
    r"""y = \log(1 + e^{\beta x}) / \beta, and x where \beta x > threshold. dy/dx = \sigma(\beta x).

    The threshold is a short cut for the value; the derivatives know none, and keep their digits.

    >>> import gradarray as ga
    >>> ga.softplus([-1000.0, 0.0, 1000.0])
    GradArray([0.00000000e+00, 6.93147181e-01, 1.00000000e+03], dtype=float64)
    """
    return apply(SoftplusGrad, x, beta=float(beta), threshold=float(threshold))


class LogSigmoidGrad(Elementwise):
    r"""y = \log sigmoid(x) = -\log(1 + e^{-x}). dy/dx = sigmoid(-x).

    >>> import gradarray as ga
    >>> ga.log_sigmoid([-1000.0, 0.0])
    GradArray([-1.00000000e+03, -6.93147181e-01], dtype=float64)
    """

    name = "log_sigmoid"
    forward = staticmethod(lambda x: -_log1p_exp(-x))
    partials = (lambda x: sigmoid(negative(x)),)
    tex = r"\log \sigma({x})"


log_sigmoid = log_expit = elementwise(
    LogSigmoidGrad, reference=lambda x: special.log_expit(x), aliases=("log_expit",)
)


def _gated(x: Any, gate: Any) -> Any:
    # Below -1e4 every gate is 0 in every dtype; so the limit at -inf is 0, not inf times 0.
    return np.maximum(x, -1e4) * gate


class SiLUGrad(Elementwise):
    r"""y = x sigmoid(x). dy/dx = \sigma(x) + x \sigma'(x), \sigma'(x) = sech^2(x/2)/4.

    (Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units", Neural Networks 107, 2018.)

    >>> import gradarray as ga
    >>> ga.silu([0.0, 1000.0])
    GradArray([   0., 1000.], dtype=float64)
    """

    forward = staticmethod(lambda x: _gated(x, special.expit(x)))
    # Written as sigma (1 + x sigma(-x)), terms of 1/4 cancel in the third derivative at 0.
    partials = (lambda x: sigmoid(x) + x * (0.25 * square(sech(0.5 * x))),)
    tex = r"{x} \, \sigma({x})"
    domain = (-4.0, 4.0)


silu = swish = elementwise(
    SiLUGrad, reference=lambda x: x / (1 + np.exp(-x)), aliases=("swish",)
)


class MishGrad(Elementwise):
    r"""y = x \tanh(\log(1 + e^x)). dy/dx = \tanh s + x \sigma(x) sech^2 s, s = \log(1 + e^x).

    (Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.)

    >>> import gradarray as ga
    >>> ga.mish([0.0, 1000.0])
    GradArray([   0., 1000.], dtype=float64)
    """

    forward = staticmethod(lambda x: _gated(x, np.tanh(_log1p_exp(x))))
    partials = (lambda x: _mish_slope(x, apply(SoftplusGrad, x, beta=1.0, threshold=math.inf)),)
    tex = r"{x} \tanh(\log(1 + e^{{x}}))"
    domain = (-4.0, 4.0)


def _mish_slope(x: Any, s: Any) -> Any:
    # Far out the second derivative is all in sech^2, of which 1 - tanh^2 has no digit left.
    return tanh(s) + x * sigmoid(x) * square(sech(s))


mish = elementwise(MishGrad, reference=lambda x: x * np.tanh(np.log1p(np.exp(x))))


class GELUGrad(Elementwise):
    r"""y = x \Phi(x), \Phi the normal's. dy/dx = \Phi(x) + x e^{-x^2/2} / \sqrt{2 \pi}."""

    forward = staticmethod(lambda x: _gated(x, special.ndtr(x)))
    partials = (
        lambda x: 0.5 * erfc(x * -math.sqrt(0.5))
        + x * exp(square(x) * -0.5) * (1 / math.sqrt(2 * math.pi)),
    )
    tex = r"{x} \, \Phi({x})"


@public(
    op=GELUGrad,
    reference=lambda x, approximate="none": (
        x * special.ndtr(x)
        if approximate == "none"
        else 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
    cases=[case(arr(2, 3, low=-4.0, high=4.0)), case(arr(2, 3), approximate="tanh")],
)
def gelu(x: Any, approximate: str = "none") -> GradArray:
    r"""y = x \Phi(x), \Phi the distribution function of the standard normal.

    With approximate="tanh": y = x/2 (1 + \tanh(\sqrt{2/\pi} (x + 0.044715 x^3))). Raises
    ValueError for another word. (Hendrycks & Gimpel, "Gaussian error linear units",
    arXiv:1606.08415.)

    >>> import gradarray as ga
    >>> ga.gelu([-1.0, 0.0, 1.0])
    GradArray([-0.15865525,  0.        ,  0.84134475], dtype=float64)
    """
    if approximate == "none":
        return apply(GELUGrad, x)
    if approximate != "tanh":
        raise ValueError(
            message("gelu", f'approximate is "none" or "tanh", not {approximate!r}.')
        )
    x = lift(x)
    # (1 + tanh u) / 2 = sigmoid(2 u), which keeps its digits where tanh u is near -1.
    return x * sigmoid((x + x * x * x * 0.044715) * (2 * math.sqrt(2 / math.pi)))


class SoftsignGrad(Elementwise):
    """y = x / (1 + |x|). dy/dx = 1 / (1 + |x|)^2.

    >>> import gradarray as ga
    >>> ga.softsign([-1.0, 3.0])
    GradArray([-0.5 ,  0.75], dtype=float64)
    """

    forward = staticmethod(lambda x: np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x))))
    partials = (lambda x: square(reciprocal(1 + absolute(x))),)
    tex = r"\frac{{x}}{1 + |{x}|}"


softsign = elementwise(SoftsignGrad, reference=lambda x: x / (1 + np.abs(x)))


def _tanhshrink(x: Any) -> Any:
    # x - tanh x cancels near 0. tanh x = x / (1 + c) with the continued fraction
    # c = x^2 / (3 + x^2 / (5 + ..)) of positive terms; at |x| = 1 this depth leaves 1e-19.
    small = np.abs(x) < 1
    z = np.where(small, x, 0)
    square = z * z
    tail: Any = 0
    for odd in range(17, 1, -2):
        tail = square / (odd + tail)
    return np.where(small, z * tail / (1 + tail), x - np.tanh(x))


class TanhshrinkGrad(Elementwise):
    r"""y = x - \tanh x. dy/dx = \tanh^2 x.

    >>> import gradarray as ga
    >>> ga.tanhshrink([0.0, 1.0])
    GradArray([0.        , 0.23840584], dtype=float64)
    """

    forward = _tanhshrink
    partials = (lambda x: square(tanh(x)),)
    tex = r"{x} - \tanh {x}"


tanhshrink = elementwise(TanhshrinkGrad, reference=lambda x: x - np.tanh(x))
