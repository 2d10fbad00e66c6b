"""check, for a user's function: it reports digits where all agrees, and names where it does not."""

import collections

import numpy as np
import pytest

import gradarray as ga
from gradarray.testing import argument, check, count_ops


class RightCube(ga.Grad):
    def forward(x):
        return x**3

    def backward(y_bar, x):
        return 3 * y_bar * x**2


class WrongCube(ga.Grad):
    def forward(x):
        return x**3

    def backward(y_bar, x):
        # Wrong by 1e-4 where x > 1.5 and nowhere else.
        return y_bar * ga.where(x > 1.5, 3.0001, 3.0) * x**2


def fails(f, *args, order=2):
    with pytest.raises(AssertionError) as caught:
        check(f, *args, order=order)
    return str(caught.value)


def test_agreement_of_smooth_functions():
    report = check(
        lambda x, w: ga.tanh(x @ w).sum(), np.ones((2, 3)), np.full((3, 2), 0.3), order=3
    )
    assert [row.argument for row in report.rows] == ["x", "w"]
    assert [row.shape for row in report.rows] == [(2, 3), (3, 2)]
    for row in report.rows:
        assert list(row.digits) == [
            *("forward", "Taylor", "Richardson", "complex step", "order 2", "order 3")
        ]
        # Modes agree to rounding, and so does the complex step; differences lose some digits.
        assert row.digits["Taylor"] > 14
        assert row.digits["forward"] > 14 and row.digits["complex step"] > 14
        assert row.digits["Richardson"] > 10 and row.digits["order 3"] > 7
    assert report.digits == min(d for row in report.rows for d in row.digits.values())


def test_the_table():
    lines = str(check(lambda x: x * x, 3.0, order=1)).splitlines()
    assert lines[0].split() == [
        *("argument", "shape", "forward", "Taylor", "Richardson", "complex", "step")
    ]
    assert lines[1].split()[:2] == ["x", "()"]


def test_custom_rules():
    check(RightCube.apply, np.array([0.5, 1.0, 2.0]))
    text = fails(lambda x: WrongCube.apply(x), np.array([0.5, 1.0, 2.0]))
    assert "argument x" in text and "at index [2]" in text
    assert "reverse gives" in text and "differences" in text and "bound" in text


def test_the_wrong_entry_of_a_large_argument_is_found():
    x = np.linspace(0.1, 1.4, 60)
    x[47] = 2.0
    assert "at index [47]" in fails(lambda x: WrongCube.apply(x), x)


def test_pytrees_and_arguments_that_are_not_differentiated():
    Pair = collections.namedtuple("Pair", "a b")

    def f(pair, table, n, name):
        assert name == "plain"
        return {"y": pair.a * table["w"][0] ** n, "k": ga.array(3)}

    report = check(f, Pair(1.5, np.ones(2)), {"w": [np.array([2.0, 3.0])]}, 2, "plain")
    assert [row.argument for row in report.rows] == ["pair[0]", "pair[1]", "table['w'][0]"]


def test_a_list_of_numbers_is_an_array():
    assert check(lambda x: (x * x).sum(), [1.0, 2.0]).rows[0].shape == (2,)


def test_the_arguments_are_not_touched():
    x = ga.array([1.0, 2.0], requires_grad=True)
    check(lambda x: x * x, x)
    assert x.grad is None and x.is_leaf


def test_not_analytic_is_not_wrong():
    # The complex step of |z|^2 = z conj(z) is 0: it cannot judge.
    report = check(lambda x: ga.where(x > 0, x * x, -x), np.array([1.0, -1.0]))
    assert report.rows[0].digits["Richardson"] > 9


def test_a_kink_is_named():
    text = fails(ga.relu, np.array([1.0, 0.0]))
    assert "differences do not settle" in text or "at index [1]" in text


def test_a_cut_derivative_is_found():
    text = fails(lambda x: x * ga.stop_gradient(x), np.array([1.0, 2.0]))
    assert "argument x" in text and "differences" in text


def test_a_second_derivative_that_is_cut():
    class Sine(ga.Custom):
        @staticmethod
        def forward(x):
            return np.sin(x)

        @staticmethod
        def pull(y_bar, x):
            return y_bar * ga.cos(ga.stop_gradient(x))

    check(Sine.apply, 0.7, order=1)
    assert "derivative of order 2" in fails(Sine.apply, 0.7)


def test_a_random_function():
    rng = np.random.default_rng(0)
    assert "is it random?" in fails(lambda x: x * rng.uniform(), 1.0)


def test_a_result_that_is_not_finite():
    assert "not finite" in fails(ga.log, 0.0)


def test_nothing_to_differentiate():
    with pytest.raises(TypeError, match="no floating argument"):
        check(lambda n: ga.array(1.0) * n, 3)
    with pytest.raises(TypeError, match="no floating GradArray"):
        check(lambda x: x > 0, 3.0)


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (lambda x: 2.0, "the result of <lambda> is a plain float"),
        (lambda x: float(x) ** 2, "the result of <lambda> is a plain float"),
        (lambda x: x.detach().numpy() * 2, "is a plain float64"),
        (lambda x: {"loss": [x * x, np.ones(2)]}, r"the result\['loss'\]\[1\] of"),
    ],
)
def test_a_plain_result_is_constant_or_has_left_the_graph(f, what):
    with pytest.raises(TypeError, match=what) as caught:
        check(f, 3.0)
    assert "left the graph" in str(caught.value)


def test_an_op_that_cannot_run_on_series_leaves_its_column_empty(monkeypatch):
    def cannot(*args):
        raise ga.RuleError("no rule that runs on power series")

    monkeypatch.setattr(argument, "jet", cannot)
    report = check(ga.sin, np.array([0.5, 1.0]))
    assert report.rows[0].digits["Taylor"] is None and report.digits > 9
    assert "-" in str(report).splitlines()[1].split()


def test_a_wrong_series_is_found(monkeypatch):
    right = argument.jet

    def wrong(f, primals, series):
        y, terms = right(f, primals, series)
        return y, [[c * (1 + 1e-9) for c in cs] for cs in terms]

    monkeypatch.setattr(argument, "jet", wrong)
    assert "Taylor" in fails(ga.sin, np.array([0.5, 1.0]))


def test_float32_is_held_to_its_own_precision():
    report = check(lambda x: ga.sin(x) * x, np.float32([0.5, 1.5]))
    assert 5 < report.rows[0].digits["forward"] < 9


# Operations ---------------------------------------------------------------------------------------


def test_counts_by_hand():
    # Two operations; the sweep: -sin(2x) is sin, negative, product; times 2 is one product.
    cost = count_ops(lambda x: ga.cos(2 * x), 0.3)
    assert (cost.function, cost.sweep) == (2, 4)
    assert cost.ops == {"multiply": 1, "cos": 1, "sin": 1, "negative": 1, "absorb": 2}
    assert cost.ratio == 3


def test_sums_over_consumers_count_and_projection_does_not():
    assert count_ops(lambda x: x + x, 1.0).sweep == 1
    vector = count_ops(lambda b, x: (x + b).sum(), np.array(1.0), np.ones(3))
    assert (vector.function, vector.sweep) == (2, 0)


def test_a_function_that_does_not_depend_on_its_argument():
    with pytest.raises(ValueError, match="does not depend"):
        count_ops(lambda x: ga.array(1.0), 1.0)
