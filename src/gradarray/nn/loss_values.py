"""Losses between numbers: mse_loss, l1_loss, smooth_l1_loss, huber_loss, poisson and gaussian."""

from __future__ import annotations

import math
from typing import Any

from ..array import GradArray
from ..errors import ShapeError, message
from ..ops.arithmetic import absolute
from ..ops.compare import greater, where
from ..ops.control import stop_gradient
from ..ops.exponential import exp, log
from ..ops.functional import known
from ..ops.powers import square
from ..ops.shape import reshape
from .targets import as_dtype_of, floating, pair, reduced


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> GradArray:
    r"""l_i = (x_i - y_i)^2.

    Raises ShapeError unless input and target have one shape.

    >>> import gradarray as ga
    >>> ga.nn.functional.mse_loss([1.0, 2.0], [1.0, 4.0])
    GradArray(2., dtype=float64)
    """
    x, y = pair(input, target, "mse_loss")
    return reduced(square(x - y), reduction, "mse_loss")


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> GradArray:
    r"""l_i = |x_i - y_i|.

    >>> import gradarray as ga
    >>> ga.nn.functional.l1_loss([1.0, 2.0], [1.0, 4.0])
    GradArray(1., dtype=float64)
    """
    x, y = pair(input, target, "l1_loss")
    return reduced(absolute(x - y), reduction, "l1_loss")


def smooth_l1_loss(
    input: Any, target: Any, reduction: str = "mean", beta: float = 1.0
) -> GradArray:
    r"""l_i = d^2 / (2 \beta) for d = |x_i - y_i| < \beta, else d - \beta/2.

    With beta = 0 it is `l1_loss`. Raises ValueError for a negative beta. (Girshick, "Fast R-CNN",
    ICCV 2015, section 2.3.)

    >>> import gradarray as ga
    >>> ga.nn.functional.smooth_l1_loss([1.0, 2.0], [1.5, 4.0], reduction="none")
    GradArray([0.125, 1.5  ], dtype=float64)
    """
    if not beta >= 0:
        raise ValueError(message("smooth_l1_loss", f"beta={beta} is negative."))
    x, y = pair(input, target, "smooth_l1_loss")
    d = absolute(x - y)
    if beta > 0:
        d = where(greater(beta, d), square(x - y) * (0.5 / beta), d - 0.5 * beta)
    return reduced(d, reduction, "smooth_l1_loss")


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> GradArray:
    r"""l_i = d^2 / 2 for d = |x_i - y_i| < \delta, else \delta (d - \delta/2).

    Raises ValueError unless delta > 0. (Huber, "Robust estimation of a location parameter", Ann.
    Math. Statist. 35, 1964.)

    >>> import gradarray as ga
    >>> ga.nn.functional.huber_loss([1.0, 2.0], [1.5, 4.0], reduction="none")
    GradArray([0.125, 1.5  ], dtype=float64)
    """
    if not delta > 0:
        raise ValueError(message("huber_loss", f"delta={delta} is not above 0."))
    x, y = pair(input, target, "huber_loss")
    d = absolute(x - y)
    loss = where(greater(delta, d), square(x - y) * 0.5, (d - 0.5 * delta) * delta)
    return reduced(loss, reduction, "huber_loss")


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> GradArray:
    r"""l_i = e^{x_i} - y_i x_i, the negative log-likelihood of counts y under the rate e^x.

    With log_input=False, x is the rate: l = x - y \log(x + eps). With `full`, Stirling's
    y \log y - y + \log(2 \pi y)/2 is added where y > 1.

    >>> import gradarray as ga
    >>> ga.nn.functional.poisson_nll_loss([0.0], [1.0])
    GradArray(1., dtype=float64)
    """
    x, y = pair(input, target, "poisson_nll_loss")
    loss = exp(x) - y * x if log_input else x - y * log(x + eps)
    if full:
        many = where(greater(y, 1), y, y.dtype.type(1))
        stirling = many * log(many) - many + log(many * (2 * math.pi)) * 0.5
        loss = loss + where(greater(y, 1), stirling, y.dtype.type(0))
    return reduced(loss, reduction, "poisson_nll_loss")


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> GradArray:
    r"""l_i = (\log v_i + (x_i - y_i)^2 / v_i) / 2, v = \max(var, eps), no derivative through eps.

    var: the shape of the input, that shape with a last axis of 1, or without its last axis. With
    `full`, \log(2 \pi)/2 is added. Raises ValueError for a negative variance. (Nix & Weigend,
    "Estimating the mean and variance of the target probability distribution", ICNN 1994.)

    >>> import gradarray as ga
    >>> ga.nn.functional.gaussian_nll_loss([0.0, 2.0], [0.0, 0.0], [1.0, 1.0])
    GradArray(1., dtype=float64)
    """
    op = "gaussian_nll_loss"
    x, y = pair(input, target, op)
    v = as_dtype_of(x, floating(var, op, "var"))
    if v.shape == x.shape[:-1] and v.shape != x.shape:
        v = reshape(v, (*v.shape, 1))
    if v.shape not in (x.shape, (*x.shape[:-1], 1)):
        raise ShapeError(message(op, f"var of shape {v.shape} for an input of shape {x.shape}."))
    values = known(v)
    if values is not None and (values < 0).any():
        raise ValueError(message(op, "a variance is negative.", "Give exp(s) or softplus(s)."))
    # eps only keeps the value finite: the variance still gets its derivative.
    v = v + stop_gradient(where(greater(eps, v), eps - v, v.dtype.type(0)))
    loss = (log(v) + square(x - y) / v) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction, op)


__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]
