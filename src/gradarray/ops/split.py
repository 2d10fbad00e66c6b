"""An array taken apart along an axis: split and its kin. (The op is in `join`.)"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .join import SplitGrad

__all__ = [
    "array_split",
    "dsplit",
    "hsplit",
    "split",
    "vsplit",
]


def _split(x: Any, sections: Any, axis: int, op: str, equal: bool) -> tuple[Any, ...]:
    x = lift(x, op)
    axis = one_axis(axis, x.ndim, op)
    n = x.shape[axis]
    try:
        count = operator.index(sections)
    except TypeError:
        # Where to cut; read as Python reads the ends of slices.
        ends = [operator.index(s) for s in sections]
        ranges = [slice(a, b).indices(n)[:2] for a, b in itertools.pairwise([0, *ends, n])]
        cuts = (0, *(max(a, b) for a, b in ranges))
        if [(a, max(a, b)) for a, b in ranges] == list(itertools.pairwise(cuts)):
            return apply(SplitGrad, x, axis=axis, cuts=cuts)
        # Ends that go back, or beyond the axis: parts that overlap or leave gaps.
        parts = [apply(SplitGrad, x, axis=axis, cuts=(0, a, max(a, b), n)) for a, b in ranges]
        return tuple(p[1] for p in parts)
    if count <= 0:
        raise ValueError(message(op, f"{count} sections; give 1 or more."))
    if equal and n % count:
        raise ShapeError(
            message(
                op,
                f"axis {axis + x.ndim} of shape {x.shape} has length {n}, which {count} equal "
                "sections do not divide.",
                "Use array_split, or give the places to cut at as a list.",
            )
        )
    each, extra = divmod(n, count)
    cuts = tuple([each * k + min(k, extra) for k in range(count + 1)])
    return apply(SplitGrad, x, axis=axis, cuts=cuts)


@public(
    numpy=np.split,
    op=SplitGrad,
    cases=[
        case(arr(4, 3), 2),
        case(arr(2, 6), 3, axis=1),
        case(arr(5), [1, 3]),
        case(arr(2, 5), [2], axis=-1),
    ],
)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[GradArray, ...]:
    """Parts of x along `axis`: equal sections (a number), or cut before the given indices.

    Raises ShapeError where the length is not a multiple of the number of sections.

    >>> import gradarray as ga
    >>> ga.split([1.0, 2.0, 3.0, 4.0], 2)[1]
    GradArray([3., 4.], dtype=float64)
    """
    return _split(x, indices_or_sections, axis, "split", True)


@public(numpy=np.array_split, cases=[case(arr(5, 2), 3), case(arr(7), 4), case(arr(2), 3)])
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[GradArray, ...]:
    """Parts of x along `axis`, as `split`; sections may differ by 1, the longer ones first.

    >>> import gradarray as ga
    >>> [len(part) for part in ga.array_split([1.0, 2.0, 3.0, 4.0, 5.0], 3)]
    [2, 2, 1]
    """
    return _split(x, indices_or_sections, axis, "array_split", False)


def _split_along(x: Any, sections: Any, axis: int, least: int, op: str) -> tuple[GradArray, ...]:
    x = lift(x, op)
    if x.ndim < least:
        raise ShapeError(
            message(op, f"needs an array of at least {least} axes, not of shape {x.shape}.")
        )
    return _split(x, sections, min(axis, x.ndim - 1), op, True)


@public(numpy=np.vsplit, cases=[case(arr(4, 2), 2)])
def vsplit(x: Any, indices_or_sections: Any) -> tuple[GradArray, ...]:
    """Parts of x along the first axis.

    >>> import gradarray as ga
    >>> ga.vsplit([[1.0, 2.0], [3.0, 4.0]], 2)[0]
    GradArray([[1., 2.]], dtype=float64)
    """
    return _split_along(x, indices_or_sections, 0, 2, "vsplit")


@public(numpy=np.hsplit, cases=[case(arr(2, 4), 2), case(arr(4), [1])])
def hsplit(x: Any, indices_or_sections: Any) -> tuple[GradArray, ...]:
    """Parts of x along the second axis, of a vector along its only one.

    >>> import gradarray as ga
    >>> ga.hsplit([[1.0, 2.0], [3.0, 4.0]], 2)[0]
    GradArray([[1.],
               [3.]], dtype=float64)
    """
    return _split_along(x, indices_or_sections, 1, 1, "hsplit")


@public(numpy=np.dsplit, cases=[case(arr(1, 2, 4), 2)])
def dsplit(x: Any, indices_or_sections: Any) -> tuple[GradArray, ...]:
    """Parts of x along the third axis.

    >>> import gradarray as ga
    >>> ga.dsplit([[[1.0, 2.0]]], 2)[1]
    GradArray([[[2.]]], dtype=float64)
    """
    return _split_along(x, indices_or_sections, 2, 3, "dsplit")
