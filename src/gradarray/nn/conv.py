"""Convolutions: Conv1d, Conv2d, Conv3d and their transposes."""

from __future__ import annotations

import math
from typing import Any

from ..errors import ShapeError, message
from ..ops import conv as ops
from ..ops.frame import pad
from ..ops.spatial import per_axis
from . import init
from .layer import as_input, empty
from .module import Module
from .parameter import Parameter

_PAD_MODES = {"zeros": None, "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class _Conv(Module):
    """What convolutions share; weight (out_channels, in_channels / groups, *kernel_size)."""

    function: Any
    n: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if padding_mode not in _PAD_MODES:
            raise ValueError(
                f"{type(self).__name__}: padding_mode is one of {', '.join(_PAD_MODES)}; "
                f"not {padding_mode!r}"
            )
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f'padding is a number, "same" or "valid"; not {padding!r}')
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError('padding="same" needs stride=1')
            self.padding: Any = padding
        else:
            self.padding = per_axis(padding, self.n, type(self).__name__, "padding", 0)
        kernel = (out_channels, in_channels // groups, *self.kernel_size)
        self._make(kernel, out_channels, bias, dtype)

    def _set(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, dilation: Any,
        groups: int,
    ) -> None:  # fmt: skip
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: groups={groups} must divide in_channels={in_channels} "
                f"and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.n, type(self).__name__, "kernel_size", 1)
        self.stride = per_axis(stride, self.n, type(self).__name__, "stride", 1)
        self.dilation = per_axis(dilation, self.n, type(self).__name__, "dilation", 1)

    def _make(self, kernel: tuple[int, ...], channels: int, bias: bool, dtype: Any) -> None:
        self.weight = empty(kernel, dtype)
        self.bias: Parameter | None
        self.register_parameter("bias", empty((channels,), dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Draw weight and bias anew: uniform in [-k, k], k = 1 / \sqrt{fan_in}."""
        fan_in = math.prod(self.weight.shape[1:])
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def _input(self, input: Any) -> Any:
        input = as_input(input, self.weight.dtype)
        channels = -1 - self.n
        if input.ndim not in (self.n + 1, self.n + 2) or input.shape[channels] != self.in_channels:
            axes = ", ".join(("L", "HW", "DHW")[self.n - 1])
            raise ShapeError(
                message(
                    "input",
                    f"shape {input.shape}; the layer takes (N, C, {axes}) or (C, {axes}) with "
                    f"C={self.in_channels} channels.",
                    "Move the channels in front of the spatial axes, or change in_channels.",
                )
            )
        return input

    def forward(self, input: Any) -> Any:
        x, padding = self._input(input), self.padding
        mode = _PAD_MODES[self.padding_mode]
        if mode is not None and padding != "valid":
            x = pad(x, [(0, 0)] * (x.ndim - self.n) + self._widths(), mode=mode)
            padding = 0
        return type(self).function(
            x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _widths(self) -> list[tuple[int, int]]:
        """How many values to add before and after along each spatial axis."""
        if self.padding != "same":
            return [(p, p) for p in self.padding]
        both = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
        return [(b // 2, b - b // 2) for b in both]

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        zeros, ones = (0,) * self.n, (1,) * self.n
        shown = {"padding": zeros, "dilation": ones, "output_padding": zeros, "groups": 1}
        for name, default in shown.items():
            value = self.__dict__.get(name, default)
            if value != default:
                text += f", {name}={value}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    r"""y_{not} = b_o + \sum_{ck} w_{ock} x_{n, c, s t + d k - p}: stride s, dilation d, padding p.

    x: (N, in_channels, L) or (in_channels, L), weight: (out_channels, in_channels / groups, K),
    y: (N, out_channels, (L + 2 p - d (K - 1) - 1) // s + 1). padding: a number, "same" or "valid";
    padding_mode: zeros, reflect, replicate or circular. Weight and bias start uniform in [-k, k],
    k = 1/\sqrt{K in_channels / groups}.

    >>> import gradarray as ga
    >>> ga.nn.Conv1d(2, 4, kernel_size=3, padding=1)(ga.zeros((8, 2, 10))).shape
    (8, 4, 10)
    """

    function, n = ops.conv1d, 1


class Conv2d(_Conv):
    r"""`Conv1d` over two axes: x (N, in_channels, H, W) or without N; numbers may be pairs.

    >>> import gradarray as ga
    >>> ga.nn.Conv2d(1, 8, kernel_size=3, stride=2)(ga.zeros((5, 1, 28, 28))).shape
    (5, 8, 13, 13)
    """

    function, n = ops.conv2d, 2


class Conv3d(_Conv):
    r"""`Conv1d` over three axes: x (N, in_channels, D, H, W) or without N; numbers may be triples.

    >>> import gradarray as ga
    >>> ga.nn.Conv3d(1, 2, kernel_size=2)(ga.zeros((1, 1, 4, 5, 6))).shape
    (1, 2, 3, 4, 5)
    """

    function, n = ops.conv3d, 3


class _ConvTranspose(_Conv):
    """What transposed convolutions share; weight (in_channels, out_channels / groups, *kernel)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        dtype: Any = None,
    ) -> None:
        Module.__init__(self)
        if padding_mode != "zeros":
            raise ValueError(f'{type(self).__name__} pads with "zeros" only')
        self.padding_mode = padding_mode
        self._set(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = per_axis(padding, self.n, type(self).__name__, "padding", 0)
        name = type(self).__name__
        self.output_padding = per_axis(output_padding, self.n, name, "output_padding", 0)
        kernel = (in_channels, out_channels // groups, *self.kernel_size)
        self._make(kernel, out_channels, bias, dtype)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        x = self._input(input)
        extra = self.output_padding if output_size is None else self._extra(x, output_size)
        return type(self).function(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, x: Any, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives this size."""
        wanted = tuple(output_size)[-self.n :]
        least = [
            (m - 1) * s - 2 * p + d * (k - 1) + 1
            for m, s, p, d, k in zip(
                x.shape[-self.n :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        if len(wanted) != self.n or any(
            not low <= size < low + s for low, size, s in zip(least, wanted, self.stride)
        ):
            raise ShapeError(
                message(
                    "output_size",
                    f"{tuple(output_size)} cannot be reached: along each axis it is from "
                    f"{tuple(least)}, by less than the stride {self.stride} more.",
                )
            )
        return tuple(size - low for low, size in zip(least, wanted))


class ConvTranspose1d(_ConvTranspose):
    r"""`Conv1d` transposed, which takes its shapes back: y_{noi} = b_o + \sum w_{cok} x_{nct}.

    The sum is over c and all t, k with s t + d k - p = i. x: (N, in_channels, L), weight:
    (in_channels, out_channels / groups, K), y: (N, out_channels, (L - 1) s - 2 p + d (K - 1) +
    output_padding + 1). `forward(x, output_size)` picks the output padding.

    >>> import gradarray as ga
    >>> ga.nn.ConvTranspose1d(4, 2, kernel_size=2, stride=2)(ga.zeros((8, 4, 5))).shape
    (8, 2, 10)
    """

    function, n = ops.conv_transpose1d, 1


class ConvTranspose2d(_ConvTranspose):
    """`ConvTranspose1d` over two axes: x (N, in_channels, H, W) or without N.

    >>> import gradarray as ga
    >>> ga.nn.ConvTranspose2d(4, 2, kernel_size=2, stride=2)(ga.zeros((8, 4, 5, 6))).shape
    (8, 2, 10, 12)
    """

    function, n = ops.conv_transpose2d, 2


class ConvTranspose3d(_ConvTranspose):
    """`ConvTranspose1d` over three axes: x (N, in_channels, D, H, W) or without N.

    >>> import gradarray as ga
    >>> ga.nn.ConvTranspose3d(2, 1, kernel_size=2)(ga.zeros((1, 2, 3, 4, 5))).shape
    (1, 1, 4, 5, 6)
    """

    function, n = ops.conv_transpose3d, 3
