"""What the tests of the compiler share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import gradarray as ga
from gradarray import tree
from gradarray.array import GradArray, wrap
from gradarray.testing.problem import direction, inner


def values(x: Any) -> Any:
    """The values of an array on or off a graph; anything else as it is."""
    return x.detach().numpy() if isinstance(x, GradArray) else x


def same(a: Any, b: Any, digits: float = 1e-12, where: str = "") -> None:
    """Equal pytrees; floating numbers to `digits` of the largest magnitude (sums reordered)."""
    (xs, form), (ys, other) = tree.flatten(a), tree.flatten(b)
    assert form == other, where
    for x, y in zip(map(values, xs), map(values, ys), strict=True):
        if not hasattr(y, "dtype"):
            assert x == y, where
            continue
        assert x.dtype == y.dtype and x.shape == y.shape, where
        if y.dtype.kind not in "fc":
            np.testing.assert_array_equal(x, y, where)
            continue
        size = float(np.max(np.abs(y), where=np.isfinite(y), initial=1.0))
        np.testing.assert_allclose(x, y, digits, digits * size, err_msg=where)


def in_every_mode(
    f: Callable[..., Sequence[Any]], xs: Sequence[Any], rng: np.random.Generator
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """What is made of f, from floating arrays to floating arrays: (in words, a function of xs)."""
    ws = [wrap(direction(rng, np.asarray(x._data))[()]) for x in xs]
    vs = [direction(rng, y._array) for y in f(*xs)]
    numbers = tuple(range(len(xs)))
    along = lambda *xs: inner(f(*xs), vs)
    slope = lambda *xs: ga.jvp(along, list(xs), ws)[1]
    yield "vjp", ga.grad(along, numbers)
    yield "jvp", lambda *xs: ga.jvp(f, list(xs), ws)[1]
    yield "second order", ga.grad(slope, numbers)


def floating(y: Any) -> list[Any]:
    """The floating arrays of a pytree; of complex ones both parts."""
    found = [x for x in tree.flatten(y)[0] if isinstance(x, GradArray) and x.dtype.kind in "fc"]
    return [
        part for x in found for part in ((ga.real(x), ga.imag(x)) if x.dtype.kind == "c" else (x,))
    ]
