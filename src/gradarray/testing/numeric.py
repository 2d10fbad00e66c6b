"""Derivatives by differences and by the complex step, and comparison within a bound.

Nothing here knows of graphs: functions take a list of arrays and give a list of arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
Function = Callable[[Arrays], Arrays]

# Rounding of one operation is eps / 2. A function is made of some tens of operations, each of
# which may amplify what came before: 64 eps of the magnitudes involved is the bound wherever two
# computations of one number are compared.
ROUNDINGS = 64

# Central differences: steps 2^-5 .. 2^-11. The largest keeps sqrt and log inside their domains
# as they are drawn in tests (0.1 from the edge), the smallest is where rounding takes over.
FIRST_STEP = 2.0**-5
LEVELS = 7

COMPLEX_STEP = 1e-30  # its square vanishes against anything, so there is no truncation error


def quiet(f: Callable[..., Any], *args: Any) -> Any:
    """Call without NumPy's floating-point warnings, which are about the values asked for."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return f(*args)


def eps_of(arrays: Sequence[np.ndarray]) -> float:
    """The largest rounding unit among the floating arrays (float64's if there is none)."""
    found = [np.finfo(x.dtype).eps for x in arrays if x.dtype.kind in "fc"]
    return float(max(found, default=np.finfo(np.float64).eps))


def floats(arrays: Sequence[np.ndarray]) -> Arrays:
    return [x for x in arrays if x.dtype.kind in "fc"]


def largest(x: np.ndarray) -> float:
    """The largest finite magnitude in an array, 0 if there is none."""
    magnitudes = np.abs(x[np.isfinite(x)]) if x.size else x
    return float(magnitudes.max()) if magnitudes.size else 0.0


class Where:
    """What an error message says of the place: function, case, dtype."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def __truediv__(self, part: str) -> Where:
        return Where(*self.parts, part)

    def __str__(self) -> str:
        return ", ".join(self.parts)

    def fail(self, what: str) -> AssertionError:
        return AssertionError(f"{self}: {what}")


def agree(
    where: Where, got: np.ndarray, expected: np.ndarray, bound: Any, against: str = "the reference"
) -> None:
    """Raise AssertionError unless |got - expected| <= bound, with equal NaN and infinities."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        raise where.fail(f"shape {got.shape}, {against} has {expected.shape}")
    if not got.size:
        return
    if got.dtype.kind not in "fc" and expected.dtype.kind not in "fc":
        wrong = np.asarray(got != expected)
        bound = 0
    else:
        with np.errstate(all="ignore"):
            finite = np.isfinite(got) & np.isfinite(expected)
            close = np.abs(np.where(finite, got - expected, 0)) <= bound
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            wrong = np.where(finite, ~close, ~same)
    if not wrong.any():
        return
    with np.errstate(all="ignore"):
        error = np.abs(np.subtract(got, expected, dtype=np.result_type(got, expected, 1.0)))
        excess = np.where(wrong, np.nan_to_num(error - bound, nan=np.inf, posinf=np.inf), -np.inf)
    at = tuple(map(int, np.unravel_index(int(np.argmax(excess)), got.shape)))
    bound_at = float(np.broadcast_to(bound, got.shape)[at])
    raise where.fail(
        f"{int(wrong.sum())} of {got.size} values differ from {against}; "
        f"at {list(at)} got {got[at]!r}, expected {expected[at]!r}, "
        f"difference {float(error[at]):.3g}, bound {bound_at:.3g}"
    )


def sensitivity(f: Function, xs: Arrays, rng: np.random.Generator) -> Arrays:
    """How much f changes, at most, for a change of its operands by all of themselves.

    Measured with random relative changes of 2^-16: what rounding of the operands by eps does to
    the result is eps times this, and no computation of f can be expected to do better.
    """
    base = f(xs)
    found = [np.zeros(y.shape) for y in base]
    for _ in range(4):
        noise = [2.0**-16 * rng.standard_normal(x.shape) for x in xs]
        moved = f([x + (x * n).astype(x.dtype) for x, n in zip(xs, noise, strict=True)])
        for k, (y, y_moved) in enumerate(zip(base, moved, strict=True)):
            if y.shape == y_moved.shape and y.dtype.kind in "fc":
                with np.errstate(all="ignore"):
                    change = np.nan_to_num(np.abs(y_moved - y), nan=0.0, posinf=0.0) * 2.0**16
                found[k] = np.maximum(found[k], change)
    return found


def rounding_bound(y: np.ndarray, sensitive: np.ndarray, eps: float, each: bool) -> np.ndarray:
    """64 eps (|y| + sensitivity): for each element, or (norms) by the largest of them."""
    with np.errstate(over="ignore"):  # at the largest numbers any bound will do
        magnitude = np.abs(np.where(np.isfinite(y), y, 0)) + sensitive
    if not each and magnitude.size:
        magnitude = np.full(y.shape, magnitude.max())
    return ROUNDINGS * eps * magnitude


def differences(
    f: Function, xs: Arrays, vs: Arrays, magnitude: float = 0.0
) -> tuple[Arrays, Arrays]:
    """The derivative of f at xs along vs, with an estimate of its error, for each element.

    Central differences (f(x + h v) - f(x - h v)) / 2h for halved steps, extrapolated to h = 0 by
    Richardson's scheme; of the whole tableau the entry that its neighbours confirm best is taken.
    (C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Adv. Eng. Softw. 4, 1982.)

    `magnitude` is that of terms which cancel inside f: the values carry their rounding, and do
    not show it (a gradient that is 0 at every x is a sum of terms that are not).
    """
    scale = max([1.0, *map(largest, xs)])
    columns: list[list[np.ndarray]] = []
    best: Arrays = []
    error: Arrays = []
    for level in range(LEVELS):
        h = FIRST_STEP / 2**level
        above = floats(f([x + h * v for x, v in zip(xs, vs, strict=True)]))
        below = floats(f([x - h * v for x, v in zip(xs, vs, strict=True)]))
        row: list[Arrays] = []
        for k, (a, b) in enumerate(zip(above, below, strict=True)):
            with np.errstate(all="ignore"):
                wide = np.result_type(a, np.float64)
                d = (a.astype(wide) - b.astype(wide)) / (2 * h)
                # Rounding of f, and of x + h v, over the step; extrapolation at most doubles it.
                terms = np.abs(a) + np.abs(b) + 2 * magnitude + scale * np.abs(d)
                noise = 2 * eps_of([a]) * terms / h
                entries = [d]
                if not level:
                    best.append(d)
                    error.append(np.full(d.shape, np.inf))
                else:
                    for j, coarser in enumerate(columns[k], start=1):
                        finer = entries[-1]
                        entry = finer + (finer - coarser) / (4.0**j - 1)
                        doubt = np.maximum(np.abs(entry - finer), np.abs(entry - coarser)) + noise
                        doubt = np.where(np.isnan(doubt), np.inf, doubt)
                        better = doubt < error[k]
                        best[k] = np.where(better, entry, best[k])
                        error[k] = np.where(better, doubt, error[k])
                        entries.append(entry)
                row.append(entries)
        columns = row
    return best, error


def complex_step(f: Function, xs: Arrays, vs: Arrays) -> Arrays | None:
    """Im f(x + i h v) / h: exact to rounding for an analytic f; None where f takes no complex.

    (W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions",
    SIAM Rev. 40, 1998.)
    """
    try:
        with np.errstate(all="ignore"):
            ys = f([x + 1j * COMPLEX_STEP * v for x, v in zip(xs, vs, strict=True)])
    except Exception:  # whatever a reference raises when it meets a complex number
        return None
    ys = floats(ys)
    if any(y.dtype.kind != "c" for y in ys):
        return None
    return [np.imag(y) / COMPLEX_STEP for y in ys]
