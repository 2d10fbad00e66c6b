"""Activation functions, elementwise; where one has a kink, the table of choices says what is taken.

Each is one op with a partial of its own, so that values and derivatives keep their digits where
the written-out formula would lose them: far out, and where it subtracts what is nearly equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import Choice, choice
from ..errors import ShapeError, message
from ..record import apply, elementwise
from ..registry import arr, case, public
from .arithmetic import absolute, negative
from .compare import equal, greater, where
from .exponential import exp
from .hyperbolic import sech, sigmoid, tanh
from .powers import reciprocal, square
from .shape import reshape
from .special import erfc

__all__ = [
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hardshrink",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "prelu",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "swish",
    "tanhshrink",
    "threshold",
]

_SHARE = "as a share of the right-hand derivative, the rest of the left-hand one"


def _like(x: Any, value: float) -> Any:
    """A number in the dtype of x, so that choosing between two numbers stays in it."""
    return x.dtype.type(value) if hasattr(x, "dtype") else value


def _kinked(x: Any, at: float, left: Any, right: Any, share: float) -> Any:
    """`left` below the kink, `right` above it, and at it (1 - share) left + share right."""
    left, right = (v if hasattr(v, "dtype") else _like(x, v) for v in (left, right))
    if share == 0:
        return where(greater(x, at), right, left)
    if share == 1:
        return where(greater(at, x), left, right)
    middle = left + (right - left) * share
    return where(greater(x, at), right, where(equal(x, at), middle, left))


def _boxed(x: Any, low: float, high: float, inside: Any, below: Any, above: Any, at: Any) -> Any:
    """`below`, `inside` and `above` the box; at its ends `at` of `inside`, the rest of outside."""
    inner = _kinked(x, high, inside, above, 1 - at)
    return _kinked(x, low, below, inner, at)


# Rectifiers ---------------------------------------------------------------------------------------

_leaky_at_0 = choice(
    "leaky_relu", "x = 0", 0.0, between=(0.0, 1.0),
    reason=f"PyTorch's: the slope of the negative side; {_SHARE}",
)  # fmt: skip


class LeakyReLUGrad(Elementwise):
    """y = x for x > 0, else negative_slope x."""

    name = "leaky_relu"
    forward = staticmethod(lambda x, negative_slope: np.where(x > 0, x, negative_slope * x))
    partials = (
        lambda x, negative_slope: _kinked(x, 0, negative_slope, 1, _leaky_at_0.value),
    )
    tex = r"\max({x}, 0) + s \min({x}, 0)"


@public(
    op=LeakyReLUGrad,
    reference=lambda x, negative_slope=0.01: np.maximum(x, 0) + negative_slope * np.minimum(x, 0),
    cases=[case(arr(2, 3)), case(arr(), 0.2)],
)
def leaky_relu(x: Any, negative_slope: float = 0.01) -> GradArray:
    """y = x for x > 0, else negative_slope x.

    >>> import gradarray as ga
    >>> ga.leaky_relu([-1.0, 2.0])
    GradArray([-0.01,  2.  ], dtype=float64)
    """
    return apply(LeakyReLUGrad, x, negative_slope=float(negative_slope))


_prelu_at_0 = choice(
    "prelu", "x = 0", 0.0, between=(0.0, 1.0),
    reason=f"PyTorch's: the slope of the negative side; {_SHARE}",
)  # fmt: skip


class PReLUGrad(Elementwise):
    """y = a for a > 0, else b a."""

    name = "prelu"
    forward = staticmethod(lambda a, b: np.where(a > 0, a, b * a))
    partials = (
        lambda a, b: _kinked(a, 0, b, 1, _prelu_at_0.value),
        lambda a: where(greater(a, 0), _like(a, 0), a),
    )
    tex = r"\max({a}, 0) + {b} \min({a}, 0)"


@public(
    reference=lambda x, weight: np.where(x > 0, x, x * np.reshape(weight, (-1, *(1,) * (x.ndim - 2)))),
    cases=[case(arr(2, 3), arr(3)), case(arr(2, 3, 2), arr(1)), case(arr(2, 2, 3, 2), arr(2))],
)
def prelu(x: Any, weight: Any) -> GradArray:
    """y = x for x > 0, else w x, with a trained slope w for each channel (axis 1) or for all.

    x: (N, C, ...), weight: (C,) or (1,). (He et al., "Delving deep into rectifiers", ICCV 2015.)

    >>> import gradarray as ga
    >>> ga.prelu([[-1.0, -1.0]], [0.1, 0.2])
    GradArray([[-0.1, -0.2]], dtype=float64)
    """
    x, weight = lift(x), lift(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(
            message(
                "prelu",
                f"weight of shape {weight.shape} for an input of shape {x.shape}.",
                f"It has one slope, or one for each of the {channels} channels of axis 1.",
            )
        )
    if weight.size > 1:
        weight = reshape(weight, (channels, *(1,) * (x.ndim - 2)))
    return apply(PReLUGrad, x, weight)


_elu_at_0 = choice(
    "elu", "x = 0", 0.0, between=(0.0, 1.0),
    reason=f"PyTorch's: alpha, the slope of the negative side (no kink where it is 1); {_SHARE}",
)  # fmt: skip


class ELUGrad(Elementwise):
    """y = x for x > 0, else alpha (e^x - 1)."""

    name = "elu"
    forward = staticmethod(lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))
    partials = (lambda x, alpha: _elu_slope(x, alpha),)
    tex = r"\max({x}, 0) + \alpha \min(e^{{x}} - 1, 0)"


def _elu_slope(x: Any, alpha: float) -> Any:
    # The exponential is of what is not positive, so that nothing overflows on the other side.
    return _kinked(x, 0, alpha * exp(where(greater(x, 0), _like(x, 0), x)), 1, _elu_at_0.value)


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


class SoftplusGrad(Elementwise):
    r"""y = \log(1 + e^{bx}) / b, and x where b x is above the threshold."""

    forward = staticmethod(
        lambda x, beta, threshold: np.where(
            beta * x > threshold, x, np.logaddexp(beta * x, 0) / beta
        )
    )
    partials = (
        lambda x, beta, threshold: where(
            greater(beta * x, threshold), _like(x, 1), sigmoid(beta * x)
        ),
    )
    tex = r"\log(1 + e^{{x}})"


@public(
    op=SoftplusGrad,
    reference=lambda x, beta=1.0, threshold=20.0: np.where(
        beta * x > threshold, x, np.log1p(np.exp(beta * np.minimum(x, 50.0))) / beta
    ),
    cases=[case(arr(2, 3)), case(arr(2, 3, low=-9.0, high=9.0), beta=2.0, threshold=8.0)],
)
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> GradArray:
    r"""y = \log(1 + e^{\beta x}) / \beta, and x where \beta x > threshold. dy/dx = sigmoid(\beta x).

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
    forward = staticmethod(lambda x: -np.logaddexp(-x, 0))
    partials = (lambda x: sigmoid(negative(x)),)
    tex = r"\log \sigma({x})"


log_sigmoid = elementwise(LogSigmoidGrad, reference=lambda x: special.log_expit(x))


def _gated(x: Any, gate: Any) -> Any:
    # Below -1e4 every gate is 0 in every dtype; so the limit at -inf is 0, not inf times 0.
    return np.maximum(x, -1e4) * gate


class SiLUGrad(Elementwise):
    r"""y = x sigmoid(x). dy/dx = \sigma(x) (1 + x \sigma(-x)).

    (Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units", Neural Networks 107, 2018.)

    >>> import gradarray as ga
    >>> ga.silu([0.0, 1000.0])
    GradArray([   0., 1000.], dtype=float64)
    """

    forward = staticmethod(lambda x: _gated(x, special.expit(x)))
    partials = (lambda x: sigmoid(x) * (1 + x * sigmoid(negative(x))),)
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

    forward = staticmethod(lambda x: _gated(x, np.tanh(np.logaddexp(x, 0))))
    partials = (
        lambda x: tanh(softplus(x)) + x * sigmoid(x) * square(sech(softplus(x))),
    )
    tex = r"{x} \tanh(\log(1 + e^{{x}}))"
    domain = (-4.0, 4.0)


mish = elementwise(MishGrad, reference=lambda x: x * np.tanh(np.log1p(np.exp(x))))


class GELUGrad(Elementwise):
    r"""y = x \Phi(x), \Phi the normal distribution's. dy/dx = \Phi(x) + x e^{-x^2/2} / \sqrt{2 \pi}."""

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


class TanhshrinkGrad(Elementwise):
    r"""y = x - \tanh x. dy/dx = \tanh^2 x.

    >>> import gradarray as ga
    >>> ga.tanhshrink([0.0, 1.0])
    GradArray([0.        , 0.23840584], dtype=float64)
    """

    forward = staticmethod(lambda x: x - np.tanh(x))
    partials = (lambda x: square(tanh(x)),)
    tex = r"{x} - \tanh {x}"


tanhshrink = elementwise(TanhshrinkGrad, reference=lambda x: x - np.tanh(x))


# Piecewise linear ---------------------------------------------------------------------------------

_hard_tanh_at_ends = choice(
    "hard_tanh", "x = min_val and x = max_val (relu6: 0 and 6)", 0.0, between=(0.0, 1.0),
    reason="PyTorch's: the slope outside",
)  # fmt: skip


class HardTanhGrad(Elementwise):
    """y = x, cut off at min_val and max_val."""

    name = "hard_tanh"
    forward = staticmethod(lambda x, min_val, max_val: np.clip(x, min_val, max_val))
    partials = (
        lambda x, min_val, max_val: _boxed(
            x, min_val, max_val, 1, 0, 0, _hard_tanh_at_ends.value
        ),
    )
    tex = r"\min(\max({x}, a), b)"


@public(
    op=HardTanhGrad,
    reference=lambda x, min_val=-1.0, max_val=1.0: np.minimum(np.maximum(x, min_val), max_val),
    cases=[case(arr(2, 3)), case(arr(2, 3), -0.5, 0.25)],
)
def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> GradArray:
    """y = x, cut off at min_val and max_val. Raises ValueError unless min_val < max_val.

    >>> import gradarray as ga
    >>> ga.hard_tanh([-3.0, 0.5, 3.0])
    GradArray([-1. ,  0.5,  1. ], dtype=float64)
    """
    if not min_val < max_val:
        raise ValueError(message("hard_tanh", f"min_val={min_val} is not below max_val={max_val}."))
    return apply(HardTanhGrad, x, min_val=float(min_val), max_val=float(max_val))


@public(reference=lambda x: np.minimum(np.maximum(x, 0), 6), cases=[case(arr(2, 3, high=9.0))])
def relu6(x: Any) -> GradArray:
    """y = x, cut off at 0 and 6.

    >>> import gradarray as ga
    >>> ga.relu6([-1.0, 3.0, 8.0])
    GradArray([0., 3., 6.], dtype=float64)
    """
    return hard_tanh(x, 0.0, 6.0)


_hard_sigmoid_at_ends = choice(
    "hard_sigmoid", "x = -3 and x = 3", 0.0, between=(0.0, 1 / 6),
    reason="PyTorch's: the slope outside",
)  # fmt: skip


class HardSigmoidGrad(Elementwise):
    """y = x/6 + 1/2, cut off at 0 and 1.

    >>> import gradarray as ga
    >>> ga.hard_sigmoid([-3.0, 0.0, 9.0])
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """

    name = "hard_sigmoid"
    forward = staticmethod(lambda x: np.clip(x + 3, 0, 6) / 6)
    partials = (lambda x: _boxed(x, -3, 3, 1 / 6, 0, 0, 6 * _hard_sigmoid_at_ends.value),)
    tex = r"\min(\max({x}/6 + 1/2, 0), 1)"
    domain = (-5.0, 5.0)


hard_sigmoid = elementwise(
    HardSigmoidGrad, reference=lambda x: np.minimum(np.maximum(x / 6 + 0.5, 0), 1)
)

_hard_swish_at_ends = choice(
    "hard_swish", "x = -3 and x = 3", 0.0, between=(0.0, 1.0),
    reason="the slope outside (0 and 1); as a share of the slope inside (-1/2 and 3/2)",
)  # fmt: skip


class HardSwishGrad(Elementwise):
    """y = x hard_sigmoid(x): 0 below -3, x above 3, x (x + 3) / 6 between.

    (Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.)

    >>> import gradarray as ga
    >>> ga.hard_swish([-3.0, 1.0, 9.0])
    GradArray([0.        , 0.66666667, 9.        ], dtype=float64)
    """

    name = "hard_swish"
    forward = staticmethod(lambda x: np.maximum(x, -3) * (np.clip(x + 3, 0, 6) / 6))
    partials = (lambda x: _boxed(x, -3, 3, x / 3 + 0.5, 0, 1, _hard_swish_at_ends.value),)
    tex = r"{x} \min(\max({x}/6 + 1/2, 0), 1)"
    domain = (-5.0, 5.0)


hard_swish = elementwise(
    HardSwishGrad, reference=lambda x: x * np.minimum(np.maximum(x / 6 + 0.5, 0), 1)
)


def _jump(op: str, point: str) -> Choice:
    reason = "the function jumps; the slope of the side to which the point belongs"
    return choice(op, point, 0.0, between=(0.0, 1.0), reason=reason)


_softshrink_at = choice(
    "softshrink", "x = -lambd and x = lambd", 0.0, between=(0.0, 1.0),
    reason="PyTorch's: the slope between",
)  # fmt: skip
_hardshrink_at = _jump("hardshrink", "x = -lambd and x = lambd")
_threshold_at = _jump("threshold", "x = threshold")


def _outside(x: Any, lambd: float, at: float) -> Any:
    """1 where |x| > lambd, 0 inside, `at` in between."""
    return _boxed(x, -lambd, lambd, 0, 1, 1, 1 - at)


class SoftshrinkGrad(Elementwise):
    """y = x moved towards 0 by lambd, and 0 within lambd of it."""

    forward = staticmethod(lambda x, lambd: x - np.clip(x, -lambd, lambd))
    partials = (lambda x, lambd: _outside(x, lambd, _softshrink_at.value),)
    tex = r"{x} - \min(\max({x}, -\lambda), \lambda)"


@public(
    op=SoftshrinkGrad,
    reference=lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
    cases=[case(arr(2, 3)), case(arr(2, 3), 1.0)],
)
def softshrink(x: Any, lambd: float = 0.5) -> GradArray:
    """y = x - lambd for x > lambd, x + lambd for x < -lambd, else 0.

    Raises ValueError for a negative lambd.

    >>> import gradarray as ga
    >>> ga.softshrink([-2.0, 0.25, 2.0])
    GradArray([-1.5,  0. ,  1.5], dtype=float64)
    """
    return apply(SoftshrinkGrad, x, lambd=_not_negative("softshrink", lambd))


class HardshrinkGrad(Elementwise):
    """y = x, and 0 within lambd of 0."""

    forward = staticmethod(lambda x, lambd: np.where(np.abs(x) <= lambd, 0 * x, x))
    partials = (lambda x, lambd: _outside(x, lambd, _hardshrink_at.value),)
    tex = r"{x} \, [|{x}| > \lambda]"


@public(
    op=HardshrinkGrad,
    reference=lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, np.where(np.isnan(x), x, 0)),
    cases=[case(arr(2, 3)), case(arr(2, 3), 1.0)],
)
def hardshrink(x: Any, lambd: float = 0.5) -> GradArray:
    """y = x where |x| > lambd, else 0.

    Raises ValueError for a negative lambd.

    >>> import gradarray as ga
    >>> ga.hardshrink([-2.0, 0.25, 2.0])
    GradArray([-2.,  0.,  2.], dtype=float64)
    """
    return apply(HardshrinkGrad, x, lambd=_not_negative("hardshrink", lambd))


def _not_negative(op: str, lambd: float) -> float:
    if not lambd >= 0:
        raise ValueError(message(op, f"lambd={lambd} is negative."))
    return float(lambd)


class ThresholdGrad(Elementwise):
    """y = x above the threshold, else a value."""

    forward = staticmethod(
        lambda x, threshold, value: np.where(x > threshold, x, np.asarray(value, x.dtype))
    )
    partials = (lambda x, threshold: _kinked(x, threshold, 0, 1, _threshold_at.value),)
    tex = r"\begin{cases} {x} & {x} > t \\ v \end{cases}"


@public(
    op=ThresholdGrad,
    reference=lambda x, threshold, value: np.where(x > threshold, x, value),
    cases=[case(arr(2, 3), 0.5, -1.0)],
)
def threshold(x: Any, threshold: float, value: float) -> GradArray:
    """y = x where x > threshold, else `value`.

    >>> import gradarray as ga
    >>> ga.threshold([0.25, 2.0], 0.5, -1.0)
    GradArray([-1.,  2.], dtype=float64)
    """
    return apply(ThresholdGrad, x, threshold=float(threshold), value=float(value))
