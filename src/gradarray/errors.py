"""What gradarray raises: each error names the op, the shapes, the user's line, and the mend."""

from __future__ import annotations

import linecache
import os
import sys

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


def user_line() -> str:
    """The innermost line outside the package, as `file.py:12: source`, or an empty string."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not _is_ours(name):
            source = linecache.getline(name, frame.f_lineno).strip()
            where = f"{os.path.basename(name)}:{frame.f_lineno}"
            return f"{where}: {source}" if source else where
        frame = frame.f_back
    return ""


def _is_ours(name: str) -> bool:
    """A file that no user wrote: of the package, of NumPy, of Python, or a generated one."""
    if name.startswith((PACKAGE, "<gradarray", *_PEERS)):
        return True
    return name.startswith(_STDLIB) and "site-packages" not in name


def message(op: str, what: str, mend: str = "") -> str:
    """One form for every error: `op: what went wrong. The mend.` and the user's line."""
    text = f"{op}: {what}"
    if mend:
        text += f" {mend}"
    line = user_line()
    return f"{text}\n  at {line}" if line else text
