"""The derivative as chain-rule steps and in one formula: what it reads, and that it is right."""

import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass.explain import explain
from gradarray.glass.formula import formula, steps_latex, steps_mathml, steps_text
from gradarray.glass.mathml import FormulaError


def example(x):
    a = x**2
    b = ga.exp(a)
    c = a + b
    d = ga.sqrt(c)
    e = ga.cos(c)
    return d + e


STORY = explain(example)(1.5).story
SCALAR = {
    "example 5.14": (example, 1.5),
    "price": (lambda apple, n, tax: apple * n * tax, 100.0, 2.0, 1.1),
    "quotient": (lambda x, y: (x - (y - x)) / (x / y) ** 2, 0.7, 1.9),
    "power": (lambda x, y: (x**y) ** 0.5 - 2 ** (-x), 1.7, 0.6),
    "tanh": (lambda x: ga.tanh(3 * x) * x, 0.4),
    "sigmoid": (lambda w, b: ga.log(ga.sigmoid(2 * w + b)), 0.4, -0.3),
    "logarithms": (lambda x: ga.log(1 + x**2) / ga.log(x), 2.5),
    "negatives": (lambda x, y: -(x - y) ** 3 - (-x) * (-(y**2)), 0.3, 1.1),
    "arcs": (lambda x: ga.arctan(x) * ga.arcsin(x / 3), 1.2),
    "abs": (lambda x: ga.abs(x) * ga.maximum(x, 1), -1.2),
}


def test_steps():
    assert steps_text(STORY).splitlines() == [
        "a = x²",
        "b = exp(a)",
        "c = a + b",
        "d = sqrt(c)",
        "e = cos(c)",
        "example = d + e",
        "∂example/∂e = 1",
        "∂example/∂d = 1",
        "∂example/∂c = ∂example/∂d · 1/(2 sqrt(c)) + ∂example/∂e · (-sin(c))",
        "∂example/∂b = ∂example/∂c",
        "∂example/∂a = ∂example/∂b · exp(a) + ∂example/∂c",
        "∂example/∂x = ∂example/∂a · (2 x)",
        "dexample/dx = "
        "2 x · (1/(2 sqrt(x² + exp(x²))) - sin(x² + exp(x²))) · (exp(x²) + 1)",
    ]


def test_steps_with_numbers():
    lines = steps_text(STORY, numbers=True).splitlines()
    assert lines[:2] == ["a = 1.5²", "b = exp(2.25)"]
    assert lines[8] == "∂example/∂c = 1 · 1/(2 sqrt(11.7377)) + 1 · (-sin(11.7377))"


def test_steps_in_latex_and_mathml():
    lines = steps_latex(STORY).splitlines()
    assert lines[0] == r"\begin{align*}"
    assert lines[-1] == r"\end{align*}"
    assert lines[4] == r"d &= \sqrt{c} \\"
    assert r"\frac{1}{2 \sqrt{c}}" in lines[9]
    rows = ET.fromstring(steps_mathml(STORY)).findall(".//mtr")
    assert len(rows) == len(lines) - 2


@pytest.mark.parametrize("sympy", [False, True])
@pytest.mark.parametrize("label", SCALAR)
def test_one_formula_computes_the_derivative(label, sympy):
    f, *args = SCALAR[label]
    story = explain(f)(*args).story
    for row in story.inputs:
        try:
            one = formula(story, row.name, sympy=sympy)
        except FormulaError as error:
            assert sympy and "SymPy" in str(error)
            assert label == "abs"  # which has a comparison in it
            continue
        space = {}
        exec(one.python(), space)
        derivative = space["derivative"]
        names = derivative.__code__.co_varnames[: derivative.__code__.co_argcount]
        given = {r.name: r.value for r in story.inputs}
        found = derivative(*(given[name] for name in names))
        # Each operation may be off by half a last digit, and 1 - tanh^2 loses at most two more.
        assert found == pytest.approx(float(row.adjoint), rel=1e-13)
        ET.fromstring(one.mathml())
        assert str(one) == one.text()


def test_sympy_simplifies_further():
    story = explain(lambda x: x * (ga.sin(x) ** 2 + ga.cos(x) ** 2))(0.3).story
    assert formula(story, sympy=True).text() == "1"
    assert formula(story).text() == "sin(x)² + cos(x)²"


def test_without_sympy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ImportError, match=r"gradarray\[symbolic\]"):
        formula(STORY, sympy=True)


def test_of_a_layer():
    x, w, b = np.ones((2, 3)), np.full((3, 2), 0.1), np.zeros(2)
    story = explain(lambda x, w, b: ga.mean(ga.tanh(x @ w + b) ** 2))(x, w, b).story
    assert formula(story, "w").text() == (
        "xᵀ @ (tanh(x @ w + b) · (1 - tanh(x @ w + b)²) / 2)"
    )
    assert formula(story, "b").text() == (
        "sum(tanh(x @ w + b) · (1 - tanh(x @ w + b)²) / 2, axis=0)"
    )
    space = {}
    exec(formula(story, "w").python(), space)
    np.testing.assert_allclose(space["derivative"](x, w, b), story.inputs[1].adjoint, rtol=1e-12)


def test_what_is_too_long_says_so():
    def f(x):
        for _ in range(30):
            x = ga.sin(x) * ga.cos(2 * x)
        return x

    story = explain(f)(0.3).story
    with pytest.raises(FormulaError, match="more than 40"):
        formula(story)
    assert "more than 40" in steps_text(story).splitlines()[-1]
    ET.fromstring(steps_mathml(story))


def test_which_input():
    story = explain(lambda x, y: x * y)(2.0, 3.0).story
    with pytest.raises(ValueError, match="'x', 'y'"):
        formula(story)
    with pytest.raises(ValueError, match="'z' is none"):
        formula(story, "z")
    assert formula(story, "x").text() == "y"


def test_an_input_that_does_not_count():
    story = explain(lambda x, y: x * 2)(2.0, 3.0).story
    assert formula(story, "y").text() == "0"


def test_a_function_that_gives_its_argument_back():
    told = explain(lambda x: x)(2.0)
    assert told["x"].adjoint == 1.0 and not told["x"].freed
    assert told.text() == "dx/dx = 1"
    assert told.latex().count("1") == 1
    assert "freed" not in str(told)
