"""Linear algebra by LAPACK: equations, determinants, factors, with the routines that NumPy calls.

Matrices of a few rows are written out instead (small.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...ops.determinant import DetGrad, SlogdetGrad
from ...ops.eigen import EighGrad, EigvalshGrad
from ...ops.factor import CholeskyGrad, QRGrad
from ...ops.linsolve import InvGrad, SolveGrad, SolveTriangularGrad
from ...ops.singular import SVDGrad, SvdvalsGrad
from ..expr import Expr, const, make, select
from ..group import Group, statements
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from ..routines import Work
from ..scalar import Scalar, apply
from . import small
from .each import INT, Each, failed
from .points import filled


def _turned(view: View) -> View:
    return replace(view, shape=view.shape[::-1], strides=view.strides[::-1])


def _constant(low: Lowering, x: Any) -> View:
    return low.shared.constant(np.asarray(x))


def _half(x: Expr, turned: Expr) -> Expr:
    """Of the Hermitian part."""
    half = const(0.5, x.dtype)
    return make("add", make("mul", half, x), make("mul", half, turned))


# Equations ----------------------------------------------------------------------------------------


@rule(SolveGrad)
def _solve(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    n, k = step.values[0].shape[-2:]
    fill = step.params["fill"]

    def by_elimination(a: Any, b: Any) -> Any:
        y, singular = small.solved(a, b)
        return [y], singular

    if small.in_registers(low, step, n * n * (n + 2 * k), by_elimination, fill):
        return
    a, b, y = each.operand(0), each.operand(1), each.result()
    lu, pivots = each.matrix(n, n), each.vector(n, INT)
    each.copy(a, lu)
    alone = not a.outer and bool(each.vars)
    if alone:  # one matrix for all right-hand sides
        each.call("getrf", n, n, (lu, "rw"), n, (pivots, "w"), each.said, operations=n**3 / 1.5)
        each.before, each.items = each.items, []
        for view in (lu, pivots, each.info):
            view.buffer.turn = low.turn
    each.copy(b, y)
    if alone:
        each.call("getrs", "N", n, k, (lu, "r"), n, (pivots, "r"), (y, "rw"), n,
                  (each.vector(1, INT), "w"), operations=2 * n * n * k)  # fmt: skip
    else:
        each.call("gesv", n, k, (lu, "rw"), n, (pivots, "w"), (y, "rw"), n, each.said,
                  operations=n**3 / 1.5 + 2 * n * n * k)  # fmt: skip
    each.judge(fill, y)
    each.done()


@rule(InvGrad)
def _inv(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    n = step.values[0].shape[-1]
    fill = step.params["fill"]

    def by_elimination(x: Any) -> Any:
        y, singular = small.solved(x, small.identity(n))
        return [y], singular

    if small.in_registers(low, step, 3 * n**3, by_elimination, fill):
        return
    x, y = each.operand(0), each.result()
    lu, pivots = each.matrix(n, n), each.vector(n, INT)
    each.copy(x, lu)
    each.copy(_constant(low, np.eye(n, dtype=each.dtype)), y)
    each.call("gesv", n, n, (lu, "rw"), n, (pivots, "w"), (y, "rw"), n, each.said,
              operations=n**3 * 8 / 3)  # fmt: skip
    each.judge(fill, y)
    each.done()


@rule(SolveTriangularGrad)
def _solve_triangular(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    lower, unit, fill = (step.params[name] for name in ("lower", "unit", "fill"))
    n, k = step.values[0].shape[-2:]

    def by_substitution(a: Any, b: Any) -> Any:
        y = small.substituted(a, b, lower, unit)
        return [y], None if unit else small.zero_on_diagonal(a)

    if small.in_registers(low, step, n * n * k, by_substitution, fill):
        return
    a, b, y = each.operand(0), each.operand(1), each.result()
    at, turned, stride = _as_it_lies(each, a)
    each.copy(b, y)
    each.call("trtrs", "L" if lower != turned else "U", "T" if turned else "N",
              "U" if unit else "N", n, k, (at, "r"), stride, (y, "rw"), n, each.said,
              operations=n * n * k)  # fmt: skip
    each.judge(fill, y)
    each.done()


def _as_it_lies(each: Each, a: View) -> tuple[View, bool, int]:
    """A square matrix where it is, whether it lies row by row there, and its stride; or a copy."""
    (n, _), (row, column) = a.shape, a.strides
    if a.buffer.dtype == each.dtype:
        if n == 1 or (column == 1 and row >= n):
            return a, True, max(row, n)
        if row == 1 and column >= n:
            return a, False, column
    lu = each.matrix(n, n)
    each.copy(a, lu)
    return lu, False, n


# Determinants -------------------------------------------------------------------------------------


@rule(DetGrad)
def _det(low: Lowering, step: Step) -> None:
    each = Each(low, step, 0)
    if _by_elimination(each, lambda factors, sign: [small.product_of(factors, sign)]):
        return
    sign, size = _sign_and_size(each)
    y = each.result(0, 0)
    each.put(lambda s, l: make("mul", s, apply(np.exp, (Scalar(l),)).e), y, sign, size)
    each.done()


@rule(SlogdetGrad)
def _slogdet(low: Lowering, step: Step) -> None:
    each = Each(low, step, 0)
    if _by_elimination(each, small.sign_and_size):
        return
    for k, part in enumerate(_sign_and_size(each)):
        each.copy(part, each.result(k, 0))
    each.done()


def _by_elimination(each: Each, results: Callable[..., Any]) -> bool:
    """Lower a determinant of a small matrix: results(the pivots, the sign of their order)."""
    n = each.step.operands[0].shape[-1]

    def value(x: Any) -> Any:
        rows, sign, _ = small.eliminated(x, n)
        return results([rows[k][k] for k in range(n)], sign), None

    return small.in_registers(each.low, each.step, n**3, value, core=0)


def _sign_and_size(each: Each) -> tuple[View, View]:
    """The sign and the logarithm of the size of a determinant, from its factors."""
    x = each.operand(0)
    n = x.shape[0]
    lu, pivots = each.matrix(n, n), each.vector(n, INT)
    each.copy(x, lu)
    each.call("getrf", n, n, (lu, "rw"), n, (pivots, "w"), each.said, operations=n**3 / 1.5)
    diagonal = replace(lu, shape=(n,), strides=(n + 1,))
    signs, sizes, sign, size = (each.vector(m) for m in (n, n, 1, 1))
    numbers = _constant(each.low, np.arange(1, n + 1, dtype=INT))

    def signed(d: Expr, pivot: Expr, number: Expr) -> Expr:
        s = apply(np.sign, (Scalar(d),)).e
        return select(make("eq", pivot, number), s, make("neg", s))

    each.put(signed, signs, diagonal, pivots, numbers)
    each.put(lambda d: apply(np.log, (Scalar(make("abs", d)),)).e, sizes, diagonal)
    for values, total, combine in ((signs, sign, "mul"), (sizes, size, "add")):
        group = Group((n,))
        to = replace(total, shape=(n,), strides=(0,))
        group.sums.append((to, group.leaf(values), combine, True))
        group.summed = (0,)
        each.items += statements(group)
    sign, size = (replace(v, shape=(), strides=()) for v in (sign, size))
    zero, least = const(0, each.dtype), const(-np.inf, each.dtype)
    each.put(lambda s, info: select(failed(info), zero, s), sign, sign, each.info)
    each.put(lambda l, info: select(failed(info), least, l), size, size, each.info)
    return sign, size


# Factors ------------------------------------------------------------------------------------------


@rule(CholeskyGrad)
def _cholesky(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    n = step.values[0].shape[-1]

    def by_columns(x: Any) -> Any:
        half = [[0.5 * x[i][j] + 0.5 * x[j][i] for j in range(n)] for i in range(n)]
        y, failed = small.square_root(half)
        return [y], failed

    if small.in_registers(low, step, n**3, by_columns):
        return
    x, y = each.operand(0), each.result()
    zero = const(0, each.dtype)
    each.put(lambda x, t, below: select(below, _half(x, t), zero), y, x, _turned(x),
             _constant(low, np.tri(n, dtype=bool)))  # fmt: skip
    each.call("potrf", "L", n, (y, "rw"), n, each.said, operations=n**3 / 3)
    each.judge(None)
    each.done()


@rule(QRGrad)
def _qr(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    x, q, r = each.operand(0), each.result(0), each.result(1)
    (m, n), count = x.shape, q.shape[1]
    k = min(m, n)
    a, tau = each.matrix(m, n), each.vector(k)
    each.copy(x, a)
    each.call("geqrf", m, n, (a, "rw"), m, (tau, "w"), Work(each.dtype), each.said,
              operations=4 * m * n * k)  # fmt: skip
    above = _constant(low, ~np.tri(r.shape[0], n, -1, dtype=bool))
    zero = const(0, each.dtype)
    each.put(lambda a, above: select(above, a, zero), r, replace(a, shape=r.shape), above)
    each.copy(replace(a, shape=(m, k)), replace(q, shape=(m, k)))
    if count > k:
        rest = replace(q, shape=(m, count - k), offset=q.offset + m * k)
        each.items += filled(zero, rest)
    each.call("orgqr", m, count, k, (q, "rw"), m, (tau, "r"), Work(each.dtype), each.said,
              operations=4 * m * count * k)  # fmt: skip
    each.done()


@rule(EighGrad)
def _eigh(low: Lowering, step: Step) -> None:
    each = Each(low, step, 1)
    _spectrum(each, each.result(0, 1), each.result(1, 2), "V")


@rule(EigvalshGrad)
def _eigvalsh(low: Lowering, step: Step) -> None:
    each = Each(low, step, 1)
    w = each.result(0, 1)
    _spectrum(each, w, each.matrix(w.shape[0], w.shape[0]), "N")


def _spectrum(each: Each, w: View, v: View, job: str) -> None:
    n = w.shape[0]
    x = each.operand(0)
    each.put(_half, v, x, _turned(x))
    each.call("syevd", job, "L", n, (v, "rw"), n, (w, "w"), Work(each.dtype), Work(INT),
              each.said, operations=(9 if job == "V" else 4 / 3) * n**3)  # fmt: skip
    each.judge(None)
    each.done()


@rule(SVDGrad)
def _svd(low: Lowering, step: Step) -> None:
    each = Each(low, step)
    u, s, vh = each.result(0), each.result(1, 1), each.result(2)
    _singular(each, s, u, vh, "A" if step.params["full"] else "S")


@rule(SvdvalsGrad)
def _svdvals(low: Lowering, step: Step) -> None:
    each = Each(low, step, 1)
    _singular(each, each.result(0, 1), each.matrix(1, 1), each.matrix(1, 1), "N")


def _singular(each: Each, s: View, u: View, vh: View, job: str) -> None:
    x = each.operand(0)
    (m, n), k = x.shape, s.shape[0]
    a = each.matrix(m, n)
    each.copy(x, a)
    each.call("gesdd", job, m, n, (a, "rw"), m, (s, "w"), (u, "w"), u.shape[0], (vh, "w"),
              vh.shape[0], Work(each.dtype), (each.vector(8 * k, INT), "w"), each.said,
              operations=(20 if job != "N" else 4) * m * n * k)  # fmt: skip
    each.judge(None)
    each.done()
