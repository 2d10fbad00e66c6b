"""Loops and branches in every mode to third order, for each example by itself, and bad carries."""

import itertools
import math

import numpy as np
import pytest

import gradarray as ga

X = 1.3


def forward(f):
    return lambda x: ga.jvp(f, (x,), (1.0,))[1]


def series(f):
    return ga.derivative(f, 1)


# Each is a polynomial: its coefficients, lowest first.
FORMS = {
    "scan": (
        lambda x: ga.scan(lambda c, k: (c * x + k, None), 1.0, np.array([2.0, 0.0, 1.0]))[0],
        [1, 0, 2, 1],
    ),
    "scan, outputs": (
        lambda x: ga.scan(lambda c, _: (c * x, c), x, length=4)[1].sum(),
        [0, 1, 1, 1, 1],
    ),
    "scan in reverse": (
        lambda x: ga.scan(lambda c, a: (c * x + a, 0), 0.0, np.arange(1.0, 5.0), reverse=True)[0],
        [1, 2, 3, 4],
    ),
    "fori_loop": (lambda x: ga.fori_loop(1, 4, lambda k, c: c * x + k, x), [3, 2, 1, 0, 1]),
    "while_loop": (
        lambda x: ga.while_loop(
            lambda c: c["k"] < 4, lambda c: {"k": c["k"] + 1, "v": c["v"] * x + c["k"]},
            {"k": 0, "v": x},
        )["v"],
        [3, 2, 1, 0, 0, 1],
    ),
    "cond": (lambda x: ga.cond(x > 1, lambda x: x**3, lambda x: x, x), [0, 0, 0, 1]),
    "switch": (lambda x: ga.switch(1, [ga.sin, lambda x: x**4 - x, ga.exp], x), [0, -1, 0, 0, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_every_mix_of_modes_to_third_order(name):
    f, coefficients = FORMS[name]
    values = [np.polynomial.Polynomial(coefficients).deriv(n)(X) for n in range(4)]
    assert float(f(X)) == pytest.approx(values[0], rel=1e-14)
    for order in (1, 2, 3):
        assert ga.derivative(f, order)(X).item() == pytest.approx(values[order], rel=1e-13)
        for mix in itertools.product((ga.grad, forward, series), repeat=order):
            g = f
            for mode in mix:
                g = mode(g)
            assert g(X).item() == pytest.approx(values[order], rel=1e-13), mix
    batch = np.array([1.1, 1.3, 2.0])
    found = ga.vmap(ga.grad(ga.grad(f)))(batch).numpy()
    second = np.polynomial.Polynomial(coefficients).deriv(2)(batch)
    np.testing.assert_allclose(found, second, rtol=1e-13)


def test_while_loop_in_reverse_through_a_carry_of_arrays_and_weights_from_around():
    # v -> A v, k times: d(sum v)/dA = sum_j (A^T)^j 1 v_{k-1-j}^T, d(sum v)/dv = (A^T)^k 1.
    rng = np.random.default_rng(0)
    A, v, steps = rng.normal(size=(3, 3)), rng.normal(size=3), 5

    def f(A, v):
        going = lambda c: c[0] < steps
        return ga.while_loop(going, lambda c: (c[0] + 1, A @ c[1]), (0, v))[1].sum()

    power = np.linalg.matrix_power
    ones = np.ones(3)
    slopes = [np.outer(power(A.T, j) @ ones, power(A, steps - 1 - j) @ v) for j in range(steps)]
    by_A, by_v = ga.grad(f, argnums=(0, 1))(A, v)
    np.testing.assert_allclose(by_A.numpy(), sum(slopes), rtol=1e-12)
    np.testing.assert_allclose(by_v.numpy(), power(A.T, steps) @ ones, rtol=1e-12)


# Each example by itself -----------------------------------------------------------------------


def harmonic(x):
    """log x + log(x - 1) + .. + log 1, for a whole x: x is counted down to 0."""
    going = lambda c: c[0] > 0
    return ga.while_loop(going, lambda c: (c[0] - 1, c[1] + ga.log(c[0])), (x, 0.0))[1]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_example_that_has_stopped_is_left_alone(order):
    # The others go on, where log of it would be -inf and NaN.
    x = np.array([1.0, 3.0, 2.0, 0.0])
    sign = (-1) ** (order + 1) * math.factorial(order - 1)
    expected = [sign * sum(k**-order for k in range(1, int(n) + 1)) for n in x]
    for mix in itertools.product((ga.grad, forward), repeat=order):
        g = harmonic
        for mode in mix:
            g = mode(g)
        np.testing.assert_allclose(ga.vmap(g)(x).numpy(), expected, rtol=1e-14)
    by_series = ga.vmap(ga.derivative(harmonic, order))(x).numpy()
    np.testing.assert_allclose(by_series, expected, rtol=1e-14)


def test_how_often_each_example_went_round():
    count = lambda x: ga.while_loop(lambda c: c[1] < x, lambda c: (c[0] + 1, 2 * c[1]), (0, 1.0))[0]
    np.testing.assert_array_equal(ga.vmap(count)(np.array([0.5, 3.0, 9.0, 8.0])), [0, 2, 4, 3])


def test_loops_inside_two_vmaps():
    f = lambda a, b: ga.while_loop(lambda c: c < a, lambda c: c * b, 1.0)
    A, B = np.array([10.0, 100.0]), np.array([2.0, 3.0, 5.0])
    powers = np.array([[4, 3, 2], [7, 5, 3]])
    table = ga.vmap(lambda a: ga.vmap(lambda b: f(a, b))(B))(A)
    np.testing.assert_array_equal(table, B**powers)
    slopes = ga.vmap(lambda a: ga.vmap(ga.grad(lambda b: f(a, b)))(B))(A)
    np.testing.assert_array_equal(slopes, powers * B ** (powers - 1))
    # The inner loop runs over a, the outer over b: the same numbers turned.
    turned = ga.vmap(lambda b: ga.vmap(lambda a: f(a, b))(A))(B)
    np.testing.assert_array_equal(turned, (B**powers).T)


def test_scan_inside_vmap_along_either_argument():
    f = lambda c, xs: ga.scan(lambda c, x: (c * x, c + x), c, xs)
    xs = np.arange(1.0, 7.0).reshape(2, 3)
    carry, ys = ga.vmap(f)(np.array([1.0, 2.0]), xs)
    np.testing.assert_array_equal(carry, [6.0, 240.0])
    np.testing.assert_array_equal(ys, [[2, 3, 5], [6, 13, 46]])
    carry, _ = ga.vmap(f, in_axes=(0, None))(np.array([1.0, 2.0]), xs[0])
    np.testing.assert_array_equal(carry, [6.0, 12.0])
    slopes = ga.vmap(ga.grad(lambda xs: f(1.0, xs)[0]))(xs)
    np.testing.assert_array_equal(slopes, [[6, 3, 2], [30, 24, 20]])


def test_branches_inside_vmap_keep_pytrees_and_take_numbers():
    x = np.array([0.5, 3.0], np.float32)
    f = lambda x: ga.cond(x > 1, lambda x: {"u": x * x, "v": 1}, lambda x: {"u": 0, "v": 0.5}, x)
    found = ga.vmap(f)(x)
    assert found["u"].dtype == np.float32 and found["v"].dtype == np.float64
    np.testing.assert_array_equal(found["u"], [0, 9])
    np.testing.assert_array_equal(found["v"], [0.5, 1])
    branches = [lambda x: (x, 0.0), lambda x: (x * x, x), lambda x: (-x, x)]
    u, v = ga.vmap(lambda k, x: ga.switch(k, branches, x))(np.array([2, 1]), x)
    np.testing.assert_array_equal(u, [-0.5, 9])
    np.testing.assert_array_equal(v, [0.5, 3])
    nested = ga.vmap(ga.grad(ga.grad(lambda x: ga.switch((x > 1) + 0, [ga.sin, ga.exp], x))))
    np.testing.assert_allclose(nested(x), [-np.sin(x[0]), np.exp(x[1])], rtol=1e-6)


# Bad carries ----------------------------------------------------------------------------------

LATER = {"a": [np.ones(2), 1.0]}


def from_step_2(change):
    """A body that changes the second array of the carry in its third step."""
    return lambda k, c: {"a": [c["a"][0], change(c["a"][1]) if k == 2 else c["a"][1]]}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda c: c[None], ga.ShapeError,
         r"the carry\['a'\]\[1\] changes shape, from \(\) to \(1,\)"),
        (lambda c: c.astype("float32"), ga.DTypeError,
         r"the carry\['a'\]\[1\] changes dtype, from float64 to float32. Start with"),
        (lambda c: (c, c), TypeError,
         r"the carry changes structure, from \{'a': \[\*, \*\]\} to \{'a': \[\*, \(\*, \*\)\]\}"),
        (lambda c: None, TypeError, "the carry changes structure"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("snapshots", [None, 2])
def test_a_carry_that_changes_is_named_by_loop_path_and_forms(change, error, said, snapshots):
    body = from_step_2(change)
    how = {"snapshots": snapshots}
    numbered = lambda c: (c[0] + 1, body(int(c[0]), c[1]))
    loops = {
        "fori_loop": lambda: ga.fori_loop(0, 4, body, LATER, **how),
        "scan": lambda: ga.scan(
            lambda c, k: (body(int(k), c), None), LATER, np.arange(4), **how
        ),
        "while_loop": lambda: ga.while_loop(lambda c: c[0] < 4, numbered, (0, LATER), **how),
    }  # fmt: skip
    for name, loop in loops.items():
        path = said.replace(r"carry\[", r"carry\[1\]\[") if name == "while_loop" else said
        if name == "while_loop" and error is TypeError:
            path = "the carry changes structure"
        with pytest.raises(error, match=f"^{name}: {path}") as raised:
            loop()
        assert "test_control_flow.py" in str(raised.value)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: ga.cond(x > 1, lambda x: (x, x), lambda x: x, x), TypeError,
         r"^cond: the branches' results differ in structure, \(\*, \*\) and \*"),
        (lambda x: ga.cond(x > 1, lambda x: {"u": x[None]}, lambda x: {"u": x}, x), ga.ShapeError,
         r"^cond: the branches' results\['u'\] differ in shape, \(1,\) and \(\)"),
        (lambda x: ga.switch((x > 1) + 0, [lambda: x, lambda: x.astype("float32")]), ga.DTypeError,
         r"^switch: the branches' results differ in dtype"),
        (lambda x: ga.while_loop(lambda c: c < x + 1, lambda c: c > 0, x), ga.DTypeError,
         r"^while_loop: the carry changes dtype, from float64 to bool"),
        (lambda x: ga.while_loop(lambda c: c < x + 1, lambda c: c, x, max_steps=5), ga.GraphError,
         r"^while_loop: not finished after 5 steps"),
        (lambda x: ga.fori_loop(0, (x > 1) + 1, lambda k, c: c, x), ga.GraphError,
         "loop with ga.while_loop"),
        (lambda x: x if x > 1 else -x, ga.GraphError, "differs from example to example"),
    ],
)  # fmt: skip
def test_bad_loops_and_branches_inside_vmap(call, error, match):
    with pytest.raises(error, match=match):
        ga.vmap(call)(np.array([0.5, 3.0]))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ga.fori_loop(0, 2.5, lambda k, c: c, 1.0), TypeError,
         r"^fori_loop: upper=2.5 is not an integer"),
        (lambda: ga.while_loop(lambda c: c > 0, lambda c: c, np.ones(2)), ga.ShapeError,
         r"^while_loop: cond gave shape \(2,\); it is one boolean"),
        (lambda: ga.while_loop(lambda c: None, lambda c: c, 1.0), ga.DTypeError,
         r"^while_loop: .*NoneType"),
        (lambda: ga.scan(lambda c, x: (c, x), 0.0, (np.ones(3), np.ones(4))), ga.ShapeError,
         r"^scan: the lengths \[3, 4\] differ"),
        (lambda: ga.scan(lambda c, x: (c, x), 0.0, 1.0), ga.ShapeError, "^scan: a 0-d array in xs"),
        (lambda: ga.scan(lambda c, x: (x, x), None, np.ones(2)), TypeError,
         r"^scan: the carry changes structure, from None to \*"),
        (lambda: ga.switch(0, []), ValueError, "^switch: there are no branches"),
    ],
)  # fmt: skip
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
