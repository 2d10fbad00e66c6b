"""Lesson 15: the function of lesson 1 and its derivative at every stage of the compiler.

Numbers are compared to 12 digits with mpmath at 40.
"""

from __future__ import annotations

import re

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray import tree
from gradarray.compiler.assemble import prepared
from gradarray.compiler.program import interpret
from gradarray.compiler.record import record

POINTS = np.array([-1.25, -0.5, -1e-3, 0.0, 0.25, 0.5, 1.0, 1.5])
mp = mpmath.mp.clone()
mp.dps = 40


def f(x):
    c = x * x + ga.exp(x * x)
    return ga.sqrt(c) + ga.cos(c)


def exact(x):
    x = mp.mpf(float(x))
    e = mp.exp(x * x)
    c = x * x + e
    slope = 2 * x * (1 / (2 * mp.sqrt(c)) - mp.sin(c)) * (1 + e)
    return float(mp.sqrt(c) + mp.cos(c)), float(slope)


def same(got, expected):
    """12 digits. Where the sum of two terms of order one cancels, an absolute 1e-14 is all that
    the rounding of the terms allows."""
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("x", POINTS)
def test_the_program_has_the_derivative_before_and_after_it_is_simplified(x):
    leaves, form = tree.flatten(((ga.array(x),), {}))
    recorded = record(ga.value_and_grad(f), leaves, form).program
    shorter = prepared(recorded)
    assert len(shorter.steps) < len(recorded.steps)
    for program in (recorded, shorter):
        value, slope, looked_at = interpret(program)([x])
        same([value, slope], exact(x))
        assert looked_at == slope


def test_the_code_has_it_at_one_point_and_at_many():
    step = ga.compile(ga.value_and_grad(f))
    for x in POINTS:
        same([v.item() for v in step(ga.array(x))], exact(x))
    many = np.resize(POINTS, 50_000)
    value, slopes = ga.compile(ga.value_and_grad(lambda x: f(x).sum()))(ga.array(many))
    known = np.array([exact(x) for x in POINTS])
    # A sum of n terms in any order: n eps of the sum of their sizes (Higham, 2002, section 4.2).
    size = np.abs(np.resize(known[:, 0], many.size)).sum()
    bound = many.size * np.finfo(float).eps * size
    assert abs(value.item() - np.resize(known[:, 0], many.size).sum()) < bound
    same(slopes.numpy(), np.resize(known[:, 1], many.size))


def test_one_loop_goes_over_the_points_and_calls_nothing():
    many = ga.compile(ga.value_and_grad(lambda x: f(x).sum()))
    many(ga.array(np.resize(POINTS, 50_000)))
    nests = re.findall(r"nest i\d+ < (\d+):", many.show("loops"))
    assert [n for n in nests if int(n) > 100] == nests[:1]  # the others add up chunks
    assert many.show("cost").splitlines()[-1].split() == ["calls", "of", "the", "host", "none"]
    assert "call double @exp" not in many.show("llvm")
