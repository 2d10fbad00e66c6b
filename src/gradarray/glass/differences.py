"""The finite-difference check of adjoints: the later part of a story run again, a little aside.

Central differences in float64 with the step eps^(1/3) max(1, |x|), taken twice, with the step and
half of it: how far the two are apart tells how well a difference can know the slope (Nocedal and
Wright, Numerical Optimization, section 8.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .replay import CannotReplayError, again
from .story import Row, Story

WORK = 20_000  # ops that all checks of a story may take, where an array of 2,000 counts as two
ELEMENTS = 3  # of one value that are checked
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Check:
    """An element of an adjoint beside the difference quotient of the result by that element."""

    index: tuple[int, ...]
    adjoint: Any
    difference: float
    uncertainty: float  # of the difference
    agrees: bool


def checks(story: Story, work: int = WORK) -> dict[Row, list[Check] | str]:
    """For each row its checks, or why there are none; inputs and parameters come first."""
    users: dict[Row, list[Row]] = {}
    for row in story.rows:
        for x in row.operands:
            if isinstance(x, Row):
                users.setdefault(x, []).append(row)
    out: dict[Row, list[Check] | str] = {}
    left = float(work)
    first = [row for row in story.rows if row.kind != "result"]
    for row in [*first, *(row for row in reversed(story.rows) if row.kind == "result")]:
        why = _hinders(row)
        if why:
            out[row] = why
            continue
        indices = _indices(row)
        later = _later(row, users, most=left / (4 * len(indices)))
        cost = 4 * len(indices) * sum(1 + np.size(r.value) / 2000 for r in later or ())
        if later is None or cost > left:
            out[row] = "it would take too long here"
            continue
        left -= cost
        out[row] = _checked(row, story, later, indices)
    return out


def _hinders(row: Row) -> str:
    if row.adjoint is None:
        return "it has no adjoint"
    if row.value is None:
        return "its value was not kept"
    value = np.asarray(row.value)
    if value.dtype.kind != "f" or row.kind == "constant":
        return "it is not real" if value.dtype.kind == "c" else "it is not varied"
    if not value.size:
        return "it is empty"
    return ""


def _later(row: Row, users: dict[Row, list[Row]], most: float) -> list[Row] | None:
    """All that depends on a row, in order; None where that is more than `most`."""
    found, stack = {row}, [row]
    while stack and len(found) <= most:
        for user in users.get(stack.pop(), ()):
            for one in user.siblings or [user]:
                if one not in found:
                    found.add(one)
                    stack.append(one)
    return None if stack else sorted(found - {row}, key=lambda r: r.number)


def _indices(row: Row) -> list[tuple[int, ...]]:
    """A few elements: the one with the largest adjoint, the first and the last."""
    shape = np.shape(row.value)
    size = int(np.prod(shape))
    if size <= ELEMENTS:
        return [*np.ndindex(shape)]
    largest = int(np.argmax(np.abs(np.nan_to_num(np.asarray(row.adjoint)))))
    flat = sorted({0, largest, size - 1})
    return [tuple(int(i) for i in np.unravel_index(k, shape)) for k in flat]


def _checked(
    row: Row, story: Story, later: list[Row], indices: list[tuple[int, ...]]
) -> list[Check] | str:
    out = []
    adjoint = np.asarray(row.adjoint)
    scale = float(np.max(np.abs(adjoint))) if adjoint.size else 0.0
    single = np.finfo(adjoint.dtype).eps > 1e-8 if adjoint.dtype.kind == "f" else False
    try:
        for index in indices:
            x = float(np.asarray(row.value)[index])
            h = _EPS ** (1 / 3) * max(1.0, abs(x))
            wide, size = _quotient(row, story, later, index, h)
            near, _ = _quotient(row, story, later, index, h / 2)
            unsure = abs(wide - near) + 4 * _EPS * size / h
            mine = adjoint[index]
            allowed = 4 * unsure + (1e-3 if single else 1e-6) * max(scale, abs(near))
            agrees = bool(abs(mine - near) <= allowed)
            out.append(Check(index, mine, near, unsure, agrees))
    except CannotReplayError as e:
        return str(e)
    return out


def _quotient(
    row: Row, story: Story, later: list[Row], index: tuple[int, ...], h: float
) -> tuple[float, float]:
    """The difference quotient, and the size of what was subtracted."""
    x = np.array(row.value, np.float64)
    ends = []
    for step in (h, -h):
        y = x.copy()
        y[index] += step
        result = _result(row, y[()], story, later)
        ends.append((float(y[index]), float(np.sum(result))))
    (a, fa), (b, fb) = ends
    return (fa - fb) / (a - b), abs(fa) + abs(fb)


def _result(row: Row, value: Any, story: Story, later: list[Row]) -> Any:
    known: dict[Row, Any] = {row: value}
    with np.errstate(all="ignore"):
        again(later, known, _wide, _forward)
    return known.get(story.result, story.result.value)


def _forward(op: Any, operands: list[Any], params: dict[str, Any]) -> Any:
    return op.forward(*operands, **{k: _wide_dtype(v) for k, v in params.items()})


def _wide(x: Any) -> Any:
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    return np.asarray(x, np.float64)[()] if kind == "f" else x


def _wide_dtype(x: Any) -> Any:
    """Casts to a narrow float would drown the difference in rounding."""
    try:
        known = isinstance(x, (np.dtype, type)) or (isinstance(x, str) and x.startswith("float"))
        return np.dtype(np.float64) if known and np.dtype(x).kind == "f" else x
    except TypeError:
        return x
