"""What is made of samples, by definition: lines between them, slopes, sums of shifted products."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np


def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    points = list(zip(np.ravel(xp).tolist(), np.ravel(fp).tolist(), strict=True))
    if period is not None:
        points = sorted((p - period * (p // period), f) for p, f in points)
        (first, f0), (last, f1) = points[0], points[-1]
        points = [(last - period, f1), *points, (first + period, f0)]

    def one(t: Any) -> Any:
        if period is not None:
            t = t - period * (t // period)
        if t < points[0][0]:
            return points[0][1] if left is None else left
        for (p, f), (q, g) in itertools.pairwise(points):
            if p <= t < q:
                return f + (t - p) * (g - f) / (q - p)
        return points[-1][1] if right is None or t == points[-1][0] else right

    x = np.asarray(x, object)
    out = np.empty(x.shape, object)
    for at in np.ndindex(*x.shape):
        out[at] = one(x[at])
    return out


def _gradient(f: Any, *places: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = np.asarray(f, object)
    axes = range(f.ndim) if axis is None else np.atleast_1d(axis).tolist()
    places = places or (1,)
    if len(places) == 1:
        places *= len(axes)
    found = tuple(_slopes(f, h, k, edge_order) for h, k in zip(places, axes, strict=True))
    return found[0] if len(found) == 1 else found


def _slopes(f: np.ndarray, h: Any, axis: int, edge_order: int) -> np.ndarray:
    """The derivative of Lagrange's polynomial through neighbours."""
    f = np.moveaxis(f, axis, 0)
    n = len(f)
    x = [h * k for k in range(n)] if np.ndim(h) == 0 else list(h)
    rows = []
    for k in range(n):
        if 0 < k < n - 1:
            near = [k - 1, k, k + 1]
        else:
            near = list(range(edge_order + 1)) if k == 0 else list(range(n - 1 - edge_order, n))
        rows.append(sum(f[i] * _weight(x, near, i, k) for i in near))
    return np.moveaxis(np.array(rows, object), 0, axis)


def _weight(x: list[Any], near: list[int], i: int, k: int) -> Any:
    """l_i'(x_k) of the Lagrange basis on `near`."""
    others = [j for j in near if j != i]
    total = 0
    for m in others:
        term = 1 / (x[i] - x[m])
        for j in others:
            if j != m:
                term = term * (x[k] - x[j]) / (x[i] - x[j])
        total = total + term
    return total


def _convolve(a: Any, v: Any, mode: str = "full") -> np.ndarray:
    return _shifted(a, list(v)[::-1], mode, (min(len(a), len(v)) - 1) // 2)


def _correlate(a: Any, v: Any, mode: str = "valid") -> np.ndarray:
    n, m = len(a), len(v)
    v = [np.conj(z) for z in v]
    return _shifted(a, v, mode, (m - 1) // 2 if n >= m else n // 2)


def _shifted(a: Any, v: list[Any], mode: str, first: int) -> np.ndarray:
    """sum_n a_{n+k} v_n for every k at which the two overlap, or some of them."""
    n, m = len(a), len(v)
    full = [
        sum(a[i + k] * v[i] for i in range(m) if 0 <= i + k < n) for k in range(1 - m, n)
    ]
    short, long = sorted((n, m))
    start, stop = {
        "full": (0, len(full)), "same": (first, first + long), "valid": (short - 1, long)
    }[mode]  # fmt: skip
    out = np.empty(stop - start, object)
    out[:] = full[start:stop]
    return out


SAMPLES: dict[str, Callable[..., Any]] = {
    "interp": _interp,
    "gradient": _gradient,
    "convolve": _convolve,
    "correlate": _correlate,
}
