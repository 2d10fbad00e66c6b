"""Running sums and products that may begin with what is there before the first value."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import one_axis
from .join import concatenate
from .scan import cumprod, cumsum

__all__ = [
    "cumulative_prod",
    "cumulative_sum",
]

# NumPy has them from 2.1.
_SUM, _PROD = getattr(np, "cumulative_sum", ()), getattr(np, "cumulative_prod", ())


def _reference(of: Any, start: float) -> Any:
    def along(x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        axis = -1 if axis is None else axis
        y = of(x, axis, dtype)
        width = [(int(k == axis % x.ndim and include_initial), 0) for k in range(x.ndim)]
        return np.pad(y, width, constant_values=start)

    return along


_CASES = [
    case(arr(4)),
    case(arr(2, 3), axis=0),
    case(arr(2, 3), axis=-1, include_initial=True),
    case(arr(3, kind="int"), dtype=float, include_initial=True),
]


def _cumulative(of: Any, op: str, x: Any, axis: Any, dtype: Any, start: int | None) -> Any:
    x = lift(x, op)
    if axis is None:
        if x.ndim != 1:
            raise ShapeError(
                message(op, f"an array of shape {x.shape} has no one axis.", "Say which, axis=.")
            )
        axis = -1
    axis = one_axis(axis, x.ndim, op)
    y = of(x, axis, dtype)
    if start is None:
        return y
    before = np.full(
        [1 if k == axis else n for k, n in enumerate(x.shape, -x.ndim)], start, y.dtype
    )
    return concatenate([before, y], axis=axis)


@public(numpy=_SUM, reference=_reference(np.cumsum, 0), cases=_CASES)
def cumulative_sum(
    x: Any, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GradArray:
    r"""y_t = \sum_{s <= t} x_s along `axis`, which only a vector may leave out.

    With `include_initial` a 0 comes first, and y is one longer than x. Raises ShapeError where
    the axis is missing.

    >>> import gradarray as ga
    >>> ga.cumulative_sum([1.0, 2.0, 3.0], include_initial=True)
    GradArray([0., 1., 3., 6.], dtype=float64)
    """
    return _cumulative(cumsum, "cumulative_sum", x, axis, dtype, 0 if include_initial else None)


@public(numpy=_PROD, reference=_reference(np.cumprod, 1), cases=_CASES)
def cumulative_prod(
    x: Any, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GradArray:
    r"""y_t = \prod_{s <= t} x_s along `axis`, which only a vector may leave out.

    With `include_initial` a 1 comes first, and y is one longer than x. Raises ShapeError where
    the axis is missing.

    >>> import gradarray as ga
    >>> ga.cumulative_prod([1.0, 2.0, 3.0], include_initial=True)
    GradArray([1., 1., 2., 6.], dtype=float64)
    """
    return _cumulative(cumprod, "cumulative_prod", x, axis, dtype, 1 if include_initial else None)
