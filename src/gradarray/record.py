"""Recording: an op is computed on raw arrays, and a node remembers it.

`apply` is the general path, for any kind and any number of operands; `elementwise` makes the
public function of an elementwise op, with a short way in for the usual case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import graph, registry
from .algebra import Elementwise, Kind, given
from .array import GradArray, from_user, wrap
from .errors import DTypeError, ShapeError, message
from .graph import Grad, Meta, flags, mode, next_seq

new = object.__new__
float64 = np.float64

# Operand types that go to NumPy as they are.
PLAIN: frozenset[type] = frozenset(
    {float, int, bool, complex, np.ndarray, np.bool_}
    | {np.float16, np.float32, np.float64, np.complex64, np.complex128}
    | {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}
)


def apply(op: type[Kind], *operands: Any, **params: Any) -> Any:
    """Compute `op` on its operands and record it: the general path, for any kind and any count."""
    for x in operands:
        if isinstance(x, GradArray):
            break
    else:
        if mode.raw:
            return op.forward(*operands, **params)
        for x in operands:
            handler = getattr(type(x), "__ga_apply__", None)
            if handler is not None:
                return handler(op, operands, params)
        operands = tuple(wrap(from_user(x, op.name)) for x in operands)
    raw = []
    mask = []
    recording = not flags.special or mode.grad
    any_needed = False
    for i, x in enumerate(operands):
        if isinstance(x, GradArray):
            raw.append(x._data)
            needed = recording and x._node is not None and op.rule(i) is not None
            mask.append(needed)
            any_needed = any_needed or needed
        elif type(x) in PLAIN:
            raw.append(x)
            mask.append(False)
        else:
            handler = getattr(type(x), "__ga_apply__", None)
            if handler is not None:
                return handler(op, operands, params)
            raw.append(from_user(x, op.name))
            mask.append(False)
    try:
        y = op.forward(*raw, **params)
    except (ValueError, TypeError, IndexError, np.exceptions.AxisError) as error:
        raise explain(op, raw, params, error) from None
    if not any_needed:
        return wrap_result(op, y, None)
    node = new(op)
    node.params = params
    node.parents = tuple(
        x._node if needed else None for x, needed in zip(operands, mask, strict=True)
    )
    plan = node.plan = op.plan_for(tuple(mask))
    kept = list(raw)
    for k in plan.keep:
        if not mask[k] and k not in op.index:
            kept[k] = kept_constant(raw[k], not isinstance(operands[k], GradArray), y)
    node.saved = plan.save(*kept, y)
    node.metas = metas_of(op, raw, mask, y)
    node.seq = next_seq()
    return wrap_result(op, y, node)


def kept_constant(x: Any, callers: bool, y: Any) -> Any:
    """A constant operand as a rule may use it: a number or an integer in the result's dtype.

    An array of the caller's is copied: they may change it later, and the reverse sweep needs it
    as it was.
    """
    if type(x) is np.ndarray:
        if x.dtype.kind in "iu" and not isinstance(y, tuple):
            return x.astype(y.dtype)
        return x.copy() if callers else x
    if isinstance(y, tuple) or type(x) in (bool, np.bool_):
        return x
    return y.dtype.type(x)


def wrap_result(op: type[Kind], y: Any, node: Any) -> Any:
    """The handle, or the tuple of handles, on a result."""
    if node is None:
        return tuple(wrap(part) for part in y) if isinstance(y, tuple) else wrap(y)
    return handle_on(node, y)


def handle_on(node: Grad, y: Any) -> Any:
    """A fresh handle on what `node` made, or one for each of its results."""
    if not isinstance(y, tuple):
        return wrap(y, GradArray, node)
    return tuple(
        wrap(part, GradArray, pick(node, k) if part.dtype.kind in "fc" else None)
        for k, part in enumerate(y)
    )


def metas_of(
    op: type[Kind], raw: list[Any], mask: list[bool], y: Any
) -> tuple[Any, ...] | None:
    """Forms of the result and of each operand, or None where all are those of the result."""
    if isinstance(y, tuple):
        result: Any = tuple(Meta(part.shape, part.dtype) for part in y)
    else:
        shape, dtype = y.shape, y.dtype
        if not op.always_meta:
            for x, needed in zip(raw, mask, strict=True):
                if needed and (x.shape != shape or x.dtype is not dtype):
                    break
            else:
                return None
        result = Meta(shape, dtype)
    return (
        result,
        *(Meta(x.shape, x.dtype) if hasattr(x, "shape") else Meta((), None) for x in raw),
    )


class PickGrad(Grad, internal=True):
    """One of the results of an operation that has several: its parent is the tuple node."""

    __slots__ = ("which",)
    name = "pick"
    forward = staticmethod(lambda parts, which: parts[which])
    which: int

    @property
    def inputs(self) -> tuple[GradArray, ...]:
        return inputs_of(self)


def pick(parent: Grad, which: int) -> PickGrad:
    node = new(PickGrad)
    node.parents = (parent,)
    node.saved = ()
    node.metas = None
    node.params = None
    node.which = which
    node.seq = next_seq()
    return node


def elementwise(op: type[Elementwise], **declared: Any) -> Callable[..., GradArray]:
    """The public function of an elementwise op of one or two operands, and the fast way in."""
    return registry.public(op=op, name=op.name, **declared)(elementwise_function(op))


def elementwise_function(op: type[Elementwise]) -> Callable[..., GradArray]:
    fn: Any = {1: _unary, 2: _binary}[len(op.operands)](op)
    fn.__name__ = fn.__qualname__ = op.name
    fn.__doc__ = op.__doc__
    fn.__module__ = op.__module__
    fn.__signature__ = registry.signature_of(op.operands)
    return fn


def _unary(op: type[Elementwise]) -> Callable[..., Any]:
    forward = op.forward
    if op.rule(0) is None:
        return lambda x: apply(op, x)
    plan = op.plan_for((True,))
    save = plan.save

    def fn(x: Any) -> Any:
        if not isinstance(x, GradArray):
            return forward(x) if mode.raw and type(x) in PLAIN else apply(op, x)
        if flags.special:
            return apply(op, x)
        a = x._data
        try:
            y = forward(a)
        except (ValueError, TypeError) as error:
            raise explain(op, [a], {}, error) from None
        out = new(GradArray)
        out._data = y
        out._gradient = None
        parent = x._node
        if parent is None:
            out._node = None
            return out
        node = new(op)
        node.parents = (parent,)
        node.saved = save(a, y)
        node.params = None
        node.plan = plan
        if type(a) is float64 or (a.dtype is y.dtype and not op.always_meta):
            node.metas = None
        else:
            node.metas = metas_of(op, [a], [True], y)
        node.seq = next_seq()
        out._node = node
        return out

    return fn


def _binary(op: type[Elementwise]) -> Callable[..., Any]:
    forward = op.forward
    plans = {
        mask: op.plan_for(mask)
        for mask in ((True, True), (True, False), (False, True))
        if all(op.rule(i) is not None for i in (0, 1))
    }
    if not plans:
        return lambda a, b: apply(op, a, b)
    both, first, second = plans.values()
    first_keeps_b, second_keeps_a = 1 in first.keep, 0 in second.keep

    def fn(a: Any, b: Any) -> Any:
        if isinstance(a, GradArray):
            x = a._data
            na = a._node
            if isinstance(b, GradArray):
                z = b._data
                nb = b._node
            elif type(b) in PLAIN:
                z = b
                nb = None
            else:
                return apply(op, a, b)
        elif isinstance(b, GradArray) and type(a) in PLAIN:
            x = a
            na = None
            z = b._data
            nb = b._node
        elif mode.raw and type(a) in PLAIN and type(b) in PLAIN:
            return forward(a, b)
        else:
            return apply(op, a, b)
        if flags.special:
            return apply(op, a, b)
        try:
            y = forward(x, z)
        except (ValueError, TypeError) as error:
            raise explain(op, [x, z], {}, error) from None
        out = new(GradArray)
        out._data = y
        out._gradient = None
        if na is None:
            if nb is None:
                out._node = None
                return out
            plan = second
            if second_keeps_a:
                x = kept_constant(x, x is a, y)
        elif nb is None:
            plan = first
            if first_keeps_b:
                z = kept_constant(z, z is b, y)
        else:
            plan = both
        node = new(op)
        node.parents = (na, nb)
        node.saved = plan.save(x, z, y)
        node.params = None
        node.plan = plan
        if (
            type(y) is float64
            and (na is None or type(x) is float64)
            and (nb is None or type(z) is float64)
        ):
            node.metas = None
        else:
            node.metas = metas_of(op, [x, z], plan.mask, y)
        node.seq = next_seq()
        out._node = node
        return out

    return fn


# The inputs of a node, for people -----------------------------------------------------------------


def inputs_of(node: Any) -> tuple[GradArray, ...]:
    """GradArrays on the parents of a node; a value that no rule kept raises when it is read."""
    out = []
    plan = getattr(node, "plan", None)
    for k, parent in enumerate(node.parents):
        handle = parent.handle() if isinstance(parent, graph.Leaf) else None
        if handle is None or handle._node is not parent:
            kept = plan is not None and node.saved is not None and k in plan.keep
            data = node.saved[plan.where_saved[k]] if kept else NotKept(node, k)
            handle = wrap(data, GradArray, parent)
        out.append(handle)
    return tuple(out)


class NotKept:
    """Stands for a value that no derivative rule needs, and that was therefore not kept."""

    def __init__(self, node: Grad, k: int) -> None:
        self._why = f"input {k} of {node.name} was not kept: no derivative rule names it."

    def __getattr__(self, name: str) -> Any:
        raise graph.GraphError(message("inputs", self._why))


# Errors -----------------------------------------------------------------------------------------


def explain(
    op: type[Grad], raw: list[Any], params: dict[str, Any], error: Exception
) -> Exception:
    """NumPy's complaint, with the op, the shapes and the mend."""
    forms = ", ".join(_form(x) for x in raw)
    shapes = [x.shape for x in raw if hasattr(x, "shape")]
    if isinstance(error, IndexError) and not isinstance(error, np.exceptions.AxisError):
        return IndexError(message(op.name, f"{error}, for {forms}."))
    if isinstance(error, TypeError):
        return DTypeError(message(op.name, f"cannot take {forms}: {error}."))
    if issubclass(op, Elementwise) and len(shapes) > 1:
        axis = clash(shapes)
        if axis is not None:
            sizes = " and ".join(str(s[axis]) for s in shapes if len(s) >= -axis)
            return ShapeError(
                message(
                    op.name,
                    f"shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"axis {axis} has {sizes}.",
                    "Axes are compared from the end and must be equal or 1; reshape one of them.",
                )
            )
    extra = "".join(f", {k}={v!r}" for k, v in params.items())
    return ShapeError(message(op.name, f"{error} (given {forms}{extra})."))


def clash(shapes: list[tuple[int, ...]]) -> int | None:
    """The first axis, from the end, along which shapes do not broadcast."""
    for axis in range(-1, -1 - max(map(len, shapes)), -1):
        if len({s[axis] for s in shapes if len(s) >= -axis} - {1}) > 1:
            return axis
    return None


def _form(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x)


given.apply = apply
given.handle_on = handle_on
given.inputs_of = inputs_of
