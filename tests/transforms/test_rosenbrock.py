"""Rosenbrock's function: gradient, Hessian and product against scipy's closed forms."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod

import gradarray as ga

RNG = np.random.default_rng(0)
POINTS = [np.ones(2), *(RNG.uniform(-2, 2, n) for n in (2, 3, 10, 40))]


def f(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def close(got, expected):
    # A handful of products and sums each: 64 roundings of the largest term, 1200 x^2 + ...
    bound = 64 * np.finfo(float).eps * 1e4
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("x", POINTS, ids=lambda x: f"{x.size} variables")
def test_all_derivatives(x):
    v = RNG.uniform(-1, 1, x.size)
    close(f(ga.array(x)).numpy(), rosen(x))
    leaf = ga.array(x, requires_grad=True)
    f(leaf).backward()
    close(leaf.grad.numpy(), rosen_der(x))
    for gradient in (ga.grad(f), ga.jacfwd(f), ga.jacrev(f)):
        close(gradient(x).numpy(), rosen_der(x))
    hessians = {
        "hessian": ga.hessian(f),
        "forward over forward": ga.jacfwd(ga.jacfwd(f)),
        "reverse over reverse": ga.jacrev(ga.grad(f)),
        "reverse over forward": ga.jacrev(ga.jacfwd(f)),
    }
    for way in hessians.values():
        close(way(x).numpy(), rosen_hess(x))
    close(ga.sparse_hessian(f)(x).toarray(), rosen_hess(x))
    close(ga.hvp(f)(x, v).numpy(), rosen_hess_prod(x, v))
    close(ga.jvp(ga.grad(f), (x,), (v,))[1].numpy(), rosen_hess_prod(x, v))
    close(ga.grad(lambda x: (ga.grad(f)(x) * v).sum())(x).numpy(), rosen_hess_prod(x, v))
    close(float(ga.directional(f, x, v, order=2)), v @ rosen_hess(x) @ v)
    close(float(ga.laplacian(f)(x)), np.trace(rosen_hess(x)))
