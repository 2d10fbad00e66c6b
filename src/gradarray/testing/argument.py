"""One argument of a function, moving: each of its derivatives against the reverse sweep's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import graph
from ..errors import RuleError
from ..transforms.jet import jet
from ..transforms.pull import grad
from ..transforms.push import jvp
from .draw import handle
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


class Argument:
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

    def against_series(self, x_bar: np.ndarray) -> float | None:
        def slope(ws: Arrays) -> tuple[float, float]:
            total, size = self.of_series(ws, 1)
            return total, ROUNDINGS * self.eps * (size + largest(x_bar))

        try:
            return self.compare("Taylor", x_bar, slope)
        except RuleError:  # a rule that asks for values, which series do not have
            return None

    def of_series(self, ws: Arrays, n: int) -> tuple[float, float]:
        """The derivative of order n along ws by one walk of series, and the size of its terms."""
        p = self.problem
        series = [[w, *[np.zeros_like(w)] * (n - 1)] for w in ws]
        _, terms = jet(p.f, [*map(handle, p.xs)], series)
        return dot(p.vs, [of_result[n - 1]._array for of_result in terms])

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

        return self.compare("Richardson's differences", x_bar, slope)

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
        """Derivatives of order n along this argument: in both modes, by series, by differences."""
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
        modes = min(modes, self.series_of_order(n, over_reverse, bound))
        found, errors = quiet(
            differences, lambda args: [gradient(*map(handle, args))._array], p.xs, self.whole, size
        )
        tolerance = 4 * errors[0] + ROUNDINGS * self.eps * max(size, 1.0)
        title = f"derivative of order {n}, forward over reverse"
        other = "Richardson's differences"
        return min(modes, self.settle(title, over_reverse, other, found[0], tolerance))

    def series_of_order(self, n: int, over_reverse: np.ndarray, bound: float) -> float:
        w = self.whole[self.k]
        nested = np.asarray(dot([over_reverse], [w])[0])
        try:
            total, size = self.of_series(self.whole, n)
        except RuleError:
            return -float(np.log10(self.eps))
        bound = bound * float(np.abs(w).sum()) + ROUNDINGS * self.eps * size
        title = f"derivative of order {n} along a direction, forward over reverse"
        return self.settle(title, nested, "Taylor", np.asarray(total), bound)

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
                f"at index {list(at)}, {what} gives {float(x[at])!r}, "
                f"{other} {float(y[at])!r}: "
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
