"""partials: named derivatives of a function of rows by the columns of its input, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import graph, tree
from ..array import GradArray, lift, wrap
from ..errors import RuleError, ShapeError, UnknownNameError, message
from ..ops.control import alias
from ..ops.join import stack
from ..ops.shape import reshape
from .analytic import check_arguments, check_results
from .arguments import Arguments, call, completed, constant
from .jet import series_to
from .orders import Index, Orders, closure
from .pull import pull_to
from .push import push_to

__all__ = ["partials"]


class Plan(NamedTuple):
    """How partials were computed: the mode taken, and what each would cost.

    The unit is one evaluation of the function; `refused` says why a mode could not be taken.
    """

    names: tuple[Any, ...]
    mode: str
    costs: dict[str, int]
    refused: dict[str, str]

    def __str__(self) -> str:
        names = ", ".join(_shown(name) for name in self.names)
        lines = [f"{names or 'nothing'}: {self.mode} mode"]
        for name, cost in self.costs.items():
            mark = "*" if name == self.mode else " "
            why = f"; not possible: {self.refused[name]}" if name in self.refused else ""
            lines.append(f"{mark} {name:8} {cost:4} evaluations{why}")
        return "\n".join(lines)


class Partials(dict[Any, GradArray]):
    """The partials by name; `plan` says how they were computed."""

    plan: Plan | None = None


def partials(
    f: Callable[[Any], Any],
    X: Any,
    columns: str | Sequence[str],
    of: str | Iterable[Any],
    *,
    mode: str = "auto",
) -> Partials:
    r"""A dict of named partial derivatives of f(X) by the columns of X, as equations need them.

    {name: \partial^{|a|} f / \partial x_1^{a_1} .. \partial x_d^{a_d}}. Each row of X, of shape
    (N, d), is one point, and `columns` names its d coordinates: a letter each, "tx", or a sequence
    of names. `of` says what is wanted: "" is f(X) itself, "t" its derivative by t, "tx" the mixed
    one, of any order; with longer names a tuple, ("time", "x"). Each result has the shape of f(X),
    (N,) or (N, m), and is differentiable in its turn, by the weights of a network, by X, to any
    order. X of shape (d,) is a single point.

    **f must treat each row by itself**, as layers do: results then are derivatives of a row by its
    own point. A function that mixes rows (batch normalisation in training, a mean over the batch)
    cannot be told from one that does not, and gives the sum over rows.

    f runs once. From there on `mode` is "taylor" (one walk of power series in all columns),
    "forward" (tangents of tangents) or "reverse" (sweeps back, each giving all columns at once);
    "auto" takes the one of fewest evaluations, and `plan` of the result, printed, says which.
    Taylor mode costs one evaluation per derivative on the way, reverse mode gains where one result
    has many first derivatives.

    Raises UnknownNameError for a column that is not there, ShapeError where `columns` does not fit
    X or where f(X) is not one result per row, DTypeError for integers, for complex X, and for
    reverse mode of a complex f(X). (Series in several variables: Berz, "Differential algebraic
    description of beam dynamics to very high orders", Particle Accelerators 24, 1989; equations of
    networks: Raissi, Perdikaris & Karniadakis, "Physics-informed neural networks", Journal of
    Computational Physics 378, 2019.)

    >>> import gradarray as ga
    >>> f = lambda X: ga.exp(X[:, 0]) * X[:, 1] ** 3
    >>> u = ga.partials(f, [[0.0, 1.0], [0.0, 2.0]], columns="tx", of=("", "t", "xx"))
    >>> u["xx"]  # 6 x exp(t)
    GradArray([ 6., 12.], dtype=float64)
    >>> print(u.plan)
    u, u_t, u_xx: taylor mode
    * taylor      4 evaluations
      forward     5 evaluations
      reverse     7 evaluations
    """
    X = lift(X, "partials")
    columns = _columns(columns, X)
    wanted = {name: _index(name, columns) for name in ((of,) if isinstance(of, str) else of)}
    orders = closure((*wanted.values(), (0,) * len(columns)))
    attach = graph.mode.grad
    arguments = Arguments((X,), 0, "partials")
    check_arguments("partials", arguments.aliases, None)
    (x,) = arguments.aliases
    # What is recorded of a walk starts here, so that the next one can go on from it.
    inner: list[GradArray] = []

    def through(x: GradArray) -> Any:
        inner.append(alias(x))
        return f(inner[0])

    y, _ = call(through, arguments, {}, False)
    y = _result(y, X)
    check_results("partials", [y], tree.LEAF, None, forward=mode != "reverse")
    costs = _costs(orders, max(1, y.size // max(1, X.size // len(columns))))
    # Of complex results the real part alone could be pulled back to real X.
    refused = {"reverse": "the result is complex"} if y.dtype.kind == "c" else {}
    found, chosen = {}, ""
    for chosen in _candidates(mode, costs, refused):
        try:
            with graph.recording():
                found = MODES[chosen](y, x if chosen == "taylor" else inner[0], orders, attach)
            break
        except RuleError as error:
            if mode != "auto" or chosen != "taylor":
                raise
            refused[chosen] = str(error).splitlines()[0]
    out = Partials({name: arguments.leave(found[a], attach) for name, a in wanted.items()})
    out.plan = Plan(tuple(wanted), chosen, costs, refused)
    return out


# Names ------------------------------------------------------------------------------------------


def _columns(columns: str | Sequence[str], X: GradArray) -> tuple[str, ...]:
    names = tuple(columns)
    if not X.ndim or X.shape[-1] != len(names):
        raise ShapeError(
            message(
                "partials",
                f"columns={columns!r} names {len(names)} columns, and X has shape {X.shape}.",
                "X has one row per point, (N, d), and `columns` a name for each of the d.",
            )
        )
    if len(set(names)) < len(names):
        raise ValueError(message("partials", f"columns={columns!r} has one name twice."))
    return names


def _index(name: Any, columns: tuple[str, ...]) -> Index:
    """How often a name asks for the derivative by each column."""
    if isinstance(name, str):
        letters = tuple(name)
        if name in columns:
            if len(letters) > 1 and all(letter in columns for letter in letters):
                raise ValueError(
                    message(
                        "partials",
                        f"{name!r} may be the column, or the derivative by {letters}.",
                        f"Say ({name!r},) or {letters}.",
                    )
                )
            letters = (name,)
    else:
        letters = tuple(name)
    for letter in letters:
        if letter not in columns:
            listed = ", ".join(map(repr, columns))
            raise UnknownNameError(
                message(
                    "partials",
                    f"{letter!r} in {name!r} is no column; they are {listed}.",
                    "" if all(len(c) == 1 for c in columns) else "Join longer names in a tuple.",
                )
            )
    return tuple(letters.count(column) for column in columns)


def _shown(name: Any) -> str:
    joined = name if isinstance(name, str) else " ".join(name)
    return f"u_{joined}" if joined else "u"


def _result(y: Any, X: GradArray) -> GradArray:
    if isinstance(y, (tuple, list, dict)) or y is None:
        raise TypeError(
            message("partials", f"the function returned {type(y).__name__}, not one array.")
        )
    y = y if isinstance(y, GradArray) else constant(y, "partials")
    rows = X.shape[:-1]
    if y.shape[: len(rows)] != rows:
        raise ShapeError(
            message(
                "partials",
                f"the function gave shape {y.shape} for X of shape {X.shape}.",
                f"It gives one result, or a row of m, for each point: {rows} or {(*rows, 'm')}.",
            )
        )
    return y


# What a mode costs --------------------------------------------------------------------------------


def _costs(orders: Orders, outputs: int) -> dict[str, int]:
    """Evaluations of the function, its own included.

    A derivative taken on a graph of g evaluations costs g more, and its graph has 2 g; series
    have one coefficient for every derivative on the way.
    """
    size, forward, reverse = {0: 1}, 1, 1
    swept = set()
    for k, below in _steps(orders):
        size[k] = 2 * size[below]
        forward += size[below]
        if below not in swept:
            swept.add(below)
            reverse += 2 * outputs * size[below]
    return {"taylor": orders.count, "forward": forward, "reverse": reverse}


def _candidates(mode: str, costs: dict[str, int], refused: dict[str, str]) -> list[str]:
    if mode == "auto":
        return sorted([name for name in costs if name not in refused], key=costs.__getitem__)
    if mode not in MODES:
        listed = ", ".join(map(repr, ("auto", *MODES)))
        raise ValueError(message("partials", f"mode={mode!r} is none of {listed}."))
    return [mode]


def _steps(orders: Orders) -> Iterator[tuple[int, int]]:
    """(k, below): derivative k is that of the one below by one column; lower orders first."""
    for k in range(1, orders.count):
        yield k, orders.lower[k][2]


# The modes ----------------------------------------------------------------------------------------


def _unit(x: GradArray, column: int) -> GradArray:
    """The direction in which one column moves, in every row."""
    unit = np.zeros(x.shape, x.dtype)
    unit[..., column] = 1
    return wrap(unit)


def _taylor(y: GradArray, x: GradArray, orders: Orders, attach: bool) -> dict[Index, GradArray]:
    seeds: list[Any] = [None] * (orders.count - 1)
    for k, a in enumerate(orders.indices[1:]):
        if sum(a) == 1:
            seeds[k] = _unit(x, a.index(1))
    found = {orders.indices[0]: y}
    (terms,) = series_to([y], [x], [seeds], orders, attach=attach, op="partials")
    for k, a in enumerate(orders.indices[1:], 1):
        (c,) = completed([y], [None if terms is None else terms[k - 1]])
        factor = orders.factorial(k)
        found[a] = c if factor == 1 else c * factor
    return found


def _forward(y: GradArray, x: GradArray, orders: Orders, attach: bool) -> dict[Index, GradArray]:
    found = [y]
    inside = {below for _, below in _steps(orders)}
    for k, below in _steps(orders):
        unit = _unit(x, orders.lower[k][0])
        dots = push_to([found[below]], [x], [unit], attach=attach or k in inside)
        found += completed([y], dots)
    return dict(zip(orders.indices, found, strict=True))


def _reverse(y: GradArray, x: GradArray, orders: Orders, attach: bool) -> dict[Index, GradArray]:
    found = [y]
    inside = {below for _, below in _steps(orders)}
    slopes: dict[int, list[GradArray]] = {}
    for k, below in _steps(orders):
        if below not in slopes:
            again = attach or any(b == below and j in inside for j, b in _steps(orders))
            slopes[below] = [_slope(found[below], x, bar, again) for bar in _bars(x, y)]
        parts = [slope[..., orders.lower[k][0]] for slope in slopes[below]]
        found.append(parts[0] if y.shape == parts[0].shape else _joined(parts, y))
    return dict(zip(orders.indices, found, strict=True))


def _bars(x: GradArray, y: GradArray) -> Iterator[GradArray]:
    """For each of the results of a row, 1 there in every row."""
    rows = x.shape[:-1]
    for at in np.ndindex(y.shape[len(rows) :]):
        bar = np.zeros(y.shape, y.dtype)
        bar[(..., *at)] = 1
        yield wrap(bar)


def _slope(y: GradArray, x: GradArray, bar: GradArray, attach: bool) -> GradArray:
    assert x._node is not None
    found, _ = pull_to([y], [bar], [x._node], attach=attach, op="partials")
    return completed([x], found)[0]


def _joined(parts: list[GradArray], y: GradArray) -> GradArray:
    return reshape(stack(parts, axis=-1), y.shape)


MODES: dict[str, Callable[..., dict[Index, GradArray]]] = {
    "taylor": _taylor,
    "forward": _forward,
    "reverse": _reverse,
}
