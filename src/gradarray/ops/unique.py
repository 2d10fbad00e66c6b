"""Sets: the distinct values of an array, and which values are in a set."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray, lift
from ..choices import choice
from ..custom import Custom
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .shape import reshape
from .sort import ties
from .take import take

__all__ = [
    "isin",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


class UniqueGrad(Custom):
    """Of the distinct values in order: the index of the first, which each one is, how many."""

    @staticmethod
    def forward(x: Any, *, axis: Any, equal_nan: bool) -> Any:
        _, index, inverse, counts = np.unique(
            x, return_index=True, return_inverse=True, return_counts=True,
            axis=axis, equal_nan=equal_nan,
        )  # fmt: skip
        return index, inverse, counts


class IsInGrad(Custom):
    """Which elements are in a set."""

    forward = staticmethod(lambda x, test, *, invert: np.isin(x, test, invert=invert))


_first_of_equals = choice(
    "unique", "equal values", 1.0,
    reason="each keeps its own place in the order, the first one the first",
)  # fmt: skip


# Distinct values ----------------------------------------------------------------------------------


@public(
    numpy=np.unique,
    cases=[
        case(arr(5, kind="distinct")),
        case(arr(2, 3, low=0, high=3, kind="int"), return_index=True, return_counts=True),
        case(arr(2, 3, low=0, high=3, kind="int"), return_inverse=True),
        case(np.array([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0]]), axis=0),
    ],
)
def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """The distinct values of x in ascending order (with `axis`: its distinct slices).

    On request also the index of the first of each, which of them each value of x is, and how
    often each occurs, as a tuple in this order. The derivative goes to the first of equals.

    >>> import gradarray as ga
    >>> ga.unique([2.0, 1.0, 2.0], return_counts=True)
    (GradArray([1., 2.], dtype=float64), GradArray([1, 2], dtype=int64))
    """
    x = lift(x, "unique")
    axis = None if axis is None else one_axis(axis, x.ndim, "unique")
    if axis is None:
        _first_of_equals.met(x, lambda x: ties(x, None))
    index, inverse, counts = apply(UniqueGrad, x, axis=axis, equal_nan=bool(equal_nan))
    values = take(x, index, axis)
    asked = ((return_index, index), (return_inverse, inverse), (return_counts, counts))
    out = [values, *(found for wanted, found in asked if wanted)]
    return out[0] if len(out) == 1 else tuple(out)


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: GradArray
    indices: GradArray
    inverse_indices: GradArray
    counts: GradArray


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: GradArray
    counts: GradArray


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: GradArray
    inverse_indices: GradArray


_EQUALS = [
    case(arr(5, kind="distinct")),
    case(arr(2, 3, low=0, high=3, kind="int")),
    case(np.array([np.nan, 0.0, np.nan, -0.0])),
]


@public(numpy=np.unique_all, cases=_EQUALS)
def unique_all(x: Any) -> UniqueAll:
    """(values, indices, inverse_indices, counts): the distinct values of x in ascending order.

    With them the index of the first of each in x flattened, which of them each value of x is, and
    how often each occurs. NaN differs from NaN. The derivative goes to the first of equals.

    >>> import gradarray as ga
    >>> ga.unique_all([2.0, 1.0, 2.0]).inverse_indices
    GradArray([1, 0, 1], dtype=int64)
    """
    x = lift(x, "unique_all")
    found = unique(x, True, True, True, equal_nan=False)
    values, indices, inverse, counts = found
    return UniqueAll(values, indices, reshape(inverse, x.shape), counts)


@public(numpy=np.unique_counts, cases=_EQUALS)
def unique_counts(x: Any) -> UniqueCounts:
    """(values, counts): the distinct values of x in ascending order, and how often each occurs.

    As in `unique_all`.

    >>> import gradarray as ga
    >>> ga.unique_counts([2.0, 1.0, 2.0]).counts
    GradArray([1, 2], dtype=int64)
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


@public(numpy=np.unique_inverse, cases=_EQUALS)
def unique_inverse(x: Any) -> UniqueInverse:
    """(values, inverse_indices): the distinct values of x, and which of them each value of x is.

    As in `unique_all`: values[inverse_indices] is x.

    >>> import gradarray as ga
    >>> values, inverse = ga.unique_inverse([2.0, 1.0, 2.0])
    >>> values[inverse]
    GradArray([2., 1., 2.], dtype=float64)
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


@public(numpy=np.unique_values, reference=lambda x: np.unique(x, equal_nan=False), cases=_EQUALS)
def unique_values(x: Any) -> GradArray:
    """The distinct values of x in ascending order, as in `unique_all`.

    >>> import gradarray as ga
    >>> ga.unique_values([2.0, 1.0, 2.0])
    GradArray([1., 2.], dtype=float64)
    """
    return unique_all(x).values


# Members ------------------------------------------------------------------------------------------


@public(
    numpy=np.isin,
    differentiable=False,
    cases=[
        case(arr(2, 3, low=0, high=4, kind="int"), [1, 3]),
        case(arr(3, low=0, high=4, kind="int"), [1], invert=True),
    ],
)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False
) -> GradArray:
    """Which elements are among `test_elements` (with invert=True: are not); boolean.

    >>> import gradarray as ga
    >>> ga.isin([0, 1, 2], [1, 5])
    GradArray([False,  True, False], dtype=bool)
    """
    return apply(IsInGrad, lift(element, "isin"), lift(test_elements, "isin"), invert=bool(invert))
