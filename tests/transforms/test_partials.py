"""Named partials against closed forms, in every mode, and losses of them against differences."""

import itertools

import numpy as np
import pytest

import gradarray as ga
from gradarray.nn import functional_call
from gradarray.testing import check

RNG = np.random.default_rng(7)
MODES = ["taylor", "forward", "reverse"]
UP_TO_4 = ["t" * i + "x" * j for i in range(5) for j in range(5 - i)]


def network(*widths, dtype="float64", seed=0):
    ga.random.seed(seed)
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [ga.nn.Linear(a, b, dtype=dtype), ga.nn.Tanh()]
    return ga.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_product_of_functions_to_order_4(mode, recorded):
    X = RNG.normal(size=(6, 2))
    t, x = X.T
    sines = [np.sin(t), np.cos(t), -np.sin(t), -np.cos(t), np.sin(t)]
    f = lambda X: ga.sin(X[:, 0]) * ga.exp(2 * X[:, 1])
    with ga.enable_grad() if recorded else ga.no_grad():
        found = ga.partials(f, X, "tx", UP_TO_4, mode=mode)
    assert list(found) == UP_TO_4
    for name, value in found.items():
        form = sines[name.count("t")] * 2.0 ** name.count("x") * np.exp(2 * x)
        # Some tens of roundings of terms that are at most 4! times as large.
        np.testing.assert_allclose(value.numpy(), form, rtol=1e-13, atol=1e-13)
        assert not value.requires_grad  # nothing else takes part


@pytest.mark.parametrize("mode", MODES)
def test_a_polynomial_of_three_columns_and_two_results(mode):
    X = RNG.normal(size=(5, 3))
    a, b, c = X.T
    f = lambda X: ga.stack([X[:, 0] ** 3 * X[:, 1] * X[:, 2] ** 2, X[:, 1] + 0 * X[:, 0]], axis=1)
    of = ["", "a", "bc", "cb", "aac", "abcc", "bb"]
    forms = {
        "": a**3 * b * c**2, "a": 3 * a**2 * b * c**2, "bc": 2 * a**3 * c, "cb": 2 * a**3 * c,
        "aac": 12 * a * b * c, "abcc": 6 * a**2, "bb": 0 * a,
    }  # fmt: skip
    found = ga.partials(f, X, "abc", of, mode=mode)
    for name, form in forms.items():
        assert found[name].shape == (5, 2)
        second = b if name == "" else 0 * a
        expected = np.stack([form, second], axis=1)
        np.testing.assert_allclose(found[name].numpy(), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_a_network_against_nested_reverse_mode_row_by_row(mode):
    net, X = network(2, 5, 5, 1), RNG.normal(size=(4, 2))
    u = lambda row: net(row)[0]
    by = lambda f, k: lambda row: ga.grad(f)(row)[k]
    nested = {"": u, "x": by(u, 1), "tx": by(by(u, 0), 1), "xxx": by(by(by(u, 1), 1), 1)}
    found = ga.partials(net, X, "tx", nested, mode=mode)
    for name, f in nested.items():
        assert found[name].shape == (4, 1)
        expected = [f(row).item() for row in X]
        np.testing.assert_allclose(found[name].numpy()[:, 0], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", MODES)
def test_float32_and_the_form_of_a_result(mode):
    net = network(2, 4, 3, dtype="float32")
    X = RNG.normal(size=(7, 2)).astype(np.float32)
    for points, shape in ((X, (7, 3)), (X[0], (3,)), (X.reshape(7, 1, 2), (7, 1, 3))):
        found = ga.partials(net, points, "tx", ("", "t", "tx", "xxxx"), mode=mode)
        assert {(v.dtype.name, v.shape) for v in found.values()} == {("float32", shape)}
    assert ga.partials(net, X[:0], "tx", ("t", "xx"), mode=mode)["xx"].shape == (0, 3)


def residual_loss(u):
    """Burgers' equation, u_t + u u_x = 0.1 u_xx."""
    return ((u["t"] + u[""] * u["x"] - 0.1 * u["xx"]) ** 2).mean()


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_of_an_equations_loss_against_differences(mode):
    net, X = network(2, 4, 1), RNG.normal(size=(5, 2))

    def loss(weights):
        net_at = lambda X: functional_call(net, weights, X)[:, 0]
        return residual_loss(ga.partials(net_at, X, "tx", ("", "t", "x", "xx"), mode=mode))

    weights = {k: v.detach() for k, v in net.parameters_dict().items()}
    check(loss, weights)
    net.zero_grad()
    of = ("", "t", "x", "xx")
    residual_loss(ga.partials(lambda X: net(X)[:, 0], X, "tx", of, mode=mode)).backward()
    for name, slope in ga.grad(loss)(weights).items():
        left = net.parameters_dict()[name].grad.numpy()
        np.testing.assert_allclose(left, slope.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
def test_partials_of_partials_and_inside_vmap(mode):
    f = lambda X: ga.sin(X[..., 0]) * X[..., 1] ** 3
    X = RNG.normal(size=(4, 2))
    once = lambda of: lambda X: ga.partials(f, X, "tx", (of,), mode=mode)[of]
    twice = ga.partials(once("t"), X, "tx", ("x", "xx"), mode=mode)
    np.testing.assert_allclose(twice["xx"].numpy(), np.cos(X[:, 0]) * 6 * X[:, 1], rtol=1e-13)
    by_row = ga.vmap(lambda row: ga.partials(f, row, "tx", ("tx", "x"), mode=mode))(X)
    np.testing.assert_allclose(by_row["tx"].numpy(), np.cos(X[:, 0]) * 3 * X[:, 1] ** 2, rtol=1e-13)
    # By X itself, through the partial.
    slope = ga.grad(lambda X: once("xx")(X).sum())(X)
    expected = np.stack([6 * X[:, 1] * np.cos(X[:, 0]), 6 * np.sin(X[:, 0])], axis=1)
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-13)


def test_complex_results_of_real_columns():
    X = RNG.normal(size=(3, 3))
    f = lambda X: ga.exp(1j * X[:, 0]) * X[:, 1] ** 2 + X[:, 2]
    found = ga.partials(f, X, "abc", ("", *"abc", "ab"))
    plan = str(ga.partials(f, X, "abc", ("a", "b", "c")).plan).splitlines()
    assert plan[0].endswith("taylor mode")
    assert plan[-1] == "  reverse     3 evaluations; not possible: the result is complex"
    wave = np.exp(1j * X[:, 0])
    np.testing.assert_allclose(found["ab"].numpy(), 2j * X[:, 1] * wave, rtol=1e-14)
    np.testing.assert_allclose(found["b"].numpy(), 2 * X[:, 1] * wave, rtol=1e-14)
    with pytest.raises(ga.DTypeError, match="only its real part would arrive"):
        ga.partials(f, X, "abc", "a", mode="reverse")


@pytest.mark.parametrize("mode", MODES)
def test_a_result_that_does_not_depend_on_a_column_or_on_any(mode):
    X = RNG.normal(size=(3, 2))
    for f in (lambda X: X[:, 0] ** 2, lambda X: np.ones(3)):
        found = ga.partials(f, X, "tx", ("x", "tx", "ttt"), mode=mode)
        for value in found.values():
            np.testing.assert_array_equal(value.numpy(), np.zeros(3))


def test_names():
    f = lambda X: X[:, 0] ** 2 * X[:, 1]
    X = np.array([[2.0, 3.0]])
    of = ("", "time", ("time", "place"), ("place",), ())
    found = ga.partials(f, X, ("time", "place"), of)
    assert [v.item() for v in found.values()] == [12.0, 12.0, 4.0, 4.0, 12.0]
    assert ga.partials(f, X, "tx", "tx")["tx"].item() == 4.0
    assert ga.partials(f, X, "tx", []) == {}
    # x twice is the column xx, or the second derivative by x: said as a tuple.
    found = ga.partials(f, X, ("x", "xx"), (("xx",), ("x", "x")))
    assert [v.item() for v in found.values()] == [4.0, 6.0]


def test_the_plan_says_what_was_chosen():
    X = RNG.normal(size=(3, 5))
    u = ga.partials(lambda X: (X**2).sum(-1), X, "abcde", ("", *"abcde"))
    assert u.plan.mode == "reverse"
    assert str(u.plan).splitlines() == [
        "u, u_a, u_b, u_c, u_d, u_e: reverse mode",
        "  taylor      6 evaluations",
        "  forward     6 evaluations",
        "* reverse     3 evaluations",
    ]
    assert ga.partials(lambda X: X**2, X, "abcde", ("", *"abcde")).plan.mode == "taylor"
    assert ga.partials(lambda X: X**2, X, "abcde", "a", mode="forward").plan.mode == "forward"


def test_an_op_without_series_is_done_in_another_mode():
    class Sine(ga.Grad):
        def forward(x):
            return np.sin(x)

        def push(x, x_dot):
            return ga.cos(x) * x_dot if x.requires_grad in (True, False) else None

    X = RNG.normal(size=(3, 2))
    f = lambda X: Sine.apply(X[:, 1]) * X[:, 0]
    found = ga.partials(f, X, "tx", ("t", "xx"))
    np.testing.assert_allclose(found["xx"].numpy(), -np.sin(X[:, 1]) * X[:, 0], rtol=1e-14)
    assert found.plan.mode == "forward" and "not possible: sine" in str(found.plan)
    with pytest.raises(ga.RuleError, match="sine"):
        ga.partials(f, X, "tx", ("t", "xx"), mode="taylor")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"of": ("y",)}, ga.errors.UnknownNameError, "'y' in 'y' is no column; they are 't', 'x'"),
        ({"columns": "txy"}, ga.ShapeError, r"names 3 columns, and X has shape \(4, 2\)"),
        ({"columns": "tt", "of": ("",)}, ValueError, "one name twice"),
        ({"columns": ("t", "tt"), "of": ("tt",)}, ValueError, r"Say \('tt',\) or \('t', 't'\)"),
        ({"mode": "backward"}, ValueError, "none of 'auto', 'taylor', 'forward', 'reverse'"),
        ({"X": np.ones((4, 2), int)}, ga.DTypeError, "int64, which has no derivative"),
        ({"X": 1.0}, ga.ShapeError, "one row per point"),
        ({"f": lambda X: X.sum()}, ga.ShapeError, r"gave shape \(\) for X of shape \(4, 2\)"),
        ({"X": np.ones((4, 2), complex)}, ga.DTypeError, "only if y is analytic"),
        ({"f": lambda X: X[:, 0] > 0}, ga.DTypeError, "has dtype bool, which has no derivative"),
        ({"f": lambda X: (X, X)}, TypeError, "returned tuple, not one array"),
    ],
)  # fmt: skip
def test_bad_input(arguments, error, match):
    given = {"f": lambda X: X[:, 0] * X[:, 1], "X": np.ones((4, 2)), "columns": "tx", "of": ("t",)}
    with pytest.raises(error, match=match) as raised:
        ga.partials(**{**given, **arguments})
    assert "partials" in str(raised.value) and "test_partials.py" in str(raised.value)
