"""Points on lines and grids: arange, linspace, logspace, geomspace, meshgrid, indices, vander."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..array import GradArray, has_values, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from ..standard import check_device
from .arithmetic import sign
from .create import made
from .exponential import power
from .layout import broadcast_arrays, moveaxis
from .shape import astype, expand_dims, reshape

__all__ = [
    "arange",
    "geomspace",
    "indices",
    "linspace",
    "logspace",
    "meshgrid",
    "vander",
]


def _on_graph(*values: Any) -> bool:
    return any(
        isinstance(v, GradArray) and (v._node is not None or not has_values(v)) for v in values
    )


def _values(*values: Any) -> list[Any]:
    return [v._data if isinstance(v, GradArray) else v for v in values]


@public(
    numpy=np.arange,
    differentiable=False,
    cases=[case(4), case(1, 7, 2), case(0.5, 2.0, 0.25), case(3, dtype="float32")],
)
def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> GradArray:
    """y_k = start + k step, up to but without `stop`; arange(stop) begins at 0.

    >>> import gradarray as ga
    >>> ga.arange(1, 7, 2)
    GradArray([1, 3, 5], dtype=int64)
    """
    if _on_graph(start, stop, step):
        raise TypeError(
            message(
                "arange",
                "how many values there are cannot be differentiated.",
                "Use ga.linspace, or start + step * ga.arange(n).",
            )
        )
    return made(np.arange(*_values(start, stop, step), dtype=dtype), requires_grad, device)


def _weights(num: Any, endpoint: bool, op: str) -> np.ndarray:
    """The weight of the second end at each of `num` points."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(message(op, f"num is {num}; give 0 or more."))
    return np.arange(num) / max(num - 1 if endpoint else num, 1)


def _ends(start: Any, stop: Any, op: str, least: Any = 1.0) -> tuple[Any, Any]:
    """Both ends with a first axis of length 1, in one floating dtype."""
    a, b = broadcast_arrays(lift(start, op), lift(stop, op))
    dtype = np.result_type(a.dtype, b.dtype, least)
    return expand_dims(astype(a, dtype), 0), expand_dims(astype(b, dtype), 0)


def _columns(t: np.ndarray, like: Any) -> np.ndarray:
    return t.reshape(-1, *(1,) * (like.ndim - 1)).astype(like.dtype)


def _finished(y: Any, dtype: Any, axis: int) -> Any:
    y = y if axis == 0 else moveaxis(y, 0, axis)
    return y if dtype is None else astype(y, dtype)


_ENDS = [case(arr(), arr(), 5), case(arr(2), arr(), num=4, endpoint=False), case(1, 3, 3)]


@public(
    numpy=np.linspace,
    cases=[
        *_ENDS,
        case(arr(2), arr(2), 3, axis=-1),
        case(0.0, 1.0, 1),
        case(arr(2), arr(), 3, retstep=True),
    ],
)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    r"""y_k = (1 - t_k) start + t_k stop, t_k = k / (num - 1); differentiable in both ends.

    Without `endpoint` t_k = k / num. With `retstep` the result is (y, step).

    >>> import gradarray as ga
    >>> ga.linspace(0.0, 1.0, 5)
    GradArray([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float64)
    """
    check_device(device, "linspace")
    t = _weights(num, endpoint, "linspace")
    if not _on_graph(start, stop):
        start, stop = _values(start, stop)
        y, step = np.linspace(
            start, stop, num, endpoint=endpoint, retstep=True, dtype=dtype, axis=axis
        )
        y, step = made(y, requires_grad), made(np.asarray(step))
    else:
        a, b = _ends(start, stop, "linspace")
        weights = _columns(t, a)
        y = _finished(a * (1 - weights) + b * weights, dtype, axis)
        step = (stop - start) / (len(t) - bool(endpoint)) if retstep else None
    return (y, step) if retstep else y


@public(
    numpy=np.logspace,
    cases=[*_ENDS, case(arr(), arr(), 3, base=2.0), case(arr(2), arr(2), 3, axis=1)],
)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
    *,
    requires_grad: bool = False,
) -> GradArray:
    """y_k = base^x_k for evenly spaced x from `start` to `stop`; differentiable in all three.

    >>> import gradarray as ga
    >>> ga.logspace(0.0, 2.0, 3)
    GradArray([  1.,  10., 100.], dtype=float64)
    """
    if not _on_graph(start, stop, base):
        start, stop, base = _values(start, stop, base)
        y = np.logspace(start, stop, num, endpoint, base, dtype, axis)
        return made(y, requires_grad)
    return _finished(power(base, linspace(start, stop, num, endpoint)), dtype, axis)


_POSITIVE = arr(low=0.5, high=3.0)


@public(
    numpy=np.geomspace,
    cases=[
        case(_POSITIVE, _POSITIVE, 4),
        case(arr(2, low=-3.0, high=-0.5), arr(2, low=-2.0, high=-1.0), 3, endpoint=False),
        case(1, 1000, 4),
    ],
)
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
    *,
    requires_grad: bool = False,
) -> GradArray:
    r"""y_k = start^{1 - t_k} stop^{t_k}: evenly spaced in their logarithm, of one sign.

    Differentiable in both ends. Raises ValueError where an end is 0.

    >>> import gradarray as ga
    >>> ga.geomspace(1.0, 100.0, 3)
    GradArray([  1.,  10., 100.], dtype=float64)
    """
    t = _weights(num, endpoint, "geomspace")
    if has_values(start) and has_values(stop):
        ends = [np.asarray(v) for v in _values(start, stop)]
        if any((v == 0).any() for v in ends):
            raise ValueError(message("geomspace", "an end is 0, which no ratio leads to."))
    if not _on_graph(start, stop):
        y = np.geomspace(ends[0], ends[1], num, endpoint, dtype, axis)
        return made(y, requires_grad)
    a, b = _ends(start, stop, "geomspace", np.float64)  # which np.geomspace promotes to
    t = _columns(t, a)
    side = sign(a)
    return _finished(side * (power(side * a, 1 - t) * power(side * b, t)), dtype, axis)


# Grids --------------------------------------------------------------------------------------------


@public(
    numpy=np.meshgrid,
    cases=[
        case(arr(2), arr(3)),
        case(arr(2), arr(3), arr(2), indexing="ij"),
        case(arr(2), arr(3), sparse=True),
        case(arr(3)),
    ],
)
def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> tuple[GradArray, ...]:
    """The coordinates of all points of a grid, one array for each of the vectors xi.

    With indexing "ij" axis k belongs to vector k; with "xy" the first two are exchanged. With
    `sparse` each array keeps length 1 along the axes it does not depend on.

    >>> import gradarray as ga
    >>> x, y = ga.meshgrid([1.0, 2.0], [3.0, 4.0])
    >>> y
    GradArray([[3., 3.],
               [4., 4.]], dtype=float64)
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(message("meshgrid", f"indexing {indexing!r}; it is 'xy' or 'ij'."))
    out = []
    for k, x in enumerate(xi):
        x = lift(x, "meshgrid")
        if x.ndim > 1:
            raise ShapeError(
                message("meshgrid", f"argument {k} is no vector; its shape is {x.shape}.")
            )
        at = 1 - k if indexing == "xy" and k < 2 <= len(xi) else k
        out.append(reshape(x, tuple([-1 if n == at else 1 for n in range(len(xi))])))
    return tuple(out) if sparse or not out else broadcast_arrays(*out)


@public(
    numpy=np.indices,
    differentiable=False,
    cases=[case((2, 3)), case((2,), dtype=float), case((2, 3), sparse=True)],
)
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The indices of all places of a grid, one array for each axis, stacked (a tuple if `sparse`).

    >>> import gradarray as ga
    >>> ga.indices((2, 2))[1]
    GradArray([[0, 1],
               [0, 1]], dtype=int64)
    """
    found = np.indices(tuple(dimensions), dtype, sparse)
    return tuple([made(x) for x in found]) if isinstance(found, tuple) else made(found)


@public(
    numpy=np.vander,
    cases=[case(arr(3)), case(arr(3), 2), case(arr(2), 4, increasing=True)],
)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> GradArray:
    r"""y_{ij} = x_i^{N - 1 - j}, or x_i^j if `increasing`: the Vandermonde matrix.

    >>> import gradarray as ga
    >>> ga.vander([1.0, 2.0, 3.0], increasing=True)
    GradArray([[1., 1., 1.],
               [1., 2., 4.],
               [1., 3., 9.]], dtype=float64)
    """
    x = lift(x, "vander")
    if x.ndim != 1:
        raise ShapeError(message("vander", f"takes a vector, not shape {x.shape}."))
    exponents = np.arange(x.shape[0] if N is None else N)
    return power(expand_dims(x, 1), exponents if increasing else exponents[::-1])
