"""Recording: an op is computed on raw arrays, and a node remembers it.

`apply` is the general path, for any kind and any number of operands; `elementwise` makes the
public function of an elementwise op, with a short way in for the usual case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import graph, registry
from .algebra import Elementwise, Kind, Plan, form, forms, given
from .array import GradArray, from_user, is_foreign, lift, wrap
from .errors import DTypeError, RuleError, ShapeError, message
from .graph import Grad, flags, mode, next_seq

new = object.__new__
float64 = np.float64

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
    except (ValueError, TypeError, IndexError, np.exceptions.AxisError) as error:
        raise explain(op, raw, params, error) from None
    if flags.special:
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


def recorded(op: type[Kind], x: GradArray, y: Any, params: dict[str, Any]) -> GradArray:
    """The handle on y = op(x), which is computed already; only where no mode is set (`flags`)."""
    out = new(GradArray)
    out._data = y
    out._gradient = None
    parent = x._node
    if parent is None:
        out._node = None
        return out
    plan = op._plans.get(_ONE) or op.plan_for(_ONE)
    out._node = node = op()
    node.parents = (parent,)
    plan.fill(node, x._data, y)
    node.params = params
    node.plan = plan
    node.seq = next_seq()
    return out


_ONE = (True,)


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
    node.metas = None
    node.params = None
    node.which = which
    node.seq = next_seq()
    return node


# The short way in ---------------------------------------------------------------------------------
#
# A recorded elementwise op costs a fraction of a microsecond above NumPy's own call, which it can
# only as straight-line code: the function of each op is written from one of two templates, with
# what it keeps spelled out. Everything unusual goes to `apply`. An op without derivative has no
# second half.

_UNARY = """
def {name}(x{statics}):
    if not isinstance(x, GradArray):
        return forward(x{given}) if mode.raw and type(x) in PLAIN else apply(op, x{given})
    if flags.special:
        return apply(op, x{given})
    v0 = x._data
    try:
        y = forward(v0{given})
    except (ValueError, TypeError) as error:
        raise explain(op, [v0], dict({given_alone}), error) from None
    out = new(GradArray)
    out._data = y
    out._gradient = None
"""

_UNARY_RECORD = """
    parent = x._node
    if parent is None:
        out._node = None
        return out
    out._node = node = op()
    node.parents = (parent,)
    node.saved = {first.save}
    node.params = {params}
    node.plan = first
    node.metas = {first.metas}
    node.seq = next_seq()
    return out
"""

_BINARY = """
def {name}({a}, {b}):
    if isinstance({a}, GradArray):
        v0 = {a}._data
        n0 = {a}._node
        if isinstance({b}, GradArray):
            v1 = {b}._data
            n1 = {b}._node
        elif type({b}) in PLAIN:
            v1 = {b}
            n1 = None
        else:
            return apply(op, {a}, {b})
    elif type({a}) in PLAIN:
        if not isinstance({b}, GradArray):
            if mode.raw and type({b}) in PLAIN:
                return forward({a}, {b})
            return apply(op, {a}, {b})
        v0 = {a}
        n0 = None
        v1 = {b}._data
        n1 = {b}._node
    else:
        return apply(op, {a}, {b})
    if flags.special:
        return apply(op, {a}, {b})
    try:
        y = forward(v0, v1)
    except (ValueError, TypeError) as error:
        raise explain(op, [v0, v1], {{}}, error) from None
    out = new(GradArray)
    out._data = y
    out._gradient = None
"""

_BINARY_RECORD = """
    if n0 is None:
        if n1 is None:
            out._node = None
            return out
        node = op()
        node.plan = second
        number = type(v0) is float or type(v0) is int
        {second_constant}
        node.saved = {second.save}
        node.metas = {second.metas}
    elif n1 is None:
        node = op()
        node.plan = first
        number = type(v1) is float or type(v1) is int
        {first_constant}
        node.saved = {first.save}
        node.metas = {first.metas}
    else:
        node = op()
        node.plan = both
        node.saved = {both.save}
        node.metas = {both.metas}
    out._node = node
    node.parents = (n0, n1)
    node.params = None
    node.seq = next_seq()
    return out
"""


_NO_RECORD = """
    out._node = None
    return out
"""


def elementwise(op: type[Elementwise], **declared: Any) -> Callable[..., GradArray]:
    """The public function of an elementwise op of one or two operands, and the fast way in."""
    return registry.public(op=op, name=op.name, **declared)(elementwise_function(op))


def elementwise_function(op: type[Elementwise], *statics: str) -> Callable[..., GradArray]:
    """The function of an op of one or two operands; of one, static parameters may follow."""
    without = [op.rule(i) is None for i in range(len(op.operands))]
    if any(without) and not all(without):
        fn: Any = lambda a, b: apply(op, a, b)
    else:
        fn = _written(op, statics, records=not any(without))
    fn.__name__ = fn.__qualname__ = op.name
    fn.__doc__ = op.__doc__
    fn.__module__ = op.__module__
    fn.__signature__ = registry.signature_of((*op.operands, *statics))
    return fn


def _written(op: type[Elementwise], statics: tuple[str, ...], records: bool) -> Any:
    count = len(op.operands)
    env = dict(globals(), op=op, forward=op.forward, form=form, forms=forms)
    masks = {1: {"first": (True,)}}.get(
        count, {"first": (True, False), "second": (False, True), "both": (True, True)}
    )
    alone = ", ".join(f"{n}={n}" for n in statics)
    words: dict[str, Any] = {"name": op.name, "given_alone": alone}
    words["statics"] = "".join(f", {n}" for n in statics)
    words["given"] = f", {alone}" if statics else ""
    words["params"] = f"dict({alone})" if statics else "None"
    words.update(zip("ab", op.operands, strict=False))
    for word, mask in masks.items():
        plan = env[word] = op.plan_for(mask)
        words[word] = _Sources(plan)
        words[f"{word}_constant"] = "; ".join(
            f"v{k} = kept_constant(v{k}, v{k} is {op.operands[k]}, y)" for k in plan.constants
        ) or "pass"
    value, record = (_UNARY, _UNARY_RECORD) if count == 1 else (_BINARY, _BINARY_RECORD)
    source = (value + (record if records else _NO_RECORD)).format(**words)
    exec(compile(source, f"<gradarray {op.name}>", "exec"), env)
    return env[op.name]


class _Sources:
    """What a plan keeps, as source."""

    def __init__(self, plan: Plan) -> None:
        self.save = plan.save_source
        self.metas = plan.forms_source
        if plan.op.always_meta:
            return
        if plan.count == 1:
            self.metas = "None"  # one operand: the result has its shape and dtype
            return
        if plan.mask == (True, True):
            alike = (
                "type(v0) is type(v1) is float64 or "
                "v0.dtype is v1.dtype and v0.shape == v1.shape"
            )
        else:
            x = "v0" if plan.mask[0] else "v1"
            # A Python number changes neither the shape nor the dtype of a float.
            alike = (
                f"number or type({x}) is float64 and type(y) is float64 or "
                f"{x}.shape == y.shape and {x}.dtype is y.dtype"
            )
        self.metas = f"None if {alike} else {plan.forms_source}"


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


# Errors -----------------------------------------------------------------------------------------


def explain(
    op: type[Grad], raw: list[Any], params: dict[str, Any], error: Exception
) -> Exception:
    """NumPy's complaint, with the op, the shapes and the mend."""
    if isinstance(error, (ShapeError, DTypeError, np.linalg.LinAlgError)):
        return error  # the op's own words
    forms = ", ".join(_form(x) for x in raw)
    shapes = [x.shape for x in raw if hasattr(x, "shape")]
    if isinstance(error, IndexError) and not isinstance(error, np.exceptions.AxisError):
        return IndexError(message(op.name, f"{error}, for {forms}."))
    if isinstance(error, TypeError):
        if "not supported for the input types" in str(error):
            return DTypeError(message(op.name, f"is not defined for {forms}.", _dtype_mend(raw)))
        return DTypeError(message(op.name, f"cannot take {forms}: {error}."))
    if "read-only" in str(error):
        return RuleError(
            message(
                op.name,
                "its forward changed an input in place, and the caller still has that array.",
                "Change a copy: x = x.copy().",
            )
        )
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


def _dtype_mend(raw: list[Any]) -> str:
    kinds = {np.asarray(x).dtype.kind for x in raw}
    if "c" in kinds:
        return "It takes real numbers: ga.real(x), ga.imag(x) or ga.abs(x) gives them."
    if "f" in kinds:
        return (
            "It takes integers or booleans: cast with x.astype(int), or join conditions with "
            "ga.logical_and, ga.logical_or and ga.logical_not."
        )
    return "Cast it, for example with x.astype(float)."


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
