r"""A forward walk of all first derivatives, and of the sum of second derivatives along them.

For y = f(x), along directions d: y'_d = p x'_d and y''_d = p x''_d + p' x'_d x'_d. The Laplacian
asks only for the sum of the second derivatives, and that sum goes through the walk by itself,
Y'' = p X'' + p' \sum_d x'_d x'_d: beside the value and D first derivatives one more array, not D.
(Dangel, Siebert, Zeinhofer, Walther, "Collapsing Taylor mode automatic differentiation", 2025;
Li et al., "A computational framework for neural network-based variational Monte Carlo with
forward Laplacian", Nature Machine Intelligence 6, 2024.)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import graph
from ..algebra import Elementwise, Linear, Multilinear, Reduction, given
from ..array import GradArray, has_values, wrap
from ..ops.compare import WhereGrad
from ..ops.contract import MatMulGrad
from ..ops.join import stack
from ..ops.powers import square
from ..plan import RECORDED_SWEEP, Rule
from ..project import absorb, contract_axes, spread
from ..record import PickGrad
from .batch import Level, batched, on_level
from .checkpoint import RecomputedGrad
from .local import Locals
from .orders import up_to
from .pull import is_nan
from .series import MISSING, UNSET, Walk, plus


class Second(NamedTuple):
    """What the walk knows of a value: x'_d for all d (a handle over them), and the sum of x''_d.

    Either is None where it is exactly zero. The first derivatives may be narrower than the value,
    and broadcast to `shape`.
    """

    first: Any
    second: Any
    shape: tuple[int, ...]


class CollapsedWalk:
    """One pass of first derivatives along all directions, and their second derivatives' sum.

    `locals` has the derivatives of elementwise ops, which all passes use.
    """

    def __init__(self, level: Level, absorbing: bool, locals: Locals) -> None:
        self.level, self.locals, self.recorded = level, locals, locals.recorded
        self.absorbing = self.recorded or absorbing
        self.product: Callable[[Any, Any], Any] = absorb if self.absorbing else operator.mul

    def through(self, order: Sequence[Any], found: dict[Any, Any], wanted: set[Any]) -> None:
        last = {p: n for n, node in enumerate(order) for p in node.parents if p is not None}
        for n, node in enumerate(order):
            if node not in found and any(p in found for p in node.parents):
                y = self.at_node(node, found)
                if y is not None:
                    found[node] = y
                    for watcher in graph.mode.watchers:
                        came = [found[p] for p in node.parents if p in found]
                        watcher.passed(node, came, y, "in its series")
            for parent in node.parents:
                if parent is not None and last[parent] == n and parent not in wanted:
                    found.pop(parent, None)

    def at_node(self, node: Any, found: dict[Any, Any]) -> Any:
        if type(node) is PickGrad:
            return found[node.parents[0]][node.which]
        if type(node) is RecomputedGrad:
            return self._again(node, found)
        op = type(node)
        xs = [found.get(p) if p is not None else None for p in node.parents]
        if all(x is None for x in xs):
            return None
        if op is WhereGrad:
            return self._chosen(node, xs)
        if issubclass(op, Elementwise) and not any(_is_complex(x) for x in xs):
            return self._elementwise(node, xs)
        if op is MatMulGrad and xs[1] is None and node.metas[2][0][:-2] == ():
            return self._times_matrix(node, xs[0])
        xs = [x if x is None else self.widened(x) for x in xs]
        if issubclass(op, Linear):
            return self._linear(node, xs)
        if issubclass(op, Multilinear):
            return self._multilinear(node, xs)
        if issubclass(op, Reduction) and not isinstance(op.rule(0), Rule):
            return self._summed(node, xs[0])
        return self._one_by_one(node, xs)

    # Pieces -------------------------------------------------------------------------------------

    def value(self, node: Any, k: int) -> Any:
        """Operand k, MISSING if no rule of the node names it."""
        at = node.plan.where_saved.get(k)
        return MISSING if at is None else wrap(node.saved[at], GradArray, node.parents[k])

    def widened(self, x: Second) -> Second:
        """First derivatives of the full shape."""
        first = x.first
        if first is not None and first.shape != x.shape:
            first = given.broadcast_to(first, x.shape)
        return Second(first, x.second, x.shape)

    def gram(self, a: Any, b: Any) -> Any:
        """sum over directions of a_d b_d."""
        x, y = a.inner, b.inner
        if not self.recorded and x.ndim == y.ndim and has_values(x):
            data = np.einsum("d...,d...->...", x._data, y._data)
            if not self.absorbing or not is_nan([data]):
                return wrap(data[()])
        both = square(x) if x is y else on_level(self.product(a, b), self.level)
        return given.sum(both, axis=0)

    def scaled(self, c: Any, p: Any) -> Any:
        if type(p) is int or type(p) is float:
            return c if p == 1 else -c if p == -1 else self.product(c, p)
        return self.product(c, p)

    # Nodes --------------------------------------------------------------------------------------

    def _elementwise(self, node: Any, xs: list[Any]) -> Second | None:
        metas, local = node.metas, self.locals.of(node)
        first = second = None
        for k, slope in local.slopes.items():
            x = xs[k]
            if x is not None and x.first is not None:
                first = plus(first, self.scaled(x.first, slope))
            if x is not None and x.second is not None:
                second = plus(second, self.scaled(x.second, slope))
        for (k, j), bend in local.bends.items():
            a, b = xs[k], xs[j]
            if a is not None and b is not None and a.first is not None and b.first is not None:
                bent = self.scaled(self.gram(a.first, b.first), bend)
                second = plus(second, bent if j == k else bent + bent)
        shape = metas[0][0] if metas is not None else next(x.shape for x in xs if x is not None)
        if metas is not None:
            first = _cast(first, metas[0][1])
            second = second if second is None else spread(second, metas[0])
        elif second is not None and second.shape != shape:
            second = given.broadcast_to(second, shape)
        return _known(first, second, shape)

    def _chosen(self, node: Any, xs: list[Any]) -> Second | None:
        """where: what is not chosen is exactly 0."""
        cond, form = self.value(node, 0), node.form
        out = []
        for part in ("first", "second"):
            parts = [None if x is None else getattr(x, part) for x in xs[1:]]
            if all(p is None for p in parts):
                out.append(None)
                continue
            chosen = given.apply(WhereGrad, cond, *(0 if p is None else p for p in parts))
            out.append(spread(chosen, form))
        return _known(out[0], out[1], form[0])

    def _times_matrix(self, node: Any, x: Any) -> Second | None:
        """x @ w: rows that all have the same first derivatives are multiplied once."""
        w, first = self.value(node, 1), x.first
        if first is not None and first.shape[-1:] != x.shape[-1:]:
            first = self.widened(x).first
        parts = [None if c is None else given.apply(MatMulGrad, c, w) for c in (first, x.second)]
        return _known(parts[0], parts[1], (*x.shape[:-1], w.shape[-1]))

    def _linear(self, node: Any, xs: list[Any]) -> Any:
        op = type(node)

        def argument(k: int, x: Any, part: str) -> Any:
            if k in op.index:
                return self.value(node, k)
            c = None if x is None else getattr(x, part)
            if c is not None:
                return c
            zeros = np.zeros(*self._form(node, xs, k))
            return zeros if part == "second" else batched(_repeated(zeros, self.level), self.level)

        parts = []
        for part in ("first", "second"):
            if all(x is None or getattr(x, part) is None for x in xs):
                parts.append(None)
                continue
            args = [argument(k, x, part) for k, x in enumerate(xs)]
            parts.append(given.apply(op, *args, **(node.params or {})))
        first, second = parts
        if isinstance(first, tuple) or isinstance(second, tuple):
            count = len(first or second)
            pairs = zip(first or (None,) * count, second or (None,) * count)
            return [_known(a, b, _shape_of(a, b)) for a, b in pairs]
        return _known(first, second, _shape_of(first, second))

    def _form(self, node: Any, xs: list[Any], k: int) -> Any:
        if node.metas is not None and node.metas[k + 1] is not None:
            return node.metas[k + 1]
        x = xs[k]
        like = x.second if x.first is None else x.first
        return x.shape, like.dtype

    def _multilinear(self, node: Any, xs: list[Any]) -> Second | None:
        op, params = type(node), node.params or {}
        values = [self.value(node, k) for k in range(len(xs))]

        def with_(*replaced: tuple[int, Any]) -> Any:
            args = list(values)
            for k, c in replaced:
                args[k] = c
            return given.apply(op, *args, **params)

        first = second = None
        for k, x in enumerate(xs):
            if x is None:
                continue
            if x.first is not None:
                first = plus(first, with_((k, x.first)))
            if x.second is not None:
                second = plus(second, with_((k, x.second)))
            for j, other in enumerate(xs[:k]):
                if other is not None and other.first is not None and x.first is not None:
                    both = with_((j, other.first), (k, x.first))
                    term = given.sum(on_level(both, self.level), axis=0)
                    second = plus(second, term + term)
        return _known(first, second, _shape_of(first, second))

    def _summed(self, node: Any, x: Any) -> Second | None:
        factor = type(node).rule(0)
        parts = [
            None if c is None else contract_axes(self.scaled(c, factor), node.params)
            for c in (x.first, x.second)
        ]
        return _known(parts[0], parts[1], _shape_of(parts[0], parts[1]))

    def _one_by_one(self, node: Any, xs: list[Any]) -> Any:
        """Any op: a series of order 2 along every direction, and the sum of their last terms."""
        rows: list[Any] = []
        second: Any = None
        for d in range(self.level.size):
            walk = Walk(up_to(2), wrapped=True, absorbing=self.absorbing)
            walk.product = self.product
            seeds = {}
            for parent, x in zip(node.parents, xs, strict=True):
                if x is not None:
                    one = None if x.first is None else on_level(x.first, self.level)[d]
                    two = None if d or x.second is None else x.second / 2
                    seeds[parent] = walk.seed([UNSET, one, two])
            y = walk.at_node(node, seeds)
            if y is None:
                return None
            rows.append(y.coefficient(1))
            second = both(second, y.coefficient(2))
            walk.forget(walk.cut(0))
        parts = [r for r in rows if r is not None]
        if not parts:
            return None if second is None else self._several(None, second)
        if isinstance(parts[0], tuple):
            columns = [self._stacked([None if r is None else r[k] for r in rows])
                       for k in range(len(parts[0]))]  # fmt: skip
            return self._several(columns, second)
        return self._several([self._stacked(rows)], None if second is None else (second,))[0]

    def _several(self, firsts: Any, seconds: Any) -> list[Any]:
        count = len(firsts or seconds)
        pairs = zip(firsts or (None,) * count, seconds or (None,) * count)
        return [_known(a, None if b is None else b + b, _shape_of(a, b)) for a, b in pairs]

    def _stacked(self, rows: list[Any]) -> Any:
        like = next((r for r in rows if r is not None), None)
        if like is None:
            return None
        zero = wrap(np.zeros(like.shape, like.dtype))
        return batched(stack([zero if r is None else r for r in rows]), self.level)

    def _again(self, node: Any, found: dict[Any, Any]) -> list[Any]:
        ys, floor = node.plan._again(node, RECORDED_SWEEP)
        roots = [y._node for y in ys if y._node is not None]
        inside = {p: found[p] for p in node.parents if p in found}
        order, _ = graph.ancestry(roots, floor)
        inner = Locals(order, inside, self.recorded)
        CollapsedWalk(self.level, self.absorbing, inner).through(order, inside, set(roots))
        return [inside.get(y._node) for y in ys]


def _known(first: Any, second: Any, shape: tuple[int, ...]) -> Second | None:
    return None if first is None and second is None else Second(first, second, shape)


def _shape_of(first: Any, second: Any) -> tuple[int, ...]:
    like = second if first is None else first
    return () if like is None else like.shape


def both(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(map(both, a, b))
    return a + b


def _cast(c: Any, dtype: Any) -> Any:
    return c if c is None or c.dtype == dtype else given.astype(c, dtype)


def _is_complex(x: Any) -> bool:
    return x is not None and any(c is not None and c.dtype.kind == "c" for c in x[:2])


def _repeated(x: Any, level: Level) -> GradArray:
    return wrap(np.broadcast_to(x, (level.size, *x.shape)))
