"""grad, value_and_grad, vjp, jvp: right to any order, in any mix, over any structure."""

import collections
import itertools
import math

import mpmath
import numpy as np
import pytest

import gradarray as ga

DIGITS_12 = 1e-12


def textbook(x):
    return ga.sqrt(x**2 + ga.exp(x**2)) + ga.cos(x**2 + ga.exp(x**2))


def textbook_mp(x):
    inner = x**2 + mpmath.exp(x**2)
    return mpmath.sqrt(inner) + mpmath.cos(inner)


def derivative_by_grad(f):
    return ga.grad(f)


def derivative_by_jvp(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


MODES = {"grad": derivative_by_grad, "jvp": derivative_by_jvp}
MIXES = [mix for n in range(1, 5) for mix in itertools.product(MODES, repeat=n)]


def value(x):
    return float(x)


def test_the_textbook_function():
    x = 0.7
    inner = x**2 + math.exp(x**2)
    closed = 2 * x * (1 / (2 * math.sqrt(inner)) - math.sin(inner)) * (1 + math.exp(x**2))
    assert value(ga.grad(textbook)(x)) == pytest.approx(closed, rel=DIGITS_12)
    assert value(ga.jvp(textbook, (x,), (1.0,))[1]) == pytest.approx(closed, rel=DIGITS_12)
    leaf = ga.array(x, requires_grad=True)
    textbook(leaf).backward()
    assert value(leaf.grad) == pytest.approx(closed, rel=DIGITS_12)


@pytest.mark.parametrize("mix", MIXES, ids="-".join)
def test_every_mix_of_modes_to_order_4(mix):
    f = textbook
    for mode in reversed(mix):
        f = MODES[mode](f)
    with mpmath.workdps(40):
        expected = float(mpmath.diff(textbook_mp, mpmath.mpf("0.7"), len(mix)))
    assert value(f(0.7)) == pytest.approx(expected, rel=DIGITS_12)


def test_there_are_30_mixes():
    assert len(MIXES) == 30


# Nested derivatives of different variables are not confused ---------------------------------------

PAIRS = list(itertools.product(MODES, repeat=2))


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_a_sum_of_two_variables(outer, inner):
    # d/dx [x d/dy (x + y)] = 1: a tangent of x must not count as one of y.
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert value(d_outer(lambda x: x * d_inner(lambda y: x + y)(1.0))(1.0)) == 1


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_the_same_name_inside_and_outside(outer, inner):
    # d/dx [x d/dx' (x' x)] at 3, with x' = x: x * x, hence 2x.
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert value(d_outer(lambda x: x * d_inner(lambda z: z * x)(x))(3.0)) == 6


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_an_inner_derivative_of_a_constant(outer, inner):
    # The inner function ignores its variable: 0, whatever the outer one does.
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert value(d_outer(lambda x: x * d_inner(lambda y: x * x)(2.0))(3.0)) == 0


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_a_derivative_of_a_derivative_in_another_variable(outer, inner):
    # d/dy d/dx (x^2 y^3) at (2, 5) = 2 x 3 y^2 = 300.
    d_outer, d_inner = MODES[outer], MODES[inner]
    assert value(d_outer(lambda y: d_inner(lambda x: x**2 * y**3)(2.0))(5.0)) == 300


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_a_returned_function_is_differentiated_apart(outer, inner):
    # f gives back a closure over x; each call of it differentiates a variable of its own.
    d_outer, d_inner = MODES[outer], MODES[inner]

    def shifted(x):
        return lambda g: lambda z: g(x + z)

    def by_x(x):
        move = shifted(x)
        return d_inner(move(d_inner(move(ga.exp))))(0.0)

    # d/dx of exp''(2x) = 2 exp(2x).
    assert value(d_outer(by_x)(0.25)) == pytest.approx(2 * math.exp(0.5), rel=DIGITS_12)


def test_an_inner_gradient_in_a_loop():
    # Leapfrog with the force -dV/dq inside, V = q^2/2: the map is linear, so d q_n/d q_0 is known.
    def end(q, p=0.0, steps=20, h=0.1):
        force = ga.grad(lambda q: q * q / 2)
        for _ in range(steps):
            p = p - h / 2 * force(q)
            q = q + h * p
            p = p - h / 2 * force(q)
        return q

    matrix = np.linalg.matrix_power(
        np.array([[1 - 0.1**2 / 2, 0.1], [-0.1 * (1 - 0.1**2 / 4), 1 - 0.1**2 / 2]]), 20
    )
    assert value(ga.grad(end)(1.0)) == pytest.approx(matrix[0, 0], rel=DIGITS_12)
    assert value(ga.jvp(end, (1.0,), (1.0,))[1]) == pytest.approx(matrix[0, 0], rel=DIGITS_12)


# Closures -----------------------------------------------------------------------------------------


def test_a_closure_over_a_leaf_stays_attached():
    w = ga.array(3.0, requires_grad=True)
    slope = ga.grad(lambda x: w * x * x)(2.0)
    assert slope.requires_grad
    slope.backward()  # d/dw 2 w x = 2 x
    assert value(w.grad) == 4


def test_the_argument_itself_may_be_a_leaf():
    x = ga.array(2.0, requires_grad=True)
    slope = ga.grad(lambda x: x**3)(x)
    slope.backward()  # 6 x
    assert value(x.grad) == 12
    y, y_dot = ga.jvp(lambda x: x**3, (x,), (1.0,))
    assert y.requires_grad and y_dot.requires_grad
    x.zero_grad()
    y_dot.backward()
    assert value(x.grad) == 12


def test_without_anything_older_the_result_is_unattached():
    slope = ga.grad(lambda x: x**3)(ga.array(2.0))
    assert not slope.requires_grad
    y, pull = ga.vjp(lambda x: x**3, 2.0)
    assert not y.requires_grad and not pull(1.0)[0].requires_grad
    assert not any(r.requires_grad for r in ga.jvp(lambda x: x**3, (2.0,), (1.0,)))


# Arguments and results ----------------------------------------------------------------------------

Pair = collections.namedtuple("Pair", "weight bias")


def test_argnums():
    f = lambda a, b, c: a * b**2 * c**3
    assert value(ga.grad(f, 1)(2.0, 3.0, 1.0)) == 12
    assert value(ga.grad(f, -1)(2.0, 3.0, 1.0)) == 54
    both = ga.grad(f, (2, 0))(2.0, 3.0, 1.0)
    assert isinstance(both, tuple) and [value(g) for g in both] == [54, 9]
    alone = ga.grad(f, (1,))(2.0, 3.0, 1.0)
    assert isinstance(alone, tuple) and len(alone) == 1


def test_argnums_out_of_range():
    with pytest.raises(TypeError, match=r"argnums=2.*got 2 arguments"):
        ga.grad(lambda a, b: a * b, 2)(1.0, 2.0)


@pytest.mark.parametrize(
    "tree",
    [
        (1.0, 2.0),
        [1.0, [2.0]],
        {"b": 1.0, "a": 2.0},
        Pair(1.0, 2.0),
        {"layers": [Pair(1.0, (2.0,))], "none": None},
    ],
    ids=["tuple", "list", "dict", "namedtuple", "mixed"],
)
def test_the_gradient_has_the_structure_of_the_argument(tree):
    def f(t):
        a, b = ga.tree.flatten(t)[0]
        return a * b * b

    gradient = ga.grad(f)(tree)
    leaves, form = ga.tree.flatten(gradient)
    assert form == ga.tree.flatten(tree)[1]
    assert type(gradient) is type(tree)
    assert [value(g) for g in leaves] == [4, 4]
    _, pull = ga.vjp(f, tree)
    assert [value(g) for g in ga.tree.flatten(pull(1.0)[0])[0]] == [4, 4]
    ones = ga.tree.map(lambda _: 1.0, tree)
    assert value(ga.jvp(f, (tree,), (ones,))[1]) == 8


def test_numbers_arrays_and_gradarrays_are_arguments():
    f = lambda x: (x * x).sum()
    for x in (3.0, 3, np.float64(3.0), np.array(3.0), ga.array(3.0)):
        gradient = ga.grad(f)(x)
        assert isinstance(gradient, ga.GradArray) and value(gradient) == 6
    assert ga.grad(f)(np.float32([1, 2])).dtype == np.float32


def test_keywords_pass_through():
    assert value(ga.grad(lambda x, n=1: x**n)(2.0, n=3)) == 12


def test_unreached_arguments_have_zero_gradients():
    gradient = ga.grad(lambda t: t["a"] * 2)({"a": 1.0, "b": np.ones((2, 3), np.float32)})
    assert gradient["b"].shape == (2, 3) and gradient["b"].dtype == np.float32
    assert not gradient["b"].numpy().any()


def test_has_aux():
    f = lambda x: (x * x, {"double": 2 * x, "name": "f"})
    gradient, aux = ga.grad(f, has_aux=True)(3.0)
    assert value(gradient) == 6 and value(aux["double"]) == 6 and aux["name"] == "f"
    assert not aux["double"].requires_grad
    (y, aux), gradient = ga.value_and_grad(f, has_aux=True)(3.0)
    assert (value(y), value(gradient)) == (9, 6)
    y, pull, aux = ga.vjp(f, 3.0, has_aux=True)
    assert (value(y), value(pull(1.0)[0]), value(aux["double"])) == (9, 6, 6)
    y, y_dot, aux = ga.jvp(f, (3.0,), (1.0,), has_aux=True)
    assert (value(y), value(y_dot), value(aux["double"])) == (9, 6, 6)


def test_aux_stays_attached_to_what_is_older():
    w = ga.array(5.0, requires_grad=True)
    _, aux = ga.grad(lambda x: (x * x, x * w), has_aux=True)(3.0)
    aux.backward()
    assert value(w.grad) == 3


def test_has_aux_needs_a_pair():
    with pytest.raises(TypeError, match=r"grad: with has_aux the function returns \(value, aux\)"):
        ga.grad(lambda x: x * x, has_aux=True)(1.0)


def test_value_and_grad_computes_once():
    calls = []

    def f(x):
        calls.append(1)
        return x * x

    y, gradient = ga.value_and_grad(f)(3.0)
    assert (value(y), value(gradient), len(calls)) == (9, 6, 1)


def test_vjp_of_several_outputs_and_pulled_twice():
    f = lambda a, b: {"product": a * b, "sum": [a + b]}
    y, pull = ga.vjp(f, 2.0, np.array([3.0, 4.0]))
    assert [value(v) for v in y["product"].tolist()] == [6, 8]
    for _ in range(2):
        a_bar, b_bar = pull({"product": np.array([1.0, 0.0]), "sum": [np.array([0.0, 1.0])]})
        assert value(a_bar) == 4 and b_bar.tolist() == [2, 1]


def test_vjp_of_a_result_that_is_an_argument():
    y, pull = ga.vjp(lambda x: (x, x, x * 2), 3.0)
    assert [value(v) for v in y] == [3, 3, 6]
    assert value(pull((1.0, 10.0, 100.0))[0]) == 211


def test_a_constant_result():
    y, pull = ga.vjp(lambda x: 7.0, 3.0)
    assert value(y) == 7 and value(pull(1.0)[0]) == 0
    assert value(ga.grad(lambda x: 7.0)(3.0)) == 0
    assert value(ga.jvp(lambda x: 7.0, (3.0,), (1.0,))[1]) == 0


def test_a_whole_number_that_a_branch_returns_stands_for_the_real_one():
    f = lambda x: 1 if x == 1 else x**2
    value, gradient = ga.value_and_grad(f)(1.0)
    assert (value.item(), gradient.item(), value.dtype) == (1.0, 0.0, np.float64)
    y, y_dot = ga.jvp(f, (1.0,), (1.0,))
    assert (y.item(), y_dot.item(), y.dtype, y_dot.dtype) == (1.0, 0.0, np.float64, np.float64)
    assert ga.vjp(f, 1.0)[1](1.0)[0].item() == 0.0
    with pytest.raises(ga.DTypeError, match="bool"):
        ga.grad(lambda x: x == 1)(1.0)


def test_jvp_with_linear_structure_in_the_tangent():
    a = np.arange(6.0).reshape(2, 3)
    f = lambda x: ga.tanh(ga.array(a) @ x)
    x, v, w = np.array([0.1, -0.2, 0.3]), np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, -1.0])
    along = lambda d: ga.jvp(f, (x,), (d,))[1].numpy()
    np.testing.assert_allclose(along(2 * v - w), 2 * along(v) - along(w), rtol=1e-14)
    closed = (1 - np.tanh(a @ x) ** 2) * (a @ v)
    np.testing.assert_allclose(along(v), closed, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ga.grad(lambda x: x * 2)(np.ones(3)), ga.ShapeError, "not a scalar"),
        (lambda: ga.grad(lambda x: (x, x))(1.0), TypeError, "has_aux=True"),
        (lambda: ga.grad(lambda x: x > 0)(1.0), ga.DTypeError, "bool"),
        (lambda: ga.grad(lambda x: x * 1.0)(np.array([1, 2])), ga.DTypeError, "int64"),
        (lambda: ga.grad(lambda t: t["n"] * 1.0)({"n": np.array(1)}), ga.DTypeError, r"\['n'\]"),
        (lambda: ga.jvp(lambda x: x, (1.0,), (np.ones(2),)), ga.ShapeError, "tangent"),
        (lambda: ga.jvp(lambda x: x, (1.0,), (1.0, 2.0)), TypeError, "structure"),
        (lambda: ga.jvp(lambda x: x, 1.0, 1.0), TypeError, "tuples"),
        (lambda: ga.vjp(lambda x: x, np.ones(2))[1](np.ones(3)), ga.ShapeError, "cotangent"),
        (lambda: ga.vjp(lambda x: (x, x), 1.0)[1](1.0), TypeError, "structure"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


# Modes --------------------------------------------------------------------------------------------


def test_transforms_differentiate_inside_no_grad_and_their_result_is_unattached():
    w = ga.array(3.0, requires_grad=True)
    f = lambda x: w * x**3
    with ga.no_grad():
        results = [
            ga.grad(f)(2.0),
            ga.value_and_grad(f)(2.0)[1],
            ga.vjp(f, 2.0)[1](1.0)[0],
            ga.jvp(f, (2.0,), (1.0,))[1],
        ]
        nested = ga.grad(ga.grad(f))(2.0)
    for result in results:
        assert value(result) == 36 and not result.requires_grad
    assert value(nested) == 36 and not nested.requires_grad


def test_no_grad_inside_stops_every_mode():
    def f(x):
        with ga.no_grad():
            frozen = x * x
        return x * frozen

    assert value(ga.grad(f)(3.0)) == 9
    assert value(ga.jvp(f, (3.0,), (1.0,))[1]) == 9
    assert value(ga.vjp(f, 3.0)[1](1.0)[0]) == 9
    leaf = ga.array(3.0, requires_grad=True)
    f(leaf).backward()
    assert value(leaf.grad) == 9
    for outer, inner in PAIRS:
        assert value(MODES[outer](MODES[inner](f))(3.0)) == 0


def test_stop_gradient_stops_every_mode():
    f = lambda x: x * ga.stop_gradient(x * x)
    assert value(ga.grad(f)(3.0)) == 9
    assert value(ga.jvp(f, (3.0,), (1.0,))[1]) == 9
    for outer, inner in PAIRS:
        assert value(MODES[outer](MODES[inner](f))(3.0)) == 0


def test_backward_inside_a_transformed_function():
    # The inner pass fills the leaf's grad; the outer derivative is not disturbed.
    w = ga.array(2.0, requires_grad=True)

    def f(x):
        (w * 3.0).backward()
        return x * x

    assert value(ga.grad(f)(4.0)) == 8
    assert value(w.grad) == 3
