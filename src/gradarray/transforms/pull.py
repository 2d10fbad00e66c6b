"""Pull: the reverse walk, outputs to inputs. backward(), grad, value_and_grad, vjp.

A sweep goes through the nodes from the newest to the oldest. It computes on raw arrays unless it
must be recorded: it reaches something differentiable that is older than its own arguments, or is
asked to (`create_graph`). Raw, it multiplies plainly, and once more with absorbing products if a
result has a NaN.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..algebra import at_end, given
from ..array import GradArray, data_of, method, wrap
from ..errors import DTypeError, GraphError, ShapeError, check_function, message
from ..graph import Grad, Leaf, mode
from ..ops.indexing import Placed
from ..plan import ABSORBING_SWEEP, PLAIN_SWEEP, RECORDED_SWEEP
from ..record import PickGrad
from .analytic import check_arguments, check_results
from .arguments import Arguments, call, completed, matching, outputs, scalar_output
from .batch import Batched, entering, later_levels, only_levels, plainly


def sweep(
    order: list[Grad],
    cotangents: dict[Grad, Any],
    variant: int,
    targets: Sequence[Grad] | None = None,
) -> dict[Grad, Any]:
    """Pull `cotangents` through `order` (oldest first); what arrives at leaves, or at `targets`.

    With targets, only what lies between them and the roots is computed.
    """
    live: set[Grad] | None = None
    if targets is not None:
        live = set(targets)
        for node in order:
            for parent in node.parents:
                if parent in live:
                    live.add(node)
                    break
    arrived: dict[Grad, Any] = {}
    watched = graph.watched if len(graph.watched) else ()
    ends = () if targets is None else frozenset(targets)
    watchers = mode.watchers
    arrived_at = cotangents.get
    for node in reversed(order):
        c = arrived_at(node)
        if c is None:
            continue
        del cotangents[node]
        if type(c) is Placed:
            c = c.dense()
        if watched and node in watched:
            c = _watch(node, c, variant)
        kind = type(node)
        if kind is Leaf or node in ends:
            if live is None or node in live:
                arrived[node] = c
            continue
        if live is not None and node not in live:
            continue
        if kind is PickGrad:
            _to_tuple(node, c, cotangents)
            continue
        if type(c) is list:
            c = _filled(node, c)
        parents = node.parents
        if live is None or len(parents) == 1:
            bars = node.plan.pulls[variant](node, c)
        else:
            needed = tuple([parent in live for parent in parents])
            bars = node.plan.pull(variant, needed)(node, c)
        for watcher in watchers:
            watcher.passed(node, c, bars, "backward")
        for parent, bar in zip(parents, bars):
            if bar is not None and parent is not None:
                old = arrived_at(parent)
                cotangents[parent] = bar if old is None else old + bar
    return arrived


def _to_tuple(node: Any, c: Any, cotangents: dict[Grad, Any]) -> None:
    parent = node.parents[0]
    parts = cotangents.get(parent)
    if parts is None:
        parts = cotangents[parent] = [None] * len(parent.metas[0])
    parts[node.which] = c if parts[node.which] is None else parts[node.which] + c


def _filled(node: Grad, parts: list[Any]) -> tuple[Any, ...]:
    assert node.metas is not None
    return tuple(
        np.zeros(*form) if c is None else c for c, form in zip(parts, node.metas[0], strict=True)
    )


def _watch(node: Grad, c: Any, variant: int) -> Any:
    for hook in tuple(graph.watched[node].values()):
        handle = at_end(c if isinstance(c, GradArray) else wrap(c))
        result = hook(handle)
        if result is not None:
            result = result if isinstance(result, GradArray) else wrap(np.asarray(result))
            if result.shape != handle.shape:
                raise ShapeError(
                    message(
                        "hook",
                        f"a hook on {node.name} gave shape {result.shape} for a gradient of shape "
                        f"{handle.shape}.",
                    )
                )
            result = at_end(result)
            c = result if variant == RECORDED_SWEEP else result._data
    return c


def is_nan(values: Any) -> bool:
    """Does any of the arrays hold a NaN? (The sum of one with a NaN is NaN.)"""
    if mode.trace is not None:
        return mode.trace.is_nan(values)
    for value in values:
        if isinstance(value, GradArray):
            value = value._base()._data
        total = np.add.reduce(value, axis=None) if isinstance(value, np.ndarray) else value
        if total != total:
            return True
    return False


def run_raw(
    order: list[Grad], seeds: dict[Grad, Any], targets: Sequence[Grad] | None
) -> dict[Grad, Any]:
    """A sweep on raw arrays: plain products, and absorbing ones if a result has a NaN."""
    mode.raw += 1
    try:
        with np.errstate(all="ignore"):
            if not graph.watched and not mode.watchers:
                found = sweep(order, dict(seeds), PLAIN_SWEEP, targets)
                if not is_nan(found.values()):
                    return found
            return sweep(order, dict(seeds), ABSORBING_SWEEP, targets)
    finally:
        mode.raw -= 1


def run_recorded(
    order: list[Grad], seeds: dict[Grad, Any], targets: Sequence[Grad] | None
) -> dict[Grad, Any]:
    """A sweep whose operations are recorded in their turn."""
    outer, mode.raw = mode.raw, 0
    try:
        with np.errstate(all="ignore"), graph.recording(), graph.sweeping():
            handles = {n: c if isinstance(c, GradArray) else wrap(c) for n, c in seeds.items()}
            return sweep(order, handles, RECORDED_SWEEP, targets)
    finally:
        mode.raw = outer


def run_batched(
    order: list[Grad], seeds: dict[Grad, Any], targets: Sequence[Grad] | None, record: bool
) -> dict[Grad, Any]:
    """A sweep of many cotangents at once, through a graph that was recorded without them."""
    with only_levels(later_levels(seeds.values())):
        if record:
            return run_recorded(order, seeds, targets)
        with np.errstate(all="ignore"), graph.no_grad(), graph.sweeping():
            if plainly(order):
                with graph.raw_sweep():
                    found = sweep(order, dict(seeds), PLAIN_SWEEP, targets)
                if not is_nan(found.values()):
                    return {n: c if isinstance(c, GradArray) else wrap(c) for n, c in found.items()}
            outer, mode.raw = mode.raw, 0
            try:
                handles = {
                    n: c if isinstance(c, GradArray) else wrap(c) for n, c in seeds.items()
                }
                found = sweep(order, handles, RECORDED_SWEEP, targets)
            finally:
                mode.raw = outer
    return {n: c.detach() for n, c in found.items()}


def seed_graph(
    ys: Sequence[GradArray], y_bars: Sequence[Any]
) -> tuple[list[Grad], dict[Grad, Any]]:
    """The roots of a sweep and what it starts with."""
    seeds: dict[Grad, Any] = {}
    roots: list[Grad] = []
    for y, c in zip(ys, y_bars, strict=True):
        node = y._node
        if node is None:
            continue
        roots.append(node)
        c = entering(c, y)
        seeds[node] = seeds[node] + c if node in seeds else c
    return roots, seeds


def pull_to(
    ys: Sequence[GradArray],
    y_bars: Sequence[Any],
    targets: Sequence[Grad],
    *,
    attach: bool,
    op: str = "grad",
) -> tuple[list[Any], bool]:
    """Cotangents of `targets` (None where nothing arrives), and whether they were recorded.

    They are recorded if `attach` allows it and the graph between reaches anything older, or a
    cotangent is itself differentiable.
    """
    roots, seeds = seed_graph(ys, y_bars)
    if not roots:
        return [None] * len(targets), False
    floor = min(t.seq for t in targets)
    order, older = graph.ancestry(roots, floor)
    for node in order:
        if node.saved is None:
            graph.check_alive(node, op)
    recorded = attach and (older or differentiable(seeds.values()))
    if Batched in map(type, seeds.values()):
        found = run_batched(order, seeds, targets, recorded)
    elif recorded:
        found = run_recorded(order, seeds, targets)
    else:
        seeds = {n: data_of(c) if isinstance(c, GradArray) else c for n, c in seeds.items()}
        found = run_raw(order, seeds, targets)
    return [found.get(t) for t in targets], recorded


def differentiable(values: Any) -> bool:
    """Is any of these on a graph of its own?"""
    return any(isinstance(v, GradArray) and v._node is not None for v in values)


# backward() -------------------------------------------------------------------------------------


@method("backward")
def backward(
    y: GradArray,
    grad: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    r"""Pull `grad` (1 for a scalar) back to every leaf, adding to its `.grad`.

    \bar x_i = \sum_{j: i \in parents(j)} \bar x_j \partial g_j / \partial x_i, from the newest
    node to the oldest. The graph is freed unless `retain_graph`; with `create_graph` the sweep is
    recorded, so that gradients can be differentiated. Raises GraphError where there is no graph,
    ValueError where `y` is not a scalar and `grad` is missing. (Baydin et al., "Automatic
    differentiation in machine learning: a survey", JMLR 18, 2018, section 3.2.)

    >>> import gradarray as ga
    >>> x = ga.array(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    GradArray(6., dtype=float64)
    """
    if y.dtype.kind not in "fc":
        raise GraphError(
            message("backward", f"an array of dtype {y.dtype} has no derivative.", "Use floats.")
        )
    if not mode.grad:
        raise GraphError(
            message(
                "backward",
                "called inside no_grad(), where nothing is recorded.",
                "Compute the loss and call backward() outside the block.",
            )
        )
    root = y._require_node("backward")
    seed = at_end(_seed_of(y, grad))
    order, _ = graph.ancestry([root])
    for node in order:
        if node.saved is None:
            graph.check_alive(node)
    run = run_recorded if create_graph else run_raw
    if not create_graph and isinstance(seed, GradArray):
        seed = data_of(seed)
    arrived = run(order, {root: seed}, None)
    taken = {id(seed)}
    for node, bar in arrived.items():
        handle = node.handle()  # type: ignore[attr-defined]
        if handle is not None and handle._node is node:
            gradient = at_end(bar if isinstance(bar, GradArray) else wrap(bar))
            old = handle._gradient
            if old is None:
                if not create_graph:
                    gradient._data = _own(gradient._data, taken)
                handle._gradient = gradient
            elif create_graph:
                handle._gradient = old + gradient
            else:
                total = data_of(old) + gradient._data
                handle._gradient = total if isinstance(total, GradArray) else wrap(total)
    if not (create_graph if retain_graph is None else retain_graph):
        for node in order:
            if not isinstance(node, Leaf):
                node.saved = None


def _own(data: Any, taken: set[int]) -> Any:
    """An array that is neither a view nor taken by another gradient: it may be changed in place."""
    if type(data) is np.ndarray and (not data.flags.owndata or id(data) in taken):
        return data.copy()
    taken.add(id(data))
    return data


def _ones(y: GradArray) -> Any:
    y = y._base()
    return np.ones(y.shape, y.dtype) if y.shape else y.dtype.type(1)


def _seed_of(y: GradArray, grad: Any) -> Any:
    if grad is None:
        if y.size != 1:
            raise ValueError(
                message(
                    "backward",
                    f"an array of shape {y.shape} is not a scalar, and no `grad` was given.",
                    "Reduce it, for example y.sum().backward(), or give y.backward(grad=...).",
                )
            )
        if y.dtype.kind == "c":
            raise DTypeError(
                message(
                    "backward",
                    f"an array of dtype {y.dtype} is not a real scalar, and no `grad` was given.",
                    "Take ga.real(y) or ga.abs(y), or give y.backward(grad=...).",
                )
            )
        return _ones(y)
    grad = grad if isinstance(grad, GradArray) else wrap(np.array(grad, y.dtype))
    if grad.shape != y.shape:
        raise ShapeError(
            message("backward", f"grad has shape {grad.shape}, the array has {y.shape}.")
        )
    return grad if grad.dtype == y.dtype else given.astype(grad, y.dtype)


# Functional transforms --------------------------------------------------------------------------


def value_and_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    r"""A function that gives (f(x), \nabla f(x)) for a scalar f, from one recording.

    The gradient has the structure of the argument (a tuple of them if `argnums` is a sequence);
    what f does not reach has a gradient of zeros. With `has_aux`, f returns (value, aux) and the
    result is ((value, aux), gradient). Of a real f of complex z = u + iv the gradient is
    \partial f / \partial u + i \partial f / \partial v, which points uphill; with `holomorphic`
    f is an analytic function with a complex result, and what comes is its derivative f'(z)
    (docs/complex.md). Raises ShapeError where f is not scalar, DTypeError for an integer array,
    and for a complex result without `holomorphic`.

    >>> import gradarray as ga
    >>> ga.value_and_grad(lambda x: (x * x).sum())(ga.array([1.0, 2.0]))
    (GradArray(5., dtype=float64), GradArray([2., 4.], dtype=float64))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux, holomorphic)


def _value_and_grad(
    op: str,
    f: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
) -> Callable[..., Any]:
    check_function(f, op)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        attach = mode.grad
        primals = Arguments(args, argnums, op)
        y, aux = call(f, primals, kwargs, has_aux)
        y = scalar_output(y, op, holomorphic)
        if holomorphic:
            check_arguments(op, primals.aliases, True)
            check_results(op, [y], tree.LEAF, True, forward=False)
        nodes = primals.nodes
        bars, recorded = pull_to([y], [y.dtype.type(1)], nodes, attach=attach)
        bars = bars if holomorphic else [at_end(c) for c in bars]
        gradient = primals.rebuild(completed(primals.aliases, bars))
        y = y if recorded else y.detach()
        aux = primals.leave(aux, attach) if has_aux else None
        return ((y, aux), gradient) if has_aux else (y, gradient)

    return value_and_gradient


def grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    r"""The gradient function \nabla f of a scalar function; it nests to any order.

    Arguments as in `value_and_grad`; with `has_aux` the result is (gradient, aux).

    >>> import gradarray as ga
    >>> ga.grad(ga.grad(lambda x: x**3))(2.0)
    GradArray(12., dtype=float64)
    """
    both = _value_and_grad("grad", f, argnums, has_aux, holomorphic)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    r"""(y, pull): the value y = f(*primals) and pull(\bar y) = (\bar x_1, ..), \bar x = J^T \bar y.

    Of complex numbers pull gives J^H \bar y, the gradient of Re(\bar y^* y) (docs/complex.md).
    `pull` takes a pytree of y's structure, returns a tuple with one entry per primal, and can be
    called any number of times. With `has_aux`, f returns (y, aux) and the result is (y, pull, aux).

    >>> import gradarray as ga
    >>> y, pull = ga.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> pull(1.0)
    (GradArray(5., dtype=float64), GradArray(2., dtype=float64))
    """
    attach = mode.grad
    arguments = Arguments(primals, tuple(range(len(primals))), "vjp")
    y, aux = call(f, arguments, {}, has_aux)
    ys, form = outputs(y, "vjp")
    nodes = arguments.nodes

    def pull(*came: Any) -> tuple[Any, ...]:
        if len(came) != 1:
            what = f"pull takes one cotangent, not {len(came)}."
            raise TypeError(message("vjp", what, "It is a pytree of the result's structure."))
        y_bars = [at_end(c) for c in matching(came[0], ys, form, "vjp", "cotangent")]
        bars, _ = pull_to(ys, y_bars, nodes, attach=attach and mode.grad, op="vjp")
        return arguments.rebuild(completed(arguments.aliases, [at_end(c) for c in bars]))

    y, aux = arguments.leave(tree.unflatten(form, ys), attach), arguments.leave(aux, attach)
    return (y, pull, aux) if has_aux else (y, pull)


def pull_through(ys: Any, y_bars: Any, xs: Sequence[GradArray]) -> list[Any]:
    """For a derived rule: the cotangents of `xs`, recorded exactly if `y_bars` are GradArrays."""
    ys = list(ys) if isinstance(ys, (tuple, list)) else [ys]
    y_bars = list(y_bars) if isinstance(y_bars, (tuple, list)) else [y_bars]
    attach = any(isinstance(c, GradArray) for c in y_bars)
    bars, _ = pull_to(ys, y_bars, [x._require_node("pull") for x in xs], attach=attach)
    return bars


given.pull_through = pull_through
