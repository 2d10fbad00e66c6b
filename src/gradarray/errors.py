"""What gradarray raises: each error names the op, the shapes, the user's line, and the mend."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import warnings
from typing import Any

import numpy as np

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDLIB = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_SITE = os.path.dirname(os.path.dirname(os.path.abspath(np.__file__)))
_PEERS = tuple(os.path.join(_SITE, peer, "") for peer in ("numpy", "scipy"))


class ShapeError(ValueError):
    """Shapes that do not fit together."""


class DTypeError(TypeError):
    """A dtype that the operation cannot take."""


class GraphError(RuntimeError):
    """A derivative that the recorded graph cannot give (freed, cut, or never recorded)."""


class AnomalyError(ArithmeticError):
    """A NaN or an infinity that an op made, inside `detect_anomaly`."""


class RuleError(RuntimeError):
    """A derivative rule that breaks its contract (wrong shape, or not connected)."""


class UnknownNameError(KeyError):
    """A name that is not there."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError shows the repr of its text


class ConvergenceError(RuntimeError):
    """An iteration that did not arrive where it should: a solver, an implicit function."""


def user_place() -> tuple[str, int]:
    """The innermost line outside the package: its file and number, ("", 0) if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not no_user_wrote(name):
            return name, frame.f_lineno
        frame = frame.f_back
    return "", 0


def shown_place(place: tuple[str, int]) -> str:
    """A line as `file.py:12: source`, or an empty string."""
    name, number = place
    if not name:
        return ""
    source = linecache.getline(name, number).strip()
    where = f"{os.path.basename(name)}:{number}"
    return f"{where}: {source}" if source else where


def user_line() -> str:
    """The innermost line outside the package, as `file.py:12: source`, or an empty string."""
    return shown_place(user_place())


@functools.cache
def no_user_wrote(name: str) -> bool:
    """A file that no user wrote: of the package, of NumPy, of Python, or a generated one."""
    if name.startswith((PACKAGE, "<gradarray", "<frozen importlib", *_PEERS)):
        return True
    return name.startswith(_STDLIB) and "site-packages" not in name


def message(op: str, what: str, mend: str = "") -> str:
    """One form for every error: `op: what went wrong. The mend.` and the user's line."""
    text = f"{op}: {what}"
    if mend:
        text += f" {mend}"
    line = user_line()
    return f"{text}\n  at {line}" if line else text


def warn(text: str) -> None:
    """A UserWarning of the innermost line outside the package: once for each, unless asked else."""
    frame, level = sys._getframe(1), 2
    while frame is not None and no_user_wrote(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def part_of(outer: Any, inner: Any) -> str:
    """What a layer is called in the model that was called: `model.0 (Linear)`."""
    if inner is not outer:
        for path, part in outer.named_modules():
            if part is inner:
                return f"model.{path} ({type(inner).__name__})"
    return type(inner).__name__


def check_function(f: object, op: str) -> None:
    """Raise TypeError unless f is a function."""
    if callable(f):
        return
    mend = "Give the function f itself, and not its value f(x)."
    if hasattr(f, "backward") and op in ("grad", "value_and_grad"):
        mend += " For a value that is computed already call y.backward(), then read x.grad."
    raise TypeError(message(op, f"takes a function, not {type(f).__name__}.", mend))
