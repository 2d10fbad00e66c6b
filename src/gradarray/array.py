"""GradArray: a NumPy-like array that remembers the Grad that made it.

A GradArray is a handle: it can be bound to another value (`x[i] = v`, an optimiser's step) and
what was recorded before is untouched, since the graph is made of nodes, not of handles. Operators
and methods are installed here by the modules that own their meaning (see `method`).
"""

from __future__ import annotations

import math
import operator
import sys
import weakref
from collections.abc import Callable
from opcode import opmap
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import graph
from .errors import DTypeError, GraphError, ShapeError, message
from .graph import Grad, Leaf, flags, mode

if TYPE_CHECKING:
    from .types import ArrayLike, ArrayMethods
else:
    ArrayMethods = object

_STORE = opmap["STORE_SUBSCR"]  # what Python is at while it carries out `a[i] = b`

F = TypeVar("F", bound=Callable[..., Any])


class GradArray(ArrayMethods):
    """An array that remembers the operation that made it.

    `_array` holds the values, `_grad` the accumulated derivative (for leaves, and for
    intermediates after `retain_grad()`), `_grad_op` the `Grad` that made it (None for a leaf).

    >>> import gradarray as ga
    >>> x = ga.array([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    GradArray([2., 4.], dtype=float64)
    """

    __slots__ = ("__weakref__", "_data", "_gradient", "_node")

    # An ndarray, or a NumPy scalar where the value is 0-d (scalar arithmetic is 10 times faster).
    _data: Any
    _node: Grad | None
    _gradient: GradArray | None

    __array_priority__ = 1000.0
    def __hash__(self) -> int:  # by identity: `==` compares values
        return id(self) >> 4

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("make an array with ga.array(values, requires_grad=...)")

    # What it is ---------------------------------------------------------------------------------

    @property
    def _array(self) -> np.ndarray:
        if mode.rule and not sys._getframe(1).f_globals["__name__"].startswith("gradarray."):
            self._check_may_leave()
        data = self._data
        if not isinstance(data, np.ndarray):
            data = self._data = np.asarray(data)
        return data

    @_array.setter
    def _array(self, value: np.ndarray) -> None:
        self._rebind(np.array(value))

    @property
    def _grad(self) -> np.ndarray | None:
        return None if self._gradient is None else self._gradient._array

    @_grad.setter
    def _grad(self, value: np.ndarray | None) -> None:
        self.grad = value if value is None else wrap(np.array(value))

    @property
    def _grad_op(self) -> Grad | None:
        node = self._node
        return None if node is None or type(node) is Leaf else node

    @property
    def grad(self) -> GradArray | None:
        """The accumulated derivative, on its graph after `backward(create_graph=True)`."""
        return self._gradient

    @grad.setter
    def grad(self, value: GradArray | None) -> None:
        if value is not None:
            value = value if isinstance(value, GradArray) else wrap(np.array(value))
            if value.shape != self.shape:
                raise ValueError(
                    message(
                        "grad",
                        f"a gradient of shape {value.shape} for an array of shape {self.shape}.",
                        "A gradient has the shape of its array.",
                    )
                )
        self._met()
        self._gradient = value

    @property
    def requires_grad(self) -> bool:
        """Is a derivative with respect to this array, or through it, being recorded?"""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> GradArray:
        """Make a leaf require a gradient, or no longer."""
        if requires_grad and self._node is None:
            check_differentiable_dtype(self.dtype)
            self._node = graph.leaf(self)
        elif not requires_grad and self._node is not None:
            if not self.is_leaf:
                raise GraphError(
                    message(
                        "requires_grad_",
                        f"this array was made by {self._node.name}; only a leaf can be switched.",
                        "Use .detach() for a copy outside the graph.",
                    )
                )
            self._node = None
        return self

    @property
    def is_leaf(self) -> bool:
        """True for an array that no recorded operation made."""
        return self._node is None or type(self._node) is Leaf

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def itemsize(self) -> int:
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        return self._data.nbytes

    def __len__(self) -> int:
        if not self._data.shape:
            raise TypeError(message("len", "a 0-d array has no length."))
        return self._data.shape[0]

    # Leaving the graph --------------------------------------------------------------------------

    def detach(self) -> GradArray:
        """The same values outside the graph."""
        return wrap(data_of(self))

    def numpy(self) -> np.ndarray:
        """The values as a read-only NumPy array.

        Read-only, since a recorded result may still need them; copy to change them.
        """
        self._check_may_leave()
        return read_only(self._array)

    def _check_may_leave(self) -> None:
        if mode.rule and self._node is not None:
            raise GraphError(
                message(
                    mode.rule,
                    "a derivative rule took a value out of the graph (._array, .numpy() or "
                    ".item()).",
                    "Write the rule in gradarray functions, so that it can be differentiated.",
                )
            )

    def item(self, *index: Any) -> Any:
        """The value of a one-element array as a Python number."""
        self._check_may_leave()
        try:
            return self._data.item(*index)
        except ValueError:
            raise ValueError(
                message(
                    "item",
                    f"an array of shape {self.shape} is not one number.",
                    "Index or reduce it first; .tolist() gives all of them.",
                )
            ) from None
        except IndexError as error:
            raise IndexError(message("item", f"{error}, for shape {self.shape}.")) from None

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        self._check_may_leave()
        return self._data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._node is not None:
            raise GraphError(
                message(
                    "numpy",
                    "this array requires a gradient, and a NumPy array would lose its graph.",
                    "Say so with x.detach().numpy(), or x.numpy() for the values alone.",
                )
            )
        view = self.numpy()
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ValueError(
                    message("numpy", f"cannot give {view.dtype} as {dtype} without a copy.")
                )
            return view.astype(dtype)
        return view.copy() if copy else view

    def __float__(self) -> float:
        self._check_not_stored()
        return float(self.item())

    def __int__(self) -> int:
        self._check_not_stored()
        return int(self.item())

    def __complex__(self) -> complex:
        self._check_not_stored()
        return complex(self.item())

    def _check_not_stored(self) -> None:
        """Refuse `buffer[i] = x` on a NumPy array, which asks for float(x): nobody has said so."""
        if self._node is None:
            return
        frame = sys._getframe(2)
        if frame.f_code.co_code[frame.f_lasti] == _STORE:
            raise GraphError(
                message(
                    "numpy",
                    "an array that requires a gradient was put into a NumPy array, which would "
                    "lose its graph.",
                    "Put it into ga.zeros(...), or into a list for ga.stack, or say x.item().",
                )
            )

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iu" or self._data.ndim:
            raise TypeError(
                message("index", f"only a 0-d integer array is an index, not {self._form()}.")
            )
        return operator.index(self._data)

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                message(
                    "bool",
                    f"the truth of an array of shape {self.shape} is ambiguous.",
                    "Use .any() or .all(), or ga.where to choose element by element.",
                )
            )
        return bool(self._data)

    # What vmap overrides: the handle of one example among many ------------------------------------

    def _base(self) -> GradArray:
        """The array that is recorded: itself, or behind one example the array of all of them."""
        return self

    def _like(self, value: GradArray) -> GradArray:
        """`value`, of the base's shape, as a handle like this one."""
        return value

    # Gradients ----------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forget the gradient: sets `.grad` to None."""
        self._met()
        self._gradient = None

    def _met(self) -> None:
        """Before a gradient changes under trace: how it was is part of what is recorded."""
        if flags.special and mode.trace is not None:
            mode.trace.read(self)

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate in `.grad` at the next backward pass."""
        node = self._require_node("retain_grad")
        if type(node) is Leaf:
            return
        hooks = graph.watched.setdefault(node, {})
        if not any(isinstance(hook, _Keep) and hook.handle() is self for hook in hooks.values()):
            graph.HookHandle(hooks, _Keep(self))

    def register_hook(self, hook: Callable[[GradArray], GradArray | None]) -> graph.HookHandle:
        """Call `hook(gradient)` when this array's gradient is known; a result replaces it.

        A leaf keeps its hooks when it is bound to new values, as by an optimiser's step. Returns
        a handle with `remove()`.

        >>> import gradarray as ga
        >>> x = ga.array(3.0, requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: ga.clip(gradient, -1.0, 1.0))
        >>> (x * x).backward()
        >>> x.grad
        GradArray(1., dtype=float64)
        """
        node = self._require_node("register_hook")
        return graph.HookHandle(graph.watched.setdefault(node, {}), hook)

    def _require_node(self, op: str) -> Grad:
        if self._node is None:
            raise GraphError(
                message(
                    op,
                    "this array does not require a gradient.",
                    "Make it with ga.array(..., requires_grad=True), outside no_grad.",
                )
            )
        return self._node

    # Rebinding ----------------------------------------------------------------------------------

    def _rebind(self, data: Any, node: Grad | None = None) -> None:
        """Bind this handle to another value; what was recorded on the old one is untouched."""
        if flags.special and mode.trace is not None:
            mode.trace.touch(self)
        old = self._node
        self._data = data
        self._node = node
        if type(old) is Leaf and node is None:
            self._node = graph.leaf(self)
            if len(graph.watched) and old in graph.watched:
                graph.watched[self._node] = graph.watched[old]

    def _assign(self, op: str, value: GradArray) -> GradArray:
        """Bind to the result of an in-place operation, as `x += v` and `x[i] = v` do."""
        if type(self._node) is Leaf and (not flags.special or mode.grad):
            raise GraphError(
                message(
                    op,
                    "an array that requires a gradient and that nothing made cannot be changed "
                    "while operations are recorded: its gradient would have no place to go.",
                    "Write y = x + v, or change it inside ga.no_grad().",
                )
            )
        if value.shape != self.shape:
            raise ValueError(
                message(
                    op,
                    f"shape {self.shape} cannot become {value.shape} in place.",
                    "Write it out, as in x = x + v, for a new array.",
                )
            )
        self._rebind(value._data, value._node)
        return self

    # Copies and pictures ------------------------------------------------------------------------

    def __copy__(self) -> GradArray:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> GradArray:
        if not self.is_leaf:
            raise GraphError(
                message(
                    "deepcopy",
                    "only a leaf can be copied with its gradient; this array was made by "
                    f"{self._require_node('deepcopy').name}.",
                    "Use .detach() first.",
                )
            )
        out = wrap(_copy(self._data), type(self))
        memo[id(self)] = out
        if self._node is not None:
            out._node = graph.leaf(out)
        if self._gradient is not None:
            out._gradient = wrap(_copy(self._gradient._data))
        return out

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise GraphError(message("pickle", "only a leaf can be pickled; use .detach()."))
        return _rebuild, (type(self), self._array, self.requires_grad)

    def _form(self) -> str:
        return f"{self.dtype}{list(self.shape)}"

    def __repr__(self) -> str:
        if not isinstance(self._data, (np.ndarray, np.generic)):  # values that are not there
            op = self._grad_op
            text = self._data.shown() if is_foreign(self._data) else repr(self._data)
            return f"GradArray({text}{f', grad_op={type(op).__name__}' if op else ''})"
        values = np.array2string(
            self._array, separator=", ", prefix="GradArray(", threshold=1000, edgeitems=3
        )
        text = f"GradArray({values}, "
        if not 0 < self.size <= 1000:  # the shape cannot be read off the values
            text += f"shape={self.shape}, "
        text += f"dtype={self.dtype}"
        op = self._grad_op
        if op is not None:
            text += f", grad_op={type(op).__name__}"
        elif self._node is not None:
            text += ", requires_grad=True"
        return text + ")"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)


# In C: a Python function takes as long as the sum of two numbers.
for _name in ("shape", "dtype", "ndim", "size"):
    _read: Any = property(operator.attrgetter(f"_data.{_name}"), doc=f"NumPy's {_name}.")
    setattr(GradArray, _name, _read)


class _Keep:
    """A hook that adds the gradient of an intermediate to its handle's `.grad`."""

    __slots__ = ("handle",)

    def __init__(self, handle: GradArray) -> None:
        self.handle = weakref.ref(handle)

    def __call__(self, gradient: GradArray) -> None:
        handle = self.handle()
        if handle is not None:
            old = handle._gradient
            handle._gradient = gradient if old is None else old + gradient


_new = object.__new__


def wrap(data: Any, kind: type[GradArray] = GradArray, node: Grad | None = None) -> GradArray:
    """A handle on `data` as it is (no copy)."""
    out = _new(kind)
    out._data = data
    out._node = node
    out._gradient = None
    return out


def method(name: str) -> Callable[[F], F]:
    """Install a function as the method `name` of GradArray; a name taken twice is an error."""

    def install(fn: F) -> F:
        if name in GradArray.__dict__:
            raise ValueError(f"GradArray.{name} is already defined")
        setattr(GradArray, name, fn)
        return fn

    return install


def check_differentiable_dtype(dtype: np.dtype) -> None:
    """Raise unless derivatives of this dtype exist."""
    if dtype.kind not in "fc":
        raise DTypeError(
            message(
                "requires_grad",
                f"an array of dtype {dtype} has no derivative.",
                "Use a floating dtype, for example ga.array(x, dtype=float, requires_grad=True).",
            )
        )


def from_user(value: ArrayLike, op: str = "array") -> Any:
    """A private copy of the caller's values, as an ndarray (0-d values as a NumPy scalar)."""
    if type(value) is float:
        return np.float64(value)
    try:
        out = np.array(value)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ShapeError(
            message(op, "nested lists of unequal lengths.", "Give a rectangular list.")
        ) from None
    if out.dtype.kind not in "biufc":
        raise DTypeError(
            message(
                op,
                f"values of dtype {out.dtype} ({type(value).__name__}) are not numbers.",
                "Give numbers, or a rectangular list of them.",
            )
        )
    return out if out.shape else out[()]


class _Knot:
    """What lifting a list of GradArrays needs from the ops, which give it here."""

    stacked: Callable[[Any, str], Any]


knot = _Knot()


def holds_arrays(value: Any) -> bool:
    """Is there a GradArray in these nested lists?"""
    if not isinstance(value, (list, tuple)):
        return False
    for kind in set(map(type, value)):
        if issubclass(kind, GradArray):
            return True
        if issubclass(kind, (list, tuple)) and any(map(holds_arrays, value)):
            return True
    return False


def read_only(data: Any) -> np.ndarray:
    """The same values as an ndarray, also where 0-d, that cannot be written to."""
    view = np.asarray(data).view()
    view.flags.writeable = False
    return view


def data_of(x: GradArray) -> Any:
    """What is behind a handle; under trace the value that stands for it."""
    return mode.trace.read(x) if flags.special and mode.trace is not None else x._data


def is_foreign(x: Any) -> bool:
    """Does a walk bring this in the place of an array?"""
    return hasattr(type(x), "__ga_apply__")


def is_abstract(x: Any) -> bool:
    """Will the values be there only when a compiled function runs?"""
    return isinstance(x, GradArray) and bool(flags.special) and mode.trace is not None


class Formed:
    """Stands for an array of which no more is known than its form, `shape` and `dtype`."""

    __slots__ = ()
    shape: Any
    dtype: Any

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


def has_values(x: Any) -> bool:
    """Can the values be looked at? Not inside vmap, nor under trace: checks are left out."""
    return not isinstance(x, GradArray) or (
        x._base() is x and (not flags.special or mode.trace is None)
    )


def lift(value: Any, op: str = "array") -> Any:
    """A GradArray of `value`; inside a sweep on raw arrays, `value` as it is.

    GradArrays in nested lists are stacked, so that they stay on their graph.
    """
    if isinstance(value, GradArray) or mode.raw:
        return value
    if is_foreign(value):
        return value
    if holds_arrays(value):
        return knot.stacked(value, op)
    return wrap(from_user(value, op))


def _copy(data: Any) -> Any:
    return data.copy() if isinstance(data, np.ndarray) else data


def _rebuild(kind: type[GradArray], data: np.ndarray, requires_grad: bool) -> GradArray:
    out = wrap(data, kind)
    if requires_grad:
        out._node = graph.leaf(out)
    return out
