"""Large products: columns in panels that are packed once, rows in blocks of registers.

A panel is as wide as four registers and lies in one piece, so that a block of rows walks through
it in a straight line, whatever the strides of the operand. Panels, or parts of the rows where
there are few panels, are the turns of a parallel loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..loops import Buffer, Contract, Loop, Turn, Var
from ..machine import host
from ..memory import View
from .points import copied
from .sides import LINE, Sides, by_rows

REGISTERS = 4  # in a row of a panel
DEEP = 1024  # of the sum at most at a time: a panel of more leaves the second cache
MANY = 6  # panels that are enough for the threads
FAR = 256  # elements from one place of the sum to the next that are far
ROWS = 96  # at a time, where rows are shared out
PARALLEL = 5_000_000  # multiplications that are worth a second thread


def in_panels(product: Sides) -> list[Any] | None:
    """The statements; None where it does not fit."""
    product = product.along_c()
    if product.columns.c != 1:
        return None
    a, b, out = product.matrices()
    items: list[Any] = []
    if a.strides[1] != 1:
        a = _along_the_sum(a, items)
    wide = REGISTERS * host().lanes(out.buffer.dtype.itemsize)
    parallel = product.work >= PARALLEL
    start, n = 0, product.columns.n
    while start < n:
        width = min(wide, n - start)
        count = (n - start) // width
        items += _panels(a, b, out, start, width, count, parallel and count > 1)
        start += count * width
    return items


def _panels(
    a: View, b: View, out: View, start: int, width: int, count: int, parallel: bool
) -> list[Any]:
    """`count` panels of columns from `start` on."""
    (m, k), panel = a.shape, Var(count)
    depth = -(-k // -(-k // DEEP))
    parts = [(at, min(depth, k - at)) for at in range(0, k, depth)]
    shared = parallel and count < MANY and m >= 2 * ROWS
    b = replace(_moved(b, 0, start, (panel, width * b.strides[1])), shape=(k, width))
    out = _moved(out, 0, start, (panel, width))
    line = -(-width // LINE) * LINE
    buffer = Buffer(k * line * (count if shared else 1), b.buffer.dtype, private=not shared)
    packed = View(buffer, 0, (k, width), (line, 1), ((panel, k * line),) if shared else ())

    def products(a: View, out: View) -> list[Any]:
        pieces = [(replace(_moved(a, 0, at), shape=(a.shape[0], n)), at) for at, n in parts]
        return [_product(piece, _moved(packed, at, 0), out, at > 0) for piece, at in pieces]

    if not shared:
        body = [*by_rows(b, packed), *products(a, out)]
        return [Loop(panel, body, parallel)] if count > 1 else body
    blocks, rest = divmod(m, ROWS)
    block = Var(blocks)
    body = products(
        replace(_moved(a, 0, 0, (block, ROWS * a.strides[0])), shape=(ROWS, k)),
        _moved(out, 0, 0, (block, ROWS * out.strides[0])),
    )
    items: list[Any] = [Loop(panel, by_rows(b, packed))]
    items.append(Loop(block, [Loop(panel, body)], parallel))
    if rest:
        done = blocks * ROWS
        left = products(replace(_moved(a, done, 0), shape=(rest, k)), _moved(out, done, 0))
        items.append(Loop(panel, left))
    return items


def in_row_blocks(a: View, b: View, out: View, add: bool) -> list[Any]:
    """out = A B for a few columns; rows of A that do not lie along the sum are packed first.

    Else each element of a row comes from another line of the cache, which is gone before the
    rows beside it are read.
    """
    m, k = a.shape
    blocks = m // LINE
    if a.strides[0] != 1 or a.strides[1] < FAR or m % LINE or k < LINE:
        return [_product(a, b, out, add)]
    block = Var(blocks)
    packed = View(Buffer(k * LINE, a.buffer.dtype), 0, (LINE, k), (1, LINE))
    rows = replace(_moved(a, 0, 0, (block, LINE)), shape=(LINE, k))
    to = _moved(out, 0, 0, (block, LINE * out.strides[0]))
    body = [*copied(rows, packed), _product(packed, b, to, add)]
    return [Loop(block, body)] if blocks > 1 else body


def _along_the_sum(a: View, items: list[Any]) -> View:
    """A turned over, so that each row is one piece."""
    m, k = a.shape
    line = -(-k // LINE) * LINE
    to = View(Buffer(m * line, a.buffer.dtype), 0, a.shape, (line, 1))
    if a.strides[0] != 1:
        items += copied(a, to)
        return to
    blocks, rest = divmod(m, ROWS)
    block = Var(blocks)
    if blocks:
        of, at = _moved(a, 0, 0, (block, ROWS)), _moved(to, 0, 0, (block, ROWS * line))
        turn = Turn(at.start, of.start, k, ROWS, line, a.strides[1])
        items.append(Loop(block, [turn], m * k >= PARALLEL))
    if rest:
        of, at = _moved(a, m - rest, 0), _moved(to, m - rest, 0)
        items.append(Turn(at.start, of.start, k, rest, line, a.strides[1]))
    return to


def _moved(v: View, row: int, column: int, *turns: tuple[Var, int]) -> View:
    """The view of what begins there, and moves with loops around."""
    at = v.offset + row * v.strides[0] + column * v.strides[1]
    return replace(v, offset=at, outer=(*v.outer, *[t for t in turns if t[0].extent > 1]))


def _product(a: View, b: View, out: View, add: bool) -> Contract:
    (m, k), n = a.shape, b.shape[1]
    (am, ak), (bk, bn) = a.strides, b.strides
    return Contract(
        out.start, a.start, b.start, m, k, n, (out.strides[0], 1), (am, ak), (bk, bn),
        add=add,
    )  # fmt: skip
