"""The examples of docs/complex.md run, and its table says what the other transforms do."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "complex.md"


def test_the_examples_run():
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, count = doctest.testfile(str(PAGE), module_relative=False, optionflags=flags)
    assert count >= 10 and not failed
