"""Solvers for the equations of implicit functions, on vectors of numbers, many systems at once.

Each takes the equations, the start (vectors along the last axis, an axis in front for each running
vmap), and goes on until every system has arrived.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import ConvergenceError, message
from ..graph import mode, no_grad
from .batch import Level, on_level
from .operator import LinearSolver, Operator, inside, on_levels

Equations = Callable[[GradArray], GradArray]
Levels = tuple[Level, ...]

HALVINGS = 40


def values_of(f: Equations, x: np.ndarray, levels: Levels) -> np.ndarray:
    """f at x, nothing recorded."""
    outer, mode.raw = mode.raw, 0
    try:
        with inside(levels), no_grad():
            y = f(on_levels(wrap(x), levels))
            for level in reversed(levels):
                y = on_level(y, level)
            return np.asarray(y._data)
    finally:
        mode.raw = outer


def _norm(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.add.reduce(x * x, axis=-1, keepdims=True))


def _small(step: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Steps so short that the next one, by quadratic convergence, would be rounding."""
    return _norm(step) <= np.sqrt(np.finfo(x.dtype).eps) * (1 + _norm(x))


def _stuck(op: str, what: str, steps: int, value: np.ndarray) -> ConvergenceError:
    worst = float(np.max(value)) if np.isfinite(value).all() else np.nan
    return ConvergenceError(
        message(
            op,
            f"{what} did not converge in {steps} steps; the residual is still {worst:.1e}.",
            "Start nearer to the solution, or give a solver of your own.",
        )
    )


def newton(
    f: Equations, x: np.ndarray, levels: Levels, solver: LinearSolver, op: str, maxiter: int = 50
) -> np.ndarray:
    r"""Newton's method with halved steps: x - t J^{-1} f(x), t such that |f| falls.

    (Deuflhard, "Newton Methods for Nonlinear Problems", section 3.1.)
    """
    size = _norm(x)
    with np.errstate(all="ignore"):
        for _ in range(maxiter):
            here = Operator(f, wrap(x), levels, solver, op)
            r = here.residual
            size = _norm(r)
            if not np.isfinite(size).all():
                break
            if not size.any():
                return x
            step = -here.solve(r)
            arrived = _small(step, x)
            if arrived.all():
                return x + step
            t = np.ones_like(size)
            for _ in range(HALVINGS):
                new = _norm(values_of(f, x + t * step, levels))
                short = ~(new <= (1 - 1e-4 * t) * size) & ~arrived
                if not short.any():
                    break
                t = np.where(short, t / 2, t)
            x = x + t * step
    raise _stuck(op, "Newton's method", maxiter, size)


def anderson(
    g: Equations, x: np.ndarray, levels: Levels, op: str, maxiter: int = 1000, depth: int = 5
) -> np.ndarray:
    r"""Fixed-point iteration x = g(x), sped up by its last steps.

    The next x is g of the combination of the last few whose residuals cancel best. (Walker & Ni,
    "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 49, 2011.)
    """
    goal = np.finfo(x.dtype).eps ** 0.75
    xs: list[np.ndarray] = []
    rs: list[np.ndarray] = []
    r = np.zeros_like(x)
    with np.errstate(all="ignore"):
        for _ in range(maxiter):
            y = values_of(g, x, levels)
            r = y - x
            if not np.isfinite(r).all():
                break
            if (_norm(r) <= goal * (1 + _norm(x))).all():
                return y
            xs, rs = [*xs[-depth:], x], [*rs[-depth:], r]
            x = y
            if len(rs) > 1:
                moves = np.stack([b - a for a, b in itertools.pairwise(xs)], axis=-1)
                bends = np.stack([b - a for a, b in itertools.pairwise(rs)], axis=-1)
                weights = np.linalg.pinv(bends, rcond=1e-10) @ r[..., None]
                x = y - ((moves + bends) @ weights)[..., 0]
    raise _stuck(op, "the fixed-point iteration", maxiter, _norm(r))


def descend(
    f: Equations,
    gradient: Equations,
    x: np.ndarray,
    levels: Levels,
    solver: LinearSolver,
    op: str,
    maxiter: int = 200,
) -> np.ndarray:
    r"""Newton's method for a minimum: -|H|^{-1} \nabla f is downhill also where H is indefinite.

    (Nocedal & Wright, "Numerical Optimization", 2nd ed., section 3.4; Dauphin et al.,
    "Identifying and attacking the saddle point problem", NeurIPS 2014.)
    """
    g = np.zeros_like(x)
    with np.errstate(all="ignore"):
        for _ in range(maxiter):
            here = Operator(gradient, wrap(x), levels, solver, op)
            g, h = here.residual, here.matrix()
            if not (np.isfinite(g).all() and np.isfinite(h).all()):
                break
            w, v = np.linalg.eigh((h + np.swapaxes(h, -1, -2)) / 2)
            least = 1e-10 * np.abs(w).max(axis=-1, keepdims=True) + np.finfo(x.dtype).tiny
            along = np.swapaxes(v, -1, -2) @ g[..., None]
            step = -(v @ (along / np.maximum(np.abs(w), least)[..., None]))[..., 0]
            arrived = _small(step, x)
            if arrived.all():
                _check_minimum(w, op)
                return x + step
            t = np.ones_like(step[..., :1])
            before = values_of(f, x, levels)[..., None]
            slope = np.add.reduce(g * step, axis=-1, keepdims=True)
            for _ in range(HALVINGS):
                after = values_of(f, x + t * step, levels)[..., None]
                short = ~(after <= before + 1e-4 * t * slope) & ~arrived
                if not short.any():
                    break
                t = np.where(short, t / 2, t)
            x = x + t * step
    raise _stuck(op, "the minimisation", maxiter, _norm(g))


def _check_minimum(w: Any, op: str) -> None:
    low, high = w.min(axis=-1), np.abs(w).max(axis=-1)
    if (low < -1e-6 * high).any():
        raise ConvergenceError(
            message(
                op,
                f"the search ended at a saddle: an eigenvalue of the Hessian is {low.min():.1e}.",
                "Start elsewhere.",
            )
        )
