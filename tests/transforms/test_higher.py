"""Products with second derivatives, and derivatives of elementwise functions."""

import itertools
import math

import numpy as np
import pytest
from scipy import special
from scipy.optimize import rosen_hess, rosen_hess_prod

import gradarray as ga

EPS = np.finfo(float).eps
RNG = np.random.default_rng(11)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


# hvp ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 30])
def test_rosenbrock_product(n):
    x, v = RNG.normal(size=(2, n))
    bound = 64 * EPS * 1200 * max(1, np.abs(x).max()) ** 2 * np.abs(v).max()
    found = ga.hvp(rosenbrock)(x, v).numpy()
    np.testing.assert_allclose(found, rosen_hess_prod(x, v), rtol=0, atol=bound)


def test_products_with_many_vectors_and_at_many_points():
    x, vs = RNG.normal(size=4), RNG.normal(size=(3, 4))
    found = ga.vmap(ga.hvp(rosenbrock), in_axes=(None, 0))(x, vs).numpy()
    np.testing.assert_allclose(found, vs @ rosen_hess(x), rtol=1e-12, atol=1e-11)
    xs = RNG.normal(size=(3, 4))
    found = ga.vmap(ga.hvp(rosenbrock))(xs, vs).numpy()
    for row, x, v in zip(found, xs, vs, strict=True):
        np.testing.assert_allclose(row, rosen_hess_prod(x, v), rtol=1e-12, atol=1e-11)


def test_product_of_a_pytree_with_aux_argnums_and_keywords():
    def f(p, s, *, power):
        return (p["a"] ** power).sum() * p["b"] * s, "aux"

    p = {"a": np.array([1.0, 2.0]), "b": 3.0}
    v = {"a": np.array([1.0, -1.0]), "b": 10.0}
    product, aux = ga.hvp(f, has_aux=True)(p, 2.0, v, power=2)
    # The Hessian of s b |a|^2 times v: s [2 b v_a + 2 v_b a], and s 2 a . v_a.
    assert aux == "aux"
    np.testing.assert_array_equal(product["a"].numpy(), 2 * (6 * v["a"] + 20 * p["a"]))
    assert float(product["b"]) == 2 * 2 * (p["a"] @ v["a"])
    x_part, y_part = ga.hvp(lambda x, y: x * y * y, (0, 1))(2.0, 3.0, (1.0, 10.0))
    assert (float(x_part), float(y_part)) == (60.0, 6.0 + 40.0)
    assert float(ga.hvp(lambda x, y: x * y * y, -1)(2.0, 3.0, 1.0)) == 4


def test_product_of_a_network_against_its_hessian():
    model = ga.nn.Sequential(ga.nn.Linear(2, 3), ga.nn.Tanh(), ga.nn.Linear(3, 1))
    p = {k: v.detach().astype("float64") for k, v in model.parameters_dict().items()}
    x, y = RNG.normal(size=(6, 2)), RNG.normal(size=(6, 1))
    loss = lambda p: ((ga.nn.functional_call(model, p, x) - y) ** 2).mean()
    v = {k: RNG.normal(size=q.shape) for k, q in p.items()}
    product, full = ga.hvp(loss)(p, v), ga.hessian(loss)(p)
    for k in p:
        expected = sum(np.tensordot(full[k][j].numpy(), v[j], axes=v[j].ndim) for j in p)
        np.testing.assert_allclose(product[k].numpy(), expected, rtol=0, atol=1e4 * EPS)


@pytest.mark.parametrize("wrapper", [ga.grad, ga.jacfwd, ga.jacrev])
def test_a_derivative_of_a_product(wrapper):
    # d/dx (x^4)'' v = 24 x v
    assert float(wrapper(lambda x: ga.hvp(lambda x: x**4)(x, 5.0))(2.0)) == 24 * 2 * 5
    # Linear in v: its derivative is the Hessian.
    assert float(wrapper(lambda v: ga.hvp(lambda x: x**4)(2.0, v))(7.0)) == 12 * 4


def test_perturbations_of_products_are_not_confused():
    # The inner product differentiates y only, and is 6 x: x^2 of it has the second derivative 36 x.
    inner = lambda x: x**2 * ga.hvp(lambda y: x * y**3)(1.0, 1.0)
    assert float(ga.hvp(inner)(2.0, 1.0)) == 72
    # (y^3 x)'' at y = x is 6 x^2.
    same = lambda x: ga.hvp(lambda y: y**3 * x)(x, 1.0)
    assert float(ga.hvp(same)(5.0, 1.0)) == 12


def test_a_product_makes_no_matrix():
    # A million unknowns: the Hessian would take eight terabytes.
    n = 1_000_000
    x = np.linspace(0, 1, n)
    found = ga.hvp(lambda x: (x**3).sum())(x, np.ones(n))
    np.testing.assert_allclose(found.numpy(), 6 * x, rtol=4 * EPS)


def test_errors_of_hvp():
    with pytest.raises(ga.ShapeError, match=r"hvp: the function returned shape \(3,\)"):
        ga.hvp(lambda x: x)(np.ones(3), np.ones(3))
    with pytest.raises(TypeError, match="hvp: the function returned a tuple of 2, not one scalar"):
        ga.hvp(lambda x: (x.sum(), x.sum()))(np.ones(3), np.ones(3))
    with pytest.raises(ga.ShapeError, match=r"hvp: the vector has shape \(2,\), its array has"):
        ga.hvp(lambda x: x.sum())(np.ones(3), np.ones(2))
    with pytest.raises(ga.DTypeError, match="hvp: the vector has dtype float32"):
        ga.hvp(lambda x: x.sum())(np.ones(3), ga.array(np.ones(3, "float32")))
    with pytest.raises(TypeError, match="hvp: the vector has structure"):
        ga.hvp(lambda p: p["a"])({"a": 1.0}, 1.0)
    with pytest.raises(TypeError, match="hvp: takes the function's arguments and then the vec"):
        ga.hvp(lambda x: x)(1.0)
    with pytest.raises(ga.DTypeError, match=r"hvp: argument 0 has dtype int64"):
        ga.hvp(lambda x: x.sum())(np.arange(3), np.ones(3))
    with pytest.raises(ga.DTypeError, match="hvp: the function returned dtype complex128"):
        ga.hvp(lambda x: x * 1j)(1.0, 1.0)


# gnvp ---------------------------------------------------------------------------------------------


def test_gauss_newton_is_jt_h_j():
    a = RNG.normal(size=(5, 3))
    f = lambda x: ga.tanh(ga.matmul(a, x))
    loss = lambda y: ga.exp(y).sum() + y[0] * y[1]
    x, v = RNG.normal(size=(2, 3))
    jac = (1 / np.cosh(a @ x) ** 2)[:, None] * a
    bend = np.diag(np.exp(np.tanh(a @ x)))
    bend[0, 1] = bend[1, 0] = 1
    found = ga.gnvp(f, loss)(x, v).numpy()
    np.testing.assert_allclose(found, jac.T @ bend @ jac @ v, rtol=0, atol=256 * EPS)
    matrix = ga.vmap(ga.gnvp(f, loss), in_axes=(None, 0))(x, np.eye(3)).numpy()
    np.testing.assert_allclose(matrix, jac.T @ bend @ jac, rtol=0, atol=256 * EPS)


def test_gauss_newton_is_the_hessian_where_f_is_linear():
    a = RNG.normal(size=(4, 3))
    x, v = RNG.normal(size=(2, 3))
    f, loss = lambda x: ga.matmul(a, x), lambda y: (y**4).sum()
    whole = ga.hvp(lambda x: loss(f(x)))(x, v).numpy()
    np.testing.assert_allclose(ga.gnvp(f, loss)(x, v).numpy(), whole, rtol=1e-12)


def test_gauss_newton_of_networks_pytrees_and_aux():
    model = ga.nn.Linear(3, 2)
    p = {k: v.detach().astype("float64") for k, v in model.parameters_dict().items()}
    x = RNG.normal(size=(7, 3))
    v = {k: RNG.normal(size=q.shape) for k, q in p.items()}
    f = lambda p: ({"out": ga.nn.functional_call(model, p, x)}, "aux")
    product, aux = ga.gnvp(f, lambda y: (y["out"] ** 2).sum() / 2, has_aux=True)(p, v)
    # The layer computes in its input's dtype, so x stays in double precision.
    y_dot = x @ v["weight"].T + v["bias"]
    assert aux == "aux"
    np.testing.assert_allclose(product["weight"].numpy(), y_dot.T @ x, rtol=0, atol=512 * EPS)
    np.testing.assert_allclose(product["bias"].numpy(), y_dot.sum(0), rtol=0, atol=512 * EPS)


def test_the_gradient_of_a_gauss_newton_product():
    # f = x^2, L = y^2 / 2: G v = 4 x^2 v, whose derivative is 8 x v.
    product = lambda x: ga.gnvp(lambda x: x**2, lambda y: y * y / 2)(x, 3.0)
    assert float(product(5.0)) == 300
    assert float(ga.grad(product)(5.0)) == 120
    assert not product(5.0).requires_grad


def test_errors_of_gnvp():
    with pytest.raises(ga.ShapeError, match="gnvp: the vector has shape"):
        ga.gnvp(lambda x: x, lambda y: y.sum())(np.ones(3), np.ones(2))
    with pytest.raises(ga.ShapeError, match=r"gnvp: the function returned shape \(3,\), not a s"):
        ga.gnvp(lambda x: x, lambda y: y)(np.ones(3), np.ones(3))


# elementwise_grad ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (ga.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (lambda x: ga.where(x > 0, x**2, -x), lambda x: np.where(x > 0, 2 * x, -1.0)),
        (lambda x: x * ga.exp(x), lambda x: np.exp(x) + x * np.exp(x)),
    ],
)
def test_elementwise_derivatives(f, exact):
    x = RNG.normal(size=(3, 4))
    for found in (ga.elementwise_grad(f)(x), ga.vmap(ga.elementwise_grad(f))(x)):
        np.testing.assert_allclose(found.numpy(), exact(x), rtol=0, atol=64 * EPS)


@pytest.mark.parametrize("order", range(1, 6))
def test_elementwise_derivatives_of_any_order(order):
    f = lambda x: ga.exp(-x * x)
    for _ in range(order):
        f = ga.elementwise_grad(f)
    x = np.linspace(-2, 2, 9)
    hermite = special.eval_hermite(order, x) * (-1) ** order * np.exp(-x * x)
    # Terms of up to 2^n n! cancel between the product rule's branches.
    bound = 64 * EPS * 2**order * math.factorial(order)
    np.testing.assert_allclose(f(x).numpy(), hermite, rtol=0, atol=bound)


def test_elementwise_in_several_arguments_pytrees_and_aux():
    x, y = RNG.uniform(1, 2, (2, 5))
    both, aux = ga.elementwise_grad(lambda x, y: (x**2 * y, "aux"), (0, 1), has_aux=True)(x, y)
    assert aux == "aux"
    np.testing.assert_allclose(both[0].numpy(), 2 * x * y, rtol=4 * EPS)
    np.testing.assert_allclose(both[1].numpy(), x**2, rtol=4 * EPS)
    p = ga.elementwise_grad(lambda p: p["x"] * p["y"])({"x": x, "y": y})
    np.testing.assert_allclose(p["x"].numpy(), y, rtol=4 * EPS)


def test_elementwise_of_complex_values():
    z = RNG.normal(size=4) + 1j * RNG.normal(size=4)
    found = ga.elementwise_grad(lambda z: ga.exp(z) * z, holomorphic=True)(z)
    np.testing.assert_allclose(found.numpy(), (1 + z) * np.exp(z), rtol=64 * EPS)
    t = RNG.normal(size=4)
    found = ga.elementwise_grad(lambda t: ga.exp(1j * t))(t)
    np.testing.assert_allclose(found.numpy(), 1j * np.exp(1j * t), rtol=16 * EPS)


@pytest.mark.parametrize(
    ("outer", "inner"), [*itertools.product([ga.elementwise_grad, ga.grad, ga.jacfwd], repeat=2)]
)
def test_elementwise_perturbations(outer, inner):
    assert float(outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0)) == 1
    assert float(outer(lambda x: x * inner(lambda z: z * x)(x))(3.0)) == 6


def test_errors_of_elementwise_grad():
    with pytest.raises(ga.ShapeError, match=r"elementwise_grad: the result has shape \(\), the a"):
        ga.elementwise_grad(lambda x: x.sum())(np.ones(3))
    with pytest.raises(TypeError, match=r"elementwise_grad: the function returned \(\*, \*\)"):
        ga.elementwise_grad(lambda x: (x, x))(np.ones(3))
    with pytest.raises(ga.DTypeError, match="elementwise_grad: argument 0 has dtype int64"):
        ga.elementwise_grad(lambda x: x)(np.arange(3))
    with pytest.raises(ga.DTypeError, match="elementwise_grad: the result has dtype bool"):
        ga.elementwise_grad(lambda x: x > 0)(np.ones(3))
    with pytest.raises(ga.DTypeError, match="elementwise_grad: an argument has dtype complex128"):
        ga.elementwise_grad(lambda x: x * x)(np.ones(3) * 1j)
