"""A function of arrays to be differentiated, at a point, with directions on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..array import GradArray
from ..transforms.pull import vjp
from ..transforms.push import jvp
from .draw import handle
from .numeric import Arrays, Where


class Problem:
    """f(*xs) -> floating results at `xs`, with tangents `ws` and cotangents `vs`."""

    def __init__(
        self,
        f: Callable[..., Sequence[GradArray]],
        xs: Arrays,
        rng: np.random.Generator,
        where: Where,
    ) -> None:
        self.f, self.xs, self.where = f, xs, where
        self.ws: Arrays = [direction(rng, x) for x in xs]
        self.ys: Arrays = self.values(xs)
        self.vs: Arrays = [direction(rng, y) for y in self.ys]

    def values(self, xs: Arrays) -> Arrays:
        """f without a graph."""
        return [y._array for y in self.f(*map(handle, xs))]

    def along(self, *xs: Any) -> Any:
        """The scalar <v, f(x)>."""
        return inner(self.f(*xs), self.vs)

    def pulled(self, xs: Arrays) -> Arrays:
        """J^T v by a reverse sweep."""
        _, pull = vjp(self.f, *map(handle, xs))
        return [x._array for x in pull(tuple(map(handle, self.vs)))]

    def pushed(self, xs: Arrays, ws: Arrays | None = None) -> Arrays:
        """J w by a forward sweep."""
        ws = self.ws if ws is None else ws
        _, y_dots = jvp(self.f, [*map(handle, xs)], [*map(handle, ws)])
        return [d._array for d in y_dots]


def direction(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    """Entries of either sign, away from 0, so that none goes unseen."""
    sizes = rng.uniform(0.5, 1.0, like.shape)
    out = np.asarray(np.where(rng.integers(0, 2, like.shape) == 1, sizes, -sizes))
    return out.astype(like.dtype)


def inner(xs: Sequence[Any], ws: Sequence[Any]) -> Any:
    """Sum of all products, as a scalar of the library."""
    total: Any = None
    for x, w in zip(xs, ws, strict=True):
        term = (x * w).sum()
        total = term if total is None else total + term
    return total


def dot(xs: Arrays, ws: Arrays) -> tuple[float, float]:
    """Sum of all products, and of their magnitudes."""
    products = [np.ravel(x * w).astype(float) for x, w in zip(xs, ws, strict=True)]
    flat = np.concatenate(products)
    return float(flat.sum()), float(np.abs(flat).sum())
