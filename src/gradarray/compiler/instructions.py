"""Instructions: expressions in LLVM's text, on one element or on a vector of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from . import expr
from .expr import BOOL, Expr
from .ir import Writer, element, splat, suffix, vector, zero

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_COMPARED = {
    "lt": ("olt", "lt"), "le": ("ole", "le"), "gt": ("ogt", "gt"),
    "ge": ("oge", "ge"), "eq": ("oeq", "eq"), "ne": ("une", "ne"),
}  # fmt: skip
_INTRINSIC = {
    "abs": "fabs", "sqrt": "sqrt", "fma": "fma", "floor": "floor", "ceil": "ceil",
    "trunc": "trunc", "rint": "rint", "copysign": "copysign", "min": "minimum",
    "max": "maximum", "fmin": "minnum", "fmax": "maxnum",
}  # fmt: skip


def compute(
    w: Writer, roots: Iterable[Expr], leaves: dict[Expr, str], lanes: int
) -> list[str]:
    """Write the instructions of some expressions; their values, given those of the leaves."""
    known = dict(leaves)
    roots = list(roots)
    for x in expr.topological(roots, rare=False):
        if x in known:
            continue
        if x.op == "rare":
            known[x] = _rare(w, x, known, lanes)
        else:
            known[x] = _instruction(w, x, [known[a] for a in x.args], lanes)
    return [known[x] for x in roots]


def _rare(w: Writer, x: Expr, known: dict[Expr, str], lanes: int) -> str:
    """A branch round what no lane asks for."""
    condition, usual = (known[a] for a in x.args[:2])
    kind, truth = vector(element(x.dtype), lanes), vector("i1", lanes)
    asked = condition
    if lanes > 1:
        asked = w.call("i1", f"llvm.vector.reduce.or.v{lanes}i1", [(truth, condition)])
    tag, before = w.name("r")[1:], w.block
    w.choose(asked, f"rare_{tag}", f"on_{tag}")
    w.label(f"rare_{tag}")
    # What is written here is known here only.
    (other,) = compute(w, [x.args[2]], known, lanes)
    other = w.let(f"select {truth} {condition}, {kind} {other}, {kind} {usual}")
    last = w.block
    w.go(f"on_{tag}")
    w.label(f"on_{tag}")
    return w.let(f"phi {kind} [ {usual}, %{before} ], [ {other}, %{last} ]")


def _libm(w: Writer, x: Expr, argument: str, lanes: int) -> str:
    """A function of its own, called seldom: what it does to registers is not felt elsewhere."""
    kind, end = vector(element(x.dtype), lanes), f"{x.attr}.{suffix(x.dtype, lanes)}"
    inner = f"declare {kind} @llvm.{end}({kind})"
    w.declared.add(
        f"define internal {kind} @each.{end}({kind} %x) cold noinline {{\n"
        f"  %y = call {kind} @llvm.{end}({kind} %x)\n  ret {kind} %y\n}}"
    )
    w.declared.add(inner)
    return w.let(f"call {kind} @each.{end}({kind} {argument})")


def _instruction(w: Writer, x: Expr, args: list[str], lanes: int) -> str:
    op, dtype = x.op, x.dtype
    if op == "const":
        assert x.attr is not None
        return splat(dtype, x.attr, lanes)
    source = x.args[0].dtype
    kind, of = vector(element(dtype), lanes), vector(element(source), lanes)
    real = source.kind == "f"
    if op == "select":
        c, a, b = args
        return w.let(f"select {of} {c}, {kind} {a}, {kind} {b}")
    if op in _COMPARED:
        ordered, plain = _COMPARED[op]
        if real:
            return w.let(f"fcmp {ordered} {of} {args[0]}, {args[1]}")
        sign = "" if plain in ("eq", "ne") else "s" if source.kind == "i" else "u"
        return w.let(f"icmp {sign}{plain} {of} {args[0]}, {args[1]}")
    if op == "cast":
        return _cast(w, source, dtype, args[0], of, kind)
    if op == "libm":
        return _libm(w, x, args[0], lanes)
    if op == "bits":
        return w.let(f"bitcast {of} {args[0]} to {kind}")
    if op == "neg":
        return w.let(f"fneg {kind} {args[0]}" if real else f"sub {kind} {zero(lanes)}, {args[0]}")
    if op == "not":
        ones = "true" if dtype == BOOL else "-1"
        ones = ones if lanes == 1 else f"splat ({element(dtype)} {ones})"
        return w.let(f"xor {kind} {args[0]}, {ones}")
    if op in ("and", "or", "xor"):
        return w.let(f"{op} {kind} {args[0]}, {args[1]}")
    if op in ("shl", "shr"):
        name = "shl" if op == "shl" else "ashr" if dtype.kind == "i" else "lshr"
        return w.let(f"{name} {kind} {args[0]}, {args[1]}")
    if op in _FLOAT:
        sign = "s" if dtype.kind == "i" else "u"
        name = _FLOAT[op] if real else op if op in ("add", "sub", "mul") else f"{sign}{op}"
        return w.let(f"{name} {kind} {args[0]}, {args[1]}")
    if op in _INTRINSIC and real:
        return w.call(
            kind, f"llvm.{_INTRINSIC[op]}.{suffix(dtype, lanes)}", [(kind, a) for a in args]
        )
    if op == "abs":
        return w.call(kind, f"llvm.abs.{suffix(dtype, lanes)}", [(kind, args[0]), ("i1", "false")])
    if op in ("min", "max", "fmin", "fmax"):
        sign = "s" if dtype.kind == "i" else "u"
        name = f"llvm.{sign}{op[-3:]}.{suffix(dtype, lanes)}"
        return w.call(kind, name, [(kind, a) for a in args])
    raise AssertionError(f"{op} on {source}")


def _cast(
    w: Writer, source: np.dtype, dtype: np.dtype, x: str, of: str, kind: str
) -> str:
    if dtype.kind == "f" and source.kind == "f":
        how = "fpext" if dtype.itemsize > source.itemsize else "fptrunc"
        return w.let(f"{how} {of} {x} to {kind}")
    if dtype.kind == "f":
        return w.let(f"{'sitofp' if source.kind == 'i' else 'uitofp'} {of} {x} to {kind}")
    if source.kind == "f":
        return w.let(f"{'fptosi' if dtype.kind == 'i' else 'fptoui'} {of} {x} to {kind}")
    if source == BOOL:
        return w.let(f"zext {of} {x} to {kind}")
    if dtype.itemsize == source.itemsize:
        return x
    if dtype.itemsize < source.itemsize:
        return w.let(f"trunc {of} {x} to {kind}")
    return w.let(f"{'sext' if source.kind == 'i' else 'zext'} {of} {x} to {kind}")
