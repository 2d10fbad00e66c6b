"""Attention between sequences: MultiheadAttention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import lift
from ..errors import DTypeError, ShapeError, message
from ..ops.attention import attention_weights
from ..ops.compare import where
from ..ops.contract import matmul
from ..ops.create import ones, zeros
from ..ops.functional import linear
from ..ops.join import concatenate
from ..ops.logical import logical_not
from ..ops.reduce import mean
from ..ops.shape import astype, broadcast_to, expand_dims, reshape, transpose
from ..ops.split import split
from . import init
from .dropout import check_probability, dropout
from .layer import as_input, empty
from .linear import Linear
from .module import Module


class MultiheadAttention(Module):
    r"""y = W_o [head_1, .., head_h] + b_o, head_i = softmax(q_i k_i^T / \sqrt{E/h} + mask) v_i.

    q_i, k_i, v_i are the i-th of h = num_heads parts of W_q q + b_q and so on, E = embed_dim.
    query: (L, N, E), key: (S, N, kdim), value: (S, N, vdim), with batch_first=True (N, L, E) and
    so on, or all without N. Gives (y, weights): y in the query's shape, the weights (N, L, S),
    averaged over heads, or (N, h, L, S) with average_attn_weights=False; None with
    need_weights=False.

    add_bias_kv appends a learned key with a learned value, add_zero_attn a key and a value of
    zeros: every query sees them, and S counts them in the weights.

    attn_mask: (L, S) or (N h, L, S), key_padding_mask: (N, S); boolean masks are True where a key
    is left out (as in PyTorch), floating ones are added to the scores. `is_causal` lets query i
    see keys 0 to i. `dropout` acts on the weights in training. Raises ShapeError where shapes do
    not fit. (Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2.)

    >>> import gradarray as ga
    >>> layer = ga.nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = ga.random.normal(size=(3, 5, 8))
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads={num_heads} must divide embed_dim={embed_dim}"
            )
        check_probability(dropout, "MultiheadAttention")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first, self.head_dim = batch_first, embed_dim // num_heads
        together = self.kdim == self.vdim == embed_dim
        width = {"in": embed_dim, "q": embed_dim, "k": self.kdim, "v": self.vdim}
        for part in ("q", "k", "v", "in"):
            rows = embed_dim * (3 if part == "in" else 1)
            wanted = together == (part == "in")
            weight = empty((rows, width[part]), dtype) if wanted else None
            self.register_parameter(f"{part}_proj_weight", weight)
        self.register_parameter("in_proj_bias", empty((3 * embed_dim,), dtype) if bias else None)
        for part in ("k", "v"):
            row = empty((1, 1, embed_dim), dtype) if add_bias_kv else None
            self.register_parameter(f"bias_{part}", row)
        self.add_zero_attn = add_zero_attn
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier's uniform weights for the inputs, biases of 0."""
        for part in ("in", "q", "k", "v"):
            weight = getattr(self, f"{part}_proj_weight")
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        q, k, v, alone = self._inputs(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, is_causal, q, k, alone)
        q, k, v = self._project(q, k, v)
        k, v, mask = self._more_keys(k, v, mask)
        q, k, v = (self._heads(part) for part in (q, k, v))
        weights = attention_weights(q, k, mask, False, None, "MultiheadAttention")
        used = dropout(weights, self.dropout, self.training)
        y = transpose(matmul(used, v), (0, 2, 1, 3))
        y = self.out_proj(reshape(y, (*y.shape[:2], self.embed_dim)))
        if alone:
            y, used = y[0], used[0]
        elif not self.batch_first:
            y = transpose(y, (1, 0, 2))
        if not need_weights:
            return y, None
        return y, mean(used, axis=-3) if average_attn_weights else used

    def _inputs(self, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any, bool]:
        """Query, key and value as (N, L, E), the same object where they were, and N missing?"""
        dtype = self.out_proj.weight.dtype
        seen: dict[int, Any] = {}
        sizes = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        parts = []
        for (name, size), given in zip(sizes.items(), (query, key, value)):
            if id(given) not in seen:
                seen[id(given)] = as_input(given, dtype, name)
            x = seen[id(given)]
            if x.ndim not in (2, 3) or x.shape[-1] != size:
                order = "(N, L, E)" if self.batch_first else "(L, N, E)"
                raise ShapeError(
                    message(
                        name, f"shape {x.shape}; the layer takes {order} or (L, E) with E={size}."
                    )
                )
            parts.append(x)
        alone = parts[0].ndim == 2
        turned: dict[int, Any] = {}
        for x in parts:
            if x.ndim != parts[0].ndim:
                raise ShapeError(
                    message("query, key, value", f"shapes {[p.shape for p in parts]}.")
                )
            if id(x) not in turned:
                batch = expand_dims(x, 0) if alone else transpose(x, (1, 0, 2))
                turned[id(x)] = x if self.batch_first and not alone else batch
        q, k, v = (turned[id(x)] for x in parts)
        if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0]:
            raise ShapeError(
                message(
                    "query, key, value",
                    f"shapes {', '.join(str(p.shape) for p in parts)}: they share N, key and value "
                    "share S.",
                    "Is batch_first set as the inputs are?",
                )
            )
        return q, k, v, alone

    def _project(self, q: Any, k: Any, v: Any) -> list[Any]:
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if weight is not None and q is k and k is v:
            return list(split(linear(q, weight, bias), 3, axis=-1))
        biases = [None] * 3 if bias is None else split(bias, 3)
        if weight is not None:
            weights = split(weight, 3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        return [linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases)]

    def _more_keys(self, k: Any, v: Any, mask: Any) -> tuple[Any, Any, Any]:
        """Keys that no mask hides: the learned one, and one of zeros, with their values."""
        n, size, width = k.shape
        if self.bias_k is not None:
            k, v = (
                concatenate([x, broadcast_to(row, (n, 1, width))], axis=1)
                for x, row in ((k, self.bias_k), (v, self.bias_v))
            )
        if self.add_zero_attn:
            k, v = (concatenate([x, zeros((n, 1, width), dtype=x.dtype)], axis=1) for x in (k, v))
        more = k.shape[1] - size
        if more and mask is not None:
            shown = (ones if mask.dtype.kind == "b" else zeros)(
                (*mask.shape[:-1], more), dtype=mask.dtype
            )
            mask = concatenate([mask, shown], axis=-1)
        return k, v, mask

    def _heads(self, x: Any) -> Any:
        """(N, L, E) as (N, h, L, E / h)."""
        parts = reshape(x, (*x.shape[:2], self.num_heads, self.head_dim))
        return transpose(parts, (0, 2, 1, 3))

    def _mask(
        self, attn_mask: Any, padding: Any, is_causal: bool, q: Any, k: Any, alone: bool
    ) -> Any:
        """One mask that broadcasts to (N, h, L, S): True where a key takes part, or added."""
        n, rows, columns = q.shape[0], q.shape[1], k.shape[1]
        masks = []
        if is_causal and attn_mask is None:
            attn_mask = ~np.tri(rows, columns, dtype=bool)
        if attn_mask is not None:
            mask = lift(attn_mask, "attn_mask")
            if mask.shape == (n * self.num_heads, rows, columns):
                mask = reshape(mask, (n, self.num_heads, rows, columns))
            elif mask.shape != (rows, columns):
                raise ShapeError(
                    message(
                        "attn_mask",
                        f"shape {mask.shape}; the layer takes {(rows, columns)} or "
                        f"{(n * self.num_heads, rows, columns)}.",
                    )
                )
            masks.append(mask)
        if padding is not None:
            mask = lift(padding, "key_padding_mask")
            mask = expand_dims(mask, 0) if alone and mask.ndim == 1 else mask
            if mask.shape != (n, columns):
                raise ShapeError(
                    message(
                        "key_padding_mask",
                        f"shape {mask.shape}; the layer takes {(n, columns)}: batch, keys.",
                    )
                )
            masks.append(reshape(mask, (n, 1, 1, columns)))
        if any(mask.dtype.kind not in "bf" for mask in masks):
            raise DTypeError(message("attn_mask", "a mask is boolean or floating."))
        if not masks:
            return None
        if all(mask.dtype.kind == "b" for mask in masks):
            kept = [logical_not(mask) for mask in masks]
            return kept[0] if len(kept) == 1 else kept[0] & kept[1]
        never = q.dtype.type(-math.inf)
        added = [
            where(mask, never, q.dtype.type(0)) if mask.dtype.kind == "b" else astype(mask, q.dtype)
            for mask in masks
        ]
        return added[0] if len(added) == 1 else added[0] + added[1]
