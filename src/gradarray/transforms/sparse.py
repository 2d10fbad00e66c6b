"""Sparse Jacobians and Hessians: the pattern from the graph, many columns in one product."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray, wrap
from ..errors import GraphError, RuleError, ShapeError, message
from ..graph import mode
from ..lazy import sparse
from ..ops.compare import where
from ..ops.join import concatenate
from ..ops.shape import reshape
from .batch import vmap
from .coloring import column_coloring, star_coloring
from .entries import Entries
from .higher import gradient_of
from .jacobian import check_dtypes
from .linearize import Recording
from .sparsity import dependencies


class Sparsity(NamedTuple):
    """Where a derivative's matrix can be nonzero, and how few products find all of it.

    `pattern` is a Boolean csr_array, `colors` numbers the group of each column (of each row where
    `direction` is "reverse"); members of a group are found by one product.
    """

    pattern: Any
    colors: np.ndarray
    direction: str  # "forward", "reverse", or "symmetric" for a Hessian

    @property
    def products(self) -> int:
        """How many products with J, J^T or H the matrix takes."""
        return int(self.colors.max(initial=0)) + 1 if self.pattern.nnz else 0


def colored(pattern: Any, direction: str = "auto") -> Sparsity:
    r"""A pattern with the colouring that `sparse_jacobian` and `sparse_hessian` use.

    `pattern` is a matrix, sparse or not, whose nonzero entries say where the derivative can be
    nonzero. "forward" colours columns, "reverse" rows, "auto" takes what has fewer colours, and
    "symmetric" is for Hessians (see `sparse_hessian`).

    >>> import numpy as np
    >>> from gradarray.transforms.sparse import colored
    >>> colored(np.eye(5) + np.eye(5, k=1)).products
    2
    """
    pattern = sparse.csr_array(pattern, dtype=bool)
    pattern.eliminate_zeros()
    known = ("auto", "forward", "reverse", "symmetric")
    if direction not in known:
        told = ", ".join(map(repr, known))
        raise ValueError(message("colored", f"direction is {direction!r}, not one of {told}."))
    if direction == "symmetric":
        if pattern.shape[0] != pattern.shape[1]:
            raise ShapeError(
                message("colored", f"a Hessian's pattern is square, not {pattern.shape}.")
            )
        pattern = sparse.csr_array(pattern + pattern.T)
        return Sparsity(pattern, star_coloring(pattern), direction)
    found = []
    if direction != "reverse":
        found.append(Sparsity(pattern, column_coloring(pattern), "forward"))
    if direction == "reverse" or (direction == "auto" and _rows_may_do(pattern, found[0])):
        found.append(Sparsity(pattern, column_coloring(sparse.csr_array(pattern.T)), "reverse"))
    return min(found, key=lambda s: s.products)


def _rows_may_do(pattern: Any, forward: Sparsity) -> bool:
    """Can a colouring of rows have fewer colours? Not fewer than a column has entries, and in a
    symmetric pattern it is that of the columns."""
    columns = sparse.csc_array(pattern)
    if forward.products <= np.diff(columns.indptr).max(initial=0):
        return False
    pattern.sort_indices()
    columns.sort_indices()
    return not (
        np.array_equal(pattern.indptr, columns.indptr)
        and np.array_equal(pattern.indices, columns.indices)
    )


def jacobian_sparsity(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    direction: str = "auto",
    zeros: bool = False,
) -> Callable[..., Sparsity]:
    r"""The pattern of f's Jacobian and its colouring: `jacobian_sparsity(f)(*args)`.

    Found from the recorded graph, for any values of the arguments on the same path through f: an
    entry that could be nonzero is in it. With `zeros`, a product with a constant that is exactly
    0 does not count, which is right for matrices that stay as they are (a difference operator)
    and wrong for data that may change. Give the result to `sparse_jacobian`, so that it is found
    once. `direction` as in `colored`.

    >>> import gradarray as ga
    >>> s = ga.jacobian_sparsity(lambda u: u[1:] * u[:-1])(ga.array([1.0, 2.0, 3.0]))
    >>> s.pattern.toarray().astype(int), s.products
    (array([[1, 1, 0],
            [0, 1, 1]]), 2)
    """

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def sparsity(*args: Any, **kwargs: Any) -> Sparsity:
        record = _record(f, args, kwargs, argnums, has_aux, "jacobian_sparsity")
        return colored(_pattern(record, zeros), direction)

    return sparsity


def hessian_sparsity(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    zeros: bool = False,
) -> Callable[..., Sparsity]:
    r"""The pattern of a scalar f's Hessian and its colouring: `hessian_sparsity(f)(*args)`.

    Found from the recorded gradient; as `jacobian_sparsity`, for `sparse_hessian`.

    >>> import gradarray as ga
    >>> f = lambda x: (x[1:] * x[:-1] ** 2).sum()
    >>> ga.hessian_sparsity(f)(ga.array([1.0, 2.0, 3.0, 4.0])).products
    3
    """
    op = "hessian_sparsity"

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def sparsity(*args: Any, **kwargs: Any) -> Sparsity:
        gradient = gradient_of(f, argnums, has_aux, op)
        record = _record(gradient, args, kwargs, argnums, has_aux, op)
        return colored(_pattern(record, zeros), "symmetric")

    return sparsity


def sparse_jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    sparsity: Sparsity | None = None,
    direction: str = "auto",
    zeros: bool = False,
    check: bool = False,
) -> Callable[..., Any]:
    r"""The Jacobian of y = f(x) as a scipy.sparse.csr_array: as many products as it has colours.

    J has a row for every element of the results and a column for every one of the arguments, the
    arrays of a pytree one after the other. With columns grouped by colour, B = J S, where S_{jc}
    is 1 for the columns j of colour c; then J_{ij} = B_{i, c(j)} on the pattern. A tridiagonal J
    of any size takes 3 products, made in one batch. `sparsity` (from `jacobian_sparsity`, or
    `colored` for a known pattern) saves finding it; an entry it lacks is silently wrong, unless
    `check` compares with one more product. `direction` and `zeros` as in `jacobian_sparsity`.
    With `has_aux`, f returns (y, aux) and the result is (J, aux). The result holds numbers and is
    on no graph. Raises DTypeError as `jacfwd` does, ShapeError where `sparsity` does not fit,
    GraphError inside vmap. (Gebremedhin, Manne & Pothen, "What color is your Jacobian?", SIAM
    Review 47, 2005, section 3.)

    >>> import gradarray as ga
    >>> u = ga.array([1.0, 2.0, 3.0, 4.0])
    >>> ga.sparse_jacobian(lambda u: u[1:] * u[:-1])(u).toarray()
    array([[2., 1., 0., 0.],
           [0., 3., 2., 0.],
           [0., 0., 4., 3.]])
    """
    op = "sparse_jacobian"

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def matrix(*args: Any, **kwargs: Any) -> Any:
        record = _record(f, args, kwargs, argnums, has_aux, op)
        known = colored(_pattern(record, zeros), direction) if sparsity is None else sparsity
        _check_fit(op, known, _size(record.ys), _size(record.xs), ("forward", "reverse"))
        check_dtypes(record, None, known.direction == "forward")
        if known.direction == "forward":
            found = _compressed(record.push, record.xs, known)
            rows, columns = known.pattern.nonzero()
            values = found[known.colors[columns], rows]
        else:
            found = _compressed(record.pull, record.ys, known)
            rows, columns = known.pattern.nonzero()
            values = found[known.colors[rows], columns]
        result = _filled(known.pattern, values)
        if check:
            _check_product(op, record, result)
        return record.with_aux(result)

    return matrix


def sparse_hessian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    sparsity: Sparsity | None = None,
    zeros: bool = False,
    check: bool = False,
) -> Callable[..., Any]:
    r"""The Hessian of a scalar f as a scipy.sparse.csr_array: as many products as it has colours.

    B = H S as in `sparse_jacobian`, with a star colouring: by symmetry fewer colours are enough,
    since an entry may be read from row i or from row j. An arrow-shaped H of any size takes 2
    products. Arguments and errors as there (`sparsity` from `hessian_sparsity`); ShapeError where
    f is not scalar. (Coleman & Moré, "Estimation of sparse Hessian matrices and graph coloring
    problems", Math. Programming 28, 1984.)

    >>> import gradarray as ga
    >>> f = lambda x: (x[0] * x[1:] ** 2).sum()
    >>> ga.sparse_hessian(f)(ga.array([1.0, 2.0, 3.0])).toarray()
    array([[0., 4., 6.],
           [4., 2., 0.],
           [6., 0., 2.]])
    """
    op = "sparse_hessian"

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def matrix(*args: Any, **kwargs: Any) -> Any:
        gradient = gradient_of(f, argnums, has_aux, op)
        record = _record(gradient, args, kwargs, argnums, has_aux, op)
        known = colored(_pattern(record, zeros), "symmetric") if sparsity is None else sparsity
        n = _size(record.xs)
        _check_fit(op, known, n, n, ("symmetric",))
        check_dtypes(record, None, True)
        found = _compressed(record.push, record.xs, known)
        rows, columns = known.pattern.nonzero()
        values = where(
            _alone(known)[rows, known.colors[columns]],
            found[known.colors[columns], rows],
            found[known.colors[rows], columns],
        )
        result = _filled(known.pattern, values)
        if check:
            _check_product(op, record, result)
        return record.with_aux(result)

    return matrix


def _alone(known: Sparsity) -> np.ndarray:
    """Is there just one entry of this colour in this row of a symmetric matrix?"""
    n = known.colors.size
    ones, shape = np.ones(n, int), (n, max(known.products, 1))
    groups = sparse.csr_array((ones, (np.arange(n), known.colors)), shape=shape)
    filled = sparse.csr_array(known.pattern + sparse.eye_array(n, dtype=bool), dtype=int)
    counts: Any = filled @ groups
    return counts.toarray() == 1


# Pieces -------------------------------------------------------------------------------------------


def _record(
    f: Callable[..., Any], args: Any, kwargs: Any, argnums: Any, has_aux: bool, op: str
) -> Recording:
    if mode.levels:
        raise GraphError(
            message(
                op,
                "called inside vmap: a sparse matrix holds the numbers of one example.",
                "Call it in a loop, or use ga.jacobian.",
            )
        )
    record = Recording(f, args, kwargs, argnums, has_aux, op)
    record.attach = False
    return record


def _filled(pattern: Any, values: GradArray) -> Any:
    """The csr_array of a pattern with these values, row by row."""
    return Entries(values, pattern.indices, pattern.indptr, pattern.shape)


def _size(xs: Sequence[GradArray]) -> int:
    return sum(x.size for x in xs)


def _pattern(record: Recording, zeros: bool) -> Any:
    try:
        return dependencies(record.ys, record.xs, record.arguments.floor, zeros)
    except GraphError as error:
        if mode.trace is None:
            raise
        raise GraphError(
            message(
                record.op,
                "which entries there are depends on values, which a compiled function does not "
                "know.",
                "Find the pattern outside of it, by ga.jacobian_sparsity or ga.hessian_sparsity, "
                "and give it as sparsity=.",
            )
        ) from error


def _check_fit(op: str, known: Any, m: int, n: int, directions: tuple[str, ...]) -> None:
    if not isinstance(known, Sparsity):
        other = "hessian_sparsity" if op == "sparse_hessian" else "jacobian_sparsity"
        raise TypeError(
            message(
                op,
                f"sparsity is a {type(known).__name__}.",
                f"Give what ga.{other}(f)(*args) finds.",
            )
        )
    if known.pattern.shape != (m, n):
        raise ShapeError(
            message(
                op,
                f"the sparsity is that of a matrix of shape {known.pattern.shape}, this one has "
                f"shape {(m, n)}.",
                "Find it anew for these arguments.",
            )
        )
    if known.direction not in directions:
        other = "hessian_sparsity" if op == "sparse_hessian" else "jacobian_sparsity"
        raise ValueError(
            message(op, f"the sparsity is coloured for {known.direction!r}.", f"Use ga.{other}.")
        )


def _compressed(product: Callable[..., Any], ends: Sequence[GradArray], known: Sparsity) -> Any:
    """A row for every colour: the sum of the columns (or rows) of that colour."""
    width = known.pattern.shape[0 if known.direction != "reverse" else 1]
    if not known.products:
        return wrap(np.zeros((1, width)))
    seeds = np.zeros((known.products, known.colors.size))
    seeds[known.colors, np.arange(known.colors.size)] = 1
    return _products(product, ends, seeds)


def _products(product: Callable[..., Any], ends: Sequence[GradArray], seeds: np.ndarray) -> Any:
    parts, at = [], 0
    for end in ends:
        part = seeds[:, at : at + end.size].reshape(-1, *end.shape)
        parts.append(wrap(part.astype(end.dtype)))
        at += end.size
    if len(seeds) == 1:
        found = [r[None] for r in product([part[0] for part in parts])]
    else:
        found = vmap(lambda *es: product(list(es)))(*parts)
    return concatenate([reshape(r.detach(), (len(seeds), -1)) for r in found], axis=1)


def _check_product(op: str, record: Recording, matrix: Any) -> None:
    v = np.random.default_rng(matrix.nnz).uniform(1, 2, matrix.shape[1])
    direct, through = _products(record.push, record.xs, v[None])[0].numpy(), matrix @ v
    scale = abs(matrix) @ v + np.abs(direct)
    eps = np.finfo(direct.dtype).eps
    wrong = np.flatnonzero(np.abs(direct - through) > 1e4 * eps * scale)
    if wrong.size:
        raise RuleError(
            message(
                op,
                f"the sparsity lacks entries: row {wrong[0]} and {wrong.size - 1} others do not "
                "agree with a product.",
                "Find it anew, without zeros=True.",
            )
        )
