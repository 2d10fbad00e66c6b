"""Linear algebra on matrices of numbers of any precision, batch by batch.

A decomposition is unique up to signs, phases and order; these are taken from what LAPACK makes of
the same matrix in double precision, since that is what is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .exact import mp


def _matrix(a: Any) -> Any:
    return mp.matrix(a.tolist())


def _array(m: Any) -> np.ndarray:
    out = np.empty((m.rows, m.cols), object)
    for at in np.ndindex(*out.shape):
        out[at] = m[at]
    return out


def _vector(values: Sequence[Any]) -> np.ndarray:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _scalar(value: Any) -> np.ndarray:
    out = np.empty((), object)
    out[()] = value
    return out


def _double(a: np.ndarray) -> np.ndarray:
    is_complex = any(isinstance(z, mp.mpc) for z in a.ravel())
    return a.astype(complex if is_complex else float)


def batched(f: Callable[..., Any], cores: Sequence[int] = (2,)) -> Callable[..., Any]:
    """f on the last `cores` axes of each operand, for every index of the others, broadcast."""

    def over(*operands: Any, **how: Any) -> Any:
        xs = [np.asarray(x, object) for x in operands]
        lead = [x.shape[: x.ndim - n] for x, n in zip(xs, cores, strict=True)]
        batch = np.broadcast_shapes(*lead)
        wide = [
            np.broadcast_to(x, batch + x.shape[x.ndim - n :])
            for x, n in zip(xs, cores, strict=True)
        ]
        results = [f(*[x[at] for x in wide], **how) for at in np.ndindex(*batch)]
        if isinstance(results[0], tuple):
            return tuple(_stacked([r[k] for r in results], batch) for k in range(len(results[0])))
        return _stacked(results, batch)

    return over


def _stacked(parts: Sequence[np.ndarray], batch: tuple[int, ...]) -> np.ndarray:
    return np.stack(parts).reshape(batch + parts[0].shape)


# Equations ----------------------------------------------------------------------------------------


def _solved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (
        _array(mp.lu_solve(_matrix(a), _matrix(b)))
        if b.shape[1] == 1
        else np.concatenate([_solved(a, b[:, k : k + 1]) for k in range(b.shape[1])], axis=1)
    )


def _adjoint(a: np.ndarray) -> np.ndarray:
    return np.conj(np.swapaxes(a, -1, -2))


def solve(a: Any, b: Any) -> Any:
    if np.ndim(b) == 1:
        return batched(_solved, (2, 2))(a, np.asarray(b)[:, None])[..., 0]
    return batched(_solved, (2, 2))(a, b)


def inv(x: Any) -> Any:
    return batched(lambda a: _array(_matrix(a) ** -1))(x)


def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    kept = np.tril(np.ones(a.shape[-2:])) if lower else np.triu(np.ones(a.shape[-2:]))
    eye = np.eye(a.shape[-1])
    a = np.where(kept > 0, a, 0)
    if unit_diagonal:
        a = np.where(eye > 0, 1, a)
    if trans in (1, "T"):
        a = np.swapaxes(a, -1, -2)
    if trans in (2, "C"):
        a = _adjoint(a)
    return solve(a, b)


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        order = [k for k in range(a.ndim) if k not in axes] + list(axes)
        a = np.transpose(a, order)
    q = a.shape[b.ndim :]
    return solve(a.reshape(b.size, b.size), b.ravel()).reshape(q)


def tensorinv(a: Any, ind: int = 2) -> Any:
    front, back = a.shape[:ind], a.shape[ind:]
    n = int(np.prod(front))
    return inv(a.reshape(n, n)).reshape(back + front)


def _det(a: np.ndarray) -> np.ndarray:
    return _scalar(mp.det(_matrix(a)))


def _slogdet(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = mp.det(_matrix(a))
    return _scalar(d / abs(d)), _scalar(mp.log(abs(d)))


def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    def one(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
        m, n = q.shape
        whole = np.kron(a, np.eye(n, dtype=int)) + np.kron(np.eye(m, dtype=int), b.T)
        return _solved(whole, q.reshape(m * n, 1)).reshape(m, n)

    return batched(one, (2, 2, 2))(a, b, q)


# Functions of matrices ----------------------------------------------------------------------------


def matrix_power(x: Any, n: int) -> Any:
    def one(a: np.ndarray) -> np.ndarray:
        y = np.eye(len(a), dtype=int).astype(object) + 0 * a
        base = a if n >= 0 else _array(_matrix(a) ** -1)
        for _ in range(abs(n)):
            y = y @ base
        return y

    return batched(one)(x)


def _of_spectrum(f: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """v f(w) v^{-1} of a matrix with distinct eigenvalues."""

    def one(a: np.ndarray) -> np.ndarray:
        w, v = mp.eig(_matrix(a))
        y = v * mp.diag([f(z) for z in w]) * v**-1
        out = _array(y)
        return out if any(isinstance(z, mp.mpc) for z in a.ravel()) else _real(out)

    return one


def _real(a: np.ndarray) -> np.ndarray:
    return np.frompyfunc(mp.re, 1, 1)(a)


# Decompositions -----------------------------------------------------------------------------------


def _one_triangle(x: np.ndarray, uplo: str | None) -> np.ndarray:
    if uplo is None:
        return (x + _adjoint(x)) / 2
    part = np.tril(x, -1) if uplo.upper() == "L" else np.swapaxes(np.triu(x, 1), -1, -2)
    return part + np.swapaxes(part, -1, -2) + x * np.eye(len(x), dtype=int)


def _turned(v: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Real columns with the signs of those of `like`."""
    signs = [1 if float(np.dot(v[:, k], like[:, k])) > 0 else -1 for k in range(v.shape[1])]
    return v * np.array(signs)


def eigh(x: Any, UPLO: str | None = None) -> Any:
    def one(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a = _one_triangle(a, UPLO)
        w, v = mp.eigsy(_matrix(a))
        return _vector(list(w)), _turned(_array(v), np.linalg.eigh(_double(a))[1])

    return batched(one)(x)


def eig(x: Any) -> Any:
    def one(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w, v = mp.eig(_matrix(a))
        like_w, like_v = np.linalg.eig(_double(a))
        order = [int(np.argmin([abs(complex(z) - near) for z in w])) for near in like_w]
        columns = []
        for at, like in zip(order, like_v.T, strict=True):
            u = np.array([mp.mpc(v[k, at]) for k in range(v.rows)], object)
            # Of norm 1, the largest of the entries that LAPACK made real real, with its sign.
            anchor = int(np.argmax(np.where(like.imag == 0, np.abs(like), -1)))
            u = u / mp.sqrt(sum(abs(z) ** 2 for z in u))
            turn = u[anchor] / abs(u[anchor]) * (1 if like[anchor].real > 0 else -1)
            columns.append(u / turn)
        return _vector([mp.mpc(w[k]) for k in order]), np.stack(columns, axis=1)

    return batched(one)(x)


def svd(
    x: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    def one(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        like_u, _, like_vh = np.linalg.svd(_double(a), full_matrices=full_matrices)
        u, s, vh = map(_array, mp.svd_r(_matrix(a), full_matrices=full_matrices))
        k = len(s)
        signs = [1 if float(np.dot(u[:, j], like_u[:, j])) > 0 else -1 for j in range(u.shape[1])]
        u = u * np.array(signs)
        rows = [
            signs[j] if j < k else (1 if float(np.dot(vh[j], like_vh[j])) > 0 else -1)
            for j in range(len(vh))
        ]
        return u, s[:, 0], vh * np.array(rows)[:, None]

    u, s, vh = batched(one)(x)
    return (u, s, vh) if compute_uv else s


def svdvals(x: Any) -> Any:
    """Roots of the eigenvalues of the smaller of x x^H and x^H x."""

    def one(a: np.ndarray) -> np.ndarray:
        small = _adjoint(a) @ a if a.shape[0] >= a.shape[1] else a @ _adjoint(a)
        return _vector([mp.sqrt(w) for w in reversed(list(mp.eighe(_matrix(small))[0]))])

    return batched(one)(x)


def cholesky(x: Any, upper: bool = False) -> Any:
    def one(a: np.ndarray) -> np.ndarray:
        y = _array(mp.cholesky(_matrix((a + _adjoint(a)) / 2)))
        return _adjoint(y) if upper else y

    return batched(one)(x)


def qr(x: Any, mode: str = "reduced") -> Any:
    def one(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        like_q, like_r = np.linalg.qr(_double(a), "complete")
        k = min(a.shape)
        q, r = map(_array, mp.qr(_matrix(a[:, :k])))
        r = np.concatenate([r, np.conj(q.T) @ a[:, k:]], axis=1)
        turns = [r[j, j] / abs(r[j, j]) * _phase(like_r[j, j]) for j in range(k)]
        for j in range(k, len(q)):
            turns.append(1 if float(np.real(np.vdot(_double(q[:, j]), like_q[:, j]))) > 0 else -1)
        turns = np.array(turns, object)
        q, r = q * turns, np.conj(turns)[:, None] * r
        rows = k if mode in ("reduced", "r") else len(q)
        return q[:, :rows], r[:rows]

    q, r = batched(one)(x)
    return r if mode == "r" else (q, r)


def _phase(z: Any) -> Any:
    """1 or -1: LAPACK's diagonal is real."""
    return 1 if z.real > 0 else -1


def pinv(x: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    def one(a: np.ndarray) -> np.ndarray:
        if hermitian:
            a = (a + _adjoint(a)) / 2
        h = _adjoint(a)
        if a.shape[0] >= a.shape[1]:
            return _array(_matrix(h @ a) ** -1) @ h
        return h @ _array(_matrix(a @ h) ** -1)

    return batched(one)(x)


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    x = pinv(a) @ b
    rest = a @ x - b
    squares = np.sum(np.frompyfunc(lambda z: abs(z) ** 2, 1, 1)(rest), axis=0)
    more = a.shape[0] > a.shape[1]
    residuals = np.atleast_1d(np.asarray(squares, object)) if more else np.empty(0, object)
    return x, residuals, min(a.shape), svdvals(a)


# Norms --------------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    size = np.frompyfunc(abs, 1, 1)(x)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ord is None and axis is None:
        return _root(np.sum(size**2, axis=axes, keepdims=keepdims))
    if len(axes) == 1:
        return _vector_norm(size, ord, axes, keepdims)
    if ord in (None, "fro", "f"):
        return _root(np.sum(size**2, axis=axes, keepdims=keepdims))
    if ord in (2, -2, "nuc"):
        s = svdvals(np.moveaxis(x, axes, (-2, -1)))
        y = {2: s.max, -2: s.min, "nuc": s.sum}[ord](-1)
    else:
        row, column = (k % x.ndim for k in axes)
        summed, over = (row, column) if abs(ord) == 1 else (column, row)
        sums = np.sum(size, axis=summed, keepdims=True)
        y = (np.max if ord > 0 else np.min)(sums, axis=over, keepdims=True)
        y = np.squeeze(y, axis=(row, column))
    return np.expand_dims(y, axes) if keepdims else y


def _vector_norm(size: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    if ord == 0:
        return np.sum(size != 0, axis=axes, keepdims=keepdims).astype(object)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axes, keepdims=keepdims)
    p = 2 if ord is None else mp.mpf(ord)
    return np.sum(size**p, axis=axes, keepdims=keepdims) ** (1 / mp.mpf(p))


def _root(x: Any) -> Any:
    return np.frompyfunc(mp.sqrt, 1, 1)(x)


def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return _vector_norm(np.frompyfunc(abs, 1, 1)(x), ord, axes, keepdims)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: Any, p: Any = None) -> Any:
    if p is None or p in (2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


MATRICES: dict[str, Callable[..., Any]] = {
    "linalg.solve": solve,
    "linalg.inv": inv,
    "linalg.solve_triangular": solve_triangular,
    "linalg.tensorsolve": tensorsolve,
    "linalg.tensorinv": tensorinv,
    "linalg.det": batched(_det),
    "linalg.slogdet": batched(_slogdet),
    "linalg.solve_sylvester": solve_sylvester,
    "linalg.matrix_power": matrix_power,
    "linalg.expm": batched(lambda a: _array(mp.expm(_matrix(a)))),
    "linalg.logm": batched(_of_spectrum(mp.log)),
    "linalg.sqrtm": batched(_of_spectrum(mp.sqrt)),
    "linalg.eigh": eigh,
    "linalg.eigvalsh": lambda x, UPLO=None: eigh(x, UPLO)[0],
    "linalg.eig": eig,
    "linalg.eigvals": lambda x: eig(x)[0],
    "linalg.svd": svd,
    "linalg.svdvals": svdvals,
    "linalg.cholesky": cholesky,
    "linalg.qr": qr,
    "linalg.pinv": pinv,
    "linalg.lstsq": lstsq,
    "linalg.vector_norm": vector_norm,
    "linalg.matrix_norm": matrix_norm,
    "linalg.cond": cond,
    "norm": norm,
}
