"""Where digits are lost: a function run in its own precision and in the next wider one."""

from __future__ import annotations

import linecache
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..errors import PACKAGE, message

_WIDER = {np.dtype(np.float16): np.float32, np.dtype(np.float32): np.float64}
if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
    _WIDER[np.dtype(np.float64)] = np.longdouble


@dataclass(frozen=True)
class Step:
    """One op of the run: what it is, where it was called, and the digits of its result."""

    op: str
    line: str
    digits: float  # right digits of the result, the worst element
    before: float  # right digits of its worst operand

    @property
    def lost(self) -> float:
        """Digits that this op loses itself: those of its worst operand less those it has."""
        return max(self.before - self.digits, 0.0)


class PrecisionReport:
    """What `precision_report` found; prints as a table, the greatest loss first."""

    def __init__(self, dtype: Any, wider: Any, steps: list[Step], full: float) -> None:
        self.dtype, self.wider, self.steps, self.full = dtype, wider, steps, full

    @property
    def digits(self) -> float:
        """Right digits of the final result."""
        return self.steps[-1].digits if self.steps else self.full

    @property
    def worst(self) -> list[Step]:
        """The ops that lose at least one digit, the greatest loss first."""
        return sorted((s for s in self.steps if s.lost >= 1), key=lambda s: -s.lost)

    def __repr__(self) -> str:
        lines = [
            f"{self.dtype} against {self.wider}: {self.digits:.1f} of {self.full:.1f} digits right"
        ]
        for s in self.worst[:10]:
            lines.append(
                f"  {s.op:<12} {s.before:4.1f} -> {s.digits:4.1f} digits   {s.line}".rstrip()
            )
        if not self.worst:
            lines.append("  no op loses a digit")
        return "\n".join(lines)


def precision_report(f: Callable[..., Any], *args: Any) -> PrecisionReport:
    r"""Run f in its own precision and in the next wider one; say which ops lose digits.

    The digits of a result are -log10 of its worst relative error against the wider run. float32
    is held against float64, float64 against long double where that is wider. Cancellation is the
    usual finding: a difference of nearly equal numbers keeps their error and loses their size.
    Raises TypeError for arguments without a wider type, ValueError where the two runs take
    different branches.

    >>> import gradarray as ga
    >>> import numpy as np
    >>> report = ga.precision_report(lambda x: ga.exp(x) - 1, np.float32(1e-4))
    >>> report.worst[0].op
    'subtract'
    """
    leaves, form = tree.flatten(args)
    arrays = [lift(x, "precision_report") for x in leaves]
    kinds = {x.dtype for x in arrays if x.dtype.kind == "f"}
    if len(kinds) != 1 or next(iter(kinds)) not in _WIDER:
        raise TypeError(
            message(
                "precision_report",
                f"arguments of dtype {', '.join(map(str, kinds)) or 'no float'}; they must have "
                f"one, of {', '.join(map(str, _WIDER))}.",
            )
        )
    dtype = kinds.pop()
    wider = np.dtype(_WIDER[dtype])
    narrow = _trace(f, tree.unflatten(form, arrays))
    wide = _trace(f, tree.unflatten(form, [_cast(x, wider) for x in arrays]))
    if [r[0] for r in narrow] != [r[0] for r in wide]:
        raise ValueError(
            message(
                "precision_report",
                "the two runs do different operations: a branch depends on the last digits.",
            )
        )
    full = -math.log10(float(np.finfo(dtype).eps) / 2)
    known: dict[int, float] = {}
    steps = []
    for (op, line, raw, y), (_, _, _, exact) in zip(narrow, wide, strict=True):
        digits = _digits(y, exact, full)
        before = min((known.get(id(x), full) for x in raw), default=full)
        known[id(y)] = digits
        steps.append(Step(op, line, digits, before))
    return PrecisionReport(dtype, wider, steps, full)


class _Watcher:
    sweeping = 0

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, list[Any], Any]] = []

    def forward(self, op: Any, raw: list[Any], params: Any, y: Any) -> None:
        if not isinstance(y, tuple) and y.dtype.kind == "f":
            self.rows.append((op.name, _line(), list(raw), y))

    def recorded(self, node: Any) -> None:
        """Nodes do not matter here."""

    def passed(self, node: Any, came: Any, went: Any, direction: str) -> None:
        """Nor does what passes through them."""


def _trace(f: Callable[..., Any], args: Any) -> list[tuple[str, str, list[Any], Any]]:
    watcher = _Watcher()
    with graph.watching(watcher), np.errstate(all="ignore"):
        f(*args)
    return watcher.rows


def _cast(x: GradArray, dtype: Any) -> GradArray:
    return wrap(x._data.astype(dtype)) if x.dtype.kind == "f" else x


def _digits(y: Any, exact: Any, full: float) -> float:
    y, exact = np.asarray(y, exact.dtype), np.asarray(exact)
    with np.errstate(all="ignore"):
        error = np.abs(y - exact) / np.abs(exact)
    error = error[np.isfinite(error)]
    worst = float(error.max()) if error.size else 0.0
    return full if worst == 0 else min(max(-math.log10(worst), 0.0), full)


def _line() -> str:
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((PACKAGE, "<gradarray")):
            source = linecache.getline(name, frame.f_lineno).strip()
            return f"{os.path.basename(name)}:{frame.f_lineno}: {source}"
        frame = frame.f_back
    return ""
