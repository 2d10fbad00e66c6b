"""Arrays joined along an axis: concatenate (its transpose is split), stack and unstack.

Each of the two pairs is one op with many operands and one with many results, and each op is the
other's transpose, so that n parts cost in proportion to their size, in a sweep too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .layout import atleast_1d, atleast_2d, atleast_3d
from .shape import astype, expand_dims, reshape, transpose

__all__ = [
    "block",
    "column_stack",
    "concat",
    "concatenate",
    "dstack",
    "hstack",
    "stack",
    "unstack",
    "vstack",
]


def _between(x: Any, start: int, stop: int, axis: int) -> Any:
    return x[(Ellipsis, slice(start, stop), *(slice(None),) * (-axis - 1))]


class ConcatenateGrad(Linear):
    """y = the operands one after the other along `axis`. Transpose: split."""

    variadic = True

    @staticmethod
    def forward(*xs: Any, axis: int) -> Any:
        return np.concatenate(xs, axis)

    transpose = staticmethod(
        lambda y_bar, likes, axis: apply(
            SplitGrad, y_bar, axis=axis, cuts=_cuts([like.shape[axis] for like in likes])
        )
    )
    tex = r"({x}, \ldots)"


class SplitGrad(Linear):
    """Parts of x along `axis`, between each two neighbours in `cuts`. Transpose: concatenate."""

    always_meta = True
    keeps_y_form = True

    @staticmethod
    def forward(x: Any, axis: int, cuts: tuple[int, ...]) -> Any:
        return tuple([_between(x, a, b, axis) for a, b in itertools.pairwise(cuts)])

    transpose = staticmethod(lambda y_bar, axis: apply(ConcatenateGrad, *y_bar, axis=axis))
    tex = r"\operatorname{split}({x})"


class StackGrad(Linear):
    """y = the operands along a new axis. Transpose: unstack."""

    variadic = True

    @staticmethod
    def forward(*xs: Any, axis: int) -> Any:
        return np.stack(xs, axis)

    transpose = staticmethod(lambda y_bar, axis: apply(UnstackGrad, y_bar, axis=axis))
    tex = r"({x}, \ldots)"


class UnstackGrad(Linear):
    """The parts of x along `axis`, without that axis. Transpose: stack."""

    always_meta = True
    keeps_y_form = True

    @staticmethod
    def forward(x: Any, axis: int) -> Any:
        return tuple(x if axis == -x.ndim else np.moveaxis(x, axis, 0))

    transpose = staticmethod(lambda y_bar, axis: apply(StackGrad, *y_bar, axis=axis))
    tex = r"\operatorname{unstack}({x})"


def _cuts(lengths: Sequence[int]) -> tuple[int, ...]:
    return (0, *itertools.accumulate(lengths))


# Joining ------------------------------------------------------------------------------------------


def _parts(xs: Any, op: str) -> list[Any]:
    """The operands of a join; an array stands for its parts along the first axis."""
    if not isinstance(xs, (list, tuple)):
        xs = unstack(xs) if isinstance(xs, (GradArray, np.ndarray)) else list(xs)
    if not xs:
        raise ValueError(message(op, "no arrays were given."))
    return [x if isinstance(x, GradArray) else lift(x, op) for x in xs]


@public(
    numpy=np.concatenate,
    op=ConcatenateGrad,
    aliases=("concat",),
    cases=[
        case([arr(2, 3), arr(2, 1), arr(2, 2)], axis=1),
        case((arr(2), arr(3))),
        case([arr(2, 1, 2), arr(1, 1, 2)], axis=-3),
        case([arr(2, 2), arr(3)], axis=None),
    ],
)
def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> GradArray:
    r"""y = (x_1, x_2, \ldots), one after the other along `axis` (None: all of them flattened).

    Raises ShapeError where the other axes differ, naming the axis and both lengths.

    >>> import gradarray as ga
    >>> ga.concatenate([[1.0, 2.0], [3.0]])
    GradArray([1., 2., 3.], dtype=float64)
    """
    xs = _parts(arrays, "concatenate")
    if axis is None:
        xs, axis = [reshape(x, -1) for x in xs], 0
    if not xs[0].ndim:
        raise ShapeError(
            message("concatenate", "0-d arrays have no axis to join along.", "Use ga.stack.")
        )
    axis = one_axis(axis, xs[0].ndim, "concatenate")
    try:
        y = ConcatenateGrad.of(*xs, axis=axis)
    except ValueError as error:
        raise _mismatch(xs, axis) or error from None
    return y if dtype is None else astype(y, dtype)


concat = concatenate


def _mismatch(xs: list[Any], axis: int) -> ShapeError | None:
    first = xs[0].shape
    for n, x in enumerate(xs):
        shape = x.shape
        if shape == first:
            continue
        if len(shape) != len(first):
            return ShapeError(
                message(
                    "concatenate",
                    f"array 0 has {len(first)} axes, shape {first}, and array {n} has "
                    f"{len(shape)}, shape {shape}.",
                    "Give them equally many axes, with reshape or expand_dims.",
                )
            )
        for k in range(-len(first), 0):
            if k != axis and shape[k] != first[k]:
                return ShapeError(
                    message(
                        "concatenate",
                        f"along axis {k + len(first)} array 0, shape {first}, has length "
                        f"{first[k]} and array {n}, shape {shape}, has {shape[k]}.",
                        f"Only axis {axis + len(first)}, the joined one, may differ.",
                    )
                )
    return None


@public(
    numpy=np.stack,
    op=StackGrad,
    cases=[
        case([arr(2, 3), arr(2, 3)]),
        case([arr(2, 3), arr(2, 3), arr(2, 3)], axis=1),
        case((arr(3), arr(3)), axis=-1),
        case([arr(), arr()]),
    ],
)
def stack(arrays: Any, axis: int = 0, dtype: Any = None) -> GradArray:
    """y_{..n..} = x_n, along a new axis at `axis`. Raises ShapeError where shapes differ.

    >>> import gradarray as ga
    >>> ga.stack([ga.array([1.0, 2.0]), ga.array([3.0, 4.0])], axis=1)
    GradArray([[1., 3.],
               [2., 4.]], dtype=float64)
    """
    xs = _parts(arrays, "stack")
    first = xs[0].shape
    for n, x in enumerate(xs):
        if x.shape != first:
            raise ShapeError(
                message(
                    "stack",
                    f"array 0 has shape {first} and array {n} has shape {x.shape}.",
                    "They must be equal; ga.concatenate joins along an existing axis.",
                )
            )
    y = StackGrad.of(*xs, axis=one_axis(axis, xs[0].ndim + 1, "stack"))
    return y if dtype is None else astype(y, dtype)


@public(
    numpy=np.vstack,
    cases=[case([arr(3), arr(3)]), case([arr(2, 3), arr(1, 3)])],
)
def vstack(arrays: Any, dtype: Any = None) -> GradArray:
    """y = the arrays below one another; vectors are rows.

    >>> import gradarray as ga
    >>> ga.vstack([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    return concatenate([atleast_2d(x) for x in _parts(arrays, "vstack")], 0, dtype)


@public(numpy=np.hstack, cases=[case([arr(3), arr(2)]), case([arr(2, 3), arr(2, 1)])])
def hstack(arrays: Any, dtype: Any = None) -> GradArray:
    """y = the arrays side by side: along the second axis, vectors along their only one.

    >>> import gradarray as ga
    >>> ga.hstack([[1.0, 2.0], [3.0]])
    GradArray([1., 2., 3.], dtype=float64)
    """
    xs = [atleast_1d(x) for x in _parts(arrays, "hstack")]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1, dtype)


@public(numpy=np.dstack, cases=[case([arr(3), arr(3)]), case([arr(2, 3), arr(2, 3)])])
def dstack(arrays: Any) -> GradArray:
    """y = the arrays behind one another, along the third axis.

    >>> import gradarray as ga
    >>> ga.dstack([[1.0, 2.0], [3.0, 4.0]]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in _parts(arrays, "dstack")], 2)


@public(numpy=np.column_stack, cases=[case([arr(3), arr(3, 2)]), case([arr(3), arr(3)])])
def column_stack(arrays: Any) -> GradArray:
    """y = the arrays side by side; vectors are columns.

    >>> import gradarray as ga
    >>> ga.column_stack([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[1., 3.],
               [2., 4.]], dtype=float64)
    """
    xs = _parts(arrays, "column_stack")
    xs = [transpose(atleast_2d(x)) if x.ndim < 2 else x for x in xs]
    return concatenate(xs, 1)


@public(
    numpy=np.block,
    cases=[case([[arr(2, 2), arr(2, 1)], [arr(1, 2), arr(1, 1)]]), case([arr(2), arr(3)])],
)
def block(arrays: Any) -> GradArray:
    """y = an array put together from nested lists of blocks.

    The innermost lists are joined along the last axis, the next along the one before, and so on.

    >>> import gradarray as ga
    >>> a = ga.array([[1.0]])
    >>> ga.block([[a, a], [a, 2 * a]])
    GradArray([[1., 1.],
               [1., 2.]], dtype=float64)
    """
    depth = _depth(arrays)
    leaves = _leaves(arrays, depth, depth)
    ndim = max([depth, *(x.ndim for x in leaves)])
    rest = iter([_with_axes(x, ndim) for x in leaves])

    def joined(part: Any, level: int) -> Any:
        if not level:
            return next(rest)
        return concatenate([joined(p, level - 1) for p in part], -level)

    return joined(arrays, depth)


def _depth(part: Any) -> int:
    if not isinstance(part, list):
        return 0
    if not part:
        raise ValueError(message("block", "an empty list is no block."))
    return 1 + _depth(part[0])


def _leaves(part: Any, level: int, depth: int) -> list[Any]:
    if level and isinstance(part, list) and part:
        return [x for p in part for x in _leaves(p, level - 1, depth)]
    if level or isinstance(part, list):
        raise ValueError(
            message("block", f"all lists must be nested {depth} deep, as the first one is.")
        )
    return [lift(part, "block")]


def _with_axes(x: Any, ndim: int) -> Any:
    return x if x.ndim >= ndim else expand_dims(x, tuple(range(ndim - x.ndim)))


@public(
    numpy=getattr(np, "unstack", ()),  # from NumPy 2.1
    reference=lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)),
    op=UnstackGrad,
    cases=[case(arr(3, 2)), case(arr(2, 3, 2), axis=1), case(arr(3)), case(arr(2, 3), axis=-1)],
)
def unstack(x: Any, axis: int = 0) -> tuple[GradArray, ...]:
    """y_n = x_{..n..}: the parts of x along `axis`, without that axis; stack puts them together.

    >>> import gradarray as ga
    >>> a, b = ga.unstack([[1.0, 2.0], [3.0, 4.0]])
    >>> b
    GradArray([3., 4.], dtype=float64)
    """
    x = lift(x, "unstack")
    if not x.ndim:
        raise ShapeError(message("unstack", "a 0-d array has no axis to go along."))
    return apply(UnstackGrad, x, axis=one_axis(axis, x.ndim, "unstack"))
