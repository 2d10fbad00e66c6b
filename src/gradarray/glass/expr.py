"""Expressions: what an op, or a derivative rule, computes, with names in place of arrays.

A rule is written in library functions. Run on the values of one application and watched, it says
of itself what it computes: each op that it uses becomes a part of an expression, whose leaves are
the names of the values that went in. So a formula that is shown cannot differ from the rule that
was used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .. import graph, registry
from ..array import GradArray, wrap
from ..graph import Grad


class Expr:
    """A name, a constant, or an op of further expressions; `value` is what it is here."""

    __slots__ = ("args", "name", "op", "params", "value", "which")

    def __init__(
        self,
        op: type[Grad] | None,
        args: Sequence[Expr] = (),
        params: dict[str, Any] | None = None,
        value: Any = None,
        name: str = "",
        which: int | None = None,
    ) -> None:
        self.op, self.args, self.params = op, tuple(args), params or {}
        self.value, self.name, self.which = value, name, which

    @property
    def is_name(self) -> bool:
        return self.op is None and bool(self.name)

    @property
    def is_number(self) -> bool:
        """A constant of one element, such as 2 or -0.5."""
        return self.op is None and not self.name and np.ndim(self.value) == 0

    def __repr__(self) -> str:
        if self.op is None:
            return self.name or repr(self.value)
        return f"{self.op.name}({', '.join(map(repr, self.args))})"

    def count(self) -> int:
        """How many ops it has, each occurrence counted."""
        return folded(self, lambda e, counts: sum(counts) + (e.op is not None))


def folded(root: Expr, f: Callable[[Expr, list[Any]], Any]) -> Any:
    """f(expr, its results for the arguments), from the leaves up; a shared part is done once."""
    done: dict[int, Any] = {}
    stack = [root]
    while stack:
        one = stack[-1]
        missing = [part for part in one.args if id(part) not in done]
        if missing:
            stack += missing
            continue
        stack.pop()
        if id(one) not in done:
            done[id(one)] = f(one, [done[id(part)] for part in one.args])
    return done[id(root)]


def name(text: str, value: Any = None) -> Expr:
    return Expr(None, value=value, name=text)


def number(value: Any) -> Expr:
    return Expr(None, value=value)


def op(name: str, *args: Any, value: Any = None, **params: Any) -> Expr:
    """An application of a registered op; Python numbers among `args` become constants."""
    given = [x if isinstance(x, Expr) else number(x) for x in args]
    return Expr(registry.ops[name], given, params, value)


def is_op(e: Expr, *names: str) -> bool:
    return e.op is not None and e.op.name in names


def plain(value: Any) -> Any:
    """An integer where it is one, else as it is."""
    if np.ndim(value):
        return value
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, Fraction) and value.denominator != 1:
        return float(value)
    if not isinstance(value, (complex, np.complexfloating)) and math.isfinite(value):
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    return value


class Recorder:
    """A watcher under which ops on known arrays become expressions."""

    def __init__(self) -> None:
        self.sweeping = 0
        self._known: dict[int, Expr] = {}
        self._alive: list[Any] = []

    def know(self, raw: Any, expr: Expr) -> Any:
        """Arrays are known by identity, so this one must live as long as the recorder."""
        self._known[id(raw)] = expr
        self._alive.append(raw)
        return raw

    def of(self, x: Any) -> Expr:
        """The expression of an operand or a result."""
        if isinstance(x, Expr):
            return x
        raw = x._base()._data if isinstance(x, GradArray) else x
        found = self._known.get(id(raw)) if isinstance(raw, (np.ndarray, np.generic)) else None
        return number(raw) if found is None else found

    def forward(self, op: Any, raw: list[Any], params: dict[str, Any], y: Any) -> None:
        args = [self.of(x) for x in raw]
        if type(y) is tuple:
            for k, part in enumerate(y):
                self.know(part, Expr(op, args, params, part, which=k))
        else:
            self.know(y, Expr(op, args, params, y))

    def recorded(self, node: Grad) -> None:
        pass

    def passed(self, node: Grad, came: Any, went: Any, direction: str) -> None:
        pass


def recorded(
    function: Callable[..., Any], given: Iterable[tuple[Expr, Any]], *rest: Any
) -> Expr | tuple[Expr, ...]:
    """What `function(*handles, *rest)` computes of these named values."""
    recorder = Recorder()
    handles = [wrap(recorder.know(distinct(raw), expr)) for expr, raw in given]
    with graph.no_grad(), graph.watching(recorder), np.errstate(all="ignore"):
        y = function(*handles, *rest)
    if isinstance(y, tuple):
        return tuple(recorder.of(part) for part in y)
    return recorder.of(y)


def distinct(raw: Any) -> Any:
    """The same values as an object that nothing else is."""
    raw = np.asarray(raw)
    return raw.view() if raw.ndim else raw.dtype.type(raw[()])
