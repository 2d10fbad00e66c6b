"""Python's operators on GradArrays: the reflected ones, and those that work in place.

`x += v` binds the handle x to the result, which keeps x's dtype, as NumPy does; what was recorded
on the old value is untouched. The plain operators are declared with their ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray, method
from ..errors import DTypeError, message
from .arithmetic import add, divide, multiply, subtract
from .exponential import power
from .logical import bitwise_and, bitwise_or, bitwise_xor, left_shift, right_shift
from .rounding import divmod, floor_divide, remainder

_OPERATORS: dict[str, tuple[str, Callable[..., Any]]] = {
    "add": ("+", add),
    "sub": ("-", subtract),
    "mul": ("*", multiply),
    "truediv": ("/", divide),
    "floordiv": ("//", floor_divide),
    "mod": ("%", remainder),
    "pow": ("**", power),
    "and": ("&", bitwise_and),
    "or": ("|", bitwise_or),
    "xor": ("^", bitwise_xor),
    "lshift": ("<<", left_shift),
    "rshift": (">>", right_shift),
}


def _reflect(name: str, fn: Callable[..., Any]) -> None:
    def reflected(b: GradArray, a: Any) -> Any:
        return fn(a, b)

    method(name)(reflected)


def in_place(symbol: str, fn: Callable[..., Any]) -> Callable[[GradArray, Any], GradArray]:
    """The in-place form of a binary function: bind the left operand to the result."""

    def assign(a: GradArray, b: Any) -> GradArray:
        y = fn(a, b)
        if y.dtype != a.dtype:
            if not np.can_cast(y.dtype, a.dtype, "same_kind"):
                raise DTypeError(
                    message(
                        f"{symbol}=",
                        f"the result has dtype {y.dtype}, and an array of dtype {a.dtype} keeps "
                        "its own.",
                        f"Write x = x {symbol} v, or first x = x.astype({str(y.dtype)!r}).",
                    )
                )
            y = given.astype(y, a.dtype)
        return a._assign(f"{symbol}=", y)

    return assign


for _name, (_symbol, _fn) in _OPERATORS.items():
    _reflect(f"__r{_name}__", _fn)
    method(f"__i{_name}__")(in_place(_symbol, _fn))
_reflect("__rdivmod__", divmod)
