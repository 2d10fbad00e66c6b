"""The gallery's pictures: `python docs/gallery/pictures.py [folder]` draws them all anew.

Each page leaves what it explains in the name `e`; its picture is named after the page.
"""

from __future__ import annotations

import contextlib
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

GALLERY = Path(__file__).parent.absolute()
PAGES = sorted(page for page in GALLERY.glob("*.md") if page.stem != "README")


def picture(page: Path) -> str:
    scope: dict[str, Any] = {"__name__": page.stem}
    run = runpy.run_path(str(GALLERY.parent / "blocks.py"))["run"]
    with tempfile.TemporaryDirectory() as saved, contextlib.chdir(saved):
        for _ in run(page, scope, f"{page.stem}.py"):
            pass
    return scope["e"].svg()


def main(folder: Path = GALLERY / "figures") -> list[Path]:
    """Draw every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in PAGES:
        path = folder / f"{page.stem}.svg"
        path.write_text(picture(page), "utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for path in main(*map(Path, sys.argv[1:])):
        print(path)
