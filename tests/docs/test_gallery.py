"""The gallery: every page runs, prints what it shows, saves its page, and has its picture."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from docs.blocks import blocks, run

DOCS = Path(__file__).parents[2] / "docs"
GALLERY = DOCS / "gallery"


def script(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures = script(GALLERY / "pictures.py")


def form(svg: str) -> str:
    """A picture without its numbers, whose last digits are the machine's."""
    return re.sub(r"-?\d+(\.\d*)?(e-?\d+)?", "#", svg)


@pytest.mark.parametrize("page", pictures.PAGES, ids=lambda page: page.stem)
def test_a_page_runs_saves_itself_and_is_drawn(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    shown = "".join(block.body for block in found if block.language == "text")
    scope = {"__name__": page.stem}
    assert "".join(printed for _, printed in run(page, scope, f"{page.stem}.py")) == shown
    assert [path.name for path in tmp_path.iterdir()] == [f"{page.stem}.html"]
    assert (tmp_path / f"{page.stem}.html").stat().st_size < 500_000

    kept = (GALLERY / "figures" / f"{page.stem}.svg").read_text("utf-8")
    assert form(scope["e"].svg()) == form(kept)  # else: python docs/gallery/pictures.py
    text = page.read_text("utf-8")
    assert re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text) == [f"figures/{page.stem}.svg"]
    assert "**Look for**" in text


def test_the_list_has_every_page_and_no_picture_is_left_over():
    listed = re.findall(r"\]\(([\w-]+)\.md\)", (GALLERY / "README.md").read_text("utf-8"))
    assert sorted(listed) == [page.stem for page in pictures.PAGES]
    assert sorted(p.stem for p in (GALLERY / "figures").iterdir()) == sorted(listed)


def test_the_figures_of_lesson_16_are_what_the_script_draws(monkeypatch):
    figures = script(DOCS / "lessons" / "figures.py")
    drawn = {name for name in figures.FIGURES if name.startswith("16-")}
    assert drawn
    for name in drawn:
        kept = (DOCS / "lessons" / "figures" / f"{name}.svg").read_text("utf-8")
        assert form(figures.FIGURES[name]()) == form(kept)  # else: python docs/lessons/figures.py
