"""Lesson 1: sqrt(x^2 + exp(x^2)) + cos(x^2 + exp(x^2)), its adjoints, and what they cost.

Numbers are compared to 12 digits with mpmath at 40, or with counts done by hand.
"""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray.graph import Leaf, ancestry

POINTS = (-1.25, -0.5, -1e-3, 0.0, 0.25, 0.5, 1.0, 1.5)
mp = mpmath.mp.clone()
mp.dps = 40


def same(got, expected):
    """12 digits. Where the sum of two terms of order one cancels, an absolute 1e-14 is all that
    the rounding of the terms allows."""
    got = got.item() if isinstance(got, ga.GradArray) else got
    assert abs(got - float(expected)) <= 1e-12 * abs(float(expected)) + 1e-14


def names(x):
    a = x**2
    b = ga.exp(a)
    c = a + b
    d = ga.sqrt(c)
    e = ga.cos(c)
    return {"a": a, "b": b, "c": c, "d": d, "e": e, "f": d + e}


def f(x):
    return names(x)["f"]


def literally(x):
    return ga.sqrt(x**2 + ga.exp(x**2)) + ga.cos(x**2 + ga.exp(x**2))


def closed_form(x, lib):
    s = x * x + lib.exp(x * x)
    return 2 * x * (1 / (2 * lib.sqrt(s)) - lib.sin(s)) * (1 + lib.exp(x * x))


def exact(point):
    """Values and adjoints at 40 digits; each adjoint is the derivative of f as a function of that
    value alone, so that no chain rule enters."""
    x = mp.mpf(point)
    a = x * x
    b = mp.exp(a)
    c = a + b
    of = {
        "e": (mp.cos(c), lambda e: mp.sqrt(c) + e),
        "d": (mp.sqrt(c), lambda d: d + mp.cos(c)),
        "c": (c, lambda c: mp.sqrt(c) + mp.cos(c)),
        "b": (b, lambda b: mp.sqrt(a + b) + mp.cos(a + b)),
        "a": (a, lambda a: mp.sqrt(a + mp.exp(a)) + mp.cos(a + mp.exp(a))),
        "x": (x, lambda x: mp.sqrt(x**2 + mp.exp(x**2)) + mp.cos(x**2 + mp.exp(x**2))),
    }
    return {name: (value, mp.diff(g, value)) for name, (value, g) in of.items()}


@pytest.mark.parametrize("point", POINTS)
def test_values_and_adjoints_in_reverse_order(point):
    x = ga.array(point, requires_grad=True)
    values = names(x)
    for v in values.values():
        v.retain_grad()
    values["f"].backward()
    same(values["f"].grad, 1)
    for name, (value, adjoint) in exact(point).items():
        v = values.get(name, x)
        same(v, value)
        same(v.grad, adjoint)


@pytest.mark.parametrize("point", POINTS)
def test_every_local_derivative(point):
    values = names(ga.array(point, requires_grad=True))
    a, c = mp.mpf(point) ** 2, mp.mpf(point) ** 2 + mp.exp(mp.mpf(point) ** 2)
    expected = {
        "a": [2 * mp.mpf(point)],
        "b": [mp.exp(a)],
        "c": [1, 1],
        "d": [1 / (2 * mp.sqrt(c))],
        "e": [-mp.sin(c)],
        "f": [1, 1],
    }
    for name, slopes in expected.items():
        got = values[name]._grad_op.backward(1.0)
        assert len(got) == len(slopes)
        for slope, want in zip(got, slopes, strict=True):
            same(slope, want)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("g", [f, literally])
def test_both_directions_give_the_closed_form(g, point):
    expected = closed_form(mp.mpf(point), mp)
    same(closed_form(point, np), expected)
    same(ga.grad(g)(point), expected)
    y, y_dot = ga.jvp(g, (point,), (1.0,))
    same(
        y,
        mp.sqrt(mp.mpf(point) ** 2 + mp.exp(mp.mpf(point) ** 2))
        + mp.cos(mp.mpf(point) ** 2 + mp.exp(mp.mpf(point) ** 2)),
    )
    same(y_dot, expected)


def test_tangents_in_forward_order():
    x = mp.mpf("0.5")
    functions = {
        "a": lambda x: x**2,
        "b": lambda x: mp.exp(x**2),
        "c": lambda x: x**2 + mp.exp(x**2),
        "d": lambda x: mp.sqrt(x**2 + mp.exp(x**2)),
        "e": lambda x: mp.cos(x**2 + mp.exp(x**2)),
    }
    _, tangents = ga.jvp(names, (0.5,), (1.0,))
    for name, g in functions.items():
        same(tangents[name], mp.diff(g, x))


def operations(y):
    return {node for node in ancestry([y._node])[0] if not isinstance(node, Leaf)}


def recorded(g):
    return len(operations(g(ga.array(0.5, requires_grad=True))))


def closed_form_with_ga(x):
    root, angle = ga.sqrt(x**2 + ga.exp(x**2)), ga.sin(x**2 + ga.exp(x**2))
    return 2 * x * (1 / (2 * root) - angle) * (1 + ga.exp(x**2))


def test_counts_of_operations():
    squares, exponentials, sums, root, cosine = 4, 2, 3, 1, 1
    assert recorded(literally) == squares + exponentials + sums + root + cosine
    assert recorded(f) == 6
    squares, exponentials, sums, differences, products, quotients = 5, 3, 3, 1, 4, 1
    root = sine = 1
    assert recorded(closed_form_with_ga) == (
        squares + exponentials + sums + differences + products + quotients + root + sine
    )


def test_value_and_gradient_cost_at_most_four_times_the_value():
    x = ga.array(0.5, requires_grad=True)
    y = f(x)
    forward = operations(y)
    y.backward(create_graph=True)
    sweep = operations(x.grad) - forward
    assert 8 <= len(sweep) <= 3 * len(forward)  # 8 operations stand in the equations


# The order of a product of Jacobians --------------------------------------------------------------


def by_hand(widths):
    """Multiplications in both orders, from the widths alone: m k n for each product."""
    first, last = widths[0], widths[-1]
    pairs = list(pairwise(widths))
    backward = sum(last * n * m for m, n in pairs[:-1]) + (last * 1 * pairs[-1][0]) * (last == 1)
    forward = sum(n * m * first for m, n in pairs[1:]) + (first * 1 * pairs[0][1]) * (first == 1)
    return backward, forward


class Counted:
    """A matrix whose products count their multiplications."""

    total = 0

    def __init__(self, values):
        self.values = values

    def __matmul__(self, other):
        Counted.total += self.values.shape[0] * self.values.shape[1] * other.values.shape[1]
        return Counted(self.values @ other.values)


def multiply_out(factors, from_the_left):
    Counted.total = 0
    matrices = [Counted(factor) for factor in factors]
    if from_the_left:
        product = matrices.pop(0)
        for matrix in matrices:
            product = product @ matrix
    else:
        product = matrices.pop()
        for matrix in reversed(matrices):
            product = matrix @ product
    return product.values, Counted.total


def chain(widths):
    rng = np.random.default_rng(7)
    return [rng.normal(size=(n, m)) / np.sqrt(m) for m, n in pairwise(widths)]


WIDE = (784, 512, 256, 10, 1)


def test_a_wide_chain_is_cheaper_backward():
    Js = chain(WIDE)
    row, backward = multiply_out([np.ones((1, 1)), *Js[::-1]], from_the_left=True)
    again, forward = multiply_out(Js[::-1], from_the_left=False)
    assert (backward, forward) == by_hand(WIDE) == (535_050, 104_775_328)

    def f(x):
        for J in Js:
            x = J @ x
        return x.sum()

    scale = np.abs(row).max()
    gradient = ga.grad(f)(np.zeros(784)).numpy()
    np.testing.assert_allclose(again, row, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(gradient, row[0], rtol=0, atol=1e-12 * scale)


def test_a_tall_chain_is_cheaper_forward():
    Js = chain(WIDE[::-1])
    again, backward = multiply_out(Js[::-1], from_the_left=True)
    column, forward = multiply_out([*Js[::-1], np.ones((1, 1))], from_the_left=False)
    assert (backward, forward) == by_hand(WIDE[::-1]) == (104_775_328, 535_050)

    def f(x):
        for J in Js:
            x = J @ x
        return x

    scale = np.abs(column).max()
    _, tangent = ga.jvp(f, (np.zeros(1),), (np.ones(1),))
    np.testing.assert_allclose(again, column, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(tangent.numpy(), column[:, 0], rtol=0, atol=1e-12 * scale)
