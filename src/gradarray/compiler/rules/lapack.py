"""Linear algebra by LAPACK, one matrix of a stack after the other: the routines that NumPy calls.

A routine works on matrices that lie column by column. Where results of a step may lie as they
like, it works in the result's own memory. What fails raises the alarm, or is filled.
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
from ..expr import Expr, cast, const, make, select
from ..group import Group, statements
from ..loops import Access, Alarm, Buffer, Loop, Stretch, Var
from ..lower import Lowering, rule
from ..memory import View
from ..program import Step
from ..routines import Work, letter, routine
from ..scalar import Scalar, Unsupported, apply
from . import small
from .points import copied, filled, points

INT = np.dtype(np.int32)


class Each:
    """A step for every matrix of a stack: the statements of one turn, and the memory they need."""

    def __init__(self, low: Lowering, step: Step, core: int = 2) -> None:
        self.low, self.step, self.dtype = low, step, step.values[0].dtype
        for x in (*step.inputs, *step.values):
            if x.dtype.kind != "f" or x.dtype == np.float16:
                raise Unsupported(f"LAPACK for {x.dtype}")
            if not x.size:
                raise Unsupported("matrices without elements")
        self.letter = letter(self.dtype)
        y = step.values[0]
        self.stack = y.shape[: y.ndim - core]
        self.vars = [Var(n) for n in self.stack]
        self.items: list[Any] = []
        self.before: list[Any] = []  # done once for all matrices
        self.leaving: list[tuple[View, View]] = []
        self.info = View(self._buffer(1, INT), 0, (), ())

    def _buffer(self, size: int, dtype: np.dtype) -> Buffer:
        return Buffer(size, dtype, turn=self.vars[-1] if self.vars else None)

    # Memory ---------------------------------------------------------------------------------------

    def operand(self, k: int, core: int = 2) -> View:
        """One matrix of an operand."""
        return self._part(self.low.memory(self.step.operands[k]), core)

    def _part(self, view: View, core: int) -> View:
        lead = len(view.shape) - core
        axes = zip(self.vars[len(self.vars) - lead :], view.shape[:lead], view.strides)
        moves = tuple((var, s) for var, n, s in axes if s and n > 1)
        outer = (*view.outer, *moves)
        return replace(view, shape=view.shape[lead:], strides=view.strides[lead:], outer=outer)

    def matrix(self, rows: int, columns: int) -> View:
        """Memory of a turn for a matrix that lies column by column."""
        return View(self._buffer(rows * columns, self.dtype), 0, (rows, columns), (1, rows))

    def vector(self, n: int, dtype: np.dtype | None = None) -> View:
        return View(self._buffer(n, dtype or self.dtype), 0, (n,), (1,))

    def result(self, k: int = 0, core: int = 2) -> View:
        """Where one matrix (`core` 2, column by column) or vector (1, 0) of a result is made."""
        y, low = self.step.values[k], self.low
        form = y.shape[y.ndim - core :]
        if core < 2 or low.next_axis is not None:
            whole = low.fresh(y.shape, y.dtype)
        else:
            whole = low.fresh((*y.shape[:-2], *form[::-1]), y.dtype)
            strides = (*whole.strides[:-2], 1, form[0])
            whole = replace(whole, shape=y.shape, strides=strides)
        low.views[y] = whole
        part = self._part(whole, core)
        if low.next_axis is None:
            return part
        inside = self.matrix(*form) if core == 2 else View(
            self._buffer(max(form, default=1), y.dtype), 0, form, (1,) * core
        )
        self.leaving.append((inside, part))
        return inside

    # Statements -----------------------------------------------------------------------------------

    def put(self, value: Callable[..., Expr], to: View, *sources: View) -> None:
        """to = value(*sources) at every place, cast to its dtype."""
        dtype = to.buffer.dtype
        self.items += points(sources, lambda *xs: cast(value(*xs), dtype), to)

    def copy(self, of: View, to: View) -> None:
        self.put(lambda x: x, to, of)

    def call(self, name: str, *arguments: Any, operations: float = 0.0) -> None:
        """Call a routine; views stand for all of what they show: (view, "r", "w" or "rw")."""
        given = [stretch(*x) if isinstance(x, tuple) else x for x in arguments]
        turn = self.vars[-1] if self.vars else None
        name = self.letter + name
        self.items.append(
            routine(name, *given, dtype=self.dtype, turn=turn, operations=operations)
        )

    @property
    def said(self) -> tuple[View, str]:
        """The argument in which a routine says whether it failed."""
        return self.info, "w"

    def judge(self, fill: float | None, *results: View) -> None:
        """What happens to the results where the routine failed."""
        if fill is None:
            alarm = self.low.shared.alarm(self.step.op.name)
            self.items.append(Alarm(alarm, Access(self.info.buffer)))
            return
        for view in results:
            filled_in = const(fill, view.buffer.dtype)
            self.put(lambda x, info, f=filled_in: select(_failed(info), f, x), view, view,
                     _spread(self.info, view.shape))  # fmt: skip

    def done(self) -> None:
        for source, part in self.leaving:
            self.items += copied(source, part)
        items = self.items
        for var in reversed(self.vars):
            items = [Loop(var, items)]
        at = self.low.append([*self.before, *items])
        for y in self.step.values:
            self.low.define(y, self.low.views[y], at)


def stretch(view: View, how: str) -> Stretch:
    size = 1 + sum((n - 1) * s for n, s in zip(view.shape, view.strides))
    return Stretch(Access(view.buffer, view.offset, view.outer), size, how)


def _spread(view: View, shape: tuple[int, ...]) -> View:
    return view.broadcast(shape)


def _failed(info: Expr) -> Expr:
    return make("ne", info, const(0, INT))


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
    n = step.operands[0].shape[-1]

    def by_elimination(x: Any) -> Any:
        rows, sign, _ = small.eliminated(x, n)
        return [small.product_of([rows[k][k] for k in range(n)], sign)], None

    if small.in_registers(low, step, n**3, by_elimination, core=0):
        return
    sign, size = _sign_and_size(each)
    y = each.result(0, 0)
    each.put(lambda s, l: make("mul", s, apply(np.exp, (Scalar(l),)).e), y, sign, size)
    each.done()


@rule(SlogdetGrad)
def _slogdet(low: Lowering, step: Step) -> None:
    each = Each(low, step, 0)
    n = step.operands[0].shape[-1]

    def by_elimination(x: Any) -> Any:
        rows, sign, _ = small.eliminated(x, n)
        return small.sign_and_size([rows[k][k] for k in range(n)], sign), None

    if small.in_registers(low, step, n**3, by_elimination, core=0):
        return
    sign, size = _sign_and_size(each)
    for k, part in enumerate((sign, size)):
        each.copy(part, each.result(k, 0))
    each.done()


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
    one, dtype = const(1, each.dtype), each.dtype

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
    zero, least = const(0, dtype), const(-np.inf, dtype)
    each.put(lambda s, info: select(_failed(info), zero, make("mul", one, s)), sign, sign,
             each.info)  # fmt: skip
    each.put(lambda l, info: select(_failed(info), least, l), size, size, each.info)
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
