"""Derivatives of order 0 to 4 along a direction, by every route the library has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...array import GradArray
from ...ops.reduce import sum
from ...transforms.jet import jet
from ...transforms.pull import grad
from ...transforms.push import jvp
from ..numeric import quiet
from ..problem import inner
from .exact import ORDERS

Function = Callable[..., Any]
MODES = ("reverse", "forward", "forward over reverse", "reverse over forward", "Taylor")


class Along:
    """f at xs, differentiated along vs by one step of one mode.

    `elementwise`: f gives as many values as each operand has, each depending on its own; every one
    is differentiated. Otherwise f gives one number.
    """

    def __init__(self, xs: Sequence[Any], vs: Sequence[Any], elementwise: bool) -> None:
        self.xs, self.vs, self.elementwise = tuple(xs), tuple(vs), elementwise
        self.argnums = tuple(range(len(self.xs)))

    def reverse(self, f: Function) -> Function:
        if not self.elementwise:
            return lambda *xs: inner(grad(f, self.argnums)(*xs), self.vs)

        def slope(*xs: Any) -> Any:
            total: Any = None
            for g, v in zip(grad(lambda *xs: sum(f(*xs)), self.argnums)(*xs), self.vs, strict=True):
                if np.any(v):
                    term = g if np.all(v == 1) else g * v
                    total = term if total is None else total + term
            return total

        return slope

    def forward(self, f: Function) -> Function:
        return lambda *xs: jvp(f, xs, self.vs)[1]

    def taylor(self, f: Function) -> list[Any]:
        """All orders in one walk."""
        zeros = [np.zeros_like(v) for v in self.vs]
        seeds = [[v, *[zero] * (ORDERS - 1)] for v, zero in zip(self.vs, zeros, strict=True)]
        return list(jet(f, self.xs, seeds)[1])

    def every(self, f: Function) -> dict[str, list[np.ndarray]]:
        """{mode: the derivatives of order 1 to 4 (2 to 4 where two modes are mixed)}."""
        reverse, forward = [f], [f]
        for _ in range(ORDERS):
            reverse.append(self.reverse(reverse[-1]))
            forward.append(self.forward(forward[-1]))
        over_reverse, over_forward = [reverse[1]], [forward[1]]
        for _ in range(ORDERS - 1):
            over_reverse.append(self.forward(over_reverse[-1]))
            over_forward.append(self.reverse(over_forward[-1]))
        routes = (reverse[1:], forward[1:], over_reverse[1:], over_forward[1:])
        found: dict[str, list[np.ndarray]] = {}
        for mode, functions in zip(MODES, routes, strict=False):
            found[mode] = [array_of(quiet(g, *self.xs)) for g in functions]
        found["Taylor"] = [array_of(y) for y in quiet(self.taylor, f)]
        return found


def array_of(y: Any) -> np.ndarray:
    """The ndarray of a result, whatever it is."""
    return y._array if isinstance(y, GradArray) else np.asarray(y)
