"""Merge: products that add to one place are one statement.

A weight's gradient is a sum over the channels that meet it: a value, its tangents, each with its
own product. In a tile all of them add to one place, and the sums stay in registers from the first
pair to the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .loops import Contract, accesses, walk


def merged(body: list[Any]) -> list[Any]:
    """The statements of a tile with the products that add to one place as one, at the last."""
    groups: dict[Any, list[int]] = {}
    for at, s in enumerate(body):
        if isinstance(s, Contract) and s.add and not s.more:
            form = (
                s.c, s.rows, s.inner, s.columns, s.c_strides, s.a_strides, s.b_strides, s.lanes,
                s.outer, s.depth,
            )  # fmt: skip
            groups.setdefault(form, []).append(at)
    out: list[Any] = list(body)
    for places in groups.values():
        if len(places) < 2 or _touched(body, places):
            continue
        last = body[places[-1]]
        more = [pair for at in places[:-1] for pair in body[at].pairs]
        out[places[-1]] = replace(last, more=tuple(more))
        for at in places[:-1]:
            out[at] = None
    return [s for s in out if s is not None]


def _touched(body: list[Any], places: list[int]) -> bool:
    """Is something that the products read, or their sum, touched by others in between?"""
    used = {x.buffer for at in places for pair in body[at].pairs for x in pair}
    target = body[places[0]].c.buffer
    first = {x: at for at in reversed(places) for pair in body[at].pairs for x in
             (pair[0].buffer, pair[1].buffer)}  # fmt: skip
    for at in range(places[0], places[-1]):
        if at in places:
            continue
        for access, written in _every(body[at]):
            if access.buffer is target:
                return True
            if written and access.buffer in used and first[access.buffer] < at:
                return True
    return False


def _every(s: Any) -> Iterable[Any]:
    for inner in walk([s]):
        yield from accesses(inner)
