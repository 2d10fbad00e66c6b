"""Abstract: an array whose values are not there yet, as the data behind a GradArray in a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import protocols
from ..algebra import given
from ..array import Formed, GradArray, wrap
from ..errors import GraphError, message
from ..graph import mode
from ..ops import indexing

if TYPE_CHECKING:
    from .program import Step
    from .trace import Trace


class Abstract(Formed):
    """One value of a program: its shape and dtype, and the step that gives it.

    It stands where an ndarray or a NumPy scalar stands otherwise, so every walk runs on it as it
    is. `weak`: a Python number, which does not promote what it meets.
    """

    __slots__ = ("__weakref__", "dtype", "number", "shape", "step", "trace", "weak")
    __array_ufunc__ = protocols.array_ufunc  # `array * abstract`
    __array_function__ = protocols.array_function  # also np.shape(abstract)
    __hash__ = object.__hash__

    def __init__(
        self,
        trace: Trace,
        shape: tuple[int, ...],
        dtype: Any,
        step: Step | None = None,
        weak: type | None = None,
    ) -> None:
        self.trace, self.shape, self.dtype, self.step, self.weak = trace, shape, dtype, step, weak
        self.number = trace.count()

    @staticmethod
    def __ga_apply__(op: Any, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """An op on plain arrays: within a sweep plain, elsewhere recorded as any other."""
        if mode.trace is None:
            raise next(x for x in operands if type(x) is Abstract).unreadable("values")
        for x in operands:  # a walk's own operand goes first, and finds ours inside
            if type(x) is not Abstract and hasattr(type(x), "__ga_apply__"):
                return type(x).__ga_apply__(op, operands, params)
        operands = tuple([x.dense() if type(x) is indexing.Placed else x for x in operands])
        if not mode.raw or any(isinstance(x, GradArray) for x in operands):
            handles = [wrap(x) if type(x) is Abstract else x for x in operands]
            return given.apply(op, *handles, **params)
        return mode.trace.run(op, operands, params)

    def __getitem__(self, key: Any) -> Any:
        return indexing.get(self, key)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            return GradArray.__dict__[name].__get__(self)
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.unreadable("number" if name in ("item", "tolist") else "values")

    def unreadable(self, how: str) -> GraphError:
        """The error of a value that is not there; `how`: what was asked of it, of `READING`."""
        form = f"{self.dtype}{list(self.shape)}"
        if not self.trace.open:
            return GraphError(
                message(
                    "compile",
                    f"an array {form} that was made while a function was recorded{self._made()} is "
                    "used outside it: it has no values.",
                    "Return it from the function, or write it into an array that is there already "
                    "(a[...] = v).",
                )
            )
        if mode.trace is None:
            return GraphError(
                message(
                    "compile",
                    f"an array {form} is used while another thread records a function with it.",
                    "Compile before the threads start: call the function once.",
                )
            )
        what, mend = READING[how]
        return GraphError(
            message(
                "compile",
                f"{what} while the function is recorded, an array {form} that has values only "
                "when it runs.",
                mend,
            )
        )

    def _made(self) -> str:
        line = self.step.line if self.step is not None else ""
        return f" (at {line})" if line else ""

    def shown(self) -> str:
        """Stands for its values in a text, where nobody is recording."""
        if self.trace.open and mode.trace is not None:
            raise self.unreadable("text")
        return repr(self)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self.unreadable("number")

    def __bool__(self) -> bool:
        raise self.unreadable("truth")

    def __index__(self) -> int:
        raise self.unreadable("index")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.unreadable("values")

    __float__ = __int__ = __complex__ = __iter__ = _refuse

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<value {self.number} of a trace: {self.dtype}{list(self.shape)}>"


# What can be asked of values that are not there, and what to write instead.
READING = {
    "truth": (
        "`if`, `while`, `and`, `or`, `not` or `assert` asked for a truth",
        "Choose with ga.where or ga.cond, loop with ga.while_loop, or declare the argument that "
        "it depends on static (static_argnames).",
    ),
    "index": (
        "an array was used as a Python integer (in range(), as a shape, as an index of a list)",
        "Declare the argument that it comes from static (static_argnames), or loop with "
        "ga.fori_loop or ga.scan; an array is indexed by an array as it is.",
    ),
    "number": (
        "a value was read as a Python number (float(), int(), .item(), .tolist())",
        "Compute with the array itself, declare an argument static (static_argnames), or return "
        "the array and read it outside.",
    ),
    "values": (
        "values were read as a NumPy array (.numpy(), np.array(), a NumPy function)",
        "Use the ga function in its place, or return the array and read it outside.",
    ),
    "text": (
        "an array was printed, or put into a text,",
        "Return it and print it outside, or look at it with ga.compile(..., run_eagerly=True).",
    ),
}

# Methods and operators of arrays that are library functions: they take what the functions take.
_METHODS: set[str] = set()
for _name, _value in list(GradArray.__dict__.items()):
    _fn = getattr(_value, "fget", _value)
    if not str(getattr(_fn, "__module__", "")).startswith("gradarray.ops"):
        continue
    if not _name.startswith("_"):
        _METHODS.add(_name)
    elif _name not in Abstract.__dict__ and not _name.startswith(("__i", "__set")):
        setattr(Abstract, _name, _value)


def is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a value, or of a constant array or number."""
    return x.shape if type(x) is Abstract else np.shape(x)
