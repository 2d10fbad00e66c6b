"""Convolution on raw arrays: windows laid out as columns, one matrix product a block.

Three products of three arrays, each the transpose of the others, share one geometry. Along each
spatial axis output t and kernel tap k meet at input position t stride + k dilation - low:

    correlate          y[n, o, t] = sum x[n, c, t s + k d - l] w[o, c, k]
    correlate_back     x[n, c, i] = the sum of y[n, o, t] w[o, c, k] over i = t s + k d - l
    correlate_weight   w[o, c, k] = sum x[n, c, t s + k d - l] y[n, o, t]

Channels fall into `groups`: x (N, C, ..), w (O, C / groups, ..), y (N, O, ..). The columns of a
block of samples (or of output rows, where one sample is large) fit into a core's own cache.

Source: K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for
document processing", IWFHR 2006, section 4; the geometry as in V. Dumoulin, F. Visin, "A guide to
convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

_BLOCK_BYTES = 1 << 21

Sizes = tuple[int, ...]


class Geometry(NamedTuple):
    """Stride, dilation and padding before the first value, one number per spatial axis."""

    stride: Sizes
    dilation: Sizes
    low: Sizes

    def reach(self, kernel: Sizes, out: Sizes) -> Sizes:
        """Padded lengths that `out` windows of `kernel` taps cover."""
        return tuple(
            (t - 1) * s + (k - 1) * d + 1
            for t, s, k, d in zip(out, self.stride, kernel, self.dilation)
        )

    def inside(self, length: Sizes, reach: Sizes) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where the values lie in the padded array, and which of them it holds."""
        stops = [max(min(r, n + p), p) for r, n, p in zip(reach, length, self.low)]
        padded = tuple(slice(p, stop) for p, stop in zip(self.low, stops))
        return padded, tuple(slice(0, stop - p) for p, stop in zip(self.low, stops))


def windows(x: np.ndarray, kernel: Sizes, out: Sizes, at: Geometry) -> np.ndarray:
    """A view (N, C, *kernel, *out) of an array that is padded already."""
    lead, spatial = x.strides[:2], x.strides[2:]
    taps = tuple(s * d for s, d in zip(spatial, at.dilation))
    steps = tuple(s * d for s, d in zip(spatial, at.stride))
    return as_strided(x, (*x.shape[:2], *kernel, *out), (*lead, *taps, *steps))


def padded(x: np.ndarray, kernel: Sizes, out: Sizes, at: Geometry, fill: Any = 0) -> np.ndarray:
    """x with what the windows cover beyond it; x itself where that is nothing."""
    reach = at.reach(kernel, out)
    if not any(at.low) and all(r <= n for r, n in zip(reach, x.shape[2:])):
        return x
    whole, part = at.inside(x.shape[2:], reach)
    y = np.full((*x.shape[:2], *reach), fill, x.dtype)
    y[(..., *whole)] = x[(..., *part)]
    return y


def _blocks(samples: int, rows: int, bytes_a_row: int) -> Iterator[tuple[slice, list[slice]]]:
    """Samples to take together, each time with the output rows to take together."""
    at_once = max(1, _BLOCK_BYTES // max(1, bytes_a_row))
    if at_once >= rows:
        step, pieces = max(1, at_once // max(1, rows)), [slice(0, rows)]
    else:
        step, pieces = 1, [slice(r, min(r + at_once, rows)) for r in range(0, rows, at_once)]
    for n in range(0, samples, step):
        yield slice(n, min(n + step, samples)), pieces


class _Columns:
    """Room for the columns of one block: (C, *kernel, samples, rows, *other output axes)."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.room = dtype, np.empty(0, dtype)

    def shaped(self, shape: Sizes) -> np.ndarray:
        size = math.prod(shape)
        if self.room.size < size:
            self.room = np.empty(size, self.dtype)
        return self.room[:size].reshape(shape)

    def of(self, view: np.ndarray) -> np.ndarray:
        """Copy a view (N, C, *kernel, *out) to columns."""
        n = view.ndim // 2
        order = (*range(1, n + 1), 0, *range(n + 1, view.ndim))
        turned = view.transpose(order)
        columns = self.shaped(turned.shape)
        columns[...] = turned
        return columns


def _turned(y: np.ndarray, groups: int) -> np.ndarray:
    """(N, O, *out) as (groups, O / groups, N * out)."""
    n, o = y.shape[:2]
    flat = y.reshape(n, o, math.prod(y.shape[2:]))
    return np.ascontiguousarray(flat.transpose(1, 0, 2)).reshape(groups, o // groups, -1)


def correlate(x: np.ndarray, w: np.ndarray, out: Sizes, groups: int, at: Geometry) -> np.ndarray:
    """y (N, O, *out) from x (N, C, ..) and w (O, C / groups, *kernel)."""
    kernel, inner = w.shape[2:], w[0].size
    y = np.zeros((x.shape[0], w.shape[0], *out), np.result_type(x, w))
    if not y.size or not inner:
        return y
    matrices = w.reshape(groups, -1, inner)
    columns = _Columns(x.dtype)
    row = inner * groups * math.prod(out[1:]) * x.itemsize
    for samples, pieces in _blocks(len(x), out[0], row):
        view = windows(padded(x[samples], kernel, out, at), kernel, out, at)
        for rows in pieces:
            taken = view[(..., rows, *[slice(None)] * (len(out) - 1))]
            block = columns.of(taken).reshape(groups, inner, -1)
            part = y[samples, :, rows]
            product = np.matmul(matrices, block)
            part[...] = product.reshape(y.shape[1], len(part), *part.shape[2:]).swapaxes(0, 1)
    return y


def correlate_back(
    y: np.ndarray, w: np.ndarray, size: Sizes, groups: int, at: Geometry
) -> np.ndarray:
    """x (N, C, *size) from y (N, O, *out) and w (O, C / groups, *kernel)."""
    kernel, inner, out = w.shape[2:], w[0].size if len(w) else 0, y.shape[2:]
    channels = w.shape[1] * groups
    x = np.zeros((y.shape[0], channels, *size), np.result_type(y, w))
    if not x.size or not y.size or not inner:
        return x
    matrices = np.ascontiguousarray(w.reshape(groups, -1, inner).swapaxes(1, 2))
    reach = at.reach(kernel, out)
    whole, part = at.inside(size, reach)
    row = inner * groups * math.prod(out[1:]) * x.itemsize
    for samples, pieces in _blocks(len(y), out[0], row):
        count = samples.stop - samples.start
        room = np.zeros((channels, count, *reach), x.dtype)
        view = windows(room, kernel, out, at)  # (C, N, *kernel, *out): where each tap adds
        for rows in pieces:
            taken = y[samples, :, rows]
            columns = np.matmul(matrices, _turned(taken, groups))
            columns = columns.reshape(channels, *kernel, count, *taken.shape[2:])
            for tap in np.ndindex(*kernel):
                view[(slice(None), slice(None), *tap, rows)] += columns[(slice(None), *tap)]
        x[(samples, slice(None), *part)] = room[(..., *whole)].swapaxes(0, 1)
    return x


def correlate_weight(
    x: np.ndarray, y: np.ndarray, kernel: Sizes, groups: int, at: Geometry
) -> np.ndarray:
    """w (O, C / groups, *kernel) from x (N, C, ..) and y (N, O, *out)."""
    out, inner = y.shape[2:], x.shape[1] // groups * math.prod(kernel)
    o = y.shape[1]
    w = np.zeros((groups, o // groups, inner), np.result_type(x, y))
    columns = _Columns(x.dtype)
    row = inner * groups * math.prod(out[1:]) * x.itemsize
    if w.size and y.size:
        for samples, pieces in _blocks(len(x), out[0], row):
            view = windows(padded(x[samples], kernel, out, at), kernel, out, at)
            for rows in pieces:
                taken = view[(..., rows, *[slice(None)] * (len(out) - 1))]
                block = columns.of(taken).reshape(groups, inner, -1)
                w += np.matmul(_turned(y[samples, :, rows], groups), block.swapaxes(1, 2))
    return w.reshape(o, x.shape[1] // groups, *kernel)
