"""linearize, and batches of tangents and cotangents through one recording."""

import itertools

import numpy as np
import pytest

import gradarray as ga

X = np.array([0.3, -1.2, 2.0])
# A sum of a dozen products of size 10 at most, added in another order: 64 eps is plenty.
CLOSE = {"rtol": 64 * np.finfo(float).eps, "atol": 640 * np.finfo(float).eps}


def f(x):
    return ga.sin(x) * x.sum() + x[::-1] ** 2


def jacobian_of_f(x):
    mirrored = np.diag(2 * x[::-1])[:, ::-1]
    return np.diag(np.cos(x) * x.sum()) + np.sin(x)[:, None] + mirrored


def test_linearize_gives_the_value_and_the_linear_map():
    y, push = ga.linearize(f, X)
    np.testing.assert_allclose(y.numpy(), np.sin(X) * X.sum() + X[::-1] ** 2, **CLOSE)
    v = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(push(v).numpy(), jacobian_of_f(X) @ v, **CLOSE)


def test_linearize_records_once_for_any_number_of_tangents():
    calls = []

    def counted(x):
        calls.append(1)
        return f(x)

    _, push = ga.linearize(counted, X)
    columns = [push(e).numpy() for e in np.eye(3)]
    ga.vmap(push)(np.eye(3))
    assert len(calls) == 1
    np.testing.assert_allclose(np.stack(columns, -1), jacobian_of_f(X), **CLOSE)


def test_linearize_of_several_arguments_and_pytrees_with_aux():
    def g(p, s):
        return {"u": p["a"] * s, "v": p["b"].sum()}, "note"

    p = {"a": np.array([1.0, 2.0]), "b": np.ones(3)}
    y, push, aux = ga.linearize(g, p, 3.0, has_aux=True)
    assert aux == "note"
    np.testing.assert_array_equal(y["u"].numpy(), [3.0, 6.0])
    y_dot = push({"a": np.array([1.0, 0.0]), "b": np.array([1.0, 1.0, 5.0])}, 10.0)
    np.testing.assert_array_equal(y_dot["u"].numpy(), [3.0 + 10.0, 20.0])
    assert float(y_dot["v"]) == 7


def test_what_the_value_does_not_reach_has_a_zero_tangent():
    _, push = ga.linearize(lambda x: (x * 2, ga.array([1.0, 1.0])), 3.0)
    moved, still = push(1.0)
    assert float(moved) == 2
    np.testing.assert_array_equal(still.numpy(), [0.0, 0.0])


# A batch through a recording that was made without it -------------------------------------------


def pulled(x):
    _, pull = ga.vjp(f, x)
    return ga.vmap(pull)(np.eye(3))[0]


def pushed(x):
    _, push = ga.linearize(f, x)
    return ga.vmap(push, out_axes=-1)(np.eye(3))


WAYS = {"pull": pulled, "push": pushed}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_batch_of_unit_vectors_gives_the_jacobian(way):
    np.testing.assert_allclose(way(X).numpy(), jacobian_of_f(X), **CLOSE)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_batch_inside_an_outer_vmap(way):
    xs = np.stack([X, X + 1, 2 * X, -X])
    expected = np.stack([jacobian_of_f(x) for x in xs])
    np.testing.assert_allclose(ga.vmap(way)(xs).numpy(), expected, **CLOSE)
    twice = ga.vmap(ga.vmap(way))(xs.reshape(2, 2, 3)).numpy()
    np.testing.assert_allclose(twice.reshape(4, 3, 3), expected, **CLOSE)


@pytest.mark.parametrize(("outer", "inner"), [*itertools.product(WAYS, repeat=2)])
def test_batches_of_batches(outer, inner):
    def second(x):
        if outer == "push":
            _, push = ga.linearize(WAYS[inner], x)
            return ga.vmap(push, out_axes=-1)(np.eye(3))
        _, pull = ga.vjp(WAYS[inner], x)
        return ga.vmap(ga.vmap(pull))(np.eye(9).reshape(3, 3, 3, 3))[0]

    # d2/dx2 of sin(x_i) sum(x) + x_{-i}^2.
    expected = np.zeros((3, 3, 3))
    for i in range(3):
        expected[i, i, i] -= np.sin(X[i]) * X.sum()
        expected[i, i, :] += np.cos(X[i])
        expected[i, :, i] += np.cos(X[i])
        expected[i, 2 - i, 2 - i] += 2
    np.testing.assert_allclose(second(X).numpy(), expected, **CLOSE)
    xs = np.stack([X, X])
    np.testing.assert_allclose(ga.vmap(second)(xs).numpy()[1], expected, **CLOSE)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_gradient_of_a_batch(way):
    # d/dx |J(x)|^2, in each mode of the inner and of the outer sweep, against differences.
    def size(x):
        return (way(x) ** 2).sum()

    h = np.finfo(float).eps ** (1 / 3)
    step = h * np.eye(3)
    norm = lambda x: (jacobian_of_f(x) ** 2).sum()
    expected = np.array([(norm(X + e) - norm(X - e)) / (2 * h) for e in step])
    # The third derivative of |J|^2 is below 100: the error of the difference is of order h^2.
    bound = {"rtol": 0, "atol": 100 * h**2 + 1e3 * np.finfo(float).eps / h}
    np.testing.assert_allclose(ga.grad(size)(X).numpy(), expected, **bound)
    forward = [float(ga.jvp(size, (X,), (e,))[1]) for e in np.eye(3)]
    np.testing.assert_allclose(forward, expected, **bound)


def test_contractions_under_an_inner_vmap_and_a_batch_of_cotangents():
    a = np.arange(9.0).reshape(3, 3)

    def g(x):
        rows = ga.vmap(lambda r: ga.einsum("i,ij,j->", r, a, x))
        return rows(x[:, None] * np.eye(3))

    # g_k = x_k (a x)_k.
    expected = np.diag(a @ X) + X[:, None] * a
    _, pull = ga.vjp(g, X)
    np.testing.assert_allclose(ga.vmap(pull)(np.eye(3))[0].numpy(), expected, **CLOSE)
    _, push = ga.linearize(g, X)
    columns = ga.vmap(push, out_axes=-1)(np.eye(3))
    np.testing.assert_allclose(columns.numpy(), expected, **CLOSE)


def test_one_cotangent_of_many_is_shared():
    # The first cotangent differs from example to example, the second is the same for all.
    _, pull = ga.vjp(lambda a, b: (a * b, a + b), 2.0, 5.0)
    bars = ga.vmap(lambda c: pull((c, 1.0)))(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(bars[0].numpy(), [1.0, 6.0])
    np.testing.assert_array_equal(bars[1].numpy(), [1.0, 3.0])


def test_complex_cotangents_keep_the_convention_in_a_batch():
    # f(z) = z^2 is analytic: pull(c) = conj(f'(z)) c, for one cotangent as for many.
    z = 1.0 + 2.0j
    _, pull = ga.vjp(lambda z: z * z, ga.array(z))
    cotangents = np.array([1.0, 1.0j, 2.0 - 1.0j])
    found = ga.vmap(lambda c: pull(c)[0])(cotangents).numpy()
    np.testing.assert_allclose(found, np.conj(2 * z) * cotangents, **CLOSE)


# A network ---------------------------------------------------------------------------------------


def test_a_network_linearized_in_its_parameters():
    model = ga.nn.Sequential(ga.nn.Linear(2, 3), ga.nn.Tanh(), ga.nn.Linear(3, 1))
    p = {k: v.detach().astype("float64") for k, v in model.parameters_dict().items()}
    x = ga.array([[0.5, -1.0], [2.0, 0.1]])
    _, push = ga.linearize(lambda p: ga.nn.functional_call(model, p, x), p)
    h = 1e-6
    for path in p:
        moved = {k: (np.ones(v.shape) if k == path else np.zeros(v.shape)) for k, v in p.items()}
        sides = [
            ga.nn.functional_call(model, {k: v + s * h * moved[k] for k, v in p.items()}, x)
            for s in (1, -1)
        ]
        expected = (sides[0] - sides[1]).numpy() / (2 * h)
        # Values of order 1: h^2 from the difference, eps / h from rounding.
        np.testing.assert_allclose(push(moved).numpy(), expected, rtol=0, atol=1e-9)


# Errors -------------------------------------------------------------------------------------------


def test_errors_name_linearize_and_what_came():
    _, push = ga.linearize(f, X)
    with pytest.raises(ga.ShapeError, match=r"linearize: the tangent\[0\] has shape \(2,\)"):
        push(np.ones(2))
    with pytest.raises(ga.DTypeError, match=r"linearize: the tangent\[0\] has dtype float32"):
        push(ga.array(np.ones(3, "float32")))
    with pytest.raises(TypeError, match="linearize: 2 tangents for 1 primals"):
        push(np.ones(3), np.ones(3))
    with pytest.raises(TypeError, match="linearize: the tangent has structure"):
        push([np.ones(3), np.ones(3)])
    with pytest.raises(ga.DTypeError, match=r"linearize: argument 0 has dtype int64"):
        ga.linearize(f, np.arange(3))
