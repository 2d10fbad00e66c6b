"""Activations along an axis as modules: Softmax, LogSoftmax, Softmin, GLU, Softmax2d."""

from __future__ import annotations

from typing import Any

from ..array import lift
from ..errors import ShapeError, message
from ..ops import functional as composed
from .module import Module


class _AlongAxis(Module):
    """A function along one axis, named `dim`."""

    function: Any

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return type(self).function(input, axis=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    r"""y_i = e^{x_i} / \sum_j e^{x_j} along `dim`, the last axis by default.

    >>> import gradarray as ga
    >>> ga.nn.Softmax(dim=1)([[0.0, 0.0]])
    GradArray([[0.5, 0.5]], dtype=float64)
    """

    function = composed.softmax


class LogSoftmax(_AlongAxis):
    r"""y_i = x_i - \log \sum_j e^{x_j} along `dim`, the last axis by default.

    >>> import gradarray as ga
    >>> ga.nn.LogSoftmax()([0.0, 0.0])
    GradArray([-0.69314718, -0.69314718], dtype=float64)
    """

    function = composed.log_softmax


class Softmin(_AlongAxis):
    r"""y_i = e^{-x_i} / \sum_j e^{-x_j} along `dim`, the last axis by default.

    >>> import gradarray as ga
    >>> ga.nn.Softmin()([0.0, 0.0])
    GradArray([0.5, 0.5], dtype=float64)
    """

    function = composed.softmin


class GLU(_AlongAxis):
    r"""y = a \sigma(b), a and b the halves of x along `dim`.

    >>> import gradarray as ga
    >>> ga.nn.GLU()([3.0, 0.0])
    GradArray([1.5], dtype=float64)
    """

    function = composed.glu


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    >>> import gradarray as ga
    >>> ga.nn.Softmax2d()(ga.zeros((1, 2, 3, 3))).shape
    (1, 2, 3, 3)
    """

    def forward(self, input: Any) -> Any:
        input = lift(input)
        if input.ndim not in (3, 4):
            raise ShapeError(
                message("Softmax2d", f"takes (N, C, H, W) or (C, H, W), not {input.shape}.")
            )
        return composed.softmax(input, axis=-3)

