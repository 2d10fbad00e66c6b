"""Lesson 5: the subgradient of relu at 0, how often exactly 0 occurs, and what the choice does."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradarray as ga
from gradarray import choices

SHARES = (0, 0.5, 1)


def test_the_table_says_what_is_used():
    entry = choices.table["relu"]
    assert (entry.value, entry.low, entry.high) == (0, 0, 1)
    assert ga.grad(ga.relu)(0.0).item() == 0
    assert ga.jvp(ga.relu, (0.0,), (1.0,))[1].item() == 0


@pytest.mark.parametrize("s", SHARES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_subgradient_in_both_directions(s, dtype):
    x = np.array([-2.0, -0.0, 0.0, 3.0], dtype)
    with ga.set_subgradient("relu", s):
        slope = ga.grad(lambda x: ga.relu(x).sum())(x).numpy()
        _, pushed = ga.jvp(ga.relu, (x,), (np.ones(4, dtype),))
    assert slope.dtype == pushed.dtype == dtype
    np.testing.assert_array_equal(slope, [0, s, s, 1])
    np.testing.assert_array_equal(pushed.numpy(), slope)
    assert ga.grad(ga.relu)(0.0).item() == 0  # and back


def test_what_is_no_subgradient_is_refused():
    for s in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="subdifferential"), ga.set_subgradient("relu", s):
            pass


@pytest.mark.parametrize("s", np.linspace(-0.5, 1.5, 9))
def test_lines_below_the_corner_are_those_with_slopes_from_0_to_1(s):
    x = np.linspace(-1, 1, 21)
    assert np.all(np.maximum(x, 0) >= s * x - 1e-15) == (0 <= s <= 1)


@pytest.mark.parametrize("s", SHARES)
def test_the_answer_depends_on_how_the_function_is_written(s):
    with ga.set_subgradient("relu", s):
        assert ga.grad(lambda x: ga.relu(x) - ga.relu(-x))(0.0).item() == 2 * s
        assert ga.grad(lambda x: ga.relu(ga.relu(x)))(0.0).item() == s * s
    assert ga.grad(lambda x: ga.maximum(x, 0.0))(0.0).item() == 0.5
    assert ga.grad(lambda x: (x + ga.abs(x)) / 2)(0.0).item() == 0.5


# By chance ----------------------------------------------------------------------------------------


def chance(eps):
    return (1 / 6 - math.log(2) / 9) * eps


def test_the_closed_form_is_the_integral():
    # ulp is eps 2^-k on [2^-k, 2^-k+1), and -log t has the integral t - t log t.
    whole = lambda t: t - t * math.log(t)
    total = sum(2.0**-k * (whole(2.0 ** (1 - k)) - whole(2.0**-k)) for k in range(1, 60))
    assert abs(total / 2 - chance(1)) < 1e-15


def exact_zeros(dtype, samples, units, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=samples).astype(dtype)
    w, b = rng.uniform(-1, 1, size=(2, units)).astype(dtype)
    return sum(np.count_nonzero(x * w[k] + b[k] == 0) for k in range(units))


@pytest.mark.parametrize(
    ("dtype", "samples", "units"),
    [(np.float16, 2**13, 512), (np.float32, 2**15, 2**13), (np.float64, 2**15, 2**10)],
)
def test_exact_zeros_are_as_frequent_as_the_spacing_of_floats_says(dtype, samples, units):
    found = exact_zeros(dtype, samples, units, seed=1)
    expected = chance(float(np.finfo(dtype).eps)) * samples * units
    # Counts of rare events scatter by the square root of their mean.
    assert abs(found - expected) <= 5 * math.sqrt(expected) + 1
    if dtype is np.float64:
        assert found == 0


# By construction ----------------------------------------------------------------------------------


def xor(dtype, share, spread, networks=100, units=4, steps=300, rate=0.2):
    """Losses at the end, the exact zeros at each step, and the parameters at start and end."""
    rng = np.random.default_rng(0)
    w1, w2, b, v = rng.uniform(-1, 1, size=(4, networks, 1, units))
    x1, x2, target = (np.array(c, dtype) for c in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]))
    start = [p.astype(dtype) for p in (w1, w2, spread * b, v, np.zeros((networks, 1)))]
    parameters, zeros = start, []

    def loss(parameters):
        w1, w2, b, v, c = parameters
        z = x1[:, None] * w1 + x2[:, None] * w2 + b
        zeros.append(np.count_nonzero(z.numpy() == 0))
        each = (((ga.relu(z) * v).sum(axis=-1) + c - target) ** 2).mean(axis=-1)
        return each.sum(), each

    with ga.set_subgradient("relu", share):
        for _ in range(steps):
            slopes, each = ga.grad(loss, has_aux=True)(parameters)
            parameters = [
                p - dtype(rate) * d.numpy() for p, d in zip(parameters, slopes, strict=True)
            ]
    return each.numpy(), zeros, start, parameters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_biases_that_start_at_zero_make_units_that_never_wake(dtype):
    losses, zeros, start, end = xor(dtype, 0, 0.0)
    asleep = (start[0] < 0) & (start[1] < 0)  # off at three corners, on their kink at (0, 0)
    assert abs(asleep.mean() - 1 / 4) < 0.1
    assert zeros[0] == start[0].size  # every unit at (0, 0)
    assert zeros[1] == np.count_nonzero(asleep)
    for before, after in zip(start[:4], end[:4], strict=True):
        np.testing.assert_array_equal(after[asleep], before[asleep])
    assert np.all(end[2][~asleep] != 0)
    # Any other choice wakes or silences them at the first step, and more networks learn.
    learned = np.count_nonzero(losses < 1e-3)
    for share in (0.5, 1):
        others, later, _, moved = xor(dtype, share, 0.0)
        assert later[50] < zeros[50] / 10
        assert np.all(moved[2][asleep] != 0)
        assert np.count_nonzero(others < 1e-3) > learned + 5


def test_with_drawn_biases_the_choice_does_not_matter():
    learned = {
        np.count_nonzero(xor(dtype, share, 0.5)[0] < 1e-3)
        for dtype in (np.float32, np.float64)
        for share in SHARES
    }
    assert len(learned) == 1
    assert learned.pop() > 50


def test_without_exact_zeros_the_runs_are_equal_to_the_last_bit():
    runs = [xor(np.float64, share, 0.5, steps=50) for share in SHARES]
    assert not any(sum(zeros) for _, zeros, _, _ in runs)
    for run in runs[1:]:
        for p, q in zip(run[3], runs[0][3], strict=True):
            np.testing.assert_array_equal(p, q)


def test_one_exact_zero_moves_a_run_by_the_share_of_one_sample():
    # z = w x + b is 0 for one unit at one of two samples; there s is what arrives.
    x, target, rate = np.array([0.5, 2.0], np.float32), np.float32(1.0), np.float32(0.1)

    def loss(b):
        return ((ga.relu(x * np.float32(-2.0) + b) * np.float32(3.0) - target) ** 2).mean()

    after = []
    for share in SHARES:
        with ga.set_subgradient("relu", share):
            after.append(1 - rate * ga.grad(loss)(np.float32(1.0)).item())
    # dL/db = 2/N (3 * 0 - 1) * 3 * s = -3 s; the other sample is off.
    np.testing.assert_allclose(after, [1, 1.15, 1.3], rtol=1e-6)


@pytest.mark.parametrize("s", SHARES)
def test_behind_weights_of_zero_nothing_moves_unless_the_choice_lets_it(s):
    x = np.array([[0.5, -1.0], [2.0, 0.25]])
    with ga.set_subgradient("relu", s):
        slope = ga.grad(lambda W: ((x + ga.relu(x @ W) - 1) ** 2).sum())(np.zeros((2, 2)))
    np.testing.assert_allclose(slope.numpy(), s * x.T @ (2 * (x - 1)), rtol=1e-12, atol=0)
