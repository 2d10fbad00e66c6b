"""Losses on pairs: which belong together, which are apart, which is ranked first."""

from __future__ import annotations

from typing import Any

from ..array import GradArray
from ..errors import ShapeError, message
from ..ops.activations import log_sigmoid
from ..ops.compare import equal, maximum, where
from ..ops.normalize import cosine_similarity, pairwise_distance
from .targets import as_dtype_of, constant, floating, pair, reduced

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]


def _two(a: Any, b: Any, op: str, names: tuple[str, str]) -> tuple[Any, Any]:
    a, b = floating(a, op, names[0]), floating(b, op, names[1])
    if a.shape != b.shape:
        raise ShapeError(
            message(op, f"{names[0]} of shape {a.shape}, {names[1]} of shape {b.shape}.")
        )
    return a, as_dtype_of(a, b)


def _signs(target: Any, shape: tuple[int, ...], like: Any, op: str) -> Any:
    y = constant(target, op)
    if y.shape != shape:
        raise ShapeError(
            message(op, f"target of shape {y.shape}; one of 1 and -1 for each: shape {shape}.")
        )
    return as_dtype_of(like, y)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> GradArray:
    r"""l = 1 - \cos(x_1, x_2) where y = 1, \max(0, \cos(x_1, x_2) - margin) where y = -1.

    input1, input2: (N, D) or (D,), target: (N,) or ().

    >>> import gradarray as ga
    >>> a, b = [[1.0, 0.0]], [[1.0, 1.0]]
    >>> ga.nn.functional.cosine_embedding_loss(a, b, [1])
    GradArray(0.29289322, dtype=float64)
    """
    op = "cosine_embedding_loss"
    a, b = _two(input1, input2, op, ("input1", "input2"))
    if a.ndim not in (1, 2):
        raise ShapeError(message(op, f"inputs of shape {a.shape}; they are (N, D) or (D,)."))
    y = _signs(target, a.shape[:-1], a, op)
    cosine = cosine_similarity(a, b, axis=-1)
    apart = maximum(cosine - margin, a.dtype.type(0))
    return reduced(where(equal(y, 1), 1 - cosine, apart), reduction, op)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> GradArray:
    r"""l_i = x_i where y_i = 1, \max(0, margin - x_i) where y_i = -1.

    >>> import gradarray as ga
    >>> ga.nn.functional.hinge_embedding_loss([0.5, 0.25], [1, -1], reduction="none")
    GradArray([0.5 , 0.75], dtype=float64)
    """
    op = "hinge_embedding_loss"
    x, y = pair(input, target, op)
    return reduced(where(equal(y, 1), x, maximum(margin - x, x.dtype.type(0))), reduction, op)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> GradArray:
    r"""l_i = \max(0, -y_i (a_i - b_i) + margin): y = 1 where a should be ranked higher, else -1.

    >>> import gradarray as ga
    >>> ga.nn.functional.margin_ranking_loss([1.0], [3.0], [1])
    GradArray(2., dtype=float64)
    """
    op = "margin_ranking_loss"
    a, b = _two(input1, input2, op, ("input1", "input2"))
    y = _signs(target, a.shape, a, op)
    return reduced(maximum(margin - y * (a - b), a.dtype.type(0)), reduction, op)


def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> GradArray:
    r"""l_i = \log(1 + e^{-y_i x_i}), y of 1 and -1.

    >>> import gradarray as ga
    >>> ga.nn.functional.soft_margin_loss([0.0], [1])
    GradArray(0.69314718, dtype=float64)
    """
    x, y = pair(input, target, "soft_margin_loss")
    return reduced(-log_sigmoid(y * x), reduction, "soft_margin_loss")


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> GradArray:
    r"""l = \max(0, d(a, p) - d(a, n) + margin), d the `pairwise_distance` of order p.

    anchor, positive, negative: (N, D) or (D,).

    >>> import gradarray as ga
    >>> ga.nn.functional.triplet_margin_loss([[0.0]], [[1.0]], [[3.0]], p=1, eps=0.0)
    GradArray(0., dtype=float64)
    """
    op = "triplet_margin_loss"
    a, near = _two(anchor, positive, op, ("anchor", "positive"))
    _, far = _two(a, negative, op, ("anchor", "negative"))
    gap = pairwise_distance(a, near, p, eps) - pairwise_distance(a, far, p, eps)
    return reduced(maximum(gap + margin, a.dtype.type(0)), reduction, op)
