"""Control flow that every walk can follow: scan, fori_loop, while_loop, cond, switch.

Run eagerly they are Python's loops and branches with a declared carry: every step is recorded, so
they differentiate in both modes to any order, whatever the number of steps turns out to be. Inside
vmap each example stops, or branches, by itself. `snapshots` bounds the memory of a long loop.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..graph import mode
from ..ops.compare import where
from ..ops.logical import logical_and
from .batch import Batched, base
from .snapshots import check_steps, snapshot_scan, snapshot_while
from .steps import BRANCHES, Form, run_scan


def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    snapshots: int | None = None,
) -> tuple[Any, Any]:
    r"""(carry, ys) of carry_{k+1}, y_k = f(carry_k, x_k), k over the first axis of `xs`.

    `init`, `xs` and what f returns are pytrees; the carry keeps its structure, shapes and dtypes.
    The ys are stacked along a new first axis (None without a step). Without `xs`, `length` says
    how many steps. With `snapshots` = s at most s carries are kept for the reverse sweep, which
    runs steps again, as few as possible (Griewank & Walther, "Algorithm 799: revolve", ACM TOMS 26,
    2000). Raises TypeError, ShapeError or DTypeError where the carry changes.

    >>> import gradarray as ga
    >>> ga.scan(lambda total, x: (total + x, total * x), 0.0, ga.array([1.0, 2.0, 3.0]))
    (GradArray(6., dtype=float64), GradArray([0., 2., 9.], dtype=float64))
    """
    xs = tree.map(lambda x: lift(x, "scan"), xs)
    steps = _length("scan", xs, length)
    init = tree.map(lambda x: lift(x, "scan"), init)
    if mode.trace is not None:
        return mode.trace.flow.scan(f, init, xs, steps, reverse)
    if snapshots is not None and not mode.levels:
        return snapshot_scan(f, init, xs, steps, reverse, snapshots)
    return run_scan(f, init, xs, steps, reverse)


def fori_loop(
    lower: int,
    upper: int,
    body: Callable[[int, Any], Any],
    init: Any,
    *,
    snapshots: int | None = None,
) -> Any:
    """The carry after `carry = body(k, carry)` for k from `lower` to `upper` - 1.

    `snapshots` as in `scan`.

    >>> import gradarray as ga
    >>> ga.grad(lambda x: ga.fori_loop(0, 3, lambda k, c: c * x, 1.0))(2.0)
    GradArray(12., dtype=float64)
    """
    carry = tree.map(lambda x: lift(x, "fori_loop"), init)
    lower, upper = _bound(lower, "lower"), _bound(upper, "upper")
    if mode.trace is not None:
        done = mode.trace.flow.fori_loop(lower, upper, body, carry)
        if done is not NotImplemented:
            return done
    if snapshots is not None and not mode.levels:
        numbers = lift(np.arange(lower, max(upper, lower)))
        step = lambda c, k: (body(int(k), c), None)
        return snapshot_scan(step, carry, numbers, len(numbers), False, snapshots, "fori_loop")[0]
    form = Form("fori_loop", carry)
    for k in range(lower, upper):
        carry = form.kept(body(k, carry))
    return carry


def while_loop(
    cond: Callable[[Any], Any],
    body: Callable[[Any], Any],
    init: Any,
    *,
    max_steps: int | None = None,
    snapshots: int | None = None,
) -> Any:
    """The first carry for which `cond(carry)` is false, of carry = body(carry).

    Differentiable in both modes: the derivative is that of the steps taken. Inside vmap each
    example stops by itself. `snapshots` bounds the memory as in `scan`, for a few more steps run
    again, since how many there will be is not known. Raises GraphError after `max_steps`, if given.

    >>> import gradarray as ga
    >>> ga.while_loop(lambda x: x < 100, lambda x: x * 3, 2.0)
    GradArray(162., dtype=float64)
    """
    carry = tree.map(lambda x: lift(x, "while_loop"), init)
    if mode.trace is not None:
        return mode.trace.flow.while_loop(cond, body, carry, max_steps)
    if snapshots is not None and mode.grad and not mode.levels:
        going = lambda carry: _any(lift(cond(carry), "while_loop"))
        return snapshot_while(going, body, carry, max_steps, snapshots)
    form = Form("while_loop", carry)
    going = lift(cond(carry), "while_loop")
    taken = 0
    while _any(going):
        check_steps(taken, max_steps)
        if type(going) is Batched:
            with _untaken():
                new = form.kept(body(carry))
                carry = tree.map(lambda a, b, going=going: where(going, a, b), new, carry)
                going = logical_and(going, lift(cond(carry), "while_loop"))
        else:
            carry = form.kept(body(carry))
            going = lift(cond(carry), "while_loop")
        taken += 1
    return carry


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any):
    """`true_fun(*operands)` if `pred`, else `false_fun(*operands)`.

    The derivative is that of the branch taken. Inside vmap both branches run and each example
    takes its own.

    >>> import gradarray as ga
    >>> ga.grad(lambda x: ga.cond(x > 0, lambda x: x * x, lambda x: -x, x))(3.0)
    GradArray(6., dtype=float64)
    """
    given, pred = pred, lift(pred, "cond")
    if pred.shape != ():
        raise ShapeError(message("cond", f"pred has shape {pred.shape}; it is one boolean."))
    if type(pred) is not Batched:
        if mode.trace is not None and given is pred:
            branches, number = [false_fun, true_fun], (pred != 0).astype(int)
            return mode.trace.flow.switch("cond", number, branches, operands, _as_arrays)
        return true_fun(*operands) if bool(pred) else false_fun(*operands)
    with _untaken():
        return _selected("cond", [(pred, true_fun(*operands))], false_fun(*operands))


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clipped to the branches there are.

    >>> import gradarray as ga
    >>> ga.switch(1, [lambda x: x, lambda x: x * x], 3.0)
    9.0
    """
    if not branches:
        raise ValueError(message("switch", "there are no branches."))
    given, index = index, lift(index, "switch")
    if index.dtype.kind not in "iu" or index.shape != ():
        raise DTypeError(
            message("switch", f"the index is one integer, not {index.dtype}{list(index.shape)}.")
        )
    if type(index) is not Batched:
        if mode.trace is not None and given is index:
            return mode.trace.flow.switch("switch", index, branches, operands, _as_arrays)
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    with _untaken():
        results = [branch(*operands) for branch in branches]
        cases = [(index <= k, result) for k, result in enumerate(results[:-1])]
        return _selected("switch", cases, results[-1])


def _untaken() -> Any:
    """Where some examples compute what only others keep, NumPy's warnings say nothing."""
    return np.errstate(all="ignore")


def _selected(op: str, cases: list[tuple[Any, Any]], otherwise: Any) -> Any:
    """For each example the result of the first case that holds."""
    results = _as_arrays([otherwise, *[result for _, result in cases]])
    chosen, form = results[0], Form(op, results[0], BRANCHES)
    for (holds, _), result in zip(reversed(cases), reversed(results[1:]), strict=True):
        result = form.kept(result)
        chosen = tree.map(lambda a, b, holds=holds: where(holds, a, b), result, chosen)
    return chosen


def _as_arrays(results: list[Any]) -> list[Any]:
    """The branches' results, a number with the dtype of what stands there in the others."""
    columns, forms = zip(*map(tree.flatten, results), strict=True)
    if any(form != forms[0] for form in forms):
        return [tree.map(lift, result) for result in results]
    rows = []
    for leaves in zip(*columns, strict=True):
        dtype = np.result_type(*[getattr(x, "dtype", x) for x in leaves])
        rows.append([lift(x if hasattr(x, "dtype") else np.asarray(x, dtype)) for x in leaves])
    return [tree.unflatten(forms[0], [row[k] for row in rows]) for k in range(len(results))]


def _bound(k: Any, name: str) -> int:
    try:
        return operator.index(k)
    except TypeError:
        raise TypeError(message("fori_loop", f"{name}={k!r} is not an integer.")) from None


def _any(going: GradArray) -> bool:
    if going.shape != ():
        raise ShapeError(
            message("while_loop", f"cond gave shape {going.shape}; it is one boolean.")
        )
    return bool(np.any(base(going)._data))


def _length(op: str, xs: Any, length: int | None) -> int:
    sizes = set()
    for x in tree.flatten(xs)[0]:
        if not x.ndim:
            raise ShapeError(message(op, "a 0-d array in xs has no axis to go along."))
        sizes.add(x.shape[0])
    if length is not None:
        sizes.add(length)
    if len(sizes) != 1:
        raise ShapeError(
            message(
                op,
                f"the lengths {sorted(sizes)} differ." if sizes else "neither xs nor length given.",
            )
        )
    return sizes.pop()
