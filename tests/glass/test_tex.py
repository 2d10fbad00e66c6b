"""Formulas as LaTeX and as MathML: parentheses, names, numbers, and what users write."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gradarray import registry
from gradarray.glass.expr import Expr, name, number, op
from gradarray.glass.mathml import FormulaError, mathml
from gradarray.glass.tex import name_tex, tex, value_tex

A, B, C, X = (name(n) for n in "abcx")

NESTED = [
    (op("subtract", A, op("subtract", B, C)), r"a - \left(b - c\right)"),
    (op("subtract", op("subtract", A, B), C), "a - b - c"),
    (op("power", op("power", A, B), C), r"\left(a^{b}\right)^{c}"),
    (op("power", A, op("power", B, C)), "a^{b^{c}}"),
    (op("negative", op("add", A, B)), r"-\left(a + b\right)"),
    (op("negative", op("negative", A)), r"-\left(-a\right)"),
    (op("power", 2, op("negative", X)), "2^{-x}"),
    (op("power", op("negative", X), 2), r"\left(-x\right)^{2}"),
    (op("negative", op("square", X)), "-x^2"),
    (op("square", number(-2.0)), r"\left(-2\right)^2"),
    (op("square", op("divide", A, B)), r"\left(\frac{a}{b}\right)^2"),
    (op("multiply", op("divide", A, B), op("divide", B, C)), r"\frac{a}{b} \cdot \frac{b}{c}"),
    (op("multiply", 2, op("divide", A, B)), r"2 \cdot \frac{a}{b}"),
    (op("divide", op("add", A, B), op("multiply", 2, C)), r"\frac{a + b}{2 c}"),
    (op("multiply", A, op("greater", B, C)), r"a \cdot \left[b > c\right]"),
    (op("multiply", op("matmul", A, B), C), r"\left(a b\right) \cdot c"),
    (op("matmul", op("multiply", A, B), C), r"\left(a \cdot b\right) c"),
    (op("transpose", op("matmul", A, B), axes=(-1, -2)), r"\left(a b\right)^T"),
    (op("sin", op("multiply", 2, A)), r"\sin \left(2 a\right)"),
    (op("square", op("tanh", A)), r"\tanh^{2} a"),
    (op("exp", op("sin", A)), r"\exp \left(\sin a\right)"),
    (op("log", op("sigmoid", A)), r"\log \sigma(a)"),
    (op("where", op("greater", A, 0), B, op("add", B, C)),
     r"b \;\mathrm{if}\; a > 0 \;\mathrm{else}\; b + c"),
    (op("multiply", A, op("where", op("greater", A, 0), B, C)),
     r"a \cdot \left(b \;\mathrm{if}\; a > 0 \;\mathrm{else}\; c\right)"),
    (op("sum", name("x", np.ones((2, 3))), axis=(-1,), keepdims=False), r"\sum_{1} x"),
    (op("gather", name("x_1"), name("j"), axis=-1), "{x_{1}}_J"),
    (op("jn", 2, op("add", A, B)), "J_{2}(a + b)"),
]  # fmt: skip


@pytest.mark.parametrize("e, expected", NESTED, ids=[t for _, t in NESTED])
def test_parentheses(e, expected):
    assert tex(e) == expected
    ET.fromstring(mathml(tex(e)))


def test_numbers_are_put_in():
    e = op("multiply", name("x", 1.5), op("reciprocal", name("y", 4.0)))
    assert tex(e, numbers=True) == r"1.5 \cdot \frac{1}{4}"
    assert tex(op("square", name("x", -1.5)), numbers=True) == r"\left(-1.5\right)^2"
    assert tex(op("multiply", A, name("x", -1.5)), numbers=True) == r"a \cdot \left(-1.5\right)"
    assert tex(op("square", name("x", 1.5e-9)), numbers=True) == (
        r"\left(1.5 \cdot 10^{-9}\right)^2"
    )
    assert value_tex(np.float32(0.1)) == "0.1"
    assert value_tex(np.array([[1.0, 2.0], [3.0, -0.5]])) == (
        r"\begin{pmatrix}1 & 2 \\ 3 & -0.5\end{pmatrix}"
    )
    assert value_tex(np.arange(100.0)) == r"\mathrm{array}_{100}"
    assert value_tex(float("-inf")) == r"-\infty"


@pytest.mark.parametrize(
    "given, expected",
    [
        ("x", "x"),
        ("x_new", r"x_{\mathrm{new}}"),
        ("v1", "v_{1}"),
        ("alpha", r"\alpha"),
        ("λ", r"\lambda"),
        ("W1_2", "W_{1,2}"),
        ("loss", r"\mathrm{loss}"),
        ("fc1.weight", r"\mathrm{fc1.weight}"),
        ("∂f/∂x_1", r"\frac{\partial f}{\partial x_{1}}"),
        ("∂f/∂q[1]", r"\left(\frac{\partial f}{\partial q}\right)_{1}"),
    ],
)
def test_names(given, expected):
    assert name_tex(given) == expected


@pytest.mark.parametrize(
    "given", ["<script>alert(1)</script>", 'a&b"c', "a\\end{x}", "}{$%#_^~ 1", "가중치", "x'"]
)
def test_what_users_write_is_shown_and_nothing_else(given):
    tree = ET.fromstring(mathml(tex(op("square", name(given)))))
    assert "".join(tree.itertext()) == given + "2"
    assert {one.tag for one in tree.iter()} <= {"math", "msup", "mi", "mn", "mo", "mrow"}


def test_unknown_tex_is_refused():
    for wrong in (r"\unknown{x}", r"\frac{1}", "x}", r"\left(x", r"\begin{tabular}x\end{tabular}",
                  "x^2^3", r"\sqrt"):  # fmt: skip
        with pytest.raises(FormulaError):
            mathml(wrong)


@pytest.mark.parametrize("label", list(registry.ops))
def test_every_template_is_known(label):
    """Each op of the registry, on names and on sums."""
    known = registry.ops[label]
    count = 2 if known.variadic else len(known.operands)
    for x in (name("alpha_2"), op("add", A, B)):
        shown = tex(Expr(known, [x] * count, {"axes": (-1, -2), "n": 3}))
        assert shown.count(r"\left") == shown.count(r"\right")
        ET.fromstring(mathml(shown))
