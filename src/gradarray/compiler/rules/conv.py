"""Convolutions as products in registers, without columns: taps are further loops of the sum.

In a tile the samples lie side by side, and so do neighbouring places of a row, so a row of the
plane times the samples is what vector lanes go along. Elsewhere lanes go along channels, for
which the kernel is turned over once, and results have their channels last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.columns import Geometry
from ...ops.conv import ConvGrad, ConvTransposeGrad, ConvWeightGrad
from ..expr import Unsupported
from ..loops import Access, Buffer, Contract, Fill, Turn, Var, within
from ..lower import Lowering, rule
from ..memory import View, contiguous
from ..program import Step
from .points import copied
from .windows import padded

Sizes = tuple[int, ...]
NEAR = 16384  # bytes of the operands of a sum over places that stay in the first cache
FEW = 3  # taps in a row, from which they are what registers go along


class Kernel:
    """The weight (O, C / groups, *kernel) of a convolution: its sizes and strides."""

    def __init__(self, shape: Sizes, strides: Sizes, groups: int) -> None:
        self.groups = groups
        self.outs, self.ins, self.taps = shape[0] // groups, shape[1], shape[2:]
        self.out, self.in_, self.steps = strides[0], strides[1], strides[2:]


def _operands(low: Lowering, step: Step) -> tuple[View, View]:
    a, b = (low.memory(x) for x in step.operands)
    dtype = step.values[0].dtype
    if dtype not in (np.float32, np.float64) or {a.buffer.dtype, b.buffer.dtype} != {dtype}:
        raise Unsupported(f"products of {a.buffer.dtype} and {b.buffer.dtype}")
    if not all(math.prod(v.shape) for v in (a, b, step.values[0])):
        raise Unsupported("nothing to sum")
    return a, b


def _in_tile(low: Lowering, step: Step) -> bool:
    return low.lane_of(step, "nc", "oc") is not None


def _fresh(low: Lowering, shape: Sizes, dtype: Any) -> View:
    """Memory with the samples side by side; x.shape[0] counts them."""
    return low.fresh(shape, dtype, axis=0)  # type: ignore[call-arg]


def _side_by_side(low: Lowering, x: View, items: list[Any]) -> View:
    """x with its samples side by side."""
    if x.strides[0] == 1:
        return x
    y = _fresh(low, x.shape, x.buffer.dtype)
    rest = x.shape[1:]
    if x.strides[1:] == contiguous(rest):
        of, to = Access(x.buffer, x.offset, x.outer), Access(y.buffer)
        items.append(Turn(to, of, x.shape[0], math.prod(rest), y.strides[-1], x.strides[0]))
    else:
        items += copied(x, y)
    return y


def _looped(statement: Any, *groups: Sequence[Var]) -> Any:
    """The statement within loops, the first outermost; those of one turn are left out."""
    (looped,) = within([v for vs in groups for v in vs if v.extent > 1], [statement])
    return looped


def _at(view: View, *parts: tuple[Sequence[Var], Sequence[int]]) -> Access:
    """Where a view begins, moved by loop variables."""
    pairs = tuple(
        (v, s) for vs, strides in parts for v, s in zip(vs, strides) if s and v.extent > 1
    )
    return Access(view.buffer, view.offset, pairs + view.outer)


def _sum_order(levels: list[tuple[int, int, int]]) -> tuple[Any, tuple[int, int, int]]:
    """The loops of a sum, the longest innermost: (those around it, it)."""
    inner = max(range(len(levels)), key=lambda k: levels[k][0])
    around = tuple(x for k, x in enumerate(levels) if k != inner and x[0] > 1)
    return around, levels[inner]


def _steps(view: View, at: Geometry) -> tuple[Sizes, Sizes]:
    """Strides of a plane from window to window, and from tap to tap."""
    spatial = view.strides[2:]
    windows = tuple(s * b for s, b in zip(spatial, at.stride))
    return windows, tuple(s * d for s, d in zip(spatial, at.dilation))


# Correlation --------------------------------------------------------------------------------------


@rule(ConvGrad)
def _conv(low: Lowering, step: Step) -> None:
    x, w = _operands(low, step)
    y, at, groups = step.values[0], step.params["at"], step.params["groups"]
    items: list[Any] = []
    lanes = _in_tile(low, step)
    if lanes:
        x = _side_by_side(low, x, items)
    x, at, more = padded(low, x, w.shape[2:], y.shape[2:], at, 0)
    items += more
    k = Kernel(w.shape, w.strides, groups)
    if lanes:
        out = _fresh(low, y.shape, y.dtype)
        items.append(_conv_in_lanes(x, w, out, k, at))
    else:
        out = _channels_last(y.shape, y.dtype)
        items += _conv_whole(x, w, out, k, at)
    low.define(y, out, low.append(items))


def _conv_in_lanes(x: View, w: View, y: View, k: Kernel, at: Geometry) -> Any:
    g, places = Var(k.groups), [Var(n) for n in y.shape[2:]]
    windows, taps = _steps(x, at)
    run, places = _run(y, places, at)
    levels = [(k.ins, k.in_, x.strides[1]), *zip(k.taps, k.steps, taps)]
    if k.taps[-1] >= FEW:  # taps of a row lie beside each other, channels far apart
        *around, (inner, ak, bk) = levels
        around = tuple(x for x in around if x[0] > 1)
    else:
        around, (inner, ak, bk) = _sum_order(levels)
    product = Contract(
        _at(y, (places, y.strides[2:]), ([g], [k.outs * y.strides[1]])),
        _at(w, ([g], [k.outs * k.out])),
        _at(x, (places, windows), ([g], [k.ins * x.strides[1]])),
        k.outs, inner, run, (y.strides[1], 1), (k.out, ak), (bk, 1), outer=around,
    )  # fmt: skip
    return _looped(product, [g], places)


def _run(y: View, places: list[Var], at: Geometry) -> tuple[int, list[Var]]:
    """How many elements lie side by side for windows of one row, and the loops that are left."""
    if at.stride[-1] == 1:
        return (y.shape[-1] - 1) * y.strides[-1] + y.shape[0], places[:-1]
    return y.shape[0], places


def _channels_last(shape: Sizes, dtype: Any) -> View:
    n, c, *spatial = shape
    strides = contiguous((n, *spatial, c))
    buffer = Buffer(math.prod(shape), np.dtype(dtype))
    return View(buffer, 0, shape, (strides[0], 1, *strides[1:-1]))


def _turned(w: View, k: Kernel, last: str) -> tuple[View, list[Any]]:
    """The kernel as (groups, *taps, in, out) or (.., out, in), in memory of its own."""
    order = (k.ins, k.outs) if last == "out" else (k.outs, k.ins)
    pair = (k.in_, k.out) if last == "out" else (k.out, k.in_)
    shape = (k.groups, *k.taps, *order)
    of = replace(w, shape=shape, strides=(k.outs * k.out, *k.steps, *pair))
    to = View(Buffer(math.prod(shape), w.buffer.dtype), 0, shape, contiguous(shape))
    return to, copied(of, to)


def _conv_whole(x: View, w: View, y: View, k: Kernel, at: Geometry) -> list[Any]:
    n, g, places = Var(x.shape[0]), Var(k.groups), [Var(m) for m in y.shape[2:-1]]
    windows, taps = _steps(x, at)
    w, items = _turned(w, k, "out")
    around, (inner, ak, bk) = _sum_order(
        [(k.ins, x.strides[1], w.strides[-2]), *zip(k.taps, taps, w.strides[1:-2])]
    )
    product = Contract(
        _at(y, ([n], y.strides), (places, y.strides[2:]), ([g], [k.outs])),
        _at(x, ([n], x.strides), (places, windows), ([g], [k.ins * x.strides[1]])),
        _at(w, ([g], w.strides)),
        y.shape[-1], inner, k.outs, (y.strides[-1], 1), (windows[-1], ak), (bk, 1), outer=around,
    )  # fmt: skip
    return [*items, _looped(product, [n, g], places)]


# Its transpose in x -------------------------------------------------------------------------------


@rule(ConvTransposeGrad)
def _conv_transpose(low: Lowering, step: Step) -> None:
    z, w = _operands(low, step)
    y, at, groups = step.values[0], step.params["at"], step.params["groups"]
    items: list[Any] = []
    k = Kernel(w.shape, w.strides, groups)
    reach = at.reach(k.taps, z.shape[2:])
    room = tuple(max(r, p + n) for r, p, n in zip(reach, at.low, y.shape[2:]))
    shape = (*y.shape[:2], *room)
    if _in_tile(low, step):
        z = _side_by_side(low, z, items)
        out = _fresh(low, shape, y.dtype)
        items += [Fill(out.buffer), _back_in_lanes(z, w, out, k, at)]
    else:
        out = _channels_last(shape, y.dtype)
        items += [Fill(out.buffer), *_back_whole(z, w, out, k, at)]
    offset = sum(p * s for p, s in zip(at.low, out.strides[2:]))
    low.define(y, replace(out, offset=offset, shape=y.shape), low.append(items))


def _back_in_lanes(z: View, w: View, x: View, k: Kernel, at: Geometry) -> Any:
    g, places, taps = Var(k.groups), [Var(n) for n in z.shape[2:]], [Var(n) for n in k.taps]
    windows, steps = _steps(x, at)
    run, places = _run(z, places, at)
    product = Contract(
        _at(x, (places, windows), (taps, steps), ([g], [k.ins * x.strides[1]])),
        _at(w, (taps, k.steps), ([g], [k.outs * k.out])),
        _at(z, (places, z.strides[2:]), ([g], [k.outs * z.strides[1]])),
        k.ins, k.outs, run, (x.strides[1], 1), (k.in_, k.out), (z.strides[1], 1), add=True,
    )  # fmt: skip
    return _looped(product, [g], places, taps)


def _back_whole(z: View, w: View, x: View, k: Kernel, at: Geometry) -> list[Any]:
    n, g, places = Var(z.shape[0]), Var(k.groups), [Var(m) for m in z.shape[2:-1]]
    taps = [Var(m) for m in k.taps]
    windows, steps = _steps(x, at)
    w, items = _turned(w, k, "in")
    product = Contract(
        _at(x, ([n], x.strides), (places, windows), (taps, steps), ([g], [k.ins])),
        _at(z, ([n], z.strides), (places, z.strides[2:]), ([g], [k.outs * z.strides[1]])),
        _at(w, ([g], w.strides), (taps, w.strides[1:])),
        z.shape[-1], k.outs, k.ins, (windows[-1], 1), (z.strides[-1], z.strides[1]),
        (w.strides[-2], 1), add=True,
    )  # fmt: skip
    return [*items, _looped(product, [n, g], places, taps)]


# Its transpose in the kernel ----------------------------------------------------------------------


@rule(ConvWeightGrad)
def _conv_weight(low: Lowering, step: Step) -> None:
    x, z = _operands(low, step)
    y, at, groups = step.values[0], step.params["at"], step.params["groups"]
    items: list[Any] = []
    if _in_tile(low, step):
        x, z = (_side_by_side(low, v, items) for v in (x, z))
        x, at, more = padded(low, x, y.shape[2:], z.shape[2:], at, 0, axis=0)
        out, fresh = low.target_of(y)
        items += [*more, *([Fill(out.buffer)] if fresh else [])]
        items.append(_weight_in_lanes(x, z, out, Kernel(y.shape, out.strides, groups), at))
    else:
        x, at, more = padded(low, x, y.shape[2:], z.shape[2:], at, 0)
        if z.strides[1] != 1 and z.shape[1] > 1:
            last = _channels_last(z.shape, y.dtype)
            more += copied(z, last)
            z = last
        k = Kernel(y.shape, contiguous(y.shape), groups)
        out, made = _weight_whole(x, z, y, k, at)
        items += [*more, *made]
    low.define(y, out, low.append(items))


def _weight_in_lanes(x: View, z: View, w: View, k: Kernel, at: Geometry) -> Any:
    g, windows, steps = Var(k.groups), *_steps(x, at)
    # Columns are the taps of a row, which see nearly the same places, or else channels.
    taps, others = [Var(n) for n in k.taps], ([], [], [])
    columns, wc, xc = k.ins, k.in_, x.strides[1]
    if k.taps[-1] >= FEW:
        taps, others = taps[:-1], ([Var(k.ins)], [wc], [xc])
        columns, wc, xc = k.taps[-1], k.steps[-1], steps[-1]
    ins, w_ins, x_ins = others
    # Places that the sum goes over: a row and the samples as one run where nothing lies between.
    counts, inner = list(z.shape[2:]), z.shape[0]
    pairs = list(zip(z.strides[2:], windows))
    if pairs[-1] == (inner, inner):
        inner *= counts.pop()
        pairs.pop()
    # Some rows at a time, so that those of one block stay near.
    rows = max(1, NEAR // ((2 if ins else 5) * inner * w.buffer.dtype.itemsize))
    levels: list[tuple[int, int, int]] = []
    places, z_steps, x_steps = [], [], []
    for n, (of_z, of_x) in list(zip(counts, pairs))[::-1]:
        each = max(m for m in range(1, n + 1) if n % m == 0 and m <= max(rows, 1))
        rows //= each
        levels.insert(0, (each, of_z, of_x))
        places.insert(0, Var(n // each))
        z_steps.insert(0, each * of_z)
        x_steps.insert(0, each * of_x)
    product = Contract(
        _at(w, (taps, k.steps), ([g], [k.outs * k.out]), (ins, w_ins)),
        _at(z, (places, z_steps), ([g], [k.outs * z.strides[1]])),
        _at(x, (places, x_steps), (taps, steps), ([g], [k.ins * x.strides[1]]), (ins, x_ins)),
        k.outs, inner, columns, (k.out, wc), (z.strides[1], 1), (1, xc),
        "inner", add=True, outer=tuple(level for level in levels if level[0] > 1),
    )  # fmt: skip
    return _looped(product, [g], places, ins, taps)


def _weight_whole(x: View, z: View, y: Any, k: Kernel, at: Geometry) -> tuple[View, list[Any]]:
    g, taps = Var(k.groups), [Var(n) for n in k.taps]
    windows, steps = _steps(x, at)
    shape = (k.groups, *k.taps, k.ins, k.outs)
    s = contiguous(shape)
    w = View(Buffer(math.prod(shape), y.dtype), 0, shape, s)
    places = [(n, a, b) for n, a, b in zip(z.shape[2:], windows, z.strides[2:])]
    around, (inner, ak, bk) = _sum_order([(x.shape[0], x.strides[0], z.strides[0]), *places])
    product = Contract(
        _at(w, ([g], s), (taps, s[1:])),
        _at(x, (taps, steps), ([g], [k.ins * x.strides[1]])),
        _at(z, ([g], [k.outs])),
        k.ins, inner, k.outs, (k.outs, 1), (x.strides[1], ak), (bk, 1), outer=around,
    )  # fmt: skip
    # (O, C, *kernel) with O = groups * outs: a group's stride is that of its outputs only if
    # there is one group; else the groups are put together.
    if k.groups == 1:
        return replace(w, shape=y.shape, strides=(1, s[-2], *s[1:-2])), [_looped(product, taps)]
    out = View(Buffer(w.buffer.size, y.dtype), 0, y.shape, contiguous(y.shape))
    split = (k.groups, k.outs, k.ins, *k.taps)
    of = replace(w, shape=split, strides=(s[0], 1, s[-2], *s[1:-2]))
    to = replace(out, shape=split, strides=contiguous(split))
    return out, [_looped(product, [g], taps), *copied(of, to)]
