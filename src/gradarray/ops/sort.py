"""Order: sort, partition, topk, and places in a sorted array.

A sorted array is a gather by indices that are computed from the values and have no derivative:
dy_i/dx_j is 1 where j is the index of the i-th value.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift, method
from ..choices import choice
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .layout import ravel
from .take import take, take_along_axis

__all__ = [
    "argpartition",
    "argsort",
    "digitize",
    "lexsort",
    "partition",
    "searchsorted",
    "sort",
    "topk",
]

_DISTINCT = arr(3, 4, kind="distinct")


class ArgSortGrad(Custom):
    """The indices that sort x along `axis`; equal values keep their order."""

    @staticmethod
    def forward(x: Any, *, axis: int, descending: bool) -> Any:
        return _falling(x, axis) if descending else np.argsort(x, axis, kind="stable")


def _falling(x: Any, axis: int) -> Any:
    """The indices of descending values: turned round before and after, equals keep their order."""
    order = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return x.shape[axis] - 1 - order


class ArgPartitionGrad(Custom):
    """The indices that partition x along `axis`."""

    forward = staticmethod(lambda x, *, kth, axis: np.argpartition(x, kth, axis))


class TopKGrad(Custom):
    """The indices of the k largest (smallest) values along `axis`; of equals the first."""

    @staticmethod
    def forward(x: Any, *, k: int, axis: int, largest: bool) -> Any:
        order = _falling(x, axis) if largest else np.argsort(x, axis, kind="stable")
        return order[(Ellipsis, slice(k), *(slice(None),) * (-axis - 1))]


class LexSortGrad(Linear):
    """The indices that sort by the last of several keys, then by the one before, and so on."""

    variadic = True
    rules = (None,)

    @staticmethod
    def forward(*keys: Any, axis: int) -> Any:
        return np.lexsort(keys, axis)


class SearchSortedGrad(Custom):
    """The places at which values would be put into a sorted vector."""

    forward = staticmethod(lambda a, v, *, side: np.searchsorted(a, v, side))


class DigitizeGrad(Custom):
    """The numbers of the bins in which values lie."""

    forward = staticmethod(lambda x, bins, *, right: np.digitize(x, bins, right))


_first_of_equals = {
    name: choice(
        name, "equal values", 1.0,
        reason="each keeps its own place in the order, the first one the first",
    )
    for name in ("sort", "partition", "topk")
}  # fmt: skip


def ties(x: Any, axis: int | None) -> Any:
    """Where two values are equal, in the order of their size."""
    x = np.sort(x, axis)
    axis = 0 if axis is None else axis
    return np.equal(np.delete(x, 0, axis), np.delete(x, -1, axis)) if x.shape[axis] else x


def _flat(x: Any, axis: int | None, op: str) -> tuple[Any, int]:
    x = lift(x, op)
    if axis is None or (not x.ndim and op.startswith("arg") and axis in (0, -1)):
        return ravel(x), -1
    return x, one_axis(axis, x.ndim, op)


# Sorting ------------------------------------------------------------------------------------------


def _order(x: Any, axis: int | None = -1, descending: bool = False) -> Any:
    """The indices of a stable sort as NumPy finds them, for tests; of descending ones NaN first."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    x, axis = (np.ravel(x), -1) if axis is None else (x, axis)
    return np.lexsort((-x, ~np.isnan(x)), axis)


def _sorted(x: Any, axis: int | None = -1, descending: bool = False) -> Any:
    y = np.sort(x, axis)
    return np.flip(y, -1 if axis is None else axis) if descending else y


_ORDERS = [
    case(_DISTINCT),
    case(_DISTINCT, axis=0),
    case(_DISTINCT, axis=None),
    case(_DISTINCT, axis=0, descending=True),
]


@public(
    numpy=np.argsort,
    reference=_order,
    method=True,
    differentiable=False,
    cases=_ORDERS,
)
def argsort(
    x: Any,
    axis: int | None = -1,
    kind: Any = None,
    *,
    stable: Any = None,
    descending: bool = False,
) -> GradArray:
    """The indices that sort x along `axis` (None: x flattened); equal values keep their order.

    With `descending` the largest come first, before them NaN. `kind` and `stable` are accepted;
    the sort is always stable.

    >>> import gradarray as ga
    >>> ga.argsort([3.0, 1.0, 2.0])
    GradArray([1, 2, 0], dtype=int64)
    """
    x, axis = _flat(x, axis, "argsort")
    return apply(ArgSortGrad, x, axis=axis, descending=bool(descending))


@public(
    numpy=np.sort,
    reference=_sorted,
    cases=_ORDERS,
)
def sort(
    x: Any,
    axis: int | None = -1,
    kind: Any = None,
    *,
    stable: Any = None,
    descending: bool = False,
) -> GradArray:
    r"""y = the values of x in ascending order along `axis` (None: of x flattened), NaN last.

    With `descending` the other way round, NaN first. dy_i/dx_j = 1 where j is the place of the i-th
    value; equal values keep their order.

    >>> import gradarray as ga
    >>> ga.sort([3.0, 1.0, 2.0])
    GradArray([1., 2., 3.], dtype=float64)
    """
    x, axis = _flat(x, axis, "sort")
    _first_of_equals["sort"].met(x, lambda x: ties(x, axis))
    return take_along_axis(x, argsort(x, axis, descending=descending), axis)


@method("sort")
def sort_in_place(x: GradArray, axis: int = -1, kind: Any = None, *, stable: Any = None) -> None:
    """Sort along `axis`, in place: the handle is bound to the sorted array."""
    x._assign("sort", sort(x, axis))


@public(
    numpy=np.lexsort,
    differentiable=False,
    cases=[
        case((arr(4, low=0, high=2, kind="int"), arr(4, low=0, high=2, kind="int"))),
        case((arr(2, 4, kind="distinct"), arr(2, 4)), axis=0),
    ],
)
def lexsort(keys: Any, axis: int = -1) -> GradArray:
    """The indices that sort by the last key, ties by the one before, and so on.

    >>> import gradarray as ga
    >>> ga.lexsort([[3, 1, 2], [0, 1, 0]])
    GradArray([2, 0, 1], dtype=int64)
    """
    keys = [lift(key, "lexsort") for key in keys]
    if not keys:
        raise TypeError(message("lexsort", "no keys were given."))
    return apply(LexSortGrad, *keys, axis=one_axis(axis, keys[0].ndim, "lexsort"))


# Parts of the order -------------------------------------------------------------------------------


def _partition_values(x: Any, kth: Any, axis: Any = -1) -> Any:
    x, axis = (np.ravel(x), -1) if axis is None else (x, axis)
    return np.take_along_axis(x, np.argpartition(x, kth, axis), axis)


@public(
    numpy=np.argpartition,
    method=True,
    differentiable=False,
    cases=[case(_DISTINCT, 1), case(_DISTINCT, (0, 2), axis=0), case(_DISTINCT, 5, axis=None)],
)
def argpartition(x: Any, kth: Any, axis: int | None = -1, kind: Any = None) -> GradArray:
    """The indices that partition x: those of values below the k-th smallest come before it.

    >>> import gradarray as ga
    >>> int(ga.argpartition([3.0, 1.0, 2.0], 1)[1])
    2
    """
    x, axis = _flat(x, axis, "argpartition")
    places = kth if isinstance(kth, (tuple, list)) else (kth,)
    for k in places if x.shape[axis] else ():
        if not -x.shape[axis] <= operator.index(k) < x.shape[axis]:
            raise ValueError(
                message(
                    "partition", f"kth={k} is out of bounds along axis {axis} of shape {x.shape}."
                )
            )
    places = tuple([operator.index(k) for k in places])
    return apply(ArgPartitionGrad, x, kth=places, axis=axis)


@public(
    numpy=np.partition,
    reference=_partition_values,
    cases=[case(_DISTINCT, 1), case(_DISTINCT, (0, 2), axis=0), case(_DISTINCT, 5, axis=None)],
)
def partition(x: Any, kth: Any, axis: int | None = -1, kind: Any = None) -> GradArray:
    """y = x with its k-th smallest value along `axis` in its place, smaller ones before it.

    >>> import gradarray as ga
    >>> ga.partition([3.0, 1.0, 2.0], 1)[1]
    GradArray(2., dtype=float64)
    """
    x, axis = _flat(x, axis, "partition")
    _first_of_equals["partition"].met(x, lambda x: ties(x, axis))
    return take_along_axis(x, argpartition(x, kth, axis), axis)


@method("partition")
def partition_in_place(x: GradArray, kth: Any, axis: int = -1, kind: Any = None) -> None:
    """Partition along `axis`, in place: the handle is bound to the partitioned array."""
    x._assign("partition", partition(x, kth, axis))


def _topk_values(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    keys = (-x, ~np.isnan(x)) if largest else (x, np.isnan(x))  # NaN counts as the largest
    order = np.lexsort(keys, axis)
    order = np.take(order, range(k), axis)
    return np.take_along_axis(x, order, axis), order


@public(
    reference=_topk_values,
    cases=[
        case(_DISTINCT, 2),
        case(_DISTINCT, 2, axis=0, largest=False),
        case(arr(5, kind="distinct"), 5),
    ],
)
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[GradArray, GradArray]:
    """(values, indices) of the k largest values along `axis`, in descending order.

    With largest=False the smallest, in ascending order. Of equal values the first come first.
    Raises ShapeError where the axis is shorter than k.

    >>> import gradarray as ga
    >>> values, indices = ga.topk([1.0, 5.0, 3.0], 2)
    >>> values, indices
    (GradArray([5., 3.], dtype=float64), GradArray([1, 2], dtype=int64))
    """
    x = lift(x, "topk")
    axis = one_axis(axis, x.ndim, "topk")
    k = operator.index(k)
    if not 0 <= k <= x.shape[axis]:
        raise ShapeError(
            message(
                "topk",
                f"k={k}, but axis {axis + x.ndim} of shape {x.shape} has length {x.shape[axis]}.",
            )
        )
    _first_of_equals["topk"].met(x, lambda x: ties(x, axis))
    indices = apply(TopKGrad, x, k=k, axis=axis, largest=bool(largest))
    return take_along_axis(x, indices, axis), indices


# Places -------------------------------------------------------------------------------------------

_SORTED = [-1.0, 0.0, 0.5, 1.5]


@public(
    numpy=np.searchsorted,
    method=True,
    differentiable=False,
    cases=[case(_SORTED, arr(2, 3)), case(_SORTED, 0.5, side="right"), case(arr(1), arr())],
)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> GradArray:
    """The places at which the values v would be put into the sorted vector a, to keep it sorted.

    >>> import gradarray as ga
    >>> ga.searchsorted([1.0, 2.0, 3.0], 2.0, side="right")
    GradArray(2, dtype=int64)
    """
    a, v = lift(a, "searchsorted"), lift(v, "searchsorted")
    if a.ndim != 1:
        raise ShapeError(message("searchsorted", f"takes a sorted vector, not shape {a.shape}."))
    if side not in ("left", "right"):
        raise ValueError(message("searchsorted", f"side {side!r}; it is 'left' or 'right'."))
    a = a if sorter is None else take(a, sorter)
    return apply(SearchSortedGrad, a, v, side=side)


@public(
    numpy=np.digitize,
    differentiable=False,
    cases=[case(arr(2, 3), _SORTED), case(arr(4), _SORTED[::-1], right=True)],
)
def digitize(x: Any, bins: Any, right: bool = False) -> GradArray:
    """The numbers of the bins in which the values of x lie: bins[i-1] <= x < bins[i] gives i.

    With right=True bins[i-1] < x <= bins[i]; descending bins the other way round.

    >>> import gradarray as ga
    >>> ga.digitize([0.2, 6.0, 3.0], [0.0, 1.0, 5.0])
    GradArray([1, 3, 2], dtype=int64)
    """
    return apply(DigitizeGrad, lift(x, "digitize"), lift(bins, "digitize"), right=bool(right))
