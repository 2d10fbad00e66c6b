"""Normalisation of each sample by itself: LayerNorm, RMSNorm, GroupNorm."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError, message
from ..ops import normalize as ops
from . import init
from .layer import as_input, empty
from .module import Module


class GroupNorm(Module):
    r"""y = w_c (x - \mu_g) / \sqrt{\sigma_g^2 + eps} + b_c, for each sample and group of channels.

    x: (N, C, ...), C = num_channels in num_groups groups; w and b: (C,), starting at 1 and 0.
    (Wu & He, "Group normalization", ECCV 2018.)

    >>> import gradarray as ga
    >>> ga.nn.GroupNorm(2, 4)(ga.random.normal(size=(5, 4, 3))).shape
    (5, 4, 3)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.register_parameter("weight", empty((num_channels,), dtype) if affine else None)
        shifted = affine and bias
        self.register_parameter("bias", empty((num_channels,), dtype) if shifted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        input = as_input(input, None if self.weight is None else self.weight.dtype)
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ShapeError(
                message(
                    "input",
                    f"shape {input.shape}; the layer takes (N, C, ...) with "
                    f"C={self.num_channels} channels.",
                )
            )
        return ops.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LayerNorm(Module):
    r"""y = w (x - \mu) / \sqrt{\sigma^2 + eps} + b, mean and variance over the last axes.

    x: (..., *normalized_shape); w and b: normalized_shape, starting at 1 and 0. (Ba, Kiros,
    Hinton, "Layer normalization", arXiv:1607.06450.)

    >>> import gradarray as ga
    >>> ga.nn.LayerNorm(2)([[1.0, 3.0]]).numpy().round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = shape_tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", empty(shape, dtype) if elementwise_affine else None)
        shifted = elementwise_affine and bias
        self.register_parameter("bias", empty(shape, dtype) if shifted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        x = as_input(input, None if self.weight is None else self.weight.dtype)
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    r"""y = w x / \sqrt{mean(x^2) + eps} over the last axes.

    x: (..., *normalized_shape); w: normalized_shape, starting at 1. eps is the dtype's own by
    default. (Zhang & Sennrich, "Root mean square layer normalization", NeurIPS 2019.)

    >>> import gradarray as ga
    >>> ga.nn.RMSNorm(2)([[3.0, -3.0]]).numpy().round(3)
    array([[ 1., -1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = shape_tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", empty(shape, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Any) -> Any:
        x = as_input(input, None if self.weight is None else self.weight.dtype)
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}"
        )


def shape_tuple(normalized_shape: Any) -> tuple[int, ...]:
    """One length, or several, as a tuple."""
    return tuple(np.atleast_1d(normalized_shape).tolist())
