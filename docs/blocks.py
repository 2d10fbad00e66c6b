"""The Python blocks of a page, run from top to bottom as if they stood in one file.

`python docs/blocks.py page.md [folder]` runs a page and prints what it prints; what its code saves
goes into the folder (by default the current one). With `--write` what it prints is written into its
text blocks, to be read in a diff.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import linecache
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line where that begins, the prose before it."""

    language: str
    body: str
    line: int
    before: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found, end = [], 0
    for m in BLOCK.finditer(text):
        line = text.count("\n", 0, m.start(2))
        found.append(Block(m[1], m[2], line, text[end : m.start()]))
        end = m.end()
    return found


def run(page: Path, scope: dict[str, Any], file: str = "lesson.py") -> Iterator[tuple[Block, str]]:
    """Run each Python block in `scope`; give it, and what it printed.

    A line of their code is told as one of `file`, which holds them one after another.
    """
    lines: list[str] = []
    for block in blocks(page):
        if block.language != "python":
            continue
        start = len(lines)
        lines += block.body.splitlines(keepends=True)
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * start + block.body, file, "exec", dont_inherit=True), scope)
        except Exception as error:
            error.add_note(f"in the block of {page.name} at line {block.line}")
            raise
        yield block, printed.getvalue()


def rewrite(page: Path, file: str = "lesson.py") -> None:
    """Run a page and put what its blocks print into the text blocks behind them."""
    printed = {block.line: out for block, out in run(page, {"__name__": page.stem}, file)}
    lines = page.read_text("utf-8").splitlines(keepends=True)
    found = blocks(page)
    for block, after in list(itertools.pairwise(found))[::-1]:
        if block.line in printed and after.language == "text" and not after.before.strip():
            lines[after.line : after.line + after.body.count("\n")] = [printed[block.line]]
    page.write_text("".join(lines), "utf-8")


def main(arguments: list[str]) -> None:
    page, *rest = [Path(x).absolute() for x in arguments if x != "--write"]
    if "--write" in arguments:
        with tempfile.TemporaryDirectory() as saved, contextlib.chdir(saved):
            rewrite(page)
        return
    with contextlib.chdir(rest[0] if rest else "."):
        for _, printed in run(page, {"__name__": page.stem}):
            print(printed, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
