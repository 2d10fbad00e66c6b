"""Windows as columns (unfold), and their sum back into place (fold)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .columns import Geometry, Sizes, padded, windows
from .shape import reshape
from .spatial import batched, per_axis

__all__ = [
    "fold",
    "unfold",
]


class UnfoldGrad(Linear):
    """y[n, c, k, t] = x[n, c, t s + k d - p], 0 outside. Transpose: fold."""

    transpose = staticmethod(
        lambda y_bar, x_like, kernel, at: apply(
            FoldGrad, y_bar, size=x_like.shape[2:], kernel=kernel, at=at
        )
    )
    tex = r"\operatorname{unfold} {x}"

    @staticmethod
    def forward(x: Any, kernel: Sizes, out: Sizes, at: Geometry) -> np.ndarray:
        return windows(padded(x, kernel, out, at), kernel, out, at).copy()


class FoldGrad(Linear):
    """y[n, c, i] = the sum of x[n, c, k, t] over t s + k d - p = i. Transpose: unfold."""

    transpose = staticmethod(
        lambda y_bar, x_like, kernel, at: apply(
            UnfoldGrad, y_bar, kernel=kernel, out=x_like.shape[2 + len(kernel) :], at=at
        )
    )
    tex = r"\operatorname{fold} {x}"

    @staticmethod
    def forward(x: Any, size: Sizes, kernel: Sizes, at: Geometry) -> np.ndarray:
        out = x.shape[2 + len(kernel) :]
        reach = at.reach(kernel, out)
        room = np.zeros((*x.shape[:2], *reach), x.dtype)
        view = windows(room, kernel, out, at)
        for tap in np.ndindex(*kernel):
            view[(slice(None), slice(None), *tap)] += x[(slice(None), slice(None), *tap)]
        whole, part = at.inside(size, reach)
        y = np.zeros((*x.shape[:2], *size), x.dtype)
        y[(..., *part)] = room[(..., *whole)]
        return y


def _geometry(
    size: Sizes, kernel_size: Any, dilation: Any, padding: Any, stride: Any, op: str
) -> tuple[Sizes, Sizes, Geometry]:
    kernel = per_axis(kernel_size, 2, op, "kernel_size", 1)
    at = Geometry(
        per_axis(stride, 2, op, "stride", 1),
        per_axis(dilation, 2, op, "dilation", 1),
        per_axis(padding, 2, op, "padding", 0),
    )
    out = tuple(
        (m + 2 * p - d * (k - 1) - 1) // s + 1
        for m, k, s, d, p in zip(size, kernel, at.stride, at.dilation, at.low)
    )
    if any(n < 1 for n in out):
        raise ShapeError(
            message(
                op,
                f"a kernel of {kernel} with dilation {at.dilation} is larger than the plane {size} "
                f"with padding {at.low}.",
                "Use a smaller kernel, or more padding.",
            )
        )
    return kernel, out, at


def _unfolded(
    x: np.ndarray, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> np.ndarray:
    """As the definition reads: one column for each place of the kernel."""
    (k, m), (d, e), (p, q), (s, r) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, dilation, padding, stride)
    )
    lead = x.shape[:-3]
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p), (q, q)])
    columns = [
        x[..., i : i + d * (k - 1) + 1 : d, j : j + e * (m - 1) + 1 : e].reshape(*lead, -1)
        for i in range(0, x.shape[-2] - d * (k - 1), s)
        for j in range(0, x.shape[-1] - e * (m - 1), r)
    ]
    return np.stack(columns, -1)


@public(
    op=UnfoldGrad,
    reference=_unfolded,
    cases=[case(arr(2, 2, 3, 4), 2), case(arr(1, 5, 4), (2, 3), (2, 1), (1, 0), (2, 1))],
)
def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> GradArray:
    """y[n, (c, u, v), (i, j)] = x[n, c, i s + u d - p, j s + v d - p], 0 outside x.

    x (N, C, H, W) or (C, H, W); y (N, C U V, I J), one column for each place of the kernel (U, V),
    numbers or one per axis. Raises ShapeError where the kernel does not fit in.

    >>> import gradarray as ga
    >>> ga.unfold([[[1.0, 2.0, 3.0]]], (1, 2))
    GradArray([[1., 2.],
               [2., 3.]], dtype=float64)
    """
    x, alone = batched(lift(x, "unfold"), 2, "unfold")
    kernel, out, at = _geometry(x.shape[2:], kernel_size, dilation, padding, stride, "unfold")
    y = apply(UnfoldGrad, x, kernel=kernel, out=out, at=at)
    shape = (x.shape[1] * math.prod(kernel), math.prod(out))
    return reshape(y, shape if alone else (x.shape[0], *shape))


def _folded(x: np.ndarray, output_size: Any, *window: Any) -> np.ndarray:
    """The transpose of `_unfolded`, by the image of every unit plane."""
    size = output_size if isinstance(output_size, tuple) else (output_size,) * 2
    units = np.eye(math.prod(size)).reshape(-1, 1, *size)
    images = _unfolded(units, *window)  # (H W, U V, I J)
    columns = x.reshape(*x.shape[:-2], x.shape[-2] // images.shape[1], -1)
    y = columns @ images.reshape(len(units), -1).T
    return y.reshape(*y.shape[:-1], *size)


@public(
    op=FoldGrad,
    reference=_folded,
    cases=[case(arr(2, 8, 6), (3, 4), 2), case(arr(6, 6), (5, 4), (2, 3), (2, 1), (1, 0), (2, 1))],
)
def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> GradArray:
    """y[n, c, h, w] = the sum of x[n, (c, u, v), (i, j)] over what `unfold` takes from h, w.

    The transpose of `unfold` (not its inverse: overlapping windows add up). x (N, C U V, I J) or
    (C U V, I J); y (N, C, H, W), `output_size` = (H, W). Raises ShapeError where x has not as many
    rows or columns.

    >>> import gradarray as ga
    >>> ga.fold([[1.0, 2.0], [2.0, 3.0]], (1, 3), (1, 2))
    GradArray([[[1., 4., 3.]]], dtype=float64)
    """
    x, alone = batched(lift(x, "fold"), 1, "fold")
    size = per_axis(output_size, 2, "fold", "output_size", 1)
    kernel, out, at = _geometry(size, kernel_size, dilation, padding, stride, "fold")
    taps, places = math.prod(kernel), math.prod(out)
    if x.shape[1] % taps or x.shape[2] != places:
        raise ShapeError(
            message(
                "fold",
                f"input of shape {x.shape[1:] if alone else x.shape}: a kernel of {kernel} takes "
                f"{taps} rows a channel, and has {places} places in {size}.",
                "The last two axes are (C U V, I J), as `unfold` gives them.",
            )
        )
    channels = x.shape[1] // taps
    y = reshape(x, (x.shape[0], channels, *kernel, *out))
    y = apply(FoldGrad, y, size=size, kernel=kernel, at=at)
    return reshape(y, y.shape[1:]) if alone else y
