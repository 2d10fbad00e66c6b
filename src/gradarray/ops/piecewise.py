"""Activation functions with corners: the table of choices says what is taken at each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..choices import Choice, choice
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from ..short import elementwise
from .compare import equal, greater, where
from .shape import reshape

__all__ = [
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hardshrink",
    "leaky_relu",
    "prelu",
    "relu6",
    "softshrink",
    "threshold",
]

SHARE = "as a share of the right-hand derivative, the rest of the left-hand one"


def like(x: Any, value: float) -> Any:
    """A number in the dtype of x, so that choosing between two numbers stays in it."""
    return x.dtype.type(value) if hasattr(x, "dtype") else value


def kinked(x: Any, at: float, left: Any, right: Any, share: float) -> Any:
    """`left` below the kink, `right` above it, and at it (1 - share) left + share right."""
    left, right = (v if hasattr(v, "dtype") else like(x, v) for v in (left, right))
    if share == 0:
        return where(greater(x, at), right, left)
    if share == 1:
        return where(greater(at, x), left, right)
    middle = left + (right - left) * share
    return where(greater(x, at), right, where(equal(x, at), middle, left))


def boxed(x: Any, low: float, high: float, inside: Any, below: Any, above: Any, at: Any) -> Any:
    """`below`, `inside` and `above` the box; at its ends `at` of `inside`, the rest of outside."""
    inner = kinked(x, high, inside, above, 1 - at)
    return kinked(x, low, below, inner, at)


_leaky_at_0 = choice(
    "leaky_relu", "x = 0", 0.0, between=(0.0, 1.0), at=lambda x: np.equal(x, 0),
    reason=f"PyTorch's: the slope of the negative side; {SHARE}",
)  # fmt: skip


class LeakyReLUGrad(Elementwise):
    """y = x for x > 0, else negative_slope x."""

    name = "leaky_relu"
    forward = staticmethod(lambda x, negative_slope: np.where(x > 0, x, negative_slope * x))
    partials = (
        lambda x, negative_slope: kinked(x, 0, negative_slope, 1, _leaky_at_0.value),
    )
    tex = r"\max({x}, 0) + {negative_slope} \min({x}, 0)"


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
    "prelu", "x = 0", 0.0, between=(0.0, 1.0), at=lambda a: np.equal(a, 0),
    reason=f"PyTorch's: the slope of the negative side; {SHARE}",
)  # fmt: skip


class PReLUGrad(Elementwise):
    """y = a for a > 0, else b a."""

    name = "prelu"
    forward = staticmethod(lambda a, b: np.where(a > 0, a, b * a))
    partials = (
        lambda a, b: kinked(a, 0, b, 1, _prelu_at_0.value),
        lambda a: where(greater(a, 0), like(a, 0), a),
    )
    tex = r"\max({a}, 0) + {b} \min({a}, 0)"


@public(
    reference=lambda x, weight: (
        np.maximum(x, 0) + np.minimum(x, 0) * np.reshape(weight, (-1, *(1,) * (x.ndim - 2)))
    ),
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


_hard_tanh_at_ends = choice(
    "hard_tanh", "x = min_val and x = max_val (relu6: 0 and 6)", 0.0, between=(0.0, 1.0),
    at=lambda x, min_val, max_val: np.equal(x, min_val) | np.equal(x, max_val),
    reason="PyTorch's: the slope outside",
)  # fmt: skip


class HardTanhGrad(Elementwise):
    """y = x, cut off at min_val and max_val."""

    name = "hard_tanh"
    forward = staticmethod(lambda x, min_val, max_val: np.clip(x, min_val, max_val))
    partials = (
        lambda x, min_val, max_val: boxed(
            x, min_val, max_val, 1, 0, 0, _hard_tanh_at_ends.value
        ),
    )
    tex = r"\min(\max({x}, {min_val}), {max_val})"


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



def _at_3(x: Any) -> Any:
    return np.equal(np.abs(x), 3)


_hard_sigmoid_at_ends = choice(
    "hard_sigmoid", "x = -3 and x = 3", 0.0, between=(0.0, 1 / 6), at=_at_3,
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
    partials = (lambda x: boxed(x, -3, 3, 1 / 6, 0, 0, 6 * _hard_sigmoid_at_ends.value),)
    tex = r"\min(\max({x}/6 + 1/2, 0), 1)"
    domain = (-5.0, 5.0)


hard_sigmoid = elementwise(
    HardSigmoidGrad, reference=lambda x: np.minimum(np.maximum(x / 6 + 0.5, 0), 1)
)

_hard_swish_at_ends = choice(
    "hard_swish", "x = -3 and x = 3", 0.0, between=(0.0, 1.0), at=_at_3,
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
    forward = staticmethod(lambda x: np.maximum(x, -3) * (np.clip(x + 3, 0, 6) / 6) + 0)
    partials = (lambda x: boxed(x, -3, 3, x / 3 + 0.5, 0, 1, _hard_swish_at_ends.value),)
    tex = r"{x} \min(\max({x}/6 + 1/2, 0), 1)"
    domain = (-5.0, 5.0)


hard_swish = elementwise(
    HardSwishGrad, reference=lambda x: x * np.minimum(np.maximum(x / 6 + 0.5, 0), 1)
)


def _jump(op: str, point: str, at: Any) -> Choice:
    reason = "the function jumps; the slope of the side to which the point belongs"
    return choice(op, point, 0.0, between=(0.0, 1.0), reason=reason, at=at)


def _at_lambda(x: Any, lambd: float) -> Any:
    return np.equal(np.abs(x), lambd)


_softshrink_at = choice(
    "softshrink", "x = -lambd and x = lambd", 0.0, between=(0.0, 1.0), at=_at_lambda,
    reason="PyTorch's: the slope between",
)  # fmt: skip
_hardshrink_at = _jump("hardshrink", "x = -lambd and x = lambd", _at_lambda)
_threshold_at = _jump("threshold", "x = threshold", lambda x, threshold: np.equal(x, threshold))


def _outside(x: Any, lambd: float, at: float) -> Any:
    """1 where |x| > lambd, 0 inside, `at` in between."""
    return boxed(x, -lambd, lambd, 0, 1, 1, 1 - at)


class SoftshrinkGrad(Elementwise):
    """y = x moved towards 0 by lambd, and 0 within lambd of it."""

    forward = staticmethod(lambda x, lambd: x - np.clip(x, -lambd, lambd))
    partials = (lambda x, lambd: _outside(x, lambd, _softshrink_at.value),)
    tex = r"{x} - \min(\max({x}, -{lambd}), {lambd})"


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
    tex = r"{x} \, [|{x}| > {lambd}]"


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
    partials = (lambda x, threshold: kinked(x, threshold, 0, 1, _threshold_at.value),)
    tex = r"{x} \;\mathrm{if}\; {x} > {threshold} \;\mathrm{else}\; {value}"


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
