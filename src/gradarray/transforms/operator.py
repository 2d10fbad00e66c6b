"""The Jacobian of one recorded function of a vector, and linear systems with it.

Vectors lie along the last axis of raw arrays. Axes before it that the recording has itself (the
examples of a vmap) have a matrix each; further ones in front are many vectors for the same
matrices, and go through the recording together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import graph
from ..array import GradArray, is_foreign, lift, wrap
from ..errors import ConvergenceError, ShapeError, message
from ..graph import Grad, mode
from ..lazy import linalg
from ..ops.control import alias
from ..ops.join import stack, unstack
from ..ops.shape import reshape
from ..plan import PLAIN_SWEEP, RECORDED_SWEEP
from . import krylov_loops
from .batch import Level, base, batched, on_level, only_levels
from .checkpoint import captured_by, recording_here
from .krylov import METHODS
from .pull import sweep as pull_sweep
from .push import sweep as push_sweep

# Up to this size a matrix is formed and factored, unless the user says otherwise.
DIRECT = 500


class LinearSolver:
    """How linear systems are solved: the method, and when it is content.

    `method` is "direct", "cg", "bicgstab", "gmres", or a function (apply, b) -> x of vectors.
    """

    def __init__(
        self, method: Any, rtol: float | None, maxiter: int | None, symmetric: bool, op: str
    ) -> None:
        known = ("auto", "direct", *METHODS)
        if not callable(method) and method not in known:
            names = ", ".join(known)
            raise ValueError(message(op, f"{method!r} solves no linear systems.", f"Say {names}."))
        self.method, self.rtol, self.maxiter = method, rtol, maxiter
        self.symmetric = symmetric or method == "cg"

    def choose(self, n: int) -> Any:
        if self.method != "auto":
            return self.method
        return "direct" if n <= DIRECT else "cg" if self.symmetric else "gmres"


@contextmanager
def on_raw() -> Iterator[None]:
    """Within, library functions of what is no handle give what is none, under trace too."""
    outer, mode.raw = mode.raw, mode.raw + 1
    try:
        yield
    finally:
        mode.raw = outer


@contextmanager
def inside(levels: tuple[Level, ...]) -> Iterator[None]:
    """Within, just these vmaps run, also if they had ended: what they made can be used again."""
    before = [level.active for level in levels]
    for level in levels:
        level.active = True
    try:
        with only_levels(levels):
            yield
    finally:
        for level, active in zip(levels, before, strict=True):
            level.active = active


def on_levels(x: GradArray, levels: tuple[Level, ...]) -> GradArray:
    """The array `x`, of the examples of these vmaps, as a handle of theirs."""
    for level in levels:
        x = batched(x, level)
    return x


class Operator:
    """r = f(z) recorded at one z, and J = dr/dz there."""

    def __init__(
        self,
        f: Callable[[GradArray], GradArray],
        at: GradArray,
        levels: tuple[Level, ...],
        solver: LinearSolver,
        op: str,
    ) -> None:
        self.f, self.levels, self.solver, self.op = f, levels, solver, op
        z = alias(at)
        with inside(levels), recording_here():
            r = f(on_levels(z, levels))
            if r.shape != z.shape[len(levels) :]:
                raise ShapeError(
                    message(op, f"{r.shape} equations for {z.shape[len(levels):]} unknowns.")
                )
            for level in reversed(levels):
                r = on_level(r, level)
        self.z, self.r = z, base(r)
        self.source: Grad = z._require_node(op)
        roots = [] if self.r._node is None else [self.r._node]
        self.order, _ = graph.ancestry(roots, self.source.seq)
        known = [] if at._node is None else [at._node]
        self.captured = captured_by([self.r], self.source.seq, known)
        self._matrix: Any = None
        self._factors: Any = None

    @property
    def residual(self) -> Any:
        """The values of r."""
        return self.r._data

    @property
    def size(self) -> int:
        return self.z.shape[-1]

    # Products -----------------------------------------------------------------------------------

    def apply(self, v: np.ndarray, transposed: bool = False) -> np.ndarray:
        """J v, or J^T v, for every vector."""
        shape = v.shape
        own = self.z.shape
        many = math.prod(shape[: len(shape) - len(own)])
        if shape == own or many == 1:
            with on_raw():
                found = self._swept(v.reshape(own), transposed, PLAIN_SWEEP)
        else:
            level = Level(many, 0, "error")
            outer, mode.raw = mode.raw, 0
            try:
                with only_levels((level,)), graph.no_grad():
                    handle = batched(wrap(v.reshape(many, *own)), level)
                    found = self._swept(handle, transposed, RECORDED_SWEEP)
                    found = None if found is None else on_level(found, level)._data
            finally:
                mode.raw = outer
        if found is None:
            return np.zeros(shape, v.dtype)
        with on_raw():
            return found.reshape(shape) if is_foreign(found) else np.asarray(found).reshape(shape)

    def _swept(self, v: Any, transposed: bool, variant: int) -> Any:
        r = self.r._node
        if r is None:
            return None
        with np.errstate(all="ignore"):
            if transposed:
                return pull_sweep(self.order, {r: v}, variant, [self.source]).get(self.source)
            return push_sweep(self.order, {self.source: v}, variant).get(r)

    def matrix(self) -> np.ndarray:
        """J in full, from one batch of unit vectors."""
        if self._matrix is None:
            n = self.size
            rows = np.eye(n, dtype=self.z.dtype).reshape(n, *(1,) * (self.z.ndim - 1), n)
            found = self.apply(np.broadcast_to(rows, (n, *self.z.shape)))
            with on_raw():
                self._matrix = np.moveaxis(found, 0, -1)
        return self._matrix

    # Systems ------------------------------------------------------------------------------------

    def solve(self, b: np.ndarray, transposed: bool = False) -> np.ndarray:
        """x with J x = b, or J^T x = b. Raises ConvergenceError."""
        how = self.solver.choose(self.size)
        if self.solver.symmetric:
            transposed = False
        if how == "direct":
            return self._solve_direct(b, transposed)

        def product(v: np.ndarray) -> np.ndarray:
            return self.apply(v, transposed)

        if callable(how):
            return self._solve_by_user(how, product, b)
        eps = np.finfo(b.dtype).eps
        rtol = self.solver.rtol or (1e-10 if eps < 1e-10 else 1e2 * float(eps))
        maxiter = self.solver.maxiter or max(10 * self.size, 100)
        if mode.trace is not None:
            return krylov_loops.METHODS[how](product, b, rtol, maxiter)
        with np.errstate(all="ignore"):
            return METHODS[how](product, b, rtol, maxiter)

    def _solve_direct(self, b: np.ndarray, transposed: bool) -> np.ndarray:
        a = self.matrix()
        if is_foreign(a) or is_foreign(b):
            with on_raw():
                a = np.swapaxes(a, -1, -2) if transposed else a
                return np.linalg.solve(a, b[..., None])[..., 0]
        if not np.isfinite(a).all():
            raise ConvergenceError(message(self.op, "the Jacobian is not finite there."))
        try:
            if a.ndim > 2:
                a = np.swapaxes(a, -1, -2) if transposed else a
                return np.linalg.solve(a, b[..., None])[..., 0]
            if self._factors is None:
                self._factors = _factored(a)
            rows = b.reshape(-1, self.size)
            trans = int(transposed)
            found = linalg.lu_solve(self._factors, rows.T, trans=trans, check_finite=False)
            return np.ascontiguousarray(found.T).reshape(b.shape)
        except np.linalg.LinAlgError:
            raise ConvergenceError(
                message(
                    self.op,
                    "the Jacobian is singular there: no step, and no derivative, is unique.",
                    "Are the equations independent?",
                )
            ) from None

    def _solve_by_user(self, how: Any, product: Any, b: np.ndarray) -> np.ndarray:
        if self.levels:
            raise ConvergenceError(
                message(
                    self.op,
                    "a linear solver of your own cannot be used inside vmap.",
                    "Use 'direct', 'cg', 'bicgstab' or 'gmres'.",
                )
            )
        outer, mode.raw = mode.raw, 0
        try:
            with only_levels(()), graph.no_grad():
                rows = unstack(reshape(wrap(b), (-1, self.size)))
                found = [lift(how(lambda v: wrap(product(_raw(v))), row)) for row in rows]
                return reshape(stack(found), b.shape)._data
        finally:
            mode.raw = outer


def _raw(x: Any) -> np.ndarray:
    return x._data if isinstance(x, GradArray) else np.asarray(x)


def _factored(a: np.ndarray) -> Any:
    (getrf,) = linalg.get_lapack_funcs(("getrf",), (a,))
    lu, pivots, info = getrf(a)
    if info:
        raise np.linalg.LinAlgError("singular")
    return lu, pivots
