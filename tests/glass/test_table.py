"""The table: the textbook's example word for word, states, widths, colours, and two languages."""

import io
import math
import re
import sys

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass.table import WIDTH, _width
from tests.glass import stories


def section(text, title):
    """The lines below a title."""
    lines = text.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith(title))
    out = []
    for line in lines[at + 1 :]:
        if not line.strip():
            break
        out.append(line.strip())
    return out


def test_example_5_14_of_the_book():
    """Equations (5.109) to (5.125) of Mathematics for Machine Learning, as the book has them."""
    text = str(stories.textbook())
    forward = [re.split(r"  +| = -?\d", line)[0] for line in section(text, "Forward")]
    assert forward == [
        "x", "a = x²", "b = exp(a)", "c = a + b", "d = sqrt(c)", "e = cos(c)", "f = d + e"
    ]  # fmt: skip
    value = r"(?<=\S) {2,}= -?[\d.]+$| = 1$"
    local = [re.sub(value, "", line) for line in section(text, "Local derivatives")]
    assert local == [  # where it is 1, the book says just that
        "∂a/∂x = 2 x", "∂b/∂a = exp(a)", "∂c/∂a", "∂c/∂b", "∂d/∂c = 1/(2 sqrt(c))",
        "∂e/∂c = -sin(c)", "∂f/∂d", "∂f/∂e",
    ]  # fmt: skip
    backward = section(text, "Backward")
    sums = [line for line in backward if line.startswith("∂")]
    assert sums == [
        "∂f/∂c = ∂f/∂d ∂d/∂c + ∂f/∂e ∂e/∂c",
        "∂f/∂b = ∂f/∂c ∂c/∂b",
        "∂f/∂a = ∂f/∂b ∂b/∂a + ∂f/∂c ∂c/∂a",
        "∂f/∂x = ∂f/∂a ∂a/∂x",
    ]
    plugged = [backward[k + 1] for k, line in enumerate(backward) if line.startswith("∂")]
    assert plugged == [
        "= 1 · 1/(2 sqrt(c)) + 1 · (-sin(c))",
        "= ∂f/∂c · 1",
        "= ∂f/∂b · exp(a) + ∂f/∂c · 1",
        "= ∂f/∂a · 2 x",
    ]


def test_its_numbers_are_the_closed_form():
    c = 0.25 + math.exp(0.25)
    slope = (1 / (2 * math.sqrt(c)) - math.sin(c)) * (1 + math.exp(0.25)) * 2 * 0.5
    assert section(str(stories.textbook()), "Backward")[-1] == f"= {slope:.6g}"


def test_the_price_of_apples():
    def price(apple, count, tax):
        total = apple * count
        return total * tax

    text = str(ga.explain(price)(100, 2, 1.1))
    values = [re.findall(r"= ([\d.]+)  ", line) for line in section(text, "Forward")]
    assert values == [["100"], ["2"], ["200"], ["1.1"], ["220"]]
    assert "∂price/∂tax = total" in text
    backward = section(text, "Backward")
    assert "= 110" in backward and "= 2.2" in backward


@pytest.mark.parametrize("name", ["textbook", "network", "tower", "kinks"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_it_fits_the_width(name, lang):
    text = getattr(stories, name)().table(lang=lang)
    for line in text.splitlines():
        if "=" in line and "·" not in line and "@" not in line and "+" not in line:
            assert _width(line) <= WIDTH or len(line.split("=")[0]) > 40, line


def test_broadcast_sums_have_lines():
    X, b = np.ones((4, 3)), np.zeros(3)
    text = str(ga.explain(lambda b: ((X + b) ** 2).sum())(b))
    assert "Summed over axis 0 of (4, 3), along which b was broadcast." in text


def test_states_are_honest():
    text = str(stories.kinks())
    assert re.search(r"at_kink .*relu", text) and "there is no derivative there" in text
    assert "saturated" in text and "not required" in text


def kinks_of(f, x):
    from gradarray.glass.states import subgradients

    return [k for row in ga.explain(f)(x).rows for k in subgradients(row)]


def test_kinks_are_counted_where_they_are():
    x = np.array([0.0, 1.0, -1.0, 0.0])
    (relu,) = kinks_of(lambda x: ga.relu(x).sum(), x)
    assert relu[2] == 2
    (absolute,) = kinks_of(lambda x: abs(x).sum(), x)
    assert absolute[2] == 2
    (tie,) = kinks_of(lambda x: ga.max(x), np.array([2.0, 1.0, 2.0]))
    assert tie[2] >= 1
    assert kinks_of(lambda x: ga.relu(x).sum(), np.array([1.0, -1.0])) == []


def test_states_by_row():
    from gradarray.glass.states import states

    told = ga.explain(lambda x: (ga.tanh(x * 100) + x.detach() + ga.array([1.0, 2.0])).sum())(
        np.array([5.0, -5.0])
    )
    found = {row.name: states(row) for row in told.rows}
    assert ["saturated"] in found.values()
    assert ["not required"] in found.values()

    def unused(x, y):
        return x * 2

    reached = ga.explain(unused)(1.0, 2.0)
    assert states(reached["y"]) == ["not reached"]
    with np.errstate(all="ignore"):
        bad = ga.explain(lambda x: ga.log(x) * 2)(np.float64(-1.0))
    assert "not finite" in states(bad.result)
    x = ga.array(1.0, requires_grad=True)
    y = ga.sin(x) * x
    y.backward()
    assert "freed" in states(ga.explain(y).result)


def test_long_ones_are_shortened_unless_asked():
    told = stories.chain(150)
    assert "more .." in str(told) and "print(e.table(every=True))" in str(told)
    assert "more .." not in told.table(every=True)
    assert len(told.table(every=True)) > len(str(told))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "no_colour", "coloured"),
    [(Terminal, False, True), (Terminal, True, False), (io.StringIO, False, False)],
)
def test_colour_is_for_terminals(monkeypatch, stream, no_colour, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", stream())
    told = stories.textbook()
    print(told)
    text = sys.stdout.getvalue()
    assert ("\x1b[" in text) == coloured
    assert re.sub(r"\x1b\[\d+m", "", text) == told.table() + "\n"
    assert "\x1b" not in repr(told) + told.table()


def test_codes_for_terminals_in_names_do_nothing():
    model = ga.nn.Module()
    setattr(model, "\x1b[31mred", ga.nn.Parameter(np.float64(2.0)))
    model.forward = lambda x: x * getattr(model, "\x1b[31mred")
    text = ga.explain(lambda x: model(x))(3.0).table()
    assert "\x1b" not in text


def test_korean_uses_the_words_of_the_page():
    from gradarray.glass.words import WORDS

    assert WORDS["en"].keys() == WORDS["ko"].keys()
    text = stories.kinks().table(lang="ko")
    for key in ("forward", "local", "backward", "not required", "saturated", "input"):
        assert WORDS["ko"][key] in text, key
    assert "not required" not in text and "Forward" not in text
    with pytest.raises(ValueError, match="'en' or 'ko'"):
        stories.textbook().table(lang="xx")


def test_complex_gradients_are_told_beside_adjoints():
    z = np.array([1 + 2j])
    told = ga.explain(lambda z: ga.real(z * z * z).sum())(z)
    assert "conjugate" in str(told)
    gradient = ga.grad(lambda z: ga.real(z * z * z).sum())(z).numpy()
    assert np.array_equal(np.conj(told["z"].adjoint), gradient)
