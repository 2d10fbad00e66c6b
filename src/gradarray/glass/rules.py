"""Rules by which a formula is made to read well: for each op, what to put in its place.

`RULES` hold to the last digit but for rounding; `TEXTBOOK` for those who read, not for computing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .expr import Expr, is_op, number, op, plain

Rewriting = Callable[[Expr], "Expr | None"]


def _same_form(e: Expr) -> Expr | None:
    """Reshaping, broadcasting or casting to what it is already."""
    x = e.args[0]
    if x.value is None or e.value is None or x.is_number:
        return None
    same = np.shape(x.value) == np.shape(e.value)
    return x if same and _dtype(x.value) == _dtype(e.value) else None


def _dtype(value: Any) -> Any:
    return getattr(value, "dtype", type(value))


def _conj(e: Expr) -> Expr | None:
    kind = getattr(_dtype(e.args[0].value), "kind", "c")
    return e.args[0] if kind != "c" else None


def _number_in_form(e: Expr) -> Expr | None:
    return e.args[0] if e.args[0].is_number else _same_form(e)


def _reshape(e: Expr) -> Expr | None:
    x = e.args[0]
    inner = x.args[0].value if is_op(x, "sum") and x.params["keepdims"] else None
    if inner is not None and np.ndim(inner):
        gone = {a % np.ndim(x.args[0].value) for a in x.params["axis"]}
        left = tuple(n for k, n in enumerate(np.shape(x.args[0].value)) if k not in gone)
        if left == tuple(e.params["shape"]):
            return Expr(x.op, x.args, {**x.params, "keepdims": False}, e.value)
    if is_op(x, "reshape", "expand_dims") or x.is_number:
        return x if x.is_number else Expr(e.op, x.args, e.params, e.value)
    return _same_form(e)


def _broadcast(e: Expr) -> Expr | None:
    x = e.args[0]
    while is_op(x, "expand_dims", "reshape", "broadcast_to") and np.size(x.value) == 1:
        x = x.args[0]
    if x is not e.args[0] and x.value is not None and not np.ndim(x.value):
        return x if x.is_number else Expr(e.op, (x,), e.params, e.value)
    return _number_in_form(e)


def _transpose(e: Expr) -> Expr | None:
    axes, x = e.params["axes"], e.args[0]
    if list(axes) == sorted(axes):
        return x
    if is_op(x, "transpose"):
        inner = x.params["axes"]
        return Expr(e.op, x.args, {"axes": tuple(inner[a] for a in axes)}, e.value)
    return None


def _first(e: Expr) -> Expr:
    return e.args[0]


RULES: dict[str, Rewriting] = {
    "positive": _first,
    "copy": _first,
    "astype": _number_in_form,
    "real": _same_form,
    "conj": _conj,
    "broadcast_to": _broadcast,
    "expand_dims": _number_in_form,
    "reshape": _reshape,
    "transpose": _transpose,
    "share_of_exp": lambda e: op("exp", op("subtract", *e.args)),
}


def _where(e: Expr) -> Expr | None:
    condition = e.args[0]
    if condition.is_number:
        return e.args[1] if condition.value else e.args[2]
    return None


def _known(function: Callable[[Any, Any], Any]) -> Rewriting:
    """A comparison of two numbers is known."""

    def rule(e: Expr) -> Expr | None:
        a, b = e.args
        return number(bool(function(a.value, b.value))) if a.is_number and b.is_number else None

    return rule


def _and(e: Expr) -> Expr | None:
    for one, other in (e.args, e.args[::-1]):
        if one.is_number:
            return other if one.value else number(False)
    return None


RULES |= {
    "where": _where,
    "logical_and": _and,
    "equal": _known(operator.eq),
    "greater": _known(operator.gt),
    "greater_equal": _known(operator.ge),
    "less": _known(operator.lt),
    "less_equal": _known(operator.le),
}

# What a book writes -------------------------------------------------------------------------------

PI = Expr(None, value=math.pi, name="π")


def _root(x: Any) -> Expr:
    return op("sqrt", x)


_CONSTANTS: dict[float, Expr] = {
    math.pi: PI,
    -math.pi: op("negative", PI),
    math.log(2): op("log", 2),
    1 / math.log(2): op("reciprocal", op("log", 2)),
    1 / math.log(10): op("reciprocal", op("log", 10)),
    2 / math.sqrt(math.pi): op("divide", 2, _root(PI)),
    math.sqrt(math.pi) / 2: op("divide", _root(PI), 2),
    1 / math.sqrt(2 * math.pi): op("reciprocal", _root(op("multiply", 2, PI))),
    math.sqrt(2 / math.pi): op("divide", _root(2), _root(PI)),
    math.sqrt(0.5): op("reciprocal", _root(2)),
    -math.sqrt(0.5): op("negative", op("reciprocal", _root(2))),
    math.pi / 180: op("divide", PI, 180),
    180 / math.pi: op("divide", 180, PI),
}


def named_constant(e: Expr) -> Expr:
    """A number with a name."""
    value = e.value
    if isinstance(value, (np.floating, np.ndarray)) and _dtype(value) == np.float64:
        value = float(value)
    return _CONSTANTS.get(value, e) if isinstance(value, float) else e


def _square(e: Expr) -> Expr | None:
    """sech(x)^2 is 1 - tanh(x)^2; sech(x/2)^2 / 4 is s (1 - s) where s = sigmoid(x)."""
    if not is_op(e.args[0], "sech"):
        return None
    x = e.args[0].args[0]
    if is_op(x, "multiply") and x.args[0].is_number and plain(2 * x.args[0].value) == 1:
        s = op("sigmoid", x.args[1])
        return op("multiply", op("multiply", 4, s), op("subtract", 1, s))
    return op("subtract", 1, op("square", op("tanh", x)))


def _sigmoid(e: Expr) -> Expr | None:
    x = e.args[0]
    return op("subtract", 1, op("sigmoid", x.args[0])) if is_op(x, "negative") else None


def _hypot(e: Expr) -> Expr:
    a, b = e.args
    return _root(op("add", op("square", a), op("square", b)))


def _guarded(e: Expr) -> Expr | None:
    """Without the one point where a value was put in by hand."""
    condition = e.args[0]
    points = condition.args if is_op(condition, "logical_and") else (condition,)
    guard = any(is_op(one, "equal") and one.args[1].is_number for one in points)
    return e.args[2] if guard and e.args[1].is_number else _where(e)


def _one_for_all(e: Expr) -> Expr | None:
    """A single number needs no broadcasting to be multiplied."""
    x = e.args[0]
    return x if x.value is not None and not np.ndim(x.value) else _broadcast(e)


def _gauss(e: Expr) -> Expr:
    return op("exp", op("negative", op("multiply", e.params["c"], op("square", e.args[0]))))


TEXTBOOK: dict[str, Rewriting] = {
    "broadcast_to": _one_for_all,
    "gauss": _gauss,
    "share": lambda e: op("greater", *e.args),
    "square": _square,
    "sigmoid": _sigmoid,
    "cosquare": lambda e: op("subtract", 1, op("square", e.args[0])),
    "finite_power": lambda e: op("power", *e.args[:2]),
    "hypot": _hypot,
    "direction": lambda e: op("divide", e.args[0], op("hypot", *e.args)),
    "where": _guarded,
}
