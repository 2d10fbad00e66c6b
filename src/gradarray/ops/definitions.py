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


def _windows(
    x: np.ndarray, n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Any:
    """Each output of pooling with the places of its window along every axis, padding included."""
    kernel, dilation = _tuple(kernel, n), _tuple(dilation, n)
    stride, padding = _tuple(kernel if stride is None else stride, n), _tuple(padding, n)
    size = []
    for m, k, s, p, d in zip(x.shape[-n:], kernel, stride, padding, dilation):
        starts = range(-p, m + p, s)
        fits = [a for a in starts if a + d * (k - 1) < m + p]
        if ceil and (len(fits) - 1) * s + d * (k - 1) + 1 < m + 2 * p:
            after = -p + len(fits) * s
            fits += [after] if after < m else []
        size.append(len(fits))
    if 0 in size:
        raise ValueError("no window fits")
    for t in np.ndindex(*size):
        axes = [
            np.arange(i * s - p, i * s - p + d * (k - 1) + 1, d)
            for i, k, s, p, d in zip(t, kernel, stride, padding, dilation)
        ]
        yield t, size, axes


def _inside(axes: Any, shape: Any) -> Any:
    return np.ix_(*[a[(a >= 0) & (a < m)] for a, m in zip(axes, shape)])


def _largest(x: np.ndarray, n: int, cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each cell (index, size of the output, axes), and its place."""
    y = index = np.zeros(0)
    shape = x.shape[-n:]
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    for t, size, axes in cells:
        if not y.size:
            y = np.zeros((*x.shape[:-n], *size), x.dtype)
            index = np.zeros(y.shape, int)
        at = _inside(axes, shape)
        flat = x[(..., *at)].reshape(*x.shape[:-n], -1)
        best = flat.argmax(-1)
        y[(..., *t)] = np.take_along_axis(flat, best[..., None], -1)[..., 0]
        index[(..., *t)] = numbers[at].ravel()[best]
    return y, index


def max_pool(n: int) -> Any:
    def pool(
        x: np.ndarray,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        cells = _windows(x, n, kernel_size, stride, padding, dilation, ceil_mode)
        y, index = _largest(x, n, cells)
        return (y, index) if return_indices else y

    return pool


def avg_pool(n: int) -> Any:
    def pool(
        x: np.ndarray,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: Any = None,
    ) -> np.ndarray:
        y = np.zeros(0)
        shape, pads = x.shape[-n:], _tuple(padding, n)
        for t, size, axes in _windows(x, n, kernel_size, stride, padding, 1, ceil_mode):
            y = y if y.size else np.zeros((*x.shape[:-n], *size), x.dtype)
            taken = x[(..., *_inside(axes, shape))]
            count = int(np.prod(taken.shape[x.ndim - n :]))
            if count_include_pad:
                count = int(np.prod([(a < m + p).sum() for a, m, p in zip(axes, shape, pads)]))
            total = taken.sum(tuple(range(-n, 0)))
            y[(..., *t)] = total / (divisor_override or count)
        return y

    return pool


def _cells(x: np.ndarray, output_size: Any, n: int) -> Any:
    shape = x.shape[-n:]
    out = [m if o is None else o for o, m in zip(_tuple(output_size, n), shape)]
    if 0 in (*shape, *out):
        raise ValueError("nothing to share out")
    for t in np.ndindex(*out):
        ends = [
            (int(np.floor(i * m / o)), int(np.ceil((i + 1) * m / o)))
            for i, m, o in zip(t, shape, out)
        ]
        yield t, out, [np.arange(*end) for end in ends]


def adaptive_max_pool(n: int) -> Any:
    return lambda x, output_size: _largest(x, n, _cells(x, output_size, n))[0]


def adaptive_avg_pool(n: int) -> Any:
    def pool(x: np.ndarray, output_size: Any) -> np.ndarray:
        y = np.zeros(0)
        for t, out, axes in _cells(x, output_size, n):
            y = y if y.size else np.zeros((*x.shape[:-n], *out), x.dtype)
            y[(..., *t)] = x[(..., *np.ix_(*axes))].mean(tuple(range(-n, 0)))
        return y

    return pool
