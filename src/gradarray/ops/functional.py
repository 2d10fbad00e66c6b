"""Functions of networks that are made of other functions: linear, softmax, log_softmax, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..lazy import special
from ..registry import arr, case, public
from .axes import one_axis
from .compare import equal, not_equal, where
from .contract import matmul
from .control import stop_gradient
from .exponential import exp, log
from .hyperbolic import sigmoid
from .logical import isfinite
from .reduce import max, sum
from .shape import astype, expand_dims, reshape, transpose
from .split import split
from .take import take

__all__ = [
    "bilinear",
    "embedding",
    "glu",
    "linear",
    "log_softmax",
    "one_hot",
    "softmax",
    "softmin",
]


@public(
    reference=lambda x, weight, bias=0.0: x @ weight.T + bias,
    cases=[
        case(arr(4, 3), arr(2, 3), arr(2)),
        case(arr(2, 5, 3), arr(2, 3)),
        case(arr(3), arr(2, 3), arr(2)),
    ],
)
def linear(x: Any, weight: Any, bias: Any = None) -> GradArray:
    r"""y = x W^T + b.

    x: (..., m), W: (n, m), b: (n,) or None, y: (..., n). Raises ShapeError where the last axis of
    x is not that of W.

    >>> import gradarray as ga
    >>> ga.linear([[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]], [0.5, 0.5])
    GradArray([[11.5, 17.5]], dtype=float64)
    """
    x, weight = lift(x), lift(weight)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            message(
                "linear",
                f"input of shape {x.shape}, weight (out_features, in_features) of shape "
                f"{weight.shape}: the last axis of the input must have in_features values.",
                "Reshape the input, or make the layer for its number of features.",
            )
        )
    y = matmul(x, transpose(weight))
    return y if bias is None else y + lift(bias)


def shifted(x: Any, axis: int, op: str) -> tuple[Any, int]:
    """x less its largest value along `axis`, a constant on which what follows does not depend."""
    x = lift(x, op)
    axis = one_axis(axis, x.ndim, op)
    top = max(stop_gradient(x), axis=axis, keepdims=True)
    return x - where(isfinite(top), top, top.dtype.type(0)), axis


_AXES = [case(arr(2, 3), axis=-1), case(arr(2, 3, 2), axis=1), case(arr(3), axis=0)]


@public(reference=lambda x, axis=-1: special.softmax(x, axis), cases=_AXES)
def softmax(x: Any, axis: int = -1) -> GradArray:
    r"""y_i = e^{x_i} / \sum_j e^{x_j} along `axis`. dy_i/dx_j = y_i (\delta_{ij} - y_j).

    The largest x is subtracted first, so nothing overflows.

    >>> import gradarray as ga
    >>> ga.softmax([1000.0, 1000.0])
    GradArray([0.5, 0.5], dtype=float64)
    """
    z, axis = shifted(x, axis, "softmax")
    e = exp(z)
    return e / sum(e, axis=axis, keepdims=True)


@public(reference=lambda x, axis=-1: special.softmax(-x, axis), cases=_AXES)
def softmin(x: Any, axis: int = -1) -> GradArray:
    r"""y_i = e^{-x_i} / \sum_j e^{-x_j} along `axis`.

    >>> import gradarray as ga
    >>> ga.softmin([0.0, 1000.0])
    GradArray([1., 0.], dtype=float64)
    """
    return softmax(-lift(x), axis)


@public(reference=lambda x, axis=-1: special.log_softmax(x, axis), cases=_AXES)
def log_softmax(x: Any, axis: int = -1) -> GradArray:
    r"""y_i = x_i - \log \sum_j e^{x_j} along `axis`. dy_i/dx_j = \delta_{ij} - softmax(x)_j.

    >>> import gradarray as ga
    >>> ga.log_softmax([0.0, -1000.0])
    GradArray([    0., -1000.], dtype=float64)
    """
    z, axis = shifted(x, axis, "log_softmax")
    return z - log(sum(exp(z), axis=axis, keepdims=True))


@public(
    reference=lambda x, axis=-1: np.multiply(
        np.split(x, 2, axis)[0], special.expit(np.split(x, 2, axis)[1])
    ),
    cases=[case(arr(2, 4)), case(arr(4, 3), axis=0)],
)
def glu(x: Any, axis: int = -1) -> GradArray:
    r"""y = a \sigma(b), a and b the first and the second half of x along `axis`.

    Raises ShapeError where the axis has an odd length. (Dauphin et al., "Language modeling with
    gated convolutional networks", ICML 2017.)

    >>> import gradarray as ga
    >>> ga.glu([3.0, 0.0])
    GradArray([1.5], dtype=float64)
    """
    x = lift(x, "glu")
    axis = one_axis(axis, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise ShapeError(
            message("glu", f"axis {axis} of shape {x.shape} has an odd length; it is cut in half.")
        )
    a, b = split(x, 2, axis)
    return a * sigmoid(b)


@public(
    differentiable=False,
    reference=lambda x, num_classes=-1: np.eye(
        num_classes if num_classes >= 0 else int(x.max()) + 1, dtype=np.int64
    )[x],
    cases=[case(arr(4, low=0, high=5, kind="int")), case(arr(2, 3, low=0, high=3, kind="int"), 3)],
)
def one_hot(x: Any, num_classes: int = -1) -> GradArray:
    """y[..., k] = 1 where x = k, else 0, as integers, with a new last axis of `num_classes`.

    By default as many as the largest number in x asks for. Raises DTypeError for what is not
    integer, IndexError for a number out of range.

    >>> import gradarray as ga
    >>> ga.one_hot([0, 2], 3)
    GradArray([[1, 0, 0],
               [0, 0, 1]], dtype=int64)
    """
    x = lift(x, "one_hot")
    if x.dtype.kind not in "iu":
        raise DTypeError(
            message("one_hot", f"takes class numbers, not {x.dtype}.", "Use x.astype(int).")
        )
    if num_classes < 0:
        values = known(x)
        if values is None or not values.size:
            raise ValueError(message("one_hot", "no numbers are known; say num_classes."))
        num_classes = int(values.max()) + 1
    in_range(x, num_classes, "one_hot", "class number")
    return astype(equal(expand_dims(x, -1), np.arange(num_classes)), np.int64)


def known(x: Any) -> np.ndarray | None:
    """The values of an array, or None where only its form is known."""
    data = x._data if isinstance(x, GradArray) else x
    return np.asarray(data) if isinstance(data, (np.ndarray, np.generic)) else None


def in_range(x: Any, count: int, op: str, what: str) -> None:
    """Raise IndexError, naming the first offender, unless all are in [0, count)."""
    values = known(x)
    if values is None:
        return
    wrong = (values < 0) | (values >= count)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        place = f" at {list(at)}" if at else ""
        raise IndexError(
            message(op, f"{what} {int(values[at])}{place} is out of range: there are {count}.")
        )


@public(
    reference=lambda x, weight, padding_idx=None: weight[x],
    cases=[
        case(arr(2, 3, low=0, high=4, kind="int"), arr(4, 2)),
        case(arr(low=0, high=4, kind="int"), arr(4, 2)),
    ],
)
def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> GradArray:
    """y[..., :] = weight[x]: the rows of a table by their numbers.

    x: integers of any shape, weight: (n, d), y: x.shape + (d,). The row `padding_idx` gets no
    gradient. Raises IndexError for a number out of range, DTypeError for what is not integer.

    >>> import gradarray as ga
    >>> ga.embedding([1, 1, 0], [[0.0, 1.0], [2.0, 3.0]])
    GradArray([[2., 3.],
               [2., 3.],
               [0., 1.]], dtype=float64)
    """
    x, weight = lift(x, "embedding"), lift(weight, "embedding")
    if x.dtype.kind not in "iu":
        raise DTypeError(
            message("embedding", f"takes numbers of rows, integers, not {x.dtype}.",
                    "Use x.astype(int).")
        )  # fmt: skip
    if weight.ndim != 2:
        raise ShapeError(message("embedding", f"a table of shape {weight.shape}, not (n, d)."))
    in_range(x, weight.shape[0], "embedding", "index")
    y = take(weight, x, axis=0)
    if padding_idx is None:
        return y
    padding_idx = one_axis(padding_idx, weight.shape[0], "embedding") % weight.shape[0]
    return where(expand_dims(not_equal(x, padding_idx), -1), y, stop_gradient(y))


@public(
    reference=lambda x1, x2, weight, bias=0.0: (
        np.einsum("...i,oij,...j->...o", x1, weight, x2) + bias
    ),
    cases=[
        case(arr(4, 2), arr(4, 3), arr(2, 2, 3), arr(2)),
        case(arr(2, 2, 2), arr(2, 2, 3), arr(1, 2, 3)),
    ],
)
def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> GradArray:
    r"""y_o = x_1^T W_o x_2 + b_o.

    x1: (..., m), x2: (..., k), weight: (n, m, k), bias: (n,) or None, y: (..., n). Raises
    ShapeError where they do not fit.

    >>> import gradarray as ga
    >>> ga.bilinear([1.0, 2.0], [3.0], [[[1.0], [10.0]]])
    GradArray([63.], dtype=float64)
    """
    x1, x2, weight = lift(x1), lift(x2), lift(weight)
    fits = weight.ndim == 3 and x1.ndim and x2.ndim and x1.shape[:-1] == x2.shape[:-1]
    if not fits or (x1.shape[-1], x2.shape[-1]) != weight.shape[1:]:
        raise ShapeError(
            message(
                "bilinear",
                f"inputs of shape {x1.shape} and {x2.shape}, weight of shape {weight.shape}: "
                "the weight is (out, in1, in2), the inputs (..., in1) and (..., in2).",
            )
        )
    n, m, k = weight.shape
    # x_1 against all matrices in one product, then row by row against x_2.
    left = matmul(x1, reshape(transpose(weight, (1, 0, 2)), (m, n * k)))
    y = sum(reshape(left, (*x1.shape[:-1], n, k)) * expand_dims(x2, -2), axis=-1)
    return y if bias is None else y + lift(bias)
