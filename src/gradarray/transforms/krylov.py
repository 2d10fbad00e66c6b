"""Linear systems solved by products with the matrix alone: cg, bicgstab, gmres.

Vectors lie along the last axis; axes before it are many systems at once, each of which stops by
itself. `apply(v)` multiplies every vector by its own matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ConvergenceError, message

Apply = Callable[[np.ndarray], np.ndarray]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.add.reduce(a * b, axis=-1, keepdims=True)


def _norm(a: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(a, a))


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where b is 0: a system that is solved, or has broken down, stays."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _failed(name: str, steps: int, left: np.ndarray, goal: np.ndarray, hint: str) -> Exception:
    worst = float(np.max(_over(left, goal)))
    return ConvergenceError(
        message(
            name,
            f"not solved after {steps} products: a residual is still {worst:.1e} times the "
            "tolerance.",
            hint,
        )
    )


def cg(apply: Apply, b: np.ndarray, rtol: float, maxiter: int) -> np.ndarray:
    """Conjugate gradients, for symmetric positive definite matrices.

    (Hestenes & Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. Nat.
    Bur. Standards 49, 1952.)
    """
    x, r, p = np.zeros_like(b), b, b
    rho, goal = _dot(r, r), rtol * _norm(b)
    for _ in range(maxiter):
        going = np.sqrt(rho) > goal
        if not going.any():
            return x
        q = apply(p)
        alpha = np.where(going, _over(rho, _dot(p, q)), 0)
        x, r = x + alpha * p, r - alpha * q
        new = _dot(r, r)
        p = r + np.where(going, _over(new, rho), 0) * p
        rho = np.where(going, new, rho)
    if (np.sqrt(rho) <= goal).all():
        return x
    raise _failed(
        "cg", maxiter, np.sqrt(rho), goal, "Is the matrix symmetric and positive definite?"
    )


def bicgstab(apply: Apply, b: np.ndarray, rtol: float, maxiter: int) -> np.ndarray:
    """Stabilised biconjugate gradients, for any matrix, in little memory.

    (van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13, 1992.)
    """
    x, r, shadow = np.zeros_like(b), b, b
    rho = np.ones_like(b[..., :1])
    alpha = omega = rho
    p = v = x
    goal = rtol * _norm(b)
    for _ in range(0, maxiter, 2):
        going = _norm(r) > goal
        if not going.any():
            return x
        new = _dot(shadow, r)
        p = r + _over(new, rho) * _over(alpha, omega) * (p - omega * v)
        v = apply(p)
        alpha = np.where(going, _over(new, _dot(shadow, v)), 0)
        s = r - alpha * v
        t = apply(s)
        omega = np.where(going, _over(_dot(t, s), _dot(t, t)), 0)
        x, r, rho = x + alpha * p + omega * s, s - omega * t, new
    if (_norm(r) <= goal).all():
        return x
    raise _failed("bicgstab", maxiter, _norm(r), goal, "Try gmres, or more iterations.")


def gmres(
    apply: Apply, b: np.ndarray, rtol: float, maxiter: int, restart: int = 50
) -> np.ndarray:
    """Generalised minimal residuals, restarted, for any matrix.

    (Saad & Schultz, "GMRES", SIAM J. Sci. Stat. Comput. 7, 1986.)
    """
    m = min(restart, b.shape[-1])
    x, r, goal = np.zeros_like(b), b, rtol * _norm(b)
    taken = 0
    while (_norm(r) > goal).any():
        if taken >= maxiter:
            raise _failed("gmres", taken, _norm(r), goal, "Allow more, or a larger restart.")
        step, used = _cycle(apply, r, goal, m)
        taken += used + 1
        x = x + step
        r = b - apply(x)
        if not np.isfinite(r).all():
            raise _failed("gmres", taken, _norm(r), goal, "The products are not finite.")
    return x


def _cycle(apply: Apply, r: np.ndarray, goal: np.ndarray, m: int) -> tuple[np.ndarray, int]:
    """One cycle: a basis of the Krylov space, and the best correction in it."""
    beta = _norm(r)
    basis = [_over(r, beta)]
    h = np.zeros((*r.shape[:-1], m + 1, m), r.dtype)
    g = np.zeros((*r.shape[:-1], m + 1), r.dtype)
    g[..., 0] = beta[..., 0]
    turns: list[tuple[Any, Any]] = []
    for j in range(m):
        w = apply(basis[j])
        for i, v in enumerate(basis):
            h[..., i, j] = _dot(v, w)[..., 0]
            w = w - h[..., i, j, None] * v
        length = _norm(w)
        tiny = length <= 1e2 * np.finfo(r.dtype).eps * _norm(h[..., : j + 1, j])
        length = np.where(tiny, 0, length)
        h[..., j + 1, j] = length[..., 0]
        basis.append(_over(w, length))
        for i, (c, s) in enumerate(turns):
            a, b = h[..., i, j].copy(), h[..., i + 1, j].copy()
            h[..., i, j], h[..., i + 1, j] = c * a + s * b, c * b - s * a
        a, b = h[..., j, j], h[..., j + 1, j]
        size = np.hypot(a, b)
        c, s = _over(a, size), _over(b, size)
        turns.append((c, s))
        h[..., j, j], h[..., j + 1, j] = size, 0
        g[..., j + 1] = -s * g[..., j]
        g[..., j] = c * g[..., j]
        if (np.abs(g[..., j + 1, None]) <= goal).all():
            break
    y = np.zeros_like(g[..., : j + 1])
    for i in range(j, -1, -1):
        left = g[..., i] - np.sum(h[..., i, i + 1 : j + 1] * y[..., i + 1 :], axis=-1)
        y[..., i] = _over(left, h[..., i, i])
    total = np.zeros_like(r)
    for i in range(j + 1):
        total = total + y[..., i, None] * basis[i]
    return total, j + 1


METHODS = {"cg": cg, "bicgstab": bicgstab, "gmres": gmres}
