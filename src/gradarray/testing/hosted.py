"""Which ops a compiled function calls on the host, found by recording every function.

`python -m gradarray.testing.hosted docs` writes the list into docs/compiler.md.
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import tree
from ..algebra import Elementwise
from ..array import wrap
from ..compiler.assemble import assemble
from ..compiler.lower import Host
from ..compiler.record import record
from ..errors import GraphError
from ..ops.complex import imag, real
from ..registry import functions
from ..transforms.pull import grad
from ..transforms.push import jvp
from .draw import Call, calls_of, float_results
from .problem import direction, inner

START, END = "<!-- calls of the host -->\n", "<!-- end -->\n"


KINDS = ("Ops", "Elementwise functions", "Of complex numbers only")


def hosted() -> dict[str, set[str]]:
    """The names of the ops that are called in values and first derivatives, by kind."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    entries = {id(entry): entry for entry in functions.values()}.values()
    for entry in sorted(entries, key=lambda entry: entry.name):
        for call in calls_of(entry):
            for f, xs in _problems(call):
                for step in _called(f, xs):
                    elementwise = issubclass(step.op, Elementwise)
                    kind = KINDS[2 if "complex_at" in step.params else elementwise]
                    found[kind].add(step.op.name)
    for kind in KINDS[:2]:
        found[KINDS[2]] -= found[kind]
    return found


def _problems(call: Call) -> Iterator[tuple[Any, list[Any]]]:
    """A call, its gradient and its derivative along a direction."""
    rng = call.rng()
    xs = [wrap(np.asarray(x)[()]) for x in call.draw()]
    run = lambda *xs: call.run(call.entry.fn, list(xs))
    try:
        with np.errstate(all="ignore"):
            run(*xs)
    except (ValueError, TypeError):
        return  # an example of what the function refuses
    yield run, xs
    if not call.moving:
        return

    def f(*moving: Any) -> tuple[Any, ...]:
        full = list(xs)
        for k, x in zip(call.moving, moving, strict=True):
            full[k] = x
        parts = float_results(run(*full))
        pairs = ((real(y), imag(y)) if y.dtype.kind == "c" else (y,) for y in parts)
        return tuple(part for pair in pairs for part in pair)

    moving = [xs[k] for k in call.moving]
    ws = [wrap(direction(rng, np.asarray(x._data))[()]) for x in moving]
    with np.errstate(all="ignore"):
        vs = [direction(rng, y._array) for y in f(*moving)]
    yield grad(lambda *xs: inner(f(*xs), vs), tuple(range(len(moving)))), moving
    yield (lambda *xs: jvp(f, list(xs), ws)[1]), moving


def _called(f: Any, xs: list[Any]) -> Iterator[Any]:
    leaves, form = tree.flatten((tuple(xs), {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recorded = record(f, leaves, form)
    except (GraphError, ValueError):
        return  # refused: what reads values
    for item in assemble(recorded.program, recorded.suspects).items:
        if isinstance(item, Host):
            yield item.step


def section() -> str:
    """The list as it stands in docs/compiler.md."""
    found = hosted()
    lines = []
    for kind in KINDS:
        names = ", ".join(f"`{name}`" for name in sorted(found[kind]))
        lines += [*textwrap.wrap(f"{kind}: {names}.", 120), ""]
    return "\n".join(lines)


def main(folder: str) -> None:
    page = Path(folder) / "compiler.md"
    before, rest = page.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(before + START + section() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
