"""Lesson 7: finite differences against the step, the depth and the number of inputs.

Truth comes from mpmath at 60 digits.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.testing import check, count_ops

mp = mpmath.mp.clone()
mp.dps = 60
EPS = float(np.finfo(float).eps)


def lesson_1(x, lib):
    s = x * x + lib.exp(x * x)
    return lib.sqrt(s) + lib.cos(s)


FUNCTIONS = {
    "of this page": (lambda x, lib: x * lib.sqrt(1 + x * x), 0.7),
    "of lesson 1": (lesson_1, 0.5),
}


def relative_error(value, truth):
    return abs(float((mp.mpf(value) - truth) / truth))


@pytest.fixture(params=FUNCTIONS)
def case(request):
    """f, x and f, f', f'', f''' there."""
    f, x = FUNCTIONS[request.param]
    return f, x, [mp.diff(lambda v: f(v, mp), mp.mpf(x), k) for k in range(4)]


# The step -----------------------------------------------------------------------------------------


def test_the_derivative_from_the_graph_has_all_digits(case):
    f, x, (_, truth, *_) = case
    assert relative_error(ga.grad(f)(x, ga).item(), truth) < 1e-14
    assert relative_error(ga.jvp(lambda x: f(x, ga), (x,), (1.0,))[1].item(), truth) < 1e-14


def differences(f, x, h):
    forward = (f(x + h, math) - f(x, math)) / h
    return forward, (f(x + h, math) - f(x - h, math)) / (2 * h)


def bounds(derivatives, h):
    value, _, second, third = (abs(float(d)) for d in derivatives)
    return h / 2 * second + EPS * value / h, h * h / 6 * third + EPS * value / (2 * h)


def test_the_right_arm_of_the_v_is_truncation(case):
    f, x, derivatives = case
    _, truth, second, third = derivatives
    for h in (1e-3, 1e-4):
        forward, central = differences(f, x, h)
        assert abs((forward - float(truth)) / (h / 2 * float(second)) - 1) < 5 * h
        assert abs((central - float(truth)) / (h * h / 6 * float(third)) - 1) < 1e-3


def test_the_left_arm_of_the_v_is_rounding_and_the_bounds_hold(case):
    f, x, derivatives = case
    truth = float(derivatives[1])
    for h in np.geomspace(1e-14, 1e-4, 101).tolist():
        h = (x + h) - x  # the step that is taken
        for found, bound in zip(differences(f, x, h), bounds(derivatives, h), strict=True):
            # A value of f takes several roundings, of which the bound counts one.
            assert abs(found - truth) <= 4 * bound + 4 * EPS * abs(truth)


def test_the_bottom_is_where_the_formulas_say(case):
    f, x, derivatives = case
    value, truth, second, third = (abs(float(d)) for d in derivatives)
    steps = np.geomspace(1e-12, 1e-2, 401)
    errors = np.array([differences(f, x, h) for h in steps.tolist()]) - float(derivatives[1])
    best = math.sqrt(2 * EPS * value / second), (3 * EPS * value / (2 * third)) ** (1 / 3)
    for column, step in zip(errors.T, best, strict=True):
        near = np.abs(np.log10(steps / step)) < 0.25
        far = np.abs(np.log10(steps / step)) > 2
        # Errors scatter, some to 0: the root of the mean square is their size.
        typical = math.sqrt(np.mean(column[near] ** 2)) / truth
        assert typical < 0.1 * math.sqrt(np.mean(column[far] ** 2)) / truth
        assert 1e-14 < typical < 1e-6
    assert 1e-9 < best[0] < 1e-7 and 1e-6 < best[1] < 1e-4


def test_the_complex_step_has_no_cancellation(case):
    f, x, (_, truth, *_) = case
    found = f(complex(x, 1e-20), np).imag / 1e-20
    assert relative_error(float(found), truth) < 1e-14


# Depth --------------------------------------------------------------------------------------------

MAPS = {
    "chaotic": lambda x, lib: 3.9 * x * (1 - x),
    "contracting": lambda x, lib: lib.sqrt(1 + x),
}


def compose(m, x, K, lib):
    for _ in range(K):
        x = m(x, lib)
    return x


def errors(m, K, x0=0.3):
    """Relative errors of forward and central differences, of the graph, and of the value; and
    the derivative."""
    truth = mp.diff(lambda x: compose(m, x, K, mp), mp.mpf(x0))
    g = lambda x: compose(m, x, K, math)
    found = (
        (g(x0 + 1e-8) - g(x0)) / 1e-8,
        (g(x0 + 6e-6) - g(x0 - 6e-6)) / 1.2e-5,
        ga.grad(lambda x: compose(m, x, K, ga))(x0).item(),
    )
    value = relative_error(g(x0), compose(m, mp.mpf(x0), K, mp))
    return [*(relative_error(v, truth) for v in found), value, abs(float(truth))]


@pytest.mark.parametrize("K", range(1, 41))
def test_in_the_contracting_map_the_graph_keeps_its_digits_at_every_depth(K):
    _, _, graph, _, slope = errors(MAPS["contracting"], K)
    assert graph <= 2 * K * EPS
    assert slope < 0.45**K


def test_in_the_contracting_map_differences_vanish():
    assert errors(MAPS["contracting"], 40)[:2] == [1.0, 1.0]  # the difference is exactly 0


@pytest.mark.parametrize("K", range(1, 41))
def test_in_the_chaotic_map_the_graph_is_as_good_as_the_orbit(K):
    _, _, graph, value, slope = errors(MAPS["chaotic"], K)
    # The orbit drifts by the rounding of each step times the slope of the rest; along it the
    # factors change by the drift times m''/m'.
    assert graph <= 16 * EPS * (1 + slope)
    assert value <= 16 * EPS * (1 + slope)
    # It is the exact derivative of the orbit that was computed.
    x, product = 0.3, mp.mpf(1)
    for _ in range(K):
        product *= mp.mpf(3.9) * (1 - 2 * mp.mpf(x))
        x = 3.9 * x * (1 - x)
    found = ga.grad(lambda x: compose(MAPS["chaotic"], x, K, ga))(0.3).item()
    # 1 - 2x cancels where the orbit passes 1/2: so the roundings count more than K times.
    assert relative_error(found, product) < 1e-13


def test_in_the_chaotic_map_no_digit_of_a_difference_is_left():
    shallow, deep = errors(MAPS["chaotic"], 5), errors(MAPS["chaotic"], 35)
    assert max(shallow[:2]) < 1e-6
    assert min(deep[:2]) > 0.5
    assert deep[2] < 1e-6


# Inputs -------------------------------------------------------------------------------------------


def f(x):
    ahead = x[1:] - x[:-1] * x[:-1]
    return (ahead * ahead).sum() + ((1 - x) * (1 - x)).sum()


@pytest.mark.parametrize("n", [2, 10, 100, 1000])
def test_evaluations_against_one_sweep(n):
    x = np.random.default_rng(n).uniform(-1, 1, size=n)
    exact = [mp.mpf(v) for v in x.tolist()]
    truth = [-2 * (1 - v) for v in exact]
    for k in range(n - 1):
        ahead = exact[k + 1] - exact[k] ** 2
        truth[k + 1] += 2 * ahead
        truth[k] -= 4 * ahead * exact[k]
    truth = np.array(truth, float)

    calls = 0

    def counted(x):
        nonlocal calls
        calls += 1
        return f(x)

    start = counted(x)
    forward = np.array([(counted(x + 1e-8 * e) - start) / 1e-8 for e in np.eye(n)])
    assert calls == n + 1
    calls = 0
    both = [(counted(x + 6e-6 * e) - counted(x - 6e-6 * e)) / 1.2e-5 for e in np.eye(n)]
    assert calls == 2 * n
    calls = 0
    graph = ga.grad(counted)(x).numpy()
    assert calls == 1
    assert count_ops(f, x).ratio == count_ops(f, np.zeros(2)).ratio <= 4

    scale = abs(truth).max()
    np.testing.assert_allclose(graph, truth, rtol=0, atol=1e-12 * scale)
    # The rounding of a sum of n terms, each of order one, over the step; and the truncation.
    assert abs(forward - truth).max() < 8 * n * EPS / 1e-8 + 2e-7
    assert abs(np.array(both) - truth).max() < 8 * n * EPS / 6e-6 + 1e-9


def test_a_check_by_differences_finds_a_wrong_rule_and_passes_a_right_one():
    class Square(ga.Grad):
        def forward(x):
            return x * x

        def backward(y_bar, x):
            return y_bar * x  # the 2 is lost

    assert check(f, np.array([0.3, -0.2, 0.5])).digits > 9
    with pytest.raises(AssertionError, match="x"):
        check(lambda x: Square.apply(x), np.array([0.5, 2.0]))
