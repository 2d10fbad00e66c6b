"""NumPy's protocols: `np.exp(x)`, `np.concatenate([x, y])` and `np.float64(2) * x` record.

A NumPy function on a GradArray is the gradarray function that stands in for it; what has none
raises with its name, so that no value leaves the graph in silence.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

import numpy as np

from . import registry
from .array import GradArray, is_foreign, method, read_only
from .errors import message


@method("__array_ufunc__")
def array_ufunc(self: GradArray, ufunc: np.ufunc, how: str, *operands: Any, **kwargs: Any) -> Any:
    """`np.exp(x)` is `ga.exp(x)`; `np.add.reduce(x)` is `ga.sum(x, axis=0)`."""
    fn: Any = registry.numpy_functions.get(ufunc)
    if fn is not None and how == "__call__" and not kwargs:
        return fn(*operands)  # np.float64(2) * x comes here, too
    name = f"np.{ufunc.__name__}"
    if fn is None and getattr(np, ufunc.__name__, None) is not ufunc:
        fn, name = _of_scipy(ufunc)
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
                "out= (or += on a NumPy array) would write over memory that a recorded result may "
                "need.",
                "Assign the result instead, as in b = b + x.",
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
        if function in _ON_FORMS:
            named = dict(zip(kwargs, map(_form, kwargs.values())))
            return function(*map(_form, args), **named)
        if function in _ON_VALUES:
            named = dict(zip(kwargs, _values(kwargs.values())))
            return function(*_values(args), **named)
        raise _unsupported(name)
    if len(args) != 1 or kwargs:
        args, kwargs = _as_ours(function, fn, args, kwargs)
        _refuse(name, fn, kwargs)
    return fn(*args, **kwargs)


def _as_ours(
    function: Any, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """NumPy's arguments as `fn` takes them: by name, and where the names differ by place.

    NumPy has an `out` or the like between two that both have, so places alone would not do.
    """
    parameters = _parameters(function, fn)
    if parameters is None:
        return args, {k: v for k, v in kwargs.items() if v is not np._NoValue}
    theirs, ours = parameters
    places = [p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    named = {}
    for k, (name, parameter) in enumerate(theirs.items()):
        if name not in given:
            continue
        value = given[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif name in ours:
            if value is not np._NoValue:
                named[name] = value
        elif k < len(places) and places[k] not in theirs:
            named[places[k]] = value
        elif value is not parameter.default and value is not np._NoValue:
            named[name] = value
    return (), named


@functools.cache
def _parameters(function: Any, fn: Any) -> Any:
    """The parameters of NumPy's function and of ours, None where one takes any number."""
    try:
        found = [inspect.signature(f).parameters for f in (function, fn)]
    except (ValueError, TypeError):  # written in C, and telling nothing
        return None
    if any(p.kind is p.VAR_POSITIONAL for parameters in found for p in parameters.values()):
        return None
    return found


def _of_scipy(ufunc: np.ufunc) -> tuple[Any, str]:
    """What stands in for one of SciPy's ufuncs, and the name for an error."""
    special = sys.modules.get("scipy.special")
    if getattr(special, ufunc.__name__, None) is not ufunc:
        return None, ufunc.__name__
    ours = _SCIPY.get(ufunc.__name__)
    return ours and registry.functions[ours].fn, f"scipy.special.{ufunc.__name__}"


# Questions about a form, and printing: the answer is not an array.
_ON_FORMS = {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj}
_ON_FORMS |= {np.isrealobj, np.common_type}
_ON_VALUES = {np.array_repr, np.array_str, np.array2string, np.may_share_memory}
_ON_VALUES |= {np.shares_memory, np.min_scalar_type}
_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}
_REDUCTIONS |= {np.logical_and: "all", np.logical_or: "any", np.logaddexp: "logsumexp"}
_REDUCTIONS |= {np.fmax: "nanmax", np.fmin: "nanmin"}
_ACCUMULATIONS = {np.add: "cumsum", np.multiply: "cumprod", np.logaddexp: "logcumsumexp"}
_SCIPY = {"erf": "erf", "erfc": "erfc", "expit": "sigmoid", "log_expit": "log_sigmoid"}
_ACCUMULATIONS |= {np.maximum: "cummax", np.minimum: "cummin"}


def _form(x: Any) -> Any:
    """An array of the form of x, in whose place it answers questions about forms alone."""
    if isinstance(x, GradArray) or is_foreign(x):
        return np.broadcast_to(np.zeros((), x.dtype), x.shape)
    return x


def _values(args: Any) -> tuple[Any, ...]:
    return tuple(read_only(a._array) if isinstance(a, GradArray) else a for a in args)


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
    if not kwargs:
        return
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

