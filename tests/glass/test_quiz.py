"""Blanks to fill in: of the textbook's example, with answers computed here."""

import io
import math

import numpy as np
import pytest

import gradarray as ga


def f(x):
    a = x**2
    b = ga.exp(a)
    c = a + b
    d = ga.sqrt(c)
    e = ga.cos(c)
    return d + e


A = 1.5**2
B = math.exp(A)
C = A + B
FC = 1 / (2 * math.sqrt(C)) - math.sin(C)
RIGHT = {
    "a": A, "b": B, "c": C, "d": math.sqrt(C), "e": math.cos(C), "f": math.sqrt(C) + math.cos(C),
    "∂a/∂x": 3.0, "∂b/∂a": B, "∂c/∂a": 1.0, "∂c/∂b": 1.0, "∂d/∂c": 1 / (2 * math.sqrt(C)),
    "∂e/∂c": -math.sin(C), "∂f/∂d": 1.0, "∂f/∂e": 1.0, "∂f/∂c": FC, "∂f/∂b": FC,
    "∂f/∂a": FC * B + FC, "∂f/∂x": (FC * B + FC) * 3.0,
}  # fmt: skip


def test_it_asks_for_everything_once():
    quiz = ga.quiz(f)(1.5)
    assert [blank.symbol for blank in quiz.blanks] == list(RIGHT)
    assert quiz.score == (0, len(RIGHT)) and str(quiz).count("____") == len(RIGHT)


def test_right_answers_fill_in_and_wrong_ones_do_not():
    quiz = ga.quiz(f)(1.5)
    for symbol, right in RIGHT.items():
        assert not quiz.answer(symbol, right * 1.02 + 0.02)
        if abs(right) > 1e-3:
            assert quiz.answer(symbol, -right).words == "not yet: look at the sign"
        assert quiz.answer(symbol.replace("∂", "d"), f"{right:.4g}"), symbol
    assert quiz.score == (len(RIGHT), len(RIGHT)) and "____" not in str(quiz)


def test_formulas_in_known_names_are_answers():
    quiz = ga.quiz(f)(1.5)
    assert quiz.answer("a", "x^2") and quiz.answer("b", "exp(a)")
    assert quiz.answer("∂a/∂x", "2*x")
    assert "not known yet" in quiz.answer("d", "sqrt(c)").words
    assert "cannot be read" in quiz.answer("c", "a +").words


@pytest.mark.parametrize(
    "evil",
    ["__import__('os').system('true')", "().__class__", "x.real", "9**9**9**9", "open('x')", "[]"],
)
def test_nothing_but_arithmetic_is_carried_out(evil):
    assert not ga.quiz(f)(1.5).answer("a", evil)


def test_an_unknown_blank_is_named():
    with pytest.raises(KeyError, match="there is no blank"):
        ga.quiz(f)(1.5).answer("zz", 1)


def test_arrays_have_blanks_too():
    quiz = ga.quiz(lambda x: (x * 2).sum())(np.array([1.0, 2.0]))
    assert quiz.answer("v1", [2, 4]) and quiz.answer("dy/dx", "[2, 2]")
    assert "shape" in quiz.answer("v1", 2.0).words


def test_in_the_terminal():
    lines = ["2.25", "9.4", "9.488", "", "q"]  # right, wrong, right, shown, end
    out = io.StringIO()
    assert ga.quiz(f)(1.5).ask(io.StringIO("\n".join(lines) + "\n"), out) == (1, len(RIGHT))
    text = out.getvalue()
    assert text.startswith("Given: x = 1.5") and "not yet" in text and "it is 11.7377" in text
    assert text.rstrip().endswith(f"1 of {len(RIGHT)} right at once.")


def test_the_terminal_may_end_at_any_time():
    assert ga.quiz(f)(1.5).ask(io.StringIO(""), io.StringIO()) == (0, len(RIGHT))


def test_as_a_page(tmp_path):
    ga.quiz(f)(1.5).save(tmp_path / "quiz.html", lang="ko")
    text = (tmp_path / "quiz.html").read_text(encoding="utf-8")
    assert 'lang="ko"' in text and '"quiz":[' in text
