"""precision_report against what is known of each formula's loss of digits."""

import sys

import numpy as np
import pytest

import gradarray as ga
from gradarray import registry
from gradarray.transforms import multiprecision, precision


def test_cancellation_is_found_where_it_happens():
    # exp(x) - 1 at 1e-4 keeps eps/x: log10(6e-8 / 1e-4) = 3.2 digits of float32's 7.2.
    report = ga.precision_report(lambda x: ga.exp(x) - 1, np.float32(1e-4))
    assert [s.op for s in report.worst] == ["subtract"]
    assert 2.8 < report.digits < 5
    assert "test_precision.py" in report.worst[0].line
    assert "subtract" in repr(report)


def test_the_stable_form_loses_nothing():
    report = ga.precision_report(lambda x: ga.expm1(x) * 2, np.float32(1e-4))
    assert report.worst == [] and report.digits > 6.5


def test_a_loss_is_not_blamed_on_what_follows():
    report = ga.precision_report(lambda x: ga.sqrt((x + 1) - x), np.float32(1e6 + 0.3))
    assert {s.op for s in report.worst} <= {"add", "subtract"}


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="no type wider than float64 here"
)
def test_float64_against_long_double():
    report = ga.precision_report(lambda x: (1 - ga.cos(x)) / x**2, ga.array([1e-4, 1e-6]))
    assert report.worst[0].op == "subtract"
    assert report.digits < 6  # eps / x^2 at 1e-6


@pytest.mark.parametrize("bad", [np.array([1, 2]), np.longdouble(1)])
def test_what_has_no_wider_type(bad):
    with pytest.raises(TypeError, match="arguments of dtype"):
        ga.precision_report(lambda x: x * 1.0, bad)


def test_branches_that_differ_say_so():
    x = np.float32(0.1)
    square = float(x * x)  # rounded to float32, which the wider run does not do
    with pytest.raises(ValueError, match="different operations"):
        ga.precision_report(lambda x: x * 3 if float(x * x) == square else x + x + x, x)


def test_the_result_of_f_is_judged_and_not_only_its_ops():
    # In float32 1 + 1e-5 - 1 is off by eps / 2, all that is left where 1e-5 is taken off.
    report = ga.precision_report(lambda x: (x + 1) - 1 - x, np.float32(1e-5))
    assert report.digits == 0
    # The derivative's ops are not f's; its digits are: cos x / x^2 and sin x / x cancel.
    slope = ga.grad(lambda x: (1 - ga.cos(x)) / x**2)
    assert ga.precision_report(slope, np.float32(1e-2)).digits < 2


def test_an_overflow_has_no_digit():
    report = ga.precision_report(ga.exp, np.float32(100.0))
    assert report.digits == 0 and report.worst[0].op == "exp"


def test_a_network_in_its_own_dtype_says_how_it_can_run_wider():
    layer = ga.nn.Linear(3, 2)
    x = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match=r"casts to float32 in its wider run.*functional_call"):
        ga.precision_report(layer, x)
    parameters = dict(layer.named_parameters())
    report = ga.precision_report(
        lambda p, x: ga.nn.functional_call(layer, p, (x,)), parameters, x
    )
    assert report.digits > 5 and str(report.wider) == "float64"


# In mpmath ---------------------------------------------------------------------------------------


@pytest.fixture
def no_long_double(monkeypatch):
    monkeypatch.delitem(precision._WIDER, np.dtype(float), raising=False)


def test_scalars_in_float64_without_a_wider_type(no_long_double):
    pytest.importorskip("mpmath")
    report = ga.precision_report(lambda x: ga.exp(x) - 1, 1e-10)
    assert str(report.wider) == "mpmath (50 digits)"
    assert [s.op for s in report.worst] == ["subtract"]
    assert 5.5 < report.digits < 8  # eps / 1e-10
    assert ga.precision_report(ga.expm1, 1e-10).digits > 15


def test_what_long_double_does_not_know_is_held_against_mpmath():
    pytest.importorskip("mpmath")
    report = ga.precision_report(lambda x: 1 - ga.special.erf(x), 5.0)
    # erfc(5) = 1.5e-12: 16.0 - 11.8 digits are left, and rounding may be kind.
    assert report.worst[0].op == "subtract" and 3.5 < report.digits < 5.5
    assert ga.precision_report(ga.special.erfc, 5.0).digits > 15


def test_mpmath_is_for_scalars_and_for_ops_it_knows(no_long_double):
    pytest.importorskip("mpmath")
    with pytest.raises(TypeError, match=r"exp works on an array of shape \(2,\).*scalars"):
        ga.precision_report(ga.exp, np.ones(2))
    with pytest.raises(TypeError, match=r"gelu is not known in mpmath.*float32"):
        ga.precision_report(ga.gelu, 1.0)


def test_without_mpmath_it_says_so(no_long_double, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(ImportError, match=r"mpmath is not installed.*pip install mpmath"):
        ga.precision_report(ga.exp, 1.0)


@pytest.mark.parametrize("name", sorted({*multiprecision._FUNCTIONS, *multiprecision._NAMES}))
def test_each_function_in_mpmath_is_the_op(name):
    pytest.importorskip("mpmath")
    op = registry.ops[name]
    params = {
        "fixed_power": {"n": 2.5},
        "softplus": {"beta": 2.0, "threshold": 20.0},
        "reshape": {"shape": ()},
        "astype": {"dtype": float},
    }.get(name, {})
    first = {"where": np.True_, "arccosh": np.float64(1.7)}.get(name, np.float64(0.7))
    operands = [first, np.float64(0.6), np.float64(0.9)][: len(op.operands)]
    y = op.forward(*operands, **params)
    row = precision._Row(name, "", operands, params, y)
    (exact,) = multiprecision.replayed([row])
    # Some tens of roundings of the op itself, at places where all are well conditioned.
    assert abs(float(exact) - float(y)) <= 64 * np.finfo(float).eps * max(1, abs(float(y)))
