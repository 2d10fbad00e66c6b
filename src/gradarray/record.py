"""Recording: an op is computed on raw arrays, and a node remembers it.

`apply` is the general path, for any kind and any number of operands. An op's own function,
`Op.of`, is written in `short`; it comes here for what is unusual.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import graph
from .algebra import Kind, given
from .array import GradArray, from_user, is_foreign, lift, wrap
from .complaints import ERRORS, explain
from .errors import message
from .graph import Grad, flags, mode, next_seq
from .plan import Plan

new = object.__new__

# Operand types that go to NumPy as they are. (Not complex: Python's own operators, not NumPy's,
# take 1j * np.float64(2), and give a Python number.)
PLAIN: frozenset[type] = frozenset(
    {float, int, bool, np.ndarray, np.bool_}
    | {np.float16, np.float32, np.float64, np.complex64, np.complex128}
    | {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}
)


def apply(op: type[Kind], *operands: Any, **params: Any) -> Any:
    """Compute `op` on its operands and record it: the general path, for any kind and any count."""
    trace = None
    if flags.special:
        trace = mode.trace
        if mode.levels:
            for x in operands:
                if isinstance(x, GradArray) and x._base() is not x:
                    return given.apply_batched(op, operands, params)
    raw = []
    parents: list[Grad | None] = []
    seen = needed = False
    for x in operands:
        if isinstance(x, GradArray):
            seen = True
            raw.append(x._data if trace is None else trace.read(x))
            node = x._node
            parents.append(node)
            if node is not None:
                needed = True
        elif type(x) in PLAIN:
            raw.append(x)
            parents.append(None)
        else:
            return _apply_other(op, operands, params)
    if not seen:
        return op.forward(*raw, **params) if mode.raw else _apply_other(op, operands, params)
    try:
        y = op.forward(*raw, **params) if trace is None else trace.run(op, raw, params)
    except ERRORS as error:
        raise explain(op, raw, params, error) from None
    if flags.special:
        if mode.watchers and type(y) is np.bool_:
            y = np.asarray(y)  # there are only two of them, and watchers tell values by identity
        for watcher in mode.watchers:
            watcher.forward(op, raw, params, y)
        if not mode.grad:
            return handle_on(None, y)
    if not needed:
        return handle_on(None, y)
    key = (True,) if len(parents) == 1 else tuple([parent is not None for parent in parents])
    plan = op._plans.get(key)
    if plan is None:
        plan = op.plan_for(key)
    kept = raw
    if not plan.simple:
        if plan.idle:
            return handle_on(None, y)
        for k in plan.drops:
            parents[k] = None
        kept = list(raw)
        for k in plan.constants:
            kept[k] = kept_constant(raw[k], raw[k] is operands[k], y)
    node = op()
    node.parents = tuple(parents)
    plan.fill(node, *kept, y)
    node.params = params
    node.plan = plan
    node.seq = next_seq()
    if flags.special:
        for watcher in mode.watchers:
            watcher.recorded(node)
    if type(y) is tuple:
        return handle_on(node, y)
    out = new(GradArray)
    out._data = y
    out._node = node
    out._gradient = None
    return out


def _apply_other(op: type[Kind], operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Operands that are no arrays yet, or that a walk brings with it (`__ga_apply__`)."""
    for x in operands:
        handler = getattr(type(x), "__ga_apply__", None)
        if handler is not None:
            return handler(op, operands, params)
    if any(type(x) is complex for x in operands):
        return apply(op, *_as_complex_scalars(operands), **params)
    if mode.raw:
        if not any(isinstance(x, GradArray) for x in operands):
            return op.forward(*(np.asarray(x) for x in operands), **params)
        operands = tuple(x if isinstance(x, GradArray) else wrap(from_user(x)) for x in operands)
    lifted = [lift(x, op.name) for x in operands]
    return apply(op, *lifted, **params)


def _as_complex_scalars(operands: tuple[Any, ...]) -> list[Any]:
    """Python's complex numbers as NumPy scalars that promote as they do: no float32 to double."""
    dtypes = [x.dtype for x in operands if hasattr(x, "dtype")]
    kind = np.result_type(1j, *dtypes).type
    return [kind(x) if type(x) is complex else x for x in operands]


def kept_constant(x: Any, callers: bool, y: Any) -> Any:
    """A constant operand as a rule may use it: a number or an integer in the result's dtype.

    An array of the caller's is copied: they may change it later, and the reverse sweep needs it
    as it was.
    """
    if isinstance(y, tuple):
        y = next((part for part in y if part.dtype.kind in "fc"), y[0])
    dtype = y.dtype
    if is_foreign(x):  # a value under trace
        with graph.raw_sweep():
            return given.astype(x, dtype) if x.dtype.kind in "iu" else x
    if type(x) is np.ndarray:
        if x.dtype.kind in "iu":
            return x.astype(dtype)
        return x.copy() if callers else x
    return x if type(x) in (bool, np.bool_) else dtype.type(x)


def handle_on(node: Grad | None, y: Any) -> Any:
    """A fresh handle on what `node` made, or one for each of its results."""
    if not isinstance(y, tuple):
        out = new(GradArray)
        out._data = y
        out._node = node
        out._gradient = None
        return out
    if node is None:
        return tuple([wrap(part) for part in y])
    return tuple(
        [
            wrap(part, GradArray, pick(node, k) if part.dtype.kind in "fc" else None)
            for k, part in enumerate(y)
        ]
    )


class PickGrad(Grad, internal=True):
    """One of the results of an operation that has several: its parent is the tuple node."""

    __slots__ = ("which",)
    name = "pick"
    forward = staticmethod(lambda parts, which: parts[which])
    which: int

    @property
    def inputs(self) -> tuple[GradArray, ...]:
        return inputs_of(self.parents[0])

    def backward(self, y_bar: Any) -> tuple[GradArray | None, ...]:
        """One cotangent per input of the operation, for that of this one of its results."""
        parent: Any = self.parents[0]
        graph.check_alive(parent)
        parts = [wrap(np.zeros(*form)) for form in parent.metas[0]]
        parts[self.which] = y_bar if isinstance(y_bar, GradArray) else wrap(from_user(y_bar))
        return parent.backward(tuple(parts))


def pick(parent: Grad, which: int) -> PickGrad:
    node = PickGrad()
    node.parents = (parent,)
    node.saved = ()
    node.metas = node.form = None
    node.params = None
    node.which = which
    node.seq = next_seq()
    return node


# The inputs of a node, for people -----------------------------------------------------------------


def inputs_of(node: Any) -> tuple[GradArray, ...]:
    """GradArrays on the parents of a node; a value that no rule kept raises when it is read."""
    out = []
    plan: Plan | None = getattr(node, "plan", None)
    for k, parent in enumerate(node.parents):
        handle = parent.handle() if isinstance(parent, graph.Leaf) else None
        if handle is None or handle._node is not parent:
            data: Any = NotKept(node, k)
            if plan is not None and node.saved is not None and k in plan.where_saved:
                data = node.saved[plan.where_saved[k]]
            handle = wrap(data, GradArray, parent)
        out.append(handle)
    return tuple(out)


class NotKept:
    """Stands for a value that no derivative rule needs, and that was therefore not kept."""

    def __init__(self, node: Grad, k: int) -> None:
        self._why = f"input {k} of {node.name} was not kept: no derivative rule names it."

    def __getattr__(self, name: str) -> Any:
        raise graph.GraphError(message("inputs", self._why))

    def __repr__(self) -> str:
        return "not kept"


given.apply = apply
given.handle_on = handle_on
given.inputs_of = inputs_of
