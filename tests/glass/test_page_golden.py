"""The structure of the page and of the picture of textbook cases, word for word."""

import re
from pathlib import Path

import pytest

import gradarray as ga
from gradarray.glass.cards import Labels, card
from gradarray.glass.explain import explain
from gradarray.glass.groups import grouped
from gradarray.glass.layout import layout
from gradarray.glass.page.write import page, page_data
from tests.glass import stories

GOLDEN = Path(__file__).parents[1] / "golden" / "pages"


def apple():
    """An apple's price: two apples at 100 each, with a tax of a tenth."""

    def price(apple, number, tax):
        fruit = apple * number
        return fruit * tax

    return explain(price)(100.0, 2.0, 1.1)


def layer():
    """A layer that adds a row to every sample."""

    def loss(x, w, b):
        h = ga.tanh(x @ w + b)
        return ga.sum(h**2)

    x = ga.array([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]])
    return explain(loss)(x, ga.array([[0.5, -0.25], [1.0, 0.0]]), ga.array([0.125, 0.25]))


CASES = {"textbook": stories.textbook, "apple": apple, "layer": layer}


def skeleton(text: str) -> str:
    """The page without its style, script, data and policy, which are not of one case."""
    for tag in ("style", "script"):
        text = re.sub(rf"(<{tag}[^>]*>).*?(</{tag}>)", r"\1..\2", text, flags=re.S)
    return re.sub(r"'sha256-[^']*'", "'sha256-..'", text)


def picture(told) -> str:
    """What stands in which layer, in order, and what is written there."""
    root = grouped(told.story)
    labels = Labels(told.story)
    lines = []
    for group, level in layout(root).items():
        lines.append(f"group {group.number}: {group.kind} {group.title}".rstrip())
        for layer in level.layers:
            words = []
            for item in layer:
                if item.kind == "row":
                    one = card(item.row)
                    words.append(f"[{one.head} | {one.value} | {one.adjoint}]")
                elif item.kind == "label":
                    words.append(labels(item) or "-")
                else:
                    words.append(f"{item.kind} {item.row.name if item.row else item.group.number}")
            lines.append("    " + "   ".join(words))
    return "\n".join(lines)


def panels(told, lang: str) -> str:
    """What the panel tells of each value."""
    data = page_data(told.story, lang, paths=False)
    lines = []
    for row in data["story"]["rows"]:
        lines.append(f"{row['name']} ({data['words'][row['kind']]}) = {row['formula']}"
                     f" = {row['plugged']} = {row['value']['shown']}")  # fmt: skip
        lines += [f"    {row['math'][key]}" for key in ("symbol", "formula", "plugged")]
        for term in row["terms"]:
            math = term["math"]["local"] or term["math"]["whole"]
            lines.append(f"    by {term['to']}: {term['local']} / {math} / {term['value']['shown']}"
                         f" {term['sums'] or ''}".rstrip())  # fmt: skip
        if row["adjoint"]:
            lines.append(f"    {row['symbol']} = {row['adjoint']['shown']}")
    return "\n".join(lines)


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", CASES)
def test_the_page_word_for_word(name, lang, golden):
    told = CASES[name]()
    parts = [skeleton(page(told.story, lang)), picture(told), panels(told, lang)]
    golden(GOLDEN / f"{name}.{lang}.txt", "\n\n".join(parts) + "\n")
