"""python -m gradarray.testing.proof DOCS: everything, by two processes; a few minutes."""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path

from .choices_page import choices_page
from .measure import Row
from .page import page, unexplained
from .rows import NoDefinition, entries, judged

PROCESSES = 2


def main(docs: Path) -> int:
    start = time.perf_counter()
    (docs / "choices.md").write_text(choices_page(), encoding="utf-8")
    names = [entry.name for entry in entries()]
    rows: list[Row] = []
    undefined: list[NoDefinition] = []
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for k, found in enumerate(pool.imap(judged, names), 1):
            if isinstance(found, NoDefinition):
                undefined.append(found)
            else:
                rows += found
            if sys.stderr.isatty():
                print(f"\r{k} of {len(names)} functions", end="", file=sys.stderr)
    if undefined:
        print(*undefined, sep="\n", file=sys.stderr)
        return 1
    (docs / "derivatives.md").write_text(page(rows), encoding="utf-8")
    print(f"\n{len(names)} functions in {time.perf_counter() - start:.0f} s: {docs}/derivatives.md")
    open_ones = unexplained(rows)
    for name, kind in open_ones:
        print(f"a miss without a reason: {name}, {kind}", file=sys.stderr)
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")))
