r"""Hand-written ops on power series: the push rule, run on the series of its operands.

\dot y = push(x, y, \dot x) holds along every curve x(t), so with the series of x, of y itself and
of x' in place of the arrays the rule gives the series of y'. Where only a pull is declared, its
transpose is recorded once, and the series go through that record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import custom, graph
from ..algebra import given
from ..array import GradArray, wrap
from ..custom import Custom
from ..errors import RuleError, message
from ..graph import Meta
from ..project import spread
from .handwritten import HandwrittenGrad
from .series import KINDS, MISSING, NODES, UNSET, Make, Series, Walk, arguments, form_of, moves


def _custom(
    walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any
) -> Make:
    slopes: dict[int, Any] = {}  # the series of y' along each direction, a tuple for several y
    forms = metas[0] if metas is not None else _forms(y.c[0])

    def make(k: int) -> Any:
        i, divisor, below = walk.orders.lower[k]
        if i not in slopes:
            run = _pushed if op.push_rule is not None else _transposed
            slopes[i] = run(walk, op, xs, params, y, metas, i)
        slope = slopes[i]
        if isinstance(slope, tuple):
            parts = [_coefficient(s, below, divisor, f) for s, f in zip(slope, forms, strict=True)]
            return None if all(p is None for p in parts) else tuple(parts)
        return _coefficient(slope, below, divisor, forms)

    return make


KINDS[Custom] = _custom


def _forms(y0: Any) -> Any:
    parts = [(part.shape, part.dtype) for part in (y0 if isinstance(y0, tuple) else (y0,))]
    return parts if isinstance(y0, tuple) else parts[0]


def _coefficient(slope: Series, k: int, divisor: int, form: Any) -> Any:
    c = slope.coefficient(k)
    if c is None:
        return None
    return spread(c if divisor == 1 else c / divisor, form)


def slope_of(walk: Walk, x: Series, i: int, form: Any) -> Series:
    """The series of the derivative along direction i: (a_i + 1) x_{a + e_i}."""

    def make(k: int) -> Any:
        above = walk.orders.raised(k, i)
        if above is None:  # beyond the orders of this walk: nothing asks for it
            return None
        factor, at = above
        value = x.coefficient(at)
        return value if value is None or factor == 1 else value * factor

    first = make(0)
    return walk.series(np.zeros(*form) if first is None else first, make)


def _pushed(
    walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any, i: int
) -> Any:
    """The series of y', by the declared push."""
    dots: dict[str, Any] = {}
    for k, (name, x) in enumerate(zip(op.operands, xs, strict=True)):
        if f"{name}_dot" in op.push_rule.names:
            form = form_of(xs, y, metas, k)
            if moves(op, k, x):
                dots[f"{name}_dot"] = slope_of(walk, x, i, form)
            else:
                still = [np.zeros(*form)] + [None] * (walk.orders.count - 1)
                dots[f"{name}_dot"] = walk.seed(still)
    names = [n for n in op.push_rule.names if n not in dots]
    values = dict(zip(names, arguments(op, names, xs, params, _by_parts(walk, y), metas)))
    with _users(op, "push"):
        values = {n: _for_user(op, v) for n, v in values.items()}
        slope = op.push_rule.fn(*(dots[n] if n in dots else values[n] for n in op.push_rule.names))
    forms = metas[0] if metas is not None else _forms(y.c[0])
    _check(op, slope, forms, [dot.shape for dot in dots.values()])
    return slope


def _by_parts(walk: Walk, y: Series) -> Any:
    """What a rule calls y: a tuple where the op has several results."""
    return walk.parts_of(y, len(y.c[0])) if isinstance(y.c[0], tuple) else y


def _for_user(op: Any, value: Any) -> Any:
    if op.library or not isinstance(value, (np.ndarray, np.generic)):
        return value
    return wrap(value)


@contextlib.contextmanager
def _users(op: Any, rule: str) -> Any:
    """A user's rule, which must be made of library functions."""
    if op.library:
        yield
        return
    try:
        with custom._rule_recording(op):
            yield
    except (TypeError, AttributeError) as error:
        raise RuleError(
            message(
                op.name,
                f"its rule `{rule}` cannot run on power series: {error}.",
                "Write the rule in gradarray functions (ga.exp, not np.exp; no .numpy()).",
            )
        ) from error


def _check(op: Any, slope: Any, forms: Any, smaller: list[Any]) -> None:
    parts = slope if isinstance(slope, tuple) else (slope,)
    for part in parts:
        if type(part) is not Series:
            raise RuleError(
                message(
                    op.name,
                    "the result of its rule `push` is not connected to what it was given.",
                    "Write the rule in gradarray functions (ga.exp, not np.exp; no .numpy()).",
                )
            )
    if not op.library:
        for part, form in zip(parts, forms if isinstance(forms, list) else [forms], strict=False):
            custom._check_shape(op, "push", "the result", part, form[0], smaller=smaller)


# Where only a pull is declared --------------------------------------------------------------------


def _transposed(
    walk: Walk, op: Any, xs: Sequence[Any], params: Any, y: Series, metas: Any, i: int
) -> Any:
    """The series of y', through the record of the transposed pull."""
    seeds: dict[Any, Series] = {}

    def entered(series: Series) -> GradArray:
        return _entered(series, seeds)

    values: dict[str, Any] = dict(params)
    forms = [form_of(xs, y, metas, k) for k in range(len(xs))]
    y_form = metas[0] if metas is not None else _forms(y.c[0])
    with custom._library_arrays(), graph.recording():
        for name, x, form in zip(op.operands, xs, forms, strict=True):
            values[f"{name}_like"] = Meta(*form)
            if name in op.pull_rule.names and x is not MISSING:
                moving = type(x) is Series and x.c[0].dtype.kind in "fc"
                values[name] = entered(x) if moving else _handle(x)
        values["y_like"] = custom._part_like(y_form, lambda f: Meta(*f))
        if "y" in op.pull_rule.names:
            parts = _by_parts(walk, y)
            values["y"] = custom._part(parts, entered)
        dots = [
            entered(slope_of(walk, x, i, form)) if moves(op, k, x) else None
            for k, (x, form) in enumerate(zip(xs, forms, strict=True))
        ]
        with contextlib.nullcontext() if op.library else custom._rule_recording(op):
            y_bar = custom._part_like(y_form, lambda f: custom._probe(np.zeros(*f)))
            x_bars = custom._call_pull(op, y_bar, values)
            custom._check_count(op, x_bars)
            pairs = []
            for k, (x_bar, dot) in enumerate(zip(x_bars, dots, strict=True)):
                if dot is not None and x_bar is not None:
                    custom._check_connected(op, "backward", x_bar, y_bar)
                    custom._check_bar(op, k, x_bar, [y_form, *forms])
                    pairs.append((x_bar, dot))
            targets = list(y_bar) if isinstance(y_bar, tuple) else [y_bar]
            found = given.pull_through([p[0] for p in pairs], [p[1] for p in pairs], targets)
    slopes = [_through_record(walk, y_dot, seeds) for y_dot in found]
    return tuple(slopes) if isinstance(y_bar, tuple) else slopes[0]


def _entered(series: Series, seeds: dict[Any, Series]) -> GradArray:
    """An alias of a series' value, by which a record that starts from it is known."""
    c0 = series.c[0]
    alias = given.alias(c0 if isinstance(c0, GradArray) else wrap(c0))
    seeds[alias._node] = series
    return alias


def _handle(x: Any) -> Any:
    return x if isinstance(x, GradArray) else wrap(x)


def _through_record(walk: Walk, y_dot: Any, seeds: dict[Any, Series]) -> Series:
    """The series of a recorded value, for the series of the aliases that it was made from."""
    nothing = [None] * (walk.orders.count - 1)
    if y_dot is None or y_dot._node is None:
        return walk.seed([0.0 if y_dot is None else y_dot._data, *nothing])
    order, _ = graph.ancestry([y_dot._node], min(node.seq for node in seeds))
    found = dict(seeds)
    built: list[Series] = []
    for node in order:
        if node not in found:
            series = walk.at_node(node, found)
            if series is not None:
                found[node] = series
                built.append(series)
    root = found.get(y_dot._node)
    c0 = y_dot if walk.wrapped else y_dot._data
    if root is None:
        return walk.seed([c0, *nothing])

    def make(k: int) -> Any:
        for series in built:  # oldest first, so that nothing recurses through the whole record
            series.coefficient(k)
        return root.coefficient(k)

    if root.c[0] is UNSET:
        root.c[0] = c0
    return walk.series(root.c[0], make)


# A function with a pull of its own ----------------------------------------------------------------


def _handwritten(walk: Walk, node: Any, found: dict[Any, Series]) -> Series:
    """The rule is on the function's inner record, whose aliases the arguments' series enter."""
    plan, forms = node.plan, node.metas[0]
    xs = [found.get(parent) for parent in node.parents]
    inner: dict[Any, Series] = {}
    for x, handle, parent in zip(xs, plan.xs, node.parents, strict=True):
        if x is not None:
            if x.c[0] is UNSET:
                x.c[0] = walk._kept(handle._base()._data, parent)
            inner[handle._node] = x
    slopes: dict[int, list[Series]] = {}

    def slopes_along(i: int) -> list[Series]:
        seeds = dict(inner)
        with custom._library_arrays(), graph.recording():
            dots = [
                None if x is None else _entered(slope_of(walk, x, i, form), seeds)
                for x, form in zip(xs, node.metas[1:], strict=True)
            ]
            return [_through_record(walk, y_dot, seeds) for y_dot in plan.pushed(dots)]

    def make(k: int) -> Any:
        i, divisor, below = walk.orders.lower[k]
        if i not in slopes:
            slopes[i] = slopes_along(i)
        pairs = zip(slopes[i], forms, strict=True)
        parts = tuple([_coefficient(s, below, divisor, form) for s, form in pairs])
        return None if all(part is None for part in parts) else parts

    y0 = node.saved
    return walk.series(given.handle_on(node, y0) if walk.wrapped else y0, make)


NODES[HandwrittenGrad] = _handwritten
