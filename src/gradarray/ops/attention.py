"""Attention: values averaged by how well their keys match a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .compare import equal, where
from .contract import matmul
from .control import stop_gradient
from .exponential import exp
from .logical import isfinite
from .reduce import max, sum
from .shape import transpose

__all__ = ["scaled_dot_product_attention"]


def attention_weights(
    query: Any, key: Any, mask: Any, is_causal: bool, scale: float | None, op: str
) -> Any:
    """softmax(q k^T scale) over what the mask allows; a query with nothing allowed gets zeros."""
    if query.ndim < 2 or key.ndim < 2 or query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            message(
                op,
                f"query of shape {query.shape}, key of shape {key.shape}.",
                "They are (..., L, E) and (..., S, E) with the same E.",
            )
        )
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * scale, swapped(key))
    never = scores.dtype.type(-math.inf)
    if is_causal:
        if mask is not None:
            raise ValueError(message(op, "is_causal=True and a mask.", "Give one of them."))
        mask = np.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None:
        mask = lift(mask, op)
        fits = _broadcasts(mask.shape, scores.shape)
        if not fits:
            raise ShapeError(
                message(op, f"a mask of shape {mask.shape} for scores of shape {scores.shape}.")
            )
        scores = where(mask, scores, never) if mask.dtype.kind == "b" else scores + mask
    top = max(stop_gradient(scores), axis=-1, keepdims=True)
    e = exp(scores - where(isfinite(top), top, top.dtype.type(0)))
    total = sum(e, axis=-1, keepdims=True)
    return e / where(equal(total, 0), total.dtype.type(1), total)


def _broadcasts(a: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(a) <= len(to) and all(m in (1, n) for m, n in zip(a[::-1], to[::-1]))


def swapped(x: Any) -> Any:
    """The last two axes exchanged."""
    n = x.ndim
    return transpose(x, (*range(n - 2), n - 1, n - 2))


def _attention(
    q: Any, k: Any, v: Any, mask: Any = None, is_causal: bool = False, scale: Any = None
) -> Any:
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:]) == 1, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    e = np.exp(scores)
    return e / e.sum(-1, keepdims=True) @ v


@public(
    reference=_attention,
    cases=[
        case(arr(2, 3), arr(4, 3), arr(4, 2)),
        case(arr(2, 3, 2), arr(2, 3, 2), arr(2, 3, 2), is_causal=True),
        case(arr(2, 2, 3, 2), arr(2, 2, 3, 2), arr(2, 2, 3, 2), arr(2, 1, 3, 3), scale=0.5),
    ],
)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> GradArray:
    r"""y = softmax(q k^T / \sqrt E + mask) v.

    query: (..., L, E), key: (..., S, E), value: (..., S, F), y: (..., L, F). attn_mask broadcasts
    to (..., L, S): booleans, True where a key takes part, or numbers to add to the scores.
    `is_causal` lets query i see keys 0 to i. A query that no key may answer gets 0. Raises
    ShapeError where shapes do not fit. (Vaswani et al., "Attention is all you need", NeurIPS
    2017, equation 1.)

    >>> import gradarray as ga
    >>> ga.scaled_dot_product_attention([[0.0]], [[1.0], [2.0]], [[3.0], [5.0]])
    GradArray([[4.]], dtype=float64)
    """
    op = "scaled_dot_product_attention"
    query, key, value = lift(query, op), lift(key, op), lift(value, op)
    check_values(key, value, op)
    return matmul(attention_weights(query, key, attn_mask, is_causal, scale, op), value)


def check_values(key: Any, value: Any, op: str) -> None:
    """Raise ShapeError unless there is a value for each key."""
    if value.ndim < 2 or key.ndim < 2 or value.shape[-2] != key.shape[-2]:
        raise ShapeError(
            message(
                op,
                f"key of shape {key.shape}, value of shape {value.shape}.",
                "They are (..., S, E) and (..., S, F) with the same S.",
            )
        )
