"""Transforms that walk a recording with many directions at once, compiled as a whole."""

import numpy as np
import pytest

import gradarray as ga
from tests.compiler.common import floating, in_every_mode, same

X = np.array([0.3, -0.7, 1.1])


@ga.custom_gradient
def cube(x):
    return x**3, lambda y_bar: y_bar * 3 * x**2


def total(x):
    return (x**3).sum() + x[0] * ga.sin(x[1])


COMPILED = {
    "jacfwd": (ga.jacfwd(lambda x: x**3), np.diag(3 * X**2)),
    "jacrev": (ga.jacrev(lambda x: x**3), np.diag(3 * X**2)),
    "hessian": (
        ga.hessian(total),
        np.diag(6 * X)
        + np.array([[0, np.cos(X[1]), 0], [np.cos(X[1]), -X[0] * np.sin(X[1]), 0], [0, 0, 0]]),
    ),
    "laplacian": (ga.laplacian(total), (6 * X).sum() - X[0] * np.sin(X[1])),
    "gradient of a laplacian": (
        ga.grad(ga.laplacian(total)), np.array([6 - np.sin(X[1]), 6 - X[0] * np.cos(X[1]), 6]),
    ),
    "jacrev of a rule of one's own": (ga.jacrev(cube), np.diag(3 * X**2)),
    "hessian of a rule of one's own": (ga.hessian(lambda x: cube(x).sum()), np.diag(6 * X)),
    "vmap": (ga.vmap(ga.grad(lambda x: ga.tanh(x) ** 2)), 2 * np.tanh(X) / np.cosh(X) ** 2),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPILED)
def test_as_in_closed_form(name):
    f, exact = COMPILED[name]
    compiled = ga.compile(f)
    for _ in range(2):
        np.testing.assert_allclose(compiled(X).numpy(), exact, rtol=1e-13, atol=1e-14)


# Compiled and not, in every mode ------------------------------------------------------------------


def _vector(x):
    return ga.stack([ga.sin(x[0]) * x[1], ga.exp(x[2]) - x[0], x[0] * x[1] * x[2]])


def _carried(c, x):
    c = ga.tanh(c + x)
    return c, c * x


def _partials(x):
    f, points = lambda X: X[:, 0] ** 3 * ga.sin(X[:, 1]), ga.stack([x, x + 1], 1)
    p = ga.partials(f, points, "xt", ("t", "xx"))
    return p["t"], p["xx"]


def _solved(method):
    a = ga.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 5.0]])
    solve = ga.implicit.linear_solve
    return lambda x: solve(lambda v: a @ v + x * x * v, x, method, rtol=1e-15)


# Functions of a vector of three, each through one transform.
TRANSFORMS = {
    "grad": ga.grad(total),
    "value_and_grad": ga.value_and_grad(total),
    "elementwise_grad": ga.elementwise_grad(lambda x: ga.tanh(x) * x),
    "derivative": ga.derivative(lambda x: ga.sin(x) * x, 2),
    "directional": lambda x: ga.directional(total, x, 2 * x, order=2),
    "vjp": lambda x: ga.vjp(_vector, x)[1](ga.cos(x)),
    "jvp": lambda x: ga.jvp(_vector, [x], [ga.cos(x)]),
    "linearize": lambda x: ga.linearize(_vector, x)[1](x * x),
    "jacobian": ga.jacobian(_vector),
    "jacfwd": ga.jacfwd(_vector),
    "jacrev": ga.jacrev(_vector),
    "hessian": ga.hessian(total),
    "hvp": lambda x: ga.hvp(total)(x, ga.sin(x)),
    "gnvp": lambda x: ga.gnvp(_vector, lambda y: ga.sum(ga.exp(y)))(x, ga.sin(x)),
    "jet": lambda x: ga.jet(_vector, [x], [[ga.cos(x), x, ga.ones_like(x)]]),
    "laplacian": ga.laplacian(total),
    "divergence": ga.divergence(_vector),
    "partials": _partials,
    "vmap": lambda x: ga.vmap(lambda a, b: ga.sin(a) * ga.sum(b), (0, None))(x, x),
    "checkpoint": ga.checkpoint(lambda x: ga.tanh(x * ga.sum(x))),
    "custom_gradient": cube,
    "scan": lambda x: ga.scan(_carried, x[0], x),
    "fori_loop": lambda x: ga.fori_loop(0, 5, lambda k, c: ga.sin(c) + x, x),
    "while_loop": lambda x: ga.while_loop(
        lambda c: ga.sum(c * c) < 50.0, lambda c: 1.5 * c + x, x, max_steps=12
    ),
    "cond": lambda x: ga.cond(ga.sum(x) > 0, ga.sin, ga.cos, x),
    "switch": lambda x: ga.switch(ga.astype(ga.sum(x) > 0, int), [ga.sin, ga.cos], x),
    **{
        f"implicit.linear_solve, {how}": _solved(how) for how in ("auto", "cg", "bicgstab", "gmres")
    },
    "implicit.root, in examples": ga.vmap(
        lambda x: ga.implicit.root(lambda y: y**3 + y - x)(0.0)
    ),
    "implicit.fixed_point": lambda x: ga.implicit.fixed_point(
        lambda y, x: 0.3 * ga.cos(y) + x
    )(ga.zeros(3), x),
    "implicit.root": lambda x: ga.implicit.root(lambda y, x: y**3 + y - x)(ga.zeros(3), x),
    "implicit.minimize": lambda x: ga.implicit.minimize(
        lambda y, x: ga.sum(ga.cosh(y) - x * y)
    )(ga.zeros(3), x),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_compiled_equals_eager(name):
    f = lambda x: tuple(floating(TRANSFORMS[name](x)))
    x = ga.array(X)
    same(ga.compile(f)(x), f(x), where=name)
    for what, made in in_every_mode(f, [x], np.random.default_rng(3)):
        same(ga.compile(made)(x), made(x), where=f"{name}, {what}")


X4 = np.array([0.3, -0.7, 1.1, 2.0])
CHAIN = lambda x: x[1:] ** 2 * ga.sin(x[:-1])

# What gives SciPy's objects, or asks SciPy to search, takes compiled functions, too.
OUTSIDE = {
    "sparse_jacobian": lambda wrap, x: ga.sparse_jacobian(wrap(CHAIN))(x).toarray(),
    "sparse_hessian": lambda wrap, x: ga.sparse_hessian(wrap(lambda x: ga.sum(CHAIN(x))))(
        x
    ).toarray(),
    "minimize": lambda wrap, x: ga.minimize(wrap(lambda x: ga.sum((x - 1) ** 2)), x).x.numpy(),
    "root": lambda wrap, x: ga.root(wrap(lambda x: x**3 - 8.0), x).x.numpy(),
    "least_squares": lambda wrap, x: ga.least_squares(wrap(lambda x: x - 2.0), x).x.numpy(),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_compiled_functions_inside_of_what_is_not_compiled(name):
    run = OUTSIDE[name]
    found = run(ga.compile, X4)
    np.testing.assert_allclose(found, run(lambda f: f, X4), 1e-12, 1e-12)
