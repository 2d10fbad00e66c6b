"""Values taken by index, and added by index: take, take_along_axis, gather, scatter_add, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .indexing import setitem
from .join import stack
from .layout import broadcast_arrays, ravel
from .scatter import gather_at, integer_index, scatter
from .shape import astype, broadcast_to, reshape

__all__ = [
    "bincount",
    "choose",
    "gather",
    "put_along_axis",
    "scatter_add",
    "take",
    "take_along_axis",
]


class WithinGrad(Elementwise):
    """An index brought into 0 .. length - 1, by clipping or by wrapping around; no derivative."""

    partials = (None,)

    @staticmethod
    def forward(x: Any, length: int, mode: str) -> Any:
        return np.clip(x, 0, length - 1) if mode == "clip" else np.remainder(x, length)


def _within(index: Any, length: int, mode: str, op: str) -> Any:
    if mode == "raise":
        return index
    if mode not in ("clip", "wrap"):
        raise ValueError(message(op, f"mode {mode!r}; known are 'raise', 'wrap' and 'clip'."))
    return apply(WithinGrad, index, length=length, mode=mode)


def _gathered(
    x: Any, indices: tuple[Any, ...], first: int, axis: int, op: str, mend: str = ""
) -> GradArray:
    """The values at the indices; an index outside is told as the user's function sees it."""
    try:
        return gather_at(x, indices, first)
    except IndexError:
        n = x.shape[axis]
        index = np.asarray(getattr(indices[axis - first], "_array", indices[axis - first]))
        outside = int(index[(index < -n) | (index >= n)].flat[0])
        what = f"index {outside} is out of bounds for axis {axis % x.ndim} of shape {x.shape}."
        raise IndexError(message(op, what, mend)) from None


@public(
    numpy=np.take,
    method=True,
    cases=[
        case(arr(4, 3), np.array([0, 2, 2, -1]), axis=0),
        case(arr(2, 3, 2), np.array([[0, 1], [2, 0]]), axis=1),
        case(arr(2, 3), np.array([5, 0, 0])),
        case(arr(2, 3), 1, axis=-1),
        case(arr(3), [4, -5, 1], mode="wrap"),
        case(arr(3), [4, -5, 1], mode="clip"),
    ],
)
def take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> GradArray:
    r"""y_{..i..} = x_{..J_i..}: x at the indices along `axis` (None: of x flattened).

    Indices outside raise IndexError, or are wrapped around or clipped, by `mode`.

    >>> import gradarray as ga
    >>> ga.take([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [2, 0], axis=1)
    GradArray([[3., 1.],
               [6., 4.]], dtype=float64)
    """
    x = lift(x, "take")
    if axis is None:
        x, axis = ravel(x), -1
    axis = one_axis(axis, x.ndim, "take")
    index = _within(integer_index(indices, "take"), x.shape[axis], mode, "take")
    return _gathered(x, (index,), axis, axis, "take", "mode='wrap' or 'clip' brings it inside.")


def _mesh(x: Any, index: Any, axis: int, op: str) -> tuple[Any, ...]:
    """Index arrays for every axis of x: `index` along `axis`, where each other axis is itself."""
    index = integer_index(index, op)
    if index.ndim != x.ndim:
        raise ShapeError(
            message(
                op,
                f"the index has {index.ndim} axes, shape {index.shape}, and the array {x.ndim}, "
                f"shape {x.shape}.",
                "They need equally many; ga.take takes an index of any shape.",
            )
        )
    out = []
    for k in range(-x.ndim, 0):
        if k != axis and index.shape[k] not in (1, x.shape[k]):
            raise ShapeError(
                message(
                    op,
                    f"along axis {k + x.ndim} the index, shape {index.shape}, has length "
                    f"{index.shape[k]} and the array, shape {x.shape}, has {x.shape[k]}.",
                    f"Only axis {axis + x.ndim} may differ.",
                )
            )
        out.append(index if k == axis else _along(x.shape[k], k))
    return tuple(out)


def _along(length: int, axis: int) -> np.ndarray:
    return np.arange(length).reshape(-1, *(1,) * (-axis - 1))


@public(
    numpy=np.take_along_axis,
    cases=[
        case(arr(2, 3), np.array([[0, 0], [2, 1]]), axis=1),
        case(arr(2, 3), np.array([[1, 0, 1]]), axis=0),
        case(arr(2, 2), np.array([3, 0, 3]), axis=None),
        case(arr(2, 3, 2), np.array([[[1], [0], [1]]]), axis=-1),
    ],
)
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> GradArray:
    r"""y_{..i..} = x_{..J_{..i..}..}: an index for each place, along `axis`.

    The index has as many axes as x, of equal lengths (or 1) but for `axis`. What argsort and
    argmax give fits. Raises ShapeError, IndexError.

    >>> import gradarray as ga
    >>> ga.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1)
    GradArray([[2.],
               [3.]], dtype=float64)
    """
    x = lift(x, "take_along_axis")
    if axis is None:
        x, axis = ravel(x), -1
    axis = one_axis(axis, x.ndim, "take_along_axis")
    mesh = _mesh(x, indices, axis, "take_along_axis")
    return _gathered(x, mesh, -x.ndim, axis, "take_along_axis")


@public(
    reference=lambda x, index, axis: np.take_along_axis(x, index, axis),
    cases=[case(arr(2, 3), np.array([[0, 0], [2, 1]]), 1), case(arr(3), np.array([2, 2, 0]), 0)],
)
def gather(x: Any, index: Any, axis: int) -> GradArray:
    r"""y_{..i..} = x_{..J_{..i..}..} along `axis`: another name of `take_along_axis`.

    Its transpose is `scatter_add`.

    >>> import gradarray as ga
    >>> ga.gather([[1.0, 2.0], [3.0, 4.0]], [[0, 0], [1, 0]], axis=1)
    GradArray([[1., 1.],
               [4., 3.]], dtype=float64)
    """
    return take_along_axis(x, index, axis)


def _scatter_add_values(x: Any, index: Any, values: Any, axis: int) -> Any:
    y = np.array(x)
    place = [_along(n, k) for k, n in enumerate(y.shape, -y.ndim)]
    place[axis] = index
    np.add.at(y, tuple(place), values)
    return y


@public(
    reference=_scatter_add_values,
    cases=[
        case(arr(2, 3), np.array([[0, 0], [2, 1]]), arr(2, 2), 1),
        case(arr(3, 2), np.array([[1, 1], [-3, 2], [1, 0], [1, 1]]), arr(4, 2), 0),
        case(arr(3), np.array([2, 2, 0]), arr(), 0),
    ],
)
def scatter_add(x: Any, index: Any, values: Any, axis: int) -> GradArray:
    r"""y = x, with values added: y_{..J_{..i..}..} += v_{..i..} along `axis`; repeats add up.

    The index has as many axes as x, of equal lengths (or 1) but for `axis`; the values broadcast
    to it. The transpose of `gather` in the values. Raises ShapeError, IndexError.

    >>> import gradarray as ga
    >>> ga.scatter_add(ga.zeros(3), [0, 2, 0], [1.0, 2.0, 3.0], axis=0)
    GradArray([4., 0., 2.], dtype=float64)
    """
    x, values = lift(x, "scatter_add"), lift(values, "scatter_add")
    axis = one_axis(axis, x.ndim, "scatter_add")
    mesh = _mesh(x, index, axis, "scatter_add")
    shape = np.broadcast_shapes(*(index.shape for index in mesh))
    if values.shape != shape:
        values = broadcast_to(values, shape)
    return x + scatter(values, mesh, -x.ndim, x.shape)


@public(numpy=np.put_along_axis, differentiable=False)
def put_along_axis(x: GradArray, indices: Any, values: Any, axis: int | None) -> None:
    r"""x_{..J_{..i..}..} = v_{..i..} along `axis`, as `x[...] = v` sets: in place, differentiated.

    Where an index repeats, the last value stays. Raises as assignment does.

    >>> import gradarray as ga
    >>> x = ga.zeros((2, 3))
    >>> ga.put_along_axis(x, [[1], [2]], 5.0, axis=1)
    >>> x
    GradArray([[0., 5., 0.],
               [0., 0., 5.]], dtype=float64)
    """
    if not isinstance(x, GradArray):
        raise TypeError(message("put_along_axis", "only a GradArray can be assigned to."))
    if axis is None:
        flat = reshape(x, -1)
        setitem(flat, (integer_index(indices, "put_along_axis"),), values)
        x._assign("put_along_axis", reshape(flat, x.shape))
    else:
        axis = one_axis(axis, x.ndim, "put_along_axis")
        setitem(x, _mesh(x, indices, axis, "put_along_axis"), values)


@public(
    numpy=np.bincount,
    cases=[
        case([0, 2, 2, 1], arr(4)),
        case([1, 1], minlength=4),
        case([3, 0, 3], arr(3), minlength=2),
    ],
)
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> GradArray:
    r"""y_n = \sum_{i: x_i = n} w_i, or how often n is in x; differentiable in the weights.

    >>> import gradarray as ga
    >>> ga.bincount([0, 2, 2], weights=[1.0, 2.0, 3.0])
    GradArray([1., 0., 5.], dtype=float64)
    """
    x = lift(x, "bincount")
    if x.ndim != 1:
        raise ShapeError(message("bincount", f"takes a vector of integers, not shape {x.shape}."))
    values = np.asarray(integer_index(x, "bincount"))
    if values.size and values.min() < 0:
        raise ValueError(message("bincount", f"counts numbers from 0 on, not {values.min()}."))
    count = max(int(values.max()) + 1 if values.size else 0, minlength)
    if weights is None:
        weights = np.ones(values.size, np.intp)
    else:
        weights = astype(lift(weights, "bincount"), np.float64)
        if weights.shape != x.shape:
            raise ShapeError(
                message("bincount", f"weights of shape {weights.shape} for {x.shape} numbers.")
            )
    return scatter(weights, (x,), -1, (count,))


@public(
    numpy=np.choose,
    method=True,
    reference=lambda a, choices, **mode: np.choose(a, choices, **mode),
    cases=[
        case([0, 1, 1], [arr(3), arr(3)]),
        case([[2], [0]], [arr(3), arr(), arr(2, 1)]),
        case([3, -1], [arr(2), arr(2)], mode="wrap"),
        case([3, -1], [arr(2), arr(2)], mode="clip"),
    ],
)
def choose(a: Any, choices: Any, mode: str = "raise") -> GradArray:
    r"""y_i = (choices_{a_i})_i, all broadcast to one shape. Raises IndexError outside, by `mode`.

    >>> import gradarray as ga
    >>> ga.choose([1, 0], [ga.array([1.0, 2.0]), ga.array([3.0, 4.0])])
    GradArray([3., 2.], dtype=float64)
    """
    a, *xs = broadcast_arrays(integer_index(a, "choose"), *choices)
    index = _within(a, len(xs), mode, "choose")
    y = take_along_axis(stack(xs), reshape(index, (1, *index.shape)), 0)
    return reshape(y, y.shape[1:])
