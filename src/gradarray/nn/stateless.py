"""A module as a function of its parameters."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..array import GradArray, from_user, wrap
from ..errors import ShapeError, UnknownNameError, message
from .module import Module
from .state import handle_on

# A module is lent to one call at a time; a call inside that call is the same thread's.
_lent = threading.RLock()


def functional_call(
    module: Module,
    params: Mapping[str, Any],
    *args: Any,
    return_buffers: bool = False,
    **kwargs: Any,
) -> Any:
    r"""y = module(*args, **kwargs) with the arrays of `params` in place of its own.

    `params` maps paths of parameters (or buffers) to arrays; what it does not name stays the
    module's own, and a shared parameter is replaced wherever it is used. The module is not
    changed: what the call does to buffers (running statistics) is dropped, or with
    `return_buffers` comes back as (y, buffers by path). Raises KeyError for a path that the
    module does not have, ShapeError for another shape.

    >>> import gradarray as ga
    >>> model = ga.nn.Linear(3, 1)
    >>> x = ga.array([[1.0, 2.0, 3.0]])
    >>> loss = lambda params: ga.nn.functional_call(model, params, x).sum()
    >>> ga.grad(loss)(model.parameters_dict())
    {'weight': GradArray([[1., 2., 3.]], dtype=float32), 'bias': GradArray([1.], dtype=float32)}
    """
    with _lent, _borrowed(module, params) as buffers:
        y = module(*args, **kwargs)
        # A buffer may have been bound to another array since.
        now = {path: table[name] for path, (table, name) in buffers.items()}
    return (y, now) if return_buffers else y


@contextmanager
def _borrowed(
    module: Module, params: Mapping[str, Any]
) -> Iterator[dict[str, tuple[dict[str, Any], str]]]:
    """The module's tables of parameters and buffers, filled from `params`, and put back at the end.

    Gives, for each buffer's path, the table and the name under which it stands.
    """
    stand_ins: dict[int, Any] = {}
    unknown = dict(params)
    for table in ("_parameters", "_buffers"):
        for path, old in module._named(table, "", True, False):
            if path in params:
                unknown.pop(path, None)
                stand_ins[id(old)] = _checked(path, params[path], old)
    if unknown:
        known = ", ".join(name for name, _ in module.named_parameters())
        raise UnknownNameError(
            f"functional_call: {type(module).__name__} has no {', '.join(map(repr, unknown))}; "
            f"its parameters are {known or 'none'}"
        )
    buffers: dict[str, tuple[dict[str, Any], str]] = {}
    renewed: dict[int, GradArray] = {}
    kept: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            kept.append((table, dict(table)))
    try:
        for path, part in module.named_modules():
            for name, old in part._parameters.items():
                if id(old) in stand_ins:
                    part._parameters[name] = stand_ins[id(old)]
            for name, old in part._buffers.items():
                if old is None:
                    continue
                # A handle of its own: the call may bind it to a new value.
                fresh = stand_ins.get(id(old), old)
                if id(old) not in renewed:
                    renewed[id(old)] = handle_on(fresh)
                part._buffers[name] = renewed[id(old)]
                buffers[f"{path}.{name}" if path else name] = (part._buffers, name)
        yield buffers
    finally:
        for table, values in kept:
            table.clear()
            table.update(values)


def _checked(path: str, value: Any, old: GradArray) -> GradArray:
    if not isinstance(value, GradArray):
        value = wrap(from_user(value, "functional_call"))
    if value.shape != old.shape:
        raise ShapeError(
            message(
                "functional_call",
                f"{path} has shape {old.shape}; an array of shape {value.shape} cannot stand in.",
            )
        )
    return value
