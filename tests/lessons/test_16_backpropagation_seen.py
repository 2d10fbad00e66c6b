"""Lesson 16: what `explain` tells of the page's three functions, against closed forms and mpmath.

Numbers are compared to 12 digits, with mpmath at 40.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import gradarray as ga

mp = mpmath.mp.clone()
mp.dps = 40


def same(got, expected):
    expected = np.asarray(expected, float)
    assert np.shape(got) == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def price(apple, count, tax):
    fruit = apple * count
    total = fruit * tax
    return total  # noqa: RET504, it is told by this name


def f(x):
    a = x**2
    b = ga.exp(a)
    c = a + b
    d = ga.sqrt(c)
    e = ga.cos(c)
    return d + e


def test_the_price_and_its_derivatives():
    e = ga.explain(price)(100.0, 2.0, 1.1)
    same(e["total"].value, 100 * 2 * 1.1)
    for name, slope in {"apple": 2.2, "count": 110, "tax": 200, "fruit": 1.1, "total": 1}.items():
        same(e[name].adjoint, slope)


def test_two_apples_and_three_oranges():
    def basket(apple, apples, orange, oranges, tax):
        return (apple * apples + orange * oranges) * tax

    e = ga.explain(basket)(100.0, 2.0, 150.0, 3.0, 1.1)
    same(e.result.value, 715)
    slopes = {"apple": 2.2, "apples": 110, "orange": 3.3, "oranges": 165, "tax": 650}
    for name, slope in slopes.items():
        same(e[name].adjoint, slope)


@pytest.mark.parametrize("point", [-1.25, 0.0, 0.5, 1.5])
def test_example_5_14_is_told_as_in_the_book(point):
    e = ga.explain(f)(point)
    x = mp.mpf(point)
    a = x**2
    b = mp.exp(a)
    c = a + b
    at_c = 1 / (2 * mp.sqrt(c)) - mp.sin(c)
    values = {"a": a, "b": b, "c": c, "d": mp.sqrt(c), "e": mp.cos(c), "f": mp.sqrt(c) + mp.cos(c)}
    adjoints = {"c": at_c, "b": at_c, "a": at_c * (b + 1), "x": at_c * (b + 1) * 2 * x}
    for name, value in values.items():
        same(e[name].value, value)
    for name, adjoint in adjoints.items():
        same(e[name].adjoint, adjoint)


def test_the_formula_asks_for_the_square_five_times_and_is_the_closed_form():
    e = ga.explain(f)(0.5)
    formula = e.formula()
    assert str(formula).count("x²") == 5
    assert [row.op.name for row in e.rows if row.op is not None].count("square") == 1
    s = mp.mpf("0.25") + mp.exp(mp.mpf("0.25"))
    same(e["x"].adjoint, (1 / (2 * mp.sqrt(s)) - mp.sin(s)) * (1 + mp.exp(mp.mpf("0.25"))))


def test_adjoints_of_the_network_are_those_taken_at_forty_digits():
    X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    T = [0.0, 1.0, 1.0, 0.0]
    start = {
        "W": [[0.5, -0.5, 1.0], [1.0, 0.5, -0.5]],
        "b": [0.5, 0.0, -0.5],
        "V": [[1.0], [-0.5], [0.5]],
        "c": [0.25],
    }
    W, b, V, c = (ga.array(v, requires_grad=True) for v in start.values())
    with ga.keep_all():
        S = np.array(X) @ W + b
        H = ga.tanh(S)
        Y = H @ V + c
        L = ((Y - np.array(T)[:, None]) ** 2).mean()
    e = ga.explain(L)

    def exact(W, b, V, c):
        h = [[mp.tanh(mp.fdot(x, column) + s) for *column, s in zip(*W, b, strict=True)] for x in X]
        y = [mp.fdot(row, [v for (v,) in V]) + c[0] for row in h]
        return mp.fsum((v - t) ** 2 for v, t in zip(y, T, strict=True)) / len(T)

    def with_entry(name, index, value):
        changed = {k: np.array(v, dtype=object) for k, v in start.items()}
        changed[name][index] = value
        return exact(**{k: v.tolist() for k, v in changed.items()})

    same(e["L"].value, exact(**start))
    for name, values in start.items():
        values = np.array(values)
        slopes = np.zeros(values.shape)
        for index, value in np.ndenumerate(values):
            slopes[index] = mp.diff(lambda v, n=name, i=index: with_entry(n, i, v), value)
        same(e[name].adjoint, slopes)
