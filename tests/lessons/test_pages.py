"""Every lesson page runs and prints what it shows; the Korean page keeps to the English one."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from docs.blocks import BLOCK, blocks, run

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
PAGES = sorted([*LESSONS.glob("[0-9][0-9]-*.md"), *LESSONS.glob("errata*.md")])
ENGLISH = [page for page in PAGES if not page.name.endswith(".ko.md")]
IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#]+)(?:#[^)]*)?\)")


def named(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


def korean(page: Path) -> Path:
    return page.with_name(page.name.replace(".md", ".ko.md"))


def code(page: Path) -> list[str]:
    return [ast.dump(ast.parse(block.body)) for block in blocks(page) if block.language == "python"]


def outputs(page: Path) -> list[str]:
    """What a page shows as printed, an empty place for each block of code."""
    return [b.body if b.language == "text" else b.language for b in blocks(page)]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text("utf-8"))


def display_formulas(page: Path) -> list[str]:
    """What stands between $$ and $$, without the words inside it, which are translated."""
    found = re.findall(r"\$\$(.*?)\$\$", prose(page), re.DOTALL)
    return [re.sub(r"\\text\{[^}]*(\$[^$]*\$[^}]*)*\}|\s", "", formula) for formula in found]


@named(ENGLISH)  # the Korean page has the same code, and shows the same
def test_a_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it saves pages
    found = blocks(page)
    shown = {
        block.line: after.body if after.language == "text" and not after.before.strip() else ""
        for block, after in zip(found, [*found[1:], found[0]], strict=True)
    }
    for block, printed in run(page, {"__name__": page.stem}):
        assert printed == shown[block.line], f"{page.name}, line {block.line}"
    saved = {path.name for path in tmp_path.iterdir()}
    assert saved == {name for name in saves(page) if name.endswith(".html")}


def saves(page: Path) -> list[str]:
    return re.findall(r"""\.save\("([^"]+)"[,)]""", page.read_text("utf-8"))


@named(PAGES)
def test_a_text_block_is_the_output_of_the_block_before_it(page):
    found = blocks(page)
    assert found
    for before, block in zip([None, *found], found, strict=False):
        if block.language == "text":
            assert before and before.language == "python" and not block.before.strip(), (
                f"line {block.line}: text follows no python block"
            )


@named(PAGES)
def test_a_page_that_the_code_saves_has_its_picture(page):
    """The site puts the page, in the reader's language, in the place of the picture."""
    figures = [Path(image).stem for image in IMAGE.findall(prose(page))]
    for name in saves(page):
        stem = name.removesuffix(".html").removesuffix(".ko")
        assert f"{page.name[:2]}-{stem}" in figures
        assert {f"{stem}.html", f"{stem}.ko.html"} <= set(saves(page))


@named(ENGLISH)
def test_the_korean_page_has_the_same_code_formulas_and_figures(page):
    other = korean(page)
    assert code(page) == code(other)  # comments may differ
    assert outputs(page) == outputs(other)
    assert display_formulas(page) == display_formulas(other)
    assert IMAGE.findall(prose(page)) == IMAGE.findall(prose(other))
    count = [len(re.findall(r"^##+ ", prose(p), re.MULTILINE)) for p in (page, other)]
    assert count[0] == count[1] > 0
    hangul = len(re.findall("[가-힣]", prose(other)))
    assert hangul > 0.2 * len(prose(other))


@named(PAGES)
def test_a_page_has_its_number_and_links_that_lead_somewhere(page):
    text = prose(page)
    number = page.name[:2]
    assert text.startswith(f"# {int(number)}. " if number.isdigit() else "# ")
    for target in IMAGE.findall(text) + LINK.findall(text):
        assert (page.parent / target).exists(), target


def test_every_english_page_has_a_korean_one_and_the_list_has_both():
    assert [korean(page) for page in ENGLISH] == [p for p in PAGES if p not in ENGLISH]
    for name, pages in (("README.md", ENGLISH), ("README.ko.md", map(korean, ENGLISH))):
        text = (LESSONS / name).read_text("utf-8")
        assert all(f"({page.name})" in text for page in pages)


def test_the_script_draws_the_figures_that_the_pages_show(tmp_path):
    spec = importlib.util.spec_from_file_location("lesson_figures", LESSONS / "figures.py")
    assert spec and spec.loader
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    drawn = {path.name for path in figures.main(tmp_path)}
    assert all((tmp_path / name).stat().st_size < 200_000 for name in drawn)
    shown = {Path(image).name for page in PAGES for image in IMAGE.findall(prose(page))}
    kept = {path.name for path in (LESSONS / "figures").iterdir()}
    assert drawn == shown == kept
