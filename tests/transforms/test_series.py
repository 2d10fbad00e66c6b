"""Taylor series: against mpmath, against nested forward mode for every function, and nested."""

import gc
import math

import mpmath
import numpy as np
import pytest

import gradarray as ga
from gradarray import graph, registry
from gradarray.testing.draw import calls_of, handle
from gradarray.testing.numeric import Where
from gradarray.testing.op_derivatives import Derivatives
from gradarray.transforms.orders import up_to
from gradarray.transforms.series import Walk

mp = mpmath.mp

# Twenty standard functions: ours, mpmath's, and a point inside the domain of every order.
STANDARD = {
    "exp": (ga.exp, mpmath.exp, 0.7),
    "log": (ga.log, mpmath.log, 0.7),
    "sqrt": (ga.sqrt, mpmath.sqrt, 0.7),
    "sin": (ga.sin, mpmath.sin, 0.7),
    "cos": (ga.cos, mpmath.cos, 0.7),
    "tan": (ga.tan, mpmath.tan, 0.7),
    "arcsin": (ga.arcsin, mpmath.asin, 0.4),
    "arccos": (ga.arccos, mpmath.acos, 0.4),
    "arctan": (ga.arctan, mpmath.atan, 0.7),
    "sinh": (ga.sinh, mpmath.sinh, 0.7),
    "cosh": (ga.cosh, mpmath.cosh, 0.7),
    "tanh": (ga.tanh, mpmath.tanh, 0.7),
    "arcsinh": (ga.arcsinh, mpmath.asinh, 0.7),
    "arccosh": (ga.arccosh, mpmath.acosh, 1.7),
    "arctanh": (ga.arctanh, mpmath.atanh, 0.4),
    "erf": (ga.erf, mpmath.erf, 0.7),
    "sigmoid": (ga.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), 0.7),
    "x^2.5": (lambda x: x**2.5, lambda x: x ** mpmath.mpf(2.5), 0.7),
    "x^x": (lambda x: x**x, lambda x: x**x, 0.7),
    "1/(1 + x^2)": (lambda x: 1 / (1 + x * x), lambda x: 1 / (1 + x * x), 0.7),
}


@pytest.mark.parametrize("name", STANDARD)
def test_standard_functions_to_order_10(name):
    f, exact, at = STANDARD[name]
    with mp.workdps(50):
        expected = [float(c * mpmath.factorial(k))
                    for k, c in enumerate(mpmath.taylor(exact, mpmath.mpf(at), 10))]  # fmt: skip
    y, found = ga.jet(f, (at,), ([1.0] + [0.0] * 9,))
    np.testing.assert_allclose([float(y), *map(float, found)], expected, rtol=1e-10, atol=1e-10)
    assert float(ga.derivative(f, 10)(at)) == pytest.approx(expected[10], rel=1e-10, abs=1e-10)


CALLS = [
    call
    for name, entry in registry.functions.items()
    if name == entry.name and entry.differentiable
    for call in calls_of(entry)
    if call.moving
]
ORDER = 4


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_function_against_nested_forward_mode(call):
    d = Derivatives(call, Where(str(call)))
    xs, ws = [handle(x) for x in d.xs], [handle(w) for w in d.ws]
    zeros = [[handle(np.zeros_like(w))] * (ORDER - 1) for w in d.ws]
    _, found = ga.jet(d.f, xs, [[w, *rest] for w, rest in zip(ws, zeros)])
    f = d.f
    for k in range(ORDER):
        f = _slope(f, ws)
        for series, y in zip(found, f(*xs), strict=True):
            assert series[k].shape == y.shape and series[k].dtype == y.dtype
            # Both round at every step; the fourth derivatives of ill-conditioned functions (of
            # eigenvectors, say) lose up to four digits on the way, in both.
            scale = max(1.0, float(np.max(np.abs(y._array), initial=0)))
            np.testing.assert_allclose(series[k]._array, y._array, rtol=0, atol=1e-10 * scale)


def _slope(f, ws):
    return lambda *args: ga.jvp(f, args, ws)[1]


def test_a_curve_not_a_line():
    # f(h(z)) with h = z^3 at z = 1/2, by hand: f' h', and f'' h'^2 + f' h''.
    h0, h1, h2 = 0.5**3, 3 * 0.5**2, 6 * 0.5
    y, (y1, y2) = ga.jet(ga.sin, (h0,), ((h1, h2),))
    assert float(y) == math.sin(h0)
    assert float(y1) == pytest.approx(math.cos(h0) * h1, rel=4e-16)
    assert float(y2) == pytest.approx(-math.sin(h0) * h1**2 + math.cos(h0) * h2, rel=1e-15)


def test_both_scalings():
    derivatives = ga.jet(ga.exp, (0.3,), ([1.0, 2.0, 3.0],))[1]
    halves = [1.0, 2.0 / 2, 3.0 / 6]
    coefficients = ga.jet(ga.exp, (0.3,), (halves,), factorial_scaled=False)[1]
    for k, (a, b) in enumerate(zip(derivatives, coefficients, strict=True), 1):
        assert float(a) == pytest.approx(math.factorial(k) * float(b), rel=1e-15)


def test_structures_of_arguments_and_results():
    def f(p, x):
        return {"y": p["w"] * x, "z": (x**2, p["w"])}

    y, s = ga.jet(f, ({"w": 2.0}, 3.0), ({"w": [1.0, 0.0]}, [1.0, 0.0]))
    assert float(y["y"]) == 6 and [float(c) for c in s["y"]] == [5, 2]
    assert [float(c) for c in s["z"][0]] == [6, 2]
    assert [float(c) for c in s["z"][1]] == [1, 0]
    # What comes out of one goes into the next.
    inner = ga.jet(lambda x: (ga.sin(x), x**2), (0.7,), ([1.0, 0.0, 0.0],))
    _, outer = ga.jet(lambda a, b: a * b, *inner)
    whole = ga.derivative(lambda x: ga.sin(x) * x**2, 3)(0.7)
    assert float(outer[2]) == pytest.approx(float(whole), rel=1e-14)


def test_orders_at_the_ends():
    y, s = ga.jet(ga.sin, (0.7,), ([],))
    assert s == [] and float(y) == math.sin(0.7)
    assert float(ga.derivative(ga.sin, 0)(0.7)) == math.sin(0.7)
    assert float(ga.directional(ga.sin, 0.7, 2.0, 3)) == pytest.approx(-8 * math.cos(0.7))
    # Taylor coefficients of 1/(1 - x) at 0 are all 1.
    _, s = ga.jet(lambda x: 1 / (1 - x), (0.0,), ([1.0] + [0.0] * 199,), factorial_scaled=False)
    assert [float(c) for c in s] == [1.0] * 200
    with pytest.raises(ValueError, match=r"order 171: .*factorial_scaled=False"):
        ga.jet(ga.sin, (0.0,), ([1.0] * 171,))


def test_a_result_that_does_not_move():
    y, (a, b) = ga.jet(lambda x: 3.0, (1.0,), ([1.0, 0.0],))
    assert (float(y), float(a), float(b)) == (3, 0, 0)
    _, (a, b) = ga.jet(lambda x: ga.floor(x), (np.array([1.5, 2.5]),), ([np.ones(2)] * 2,))
    assert a.tolist() == b.tolist() == [0, 0]
    assert ga.derivative(lambda x: x * ga.stop_gradient(x))(3.0).item() == 3


def test_float32_and_complex():
    x = np.array([0.3, 0.7], np.float32)
    y = ga.derivative(lambda x: ga.tanh(x) / (1 + x**2) + ga.sqrt(x) * x**1.5, 3)(x)
    wide = ga.derivative(lambda x: ga.tanh(x) / (1 + x**2) + ga.sqrt(x) * x**1.5, 3)(
        x.astype(float)
    )
    assert y.dtype == np.float32
    np.testing.assert_allclose(y._array, wide._array, rtol=1e-4)
    z = 0.3 + 0.4j
    d3 = ga.derivative(lambda z: ga.exp(2 * z), 3, holomorphic=True)(ga.array(z))
    assert complex(d3) == pytest.approx(8 * np.exp(2 * z), rel=1e-14)
    # |e^{it} z| is constant in t, and |t z| = t |z|.
    _, s = ga.jet(lambda t: ga.abs(ga.exp(1j * t) * z), (0.7,), ([1.0, 0.0, 0.0],))
    assert [float(c) for c in s] == pytest.approx([0, 0, 0], abs=1e-15)


# Points where derivatives go wrong ----------------------------------------------------------------


def test_powers_at_zero_are_exact():
    assert [float(ga.derivative(lambda x: x**3, n)(0.0)) for n in range(5)] == [0, 0, 0, 6, 0]
    assert [float(ga.derivative(lambda x: x**7, n)(0.0)) for n in (6, 7, 8)] == [0, 5040, 0]
    # Beyond the order at which it is infinite, the table of choices says 0.
    assert [float(ga.derivative(lambda x: x**2.5, n)(0.0)) for n in range(4)] == [0, 0, 0, 0]
    with np.errstate(divide="ignore"):
        assert float(ga.derivative(lambda x: 1 / x, 3)(0.0)) == -math.inf
    assert float(ga.derivative(lambda x: (-2 * x) ** 5, 5)(-1.0)) == -32 * 120


def test_masks_hide_what_is_infinite():
    for f in (ga.sqrt, ga.log, lambda x: 1 / x, lambda x: x**0.5):
        masked = ga.derivative(lambda x, f=f: ga.where(x > 0, f(x), 0.0), 3)
        with np.errstate(divide="ignore"):
            found = masked(np.array([0.0, 0.7]))
        assert found._array[0] == 0
        assert float(found[1]) == pytest.approx(float(ga.derivative(f, 3)(0.7)), rel=1e-13)


def test_saturated_functions_keep_their_digits():
    with mp.workdps(50):
        for f, exact in ((ga.tanh, mpmath.tanh), (ga.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)))):
            expected = mpmath.taylor(exact, mpmath.mpf(20), 4)
            _, found = ga.jet(f, (20.0,), ([1.0, 0, 0, 0],), factorial_scaled=False)
            np.testing.assert_allclose(
                [float(c) for c in found], [float(c) for c in expected[1:]], rtol=64 * 2.3e-16
            )


# Nesting ----------------------------------------------------------------------------------------


def f(x):
    return ga.sin(x) * ga.exp(-x * x)


def exact(n, at):
    with mp.workdps(40):
        return float(mpmath.diff(lambda x: mpmath.sin(x) * mpmath.exp(-x * x), at, n))


X, XS = 0.7, np.array([0.7, -0.3])


@pytest.mark.parametrize(
    ("nested", "at", "order"),
    [
        (ga.grad(ga.derivative(f, 2)), X, 3),
        (ga.grad(ga.grad(ga.derivative(f, 2))), X, 4),
        (ga.derivative(ga.grad(f), 2), X, 3),
        (ga.derivative(ga.derivative(f, 2), 2), X, 4),
        (ga.derivative(ga.derivative(ga.derivative(f))), X, 3),
        (lambda x: ga.jvp(ga.derivative(f, 3), (x,), (1.0,))[1], X, 4),
        (ga.derivative(lambda x: ga.jvp(f, (x,), (1.0,))[1], 2), X, 3),
        (ga.grad(lambda x: ga.derivative(ga.grad(f))(x)), X, 3),
        (ga.vmap(ga.derivative(f, 3)), XS, 3),
        (ga.vmap(ga.grad(ga.derivative(f, 2))), XS, 3),
        (ga.vmap(ga.vmap(ga.derivative(f, 2))), XS[None], 2),
        (ga.derivative(ga.vmap(f), 3), XS, 3),
        (ga.derivative(ga.vmap(ga.grad(f)), 2), XS, 3),
        (ga.derivative(ga.checkpoint(f), 3), XS, 3),
        (ga.grad(ga.derivative(ga.checkpoint(f), 2)), X, 3),
    ],
)
def test_nested_with_every_transform(nested, at, order):
    found = nested(ga.array(at))
    assert found.shape == np.shape(at)
    expected = [exact(order, x) for x in np.ravel(at)]
    np.testing.assert_allclose(found._array.ravel(), expected, rtol=1e-12)


def test_a_batch_of_directions_through_one_recording():
    x = np.array([0.3, 0.7, 1.1])
    second = ga.vmap(lambda v: ga.directional(lambda x: (x**3).sum(), x, v, 2))
    np.testing.assert_allclose(second(np.eye(3))._array, 6 * x, rtol=1e-15)


def test_perturbations_are_not_confused():
    d = ga.derivative
    assert float(d(lambda x: x * d(lambda y: x + y)(1.0))(1.0)) == 1
    assert float(d(lambda x: x * d(lambda y: x * y * y, 2)(1.0), 2)(1.0)) == 4
    assert float(d(lambda x: x * ga.grad(lambda y: x * y * y)(3.0), 2)(1.0)) == 12
    assert float(ga.grad(lambda x: x * d(lambda y: x * y * y, 2)(3.0))(1.0)) == 4


def test_gradients_with_respect_to_what_is_around():
    w = ga.array(2.0, requires_grad=True)
    ga.derivative(lambda x: ga.tanh(w * x), 3)(0.5).backward()
    inner = ga.derivative(lambda w: ga.derivative(lambda x: ga.tanh(w * x), 3)(0.5))(2.0)
    assert float(w.grad) == pytest.approx(float(inner), rel=1e-13)
    with ga.no_grad():
        assert not ga.derivative(lambda x: ga.tanh(w * x), 3)(0.5).requires_grad
    assert not ga.derivative(ga.tanh, 3)(0.5).requires_grad


def test_loops():
    def power(x):
        return ga.while_loop(lambda c: c < 100, lambda c: c * x, x)

    assert float(ga.derivative(power, 3)(3.0)) == 60 * 9
    held = ga.derivative(
        lambda x: ga.scan(lambda c, _: (c * x, None), x, length=4, snapshots=2)[0], 3
    )
    assert float(held(3.0)) == 60 * 9


# Hand-written ops ---------------------------------------------------------------------------------


class Pushed(ga.Grad):
    def forward(x):
        return np.sin(x)

    def push(x, x_dot):
        return ga.cos(x) * x_dot


class NumPyName(ga.Grad):
    def forward(x):
        return np.sin(x)

    def push(x, x_dot):
        return np.cos(x) * x_dot


class Pulled(ga.Grad):
    def forward(x):
        return np.sin(x)

    def backward(y_bar, x):
        return y_bar * ga.cos(x)


class FromResult(ga.Grad):
    def forward(x):
        return np.tan(x)

    def backward(y_bar, y):
        return y_bar * (1 + y * y)


class Both(ga.Grad):
    def forward(a, b):
        return a * b, a + b * b

    def pull(y_bar, a, b):
        return y_bar[0] * b + y_bar[1], y_bar[0] * a + y_bar[1] * 2 * b


@pytest.mark.parametrize("n", range(7))
def test_custom_ops(n):
    for op in (Pushed, NumPyName, Pulled):
        found = ga.derivative(op.apply, n)(np.array([0.3, 0.7]))
        expected = ga.derivative(ga.sin, n)(np.array([0.3, 0.7]))
        np.testing.assert_allclose(found._array, expected._array, rtol=1e-14)
    found = ga.derivative(FromResult.apply, n)(0.7)
    assert float(found) == pytest.approx(float(ga.derivative(ga.tan, n)(0.7)), rel=1e-13)

    def through(x):
        product, total = Both.apply(ga.sin(x), ga.exp(x))
        return product * total

    def plain(x):
        a, b = ga.sin(x), ga.exp(x)
        return a * b * (a + b * b)

    found = ga.derivative(through, n)(0.7)
    assert float(found) == pytest.approx(float(ga.derivative(plain, n)(0.7)), rel=1e-13)
    outer = ga.grad(ga.derivative(Pulled.apply, n))(0.7)
    assert float(outer) == pytest.approx(float(ga.derivative(ga.sin, n + 1)(0.7)), rel=1e-13)


def test_a_rule_that_leaves_the_graph_is_named():
    class Item(ga.Grad):
        def forward(x):
            return np.sin(x)

        def push(x, x_dot):
            return math.cos(x.item()) * x_dot

    class Constant(ga.Grad):
        def forward(x):
            return np.sin(x)

        def push(x, x_dot):
            return ga.array(3.0)

    with pytest.raises(ga.RuleError, match=r"item: its rule `push` cannot run on power series"):
        ga.derivative(Item.apply, 2)(0.7)
    with pytest.raises(ga.RuleError, match=r"constant: .*not connected"):
        ga.derivative(Constant.apply, 2)(0.7)


def test_an_op_of_no_known_kind_is_named():
    from gradarray.algebra import Kind

    class Strange(Kind, internal=True):
        operands = ("x",)
        rules = (1,)
        forward = staticmethod(np.sin)

    with pytest.raises(ga.RuleError, match=r"strange: has no rule that runs on power series"):
        ga.derivative(Strange.apply, 2)(ga.array(0.7))


# Errors and memory --------------------------------------------------------------------------------


def test_errors_say_what_is_wrong():
    x = np.ones(2)
    with pytest.raises(TypeError, match="one entry per argument"):
        ga.jet(ga.sin, x, ([x],))
    with pytest.raises(TypeError, match="1 primals and 2 series"):
        ga.jet(ga.sin, (x,), ([x], [x]))
    with pytest.raises(TypeError, match=r"one argument has 1 coefficients, another 2"):
        ga.jet(lambda a, b: a * b, (x, x), ([x], [x, x]))
    with pytest.raises(TypeError, match=r"series\[0\]\['w'\] is one GradArray"):
        ga.jet(lambda p: p["w"], ({"w": x},), ({"w": ga.array(x)},))
    with pytest.raises(ga.ShapeError, match=r"coefficient 2\[0\] has shape \(3,\), .*\(2,\)"):
        ga.jet(ga.sin, (x,), ([x, np.ones(3)],))
    with pytest.raises(ga.DTypeError, match="int64"):
        ga.derivative(ga.sin, 2)(np.arange(3))
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match="whole number"):
            ga.derivative(ga.sin, wrong)
    with pytest.raises(ga.ShapeError, match=r"direction.* \(3,\)"):
        ga.directional(ga.sin, x, np.ones(3), 2)


def test_nothing_is_left_behind():
    gc.collect()
    gc.disable()
    try:
        ga.derivative(lambda x: ga.tanh(x) * ga.sin(x) / ga.gelu(x) + Pulled.apply(x), 5)(0.7)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_cost_grows_with_the_square_of_the_order():
    counts = []
    for order in (8, 16, 32):
        walk = Walk(up_to(order), wrapped=False)
        products = []
        walk.product = lambda a, b, products=products: products.append(1) or a * b
        x = ga.array(0.7, requires_grad=True)
        y = ga.tanh(ga.sin(x)) / (1 + x * x)
        nodes, _ = graph.ancestry([y._node])
        with graph.raw_sweep():
            found = {x._node: walk.seed([np.float64(0.7), 1.0] + [None] * (order - 1))}
            walk.through(nodes, found, {y._node})
        counts.append(len(products))
    # Twice the order takes at most four times the products.
    assert counts[1] < 4 * counts[0] and counts[2] < 4 * counts[1]
