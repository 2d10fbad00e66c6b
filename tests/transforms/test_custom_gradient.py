"""custom_gradient: closed forms through a rule of one's own, and plain functions beside it."""

import itertools

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from gradarray.errors import GraphError, RuleError

rng = np.random.default_rng(7)
W, X = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))


@ga.custom_gradient
def cube(x):
    return x**3, lambda y_bar: y_bar * 3 * x**2


@ga.custom_gradient
def layer(w, x):
    y = ga.tanh(w @ x)

    def pull(y_bar):
        r = y_bar * (1 - y**2)
        return ga.outer(r, x), w.T @ r

    return y, pull


def plain(w, x):
    return ga.tanh(w @ x)


def forward(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("modes", list(itertools.product([ga.grad, forward], repeat=3)))
def test_three_derivatives_in_every_mix_of_modes(modes):
    f, x = cube, 0.7
    for mode, exact in zip(modes, (3 * x**2, 6 * x, 6.0), strict=True):
        f = mode(f)
        assert f(x).item() == pytest.approx(exact, rel=1e-14)


def test_taylor_to_order_four():
    assert [ga.derivative(cube, n)(0.7).item() for n in range(5)] == pytest.approx(
        [0.343, 1.47, 4.2, 6.0, 0.0], rel=1e-14
    )


def test_the_rule_is_what_is_used():
    straight = ga.custom_gradient(lambda x: (ga.round(x), lambda y_bar: y_bar))
    assert ga.grad(lambda x: straight(x) ** 2)(2.3).item() == 4.0
    assert forward(straight)(2.3).item() == 1.0
    clipped = ga.custom_gradient(lambda x: (x, lambda g: ga.clip(g, -1.0, 1.0)))
    assert ga.grad(lambda x: 100 * clipped(x))(1.0).item() == 1.0


def test_digits_where_plain_derivatives_lose_them():
    @ga.custom_gradient
    def log1pexp(x):
        e = ga.exp(x)
        return ga.log(1 + e), lambda y_bar: y_bar * (1 - 1 / (1 + e))

    with np.errstate(over="ignore"):
        assert ga.grad(log1pexp)(1000.0).item() == 1.0
        assert forward(log1pexp)(1000.0).item() == 1.0


OTHER_TRANSFORMS = {
    "grad": lambda f: ga.grad(lambda w: ga.vmap(f, (None, 0))(w, X).sum())(W),
    "hessian": lambda f: ga.hessian(lambda w: ga.vmap(f, (None, 0))(w, X).sum())(W),
    "per sample": lambda f: ga.vmap(ga.grad(lambda w, x: f(w, x).sum()), (None, 0))(W, X),
    "jacrev": lambda f: ga.vmap(ga.jacrev(f), (None, 0))(W, X),
    "jacrev of jacrev": lambda f: ga.vmap(ga.jacrev(ga.jacrev(f)), (None, 0))(W, X),
    "jacrev of jacfwd": lambda f: ga.vmap(ga.jacrev(ga.jacfwd(f)), (None, 0))(W, X),
    "jacfwd of jacrev": lambda f: ga.vmap(ga.jacfwd(ga.jacrev(f)), (None, 0))(W, X),
    "vmap twice": lambda f: ga.vmap(
        lambda x: ga.vmap(ga.hessian(lambda v: f(W, v).sum()))(x)
    )(X.reshape(2, 3, 4)),
    "hvp": lambda f: ga.hvp(lambda x: f(W, x).sum())(X[0], X[1]),
    "laplacian": lambda f: ga.laplacian(lambda x: f(W, x).sum())(X[0]),
    "jet": lambda f: ga.jet(lambda x: f(W, x), (X[0],), (tuple(X[1:4]),))[1][2],
    "grad of jet": lambda f: ga.grad(
        lambda w: ga.jet(lambda x: f(w, x), (X[0],), (tuple(X[1:4]),))[1][2].sum()
    )(W),
    "jet in vmap": lambda f: ga.vmap(
        lambda x: ga.jet(lambda x: f(W, x), (x,), (tuple(X[1:4]),))[1][2]
    )(X),
    "linearize": lambda f: ga.linearize(lambda x: f(W, x), X[0])[1](X[1]),
    "checkpoint": lambda f: ga.grad(lambda w: ga.checkpoint(f)(w, X[0]).sum())(W),
    "scan": lambda f: ga.grad(
        lambda w: ga.scan(lambda c, x: (c + f(w, x), None), ga.zeros(3), X)[0].sum()
    )(W),
    "snapshots": lambda f: ga.grad(
        lambda w: ga.scan(lambda c, x: (c + f(w, x), None), ga.zeros(3), X, snapshots=2)[0].sum()
    )(W),
    "sparse": lambda f: ga.sparse_jacobian(lambda x: f(W, x))(X[0]).toarray(),
}


@pytest.mark.parametrize("name", OTHER_TRANSFORMS)
def test_as_the_plain_function_in(name):
    run = OTHER_TRANSFORMS[name]
    np.testing.assert_allclose(
        np.asarray(run(layer)), np.asarray(run(plain)), rtol=1e-13, atol=1e-14
    )


def test_backward_and_networks():
    @ga.custom_gradient
    def reversed_gradient(x):
        return x, lambda y_bar: -y_bar

    ga.random.seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    x = ga.array(X, requires_grad=True)
    net(x).sum().backward()
    right, x.grad = x.grad, None
    net(reversed_gradient(x)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), -right.numpy())


def test_trees_keywords_and_arguments_without_derivative():
    @ga.custom_gradient
    def f(p, n, power=2):
        def pull(y_bar):
            return {"u": y_bar["a"] * p["v"], "v": y_bar["a"] * p["u"]}, None

        return {"a": p["u"] * p["v"], "n": n + power}, pull

    p = {"u": ga.array([1.0, 2.0]), "v": ga.array([3.0, 4.0])}

    def total(p):
        y = f(p, 3, power=1)
        return y["a"].sum(), y["n"]

    (_, n), found = ga.value_and_grad(total, has_aux=True)(p)
    assert int(n) == 4
    np.testing.assert_array_equal(found["u"].numpy(), [3.0, 4.0])
    np.testing.assert_array_equal(found["v"].numpy(), [1.0, 2.0])


def test_complex_arguments():
    # The conjugate at the two ends of a walk: a pull multiplies with the conjugate derivative.
    square = ga.custom_gradient(lambda z: (z * z, lambda y_bar: y_bar * ga.conj(2 * z)))
    z = 1 + 2j
    assert ga.grad(square, holomorphic=True)(z).item() == pytest.approx(2 * z)
    assert ga.jvp(square, (z,), (1 + 0j,))[1].item() == pytest.approx(2 * z)
    # |z^2|^2 = |z|^4 has the gradient 4 |z|^2 z.
    assert ga.grad(lambda z: ga.abs(square(z)) ** 2)(z).item() == pytest.approx(20 * z)


def test_random_numbers_are_drawn_once():
    draws = []

    @ga.custom_gradient
    def noisy(x):
        e = ga.random.normal(size=3)
        draws.append(e.numpy())
        return x * e, lambda y_bar: y_bar * e

    found = ga.grad(lambda x: noisy(x).sum())(np.ones(3))
    assert len(draws) == 1
    np.testing.assert_array_equal(found.numpy(), draws[0])


FAULTS = {
    "no pair": (lambda x: x, r"f: returned GradArray, not \(y, pull\)"),
    "no function": (lambda x: (x, 3), r"f: returned GradArray, int, not \(y, pull\)"),
    "two for one": (lambda x: (x, lambda g: (g, g)), r"gave \(\*, \*\) for argument 0, expected"),
    "shape": (lambda x: (x, lambda g: g.sum() * ga.ones(7)), r"shape \(7,\) for x, of shape"),
    "NumPy": (lambda x: (x, lambda g: np.ones(5)), "not connected to what it was given"),
    "constant": (lambda x: (x, lambda g: ga.ones(5)), "not connected to what it was given"),
}
TRANSFORMS = {
    "grad": lambda f, x: ga.grad(lambda x: f(x).sum())(x),
    "jvp": lambda f, x: ga.jvp(f, (x,), (x,)),
    "jet": lambda f, x: ga.jet(f, (x,), ((x,),)),
    "vmap": lambda f, x: ga.vmap(ga.grad(lambda x: f(x).sum()))(ga.ones((2, 5))),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_rule_is_refused(fault, transform):
    rule, words = FAULTS[fault]
    rule.__name__ = "f"
    with pytest.raises(RuleError, match=words):
        TRANSFORMS[transform](ga.custom_gradient(rule), ga.ones(5))


def test_wrong_number_of_cotangents():
    f = ga.custom_gradient(lambda a, b: (a * b, lambda g: g))
    with pytest.raises(RuleError, match="its pull gave 1 cotangents for 2 arguments"):
        ga.grad(f)(1.0, 2.0)


def test_arrays_from_around_are_refused():
    w = ga.array(3.0, requires_grad=True)
    f = ga.custom_gradient(lambda x: (x * w, lambda g: g * w))
    for x in (2.0, ga.array(2.0, requires_grad=True)):
        with pytest.raises(GraphError, match=r"made by leaf\) and are no arguments of it"):
            f(x)
    with ga.no_grad():
        assert f(2.0).item() == 6.0
    fixed = ga.custom_gradient(
        lambda x: (x * ga.stop_gradient(w), lambda g: g * ga.stop_gradient(w))
    )
    assert ga.grad(fixed)(2.0).item() == 3.0
