"""Jacobians and Hessians: closed forms, every nesting, every op, structures, errors."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy.optimize import rosen_der, rosen_hess

import gradarray as ga
from gradarray import registry
from gradarray.testing.draw import calls_of, results
from gradarray.transforms import jacobian as module

EPS = np.finfo(float).eps
RNG = np.random.default_rng(5)
WAYS = {"jacfwd": ga.jacfwd, "jacrev": ga.jacrev, "jacobian": ga.jacobian}


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


# Rosenbrock, against SciPy ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 20])
def test_rosenbrock_gradient_and_hessian(n):
    x = RNG.normal(size=n)
    gradient, exact = rosen_der(x), rosen_hess(x)
    # Each entry is a sum of a few terms of at most 1200 x^2.
    bound = 32 * EPS * 1200 * max(1, np.abs(x).max()) ** 3
    for way in WAYS.values():
        np.testing.assert_allclose(way(rosenbrock)(x).numpy(), gradient, rtol=0, atol=bound)
    np.testing.assert_allclose(ga.hessian(rosenbrock)(x).numpy(), exact, rtol=0, atol=bound)
    for outer, inner in itertools.product((*WAYS.values(), ga.grad), repeat=2):
        if outer is not ga.grad:
            found = outer(inner(rosenbrock))(x).numpy()
            np.testing.assert_allclose(found, exact, rtol=0, atol=bound)


def test_rosenbrock_hessians_of_many_points_at_once():
    xs = RNG.normal(size=(5, 4))
    found = ga.vmap(ga.hessian(rosenbrock))(xs).numpy()
    for x, h in zip(xs, found, strict=True):
        np.testing.assert_allclose(h, rosen_hess(x), rtol=1e-13, atol=1e-11)
    # The Hessian of the sum over points is block-diagonal, with the same blocks.
    whole = ga.hessian(lambda xs: ga.vmap(rosenbrock)(xs).sum())(xs).numpy()
    for i, j in itertools.product(range(5), repeat=2):
        expected = rosen_hess(xs[i]) if i == j else 0
        np.testing.assert_allclose(whole[i, :, j], np.zeros((4, 4)) + expected, atol=1e-11)


# Every op: both modes, and column by column -------------------------------------------------------

CALLS = [
    call
    for name, entry in registry.functions.items()
    if name == entry.name and entry.differentiable
    for call in calls_of(entry)
    if call.moving
]


def real_parts(ys):
    """What has a real Jacobian: complex results as their two parts, integers left out."""
    parts = [(ga.real(y), ga.imag(y)) if y.dtype.kind == "c" else (y,) for y in ys]
    return [y for both in parts for y in both if y.dtype.kind == "f"]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_both_modes_agree_with_single_tangents_on_every_op(call):
    arrays, moving = call.draw(rng=call.rng()), tuple(call.moving)

    def f(*xs):
        full = list(arrays)
        for k, x in zip(moving, xs, strict=True):
            full[k] = x
        return real_parts(results(call.run(call.entry.fn, full)))

    xs = [arrays[k] for k in moving]
    numbers = tuple(range(len(xs)))
    forward, reverse = ga.jacfwd(f, numbers)(*xs), ga.jacrev(f, numbers)(*xs)
    y, push = ga.linearize(f, *xs)
    assert len(forward) == len(reverse) == len(y) > 0
    for k, x in enumerate(xs):
        columns: list = [[] for _ in y]
        for n in range(x.size):
            unit = np.zeros(x.size)
            unit[n] = 1
            zeros = [np.zeros(other.shape) for other in xs]
            zeros[k] = unit.reshape(x.shape)
            for column, part in zip(columns, push(*zeros), strict=True):
                column.append(part.numpy())
        for row, column in enumerate(columns):
            expected = np.zeros((*y[row].shape, 0)) if not column else np.stack(column, -1)
            expected = expected.reshape((*y[row].shape, *x.shape))
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            for found in (forward[row][k], reverse[row][k]):
                # A batch may be contracted in another order than one vector.
                np.testing.assert_allclose(
                    found.numpy(), expected, rtol=0, atol=1e4 * EPS * scale, equal_nan=True
                )


# Orders in every mix, and perturbations that must not meet ----------------------------------------


def textbook(x):
    return ga.sqrt(x**2 + ga.exp(x**2)) + ga.cos(x**2 + ga.exp(x**2))


def textbook_mp(x):
    inner = x**2 + mpmath.exp(x**2)
    return mpmath.sqrt(inner) + mpmath.cos(inner)


def by_linearize(f):
    return lambda x: ga.linearize(f, x)[1](1.0)



MODES = {
    **WAYS,
    "grad": ga.grad,
    "elementwise": ga.elementwise_grad,
    "divergence": ga.divergence,
    "linearize": by_linearize,
    "vmap": lambda f: lambda x: ga.vmap(ga.grad(f))(ga.stack([x, x]))[1],
}
PAIRS = list(itertools.product(MODES, repeat=2))


@pytest.mark.parametrize("mix", [*itertools.product(MODES, repeat=2)], ids="-".join)
def test_second_derivatives_in_every_mix(mix):
    f = textbook
    for mode in reversed(mix):
        f = MODES[mode](f)
    with mpmath.workdps(40):
        expected = float(mpmath.diff(textbook_mp, mpmath.mpf("0.7"), len(mix)))
    assert float(f(0.7)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "mix", [*itertools.product(["jacfwd", "jacrev", "linearize"], repeat=4)], ids="-".join
)
def test_fourth_derivatives_in_mixes(mix):
    f = textbook
    for mode in reversed(mix):
        f = MODES[mode](f)
    with mpmath.workdps(40):
        expected = float(mpmath.diff(textbook_mp, mpmath.mpf("0.7"), 4))
    assert float(f(0.7)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_nested_derivatives_of_different_variables_are_not_confused(outer, inner):
    d_outer, d_inner = MODES[outer], MODES[inner]
    # d/dx [x d/dy (x + y)] = 1
    assert float(d_outer(lambda x: x * d_inner(lambda y: x + y)(1.0))(1.0)) == 1
    # d/dx [x d/dz (z x) at z = x] at 3: 2 x
    assert float(d_outer(lambda x: x * d_inner(lambda z: z * x)(x))(3.0)) == 6
    # The inner function ignores its variable.
    assert float(d_outer(lambda x: x * d_inner(lambda y: x * x + 0 * y)(2.0))(3.0)) == 0
    # d/dy d/dx (x^2 y^3) at (2, 5)
    assert float(d_outer(lambda y: d_inner(lambda x: x**2 * y**3)(2.0))(5.0)) == 300


@pytest.mark.parametrize(("outer", "inner"), [*itertools.product(WAYS, repeat=2)])
def test_perturbations_of_vectors(outer, inner):
    # A(x) = J_y [x_i y_j^2] at y = x, so A_ijk = 2 x_i x_j [j = k]; its Jacobian in x.
    x = np.array([2.0, 3.0])

    def a(x):
        return WAYS[inner](lambda y: ga.outer(x, y**2))(x)

    expected = np.zeros((2, 2, 2, 2))
    for i, j, n in itertools.product(range(2), repeat=3):
        expected[i, j, j, n] = 2 * ((i == n) * x[j] + x[i] * (j == n))
    np.testing.assert_allclose(WAYS[outer](a)(x).numpy(), expected, rtol=4 * EPS)


# Structure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_structure_of_the_argument_inside_that_of_the_result(way):
    p = {"a": np.array([1.0, 2.0]), "b": (np.array([[1.0], [3.0], [5.0]]), 2.0)}
    jac = way(lambda p: [p["a"] * p["b"][0], p["b"][1] ** 2])(p)
    assert isinstance(jac, list) and set(jac[0]) == {"a", "b"} and isinstance(jac[0]["b"], tuple)
    assert jac[0]["a"].shape == (3, 2, 2) and jac[0]["b"][0].shape == (3, 2, 3, 1)
    assert jac[0]["b"][1].shape == (3, 2) and jac[1]["a"].shape == (2,)
    b = np.array([1.0, 3.0, 5.0])
    np.testing.assert_array_equal(
        jac[0]["a"].numpy(), b[:, None, None] * np.eye(2)[None] * np.ones((3, 1, 1))
    )
    np.testing.assert_array_equal(
        jac[0]["b"][0].numpy()[..., 0], np.eye(3)[:, None, :] * p["a"][None, :, None]
    )
    np.testing.assert_array_equal(jac[0]["b"][1].numpy(), np.zeros((3, 2)))
    np.testing.assert_array_equal(jac[1]["a"].numpy(), np.zeros(2))
    assert float(jac[1]["b"][1]) == 4


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_argnums_keywords_and_aux(way):
    def f(x, y, *, power=1):
        return x**power * y, {"seen": y}

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    both, aux = way(f, argnums=(-1, 0), has_aux=True)(x, y, power=2)
    assert isinstance(both, tuple)
    np.testing.assert_array_equal(both[0].numpy(), np.diag(x**2))
    np.testing.assert_array_equal(both[1].numpy(), np.diag(2 * x * y))
    np.testing.assert_array_equal(np.asarray(aux["seen"]), y)
    (one,) = way(lambda x, y: x * y, argnums=(1,))(x, y)
    np.testing.assert_array_equal(one.numpy(), np.diag(x))


def test_a_hessian_of_a_pytree_has_four_blocks():
    p = {"a": np.array([1.0, 2.0]), "b": 3.0}
    h = ga.hessian(lambda p: (p["a"] ** 2).sum() * p["b"])(p)
    np.testing.assert_array_equal(h["a"]["a"].numpy(), 6 * np.eye(2))
    np.testing.assert_array_equal(h["a"]["b"].numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(h["b"]["a"].numpy(), [2.0, 4.0])
    assert float(h["b"]["b"]) == 0
    pair, aux = ga.hessian(lambda x, y: (x * y * y, "aux"), (0, 1), has_aux=True)(2.0, 3.0)
    assert aux == "aux"
    assert [[float(v) for v in row] for row in pair] == [[0, 6], [6, 4]]


def test_a_hessian_of_several_results():
    x = np.array([1.0, 2.0])
    h = ga.hessian(lambda x: ga.stack([x[0] * x[1], x[0] ** 3]))(x)
    np.testing.assert_array_equal(h.numpy(), [[[0, 1], [1, 0]], [[6, 0], [0, 0]]])


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_chunks_change_nothing(size):
    x = RNG.normal(size=(3, 2))
    f = lambda x: ga.tanh(x @ x.T)
    for way in (*WAYS.values(), ga.hessian):
        np.testing.assert_array_equal(way(f, chunk_size=size)(x).numpy(), way(f)(x).numpy())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_forms_at_the_edges(way):
    empty = way(lambda x: x * 2)(np.zeros((0,)))
    assert empty.shape == (0, 0)
    assert way(lambda x: x.sum())(np.zeros((0, 3))).shape == (0, 3)
    assert way(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert way(lambda x: x)(2.0).shape == ()
    np.testing.assert_array_equal(way(lambda x: ga.ones(2))(np.ones(3)).numpy(), np.zeros((2, 3)))
    single = way(lambda x: x * x)(np.ones((1, 1), "float32"))
    assert single.dtype == np.float32 and single.shape == (1, 1, 1, 1)
    half = way(lambda x: ga.outer(x, x))(np.ones(3, "float32"))
    assert half.dtype == np.float32 and half.shape == (3, 3, 3)


def test_jacobian_takes_the_cheaper_mode(monkeypatch):
    seen = []
    for name in ("push", "pull"):
        method = getattr(module.Recording, name)

        def counted(self, *args, name=name, method=method):
            seen.append(name)
            return method(self, *args)

        monkeypatch.setattr(module.Recording, name, counted)
    wide, tall = RNG.normal(size=(2, 5)), RNG.normal(size=(5, 2))
    for a, expected in ((wide, "pull"), (tall, "push"), (np.eye(3), "push")):
        seen.clear()
        found = ga.jacobian(lambda x, a=a: ga.matmul(a, x))(np.ones(a.shape[1]))
        np.testing.assert_array_equal(found.numpy(), a)
        assert set(seen) == {expected} and len(seen) == 1


def test_the_function_is_called_once():
    calls = []

    def f(x):
        calls.append(1)
        return x * x.sum()

    for way in WAYS.values():
        calls.clear()
        way(f)(np.ones(6))
        assert len(calls) == 1


# Modes, closures, networks ------------------------------------------------------------------------


def test_no_grad_outside_gives_numbers_only():
    w = ga.array(2.0, requires_grad=True)
    f = lambda x: (w * x**3).sum()
    for way in (*WAYS.values(), ga.hessian):
        assert way(f)(np.ones(2)).requires_grad
        with ga.no_grad():
            found = way(f)(np.ones(2))
        assert not found.requires_grad
        np.testing.assert_array_equal(found.numpy(), way(f)(np.ones(2)).numpy())


def test_a_closure_over_a_leaf_stays_attached():
    w = ga.array(2.0, requires_grad=True)
    ga.hessian(lambda x: w * (x**3).sum())(np.array([1.0, 5.0])).sum().backward()
    assert float(w.grad) == 6 * (1 + 5)
    assert not ga.hessian(lambda x: (x**3).sum())(np.ones(2)).requires_grad


def test_a_network_in_its_parameters_and_its_input():
    model = ga.nn.Sequential(ga.nn.Linear(3, 4), ga.nn.Tanh(), ga.nn.Linear(4, 2))
    p = {k: v.detach().astype("float64") for k, v in model.parameters_dict().items()}
    call = lambda p, x: ga.nn.functional_call(model, p, x)
    x = RNG.normal(size=(5, 3))
    w0, b0, w1 = (p[k].numpy() for k in ("0.weight", "0.bias", "2.weight"))
    hidden = np.tanh(x @ w0.T + b0)
    slope = 1 - hidden**2
    forward, reverse = ga.jacfwd(call)(p, x), ga.jacrev(call)(p, x)
    assert forward["0.weight"].shape == (5, 2, 4, 3)
    expected = {
        "0.weight": np.einsum("oh,bh,bi->bohi", w1, slope, x),
        "0.bias": np.einsum("oh,bh->boh", w1, slope),
        "2.weight": np.einsum("op,bh->boph", np.eye(2), hidden),
        "2.bias": np.broadcast_to(np.eye(2), (5, 2, 2)),
    }
    for path, exact in expected.items():
        for found in (forward[path], reverse[path]):
            np.testing.assert_allclose(found.numpy(), exact, rtol=0, atol=64 * EPS)
    per_sample = ga.vmap(ga.jacobian(call, argnums=1), in_axes=(None, 0))(p, x)
    np.testing.assert_allclose(
        per_sample.numpy(), np.einsum("oh,bh,hi->boi", w1, slope, w0), rtol=0, atol=64 * EPS
    )


def cube():
    class PullOnly(ga.Grad):
        def forward(x):
            return x**3

        def backward(y_bar, x):
            return y_bar * 3 * x**2

    return PullOnly


def pushed_cube():
    class PushOnly(ga.Grad):
        def forward(x):
            return x**3

        def push(x, x_dot):
            return 3 * x**2 * x_dot

    return PushOnly


ROWS = np.linspace(0, 1, 12).reshape(4, 3)
LOOPS = {
    "pull": lambda x: cube().apply(x).sum() * x,
    "push": lambda x: pushed_cube().apply(x).sum() * x,
    "checkpoint": lambda x: ga.checkpoint(lambda x: ga.sin(x) * x.sum())(x),
    "scan": lambda x: ga.scan(lambda c, v: (ga.sin(c) * (v * c).sum() + c, c), x, ROWS)[0],
    "snapshots": lambda x: ga.scan(
        lambda c, v: (ga.sin(c) * (v * c).sum() + c, c), x, ROWS, snapshots=2
    )[0],
    "while": lambda x: ga.while_loop(
        lambda c: (c**2).sum() < 50, lambda c: c * 1.5 + ga.sin(c), x
    ),
    "cond": lambda x: ga.cond(x.sum() > 0, lambda x: x**2 * x.sum(), lambda x: x**3, x),
    "python": lambda x: x * x.sum() if float(x.sum()) > 0 else x**3,
}


@pytest.mark.parametrize("name", LOOPS)
def test_through_loops_branches_checkpoints_and_own_ops(name):
    f, x = LOOPS[name], np.array([0.3, 0.7, -0.2])
    value = lambda x: f(ga.array(x)).numpy()
    # Third derivatives are below 1e4 here: h^2 / 6 of them, and rounding of values of order 10.
    h = 1e-5
    slope = lambda g: np.stack([(g(x + h * e) - g(x - h * e)) / (2 * h) for e in np.eye(3)], -1)
    expected = slope(value)
    for way in WAYS.values():
        np.testing.assert_allclose(way(f)(x).numpy(), expected, rtol=0, atol=1e-6)
    bent = slope(lambda x: ga.jacrev(f)(x).numpy())
    for outer, inner in itertools.product((ga.jacfwd, ga.jacrev), repeat=2):
        np.testing.assert_allclose(outer(inner(f))(x).numpy(), bent, rtol=0, atol=1e-6)


# Complex ------------------------------------------------------------------------------------------


def test_an_analytic_function_of_complex_arrays():
    z = np.array([1 + 2j, -0.5j])
    f = lambda z: ga.stack([z[0] * z[1], ga.exp(z[1])])
    exact = np.array([[z[1], z[0]], [0, np.exp(z[1])]])
    for way in WAYS.values():
        np.testing.assert_allclose(way(f, holomorphic=True)(z).numpy(), exact, rtol=8 * EPS)
    second = ga.hessian(lambda z: z[0] ** 2 * z[1], holomorphic=True)(z).numpy()
    np.testing.assert_allclose(second, [[2 * z[1], 2 * z[0]], [2 * z[0], 0]], rtol=8 * EPS)


def test_complex_results_of_real_arguments_go_forward():
    x = np.array([0.3, 0.8])
    f = lambda x: ga.exp(1j * x)
    exact = np.diag(1j * np.exp(1j * x))
    np.testing.assert_allclose(ga.jacfwd(f)(x).numpy(), exact, rtol=8 * EPS)
    np.testing.assert_allclose(
        ga.jacobian(lambda x: f(x)[:1])(x).numpy(), exact[:1], rtol=8 * EPS
    )
    with pytest.raises(ga.DTypeError, match=r"jacrev: the result has dtype complex128.*jacfwd"):
        ga.jacrev(f)(x)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*WAYS, "hessian", "divergence"])
def test_errors_name_the_transform(name):
    way = getattr(ga, name)
    with pytest.raises(ga.DTypeError, match=rf"{name}: argument 0 has dtype int64"):
        way(lambda x: x)(np.arange(3))
    with pytest.raises(TypeError, match=rf"{name}: argnums=3, but the function got 1"):
        way(lambda x: x, argnums=3)(1.0)
    with pytest.raises(ga.DTypeError, match=rf"{name}: the result has dtype bool"):
        way(lambda x: x > 0)(np.ones(2))
    with pytest.raises(ga.DTypeError, match=rf"{name}: an argument has dtype complex128.*holom"):
        way(lambda z: z * 1)(np.ones(2) * 1j)
    with pytest.raises(ValueError, match=rf"{name}: chunk_size is at least 1, not 0"):
        way(lambda x: x, chunk_size=0)(np.ones(2))
    with pytest.raises(TypeError, match=rf"{name}: with has_aux .* \(value, aux\)"):
        way(lambda x: x, has_aux=True)(np.ones(2))
    if name != "divergence":
        with pytest.raises(ga.DTypeError, match=rf"{name}: holomorphic=True, but"):
            way(lambda x: x * 1, holomorphic=True)(np.ones(2))


# Divergence ---------------------------------------------------------------------------------------


def test_divergence_is_the_trace_of_the_jacobian():
    a = RNG.normal(size=(4, 4))
    x = RNG.normal(size=4)
    assert float(ga.divergence(lambda x: a @ x)(x)) == pytest.approx(np.trace(a), rel=16 * EPS)
    f = lambda x: ga.sin(x) * x.sum()
    exact = (np.cos(x) * x.sum() + np.sin(x)).sum()
    assert float(ga.divergence(f)(x)) == pytest.approx(exact, rel=64 * EPS)
    assert float(ga.divergence(f, chunk_size=3)(x)) == pytest.approx(exact, rel=64 * EPS)


def test_divergence_of_a_gradient_is_the_laplacian():
    # 1/|x| is harmonic in three dimensions.
    x = np.array([0.3, -1.0, 2.0])
    radial = ga.grad(lambda x: 1 / ga.sqrt((x**2).sum()))
    # Three terms of size 1/|x|^3 cancel.
    assert abs(float(ga.divergence(radial)(x))) < 64 * EPS / np.linalg.norm(x) ** 3
    points = RNG.normal(size=(6, 3))
    quartic = ga.grad(lambda x: (x**2).sum() ** 2)  # Laplacian 20 |x|^2
    np.testing.assert_allclose(
        ga.vmap(ga.divergence(quartic))(points).numpy(), 20 * (points**2).sum(-1), rtol=64 * EPS
    )


def test_divergence_of_pytrees_and_its_gradient():
    field = lambda p: {"a": p["a"] ** 2, "b": p["b"] * p["a"].sum()}
    p = {"a": np.array([1.0, 2.0]), "b": np.ones((2, 2))}
    assert float(ga.divergence(field)(p)) == 2 * 3 + 4 * 3
    slope = ga.grad(lambda p: ga.divergence(field)(p))(p)
    np.testing.assert_array_equal(slope["a"].numpy(), [2 + 4, 2 + 4])
    both, aux = ga.divergence(lambda x, y: ((x * y, y**2), 1), (0, 1), has_aux=True)(2.0, 3.0)
    assert float(both) == 3 + 6 and aux == 1


def test_divergence_of_what_is_no_field():
    with pytest.raises(ga.ShapeError, match=r"divergence: the result has shape \(2,\), its arg"):
        ga.divergence(lambda x: x[:2])(np.ones(3))
    with pytest.raises(TypeError, match="divergence: the result has structure"):
        ga.divergence(lambda x: (x, x))(np.ones(3))


def test_math_of_one_closed_form_at_ten_points():
    # The Jacobian of polar coordinates, for many points in one call.
    r, t = RNG.uniform(0.5, 2, 10), RNG.uniform(0, 2 * math.pi, 10)
    polar = lambda q: ga.stack([q[0] * ga.cos(q[1]), q[0] * ga.sin(q[1])])
    jac = ga.vmap(ga.jacobian(polar))(np.stack([r, t], -1)).numpy()
    np.testing.assert_allclose(np.linalg.det(jac), r, rtol=16 * EPS)
