"""Grad: one application of an op, and the identity of the value it made.

A node holds its parent *nodes*, its static parameters and the raw arrays that its rules name. It
holds neither array handles nor its own output, so the graph has no cycles and is freed at once
when its last reference goes. Order is a sequence number: a node's parents are always older.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from .errors import GraphError, message

if TYPE_CHECKING:
    from .algebra import Plan
    from .array import GradArray

next_seq: Callable[[], int] = itertools.count(1).__next__


class Meta(NamedTuple):
    """The form of an array without its values; rules receive it as `<operand>_like`.

    Nodes hold plain tuples (shape, dtype), which cost less to make.
    """

    shape: tuple[int, ...]
    dtype: Any

    @property
    def ndim(self) -> int:
        return len(self.shape)


class _GradType(ABCMeta):
    """A class that derives from Grad itself is an op with hand-written rules: a Custom."""

    custom: type | None = None

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any], **kwargs: Any):
        if cls.custom is not None and not kwargs.pop("internal", False):
            bases = tuple(cls.custom if base is Grad else base for base in bases)
        kwargs.pop("internal", None)
        return super().__new__(cls, name, bases, space, **kwargs)


class Grad(metaclass=_GradType):
    """An op, declared once by its rules; an instance is one application of it, a node.

    Subclass one of the five kinds (`Elementwise`, `Linear`, `Multilinear`, `Reduction`,
    `Custom`), or `Grad` itself, which is then a `Custom` op: `forward(*arrays)` computes on raw
    arrays, and `backward(y_bar, *inputs, y)` (also named `pull`) or `push(*inputs, y, *x_dots)`
    is its rule, written in gradarray functions.
    """

    __slots__ = ("__weakref__", "form", "metas", "params", "parents", "plan", "saved", "seq")

    name: ClassVar[str] = ""
    operands: ClassVar[tuple[str, ...]] = ()
    # The form of the result without computing it, where that takes long: its shape, from the
    # operands' shapes and the static parameters (None: they do not fit), and its dtype, from
    # their dtypes; without `dtype_of` the one to which all operands but indices promote.
    shape_of: ClassVar[Any] = None
    dtype_of: ClassVar[Any] = None

    parents: tuple[Grad | None, ...]
    saved: tuple[Any, ...] | None
    metas: tuple[Any, ...] | None
    params: dict[str, Any] | None
    plan: Plan
    seq: int
    form: tuple[tuple[int, ...], Any] | None  # (shape, dtype) of its value, once asked for

    @staticmethod
    @abstractmethod
    def forward(*arrays: Any, **params: Any) -> Any:
        """The values of the result, computed on raw arrays."""

    if TYPE_CHECKING:  # every kind defines it, and a class that derives from Grad itself is one

        @classmethod
        def apply(cls, *operands: Any, **params: Any) -> Any:
            """Compute the op on arrays and record it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{getattr(self, 'seq', '?')}>"


class Leaf(Grad, internal=True):
    """The node of a value that nothing made: one per binding, weakly holding its handle."""

    __slots__ = ("handle",)
    name = "leaf"
    forward = staticmethod(lambda: None)

    handle: weakref.ref[GradArray]


def leaf(handle: GradArray) -> Leaf:
    """A new leaf node for what `handle` is now bound to."""
    node = Leaf()
    node.parents = ()
    node.saved = ()
    node.metas = node.form = None
    node.params = None
    node.seq = next_seq()
    node.handle = weakref.ref(handle)
    return node


# Modes ------------------------------------------------------------------------------------------


class _Flags:
    """`special` counts the threads in any mode but the default, so that the usual path reads one
    attribute and no thread-local. `settings` counts changes to what is no array and decides what
    is computed (a module's plain attributes, an optimizer's options), which a compiled function
    looks at again after each."""

    __slots__ = ("settings", "special")

    def __init__(self) -> None:
        self.special = 0
        self.settings = 0


class _Mode(threading.local):
    grad = True  # are operations recorded?
    raw = 0  # > 0 inside a sweep on raw arrays: library functions answer arrays with arrays
    rule = ""  # the op whose hand-written rule is running
    levels: tuple[Any, ...] = ()  # the vmaps that are running, the innermost last
    layers: tuple[Any, ...] = ()  # the modules being called, the outermost first, while watched
    watchers: tuple[Any, ...] = ()  # see every op: .forward, .recorded, .passed, .sweeping
    trace: Any = None  # the compiler's: ops are carried out by .run, on the values of .read


flags = _Flags()
mode = _Mode()
_lock = threading.Lock()


class _GradMode(contextlib.ContextDecorator):
    """Sets whether this thread records, and restores it; usable as a decorator."""

    recording: ClassVar[bool]
    _outer: list[bool]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = object.__new__(cls)
        self._outer = []
        if function is None:
            return self
        if not callable(function):
            raise TypeError(
                message(cls.__name__, f"takes a function to decorate, not {function!r}.")
            )
        return self(function)  # as @ga.no_grad, without brackets

    def _recreate_cm(self) -> _GradMode:
        return type(self)()  # as a decorator: one instance a call, so threads do not share it

    def __enter__(self) -> None:
        self._outer.append(mode.grad)
        mode.grad = self.recording
        with _lock:
            flags.special += 1

    def __exit__(self, *exc: object) -> None:
        mode.grad = self._outer.pop()
        with _lock:
            flags.special -= 1


class no_grad(_GradMode):
    """Inside, nothing is recorded in this thread: results need no gradient.

    >>> import gradarray as ga
    >>> x = ga.array(3.0, requires_grad=True)
    >>> with ga.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    recording = False


class enable_grad(_GradMode):
    """Inside, operations are recorded again, also within `no_grad`.

    >>> import gradarray as ga
    >>> x = ga.array(3.0, requires_grad=True)
    >>> with ga.no_grad(), ga.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    recording = True


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Record in this thread; costs nothing where that is so already."""
    if mode.grad:
        yield
    else:
        with enable_grad():
            yield


@contextlib.contextmanager
def sweeping() -> Iterator[None]:
    """A sweep runs on recorded arrays: what its rules compute is theirs, not the user's."""
    watchers = mode.watchers
    for watcher in watchers:
        watcher.sweeping += 1
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.sweeping -= 1


def is_plain() -> bool:
    """Is nothing on, in this thread, that changes how an op is carried out?"""
    return not flags.special or not (mode.levels or mode.trace)


@contextlib.contextmanager
def watching(watcher: Any) -> Iterator[Any]:
    """Within, `watcher` sees every op of this thread."""
    outer, mode.watchers = mode.watchers, (*mode.watchers, watcher)
    with _lock:
        flags.special += 1
    try:
        yield watcher
    finally:
        mode.watchers = outer
        with _lock:
            flags.special -= 1


def refuse_recorded(op: str) -> None:
    """Raise where a function is being compiled: what looks at values has none to look at."""
    if mode.trace is not None:
        raise GraphError(
            message(
                op,
                "looks at values, which are there only when the compiled function runs.",
                f"Take it out of the function: {op} around the call, or of it, runs op by op.",
            )
        )


def is_grad_enabled() -> bool:
    """Does this thread record operations now?

    >>> import gradarray as ga
    >>> ga.is_grad_enabled()
    True
    """
    return mode.grad


# Order ------------------------------------------------------------------------------------------

_by_seq = attrgetter("seq")


def ancestry(roots: Iterable[Grad], floor: int = 0) -> tuple[list[Grad], bool]:
    """All nodes from `roots` back to `floor`, oldest first, and whether anything older is used.

    A transform's alias has the sequence number `floor`; nothing older can depend on it, so a
    sweep stops there and its cost does not grow with what was recorded before.
    """
    seen = set(roots)
    stack = list(seen)
    older = False
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                if parent.seq < floor:
                    older = True
                else:
                    seen.add(parent)
                    stack.append(parent)
    return sorted(seen, key=_by_seq), older


# Watched nodes: gradients that a user asked to keep or to see on the way --------------------------

class HookHandle:
    """A registered hook; `remove()` takes it away."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], entry: Any, prepend: bool = False) -> None:
        flags.settings += 1
        self._all, self._number = hooks, next(self._numbers)
        hooks[self._number] = entry
        if prepend:
            for number in [k for k in hooks if k != self._number]:
                hooks[number] = hooks.pop(number)

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        flags.settings += 1
        self._all.pop(self._number, None)


watched: weakref.WeakKeyDictionary[Grad, dict[int, Callable[[Any], Any]]]
watched = weakref.WeakKeyDictionary()


def check_alive(node: Grad, op: str = "backward") -> None:
    """Raise if the residuals of `node` were released by an earlier backward pass."""
    if node.saved is None:
        raise GraphError(
            message(
                op,
                f"the graph through {node.name} was freed by an earlier backward().",
                "Call that one with retain_graph=True, or record the function again.",
            )
        )


@contextlib.contextmanager
def raw_sweep() -> Iterator[None]:
    """Library functions given plain arrays answer with plain arrays, in this thread."""
    mode.raw += 1
    try:
        yield
    finally:
        mode.raw -= 1
