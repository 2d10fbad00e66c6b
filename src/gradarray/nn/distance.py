"""Comparing vectors: CosineSimilarity, PairwiseDistance."""

from __future__ import annotations

from typing import Any

from ..ops.normalize import cosine_similarity, pairwise_distance
from .module import Module


class CosineSimilarity(Module):
    r"""y = x_1 \cdot x_2 / (\max(\|x_1\|, eps) \max(\|x_2\|, eps)) along `dim`.

    >>> import gradarray as ga
    >>> ga.nn.CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]])
    GradArray([0.6], dtype=float64)
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Any:
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    r"""y = \|x_1 - x_2 + eps\|_p along the last axis.

    >>> import gradarray as ga
    >>> ga.nn.PairwiseDistance(eps=0.0)([[3.0, 4.0]], [[0.0, 0.0]])
    GradArray([5.], dtype=float64)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        return pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)
