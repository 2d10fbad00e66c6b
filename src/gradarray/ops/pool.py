"""Max pooling: the places of the largest values, which have no derivative, and a gather there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import lift
from ..choices import choice
from ..custom import Custom
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from . import definitions
from .columns import Geometry, Sizes, padded
from .scatter import add_rows
from .shape import reshape
from .spatial import batched, per_axis, pooled

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

_equal_maxima = choice(
    "max_pool",
    "k equal maxima in a window",
    1.0,
    reason="the first gets all: the value is taken from its place; PyTorch's too",
)


# Values of a plane by their places ----------------------------------------------------------------


def _rows(index: np.ndarray, plane: int) -> np.ndarray:
    """Places within planes as places in the whole array."""
    planes = math.prod(index.shape[:2])
    first = np.arange(0, planes * plane, plane).reshape(planes, 1) if plane else 0
    return (index.reshape(planes, -1) + first).ravel()


class PlaneGatherGrad(Linear):
    """y[n, c, t] = the value of x[n, c] at index[n, c, t], its axes counted as one."""

    name = "plane_gather"
    operands = ("x", "index")
    index = (1,)
    # `distinct`: no place is taken twice, which makes the transpose a plain assignment.
    transposes = (
        lambda y_bar, index, x_like, distinct: apply(
            PlaneScatterGrad, y_bar, index, size=x_like.shape[2:], distinct=distinct
        ),
        None,
    )
    tex = r"{x}_{{index}}"

    shape_of = staticmethod(lambda x, index, distinct: index)

    @staticmethod
    def forward(x: Any, index: Any, distinct: bool) -> np.ndarray:
        plane = math.prod(x.shape[2:])
        return x.reshape(-1).take(_rows(index, plane)).reshape(index.shape)


class PlaneScatterGrad(Linear):
    """y[n, c, i] = the sum of x[n, c, t] over index[n, c, t] = i: the transposed gather."""

    name = "plane_scatter"
    operands = ("x", "index")
    index = (1,)
    transposes = (
        lambda y_bar, index, distinct: apply(PlaneGatherGrad, y_bar, index, distinct=distinct),
        None,
    )
    tex = r"\sum_{{index}} {x}"

    shape_of = staticmethod(lambda x, index, size, distinct: (*x[:2], *size))

    @staticmethod
    def forward(x: Any, index: Any, size: Sizes, distinct: bool) -> np.ndarray:
        plane = math.prod(size)
        count = math.prod(x.shape[:2]) * plane
        rows = _rows(index, plane)
        if distinct:
            y = np.zeros(count, x.dtype)
            y[rows] = x.reshape(-1)
        else:
            y = add_rows(x.reshape(-1, 1), rows, count)
        return y.reshape(*x.shape[:2], *size)


# Where the largest values are ---------------------------------------------------------------------


def _lowest(dtype: Any) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def _flat_steps(length: Sizes) -> Sizes:
    return tuple(math.prod(length[k + 1 :]) for k in range(len(length)))


def _by_tap(whole: Any, kernel: Any, out: Any, at: Any) -> list[Any]:
    """What each tap of the kernel sees, for all windows."""
    taps = [list(zip(tap, at.dilation, out, at.stride)) for tap in np.ndindex(*kernel)]
    return [
        whole[(..., *(slice(k * d, k * d + (m - 1) * s + 1, s) for k, d, m, s in tap))]
        for tap in taps
    ]


def _places(x: Any, kernel: Any, out: Any, at: Any) -> Any:
    def ties(x: Any) -> Any:
        views = _by_tap(padded(x, kernel, out, at, _lowest(x.dtype)), kernel, out, at)
        best = np.maximum.reduce(views)
        return sum((np.equal(view, best) for view in views), start=np.zeros(best.shape, int)) > 1

    _equal_maxima.met(x, ties)
    return apply(MaxPlacesGrad, x, kernel=kernel, out=out, at=at)


class MaxPlacesGrad(Custom):
    """The place in its plane of the largest value of each window, the first of equal ones."""

    name = "max_places"
    shape_of = staticmethod(lambda x, kernel, out, at: (*x[:2], *out))
    dtype_of = staticmethod(lambda x, kernel, out, at: np.dtype(int))

    @staticmethod
    def forward(x: Any, *, kernel: Any, out: Any, at: Any) -> np.ndarray:
        taps = max_taps(x, kernel, out, at)
        return taps_as_places(taps, kernel, out, at, x.shape[2:])


def max_taps(x: Any, kernel: Any, out: Any, at: Any) -> np.ndarray:
    """Which tap of each window sees its largest value, the first of equal ones."""
    low = _lowest(x.dtype)
    views = _by_tap(padded(x, kernel, out, at, low), kernel, out, at)
    best = views[0].copy()
    small: Any = np.uint8 if len(views) <= 256 else np.intp
    which: Any = np.zeros(best.shape, small)
    for number, view in enumerate(views[1:], 1):
        # Numbers grow, so the maximum of them is the last one that was better.
        np.maximum(which, (view > best) * small(number), out=which)
        np.maximum(best, view, out=best)
    if x.dtype.kind == "f" and np.isnan(np.add.reduce(best, None)):
        for number in range(len(views) - 1, -1, -1):
            which[np.isnan(views[number])] = number
    if any(at.low):
        # Nothing above the padding's own value: the first tap that lies in the plane.
        nothing = best == low
        if nothing.any():
            which = np.where(nothing, first_taps(kernel, out, at).astype(small), which)
    return which


def first_taps(kernel: Any, out: Any, at: Any) -> Any:
    """The first tap of each window that is not in the padding before the plane."""
    firsts = [
        np.maximum(-((np.arange(m) * s - p) // d), 0)
        for m, s, d, p in zip(out, at.stride, at.dilation, at.low)
    ]
    return _outer_sum(firsts, _flat_steps(kernel))


def taps_as_places(which: Any, kernel: Any, out: Any, at: Any, length: Any) -> np.ndarray:
    """The places in the plane that the taps of windows see."""
    steps = _flat_steps(length)
    offsets = [
        sum(k * d * step for k, d, step in zip(tap, at.dilation, steps))
        for tap in np.ndindex(*kernel)
    ]
    places = np.array(offsets).take(which) + window_starts(out, at, length)
    return places.reshape(which.shape)


def window_starts(out: Any, at: Any, length: Any) -> Any:
    """The place that the first tap of each window sees, negative in the padding."""
    starts = [np.arange(m) * s - p for m, s, p in zip(out, at.stride, at.low)]
    return _outer_sum(starts, _flat_steps(length))


def _outer_sum(parts: list[np.ndarray], steps: Sizes) -> Any:
    """sum_k parts[k][i_k] steps[k] for every (i_1, .., i_n)."""
    total: Any = 0
    for k, (part, step) in enumerate(zip(parts, steps)):
        total = total + (part * step).reshape(-1, *(1,) * (len(parts) - k - 1))
    return total


class AdaptiveMaxPlacesGrad(Custom):
    """The place of the largest value of each of `out` windows that share out the plane."""

    name = "adaptive_max_places"

    @staticmethod
    def forward(x: Any, *, out: Any) -> np.ndarray:
        length = x.shape[2:]
        places = np.zeros((*x.shape[:2], *out), np.intp)
        steps = _flat_steps(length)
        for t in np.ndindex(*out):
            window = tuple(slice(*part) for part in parts(t, length, out))
            taken = x[(..., *window)]
            best = np.argmax(taken.reshape(*x.shape[:2], -1), -1)
            where = np.unravel_index(best, taken.shape[2:])
            places[(..., *t)] = sum(
                (w.start + i) * step for w, i, step in zip(window, where, steps)
            )
        return places


def _met_twice(rows: Any) -> Any:
    return np.equal(rows, rows.max(-1, keepdims=True)).sum(-1) > 1


def parts(t: Sizes, length: Sizes, out: Sizes) -> list[tuple[int, int]]:
    """Start and stop of window t along each axis: floor(t m / o) to ceil((t + 1) m / o)."""
    return [(i * m // o, -(-(i + 1) * m // o)) for i, m, o in zip(t, length, out)]


# The public functions -----------------------------------------------------------------------------


def _max_pool(
    n: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    op = f"max_pool{n}d"
    x, alone = batched(lift(x, op), n, op)
    kernel = per_axis(kernel_size, n, op, "kernel_size", 1)
    stride = kernel if stride is None else per_axis(stride, n, op, "stride", 1)
    low = per_axis(padding, n, op, "padding", 0)
    dilation = per_axis(dilation, n, op, "dilation", 1)
    out = pooled(x.shape[2:], kernel, stride, low, dilation, ceil_mode, op)
    at = Geometry(stride, dilation, low)
    _check_inside(op, x.shape[2:], kernel, out, at)
    index = _places(x, kernel, out, at)
    apart = all(s > d * (k - 1) for s, k, d in zip(stride, kernel, dilation))
    return _taken(x, index, apart, alone, return_indices)


def _check_inside(op: str, length: Sizes, kernel: Sizes, out: Sizes, at: Geometry) -> None:
    """Raise if the taps of a dilated window all lie in the padding: it would have no maximum."""
    for k, (m, taps, count, s, d, p) in enumerate(zip(length, kernel, out, *at)):
        seen = (np.arange(count) * s - p)[:, None] + np.arange(taps) * d
        if not ((seen >= 0) & (seen < m)).any(1).all():
            raise ShapeError(
                message(
                    op,
                    f"along spatial axis {k}, of length {m}, a window of {taps} values {d} apart "
                    f"holds nothing but padding ({p}).",
                    "Use less dilation or padding.",
                )
            )


def _taken(x: Any, index: Any, apart: bool, alone: bool, return_indices: bool) -> Any:
    y = apply(PlaneGatherGrad, x, index, distinct=apart)
    if alone:
        y, index = reshape(y, y.shape[1:]), reshape(index, index.shape[1:])
    return (y, index) if return_indices else y


def adaptive_sizes(x: Any, output_size: Any, n: int, op: str) -> Sizes:
    """The output's spatial shape; None along an axis keeps the input's."""
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    filled = [m if o is None else o for o, m in zip(given, x.shape[2:])]
    return per_axis(filled if len(given) == n else list(given), n, op, "output_size", 1)


def _adaptive(n: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    op = f"adaptive_max_pool{n}d"
    x, alone = batched(lift(x, op), n, op)
    out = adaptive_sizes(x, output_size, n, op)
    length = x.shape[2:]
    if all(m and m % o == 0 for m, o in zip(length, out)):
        kernel = tuple(m // o for m, o in zip(length, out))
        at = Geometry(kernel, (1,) * n, (0,) * n)
        index = _places(x, kernel, out, at)
        return _taken(x, index, True, alone, return_indices)
    windows = [(..., *(slice(*p) for p in parts(t, length, out))) for t in np.ndindex(*out)]
    _equal_maxima.met(
        x, lambda x: [_met_twice(x[w].reshape(*x.shape[:2], -1)) for w in windows]
    )
    index = apply(AdaptiveMaxPlacesGrad, x, out=out)
    return _taken(x, index, False, alone, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.max_pool(1),
    cases=[
        case(arr(2, 3, 6, kind="distinct"), 2),
        case(arr(2, 7, kind="distinct"), 3, stride=1, padding=1, dilation=2),
        case(arr(1, 2, 6, kind="distinct"), 3, stride=2, ceil_mode=True, return_indices=True),
    ],
)
def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""y_{nct} = \max_k x_{nc, ts + kd - p} over windows of `kernel_size` values.

    x (N, C, L) or (C, L). `stride` is the kernel's size by default; padding counts for nothing;
    with `ceil_mode` a last window may reach over the end. The derivative goes to the first of equal
    maxima. With `return_indices` the result is (y, the places of the maxima in L). Raises
    ShapeError for a kernel larger than the padded input, ValueError for padding of more than half.

    >>> import gradarray as ga
    >>> ga.max_pool1d([[1.0, 3.0, 2.0, 0.0]], 2)
    GradArray([[3., 2.]], dtype=float64)
    """
    return _max_pool(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.max_pool(2),
    cases=[
        case(arr(2, 2, 4, 4, kind="distinct"), 2),
        case(arr(2, 5, 6, kind="distinct"), (3, 2), stride=(1, 2), padding=1),
        case(arr(1, 1, 5, 5, kind="distinct"), 2, dilation=2, stride=1, return_indices=True),
    ],
)
def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""y_{ncij} = \max_{uv} x_{nc, is + ud - p, js + vd - p}, as `max_pool1d` over two axes.

    x (N, C, H, W) or (C, H, W); numbers or one per axis. Indices count the plane row by row.

    >>> import gradarray as ga
    >>> ga.max_pool2d([[[1.0, 3.0], [5.0, 2.0]]], 2)
    GradArray([[[5.]]], dtype=float64)
    """
    return _max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.max_pool(3),
    cases=[case(arr(1, 2, 3, 4, 2, kind="distinct"), 2, stride=1)],
)
def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""y_{nct} = \max_k x_{nc, ts + kd - p}, as `max_pool1d` over three axes.

    x (N, C, D, H, W) or (C, D, H, W); numbers or one per axis.

    >>> import gradarray as ga
    >>> ga.max_pool3d([[[[1.0, 3.0], [5.0, 2.0]]]], (1, 2, 2))
    GradArray([[[[5.]]]], dtype=float64)
    """
    return _max_pool(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.adaptive_max_pool(1),
    cases=[case(arr(2, 3, 7, kind="distinct"), 3), case(arr(3, 6, kind="distinct"), 2)],
)
def adaptive_max_pool1d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    r"""y_{nct} = the maximum of x_{nc} from \lfloor tL/o \rfloor to \lceil (t+1)L/o \rceil.

    x (N, C, L) or (C, L), o = `output_size` windows; the rest as in `max_pool1d`.

    >>> import gradarray as ga
    >>> ga.adaptive_max_pool1d([[1.0, 3.0, 2.0]], 2)
    GradArray([[3., 3.]], dtype=float64)
    """
    return _adaptive(1, x, output_size, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.adaptive_max_pool(2),
    cases=[
        case(arr(1, 2, 5, 4, kind="distinct"), (3, 2)),
        case(arr(2, 3, 4, kind="distinct"), (None, 2)),
    ],
)
def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """y_{ncij} = the maximum of a window, as `adaptive_max_pool1d` along both axes.

    x (N, C, H, W) or (C, H, W); `output_size` a number or two, None for the input's own.

    >>> import gradarray as ga
    >>> ga.adaptive_max_pool2d([[[1.0, 3.0], [5.0, 2.0]]], 1)
    GradArray([[[5.]]], dtype=float64)
    """
    return _adaptive(2, x, output_size, return_indices)


@public(
    op=PlaneGatherGrad,
    reference=definitions.adaptive_max_pool(3),
    cases=[case(arr(1, 1, 3, 2, 4, kind="distinct"), (2, 1, 2))],
)
def adaptive_max_pool3d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """y_{nct} = the maximum of a window, as `adaptive_max_pool1d` along three axes.

    x (N, C, D, H, W) or (C, D, H, W); `output_size` a number or three, None for the input's own.

    >>> import gradarray as ga
    >>> ga.adaptive_max_pool3d([[[[1.0, 3.0], [5.0, 2.0]]]], 1)
    GradArray([[[[5.]]]], dtype=float64)
    """
    return _adaptive(3, x, output_size, return_indices)
