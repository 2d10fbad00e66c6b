"""Standard functions and their nth derivatives by closed form, orders 0 to 10, in every mode.

The formulas are those of tables (DLMF chapters 4 and 5, Gradshteyn & Ryzhik 0.43): no series, no
differencing.
"""

import math
from math import comb, factorial

import numpy as np
import pytest

import gradarray as ga

ORDER = 10
NESTED = 8  # the graph of a nested sweep grows by a factor with every order


def falling(p, n):
    return math.prod(p - k for k in range(n))


def power(p):
    return lambda x, n: falling(p, n) * x ** (p - n)


def of_polynomial(value, step, start):
    """y^(n) = P_n(u), where u has the slope `step`(u) in x: P_{n+1} = P_n' step. P_0 = start."""
    step, start = np.polynomial.Polynomial(step), np.polynomial.Polynomial(start)

    def nth(x, n):
        p = start
        for _ in range(n):
            p = p.deriv() * step
        return p(value(x))

    return nth


def recurrence(y, first, a, sign):
    """y'' (a + sign x^2) = -sign x y' and its nth derivatives: of arcsin, arsinh, arcosh."""

    def nth(x, n):
        d = [y(x), first(x)]
        q = a + sign * x * x
        for k in range(n - 1):
            before = d[k] if k else 0.0  # its factor is k^2
            d.append(-sign * ((2 * k + 1) * x * d[k + 1] + k * k * before) / q)
        return d[n]

    return nth


def arctan(x, n):
    if n == 0:
        return math.atan(x)
    angle = math.atan2(1, x)
    return (-1) ** (n - 1) * factorial(n - 1) * math.sin(n * angle) * math.sin(angle) ** n


def arctanh(x, n):
    if n == 0:
        return math.atanh(x)
    return factorial(n - 1) / 2 * ((1 - x) ** -n + (-1) ** (n - 1) * (1 + x) ** -n)


def erf(x, n):
    if n == 0:
        return math.erf(x)
    hermite = np.polynomial.hermite.hermval(x, [0] * (n - 1) + [1])
    return (-1) ** (n - 1) * 2 / math.sqrt(math.pi) * hermite * math.exp(-x * x)


def log(x, n):
    return math.log(x) if n == 0 else (-1) ** (n - 1) * factorial(n - 1) * x**-n


def x_exp(x, n):
    return (x + n) * math.exp(x)


def x_log(x, n):
    if n < 2:
        return x * math.log(x) if n == 0 else math.log(x) + 1
    return (-1) ** n * factorial(n - 2) * x ** (1 - n)


def damped(x, n):
    """Of e^{-x} sin x: each order turns by 3/4 pi and grows by sqrt 2."""
    return math.sqrt(2) ** n * math.exp(-x) * math.sin(x + 3 * n * math.pi / 4)


def gauss(x, n):
    return (-1) ** n * np.polynomial.hermite.hermval(x, [0] * n + [1]) * math.exp(-x * x)


def leibniz(f, g):
    return lambda x, n: sum(comb(n, k) * f(x, k) * g(x, n - k) for k in range(n + 1))


def sine(x, n):
    return math.sin(x + n * math.pi / 2)


def cosine(x, n):
    return math.cos(x + n * math.pi / 2)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


_logistic = of_polynomial(sigmoid, [0, 1, -1], [0, 1])


def softplus(x, n):
    return math.log1p(math.exp(x)) if n == 0 else _logistic(x, n - 1)


FORMS = {
    "exp": (ga.exp, lambda x, n: math.exp(x), (0.7, -1.3)),
    "expm1": (ga.expm1, lambda x, n: math.exp(x) - (n == 0), (0.7, -1.3)),
    "exp2": (ga.exp2, lambda x, n: math.log(2) ** n * 2**x, (0.7, -1.3)),
    "log": (ga.log, log, (0.7, 2.3)),
    "log1p": (ga.log1p, lambda x, n: log(1 + x, n), (0.7, -0.3)),
    "sin": (ga.sin, sine, (0.7, -4.0)),
    "cos": (ga.cos, cosine, (0.7, -4.0)),
    "tan": (ga.tan, of_polynomial(math.tan, [1, 0, 1], [0, 1]), (0.7, -0.4)),
    "sinh": (ga.sinh, lambda x, n: (math.cosh if n % 2 else math.sinh)(x), (0.7, -1.3)),
    "cosh": (ga.cosh, lambda x, n: (math.sinh if n % 2 else math.cosh)(x), (0.7, -1.3)),
    "tanh": (ga.tanh, of_polynomial(math.tanh, [1, 0, -1], [0, 1]), (0.7, -1.3)),
    "sigmoid": (ga.sigmoid, _logistic, (0.7, -1.3)),
    "softplus": (ga.softplus, softplus, (0.7, -1.3)),
    "arcsin": (ga.arcsin, recurrence(math.asin, lambda x: (1 - x * x) ** -0.5, 1, -1), (0.4, -0.2)),
    "arcsinh": (ga.arcsinh, recurrence(math.asinh, lambda x: (1 + x * x) ** -0.5, 1, 1), (0.7, -1)),
    "arccosh": (ga.arccosh, recurrence(math.acosh, lambda x: (x * x - 1) ** -0.5, -1, 1), (1.7, 3)),
    "arctan": (ga.arctan, arctan, (0.7, -1.3)),
    "arctanh": (ga.arctanh, arctanh, (0.4, -0.2)),
    "erf": (ga.erf, erf, (0.7, -1.3)),
    "sqrt": (ga.sqrt, power(0.5), (0.7, 2.3)),
    "rsqrt": (ga.rsqrt, power(-0.5), (0.7, 2.3)),
    "cbrt": (ga.cbrt, power(1 / 3), (0.7, 2.3)),
    "1/x": (ga.reciprocal, power(-1), (0.7, -2.3)),
    "x^2.5": (lambda x: x**2.5, power(2.5), (0.7, 2.3)),
    "x^7": (lambda x: x**7, power(7), (0.7, -1.3)),
    "x e^x": (lambda x: x * ga.exp(x), x_exp, (0.7, -1.3)),
    "x log x": (lambda x: x * ga.log(x), x_log, (0.7, 2.3)),
    "e^-x sin x": (lambda x: ga.exp(-x) * ga.sin(x), damped, (0.7, -1.3)),
    "e^-x^2": (lambda x: ga.exp(-x * x), gauss, (0.7, -1.3)),
    "cos x / x": (lambda x: ga.cos(x) / x, leibniz(cosine, power(-1)), (0.7, -2.3)),
}


def agree(got, name, order, at):
    closed = FORMS[name][1](float(at), order)
    assert float(got) == pytest.approx(closed, rel=1e-10, abs=1e-10), (name, order, at)


@pytest.mark.parametrize("name", FORMS)
def test_series_of_order_10(name):
    f, _, points = FORMS[name]
    xs = np.array(points)
    y, found = ga.jet(f, (xs,), ([np.ones(2)] + [np.zeros(2)] * (ORDER - 1),))
    for order, values in enumerate([y, *found]):
        for value, at in zip(values, xs, strict=True):
            agree(value, name, order, at)


def pushed(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


ROUTES = {
    "reverse": [ga.grad] * NESTED,
    "forward": [pushed] * NESTED,
    "forward over reverse": [ga.grad] * 4 + [pushed] * 4,
    "reverse over forward": [pushed] * 4 + [ga.grad] * 4,
    "in turns, with a series outside": [ga.grad, pushed, ga.grad, ga.derivative],
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", FORMS)
def test_nested_modes(name, route):
    f, _, points = FORMS[name]
    for order, step in enumerate(ROUTES[route], 1):
        f = step(f)
        agree(f(points[0]), name, order, points[0])
