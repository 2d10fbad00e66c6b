"""Values moved and repeated: flip, roll, rot90, tile, repeat."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import all_axes, one_axis
from .indexing import IndexGrad
from .keys import ALL
from .layout import ravel
from .scatter import gather_at
from .shape import broadcast_to, reshape, transpose

__all__ = [
    "flip",
    "fliplr",
    "flipud",
    "repeat",
    "roll",
    "rot90",
    "tile",
]


# Turning ------------------------------------------------------------------------------------------


@public(
    numpy=np.flip, cases=[case(arr(2, 3)), case(arr(2, 3), 1), case(arr(2, 3, 2), axis=(0, -1))]
)
def flip(x: Any, axis: Any = None) -> GradArray:
    """y = x with the order along `axis` (all axes by default) reversed.

    >>> import gradarray as ga
    >>> ga.flip([1.0, 2.0, 3.0])
    GradArray([3., 2., 1.], dtype=float64)
    """
    x = lift(x, "flip")
    axes = all_axes(axis, x.ndim, "flip")
    back = slice(None, None, -1)
    return apply(IndexGrad, x, index=tuple([back if k in axes else ALL for k in range(-x.ndim, 0)]))


def _flip_matrix(x: Any, axis: int, op: str) -> GradArray:
    x = lift(x, op)
    if x.ndim <= axis:
        raise ShapeError(message(op, f"shape {x.shape} has no axis {axis}."))
    return flip(x, axis)


@public(numpy=np.fliplr, cases=[case(arr(2, 3))])
def fliplr(x: Any) -> GradArray:
    """y = x with the order along axis 1 reversed.

    >>> import gradarray as ga
    >>> ga.fliplr([[1.0, 2.0]])
    GradArray([[2., 1.]], dtype=float64)
    """
    return _flip_matrix(x, 1, "fliplr")


@public(numpy=np.flipud, cases=[case(arr(3, 2)), case(arr(3))])
def flipud(x: Any) -> GradArray:
    """y = x with the order along axis 0 reversed.

    >>> import gradarray as ga
    >>> ga.flipud([1.0, 2.0])
    GradArray([2., 1.], dtype=float64)
    """
    return _flip_matrix(x, 0, "flipud")


class RollGrad(Linear):
    """y = x shifted cyclically along axes; the transpose shifts back."""

    forward = staticmethod(lambda x, shift, axis: np.roll(x, shift, axis))
    transpose = staticmethod(
        lambda y_bar, shift, axis: apply(
            RollGrad, y_bar, shift=tuple([-n for n in shift]), axis=axis
        )
    )
    tex = r"\operatorname{roll}({x})"


@public(
    numpy=np.roll,
    op=RollGrad,
    cases=[
        case(arr(5), 2),
        case(arr(2, 3), 1),
        case(arr(2, 3), -1, axis=1),
        case(arr(2, 3), (1, 2), axis=(0, 1)),
    ],
)
def roll(x: Any, shift: Any, axis: Any = None) -> GradArray:
    r"""y_i = x_{i - shift}, cyclically, along `axis` (None: of x flattened, then put back).

    >>> import gradarray as ga
    >>> ga.roll([1.0, 2.0, 3.0], 1)
    GradArray([3., 1., 2.], dtype=float64)
    """
    x = lift(x, "roll")
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    if len(axes) != len(shifts) and 1 not in (len(axes), len(shifts)):
        raise ValueError(
            message("roll", f"{len(shifts)} shifts for {len(axes)} axes.", "Give one for each.")
        )
    count = max(len(axes), len(shifts))
    axes = tuple([one_axis(k, x.ndim, "roll") for k in axes]) * (count // len(axes))
    shifts = tuple([operator.index(n) for n in shifts]) * (count // len(shifts))
    return apply(RollGrad, x, shift=shifts, axis=axes)


@public(
    numpy=np.rot90,
    cases=[case(arr(2, 3)), case(arr(2, 3), 2), case(arr(2, 3), -1), case(arr(2, 3, 2), 1, (1, 2))],
)
def rot90(x: Any, k: int = 1, axes: Any = (0, 1)) -> GradArray:
    """y = x turned by k quarters in the plane of two axes, from the first toward the second.

    >>> import gradarray as ga
    >>> ga.rot90([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[2., 4.],
               [1., 3.]], dtype=float64)
    """
    x = lift(x, "rot90")
    a, b = (one_axis(n, x.ndim, "rot90") for n in axes)
    if a == b:
        raise ValueError(message("rot90", f"axes {tuple(axes)} name one axis twice."))
    k = operator.index(k) % 4
    if k % 2:
        order = list(range(-x.ndim, 0))
        order[a], order[b] = b, a
        turned = flip(x, b) if k == 1 else x
        y = transpose(turned, order)
        return y if k == 1 else flip(y, b)
    return flip(x, (a, b)) if k else x


# Repeating ----------------------------------------------------------------------------------------


@public(
    numpy=np.tile,
    cases=[case(arr(2, 3), 2), case(arr(3), (2, 2)), case(arr(2, 1, 2), (2, 3)), case(arr(), 3)],
)
def tile(x: Any, reps: Any) -> GradArray:
    """y = x laid side by side `reps` times along each axis.

    >>> import gradarray as ga
    >>> ga.tile([1.0, 2.0], 2)
    GradArray([1., 2., 1., 2.], dtype=float64)
    """
    x = lift(x, "tile")
    counts = [operator.index(n) for n in (reps if isinstance(reps, (tuple, list)) else (reps,))]
    ndim = max(x.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    lengths = [1] * (ndim - x.ndim) + list(x.shape)
    pairs = list(zip(counts, lengths, strict=True))
    y = reshape(x, tuple([m for _, n in pairs for m in (1, n)]))
    y = broadcast_to(y, tuple([m for c, n in pairs for m in (c, n)]))
    return reshape(y, tuple([c * n for c, n in pairs]))


@public(
    numpy=np.repeat,
    method=True,
    cases=[
        case(arr(2, 3), 2),
        case(arr(2, 3), 2, axis=1),
        case(arr(3, 2), [2, 0, 1], axis=0),
        case(arr(2, 3), [2], axis=-1),
    ],
)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> GradArray:
    """y = each value along `axis` (None: of x flattened) repeated, all alike or each as it says.

    >>> import gradarray as ga
    >>> ga.repeat([1.0, 2.0], [1, 3])
    GradArray([1., 2., 2., 2.], dtype=float64)
    """
    x = lift(x, "repeat")
    if axis is None:
        x, axis = ravel(x), -1
    at = one_axis(axis, x.ndim, "repeat") + x.ndim
    counts = np.asarray(repeats)
    n = x.shape[at]
    if counts.size == 1:
        count = operator.index(counts.item())
        before, after = x.shape[:at], x.shape[at + 1 :]
        y = reshape(x, (*before, n, 1, *after))
        return reshape(broadcast_to(y, (*before, n, count, *after)), (*before, n * count, *after))
    if counts.shape != (n,):
        raise ShapeError(
            message(
                "repeat",
                f"repeats of shape {counts.shape} for axis {at} of shape {x.shape}, of length "
                f"{n}.",
                "Give one number, or one for each place along the axis.",
            )
        )
    return gather_at(x, (np.repeat(np.arange(n), counts),), at - x.ndim)
