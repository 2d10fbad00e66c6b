"""Average pooling: sums over windows, and their transpose; adaptive windows share out the plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Linear, given
from ..array import GradArray, lift
from ..record import apply
from ..registry import arr, case, public
from . import definitions
from .columns import Geometry, Sizes, padded
from .pool import adaptive_sizes, parts
from .shape import reshape
from .spatial import batched, per_axis, pooled

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
]


def _steps(axis: int, k: int, count: int, stride: int) -> tuple[Any, ...]:
    """The value that tap k of every window sees, along one negative axis."""
    return (Ellipsis, slice(k, k + (count - 1) * stride + 1, stride), *(slice(None),) * (-axis - 1))


class WindowSumGrad(Linear):
    """y[n, c, t] = the sum of the window t of x: one axis after the other."""

    name = "window_sum"
    transpose = staticmethod(
        lambda y_bar, x_like, kernel, at: apply(
            WindowSpreadGrad, y_bar, size=x_like.shape[2:], kernel=kernel, at=at
        )
    )
    tex = r"\sum_{window} {x}"

    @staticmethod
    def forward(x: Any, kernel: Sizes, out: Sizes, at: Geometry) -> np.ndarray:
        y = padded(x, kernel, out, at)
        for axis, k, count, s in zip(range(-len(out), 0), kernel, out, at.stride):
            total = y[_steps(axis, 0, count, s)].copy()
            for tap in range(1, k):
                total += y[_steps(axis, tap, count, s)]
            y = total
        return y


class WindowSpreadGrad(Linear):
    """y[n, c, i] = the sum of x over the windows that i lies in: the transposed window_sum."""

    name = "window_spread"
    transpose = staticmethod(
        lambda y_bar, x_like, kernel, at: apply(
            WindowSumGrad, y_bar, kernel=kernel, out=x_like.shape[2:], at=at
        )
    )
    tex = r"\sum_{window}^T {x}"

    @staticmethod
    def forward(x: Any, size: Sizes, kernel: Sizes, at: Geometry) -> np.ndarray:
        out = x.shape[2:]
        y = x
        reach = at.reach(kernel, out)
        for axis, k, count, s, length in zip(
            range(-1, -len(out) - 1, -1), kernel[::-1], out[::-1], at.stride[::-1], reach[::-1]
        ):
            shape = list(y.shape)
            shape[axis] = length
            wide = np.zeros(shape, x.dtype)
            for tap in range(k):
                if s < k:
                    wide[_steps(axis, tap, count, s)] += y
                else:  # windows apart: each place has one
                    wide[_steps(axis, tap, count, s)] = y
            y = wide
        if reach == size and not any(at.low):
            return y
        whole, part = at.inside(size, reach)
        cut = np.zeros((*x.shape[:2], *size), x.dtype)
        cut[(..., *part)] = y[(..., *whole)]
        return cut


Cuts = tuple[tuple[int, int], ...]


def _cut(axis: int, start: int, stop: int) -> tuple[Any, ...]:
    return (Ellipsis, slice(start, stop), *(slice(None),) * (-axis - 1))


class PartSumGrad(Linear):
    """y_t = the sum of x from start_t to stop_t along `axis`; parts may overlap."""

    name = "part_sum"
    transpose = staticmethod(
        lambda y_bar, x_like, axis, cuts: apply(
            PartSpreadGrad, y_bar, axis=axis, cuts=cuts, size=x_like.shape[axis]
        )
    )
    tex = r"\sum_{part} {x}"

    @staticmethod
    def forward(x: Any, axis: int, cuts: Cuts) -> np.ndarray:
        sums = [np.add.reduce(x[_cut(axis, *cut)], axis, keepdims=True) for cut in cuts]
        return np.concatenate(sums, axis)


class PartSpreadGrad(Linear):
    """y_i = the sum of the x_t whose part holds i: the transposed part_sum."""

    name = "part_spread"
    transpose = staticmethod(
        lambda y_bar, axis, cuts: apply(PartSumGrad, y_bar, axis=axis, cuts=cuts)
    )
    tex = r"\sum_{part}^T {x}"

    @staticmethod
    def forward(x: Any, axis: int, cuts: Cuts, size: int) -> np.ndarray:
        shape = list(x.shape)
        shape[axis] = size
        y = np.zeros(shape, x.dtype)
        for t, cut in enumerate(cuts):
            y[_cut(axis, *cut)] += x[_cut(axis, t, t + 1)]
        return y


def _counts(out: Sizes, kernel: Sizes, length: Sizes, at: Geometry, with_padding: bool) -> Any:
    """How many values each window holds: a number if that is the same for all, else an array."""
    counts: Any = 1
    for axis, (t, k, m, s, p) in enumerate(zip(out, kernel, length, at.stride, at.low)):
        start = np.arange(t) * s - p
        first, last = (-p, m + p) if with_padding else (0, m)
        held = np.minimum(start + k, last) - np.maximum(start, first)
        counts = counts * held.reshape(-1, *(1,) * (len(out) - axis - 1))
    return int(counts.flat[0]) if (counts == counts.flat[0]).all() else counts


def _floating(x: Any) -> Any:
    return given.astype(x, np.float64) if x.dtype.kind in "biu" else x


def _avg_pool(
    n: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: Any = None,
) -> GradArray:
    op = f"avg_pool{n}d"
    x, alone = batched(_floating(lift(x, op)), n, op)
    kernel = per_axis(kernel_size, n, op, "kernel_size", 1)
    stride = kernel if stride is None else per_axis(stride, n, op, "stride", 1)
    low = per_axis(padding, n, op, "padding", 0)
    once = (1,) * n
    out = pooled(x.shape[2:], kernel, stride, low, once, ceil_mode, op)
    at = Geometry(stride, once, low)
    y = apply(WindowSumGrad, x, kernel=kernel, out=out, at=at)
    count = divisor_override or _counts(out, kernel, x.shape[2:], at, count_include_pad)
    y = y / (count.astype(x.dtype) if isinstance(count, np.ndarray) else count)
    return reshape(y, y.shape[1:]) if alone else y


def _adaptive(n: int, x: Any, output_size: Any) -> GradArray:
    op = f"adaptive_avg_pool{n}d"
    x, alone = batched(_floating(lift(x, op)), n, op)
    out = adaptive_sizes(x, output_size, n, op)
    length = x.shape[2:]
    if all(m and m % o == 0 for m, o in zip(length, out)):
        kernel = tuple(m // o for m, o in zip(length, out))
        at = Geometry(kernel, (1,) * n, (0,) * n)
        y = apply(WindowSumGrad, x, kernel=kernel, out=out, at=at) / math.prod(kernel)
    else:
        y = x
        for axis, m, o in zip(range(-n, 0), length, out):
            cuts = tuple(parts((t,), (m,), (o,))[0] for t in range(o))
            held = np.array([stop - start for start, stop in cuts], x.dtype)
            y = apply(PartSumGrad, y, axis=axis, cuts=cuts)
            y = y / held.reshape(-1, *(1,) * (-axis - 1))
    return reshape(y, y.shape[1:]) if alone else y


# The public functions -----------------------------------------------------------------------------


@public(
    op=WindowSumGrad,
    reference=definitions.avg_pool(1),
    cases=[
        case(arr(2, 3, 6), 2),
        case(arr(2, 7), 3, stride=2, padding=1),
        case(arr(1, 2, 6), 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        case(arr(1, 2, 6), 4, stride=3, padding=1, ceil_mode=True),
    ],
)
def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> GradArray:
    r"""y_{nct} = the mean of x_{nc, ts + k - p} over windows of `kernel_size` values.

    x (N, C, L) or (C, L). `stride` is the kernel's size by default. Padding counts as zeros (not at
    all without `count_include_pad`); with `ceil_mode` a last window may reach over the end, where
    nothing counts. Raises ShapeError for a kernel larger than the padded input, ValueError for
    padding of more than half of it.

    >>> import gradarray as ga
    >>> ga.avg_pool1d([[1.0, 3.0, 2.0, 0.0]], 2)
    GradArray([[2., 1.]], dtype=float64)
    """
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad)


@public(
    op=WindowSumGrad,
    reference=definitions.avg_pool(2),
    cases=[
        case(arr(2, 2, 4, 4), 2),
        case(arr(2, 5, 6), (3, 2), stride=(1, 2), padding=1, count_include_pad=False),
        case(arr(1, 1, 5, 5), 2, stride=3, ceil_mode=True),
        case(arr(1, 1, 3, 4), 2, divisor_override=3),
    ],
)
def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> GradArray:
    r"""y_{ncij} = the mean of x_{nc, is + u - p, js + v - p}, as `avg_pool1d` over two axes.

    x (N, C, H, W) or (C, H, W); numbers or one per axis. `divisor_override` divides the sums
    instead of the count.

    >>> import gradarray as ga
    >>> ga.avg_pool2d([[[1.0, 3.0], [5.0, 3.0]]], 2)
    GradArray([[[3.]]], dtype=float64)
    """
    return _avg_pool(
        2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@public(
    op=WindowSumGrad,
    reference=definitions.avg_pool(3),
    cases=[case(arr(1, 2, 3, 4, 2), 2, stride=1, padding=1)],
)
def avg_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> GradArray:
    r"""y_{nct} = the mean of x_{nc, ts + k - p}, as `avg_pool2d` over three axes.

    x (N, C, D, H, W) or (C, D, H, W); numbers or one per axis.

    >>> import gradarray as ga
    >>> ga.avg_pool3d([[[[1.0, 3.0], [5.0, 3.0]]]], (1, 2, 2))
    GradArray([[[[3.]]]], dtype=float64)
    """
    return _avg_pool(
        3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@public(
    reference=definitions.adaptive_avg_pool(1),
    cases=[case(arr(2, 3, 7), 3), case(arr(3, 6), 2)],
)
def adaptive_avg_pool1d(x: Any, output_size: Any) -> GradArray:
    r"""y_{nct} = the mean of x_{nc} from \lfloor tL/o \rfloor to \lceil (t+1)L/o \rceil.

    x (N, C, L) or (C, L), o = `output_size` windows, of any o.

    >>> import gradarray as ga
    >>> ga.adaptive_avg_pool1d([[1.0, 3.0, 2.0]], 2)
    GradArray([[2. , 2.5]], dtype=float64)
    """
    return _adaptive(1, x, output_size)


@public(
    reference=definitions.adaptive_avg_pool(2),
    cases=[case(arr(1, 2, 5, 4), (3, 2)), case(arr(2, 3, 4), (None, 2)), case(arr(1, 4, 2), 2)],
)
def adaptive_avg_pool2d(x: Any, output_size: Any) -> GradArray:
    """y_{ncij} = the mean of a window, as `adaptive_avg_pool1d` along both axes.

    x (N, C, H, W) or (C, H, W); `output_size` a number or two, None for the input's own.

    >>> import gradarray as ga
    >>> ga.adaptive_avg_pool2d([[[1.0, 3.0], [5.0, 3.0]]], 1)
    GradArray([[[3.]]], dtype=float64)
    """
    return _adaptive(2, x, output_size)


@public(
    reference=definitions.adaptive_avg_pool(3),
    cases=[case(arr(1, 1, 3, 2, 4), (2, 1, 2))],
)
def adaptive_avg_pool3d(x: Any, output_size: Any) -> GradArray:
    """y_{nct} = the mean of a window, as `adaptive_avg_pool1d` along three axes.

    x (N, C, D, H, W) or (C, D, H, W); `output_size` a number or three, None for the input's own.

    >>> import gradarray as ga
    >>> ga.adaptive_avg_pool3d([[[[1.0, 3.0], [5.0, 3.0]]]], 1)
    GradArray([[[[3.]]]], dtype=float64)
    """
    return _adaptive(3, x, output_size)
