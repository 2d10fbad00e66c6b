"""Order: what declarations do not say of sort, partition, topk and unique."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradarray as ga

SMALL = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@given(SMALL)
def test_equal_values_keep_their_order(values):
    x = ga.array(np.array(values, float))
    order = ga.argsort(x).tolist()
    assert order == sorted(range(len(values)), key=values.__getitem__)
    weights = np.arange(1.0, len(values) + 1)
    gradient = ga.grad(lambda x: (ga.sort(x) * weights).sum())(x)
    assert [gradient[k].item() for k in order] == weights.tolist()


@given(SMALL, st.integers(0, 8), st.booleans())
def test_topk_takes_the_first_of_equals(values, k, largest):
    k = min(k, len(values))
    found, where = ga.topk(np.array(values, float), k, largest=largest)
    sign = -1 if largest else 1
    order = sorted(range(len(values)), key=lambda n: sign * values[n])[:k]
    assert where.tolist() == order
    assert found.tolist() == [values[n] for n in order]


@given(SMALL, st.data())
def test_a_partition(values, data):
    k = data.draw(st.integers(0, len(values) - 1))
    x = ga.array(np.array(values, float), requires_grad=True)
    y = ga.partition(x, k)
    parts = y.tolist()
    assert sorted(parts) == sorted(values)
    assert max(parts[: k + 1]) == parts[k] == min(parts[k:])
    (y * y).sum().backward()
    assert x.grad.tolist() == [2.0 * v for v in values]


def test_sorting_in_place():
    a = ga.array([3.0, 1.0, 2.0], requires_grad=True)
    x = a * 1.0
    kept = x * x
    assert x.sort() is None
    assert x.tolist() == [1, 2, 3]
    (x * np.array([1.0, 10.0, 100.0]) + kept).sum().backward()
    assert a.grad.tolist() == [100 + 6, 1 + 2, 10 + 4]
    x.partition(0)
    assert x[0].item() == 1
    with pytest.raises(ga.GraphError, match="cannot be changed"):
        a.sort()


def test_nan_comes_last_and_inf_in_its_place():
    x = ga.array([np.nan, np.inf, 1.0, -np.inf])
    assert np.array_equal(ga.sort(x).numpy(), [-np.inf, 1, np.inf, np.nan], equal_nan=True)
    assert ga.topk(x, 2)[1].tolist() == [0, 1]  # NaN counts as the largest, as in sort


def test_unique_gives_the_derivative_to_the_first_of_equals():
    x = ga.array([2.0, 1.0, 2.0, 1.0], requires_grad=True)
    y, index, inverse, counts = ga.unique(x, True, True, True)
    assert y.tolist() == [1, 2] and index.tolist() == [1, 0] and counts.tolist() == [2, 2]
    assert y[inverse].tolist() == x.tolist()
    (y * np.array([10.0, 1.0])).sum().backward()
    assert x.grad.tolist() == [1, 10, 0, 0]


def test_places_in_a_sorted_array():
    a = np.array([3.0, 1.0, 2.0])
    assert ga.searchsorted(a, [1.5, 3.0], sorter=np.argsort(a)).tolist() == [1, 2]
    assert ga.array([1.0, 2.0]).searchsorted(1.5).item() == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ga.topk([1.0, 2.0], 3), ga.ShapeError, "k=3, but axis 0 of shape"),
        (lambda: ga.partition([1.0, 2.0], 2), ValueError, "kth=2 is out of bounds"),
        (lambda: ga.sort(1.0), np.exceptions.AxisError, "sort: axis -1"),
        (lambda: ga.searchsorted([[1.0]], 1.0), ga.ShapeError, "a sorted vector"),
        (lambda: ga.searchsorted([1.0], 1.0, "middle"), ValueError, "'left' or 'right'"),
        (lambda: ga.lexsort(()), TypeError, "no keys"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
