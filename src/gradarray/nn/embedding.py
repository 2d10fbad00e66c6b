"""Tables of vectors: Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray
from ..ops.functional import embedding
from . import init
from .layer import empty
from .module import Module
from .state import set_value


class Embedding(Module):
    r"""y[..., :] = W[x]: the vector of each number.

    x: integers of any shape, W: (num_embeddings, embedding_dim), y: x.shape + (embedding_dim,).
    W starts normal, N(0, 1); the row `padding_idx` starts at 0 and gets no gradient. Raises
    IndexError for a number out of range, DTypeError for what is not integer.

    >>> import gradarray as ga
    >>> ga.nn.Embedding(10, 3)(ga.array([[1, 2], [4, 1]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
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
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
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
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None
    ) -> Embedding:
        """A table with these values, not trained unless freeze=False."""
        values = embeddings._array if isinstance(embeddings, GradArray) else np.asarray(embeddings)
        if values.ndim != 2:
            raise ValueError(f"from_pretrained takes a table of 2 axes, not {values.shape}")
        dtype = values.dtype if values.dtype.kind == "f" else None
        layer = cls(*values.shape, padding_idx=padding_idx, dtype=dtype)
        set_value(layer.weight, values)
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Any) -> Any:
        return embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"


