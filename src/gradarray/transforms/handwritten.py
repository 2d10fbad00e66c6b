r"""custom_gradient: a function that brings its own pull.

The function is recorded on aliases of its arguments, and one node stands for it on the graph. What
its pull takes from inside (an argument, an intermediate value) stays on that inner record, so that
a recorded sweep differentiates the rule itself. The pull is linear in its cotangent: a push, and
a step of a series, is its reverse sweep, taken at zero.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import custom, tree
from ..algebra import given
from ..array import GradArray, data_of, lift, wrap
from ..errors import GraphError, RuleError, check_function, message
from ..graph import mode, next_seq
from ..ops.control import alias
from ..ops.layout import moveaxis
from ..plan import RECORDED_SWEEP
from ..project import at_end, project, spread
from ..record import handle_on
from .batch import Level, base, insert_level, later_levels, levels_of
from .checkpoint import captured_by, recording_here
from .operator import inside, on_levels
from .whole import Way, WholeGrad

Form = tuple[tuple[int, ...], Any]


class HandwrittenGrad(WholeGrad, internal=True):
    """One call of such a function."""

    __slots__ = ()
    name = "custom_gradient"


class Handwritten(Way):
    """The user's pull is called; its reverse sweep is the push."""

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        pull: Callable[[list[GradArray]], list[Any]],
        xs: Sequence[GradArray],
        y_forms: list[Form],
        levels: tuple[Level, ...],
    ) -> None:
        super().__init__()
        self.op = SimpleNamespace(name=name, operands=tuple(names), library=False)
        self.rule, self.xs, self.levels, self.y_forms = pull, xs, levels, y_forms

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        bars = self._bars([c if isinstance(c, GradArray) else wrap(c) for c in y_bar])[1]
        raw = variant != RECORDED_SWEEP
        return tuple([bar._data if raw and bar is not None else bar for bar in bars])

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        found = self.pushed(x_dots)
        return tuple(
            np.zeros(*form) if dot is None else spread(dot, form)
            for dot, form in zip(found, node.metas[0], strict=True)
        )

    def pushed(self, x_dots: Sequence[Any]) -> list[Any]:
        """The tangents of the results (None: 0), by the transposed pull."""
        y_bars, x_bars = self._bars([wrap(np.zeros(*form)) for form in self.y_forms])
        pairs = [
            (bar, dot)
            for bar, dot in zip(x_bars, x_dots, strict=True)
            if bar is not None and dot is not None
        ]
        return given.pull_through([p[0] for p in pairs], [p[1] for p in pairs], y_bars)

    def _bars(self, y_bars: list[GradArray]) -> tuple[list[GradArray], list[Any]]:
        """The user's pull: aliases of the cotangents that it was given, and what it gave.

        Outside, the examples of the vmaps that ran when the function was called are leading axes,
        and those of later ones are handles; the user sees one example of both.
        """
        later = later_levels(y_bars)
        known = len(self.levels)
        mine = [Level(v.size, known + n, v.randomness) for n, v in enumerate(later)]
        levels = (*self.levels, *mine)
        ahead, behind = tuple(range(len(later))), tuple(range(known, known + len(later)))
        with custom._rule_recording(self.op):
            probes = [_probe(c, later) for c in y_bars]
            turned = [moveaxis(c, ahead, behind) if later else c for c in probes]
            with inside(levels):
                found = self._called([on_levels(c, levels) for c in turned], probes)
            if later:
                found = [
                    c if c is None else on_levels(moveaxis(c, behind, ahead), later) for c in found
                ]
        return probes, found

    def _called(self, y_bars: list[GradArray], probes: list[GradArray]) -> list[Any]:
        """What the user's pull gives for each argument, with the examples as leading axes."""
        out: list[Any] = []
        results = self.rule([at_end(c) for c in y_bars])
        metas = [[(c.shape, c.dtype) for c in y_bars], *((x.shape, x.dtype) for x in self.xs)]
        for k, (result, x) in enumerate(zip(results, self.xs, strict=True)):
            if result is not None:
                custom._check_connected(self.op, "pull", result, tuple(probes))
                custom._check_bar(self.op, k, result, metas)
                result = project(at_end(result), (x.shape, x.dtype))
                result = base(given.on_all_levels(result))
            out.append(result)
        return out


def _probe(c: GradArray, later: tuple[Level, ...]) -> GradArray:
    """An alias of a cotangent, with the examples of all later vmaps as leading axes."""
    for level in later:
        c = c if level in levels_of(c) else insert_level(c, level)
    c = base(c)
    return alias(c) if c.dtype.kind in "fc" else c


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    r"""f with a reverse rule of its own: f(*args) returns (y, pull), the decorated function y.

    `pull(y_bar)` gives \bar x = (dy/dx)^T \bar y, for several arguments a tuple of them, each in
    its argument's structure; None where there is no derivative. It is written in gradarray
    functions and may use whatever f computed; higher derivatives are those of what it computes.
    The push and the series are derived from it, so that every transform works, to any order.
    Raises RuleError where pull's result has the wrong shape or is not connected to y_bar,
    GraphError where f uses an array from around it that requires a gradient. (A class derived
    from `ga.Grad` names what is kept, and may declare a push.)

    >>> import gradarray as ga
    >>> @ga.custom_gradient
    ... def log1pexp(x):
    ...     e = ga.exp(x)
    ...     return ga.log(1 + e), lambda y_bar: y_bar * (1 - 1 / (1 + e))
    >>> ga.grad(log1pexp)(100.0)
    GradArray(1., dtype=float64)
    """
    check_function(f, "custom_gradient")
    name = getattr(f, "__name__", type(f).__name__)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def called(*args: Any, **kwargs: Any) -> Any:
        leaves, form = tree.flatten(args)
        if mode.raw or not mode.grad:
            return _pair(name, f(*args, **kwargs))[0]
        leaves = [lift(x) if isinstance(x, (float, np.ndarray)) else x for x in leaves]
        at = [k for k, x in enumerate(leaves) if isinstance(x, GradArray) and x._node is not None]
        own = [given.on_all_levels(leaves[k]) for k in at]
        parents = tuple([base(x)._node for x in own])
        floor = next_seq()
        xs = [alias(x) for x in own]
        for k, x in zip(at, xs, strict=True):
            leaves[k] = x
        with recording_here():
            y, pull = _pair(name, f(*tree.unflatten(form, leaves), **kwargs))
        parts, y_form = tree.flatten(y)
        ys = [lift(part, name) for part in parts]
        _check_captured(name, ys, floor, parents)
        if not at:
            return tree.unflatten(y_form, ys)

        def rule(y_bars: list[GradArray]) -> list[Any]:
            found = _by_leaf(name, pull(tree.unflatten(y_form, y_bars)), form)
            return [found[k] for k in at]

        values = tuple([data_of(base(given.on_all_levels(y))) for y in ys])
        names = _paths(f, form)
        node = HandwrittenGrad()
        node.parents = parents
        node.saved = values
        node.params = {}
        node.form = None
        forms = [(value.shape, value.dtype) for value in values]
        node.metas = (forms, *((base(x).shape, x.dtype) for x in xs))
        node.plan = Handwritten(  # type: ignore[assignment]
            name, [names[k] for k in at], rule, xs, forms, mode.levels
        )
        node.seq = next_seq()
        results = handle_on(node, values)
        return tree.unflatten(y_form, [on_levels(r, mode.levels) for r in results])

    return called


def _pair(name: str, result: Any) -> tuple[Any, Callable[..., Any]]:
    pair = isinstance(result, (tuple, list)) and len(result) == 2 and callable(result[1])
    if not pair or result[0] is None:
        many = isinstance(result, (tuple, list))
        came = ", ".join(
            "GradArray" if isinstance(part, GradArray) else type(part).__name__
            for part in (result if many else [result])
        )
        raise RuleError(
            message(
                name,
                f"returned {came}, not (y, pull).",
                "pull(y_bar) is a function that gives the cotangents of the arguments.",
            )
        )
    return result[0], result[1]


def _check_captured(
    name: str, ys: Sequence[GradArray], floor: int, parents: Sequence[Any]
) -> None:
    """What f uses from around it would have a derivative of 0 without a word."""
    captured = captured_by(map(base, ys), floor, parents)
    if captured:
        makers = ", ".join(sorted({node.name for node in captured}))
        raise GraphError(
            message(
                name,
                f"uses arrays that require a gradient ({len(captured)}, made by {makers}) and are "
                "no arguments of it: its pull says nothing of them.",
                "Give them as arguments, or as constants: ga.stop_gradient(w).",
            )
        )


def _by_leaf(name: str, result: Any, form: tree.Structure) -> list[Any]:
    """What a pull gave, one cotangent or None for every leaf of the arguments."""
    count = len(form.children)
    if count == 1 and not (
        isinstance(result, tuple) and len(result) == 1 and form.children[0].kind is None
    ):
        result = (result,)
    if not isinstance(result, (tuple, list)) or len(result) != count:
        came = len(result) if isinstance(result, (tuple, list)) else 1
        raise RuleError(message(name, f"its pull gave {came} cotangents for {count} arguments."))
    out: list[Any] = []
    for k, (part, child) in enumerate(zip(result, form.children, strict=True)):
        leaves, came = ([None] * len(tree.paths(child)), child) if part is None else (
            tree.flatten(part)
        )
        if came != child:
            raise RuleError(
                message(
                    name,
                    f"its pull gave {tree.describe(came)} for argument {k}, expected "
                    f"{tree.describe(child)}.",
                )
            )
        out += leaves
    return out


def _paths(f: Callable[..., Any], form: tree.Structure) -> list[str]:
    """What to call every leaf of the arguments."""
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        names = []
    names += [f"argument {k}" for k in range(len(names), len(form.children))]
    return [n + path for n, child in zip(names, form.children) for path in tree.paths(child)]
