"""The solvers of implicit functions where a function is recorded, as their namesakes in `solvers`.

A loop that does not end raises GraphError when the compiled function runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..ops.compare import maximum, minimum, where
from ..ops.logical import logical_and, logical_not, logical_or
from ..ops.reduce import all as every
from ..ops.reduce import any as some
from ..ops.reduce import sum
from .batch import Level, on_level
from .krylov_loops import looped, norm
from .loops import while_loop
from .operator import LinearSolver, Operator, inside, on_levels, on_raw
from .solvers import HALVINGS, Equations

Levels = tuple[Level, ...]


def _values_of(f: Equations, x: Any, levels: Levels) -> Any:
    with inside(levels):
        y = f(on_levels(x, levels))
        for level in reversed(levels):
            y = on_level(y, level)
    return y


def _small(step: Any, x: Any) -> Any:
    return norm(step) <= float(np.finfo(x.dtype).eps) ** 0.5 * (1 + norm(x))


def _halved(enough: Any, like: Any, arrived: Any) -> Any:
    """The largest of 1, 1/2, 1/4, .. that is enough, for each system."""

    def turn(carry: Any) -> Any:
        t, k, _ = carry
        short = logical_and(logical_not(enough(t)), logical_not(arrived))
        return where(short, t / 2, t), k + 1, some(short)

    going = lambda carry: logical_and(carry[2], carry[1] < HALVINGS)
    start = like * 0 + 1, wrap(np.int64(0)), wrap(np.True_)
    return while_loop(going, turn, start)[0]


def _searched(turn: Any, x: Any, maxiter: int) -> Any:
    """x = turn(x) until the turn says that it has arrived."""
    start = wrap(x), wrap(np.False_)
    going = lambda carry: logical_not(carry[1])
    return looped(going, lambda carry: turn(carry[0]), start, maxiter)[0]._data


def newton(
    f: Equations, x: Any, levels: Levels, solver: LinearSolver, op: str, maxiter: int = 50
) -> Any:
    """Newton's method with halved steps."""

    def turn(x: GradArray) -> tuple[Any, Any]:
        here = Operator(f, x, levels, solver, op)
        r = wrap(here.residual)
        step = -wrap(here.solve(here.residual))
        arrived = _small(step, x)
        size = norm(r)
        enough = lambda t: norm(_values_of(f, x + t * step, levels)) <= (1 - 1e-4 * t) * size
        t = _halved(enough, size, arrived)
        return x + t * step, every(arrived)

    return _searched(turn, x, maxiter)


def descend(
    f: Equations, gradient: Equations, x: Any, levels: Levels, solver: LinearSolver, op: str,
    maxiter: int = 200,
) -> Any:  # fmt: skip
    """Newton's method for a minimum, with the absolute values of the Hessian's eigenvalues."""

    def turn(x: GradArray) -> tuple[Any, Any]:
        here = Operator(gradient, x, levels, solver, op)
        with on_raw():
            h = here.matrix()
            w, v = np.linalg.eigh((h + np.swapaxes(h, -1, -2)) / 2)
        g, w, v = map(wrap, (here.residual, w, v))
        least = 1e-10 * abs(w).max(axis=-1, keepdims=True) + float(np.finfo(x.dtype).tiny)
        along = (v.swapaxes(-1, -2) @ g[..., None])[..., 0]
        step = -(v @ (along / maximum(abs(w), least))[..., None])[..., 0]
        arrived = _small(step, x)
        before = _values_of(f, x, levels)[..., None]
        slope = sum(g * step, axis=-1, keepdims=True)

        def enough(t: Any) -> Any:
            return _values_of(f, x + t * step, levels)[..., None] <= before + 1e-4 * t * slope

        t = _halved(enough, slope, arrived)
        return x + t * step, every(arrived)

    return _searched(turn, x, maxiter)


def steer(
    f: Equations, gradient: Equations, x: Any, levels: Levels, solver: LinearSolver, op: str
) -> Any:
    """Newton's method for a minimum of many unknowns, by products with the Hessian alone.

    Steps of truncated conjugate gradients in a region of trust (Nocedal & Wright, "Numerical
    Optimization", 2nd ed., algorithms 4.1 and 7.2), as SciPy's trust-ncg has it. Ratios of
    differences that are rounding count as 1 (Conn, Gould & Toint, "Trust-Region Methods",
    section 17.4.2).
    """
    eps = float(np.finfo(x.dtype).eps)

    def turn(carry: Any) -> Any:
        x, radius, _ = carry
        here = Operator(gradient, x, levels, solver, op)
        g, product = wrap(here.residual), lambda v: wrap(here.apply(v._data))
        step, edge = _truncated(product, g, radius)
        arrived = logical_and(_small(step, x), logical_not(edge))
        before, after = (_values_of(f, at, levels)[..., None] for at in (x, x + step))
        noise = 10 * eps * abs(before)
        expected = -sum((g + 0.5 * product(step)) * step, axis=-1, keepdims=True)
        ratio = (before - after + noise) / (expected + noise)
        wider = where(logical_and(ratio > 0.75, edge), minimum(2 * radius, 1e3), radius)
        radius = where(ratio >= 0.25, wider, radius / 4)
        x = where(logical_or(ratio > 0.15, arrived), x + step, x)
        return x, radius, every(arrived)

    x = wrap(x)
    start = x, norm(x) * 0 + 1, wrap(np.False_)
    return looped(lambda c: logical_not(c[2]), turn, start, 200 * x.shape[-1])[0]._data


def _truncated(product: Any, g: Any, radius: Any) -> tuple[Any, Any]:
    """A step p that makes g p + p H p / 2 small within the radius; did it come to the edge?"""
    dot = lambda a, b: sum(a * b, axis=-1, keepdims=True)
    size = norm(g)
    enough = minimum(0.5, size**0.5) * size

    def turn(carry: Any) -> Any:
        k, p, r, d, edge = carry
        active = logical_and(norm(r) > enough, logical_not(edge))
        along, bent = product(d), dot(r, r)
        curved = dot(d, along)
        ahead = p + bent / where(curved > 0, curved, 1) * d
        leaves = logical_and(active, logical_not(
            logical_and(curved > 0, norm(ahead) < radius)
        ))  # fmt: skip
        stays = logical_and(active, logical_not(leaves))
        a, b, c = dot(d, d), dot(p, d), dot(p, p) - radius**2
        outward = p + ((b * b - a * c) ** 0.5 - b) / where(a > 0, a, 1) * d
        p = where(leaves, outward, where(stays, ahead, p))
        r = where(stays, r + bent / where(curved > 0, curved, 1) * along, r)
        d = where(stays, dot(r, r) / where(bent > 0, bent, 1) * d - r, d)
        return k + 1, p, r, d, logical_or(edge, leaves)

    def going(carry: Any) -> Any:
        k, _, r, _, edge = carry
        return logical_and(
            k < g.shape[-1], some(logical_and(norm(r) > enough, logical_not(edge)))
        )

    start = wrap(np.int64(0)), g * 0, g, -g, size < 0
    _, p, _, _, edge = while_loop(going, turn, start)
    return p, edge
