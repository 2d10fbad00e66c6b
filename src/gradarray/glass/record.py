"""The full record of a run: every op, what went in, what came out, and who asked for it.

The graph itself keeps only what derivative rules name. A `Keeper` watches a run and keeps the
rest: operands that are constants, results that no rule needs, the user's lines and layers.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import weakref
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from .. import graph, registry
from ..array import GradArray, wrap
from ..errors import PACKAGE, no_user_wrote
from ..graph import Grad, Leaf, mode
from ..nn.module import Module
from ..nn.parameter import Parameter
from ..ops.indexing import Placed
from ..record import PickGrad

_numbers = itertools.count(1)


class Spot(NamedTuple):
    """An instruction in a user's function that is running.

    `frame` tells the function's calls apart, `inner` those that the instruction makes.
    """

    code: CodeType
    instruction: int
    line: int
    frame: int
    inner: int


class Made:
    """One op that was carried out.

    `operands` holds, for each, a `Made` (with the number of the result), a node that was there
    before, or a constant.
    """

    __slots__ = (
        "__weakref__", "layers", "model", "node", "number", "op", "operands", "params", "raw",
        "spots", "within", "y",
    )  # fmt: skip

    def __init__(self, op: type[Grad], raw: list[Any], params: dict[str, Any], y: Any) -> None:
        self.op, self.raw, self.params, self.y = op, list(raw), params, y
        self.number = graph.next_seq()  # in the order of nodes
        self.operands: list[Any] = []
        self.spots: tuple[Spot, ...] = ()  # the user's functions, the innermost first
        self.within: tuple[str, ...] = ()  # functions of the library between them and the op
        self.model, self.layers = None, ()
        self.node: weakref.ref[Grad] | None = None  # where it is on a graph

    def result(self, which: int) -> Any:
        return self.y[which] if type(self.y) is tuple else self.y


class Pass(NamedTuple):
    """What came to a node in a sweep and went on; numbers grow as sweeps go."""

    number: int
    came: Any
    went: list[Any]


class Keeper:
    """A watcher that keeps what every op of its thread took and gave, as long as the graph lives.

    So what belongs to a node, a leaf or an array of the user's is held by it, and not the other
    way round.
    """

    def __init__(
        self, floor: FrameType | None = None, frames: Iterable[FrameType] = ()
    ) -> None:
        self.sweeping = 0
        self.nodes: weakref.WeakKeyDictionary[Grad, Made] = weakref.WeakKeyDictionary()
        self.names: dict[int, str] = {}  # what constants and leaves are called, by id
        self._named: dict[int, Any] = {}  # what `names` knows, to forget what is gone
        self._by_id: dict[int, weakref.ref[Made]] = {}
        # Of sweeps inside, which may free the graph.
        self.passes: weakref.WeakKeyDictionary[Grad, list[Pass]] = weakref.WeakKeyDictionary()
        self._buffers: dict[int, list[tuple[Any, Any, Any]]] = {}  # by model, as they were at first
        self._frames = tuple(frames)  # of functions that have failed
        # Functions that were called: alive until `let_go`, so that each has a number of its own.
        self._held: dict[int, tuple[FrameType, int]] = {}
        self._floor = floor  # the frame above which the user's functions are told
        self._last: Made | None = None

    # As a watcher of ops --------------------------------------------------------------------------

    def forward(self, op: Any, raw: list[Any], params: dict[str, Any], y: Any) -> None:
        """An op was computed; `recorded` says whether it is on a graph."""
        made = Made(op, raw, params, y)
        made.operands = [self._origin(x) for x in raw]
        made.spots, made.within = self._spots()
        if mode.layers:
            made.model, made.layers = mode.layers[0], mode.layers[1:]
            if id(made.model) not in self._buffers:
                found = [(b, b._data, b._node) for b in made.model.buffers()]
                self._buffers[id(made.model)] = found
        for part in y if type(y) is tuple else (y,):
            self._by_id[id(part)] = weakref.ref(made, _forgets(id(part), self._by_id))
        self._name_constants(made)
        self._last = made

    def recorded(self, node: Grad) -> None:
        """Its node was made: its parents say where the operands come from."""
        made, self._last = self._last, None
        if made is None:
            return
        for k, parent in enumerate(node.parents):
            if parent is not None:
                made.operands[k] = parent
                self._name_leaf(parent, made)
        self.nodes[node] = made
        made.node = weakref.ref(node)

    def passed(self, node: Grad, came: Any, went: Any, direction: str) -> None:
        """Derivatives of a sweep inside the run."""
        if direction == "backward" and not self.sweeping:
            found = self.passes.setdefault(node, [])
            found.append(Pass(next(_numbers), came, [alone(bar) for bar in went]))

    def let_go(self) -> None:
        """Keep no function's variables alive: those that were called are told apart by now."""
        self._held.clear()
        self._buffers.clear()
        self._floor = None

    def undo(self) -> None:
        """Set buffers, such as running statistics, to what they were before the run."""
        for found in self._buffers.values():
            for buffer, data, node in found:
                if buffer._data is not data:
                    buffer._rebind(data, node)

    # Where values come from -----------------------------------------------------------------------

    def _origin(self, x: Any) -> Any:
        """(Made, which of its results), or the operand itself where it came from outside."""
        known = self._by_id.get(id(x))
        made = None if known is None else known()
        if made is None:
            return x
        if type(made.y) is not tuple:
            return made, 0
        return made, next(k for k, part in enumerate(made.y) if part is x)

    def _spots(self) -> tuple[tuple[Spot, ...], tuple[str, ...]]:
        frame: FrameType | None = sys._getframe(2)
        found, within, inner = [], [], 0
        while frame is not None and frame is not self._floor:
            code, below = frame.f_code, inner
            inner = self._number_of(frame)
            if not no_user_wrote(code.co_filename):
                found.append(Spot(code, frame.f_lasti, frame.f_lineno, inner, below))
            elif not found and code.co_filename.startswith(PACKAGE):
                known = registry.functions.get(code.co_name)
                if known is not None and code.co_name not in within:
                    within.append(code.co_name)
            frame = frame.f_back
        return tuple(found), tuple(reversed(within))

    def _number_of(self, frame: FrameType) -> int:
        known = self._held.get(id(frame))
        if known is None:
            known = self._held[id(frame)] = frame, next(_numbers)
        return known[1]

    # What the user calls them ---------------------------------------------------------------------

    def call(self, value: Any, name: str) -> None:
        """Tell what an argument (a handle or an array) is called."""
        for part in (value, getattr(value, "_data", None), getattr(value, "_node", None)):
            if part is not None and not isinstance(part, (int, float, str)):
                self._name(part, name)

    def _name(self, x: Any, name: str) -> None:
        key = id(x)
        self.names[key] = name
        try:
            self._named[key] = weakref.ref(x, _forgets(key, self._named, self.names))
        except TypeError:  # a NumPy scalar
            self._named[key] = x

    def _name_leaf(self, node: Any, made: Made) -> None:
        if not isinstance(node, Leaf) or id(node) in self.names:
            return
        handle = node.handle()
        name = "" if handle is None else _parameter(made.model, handle) or self.find(handle)
        self._name(node, name)

    def _name_constants(self, made: Made) -> None:
        for x, raw in zip(made.operands, made.raw, strict=True):
            if getattr(raw, "ndim", 0) and not isinstance(x, tuple) and id(raw) not in self.names:
                self._name(raw, self.find(raw))

    def find(self, value: Any) -> str:
        """The name of a variable, of the user's functions that run, that holds this value.

        A parameter of a network that is in a variable has the network's name for it.
        """
        spaces = self._spaces()
        for space in spaces:
            for name, x in space.items():
                if x is value or getattr(x, "_data", None) is value:
                    return name
        models = (x for space in spaces for x in list(space.values()))
        return next((name for x in models if (name := _parameter(x, value))), "")

    def variables(self) -> dict[int, str]:
        """By node: the names of variables, of the user's functions that run, that hold arrays."""
        found: dict[int, str] = {}
        for space in self._spaces():
            for name, x in space.items():
                if isinstance(x, GradArray) and x._node is not None and not name.startswith("_"):
                    found.setdefault(id(x._node), name)
        return found

    def _spaces(self) -> list[dict[str, Any]]:
        """Variables of the user's functions that run, the innermost first."""
        frames, frame = list(self._frames), sys._getframe(1)
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        spaces: list[dict[str, Any]] = []
        for one in frames:
            if not no_user_wrote(one.f_code.co_filename):
                spaces += [one.f_locals, one.f_globals]
        return spaces


def _forgets(key: int, *of: dict[int, Any]) -> Any:
    """What is called when the thing of this id is gone."""

    def forget(_: Any) -> None:
        for known in of:
            known.pop(key, None)

    return forget


def alone(bar: Any) -> Any:
    """A contribution as an array that the sweep does not add others to."""
    if type(bar) is not Placed or bar.terms is None:
        return bar
    out = np.zeros(bar.shape, bar.dtype)
    out[bar.terms[0]] = bar.terms[1]
    return out


def _parameter(model: Any, handle: Any) -> str:
    """The path of a parameter in a network."""
    if not isinstance(handle, Parameter) or not isinstance(model, Module):
        return ""
    return next((path for path, p in model.named_parameters() if p is handle), "")


_kept: weakref.WeakKeyDictionary[Grad, tuple[Made, Keeper]] = weakref.WeakKeyDictionary()


class _Everything(Keeper):
    """What `keep_all` keeps is found by node, as long as the graph lives."""

    def recorded(self, node: Grad) -> None:
        super().recorded(node)
        made = self.nodes.get(node)
        if made is not None:
            _kept[node] = made, self


@contextlib.contextmanager
def keep_all() -> Iterator[None]:
    """Within, every value of this thread is kept for `explain`, also those that no rule needs.

    They live as long as their graph. Results and derivatives are the same to the last bit; each
    op takes some tens of microseconds longer.

    >>> import gradarray as ga
    >>> x = ga.array(2.0, requires_grad=True)
    >>> with ga.keep_all():
    ...     y = 3 + x
    >>> [float(row.value) for row in ga.explain(y).rows]
    [2.0, 5.0]
    """
    keeper = _Everything()
    try:
        with graph.watching(keeper):
            yield
    finally:
        keeper.let_go()


def kept(node: Grad) -> tuple[Made | None, Keeper | None]:
    """What `keep_all` knows of a node."""
    return _kept.get(node, (None, None))


def latest_of(value: GradArray) -> GradArray | None:
    """Of all that `keep_all` has seen made from a value, what was made last: the loss."""
    reached, last = {value._node}, None
    for node in sorted(_kept, key=lambda node: node.seq):
        parents = {p.parents[0] if isinstance(p, PickGrad) else p for p in node.parents}
        if reached & (parents | set(node.parents)):
            reached.add(node)
            last = node
    return None if last is None else wrap(_kept[last][0].y, GradArray, last)
