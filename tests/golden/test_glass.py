"""What the explainer says of the textbook cases, kept word for word, in both languages."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass.page.write import page, page_data
from gradarray.glass.words import WORDS

HERE = Path(__file__).parent / "glass"


def book(x):
    a = x**2
    b = ga.exp(a)
    c = a + b
    d = ga.sqrt(c)
    e = ga.cos(c)
    return d + e


def price(apple, count, tax):
    total = apple * count
    return total * tax


def loss(X, W1, b1, W2, b2):
    h = ga.tanh(X @ W1 + b1)
    p = h @ W2 + b2
    return ga.mean((p - 1.0) ** 2)


def grid(*shape):
    """Numbers that every machine has alike."""
    return (np.arange(1.0, np.prod(shape) + 1) % 7 - 3).reshape(shape) / 4


CASES = {
    "book": (book, (1.5,)),
    "price": (price, (100, 2, 1.1)),
    "network": (loss, (grid(4, 2), grid(2, 3), grid(3), grid(3, 1), grid(1))),
}


def told(name):
    f, args = CASES[name]
    return ga.explain(f)(*args)


@pytest.mark.parametrize("lang", WORDS)
@pytest.mark.parametrize("name", CASES)
def test_table(golden, name, lang):
    golden(HERE / f"{name}-table-{lang}.txt", told(name).table(lang=lang) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_latex(golden, name):
    golden(HERE / f"{name}.tex", told(name).latex() + "\n")


class Outline(HTMLParser):
    """Elements with what names them, indented; scripts, styles and drawings left out."""

    VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self):
        super().__init__()
        self.lines, self.depth, self.skipped = [], 0, 0

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style", "svg", "math"):
            self.skipped += 1
        if not self.skipped:
            kept = [f'{k}="{v}"' for k, v in attrs if k not in ("content", "style", "d")]
            self.lines.append("  " * self.depth + " ".join([tag, *kept]))
        if tag not in self.VOID:
            self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= tag not in self.VOID
        self.skipped -= tag in ("script", "style", "svg", "math")

    def handle_data(self, data):
        if data.strip() and not self.skipped:
            self.lines.append("  " * self.depth + " ".join(data.split()))


@pytest.mark.parametrize("lang", WORDS)
def test_the_pages_elements(golden, lang):
    outline = Outline()
    outline.feed(page(told("network").story, lang))
    golden(HERE / f"page-{lang}.txt", "\n".join(outline.lines) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_the_pages_cards_and_groups(golden, name):
    """What the script draws: cards, groups, layers; sizes follow from the letters."""
    data = page_data(told(name).story, "en", False, False)
    lines = [f"card {head} | {value} | {adjoint}" for head, value, adjoint, *_ in data["cards"]]
    for group in data["groups"]:
        lines.append(f"group {group['kind']} {group['title']!r}, rows {group['rows']}")
    for k, level in enumerate(data["levels"]):
        lines.append(f"layers {k}: {[len(layer) for layer in level['layers']]}")
    golden(HERE / f"{name}-page.txt", re.sub(r" +$", "", "\n".join(lines), flags=re.M) + "\n")
