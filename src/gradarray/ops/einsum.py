"""Sums of products over named indices: einsum, tensordot, trace.

Any number of operands becomes a sequence of contractions of two, so that each is one matrix
product and a derivative costs a constant factor, whatever the number of operands.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..algebra import Multilinear, given
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .frame import diagonal
from .reduce import any as any_over
from .reduce import sum
from .shape import reshape, transpose

__all__ = [
    "einsum",
    "tensordot",
    "trace",
]

Labels = tuple[Any, ...]


class ContractGrad(Multilinear):
    r"""y_{ly} = \sum a_{la} b_{lb} over the labels that y lacks.

    No label repeats within an operand, and each one is in at least two of a, b and y: the three
    have one role each in y's rule, and the transposes are the same op.
    """

    @staticmethod
    def forward(a: Any, b: Any, la: Labels, lb: Labels, ly: Labels) -> Any:
        return _contracted(np.asarray(a), np.asarray(b), la, lb, ly)

    @staticmethod
    def shape_of(a: Any, b: Any, la: Labels, lb: Labels, ly: Labels) -> tuple[int, ...]:
        size = dict(zip((*la, *lb), (*a, *b)))
        return tuple([size[k] for k in ly])

    transposes = (
        lambda y_bar, b, la, lb, ly: contract(y_bar, b, ly, lb, la),
        lambda y_bar, a, la, lb, ly: contract(a, y_bar, la, ly, lb),
    )
    tex = r"\sum {a} {b}"


def contract(a: Any, b: Any, la: Labels, lb: Labels, ly: Labels) -> Any:
    return apply(ContractGrad, a, b, la=la, lb=lb, ly=ly)


def _contracted(a: np.ndarray, b: np.ndarray, la: Labels, lb: Labels, ly: Labels) -> np.ndarray:
    summed = [k for k in la if k not in ly]
    if not summed:
        return _spread(a, la, ly) * _spread(b, lb, ly)
    stack = [k for k in ly if k in la and k in lb]
    rows = [k for k in ly if k not in lb]
    columns = [k for k in ly if k not in la]
    size = {**dict(zip(la, a.shape)), **dict(zip(lb, b.shape))}
    if not rows and not columns:
        # Many short sums: NumPy's own loop is faster than a matrix product for each.
        number = {k: n for n, k in enumerate(size)}
        y = np.einsum(
            a, [number[k] for k in la], b, [number[k] for k in lb], [number[k] for k in stack]
        )
        return np.asarray(y, np.result_type(a, b))
    count = [math.prod([size[k] for k in part]) for part in (stack, rows, columns, summed)]
    left = a.transpose([la.index(k) for k in (*stack, *rows, *summed)])
    right = b.transpose([lb.index(k) for k in (*stack, *summed, *columns)])
    y = np.matmul(
        left.reshape((count[0], count[1], count[3]) if stack else (count[1], count[3])),
        right.reshape((count[0], count[3], count[2]) if stack else (count[3], count[2])),
    )
    found = (*stack, *rows, *columns)
    y = y.reshape([size[k] for k in found])
    return y.transpose([found.index(k) for k in ly])


def _spread(x: np.ndarray, labels: Labels, ly: Labels) -> np.ndarray:
    """x with an axis for each label of y, of length 1 where x lacks it."""
    x = x.transpose([labels.index(k) for k in ly if k in labels])
    lengths = iter(x.shape)
    return x.reshape([next(lengths) if k in labels else 1 for k in ly])


@public(
    numpy=(np.tensordot, np.linalg.tensordot),
    op=ContractGrad,
    cases=[
        case(arr(2, 3, 4), arr(3, 4, 2)),
        case(arr(2, 3), arr(3, 2), axes=1),
        case(arr(2, 3, 4), arr(4, 5, 2), axes=([0, 2], [2, 0])),
        case(arr(2, 3), arr(4, 3), axes=(-1, 1)),
    ],
)
def tensordot(a: Any, b: Any, axes: Any = 2) -> GradArray:
    r"""y = \sum_k a_{..k..} b_{..k..} over pairs of axes; a's other axes come first, then b's.

    `axes` is n (the last n of a with the first n of b), or a pair of axes or lists of axes.
    Raises ShapeError where the lengths of a pair differ.

    >>> import gradarray as ga
    >>> ga.tensordot([[1.0, 2.0]], [[3.0], [4.0]], axes=1)
    GradArray([[11.]], dtype=float64)
    """
    a, b = lift(a), lift(b)
    if isinstance(axes, (tuple, list)):
        first, second = axes
        first = [first] if not isinstance(first, (tuple, list)) else first
        second = [second] if not isinstance(second, (tuple, list)) else second
    else:
        n = operator.index(axes)
        if not 0 <= n <= min(a.ndim, b.ndim):
            raise ShapeError(
                message("tensordot", f"axes={n} for arrays of {a.ndim} and {b.ndim} axes.")
            )
        first, second = range(a.ndim - n, a.ndim), range(n)
    first = [one_axis(k, a.ndim, "tensordot") + a.ndim for k in first]
    second = [one_axis(k, b.ndim, "tensordot") + b.ndim for k in second]
    if len(first) != len(second) or len(set(first)) != len(first) or len({*second}) != len(second):
        raise ShapeError(
            message("tensordot", f"axes {first} and {second} do not make pairs of distinct axes.")
        )
    la, lb = [*range(a.ndim)], [*range(a.ndim, a.ndim + b.ndim)]
    for j, k in zip(first, second):
        if a.shape[j] != b.shape[k]:
            raise ShapeError(
                message(
                    "tensordot",
                    f"shapes {a.shape} and {b.shape}: axis {j} of the left operand has length "
                    f"{a.shape[j]}, axis {k} of the right one {b.shape[k]}.",
                    "Summed axes must be equal; choose others with axes=.",
                )
            )
        lb[k] = j
    ly = tuple(k for k in la if k not in lb) + tuple(k for k in lb if k not in la)
    return contract(a, b, tuple(la), tuple(lb), ly)


@public(
    numpy=np.trace,
    method=True,
    cases=[case(arr(3, 3)), case(arr(2, 3), 1), case(arr(2, 3, 2), axis1=0, axis2=-1)],
)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> GradArray:
    r"""y = \sum_i x_{i, i + offset} over the axes `axis1` and `axis2`.

    >>> import gradarray as ga
    >>> ga.trace([[1.0, 2.0], [3.0, 4.0]])
    GradArray(5., dtype=float64)
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)


# einsum -------------------------------------------------------------------------------------------


@public(
    numpy=np.einsum,
    op=ContractGrad,
    cases=[
        case("ij,jk->ik", arr(2, 3), arr(3, 4)),
        case("bij,bjk", arr(2, 2, 3), arr(2, 3, 2)),
        case("ba", arr(2, 3)),
        case("ij->", arr(2, 3)),
        case("i,i,i->", arr(3), arr(3), arr(3)),
        case("...i,i...->...", arr(2, 3), arr(3, 2)),
        case("...ij,...jk", arr(2, 1, 2, 3), arr(3, 3, 2)),
        case("ij,kj->", arr(2, 3), arr(2, 3)),
    ],
)
def einsum(subscripts: str, *operands: Any, optimize: Any = "greedy") -> GradArray:
    r"""y = \sum \prod_n x_n over the indices that the output lacks, by NumPy's notation.

    `subscripts` names the axes of each operand by a letter, "ij,jk->ik"; a repeated letter within
    an operand takes the diagonal, "..." stands for axes that broadcast, and without "->" the
    output has the letters that occur once, in alphabetical order. `optimize` is the order of
    contractions, as for `numpy.einsum_path`. Raises ShapeError where one letter has two lengths,
    ValueError for subscripts that do not fit.

    >>> import gradarray as ga
    >>> ga.einsum("ij,ij->i", [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    GradArray([17., 53.], dtype=float64)
    """
    if not isinstance(subscripts, str):
        raise TypeError(
            message("einsum", "the first argument is the string of subscripts, as 'ij,jk->ik'.")
        )
    xs = [lift(x) for x in operands]
    dtype = np.result_type(*[x.dtype for x in xs]) if xs else None
    inputs, output = parse(subscripts, [x.ndim for x in xs])
    xs, inputs = _without_ones(subscripts, xs, inputs, output)
    others = [
        {k for j, labels in enumerate(inputs) if j != i for k in labels} | set(output)
        for i in range(len(xs))
    ]
    pairs = [_alone(x, k, rest) for x, k, rest in zip(xs, inputs, others)]
    for step in _path(pairs, output, optimize):
        chosen = [pairs[k] for k in step]
        pairs = [pair for k, pair in enumerate(pairs) if k not in step]
        rest = {k for _, labels in pairs for k in labels} | set(output)
        while len(chosen) > 1:
            later = rest | {k for _, labels in chosen[2:] for k in labels}
            chosen[:2] = [_pair(*chosen[0], *chosen[1], later)]
        pairs.append(chosen[0])
    x, labels = pairs[0]
    if labels != output:
        x = transpose(x, tuple(labels.index(k) for k in output))
    return x if x.dtype == dtype else given.astype(x, dtype)


def parse(subscripts: str, ndims: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of every axis: letters, and numbers from the end for those under an ellipsis."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(
            message(
                "einsum",
                f"{subscripts!r} names {len(terms)} operands, {len(ndims)} were given.",
                "Commas separate the operands.",
            )
        )
    inputs = [_labels(subscripts, term, ndim) for term, ndim in zip(terms, ndims)]
    hidden = sorted({k for labels in inputs for k in labels if isinstance(k, int)})
    if arrow:
        if right.count("...") > 1:
            raise ValueError(message("einsum", f"the output {right!r} has more than one '...'."))
        before, dots, after = right.partition("...")
        output = (*before, *(hidden if dots else ()), *after)
    else:
        letters = left.replace(",", "").replace(".", "")
        output = (*hidden, *sorted(k for k in set(letters) if letters.count(k) == 1))
    known = {k for labels in inputs for k in labels}
    for k in output:
        if output.count(k) > 1 or k not in known:
            why = "is there twice" if k in known else "is in no operand"
            raise ValueError(message("einsum", f"{subscripts!r}: {k!r} of the output {why}."))
    return inputs, output


def _labels(subscripts: str, term: str, ndim: int) -> Labels:
    before, dots, after = term.partition("...")
    named = before + after
    if not all(k.isascii() and k.isalpha() for k in named):
        raise ValueError(
            message("einsum", f"{subscripts!r}: {term!r} may hold letters and one '...' only.")
        )
    hidden = ndim - len(named)
    if hidden < 0 or (hidden and not dots):
        raise ValueError(
            message(
                "einsum",
                f"{subscripts!r}: {term!r} names {len(named)} axes, its operand has {ndim}.",
                "Name every axis, or write '...' for the others.",
            )
        )
    return (*before, *range(-hidden, 0), *after)


def _without_ones(
    subscripts: str, xs: list[Any], inputs: list[Labels], output: Labels
) -> tuple[list[Any], list[Labels]]:
    """Check the lengths of every label, and drop axes of length 1 that broadcast."""
    size: dict[Any, int] = {}
    for n, (x, labels) in enumerate(zip(xs, inputs)):
        for k, length in zip(labels, x.shape):
            if size.setdefault(k, length) == 1:
                size[k] = length
            if length not in (1, size[k]):
                name = f"index {k!r}" if isinstance(k, str) else f"axis {k} of '...'"
                raise ShapeError(
                    message(
                        "einsum",
                        f"{subscripts!r}: {name} has length {size[k]}, but {length} in operand "
                        f"{n} of shape {x.shape}.",
                        "One letter stands for one length (or 1, which broadcasts).",
                    )
                )
    out_x, out_labels = [], []
    for x, labels in zip(xs, inputs):
        keep = [n == size[k] for k, n in zip(labels, x.shape)]
        if not all(keep):
            x = reshape(x, tuple(n for n, kept in zip(x.shape, keep) if kept))
            labels = tuple(k for k, kept in zip(labels, keep) if kept)
        out_x.append(x)
        out_labels.append(labels)
    return out_x, out_labels


def _alone(x: Any, labels: Labels, rest: set[Any]) -> tuple[Any, Labels]:
    """One operand with diagonals taken, and summed over what nothing else has."""
    for k in dict.fromkeys(labels):
        while labels.count(k) > 1:
            i = labels.index(k)
            j = labels.index(k, i + 1)
            others = [n for n in range(len(labels)) if n not in (i, j)]
            x = diagonal(x, 0, i, j)
            labels = (*(labels[n] for n in others), k)
    return _summed(x, labels, tuple(k for k in labels if k in rest))


def _summed(x: Any, labels: Labels, kept: Labels) -> tuple[Any, Labels]:
    axes = tuple(n - len(labels) for n, k in enumerate(labels) if k not in kept)
    if axes:
        # Integers keep their dtype: a sum of products has the dtype of the products.
        kind = x.dtype
        x = any_over(x, axis=axes) if kind.kind == "b" else sum(x, axis=axes, dtype=kind)
    return x, kept


def _pair(a: Any, la: Labels, b: Any, lb: Labels, rest: set[Any]) -> tuple[Any, Labels]:
    """The contraction of two operands over what nothing else has."""
    a, la = _summed(a, la, tuple(k for k in la if k in rest or k in lb))
    b, lb = _summed(b, lb, tuple(k for k in lb if k in rest or k in la))
    both = (*la, *(k for k in lb if k not in la))
    ly = tuple(k for k in both if k in rest)
    return contract(a, b, la, lb, ly), ly


def _path(pairs: list[tuple[Any, Labels]], output: Labels, optimize: Any) -> list[tuple[int, ...]]:
    """The order of contractions; what is made goes to the end of the list."""
    if len(pairs) < 3:
        return [(0, 1)] if len(pairs) == 2 else []
    if optimize is False:
        return [tuple(range(len(pairs)))]
    number = {k: n for n, k in enumerate(dict.fromkeys(k for _, ls in pairs for k in ls))}
    shown: list[Any] = []
    for x, labels in pairs:
        shown += [np.broadcast_to(0.0, x.shape), [number[k] for k in labels]]
    path, _ = np.einsum_path(*shown, [number[k] for k in output], optimize=optimize)
    return [tuple(step) for step in path[1:]]
