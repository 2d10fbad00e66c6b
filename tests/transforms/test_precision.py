"""precision_report against what is known of each formula's loss of digits."""

import numpy as np
import pytest

import gradarray as ga


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
