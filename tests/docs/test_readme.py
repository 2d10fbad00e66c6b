"""The README's Python runs, top to bottom, and prints what the README shows."""

import itertools
import re
from pathlib import Path

from docs.blocks import blocks, run

README = Path(__file__).parents[2] / "README.md"


def test_the_code_prints_what_stands_behind_it():
    found = blocks(README)
    printed = {block.line: out for block, out in run(README, {"__name__": "readme"}, "example.py")}
    shown = 0
    for block, after in itertools.pairwise(found):
        if after.language != "text":
            continue
        shown += 1
        assert block.language == "python"
        lines = zip(printed[block.line].splitlines(), after.body.splitlines(), strict=True)
        for line, expected in lines:
            pattern = re.escape(expected).replace(r"\.\.\.", ".*")
            assert re.fullmatch(pattern, line), f"README shows {expected!r}, printed {line!r}"
    assert shown >= 5


def test_the_first_screen_shows_the_table_of_example_5_14():
    first = blocks(README)[:2]
    assert "print(ga.explain(f)" in first[0].body
    told = first[1].body
    assert first[1].line < 60
    names = re.findall(r"^  (\w)(?: = .*?)? +=", told, re.M)[:7]
    assert names == ["x", "a", "b", "c", "d", "e", "f"]
    swept = re.findall(r"^  ∂f/∂(\w) =", told.split("Backward")[1], re.M)
    assert swept == ["c", "b", "a", "x"]


def test_the_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        page = README.parent / name
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name} links to {target}"


def test_it_opens_with_what_a_user_can_do_and_two_commands():
    first = README.read_text(encoding="utf-8").splitlines()[:8]
    assert any("make demo" in line for line in first)
    assert any("make test" in line for line in first)
