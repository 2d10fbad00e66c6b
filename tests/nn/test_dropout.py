"""Dropout: what it drops, how it scales, where its numbers come from."""

import copy

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn

F = nn.functional


def test_values_are_dropped_or_scaled():
    y = F.dropout(ga.ones(10_000), 0.2).numpy()
    assert set(np.round(y, 12)) == {0.0, 1.25}
    # A share of n draws is off by sqrt(p (1 - p) / n) = 0.004.
    assert abs((y == 0).mean() - 0.2) < 5 * 0.004


def test_eval_mode_and_the_ends_of_p():
    x = ga.array([1.0, -2.0])
    layer = nn.Dropout(0.5)
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x).tolist() == [1.0, -2.0]
    assert nn.Dropout(1.0)(x).tolist() == [0.0, 0.0]
    assert F.dropout(x, 0.5, training=False).tolist() == [1.0, -2.0]
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="a probability, from 0 to 1"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match="a probability"):
            F.dropout(x, p)


def test_the_gradient_is_the_same_mask():
    x = ga.array(np.ones(100), requires_grad=True)
    y = F.dropout(x, 0.3)
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout1d(0.5), (20, 10, 3)),
        (nn.Dropout2d(0.5), (20, 10, 3, 2)),
        (nn.Dropout3d(0.5), (20, 10, 3, 2, 2)),
        (nn.Dropout2d(0.5), (10, 3, 2)),
    ],
)
def test_whole_channels(layer, shape):
    y = layer(ga.ones(shape)).numpy()
    axes = tuple(range(y.ndim - (len(layer_axes(layer))), y.ndim))
    assert np.array_equal(y.min(axes), y.max(axes))
    assert set(y.ravel()) == {0.0, 2.0}
    with pytest.raises(ga.ShapeError, match=r"\(N, C, \.\.\.\)"):
        layer(ga.ones(3))


def layer_axes(layer):
    return range(int(type(layer).__name__[-2]))


def test_the_same_seed_gives_the_same_numbers():
    x = ga.ones(50)
    layer = nn.Dropout(0.5)
    ga.random.seed(3)
    first, second = layer(x).tolist(), layer(x).tolist()
    ga.random.seed(3)
    assert layer(x).tolist() == first
    assert layer(x).tolist() == second
    assert first != second


def test_a_generator_of_its_own():
    x = ga.ones(50)
    ga.random.seed(1)
    state = ga.random.state_dict()
    a, b = (nn.Dropout(0.5, generator=ga.random.Generator(7)) for _ in range(2))
    assert a(x).tolist() == b(x).tolist()
    assert all(np.array_equal(v, ga.random.state_dict()[k]) for k, v in state.items())
    twin = copy.deepcopy(a)
    assert twin(x).tolist() == a(x).tolist()


def test_dtypes():
    for dtype in ("float32", "float64", "float16"):
        assert F.dropout(ga.ones(4, dtype=dtype)).dtype == dtype
