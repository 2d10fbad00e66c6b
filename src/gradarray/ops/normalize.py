"""Functions that bring to a common size: layer, group and RMS normalisation, lengths, distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .arithmetic import absolute
from .axes import one_axis
from .compare import maximum
from .exponential import power
from .powers import rsqrt, sqrt, square
from .reduce import max, mean, sum
from .shape import expand_dims, reshape

__all__ = [
    "batch_norm",
    "cdist",
    "cosine_similarity",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "normalize",
    "pairwise_distance",
    "rms_norm",
]


def moments(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """(x less its mean, the mean, the variance) over `axis`, which stay with length 1."""
    centre = mean(x, axis=axis, keepdims=True)
    rest = x - centre
    return rest, centre, mean(square(rest), axis=axis, keepdims=True)


def standard(x: Any, axis: tuple[int, ...], eps: float) -> Any:
    """x with mean 0 and variance 1 over `axis`."""
    rest, _, variance = moments(x, axis)
    return rest * rsqrt(variance + eps)


def scaled(y: Any, weight: Any, bias: Any, ndim: int) -> Any:
    """weight y + bias, each of them one number per channel, before `ndim` further axes."""
    if weight is not None:
        y = y * per_channel(weight, ndim)
    return y if bias is None else y + per_channel(bias, ndim)


def per_channel(w: Any, ndim: int) -> Any:
    """One number per channel, to be broadcast over the `ndim` axes behind the channels'."""
    w = lift(w)
    return reshape(w, (*w.shape, *(1,) * ndim)) if ndim else w


def _shape(normalized_shape: Any, x: Any, op: str) -> tuple[int, ...]:
    shape = normalized_shape if isinstance(normalized_shape, (tuple, list)) else [normalized_shape]
    shape = tuple(shape)
    if not shape or x.shape[len(x.shape) - len(shape) :] != shape:
        raise ShapeError(
            message(
                op,
                f"input of shape {x.shape}, normalized_shape {shape}.",
                "The last axes of the input must be those that are normalised over.",
            )
        )
    return shape


def _layer_norm(x: Any, normalized_shape: Any, weight: Any = 1, bias: Any = 0, eps: float = 1e-5):
    n = np.size(normalized_shape)
    axes = tuple(range(-n, 0))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + x.dtype.type(eps)) * weight + bias


@public(
    reference=_layer_norm,
    cases=[
        case(arr(4, 3), 3, arr(3), arr(3)),
        case(arr(2, 3, 2), (3, 2), arr(3, 2), eps=0.01),
    ],
)
def layer_norm(
    x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> GradArray:
    r"""y = w (x - \mu) / \sqrt{\sigma^2 + eps} + b, mean and variance over the last axes.

    x: (..., *normalized_shape), weight and bias: normalized_shape or None. Raises ShapeError where
    these differ. (Ba, Kiros, Hinton, "Layer normalization", arXiv:1607.06450.)

    >>> import gradarray as ga
    >>> ga.layer_norm([[1.0, 3.0]], 2, eps=0.0)
    GradArray([[-1.,  1.]], dtype=float64)
    """
    x = lift(x, "layer_norm")
    shape = _shape(normalized_shape, x, "layer_norm")
    y = standard(x, tuple(range(-len(shape), 0)), eps)
    y = y if weight is None else y * lift(weight)
    return y if bias is None else y + lift(bias)


@public(
    reference=lambda x, normalized_shape, weight=1, eps=None: (
        x / np.sqrt((x**2).mean(-1, keepdims=True) + (eps or np.finfo(x.dtype).eps)) * weight
    ),
    cases=[case(arr(4, 3), 3, arr(3)), case(arr(2, 3), (3,), arr(3), eps=0.01)],
)  # fmt: skip
def rms_norm(
    x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> GradArray:
    r"""y = w x / \sqrt{mean(x^2) + eps} over the last axes; eps is the dtype's own by default.

    x: (..., *normalized_shape), weight: normalized_shape or None. (Zhang & Sennrich, "Root mean
    square layer normalization", NeurIPS 2019.)

    >>> import gradarray as ga
    >>> ga.rms_norm([[3.0, -3.0]], 2)
    GradArray([[ 1., -1.]], dtype=float64)
    """
    x = lift(x, "rms_norm")
    shape = _shape(normalized_shape, x, "rms_norm")
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    y = x * rsqrt(mean(square(x), axis=tuple(range(-len(shape), 0)), keepdims=True) + eps)
    return y if weight is None else y * lift(weight)


def _channels(x: Any, op: str) -> int:
    if x.ndim < 2:
        raise ShapeError(
            message(op, f"input of shape {x.shape}; it has channels in axis 1, (N, C, ...).")
        )
    return x.shape[1]


@public(
    reference=lambda x, num_groups, weight=1, bias=0, eps=1e-5: (
        _layer_norm(x.reshape(len(x), num_groups, -1), 1, eps=eps).reshape(x.shape)
        * np.reshape(weight, (-1, *(1,) * (x.ndim - 2)))
        + np.reshape(bias, (-1, *(1,) * (x.ndim - 2)))
    ),
    cases=[
        case(arr(2, 4, 3), 2, arr(4), arr(4)),
        case(arr(2, 4), 1),
        case(arr(2, 2, 2, 3), 2, arr(2), eps=0.01),
    ],
)
def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> GradArray:
    r"""y = w_c (x - \mu_g) / \sqrt{\sigma_g^2 + eps} + b_c, over each group g of channels.

    x: (N, C, ...), mean and variance over the C / num_groups channels of a group and all axes
    after them; weight and bias: (C,) or None. Raises ShapeError unless num_groups divides C. (Wu
    & He, "Group normalization", ECCV 2018.)

    >>> import gradarray as ga
    >>> ga.group_norm([[1.0, 3.0, 2.0, 6.0]], 2, eps=0.0)
    GradArray([[-1.,  1., -1.,  1.]], dtype=float64)
    """
    x = lift(x, "group_norm")
    channels = _channels(x, "group_norm")
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(
            message("group_norm", f"{num_groups} groups do not divide {channels} channels, axis 1.")
        )
    grouped = reshape(x, (x.shape[0], num_groups, math.prod(x.shape[1:]) // num_groups))
    return scaled(reshape(standard(grouped, (-1,), eps), x.shape), weight, bias, x.ndim - 2)


def _by_channel(x: Any, axes: tuple[int, ...], weight: Any, bias: Any, eps: float) -> Any:
    lift = (-1, *(1,) * (x.ndim - 2))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return y * np.reshape(weight, lift) + np.reshape(bias, lift)


@public(
    reference=lambda x, weight=1, bias=0, eps=1e-5: _by_channel(
        x, (0, *range(2, x.ndim)), weight, bias, eps
    ),
    cases=[case(arr(4, 3), arr(3), arr(3)), case(arr(2, 2, 3), eps=0.01)],
)
def batch_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> GradArray:
    r"""y = w_c (x - \mu_c) / \sqrt{\sigma_c^2 + eps} + b_c, over all axes but the channels'.

    x: (N, C, ...), weight and bias: (C,) or None. By the statistics of the batch; with running
    ones it is `nn.functional.batch_norm`. (Ioffe & Szegedy, "Batch normalization", ICML 2015.)

    >>> import gradarray as ga
    >>> ga.batch_norm([[1.0], [3.0]], eps=0.0)
    GradArray([[-1.],
               [ 1.]], dtype=float64)
    """
    x = lift(x, "batch_norm")
    _channels(x, "batch_norm")
    y = standard(x, (-x.ndim, *range(2 - x.ndim, 0)), eps)
    return scaled(y, weight, bias, x.ndim - 2)


@public(
    reference=lambda x, weight=1, bias=0, eps=1e-5: _by_channel(
        x, tuple(range(2, x.ndim)), weight, bias, eps
    ),
    cases=[case(arr(2, 3, 4), arr(3), arr(3)), case(arr(2, 2, 2, 3), eps=0.01)],
)
def instance_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> GradArray:
    r"""y = w_c (x - \mu_{nc}) / \sqrt{\sigma_{nc}^2 + eps} + b_c, over the axes after the channels.

    x: (N, C, L, ...), weight and bias: (C,) or None. (Ulyanov, Vedaldi, Lempitsky, "Instance
    normalization", arXiv:1607.08022.)

    >>> import gradarray as ga
    >>> ga.instance_norm([[[1.0, 3.0]]], eps=0.0)
    GradArray([[[-1.,  1.]]], dtype=float64)
    """
    x = lift(x, "instance_norm")
    if x.ndim < 3:
        raise ShapeError(
            message("instance_norm", f"input of shape {x.shape}; it takes (N, C, L, ...).")
        )
    return scaled(standard(x, tuple(range(2 - x.ndim, 0)), eps), weight, bias, x.ndim - 2)


# Lengths and distances ----------------------------------------------------------------------------


def length(x: Any, p: float, axis: int, keepdims: bool, op: str) -> Any:
    """The p-norm of x along `axis`."""
    if p == 2:
        return sqrt(sum(square(x), axis=axis, keepdims=keepdims))
    if p == 1:
        return sum(absolute(x), axis=axis, keepdims=keepdims)
    if p == math.inf:
        return max(absolute(x), axis=axis, keepdims=keepdims)
    if not p > 0:
        raise ValueError(message(op, f"p={p} is not above 0."))
    return power(sum(power(absolute(x), p), axis=axis, keepdims=keepdims), 1 / p)


@public(
    reference=lambda x, p=2.0, axis=1, eps=1e-12: (
        x / np.maximum(np.linalg.norm(x, p, axis, keepdims=True), eps)
    ),
    cases=[case(arr(2, 3)), case(arr(2, 3), p=1.0, axis=0), case(arr(2, 3), p=3.0)],
)
def normalize(x: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> GradArray:
    r"""y = x / \max(\|x\|_p, eps), the p-norm taken along `axis`.

    >>> import gradarray as ga
    >>> ga.normalize([[3.0, 4.0]])
    GradArray([[0.6, 0.8]], dtype=float64)
    """
    x = lift(x, "normalize")
    axis = one_axis(axis, x.ndim, "normalize")
    size = length(x, p, axis, True, "normalize")
    return x / maximum(size, size.dtype.type(eps))


@public(
    reference=lambda x1, x2, axis=1, eps=1e-8: (
        (x1 * x2).sum(axis)
        / np.maximum(np.linalg.norm(x1, axis=axis), eps)
        / np.maximum(np.linalg.norm(x2, axis=axis), eps)
    ),
    cases=[case(arr(2, 3), arr(2, 3)), case(arr(3, 2), arr(3, 1), axis=0)],
)
def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> GradArray:
    r"""y = x_1 \cdot x_2 / (\max(\|x_1\|, eps) \max(\|x_2\|, eps)) along `axis`; they broadcast.

    >>> import gradarray as ga
    >>> ga.cosine_similarity([[1.0, 0.0]], [[3.0, 4.0]])
    GradArray([0.6], dtype=float64)
    """
    op = "cosine_similarity"
    x1, x2 = lift(x1, op), lift(x2, op)
    axis = one_axis(axis, np.maximum(x1.ndim, x2.ndim), op)
    sizes = [sqrt(sum(square(x), axis=axis)) for x in (x1, x2)]
    a, b = (maximum(size, size.dtype.type(eps)) for size in sizes)
    return sum(x1 * x2, axis=axis) / (a * b)


@public(
    reference=lambda x1, x2, p=2.0, eps=1e-6, keepdims=False: np.linalg.norm(
        x1 - x2 + eps, p, -1, keepdims
    ),
    cases=[
        case(arr(2, 3), arr(2, 3)),
        case(arr(2, 3), arr(3), p=1.0, keepdims=True),
        case(arr(3), arr(3), p=3.0),
        case(arr(2, 3, kind="distinct"), arr(3, low=5.0, high=6.0), p=math.inf),
    ],
)
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> GradArray:
    r"""y = \|x_1 - x_2 + eps\|_p along the last axis; eps keeps the derivative from 0 at x_1 = x_2.

    >>> import gradarray as ga
    >>> ga.pairwise_distance([[3.0, 4.0]], [[0.0, 0.0]], eps=0.0)
    GradArray([5.], dtype=float64)
    """
    x1, x2 = lift(x1, "pairwise_distance"), lift(x2, "pairwise_distance")
    return length(x1 - x2 + eps, p, -1, keepdims, "pairwise_distance")


@public(
    reference=lambda x1, x2, p=2.0: np.linalg.norm(
        x1[..., :, None, :] - x2[..., None, :, :], p, -1
    ),
    cases=[
        case(arr(3, 2), arr(4, 2)),
        case(arr(2, 3, 2), arr(1, 2, 2), p=3.0),
        case(arr(3, 2), arr(2, 2), p=1.0),
        case(arr(2, 2, kind="distinct"), arr(3, 2, low=5.0, high=6.0), p=math.inf),
    ],
)
def cdist(x1: Any, x2: Any, p: float = 2.0) -> GradArray:
    r"""y_{ij} = \|x1_i - x2_j\|_p, the distance of every row of x1 from every row of x2.

    x1: (..., m, d), x2: (..., n, d), y: (..., m, n). The derivative is 0 where two rows are equal.
    Raises ShapeError where the rows differ in length, ValueError for p <= 0.

    >>> import gradarray as ga
    >>> ga.cdist([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0]])
    GradArray([[4.],
               [5.]], dtype=float64)
    """
    x1, x2 = lift(x1, "cdist"), lift(x2, "cdist")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            message(
                "cdist",
                f"points of shapes {x1.shape} and {x2.shape}.",
                "Both are (..., rows, d), with the same d.",
            )
        )
    return length(expand_dims(x1, -2) - expand_dims(x2, -3), p, -1, False, "cdist")
