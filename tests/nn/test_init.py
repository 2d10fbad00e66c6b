"""Initialisers: distributions, bounds, and that they fill in place outside any graph."""

import math

import numpy as np
import pytest
from scipy import stats

import gradarray as ga
from gradarray import nn

init = nn.init


def weight(*shape):
    return nn.Parameter(np.zeros(shape, np.float64))


def is_drawn_from(values, distribution):
    """Kolmogorov and Smirnov's test; the draws are the same in every run."""
    return stats.kstest(np.ravel(values), distribution.cdf).pvalue > 1e-3


@pytest.fixture(autouse=True)
def seeded():
    ga.random.seed(0)


def test_each_fills_in_place_and_returns_its_argument():
    for fill in (init.zeros_, init.ones_, init.uniform_, init.normal_, init.trunc_normal_,
                 init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_,
                 init.kaiming_normal_, init.orthogonal_, init.eye_):  # fmt: skip
        w = nn.Parameter(np.full((3, 4), 7.0, np.float32))
        y = w * 1.0
        assert fill(w) is w
        assert w.requires_grad
        assert w.is_leaf
        assert w.dtype == np.float32
        assert not np.any(w.numpy() == 7)
        y.sum().backward()  # what was computed before is untouched
        assert (y.detach().numpy() == 7).all()


def test_plain_distributions():
    assert is_drawn_from(init.uniform_(weight(2000), -1, 3).numpy(), stats.uniform(-1, 4))
    assert is_drawn_from(init.normal_(weight(2000), 1, 2).numpy(), stats.norm(1, 2))
    assert init.constant_(weight(2), 0.5).tolist() == [0.5, 0.5]
    assert init.eye_(weight(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_truncated_normal():
    values = init.trunc_normal_(weight(2000), mean=1.0, std=2.0, a=-1.0, b=4.0).numpy()
    assert values.min() >= -1
    assert values.max() <= 4
    assert is_drawn_from(values, stats.truncnorm(-1, 1.5, 1, 2))
    with pytest.raises(ValueError, match="low < high"):
        init.trunc_normal_(weight(2), a=1.0, b=0.0)


@pytest.mark.parametrize("shape", [(40, 60), (20, 6, 3, 3)])
def test_xavier_and_kaiming(shape):
    field = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * field, shape[0] * field
    bound = 2.0 * math.sqrt(6 / (fan_in + fan_out))
    values = init.xavier_uniform_(weight(*shape), gain=2.0).numpy()
    assert is_drawn_from(values, stats.uniform(-bound, 2 * bound))
    values = init.xavier_normal_(weight(*shape)).numpy()
    assert is_drawn_from(values, stats.norm(0, math.sqrt(2 / (fan_in + fan_out))))
    bound = math.sqrt(6 / ((1 + 0.5**2) * fan_out))
    values = init.kaiming_uniform_(weight(*shape), a=0.5, mode="fan_out").numpy()
    assert is_drawn_from(values, stats.uniform(-bound, 2 * bound))
    values = init.kaiming_normal_(weight(*shape), nonlinearity="relu").numpy()
    assert is_drawn_from(values, stats.norm(0, math.sqrt(2 / fan_in)))


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 2, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(weight(*shape), gain=2.0).numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert np.allclose(product, 4 * np.eye(len(product)), atol=1e-14)


def test_orthogonal_is_uniform():
    # The trace of a uniform rotation of the plane or reflection: E[tr^2] = 1.
    traces = [np.trace(init.orthogonal_(weight(2, 2)).numpy()) for _ in range(400)]
    # tr^2 has variance E[tr^4] - 1 = 2 (half reflections: 0, half 4 cos^2: E 16 cos^4 / 2 = 3).
    assert abs(np.mean(np.square(traces)) - 1) < 5 * math.sqrt(2 / 400)


def test_dirac_passes_channels_on():
    conv = nn.Conv2d(3, 3, 3, padding=1, bias=False, dtype="float64")
    init.dirac_(conv.weight)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    assert np.array_equal(conv(x).numpy(), x)
    grouped = nn.Conv1d(4, 4, 3, padding=1, groups=2, bias=False)
    init.dirac_(grouped.weight, groups=2)
    assert grouped(np.ones((1, 4, 5))).tolist() == np.ones((1, 4, 5)).tolist()


def test_gains():
    gain = init.calculate_gain
    assert gain("linear") == gain("sigmoid") == gain("conv2d") == 1.0
    assert gain("tanh") == 5 / 3
    assert gain("relu") == math.sqrt(2)
    assert gain("selu") == 0.75
    assert gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert gain("leaky_relu", 0.2) == math.sqrt(2 / (1 + 0.2**2))


def test_a_generator_of_ones_own():
    a = init.normal_(weight(5), generator=ga.random.Generator(1))
    b = init.normal_(weight(5), generator=ga.random.Generator(1))
    assert a.tolist() == b.tolist()


def test_the_seed_decides_a_networks_start():
    def make():
        ga.random.seed(11)
        return nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2), nn.Embedding(3, 2)).state_dict()

    first, second = make(), make()
    assert all(np.array_equal(first[k], second[k]) for k in first)


def test_errors():
    with pytest.raises(ga.ShapeError, match="no fan-in and fan-out"):
        init.xavier_uniform_(weight(3))
    with pytest.raises(ga.ShapeError, match="takes a matrix"):
        init.eye_(weight(3))
    with pytest.raises(ga.ShapeError, match="two axes"):
        init.orthogonal_(weight(3))
    with pytest.raises(ga.ShapeError, match="3 to 5 axes"):
        init.dirac_(weight(3, 3))
    with pytest.raises(ValueError, match='mode is "fan_in" or "fan_out"'):
        init.kaiming_normal_(weight(3, 3), mode="fan")
    for bad in ("swish", "softmax"):
        with pytest.raises(ValueError, match="no gain is known"):
            init.calculate_gain(bad)
    with pytest.raises(ValueError, match="groups do not divide"):
        init.dirac_(weight(3, 3, 3), groups=2)
