"""Shrink: a case that fails, made as small as it still fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ...array import GradArray
from .script import TRANSFORMS, Case, Given, Line, namespace

SECONDS = 60.0


def shrunk(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case that is found by taking away one thing after the other."""
    again = True
    while again:
        again = False
        for smaller in _smaller(case):
            if fails(smaller):
                case, again = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    if len(case.results) > 1:
        for k in range(len(case.results)):
            yield replace(case, results=(case.results[k],)).pruned()
        for k in range(len(case.results)):
            yield replace(case, results=case.results[:k] + case.results[k + 1 :]).pruned()
    for line in case.lines[-2::-1]:  # an earlier value is the result
        yield replace(case, results=(line.name,)).pruned()
    if case.off:
        yield replace(case, off="")
    if not case.careful:
        yield replace(case, careful=True)
    for knob in case.eager:
        yield replace(case, eager=tuple(k for k in case.eager if k != knob))
    for name in list(TRANSFORMS)[: list(TRANSFORMS).index(case.transform)]:
        if "examples" in case.transform or "examples" not in name:
            yield _unbatched(replace(case, transform=name))
    yield from _without_a_line(case)
    yield from _simpler_givens(case)
    yield from _smaller_sizes(case)
    if case.loss != "ga.sum(y)":
        yield replace(case, loss="ga.sum(y)")


def _unbatched(case: Case) -> Case:
    """Where nothing maps over examples, one of them is left."""
    if "examples" in case.transform:
        return case
    one = lambda g: replace(
        g, batch=None, shape=tuple(n for a, n in enumerate(g.shape) if a != g.batch)
    )
    return replace(case, givens=tuple(one(g) if g.batch is not None else g for g in case.givens))


def _without_a_line(case: Case) -> Iterator[Case]:
    """Every line in turn: another name, or a new array, takes its place."""
    values = _values(case)
    for k in range(len(case.lines) - 1, -1, -1):
        line = case.lines[k]
        y = values.get(line.name)
        for other in [*sorted(line.uses), *[g.name for g in case.givens]]:
            x = values.get(other)
            if y is not None and x is not None and (x.shape, x.dtype) == (y.shape, y.dtype):
                yield _renamed(case, k, other)
        if y is None or y.dtype.kind not in "fib":
            continue
        low, high = (float(f(y)) for f in (np.min, np.max)) if y.size else (0.0, 1.0)
        kind = {"f": "float", "i": "int", "b": "bool"}[y.dtype.kind]
        number = 1 + max([int(g.name[1:]) for g in case.givens], default=0)
        high = max(high, low + 0.5) + (kind == "int")
        new = Given(f"g{number}", kind, y.shape, number, round(low, 2), round(high, 2),
                    y.dtype.name)  # fmt: skip
        yield _renamed(replace(case, givens=(*case.givens, new)), k, new.name)


def _values(case: Case) -> dict[str, np.ndarray]:
    """What the lines give, carried out one by one (of one example where vmap is)."""
    text = replace(case, transform="value").body()
    whole = text.replace("return [", "return locals() or [").replace("wrap(f)", "f")
    scope = dict(namespace())
    try:
        exec(whole, scope)
        with np.errstate(all="ignore"):
            found = scope["run"](None)
    except Exception:  # a case of examples, whose values are those of vmap only
        return {}
    return {k: x._array for k, x in found.items() if isinstance(x, GradArray)}


def _renamed(case: Case, k: int, other: str) -> Case:
    """Without line k, for which another value stands."""
    name = case.lines[k].name
    lines = [
        Line(line.name, re.sub(rf"\b{name}\b", other, line.text))
        for line in case.lines[:k] + case.lines[k + 1 :]
    ]
    results = tuple(other if r == name else r for r in case.results)
    return replace(case, lines=tuple(lines), results=results).pruned()


def _simpler_givens(case: Case) -> Iterator[Case]:
    for k, g in enumerate(case.givens):
        for simpler in (replace(g, layout="C"), replace(g, low=-2.0, high=2.0)):
            if simpler != g and (simpler.low == g.low or g.kind == "float"):
                yield replace(case, givens=(*case.givens[:k], simpler, *case.givens[k + 1 :]))
    if any(g.dtype == "float32" for g in case.givens):
        wide = [replace(g, dtype="float64") if g.dtype == "float32" else g for g in case.givens]
        yield replace(case, givens=tuple(wide))


def _smaller_sizes(case: Case) -> Iterator[Case]:
    """A number that is a size somewhere, smaller wherever it stands."""
    sizes = {n for g in case.givens for n in g.shape}
    for size in sorted(sizes, reverse=True):
        for smaller in [n for n in (1, 2, 3, 5, 16, 17, 65) if n < size]:
            givens = [
                replace(g, shape=tuple(smaller if n == size else n for n in g.shape))
                for g in case.givens
            ]
            lines = [
                Line(line.name, re.sub(rf"(?<![\w.]){size}(?![\w.])", str(smaller), line.text))
                for line in case.lines
            ]
            yield replace(case, givens=tuple(givens), lines=tuple(lines))
