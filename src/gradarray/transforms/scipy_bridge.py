"""scipy.optimize with exact derivatives: minimize, least_squares, root.

SciPy sees a vector of float64; the function sees arrays, or a pytree, as it was written for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..errors import GraphError, ShapeError, check_function, message
from ..graph import mode, no_grad
from ..lazy import optimize
from ..ops.reduce import sum
from .arguments import scalar_output
from .higher import gradient_of
from .jacobian import hessian, jacobian
from .linearize import Recording
from .ravel import Ravel
from .sparse import sparse_jacobian

# What SciPy's methods take beside values.
NO_DERIVATIVE = {"nelder-mead", "powell", "cobyla", "cobyqa"}
PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
HESSIANS = {"dogleg", "trust-exact"}
JACOBIANS = {"hybr", "lm"}


class _Function:
    """f of a pytree, as SciPy calls it: numbers in, numbers out, one recording kept."""

    def __init__(self, op: str, f: Callable[..., Any], x0: Any, args: tuple[Any, ...]) -> None:
        if mode.levels:
            raise GraphError(
                message(
                    op,
                    "called inside vmap: SciPy works on the numbers of one example.",
                    "Use ga.implicit, or a loop.",
                )
            )
        check_function(f, op)
        self.op, self.f = op, f
        self.args = args if isinstance(args, tuple) else (args,)
        if isinstance(x0, (list, tuple)) and all(isinstance(v, (int, float)) for v in x0):
            x0 = np.array(x0, float)  # as SciPy reads it
        with no_grad():
            self.form = Ravel(x0, op, "x0")
            self.start = _doubles(self.form.flat(x0))
        self._gradient = gradient_of(self.of_vector, 0, False, op)
        self._at: Any = None
        self._record: Any = None

    def of_vector(self, x: GradArray) -> Any:
        return self.f(self.form.tree(x), *self.args)

    def values(self, x: GradArray) -> GradArray:
        """The arrays that f gives, one after the other."""
        y = self.of_vector(x)
        return Ravel(y, self.op, "result").flat(y)

    def equations(self, x: np.ndarray) -> np.ndarray:
        """The values, one for every unknown."""
        y = self.residuals(x)
        if y.size != self.form.size:
            raise ShapeError(
                message(
                    self.op,
                    f"the function gives {y.size} equations for {self.form.size} unknowns.",
                    "Use ga.least_squares where there are more, or fewer.",
                )
            )
        return y

    def _vector(self, x: np.ndarray) -> GradArray:
        return wrap(np.array(x, self.form.dtype))

    def cost(self, x: np.ndarray) -> float:
        with no_grad():
            return float(scalar_output(self.of_vector(self._vector(x)), self.op))

    def cost_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        with no_grad():
            record = Recording(self.of_vector, (self._vector(x),), {}, 0, False, self.op)
            y = scalar_output(tree.unflatten(record.form, record.ys), self.op)
            (g,) = record.pull([wrap(y.dtype.type(1))], [y])
            return float(y.detach()), _doubles(g)

    def product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian's product; the gradient is recorded once for all products at one x."""
        with no_grad():
            if self._record is None or not np.array_equal(x, self._at):
                start = (self._vector(x),)
                self._record = Recording(self._gradient, start, {}, 0, False, self.op)
                self._at = np.array(x)
            return _doubles(self._record.push([self._vector(v)])[0])

    def hessian(self, x: np.ndarray) -> np.ndarray:
        with no_grad():
            return _doubles(hessian(self.of_vector)(self._vector(x)))

    def residuals(self, x: np.ndarray) -> np.ndarray:
        with no_grad():
            return _doubles(self.values(self._vector(x)))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        with no_grad():
            return _doubles(jacobian(self.values)(self._vector(x)))

    def sparse(self, x: np.ndarray) -> Any:
        return sparse_jacobian(self.values)(self._vector(x)).astype(float)

    def finished(self, result: Any) -> Any:
        """SciPy's result, its x in the form of x0."""
        result.x = self.form.tree(wrap(np.array(result.x, self.form.dtype)))
        return result


def _doubles(x: Any) -> np.ndarray:
    return np.array(x.detach()._data, float)


def _refuse(op: str, options: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in options:
            raise TypeError(message(op, f"{name}= is not taken: derivatives are exact already."))


def minimize(
    f: Callable[..., Any], x0: Any, args: Any = (), method: Any = None, **options: Any
) -> Any:
    r"""scipy.optimize.minimize with exact derivatives: min_x f(x, *args) from x0.

    f gives one real number; x0, and x in the OptimizeResult that comes back, is an array (a list
    of numbers is one) or any pytree of them. The method gets what it takes: nothing (Nelder-Mead,
    Powell, COBYLA, COBYQA), \nabla f (CG, BFGS, L-BFGS-B, TNC, SLSQP), and beside it H v
    (Newton-CG, trust-ncg, trust-krylov, trust-constr) or H (dogleg, trust-exact). `options` are
    SciPy's other arguments, in terms of the vector of all elements of x (a complex array: its real
    part, then its imaginary part); constraints of functions get exact derivatives, too. Raises
    ShapeError or TypeError where f is not scalar, TypeError for jac=, hess= or hessp=, GraphError
    inside vmap.

    >>> import gradarray as ga
    >>> bowl = lambda p: (p["a"] - 1) ** 2 + ((p["b"] + 2) ** 2).sum()
    >>> found = ga.minimize(bowl, {"a": 0.0, "b": ga.zeros(2)}, method="trust-ncg")
    >>> found.success, found.x["b"].round(6)
    (True, GradArray([-2., -2.], dtype=float64))
    """
    _refuse("minimize", options, ("jac", "hess", "hessp"))
    fn = _Function("minimize", f, x0, args)
    name = method.lower() if isinstance(method, str) else method
    if options.get("constraints") is not None:
        options["constraints"] = _constraints(options["constraints"], fn)
    if name in NO_DERIVATIVE:
        return fn.finished(optimize.minimize(fn.cost, fn.start, method=method, **options))
    given: dict[str, Any] = {"jac": True}
    if name in PRODUCTS or callable(name):
        given["hessp"] = fn.product
    elif name in HESSIANS:
        given["hess"] = fn.hessian
    return fn.finished(
        optimize.minimize(fn.cost_and_gradient, fn.start, method=method, **given, **options)
    )


def _constraints(constraints: Any, fn: _Function) -> Any:
    """Constraints written for the form of x0, with derivatives where they have none."""
    if isinstance(constraints, (list, tuple)):
        return [_constraints(c, fn) for c in constraints]
    if isinstance(constraints, dict):
        if "jac" in constraints:
            return constraints
        own = _of_same_form(fn, constraints["fun"], constraints.get("args", ()))
        return {"type": constraints["type"], "fun": own.residuals, "jac": own.jacobian}
    from scipy.optimize import NonlinearConstraint  # 0.3 s to import: only where it is needed

    if isinstance(constraints, NonlinearConstraint) and not callable(constraints.jac):
        own = _of_same_form(fn, constraints.fun, ())

        def bent(x: np.ndarray, v: np.ndarray) -> np.ndarray:
            with no_grad():
                return _doubles(hessian(lambda z: sum(own.values(z) * v))(own._vector(x)))

        kept: Any = {"jac": own.jacobian, "keep_feasible": constraints.keep_feasible}
        return NonlinearConstraint(
            own.residuals, constraints.lb, constraints.ub, hess=bent, **kept
        )
    return constraints


def _of_same_form(fn: _Function, f: Callable[..., Any], args: Any) -> _Function:
    return _Function(fn.op, f, fn.form.tree(wrap(np.array(fn.start, fn.form.dtype))), args)


def least_squares(
    f: Callable[..., Any], x0: Any, args: Any = (), *, sparse: bool = False, **options: Any
) -> Any:
    r"""scipy.optimize.least_squares with the exact Jacobian: min_x |f(x, *args)|^2 / 2 from x0.

    x0, and what f returns, is an array or any pytree of them; so is x in the OptimizeResult that
    comes back. With `sparse` the Jacobian is found by colouring (`sparse_jacobian`) and handed
    over as a sparse matrix, for the methods trf and dogbox. `options` are SciPy's other
    arguments, in terms of vectors as in `minimize`. Raises TypeError for jac=, GraphError inside
    vmap.

    >>> import gradarray as ga
    >>> t = ga.array([0.0, 1.0, 2.0])
    >>> misfit = lambda p: p["a"] * ga.exp(-p["k"] * t) - ga.array([2.0, 1.0, 0.5])
    >>> ga.least_squares(misfit, {"a": 1.0, "k": 1.0}).x["a"].round(6)
    GradArray(2., dtype=float64)
    """
    _refuse("least_squares", options, ("jac", "jac_sparsity"))
    fn = _Function("least_squares", f, x0, args)
    jac = fn.sparse if sparse else fn.jacobian
    return fn.finished(optimize.least_squares(fn.residuals, fn.start, jac=jac, **options))


def root(
    f: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", **options: Any
) -> Any:
    r"""scipy.optimize.root with the exact Jacobian: f(x, *args) = 0 from x0.

    What f returns has as many elements as x0; each is an array or any pytree of them, and so is x
    in the OptimizeResult that comes back. The methods hybr and lm get the Jacobian, the others
    take none. `options` as in `least_squares`; for a root that can be differentiated use
    `ga.implicit.root`. Raises TypeError for jac=, ShapeError where the numbers of equations and
    unknowns differ, GraphError inside vmap.

    >>> import gradarray as ga
    >>> ga.root(lambda x: ga.stack([x[0] + x[1] - 3, x[0] * x[1] - 2]), [0.0, 5.0]).x.round(6)
    GradArray([1., 2.], dtype=float64)
    """
    _refuse("root", options, ("jac",))
    fn = _Function("root", f, x0, args)
    jac = fn.jacobian if method in JACOBIANS else None
    return fn.finished(
        optimize.root(fn.equations, fn.start, method=method, jac=jac, **options)
    )
