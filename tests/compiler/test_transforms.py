"""Transforms that walk a recording with many directions at once, compiled as a whole."""

import numpy as np
import pytest

import gradarray as ga

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
