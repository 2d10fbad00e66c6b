"""Products with second derivatives, and the derivative of an elementwise function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..algebra import at_end
from ..array import GradArray, wrap
from ..errors import ShapeError, message
from .arguments import matching, scalar_output
from .jacobian import check_dtypes
from .linearize import Recording


def gradient_of(
    f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, op: str
) -> Callable[..., Any]:
    r"""\nabla f for the transform `op`, which errors name."""

    def gradient(*args: Any, **kwargs: Any) -> Any:
        record = Recording(f, args, kwargs, argnums, has_aux, op)
        y = scalar_output(tree.unflatten(record.form, record.ys), op)
        bars = record.pull([wrap(np.ones((), y.dtype)[()])], [y])
        return record.with_aux(record.arguments.rebuild([at_end(c) for c in bars]))

    return gradient


def _tangents(record: Recording, vector: Any) -> list[Any]:
    """The vector of a product, checked against the arguments it belongs to."""
    form = tree.flatten(record.arguments.rebuild(list(record.xs)))[1]
    return matching(vector, record.xs, form, record.op, "vector")


def _split(args: tuple[Any, ...], op: str) -> tuple[tuple[Any, ...], Any]:
    if len(args) < 2:
        raise TypeError(
            message(op, "takes the function's arguments and then the vector of the product.")
        )
    return args[:-1], args[-1]


def hvp(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    r"""The product H v of a scalar f's Hessian: `hvp(f)(*args, v)`, without the Hessian.

    H v = \nabla (v \cdot \nabla f): the slope along v is pushed forward and then pulled back, so
    that f's own gradient is never made; a few times the cost of f. v, and the result, have the
    structure of the argument (a tuple of them if `argnums` is a sequence). With `has_aux`, f
    returns (value, aux) and the result is (product, aux). Raises ShapeError where f is not scalar;
    TypeError, ShapeError and DTypeError where v does not fit. (Pearlmutter, "Fast exact
    multiplication by the Hessian", Neural Computation 6, 1994.)

    >>> import gradarray as ga
    >>> ga.hvp(lambda x: x[0] ** 2 * x[1])(ga.array([3.0, 5.0]), ga.array([1.0, 0.0]))
    GradArray([10.,  6.], dtype=float64)
    """
    return _hessian_product(f, argnums, has_aux, "hvp")


def _hessian_product(
    f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, op: str
) -> Callable[..., Any]:
    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def product(*args: Any, **kwargs: Any) -> Any:
        args, v = _split(args, op)

        def slope(*args: Any, **kwargs: Any) -> Any:
            record = Recording(f, args, kwargs, argnums, has_aux, op)
            scalar_output(tree.unflatten(record.form, record.ys), op)
            return record.with_aux(record.push(_tangents(record, v))[0])

        return gradient_of(slope, argnums, has_aux, op)(*args, **kwargs)

    return product


def gnvp(
    f: Callable[..., Any],
    loss: Callable[[Any], Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    r"""The Gauss-Newton product J^T H_L J v of L(f(x)): `gnvp(f, loss)(*args, v)`.

    J = df/dx, and H_L is the Hessian of the scalar `loss` at y = f(*args). Where the loss is
    convex in y the product is that of a positive semidefinite matrix, and it is the Hessian's
    where the residuals vanish or f is linear. v, the result, `argnums` and errors as in `hvp`;
    with `has_aux`, f returns (y, aux). (Schraudolph, "Fast curvature matrix-vector products for
    second-order gradient descent", Neural Computation 14, 2002.)

    >>> import gradarray as ga
    >>> f, loss = lambda x: x**2, lambda y: (y**2).sum() / 2
    >>> ga.gnvp(f, loss)(ga.array([3.0, 5.0]), ga.array([1.0, 1.0]))
    GradArray([ 36., 100.], dtype=float64)
    """
    curvature = _hessian_product(loss, 0, False, "gnvp")

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def product(*args: Any, **kwargs: Any) -> Any:
        args, v = _split(args, "gnvp")
        record = Recording(f, args, kwargs, argnums, has_aux, "gnvp")
        y_dots = record.push(_tangents(record, v))
        bent = curvature(record.value(), tree.unflatten(record.form, y_dots))
        bars = record.pull([at_end(c) for c in tree.flatten(bent)[0]])
        return record.with_aux(record.arguments.rebuild([at_end(c) for c in bars]))

    return product


def elementwise_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    r"""The derivative of a function that treats each element alone: \partial y_i / \partial x_i.

    All of them from one tangent of ones: y = f(x) has the shape of x, and y_i depends on x_i
    only, which is not checked (where it does not, the result is the sum over each row of the
    Jacobian). It nests to any order. `argnums` and `has_aux` as in `grad`; `holomorphic` for
    analytic functions of complex arrays. Raises TypeError where f gives more than one array,
    ShapeError where shapes differ, DTypeError for arrays without derivative.

    >>> import gradarray as ga
    >>> ga.elementwise_grad(ga.elementwise_grad(lambda x: x**3))(ga.array([1.0, 2.0]))
    GradArray([ 6., 12.], dtype=float64)
    """
    op = "elementwise_grad"

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def derivative(*args: Any, **kwargs: Any) -> Any:
        record = Recording(f, args, kwargs, argnums, has_aux, op)
        _check_elementwise(record, holomorphic)
        found = [record.push([wrap(np.ones(x.shape, x.dtype)[()])], [x])[0] for x in record.xs]
        return record.with_aux(record.arguments.rebuild(found))

    return derivative


def _check_elementwise(record: Recording, holomorphic: bool) -> None:
    op = record.op
    if record.form is not tree.LEAF:
        raise TypeError(
            message(op, f"the function returned {tree.describe(record.form)}, not one array.")
        )
    y: GradArray = record.ys[0]
    check_dtypes(record, holomorphic, True)
    for x in record.xs:
        if x.shape != y.shape:
            raise ShapeError(
                message(
                    op,
                    f"the result has shape {y.shape}, the argument {x.shape}: the function does "
                    "not treat each element alone.",
                    "Use ga.jacobian, or ga.grad of a sum.",
                )
            )
