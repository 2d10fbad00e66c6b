"""Convolution and pooling value by value, as their definitions read, in plain NumPy.

Slow and obvious: what the fast ones are compared with in tests. All windows are taken the same
way: output t sees the input at t stride + k dilation - padding, for every tap k of the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _tuple(value: Any, n: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def _window(t: tuple[int, ...], kernel: Any, stride: Any, dilation: Any) -> tuple[Any, ...]:
    """Where output t looks in the padded input."""
    return (
        ...,
        *(
            slice(i * s, i * s + (k - 1) * d + 1, d)
            for i, k, s, d in zip(t, kernel, stride, dilation)
        ),
    )


def conv(
    x: np.ndarray,
    weight: np.ndarray,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> np.ndarray:
    n, kernel = weight.ndim - 2, weight.shape[2:]
    stride, dilation = _tuple(stride, n), _tuple(dilation, n)
    if padding == "same":
        span = [d * (k - 1) for k, d in zip(kernel, dilation)]
        pads = [(m // 2, m - m // 2) for m in span]
    else:
        pads = [(p, p) for p in _tuple(0 if padding == "valid" else padding, n)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    size = [
        (m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(x.shape[2:], kernel, stride, dilation)
    ]
    y = np.zeros((len(x), len(weight), *size), np.result_type(x, weight))
    for o in range(len(weight)):
        g = o * groups // len(weight)
        part = x[:, g * weight.shape[1] : (g + 1) * weight.shape[1]]
        for t in np.ndindex(*size):
            seen = part[_window(t, kernel, stride, dilation)]
            y[(slice(None), o, *t)] = (seen * weight[o]).sum(tuple(range(1, n + 2)))
    return y if bias is None else y + bias.reshape(-1, *(1,) * n)


def conv_transpose(
    x: np.ndarray,
    weight: np.ndarray,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> np.ndarray:
    n, kernel = weight.ndim - 2, weight.shape[2:]
    stride, dilation, padding = _tuple(stride, n), _tuple(dilation, n), _tuple(padding, n)
    more = _tuple(output_padding, n)
    out = weight.shape[1]
    size = [
        (m - 1) * s + d * (k - 1) + 1 + e
        for m, k, s, d, e in zip(x.shape[2:], kernel, stride, dilation, more)
    ]
    y = np.zeros((len(x), out * groups, *size), np.result_type(x, weight))
    for c in range(x.shape[1]):
        g = c * groups // x.shape[1]
        part = y[:, g * out : (g + 1) * out]
        for t in np.ndindex(*x.shape[2:]):
            value = x[(slice(None), c, *t)].reshape(-1, *(1,) * (n + 1))
            part[_window(t, kernel, stride, dilation)] += value * weight[c]
    y = y[(..., *(slice(p, m - p) for p, m in zip(padding, size)))]
    return y if bias is None else y + bias.reshape(-1, *(1,) * n)
