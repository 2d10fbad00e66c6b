"""The kinds: what follows from a declaration, products at zeros, projection, and what it costs."""

import itertools
import math

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray import registry
from gradarray.algebra import Elementwise
from gradarray.project import absorb_raw
from gradarray.testing import count_ops

MODES = {
    "grad": lambda f: ga.grad(f),
    "jvp": lambda f: lambda x: ga.jvp(f, (x,), (1.0,))[1],
}


def mixes(*orders):
    found = [mix for n in orders for mix in itertools.product(MODES, repeat=n)]
    return pytest.mark.parametrize("mix", found, ids="-".join)


def derived(f, mix):
    for mode in mix:
        f = MODES[mode](f)
    return f


# Kinds of the user's ------------------------------------------------------------------------------


class Gauss(ga.Elementwise):
    forward = staticmethod(lambda x: np.exp(-x * x))
    partials = (lambda x, y: -2 * x * y,)


class Mix(ga.Elementwise):
    """y = a^2 b + c, the last one with a number for a partial."""

    forward = staticmethod(lambda a, b, c: a * a * b + c)
    partials = (lambda a, b: 2 * a * b, lambda a: a * a, 1)


class Roll(ga.Linear):
    forward = staticmethod(lambda x, by: np.roll(x, by, -1))
    transpose = staticmethod(lambda y_bar, by: Roll.apply(y_bar, by=-by))


class Inner(ga.Multilinear):
    forward = staticmethod(lambda a, b: np.asarray(np.sum(a * b, -1))[()])
    transposes = (
        lambda y_bar, b: ga.expand_dims(y_bar, -1) * b,
        lambda y_bar, a: ga.expand_dims(y_bar, -1) * a,
    )


class SumOfSquares(ga.Reduction):
    forward = staticmethod(lambda x, axis, keepdims: np.sum(x * x, axis, keepdims=keepdims))
    partial = staticmethod(lambda x: 2 * x)


@mixes(1, 2, 3)
def test_an_elementwise_op_of_the_users(mix):
    with mpmath.workdps(30):
        expected = float(mpmath.diff(lambda x: mpmath.exp(-x * x), mpmath.mpf("0.7"), len(mix)))
    assert derived(Gauss.apply, mix)(0.7).item() == pytest.approx(expected, rel=1e-13)


def test_a_users_op_is_not_in_the_registry():
    assert Gauss not in registry.ops.values()


def test_three_operands_that_broadcast():
    a, b, c = np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0]), 1.0
    bars = ga.vjp(Mix.apply, a, b, c)[1](np.ones((2, 3)))
    assert [bar.tolist() for bar in bars] == [[[24.0], [48.0]], [5.0] * 3, 6.0]
    dots = ga.jvp(Mix.apply, (a, b, c), (np.ones((2, 1)), np.zeros(3), 1.0))[1]
    assert dots.tolist() == (2 * a * b + 1).tolist()


def test_a_linear_op_of_the_users():
    x, v = np.arange(6.0).reshape(2, 3), np.array([[1.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    y, pull = ga.vjp(lambda x: Roll.apply(x, by=1), x)
    assert y.tolist() == np.roll(x, 1, -1).tolist()
    assert pull(v)[0].tolist() == np.roll(v, -1, -1).tolist()
    assert (
        ga.jvp(lambda x: Roll.apply(x, by=1), (x,), (v,))[1].tolist() == np.roll(v, 1, -1).tolist()
    )


def test_a_multilinear_op_of_the_users():
    a, b = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    a_bar, b_bar = ga.vjp(Inner.apply, a, b)[1](np.array([1.0, 10.0]))
    assert a_bar.tolist() == np.outer([1.0, 10.0], b).tolist()
    assert b_bar.tolist() == (a[0] + 10 * a[1]).tolist()
    # Bilinear: the mixed second derivative along (a_dot, b_dot) is <a_dot, b_dot>, twice.
    f = lambda t: Inner.apply(a[0] + t * b, b + t * a[1])
    for mix in itertools.product(MODES, repeat=2):
        assert derived(f, mix)(0.0).item() == pytest.approx(2 * b @ a[1])


@pytest.mark.parametrize("keepdims", [True, False])
def test_a_reduction_of_the_users(keepdims):
    x = np.arange(6.0).reshape(2, 3)
    f = lambda x: SumOfSquares.apply(x, axis=(-1,), keepdims=keepdims)
    y, pull = ga.vjp(f, x)
    v = np.array([1.0, 10.0]).reshape(y.shape)
    np.testing.assert_array_equal(pull(v)[0].numpy(), 2 * x * v.reshape(2, 1))
    np.testing.assert_array_equal(
        ga.jvp(f, (x,), (x,))[1].numpy(), 2 * np.sum(x * x, -1, keepdims=keepdims)
    )


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        registry.register_op(registry.ops["exp"])
    with pytest.raises(ValueError, match="registered already"):
        registry.public(name="exp")(lambda x: x)
    assert registry.functions["exp"].fn is ga.exp


# Products at zeros --------------------------------------------------------------------------------

# What is masked out at 0 has derivatives that are infinite or NaN there.
MASKED = {
    "sqrt": (lambda x: ga.sqrt(x), lambda x: mpmath.sqrt(x)),
    "log": (lambda x: ga.log(x), lambda x: mpmath.log(x)),
    "reciprocal": (lambda x: 1 / x, lambda x: 1 / x),
    "root": (lambda x: x**0.25, lambda x: x ** mpmath.mpf("0.25")),
    "log of sqrt": (lambda x: ga.log(ga.sqrt(x)) * x, lambda x: mpmath.log(mpmath.sqrt(x)) * x),
    "sin of 1/x": (lambda x: ga.sin(1 / x), lambda x: mpmath.sin(1 / x)),
}


@mixes(1, 2, 3)
@pytest.mark.parametrize("name", MASKED)
def test_a_masked_branch_sends_back_nothing(name, mix):
    f, exact = MASKED[name]
    with np.errstate(all="ignore"):
        masked = derived(lambda x: ga.where(x > 0, f(x), 0.0) + x, mix)
        at_zero, beside = masked(0.0).item(), masked(0.5).item()
    assert at_zero == (1 if len(mix) == 1 else 0)
    with mpmath.workdps(40):
        expected = float(mpmath.diff(lambda x: exact(x) + x, mpmath.mpf("0.5"), len(mix)))
    assert beside == pytest.approx(expected, rel=1e-12)


def test_a_masked_branch_in_an_array_by_backward():
    x = ga.array([0.0, 4.0], requires_grad=True)
    with np.errstate(all="ignore"):
        ga.where(x > 0, ga.sqrt(x) + ga.log(x) / x, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25 + (1 - math.log(4)) / 16]


@mixes(2)
def test_a_cotangent_that_is_zero_by_chance_keeps_the_second_derivative(mix):
    # f = (sqrt(x) - 1)^2: f'(1) = 0, and f''(1) = 1/2 comes through a factor that is 0 there.
    assert derived(lambda x: (ga.sqrt(x) - 1) ** 2, mix)(1.0).item() == 0.5


def test_a_derivative_that_is_infinite_stays_infinite():
    with np.errstate(all="ignore"):
        assert ga.grad(ga.log)(0.0).item() == math.inf
        assert ga.grad(lambda x: 2 * ga.log(x))(0.0).item() == math.inf


def test_a_nan_that_is_the_users_stays():
    assert math.isnan(ga.grad(lambda x: x * float("nan"))(1.0).item())
    assert math.isnan(ga.grad(lambda x: x * x)(float("nan")).item())


def test_the_absorbing_product():
    inf, nan = np.inf, np.nan
    a = np.array([0.0, 0.0, inf, nan, 2.0, inf, nan])
    b = np.array([inf, nan, 0.0, 0.0, 3.0, 2.0, 1.0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(absorb_raw(a, b), [0, 0, 0, 0, 6, inf, nan])
        assert absorb_raw(np.float32(0), np.float32(inf)).dtype == np.float32
        assert absorb_raw(np.zeros((2, 1)), np.full(3, inf)).tolist() == [[0] * 3] * 2


# Projection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [((), (2, 3)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((1, 1), (2, 3)), ((1,), ()), ((0, 3), (3,))],
    ids=str,
)
def test_a_cotangent_is_summed_over_what_was_broadcast(a, b):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=a), rng.normal(size=b)
    v = rng.normal(size=np.broadcast_shapes(a, b))
    x_bar, w_bar = ga.vjp(lambda x, w: x * w, x, w)[1](v)
    assert (x_bar.shape, w_bar.shape) == (a, b)

    def summed(full, shape):
        # Each entry of x sees the sum over all entries of the result that it went into.
        where = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), full.shape)
        return np.bincount(where.ravel(), full.ravel(), math.prod(shape)).reshape(shape)

    np.testing.assert_allclose(x_bar.numpy(), summed(v * w, a), rtol=1e-14)
    np.testing.assert_allclose(w_bar.numpy(), summed(v * x, b), rtol=1e-14)


@pytest.mark.parametrize("narrow", [np.float16, np.float32])
def test_cotangents_and_tangents_are_cast(narrow):
    x, w = np.ones(2, narrow), np.full(2, 3.0)
    y, pull = ga.vjp(lambda x, w: x * w + x, x, w)
    assert y.dtype == np.float64
    x_bar, w_bar = pull(np.ones(2))
    assert x_bar.dtype == narrow and w_bar.dtype == np.float64 and x_bar.tolist() == [4, 4]
    f = lambda x: ga.astype(x, np.float64) * 2.0
    assert ga.jvp(f, (x,), (x,))[1].dtype == np.float64
    down = lambda w: ga.astype(w, narrow)
    assert ga.jvp(down, (w,), (w,))[1].dtype == narrow


def test_integers_and_booleans_among_the_operands_take_no_part():
    x = ga.array([1.0, 2.0], requires_grad=True)
    (x * np.array([2, 3]) * np.array([True, False]) + ga.array([1, 2])).sum().backward()
    assert x.grad.tolist() == [2, 0]


# Complex numbers ----------------------------------------------------------------------------------


def real_inner(v, w):
    return float(np.real(np.vdot(v, w)))


@pytest.mark.parametrize(
    "f",
    [
        lambda z: z * z,
        lambda z: ga.exp(z) / z,
        lambda z: ga.conj(z) * z * z,
        lambda z: ga.real(z) * ga.imag(z),
        lambda z: ga.abs(z),
        lambda z: ga.sin(ga.real(z)) * z,
    ],
    ids=["square", "analytic", "conj", "real times imag", "abs", "mixed"],
)
def test_the_adjoint_identity_for_complex_numbers(f):
    rng = np.random.default_rng(1)
    z, w = (rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(2))
    y, y_dot = ga.jvp(f, (z,), (w,))
    h = 1e-6
    raw = lambda z: f(ga.array(z)).numpy()
    np.testing.assert_allclose(
        y_dot.numpy(), (raw(z + h * w) - raw(z - h * w)) / (2 * h), rtol=1e-8, atol=1e-8
    )
    v = rng.normal(size=3).astype(y.dtype)
    v = v + 1j * rng.normal(size=3) if y.dtype.kind == "c" else v
    (z_bar,) = ga.vjp(f, z)[1](v)
    assert z_bar.dtype == z.dtype
    left, right = real_inner(v, y_dot.numpy()), real_inner(z_bar.numpy(), w)
    assert left == pytest.approx(right, rel=64 * np.finfo(float).eps)


def test_a_real_argument_of_a_complex_function_has_a_real_gradient():
    f = lambda x: ga.abs(ga.exp(1j * x) * x)  # = |x|
    gradient = ga.grad(f)(2.0)
    assert gradient.dtype == np.float64 and gradient.item() == pytest.approx(1)


def test_the_gradient_points_uphill():
    # |z|^2 = z z^* grows fastest along z: its gradient is 2 z, and not 2 z^*.
    square = lambda z: ga.real(z * ga.conj(z))
    z = ga.array(3.0 + 4.0j, requires_grad=True)
    seen = []
    z.register_hook(lambda g: seen.append(g.item()))
    y = square(z)
    y.backward(retain_graph=True)
    assert z.grad.item() == 6 + 8j and seen == [6 + 8j]
    assert ga.grad(square)(3.0 + 4.0j).item() == 6 + 8j
    assert ga.vjp(square, 3.0 + 4.0j)[1](1.0)[0].item() == 6 + 8j
    z.zero_grad()
    y.backward(create_graph=True)
    gradient = z.grad
    assert gradient.item() == 6 + 8j
    z.zero_grad()
    ga.imag(gradient).backward()  # grad of 2 Im z is 2i
    assert z.grad.item() == 2j


def test_a_users_rule_pairs_as_gradients_do():
    class Square(ga.Grad):
        def forward(z):
            return z * z

        def backward(z_bar, z):
            return z_bar * ga.conj(2 * z)

    f = lambda z: ga.exp(Square.apply(z))
    z, w, v = 0.3 + 0.4j, 1.0 - 2.0j, 0.5 + 1.5j
    slope = np.exp(z * z) * 2 * z
    assert ga.vjp(f, z)[1](v)[0].item() == pytest.approx(np.conj(slope) * v)
    assert ga.jvp(f, (z,), (w,))[1].item() == pytest.approx(slope * w)
    y = Square.apply(ga.array(z, requires_grad=True))
    assert y._grad_op.backward(v)[0].item() == pytest.approx(np.conj(2 * z) * v)
    second = lambda z: ga.jvp(f, (z,), (1.0 + 0j,))[1]
    curvature = np.exp(z * z) * (2 + 4 * z * z)
    assert ga.vjp(second, z)[1](v)[0].item() == pytest.approx(np.conj(curvature) * v)


def test_a_complex_loss_is_refused():
    with pytest.raises(ga.DTypeError, match=r"real function.*ga\.real"):
        ga.grad(lambda z: z * z)(1j)
    z = ga.array(1j, requires_grad=True)
    with pytest.raises(ga.DTypeError, match=r"not a real scalar.*ga\.real"):
        (z * z).backward()
    (z * z).backward(1.0)
    assert z.grad.item() == -2j  # (2z)^*


# Cost ---------------------------------------------------------------------------------------------

rng = np.random.default_rng(0)
X, W, B = rng.normal(size=(5, 3)), rng.normal(size=3), 0.1
LAYERS = [rng.normal(size=(3, 3)) for _ in range(4)]


def textbook(x):
    return ga.sqrt(x**2 + ga.exp(x**2)) + ga.cos(x**2 + ga.exp(x**2))


def textbook_shared(x):
    a = x**2
    c = a + ga.exp(a)
    return ga.sqrt(c) + ga.cos(c)


def perceptron(w, b):
    return ((1 / (1 + ga.exp(-(X @ w + b))) - 0.5) ** 2).sum()


def deep(layers):
    h = ga.array(X.T)
    for a in layers:
        h = ga.tanh(a @ h)
    return (h * h).sum()


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (textbook, (0.7,)),
        (textbook_shared, (0.7,)),
        (perceptron, (W, B)),
        (deep, (LAYERS,)),
        (lambda x: x * x * x * x, (2.0,)),
        (lambda x, y: x / y - ga.log(x) * y, (2.0, 3.0)),
    ],
    ids=["textbook", "shared", "perceptron", "deep", "products", "quotients"],
)
def test_reverse_mode_costs_at_most_four_times_the_function(f, args):
    cost = count_ops(f, *args)
    assert cost.function >= 3
    assert cost.ratio <= 4, cost


def test_the_cost_of_a_gradient_does_not_grow_with_the_number_of_arguments():
    f = lambda *xs: sum((x * x for x in xs), start=ga.array(0.0))
    few, many = count_ops(f, *[1.0] * 4), count_ops(f, *[1.0] * 400)
    assert many.ratio == pytest.approx(few.ratio, rel=0.3)


ELEMENTWISE = [op for op in registry.ops.values() if issubclass(op, Elementwise)]
FORMS = {
    "alike": ((2, 3), np.float64),
    "broadcast": ((4, 1, 3), np.float64),
    "narrower": ((2, 3), np.float32),
    "0-d": ((), np.float64),
    "complex": ((2, 3), np.complex128),
}


@pytest.mark.parametrize("second", FORMS)
@pytest.mark.parametrize("first", FORMS)
def test_a_node_knows_the_form_of_its_value(first, second):
    """It follows from the operands' where they are alike, and is not looked at again."""
    asked = 0
    for op in ELEMENTWISE:
        forms = [FORMS[first], FORMS[second], FORMS["alike"]][: len(op.operands)]
        lows = np.reshape(op.domain, (-1, 2))[:, 0] + 0.5
        xs = [np.full(shape, low).astype(dtype)[()] for (shape, dtype), low in zip(forms, lows)]
        for moving in itertools.product((True, False), repeat=len(xs)):
            handles = [ga.array(x, requires_grad=m) for x, m in zip(xs, moving)]
            try:
                with np.errstate(all="ignore"):
                    y = op.of(*handles)
            except (TypeError, ValueError, np.exceptions.ComplexWarning):
                continue  # static parameters, or an op of real numbers
            if y._node is not None and y._node.form is not None:
                asked += 1
                assert y._node.form == (y.shape, y.dtype), (op.name, moving)
    assert asked
