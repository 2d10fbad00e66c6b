"""Where digits are lost: a function run in its own precision and in the next wider one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..errors import message, user_line
from .multiprecision import DIGITS, replayed

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
    """What `precision_report` found; prints as a table, the greatest loss first.

    `digits` are the right ones of f's result, its worst element.
    """

    def __init__(
        self, dtype: Any, wider: Any, steps: list[Step], full: float, digits: float
    ) -> None:
        self.dtype, self.wider, self.steps = dtype, wider, steps
        self.full, self.digits = full, digits

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
    is held against float64; float64 against long double where that is wider and f's ops exist in
    it, else, for functions of scalars, against mpmath with 50 digits (which must be installed).
    Cancellation is the usual finding: a difference of nearly equal numbers keeps their error and
    loses their size. Arrays that f takes from around it are used as they are. Raises TypeError for
    arguments without a wider type and for a function that casts back, ValueError where the two
    runs take different branches, ImportError where mpmath is needed and missing.

    >>> import gradarray as ga
    >>> import numpy as np
    >>> report = ga.precision_report(lambda x: ga.exp(x) - 1, np.float32(1e-4))
    >>> report.worst[0].op
    'subtract'
    """
    graph.refuse_recorded("precision_report")
    leaves, form = tree.flatten(args)
    arrays = [lift(x, "precision_report") for x in leaves]
    kinds = {x.dtype for x in arrays if x.dtype.kind == "f"}
    dtype: Any = next(iter(kinds), None)
    if len(kinds) != 1 or not (dtype in _WIDER or dtype == np.float64):
        raise TypeError(
            message(
                "precision_report",
                f"arguments of dtype {', '.join(sorted(map(str, kinds))) or 'no float'}; they "
                "must have one, of float16, float32, float64.",
            )
        )
    narrow = _run(f, tree.unflatten(form, arrays))
    wide, wider = _wide(f, arrays, form, dtype, narrow)
    full = -math.log10(float(np.finfo(dtype).eps) / 2)
    known: dict[int, float] = {}
    steps = []
    for row, exact in zip(narrow.rows, wide.rows, strict=True):
        digits = _digits(row.y, exact, full)
        before = min((known.get(id(x), full) for x in row.raw), default=full)
        known[id(row.y)] = digits
        steps.append(Step(row.op, row.line, digits, before))
    pairs = zip(narrow.results, wide.results, strict=True)
    found = min((_digits(y, exact, full) for y, exact in pairs), default=full)
    return PrecisionReport(dtype, wider, steps, full, found)


class _Row(NamedTuple):
    """One op of a run."""

    op: str
    line: str
    raw: list[Any]
    params: dict[str, Any]
    y: Any


class _Run(NamedTuple):
    rows: list[Any]
    results: list[Any]  # of f, as raw floating arrays


class _Watcher:
    sweeping = 0

    def __init__(self) -> None:
        self.rows: list[_Row] = []

    def forward(self, op: Any, raw: list[Any], params: Any, y: Any) -> None:
        if not isinstance(y, tuple) and y.dtype.kind == "f":
            self.rows.append(_Row(op.name, user_line(), list(raw), params, y))

    def recorded(self, node: Any) -> None:
        """Nodes do not matter here."""

    def passed(self, node: Any, came: Any, went: Any, direction: str) -> None:
        """Nor does what passes through them."""


def _run(f: Callable[..., Any], args: Any) -> _Run:
    watcher = _Watcher()
    with graph.watching(watcher), np.errstate(all="ignore"):
        y = f(*args)
    found = [lift(x, "precision_report: the result")._data for x in tree.flatten(y)[0]]
    return _Run(watcher.rows, [x for x in found if x.dtype.kind == "f"])


def _wide(
    f: Callable[..., Any], arrays: list[GradArray], form: Any, dtype: Any, narrow: _Run
) -> tuple[_Run, Any]:
    """The results of the rows of a wider run, and what it is in."""
    if dtype in _WIDER:
        wider = np.dtype(_WIDER[dtype])
        cast = [wrap(x._data.astype(wider)) if x.dtype.kind == "f" else x for x in arrays]
        try:
            wide = _run(f, tree.unflatten(form, cast))
        except TypeError:  # SciPy's functions, and LAPACK's, know no long double
            if dtype != np.float64:
                raise
        else:
            _check_same(narrow, wide, dtype)
            return _Run([row.y for row in wide.rows], wide.results), wider
    exact = replayed(narrow.rows)
    made = {id(row.y): value for row, value in zip(narrow.rows, exact, strict=True)}
    return _Run(exact, [made.get(id(y), y) for y in narrow.results]), f"mpmath ({DIGITS} digits)"


def _check_same(narrow: _Run, wide: _Run, dtype: Any) -> None:
    for row in wide.rows:
        if row.op == "astype" and row.y.dtype == dtype:
            raise TypeError(
                message(
                    "precision_report",
                    f"f casts to {dtype} in its wider run, at {row.line}.",
                    "Give f all that it computes with as arguments (a network's parameters by "
                    "ga.nn.functional_call), in one dtype.",
                )
            )
    if [row.op for row in narrow.rows] != [row.op for row in wide.rows]:
        raise ValueError(
            message(
                "precision_report",
                "the two runs do different operations: a branch depends on the last digits.",
            )
        )


def _digits(y: Any, exact: Any, full: float) -> float:
    """Right digits of the worst element: none where 0, or an infinity, should be something else."""
    with np.errstate(all="ignore"):
        if isinstance(exact, (np.ndarray, np.generic)):
            y = np.asarray(y, exact.dtype)
            error = np.asarray(np.abs(y - exact) / np.abs(exact))
        else:  # a number of mpmath's
            size = np.float64(abs(exact))
            error = np.asarray(np.float64(abs(exact - float(y))) / size)
    error = error[~np.isnan(error)]  # 0 for 0, an infinity for itself
    worst = float(error.max()) if error.size else 0.0
    return full if worst == 0 else min(max(0.0, -math.log10(worst)), full)
