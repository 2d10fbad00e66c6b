r"""Recurrences of their own: for the ops whose partials would open a new series at every order.

Products and quotients are Cauchy's; a power satisfies x y' = n x' y. (Griewank & Walther,
"Evaluating Derivatives", 2nd ed., 2008, table 13.1.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import registry
from ..algebra import given
from ..array import GradArray
from ..ops.arithmetic import flat_at_0_inf
from ..ops.exponential import log, power
from ..ops.powers import square
from .series import RULES, UNSET, Make, OwnRule, Series, Walk, plus

_OPS: dict[str, Any] = dict(registry.ops)


def own_rule(*names: str) -> Callable[[OwnRule], OwnRule]:
    """Declare the recurrence of ops by their names."""

    def declare(rule: OwnRule) -> OwnRule:
        for name in names:
            RULES[_OPS[name]] = rule
        return rule

    return declare


@own_rule("multiply")
def _multiply(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    return _product(walk, xs[0], xs[1], walk.product, walk.absorbs)


@own_rule("absorb")
def _absorb(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    return _product(walk, xs[0], xs[1], given.absorb, True)


def _product(walk: Walk, a: Any, b: Any, product: Callable[..., Any], absorbs: bool) -> Make:
    if not absorbs or type(a) is not Series or type(b) is not Series:
        return lambda k: walk.convolved(a, b, k, product)

    def make(k: int) -> Any:
        total = walk.convolved(a, b, k, product)
        if total is None:
            return None
        return flat_at_0_inf(flat_at_0_inf(total, a.c[0], b.c[0]), b.c[0], a.c[0])

    return make


@own_rule("square")
def _square(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    return lambda k: squared(walk, xs[0], k)


def squared(walk: Walk, x: Series, k: int) -> Any:
    """Coefficient k of x^2."""
    total = None
    for i, j, twice in walk.orders.half[k]:
        xj = x.coefficient(j)
        if xj is not None and x.coefficient(i) is not None:
            total = plus(total, walk.product(x.times(i, 2) if twice else x.c[i], xj))
    return total


def _recurrence(walk: Walk, x: Series, y: Series, k: int) -> Any:
    """sum of x_b y_{k-b} over b > 0: what a division takes away."""
    total = None
    for b, c in walk.orders.products[k][1:]:
        xb = x.coefficient(b)
        if xb is not None:
            yc = y.coefficient(c)
            if yc is not None:
                total = plus(total, walk.product(xb, yc))
    return total


@own_rule("divide")
def _divide(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    r"""a = b y: y_k = (a_k - \sum_{j > 0} b_j y_{k-j}) / b_0."""
    a, b = xs
    inverse: list[Any] = []

    def make(k: int) -> Any:
        if not inverse:
            inverse.append(1 / (b.c[0] if type(b) is Series else b))
        rest = a.coefficient(k) if type(a) is Series else None
        if type(b) is Series:
            taken = _recurrence(walk, b, y, k)
            if taken is not None:
                rest = -taken if rest is None else rest - taken
        return None if rest is None else walk.product(rest, inverse[0])

    return make


@own_rule("reciprocal")
def _reciprocal(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    def make(k: int) -> Any:
        taken = _recurrence(walk, xs[0], y, k)
        return None if taken is None else walk.product(-taken, y.c[0])

    return make


@own_rule("where")
def _where(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make:
    """The condition is of order 0; what is not chosen is exactly 0, whatever it is."""

    def make(k: int) -> Any:
        parts = [x.coefficient(k) if type(x) is Series else None for x in xs[1:]]
        if all(p is None for p in parts):
            return None
        return walk.compute(_OPS["where"], [xs[0], *(0 if p is None else p for p in parts)], {})

    return make


# Powers -----------------------------------------------------------------------------------------


@own_rule("fixed_power")
def _fixed_power(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make | None:
    return _fixed(walk, xs[0], params["n"], y, lambda x: x ** params["n"])


@own_rule("power")
def _power(walk: Walk, xs: Sequence[Any], params: Any, y: Series) -> Make | None:
    a, b = xs
    if type(b) is Series:
        if type(a) is Series and _all(a.c[0], lambda x: x > 0):
            z: Any = b * log(a)
            return lambda k: walk.chained([(z, y)], k)  # y = e^z: y' = y z'
        return None
    n = b if _number(b) is None else _number(b)
    return _fixed(walk, a, n, y, lambda x: x**n)


def _number(b: Any) -> float | None:
    """The exponent as a Python number, if it is one real number and stays one."""
    if isinstance(b, GradArray) and b._node is None:
        b = b._data
    if isinstance(b, np.generic):
        b = b.item()
    return b if isinstance(b, (int, float)) else None


def _fixed(
    walk: Walk, x: Series, n: Any, y: Series, of: Callable[[Any], Any]
) -> Make | None:
    """x^n, n a constant: products if it is whole and not negative, exact where x is 0."""
    if isinstance(n, (int, float)) and n >= 0 and n == int(n):
        return _whole_power(walk, x, int(n))
    if not _all(x.c[0], lambda x: x != 0):
        return None  # through n x^(n-1), which knows what is infinite at 0
    if y.c[0] is UNSET:
        y.c[0] = of(x.c[0])
    return _scaled_power(walk, x, n, y)


def _whole_power(walk: Walk, x: Series, n: int) -> Make:
    """By repeated squaring."""
    if n == 0:
        return lambda k: None
    if n == 1:
        return x.coefficient
    half: Any = power(x, n // 2) if n > 3 else x
    if n % 2 == 0:
        return lambda k: squared(walk, half, k)
    rest: Any = square(half)
    return lambda k: walk.convolved(rest, x, k, walk.product)


def _scaled_power(walk: Walk, x: Series, n: Any, y: Series) -> Make:
    r"""a_i x_0 y_a = \sum_{b > 0} (n b_i - c_i) x_b y_c, c = a - b; n a number or an array."""
    orders = walk.orders
    inverse: list[Any] = []

    def make(k: int) -> Any:
        if not inverse:
            inverse.append(1 / x.c[0])
        i, divisor, _ = orders.lower[k]
        grown = taken = None
        for b, c in orders.products[k][1:]:
            xb = x.coefficient(b)
            yc = y.coefficient(c) if xb is not None else None
            if yc is None:
                continue
            term = walk.product(xb, yc)
            if orders.indices[b][i]:
                grown = plus(grown, term * orders.indices[b][i])
            if orders.indices[c][i]:
                taken = plus(taken, term * orders.indices[c][i])
        if grown is None and taken is None:
            return None
        total = grown * n if grown is not None else None
        if taken is not None:
            total = -taken if total is None else total - taken
        total = walk.product(total, inverse[0])
        return total if divisor == 1 else total / divisor

    return make


def _all(x: Any, condition: Callable[[Any], Any]) -> bool:
    """Does the condition hold for every value? Powers of negative numbers and of 0 are special."""
    data = x._data if isinstance(x, GradArray) else x
    return bool(np.all(condition(data))) if data.dtype.kind != "c" else not np.any(data == 0)
