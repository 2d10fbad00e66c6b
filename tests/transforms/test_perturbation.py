"""Nested derivatives never confuse whose perturbation is whose, in any mix of modes.

(Siskind & Pearlmutter, "Perturbation confusion and referential transparency", IFL 2005; Manzyuk
et al., "Perturbation confusion in forward automatic differentiation of higher-order functions",
JFP 29, 2019.)
"""

import itertools

import numpy as np
import pytest

import gradarray as ga


def by_jvp(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


def by_vjp(f):
    return lambda x: ga.vjp(f, x)[1](1.0)[0]


def by_linearize(f):
    return lambda x: ga.linearize(f, x)[1](1.0)


def by_jet(f):
    return lambda x: ga.jet(f, (x,), ([1.0],))[1][0]


def by_backward(f):
    """backward() of the leaf's own graph; inside another derivative it must be recorded."""

    def slope(x):
        x = ga.array(x) if not isinstance(x, ga.GradArray) else x
        shift = ga.array(0.0, requires_grad=True)
        y = f(x + shift)
        if not y.requires_grad:
            return ga.array(0.0)
        shift.zero_grad()  # a backward() inside f has added its own, as it does to every leaf
        y.backward(create_graph=True)
        return ga.array(0.0) if shift.grad is None else shift.grad

    return slope


def by_batch(f):
    return lambda x: ga.vmap(ga.grad(f))(ga.stack([x + 0.0, x + 0.0]))[1]


MODES = {
    "grad": ga.grad,
    "jvp": by_jvp,
    "vjp": by_vjp,
    "linearize": by_linearize,
    "jet": by_jet,
    "derivative": ga.derivative,
    "jacfwd": ga.jacfwd,
    "jacrev": ga.jacrev,
    "vmap of grad": by_batch,
    "backward": by_backward,
}
# A leaf made inside vmap is one for all examples, and backward() sums over them: not that pair.
PAIRS = [
    pair for pair in itertools.product(MODES, repeat=2) if pair != ("vmap of grad", "backward")
]

# name: (a function of x that differentiates inside by `D`, its derivative in closed form)
PUZZLES = {
    # d/dx (x d/dy (x + y)) = d/dx x = 1; a confused walk gives 2.
    "x d/dy (x + y)": (lambda D, x: x * D(lambda y: x + y)(1.0), lambda x: 1.0),
    "x d/dy (x y)": (lambda D, x: x * D(lambda y: x * y)(2.0), lambda x: 2 * x),
    "x d/dy (x y) at x": (lambda D, x: x * D(lambda y: x * y)(x), lambda x: 2 * x),
    "d/dy (x^2 y^3) at x": (lambda D, x: D(lambda y: x**2 * y**3)(x), lambda x: 12 * x**3),
    "d/dy exp(x y) at x": (
        lambda D, x: D(lambda y: ga.exp(x * y))(x),
        lambda x: (1 + 2 * x * x) * np.exp(x * x),
    ),
    "d/dy of x alone": (lambda D, x: x * D(lambda y: x)(x), lambda x: 0.0),
    "x d/dy y": (lambda D, x: x * D(lambda y: y * y)(3.0), lambda x: 6.0),
    "of a shift": (  # the derivative of a function that the outer variable shifts
        lambda D, x: D(lambda y: ga.sin(y + x))(0.5), lambda x: -np.sin(x + 0.5)
    ),
    # d/dz (x y z) = x y; y x y = x y^2; d/dy = 2 x y; at y = x it is 2 x^2, with the slope 4 x.
    "of a derivative": (
        lambda D, x: D(lambda y: y * D(lambda z: x * y * z)(y))(x), lambda x: 4 * x
    ),
}  # fmt: skip


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_nested_once(outer, inner):
    for name, (f, slope) in PUZZLES.items():
        got = MODES[outer](lambda x, f=f: f(MODES[inner], x))(0.7)
        assert float(got) == pytest.approx(slope(0.7), rel=1e-13, abs=1e-15), name


SHORT = ["grad", "jvp", "vjp", "jet", "backward"]


@pytest.mark.parametrize("modes", list(itertools.product(SHORT, repeat=3)), ids="-over-".join)
def test_nested_twice(modes):
    a, b, c = (MODES[mode] for mode in modes)
    # d/dx (x d/dy (x y d/dz (x y z))) at y = x + 1: the inner is x y, x y x y = x^2 y^2, its slope
    # 2 x^2 y, so x 2 x^2 (x + 1) = 2 x^4 + 2 x^3, with the slope 8 x^3 + 6 x^2.
    f = lambda x: x * b(lambda y: x * y * c(lambda z: x * y * z)(1.0))(x + 1)
    assert float(a(f)(0.7)) == pytest.approx(8 * 0.7**3 + 6 * 0.7**2, rel=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_a_function_that_leaves_with_a_variable_inside(mode):
    # D (lambda x: lambda y: ...) : the amazing bug of forward mode. s(u)(f)(x) = f(x + u).
    D = MODES[mode]
    shifted = lambda u: lambda f: lambda x: f(x + u)
    first = lambda f: lambda x: D(lambda u: shifted(u)(f)(x))(0.0)
    # The derivative at u = 0 is f'(x); of f'(x) once more f''(x).
    assert float(first(first(ga.exp))(1.0)) == pytest.approx(np.exp(1.0), rel=1e-13)
    assert float(first(first(lambda x: x**3))(2.0)) == pytest.approx(12.0, rel=1e-13)


def test_backward_to_a_leaf_inside_grad_leaves_the_outer_alone():
    w = ga.array(2.0, requires_grad=True)

    def f(x):
        (w * w * x.detach()).backward()
        return x * w

    assert float(ga.grad(f)(3.0)) == 2.0
    assert float(w.grad) == 12.0
