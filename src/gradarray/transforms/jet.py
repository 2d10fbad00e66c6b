"""jet, derivative, directional: derivatives of any order in one walk of power series."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..algebra import given
from ..array import GradArray, data_of, has_values, wrap
from ..errors import ShapeError, message
from ..graph import mode
from . import series_custom, series_rules
from .analytic import check_arguments, check_results
from .arguments import Arguments, call, completed, matching, outputs
from .batch import Batched, entering, later_levels, only_levels
from .orders import Orders, up_to
from .pull import differentiable, is_nan
from .series import Walk

__all__ = ["derivative", "directional", "jet"]

_RULES = (series_custom, series_rules)  # imported for what they declare


def series_to(
    ys: Sequence[GradArray],
    xs: Sequence[GradArray],
    seeds: Sequence[Sequence[Any]],
    orders: Orders,
    *,
    attach: bool,
    op: str,
) -> list[list[Any] | None]:
    """The coefficients 1, 2, .. of `ys` (None where y does not move, or for an exact zero).

    `seeds` are those of `xs`. The walk is recorded if `attach` allows it and it reaches anything
    older than `xs`, or a coefficient is itself differentiable.
    """
    roots = [y._node for y in ys if y._node is not None]
    came = [c for coefficients in seeds for c in coefficients if c is not None]
    nodes = [x._node for x in xs if x._node is not None]
    order, older = graph.ancestry(roots, min(node.seq for node in nodes))
    for node in order:
        if node.saved is None:
            graph.check_alive(node, op)
    recorded = attach and (older or differentiable(came))
    batched = [c for c in came if type(c) is Batched]

    def run(wrapped: bool, absorbing: bool) -> list[list[Any] | None]:
        walk = Walk(orders, wrapped=wrapped, absorbing=absorbing)
        found: dict[Any, Any] = {}
        for x, coefficients in zip(xs, seeds, strict=True):
            entered = [None if c is None else _entered(c, x, wrapped) for c in coefficients]
            x0 = x._base() if wrapped else data_of(x._base())
            found[x._node] = walk.seed([x0, *entered])
        walk.through(order, found, set(roots))
        return [found[y._node].c[1:] if y._node in found else None for y in ys]

    outer = mode.raw
    with np.errstate(all="ignore"):
        if recorded or batched:
            mode.raw = 0
            levels = only_levels(later_levels(batched)) if batched else contextlib.nullcontext()
            try:
                recording = graph.recording() if recorded else graph.no_grad()
                with levels, recording, graph.sweeping():
                    return run(wrapped=True, absorbing=True)
            finally:
                mode.raw = outer
        with graph.raw_sweep():
            found = run(wrapped=False, absorbing=False)
            if is_nan([c for cs in found if cs is not None for c in cs if c is not None]):
                found = run(wrapped=False, absorbing=True)
            return found


def _entered(c: Any, x: GradArray, wrapped: bool) -> Any:
    c = entering(c, x)
    if wrapped:
        return c if isinstance(c, GradArray) else wrap(c)
    return data_of(c) if isinstance(c, GradArray) else c


def taylor(
    f: Callable[..., Any],
    arguments: Arguments,
    seeds: Sequence[Sequence[Any]],
    orders: Orders,
    op: str,
    kwargs: dict[str, Any] | None = None,
) -> tuple[Any, list[Any]]:
    """(y, [its coefficients 1, 2, ..]), each a pytree of y's structure, for those of arguments."""
    attach = mode.grad
    y, _ = call(f, arguments, kwargs or {}, False)
    ys, form = outputs(y, op)
    found = series_to(ys, arguments.aliases, seeds, orders, attach=attach, op=op)
    terms = []
    for k in range(orders.count - 1):
        values = completed(ys, [None if c is None else c[k] for c in found])
        terms.append(tree.unflatten(form, values))
    return arguments.leave(tree.unflatten(form, ys), attach), terms


def exact_zero(c: GradArray) -> bool:
    """A coefficient that is 0 everywhere, and on no graph: nothing need be computed with it."""
    return type(c) is GradArray and c._node is None and has_values(c) and not np.any(c._data)


def jet(
    f: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Any],
    *,
    factorial_scaled: bool = True,
) -> tuple[Any, Any]:
    r"""(y, [y_1, .., y_K]): the truncated Taylor series of f along a curve, of any order K.

    With x(t) = x_0 + x_1 t + x_2 t^2/2! + .. + x_K t^K/K!, `primals` holds x_0 of every argument
    and `series` the list [x_1, .., x_K]; the result is y = f(x_0) and y_k = d^k f(x(t))/dt^k at
    t = 0: on both sides derivatives, not divided by k!. With `factorial_scaled=False` both are
    Taylor coefficients, x(t) = \sum x_k t^k. [v, 0, .., 0] gives the derivatives along v.

    An argument may be a pytree: its series then has that structure, with a list of K arrays in
    place of every array, and so has the result. Arrays have the shape and dtype of their primal.
    The cost is O(K^2) evaluations of f for K orders. Raises TypeError where structures or numbers
    of orders differ, ShapeError and DTypeError for a coefficient that does not fit, RuleError
    naming an op whose rule cannot run on series. (Griewank & Walther, "Evaluating Derivatives",
    2nd ed., 2008, chapter 13; Bettencourt, Johnson, Duvenaud, "Taylor-mode automatic
    differentiation for higher-order derivatives in JAX", 2019.)

    >>> import gradarray as ga
    >>> y, (y1, y2, y3) = ga.jet(lambda x: x**3, (2.0,), ([1.0, 0.0, 0.0],))
    >>> y1, y2, y3  # 3 x^2, 6 x, 6
    (GradArray(12., dtype=float64), GradArray(12., dtype=float64), GradArray(6., dtype=float64))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(series, (tuple, list)):
        raise TypeError(
            message("jet", "primals and series are tuples, one entry per argument of f.")
        )
    if len(primals) != len(series):
        raise TypeError(
            message("jet", f"{len(primals)} primals and {len(series)} series.", "One for each.")
        )
    arguments = Arguments(tuple(primals), tuple(range(len(primals))), "jet")
    lists: list[Any] = []
    for k, (x, terms) in enumerate(zip(primals, series, strict=True)):
        lists += _lists(x, terms, f"series[{k}]")
    count = len(lists[0])
    for terms in lists:
        if len(terms) != count:
            raise TypeError(
                message(
                    "jet",
                    f"one argument has {count} coefficients, another {len(terms)}.",
                    "Fill up with zeros: all series are cut at the same order.",
                )
            )
    form = tree.flatten(tuple(primals))[1]
    seeds: list[list[Any]] = [[] for _ in lists]
    factors = [_factorial(k) if factorial_scaled else 1.0 for k in range(1, count + 1)]
    for k, factor in enumerate(factors):
        kth = tree.unflatten(form, [terms[k] for terms in lists])
        checked = matching(kth, arguments.aliases, form, "jet", f"coefficient {k + 1}")
        for seed, c in zip(seeds, checked, strict=True):
            zero = exact_zero(c)
            seed.append(None if zero else c if factor == 1 else c / factor)
    y, terms = taylor(f, arguments, seeds, up_to(count), "jet")
    terms = [
        t if factor == 1 else tree.map(lambda c, n=factor: c * n, t)
        for t, factor in zip(terms, factors, strict=True)
    ]
    leaves, y_form = tree.flatten(y)
    columns = [tree.flatten(t)[0] for t in terms]
    return y, tree.unflatten(y_form, [[c[n] for c in columns] for n in range(len(leaves))])


def _lists(x: Any, terms: Any, path: str) -> list[Any]:
    """The lists of coefficients of every array in x, from a pytree of x's structure."""
    if x is None:
        return []
    if isinstance(x, dict):
        if isinstance(terms, dict) and terms.keys() == x.keys():
            return [t for k in x for t in _lists(x[k], terms[k], f"{path}[{k!r}]")]
    elif isinstance(x, (tuple, list)):
        if isinstance(terms, (tuple, list)) and len(terms) == len(x):
            pairs = enumerate(zip(x, terms, strict=True))
            return [t for k, (a, b) in pairs for t in _lists(a, b, f"{path}[{k}]")]
    elif isinstance(terms, (tuple, list)):
        return [list(terms)]
    else:
        raise TypeError(
            message(
                "jet",
                f"{path} is one {type(terms).__name__}, expected a list of coefficients.",
                "Write [x_1, .., x_K], or [v] for the first derivative along v.",
            )
        )
    raise TypeError(
        message(
            "jet",
            f"{path} is {type(terms).__name__}, for a primal that is {type(x).__name__}.",
            "A series has its primal's structure, with a list of coefficients for each array.",
        )
    )


def _factorial(k: int) -> float:
    if k > 170:
        raise ValueError(
            message(
                "jet",
                f"order {k}: its factorial is beyond float64.",
                "Ask for Taylor coefficients, with factorial_scaled=False.",
            )
        )
    return float(math.factorial(k))


def derivative(
    f: Callable[..., Any], n: int = 1, *, holomorphic: bool = False
) -> Callable[..., Any]:
    r"""f^{(n)}, the n-th derivative of a function of one number, in its first argument.

    Of an array it is taken element by element: f must be elementwise there, y_i = f(x_i). One walk
    of series of order n, at O(n^2) evaluations of f; the function that is returned takes f's
    arguments, and nests. Complex numbers need `holomorphic`: f is analytic in them. Raises
    ValueError for a negative n, ShapeError where f gives an array of another shape, DTypeError for
    integers, and for complex numbers without `holomorphic`. (Griewank & Walther, "Evaluating
    Derivatives", 2nd ed., 2008, section 13.1.)

    >>> import gradarray as ga
    >>> ga.derivative(lambda x: x**4, 3)(ga.array([1.0, 2.0]))
    GradArray([24., 48.], dtype=float64)
    """
    _check_order("derivative", n)

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def nth(x: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = Arguments((x, *args), 0, "derivative")
        check_arguments("derivative", arguments.aliases, holomorphic)
        ones = [wrap(np.ones(a.shape, a.dtype)[()]) for a in arguments.aliases]
        if mode.levels:
            ones = [given.on_all_levels(one) for one in ones]
        y = _last(_elementwise(f, arguments.aliases), arguments, ones, n, "derivative", kwargs)
        if holomorphic:
            check_results("derivative", *outputs(y, "derivative"), True, forward=True)
        return y

    return nth


def _elementwise(f: Callable[..., Any], xs: Sequence[GradArray]) -> Callable[..., Any]:
    """f, its result checked: that of an array of points has a value for each."""
    if not callable(f) or len(xs) != 1 or not xs[0].ndim:
        return f
    shape = xs[0].shape

    def checked(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        if isinstance(y, GradArray) and y.shape != shape:
            raise ShapeError(
                message(
                    "derivative",
                    f"the result has shape {y.shape}, the argument {shape}: the function does not "
                    "treat each element alone.",
                    "Use ga.directional or ga.jet, or ga.grad of a scalar function.",
                )
            )
        return y

    return checked


def directional(f: Callable[..., Any], x: Any, v: Any, order: int = 1) -> Any:
    r"""D_v^k f(x) = d^k f(x + t v)/dt^k at t = 0, the derivative of order k along v.

    x and v are arrays, or pytrees of one structure; f takes x. Raises ValueError for a negative
    order, ShapeError and DTypeError where v does not fit x. (Griewank & Walther, "Evaluating
    Derivatives", 2nd ed., 2008, section 13.1.)

    >>> import gradarray as ga
    >>> x, v = ga.array([1.0, 2.0]), ga.array([1.0, -1.0])
    >>> ga.directional(lambda x: x[0] * x[1] ** 2, x, v, order=2)  # v^T H v
    GradArray(-6., dtype=float64)
    """
    _check_order("directional", order)
    arguments = Arguments((x,), 0, "directional")
    vs = matching(v, arguments.aliases, tree.flatten(x)[1], "directional", "direction")
    return _last(f, arguments, vs, order, "directional", {})


def _check_order(op: str, n: Any) -> None:
    if not isinstance(n, int) or n < 0:
        raise ValueError(message(op, f"order {n!r} is not a whole number, 0 or more."))


def _last(
    f: Callable[..., Any],
    arguments: Arguments,
    vs: Sequence[GradArray],
    n: int,
    op: str,
    kwargs: dict[str, Any],
) -> Any:
    """The derivative of order n along vs."""
    seeds = [[v, *[None] * (n - 1)] for v in vs] if n else [[] for _ in vs]
    factor = _factorial(n)
    y, terms = taylor(f, arguments, seeds, up_to(n), op, kwargs)
    if not n:
        return y
    return terms[-1] if n == 1 else tree.map(lambda c: c * factor, terms[-1])
