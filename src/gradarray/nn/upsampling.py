"""Images and sequences in another size: interpolate, Upsample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..ops.take import take
from .module import Module

_AXES = {"linear": 1, "bilinear": 2, "trilinear": 3}


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> GradArray:
    r"""y at i is x at the place u = (i + 1/2) m / n - 1/2, m and n the old and the new length.

    input: (N, C, L), (N, C, H, W) or (N, C, D, H, W). `size` or `scale_factor` is a number, or one
    per axis after the channels. mode "nearest" takes x at floor(i m / n), "linear", "bilinear" and
    "trilinear" interpolate between the neighbours of u; with align_corners u = i (m - 1) / (n - 1),
    so that the ends lie on the ends. Raises ShapeError where mode and axes do not fit.

    >>> import gradarray as ga
    >>> ga.nn.functional.interpolate([[[1.0, 3.0]]], size=4, mode="linear")
    GradArray([[[1. , 1.5, 2.5, 3. ]]], dtype=float64)
    """
    op = "interpolate"
    x = lift(input, op)
    n = x.ndim - 2
    if mode not in ("nearest", *_AXES):
        known = ", ".join(map(repr, ("nearest", *_AXES)))
        raise ValueError(message(op, f"mode is {known}; not {mode!r}."))
    if n not in (1, 2, 3) or (mode in _AXES and n != _AXES[mode]):
        raise ShapeError(message(op, f"mode {mode!r} for an input of shape {x.shape}."))
    if align_corners is not None and mode == "nearest":
        raise ValueError(message(op, 'align_corners means nothing with mode="nearest".'))
    if (size is None) == (scale_factor is None):
        raise ValueError(message(op, "takes either size or scale_factor."))
    given = size if size is not None else scale_factor
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * n
    if len(values) != n or any(not v > 0 for v in values):
        raise ValueError(message(op, f"{given!r} is not {n} positive numbers, or one."))
    for k, value in enumerate(values):
        old, axis = x.shape[2 + k], k - n
        new = int(value) if size is not None else math.floor(old * value)
        step = old / new if size is not None else 1 / value
        x = _resized(x, axis, old, new, step, mode, bool(align_corners))
    return x


def _resized(
    x: Any, axis: int, old: int, new: int, step: float, mode: str, corners: bool
) -> Any:
    i = np.arange(new)
    if mode == "nearest":
        return take(x, np.minimum((i * step).astype(int), old - 1), axis=axis)
    if corners:
        place = i * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        place = np.clip((i + 0.5) * step - 0.5, 0, None)
    before = np.minimum(place.astype(int), old - 1)
    after = np.minimum(before + 1, old - 1)
    share = (place - before).astype(x.dtype).reshape(-1, *(1,) * (-axis - 1))
    left, right = take(x, before, axis=axis), take(x, after, axis=axis)
    return left + (right - left) * share


class Upsample(Module):
    """`interpolate` as a layer.

    >>> import gradarray as ga
    >>> ga.nn.Upsample(scale_factor=2)(ga.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, input: Any) -> Any:
        return interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        if self.scale_factor is None:
            return f"size={self.size}, mode={self.mode!r}"
        scale = self.scale_factor
        scale = tuple(map(float, scale)) if isinstance(scale, (tuple, list)) else float(scale)
        return f"scale_factor={scale}, mode={self.mode!r}"
