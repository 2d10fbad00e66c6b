"""The short way in: the function of each op, written out for the usual case.

A recorded op costs a fraction of a microsecond above NumPy's own call, which it can only as
straight-line code in which what the op takes and what it keeps are spelled out. `Op.of(*operands,
*statics)` is that function, for every op of the library with a fixed number of operands and at
most two along which it has a derivative, and for lists. Whatever is unusual goes to
`record.apply`, as do all calls of other ops. `Op.made(x, y, params)` is the half that records, for
an op of one operand whose result the caller has computed; only where `flags.special` is 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import registry
from .algebra import Elementwise, Kind, Linear, Multilinear, Reduction
from .array import GradArray
from .complaints import ERRORS, explain
from .graph import flags, mode, next_seq
from .plan import form, formed, forms
from .record import PLAIN, apply, kept_constant, new
from .written import written

_NAMES: dict[str, Any] = {
    "ERRORS": ERRORS,
    "GradArray": GradArray,
    "PLAIN": PLAIN,
    "apply": apply,
    "explain": explain,
    "flags": flags,
    "form": form,
    "formed": formed,
    "forms": forms,
    "kept_constant": kept_constant,
    "mode": mode,
    "new": new,
    "next_seq": next_seq,
}


class _PerOp:
    """An attribute of ops that is a function written for each when it is first asked for."""

    def __init__(self, name: str, source: Callable[[type[Kind], dict[str, Any]], str]) -> None:
        self.name, self.source = name, source

    def __get__(self, node: Any, op: type[Kind]) -> Any:
        fn = written(lambda env: self.source(op, env), op.name, op.__module__, op.__doc__)
        setattr(op, self.name, staticmethod(fn))
        return fn


def elementwise(
    op: type[Elementwise], name: str = "", **declared: Any
) -> Callable[..., GradArray]:
    """The public function of an elementwise op: its own, `Op.of`, registered."""
    fn: Any = op.of
    fn.__signature__ = registry.signature_of(op.operands)
    return registry.public(op=op, name=name or op.name, **declared)(fn)


# Source -------------------------------------------------------------------------------------------

_GENERAL = """
def call(*operands, **params):
    return apply(op, *operands, **params)
"""

# A list of arrays, whose one transpose gives all cotangents.
_JOINT = """
def call(*operands, **params):
    if flags.special:
        return apply(op, *operands, **params)
    try:
        values = [x._data for x in operands]
    except AttributeError:
        return apply(op, *operands, **params)
    nodes = [x._node for x in operands]
    try:
        y = forward(*values, **params)
    except ERRORS as error:
        raise explain(op, values, params, error) from None
    out = new(GradArray)
    out._data = y
    out._node = out._gradient = None
    mask = tuple([n is not None for n in nodes])
    if True in mask:
        out._node = node = op()
        node.parents = tuple(nodes)
        node.plan = plan = plans.get(mask) or op.plan_for(mask)
        plan.fill(node, *values, y)
        node.params = params
        node.seq = next_seq()
    return out
"""


def _function(op: type[Kind], env: dict[str, Any]) -> str:
    env.update(_NAMES, op=op, forward=op.forward, plans=op._plans)
    statics = _statics(op)
    if statics is None:
        return _JOINT if op.joint else _GENERAL
    return _Writer(op, env, statics).function()


def _made(op: type[Kind], env: dict[str, Any]) -> str:
    env.update(_NAMES, op=op)
    return _Writer(op, env, ()).made()


def _statics(op: type[Kind]) -> tuple[str, ...] | None:
    """The static parameters of an op that can be written out; None for others."""
    if not issubclass(op, (Elementwise, Linear, Multilinear, Reduction)) or op.variadic:
        return None
    if issubclass(op, Linear) and op.keeps_y_form:  # it has several results
        return None
    count = len(op.operands)
    if not count or sum(op.rule(k) is not None for k in range(count)) > 2:
        return None
    forward: Any = inspect.unwrap(op.forward)
    code = getattr(forward, "__code__", None)
    if code is None:
        return ()  # a ufunc
    if forward.__defaults__ or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return None
    return code.co_varnames[count : code.co_argcount + code.co_kwonlyargcount]


class _Writer:
    """Writes the function of one op: `v0` is the first operand's array, `n0` its node."""

    def __init__(self, op: type[Kind], env: dict[str, Any], statics: tuple[str, ...]) -> None:
        self.op, self.env, self.statics = op, env, statics
        self.names = op.operands
        self.moving = [k for k in range(len(self.names)) if op.rule(k) is not None]
        self.args = ", ".join([*self.names, *(f"{s}={s}" for s in statics)])
        self.params = "{" + ", ".join(f"{s!r}: {s}" for s in statics) + "}"

    def function(self) -> str:
        lines = [f"def call({', '.join([*self.names, *self.statics])}):"]
        for k in range(len(self.names)):
            lines += self.taken(k)
        values = ", ".join(f"v{k}" for k in range(len(self.names)))
        given = ", ".join([values, *(f"{s}={s}" for s in self.statics)])
        lines += [
            " if flags.special:",
            f"  return apply(op, {self.args})",
            " try:",
            f"  y = forward({given})",
            " except ERRORS as error:",
            f"  raise explain(op, [{values}], {self.params}, error) from None",
            *self.unrecorded(),
        ]
        if self.moving:
            lines += [" node = op()", *self.recorded()]
            params = None if issubclass(self.op, Elementwise) and not self.statics else self.params
            parents = "".join(
                f"n{k}, " if k in self.moving else "None, " for k in range(len(self.names))
            )
            lines += [
                f" node.parents = ({parents})",
                f" node.params = {params}",
                " node.seq = next_seq()",
                *_handle("node"),
            ]
        return "\n".join(lines)

    def made(self) -> str:
        """The handle on y = op(x), which is computed already."""
        return "\n".join(
            [
                "def call(x, y, params):",
                " n0 = x._node",
                " if n0 is None:",
                *(" " + line for line in _handle("None")),
                " v0 = x._data",
                " node = op()",
                *self.recorded(),
                " node.parents = (n0,)",
                " node.params = params",
                " node.seq = next_seq()",
                *_handle("node"),
            ]
        )

    def taken(self, k: int) -> list[str]:
        x, follow = self.names[k], k in self.moving
        lines = [f" if isinstance({x}, GradArray):", f"  v{k} = {x}._data"]
        lines += [f"  n{k} = {x}._node"] if follow else []
        if len(self.names) == 1:  # no other one can be a GradArray
            lines += [f" elif mode.raw and type({x}) in PLAIN:"]
            lines += [f"  return forward({self.args})"]
        else:
            lines += [f" elif type({x}) in PLAIN:", f"  v{k} = {x}"]
            lines += [f"  n{k} = None"] if follow else []
        return [*lines, " else:", f"  return apply(op, {self.args})"]

    def unrecorded(self) -> list[str]:
        lines = _handle("None")
        if len(self.names) > 1:
            seen = " or ".join(f"isinstance({x}, GradArray)" for x in self.names)
            alone = f"  return y if mode.raw else apply(op, {self.args})"
            lines = [f" if not ({seen}):", alone, *lines]
        if not self.moving:
            return lines
        nodes = " and ".join(f"n{k} is None" for k in self.moving)
        return [f" if {nodes}:", *(" " + line for line in lines)]

    def recorded(self) -> list[str]:
        if len(self.moving) == 1:
            return self.kept(self.moving, " ")
        i, j = self.moving
        return [
            f" if n{j} is None:",
            *self.kept([i], "  "),
            f" elif n{i} is None:",
            *self.kept([j], "  "),
            " else:",
            *self.kept([i, j], "  "),
        ]

    def kept(self, moving: list[int], indent: str) -> list[str]:
        """What the node keeps if these operands need a derivative."""
        plan = self.op.plan_for(tuple(k in moving for k in range(len(self.names))))
        word = "plan" + "".join(map(str, moving))
        self.env[word] = plan
        lines = [f"node.plan = {word}"]
        number = ""
        k = 1 - moving[0]
        if plan.compares and len(self.names) == 2 and len(moving) == 1 and self.ignores(k):
            number = f"type(v{k}) is float or type(v{k}) is int"
            if k in plan.constants:
                lines.append(f"number = {number}")
                number = "number"
        for k in plan.constants:
            unlike = f"v{k} is {self.names[k]} or v{k}.dtype.kind in 'iu'"
            lines.append(f"if {unlike}: v{k} = kept_constant(v{k}, v{k} is {self.names[k]}, y)")
        return [indent + line for line in [*lines, *plan.filling(number)]]

    def ignores(self, k: int) -> bool:
        """Does a Python number at k change neither the shape nor the dtype of a float?

        Some of SciPy's functions give float64 for float32 and a number.
        """
        if self.statics:
            return True  # a formula of the library's own
        values: list[Any] = [np.ones(0, np.float32)] * 2
        values[k] = 1.0
        forward: Any = self.op.forward
        try:
            return forward(*values).dtype == np.float32
        except TypeError:  # an operand of integers
            return False


def _handle(node: str) -> list[str]:
    lines = ["out = new(GradArray)", "out._data = y", f"out._node = {node}"]
    return [f" {line}" for line in [*lines, "out._gradient = None", "return out"]]


Kind.of = _PerOp("of", _function)
Kind.made = _PerOp("made", _made)
