"""Linear systems by products, where a function is recorded: loops whose ends are values.

Each as its namesake in `krylov`, where the sources are; one that does not end raises GraphError
when the compiled function runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import wrap
from ..graph import mode, no_grad
from ..ops.compare import where
from ..ops.linsolve import solve_triangular
from ..ops.logical import logical_and, logical_not
from ..ops.powers import hypot
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


def gmres(apply: Any, b: Any, rtol: float, maxiter: int, restart: int = 50) -> Any:
    """Generalised minimal residuals, restarted (see krylov.py).

    The basis has the memory of a whole cycle, whatever the number of steps that are taken.
    """
    b = wrap(b)
    m = min(restart, b.shape[-1])
    goal = rtol * norm(b)

    def turn(carry: Any) -> Any:
        x, r = carry
        x = x + _cycle(apply, r, goal, m)
        return x, b - wrap(apply(x._data))

    # Not `>`: what is no number is not solved.
    going = lambda carry: some(logical_not(norm(carry[1]) <= goal))
    return looped(going, turn, (b * 0, b), -(-maxiter // (m + 1)) + 1)[0]._data


def _cycle(apply: Any, r: Any, goal: Any, m: int) -> Any:
    """The best correction in a Krylov space of at most m steps.

    Arnoldi's process with every vector projected twice, which is as good as one after the other
    (Giraud, Langou & Rozloznik, "The loss of orthogonality in the Gram-Schmidt orthogonalization
    process", Comput. Math. Appl. 50, 2005); `q` turns the Hessenberg matrix into a triangle, a
    column at a time.
    """
    dtype, beta = r.dtype, norm(r)
    rows, eye = np.arange(m + 1), np.eye(m + 1, dtype=dtype)
    tiny = 1e2 * float(np.finfo(dtype).eps)

    def ended(q: Any) -> Any:
        """The right hand side, turned as the matrix is."""
        return beta * q[..., 0]

    def turn(carry: Any) -> Any:
        j, basis, q, triangle = carry
        is_here, is_next = wrap(rows) == j, wrap(rows) == j + 1
        here, then = is_here.astype(dtype), is_next.astype(dtype)
        w, h = wrap(apply((here @ basis)._data)), beta * np.zeros(m + 1, dtype)
        for _ in range(2):
            part = (basis @ w[..., None])[..., 0]
            w, h = w - (part[..., None, :] @ basis)[..., 0, :], h + part
        length = norm(w)
        length = where(length <= tiny * norm(h), 0, length)
        basis = basis + then[:, None] * _over(w, length)[..., None, :]
        column = (q @ (h + then * length)[..., None])[..., 0]
        a, b = _dot(column, here), _dot(column, then)
        size = hypot(a, b)
        cos, sin = _over(a, size), _over(b, size)
        upper, lower = here @ q, then @ q
        first, second = cos * upper + sin * lower, cos * lower - sin * upper
        q = where(is_next[:, None], second[..., None, :], q)
        q = where(is_here[:, None], first[..., None, :], q)
        column = where(is_here, size, column)[..., :m, None]
        return j + 1, basis, q, where(is_here[:m], column, triangle)

    def going(carry: Any) -> Any:
        j, _, q, _ = carry
        left = abs(_dot(ended(q), (wrap(rows) == j).astype(dtype)))
        return logical_and(j < m, some(left > goal))

    basis = eye[0][:, None] * _over(r, beta)[..., None, :]
    q, triangle = (beta[..., None] * 0 + eye[:k, :k] for k in (m + 1, m))
    start = wrap(np.int64(0)), basis, q, triangle
    j, basis, q, triangle = while_loop(going, turn, start, max_steps=m)
    none = _dot(triangle, eye[:m, :m])[..., 0] == 0  # a step that led nowhere: its unknown is 0
    g = where(logical_and(wrap(rows[:m]) < j, logical_not(none)), ended(q)[..., :m], 0)
    triangle = where(none[..., None], eye[:m, :m], triangle)
    y = solve_triangular(triangle, g[..., None])
    return (y.swapaxes(-1, -2) @ basis[..., :m, :])[..., 0, :]


METHODS = {"cg": cg, "bicgstab": bicgstab, "gmres": gmres}
