"""Tables of vectors: Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..graph import no_grad
from ..ops.compare import where
from ..ops.create import ones, zeros
from ..ops.functional import embedding
from ..ops.norm import norm
from ..ops.take import scatter_add, take
from . import init
from .layer import empty
from .module import Module
from .parameter import Parameter
from .state import set_value


class Embedding(Module):
    r"""y[..., :] = W[x]: the vector of each number.

    x: integers of any shape, W: (num_embeddings, embedding_dim), y: x.shape + (embedding_dim,).
    W starts normal, N(0, 1); the row `padding_idx` starts at 0 and gets no gradient. With
    `max_norm`, rows that are asked for and whose `norm_type` norm is larger are first scaled down
    to it, in W itself. `scale_grad_by_freq` divides the gradient of a row by the number of times
    that x has it. Raises IndexError for a number out of range, DTypeError for what is not integer.

    >>> import gradarray as ga
    >>> ga.nn.Embedding(10, 3)(ga.array([[1, 2], [4, 1]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx={padding_idx} is outside the table of "
                    f"{num_embeddings} rows"
                )
            padding_idx %= num_embeddings
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"Embedding: max_norm is above 0, not {max_norm}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.scale_grad_by_freq = padding_idx, scale_grad_by_freq
        self.max_norm, self.norm_type = max_norm, norm_type
        self.weight = empty((num_embeddings, embedding_dim), dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            values = self.weight._array.copy()
            values[self.padding_idx] = 0
            set_value(self.weight, values)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
    ) -> Embedding:
        """A table with these values, not trained unless freeze=False."""
        values = embeddings._array if isinstance(embeddings, GradArray) else np.asarray(embeddings)
        if values.ndim != 2:
            raise ValueError(f"from_pretrained takes a table of 2 axes, not {values.shape}")
        dtype = values.dtype if values.dtype.kind == "f" else None
        layer = cls(
            *values.shape, padding_idx, max_norm, norm_type, scale_grad_by_freq, dtype=dtype
        )
        set_value(layer.weight, values)
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Any) -> Any:
        weight = self.weight if self.max_norm is None else self._renormed(input)
        y = embedding(input, weight, self.padding_idx)
        if not self.scale_grad_by_freq:
            return y
        rows = lift(input)
        shape, rows = rows.shape, rows.reshape(-1)
        none = zeros(self.num_embeddings, dtype=y.dtype)
        count = scatter_add(none, rows, ones(rows.shape), axis=0)
        fixed = y.detach()
        # The value is y's to the last bit: what is divided is 0.
        return fixed + (y - fixed) / take(count, rows).reshape(*shape, 1)

    def _renormed(self, input: Any) -> Any:
        """The table with the rows that are asked for at most `max_norm` long."""
        with no_grad():
            rows = embedding(input, self.weight)
            length = norm(rows, self.norm_type, axis=-1, keepdims=True)
            # As PyTorch: so little more than the length that 0 is not divided by.
            rows = where(length > self.max_norm, rows * (self.max_norm / (length + 1e-7)), rows)
            table = self.weight.detach()
            table[input] = rows
            if isinstance(self.weight, Parameter):
                return set_value(self.weight, table)
            shift = table - self.weight.detach()
        return self.weight + shift  # lent to a transform: the scaling has no derivative

    def extra_repr(self) -> str:
        told = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.padding_idx is not None:
            told.append(f"padding_idx={self.padding_idx}")
        if self.max_norm is not None:
            told.append(f"max_norm={self.max_norm}, norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            told.append("scale_grad_by_freq=True")
        return ", ".join(told)


