"""What is to be said of a value besides its number: honest states of rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..choices import by_op
from .story import Row

State = Literal[
    "not kept", "not required", "not reached", "freed", "subgradient", "saturated", "not finite"
]

# Of these the slope goes to 0 as the operand grows: where nearly all of it has, nothing is learnt.
_BOUNDED = frozenset({
    "arctan", "clip", "erf", "hard_sigmoid", "hard_tanh", "hardtanh", "relu6", "sigmoid", "softmax",
    "softsign", "tanh", "expit",
})  # fmt: skip
FLAT = 0.01  # a slope below this is flat
MOST = 0.9  # so large a part of a value that is flat makes it saturated


def states(row: Row) -> list[State]:
    """All that hold of a row, the gravest first."""
    found: list[State] = []
    if row.value is None:
        found.append("not kept")
    elif not _is_finite(row.value) or (row.adjoint is not None and not _is_finite(row.adjoint)):
        found.append("not finite")
    if row.adjoint is None:
        found.append(_without_adjoint(row))
    elif subgradients(row):
        found.append("subgradient")
    if saturated(row) >= MOST:
        found.append("saturated")
    return found


def _without_adjoint(row: Row) -> State:
    if row.node is None:
        return "not required"
    return "freed" if row.freed else "not reached"


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def subgradients(row: Row) -> list[tuple[str, float, int]]:
    """The choices that the op of a row has met: what is taken, of which table entry, how often."""
    if row.op is None or row.op.name not in by_op or row.value is None:
        return []
    raw = [x.value if isinstance(x, Row) else x for x in row.operands]
    if any(x is None for x in raw):
        return []
    y = row.value
    if row.which is not None:  # one of several results
        if row.made is None:
            return []
        y = row.made.y
    names = row.op.operand_names(len(raw))  # type: ignore[attr-defined]
    given = {"y": y, **row.params, **dict(zip(names, raw, strict=True))}
    counted = [(c, c.count(row.op.name, given)) for c in by_op[row.op.name]]
    return [(c.name, c.value, n) for c, n in counted if n]


def saturated(row: Row) -> float:
    """The part of a bounded function's value at which its slope is as good as 0."""
    if row.op is None or row.op.name not in _BOUNDED or row.adjoint is None or not row.operands:
        return 0.0
    rows = [x for x in row.operands if isinstance(x, Row)]
    term = next((t for x in rows for t in x.terms if t.to is row), None)
    if term is None or term.local is None:
        return 0.0
    slope = np.asarray(term.local.value)
    return float(np.mean(np.abs(slope) < FLAT)) if slope.size else 0.0
