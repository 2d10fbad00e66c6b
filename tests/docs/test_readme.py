"""The README's Python runs, top to bottom, and prints what the README shows."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_code_prints_what_stands_behind_it():
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|text)\n(.*?)```", text, re.S)
    space: dict[str, object] = {}
    printed = ""
    shown = 0
    for kind, body in blocks:
        if kind == "python":
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream):
                exec(compile(body, "README.md", "exec"), space)
            printed = stream.getvalue()
        else:
            shown += 1
            for line, expected in zip(printed.splitlines(), body.splitlines(), strict=True):
                pattern = re.escape(expected).replace(r"\.\.\.", ".*")
                assert re.match(pattern, line), f"README shows {expected!r}, printed {line!r}"
    assert shown >= 5


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
