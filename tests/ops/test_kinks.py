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


def test_a_choice_can_last_and_be_undone():
    slope = lambda: float(ga.grad(ga.relu)(0.0))
    first = ga.set_subgradient("relu", 0.5)
    try:
        assert slope() == 0.5
        second = ga.set_subgradient("relu", 1.0)
        with ga.set_subgradient("relu", None):
            assert slope() == 0.0
        assert slope() == 1.0
        second.undo()
        assert slope() == 0.5
    finally:
        first.undo()
    assert slope() == 0.0 and ".undo()" in repr(first)


def test_a_choice_that_is_none_says_so():
    with pytest.raises(ValueError, match="takes no other"):
        ga.set_subgradient("floor", 1.0)
    with pytest.raises(KeyError, match="relu"):
        ga.set_subgradient("rellu", 1.0)


# The report ---------------------------------------------------------------------------------------

# For every choice: (f, a point where it is met, one where it is not).
MET = {
    **{name: (f, at, at + 0.25) for name, (f, at) in KINKS.items()},
    "sign": (ga.sign, 0.0, 1.0),
    "heaviside": (lambda x: ga.heaviside(x, 0.5), 0.0, 1.0),
    "sqrt": (ga.sqrt, 0.0, 1.0),
    "cbrt": (ga.cbrt, 0.0, 1.0),
    "arccosh": (ga.arccosh, 1.0, 2.0),
    "arcsin": (ga.arcsin, -1.0, 0.5),
    "arccos": (ga.arccos, 1.0, 0.5),
    "arctan2": (lambda x: ga.arctan2(x, 2 * x), 0.0, 1.0),
    "power.a": (lambda x: x**0.25, 0.0, 1.0),
    "power.b": (lambda x: ga.power(x, x), 0.0, 1.0),
    "logaddexp": (lambda x: ga.logaddexp(x, x), math.inf, 1.0),
    "max": (lambda x: ga.max(ga.stack([x, 1.0])), 1.0, 2.0),
    "min": (lambda x: ga.min(ga.stack([x, 1.0])), 1.0, 2.0),
    "nanmax": (lambda x: ga.nanmax(ga.stack([x, 1.0])), 1.0, 2.0),
    "nanmin": (lambda x: ga.nanmin(ga.stack([x, 1.0])), 1.0, 2.0),
    "logsumexp": (lambda x: ga.logsumexp(ga.stack([x, x])), -math.inf, 1.0),
    "norm": (lambda x: ga.std(ga.stack([x, 1.0])), 1.0, 2.0),
    "norm.p": (lambda x: ga.norm(ga.stack([x, 1.0]), 0.5), 0.0, 2.0),
    "floor": (ga.floor, 2.0, 0.5),
    "ceil": (ga.ceil, 2.0, 0.5),
    "trunc": (ga.trunc, 2.0, 0.0),
    "rint": (ga.rint, 0.5, 1.0),
    "round": (lambda x: ga.round(x, 1), 0.25, 1.0),
    "floor_divide": (lambda x: x // 2.0, 4.0, 1.0),
    "remainder": (lambda x: x % 2.0, 4.0, 1.0),
    "fmod": (lambda x: ga.fmod(x, 2.0), 4.0, 0.0),
    "sort": (lambda x: ga.sort(ga.stack([x, 1.0])).sum(), 1.0, 2.0),
    "partition": (lambda x: ga.partition(ga.stack([x, 1.0]), 0).sum(), 1.0, 2.0),
    "topk": (lambda x: ga.topk(ga.stack([x, 1.0]), 1)[0].sum(), 1.0, 2.0),
    "unique": (lambda x: ga.unique(ga.stack([x, 1.0])).sum(), 1.0, 2.0),
    "interp": (lambda x: ga.interp(x, [0.0, 1.0], [2.0, 5.0]), 0.0, 0.5),
    "quantile": (lambda x: ga.median(ga.stack([x, 1.0])), 1.0, 2.0),
    "cummax": (lambda x: ga.cummax(ga.stack([x, 1.0])).sum(), 1.0, 2.0),
    "cummin": (lambda x: ga.cummin(ga.stack([x, 1.0])).sum(), 1.0, 2.0),
    "max_pool": (lambda x: ga.max_pool1d(ga.stack([x, 1.0])[None, None], 2).sum(), 1.0, 2.0),
    "leaky_relu": (ga.leaky_relu, 0.0, 1.0),
    "prelu": (lambda x: ga.prelu(x, ga.array([0.25])), 0.0, 1.0),
    "hard_tanh": (ga.hard_tanh, 1.0, 0.0),
    "hard_sigmoid": (ga.hard_sigmoid, -3.0, 0.0),
    "hard_swish": (ga.hard_swish, 3.0, 0.0),
    "softshrink": (ga.softshrink, 0.5, 0.0),
    "hardshrink": (ga.hardshrink, -0.5, 0.0),
    "threshold": (lambda x: ga.threshold(x, 1.0, 0.0), 1.0, 2.0),
    "elu": (ga.elu, 0.0, 1.0),
    "xlogy": (lambda x: ga.xlogy(x, x), 0.0, 1.0),
    "entr": (ga.entr, 0.0, 1.0),
    "rel_entr": (lambda x: ga.rel_entr(x, 0.5), 0.0, 1.0),
    "i0e": (ga.special.i0e, 0.0, 1.0),
    "eigh": (lambda x: ga.linalg.eigh(ga.diag(ga.stack([x, 1.0])))[1].sum(), 1.0, 2.0),
    "svd": (lambda x: ga.linalg.svd(ga.diag(ga.stack([x, 1.0])))[0].sum(), 1.0, 2.0),
}


def test_every_choice_is_reported_when_it_is_met():
    assert table.keys() - MET.keys() == set()


@pytest.mark.parametrize("name", sorted(MET))
def test_the_report_tells_what_was_met(name):
    f, at, elsewhere = MET[name]
    with ga.kinks() as report:
        x = ga.array(elsewhere, requires_grad=True)
        f(x)
    assert report.times(name) == 0
    with ga.kinks() as report, np.errstate(all="ignore"):
        x = ga.array(at, requires_grad=True)
        f(x)
        f(x)
    assert report.times(name) == 2
    row = next(kink for kink in report if kink.choice.name == name)
    assert row.choice is table[name] and "test_kinks.py" in row.line
    assert name in str(report) and table[name].point in str(report)


def test_the_report_counts_what_is_on_a_graph_and_the_users():
    with ga.kinks() as report:
        ga.relu(ga.array([0.0]))  # no derivative can be asked for
        x = ga.array([0.0, 0.0, 1.0], requires_grad=True)
        with ga.no_grad():
            ga.relu(x)
        assert not report and str(report) == "no point without a derivative was met"
        y = ga.relu(x).sum()
        y.backward(create_graph=True)
        ga.grad(ga.grad(lambda x: ga.clip(x, 0.0, 1.0) ** 2))(0.5)  # its rule takes a maximum
    assert report.times("relu") == 2 and len(report) == 1 and bool(report)


def test_the_report_sees_batches_and_shortens_long_lines():
    with ga.kinks() as report:
        ga.vmap(ga.grad(lambda x: ga.relu(x) * 1.000 + 2.000 * x))(ga.array([0.0, 1.0, 0.0]))
    assert report.times("relu") == 2 and len(report.rows[0].line) > 80
    assert max(map(len, str(report).splitlines())) < 130 and "..." in str(report)


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
