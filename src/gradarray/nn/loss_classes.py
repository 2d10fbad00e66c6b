"""Losses between scores and classes: cross_entropy, nll, binary cross-entropy, KL, margins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray
from ..errors import ShapeError, message
from ..ops.activations import log_sigmoid
from ..ops.compare import greater, less_equal, maximum, not_equal, where
from ..ops.exponential import exp, log
from ..ops.functional import known, log_softmax, one_hot
from ..ops.powers import square
from ..ops.reduce import sum
from ..ops.shape import astype, expand_dims, reshape
from ..ops.take import take, take_along_axis
from .targets import (
    as_dtype_of,
    check_reduction,
    class_numbers,
    constant,
    floating,
    pair,
    reduced,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "kl_div",
    "multi_margin_loss",
    "nll_loss",
]


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> GradArray:
    r"""l_n = -\sum_c w_c t_{nc} \log softmax(x_n)_c, with t the target's probabilities.

    input: logits (C,), (N, C) or (N, C, d_1, ..). target: class numbers without the axis C
    (t is then one-hot), or probabilities in the input's shape. `label_smoothing` s makes t
    (1 - s) t + s/C. weight: (C,). The mean over class numbers divides by the sum of w over the
    targets that are not `ignore_index`, over probabilities by N d_1 .. . Raises ShapeError for
    other shapes, IndexError for a class number out of range.

    >>> import gradarray as ga
    >>> ga.nn.functional.cross_entropy([[0.0, 0.0], [100.0, 0.0]], ga.array([0, 0]))
    GradArray(0.34657359, dtype=float64)
    """
    op = "cross_entropy"
    check_reduction(reduction, op)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(message(op, f"label_smoothing={label_smoothing} is not in [0, 1]."))
    x, y = floating(input, op, "input"), constant(target, op)
    axis = _class_axis(x, op)
    w = None if weight is None else _class_weight(weight, x, axis, op)
    if y.dtype.kind == "f" and y.shape == x.shape:
        return _soft(x, as_dtype_of(x, y), axis, w, reduction, label_smoothing)
    _check_labels(x, y, axis, op)
    log_p = log_softmax(x, axis=axis)
    return _picked(log_p, y, axis, w, ignore_index, reduction, label_smoothing, op)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> GradArray:
    r"""l_n = -w_{y_n} x_{n, y_n}, x log-probabilities, as `cross_entropy` after `log_softmax`.

    input: (C,), (N, C) or (N, C, d_1, ..), target: class numbers without the axis C.

    >>> import gradarray as ga
    >>> ga.nn.functional.nll_loss([[-0.5, -1.0], [-2.0, -0.25]], ga.array([0, 1]))
    GradArray(0.375, dtype=float64)
    """
    op = "nll_loss"
    check_reduction(reduction, op)
    x, y = floating(input, op, "input"), constant(target, op)
    axis = _class_axis(x, op)
    _check_labels(x, y, axis, op)
    w = None if weight is None else _class_weight(weight, x, axis, op)
    return _picked(x, y, axis, w, ignore_index, reduction, 0.0, op)


def _class_axis(x: Any, op: str) -> int:
    if not x.ndim:
        raise ShapeError(message(op, "a 0-d input; it has an axis of classes, (N, C) or (C,)."))
    return 0 if x.ndim == 1 else 1


def _check_labels(x: Any, y: Any, axis: int, op: str) -> None:
    wanted = x.shape[:axis] + x.shape[axis + 1 :]
    if y.shape == wanted:
        return
    what = f"input of shape {x.shape}, target of shape {y.shape}"
    if y.ndim == x.ndim and y.shape[axis] == 1 and y.dtype.kind in "iu":
        mend = f"Class numbers have no axis of classes: use target.reshape({wanted})."
    elif y.shape == x.shape:
        mend = f"Probabilities are floating, this target has dtype {y.dtype}."
    else:
        mend = f"The target is class numbers of shape {wanted}, or probabilities of {x.shape}."
    raise ShapeError(message(op, f"{what}.", mend))


def _class_weight(weight: Any, x: Any, axis: int, op: str) -> Any:
    weight = constant(weight, op, "weight")
    if weight.shape != (x.shape[axis],):
        raise ShapeError(
            message(op, f"weight of shape {weight.shape} for {x.shape[axis]} classes.")
        )
    return as_dtype_of(x, weight)


def _picked(
    log_p: Any, y: Any, axis: int, w: Any, ignore: int, reduction: str, smoothing: float, op: str
) -> GradArray:
    classes = log_p.shape[axis]
    y = class_numbers(y, classes, op, ignore)
    counted = not_equal(y, ignore)
    flags = known(counted)
    none_ignored = flags is not None and bool(flags.all())
    if not none_ignored:
        y = where(counted, y, y.dtype.type(0))
    loss = 0.0 - reshape(take_along_axis(log_p, expand_dims(y, axis), axis), y.shape)
    shares = None if w is None else take(w, y)
    if shares is not None:
        loss = loss * shares
    if smoothing:
        spread = -log_p if w is None else log_p * -_along(w, log_p.ndim, axis)
        loss = loss * (1 - smoothing) + sum(spread, axis=axis) * (smoothing / classes)
    zero = log_p.dtype.type(0)
    if not none_ignored:
        loss = where(counted, loss, zero)
        shares = astype(counted, log_p.dtype) if shares is None else where(counted, shares, zero)
    if reduction == "mean" and shares is not None:
        return sum(loss) / sum(shares)
    return reduced(loss, reduction, op)


def _along(w: Any, ndim: int, axis: int) -> Any:
    return reshape(w, (-1, *(1,) * (ndim - axis - 1)))


def _soft(x: Any, t: Any, axis: int, w: Any, reduction: str, smoothing: float) -> GradArray:
    if smoothing:
        t = t * (1 - smoothing) + smoothing / x.shape[axis]
    if w is not None:
        t = t * _along(w, x.ndim, axis)
    # A class of probability 0 may have a logit of -inf: it adds nothing.
    log_p = where(not_equal(t, 0), log_softmax(x, axis=axis), x.dtype.type(0))
    return reduced(-sum(t * log_p, axis=axis), reduction, "cross_entropy")


# Yes or no ----------------------------------------------------------------------------------------


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> GradArray:
    r"""l_i = -w_i (y_i \log p_i + (1 - y_i) \log(1 - p_i)), logarithms not below -100.

    The probabilities p must be in [0, 1], ValueError otherwise; for logits there is
    `binary_cross_entropy_with_logits`, which is exact where a sigmoid saturates.

    >>> import gradarray as ga
    >>> ga.nn.functional.binary_cross_entropy([0.5, 1.0], [1.0, 1.0], reduction="none")
    GradArray([0.69314718, 0.        ], dtype=float64)
    """
    op = "binary_cross_entropy"
    p, y = pair(input, target, op)
    values = known(p)
    if values is not None and ((values < 0) | (values > 1)).any():
        raise ValueError(
            message(
                op,
                f"a probability of {values[(values < 0) | (values > 1)][0]:g} is outside [0, 1].",
                "For logits use binary_cross_entropy_with_logits (BCEWithLogitsLoss).",
            )
        )
    floor = p.dtype.type(-100)
    # Less than 0, not the negative: a loss of 0 is not -0.
    loss = 0.0 - (y * _log_above(p, floor) + (1 - y) * _log_above(1 - p, floor))
    return reduced(_weighted(loss, weight, op), reduction, op)


def _log_above(p: Any, floor: Any) -> Any:
    """log p, and the floor where that is lower (at p = 0, where log has no value)."""
    low = float(np.exp(np.float64(-100)))
    cut = less_equal(p, low)  # not greater: so a NaN is not cut, and shows in the loss
    return where(cut, floor, log(where(cut, p.dtype.type(1), p)))


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> GradArray:
    r"""l_i = -w_i (c y_i \log \sigma(x_i) + (1 - y_i) \log(1 - \sigma(x_i))).

    dl/dx = w (\sigma(x) - y) for c = 1. `pos_weight` c (broadcast against the target) makes
    positives count more. Exact for saturated logits: the logarithms are taken of the logit.

    >>> import gradarray as ga
    >>> loss = ga.nn.functional.binary_cross_entropy_with_logits
    >>> loss([1000.0, 0.0], [0.0, 1.0], reduction="none")
    GradArray([1.00000000e+03, 6.93147181e-01], dtype=float64)
    """
    op = "binary_cross_entropy_with_logits"
    x, y = pair(input, target, op)
    positive = y if pos_weight is None else y * as_dtype_of(
        x, constant(pos_weight, op, "pos_weight")
    )
    # 1 - sigmoid(x) = sigmoid(-x): so each of the two parts of p - y keeps its digits.
    loss = 0.0 - (positive * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))
    return reduced(_weighted(loss, weight, op), reduction, op)


def _weighted(loss: Any, weight: Any, op: str) -> Any:
    if weight is None:
        return loss
    weight = as_dtype_of(loss, constant(weight, op, "weight"))
    if np.broadcast_shapes(weight.shape, loss.shape) != loss.shape:
        raise ShapeError(
            message(op, f"weight of shape {weight.shape} for losses of shape {loss.shape}.")
        )
    return loss * weight


# Distributions and margins ------------------------------------------------------------------------


def kl_div(
    input: Any, target: Any, reduction: str = "mean", log_target: bool = False
) -> GradArray:
    r"""l_i = y_i (\log y_i - x_i), x log-probabilities, y probabilities (0 \log 0 = 0).

    With `log_target`, y is given as log-probabilities too. "batchmean" divides the sum by the
    first axis, which is the divergence's mean; "mean" divides by the number of values. (Kullback
    & Leibler, "On information and sufficiency", Ann. Math. Statist. 22, 1951.)

    >>> import gradarray as ga
    >>> p = ga.log([[0.5, 0.5]])
    >>> ga.nn.functional.kl_div(p, [[1.0, 0.0]], reduction="batchmean")
    GradArray(0.69314718, dtype=float64)
    """
    op = "kl_div"
    check_reduction(reduction, op, ("batchmean",))
    x, y = pair(input, target, op)
    if log_target:
        loss = exp(y) * (y - x)
    else:
        one, zero = y.dtype.type(1), y.dtype.type(0)
        positive = greater(y, 0)
        loss = where(positive, y * (log(where(positive, y, one)) - x), zero)
    if reduction == "batchmean":
        return sum(loss) / (x.shape[0] if x.ndim else 1)
    return reduced(loss, reduction, op)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> GradArray:
    r"""l_n = \frac1C \sum_{c \ne y_n} \max(0, w_{y_n} (m - x_{n, y_n} + x_{nc}))^p, with margin m.

    With p = 2 the weight is outside the power. input: (N, C) or (C,), target: (N,) or (). Raises
    ValueError unless p is 1 or 2.

    >>> import gradarray as ga
    >>> ga.nn.functional.multi_margin_loss([[0.0, 0.5]], ga.array([1]))
    GradArray(0.25, dtype=float64)
    """
    op = "multi_margin_loss"
    if p not in (1, 2):
        raise ValueError(message(op, f"p is 1 or 2, not {p!r}."))
    x, y = floating(input, op, "input"), constant(target, op)
    if x.ndim not in (1, 2):
        raise ShapeError(message(op, f"input of shape {x.shape}; it is (N, C) or (C,)."))
    classes = x.shape[-1]
    _check_labels(x, y, x.ndim - 1, op)
    y = class_numbers(y, classes, op)
    own = take_along_axis(x, expand_dims(y, -1), -1)
    over = maximum(x - own + margin, x.dtype.type(0))
    over = square(over) if p == 2 else over
    if weight is not None:
        over = over * expand_dims(take(_class_weight(weight, x, x.ndim - 1, op), y), -1)
    others = astype(1 - one_hot(y, classes), x.dtype)
    return reduced(sum(over * others, axis=-1) / classes, reduction, op)
