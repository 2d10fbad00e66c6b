r"""Series: the third derivative walk, inputs to outputs with truncated power series.

Every node's value is a power series, y = \sum_a y_a t^a, and the declared rules are what its
coefficients follow from: y' = p(x, y) x' reads a_i y_a = \sum_b b_i x_b p_{a-b}, where p is the
partial, called with the series of x and y themselves. Coefficients are computed when asked for,
so y may stand in its own partial, and within a walk an op on the same operands is one series:
sin and cos, tanh and sech, exp and itself close into their recurrences, at O(K^2) for K orders.
(Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008, chapter 13; Bettencourt, Johnson,
Duvenaud, "Taylor-mode automatic differentiation for higher-order derivatives in JAX", 2019.)
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import graph, protocols
from ..algebra import Elementwise, Kind, Linear, Multilinear, Reduction, given
from ..array import GradArray, wrap
from ..errors import RuleError, message
from ..graph import Grad, Meta, mode
from ..ops import indexing
from ..plan import PLAIN_SWEEP, RECORDED_SWEEP, Rule
from ..project import absorb, absorb_raw, contract_axes, expand, spread
from ..record import PickGrad
from .checkpoint import RecomputedGrad
from .implied import ImpliedGrad
from .orders import Orders


class _Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNSET = _Mark("not computed yet")
MISSING = _Mark("not kept")  # an operand that no rule of its node names

Make = Callable[[int], Any]


class Series:
    """A power series whose coefficients are computed when asked for; None is an exact zero.

    It is an operand of library functions and operators, so rules run on it unchanged; shape,
    dtype and truth are those of its value, coefficient 0.
    """

    __slots__ = ("_times", "c", "make", "walk")
    __array_ufunc__ = protocols.array_ufunc  # `array * series`, np.exp(series)
    __array_function__ = protocols.array_function
    __hash__ = object.__hash__

    def __init__(self, walk: Walk, c: list[Any], make: Make | None = None) -> None:
        self.walk, self.c, self.make = walk, c, make
        self._times: dict[tuple[int, int], Any] = {}

    def coefficient(self, k: int) -> Any:
        value = self.c[k]
        if value is UNSET:
            assert self.make is not None
            value = self.c[k] = self.make(k)
        return value

    def times(self, k: int, n: int) -> Any:
        """n times a coefficient that is not None; several sums need it."""
        if n == 1:
            return self.c[k]
        value = self._times.get((k, n))
        if value is None:
            value = self._times[k, n] = n * self.c[k]
        return value

    @staticmethod
    def __ga_apply__(op: Any, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return next(x for x in operands if type(x) is Series).walk.apply(op, operands, params)

    # As an operand of a rule ----------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.c[0].shape

    @property
    def dtype(self) -> Any:
        return self.c[0].dtype

    @property
    def ndim(self) -> int:
        return len(self.c[0].shape)

    @property
    def size(self) -> int:
        return self.c[0].size

    def detach(self) -> Any:
        return self.c[0]

    def __bool__(self) -> bool:
        return bool(self.c[0])

    def __len__(self) -> int:
        return len(self.c[0])

    def __getitem__(self, key: Any) -> Any:
        return indexing.get(self, key)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            function = GradArray.__dict__[name]
            return function.__get__(self)
        raise AttributeError(f"a power series has no {name!r}")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a power series has no values as a NumPy array")


# Methods and operators of arrays that are library functions: they take what the functions take.
_METHODS = frozenset(
    name
    for name, value in GradArray.__dict__.items()
    if not name.startswith("_")
    and name != "fill"
    and str(getattr(getattr(value, "fget", value), "__module__", "")).startswith("gradarray.ops")
)
for _name, _value in list(GradArray.__dict__.items()):
    if (
        _name.startswith("__")
        and _name not in Series.__dict__
        and not _name.startswith(("__i", "__set"))
        and str(getattr(_value, "__module__", "")).startswith("gradarray.ops")
    ):
        setattr(Series, _name, _value)


# Rules of their own: for ops whose partials would open a new chain of series at every order.
# rule(walk, operands, params, y) -> make, or None to leave the op to its kind.
OwnRule = Callable[["Walk", Sequence[Any], dict[str, Any], Series], Make | None]
RULES: dict[Any, OwnRule] = {}


class Walk:
    """One pass of series through nodes, and the memory of what rules have computed on the way.

    Coefficients are raw arrays, or GradArrays if the walk is recorded (`wrapped`).
    """

    def __init__(self, orders: Orders, *, wrapped: bool, absorbing: bool = False) -> None:
        self.orders, self.wrapped, self.absorbing = orders, wrapped, absorbing
        self.absorbs = wrapped or absorbing
        plain = absorb_raw if absorbing else operator.mul
        self.product: Callable[[Any, Any], Any] = absorb if wrapped else plain
        self._memo: dict[Any, tuple[Any, Any]] = {}
        self._made: list[tuple[Series, Any]] = []

    # Series -------------------------------------------------------------------------------------

    def series(self, c0: Any = UNSET, make: Make | None = None, key: Any = None) -> Series:
        made = Series(self, [c0, *[UNSET] * (self.orders.count - 1)], make)
        self._made.append((made, key))
        return made

    def seed(self, coefficients: Sequence[Any]) -> Series:
        """A series that is given."""
        return Series(self, list(coefficients))

    def mark(self) -> int:
        return len(self._made)

    def cut(self, since: int) -> list[tuple[Series, Any]]:
        """Take back what was made since a mark, for `forget`."""
        made = self._made[since:]
        del self._made[since:]
        return made

    def forget(self, made: Iterable[tuple[Series, Any]]) -> None:
        """Free what these series hold: their makers hold each other."""
        for one, key in made:
            one.make = None
            self._memo.pop(key, None)

    # One op -------------------------------------------------------------------------------------

    def apply(self, op: type[Kind], operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """An op within a rule: on series and constants."""
        for_user = not self.wrapped and not mode.raw
        if for_user:  # inside a user's rule constants are GradArrays; this walk is on raw arrays
            operands = [x._data if isinstance(x, GradArray) else x for x in operands]
        key = (op, tuple([_name_of(x) for x in operands]), _name_of_params(params))
        known = self._memo.get(key)
        if known is not None and not (type(known[0]) is Series and known[0].c[0] is UNSET):
            return known[0]
        with graph.raw_sweep() if for_user else contextlib.nullcontext():
            y0 = self.compute(op, [x.c[0] if type(x) is Series else x for x in operands], params)
        if known is not None:  # a node's own series, whose value no rule kept
            known[0].c[0] = y0
            return known[0]
        if not any(moves(op, k, x) for k, x in enumerate(operands)):
            return wrap_results(y0) if for_user else y0
        y = self.series(y0, key=key)
        result = y if not isinstance(y0, tuple) else self.parts_of(y, len(y0))
        self._memo[key] = (result, operands)
        y.make = self.maker(op, operands, params, y, None)
        return result

    def compute(self, op: type[Kind], operands: Sequence[Any], params: dict[str, Any]) -> Any:
        return given.apply(op, *operands, **params)

    def part(self, y: Series, which: int) -> Series:
        """One result of an op that has several: its coefficients are tuples."""

        def make(k: int) -> Any:
            parts = y.coefficient(k)
            return None if parts is None else parts[which]

        return self.series(UNSET if y.c[0] is UNSET else y.c[0][which], make)

    def parts_of(self, y: Series, count: int) -> tuple[Series, ...]:
        return tuple([self.part(y, which) for which in range(count)])

    def maker(
        self, op: type[Kind], xs: Sequence[Any], params: dict[str, Any], y: Series, metas: Any
    ) -> Make:
        """What gives the coefficients of y = op(xs); `metas` are the forms that a node keeps."""
        own = RULES.get(op)
        make = own(self, xs, params, y) if own is not None else None
        if make is not None:
            return _in_form(make, y, metas)
        for kind, rule in KINDS.items():
            if issubclass(op, kind):
                return rule(self, op, xs, params, y, metas)
        raise RuleError(
            message(
                op.name,
                f"has no rule that runs on power series (it is a {op.__mro__[1].__name__}).",
                "Nest ga.jvp or ga.grad for the orders that are needed.",
            )
        )

    def chained(self, factors: Sequence[tuple[Series, Any]], k: int) -> Any:
        """sum over operands of p x', integrated: coefficient k of y where y' = sum p_i x_i'."""
        divisor, terms = self.orders.chain[k]
        total = steady = None
        for x, p in factors:
            if type(p) is not Series:
                xk = x.coefficient(k)
                if xk is not None:
                    steady = plus(steady, self.scaled(xk, p))
                continue
            for n, b, c in terms:
                if x.coefficient(b) is not None:
                    pc = p.coefficient(c)
                    if pc is not None:
                        total = plus(total, self.product(x.times(b, n), pc))
        if total is not None and divisor != 1:
            total = total / divisor
        return plus(steady, total) if total is not None else steady

    def scaled(self, c: Any, p: Any) -> Any:
        """c times a factor that does not move."""
        if type(p) is int or type(p) is float:
            return c if p == 1 else -c if p == -1 else self.product(c, p)
        return self.product(c, p)

    def convolved(self, a: Any, b: Any, k: int, product: Callable[[Any, Any], Any]) -> Any:
        """Coefficient k of a b; either may be constant."""
        if type(a) is not Series:
            a, b = b, a
        if type(b) is not Series:
            ak = a.coefficient(k)
            return None if ak is None else product(ak, b)
        total = None
        for i, j in self.orders.products[k]:
            ai = a.coefficient(i)
            if ai is not None:
                bj = b.coefficient(j)
                if bj is not None:
                    total = plus(total, product(ai, bj))
        return total

    # Nodes --------------------------------------------------------------------------------------

    def at_node(self, node: Any, found: dict[Any, Series]) -> Series | None:
        """The series of a node's result, nothing computed yet; None where it does not move."""
        parents = node.parents
        if not any(parent in found for parent in parents):
            return None
        if type(node) is PickGrad:
            return self.part(found[parents[0]], node.which)
        special = NODES.get(type(node))
        if special is not None:
            return special(self, node, found)
        op, plan, metas = type(node), node.plan, node.metas
        xs: list[Any] = []
        for k, parent in enumerate(parents):
            x = found.get(parent) if parent is not None else None
            at = plan.where_saved.get(k)
            if x is None:
                x = MISSING if at is None else self._kept(node.saved[at], parent)
            elif at is not None and x.c[0] is UNSET:
                x.c[0] = self._kept(node.saved[at], parent)
            xs.append(x)
        if not any(moves(op, k, x) for k, x in enumerate(xs)):
            return None
        params = node.params or {}
        key = None
        several = metas is not None and isinstance(metas[0], list)
        if not several and not any(x is MISSING for x in xs):
            key = (op, tuple([_name_of(x) for x in xs]), _name_of_params(params))
            known = self._memo.get(key)
            if known is not None:
                return known[0]
        y = self.series(key=key)
        if plan.keep_y:
            y0 = node.saved[len(plan.keep)]
            y.c[0] = given.handle_on(node, y0) if self.wrapped else y0
        if key is not None:
            self._memo[key] = (y, xs)
        y.make = self.maker(op, xs, params, y, metas)
        return y

    def _again(self, node: Any, found: dict[Any, Series]) -> Series:
        """Through a function whose inside was not kept: it is run again."""
        variant = RECORDED_SWEEP if self.wrapped else PLAIN_SWEEP
        ys, floor = node.plan._again(node, variant)
        roots = [y._node for y in ys if y._node is not None]
        inside = {parent: found[parent] for parent in node.parents if parent in found}
        order, _ = graph.ancestry(roots, floor)
        self.through(order, inside, set(roots))
        parts = [inside[y._node].c if y._node in inside else None for y in ys]
        values = tuple([y if self.wrapped else y._data for y in ys])
        later = [
            tuple([None if c is None else c[k] for c in parts])
            for k in range(1, self.orders.count)
        ]
        return self.seed([values, *later])

    def _implied(self, node: Any, found: dict[Any, Series]) -> Series:
        """Through a solution of equations: every order follows from those below it."""
        plan, count = node.plan, self.orders.count
        operator, solve = plan.for_series(node, self.wrapped)
        known: list[Any] = [UNSET, *[None] * (count - 1)]
        total = [sum(index) for index in self.orders.indices]
        for order in range(1, total[-1] + 1):
            inside = {parent: found[parent] for parent in node.parents if parent in found}
            inside[operator.source] = self.seed(known)
            self.through(operator.order, inside, {operator.r._node})
            left = inside.get(operator.r._node)
            for k in range(1, count):
                if total[k] == order and left is not None and left.c[k] is not None:
                    known[k] = solve(left.c[k])
        y0 = node.saved[0]
        return self.seed([given.handle_on(node, y0) if self.wrapped else y0, *known[1:]])

    def _kept(self, value: Any, parent: Grad | None) -> Any:
        return wrap(value, GradArray, parent) if self.wrapped else value

    def through(self, order: Sequence[Grad], found: dict[Any, Series], wanted: set[Any]) -> None:
        """Series of `order` (oldest first), added to `found`; only those `wanted` stay in it.

        What a rule computed is kept while an operand of it may be met again.
        """
        last: dict[Any, int] = {}
        for n, node in enumerate(order):
            for parent in node.parents:
                if parent is not None:
                    last[parent] = n
        pending: dict[Any, list[tuple[Series, Any]]] = {}
        for n, node in enumerate(order):
            if node not in found:
                since = self.mark()
                y = self.at_node(node, found)
                if y is None:
                    continue
                for k in range(1, self.orders.count):
                    y.coefficient(k)
                moving = [p for p in node.parents if p in found]
                for watcher in mode.watchers:
                    came = [c for p in moving for c in found[p].c[1:]]
                    watcher.passed(node, came, y.c[1:], "in its series")
                latest = max(moving, key=last.__getitem__)
                pending.setdefault(latest, []).extend(self.cut(since))
                if any(c is not None for c in _parts(y.c[1:])):
                    found[node] = y
            for parent in node.parents:
                if parent is not None and last[parent] == n and parent not in wanted:
                    self.forget(pending.pop(parent, ()))
                    found.pop(parent, None)
        for made in pending.values():
            self.forget(made)


def moves(op: type[Kind], k: int, x: Any) -> bool:
    """Is operand k a series, and one that the op has a derivative along?"""
    if type(x) is not Series:
        return False
    rule = op.rule(k)
    return rule is not None and not (type(rule) in (int, float) and rule == 0)


def plus(total: Any, term: Any) -> Any:
    return term if total is None else total + term


def wrap_results(y: Any) -> Any:
    return tuple(map(wrap, y)) if isinstance(y, tuple) else wrap(y)


def _parts(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from value
        else:
            yield value


def _name_of(x: Any) -> Any:
    """What tells an operand from another one: its value if it is a number, else itself."""
    if isinstance(x, (int, float, complex, np.generic)) and x != 0:  # 0.0 and -0.0 are equal
        return type(x), x
    return id(x)


def _name_of_params(params: dict[str, Any]) -> Any:
    try:
        hash(named := tuple(sorted(params.items())))
    except TypeError:
        return id(params)
    return named


# The kinds --------------------------------------------------------------------------------------


def _in_form(make: Make, y: Series, metas: Any) -> Make:
    """`make` with its results brought to the shape and dtype of y, where these are known."""
    form = metas[0] if metas is not None else None
    if form is None and y.c[0] is not UNSET and not isinstance(y.c[0], tuple):
        form = (y.c[0].shape, y.c[0].dtype) if hasattr(y.c[0], "shape") else None
    if form is None:
        return make

    def formed(k: int) -> Any:
        c = make(k)
        return c if c is None or not hasattr(c, "dtype") else spread(c, form)

    return formed


def arguments(
    op: type[Kind], names: Sequence[str], xs: Sequence[Any], params: Any, y: Any, metas: Any
) -> list[Any]:
    """What a rule asks for by name."""
    operands = op.operand_names(len(xs))
    out: list[Any] = []
    for name in names:
        if name in operands:
            out.append(xs[operands.index(name)])
        elif name == "y":
            out.append(y)
        elif name.endswith("_like"):
            at = -1 if name == "y_like" else operands.index(name[:-5])
            out.append(Meta(*form_of(xs, y, metas, at)))
        else:
            out.append(params[name])
    return out


def form_of(xs: Sequence[Any], y: Any, metas: Any, k: int) -> Any:
    """(shape, dtype) of operand k, or of the result for k = -1."""
    if metas is not None and metas[k + 1] is not None:
        return metas[k + 1]
    x = y if k < 0 else xs[k]
    if type(x) is Series:
        x = next(c for c in x.c if c is not UNSET and c is not None)
    return (x.shape, x.dtype) if hasattr(x, "shape") else ((), np.asarray(x).dtype)


def _elementwise(
    walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any
) -> Make:
    factors: list[tuple[Series, Any]] = []

    def make(k: int) -> Any:
        if not factors:
            factors.extend(factors_of(op, xs, params, y, metas))
        return walk.chained(factors, k)

    return _in_form(make, y, metas)


def factors_of(
    op: Any, xs: Sequence[Any], params: Any, y: Any, metas: Any
) -> list[tuple[Series, Any]]:
    """The operands that move, each with its partial."""
    out = []
    for k, x in enumerate(xs):
        if moves(op, k, x):
            rule = op.rule(k)
            if isinstance(rule, Rule):
                rule = rule.fn(*arguments(op, rule.names, xs, params, y, metas))
                if op.beside is not None and all(type(other) is Series for other in xs):
                    rule = op.beside(rule, x)
            out.append((x, rule))
    return out


def _reduction(walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any) -> Make:
    factors: list[tuple[Series, Any]] = []

    def make(k: int) -> Any:
        if not factors:
            rule = op.rule(0)
            full = expand(y, params) if isinstance(rule, Rule) and "y" in rule.names else None
            factors.extend(factors_of(op, xs, params, full, metas))
        total = walk.chained(factors, k)
        return None if total is None else contract_axes(total, params)

    return _in_form(make, y, metas if op.keeps_y_form else None)


def _linear(walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any) -> Make:
    moving = [x for k, x in enumerate(xs) if k not in op.index and type(x) is Series]

    def argument(k: int, i: int, x: Any) -> Any:
        if i in op.index:
            return x
        value = x.coefficient(k) if type(x) is Series else None
        return np.zeros(*form_of(xs, y, metas, i)) if value is None else value

    def make(k: int) -> Any:
        if all(x.coefficient(k) is None for x in moving):
            return None
        return walk.compute(op, [argument(k, i, x) for i, x in enumerate(xs)], params)

    return make


def _multilinear(
    walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any
) -> Make:
    moving = [i for i, x in enumerate(xs) if type(x) is Series]

    def make(k: int) -> Any:
        total = None
        for split in walk.orders.splits(k, len(moving)):
            args = list(xs)
            for i, order in zip(moving, split):
                args[i] = xs[i].coefficient(order)
                if args[i] is None:
                    break
            else:
                total = plus(total, walk.compute(op, args, params))
        return total

    return make


# Nodes that are no application of an op, and what gives their series.
NODES: dict[type[Grad], Callable[[Walk, Any, dict[Any, Series]], Series | None]] = {
    RecomputedGrad: Walk._again,
    ImpliedGrad: Walk._implied,
}

KINDS: dict[type[Kind], Callable[..., Make]] = {
    Elementwise: _elementwise,
    Reduction: _reduction,
    Linear: _linear,
    Multilinear: _multilinear,
}
