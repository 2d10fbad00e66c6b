"""Groups, layers, coordinates, and the languages that the picture is written in."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass import place as placing
from gradarray.glass.cards import Labels, columns
from gradarray.glass.explain import explain
from gradarray.glass.groups import Group, grouped
from gradarray.glass.layout import _crossings, layout
from gradarray.glass.numbers import shown
from gradarray.glass.place import Placed, place
from gradarray.glass.story import Row
from gradarray.glass.svg import _size
from tests.glass import stories

SVG = "{http://www.w3.org/2000/svg}"
MANY = ("textbook", "network", "tower", "kinks", "evil")


def placed(told, every=True):
    root = grouped(told.story)
    labels = Labels(told.story)
    return place(
        root, layout(root), lambda i: _size(i, labels), lambda g: every or g.is_open
    )


def levels(top: Placed):
    yield top
    for inner in top.inner.values():
        yield from levels(inner)


# Groups -------------------------------------------------------------------------------------------


def titles(group: Group):
    return [c.title for c in group.children if isinstance(c, Group)]


def test_every_row_is_in_one_group():
    for name in MANY:
        told = getattr(stories, name)()
        rows = [*grouped(told.story).rows()]
        assert len(rows) == len(set(rows)) == len(told.rows)


def test_blocks_of_one_structure_are_one_repeat():
    root = grouped(stories.tower().story)
    assert titles(root)[:2] == ["step", "Sequential ×12"] or "Sequential" in titles(root)
    repeats = [g for g in root.groups() if g.kind == "repeat"]
    assert [(g.times, g.is_open) for g in repeats] == [(12, False)]
    assert [c.title for c in repeats[0].children] == [f"{k} Block" for k in range(12)]
    # What a block owns is inside of it, and what the function was given is outside of all.
    assert {r.name for r in repeats[0].children[3].rows() if r.kind == "parameter"} == {
        "3.inner.weight", "3.inner.bias"
    }  # fmt: skip
    assert {r.name for r in root.children if isinstance(r, Row) and r.kind == "input"} == {"X", "w"}


def test_a_loop_without_a_function_repeats_too():
    root = grouped(stories.chain(40).story)
    assert titles(root) == ["sin, multiply ×40"]


def test_what_differs_is_no_repeat():
    def f(x):
        a = ga.sin(ga.exp(ga.tanh(x)))
        b = ga.cos(ga.exp(a)) + a
        return ga.sin(ga.exp(ga.tanh(b))) + ga.sqrt(b + 2.0) * a

    assert not [g for g in grouped(explain(f)(0.3).story).groups() if g.kind == "repeat"]


def test_a_group_is_made_after_all_that_comes_into_it():
    """So that a drawing in which it is one box has no cycles."""
    for name in MANY:
        root = grouped(getattr(stories, name)().story)
        for group in root.groups():
            inside = set(group.rows())
            ops = [r for r in inside if r.kind == "result"]
            outside = {x for r in ops for x in r.operands if isinstance(x, Row)} - inside
            made = [x.number for x in outside if x.kind == "result"]
            assert max(made, default=-1) < min((r.number for r in ops), default=0)


def test_too_many_rows_are_in_chunks():
    root = grouped(stories.tangle(500).story, many=300)
    assert all(len(g.children) <= 100 for g in root.groups() if g.kind in ("root", "chunk"))


# Layers and places --------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [stories.tower, stories.network, lambda: stories.tangle(150)],
                         ids=["tower", "network", "tangle"])  # fmt: skip
def test_nothing_lies_on_anything_else(told):
    for level in levels(placed(told())):
        boxes = []
        for layer in level.level.layers:
            for a, b in pairwise(layer):
                room = (level.size[a][0] + level.size[b][0]) / 2
                assert level.x[b] - level.x[a] >= room - 1e-6
            boxes += [(level.x[i], level.y[i], *level.size[i]) for i in layer if i.kind != "via"]
        assert all(x - w / 2 >= -1e-6 and x + w / 2 <= level.width + 1e-6 for x, _, w, _ in boxes)
        for upper, lower in pairwise(level.level.layers):
            if upper and lower:
                bottom = max(level.y[i] + level.size[i][1] / 2 for i in upper)
                assert bottom <= min(level.y[i] - level.size[i][1] / 2 for i in lower) + 1e-6 or (
                    lower[0].kind == "out" or upper[0].kind == "in"
                )


def test_edges_run_down_from_layer_to_layer():
    for level in levels(placed(stories.tangle(150))):
        for layer in level.level.layers:
            for item in layer:
                assert all(end.layer == item.layer + 1 for end in item.below)


def test_every_operand_has_its_label():
    told = stories.tangle(80)
    level = placed(told)
    uses = {i.use for part in levels(level) for la in part.level.layers for i in la if i.use}
    wanted = {(r, k) for r in told.rows for k, x in enumerate(r.operands) if isinstance(x, Row)}
    assert uses == wanted


def test_a_tree_is_drawn_without_crossings():
    """Eight leaves that are given in no good order, added in pairs."""
    def f(a, b, c, d, e, f, g, h):
        first = (ga.exp(a) * ga.sin(e)) + (ga.exp(c) * ga.sin(g))
        return first * ((ga.exp(b) * ga.sin(h)) + (ga.exp(d) * ga.sin(f)))

    for level in levels(placed(explain(f)(*np.linspace(0.1, 0.8, 8)))):
        assert sum(map(_crossings, level.level.layers)) == 0


def test_places_are_the_nearest_ones():
    """Against a solver of the same least squares, with the distances as constraints."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    for _ in range(10):
        wish, weight, need = rng.normal(0, 30, 6), rng.uniform(0.5, 3, 6), rng.uniform(5, 20, 5)

        def off(p, wish=wish, weight=weight):
            return weight @ (p - wish) ** 2

        def room(p, need=need):
            return np.diff(p) - need

        start = np.concatenate([[0], np.cumsum(need)])
        best = minimize(off, start, constraints={"type": "ineq", "fun": room}, tol=1e-12)
        mine = placing._spread([*wish], [*weight], [*need])
        np.testing.assert_allclose(mine, best.x, atol=1e-4)


# Languages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANY)
def test_the_svg_is_one_and_says_all(name):
    told = getattr(stories, name)()
    tree = ElementTree.fromstring(told.svg())
    assert tree.find(f"{SVG}title").text == f"How {told.result.name} came about"
    assert tree.get("role") == "img" and tree.get("aria-label")
    words = "\n".join(tree.itertext())
    assert f"value {shown(told.result.value)}" in tree.find(f"{SVG}desc").text
    names = {r.name for r in told.rows} if name != "tower" else {"X", "w"}
    assert all(n in words for n in names)
    allowed = {"svg", "title", "desc", "style", "rect", "text", "path", "g"}
    assert {e.tag.removeprefix(SVG) for e in tree.iter()} <= allowed
    assert not any(k.startswith("on") for e in tree.iter() for k in e.attrib)


def test_the_svg_has_numbers_and_local_derivatives():
    told = stories.textbook()
    words = [e.text for e in ElementTree.fromstring(told.svg()).iter(f"{SVG}text")]
    for row in told.rows:
        assert shown(row.value) in words
        assert f"∂ {shown(row.adjoint)}" in words
    assert {"2 x = 1", "exp(a) = 1.28403", "1/(2 sqrt(c)) = 0.403695"} <= set(words)


def test_a_word_of_east_asia_is_twice_as_wide():
    assert columns("값") == 2 and columns("abc") == 3 and columns("e\u0301") == 1


def test_dot_names_each_node_and_edge_once():
    text = stories.tower().dot()
    nodes = re.findall(r"^\s+([rg]\d+) \[", text, re.M)
    assert len(nodes) == len(set(nodes))
    edges = re.findall(r"^\s+([rg]\d+) -> ([rg]\d+)", text, re.M)
    assert {x for edge in edges for x in edge} <= set(nodes)
    assert "×12" in text and text.count("{") == text.count("}")


def test_mermaid_has_no_markup_of_users():
    text = stories.evil().mermaid()
    assert text.startswith("flowchart TB\n")
    assert not re.search(r"<(?!br>)", text) and "#60;script#62;" in text


def test_dot_quotes_what_users_named():
    text = stories.evil().dot()
    label = re.search(r'label="(.*?)(?<!\\)", shape=ellipse\];\n.*$', text, re.M)
    assert label and '\\"&' in text
