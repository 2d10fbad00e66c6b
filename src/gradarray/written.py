"""Functions that are written out, as source, when they are first called.

Straight-line code is the fastest that Python has, and an op's own is different for each: what it
takes, what it keeps. Most programs call few of the functions there are, so that importing them
must not write them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

Write = Callable[[dict[str, Any]], str]


def compiled(source: str, env: dict[str, Any], label: str) -> Any:
    """The function `call` that `source` defines, its global names in `env`."""
    exec(compile(source, f"<gradarray {label}>", "exec"), env)
    return env["call"]


def written(write: Write, name: str, module: str = __name__, doc: str | None = None) -> Any:
    """A function that becomes the one whose source `write(env)` gives, when it is first called.

    `write` puts what the source uses into `env`, the function's globals. The function stays the
    same object: only its code changes, so that nothing stands between a caller and that code.
    """
    env: dict[str, Any] = {"__name__": module, "_write": write, "_become": _become}
    fn: Any = FunctionType(_first.__code__, env, name)
    env["_self"] = fn
    fn.__qualname__, fn.__doc__ = name, doc
    return fn


def _become(fn: Any, write: Write) -> Any:
    env = fn.__globals__
    made = compiled(write(env), env, fn.__name__)
    fn.__defaults__, fn.__kwdefaults__ = made.__defaults__, made.__kwdefaults__
    fn.__code__ = made.__code__.replace(co_name=fn.__name__)
    return fn


def _first(*args: Any, **kwargs: Any) -> Any:
    return _become(_self, _write)(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821
