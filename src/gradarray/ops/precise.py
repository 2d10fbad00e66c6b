"""Formulas on raw arrays that keep their digits: computed in double precision, given in their own.

    exp_rest(x) = e^x - 1 - x        log_rest(x) = x - log(1 + x)

are what is left of e^x and log(1 + x) where the leading terms cancel against others.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

EPS = float(np.finfo(np.float64).eps)


def result_dtype(*xs: Any) -> np.dtype:
    """The floating dtype of what SciPy computes from these: float32 or float64."""
    arrays = [x for x in xs if hasattr(x, "dtype")]
    if not arrays:
        return np.dtype(np.float64)
    return np.result_type(*xs, np.dtype(np.float32))


def in_double(fn: Callable[..., Any], like: Callable[..., Any] | None = None) -> staticmethod:
    """The forward of an op from a formula on float64 arrays of one shape.

    `like` is SciPy's function, if there is one: the result has the dtype that it gives.
    """

    @functools.wraps(fn)
    def forward(*xs: Any, **params: Any) -> Any:
        dtype = result_dtype(*xs)
        if like is not None and any(getattr(x, "dtype", None) != dtype for x in xs):
            dtype = like(*[np.ones(0, x.dtype) if hasattr(x, "dtype") else x for x in xs]).dtype
        arrays = np.broadcast_arrays(*[np.asarray(x, np.float64) for x in xs])
        with np.errstate(all="ignore"):
            y = np.asarray(fn(*arrays, **params))
            return y.astype(dtype, copy=False)[()]

    return staticmethod(forward)


def where_else(
    condition: Any, then: Callable[..., Any], otherwise: Callable[..., Any], *xs: np.ndarray
) -> np.ndarray:
    """then(*xs) where the condition holds, otherwise(*xs) elsewhere, each computed there only."""
    if condition.all():
        return np.asarray(then(*xs))
    if not condition.any():
        return np.asarray(otherwise(*xs))
    y = np.empty(condition.shape)
    y[condition] = then(*(x[condition] for x in xs))
    y[~condition] = otherwise(*(x[~condition] for x in xs))
    return y


def polynomial(x: Any, coefficients: Any) -> Any:
    """c_0 + c_1 x + c_2 x^2 + ..., by Horner's scheme."""
    y: Any = 0.0
    for c in reversed(coefficients):
        y = y * x + c
    return y


# 1 / k! from k = 2: what is left out is below eps / 100 of the sum for |x| <= 1/2.
_INVERSE_FACTORIALS = (1 / np.cumprod(np.arange(1.0, 18.0)))[1:].tolist()


def exp_rest(x: Any) -> Any:
    """e^x - 1 - x, with all its digits near 0."""
    return where_else(
        np.abs(x) < 0.5,
        lambda x: x * x * polynomial(x, _INVERSE_FACTORIALS),
        lambda x: np.expm1(x) - x,
        np.asarray(x),
    )


# log(1 + x) = 2 artanh v, v = x / (2 + x), and x = 2 v + x v: the first terms cancel exactly.
_ODD = [1 / (2 * k + 1) for k in range(1, 24)]


def log_rest(x: Any) -> Any:
    """x - log(1 + x), with all its digits near 0."""

    def near(x: np.ndarray) -> np.ndarray:
        v = x / (2 + x)
        v2 = v * v
        return v * (x - 2 * v2 * polynomial(v2, _ODD))

    return where_else((x > -0.5) & (x < 1), near, lambda x: x - np.log1p(x), np.asarray(x))


def log_quotient(a: Any, b: Any) -> Any:
    """log(a / b), with all its digits where a is near b, and where a / b overflows."""
    ratio = a / b
    far = np.where((ratio > 0) & (ratio < math.inf), np.log(ratio), np.log(a) - np.log(b))
    return np.where(np.abs(a - b) < 0.5 * b, np.log1p((a - b) / b), far)
