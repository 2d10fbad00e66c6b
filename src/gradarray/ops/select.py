"""Values chosen by a condition: nonzero, compress, extract, select."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift, method
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import all_axes
from .compare import where
from .keys import NonzeroGrad
from .layout import ravel
from .take import take

__all__ = [
    "argwhere",
    "compress",
    "count_nonzero",
    "extract",
    "flatnonzero",
    "nonzero",
    "select",
]


class CountNonzeroGrad(Custom):
    """How many elements are not 0, over `axis`."""

    name = "count_nonzero"

    @staticmethod
    def forward(x: Any, *, axis: Any, keepdims: bool) -> Any:
        return np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims))[()]


class ArgWhereGrad(Custom):
    """The indices of the true elements, one row for each."""

    forward = staticmethod(lambda x: np.argwhere(x))


_MASK = arr(2, 3, kind="bool")


@public(numpy=np.nonzero, method=True, differentiable=False, cases=[case(_MASK), case(arr(4))])
def nonzero(x: Any) -> tuple[GradArray, ...]:
    """The indices of the elements that are not 0, one array for each axis, in C order.

    >>> import gradarray as ga
    >>> ga.nonzero([[True, False], [False, True]])
    (GradArray([0, 1], dtype=int64), GradArray([0, 1], dtype=int64))
    """
    x = lift(x, "nonzero")
    if not x.ndim:
        raise ShapeError(message("nonzero", "a 0-d array has no axis.", "Use atleast_1d."))
    return apply(NonzeroGrad, x)


@public(numpy=np.flatnonzero, differentiable=False, cases=[case(_MASK)])
def flatnonzero(x: Any) -> GradArray:
    """The indices, in x flattened, of the elements that are not 0.

    >>> import gradarray as ga
    >>> ga.flatnonzero([[0.0, 1.0], [2.0, 0.0]])
    GradArray([1, 2], dtype=int64)
    """
    return apply(NonzeroGrad, ravel(x))[0]


@public(numpy=np.argwhere, differentiable=False, cases=[case(_MASK), case(arr(3))])
def argwhere(x: Any) -> GradArray:
    """The indices of the elements that are not 0, one row for each.

    >>> import gradarray as ga
    >>> ga.argwhere([[0.0, 1.0], [2.0, 0.0]])
    GradArray([[0, 1],
               [1, 0]], dtype=int64)
    """
    return apply(ArgWhereGrad, lift(x, "argwhere"))


@public(
    numpy=np.count_nonzero,
    differentiable=False,
    cases=[case(_MASK), case(_MASK, axis=0), case(_MASK, axis=1, keepdims=True)],
)
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> GradArray:
    """How many elements along `axis` are not 0.

    >>> import gradarray as ga
    >>> ga.count_nonzero([[0.0, 1.0], [2.0, 3.0]], axis=0)
    GradArray([1, 2], dtype=int64)
    """
    x = lift(x, "count_nonzero")
    axes = all_axes(axis, x.ndim, "count_nonzero")
    return apply(CountNonzeroGrad, x, axis=axes, keepdims=bool(keepdims))


@public(
    numpy=np.compress,
    reference=lambda condition, x, axis=None: np.compress(condition, x, axis),
    cases=[
        case([True, False, True], arr(3, 2), axis=0),
        case([False, True], arr(2, 3)),
        case([1, 0, 1], arr(2, 3), axis=-1),
    ],
)
def compress(condition: Any, x: Any, axis: int | None = None) -> GradArray:
    """y = the slices of x along `axis` (None: of x flattened) where `condition` holds.

    >>> import gradarray as ga
    >>> ga.compress([True, False, True], [1.0, 2.0, 3.0])
    GradArray([1., 3.], dtype=float64)
    """
    condition = lift(condition, "compress")
    if condition.ndim != 1:
        raise ShapeError(
            message("compress", f"the condition is a vector, not of shape {condition.shape}.")
        )
    return take(x, flatnonzero(condition), axis)


@method("compress")
def _compress_method(x: GradArray, condition: Any, axis: int | None = None) -> GradArray:
    """The slices along `axis` for which `condition` holds: see `gradarray.compress`."""
    return compress(condition, x, axis)


@public(
    numpy=np.extract,
    cases=[case([[True, False], [True, True]], arr(2, 2))],
)
def extract(condition: Any, x: Any) -> GradArray:
    """y = the elements of x where `condition` holds, as a vector.

    >>> import gradarray as ga
    >>> ga.extract([[True, False], [False, True]], [[1.0, 2.0], [3.0, 4.0]])
    GradArray([1., 4.], dtype=float64)
    """
    return take(ravel(x), flatnonzero(condition))


@public(
    numpy=np.select,
    cases=[
        case(
            [np.array([True, False, False]), np.array([True, True, False])], [arr(3), arr(3)], 2.0
        ),
        case([np.array([[True], [False]])], [arr(3)], arr(2, 1)),
    ],
)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> GradArray:
    """y = the choice of the first condition that holds, element by element, else `default`.

    >>> import gradarray as ga
    >>> x = ga.array([-2.0, 0.5, 3.0])
    >>> ga.select([x < 0, x > 1], [0.0, 1.0], x)
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            message(
                "select",
                f"{len(condlist)} conditions and {len(choicelist)} choices.",
                "Give one choice for each condition.",
            )
        )
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = where(condition, choice, y)
    return y
