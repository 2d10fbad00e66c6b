"""The documentation site: `python docs/website/build.py [folder]`, or `make docs`.

The sources are laid out once more as they lie in the repository, so that their links hold, with
what only the site has: a table of contents, a reference made from docstrings, and the pages that
the code of lessons and of the gallery saves, each in the place of its picture. Warnings are errors.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.absolute()
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]

from blocks import run  # noqa: E402
from reference import Reference  # noqa: E402

COPIED = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "benchmarks/*.md", "docs/**/*.md",
          "docs/**/*.svg", "docs/twin/*.py", "docs/lessons/*.py", "docs/gallery/*.py",
          "docs/blocks.py")  # fmt: skip
CONTENTS = {
    "Learn": (
        "docs/twin/README", "docs/lessons/README", "docs/lessons/README.ko", "docs/gallery/README",
        "examples",
    ),
    "Look up": (
        "reference/index", "docs/complex", "docs/choices", "docs/derivatives", "docs/functions",
        "benchmarks/index",
    ),
    "Inside": (
        "docs/core", "docs/compiler", "docs/glass", "docs/decisions", "CONTRIBUTING", "CHANGELOG",
    ),
}  # fmt: skip
MEASURED = (
    "# Measured\n\nHow fast and how exact, beside others; each page says how it was measured.\n"
)
IMAGE = re.compile(r"^!\[([^\]]+)\]\(figures/(?:\d\d-)?([\w-]+)\.svg\)$", re.MULTILINE)


def toctree(names: Any, caption: str = "", hidden: bool = True) -> str:
    options = [*([":hidden:"] if hidden else []), *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *names, "```", ""])


def stage(source: Path) -> None:
    """Lay out the sources of the site."""
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    contents = "".join(toctree(names, caption) for caption, names in CONTENTS.items())
    (source / "index.md").write_text((ROOT / "README.md").read_text("utf-8") + contents, "utf-8")
    examples(source)
    measured = sorted(path.stem for path in (source / "benchmarks").glob("*.md"))
    (source / "benchmarks/index.md").write_text(MEASURED + toctree(measured, hidden=False), "utf-8")
    docs = source / "docs"
    lessons = sorted(path.stem for path in docs.glob("lessons/[0-9e]*.md"))
    append(docs / "lessons/README.md", toctree(x for x in lessons if not x.endswith(".ko")))
    append(docs / "lessons/README.ko.md", toctree(x for x in lessons if x.endswith(".ko")))
    append(docs / "twin/README.md", toctree(["README.ko"]))
    listed = re.findall(r"\]\(([\w-]+)\.md\)", (docs / "gallery/README.md").read_text("utf-8"))
    append(docs / "gallery/README.md", toctree(listed))
    for page in [*docs.glob("lessons/[0-9]*.md"), *docs.glob("gallery/*.md")]:
        if '.save("' in page.read_text("utf-8"):
            embed(page, source / "pages")
    Reference().write(source / "reference")


def append(page: Path, text: str) -> None:
    page.write_text(page.read_text("utf-8") + text, "utf-8")


def embed(page: Path, pages: Path) -> None:
    """Run the code of a page, and put what it saves in the place of pictures."""
    folder = pages / "explained" / page.stem
    folder.mkdir(parents=True)
    korean = page.stem.endswith(".ko")
    with contextlib.chdir(folder):
        for _ in run(page, {"__name__": page.stem}, f"{page.stem}.py"):
            pass

    def frame(m: re.Match[str]) -> str:
        saved = folder / f"{m[2]}{'.ko' if korean else ''}.html"
        if not saved.exists():
            return m[0]
        href, title = f"../../explained/{page.stem}/{saved.name}", escape(m[1], quote=True)
        words = "페이지를 따로 열기" if korean else "Open the page by itself"
        return (
            f'<iframe class="explained" src="{href}" title="{title}" loading="lazy"></iframe>\n'
            f'<p class="open-page"><a href="{href}">{words}</a></p>\n'
        )

    page.write_text(IMAGE.sub(frame, page.read_text("utf-8")), "utf-8")


def examples(source: Path) -> None:
    """The programs in examples/, each with what it says of itself."""
    out = ["# Examples\n", "Programs of a page or two that run as they stand.\n"]
    for path in sorted((ROOT / "examples").glob("*.py")):
        code = path.read_text("utf-8")
        out.append(f"## {path.name}\n\n```python\n{code.rstrip()}\n```\n")
    (source / "examples.md").write_text("\n".join(out), "utf-8")


def main(folder: Path) -> int:
    from sphinx.cmd.build import build_main

    folder = folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    source, html = folder / "source", folder / "html"
    source.mkdir(parents=True)
    stage(source)
    code = build_main([
        *("-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE.parent)),
        *("-D", f"html_extra_path={source / 'pages'}", str(source), str(html)),
    ])  # fmt: skip
    if code == 0:
        print(html / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/site")))
