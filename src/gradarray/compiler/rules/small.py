"""Small matrices in registers: every element is a value at a point, and the points are a stack's.

Gauss' elimination and its kin are written out for one matrix; vector lanes go along the stack, as
with any elementwise operation. Rows are exchanged by choices: the largest element of a column is
its pivot, as LAPACK has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..expr import make
from ..group import Group, statements
from ..loops import Alarm
from ..lower import Lowering
from ..memory import View
from ..program import Step
from ..scalar import Scalar, as_scalar
from .points import anywhere

MOST = 700  # multiplications about that are written out for a stack of MANY, which fills the lanes
FEWER = 256  # and for a shorter one
MANY = 64

Matrix = list[list[Any]]


def in_registers(
    low: Lowering, step: Step, work: int, value: Callable[..., Any],
    fill: float | None = None, core: int = 2,
) -> bool:  # fmt: skip
    """Lower a step as (results, failed) = value(*matrices); False where that is too much code.

    Results are matrices of values (`core` 2) or values (0), `failed` whether there are none.
    """
    y = step.values[0]
    stack = y.shape[: y.ndim - core]
    if work > (MOST if math.prod(stack) >= MANY else FEWER):
        return False
    group = Group(stack)
    operands = [_elements(group, low.memory(x), stack) for x in step.operands]
    dtype = y.dtype
    results, failed = value(*[[[x.astype(dtype) for x in row] for row in a] for a in operands])
    for v, result in zip(step.values, results, strict=True):
        whole = low.fresh(v.shape, v.dtype)
        low.views[v] = whole
        for view, x in _places(whole, result, core):
            x: Any = as_scalar(x).astype(dtype)
            if fill is not None and failed is not None:
                x = np.where(failed, dtype.type(fill), x)
            group.stores.append((view, x.e))
    noted = None if fill is not None or failed is None else anywhere(low, group, failed.e)
    items = statements(group)
    if noted is not None:
        items.append(Alarm(low.shared.alarm(step.op.name), noted))
    at = low.append(items)
    for v in step.values:
        low.define(v, low.views[v], at)
    return True


def _elements(group: Group, view: View, stack: tuple[int, ...]) -> Matrix:
    """The elements of a stack of matrices, each a value at every point of the stack."""
    lead = view.shape[:-2]
    rows, columns = view.shape[-2:]
    down, along = view.strides[-2:]
    return [
        [
            Scalar(group.leaf(replace(
                view, shape=lead, strides=view.strides[:-2],
                offset=view.offset + i * down + j * along,
            )))
            for j in range(columns)
        ]
        for i in range(rows)
    ]  # fmt: skip


def _places(view: View, result: Any, core: int) -> list[tuple[View, Any]]:
    if not core:
        return [(view, result)]
    lead, (down, along) = view.shape[:-2], view.strides[-2:]
    return [
        (replace(view, shape=lead, strides=view.strides[:-2],
                 offset=view.offset + i * down + j * along), x)
        for i, row in enumerate(result) for j, x in enumerate(row)
    ]  # fmt: skip


# One matrix ---------------------------------------------------------------------------------------


def eliminated(rows: Matrix, n: int) -> tuple[Matrix, Any, Any]:
    """Rows of n columns and more brought to a triangle: the rows, the sign, is it singular?

    Of the rows not yet used the one that has the largest element of a column is next.
    """
    rows = [list(row) for row in rows]
    sign: Any = 1.0
    singular: Any = None
    for c in range(n):
        for r in range(c + 1, n):
            swap = np.abs(rows[r][c]) > np.abs(rows[c][c])
            pairs = list(zip(rows[c], rows[r], strict=True))
            rows[c] = [np.where(swap, y, x) if j >= c else x for j, (x, y) in enumerate(pairs)]
            rows[r] = [np.where(swap, x, y) if j >= c else y for j, (x, y) in enumerate(pairs)]
            sign = np.where(swap, -sign, sign)
        pivot = rows[c][c]
        zero = np.equal(pivot, 0)
        singular = zero if singular is None else singular | zero
        for r in range(c + 1, n):
            factor = rows[r][c] / pivot
            rows[r] = [y - factor * x if j > c else y
                       for j, (x, y) in enumerate(zip(rows[c], rows[r], strict=True))]  # fmt: skip
    return rows, sign, singular


def solved(a: Matrix, b: Matrix) -> tuple[Matrix, Any]:
    """a^{-1} b, and whether a is singular."""
    n = len(a)
    rows, _, singular = eliminated([[*x, *y] for x, y in zip(a, b, strict=True)], n)
    t, y = [row[:n] for row in rows], [row[n:] for row in rows]
    return substituted(t, y, lower=False, unit=False), singular


def substituted(t: Matrix, b: Matrix, lower: bool, unit: bool) -> Matrix:
    """t^{-1} b, t a triangle."""
    n = len(t)
    y: Matrix = [list(row) for row in b]
    order = range(n) if lower else range(n - 1, -1, -1)
    for r in order:
        if not unit:
            y[r] = [x / t[r][r] for x in y[r]]
        for s in range(r + 1, n) if lower else range(r):
            y[s] = [x - t[s][r] * z for x, z in zip(y[s], y[r], strict=True)]
    return y


def zero_on_diagonal(t: Matrix) -> Any:
    found = np.equal(t[0][0], 0)
    for k in range(1, len(t)):
        found = found | np.equal(t[k][k], 0)
    return found


def identity(n: int) -> Matrix:
    return [[float(i == j) for j in range(n)] for i in range(n)]


def square_root(x: Matrix) -> tuple[Matrix, Any]:
    """The lower triangle y with y y^T = x, from x's lower triangle; is x not positive definite?"""
    n = len(x)
    y: Matrix = [[0.0] * n for _ in range(n)]
    failed: Any = None
    for c in range(n):
        d = x[c][c]
        for k in range(c):
            d = d - y[c][k] * y[c][k]
        bad = ~(d > 0)
        failed = bad if failed is None else failed | bad
        y[c][c] = root = np.sqrt(d)
        for r in range(c + 1, n):
            e = x[r][c]
            for k in range(c):
                e = e - y[r][k] * y[c][k]
            y[r][c] = e / root
    return y, failed


def product_of(factors: Sequence[Any], sign: Any) -> Any:
    """A product; by logarithms where it leaves the range of normal numbers on its way."""
    info = np.finfo(factors[0].dtype)
    total, out = factors[0], None
    for x in factors[1:]:
        total = total * x
        size = np.abs(total)
        beyond = ~((size >= info.tiny) & (size <= info.max))
        out = beyond if out is None else out | beyond
    usual = sign * total
    if out is None:
        return usual
    signs, size = sign_and_size(factors, sign)
    return Scalar(make("rare", out.e, usual.e, (signs * np.exp(size)).e))


def sign_and_size(factors: Sequence[Any], sign: Any) -> tuple[Any, Any]:
    """The sign of a product, 0 among them, and the logarithm of its size."""
    size: Any = 0.0
    zero: Any = None
    for x in factors:
        sign = sign * np.sign(x)
        size = size + np.log(np.abs(x))
        this = np.equal(x, 0)
        zero = this if zero is None else zero | this
    kind = factors[0].dtype.type
    return np.where(zero, kind(0), sign), np.where(zero, kind(-np.inf), size)
