"""The loop language as a person reads it: what is used twice or is long has a name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from .expr import Expr, topological, value_of
from .loops import (
    Alarm,
    Branch,
    Check,
    Contract,
    Fill,
    Gemm,
    Loop,
    Nest,
    Routine,
    Search,
    Sort,
    Stretch,
    Turn,
    While,
)

WIDE = 80  # characters of an expression that is not broken up
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
}  # fmt: skip


def text(body: list[Any], indent: str = "") -> str:
    """The statements, a line or more for each."""
    return "\n".join(line for s in body for line in _lines(s, indent))


def _lines(s: Any, indent: str) -> Iterator[str]:
    deeper = indent + "    "
    if isinstance(s, Loop):
        how = "parallel " if s.parallel else "backward " if s.backward else ""
        end = s.var.extent if s.count is None else s.count
        yield f"{indent}{how}for {s.var.name} < {end}:"
        yield text(s.body, deeper)
    elif isinstance(s, While):
        yield f"{indent}{s.count} = {s.var.name} while {s.going}, by:"
        yield text(s.test, deeper)
        yield f"{indent}do:"
        yield text(s.body, deeper)
    elif isinstance(s, Branch):
        for k, body in enumerate(s.bodies):
            yield f"{indent}if {s.index} is {k}:"
            yield text(body, deeper)
    elif isinstance(s, Nest):
        box = ", ".join(f"{v.name} < {v.extent}" for v in s.axes)
        yield f"{indent}{f'nest {box}:' if box else 'once:'}  # {s.label}".removesuffix("  # ")
        yield from (deeper + line for line in _points(s))
    elif isinstance(s, Gemm):
        a, b = f"{s.a}{'^T' if s.transpose_a else ''}", f"{s.b}{'^T' if s.transpose_b else ''}"
        yield f"{indent}{s.c} {_sign(s)} {a} @ {b}  # {s.rows} x {s.inner} x {s.columns}, BLAS"
    elif isinstance(s, Contract):
        inner = ".".join(str(n) for n in (*[o[0] for o in s.outer], s.inner))
        size = f"{s.rows} x {inner} x {s.columns}" + f", {s.depth} of them" * (s.depth > 1)
        terms = " + ".join(f"{a} @ {b}" for a, b in s.pairs)
        yield f"{indent}{s.c} {_sign(s)} {terms}  # {size}, lanes along {s.lanes}"
    elif isinstance(s, Turn):
        yield f"{indent}{s.to} = {s.of}^T  # {s.rows} x {s.columns}"
    elif isinstance(s, Fill):
        yield f"{indent}{s.buffer.name}[:] = 0"
    elif isinstance(s, Routine):
        given = ", ".join(str(x.at) if isinstance(x, Stretch) else str(x) for x in s.arguments)
        yield f"{indent}{s.name}({given})"
    elif isinstance(s, Sort):
        yield f"{indent}{s.order} in the order of {s.keys}  # {s.size} keys"
    elif isinstance(s, Search):
        how = "less or equal" if s.equal else "less"
        yield f"{indent}{s.places} = how many of {s.sorted} are {how} than {s.keys}"
    elif isinstance(s, Alarm):
        yield f"{indent}{s.to} = 1 if {s.of}"
    elif isinstance(s, Check):
        yield f"{indent}{s.flag.name}[0] |= any NaN in {s.of}  # {s.size}"


def _sign(s: Any) -> str:
    return "+=" if s.add else "="


def _points(s: Nest) -> Iterator[str]:
    """What happens at a point, a name for each expression that is used twice or is long."""
    results = [*s.stores, *s.sums]
    every = topological([r.value for r in results])
    uses: dict[Expr, int] = {}
    for x in every:
        for a in x.args:
            uses[a] = uses.get(a, 0) + 1
    for r in results:
        uses[r.value] = uses.get(r.value, 0) + 1
    numbers = itertools.count()
    shown = {x: str(a) for x, a in s.loads.items()}
    for x in every:
        if x in shown:
            continue
        line = _one(x, [shown[a] for a in x.args])
        if x.args and (uses[x] > 1 or len(line) > WIDE):
            name = shown[x] = f"t{next(numbers)}"
            yield f"{name} = {_bare(line)}"
        else:
            shown[x] = line
    for store in s.stores:
        yield f"{store.to} = {_bare(shown[store.value])}"
    for one in s.sums:
        value = _bare(shown[one.value])
        how = value if one.combine == "add" else f"{one.combine}({value})"
        yield f"{one.to} {'=' if one.fresh else '+='} {'sum of ' * (one.combine == 'add')}{how}"


def _bare(line: str) -> str:
    """Without the brackets around all of it."""
    if not (line.startswith("(") and line.endswith(")")):
        return line
    depth = 0
    for k, c in enumerate(line):
        depth += (c == "(") - (c == ")")
        if not depth and k < len(line) - 1:
            return line
    return line[1:-1]


def _one(x: Expr, args: list[str]) -> str:
    if x.op == "const":
        return repr(value_of(x).item())
    if x.op == "leaf":
        return f"x{x.attr}"
    if x.op in _INFIX:
        return f"({args[0]} {_INFIX[x.op]} {args[1]})"
    if x.op == "neg":
        return f"-{args[0]}"
    kind = f"{x.dtype}" if x.op == "cast" else f"bits.{x.dtype}" if x.op == "bits" else x.op
    return f"{kind}({', '.join(_bare(a) for a in args)})"
