"""Between samples: interp."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..choices import choice
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .arithmetic import absorb
from .compare import clip, where
from .join import concatenate
from .rounding import remainder
from .scatter import gather_at
from .shape import astype
from .sort import argsort, searchsorted

__all__ = [
    "interp",
]

_right = choice(
    "interp",
    "x at a knot",
    1.0,
    reason="the slope of the line to its right, by which np.interp computes the value; from the "
    "last knot on there is none",
)

_KNOTS = [-2.0, -0.5, 0.5, 1.0, 2.5]
_TURN = [0.5, 2.0, 1.0]


def _in_own_dtype(x: Any, xp: Any, fp: Any, **how: Any) -> Any:
    y = np.interp(x, xp, fp, **how)
    return y.astype(np.result_type(x, fp, np.float16)) if np.asarray(x).dtype.kind == "f" else y


@public(
    numpy=np.interp,
    reference=_in_own_dtype,
    cases=[
        case(arr(2, 3), _KNOTS, arr(5)),
        case(arr(4), _KNOTS, arr(5), left=-1.0, right=arr()),
        case(arr(3), _TURN, arr(3), period=2.0),
        case(arr(), [0.5], arr(1), left=7.0),
    ],
)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> GradArray:
    r"""The straight lines through the points (xp, fp), at x.

    y = fp_j + (x - xp_j) (fp_{j+1} - fp_j) / (xp_{j+1} - xp_j) for xp_j <= x < xp_{j+1}; outside
    y is `left` or `right` (by default fp at the ends). xp ascends; with `period` it may come in
    any order, and goes round. Differentiable in x, xp, fp, left and right; at a knot the slope in
    x is that to its right. Raises ShapeError where xp and fp are no vectors of one length,
    ValueError where they are empty or the period is 0.

    >>> import gradarray as ga
    >>> ga.interp([0.5, 9.0], [0.0, 1.0, 2.0], [0.0, 10.0, 40.0])
    GradArray([ 5., 40.], dtype=float64)
    """
    x, xp, fp = (lift(v, "interp") for v in (x, xp, fp))
    if xp.ndim != 1 or fp.shape != xp.shape:
        raise ShapeError(
            message("interp", f"xp and fp are vectors of one length, not {xp.shape}, {fp.shape}.")
        )
    n = xp.shape[0]
    if not n:
        raise ValueError(message("interp", "there are no points to go through."))
    dtype = np.result_type(x.dtype, fp.dtype)
    if dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    real = np.zeros((), dtype).real.dtype
    x, xp, fp = astype(x, real), astype(xp, real), astype(fp, dtype)
    if period is not None:
        x, xp, fp = _around(x, xp, fp, period)
        left = right = None
        n += 2
    _right.met(x, lambda x: np.isin(x, xp._base()._data))
    j = searchsorted(xp, x, side="right") - 1
    at = lambda v, k: gather_at(v, (clip(k, 0, n - 1),), -1)
    x0, x1, f0, f1 = at(xp, j), at(xp, j + 1), at(fp, j), at(fp, j + 1)
    gap = where(x1 > x0, x1 - x0, 1)
    slope = (f1 - f0) / gap
    along = where((x >= xp[0]) & (x < xp[-1]), x - x0, 0)
    # Beside an infinite sample: at a knot its own value, else from the other end of the line.
    y, back = absorb(slope, along) + f0, absorb(slope, along - gap) + f1
    y = astype(where(y == y, y, where((back != back) & (f0 == f1), f0, back)), dtype)
    if left is not None:
        y = where(x < xp[0], astype(lift(left), dtype), y)
    else:
        y = where(x < xp[0], fp[0], y)
    last = fp[-1] if right is None else where(x > xp[-1], astype(lift(right), dtype), fp[-1])
    y = where(x >= xp[-1], last, y)
    return where(x == x, y, astype(x, dtype))


def _around(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """The points of one period in order, with their neighbours on the other side."""
    period = abs(float(period)) if not isinstance(period, GradArray) else period
    if not isinstance(period, GradArray) and not period:
        raise ValueError(message("interp", "the period is 0."))
    x, xp = remainder(x, period), remainder(xp, period)
    order = argsort(xp)
    xp, fp = gather_at(xp, (order,), -1), gather_at(fp, (order,), -1)
    xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, concatenate([fp[-1:], fp, fp[:1]])
