"""Every block of Python in the documentation is run, or is the library's own source."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.blocks import blocks

ROOT = Path(__file__).parents[2]
INSIDE = ["docs/core.md", "docs/compiler.md", "docs/glass.md", "docs/decisions.md"]
# Where the blocks of other pages are run: README.md in test_readme, lessons in tests/lessons,
# the gallery in test_gallery, the twin in test_twin.
ELSEWHERE = {"README.md", "docs/lessons", "docs/gallery", "docs/twin"}


def pages(language: str) -> list[str]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in found
        if any(block.language == language for block in blocks(path))
    )


def bare(node: ast.AST) -> str:
    """A definition without docstring and annotations."""
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(part):
            del part.body[0]
    return ast.dump(node)


def definitions() -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            name = getattr(node, "name", None) or ast.unparse(node)
            found.setdefault(name, []).append(node)
    return found


@pytest.fixture(scope="module")
def source():
    return definitions()


@pytest.mark.parametrize("page", [p for p in INSIDE if p in pages("python")])
def test_what_a_page_about_the_inside_shows_is_the_source(page, source):
    for block in blocks(ROOT / page):
        if block.language != "python":
            continue
        for shown in ast.parse(block.body).body:
            name = getattr(shown, "name", None) or ast.unparse(shown)
            assert name in source, f"{page}, line {block.line}: {name} is not in the library"
            only_head = ast.unparse(getattr(shown, "body", [])[-1:] or []) == "..."
            same = []
            for real in source[name]:
                if only_head:
                    real.body = shown.body
                same.append(bare(real) == bare(shown))
            assert any(same), f"{page}, line {block.line}: {name} is not as in the library"


@pytest.mark.parametrize("page", pages("pycon"))
def test_examples_with_prompts_run(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, count = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=flags)
    assert count and not failed


def test_no_page_has_a_block_that_nothing_runs():
    for page in pages("python"):
        assert page in INSIDE or page in ELSEWHERE or Path(page).parent.as_posix() in ELSEWHERE
    for page in ("README.md", "docs/lessons", "docs/gallery", "docs/twin"):
        assert (ROOT / page).exists()


def test_the_op_of_the_contributing_page_passes_its_tests():
    """In a process of its own, since it enters the op in the registry."""
    (block,) = [b for b in blocks(ROOT / "CONTRIBUTING.md") if b.language == "diff"]
    added = re.sub(r"^\+", "", block.body, flags=re.M)
    code = (
        "import numpy as np\n"
        "from gradarray.algebra import Elementwise\n"
        "from gradarray.ops.powers import square\n"
        "from gradarray.short import elementwise\n"
        f"{added}\n"
        "from gradarray.testing import check_op\n"
        "check_op('softsine')\n"
        "print(softsine(3.0).item())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert abs(float(ran.stdout.splitlines()[-1]) - 3 / 10**0.5) < 1e-15
