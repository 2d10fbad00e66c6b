"""Which results can depend on which inputs: a walk over the graph with index sets.

For each node a Boolean matrix says, element by element, on which inputs its value depends. It
follows from the parents' matrices by the kind of the op: an Elementwise op unites broadcast rows,
a Linear one is found out by sending labels through it, a Multilinear one couples what its labels
say, a Reduction unites what it sums. What is not known couples everything: too much is never wrong.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import graph
from ..algebra import Elementwise, Linear, Reduction
from ..array import GradArray
from ..custom import Custom
from ..graph import Grad
from ..lazy import sparse
from ..plan import PLAIN_SWEEP
from ..record import PickGrad


class Reach(NamedTuple):
    """The form of a value, and on which inputs each of its elements depends."""

    shape: tuple[int, ...]
    rows: Any  # a Boolean csr_array, one row per element

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def dependencies(
    ys: Sequence[GradArray], xs: Sequence[GradArray], floor: int, zeros: bool
) -> Any:
    """The pattern of dy/dx, one row per element of `ys`, one column per element of `xs`.

    With `zeros`, a product with a constant that is exactly 0 is no dependence.
    """
    count = sum(x.size for x in xs)
    found: dict[Grad, Any] = {}
    at = 0
    for x in xs:
        place = np.arange(at, at + x.size)
        found[x._require_node("sparsity")] = Reach(x.shape, _one_each(place, count))
        at += x.size
    order, _ = graph.ancestry([y._node for y in ys if y._node is not None], floor)
    for node in order:
        if node in found:
            continue
        parts: list[Any] = [None if p is None else found.get(p) for p in node.parents]
        if all(part is None for part in parts):
            continue
        if type(node) is PickGrad:
            found[node] = parts[0][node.which]
        else:
            found[node] = _reach(node, parts, zeros)
    blocks = []
    for y in ys:
        reach = found.get(y._node) if y._node is not None else None
        blocks.append(_nothing(y.size, count) if reach is None else reach.rows)
    return _stacked(blocks)


def _reach(node: Any, parts: list[Any], zeros: bool) -> Any:
    rule = BY_NAME.get(node.name)
    if rule is None:
        rule = next((r for kind, r in BY_KIND if isinstance(node, kind)), None)
    found = None if rule is None else rule(node, parts, zeros)
    return _coupled(node, parts) if found is None else found


# Matrices of zeros and ones -----------------------------------------------------------------------


def _one_each(index: np.ndarray, count: int) -> Any:
    """Row i has its one at index[i], or none where that is negative."""
    here = index >= 0
    ends = np.concatenate([[0], np.cumsum(here)])
    return sparse.csr_array((np.ones(ends[-1], bool), index[here], ends), shape=(index.size, count))


def _taken(reach: Reach, index: np.ndarray) -> Any:
    """The rows at `index`, in its order; none where that is negative."""
    index = np.asarray(index).ravel()
    if index.size == reach.size and np.array_equal(index, np.arange(index.size)):
        return reach.rows
    return _one_each(index, reach.size) @ reach.rows


def _united(reach: Reach, group: np.ndarray, count: int) -> Any:
    """Row g is the union of the rows whose number in `group` is g (negative: of none)."""
    return (_one_each(np.asarray(group).ravel(), count).T @ reach.rows).tocsr()


def _union(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        if part is not total:
            total = total + part
    return total


def _stacked(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else sparse.csr_array(sparse.vstack(parts, format="csr"))


def _nothing(count: int, inputs: int) -> Any:
    return sparse.csr_array((count, inputs), dtype=bool)


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


def _broadcast(reach: Reach, shape: tuple[int, ...]) -> Any:
    if reach.shape == shape:
        return reach.rows
    return _taken(reach, np.broadcast_to(_numbers(reach.shape), shape))


# By kind ------------------------------------------------------------------------------------------


def _elementwise(node: Any, parts: list[Any], zeros: bool) -> Reach:
    shape = node.metas[0][0] if node.metas is not None else None
    if shape is None:
        shape = next(part.shape for part in parts if part is not None)
    rows = []
    for k, part in enumerate(parts):
        rule = type(node).rule(k)
        if part is None or (isinstance(rule, (int, float)) and rule == 0):
            continue
        found = _broadcast(part, shape)
        if zeros and node.name in ("multiply", "absorb"):
            factor = _constant(node, 1 - k)
            if factor is not None:
                index = np.where(np.broadcast_to(factor, shape) == 0, -1, _numbers(shape))
                found = _taken(Reach(shape, found), index)
        rows.append(found)
    if not rows:
        width = next(part.rows.shape[1] for part in parts if part is not None)
        return Reach(shape, _nothing(math.prod(shape), width))
    return Reach(shape, _union(rows))


def _constant(node: Any, k: int) -> Any:
    """The value of operand k, if it is on no graph."""
    if node.parents[k] is not None or k not in node.plan.where_saved:
        return None
    return node.saved[node.plan.where_saved[k]]


def _reduction(node: Any, parts: list[Any], zeros: bool) -> Reach:
    (x,) = parts
    axis, keepdims = node.params["axis"], node.params["keepdims"]
    dropped = {k % len(x.shape) for k in axis}
    kept = tuple([1 if k in dropped else n for k, n in enumerate(x.shape)])
    group = np.broadcast_to(_numbers(kept), x.shape)
    shape = kept if keepdims else tuple(n for k, n in enumerate(x.shape) if k not in dropped)
    return Reach(shape, _united(x, group, math.prod(shape)))


def _linear(node: Any, parts: list[Any], zeros: bool) -> Any:
    """Values that are moved are followed by their labels; so are, backward, values added up."""
    found = _moved(node, parts)
    if found is not None:
        return found
    shape = _form_of_result(node, parts)
    if isinstance(shape, list):
        return None
    rows = []
    for k, part in enumerate(parts):
        if part is None:
            continue
        alone = [p if j == k else None for j, p in enumerate(parts)]
        own = _moved(node, alone)
        if own is None:
            group = _added(node, k, part, shape)
            if group is None:
                return None
            own = Reach(shape, _united(part, group, math.prod(shape)))
        rows.append(own.rows)
    return Reach(shape, _union(rows))


def _pushed(node: Any, x_dots: list[Any]) -> Any:
    moving = tuple([x_dot is not None for x_dot in x_dots])
    with graph.raw_sweep(), np.errstate(all="ignore"):
        return node.plan.push(PLAIN_SWEEP, moving)(node, x_dots)


def _labelled(values: np.ndarray, parts: list[Any]) -> list[Any]:
    out, at = [], 0
    for part in parts:
        if part is None:
            out.append(None)
        else:
            out.append(values[at : at + part.size].reshape(part.shape))
            at += part.size
    return out


def _moved(node: Any, parts: list[Any]) -> Any:
    """The dependence through an op that only moves values, None if it does more than that."""
    whole = [part for part in parts if part is not None]
    count = sum(part.size for part in whole)
    labels, others = _two_labels(count)
    first = _pushed(node, _labelled(labels, parts))
    second = _pushed(node, _labelled(others, parts))
    several = isinstance(first, tuple)
    pool, out = Reach((count,), _stacked([part.rows for part in whole])), []
    for a, b in zip(first, second) if several else [(first, second)]:
        index = _index_of(np.asarray(a), np.asarray(b), others)
        if index is None:
            return None
        out.append(Reach(index.shape, _taken(pool, index)))
    return out if several else out[0]


def _two_labels(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from 1, and numbers of which no sum or multiple is, by chance, another one."""
    return np.arange(1.0, count + 1), np.random.default_rng(count).uniform(1, 2, count)


def _index_of(first: np.ndarray, second: np.ndarray, others: np.ndarray) -> Any:
    """Where each value came from (-1: from nowhere), None if some are not labels as they were."""
    first, second = np.real(first), np.real(second)
    index = np.where((first >= 1) & (first <= others.size), first, 0).astype(np.intp)
    known = np.concatenate([[0.0], others])
    if not (np.array_equal(index, first) and np.array_equal(known[index], second)):
        return None
    return index - 1


def _added(node: Any, k: int, part: Reach, shape: tuple[int, ...]) -> Any:
    """To which result each value of operand k is added, None if it goes to several."""
    double = copy.copy(node)
    if node.metas is not None:
        double.metas = tuple(_in_double(meta) for meta in node.metas)
    needed = tuple([j == k for j in range(len(node.parents))])
    found = []
    labels, others = _two_labels(math.prod(shape))
    with graph.raw_sweep():
        for values in (labels, others):
            bar = node.plan.pull(PLAIN_SWEEP, needed)(double, values.reshape(shape))[k]
            found.append(bar.dense() if hasattr(bar, "dense") else np.asarray(bar))
    if found[0].shape != part.shape:
        return None
    return _index_of(found[0], found[1], others)


def _in_double(meta: Any) -> Any:
    if isinstance(meta, list):
        return [_in_double(part) for part in meta]
    if meta is None or meta[1] is None or meta[1].kind != "f":
        return meta
    return (meta[0], np.dtype(float))


def _form_of_result(node: Any, parts: list[Any]) -> Any:
    """The result's shape, a list of them where there are several."""
    zeros = [None if part is None else np.zeros(part.shape) for part in parts]
    y = _pushed(node, zeros)
    return [np.shape(part) for part in y] if isinstance(y, tuple) else np.shape(y)


# By name ------------------------------------------------------------------------------------------


def _identity(node: Any, parts: list[Any], zeros: bool) -> Any:
    return parts[0]


def _along(node: Any, parts: list[Any], zeros: bool) -> Any:
    """Everything along one axis: cumulative sums and the like."""
    shape = _form_of_result(node, parts)
    if any(part is not None and part.shape != shape for part in parts):
        return None
    axis = node.params["axis"]
    kept = tuple([1 if k == axis % len(shape) else n for k, n in enumerate(shape)])
    group = np.broadcast_to(_numbers(kept), shape)
    rows = [_united(part, group, math.prod(kept)) for part in parts if part is not None]
    return Reach(shape, _taken(Reach(kept, _union(rows)), group))


def _operands(node: Any, parts: list[Any]) -> tuple[list[Any], list[tuple[int, ...]]]:
    """The values of two operands where they are constants, and their shapes."""
    values = [_constant(node, k) for k in (0, 1)]
    shapes = []
    for k, (part, value) in enumerate(zip(parts, values)):
        known = part if part is not None else value
        shapes.append(node.metas[k + 1][0] if known is None else known.shape)
    return values, shapes


def _matmul(node: Any, parts: list[Any], zeros: bool) -> Any:
    values, shapes = _operands(node, parts)
    lead = np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])
    names = tuple(f"lead{k}" for k in range(len(lead)))
    labels = ((*names, "i", "k"), (*names, "k", "j"), (*names, "i", "j"))
    full = [(*lead, *shape[-2:]) for shape in shapes]
    spread = [None if p is None else Reach(s, _broadcast(p, s)) for p, s in zip(parts, full)]
    values = [None if v is None else np.broadcast_to(v, s) for v, s in zip(values, full)]
    return _labels(spread, values, full, labels, zeros)


def _contract(node: Any, parts: list[Any], zeros: bool) -> Any:
    values, shapes = _operands(node, parts)
    labels = tuple(node.params[n] for n in ("la", "lb", "ly"))
    return _labels(parts, values, shapes, labels, zeros)


def _labels(parts: Any, values: Any, shapes: Any, labels: Any, zeros: bool) -> Reach:
    """y_ly = sum of a_la b_lb: y depends on what has its labels, whatever the others."""
    size = {**dict(zip(labels[0], shapes[0])), **dict(zip(labels[1], shapes[1]))}
    ly = labels[2]
    shape = tuple(size[k] for k in ly)
    rows = []
    for k, part in enumerate(parts):
        if part is None:
            continue
        mine, other = labels[k], values[1 - k]
        if zeros and other is not None:
            rows.append(_through(part, mine, np.asarray(other), labels[1 - k], ly, size))
            continue
        kept = tuple(n for n in mine if n in ly)
        lengths = tuple(size[n] for n in kept)
        group = _numbers(lengths).reshape([size[n] if n in kept else 1 for n in mine])
        group = np.broadcast_to(group, part.shape)
        united = Reach(lengths, _united(part, group, math.prod(lengths)))
        index = _numbers(lengths).transpose([kept.index(n) for n in ly if n in kept])
        index = index.reshape([size[n] if n in kept else 1 for n in ly])
        rows.append(_taken(united, np.broadcast_to(index, shape)))
    return Reach(shape, _union(rows))


def _through(part: Reach, mine: Any, other: np.ndarray, theirs: Any, ly: Any, size: Any) -> Any:
    """The dependence through the nonzero entries of a constant factor."""
    places = dict(zip(theirs, np.nonzero(other)))
    free = [n for n in mine if n not in places]
    grid = np.indices([size[n] for n in free]).reshape(len(free), -1)
    entries = len(next(iter(places.values()))) if places else 1
    at = {n: np.repeat(p, grid.shape[1]) for n, p in places.items()}
    at |= {n: np.tile(g, entries) for n, g in zip(free, grid)}

    def flat(labels: Any) -> np.ndarray:
        if not labels:
            return np.zeros(entries * grid.shape[1], np.intp)
        return np.ravel_multi_index([at[n] for n in labels], [size[n] for n in labels])

    count = math.prod(size[n] for n in ly)
    rows, columns = flat(ly), flat(mine)
    ones = np.ones(rows.size, bool)
    return sparse.csr_array((ones, (rows, columns)), shape=(count, part.size)) @ part.rows


def _conv(node: Any, parts: list[Any], zeros: bool) -> Any:
    """Tap by tap: through one entry of the kernel each result gets one value."""
    x, w = parts
    kernel = _constant(node, 1)
    if w is not None or kernel is None:
        return None
    labels, _ = _two_labels(x.size)
    backward = node.name == "conv_transpose"
    rows, shape = [], None
    for channel, *tap in np.ndindex(kernel.shape[0 if backward else 1], *kernel.shape[2:]):
        place = (channel, slice(None), *tap) if backward else (slice(None), channel, *tap)
        one = np.zeros(kernel.shape)
        one[place] = kernel[place] != 0 if zeros else 1
        if not one.any():
            continue
        y = type(node).forward(labels.reshape(x.shape), one, **node.params)
        shape = y.shape
        rows.append(_taken(x, np.rint(y).astype(np.intp) - 1))
    return None if shape is None else Reach(shape, _union(rows))


def _matrices(node: Any, parts: list[Any], zeros: bool) -> Any:
    """Ops on the matrices of a stack: each result depends on the matrices in its place."""
    if not node.trailing:
        return None
    shapes = [part.shape for part in parts if part is not None]
    results = _form_of_result(node, parts)
    depth = max(len(shapes[0]) - 2, 0)
    if not depth or len({len(shape) for shape in shapes}) > 1:
        return None
    lead = np.broadcast_shapes(*[shape[:-2] for shape in shapes])
    several = isinstance(results, list)
    if any(shape[:depth] != lead for shape in (results if several else [results])):
        return None
    rows = []
    for part in parts:
        if part is None:
            continue
        own = part.shape[:-2]
        group = np.broadcast_to(_numbers(own)[..., None, None], part.shape)
        rows.append(_broadcast(Reach(own, _united(part, group, math.prod(own))), lead))
    pool = Reach(lead, _union(rows))
    out = []
    for shape in results if several else [results]:
        index = _numbers(lead).reshape(*lead, *(1,) * (len(shape) - depth))
        out.append(Reach(shape, _taken(pool, np.broadcast_to(index, shape))))
    return out if several else out[0]


def _coupled(node: Any, parts: list[Any]) -> Any:
    """Every element of every result depends on all that the op was given."""
    rows = [_united(p, np.zeros(p.size, np.intp), 1) for p in parts if p is not None]
    pool = Reach((1,), _union(rows))
    shape = _form_of_result(node, parts)
    if not isinstance(shape, list):
        return Reach(shape, _taken(pool, np.zeros(math.prod(shape), np.intp)))
    return [Reach(s, _taken(pool, np.zeros(math.prod(s), np.intp))) for s in shape]


BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("alias", "astype", "conj", "copy", "imag", "real"), _identity),
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp", "linear_recurrence"), _along),
    "matmul": _matmul,
    "contract": _contract,
    "conv": _conv,
    "conv_transpose": _conv,
}
BY_KIND: list[tuple[Any, Any]] = [
    (Elementwise, _elementwise),
    (Linear, _linear),
    (Reduction, _reduction),
    (Custom, _matrices),
]
