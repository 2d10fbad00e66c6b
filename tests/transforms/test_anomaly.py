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


def test_backward_names_the_line_that_recorded():
    def f():
        y = ga.sqrt(ga.relu(X))  # vertical here
        y.sum().backward()

    with ga.set_subgradient("sqrt", np.inf):
        text = anomaly(f)
    assert text.startswith("sqrt: its derivative, backward, is inf")
    assert "vertical at 0" in text and "# vertical here" in text


def test_forward_mode_and_higher_orders():
    root = lambda x: ga.sqrt(x).sum()
    edge = np.array([1.0, 0.0])
    with ga.set_subgradient("sqrt", np.inf), ga.set_subgradient("power.a", np.inf):
        first = anomaly(lambda: ga.jvp(root, (edge,), (np.ones(2),)))
        # The third derivative of x^2.5, 1.875 x^-0.5, is infinite at 0.
        third = anomaly(lambda: ga.grad(ga.grad(ga.grad(lambda x: x**2.5)))(0.0))
    for text in (first, third):
        assert "inf" in text.splitlines()[0] and "test_anomaly.py" in text


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
