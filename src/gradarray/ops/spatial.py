"""Arguments of convolution and pooling: stride, padding and the like, one number per axis."""

from __future__ import annotations

import operator
from typing import Any

from ..errors import ShapeError, message
from .columns import Sizes
from .shape import reshape


def per_axis(value: Any, n: int, op: str, name: str, least: int) -> Sizes:
    """An integer, or one for each of n spatial axes, none below `least`."""
    try:
        if isinstance(value, (tuple, list)):
            sizes = tuple(operator.index(v) for v in value)
            sizes = sizes * n if len(sizes) == 1 else sizes
        else:
            sizes = (operator.index(value),) * n
    except TypeError:
        raise TypeError(message(op, f"{name}={value!r} is not an integer.")) from None
    if len(sizes) != n:
        raise ValueError(
            message(op, f"{name}={value!r} has {len(sizes)} numbers for {n} spatial axes.")
        )
    if any(v < least for v in sizes):
        raise ValueError(message(op, f"{name}={value!r} must be at least {least}."))
    return sizes


def paddings(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, op: str) -> Any:
    """(before, after) from an integer, one per axis, "valid" or "same"."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(
                message(
                    op,
                    f"padding='same' with stride {stride}: a strided output is smaller.",
                    "Use stride 1, or give the padding as numbers.",
                )
            )
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    if isinstance(padding, str):
        raise ValueError(message(op, f"padding={padding!r} is none of 'same', 'valid', numbers."))
    low = per_axis(padding, len(kernel), op, "padding", 0)
    return low, low


def batched(x: Any, n: int, op: str) -> tuple[Any, bool]:
    """x as (N, C, *spatial), and whether the batch axis was missing."""
    if x.ndim == n + 1:
        return reshape(x, (1, *x.shape)), True
    if x.ndim != n + 2:
        axes = {1: "N, C, L", 2: "N, C, H, W", 3: "N, C, D, H, W"}[n]
        raise ShapeError(
            message(op, f"input of shape {x.shape} has {x.ndim} axes, not the {n + 2} of ({axes}).")
        )
    return x, False


def pooled(
    length: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    op: str,
) -> Sizes:
    """How many windows there are; with `ceil_mode` the last may reach beyond the padded input."""
    for k, p, d in zip(kernel, padding, dilation):
        if 2 * p > d * (k - 1) + 1:
            raise ValueError(
                message(
                    op,
                    f"padding={padding} is more than half of the window ({kernel}, {dilation=}).",
                    "A window would hold nothing but padding.",
                )
            )
    sizes = []
    for m, k, s, p, d in zip(length, kernel, stride, padding, dilation):
        left = m + 2 * p - d * (k - 1) - 1
        size = (-(-left // s) if ceil_mode else left // s) + 1
        if ceil_mode and (size - 1) * s >= m + p:
            size -= 1  # this window would begin behind the input
        sizes.append(size)
    if any(n < 1 for n in sizes):
        raise ShapeError(
            message(
                op,
                f"a kernel of {kernel} with dilation {dilation} is larger than the input's spatial "
                f"shape {tuple(length)} with padding {padding}.",
                "Use a smaller kernel, or more padding.",
            )
        )
    return tuple(sizes)
