"""Functions that equations define, differentiated through the equations: `ga.implicit`.

root, fixed_point and minimize solve f(x, theta) = 0, x = f(x, theta) and min_x f(x, theta), by any
solver; the derivative dx/dtheta = -(df/dx)^{-1} df/dtheta comes from the implicit function theorem
at the solution, in both modes and to every order, and the solver's steps are not recorded.
(Blondel et al., "Efficient and modular implicit differentiation", NeurIPS 2022.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, is_foreign, wrap
from ..errors import ConvergenceError, check_function, message
from ..graph import mode, no_grad
from . import traced
from .batch import on_level
from .higher import gradient_of
from .implied import implied
from .operator import DIRECT, LinearSolver, Operator, on_raw
from .ravel import Ravel
from .scipy_bridge import minimize as scipy_minimize
from .solvers import anderson, descend, newton

__all__ = ["fixed_point", "linear_solve", "minimize", "root"]


def __dir__() -> list[str]:
    return list(__all__)


def root(
    f: Callable[..., Any],
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    *,
    linear_solver: Any = "auto",
    tol: float | None = None,
) -> Callable[..., Any]:
    r"""The solution x of f(x, \theta) = 0: `root(f)(x0, *theta)`, differentiable in theta.

    dx = -(\partial f / \partial x)^{-1} (\partial f / \partial \theta) d\theta. x, and what f
    returns, have the structure and shapes of x0; theta are any arguments, and arrays that f takes
    from around it count as well. `solver(g, x0)` gives the solution of g(x) = 0 and may do it in
    any way (default: Newton's method); `linear_solver` is "direct", "cg", "gmres", "bicgstab", a
    function (apply, b) -> x, or "auto" (direct up to 500 unknowns). x0 has no derivative. Inside
    vmap every example has its own solution. Raises ConvergenceError where the equations do not
    hold: where the remaining Newton step is more than `tol` max(1, |x|) (default eps^(3/8)), or
    the Jacobian is singular. (Krantz & Parks, "The Implicit Function Theorem", chapter 3.)

    >>> import gradarray as ga
    >>> sqrt = lambda a: ga.implicit.root(lambda x, a: x * x - a)(1.0, a)
    >>> sqrt(4.0), ga.grad(sqrt)(4.0), ga.grad(ga.grad(sqrt))(4.0)
    (GradArray(2., dtype=float64), GradArray(0.25, dtype=float64),
     GradArray(-0.03125, dtype=float64))
    """
    op = "implicit.root"
    check_function(f, op)
    linear = LinearSolver(linear_solver, None, None, False, op)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def solution(x0: Any, *args: Any, **kwargs: Any) -> Any:
        problem = _Problem(op, x0, lambda x: f(x, *args, **kwargs), linear, tol)
        equations = problem.flat
        search = newton if mode.trace is None else traced.newton
        x = problem.found_by(solver, lambda x: search(equations, x, mode.levels, linear, op))
        return problem.solved(equations, x)

    return solution


def fixed_point(
    f: Callable[..., Any],
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    *,
    linear_solver: Any = "auto",
    tol: float | None = None,
) -> Callable[..., Any]:
    r"""The solution of x = f(x, \theta): `fixed_point(f)(x0, *theta)`, differentiable in theta.

    dx = (1 - \partial f / \partial x)^{-1} (\partial f / \partial \theta) d\theta. The default
    solver iterates, with Anderson's acceleration; `solver(g, x0)` gives a solution of x = g(x).
    Other arguments and errors as in `root`. (Bai, Kolter & Koltun, "Deep equilibrium models",
    NeurIPS 2019.)

    >>> import gradarray as ga
    >>> kepler = ga.implicit.fixed_point(lambda E, M, e: M + e * ga.sin(E))
    >>> E = kepler(1.0, 1.0, 0.1)
    >>> slope = ga.grad(lambda M: kepler(1.0, M, 0.1))(1.0)
    >>> float(slope * (1 - 0.1 * ga.cos(E)))
    1.0
    """
    op = "implicit.fixed_point"
    check_function(f, op)
    linear = LinearSolver(linear_solver, None, None, False, op)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def solution(x0: Any, *args: Any, **kwargs: Any) -> Any:
        problem = _Problem(op, x0, lambda x: f(x, *args, **kwargs), linear, tol)
        equations = lambda x: problem.flat(x) - x

        def search(x: np.ndarray) -> np.ndarray:
            if mode.trace is None:
                return anderson(problem.flat, x, mode.levels, op)
            return traced.newton(equations, x, mode.levels, linear, op)

        return problem.solved(equations, problem.found_by(solver, search))

    return solution


def minimize(
    f: Callable[..., Any],
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    *,
    linear_solver: Any = "auto",
    tol: float | None = None,
) -> Callable[..., Any]:
    r"""The minimiser of f(x, \theta) over x: `minimize(f)(x0, *theta)`, differentiable in theta.

    dx = -H^{-1} (\partial^2 f / \partial x \partial \theta) d\theta, with the Hessian H in x.
    f gives one real number; `solver(g, x0)` gives a minimiser of g (default: Newton's method with
    line search, above 500 unknowns SciPy's trust-ncg). Other arguments and errors as in `root`;
    ConvergenceError also where the default search ends at a saddle. (Gould et al., "On
    differentiating parameterized argmin and argmax problems", arXiv:1607.05447.)

    >>> import gradarray as ga
    >>> mean = ga.implicit.minimize(lambda m, x: ((x - m) ** 2).sum())
    >>> ga.jacobian(lambda x: mean(0.0, x))(ga.array([1.0, 2.0, 6.0, 7.0]))
    GradArray([0.25, 0.25, 0.25, 0.25], dtype=float64)
    """
    op = "implicit.minimize"
    check_function(f, op)
    linear = LinearSolver(linear_solver, None, None, True, op)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def solution(x0: Any, *args: Any, **kwargs: Any) -> Any:
        problem = _Problem(op, x0, lambda x: f(x, *args, **kwargs), linear, tol)
        form = problem.form

        def cost(x: GradArray) -> Any:
            return f(form.tree(x), *args, **kwargs)

        gradient = gradient_of(cost, 0, False, op)

        def search(x: np.ndarray) -> np.ndarray:
            if form.size <= DIRECT:
                descent = descend if mode.trace is None else traced.descend
                return descent(cost, gradient, x, mode.levels, linear, op)
            if mode.trace is not None:
                return traced.steer(cost, gradient, x, mode.levels, linear, op)
            best = scipy_minimize(cost, wrap(x), method="trust-ncg", options={"gtol": 1e-9})
            return np.asarray(best.x._data)

        return problem.solved(gradient, problem.found_by(solver, search))

    return solution


class _Problem:
    """An unknown of some structure, as a vector, and a function of it."""

    def __init__(self, op: str, x0: Any, f: Any, linear: LinearSolver, tol: float | None) -> None:
        self.op, self.f, self.linear = op, f, linear
        with no_grad():
            self.x0 = tree.map(_numbers, x0)
            self.form = Ravel(self.x0, op, "solution")
            self.start = self._raw(self.x0)
        self.result = Ravel(self.x0, op, "function's result")
        self.tol = float(np.finfo(self.form.dtype).eps) ** 0.375 if tol is None else tol

    def flat(self, x: GradArray) -> GradArray:
        """f of the pytree that the vector stands for, as a vector."""
        return self.result.flat(self.f(self.form.tree(x)))

    def _raw(self, value: Any) -> np.ndarray:
        x = self.form.flat(value)
        for level in reversed(mode.levels):
            x = on_level(x, level)
        return x._data if is_foreign(x._data) else np.array(x._data)

    def found_by(self, solver: Any, default: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The numbers of the solution."""
        with no_grad():
            if solver is None:
                return default(self.start)
            if not callable(solver):
                what = f"solver is a function (g, x0) -> x, not {solver!r}."
                raise TypeError(message(self.op, what))
            return self._raw(solver(self.f, self.x0))

    def solved(self, equations: Callable[[GradArray], GradArray], x: np.ndarray) -> Any:
        """The solution, on the graph of what the equations use."""
        here = Operator(equations, wrap(x), mode.levels, self.linear, self.op)
        self._check(here, x)
        return self.form.tree(implied(equations, x, here))

    def _check(self, here: Operator, x: np.ndarray) -> None:
        if is_foreign(here.residual):
            return  # its values come when it runs
        bound = self.tol * np.maximum(1, np.abs(x).max(axis=-1, initial=0))
        left = np.abs(here.residual).max(axis=-1, initial=0)
        if (left <= bound).all():
            return
        off = np.inf
        if np.isfinite(here.residual).all():
            off = np.abs(here.solve(here.residual)).max(axis=-1, initial=0)
        if not (off <= bound).all():
            raise ConvergenceError(
                message(
                    self.op,
                    f"what the solver gave is no solution: the residual is {left.max():.1e}, and "
                    f"Newton's next step {np.max(off):.1e}, above {np.min(bound):.1e}.",
                    "Let it run longer, start nearer, or say tol= if that is near enough.",
                )
            )


def _numbers(x: Any) -> Any:
    return x.detach() if isinstance(x, GradArray) else x


def linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    method: Any = "auto",
    *,
    symmetric: bool = False,
    rtol: float | None = None,
    maxiter: int | None = None,
) -> Any:
    r"""The solution x of A x = b, where only products `matvec(x)` = A x are known.

    dx = A^{-1} (db - dA x): differentiable in b and in every array that `matvec` uses; the
    iterations are not recorded. x has the structure and shapes of b. `method`: "cg" for symmetric
    positive definite A, "gmres" or "bicgstab" for any, "direct" (the matrix is formed and
    factored), a function (apply, b) -> x of vectors, or "auto": direct up to 500 unknowns, above
    that cg if `symmetric`, else gmres. Products with A^T come from the graph. Iterations stop
    where the residual is below `rtol` |b| (default 1e-10; in float32 100 eps), and raise
    ConvergenceError after `maxiter` products (default ten per unknown). Raises ValueError where
    matvec is not linear, ShapeError where its result does not fit.

    >>> import gradarray as ga
    >>> stiff = lambda k: ga.implicit.linear_solve(lambda x: k * x, ga.array([1.0, 2.0]), "cg")
    >>> ga.grad(lambda k: stiff(k).sum())(4.0)
    GradArray(-0.1875, dtype=float64)
    """
    op = "implicit.linear_solve"
    if not callable(matvec):
        what = f"takes a function x -> A x, not {type(matvec).__name__}."
        raise TypeError(message(op, what, "For a matrix use ga.linalg.solve(A, b)."))
    linear = LinearSolver(method, rtol, maxiter, symmetric, op)
    form = Ravel(b, op, "right-hand side")
    result = Ravel(b, op, "product")

    def equations(x: GradArray) -> GradArray:
        return result.flat(matvec(form.tree(x))) - form.flat(b)

    levels = mode.levels
    shape = (*[level.size for level in levels], form.size)
    start = Operator(equations, wrap(np.zeros(shape, form.dtype)), levels, linear, op)
    with on_raw():
        r = start.residual
        x = -start.solve(r if is_foreign(r) else np.asarray(r))
    here = Operator(equations, wrap(x), levels, linear, op)
    _check_linear(op, start, here, x, callable(method))
    return form.tree(implied(equations, x, here, start.solve))


def _check_linear(op: str, start: Operator, here: Operator, x: np.ndarray, users: bool) -> None:
    if is_foreign(here.residual):
        return
    b, product = np.abs(start.residual), start.apply(x)
    root_eps = float(np.finfo(x.dtype).eps) ** 0.5
    scale = b.max(initial=0) + np.abs(product).max(initial=0)
    if not (np.abs(start.residual + product - here.residual) <= root_eps * scale).all():
        raise ValueError(
            message(op, "matvec is not linear.", "For equations of any other kind use root.")
        )
    left = np.abs(here.residual).max(initial=0)
    if users and not left <= root_eps * b.max(initial=0):
        raise ConvergenceError(
            message(op, f"the solver's residual is {left:.1e}, of {b.max(initial=0):.1e}.")
        )
