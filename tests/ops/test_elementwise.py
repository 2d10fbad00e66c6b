"""Values and derivatives where functions saturate, overflow, vanish or cancel, against mpmath.

The formulas below are the derivatives written by hand, evaluated with 60 digits. What a rule may
lose: it is at most a dozen operations on operands that are exact, each rounding by eps/2 and
each function of NumPy's or SciPy's by about eps, so 8 eps of the result, whatever its size.
"""

import mpmath as mp
import numpy as np
import pytest

import gradarray as ga
from gradarray.registry import functions

mp.mp.dps = 60
EPS = np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny  # below it numbers have fewer digits, or none
BOUND = 8 * EPS


def assert_digits(got, exact, bound, where):
    got = float(got)
    if abs(exact) < TINY:
        assert abs(got) <= TINY, f"{where}: {got} for {mp.nstr(exact, 17)}"
        return
    assert np.isfinite(got), f"{where}: {got} for {mp.nstr(exact, 17)}"
    error = abs((mp.mpf(got) - exact) / exact)
    assert error <= bound, f"{where}: {got} for {mp.nstr(exact, 17)}, {float(error / EPS):.3g} eps"


def sech(x):
    return 1 / mp.cosh(x)


def sigma(x):
    return 1 / (1 + mp.exp(-x))


def sinc(x):
    return mp.sin(mp.pi * x) / (mp.pi * x) if x else mp.mpf(1)


def sinc1(x):
    return (mp.cos(mp.pi * x) - sinc(x)) / x if x else mp.mpf(0)


def sinc2(x):
    return -(mp.pi**2) * sinc(x) - 2 * sinc1(x) / x if x else -(mp.pi**2) / 3


def cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


LN2, LN10 = mp.log(2), mp.log(10)
NEAR_1 = 1 - 2.0**-40

# name: (f, f', f'', points)
UNARY = {
    "exp": (mp.exp, mp.exp, mp.exp, [0, 1e-300, -1e-8, 20, -700, 700]),
    "exp2": (
        lambda x: 2**x,
        lambda x: LN2 * 2**x,
        lambda x: LN2**2 * 2**x,
        [0, 1e-300, 0.5, -1000, 1000],
    ),
    "expm1": (mp.expm1, mp.exp, mp.exp, [0, 1e-300, 1e-8, -1e-8, -40, -700, 700]),
    "log": (mp.log, lambda x: 1 / x, lambda x: -1 / x**2, [1e-100, 1, 1 + 1e-8, 1e100]),
    "log2": (
        lambda x: mp.log(x) / LN2,
        lambda x: 1 / (x * LN2),
        lambda x: -1 / (x**2 * LN2),
        [1e-100, 1, 3, 1e100],
    ),
    "log10": (
        lambda x: mp.log(x) / LN10,
        lambda x: 1 / (x * LN10),
        lambda x: -1 / (x**2 * LN10),
        [1e-100, 1, 3, 1e100],
    ),
    "log1p": (
        mp.log1p,
        lambda x: 1 / (1 + x),
        lambda x: -1 / (1 + x) ** 2,
        [0, 1e-300, 1e-8, -1e-8, -0.5, -NEAR_1, 1e100],
    ),
    "sin": (mp.sin, mp.cos, lambda x: -mp.sin(x), [0, 1e-300, 1e-8, 1.5, 1e5]),
    "cos": (mp.cos, lambda x: -mp.sin(x), lambda x: -mp.cos(x), [0, 1e-300, 1e-8, 1.5, 1e5]),
    "tan": (
        mp.tan,
        lambda x: 1 + mp.tan(x) ** 2,
        lambda x: 2 * mp.tan(x) * (1 + mp.tan(x) ** 2),
        [0, 1e-300, 1e-8, 1.5, 1.5707963, 100],
    ),
    "sinc": (sinc, sinc1, sinc2, [0, 1e-12, 1e-8, 1e-3, 0.3, 0.5, 1.5, 3.7, 50.3]),
    "arcsin": (
        mp.asin,
        lambda x: 1 / mp.sqrt(1 - x * x),
        lambda x: x / mp.sqrt(1 - x * x) ** 3,
        [0, 1e-300, 1e-8, 0.5, NEAR_1, -NEAR_1],
    ),
    "arccos": (
        mp.acos,
        lambda x: -1 / mp.sqrt(1 - x * x),
        lambda x: -x / mp.sqrt(1 - x * x) ** 3,
        [0, 1e-300, 1e-8, 0.5, NEAR_1, -NEAR_1],
    ),
    "arctan": (
        mp.atan,
        lambda x: 1 / (1 + x * x),
        lambda x: -2 * x / (1 + x * x) ** 2,
        [0, 1e-300, 1e-8, 1, -1e8, 1e77, 1e100],
    ),
    "sinh": (mp.sinh, mp.cosh, mp.sinh, [0, 1e-300, 1e-8, 1, -20, 700]),
    "cosh": (mp.cosh, mp.sinh, mp.cosh, [0, 1e-300, 1e-8, 1, -20, 700]),
    "tanh": (
        mp.tanh,
        lambda x: sech(x) ** 2,
        lambda x: -2 * sech(x) ** 2 * mp.tanh(x),
        [0, 1e-300, 1e-8, 0.3, 3, -20, 40, 300, 350, 800],
    ),
    "sech": (
        sech,
        lambda x: -sech(x) * mp.tanh(x),
        lambda x: sech(x) * (mp.tanh(x) ** 2 - sech(x) ** 2),
        [0, 1e-300, 1e-8, 0.3, 3, -20, 40, 300, 700, -800],
    ),
    "sigmoid": (
        sigma,
        lambda x: sech(x / 2) ** 2 / 4,
        lambda x: -sech(x / 2) ** 2 * mp.tanh(x / 2) / 4,
        [0, 1e-300, 1e-8, 0.3, 3, -20, 37, -37, 300, -700, 800, -800],
    ),
    "arcsinh": (
        mp.asinh,
        lambda x: 1 / mp.sqrt(1 + x * x),
        lambda x: -x / mp.sqrt(1 + x * x) ** 3,
        [0, 1e-300, 1e-8, 1, -1e8, 1e100, 1e150],
    ),
    "arccosh": (
        mp.acosh,
        lambda x: 1 / mp.sqrt(x * x - 1),
        lambda x: -x / mp.sqrt(x * x - 1) ** 3,
        [2 - NEAR_1, 1.5, 1e8, 1e100, 1e150],
    ),
    "arctanh": (
        mp.atanh,
        lambda x: 1 / (1 - x * x),
        lambda x: 2 * x / (1 - x * x) ** 2,
        [0, 1e-300, 1e-8, 0.5, NEAR_1, -NEAR_1],
    ),
    "square": (lambda x: x * x, lambda x: 2 * x, lambda x: mp.mpf(2), [0, 1e-100, 1e100]),
    "reciprocal": (
        lambda x: 1 / x,
        lambda x: -1 / x**2,
        lambda x: 2 / x**3,
        [1e-100, -1e-8, 1, 1e100],
    ),
    "sqrt": (
        mp.sqrt,
        lambda x: 1 / (2 * mp.sqrt(x)),
        lambda x: -1 / (4 * mp.sqrt(x) ** 3),
        [1e-200, 1e-8, 1, 1e200],
    ),
    "rsqrt": (
        lambda x: 1 / mp.sqrt(x),
        lambda x: -1 / (2 * mp.sqrt(x) ** 3),
        lambda x: 3 / (4 * mp.sqrt(x) ** 5),
        [1e-120, 1e-8, 1, 1e120],
    ),
    "cbrt": (
        cbrt,
        lambda x: 1 / (3 * cbrt(x) ** 2),
        lambda x: -2 / (9 * cbrt(x) ** 5),
        [1e-150, 1e-8, 1, -8, 1e150],
    ),
    "deg2rad": (
        lambda x: mp.pi * x / 180,
        lambda x: mp.pi / 180,
        lambda x: mp.mpf(0),
        [0, 90, 1e300],
    ),
    "rad2deg": (
        lambda x: 180 * x / mp.pi,
        lambda x: 180 / mp.pi,
        lambda x: mp.mpf(0),
        [0, 3, 1e300],
    ),
}


@pytest.mark.parametrize("name", UNARY)
def test_digits_of_one_operand(name):
    exact, slope, curvature, points = UNARY[name]
    f = getattr(ga, name)
    for x in map(float, points):
        at = mp.mpf(x)
        for order, what, got in (
            (exact, "value", f(ga.array(x))),
            (slope, "reverse", ga.grad(f)(x)),
            (slope, "forward", pushed(f)(x)),
            (curvature, "reverse over reverse", ga.grad(ga.grad(f))(x)),
            (curvature, "forward over reverse", pushed(ga.grad(f))(x)),
            (curvature, "reverse over forward", ga.grad(pushed(f))(x)),
            (curvature, "forward over forward", pushed(pushed(f))(x)),
        ):
            assert_digits(got, order(at), BOUND, f"{name}, {what}, at {x}")


def pushed(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


def square_norm(a, b):
    return a * a + b * b


# name: (f, [f_a, f_b], [f_aa, f_ab, f_bb], points)
BINARY = {
    "divide": (
        lambda a, b: a / b,
        [lambda a, b: 1 / b, lambda a, b: -a / b**2],
        [lambda a, b: mp.mpf(0), lambda a, b: -1 / b**2, lambda a, b: 2 * a / b**3],
        [(0, 2), (1e-200, 1e-100), (3, -2), (1e100, 1e80), (1e-100, 1e90)],
    ),
    "hypot": (
        lambda a, b: mp.sqrt(square_norm(a, b)),
        [
            lambda a, b: a / mp.sqrt(square_norm(a, b)),
            lambda a, b: b / mp.sqrt(square_norm(a, b)),
        ],
        [
            lambda a, b: b * b / mp.sqrt(square_norm(a, b)) ** 3,
            lambda a, b: -a * b / mp.sqrt(square_norm(a, b)) ** 3,
            lambda a, b: a * a / mp.sqrt(square_norm(a, b)) ** 3,
        ],
        [(3, 4), (1e-8, 1), (1, 1e-8), (-1, 1e-100), (1e200, 1e200), (1e-200, 1e-200), (0, 2)],
    ),
    "arctan2": (
        mp.atan2,
        [lambda a, b: b / square_norm(a, b), lambda a, b: -a / square_norm(a, b)],
        [
            lambda a, b: -2 * a * b / square_norm(a, b) ** 2,
            lambda a, b: (a * a - b * b) / square_norm(a, b) ** 2,
            lambda a, b: 2 * a * b / square_norm(a, b) ** 2,
        ],
        [(3, 4), (1e-8, 1), (1, 1e-8), (-1, 1e-100), (2e100, 1e100), (2e-100, 1e-100), (0, -2)],
    ),
    "logaddexp": (
        lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
        [lambda a, b: sigma(a - b), lambda a, b: sigma(b - a)],
        [
            lambda a, b: sigma(a - b) * sigma(b - a),
            lambda a, b: -sigma(a - b) * sigma(b - a),
            lambda a, b: sigma(a - b) * sigma(b - a),
        ],
        [(0, 0), (1, 2), (1000, 300), (300, 1000), (1000, 1000), (-1000, -1000.5), (30, -20)],
    ),
    "logaddexp2": (
        lambda a, b: mp.log(2**a + 2**b) / LN2,
        [lambda a, b: sigma((a - b) * LN2), lambda a, b: sigma((b - a) * LN2)],
        [
            lambda a, b: LN2 * sigma((a - b) * LN2) * sigma((b - a) * LN2),
            lambda a, b: -LN2 * sigma((a - b) * LN2) * sigma((b - a) * LN2),
            lambda a, b: LN2 * sigma((a - b) * LN2) * sigma((b - a) * LN2),
        ],
        [(0, 0), (1, 2), (1000, 1000), (-1000, -1000.5), (3, -5)],
    ),
    "power": (
        lambda a, b: a**b,
        [
            lambda a, b: b * a ** (b - 1) if b else mp.mpf(0),
            lambda a, b: a**b * mp.log(a) if a else mp.mpf(0),
        ],
        [
            lambda a, b: b * (b - 1) * a ** (b - 2) if b * (b - 1) else mp.mpf(0),
            lambda a, b: a ** (b - 1) * (1 + b * mp.log(a)) if a else mp.mpf(0),
            lambda a, b: a**b * mp.log(a) ** 2 if a else mp.mpf(0),
        ],
        [(2, 3), (2, 0), (2, 1), (1e-100, 2), (1e100, 1.5), (0.5, 1000), (0, 3), (0, 2.5), (0, 2)],
    ),
}


@pytest.mark.parametrize("name", BINARY)
def test_digits_of_two_operands(name):
    exact, slopes, curvatures, points = BINARY[name]
    f = getattr(ga, name)
    for a, b in points:
        a, b = float(a), float(b)
        at = (mp.mpf(a), mp.mpf(b))
        where = f"{name}({a}, {b})"
        assert_digits(f(ga.array(a), b), exact(*at), BOUND, where)
        for i, gradient in enumerate(ga.grad(f, (0, 1))(a, b)):
            assert_digits(gradient, slopes[i](*at), BOUND, f"{where}, d{i}")
            row = ga.grad(lambda a, b, i=i: ga.grad(f, (0, 1))(a, b)[i], (0, 1))(a, b)
            column = ga.jvp(ga.grad(f, (0, 1)), (a, b), (1.0 - i, 0.0 + i))[1]
            for j in (0, 1):
                second = curvatures[i + j](*at)
                assert_digits(row[j], second, BOUND, f"{where}, d{i} d{j}")
                assert_digits(column[j], second, BOUND, f"{where}, d{j} along {i}")


def test_a_saturated_sigmoid_still_has_a_slope_in_float32():
    # y (1 - y) is 0 from x = 17 on in float32; e^-x is right to e^-x of itself.
    slope = ga.grad(ga.sigmoid)(np.float32(30.0))
    assert slope.dtype == np.float32
    assert float(slope) == pytest.approx(np.exp(-30.0), rel=float(8 * np.finfo(np.float32).eps))


# Powers with a fixed exponent ---------------------------------------------------------------------


@pytest.mark.parametrize("form", ["operator", "function", "array"])
@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("x", [0.0, -2.0, 3.0])
def test_integer_powers_have_their_derivatives_everywhere(form, n, x):
    f = {
        "operator": lambda x: x**n,
        "function": lambda x: ga.power(x, n),
        "array": lambda x: x ** ga.array(float(n)),
    }[form]
    for order in range(1, 6):
        f = ga.grad(f)
        falling = float(np.prod(range(n - order + 1, n + 1))) if order <= n else 0.0
        # Small integers: exact.
        assert float(f(x)) == (falling * x ** (n - order) if order <= n else 0.0)


def test_powers_of_zero():
    power = ga.grad(ga.power, (0, 1))
    assert [float(g) for g in power(0.0, 2.0)] == [0.0, 0.0]
    assert [float(g) for g in power(0.0, 1.0)] == [1.0, 0.0]
    assert [float(g) for g in power(0.0, 0.0)] == [0.0, 0.0]
    assert [float(g) for g in power(3.0, 0.0)] == [0.0, float(np.log(3.0))]
    with np.errstate(divide="ignore"):
        assert float(ga.grad(lambda x: x**-1.0)(0.0)) == -np.inf  # as 0^-1 is infinite itself


def test_the_slope_in_an_exponent_at_a_zero_exponent():
    # d/db (d/da a^b) = a^(b-1) (1 + b log a) is 1/a at b = 0.
    mixed = ga.grad(lambda b: ga.grad(ga.power)(4.0, b))(0.0)
    assert float(mixed) == 0.25


def test_a_negative_base_has_no_slope_in_its_exponent():
    base, exponent = ga.grad(ga.power, (0, 1))(-2.0, 3.0)
    assert float(base) == 12.0
    assert np.isnan(float(exponent))


def test_a_power_of_integers_to_a_negative_integer_raises():
    with pytest.raises(ValueError, match=r"power.*negative integer"):
        ga.array([1, 2]) ** -1


@pytest.mark.parametrize("exponent", [2, 3, -1, 0.5, 2.5])
def test_a_number_as_exponent_keeps_float32(exponent):
    x = ga.array(np.float32([0.5, 2.0]))
    y, pull = ga.vjp(lambda x: x**exponent, x)
    assert y.dtype == pull(y)[0].dtype == np.float32


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "special.gammainc", "special.beta"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_number_leaves_the_gradient_its_dtype_where_scipy_gives_float64(name, place):
    f = functions[name].fn
    loss = lambda x: ga.sum(f(x, 1.5) if place == 0 else f(1.5, x))
    assert ga.grad(loss)(ga.array(np.float32([0.5, 2.0]))).dtype == np.float32


def test_float_power_of_float32_is_float64():
    x = ga.array(np.float32([2.0, 3.0]))
    y, pull = ga.vjp(lambda x: ga.float_power(x, -2), x)
    assert y.dtype == np.float64
    (x_bar,) = pull(np.ones(2))
    assert x_bar.dtype == np.float32
    np.testing.assert_allclose(x_bar._array, [-0.25, -2 / 27], rtol=4 * np.finfo(np.float32).eps)


# Infinite operands --------------------------------------------------------------------------------


def test_logaddexp_of_equal_infinities_shares_evenly():
    for f in (ga.logaddexp, ga.logaddexp2):
        for x in (-np.inf, np.inf):
            assert [float(g) for g in ga.grad(f, (0, 1))(x, x)] == [0.5, 0.5]
        assert [float(g) for g in ga.grad(f, (0, 1))(-np.inf, 1.0)] == [0.0, 1.0]


def test_lerp_meets_both_ends():
    a, b = np.array([0.1, 1e16, -3.0]), np.array([0.7, 1.0, 1e-17])
    assert ga.array_equal(ga.lerp(a, b, 0.0), a)
    assert ga.array_equal(ga.lerp(a, b, 1.0), b)


def test_nan_to_num_sends_nothing_back_through_what_it_replaced():
    x = ga.array([0.0, 1.0, -1.0])
    with np.errstate(all="ignore"):
        x_bar = ga.grad(lambda x: ga.nan_to_num(ga.log(x), neginf=-9.0).sum())(x)
    assert x_bar.tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="copy=False"):
        ga.nan_to_num(x, copy=False)
