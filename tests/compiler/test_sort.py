"""Sorting and searching in compiled code, against NumPy on every kind of key."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga

RNG = np.random.default_rng(0)
FORMS = [(dtype, n, -1) for dtype in ("f8", "f4", "i8", "i1", "u8", "?") for n in (2, 49, 1000)]
FORMS += [("f8", 1, -1), ("f8", 48, 0), ("f4", 300, 0), ("u2", 100, 0)]


def keys(shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers with many that are equal; of floating ones also NaN, infinities and both zeros."""
    x = np.round(RNG.normal(size=shape) * 5)
    if dtype[0] == "f":
        x = np.where(RNG.random(shape) < 0.3, RNG.normal(size=shape), x)
        special = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324])
        x = np.where(RNG.random(shape) < 0.3, RNG.choice(special, shape), x)
    elif dtype[0] == "u":
        x = np.abs(x)
    return x.astype(dtype)


def compiled(f: Any, *xs: Any) -> Any:
    """f(*xs) by native code alone."""
    step = ga.compile(f)
    y = step(*map(ga.array, xs))
    assert "on the host" not in step.show("loops")
    return tuple(part.numpy() for part in y) if isinstance(y, tuple) else y.numpy()


@pytest.mark.parametrize(("dtype", "n", "axis"), FORMS)
def test_the_order_is_numpys(dtype: str, n: int, axis: int):
    x = keys((3, n) if axis else (n, 3), dtype)
    expected = np.argsort(x, axis, kind="stable")
    np.testing.assert_array_equal(compiled(lambda x: ga.argsort(x, axis), x), expected)
    y = compiled(lambda x: ga.sort(x, axis), x)
    np.testing.assert_array_equal(y, np.sort(x, axis))
    falling = lambda x: ga.argsort(x, axis, descending=True)
    back = n - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    np.testing.assert_array_equal(compiled(falling, x), back)
    values, places = compiled(lambda x: tuple(ga.topk(x, min(n, 3), axis)), x)
    first = np.take(back, range(min(n, 3)), axis)
    np.testing.assert_array_equal(places, first)
    np.testing.assert_array_equal(values, np.take_along_axis(x, first, axis))


@pytest.mark.parametrize("dtype", ["f8", "i4", "u8"])
def test_places_among_sorted_values(dtype: str):
    for n, m in ((1, 3), (256, 50), (257, 50), (5000, 400)):
        a = np.sort(keys((n,), dtype))
        v = np.concatenate([a[:: n // 3 + 1], keys((m,), dtype)]).reshape(1, -1)
        for side in ("left", "right"):
            found = compiled(lambda a, v, side=side: ga.searchsorted(a, v, side), a, v)
            np.testing.assert_array_equal(found, np.searchsorted(a, v, side))


def test_the_order_by_several_keys():
    a, b, c = RNG.integers(0, 3, (3, 2, 200))
    found = compiled(lambda *xs: ga.lexsort(xs), a, b / 2, c.astype("f4"))
    np.testing.assert_array_equal(found, np.lexsort((a, b, c)))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[0.0, 1.0, 1.0, 2.5], [2.5, 1.0, 0.0]])
def test_bins(right: bool, bins: list[float]):
    x = keys((7, 60), "f8")
    found = compiled(lambda x: ga.digitize(x, bins, right), x)
    np.testing.assert_array_equal(found, np.digitize(x, bins, right))
    with pytest.raises(ValueError, match="monotonic"):
        ga.compile(lambda x: ga.digitize(x, [0.0, 2.0, 1.0]))(ga.array(x))


def test_what_is_among_few():
    x, few = RNG.integers(0, 9, (3, 40)), np.array([[1, 2], [3, 5]])
    np.testing.assert_array_equal(compiled(ga.isin, x, few), np.isin(x, few))
    outside = lambda x, y: ga.isin(x, y, invert=True)
    np.testing.assert_array_equal(compiled(outside, x, few), np.isin(x, few, invert=True))


def test_gradients_go_where_the_values_came_from():
    x, w = RNG.permutation(300).reshape(3, 100) / 7.0, RNG.normal(size=(3, 100))
    f = ga.grad(lambda x, w: (ga.sort(x) * w).sum())
    expected = np.empty_like(x)
    np.put_along_axis(expected, np.argsort(x, -1), w, -1)
    np.testing.assert_array_equal(compiled(f, x, w), expected)
    middle = compiled(ga.grad(lambda x: ga.median(x, axis=1).sum()), x)
    np.testing.assert_array_equal(middle.sum(1), np.ones(3))
