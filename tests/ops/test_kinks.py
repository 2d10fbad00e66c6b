"""Points without a derivative: what is taken there, in every mode, and that masks hold."""

import itertools
import math

import numpy as np
import pytest

import gradarray as ga
from gradarray.choices import table

EPS = np.finfo(np.float64).eps


def pushed(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


MODES = {"reverse": ga.grad, "forward": pushed}

# op: (f of one variable, a point where it has a kink)
KINKS = {
    "absolute": (ga.absolute, 0.0),
    "relu": (ga.relu, 0.0),
    "maximum": (lambda x: ga.maximum(x, 2.0), 2.0),
    "minimum": (lambda x: ga.minimum(x, 2.0), 2.0),
    "fmax": (lambda x: ga.fmax(x, 2.0), 2.0),
    "fmin": (lambda x: ga.fmin(x, 2.0), 2.0),
    "clip": (lambda x: ga.clip(x, -1.0, 2.0), -1.0),
    "copysign": (lambda x: ga.copysign(x, 3.0), 0.0),
    "hypot": (lambda x: ga.hypot(x, 0.0), 0.0),
}


def slopes(f, x):
    """The one-sided slopes of a function that is linear on either side (exact in binary)."""
    h = 0.125
    y = float(f(ga.array(x)))
    return sorted([(float(f(ga.array(x + h))) - y) / h, (y - float(f(ga.array(x - h)))) / h])


@pytest.mark.parametrize("op", KINKS)
@pytest.mark.parametrize("mode", MODES)
def test_a_kink_takes_the_tables_value(op, mode):
    f, at = KINKS[op]
    entry = table[op]
    assert [entry.low, entry.high] == slopes(f, at)
    assert float(MODES[mode](f)(at)) == entry.value
    for value in (entry.low, 0.25, entry.high):
        with ga.set_subgradient(op, value):
            assert float(MODES[mode](f)(at)) == value
    assert float(MODES[mode](f)(at)) == entry.value


@pytest.mark.parametrize("op", KINKS)
def test_a_choice_outside_the_subdifferential_raises(op):
    with pytest.raises(ValueError, match=f"{op}.*outside"), ga.set_subgradient(op, 1.5):
        pass


@pytest.mark.parametrize("f", [ga.maximum, ga.minimum, ga.fmax, ga.fmin])
def test_a_tie_shares_the_whole_cotangent(f):
    a, b = ga.array([1.0, 2.0, 3.0]), ga.array([2.0, 2.0, 2.0])
    _, pull = ga.vjp(f, a, b)
    for share in (0.0, 0.5, 0.75, 1.0):
        with ga.set_subgradient(f.__name__, share):
            a_bar, b_bar = pull(np.ones(3))
            assert (a_bar + b_bar).tolist() == [1.0, 1.0, 1.0]
            assert a_bar.tolist()[1] == share


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("op", KINKS)
def test_a_choice_keeps_the_dtype(op, dtype):
    f, at = KINKS[op]
    with ga.set_subgradient(op, 0.25):
        assert MODES["reverse"](f)(dtype(at)).dtype == dtype


def test_clip_gives_each_bound_its_share():
    x, low, high = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), -np.ones(5), np.ones(5)
    _, pull = ga.vjp(ga.clip, x, low, high)

    def shares():
        return [bar.tolist() for bar in pull(np.ones(5))]

    assert shares() == [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    with ga.set_subgradient("clip", 0.5):
        assert shares() == [[0, 0.5, 1, 0.5, 0], [1, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 1]]


def test_clip_with_crossed_bounds_is_the_upper_one_as_in_numpy():
    y, pull = ga.vjp(ga.clip, 0.0, 2.0, -2.0)
    assert float(y) == np.clip(0.0, 2.0, -2.0) == -2.0
    assert [float(bar) for bar in pull(1.0)] == [0.0, 0.0, 1.0]


def test_clip_takes_numpys_names_of_the_bounds_and_each_only_once():
    x = ga.array([-2.0, 3.0])
    assert x.clip(min=0.0).tolist() == [0.0, 3.0]
    assert ga.clip(x, max=1.0).tolist() == [-2.0, 1.0]
    assert ga.clip(ga.array([-2, 3]), None, 1).dtype == np.int64
    with pytest.raises(ValueError, match=r"clip: min and a_min"):
        ga.clip(x, 0.0, min=0.0)


def test_fmax_and_fmin_send_nothing_to_nan():
    a, b = ga.array([np.nan, 1.0]), ga.array([1.0, np.nan])
    for f in (ga.fmax, ga.fmin):
        y, pull = ga.vjp(f, a, b)
        assert y.tolist() == [1.0, 1.0]
        assert [bar.tolist() for bar in pull(np.ones(2))] == [[0.0, 1.0], [1.0, 0.0]]


# The origin ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [ga.hypot, ga.arctan2])
@pytest.mark.parametrize("modes", list(itertools.product(MODES, repeat=3)), ids="-".join)
def test_the_origin_is_finite_to_third_order(f, modes):
    # Along any line through the origin these are |t| and a constant, but for the point itself.
    def g(t):
        return f(3 * t, 4 * t)

    for mode in modes:
        g = MODES[mode](g)
        assert float(g(0.0)) == 0.0


def test_arctan2_at_the_origin_can_be_chosen():
    with ga.set_subgradient("arctan2", 7.0):
        assert [float(g) for g in ga.grad(ga.arctan2, (0, 1))(0.0, 0.0)] == [7.0, 7.0]


def test_power_at_the_origin_can_be_chosen():
    for value in (0.0, -2.0, -math.inf):
        with ga.set_subgradient("power.b", value), np.errstate(divide="ignore"):
            assert float(ga.grad(ga.power, 1)(0.0, 0.0)) == pytest.approx(value, rel=4 * EPS)


# Steps ------------------------------------------------------------------------------------------

STEPS = [ga.floor, ga.ceil, ga.trunc, ga.rint, ga.round, ga.sign]


@pytest.mark.parametrize("f", STEPS)
def test_a_step_has_a_gradient_of_zeros(f):
    x = ga.array([-1.5, 0.0, 0.3], requires_grad=True)
    f(x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 0.0]
    assert ga.jvp(f, (x.detach(),), (np.ones(3),))[1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_flat_also_under_an_infinite_slope(mode):
    # sqrt(floor(x)) is constant around 0.5, though sqrt has an infinite slope at 0.
    assert float(MODES[mode](lambda x: ga.sqrt(ga.floor(x)))(0.5)) == 0.0
    assert float(MODES[mode](MODES[mode](lambda x: ga.sqrt(ga.floor(x))))(0.5)) == 0.0


# Masks ------------------------------------------------------------------------------------------

# name: (f, f', f'', f''' at x = 1/4), all of them infinite or NaN where they are masked.
MASKED = {
    "sqrt": (ga.sqrt, [1.0, -2.0, 12.0]),
    "power 1/2": (lambda x: x**0.5, [1.0, -2.0, 12.0]),
    "power of an array": (lambda x: ga.power(x, ga.array(0.5)), [1.0, -2.0, 12.0]),
    "log": (ga.log, [4.0, -16.0, 128.0]),
    "log2": (lambda x: ga.log2(x) * math.log(2), [4.0, -16.0, 128.0]),
    "1/x": (lambda x: 1 / x, [-16.0, 128.0, -1536.0]),
    "reciprocal": (ga.reciprocal, [-16.0, 128.0, -1536.0]),
    "power -1": (lambda x: x**-1, [-16.0, 128.0, -1536.0]),
    "rsqrt": (ga.rsqrt, [-4.0, 24.0, -240.0]),
    "cbrt": (lambda x: ga.cbrt(2 * x), None),
    "arccosh": (lambda x: ga.arccosh(1 + x), None),
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", MASKED)
def test_a_mask_holds_to_third_order_in_every_mix_of_modes(name, order):
    inner, expected = MASKED[name]

    def masked(x):
        return ga.where(x > 0, inner(x), 0.0)

    def guarded(x):
        return ga.exp(masked(x)) * x  # exp(0) x to the left: slope 1, then 0

    for modes in itertools.product(MODES.values(), repeat=order):
        f, g = masked, guarded
        for mode in modes:
            f, g = mode(f), mode(g)
        with np.errstate(all="ignore"):
            for x in (0.0, -2.0):
                assert float(f(x)) == 0.0
                assert float(g(x)) == (1.0 if order == 1 else 0.0)
            inside = float(f(0.25))
        if expected is not None:
            # Each order is a handful of operations on numbers of the size of the result.
            assert inside == pytest.approx(expected[order - 1], rel=32 * EPS)
        else:
            assert math.isfinite(inside) and inside != 0.0


def test_a_mask_holds_in_backward_and_in_arrays():
    x = ga.array([-1.0, 0.0, 0.25, 4.0], requires_grad=True)
    with np.errstate(all="ignore"):
        (ga.where(x > 0, ga.sqrt(x), 0.0) * ga.array([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 3.0, 1.0]


def test_a_zero_cotangent_by_chance_keeps_its_second_derivative():
    # (sqrt x - 1)^2 at 1: the cotangent of sqrt is 0 there, the second derivative 1/2.
    f = lambda x: (ga.sqrt(x) - 1) ** 2
    for outer, inner in itertools.product(MODES.values(), repeat=2):
        assert float(outer(inner(f))(1.0)) == 0.5


# where --------------------------------------------------------------------------------------------


def test_where_takes_numbers_as_conditions():
    # Any number but 0 holds, and the derivative is 1, not the number.
    a, b = ga.array([1.0, 1.0, 1.0]), ga.array([5.0, 5.0, 5.0])
    for cond in ([2, 0, -3], [2.0, 0.0, np.nan]):
        y, pull = ga.vjp(lambda a, b, cond=cond: ga.where(cond, a, b), a, b)
        assert y.tolist() == np.where(cond, 1.0, 5.0).tolist()
        assert [bar.tolist() for bar in pull(np.ones(3))] == [[1, 0, 1], [0, 1, 0]]


def test_where_of_a_condition_alone_gives_the_indices():
    rows, columns = ga.where(ga.array([[0.0, 1.0], [2.0, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    with pytest.raises(ValueError, match="where: give both"):
        ga.where([True], 1.0)
