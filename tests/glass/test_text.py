"""Formulas in a line of text, simplified as one would write them down."""

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass.explain import explain
from gradarray.glass.expr import Expr, folded, name, number, op
from gradarray.glass.precedence import FACTOR
from gradarray.glass.simplify import simplify
from gradarray.glass.text import factor_text, text

A, B, C, X = (name(n, v) for n, v in (("a", 0.7), ("b", 1.3), ("c", 0.4), ("x", 1.9)))


def value(e: Expr):
    """What a formula comes to, computed op by op."""

    def one(e, args):
        return e.value if e.op is None else e.op.forward(*args, **e.params)

    return folded(e, one)


def local(f, x=0.5, exact=False):
    e = explain(f)(x).rows[0].terms[0].local
    assert e is not None
    return text(simplify(e, exact=exact))


@pytest.mark.parametrize(
    "f, expected",
    [
        (lambda c: ga.sqrt(c), "1/(2 sqrt(c))"),
        (lambda x: ga.square(x), "2 x"),
        (lambda c: ga.cos(c), "-sin(c)"),
        (lambda c: ga.sigmoid(c), "sigmoid(c) · (1 - sigmoid(c))"),
        (lambda c: ga.tanh(c), "1 - tanh(c)²"),
        (lambda c: ga.log(c), "1/c"),
        (lambda c: 1 / c, "-1/c²"),
        (lambda c: c**3, "3 c²"),
        (lambda c: 2**c, "2^c · log(2)"),
        (lambda c: ga.arctan(c), "1/(1 + c²)"),
        (lambda c: ga.relu(c), "c > 0"),
    ],
)
def test_local_derivatives_read_as_in_a_textbook(f, expected):
    assert local(f) == expected


NESTED = [
    (op("subtract", A, op("subtract", B, C)), "a - (b - c)"),
    (op("subtract", op("subtract", A, B), C), "a - b - c"),
    (op("power", op("power", A, B), C), "(a^b)^c"),
    (op("power", A, op("power", B, C)), "a^(b^c)"),
    (op("negative", op("add", A, B)), "-(a + b)"),
    (op("negative", op("negative", A)), "-(-a)"),
    (op("power", 2, op("negative", X)), "2^(-x)"),
    (op("power", op("negative", X), 2), "(-x)²"),
    (op("negative", op("power", X, 2)), "-x²"),
    (op("power", number(-2.0), 2), "(-2)²"),
    (op("multiply", op("divide", A, B), op("divide", B, C)), "(a/b) · (b/c)"),
    (op("divide", op("divide", A, B), C), "(a/b)/c"),
    (op("divide", A, op("divide", B, C)), "a/(b/c)"),
    (op("divide", A, op("multiply", B, C)), "a/(b · c)"),
    (op("multiply", 2, number(3.5)), "2 · 3.5"),
    (op("multiply", A, number(-1.5)), "a · (-1.5)"),
    (op("multiply", op("multiply", 2, A), B), "2 a · b"),
    (op("multiply", op("add", A, B), C), "(a + b) · c"),
    (op("multiply", A, op("greater", B, C)), "a · [b > c]"),
    (op("multiply", A, op("matmul", B, C)), "a · (b @ c)"),
    (op("matmul", op("multiply", A, B), C), "(a · b) @ c"),
    (op("matmul", A, op("matmul", B, C)), "a @ (b @ c)"),
    (op("matmul", op("matmul", A, B), C), "a @ b @ c"),
    (op("power", op("sin", A), 2), "sin(a)²"),
    (op("transpose", op("matmul", A, B), axes=(-1, -2)), "(a @ b)ᵀ"),
    (op("sum", name("x", np.ones((2, 3))), axis=(-1,), keepdims=False), "sum(x, axis=1)"),
]  # fmt: skip


@pytest.mark.parametrize("e, expected", NESTED, ids=[t for _, t in NESTED])
def test_parentheses(e, expected):
    assert text(e) == expected


def test_numbers_are_put_in():
    e = op("subtract", op("power", A, 2), op("multiply", B, name("n", -1.5)))
    assert text(e, numbers=True) == "0.7² - 1.3 · (-1.5)"
    assert text(name("x", np.float32(0.1)), numbers=True) == "0.1"
    assert text(name("x", 1 / 3), numbers=True, digits=3) == "0.333"
    assert text(name("x", np.array([1.0, -2.5])), numbers=True) == "[1, -2.5]"
    assert text(number(np.ones((4, 5)))) == "array[4, 5]"
    assert text(op("multiply", 2, op("add", name("a", -1), B)), numbers=True) == "2 · (-1 + 1.3)"


def test_what_stands_in_a_product_has_parentheses():
    assert text(op("subtract", A, B), within=FACTOR) == "(a - b)"
    assert factor_text(op("greater", A, B), FACTOR) == "[a > b]"
    assert factor_text(op("negative", A), FACTOR) == "(-a)"


SIMPLER = [
    (op("add", A, A), "2 a"),
    (op("add", op("multiply", 2, A), op("multiply", A, 3)), "5 a"),
    (op("absorb", 1, A), "a"),
    (op("add", 0, A), "a"),
    (op("negative", op("negative", A)), "a"),
    (op("add", A, op("negative", B)), "a - b"),
    (op("subtract", A, op("negative", B)), "a + b"),
    (op("multiply", A, op("reciprocal", B)), "a/b"),
    (op("power", A, 1), "a"),
    (op("power", A, 0), "1"),
    (op("multiply", A, op("multiply", 2, op("multiply", B, 3))), "6 a · b"),
    (op("multiply", A, op("square", A)), "a³"),
    (op("divide", op("square", A), A), "a"),
    (op("multiply", op("sqrt", A), op("sqrt", A)), "a"),
    (op("reciprocal", op("multiply", 0.5, A)), "2/a"),
    (op("negative", op("subtract", A, B)), "b - a"),
    (op("multiply", op("divide", A, B), op("divide", B, C)), "a/c"),
    (op("add", op("negative", A), 1), "1 - a"),
    (op("power", op("square", op("negative", A)), 0.5), "(a²)^0.5"),
    (op("subtract", op("divide", A, 2), op("divide", A, 3)), "a/6"),
]  # fmt: skip


@pytest.mark.parametrize("e, expected", SIMPLER, ids=[t for _, t in SIMPLER])
def test_simplified(e, expected):
    simple = simplify(e)
    assert text(simple) == expected
    assert value(simple) == pytest.approx(value(e), rel=4e-16 * (1 + e.count()))


def test_a_long_chain_is_no_recursion():
    e = A
    for _ in range(5000):
        e = op("add", e, B)
    assert simplify(e) is e
    assert text(e).endswith("+ b")
