"""check: the derivatives of a user's function, compared with one another and with differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, from_user
from .argument import Argument
from .draw import float_results, handle
from .numeric import Where
from .problem import Problem
from .report import Report, Row


def check(f: Callable[..., Any], *args: Any, order: int = 2) -> Report:
    r"""Compare the derivatives of f at `args`: reverse, forward, Taylor, differences, complex step.

    In every floating argument (pytrees too), along random \dot x and \bar y, the reverse sweep
    \bar x = J^T \bar y is compared with the forward \langle \bar y, J \dot x \rangle, with that
    of Taylor series, with Richardson-extrapolated central differences of f, and with the complex
    step where f takes complex numbers and is analytic; then, up to `order`, derivatives of
    derivatives in both modes, by series and by differences. Two derivatives must agree to 64 eps of
    the magnitudes involved, differences to their own estimated error. Returns the digits to which
    they do, as a table; "-" stands where a mode says nothing (a rule of yours that cannot run on
    series).

    Raises AssertionError naming the argument and the index where they do not, or where the
    differences do not settle (a kink, the edge of the domain); TypeError where no argument is
    floating, or f gives plain numbers. (Ridders, Adv. Eng. Softw. 4, 1982; Squire & Trapp,
    SIAM Rev. 40, 1998; Griewank & Walther, "Evaluating Derivatives", 2nd ed., chapter 13.)

    >>> import gradarray as ga
    >>> from gradarray.testing import check
    >>> report = check(lambda x, w: ga.sin(x * w["scale"]), [0.5, 1.0], {"scale": 2.0})
    >>> print(report)
    argument    shape  forward  Taylor  Richardson  complex step  order 2
    x           (2,)   1...
    w['scale']  ()     1...
    >>> report.digits > 9
    True
    """
    with np.errstate(all="ignore"):  # a value that is not finite is said in words
        return _checked(*_problem_of(f, args), order)


def _checked(problem: Problem, names: list[str], order: int) -> Report:
    where = problem.where
    for y, again in zip(problem.ys, problem.values(problem.xs), strict=True):
        if not np.array_equal(y, again, equal_nan=True):
            raise where.fail("two calls with the same arguments gave two results; is it random?")
        if not np.isfinite(y).all():
            raise where.fail("the result is not finite here, so nothing can be compared")
    x_bars = problem.pulled(problem.xs)
    rows = []
    for k, name in enumerate(names):
        alone = Argument(problem, k, where / f"argument {name}")
        digits: dict[str, float | None] = {
            "forward": alone.against_forward(x_bars[k]),
            "Taylor": alone.against_series(x_bars[k]),
            "Richardson": alone.against_differences(x_bars[k]),
            "complex step": alone.against_complex_step(x_bars[k]),
        }
        for n in range(2, order + 1):
            digits[f"order {n}"] = alone.of_order(n)
        rows.append(Row(name, problem.xs[k].shape, digits))
    return Report(tuple(rows))


def _problem_of(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Problem, list[str]]:
    """f as a function of its floating arrays alone, and what these are called."""
    label = getattr(f, "__name__", None) or type(f).__name__
    where = Where(label)
    leaves: list[Any] = []
    forms, names = [], []
    for arg, name in zip(args, _names(f, len(args)), strict=True):
        # A list of numbers is an array, as it is for ga.array; a list of arrays is a pytree.
        if isinstance(arg, list) and all(isinstance(x, (int, float, list)) for x in arg):
            arg = from_user(arg)
        found, form = tree.flatten(arg)
        leaves += [_data(x) for x in found]
        forms.append(form)
        names += [name + path for path in tree.paths(form)]
    at = [k for k, x in enumerate(leaves) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if not at:
        raise TypeError(f"check: no floating argument of {label} to differentiate")

    def of_floats(*xs: GradArray) -> tuple[GradArray, ...]:
        full = [handle(x) if isinstance(x, np.ndarray) else x for x in leaves]
        for k, x in zip(at, xs, strict=True):
            full[k] = x
        rest = iter(full)
        trees = [tree.unflatten(form, [next(rest) for _ in tree.paths(form)]) for form in forms]
        y = f(*trees)
        _refuse_plain(y, label)
        return tuple(float_results(y))

    problem = Problem(of_floats, [leaves[k] for k in at], np.random.default_rng(0), where)
    if not problem.ys:
        raise TypeError(f"check: {label} gives no floating GradArray")
    return problem, [names[k] for k in at]


def _refuse_plain(y: Any, label: str) -> None:
    leaves, form = tree.flatten(y)
    for x, path in zip(leaves, tree.paths(form), strict=True):
        if isinstance(x, (int, float, complex, np.ndarray, np.number)):
            raise TypeError(
                f"check: the result{path} of {label} is a plain {type(x).__name__}: it does not "
                "depend on the arguments, or has left the graph (by float(), .item(), .numpy()). "
                "Return what gradarray functions gave, and ga.array(y) where y is a constant."
            )


def _data(x: Any) -> Any:
    if isinstance(x, GradArray):
        return x._array.copy()
    if isinstance(x, (float, np.ndarray, np.floating)):
        return np.array(x)
    return x


def _names(f: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # a built-in without a signature
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [named[k] if k < len(named) else str(k) for k in range(count)]
