"""What ops are made of, in library functions: reductions, norms, shifts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.arithmetic import absolute
from ..ops.avgpool import PartSumGrad
from ..ops.compare import equal, less, not_equal, where
from ..ops.exponential import exp, log, log1p, power
from ..ops.indexing import place
from ..ops.join import ConcatenateGrad, StackGrad
from ..ops.logical import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    isfinite,
    left_shift,
    logical_and,
    logical_or,
    right_shift,
)
from ..ops.move import RollGrad
from ..ops.norm import NormGrad, PNormGrad
from ..ops.powers import sqrt, square
from ..ops.random import (
    HALF,
    LOW,
    MULTIPLIERS,
    ROUNDS,
    WEYL,
    AdvanceGrad,
    PhiloxGrad,
    blocks_of,
)
from ..ops.reduce import (
    ArgMaxGrad,
    ArgMinGrad,
    FirstGrad,
    LogSumExpGrad,
    ShareOfExpGrad,
    max,
    min,
    sum,
)
from ..ops.scan import ShiftGrad
from ..ops.select import CountNonzeroGrad
from ..ops.shape import astype, reshape
from ..record import apply
from .expand import expansion
from .expr import has_code


def _is_real(x: Any) -> bool:
    return has_code(x.dtype, "f")


def _cut(axis: int, start: int | None, stop: int | None) -> tuple[Any, ...]:
    """The index of a part along one negative axis."""
    return (slice(start, stop), *(slice(None),) * (-axis - 1))


# Sums of powers and of exponentials ---------------------------------------------------------------


@expansion(NormGrad)
def _norm(x: Any, axis: Any, keepdims: bool) -> Any:
    return sqrt(sum(square(x), axis=axis, keepdims=keepdims)) if _is_real(x) else NotImplemented


@expansion(PNormGrad)
def _p_norm(x: Any, axis: Any, keepdims: bool, p: float) -> Any:
    if not _is_real(x):
        return NotImplemented
    return power(sum(power(absolute(x), p), axis=axis, keepdims=keepdims), 1 / p)


@expansion(LogSumExpGrad)
def _log_sum_exp(x: Any, axis: Any, keepdims: bool) -> Any:
    if not _is_real(x) or not x.size:
        return NotImplemented
    m = max(x, axis=axis, keepdims=True)
    e = exp(x - where(isfinite(m), m, 0))
    top = equal(x, m)
    k = sum(astype(top, x.dtype), axis=axis, keepdims=True)
    s = sum(where(top, 0, e), axis=axis, keepdims=True)
    y = where(equal(k, 0), m + s, log1p(s / k) + log(k) + m)
    if keepdims:
        return y
    gone = {a % x.ndim for a in axis}
    return reshape(y, tuple(n for a, n in enumerate(x.shape) if a not in gone))


@expansion(ShareOfExpGrad)
def _share_of_exp(a: Any, b: Any, axis: Any) -> Any:
    if not (_is_real(a) and _is_real(b)):
        return NotImplemented
    top = equal(a, math.inf)
    count = sum(astype(top, a.dtype), axis=axis, keepdims=True)
    y = where(equal(b, math.inf), where(top, 1 / count, 0), exp(a - b))
    return where(equal(b, -math.inf), 0, y)


@expansion(CountNonzeroGrad)
def _count_nonzero(x: Any, axis: Any, keepdims: bool) -> Any:
    return sum(astype(not_equal(x, 0), np.int64), axis=axis, keepdims=keepdims)


# Places of values ---------------------------------------------------------------------------------


@expansion(ArgMaxGrad)
def _arg_max(x: Any, axis: Any, keepdims: bool) -> Any:
    return _arg(x, axis, keepdims, max)


@expansion(ArgMinGrad)
def _arg_min(x: Any, axis: Any, keepdims: bool) -> Any:
    return _arg(x, axis, keepdims, min)


def _arg(x: Any, axis: Any, keepdims: bool, extreme: Any) -> Any:
    """The first place that holds the extremum, or the first NaN."""
    if not has_code(x.dtype, "iuf") or not x.size:
        return NotImplemented
    found = equal(x, extreme(x, axis=axis, keepdims=True))
    if x.dtype.kind == "f":
        found = logical_or(found, not_equal(x, x))
    numbers = _numbers(x.shape, axis)
    return min(where(found, numbers, numbers.size), axis=axis, keepdims=keepdims)


@expansion(FirstGrad)
def _first(x: Any, axis: Any) -> Any:
    if x.dtype != bool or not x.size:
        return NotImplemented
    numbers = _numbers(x.shape, axis)
    least = min(where(x, numbers, numbers.size), axis=axis, keepdims=True)
    return logical_and(x, equal(numbers, least))


def _numbers(shape: tuple[int, ...], axis: Any) -> np.ndarray:
    """0, 1, .. along some axes, in C order, of length 1 along the others."""
    axes = {a % len(shape) for a in axis}
    lengths = [n if a in axes else 1 for a, n in enumerate(shape)]
    return np.arange(math.prod(lengths)).reshape(lengths)


# Values moved along an axis -----------------------------------------------------------------------


@expansion(ShiftGrad)
def _shift(x: Any, axis: int, by: int) -> Any:
    n = x.shape[axis]
    by = int(np.clip(by, -n, n))
    kept, target = ((None, n - by), (by, None)) if by >= 0 else ((-by, None), (None, n + by))
    part = x[(Ellipsis, *_cut(axis, *kept))]
    return place(part, x.shape, _cut(axis, *target))


@expansion(RollGrad)
def _roll(x: Any, shift: Any, axis: Any) -> Any:
    for by, a in zip(shift, axis):
        n = x.shape[a]
        by = by % n if n else 0
        if by:
            ends = [x[(Ellipsis, *_cut(a, n - by, None))], x[(Ellipsis, *_cut(a, None, n - by))]]
            x = apply(ConcatenateGrad, *ends, axis=a)
    return x


@expansion(PartSumGrad)
def _part_sum(x: Any, axis: int, cuts: Any) -> Any:
    parts = [sum(x[(Ellipsis, *_cut(axis, *c))], axis=axis, keepdims=True) for c in cuts]
    return apply(ConcatenateGrad, *parts, axis=axis)


# Random bits --------------------------------------------------------------------------------------


@expansion(PhiloxGrad)
def _philox(key: Any, counter: Any, words: int, bits: int) -> Any:
    """The rounds of `ops.random` in 64 bits, every block of the stream at once."""
    key = astype(key, np.uint64)
    offsets = np.arange(blocks_of(words, bits), dtype=np.uint64)
    low, high = _moved(counter, offsets)
    keys = [key[(Ellipsis, slice(k, k + 1))] for k in (0, 1)]
    x, y = [_lower(c) for c in (low, high)], [_upper(c) for c in (low, high)]
    for _ in range(ROUNDS):
        products = [a * m for a, m in zip(x, MULTIPLIERS.ravel())]
        mixed = [bitwise_xor(b, k) for b, k in zip(y, keys)]
        x = [bitwise_xor(_upper(p), b) for p, b in zip(products[::-1], mixed)]
        y = [_lower(p) for p in products[::-1]]
        keys = [_lower(k + w) for k, w in zip(keys, WEYL.ravel())]
    if bits == 64:
        parts = [bitwise_or(a, left_shift(b, HALF)) for a, b in zip(x, y)]
    else:
        parts = [astype(part, np.uint32) for pair in zip(x, y) for part in pair]
    whole = apply(StackGrad, *parts, axis=-1)
    flat = reshape(whole, (*whole.shape[:-2], whole.shape[-2] * whole.shape[-1]))
    return flat[(Ellipsis, slice(words))]


@expansion(AdvanceGrad)
def _advance(counter: Any, blocks: int) -> Any:
    low, high = _moved(counter, np.array([blocks], np.uint64))
    words = [f(part) for part in (low, high) for f in (_lower, _upper)]
    return apply(ConcatenateGrad, *[astype(w, np.uint32) for w in words], axis=-1)


def _lower(x: Any) -> Any:
    return bitwise_and(x, LOW)


def _upper(x: Any) -> Any:
    return right_shift(x, HALF)


def _moved(counter: Any, offsets: np.ndarray) -> tuple[Any, Any]:
    """The lower and the upper 64 bits of counter + offsets, modulo 2^128."""
    c = astype(counter, np.uint64)
    words = [c[(Ellipsis, slice(k, k + 1))] for k in range(4)]
    low = bitwise_or(words[0], left_shift(words[1], HALF))
    high = bitwise_or(words[2], left_shift(words[3], HALF))
    moved = low + offsets
    return moved, high + astype(less(moved, low), np.uint64)
