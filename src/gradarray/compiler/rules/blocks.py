"""Stacks of small products: blocks of registers, each operand where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..loops import Access, Buffer, Contract, Loop, Turn, Var
from ..memory import View
from .points import copied

LEAST = 256  # multiplications of one product that are worth a block
MOST = 1 << 19  # and beyond which BLAS, with its panels, is better where it can be called


def in_blocks(
    operands: tuple[View, View, View], strides: Sequence[dict[Any, int]], size: dict[Any, int],
    stack: Sequence[Any], merged: Sequence[Any], add: bool = False,
) -> list[Any] | None:  # fmt: skip
    """C[m, n] = sum of A[m, k] B[k, n] for every label of the stack; None where it does not fit.

    Lanes go along n, where C has its elements side by side; a B that has not is turned over.
    """
    a, b, out = operands
    (m, *ms), (k, *ks), (n, *ns) = merged
    sa, sb, sy = strides
    if ns[2] != 1 and ms[2] == 1:
        a, b, sa, sb = b, a, sb, sa
        m, n, ms, ns = n, m, [ns[1], ns[0], ns[2]], [ms[1], ms[0], ms[2]]
        ks = [ks[1], ks[0], ks[2]]
    if ns[2] != 1 or n < 4 or m * k * n < LEAST:
        return None
    vars_ = {label: Var(size[label]) for label in stack}

    def moving(v: View, s: dict[Any, int]) -> View:
        pairs = tuple((vars_[x], s[x]) for x in stack if s.get(x))
        return replace(v, outer=pairs + v.outer)

    a, b, out = moving(a, sa), moving(b, sb), moving(out, sy)
    items: list[Any] = []
    bk = ks[1]
    if ns[1] != 1:
        width = -(-n // 16) * 16
        panel = View(Buffer(k * width, b.buffer.dtype), 0, (k, n), (width, 1))
        if bk == 1:
            items.append(Turn(Access(panel.buffer), _start(b), n, k, width, ns[1]))
        else:
            items += copied(replace(b, shape=(k, n), strides=(bk, ns[1])), panel)
        b, bk = panel, width
    items.append(
        Contract(
            _start(out), _start(a), _start(b), m, k, n, (ms[2], 1), (ms[0], ks[0]), (bk, 1), add=add
        )
    )
    for label in reversed(stack):
        items = [Loop(vars_[label], items)]
    return items


def _start(v: View) -> Access:
    return Access(v.buffer, v.offset, v.outer)
