"""Trace: a function is run once on arrays without values, and every op becomes a step.

An op under trace is recorded as ever, only its forward is not carried out: `run` takes its place,
finds the form of the result and adds a step. A GradArray that the trace meets for the first time,
an argument or something that the function reaches from outside (a parameter, an optimiser's
slot), is bound to an abstract value until the trace ends. What then holds another value has been
changed by the function: it is state.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from .. import graph
from ..algebra import Elementwise, Linear, Multilinear, Reduction
from ..array import GradArray, wrap
from ..errors import GraphError, message, shown_place, user_place, warn
from ..graph import Grad, Leaf, mode
from .abstract import Abstract, is_array
from .program import Step

# Tracing changes what handles are bound to, for a moment: one thread at a time.
lock = threading.RLock()

LONG = 20_000  # operations: probably a loop

# Ops whose result has as many elements as the values say.
_COUNTING = frozenset({"nonzero", "argwhere", "unique"})


class Bound:
    """A handle from outside, and what it was bound to before the trace."""

    __slots__ = ("data", "gradient", "handle", "node", "of", "seen", "value")

    def __init__(self, handle: GradArray, value: Abstract, of: Bound | None) -> None:
        self.handle, self.value, self.of = handle, value, of
        self.data, self.node, self.gradient = handle._data, handle._node, handle._gradient
        self.seen = self.gradient  # the gradient that the function sees at its start


class Trace:
    """One recording: the steps, and the handles that were met.

    `otherwise`: what has a gradient is shown without one, and the other way round, to see whether
    the program depends on it.
    """

    flow: ClassVar[Any]  # how loops and branches are recorded; `flow` gives itself

    def __init__(self, absorbing: bool, otherwise: bool = False) -> None:
        self.open = True
        self.absorbing, self.otherwise = absorbing, otherwise
        self.same: dict[int, int] = {}
        self.demands: list[tuple[Abstract, Callable[[np.ndarray], None]]] = []
        self.settings: dict[int, Any] = {}  # what has settings that were read: modules, groups
        self.steps: list[Step] = []
        self.bound: dict[int, Bound] = {}
        self.suspects: list[Abstract] = []  # results of plain sweeps: a NaN asks for another run
        self.constants: dict[Abstract, np.ndarray] = {}
        self._constants_by: dict[int, Abstract] = {}
        self._kept: list[Any] = []
        self._lines: dict[tuple[str, int], str] = {}
        self._count = 0

    def count(self) -> int:
        self._count += 1
        return self._count

    # Inputs ---------------------------------------------------------------------------------------

    def input(self, shape: tuple[int, ...], dtype: Any, weak: type | None = None) -> Abstract:
        return Abstract(self, shape, np.dtype(dtype).newbyteorder("="), weak=weak)

    def read(self, handle: GradArray) -> Any:
        """The abstract value of a handle, to which it is bound if it is not yet."""
        data = handle._data
        return self.inner(data) if type(data) is Abstract else self.bind(handle)

    def bind(self, handle: GradArray, of: Bound | None = None) -> Abstract:
        data = handle._data
        if not is_array(data):
            raise GraphError(message("compile", f"cannot record {data!r}."))
        value = self.input(data.shape, data.dtype)  # alone: handles may part after this call
        bound = self.bound[id(handle)] = Bound(handle, value, of)
        handle._data = value
        if handle._node is not None and type(handle._node) is not Leaf:
            handle._node = graph.leaf(handle)  # what was recorded outside is not walked through
        self.bind_gradient(bound)
        return value

    def bind_gradient(self, bound: Bound) -> None:
        """Bind a handle's gradient with it: it is state, too."""
        handle = bound.handle
        gradient = handle._gradient
        if self.otherwise and bound.of is None and handle._node is not None:
            value = handle._data
            gradient = None
            if handle._gradient is None:
                gradient = wrap(self.input(value.shape, value.dtype))
                self.bound[id(gradient)] = Bound(gradient, gradient._data, bound)
            handle._gradient = bound.seen = gradient
        if gradient is not None and type(gradient._data) is not Abstract:
            self.bind(gradient, bound)

    def note(self, owner: Any) -> None:
        """What the function does depends on the settings of `owner`, a module or the like."""
        if hasattr(type(owner), "_settings"):
            self.settings[id(owner)] = owner

    def constant(self, x: np.ndarray) -> Any:
        """An array of the caller's, or made on the way: copied, for it may be changed later."""
        if not x.ndim:
            return x[()]
        value = self._constants_by.get(id(x))
        if value is None:
            value = self._constants_by[id(x)] = self.input(x.shape, x.dtype)
            self.constants[value] = x.astype(value.dtype)  # a copy
            self._kept.append(x)  # so that its id stays its own
        return value

    def bound_to(self, value: Abstract) -> Bound:
        """The first handle that was bound to this value."""
        return next(b for b in self.bound.values() if b.value is value)

    def touch(self, handle: GradArray) -> None:
        """A handle is about to be bound to another value."""
        if type(handle._data) is not Abstract:
            self.bind(handle)

    def is_nan(self, values: Iterable[Any]) -> bool:
        """A sweep with plain products asks whether to sweep again: the program is told to look.

        If it finds one, all is run again as a program of absorbing sweeps.
        """
        self.suspects += [v for v in values if type(v) is Abstract and not self.absorbing]
        return self.absorbing

    def demand(self, x: GradArray, doubt: GradArray, check: Callable[[np.ndarray], None]) -> None:
        """Look at each run, before anything is written: where `doubt` is NaN, check(values of x).

        The check raises what the function raises for such values.
        """
        self.demands.append((self.read(x), check))
        self.suspects += [self.read(doubt)] if not self.absorbing else []

    # Steps ----------------------------------------------------------------------------------------

    def run(self, op: type[Grad], raw: Any, params: dict[str, Any]) -> Any:
        """Stands in for op.forward(*raw, **params)."""
        if not any(type(x) is Abstract for x in raw):
            return op.forward(*raw, **params)
        if op.name in _COUNTING:
            raise GraphError(
                message(
                    op.name,
                    "the number of its results depends on values, which a compiled function "
                    "does not know.",
                    "Choose with ga.where(mask, x, 0), which keeps the shape.",
                )
            )
        found = infer(op, raw, params)
        operands = tuple([self.constant(x) if type(x) is np.ndarray else x for x in raw])
        return self.append(Step(op, operands, params, self._line()), found)

    def _line(self) -> str:
        """The user's line, which many steps have in common."""
        place = user_place()
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = shown_place(place)
        return line

    def append(self, step: Step, found: Any) -> Any:
        """The results of a step, from their forms: one, or a tuple if they are in a list."""
        self.steps.append(step)
        if len(self.steps) == LONG:
            warn(
                message(
                    "compile",
                    f"the function has more than {LONG} operations: a Python loop is recorded "
                    "turn by turn.",
                    "Write it as ga.scan, ga.fori_loop or ga.while_loop, which stay loops.",
                )
            )
        if isinstance(found, list):
            step.several = True
            step.values = tuple([Abstract(self, shape, dtype, step) for shape, dtype in found])
            return step.values
        shape, dtype = found
        step.values = (Abstract(self, shape, dtype, step),)
        return step.values[0]

    def inner(self, value: Abstract) -> Abstract:
        """What stands here for a value, which is of this trace itself."""
        if value.trace is not self:
            raise value.unreadable("values")
        return value

    # The end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Bind every handle to what it was bound to before."""
        self.open = False
        for bound in self.bound.values():
            bound.handle._data = bound.data
            bound.handle._node = bound.node
            bound.handle._gradient = bound.gradient
        self.bound.clear()  # the program outlives the trace, and holds nothing of the user's
        self.settings.clear()

    def is_temporary(self, bound: Bound) -> bool:
        """Is a bound handle held by nobody else, so that it can never hold another value?"""
        # The references of `bound`, of the call of getrefcount, and of nobody else.
        return sys.getrefcount(bound.handle) <= 2


@contextlib.contextmanager
def tracing(absorbing: bool = False, otherwise: bool = False) -> Iterator[Trace]:
    """Within, ops of this thread become steps of the trace.

    Python's collector rests meanwhile, so that what was made inside is found among its youngest
    (see leaks.py).
    """
    with lock:
        outer = mode.trace
        trace = mode.trace = Trace(absorbing, otherwise)
        collects = gc.isenabled()
        gc.disable()
        with graph._lock:
            graph.flags.special += 1
        try:
            yield trace
        finally:
            mode.trace = outer
            with graph._lock:
                graph.flags.special -= 1
            trace.close()
            if collects:
                gc.enable()


# Forms --------------------------------------------------------------------------------------------

_forms: dict[Any, Any] = {}


def infer(op: type[Grad], raw: Any, params: dict[str, Any]) -> Any:
    """(shape, dtype) of op's result, a list of them where there are several."""
    key: Any = None
    try:
        key = (op, tuple([_key(x) for x in raw]), tuple(params.items()))
        known = _forms.get(key)
    except TypeError:  # a parameter that is no key
        known, key = None, None
    if known is None:
        known = _inferred(op, raw, params)
        if key is not None:
            _forms[key] = known
    return known


def _key(x: Any) -> Any:
    if type(x) is Abstract:
        return x.shape, x.dtype, x.weak
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype, x.tobytes() if x.dtype.kind in "iub" and x.size < 64 else id(x)
    return type(x), x


def _inferred(op: type[Grad], raw: Any, params: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        if issubclass(op, Elementwise):
            shape = np.broadcast_shapes(*[np.shape(x) if is_array(x) else _shape(x) for x in raw])
            y = op.forward(*[_small(x) for x in raw], **params)
            return shape, np.asarray(y).dtype
        declared = _declared(op, raw, params)
        if declared is not None:
            return declared
        of = _repeated if issubclass(op, (Linear, Multilinear)) else example
        y = op.forward(*[of(x) for x in raw], **params)
    if isinstance(y, tuple):
        return [(np.shape(part), np.asarray(part).dtype) for part in y]
    return np.shape(y), np.asarray(y).dtype


def _declared(op: type[Grad], raw: Any, params: dict[str, Any]) -> Any:
    """The form that an op says it has; None where it says nothing, or where operands do not fit.

    Values that are there are looked at: an index may be out of bounds.
    """
    if op.shape_of is None or any(type(x) is not Abstract or x.weak for x in raw):
        return None
    try:
        shape = op.shape_of(*[x.shape for x in raw], **params)
    except ValueError:
        return None
    if shape is None:
        return None
    if op.dtype_of is not None:
        return shape, op.dtype_of(*[x.dtype for x in raw], **params)
    if issubclass(op, Reduction):
        y = op.forward(np.ones((1,) * raw[0].ndim, raw[0].dtype), **params)
        return shape, np.asarray(y).dtype
    indices = getattr(op, "index", ())
    return shape, np.result_type(*[x.dtype for k, x in enumerate(raw) if k not in indices])


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if type(x) is Abstract else ()


def _small(x: Any) -> Any:
    """One element that stands for all: the dtype does not depend on how many there are."""
    if type(x) is Abstract:
        return x.weak(1) if x.weak else np.ones((1,), x.dtype)
    return x.ravel()[:1] if isinstance(x, np.ndarray) and x.size else x


def _repeated(x: Any) -> Any:
    """An array whose elements are all one and the same, which takes no memory."""
    if type(x) is not Abstract or x.weak:
        return example(x)
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)


def example(x: Any) -> Any:
    """Values with which any op can be carried out: a regular matrix, an index that exists."""
    if type(x) is not Abstract:
        return x
    if x.weak:
        return x.weak(1)
    if x.dtype.kind not in "fc":
        return np.zeros(x.shape, x.dtype)[()]
    if x.ndim >= 2:
        eye = np.eye(*x.shape[-2:], dtype=x.dtype)
        return np.broadcast_to(eye, x.shape).copy()
    return np.ones(x.shape, x.dtype)[()]
