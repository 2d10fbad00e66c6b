"""Averages, spread and correlation: average, var, std, cov, corrcoef."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray, has_values, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .arithmetic import absolute
from .axes import all_axes
from .compare import clip
from .complex import conj, imag, is_complex, real
from .contract import matmul
from .frame import diagonal
from .join import concatenate
from .norm import NormGrad
from .powers import sqrt, square
from .reduce import AXES, any, counted, mean, over_axes, sum
from .shape import reshape, transpose

__all__ = [
    "average",
    "corrcoef",
    "cov",
    "std",
    "var",
]

_SPREAD = [
    *AXES,
    case(arr(4), ddof=1),
    case(arr(3, 2), axis=0, ddof=1),
    case(arr(4), correction=1),
]


@public(
    numpy=np.average,
    cases=[
        case(arr(2, 3), axis=1),
        case(arr(3), weights=arr(3, low=0.5, high=2.0)),
        case(arr(2, 3), axis=0, weights=arr(2, low=0.5, high=2.0)),
        case(arr(2, 3), weights=arr(2, 3, low=0.5, high=2.0), returned=True, keepdims=True),
    ],
)
def average(
    x: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False
) -> Any:
    r"""y = \sum_i w_i x_i / \sum_i w_i over `axis`, all w_i = 1 by default.

    `weights` has the shape of x, or the length of x along the one `axis`. With `returned` the
    result is (y, the sum of the weights). Raises ShapeError for other weights, ZeroDivisionError
    where they sum to 0.

    >>> import gradarray as ga
    >>> ga.average([1.0, 2.0, 6.0], weights=[1.0, 1.0, 2.0])
    GradArray(3.75, dtype=float64)
    """
    x = lift(x, "average")
    if weights is None:
        y = mean(x, axis=axis, keepdims=keepdims)
        if not returned:
            return y
        total = y.dtype.type(counted(x.shape, axis, "average"))
        return y, given.broadcast_to(total, y.shape)
    w = lift(weights, "average")
    if w.shape != x.shape:
        axes = all_axes(axis, x.ndim, "average")
        if axis is None or w.shape != tuple(x.shape[k] for k in axes):
            raise ShapeError(
                message(
                    "average",
                    f"weights of shape {w.shape} for an array of shape {x.shape} over axis {axis}.",
                    "Give one weight for each value, or for each place along the axis.",
                )
            )
        shape = tuple(n if k in axes else 1 for k, n in enumerate(x.shape, -x.ndim))
        w = given.broadcast_to(reshape(w, shape), x.shape)
    dtype = np.result_type(x.dtype, w.dtype)
    if x.dtype.kind in "biu":
        dtype = np.result_type(dtype, np.float64)
    x, w = (v if v.dtype == dtype else given.astype(v, dtype) for v in (x, w))
    total = sum(w, axis=axis, keepdims=keepdims)
    if has_values(total) and any(total == 0):
        raise ZeroDivisionError(message("average", "the weights sum to 0."))
    y = sum(x * w, axis=axis, keepdims=keepdims) / total
    return (y, total) if returned else y


def _centred(x: Any, axis: Any, dtype: Any, op: str) -> Any:
    x = lift(x, op)
    if dtype is not None:
        x = given.astype(x, dtype)
    elif x.dtype.kind in "biu":
        x = given.astype(x, np.float64)
    return x - mean(x, axis=axis, keepdims=True)


def _freedom(x: Any, axis: Any, ddof: float | None, correction: float | None, op: str) -> float:
    """n - ddof, under either of its two names."""
    if ddof is not None and correction is not None:
        raise ValueError(
            message(op, f"ddof={ddof} and correction={correction} are two names of one number.")
        )
    ddof = (correction or 0) if ddof is None else ddof
    return builtins.max(counted(x.shape, axis, op) - ddof, 0)


@public(numpy=np.var, method=True, cases=_SPREAD)
def var(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
) -> GradArray:
    r"""y = \frac{1}{n - ddof} \sum_i |x_i - m|^2 over `axis`, m the mean of the n values.

    ddof is 0 by default; `correction` is its other name.

    >>> import gradarray as ga
    >>> ga.var([1.0, 2.0, 6.0], ddof=1)
    GradArray(7., dtype=float64)
    """
    d = _centred(x, axis, dtype, "var")
    squares = square(absolute(d)) if is_complex(d) else square(d)
    return sum(squares, axis=axis, keepdims=keepdims) / _freedom(d, axis, ddof, correction, "var")


@public(numpy=np.std, method=True, cases=_SPREAD)
def std(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float | None = None,
    keepdims: bool = False,
    *,
    correction: float | None = None,
) -> GradArray:
    r"""y = \sqrt{\frac{1}{n - ddof} \sum_i |x_i - m|^2} over `axis`, m the mean of the n values.

    ddof is 0 by default; `correction` is its other name. It is the norm of x - m up to a factor:
    where all values are equal, its derivative is 0.

    >>> import gradarray as ga
    >>> ga.std([1.0, 3.0])
    GradArray(1., dtype=float64)
    """
    d = _centred(x, axis, dtype, "std")
    freedom = _freedom(d, axis, ddof, correction, "std")
    scale = np.sqrt(np.asarray(freedom, np.finfo(d.dtype).dtype))[()]
    return over_axes(NormGrad, d, axis, keepdims) / scale


# Covariance ---------------------------------------------------------------------------------------


def _variables(m: Any, y: Any, rowvar: bool, dtype: Any, op: str) -> Any:
    """One variable a row, in at least float64."""
    m = lift(m, op)
    arrays = [m] if y is None else [m, lift(y, op)]
    if dtype is None:
        dtype = np.result_type(*[x.dtype for x in arrays], np.float64)
    rows = []
    for x in arrays:
        if x.ndim > 2:
            raise ShapeError(message(op, f"an array of shape {x.shape} has more than 2 axes."))
        x = given.astype(x, dtype)
        if x.ndim < 2:
            x = reshape(x, (1, x.size))
        elif not rowvar:
            x = transpose(x)
        rows.append(x)
    if len(rows) == 2 and rows[0].shape[1] != rows[1].shape[1]:
        raise ShapeError(
            message(
                op,
                f"{rows[0].shape[1]} observations in the first, {rows[1].shape[1]} in the other.",
            )
        )
    return rows[0] if len(rows) == 1 else concatenate(rows, axis=0)


@public(
    numpy=np.cov,
    cases=[
        case(arr(3, 4)),
        case(arr(5), arr(5)),
        case(arr(4, 2), rowvar=False, bias=True),
        case(arr(2, 4), ddof=0, aweights=np.array([1.0, 2.0, 0.5, 1.0])),
        case(arr(2, 4), fweights=np.array([1, 2, 1, 3])),
    ],
)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> GradArray:
    r"""C_ij = \frac{1}{n - ddof} \sum_t (x_it - m_i)(x_jt - m_j)^*, of variables i and j.

    A row of m is a variable (a column without `rowvar`); y holds more of them. ddof is 1, or 0 with
    `bias`. `fweights` repeat an observation, `aweights` weigh it: constants, as in `numpy.cov`.

    >>> import gradarray as ga
    >>> ga.cov([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]])
    GradArray([[ 1., -1.],
               [-1.,  1.]], dtype=float64)
    """
    x = _variables(m, y, rowvar, dtype, "cov")
    count = x.shape[1]
    if ddof is None:
        ddof = 0 if bias else 1
    w = _weights(fweights, aweights, count)
    if w is None:
        freedom = count - ddof
        centred = x - mean(x, axis=1, keepdims=True)
        weighted = centred
    else:
        total = w.sum()
        spent = 0 if ddof == 0 else ddof
        if aweights is not None and ddof:
            spent = ddof * (w * np.asarray(aweights, float)).sum() / total
        freedom = total - spent
        weighted = sum(x * w, axis=1, keepdims=True) / total
        centred = x - weighted
        weighted = centred * w
    right = transpose(conj(weighted) if is_complex(x) else weighted)
    c = matmul(centred, right) / builtins.max(freedom, 0)
    return reshape(c, tuple(n for n in c.shape if n != 1)) if 1 in c.shape else c


def _weights(fweights: Any, aweights: Any, count: int) -> np.ndarray | None:
    """The product of both kinds of weights."""
    w = None
    for name, given_weights in (("fweights", fweights), ("aweights", aweights)):
        if given_weights is None:
            continue
        one = np.asarray(given_weights, float)
        if one.shape != (count,) or (one < 0).any():
            raise ShapeError(
                message("cov", f"{name} must be {count} numbers of at least 0, one an observation.")
            )
        if name == "fweights" and (one != np.round(one)).any():
            raise TypeError(message("cov", "fweights are repetitions: integers."))
        w = one if w is None else w * one
    return w


@public(
    numpy=np.corrcoef,
    cases=[case(arr(3, 4)), case(arr(5), arr(5)), case(arr(4, 2), rowvar=False)],
)
def corrcoef(m: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> GradArray:
    r"""R_ij = C_ij / \sqrt{C_ii C_jj}, C the covariance of the variables (see `cov`).

    >>> import gradarray as ga
    >>> ga.corrcoef([1.0, 2.0, 3.0], [1.0, 0.0, -1.0])
    GradArray([[ 1., -1.],
               [-1.,  1.]], dtype=float64)
    """
    c = cov(m, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    d = diagonal(c)
    s = sqrt(real(d) if is_complex(d) else d)
    r = c / reshape(s, (-1, 1)) / reshape(s, (1, -1))
    # Rounding may leave the interval that a correlation lies in.
    if is_complex(r):
        return clip(real(r), -1, 1) + 1j * clip(imag(r), -1, 1)
    return clip(r, -1, 1)
