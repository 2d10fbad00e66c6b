"""Abstract: an array whose values are not there yet, as the data behind a GradArray in a trace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import protocols
from ..algebra import given
from ..array import GradArray, wrap
from ..errors import GraphError, message
from ..graph import mode
from ..ops import indexing

if TYPE_CHECKING:
    from .program import Step
    from .trace import Trace


class Abstract:
    """One value of a program: its shape and dtype, and the step that gives it.

    It stands where an ndarray or a NumPy scalar stands otherwise, so every walk runs on it as it
    is. `weak`: a Python number, which does not promote what it meets.
    """

    __slots__ = ("__weakref__", "dtype", "number", "shape", "step", "trace", "weak")
    __array_ufunc__ = protocols.array_ufunc  # `array * abstract`
    __array_function__ = protocols.array_function
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

    @staticmethod
    def __ga_apply__(op: Any, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """An op on plain arrays: within a sweep plain, elsewhere recorded as any other."""
        if mode.trace is None:
            for x in operands:
                if type(x) is Abstract and not x.trace.open:
                    raise x._unreadable()
        if not mode.raw:
            handles = [wrap(x) if type(x) is Abstract else x for x in operands]
            return given.apply(op, *handles, **params)
        trace = mode.trace or next(x for x in operands if type(x) is Abstract).trace
        raw = [trace.read(x) if isinstance(x, GradArray) else x for x in operands]
        return trace.run(op, raw, params)

    def __getitem__(self, key: Any) -> Any:
        return indexing.get(self, key)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            return GradArray.__dict__[name].__get__(self)
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._unreadable()

    def _unreadable(self) -> GraphError:
        if not self.trace.open:
            return GraphError(
                message(
                    "compile",
                    f"value {self.number} of a compiled function, {self.dtype}{list(self.shape)}, "
                    "is used after the function was recorded.",
                    "Return it from the function instead of storing it.",
                )
            )
        return GraphError(
            message(
                "compile",
                "a value was read while the function is being recorded (by `if`, `while`, print, "
                f"float(), .item(), .numpy() or the like), an array {self.dtype}"
                f"{list(self.shape)} that is known only when it runs.",
                "Choose with ga.where or ga.cond, loop with ga.while_loop or ga.scan, declare the "
                "argument static, or move the line out of the compiled function.",
            )
        )

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self._unreadable()

    __array__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = _refuse
    __iter__ = _refuse

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<value {self.number} of a trace: {self.dtype}{list(self.shape)}>"


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
