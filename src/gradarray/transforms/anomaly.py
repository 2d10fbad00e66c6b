"""Looking for trouble: which op made the first NaN or infinity, at which line, and why.

Inside `detect_anomaly()` every result is looked at as it is made, and every cotangent and tangent
as it passes through a node: one sum each, which is NaN or infinite if any part is.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import graph
from ..errors import PACKAGE, AnomalyError
from ..graph import Grad


@contextlib.contextmanager
def detect_anomaly(check_inf: bool = True) -> Iterator[None]:
    """Within, the first op that makes a NaN or an infinity raises AnomalyError.

    Forward, and in any order of backward: the error names the op, the line of yours that called
    it, the inputs that did it and the likely cause. An infinity or NaN that comes in from outside
    is not an anomaly; without `check_inf` only NaN is.

    >>> import gradarray as ga
    >>> try:
    ...     with ga.detect_anomaly():
    ...         ga.log(ga.array([1.0, -2.0]))
    ... except ga.AnomalyError as error:
    ...     print(str(error).splitlines()[0])
    log: made nan from x = -2.0 (at index (1,)): the logarithm of a negative number.
    """
    with graph.watching(_Watcher(check_inf)), np.errstate(all="ignore"):
        yield


class _Watcher:
    def __init__(self, check_inf: bool) -> None:
        self.bad = _not_finite if check_inf else _nan
        self.sweeping = 0
        self.lines: weakref.WeakKeyDictionary[Grad, tuple[str, int]] = weakref.WeakKeyDictionary()

    def forward(self, op: Any, raw: list[Any], params: dict[str, Any], y: Any) -> None:
        """A result was computed.

        Inside a rule a partial may be infinite where the product makes 0 of it: there only what
        passes through the node counts.
        """
        if self.sweeping:
            return
        for part in y if isinstance(y, tuple) else (y,):
            if self._seen(part) and not any(self._seen(x) for x in raw):
                self._raise(op, raw, part, _where(), "made", None)

    def recorded(self, node: Grad) -> None:
        """A node was made: remember the line."""
        self.lines[node] = _where()

    def passed(self, node: Grad, came: Any, went: Any, direction: str) -> None:
        """A cotangent (or tangent) went through a node."""
        came = came if isinstance(came, (tuple, list)) else (came,)
        if any(self._seen(_raw(c)) for c in came if c is not None):
            return
        for part in went if isinstance(went, (tuple, list)) else (went,):
            part = _raw(part)
            if part is not None and self._seen(part):
                plan: Any = node.plan
                names = plan.op.operand_names(plan.count) if hasattr(plan, "op") else ()
                kept = [names[k] for k in plan.keep] if names else []
                saved = dict(zip(kept, node.saved or (), strict=False))
                line = self.lines.get(node, ("", 0))
                self._raise(type(node), saved, part, line, f"its derivative, {direction}, is", kept)

    def _seen(self, x: Any) -> bool:
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc":
            return self.bad(x)
        return isinstance(x, float) and self.bad(np.float64(x))

    def _raise(
        self, op: Any, raw: Any, y: Any, line: tuple[str, int], made: str, names: Any
    ) -> None:
        y = np.asarray(y)
        wrong = ~np.isfinite(y) if self.bad is _not_finite else np.isnan(y)
        index = tuple(int(k) for k in np.argwhere(wrong)[0])
        value = y[index]
        if names is None:
            names = op.operand_names(len(raw)) if hasattr(op, "operand_names") else ()
            raw = dict(zip(names, raw, strict=False))
        inputs = {name: _at(x, index, y.shape) for name, x in raw.items()}
        shown = ", ".join(f"{k} = {_number(v)}" for k, v in inputs.items() if v is not None)
        text = f"{op.name}: {made} {value}"
        if shown:
            text += f" {'from' if made == 'made' else 'at'} {shown}"
        if index:
            text += f" (at index {index})"
        cause = _cause(op.name, inputs, value, made != "made")
        text += f": {cause}." if cause else "."
        if line[0]:
            source = linecache.getline(*line).strip()
            text += f"\n  at {os.path.basename(line[0])}:{line[1]}: {source}"
        raise AnomalyError(text)


def _not_finite(x: Any) -> bool:
    total = np.add.reduce(x, axis=None) if isinstance(x, np.ndarray) else x
    if total - total == 0:
        return False
    # A sum may overflow where its parts do not.
    return not bool(np.all(np.isfinite(x)))


def _nan(x: Any) -> bool:
    total = np.add.reduce(x, axis=None) if isinstance(x, np.ndarray) else x
    return total != total and bool(np.any(np.isnan(x)))


def _raw(x: Any) -> Any:
    return getattr(x, "_data", x)


def _number(v: Any) -> str:
    return repr(v.item() if hasattr(v, "item") else v)


def _at(x: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The value of an operand that belongs to a place of the result, where shapes allow it."""
    if not isinstance(x, (np.ndarray, np.generic)):
        return x if isinstance(x, (int, float)) else None
    x = np.asarray(x)
    if not x.shape:
        return x[()]
    try:
        return np.broadcast_to(x, shape)[index]
    except ValueError:
        return None


def _where() -> tuple[str, int]:
    """The innermost line outside the package."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((PACKAGE, "<gradarray")):
            return name, frame.f_lineno
        frame = frame.f_back
    return "", 0


_CAUSES = {
    "log": lambda v: _of_sign(v["x"], "the logarithm of 0", "the logarithm of a negative number"),
    "sqrt": lambda v: "the square root of a negative number" if v["x"] < 0 else "",
    "exp": lambda v: "exp overflows",
    "expm1": lambda v: "exp overflows",
    "sinh": lambda v: "exp overflows",
    "cosh": lambda v: "exp overflows",
    "divide": lambda v: "0 / 0" if v["a"] == 0 == v["b"] else "a division by 0",
    "reciprocal": lambda v: "a division by 0",
    "power": lambda v: (
        "a negative number to a broken power" if v["a"] < 0 and v["b"] % 1 else
        "0 to a negative power" if v["a"] == 0 else "the power overflows"
    ),
    "arcsin": lambda v: "outside [-1, 1]",
    "arccos": lambda v: "outside [-1, 1]",
    "arccosh": lambda v: "below 1",
    "arctanh": lambda v: "outside (-1, 1)",
    "log1p": lambda v: _of_sign(v["x"] + 1, "the logarithm of 0", "of a negative number"),
    "multiply": lambda v: "the product overflows",
    "square": lambda v: "the square overflows",
}  # fmt: skip

_SLOPES = {
    "log": "the slope 1/x of log is infinite at 0",
    "divide": "a slope of a quotient is infinite where its denominator is 0",
    "reciprocal": "the slope of 1/x is infinite at 0",
}


def _of_sign(x: Any, zero: str, negative: str) -> str:
    return zero if x == 0 else negative if x < 0 else ""


def _cause(name: str, values: dict[str, Any], made: Any, derivative: bool) -> str:
    """The likely cause, from the op and the values that it met."""
    if derivative:
        return _SLOPES.get(name, "a product along the chain overflows, or a slope is infinite")
    rule = _CAUSES.get(name)
    if rule is not None and all(v is not None for v in values.values()):
        try:
            return rule(values)
        except (KeyError, TypeError):
            return ""
    if np.isinf(made):
        return "the result overflows"
    return ""
