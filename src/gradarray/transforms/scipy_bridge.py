"""scipy.optimize with exact derivatives: minimize, least_squares, root.

SciPy sees a vector of float64; the function sees arrays, or a pytree, as it was written for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, is_foreign, wrap
from ..errors import GraphError, ShapeError, check_function, message
from ..graph import mode, no_grad
from ..lazy import optimize, sparse
from ..ops.reduce import sum
from ..ops.shape import astype
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
    """f of a pytree, as SciPy calls it: numbers in, numbers out.

    What SciPy is to call is asked for before the search begins. Where a function is compiled it is
    recorded then, and the search is a call of the host, later.
    """

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
            start = self.form.flat(x0).detach()
            self.start: Any = astype(start, float, copy=True)._data
        self._gradient = gradient_of(self.of_vector, 0, False, op)
        self._at: Any = None
        self._record: Any = None
        self.parts: list[Any] = []  # what was recorded

    def like(self, f: Callable[..., Any], args: Any) -> _Function:
        """Another function of the same unknowns."""
        other = _Function(self.op, f, self.form.tree(wrap(np.zeros_like(self._empty))), args)
        other.parts = self.parts
        return other

    @property
    def _empty(self) -> np.ndarray:
        return np.empty(self.form.size, self.form.dtype)

    def of_vector(self, x: GradArray) -> Any:
        return self.f(self.form.tree(x), *self.args)

    def values(self, x: GradArray) -> GradArray:
        """The arrays that f gives, one after the other."""
        y = self.of_vector(x)
        return Ravel(y, self.op, "result").flat(y)

    def called(self, f: Callable[..., Any], *more: Any) -> Callable[..., Any]:
        """f of a vector (and of `more`: shapes, all float64), as SciPy calls it."""
        run, dtypes = f, [self.form.dtype, *[np.dtype(float)] * len(more)]
        if mode.trace is not None:
            forms = list(zip([self._empty.shape, *more], dtypes, strict=True))
            with no_grad():
                run = mode.trace.flow.part(self.op, f, forms)
            self.parts.append(run)

        def numbers(*xs: np.ndarray) -> Any:
            with no_grad():
                given = [wrap(np.array(x, d)) for x, d in zip(xs, dtypes, strict=True)]
                return tree.map(_doubles, run(*given))

        return numbers

    # What SciPy calls ---------------------------------------------------------------------------

    @property
    def cost(self) -> Any:
        value = self.called(lambda x: scalar_output(self.of_vector(x), self.op))
        return lambda x: float(value(x))

    @property
    def cost_and_gradient(self) -> Any:
        def both(x: GradArray) -> Any:
            record = Recording(self.of_vector, (x,), {}, 0, False, self.op)
            y = scalar_output(tree.unflatten(record.form, record.ys), self.op)
            return y, record.pull([wrap(y.dtype.type(1))], [y])[0]

        values = self.called(both)

        def numbers(x: np.ndarray) -> tuple[float, np.ndarray]:
            y, g = values(x)
            return float(y), g

        return numbers

    @property
    def product(self) -> Any:
        """The Hessian's product; the gradient is recorded once for all products at one x."""

        def product(x: GradArray, v: GradArray) -> Any:
            at = x._data
            if self._record is None or is_foreign(at) or not np.array_equal(at, self._at):
                self._record = Recording(self._gradient, (x,), {}, 0, False, self.op)
                self._at = at
            return self._record.push([astype(v, self.form.dtype)])[0]

        return self.called(product, self._empty.shape)

    @property
    def hessian(self) -> Any:
        return self.called(hessian(self.of_vector))

    @property
    def residuals(self) -> Any:
        return self.called(self.values)

    @property
    def equations(self) -> Any:
        """The values, one for every unknown."""

        def equations(x: GradArray) -> GradArray:
            y = self.values(x)
            if y.size != self.form.size:
                raise ShapeError(
                    message(
                        self.op,
                        f"the function gives {y.size} equations for {self.form.size} unknowns.",
                        "Use ga.least_squares where there are more, or fewer.",
                    )
                )
            return y

        return self.called(equations)

    @property
    def jacobian(self) -> Any:
        return self.called(jacobian(self.values))

    @property
    def bent(self) -> Any:
        """The Hessian of the values, weighted."""
        weighted = lambda x, v: hessian(lambda z: sum(self.values(z) * v))(x)
        with no_grad():
            count = self.values(wrap(np.zeros_like(self._empty))).size
        return self.called(weighted, (count,))

    @property
    def sparse(self) -> Any:
        """The Jacobian as a sparse matrix."""
        matrices: list[Any] = []

        def entries(x: GradArray) -> Any:
            matrices[:] = [sparse_jacobian(self.values)(x)]
            return matrices[0].data

        values = self.called(entries)

        def filled(x: np.ndarray) -> Any:
            data = values(x)
            here = matrices[0]
            return sparse.csr_array((data, here.indices, here.indptr), shape=here.shape)

        return filled

    # The search ---------------------------------------------------------------------------------

    def searched(self, run: Callable[[np.ndarray], Any], *fields: str) -> Any:
        """SciPy's result of run(start), its x in the form of x0.

        A compiled function knows the form of these fields beside x and success.
        """
        if mode.trace is None:
            result = run(self.start)
            result.x = self.form.tree(wrap(np.array(result.x, self.form.dtype)))
            return result
        counted, flag, number = ((), np.dtype(int)), ((), np.dtype(bool)), ((), np.dtype(float))
        many = self.parts[0].forms[0]
        forms = {
            "x": (self._empty.shape, self.form.dtype), "success": flag, "status": counted,
            "nfev": counted, "cost": number, "fun": (many[0], np.dtype(float)),
        }  # fmt: skip
        names = ["x", "success", *fields]

        def found(start: np.ndarray) -> tuple[Any, ...]:
            result = run(np.array(start))
            return tuple([result[name] for name in names])

        known = [forms[name] for name in names]
        values = mode.trace.flow.search(self.op, found, self.parts, [self.start], known)
        result = optimize.OptimizeResult(zip(names, values, strict=True))
        result.x = self.form.tree(result.x)
        return result


def _doubles(x: Any) -> np.ndarray:
    return np.array(x.detach()._data if isinstance(x, GradArray) else x, float)


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
    inside vmap. In a compiled function the search is a call of the host and f is compiled; the
    result has x, fun, success, status and nfev then.

    >>> import gradarray as ga
    >>> bowl = lambda p: (p["a"] - 1) ** 2 + ((p["b"] + 2) ** 2).sum()
    >>> found = ga.minimize(bowl, {"a": 0.0, "b": ga.zeros(2)}, method="trust-ncg")
    >>> found.success, found.x["b"].round(6)
    (True, GradArray([-2., -2.], dtype=float64))
    """
    _refuse("minimize", options, ("jac", "hess", "hessp"))
    fn = _Function("minimize", f, x0, args)
    name = method.lower() if isinstance(method, str) else method
    given: dict[str, Any] = {"fun": fn.cost}
    if name not in NO_DERIVATIVE:
        given = {"fun": fn.cost_and_gradient, "jac": True}
    if name in PRODUCTS or callable(name):
        given["hessp"] = fn.product
    elif name in HESSIANS:
        given["hess"] = fn.hessian
    if options.get("constraints") is not None:
        options["constraints"] = _constraints(options["constraints"], fn)
    return fn.searched(
        lambda x: optimize.minimize(x0=x, method=method, **given, **options),
        *("fun", "status", "nfev"),
    )


def _constraints(constraints: Any, fn: _Function) -> Any:
    """Constraints written for the form of x0, with derivatives where they have none."""
    if isinstance(constraints, (list, tuple)):
        return [_constraints(c, fn) for c in constraints]
    if isinstance(constraints, dict):
        if "jac" in constraints:
            return constraints
        own = fn.like(constraints["fun"], constraints.get("args", ()))
        return {"type": constraints["type"], "fun": own.residuals, "jac": own.jacobian}
    from scipy.optimize import NonlinearConstraint  # 0.3 s to import: only where it is needed

    if isinstance(constraints, NonlinearConstraint) and not callable(constraints.jac):
        own = fn.like(constraints.fun, ())
        kept: Any = {"jac": own.jacobian, "keep_feasible": constraints.keep_feasible}
        return NonlinearConstraint(
            own.residuals, constraints.lb, constraints.ub, hess=own.bent, **kept
        )
    return constraints


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
    values, jac = fn.residuals, fn.sparse if sparse else fn.jacobian
    return fn.searched(
        lambda x: optimize.least_squares(values, x, jac=jac, **options),
        *("fun", "cost", "status", "nfev"),
    )


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
    values, jac = fn.equations, fn.jacobian if method in JACOBIANS else None
    return fn.searched(
        lambda x: optimize.root(values, x, method=method, jac=jac, **options), "fun"
    )
