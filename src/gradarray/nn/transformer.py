"""The encoder of a transformer: TransformerEncoderLayer, TransformerEncoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..ops.activations import gelu
from ..ops.compare import relu
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .layer import as_input, claim
from .layer_norm import LayerNorm
from .linear import Linear
from .module import Module

_ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": relu, "gelu": gelu}


class TransformerEncoderLayer(Module):
    r"""x = norm1(x + attention(x)), y = norm2(x + W_2 f(W_1 x)): self-attention, then two layers.

    With norm_first=True: x = x + attention(norm1(x)), y = x + W_2 f(W_1 norm2(x)). src: (L, N, E),
    with batch_first=True (N, L, E), or (L, E), E = d_model. activation f: "relu", "gelu" or a
    function. Dropout acts on the attention's weights, on both branches and inside the second.
    Masks as in `MultiheadAttention`. (Vaswani et al., "Attention is all you need", NeurIPS 2017,
    section 3.1.)

    >>> import gradarray as ga
    >>> layer = ga.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(ga.random.normal(size=(3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[..., Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise ValueError(
                f'TransformerEncoderLayer: activation is "relu", "gelu" or a function; '
                f"not {activation!r}"
            )
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, dtype=dtype
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, dtype=dtype)
        self.norm_first, self.batch_first = norm_first, batch_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:
        src = as_input(src, self.linear1.weight.dtype)  # the sums below stay in this dtype
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attend(self.norm1(src), *masks)
            return x + self._feed(self.norm2(x))
        x = self.norm1(src + self._attend(src, *masks))
        return self.norm2(x + self._feed(x))

    def _attend(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        y, _ = self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False,
            is_causal=is_causal,
        )  # fmt: skip
        return self.dropout1(y)

    def _feed(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """num_layers copies of an encoder layer, one after another, and a norm if one is given.

    The copies start from the same values, and are trained apart.

    >>> import gradarray as ga
    >>> layer = ga.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    >>> ga.nn.TransformerEncoder(layer, num_layers=2)(ga.random.normal(size=(5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__()
        sizes = [p.size for p in encoder_layer.parameters()]
        claim(num_layers * sum(sizes), num_layers * max(len(sizes), 1))
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:
        for layer in self.layers:
            src = layer(
                src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=is_causal
            )
        return src if self.norm is None else self.norm(src)
