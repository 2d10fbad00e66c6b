"""Linear systems by products, where a function is recorded: loops whose ends are values.

Each as its namesake in `krylov`, where the sources are; one that does not end raises GraphError
when the compiled function runs.
"""

from __future__ import annotations

from typing import Any

from ..array import wrap
from ..graph import mode, no_grad
from ..ops.compare import where
from ..ops.reduce import any as some
from ..ops.reduce import sum
from .batch import only_levels
from .loops import while_loop


def looped(going: Any, turn: Any, start: Any, maxiter: int) -> Any:
    """A loop over handles, whatever runs around it."""
    with only_levels(()), no_grad():
        outer, mode.raw = mode.raw, 0
        try:
            return while_loop(going, turn, start, max_steps=maxiter)
        finally:
            mode.raw = outer


def norm(x: Any) -> Any:
    return sum(x * x, axis=-1, keepdims=True) ** 0.5


def _over(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0: a system that is solved, or has broken down, stays."""
    return where(b != 0, a / where(b != 0, b, 1), 0)


def _dot(a: Any, b: Any) -> Any:
    return sum(a * b, axis=-1, keepdims=True)


def cg(apply: Any, b: Any, rtol: float, maxiter: int) -> Any:
    """Conjugate gradients (see krylov.py)."""
    goal = rtol * norm(wrap(b))

    def turn(carry: Any) -> Any:
        x, r, p, rho = carry
        going = rho**0.5 > goal
        q = wrap(apply(p._data))
        alpha = where(going, _over(rho, _dot(p, q)), 0)
        x, r = x + alpha * p, r - alpha * q
        new = _dot(r, r)
        return x, r, r + where(going, _over(new, rho), 0) * p, where(going, new, rho)

    b = wrap(b)
    start = b * 0, b, b, _dot(b, b)
    going = lambda carry: some(carry[3] ** 0.5 > goal)
    return looped(going, turn, start, maxiter)[0]._data


def bicgstab(apply: Any, b: Any, rtol: float, maxiter: int) -> Any:
    """Stabilised biconjugate gradients (see krylov.py)."""
    b = shadow = wrap(b)
    goal = rtol * norm(b)

    def turn(carry: Any) -> Any:
        x, r, p, v, rho, alpha, omega = carry
        going = norm(r) > goal
        new = _dot(shadow, r)
        p = r + _over(new, rho) * _over(alpha, omega) * (p - omega * v)
        v = wrap(apply(p._data))
        alpha = where(going, _over(new, _dot(shadow, v)), 0)
        s = r - alpha * v
        t = wrap(apply(s._data))
        omega = where(going, _over(_dot(t, s), _dot(t, t)), 0)
        return x + alpha * p + omega * s, s - omega * t, p, v, new, alpha, omega

    none, one = b * 0, _dot(b, b) * 0 + 1
    going = lambda carry: some(norm(carry[1]) > goal)
    return looped(going, turn, (none, b, none, none, one, one, one), maxiter)[0]._data


METHODS = {"cg": cg, "bicgstab": bicgstab}
