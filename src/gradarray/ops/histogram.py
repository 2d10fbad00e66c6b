"""How many values lie where: histogram."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..array import GradArray, has_values, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .compare import where
from .control import stop_gradient
from .difference import diff
from .grids import linspace
from .layout import ravel
from .reduce import max, min, sum
from .scatter import scatter
from .shape import astype, broadcast_to
from .sort import searchsorted

__all__ = [
    "histogram",
]


@public(
    numpy=np.histogram,
    differentiable=False,
    cases=[
        case(arr(9)),
        case(arr(3, 4), 3, range=(-1.0, 1.5)),
        case(arr(6), [-2.0, -0.5, 0.0, 1.0]),
        case(arr(6), 4, weights=arr(6)),
        case(arr(6), 4, density=True),
        case(arr(8), "sturges"),
    ],
)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[GradArray, GradArray]:
    """(counts, edges): how many values of a lie in each of `bins` intervals of equal width.

    y_i is the number (or the sum of the weights) of values in [e_i, e_{i+1}), the last interval
    closed; with `density` divided by the total and the width. `bins` is their number, the edges,
    or a name of a rule (of `numpy.histogram_bin_edges`). **It has no derivative**: a count does
    not move with a value until it jumps, and nothing passes through it, nor through the edges and
    the weights. (Sums of weights that do pass: `bincount`; a count that moves:
    a sum of `sigmoid` steps.)

    >>> import gradarray as ga
    >>> ga.histogram([1.0, 2.0, 1.0, 4.0], bins=3)
    (GradArray([2, 1, 1], dtype=int64), GradArray([1., 2., 3., 4.], dtype=float64))
    """
    a = ravel(stop_gradient(lift(a, "histogram")))
    edges = stop_gradient(_edges(a, bins, range, weights))
    count = edges.shape[0] - 1
    inside = (a >= edges[0]) & (a <= edges[-1])
    at = searchsorted(edges, a, side="right") - 1
    at = where(inside, where(at >= count, count - 1, at), count)
    if weights is None:
        values: Any = broadcast_to(lift(np.intp(1)), a.shape)
    else:
        values = ravel(stop_gradient(lift(weights, "histogram")))
        if values.shape != a.shape:
            raise ShapeError(
                message("histogram", f"weights of shape {values.shape} for {a.shape} values.")
            )
    counts = scatter(values, (at,), -1, (count + 1,))[:-1]
    if density:
        counts = astype(counts, np.float64)
        counts = counts / diff(edges) / sum(counts)
    return counts, edges


def _edges(a: Any, bins: Any, between: Any, weights: Any) -> Any:
    if isinstance(bins, str):
        if weights is not None:
            raise TypeError(message("histogram", f"bins={bins!r} does not go with weights."))
        return lift(np.histogram_bin_edges(a.numpy(), bins, between))
    edges = lift(bins, "histogram")
    if edges.ndim == 1:
        if (np.diff(edges.numpy()) < 0).any():
            raise ValueError(message("histogram", "the edges do not ascend."))
        return edges
    if edges.ndim or edges.dtype.kind not in "iu" or operator.index(edges.item()) < 1:
        raise ValueError(message("histogram", f"bins={bins!r}: a number from 1 on, or edges."))
    dtype = np.result_type(a.dtype, *(between or ()))
    dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
    if between is not None:
        low, high = (lift(end) for end in between)
    elif a.shape[0]:
        low, high = min(a), max(a)
    else:
        low, high = lift(0.0), lift(1.0)
    if has_values(low) and has_values(high) and not np.isfinite([low.item(), high.item()]).all():
        raise ValueError(
            message("histogram", f"values from {low.item()} to {high.item()}.", "Give a range.")
        )
    none = low == high
    low, high = where(none, low - 0.5, low), where(none, high + 0.5, high)
    return astype(linspace(low, high, operator.index(edges.item()) + 1), dtype)
