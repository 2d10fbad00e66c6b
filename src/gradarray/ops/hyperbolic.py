"""Hyperbolic functions, their inverses, and sigmoid, which is one of them in other clothes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..choices import choice
from ..short import elementwise
from .arithmetic import negative
from .complex import is_complex
from .powers import (
    VERTICAL,
    co_square,
    hypot1,
    reciprocal,
    reciprocal_or,
    sqrt,
    square,
)

__all__ = [
    "acosh",
    "arccosh",
    "arcsinh",
    "arctanh",
    "asinh",
    "atanh",
    "cosh",
    "expit",
    "sech",
    "sigmoid",
    "sinh",
    "tanh",
]

_float64 = np.float64


class SinhGrad(Elementwise):
    r"""y = \sinh x = (e^x - e^{-x})/2. dy/dx = \cosh x.

    >>> import gradarray as ga
    >>> ga.sinh([0.0, 1.0])
    GradArray([0.        , 1.17520119], dtype=float64)
    """

    forward = np.sinh
    partials = (lambda x: cosh(x),)
    tex = r"\sinh {x}"


sinh = elementwise(SinhGrad, numpy=np.sinh)


class CoshGrad(Elementwise):
    r"""y = \cosh x = (e^x + e^{-x})/2. dy/dx = \sinh x.

    >>> import gradarray as ga
    >>> ga.cosh([0.0, 1.0])
    GradArray([1.        , 1.54308063], dtype=float64)
    """

    forward = np.cosh
    partials = (lambda x: sinh(x),)
    tex = r"\cosh {x}"


cosh = elementwise(CoshGrad, numpy=np.cosh)


class TanhGrad(Elementwise):
    r"""y = \tanh x. dy/dx = sech^2 x.

    Keeps x: sech(x)^2 stays exact where tanh saturates (1 - y^2 is 0 at 20), and tanh and sech
    are a closed pair under differentiation.

    >>> import gradarray as ga
    >>> ga.tanh([0.0, 1.0])
    GradArray([0.        , 0.76159416], dtype=float64)
    """

    forward = np.tanh
    partials = (lambda x: square(sech(x)),)
    tex = r"\tanh {x}"
    domain = (-3.0, 3.0)


tanh = elementwise(TanhGrad, numpy=np.tanh)


def _decay(x: Any) -> Any:
    """e^{-|x|}: what does not overflow. (Of a complex x, the smaller of e^x and e^{-x}.)"""
    return np.exp(np.where(x.real < 0, x, -x)) if is_complex(x) else np.exp(-np.fabs(x))


def _sech(x: Any) -> Any:
    e = _decay(x)
    return 2 * e / (1 + e * e)


class SechGrad(Elementwise):
    r"""y = sech x = 1 / \cosh x, without overflow. dy/dx = -y \tanh x.

    >>> import gradarray as ga
    >>> ga.sech([0.0, 1.0])
    GradArray([1.        , 0.64805427], dtype=float64)
    """

    forward = _sech
    partials = (lambda x, y: negative(y * tanh(x)),)
    tex = r"\operatorname{sech} {x}"
    domain = (-3.0, 3.0)


sech = elementwise(SechGrad, reference=lambda x: 1 / np.cosh(x))


def _sigmoid(x: Any) -> Any:
    e = _decay(x)
    if type(x) is _float64:
        return (1.0 if x >= 0 else e) / (1 + e)
    if is_complex(x):
        return np.where(x.real >= 0, 1, e) / (1 + e)
    return np.maximum(e, x >= 0) / (1 + e)  # e is at most 1; a choice by where is slow


class SigmoidGrad(Elementwise):
    r"""y = 1/(1 + e^{-x}) = (1 + \tanh(x/2))/2. dy/dx = sech^2(x/2)/4 = y (1 - y).

    Keeps x: y (1 - y) is 0 where y has saturated to 1 (at 37), and loses digits long before;
    sech(x/2)^2/4 keeps all of them, in every order.

    >>> import gradarray as ga
    >>> ga.sigmoid([0.0, 2.0])
    GradArray([0.5       , 0.88079708], dtype=float64)
    """

    forward = _sigmoid
    partials = (lambda x: 0.25 * square(sech(0.5 * x)),)
    tex = r"\sigma({x})"
    domain = (-3.0, 3.0)


sigmoid = expit = elementwise(
    SigmoidGrad, reference=lambda x: 1 / (1 + np.exp(-x)), aliases=("expit",)
)


# Inverses ---------------------------------------------------------------------------------------


class ArcSinhGrad(Elementwise):
    r"""y = \operatorname{arsinh} x. dy/dx = 1/\sqrt{1 + x^2}.

    >>> import gradarray as ga
    >>> ga.arcsinh([0.0, 1.0])
    GradArray([0.        , 0.88137359], dtype=float64)
    """

    forward = np.arcsinh
    partials = (lambda x: reciprocal(hypot1(x)),)
    tex = r"\operatorname{arsinh} {x}"


arcsinh = elementwise(ArcSinhGrad, numpy=np.arcsinh, aliases=("asinh",))


_arccosh_at_1 = choice(
    "arccosh", "x = 1", 0.0, between=(0.0, math.inf), at=lambda x: np.equal(x, 1), reason=VERTICAL
)


class ArcCoshGrad(Elementwise):
    r"""y = \operatorname{arcosh} x, x \ge 1. dy/dx = 1/(\sqrt{x - 1} \sqrt{x + 1}).

    At 1 the slope is infinite, and taken as 0 (see `set_subgradient`).

    >>> import gradarray as ga
    >>> ga.arccosh([1.0, 2.0])
    GradArray([0.        , 1.3169579], dtype=float64)
    """

    forward = np.arccosh
    # Factored, so that no digits are lost near 1 and x^2 does not overflow.
    partials = (lambda x: reciprocal_or(sqrt(x - 1) * sqrt(x + 1), _arccosh_at_1.value),)
    tex = r"\operatorname{arcosh} {x}"
    domain = (1.3, 3.0)


arccosh = elementwise(ArcCoshGrad, numpy=np.arccosh, aliases=("acosh",))


class ArcTanhGrad(Elementwise):
    r"""y = \operatorname{artanh} x, |x| < 1. dy/dx = 1/(1 - x^2).

    >>> import gradarray as ga
    >>> ga.arctanh([0.0, 0.5])
    GradArray([0.        , 0.54930614], dtype=float64)
    """

    forward = np.arctanh
    partials = (lambda x: reciprocal(co_square(x)),)
    tex = r"\operatorname{artanh} {x}"
    domain = (-0.8, 0.8)


arctanh = elementwise(ArcTanhGrad, numpy=np.arctanh, aliases=("atanh",))
asinh, acosh, atanh = arcsinh, arccosh, arctanh
