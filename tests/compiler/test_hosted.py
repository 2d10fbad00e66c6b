"""docs/compiler.md names the ops that compiled functions call on the host."""

from pathlib import Path

from gradarray.testing.hosted import END, START, section

PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"


def test_the_list_is_what_is_found():
    listed = PAGE.read_text(encoding="utf-8").split(START)[1].split(END)[0]
    assert listed == section(), "write it anew: python -m gradarray.testing.hosted docs"
