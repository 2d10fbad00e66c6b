"""detect_anomaly names the op, the line, the inputs and the cause; nothing where all is well."""

import numpy as np
import pytest

import gradarray as ga


def anomaly(f):
    with pytest.raises(ga.AnomalyError) as caught, ga.detect_anomaly():
        f()
    return str(caught.value)


X = ga.array([1.0, -2.0, 0.0], requires_grad=True)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda: ga.log(X), ("log: made nan", "x = -2.0", "(1,)", "negative number")),
        (lambda: ga.log(ga.relu(X)), ("log: made -inf", "logarithm of 0")),
        (lambda: ga.sqrt(X), ("sqrt: made nan", "x = -2.0", "negative")),
        (lambda: ga.exp(1000 * X), ("exp: made inf", "x = 1000.0", "overflows")),
        (lambda: 1 / X, ("divide: made inf", "b = 0.0", "(2,)", "by 0")),
        (lambda: (X * 0) / X, ("divide: made nan", "0 / 0")),
        (lambda: ga.power(X, 0.5), ("power: made nan", "broken power")),
        (lambda: ga.arcsin(X), ("arcsin", "outside [-1, 1]")),
    ],
)
def test_forward(f, words):
    text = anomaly(f)
    assert all(word in text for word in words), text
    assert "test_anomaly.py" in text


def steep(x):
    return (x * 1e200) * 1e200  # 0 at 0, with a slope that overflows


def test_backward_names_the_line_that_recorded():
    text = anomaly(lambda: steep(ga.array([0.0], requires_grad=True)).sum().backward())
    assert text.startswith("multiply: its derivative, backward, is inf")
    assert "overflows" in text and "# 0 at 0, with a slope" in text


def test_forward_mode_and_higher_orders():
    for text in (
        anomaly(lambda: ga.jvp(steep, (0.0,), (1.0,))),
        anomaly(lambda: ga.grad(ga.grad(lambda x: steep(x * x)))(0.0)),
    ):
        assert "its derivative" in text and "inf" in text and "test_anomaly.py" in text


def test_a_masked_branch_is_no_anomaly():
    with ga.detect_anomaly():
        g = ga.grad(lambda x: ga.where(x > 0, ga.sqrt(ga.relu(x)), 0.0).sum())(X)
    np.testing.assert_array_equal(g.numpy(), [0.5, 0.0, 0.0])


def test_what_comes_in_is_no_anomaly():
    with ga.detect_anomaly():
        y = ga.array([np.nan, np.inf]) * 2 + 1
    assert np.isnan(y.numpy()[0])
    with ga.detect_anomaly(check_inf=False):
        ga.exp(ga.array(1000.0))


def test_the_mode_ends_with_the_block():
    with pytest.raises(ga.AnomalyError), ga.detect_anomaly():
        ga.log(X)
    with np.errstate(all="ignore"):
        assert np.isnan(ga.log(X).numpy()[1])
