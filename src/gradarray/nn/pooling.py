"""Pooling: the largest value or the mean of each window."""

from __future__ import annotations

from typing import Any

from ..ops import avgpool, pool
from .layer import as_input
from .module import Module


class _MaxPool(Module):
    function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Any) -> Any:
        return type(self).function(
            as_input(input, None),
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    r"""y_{nct} = \max_k x_{n, c, t s + k d - p} over the taps k of the window.

    x: (N, C, L) or (C, L), stride s (the kernel's size by default), dilation d, padding p (which
    counts for nothing). The derivative goes to the first of equal maxima. With return_indices also
    the places of the maxima.

    >>> import gradarray as ga
    >>> ga.nn.MaxPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    GradArray([[[3., 2.]]], dtype=float64)
    """

    function = pool.max_pool1d


class MaxPool2d(_MaxPool):
    """`MaxPool1d` over two axes, x: (N, C, H, W) or (C, H, W); numbers may be pairs.

    >>> import gradarray as ga
    >>> ga.nn.MaxPool2d(2)(ga.zeros((5, 8, 28, 28))).shape
    (5, 8, 14, 14)
    """

    function = pool.max_pool2d


class MaxPool3d(_MaxPool):
    """`MaxPool1d` over three axes, x: (N, C, D, H, W) or (C, D, H, W); numbers may be triples.

    >>> import gradarray as ga
    >>> ga.nn.MaxPool3d(2)(ga.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

    function = pool.max_pool3d


class _AvgPool(Module):
    function: Any
    divisor_override: int | None = None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        more = {} if self.divisor_override is None else {"divisor_override": self.divisor_override}
        return type(self).function(
            as_input(input, None),
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            **more,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    r"""y_{nct} = \frac1K \sum_k x_{n, c, t s + k - p} over the K taps of the window.

    x: (N, C, L) or (C, L), stride s (the kernel's size by default), padding p; with
    count_include_pad=False the divisor counts only the input's values.

    >>> import gradarray as ga
    >>> ga.nn.AvgPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    GradArray([[[2., 1.]]], dtype=float64)
    """

    function = avgpool.avg_pool1d


class _AvgPoolDivided(_AvgPool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override


class AvgPool2d(_AvgPoolDivided):
    """`AvgPool1d` over two axes, x: (N, C, H, W) or (C, H, W); `divisor_override` replaces K.

    >>> import gradarray as ga
    >>> ga.nn.AvgPool2d(2)(ga.ones((1, 1, 4, 4))).shape
    (1, 1, 2, 2)
    """

    function = avgpool.avg_pool2d


class AvgPool3d(_AvgPoolDivided):
    """`AvgPool1d` over three axes, x: (N, C, D, H, W) or (C, D, H, W).

    >>> import gradarray as ga
    >>> ga.nn.AvgPool3d(2)(ga.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 2, 2, 2)
    """

    function = avgpool.avg_pool3d


class _AdaptiveAvgPool(Module):
    function: Any

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        return type(self).function(as_input(input, None), self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of `output_size` windows of nearly equal length, whatever the input's.

    x: (N, C, L) or (C, L); window t of o covers floor(t L / o) to ceil((t + 1) L / o) - 1.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveAvgPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    GradArray([[[2., 1.]]], dtype=float64)
    """

    function = avgpool.adaptive_avg_pool1d


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`AdaptiveAvgPool1d` over two axes; None in `output_size` keeps the input's length.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveAvgPool2d(1)(ga.ones((2, 3, 7, 5))).shape
    (2, 3, 1, 1)
    """

    function = avgpool.adaptive_avg_pool2d


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`AdaptiveAvgPool1d` over three axes.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveAvgPool3d(1)(ga.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 1, 1, 1)
    """

    function = avgpool.adaptive_avg_pool3d


class _AdaptiveMaxPool(Module):
    function: Any

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Any) -> Any:
        return type(self).function(as_input(input, None), self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest value of each of `output_size` windows; see `AdaptiveAvgPool1d`.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveMaxPool1d(2)([[[1.0, 3.0, 2.0, 0.0]]])
    GradArray([[[3., 2.]]], dtype=float64)
    """

    function = pool.adaptive_max_pool1d


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`AdaptiveMaxPool1d` over two axes.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveMaxPool2d(1)(ga.ones((2, 3, 7, 5))).shape
    (2, 3, 1, 1)
    """

    function = pool.adaptive_max_pool2d


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`AdaptiveMaxPool1d` over three axes.

    >>> import gradarray as ga
    >>> ga.nn.AdaptiveMaxPool3d(1)(ga.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 1, 1, 1)
    """

    function = pool.adaptive_max_pool3d
