"""Forward against reverse: the same chain of local derivatives, multiplied in two orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph
from ..algebra import Elementwise, Multilinear, Reduction
from ..plan import ABSORBING_SWEEP
from ..transforms import push
from .expr import Expr
from .numbers import shown
from .story import Row, Story, Term
from .table import LONGEST, derivative, incoming


@dataclass(frozen=True)
class Sweep:
    """One order of multiplication: so many sweeps of so many operations each, and its lines."""

    name: str
    sweeps: int
    operations: int  # of all sweeps together
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Orders:
    """Both orders for one result; it prints as text.

    `operations` count the multiplications and additions with which local derivatives are
    combined, not those that compute them, which both orders share.
    """

    forward: Sweep
    reverse: Sweep
    inputs: tuple[str, ...]
    result: str
    brackets: tuple[str, ...] = ()  # where the record is one chain: the product both ways

    @property
    def cheaper(self) -> str:
        """The order with fewer operations, `either` where they are as many."""
        if self.forward.operations == self.reverse.operations:
            return "either"
        return min((self.forward, self.reverse), key=lambda s: s.operations).name

    def __str__(self) -> str:
        lines = [f"∂{self.result}/∂({', '.join(self.inputs)}) in two orders"]
        lines += [f"  {line}" for line in self.brackets]
        for sweep in (self.forward, self.reverse):
            each = sweep.operations // sweep.sweeps if sweep.sweeps else 0
            of = "element" if sweep.sweeps == 1 else "elements"
            of += " of the inputs" if sweep is self.forward else " of the result"
            lines.append(
                f"  {sweep.name}: {sweep.sweeps:,} {of}, a sweep of {each:,} operations for each: "
                f"{sweep.operations:,} operations"
            )
        lines.append(f"  {self._verdict()}")
        for sweep in (self.forward, self.reverse):
            told = [f"  {x}" for x in _shortened(sweep.lines)]
            lines += ["", f"{sweep.name.capitalize()} sweep", *told]
        return "\n".join(lines)

    def _verdict(self) -> str:
        a, b = self.forward.operations, self.reverse.operations
        if self.cheaper == "either":
            return "Both orders cost the same for these shapes."
        low, high = sorted((a, b))
        times = f", {high / low:,.3g} times" if low else ""
        return f"{self.cheaper.capitalize()} order is cheaper for these shapes{times}."


def _shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Without the middle of a long sweep; `lines` of it has all."""
    if len(lines) <= LONGEST:
        return lines
    half = LONGEST // 2
    return *lines[:half], f".. {len(lines) - 2 * half:,} more ..", *lines[-half:]


def orders(story: Story) -> Orders:
    """Count and tell both orders for all inputs of a story."""
    inputs = [row for row in story.rows if row.kind != "result" and row.adjoint is not None]
    costs = {term: cost(term) for row in story.rows for term in row.terms}
    ahead = [_after(row) for row in inputs]
    along = sum(
        row.size * sum(costs[t] for r in reached for t in r.terms)
        for row, reached in zip(inputs, ahead, strict=True)
    )
    back = story.result.size * sum(costs.values())
    return Orders(
        Sweep("forward", sum(row.size for row in inputs), along, _forward_lines(story, inputs)),
        Sweep("reverse", story.result.size, back, _reverse_lines(story)),
        tuple(row.name for row in inputs),
        story.result.name,
        _brackets(story, inputs),
    )


def cost(term: Term) -> int:
    """The operations that carry one tangent, or one cotangent, past one use of a value.

    Both directions have as many: the matrix of one is that of the other, transposed.
    """
    if term.pulled is None:
        return 0
    came = term.to.symbol
    seen: set[int] = set()
    total = 0
    stack = [term.pulled.whole]
    while stack:
        one = stack.pop()
        if one.op is None or id(one) in seen or not _mentions(one, came):
            continue
        seen.add(id(one))
        total += _operations(one)
        stack += one.args
    return total


def _mentions(one: Expr, symbol: str) -> bool:
    return one.name == symbol or any(_mentions(x, symbol) for x in one.args)


def _operations(one: Expr) -> int:
    """Multiplications and additions of one op of an expression."""
    op: Any = one.op
    size = int(np.size(one.value))
    if issubclass(op, Multilinear):
        return 2 * _products(one)
    if issubclass(op, Elementwise):
        return size if len(one.args) > 1 or op.name in ("square", "divide") else 0
    if issubclass(op, Reduction):
        return int(np.size(one.args[0].value))
    return 0


def _products(one: Expr) -> int:
    """How many products of two elements a multilinear op sums."""
    op: Any = one.op
    (a, b), y = (np.shape(x.value) for x in one.args), np.shape(one.value)
    if op.name == "matmul":
        return math.prod(y) * a[-1]
    if op.name == "contract":
        sizes = {**dict(zip(one.params["la"], a)), **dict(zip(one.params["lb"], b))}
        return math.prod(sizes.values())
    if op.name in ("conv", "conv_transpose", "conv_weight"):
        # Each element of a result (of a forward convolution) sums over one filter.
        result, weight = {"conv": (y, b), "conv_transpose": (a, b), "conv_weight": (b, y)}[op.name]
        return math.prod(result) * math.prod(weight[1:])
    return math.prod(a) * math.prod(b) if op.name == "convolve" else 2 * math.prod(y)


def _after(row: Row) -> list[Row]:
    """The row and all that depend on it."""
    found = {row: None}
    stack = [row]
    while stack:
        for term in stack.pop().terms:
            if term.to not in found:
                found[term.to] = None
                stack.append(term.to)
    return list(found)


# Lines --------------------------------------------------------------------------------------------


def _forward_lines(story: Story, inputs: list[Row]) -> tuple[str, ...]:
    """How each row changes with the first input, from the local derivatives of the rows before."""
    lines = []
    for start in inputs:
        name = f"∂{start.name}"
        reached = set(_after(start))
        known = _tangents(story, start)
        for row in story.rows:
            if row is start or row not in reached:
                continue
            terms = [
                t for x in dict.fromkeys(x for x in row.operands if isinstance(x, Row))
                for t in x.terms if t.to is row and x in reached
            ]  # fmt: skip
            parts = [
                f"∂{row.name}/∂{t.row.name}" + ("" if t.row is start else f" ∂{t.row.name}/{name}")
                for t in terms
            ]
            line = [f"∂{row.name}/{name}", " + ".join(parts)]
            line += [shown(known[row])] if row in known else []
            lines.append(" = ".join(dict.fromkeys(line)))
    return tuple(lines)


def _tangents(story: Story, start: Row) -> dict[Row, Any]:
    """What one forward sweep from a scalar input leaves at each row."""
    if start.shape or any(row.node is None and row.kind == "result" for row in story.rows):
        return {}
    order, _ = graph.ancestry([story.result.node])
    with graph.raw_sweep(), graph.no_grad(), np.errstate(all="ignore"):
        found = push.sweep(order, {start.node: start.dtype.type(1)}, ABSORBING_SWEEP)
    return {row: found[row.node] for row in story.rows if row.node in found and row.which is None}


def _reverse_lines(story: Story) -> tuple[str, ...]:
    lines = []
    for row in reversed(story.rows):
        if row.adjoint is None or row is story.result:
            continue
        right = " + ".join(f"{incoming(t, story)}{derivative(t)}" for t in row.terms)
        lines.append(" = ".join(dict.fromkeys([row.symbol, right, shown(row.adjoint)])))
    return tuple(lines)


def _brackets(story: Story, inputs: list[Row]) -> tuple[str, ...]:
    """Of one chain, the product of its local derivatives with the brackets of both orders."""
    if len(inputs) != 1:
        return ()
    chain, row = [], inputs[0]
    while row is not story.result:
        if len(row.terms) != 1:
            return ()
        chain.append(row.terms[0])
        row = row.terms[0].to
    if not 2 < len(chain) <= 8:
        return ()
    parts = [f"∂{t.to.name}/∂{t.row.name}" for t in reversed(chain)]
    forward, reverse = parts[-1], parts[0]
    for part in reversed(parts[:-1]):
        forward = f"{part} ({forward})" if " " in forward else f"{part} {forward}"
    for part in parts[1:]:
        reverse = f"({reverse}) {part}" if " " in reverse else f"{reverse} {part}"
    return f"forward: {forward}", f"reverse: {reverse}"
