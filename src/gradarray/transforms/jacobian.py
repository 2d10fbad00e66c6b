"""Jacobians and what is made of them: jacfwd, jacrev, jacobian, hessian, divergence.

A function is recorded once; a batch of basis tangents is pushed through the recording, or a batch
of basis cotangents pulled through it, by vmap.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..errors import ShapeError, message
from ..ops.join import concatenate
from ..ops.layout import moveaxis
from ..ops.reduce import sum
from ..ops.shape import reshape
from .analytic import check_arguments, check_results
from .batch import vmap
from .linearize import Recording


def basis(x: GradArray, start: int = 0, stop: int | None = None) -> GradArray:
    """The unit arrays of x's form, or those from `start` to `stop`, along a new first axis."""
    stop = x.size if stop is None else min(stop, x.size)
    rows = np.zeros((stop - start, x.size), x.dtype)
    rows[np.arange(stop - start), np.arange(start, stop)] = 1
    return wrap(rows.reshape(stop - start, *x.shape))


def for_one(product: Callable[[GradArray], list[GradArray]], x: GradArray) -> list[GradArray]:
    """product(1), for x that has one element; product(0) if it has none."""
    return product(wrap((np.ones if x.size else np.zeros)(x.shape, x.dtype)))


def formed(x: GradArray, shape: tuple[int, ...]) -> GradArray:
    return x if x.shape == shape else reshape(x, shape)


def for_basis(
    product: Callable[[GradArray], list[GradArray]], x: GradArray, chunk_size: int | None
) -> list[GradArray]:
    """product(e) for every unit array e of x's form, along a new first axis."""
    if x.size <= 1:  # a sweep on raw arrays costs less than a batch of one
        rows = [formed(r, (1, *r.shape)) for r in for_one(product, x)]
        return rows if x.size else [r[:0] for r in rows]
    step = chunk_size or x.size
    parts = [vmap(product)(basis(x, k, k + step)) for k in range(0, x.size, step)]
    return parts[0] if len(parts) == 1 else [concatenate(rows) for rows in zip(*parts)]


def _columns(record: Recording, chunk_size: int | None) -> list[list[GradArray]]:
    """Blocks dy/dx by pushing: for every result, one for each argument."""
    blocks: list[list[GradArray]] = [[] for _ in record.ys]
    for x in record.xs:
        product = lambda e, x=x: record.push([e], [x])
        if x.size == 1:
            found = for_one(product, x)
        else:
            found = [moveaxis(rows, 0, -1) for rows in for_basis(product, x, chunk_size)]
        for y, row, block in zip(record.ys, blocks, found, strict=True):
            row.append(formed(block, (*y.shape, *x.shape)))
    return blocks


def _rows(record: Recording, chunk_size: int | None) -> list[list[GradArray]]:
    """Blocks dy/dx by pulling: for every result, one for each argument."""
    blocks = []
    for y in record.ys:
        product = lambda e, y=y: record.pull([e], [y])
        found = for_one(product, y) if y.size == 1 else for_basis(product, y, chunk_size)
        blocks.append([formed(b, (*y.shape, *x.shape)) for x, b in zip(record.xs, found)])
    return blocks


def _forward_is_cheaper(record: Recording) -> bool:
    """As many sweeps as there are inputs, or as results: a tie goes forward, which sums less."""
    inputs, results = [builtins.sum(x.size for x in group) for group in (record.xs, record.ys)]
    return inputs <= results or any(y.dtype.kind == "c" for y in record.ys)


def check_dtypes(record: Recording, holomorphic: bool | None, forward: bool) -> None:
    """A Jacobian of complex numbers is one matrix only where the function is analytic."""
    check_arguments(record.op, record.xs, holomorphic)
    check_results(record.op, record.ys, record.form, holomorphic, forward=forward)


def _check_chunk(op: str, chunk_size: int | None) -> None:
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise ValueError(message(op, f"chunk_size is at least 1, not {chunk_size!r}."))


def _transform(
    op: str,
    f: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    chunk_size: int | None,
    forward: bool | None,
) -> Callable[..., Any]:
    _check_chunk(op, chunk_size)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        record = Recording(f, args, kwargs, argnums, has_aux, op)
        pushes = _forward_is_cheaper(record) if forward is None else forward
        check_dtypes(record, holomorphic, pushes)
        blocks = (_columns if pushes else _rows)(record, chunk_size)
        rows = [record.arguments.rebuild(row) for row in blocks]
        return record.with_aux(tree.unflatten(record.form, rows))

    return jacobian_of


def jacfwd(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    r"""The Jacobian J = dy/dx of y = f(x), pushed forward: one batch with a tangent per input.

    J_{i..j..} = \partial y_i / \partial x_j, of shape y.shape + x.shape. The result has f's
    structure, and in place of each array the structure of the argument (a tuple of them if
    `argnums` is a sequence). With `has_aux`, f returns (y, aux) and the result is (J, aux).
    `holomorphic` is for analytic functions of complex arrays: J is then the complex derivative
    (docs/complex.md).
    `chunk_size` bounds the memory: so many tangents at once. Raises DTypeError for an integer
    array, or a complex one without `holomorphic`. (Griewank & Walther, "Evaluating Derivatives",
    2nd ed., section 3.1.)

    >>> import gradarray as ga
    >>> ga.jacfwd(lambda x: x * x)(ga.array([1.0, 2.0]))
    GradArray([[2., 0.],
               [0., 4.]], dtype=float64)
    """
    return _transform("jacfwd", f, argnums, has_aux, holomorphic, chunk_size, True)


def jacrev(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    r"""The Jacobian J = dy/dx of y = f(x), pulled back: one batch with a cotangent per result.

    As `jacfwd`, for functions with fewer results than inputs. Raises DTypeError for complex
    results, too, unless `holomorphic`. (Griewank & Walther, "Evaluating Derivatives", 2nd ed.,
    section 3.2.)

    >>> import gradarray as ga
    >>> ga.jacrev(lambda p: p["a"] * p["b"])({"a": ga.array(2.0), "b": ga.array([1.0, 3.0])})["b"]
    GradArray([[2., 0.],
               [0., 2.]], dtype=float64)
    """
    return _transform("jacrev", f, argnums, has_aux, holomorphic, chunk_size, False)


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    r"""The Jacobian J = dy/dx of y = f(x), in the mode that its shape makes cheaper.

    With n inputs and m results, forward if n <= m, else in reverse; f is recorded once either way.
    Arguments, structure and errors as in `jacfwd`.

    >>> import gradarray as ga
    >>> ga.jacobian(lambda x, y: x * y.sum(), argnums=(0, 1))(3.0, ga.array([1.0, 2.0]))
    (GradArray(3., dtype=float64), GradArray([3., 3.], dtype=float64))
    """
    return _transform("jacobian", f, argnums, has_aux, holomorphic, chunk_size, None)


def hessian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    r"""The Hessian H = d^2 y / dx^2 of y = f(x): tangents pushed through the reverse sweep.

    H_{..jk} = \partial^2 y / \partial x_j \partial x_k, of shape y.shape + x.shape + x.shape;
    for a pytree, the structure of the argument inside that of the argument inside f's. Other
    arguments and errors as in `jacfwd`. (Griewank & Walther, "Evaluating Derivatives", 2nd ed.,
    section 5.)

    >>> import gradarray as ga
    >>> ga.hessian(lambda x: x[0] ** 2 * x[1])(ga.array([3.0, 5.0]))
    GradArray([[10.,  6.],
               [ 6.,  0.]], dtype=float64)
    """
    inner = _transform("hessian", f, argnums, has_aux, holomorphic, None, False)
    return _transform("hessian", inner, argnums, has_aux, holomorphic, chunk_size, True)


def divergence(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    r"""The divergence of a vector field f: \sum_i \partial f_i / \partial x_i, one number.

    f gives a pytree of the argument's structure and shapes; for a field at many points use vmap.
    `chunk_size` bounds the memory, as in `jacfwd`. Raises TypeError and ShapeError where f's
    result does not fit its argument, DTypeError for arrays without derivative or complex ones.

    >>> import gradarray as ga
    >>> field = lambda x: ga.stack([x[0] * x[1], x[1] ** 2])
    >>> ga.divergence(field)(ga.array([3.0, 5.0]))
    GradArray(15., dtype=float64)
    """
    _check_chunk("divergence", chunk_size)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def divergence_of(*args: Any, **kwargs: Any) -> Any:
        record = Recording(f, args, kwargs, argnums, has_aux, "divergence")
        _check_field(record)
        check_dtypes(record, None, True)
        total: Any = 0.0
        for k, x in enumerate(record.xs):

            def own(e: GradArray, k: int = k, x: GradArray = x) -> list[GradArray]:
                return [sum(record.push([e], [x])[k] * e)]

            total = sum(for_basis(own, x, chunk_size)[0]) + total
        return record.with_aux(total)

    return divergence_of


def _check_field(record: Recording) -> None:
    form = tree.flatten(record.arguments.rebuild(list(record.xs)))[1]
    if record.form != form:
        raise TypeError(
            message(
                "divergence",
                f"the result has structure {tree.describe(record.form)}, expected that of the "
                f"argument, {tree.describe(form)}.",
            )
        )
    for x, y, path in zip(record.xs, record.ys, tree.paths(form), strict=True):
        if x.shape != y.shape:
            raise ShapeError(
                message(
                    "divergence",
                    f"the result{path} has shape {y.shape}, its argument {x.shape}.",
                    "A field has one component for each coordinate; use ga.jacobian otherwise.",
                )
            )
