"""NumPy's protocols: `np.exp(x)`, `np.concatenate([x, y])` and `np.float64(2) * x` record.

A NumPy function on a GradArray is the gradarray function that stands in for it; what has none
raises with its name, so that no value leaves the graph in silence.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from . import registry
from .array import GradArray, method
from .errors import message


@method("__array_ufunc__")
def array_ufunc(self: GradArray, ufunc: np.ufunc, how: str, *operands: Any, **kwargs: Any) -> Any:
    """`np.exp(x)` is `ga.exp(x)`; `np.add.reduce(x)` is `ga.sum(x, axis=0)`."""
    fn: Any = registry.numpy_functions.get(ufunc)
    name = f"np.{ufunc.__name__}"
    if how == "reduce" and ufunc in _REDUCTIONS:
        fn, name = registry.functions[_REDUCTIONS[ufunc]].fn, f"{name}.reduce"
        kwargs.setdefault("axis", 0)
    elif how == "accumulate" and ufunc in _ACCUMULATIONS:
        fn, name = registry.functions[_ACCUMULATIONS[ufunc]].fn, f"{name}.accumulate"
        kwargs.setdefault("axis", 0)
    elif how == "outer" and ufunc is np.multiply:
        fn, name = registry.functions["outer"].fn, f"{name}.outer"
    elif how != "__call__":
        fn, name = None, f"{name}.{how}"
    if fn is None:
        raise _unsupported(name)
    kwargs = {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}
    if "out" in kwargs:
        raise TypeError(
            message(
                name,
                "out= would write over memory that a recorded result may need.",
                "Assign the result instead.",
            )
        )
    if "where" in kwargs and kwargs["where"] is True:
        del kwargs["where"]
    _refuse(name, fn, kwargs)
    return fn(*operands, **kwargs)


@method("__array_function__")
def array_function(self: GradArray, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """`np.concatenate([x, y])` is `ga.concatenate([x, y])`."""
    fn = registry.numpy_functions.get(function)
    home = getattr(function, "__module__", "numpy").replace("numpy", "np", 1)
    name = f"{home}.{getattr(function, '__name__', function)}"
    if fn is None:
        if function in _ON_VALUES:
            return function(*_values(args), **kwargs)
        raise _unsupported(name)
    kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    if kwargs.get("out") is None:
        kwargs.pop("out", None)
    _refuse(name, fn, kwargs)
    return fn(*args, **kwargs)


# Questions about a form, and printing: the answer is not an array.
_ON_VALUES = {np.shape, np.ndim, np.size, np.array_repr, np.array_str, np.array2string}
_ON_VALUES |= {np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj, np.may_share_memory}
_ON_VALUES |= {np.shares_memory, np.common_type, np.min_scalar_type}
_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}
_REDUCTIONS |= {np.logical_and: "all", np.logical_or: "any", np.logaddexp: "logsumexp"}
_REDUCTIONS |= {np.fmax: "nanmax", np.fmin: "nanmin"}
_ACCUMULATIONS = {np.add: "cumsum", np.multiply: "cumprod", np.logaddexp: "logcumsumexp"}
_ACCUMULATIONS |= {np.maximum: "cummax", np.minimum: "cummin"}


def _values(args: Any) -> tuple[Any, ...]:
    return tuple(a._array if isinstance(a, GradArray) else a for a in args)


def _unsupported(name: str) -> TypeError:
    return TypeError(
        message(
            name,
            "has no gradarray function to stand in for it, and would lose the graph.",
            "Use gradarray functions, or call it on x.detach().numpy().",
        )
    )


def _refuse(name: str, fn: Any, kwargs: dict[str, Any]) -> None:
    """Keywords that the standing-in function does not have, by name."""
    known = inspect.signature(fn).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    unknown = [k for k in kwargs if k not in known]
    if unknown:
        raise TypeError(
            message(
                name, f"the keyword {', '.join(unknown)} is not supported on a GradArray."
            )
        )

