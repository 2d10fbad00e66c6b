"""What a node does on the way back, as expressions: the pull of its op, run on names.

The recorded pull of an elementwise op is the product of what comes in and a factor, its local
derivative, summed over broadcast axes; of a linear one it is the transpose of what comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import graph
from ..algebra import Elementwise
from ..array import GradArray, wrap
from ..graph import Grad
from ..plan import RECORDED_SWEEP
from ..transforms.whole import WholeGrad
from .expr import Expr, Recorder, distinct, name, number
from .record import Made

LONG = 40  # ops of a rule that are still a formula to be read

_PROJECTIONS = frozenset({"sum", "reshape", "astype", "real", "broadcast_to", "expand_dims"})
_PRODUCTS = frozenset({"absorb", "multiply"})


@dataclass(frozen=True)
class Pulled:
    """What goes to one operand: `whole`, an expression in what came in and in the operands.

    It is `factor` times what came in where the op is pointwise; otherwise `factor` is None.
    `projections` are the ops after that: sums over broadcast axes, casts.
    """

    whole: Expr
    core: Expr
    factor: Expr | None
    projections: tuple[Expr, ...] = field(default=())


def pulled(
    node: Any,
    came: Expr,
    came_raw: Any,
    operands: list[Expr],
    y: Expr | tuple[Expr, ...],
    made: Made | None = None,
) -> list[Pulled | None]:
    """What the pull of `node` gives each operand, None where it has no derivative.

    Where a sweep has freed what the node kept, it is taken from what was seen when it was made.
    """
    if isinstance(node, WholeGrad):
        return _opaque(node, came)
    recorder = Recorder()
    twin = _twin(node, operands, y, recorder, made)
    c = _incoming(came, came_raw, recorder)
    with graph.recording(), graph.watching(recorder), np.errstate(all="ignore"):
        bars = node.plan.pulls[RECORDED_SWEEP](twin, c)
    is_pointwise = isinstance(node, Elementwise)
    wholes = [None if bar is None else recorder.of(bar) for bar in bars]
    return [None if one is None else _taken_apart(one, came, is_pointwise) for one in wholes]


def _opaque(node: Any, came: Expr) -> list[Pulled | None]:
    """A whole function walks back in its own way, of which only its name is told."""
    own = getattr(getattr(node.plan, "op", None), "name", "") or node.name
    several = sum(parent is not None for parent in node.parents) > 1
    wholes = [
        None if parent is None else name(f"{own}.pull({came.name})" + (f"[{k}]" if several else ""))
        for k, parent in enumerate(node.parents)
    ]
    return [None if one is None else Pulled(one, one, None) for one in wholes]


def _incoming(came: Expr, raw: Any, recorder: Recorder) -> Any:
    if isinstance(raw, (tuple, list)):
        parts = []
        for k, part in enumerate(raw):
            one = Expr(None, value=part, name=f"{came.name}[{k}]")
            parts.append(_on_graph(recorder.know(distinct(part), one)))
        return tuple(parts)
    return _on_graph(recorder.know(distinct(raw), came))


def _on_graph(raw: Any) -> GradArray:
    handle = wrap(raw)
    handle._node = graph.leaf(handle)
    return handle


def _twin(
    node: Any, operands: list[Expr], y: Any, recorder: Recorder, made: Made | None
) -> Grad:
    """A node of the same op on the same values, which are known by their names."""
    twin = type(node)()
    twin.plan, twin.params, twin.metas = node.plan, node.params, node.metas
    twin.form, twin.seq, twin.parents = node.form, node.seq, node.parents
    plan = node.plan
    kept = node.saved
    if kept is None and made is not None and hasattr(plan, "fill"):
        plan.fill(twin, *made.raw, made.y)
        kept = twin.saved
    if kept is None or not hasattr(plan, "where_saved"):
        twin.saved = kept
        return twin
    values = [_distinct(x) for x in kept]
    for k, at in plan.where_saved.items():
        recorder.know(values[at], operands[k])
    if plan.keep_y:
        last = values[len(plan.keep)]
        pairs = zip(last, y, strict=True) if type(last) is tuple else [(last, y)]
        for raw, expr in pairs:
            recorder.know(raw, expr)
    twin.saved = tuple(values)
    return twin


def _distinct(x: Any) -> Any:
    if type(x) is tuple:
        return tuple([_distinct(part) for part in x])
    return distinct(x) if isinstance(x, (np.ndarray, np.generic, int, float)) else x


def _taken_apart(whole: Expr, came: Expr, is_pointwise: bool) -> Pulled:
    core, projections = whole, []
    while core.op is not None and core.op.name in _PROJECTIONS and core.args:
        if core.args[0] is came and not is_pointwise:
            break  # it is the op's own transpose
        projections.append(core)
        core = core.args[0]
    factor = _factor(core, came)
    return Pulled(whole, core, factor, tuple(reversed(projections)))


def _factor(core: Expr, came: Expr) -> Expr | None:
    if core is came:
        return number(1)
    if core.op is None:
        return None
    if core.op.name == "negative" and core.args[0] is came:
        return number(-1)
    if core.op.name in _PRODUCTS:
        a, b = core.args
        if _is_expanded(a, came) and not _mentions(b, came):
            return b
        if _is_expanded(b, came) and not _mentions(a, came):
            return a
    return None


def _is_expanded(x: Expr, came: Expr) -> bool:
    """Is it what came in, perhaps with the axes that a reduction removed?"""
    while x.op is not None and x.op.name in ("expand_dims", "broadcast_to"):
        x = x.args[0]
    return x is came


def _mentions(x: Expr, one: Expr) -> bool:
    return x is one or any(_mentions(part, one) for part in x.args)
