"""Lesson 9: derivatives through if, for and while; a loop that stops; what cuts the graph."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.graph import Leaf, ancestry
from gradarray.testing import check

mp = mpmath.mp.clone()
mp.dps = 40


def same(got, expected):
    got = got.item() if isinstance(got, ga.GradArray) else got
    expected = float(expected)
    assert abs(got - expected) <= 1e-12 * abs(expected)


def forward(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


BOTH = pytest.mark.parametrize("derivative", [ga.grad, forward], ids=["pull", "push"])


# for, while, recursion ----------------------------------------------------------------------------


def power(x, n):
    result = None
    while n:
        if n % 2:
            result = x if result is None else result * x
        n //= 2
        if n:
            x = x * x
    return result


@BOTH
@pytest.mark.parametrize("n", [1, 2, 5, 8, 31, 100])
def test_a_power_by_repeated_squaring(derivative, n):
    same(derivative(lambda x: power(x, n))(1.1), n * mp.mpf(1.1) ** (n - 1))
    second = derivative(derivative(lambda x: power(x, n)))(1.1)
    if n == 1:
        assert second.item() == 0
    else:
        same(second, n * (n - 1) * mp.mpf(1.1) ** (n - 2))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 31, 100])
def test_the_graph_holds_what_ran(n):
    x = ga.array(1.1, requires_grad=True)
    ran = [node for node in ancestry([power(x, n)._node])[0] if not isinstance(node, Leaf)]
    # One squaring for each further binary digit, one product for each further digit that is 1.
    assert len(ran) == n.bit_length() - 1 + n.bit_count() - 1


@BOTH
def test_a_for_loop_over_coefficients(derivative):
    coefficients = [0.5, -1.25, 3.0, 0.0, 2.0]

    def horner(x):
        y = 0.0
        for c in reversed(coefficients):
            y = y * x + c
        return y

    for x in (-1.3, 0.0, 0.7):
        exact = mp.fsum(k * c * mp.mpf(x) ** (k - 1) for k, c in enumerate(coefficients) if k)
        same(derivative(horner)(x), exact)


@BOTH
def test_recursion(derivative):
    def nested(x, depth):
        return x if depth == 0 else ga.sin(x * nested(x, depth - 1))

    def exact(x, depth):
        return x if depth == 0 else mp.sin(x * exact(x, depth - 1))

    for depth in (1, 3, 10):
        same(
            derivative(lambda x, d=depth: nested(x, d))(1.2),
            mp.diff(lambda x, d=depth: exact(x, d), 1.2),
        )


@BOTH
def test_a_loop_that_is_chaotic_has_its_exact_derivative(derivative):
    def population(r):
        x = 0.3
        for _ in range(50):
            x = r * x * (1 - x)
        return x

    # The derivative grows like exp(0.5 n), and so do roundings: 50 steps lose about 10 digits.
    def exact(r):
        x, slope = mp.mpf(0.3), mp.mpf(0)
        for _ in range(50):
            x, slope = r * x * (1 - x), x * (1 - x) + r * (1 - 2 * x) * slope
        return slope

    slope = exact(mp.mpf(3.9))
    assert abs(slope) > 1e8
    assert abs(derivative(population)(3.9).item() / float(slope) - 1) < 1e-3


# The branch taken ---------------------------------------------------------------------------------


@BOTH
def test_the_branch_that_ran_is_the_one_differentiated(derivative):
    f = lambda x: 1 if x == 1 else x**2
    assert [f(x) == x**2 for x in (0.5, 1.0, 2.0)] == [True] * 3
    assert derivative(f)(1.0).item() == 0.0  # not 2
    for x in (0.5, 1 + 1e-15, 2.0):
        same(derivative(f)(x), 2 * mp.mpf(x))


def test_backward_through_a_branch():
    for start, expected in ((-2.0, -1.0), (3.0, 6.0)):
        x = ga.array(start, requires_grad=True)
        (x * x if x > 0 else -x).backward()
        assert x.grad.item() == expected


SEAMS = {
    "smooth": (lambda x: x**2 / 2 if x < 1 else x - 0.5, 1.0, {1.0}),
    "kink": (lambda x: -x if x < 0 else x, 0.0, {-1.0, 1.0}),
    "jump": (lambda x: 0 if x < 0 else 1, 0.0, {0.0}),
}


@BOTH
@pytest.mark.parametrize("name", SEAMS)
def test_at_a_seam_the_derivative_is_one_of_the_one_sided_ones(derivative, name):
    f, seam, sides = SEAMS[name]
    near = {round(derivative(f)(seam + d).item(), 12) for d in (-1e-14, 1e-14)}
    assert near == sides
    assert derivative(f)(seam).item() in sides


def sinc(x):
    return 1 if x == 0 else ga.sin(x) / x


def sinc_by_series(x):
    if abs(x) < 0.1:
        u = x * x
        return 1 - u / 6 * (1 - u / 20 * (1 - u / 42 * (1 - u / 72 * (1 - u / 110))))
    return ga.sin(x) / x


def test_a_value_at_one_point_is_right_by_luck_and_then_wrong():
    one, two = sinc, sinc_by_series
    # sin(x)/x = 1 - x^2/6 + x^4/120 - ...
    exact = [1, 0, -1 / 3, 0, 1 / 5]
    found = []
    for order, expected in enumerate(exact):
        if order:
            one, two = ga.grad(one), ga.grad(two)
        found.append(float(one(0.0)))
        assert abs(float(two(0.0)) - expected) <= 1e-12
    assert found == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.05, 0.0999, 0.1, 0.5])
def test_the_series_has_the_right_derivatives_over_its_neighbourhood(x):
    g = sinc_by_series
    for order in range(4):
        exact = mp.diff(lambda t: mp.sinc(t), x, order) if order else mp.sinc(x)
        # The quotient loses digits at 0.1: about eps / x^(order + 1).
        assert abs(float(g(x)) - float(exact)) <= 1e-11
        g = ga.grad(g)


def test_an_array_has_no_one_truth_and_where_chooses_element_by_element():
    x = np.array([0.0, 0.25, 4.0])
    with pytest.raises(ValueError, match=r"ga\.where"):
        ga.grad(lambda x: (ga.sqrt(x) if x > 0 else x).sum())(x)
    gradient = ga.grad(lambda x: ga.where(x > 0, ga.sqrt(x), 0.0).sum())(x)
    assert gradient.numpy().tolist() == [0.0, 1.0, 0.25]


# A loop that stops at a tolerance -----------------------------------------------------------------


def root(a, tolerance, x=1.0):
    steps = 0
    while abs(x * x - a) > tolerance:
        x = (x + a / x) / 2
        steps += 1
    return x, steps


@BOTH
@pytest.mark.parametrize("a", [0.3, 2.0, 5.0])
@pytest.mark.parametrize("tolerance", [0.1, 1e-3, 1e-12])
def test_the_derivative_is_that_of_the_iterate(derivative, a, tolerance):
    _, steps = root(a, tolerance)

    def iterate(a):
        x = mp.mpf(1)
        for _ in range(steps):
            x = (x + a / x) / 2
        return x

    slope = derivative(lambda a: root(a, tolerance)[0])(a)
    with mp.workdps(60):
        same(slope, mp.diff(iterate, mp.mpf(a)))


def test_the_derivative_comes_near_behind_the_value():
    for tolerance in (0.1, 1e-3, 1e-6):
        x, _ = root(2.0, tolerance)
        slope = ga.grad(lambda a, t=tolerance: root(a, t)[0])(2.0).item()
        value_error = abs(x / math.sqrt(2) - 1)
        assert value_error < abs(slope * 2 * math.sqrt(2) - 1) < 100 * value_error
    slope = ga.grad(lambda a: root(a, 1e-12)[0])(2.0)
    same(slope, 1 / (2 * mp.sqrt(2)))


def test_the_result_jumps_where_the_number_of_steps_changes():
    # One step gives (1 + a)/2, whose square is a + (a - 1)^2/4; with tolerance 0.01 it is enough
    # up to a = 1.2.
    before, after = 1.2 - 1e-7, 1.2 + 1e-7
    (left, steps), (right, more) = root(before, 0.01), root(after, 0.01)
    assert (steps, more) == (1, 2)
    same(left, (1 + mp.mpf(before)) / 2)
    same(right, ((1 + mp.mpf(after)) / 2 + 2 * mp.mpf(after) / (1 + mp.mpf(after))) / 2)
    same(ga.grad(lambda a: root(a, 0.01)[0])(before), 0.5)
    # d/da of (1 + a)/4 + a/(1 + a)
    same(ga.grad(lambda a: root(a, 0.01)[0])(after), 0.25 + 1 / (1 + mp.mpf(after)) ** 2)
    assert (right - left) / (after - before) < -20_000
    assert abs(right - left) < 0.01


def test_a_loop_that_does_not_run_has_no_derivative_to_give():
    assert ga.grad(lambda a: root(a, 1e-12, x=math.sqrt(2.0))[0])(2.0).item() == 0.0


def solved(F, a, x):
    x, slope = (ga.stop_gradient(v) for v in (x, ga.grad(F)(x, a)))
    return x - F(x, a) / slope


@BOTH
@pytest.mark.parametrize("start", [1.0, 3.0, math.sqrt(2.0)])
def test_one_step_at_the_solution_gives_the_derivative_of_the_solution(derivative, start):
    F = lambda x, a: x * x - a
    same(derivative(lambda a: solved(F, a, root(a, 1e-12, x=start)[0]))(2.0), 1 / (2 * mp.sqrt(2)))


@BOTH
@pytest.mark.parametrize("a", [0.2, 0.7, 1.1])
def test_a_fixed_point_by_the_implicit_function_theorem(derivative, a):
    F = lambda x, a: x - ga.cos(a * x)

    def fixed(a, steps):
        x = 0.5
        for _ in range(steps):
            x = ga.cos(a * x)
        return x

    exact = mp.findroot(lambda x: x - mp.cos(mp.mpf(a) * x), 0.7)
    closed = -exact * mp.sin(a * exact) / (1 + a * mp.sin(a * exact))
    same(derivative(lambda a: solved(F, a, fixed(a, 400)))(a), closed)
    # The iterate's own derivative gets there as well, more slowly than `solved` from the same x.
    errors = [
        [abs(derivative(g)(a).item() / float(closed) - 1) for g in pair]
        for pair in (
            (lambda a, n=n: fixed(a, n), lambda a, n=n: solved(F, a, fixed(a, n)))
            for n in (5, 10, 20)
        )
    ]
    for iterate, step in errors:
        assert step < iterate or iterate < 1e-12
    assert errors[2][0] < errors[1][0] < errors[0][0]


# What cuts the graph ------------------------------------------------------------------------------

table, width = np.array([0.0, 1.0, 4.0, 9.0, 16.0]), 0.1


def scores(x):
    return ga.stack([x, 2 * x - 2.9, 4 - x])


def filled(buffer, x):
    for i in range(3):
        buffer[i] = x**i
    return ga.array(buffer).sum()


def between(x):
    i = int(x)
    return table[i] + (x - i) * (table[i + 1] - table[i])


def softly(t, x, y):
    s = ga.sigmoid((t - x) / width)
    return s * x + (1 - s) * y


def sigmoid_slope(z):
    return mp.exp(-z) / (1 + mp.exp(-z)) ** 2


def soft_place():
    """d/dx of sum_i i p_i, p = softmax(s): sum_i i p_i (s'_i - sum_j p_j s'_j)."""
    s, slopes = [mp.mpf(2.5), 5 - mp.mpf(2.9), mp.mpf(1.5)], [1, 2, -1]
    weights = [mp.exp(v) for v in s]
    p = [v / mp.fsum(weights) for v in weights]
    mean = mp.fdot(p, slopes)
    return mp.fsum(i * p[i] * (slopes[i] - mean) for i in range(3))


def soft_count():
    at = [(mp.mpf(2.5) - 2, 1), (3 - mp.mpf(2.9), 2), (mp.mpf(-0.5), -1)]
    return mp.fsum(slope * sigmoid_slope(z / mp.mpf(width)) / mp.mpf(width) for z, slope in at)


# name: what is cut, its derivative at 2.5, what to do instead, and the derivative of that
TRAPS = {
    "threshold": (
        lambda t: 2.4 if 2.4 < t else 5.0,
        0,
        lambda t: softly(t, 2.4, 5.0),
        (mp.mpf(2.4) - 5) * sigmoid_slope((2.5 - mp.mpf(2.4)) / mp.mpf(width)) / mp.mpf(width),
    ),
    "argmax": (
        lambda x: 1.0 * ga.argmax(scores(x)),
        0,
        lambda x: (ga.softmax(scores(x)) * np.arange(3)).sum(),
        soft_place(),
    ),
    "the value at argmax": (
        lambda x: 1.0 * ga.argmax(scores(x)),
        0,
        lambda x: scores(x)[ga.argmax(scores(x))],
        1,
    ),
    "floor": (
        lambda x: ga.floor(4 * x) / 4,
        0,
        lambda x: x + ga.stop_gradient(ga.floor(4 * x) / 4 - x),
        1,
    ),
    "count": (
        lambda x: 1.0 * (scores(x) > 2).sum(),
        0,
        lambda x: ga.sigmoid((scores(x) - 2) / width).sum(),
        soft_count(),
    ),
    "item": (lambda x: x * x.item(), 2.5, lambda x: x * x, 5),
    "float": (lambda x: x * float(x), 2.5, lambda x: x * x, 5),
    "math": (lambda x: math.sin(x), 0, ga.sin, mp.cos(2.5)),
    "np": (lambda x: np.sin(x.numpy()), 0, np.sin, mp.cos(2.5)),
    "detach": (lambda x: x * x.detach(), 2.5, lambda x: x * x, 5),
    "look-up": (lambda x: table[int(x)], 0, between, 5),
}


@BOTH
@pytest.mark.parametrize("name", TRAPS)
def test_what_is_cut_and_what_to_do(derivative, name):
    cut, expected, mended, right = TRAPS[name]
    assert derivative(cut)(2.5).item() == expected
    if name == "count":
        # Its scores less 2 are divided by a width of 0.1, so their roundings weigh ten times.
        assert abs(derivative(mended)(2.5).item() / float(right) - 1) <= 1e-11
    else:
        same(derivative(mended)(2.5), right)


STAIRS = {
    "floor": ga.floor,
    "ceil": ga.ceil,
    "round": ga.round,
    "sign": ga.sign,
    "trunc": ga.trunc,
    "//": lambda x: x // 1.0,
}


@pytest.mark.parametrize("name", STAIRS)
def test_stairs_have_slope_zero_in_every_mode(name):
    stairs = STAIRS[name]
    assert ga.grad(stairs)(2.3).item() == 0
    assert ga.jvp(stairs, (2.3,), (1.0,))[1].item() == 0
    x = ga.array([0.3, -1.7], requires_grad=True)
    (stairs(x) * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), stairs(x).numpy())


def test_a_straight_through_estimate_keeps_the_value():
    quantised = lambda x: x + ga.stop_gradient(ga.floor(4 * x) / 4 - x)
    for x in (0.1, 1.3, 2.9):
        value, slope = ga.value_and_grad(quantised)(x)
        assert abs(value.item() - math.floor(4 * x) / 4) <= 1e-15 * 4
        assert slope.item() == 1


WHOLE = {"place": ga.argmax, "count": lambda x: (x > 0).sum(), "order": lambda x: ga.argsort(x)[0]}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_raise_where_they_are_the_result(name):
    whole = WHOLE[name]
    with pytest.raises(ga.DTypeError, match="has no derivative"):
        ga.grad(whole)(np.array([1.0, 3.0, 2.0]))
    with pytest.raises(ga.GraphError, match="has no derivative"):
        whole(ga.array([1.0, 3.0], requires_grad=True)).backward()


@pytest.mark.parametrize("lose", [np.asarray, lambda x: np.array([x, x])], ids=["asarray", "list"])
def test_numpy_may_not_take_the_graph_away_without_a_word(lose):
    with pytest.raises(ga.GraphError, match="detach"):
        ga.grad(lambda x: (x * lose(x)).sum())(2.5)


@BOTH
def test_a_numpy_buffer_is_refused_and_one_of_gradarray_or_a_list_is_right(derivative):
    with pytest.raises(ValueError, match="array element") as caught:
        derivative(lambda x: filled(np.zeros(3), x))(2.5)
    assert "ga.zeros(...), or into a list for ga.stack" in str(caught.value.__cause__)
    assert derivative(lambda x: filled(ga.zeros(3), x))(2.5).item() == 6
    assert derivative(lambda x: ga.stack([x**0, x, x**2]).sum())(2.5).item() == 6


def test_backward_on_what_is_wholly_cut_raises():
    x = ga.array(2.5, requires_grad=True)
    with pytest.raises(ga.GraphError, match="does not require a gradient"):
        ga.array(math.sin(x)).backward()


@pytest.mark.parametrize("name", ["item", "float", "detach"])
def test_differences_find_what_is_cut_in_part(name):
    cut, _, mended, _ = TRAPS[name]
    assert check(mended, 2.5).digits > 10
    with pytest.raises(AssertionError, match="differences"):
        check(cut, 2.5)


def test_differences_do_not_find_stairs():
    assert check(lambda x: ga.floor(x) * x, 2.5).digits > 10
