"""docs/choices.md is what the table of choices says."""

from pathlib import Path

from gradarray.testing.proof.choices_page import choices_page

PAGE = Path(__file__).parents[2] / "docs" / "choices.md"


def test_the_page_is_that_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == choices_page(), "write it anew: make proof"
