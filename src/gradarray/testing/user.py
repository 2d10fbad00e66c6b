"""check: the derivatives of a user's function, compared with one another and with differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, from_user
from ..transforms.pull import grad
from ..transforms.push import jvp
from .draw import float_results, handle
from .numeric import (
    ROUNDINGS,
    Arrays,
    Where,
    complex_step,
    differences,
    eps_of,
    largest,
    quiet,
    rounding_bound,
    sensitivity,
)
from .problem import Problem, dot

# So many entries of an argument are compared one by one; a random direction covers all of them.
_ENTRIES = 12


@dataclass(frozen=True)
class Row:
    """Digits to which the derivatives in one argument agree; None where there is nothing to say."""

    argument: str
    shape: tuple[int, ...]
    digits: dict[str, float | None]


@dataclass(frozen=True)
class Report:
    """What `check` found: a table of digits of agreement with the reverse sweep."""

    rows: tuple[Row, ...]

    @property
    def digits(self) -> float:
        """The fewest digits to which two derivatives agree."""
        found = [d for row in self.rows for d in row.digits.values() if d is not None]
        return min(found)

    def __str__(self) -> str:
        titles = ["argument", "shape", *self.rows[0].digits]
        lines = [
            [row.argument, str(row.shape)]
            + ["-" if d is None else f"{d:.1f}" for d in row.digits.values()]
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in [titles, *lines]
        )

    __repr__ = __str__


def check(f: Callable[..., Any], *args: Any, order: int = 2) -> Report:
    r"""Compare the derivatives of f at `args`: reverse, forward, differences, complex step.

    In every floating argument (pytrees too), along random \dot x and \bar y, the reverse sweep
    \bar x = J^T \bar y is compared with the forward \langle \bar y, J \dot x \rangle, with
    extrapolated central differences of f, and with the complex step where f takes complex numbers
    and is analytic; then, up to `order`, derivatives of derivatives in both modes and by
    differences. Two derivatives must agree to 64 eps of the magnitudes involved, differences to
    their own estimated error. Returns the digits to which they do, as a table.

    Raises AssertionError naming the argument and the index where they do not, or where the
    differences do not settle (a kink, the edge of the domain); TypeError where no argument is
    floating. (Ridders, Adv. Eng. Softw. 4, 1982; Squire & Trapp, SIAM Rev. 40, 1998.)

    >>> import gradarray as ga
    >>> from gradarray.testing import check
    >>> report = check(lambda x, w: ga.sin(x * w["scale"]), [0.5, 1.0], {"scale": 2.0})
    >>> print(report)
    argument    shape  forward  differences  complex step  order 2
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
        alone = _Argument(problem, k, where / f"argument {name}")
        digits: dict[str, float | None] = {
            "forward": alone.against_forward(x_bars[k]),
            "differences": alone.against_differences(x_bars[k]),
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
        return tuple(float_results(f(*trees)))

    problem = Problem(of_floats, [leaves[k] for k in at], np.random.default_rng(0), where)
    if not problem.ys:
        raise TypeError(f"check: {label} gives no floating GradArray")
    return problem, [names[k] for k in at]


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


class _Argument:
    """The function with one of its arguments moving."""

    def __init__(self, problem: Problem, k: int, where: Where) -> None:
        self.problem, self.k, self.where = problem, k, where
        self.x = problem.xs[k]
        self.eps = eps_of([*problem.xs, *problem.ys])
        rng = np.random.default_rng(k)
        size = self.x.size
        chosen = range(size) if size <= _ENTRIES else rng.permutation(size)[:_ENTRIES]
        self.entries = [int(j) for j in chosen]
        self.whole = self.only(problem.ws[k])

    def only(self, w: np.ndarray) -> Arrays:
        ws = [np.zeros_like(x) for x in self.problem.xs]
        ws[self.k] = w
        return ws

    def unit(self, j: int) -> Arrays:
        w = np.zeros_like(self.x)
        w.flat[j] = 1
        return self.only(w)

    def against_forward(self, x_bar: np.ndarray) -> float:
        p = self.problem

        def slope(ws: Arrays) -> tuple[float, float]:
            total, size = dot(p.vs, p.pushed(p.xs, ws))
            return total, ROUNDINGS * self.eps * (size + largest(x_bar))

        return self.compare("forward", x_bar, slope)

    def against_differences(self, x_bar: np.ndarray) -> float:
        p = self.problem

        def slope(ws: Arrays) -> tuple[float, float]:
            found, errors = quiet(differences, p.values, p.xs, ws)
            total, size = dot(p.vs, found)
            error, _ = dot([np.abs(v) for v in p.vs], errors)
            if not error <= np.sqrt(self.eps) * max(size, 1.0):
                raise self.where.fail(
                    f"differences do not settle (estimated error {error:.2g}): a kink, or the edge "
                    "of the domain, lies within 0.03 of it"
                )
            return total, 4 * error + ROUNDINGS * self.eps * max(size, 1.0)

        return self.compare("differences", x_bar, slope)

    def against_complex_step(self, x_bar: np.ndarray) -> float | None:
        p = self.problem

        def f(xs: Arrays) -> Arrays:
            with graph.no_grad():
                return p.values(xs)

        exact = complex_step(f, p.xs, self.whole)
        if exact is None or [e.shape for e in exact] != [y.shape for y in p.ys]:
            return None
        pulled = dot([x_bar], [self.whole[self.k]])[0]
        if not np.isclose(dot(p.vs, exact)[0], pulled, rtol=1e-5, atol=1e-5):
            return None  # not analytic (abs, a maximum); differences have judged already
        moved = sensitivity(lambda xs: complex_step(f, xs, self.whole) or exact, p.xs, _rng())
        bound = sum(
            float(np.sum(rounding_bound(e, s, self.eps, True)))
            for e, s in zip(exact, moved, strict=True)
        )

        def slope(ws: Arrays) -> tuple[float, float]:
            return dot(p.vs, complex_step(f, p.xs, ws) or exact)[0], bound

        return self.compare("the complex step", x_bar, slope)

    def of_order(self, n: int) -> float:
        """Derivatives of order n along this argument: reverse over forward, and differences."""
        p, ws = self.problem, [handle(w) for w in self.whole]
        xs = [handle(x) for x in p.xs]
        below = p.along
        for _ in range(n - 2):
            below = _slope(below, ws)
        gradient = grad(below, self.k)
        over_reverse = jvp(gradient, xs, ws)[1]._array
        over_forward = grad(_slope(below, ws), self.k)(*xs)._array

        def pushed(args: Arrays) -> Arrays:
            return [jvp(gradient, [*map(handle, args)], ws)[1]._array]

        size = max(map(largest, [over_reverse, gradient(*xs)._array]))
        moved = largest(sensitivity(pushed, p.xs, _rng())[0])
        bound = ROUNDINGS * self.eps * (size + moved)
        title = f"derivative of order {n}, reverse over forward"
        modes = self.settle(title, over_forward, "forward over reverse", over_reverse, bound)
        found, errors = quiet(
            differences, lambda args: [gradient(*map(handle, args))._array], p.xs, self.whole, size
        )
        tolerance = 4 * errors[0] + ROUNDINGS * self.eps * max(size, 1.0)
        title = f"derivative of order {n}, forward over reverse"
        return min(modes, self.settle(title, over_reverse, "differences", found[0], tolerance))

    # Comparing ----------------------------------------------------------------------------------

    def compare(self, other: str, x_bar: np.ndarray, slope: Callable[..., Any]) -> float:
        """Digits of agreement: entry by entry for some, and along a direction for all."""
        got, bounds = np.zeros_like(x_bar, np.float64), np.zeros(x_bar.shape)
        seen = np.zeros(x_bar.shape, bool)
        for j in self.entries:
            got.flat[j], bounds.flat[j] = slope(self.unit(j))
            seen.flat[j] = True
        digits = self.settle("reverse", x_bar, other, np.where(seen, got, x_bar), bounds)
        along = dot([x_bar], [self.whole[self.k]])
        total, bound = slope(self.whole)
        bound += ROUNDINGS * self.eps * along[1]
        if abs(total - along[0]) <= bound:
            return digits
        # Some entry that was not looked at: find it.
        for j in np.flatnonzero(~seen):
            got.flat[j], bounds.flat[j] = slope(self.unit(int(j)))
        self.settle("reverse", x_bar, other, got, bounds)
        raise self.where.fail(
            f"along a random direction, reverse gives {along[0]!r}, {other} {total!r}, "
            f"bound {bound:.2g}, although all entries agree: one of them is not linear"
        )

    def settle(self, what: str, x: np.ndarray, other: str, y: np.ndarray, bound: Any) -> float:
        """Raise where x and y differ by more than the bound; else digits of agreement."""
        error = np.abs(x - y)
        wrong = ~(error <= bound)
        if wrong.any():
            at = tuple(
                map(int, np.unravel_index(int(np.argmax(np.where(wrong, error, -1))), x.shape))
            )
            limit = float(np.broadcast_to(bound, x.shape)[at])
            raise self.where.fail(
                f"at index {list(at)}, {what} gives {x[at]!r}, {other} {y[at]!r}: "
                f"difference {float(error[at]):.2g}, bound {limit:.2g}"
            )
        scale = max(largest(x), largest(y))
        worst = largest(error)
        if not worst or not scale:
            return -float(np.log10(self.eps))
        return float(-np.log10(worst / scale))


def _slope(f: Callable[..., Any], ws: list[Any]) -> Callable[..., Any]:
    return lambda *args: jvp(f, args, ws)[1]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)
