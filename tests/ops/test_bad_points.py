"""Where derivatives go wrong: finite and as documented to fourth order, in every mix of modes."""

import itertools
import math

import numpy as np
import pytest

import gradarray as ga

INF = math.inf
FLAT = [0.0, 0.0, 0.0, 0.0]


def pushed(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


MODES = {"reverse": ga.grad, "forward": pushed, "Taylor": ga.derivative}
MIXES = [
    mix
    for order in range(1, 5)
    for mix in itertools.product(("reverse", "forward"), repeat=order)
] + [("Taylor", "reverse"), ("reverse", "Taylor"), ("Taylor", "forward"), ("forward", "Taylor")]


def pair(x, y):
    return ga.stack([x, y])


# name: (f, x, the derivatives of order 1 to 4 that are documented)
POINTS = {
    # Vertical: the choice of the table, and 0 from then on.
    "sqrt": (ga.sqrt, 0.0, FLAT),
    "cbrt": (ga.cbrt, 0.0, FLAT),
    "x ** 0.5": (lambda x: x**0.5, 0.0, FLAT),
    "x ** 0.25": (lambda x: x**0.25, 0.0, FLAT),
    "x ** 1.5": (lambda x: x**1.5, 0.0, FLAT),
    "x ** 2.5": (lambda x: x**2.5, 0.0, FLAT),
    "power(x, 0.5)": (lambda x: ga.power(x, ga.array(0.5)), 0.0, FLAT),
    "power(x, 1.5)": (lambda x: ga.power(x, ga.array(1.5)), 0.0, FLAT),
    # a^(b-1) + a^b log a: the second derivative is 1 without the pole of the logarithm.
    "power(x, 1 + x)": (lambda x: ga.power(x, 1 + x), 0.0, [1.0, 1.0, 0.0, 0.0]),
    "x ** x": (lambda x: ga.power(x, x), 0.0, FLAT),
    "0 ** x": (lambda x: ga.power(0.0, x), 0.0, FLAT),
    "arcsin": (ga.arcsin, 1.0, FLAT),
    "arccos": (ga.arccos, -1.0, FLAT),
    "arccosh": (ga.arccosh, 1.0, FLAT),
    # Powers that are smooth there.
    "x ** 3": (lambda x: x**3, 0.0, [0.0, 0.0, 6.0, 0.0]),
    "power(x, 2)": (lambda x: ga.power(x, ga.array(2.0)), 0.0, [0.0, 2.0, 0.0, 0.0]),
    "power(x, 0)": (lambda x: ga.power(x, ga.array(0.0)), 0.0, FLAT),
    # Corners.
    "abs": (ga.abs, 0.0, FLAT),
    "abs of a complex number": (lambda x: ga.abs(x * (1 + 2j)), 0.0, FLAT),
    "x abs(x)": (lambda x: x * ga.abs(x), 0.0, FLAT),
    "maximum": (lambda x: ga.maximum(x, 3 * x), 0.0, [2.0, 0.0, 0.0, 0.0]),
    "max": (lambda x: ga.max(ga.stack([x, x, 4 * x])), 0.0, [2.0, 0.0, 0.0, 0.0]),
    "clip": (lambda x: ga.clip(x, 0.0, 1.0), 0.0, [1.0, 0.0, 0.0, 0.0]),
    "relu squared": (lambda x: ga.relu(x) ** 2, 0.0, FLAT),
    "softsign": (ga.softsign, 0.0, [1.0, 0.0, 0.0, 0.0]),
    # Lengths, angles and spreads where there is none.
    **{
        f"norm, p = {p}": (lambda x, p=p: ga.norm(pair(x, 2 * x), p), 0.0, FLAT)
        for p in (0.5, 1, 1.5, 2, 3, INF, -INF, -1.5)
    },
    **{  # |(x, 1 + x)|_p = 1 + x + O(|x|^p): the choice for |x|^p, and no more of it
        f"norm with a zero, p = {p}": (
            lambda x, p=p: ga.norm(pair(x, 1 + x), p), 0.0, [1.0, 0.0, 0.0, 0.0]
        )
        for p in (0.5, 1.5, 3)
    },
    "hypot": (lambda x: ga.hypot(x, 2 * x), 0.0, FLAT),
    "arctan2": (lambda x: ga.arctan2(x, 2 * x), 0.0, FLAT),
    "angle": (lambda x: ga.angle(x * (1 + 1j)), 0.0, FLAT),
    "std": (lambda x: ga.std(ga.stack([x, 2 * x, 3 * x])), 0.0, FLAT),
    "nanstd": (lambda x: ga.nanstd(ga.stack([x, 2 * x, 3 * x])), 0.0, FLAT),
    "sqrt(var)": (lambda x: ga.sqrt(ga.var(ga.stack([x, 2 * x, 3 * x]))), 0.0, FLAT),
    "sqrt(x^2)": (lambda x: ga.sqrt(x * x), 0.0, FLAT),
    "cdist": (lambda x: ga.cdist(pair(x, 2 * x)[None], ga.zeros((1, 2))).sum(), 0.0, FLAT),
    "cdist, p = 1": (
        lambda x: ga.cdist(pair(x, 2 * x)[None], ga.zeros((1, 2)), p=1.0).sum(), 0.0, FLAT
    ),
    "cdist, p = 3": (
        lambda x: ga.cdist(pair(x, 2 * x)[None], ga.zeros((1, 2)), p=3.0).sum(), 0.0, FLAT
    ),
    "pairwise_distance": (
        lambda x: ga.pairwise_distance(pair(x, x), ga.zeros(2), eps=0.0), 0.0, FLAT
    ),
    "quantile": (lambda x: ga.quantile(pair(x, 3 * x), 0.5), 0.0, [2.0, 0.0, 0.0, 0.0]),
    # Entropies: 0 log 0.
    "xlogy(x, x)": (lambda x: ga.xlogy(x, x), 0.0, FLAT),
    "entr": (ga.entr, 0.0, FLAT),
    "rel_entr": (lambda x: ga.rel_entr(x, 0.5), 0.0, FLAT),
    "i0e": (ga.special.i0e, 0.0, FLAT),
    "x * log(x)": (lambda x: x * ga.log(x), 0.0, FLAT),
    "log(x) * x**2": (lambda x: ga.log(x) * x**2, 0.0, FLAT),
    "2 * p * log2(p), p = 3 x": (lambda x: 2 * (3 * x) * ga.log2(3 * x), 0.0, FLAT),
    "x * (1 / x)": (lambda x: x * (1 / x), 0.0, FLAT),
    # Infinite operands.
    "logsumexp of nothing": (lambda x: ga.logsumexp(pair(x, x)), -INF, FLAT),
    "logsumexp of one": (lambda x: ga.logsumexp(pair(x, -INF)), 2.0, [1.0, 0.0, 0.0, 0.0]),
    "logsumexp of infinities": (
        lambda x: ga.logsumexp(ga.stack([x, x, 0.0])), INF, [1.0, 0.0, 0.0, 0.0]
    ),
    "logaddexp": (lambda x: ga.logaddexp(x, x), INF, [1.0, 0.0, 0.0, 0.0]),
    "logcumsumexp": (lambda x: ga.logcumsumexp(pair(x, x))[1], INF, [1.0, 0.0, 0.0, 0.0]),
    # Masks.
    "masked sqrt": (lambda x: ga.where(x > 0, ga.sqrt(x), 0.0), 0.0, FLAT),
    "masked log": (lambda x: ga.where(x > 0, ga.log(x), 0.0), 0.0, FLAT),
    "masked x log x": (lambda x: ga.where(x > 0, x * ga.log(x), 0.0), 0.0, FLAT),
    "masked 1/x": (lambda x: ga.where(x > 0, 1 / x, x), 0.0, [1.0, 0.0, 0.0, 0.0]),
    "masked arctanh": (lambda x: ga.where(x < 1, ga.arctanh(x), 0.0), 1.0, FLAT),
}  # fmt: skip


# 0 times infinity is NaN, as in NumPy.
OF_NO_VALUE = {"x * log(x)", "log(x) * x**2", "2 * p * log2(p), p = 3 x", "x * (1 / x)"}


def differentiated(f, mix):
    for mode in reversed(mix):
        f = MODES[mode](f)
    return f


@pytest.mark.parametrize("name", POINTS)
def test_derivatives_are_as_documented_in_every_mix(name):
    f, x, documented = POINTS[name]
    with np.errstate(all="ignore"):
        assert math.isnan(float(f(ga.array(x)))) == (name in OF_NO_VALUE)
        for mix in MIXES:
            got = float(differentiated(f, mix)(x))
            # A handful of roundings, where the value is not 0 by a rule.
            assert got == pytest.approx(documented[len(mix) - 1], abs=1e-15), mix
        for order in range(1, 5):
            got = float(ga.derivative(f, order)(x))
            assert got == pytest.approx(documented[order - 1], abs=1e-15), f"Taylor, {order}"


# Infinite as they should be: the function is infinite itself.
INFINITE = {
    "log": (ga.log, 0.0, [INF, -INF, INF, -INF]),
    "1/x": (lambda x: 1 / x, 0.0, [-INF, INF, -INF, INF]),
    "x ** -0.5": (lambda x: x**-0.5, 0.0, [-INF, INF, -INF, INF]),
    "rsqrt": (ga.rsqrt, 0.0, [-INF, INF, -INF, INF]),
    "arctanh": (ga.arctanh, 1.0, [INF, INF, INF, INF]),
    "log1p": (ga.log1p, -1.0, [INF, -INF, INF, -INF]),
}


@pytest.mark.parametrize("name", INFINITE)
def test_what_is_infinite_has_infinite_derivatives(name):
    f, x, expected = INFINITE[name]
    with np.errstate(all="ignore"):
        assert math.isinf(float(f(ga.array(x))))
        for mix in MIXES:
            if "Taylor" not in mix:
                assert float(differentiated(f, mix)(x)) == expected[len(mix) - 1], mix


@pytest.mark.parametrize("value", [0.0, 2.0, INF])
@pytest.mark.parametrize(
    ("name", "f", "x"),
    [
        ("sqrt", ga.sqrt, 0.0),
        ("cbrt", ga.cbrt, 0.0),
        ("power.a", lambda x: x**0.25, 0.0),
        ("power.a", lambda x: ga.power(x, ga.array(0.25)), 0.0),
        ("arcsin", ga.arcsin, 1.0),
        ("arccosh", ga.arccosh, 1.0),
        ("entr", ga.entr, 0.0),
    ],
)
def test_a_vertical_slope_can_be_chosen(name, f, x, value):
    with ga.set_subgradient(name, value), np.errstate(all="ignore"):
        for mode in ("reverse", "forward"):
            assert float(MODES[mode](f)(x)) == value
            if value < INF:
                assert float(MODES[mode](MODES[mode](f))(x)) == 0.0


# float32 has the same choices: its mixes of the first orders, and Taylor's to the fourth.
@pytest.mark.parametrize("name", POINTS)
def test_float32_takes_the_same(name):
    f, x, documented = POINTS[name]
    x = np.float32(x)
    with np.errstate(all="ignore"):
        for mix in [mix for mix in MIXES if len(mix) <= 2]:
            got = differentiated(f, mix)(x)
            assert float(got) == pytest.approx(documented[len(mix) - 1], abs=1e-6), mix
        for order in range(1, 5):
            got = float(ga.derivative(f, order)(x))
            assert got == pytest.approx(documented[order - 1], abs=1e-6), f"Taylor, {order}"


@pytest.mark.parametrize("name", POINTS)
def test_along_a_batch_that_holds_the_point(name):
    # One walk for many points: what is documented at one of them does not spoil the others.
    f, x, documented = POINTS[name]
    with np.errstate(all="ignore"):
        second = ga.vmap(ga.grad(ga.grad(f)))(np.array([x, x]))
        np.testing.assert_allclose(second.numpy(), [documented[1]] * 2, atol=1e-15)
        series = ga.vmap(lambda x: ga.jet(f, (x,), ([1.0, 0.0, 0.0, 0.0],))[1])(np.array([x, x]))
        for k, c in enumerate(series):
            np.testing.assert_allclose(c.numpy(), [documented[k]] * 2, atol=1e-15, err_msg=str(k))


def test_x_log_x_masked():
    with np.errstate(all="ignore"):
        masked = lambda x: ga.where(x > 0, x * ga.log(x), 0.0)
        for f in (masked, lambda x: ga.xlogy(x, x)):
            for _ in range(4):
                f = ga.grad(f)
                assert f(0.0).item() == 0


@pytest.mark.parametrize("name", sorted(OF_NO_VALUE))
def test_compiled_steps_are_flat_where_there_is_no_value(name):
    f, x, documented = POINTS[name]
    with np.errstate(all="ignore"):
        for order, df in enumerate([ga.grad(f), ga.grad(ga.grad(f))]):
            assert ga.compile(df)(ga.array(x)).item() == documented[order]


def test_beside_infinity_only_what_is_0_is_flat():
    """d(a b)/da = b, also where it is infinite, unless a is exactly 0."""
    x = np.array([0.0, 0.5, INF])
    with np.errstate(all="ignore"):
        # x log x is NaN at 0; next to it, y log x at 0 with y = 2 is -inf, with the slope -inf
        slopes = ga.grad(lambda x: (x * ga.log(x)).sum())(x)
        np.testing.assert_allclose(slopes, [0, 1 + np.log(0.5), INF])
        y = np.array([0.0, 2.0])
        by_y = ga.grad(lambda y, x: (y * ga.log(x * y)).sum())(y, np.array([1.0, 0.0]))
        np.testing.assert_array_equal(by_y, [0, -INF])
