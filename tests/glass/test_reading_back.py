"""Random formulas, written and read back by Python itself: no parenthesis is missing."""

import re
from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradarray.glass.carry import Carrier
from gradarray.glass.expr import Expr, folded, name, number, op
from gradarray.glass.simplify import simplify
from gradarray.glass.statements import expression
from gradarray.glass.text import text

NAMES = {"a": Fraction(3, 2), "b": Fraction(-7, 4), "c": Fraction(1, 3)}
PLAIN = {"add", "subtract", "multiply", "divide"}

leaves = st.one_of(
    st.sampled_from([name(n) for n in NAMES]),
    st.integers(-3, 5).map(number),
)
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(PLAIN)), inner, inner).map(lambda t: op(*t)),
        inner.map(lambda x: op("negative", x)),
        inner.map(lambda x: op("reciprocal", x)),
        inner.map(lambda x: op("square", x)),
        st.tuples(inner, st.integers(-2, 3)).map(lambda t: op("power", t[0], t[1])),
    ),
    max_leaves=9,
)


def exact(e: Expr) -> Fraction:
    """The value, in fractions."""

    def one(e, args):
        if e.op is None:
            return NAMES[e.name] if e.name else Fraction(e.value)
        x = args[0]
        if e.op.name == "negative":
            return -x
        if e.op.name == "reciprocal":
            return 1 / x
        if e.op.name == "square":
            return x**2
        return {
            "add": lambda y: x + y,
            "subtract": lambda y: x - y,
            "multiply": lambda y: x * y,
            "divide": lambda y: x / y,
            "power": lambda y: x ** int(y),
        }[e.op.name](args[1])

    return folded(e, one)


def known(e):
    try:
        value = exact(e)
    except ZeroDivisionError:
        return None
    return value if abs(value.numerator) < 10**60 and value.denominator < 10**60 else None


def read(line: str) -> Fraction:
    """What a line of text says, by Python's own rules."""
    raised = "⁰¹²³⁴⁵⁶⁷⁸⁹"
    digits = lambda found: "**" + "".join(str(raised.index(c)) for c in found[0])
    line = re.sub(f"[{raised}]+", digits, line)
    line = line.replace("^", "**").replace("·", "*")
    line = re.sub(r"(?<=\d) (?=[a-z(])", " * ", line)  # 2 a
    line = re.sub(r"(?<![\w*.])(\d+)(?!\w)", r"F(\1)", line)
    space = {**NAMES, "F": Fraction}
    return eval(line, space)


@settings(max_examples=600, deadline=None)
@given(formulas)
def test_text_is_read_back(e):
    value = known(e)
    assume(value is not None)
    assert read(text(e, digits=None)) == value


@settings(max_examples=600, deadline=None)
@given(formulas)
def test_what_is_simplified_has_the_value(e):
    value = known(e)
    assume(value is not None)
    for simpler in (simplify(e), simplify(e, exact=False)):
        assert exact(simpler) == value
        assert read(text(simpler, digits=None)) == value


@settings(max_examples=400, deadline=None)
@given(formulas)
def test_python_computes_it(e):
    value = known(e)
    assume(value is not None)
    lines, code = expression(e, Carrier(), {n: n for n in NAMES})
    for line in reversed(lines):
        target, _, right = line.partition(" = ")
        code = re.sub(rf"\b{target}\b", f"({right})", code)
    assert read(code) == value
