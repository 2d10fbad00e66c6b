"""Apart: a nest whose results have nothing in common becomes several.

Lowering puts what has one shape into one nest, also the updates of two parameters that happen to
be alike. Written apart they are the same kernel, which is compiled once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from .expr import Expr, leaf, make, topological
from .loops import Access, Buffer, Loop, Nest, Store

SHARED = 6  # operations that are worth doing once: what is less is done again
MANY = 3  # results that have something in common


def apart(body: Iterable[Any]) -> list[Any]:
    """The body with such nests taken apart, in loops, too."""
    out: list[Any] = []
    for s in body:
        if isinstance(s, Nest):
            first, s = _common_first(s)
            out += [*first, *_parts(s)]
            continue
        if isinstance(s, Loop):
            s.body = apart(s.body)
        out.append(s)
    return out


def _parts(s: Nest) -> list[Nest]:
    results = [*s.stores, *s.sums]
    if len(results) < 2:
        return [s]
    group = list(range(len(results)))

    def root(k: int) -> int:
        while group[k] != k:
            k = group[k]
        return k

    owner: dict[Any, int] = {}

    def join(key: Any, k: int) -> None:
        a, b = root(owner.setdefault(key, k)), root(k)
        group[max(a, b)] = min(a, b)

    written = {id(r.to.buffer) for r in results}
    used: list[list[Expr]] = []
    for k, r in enumerate(results):
        inside = topological([r.value])
        used.append([x for x in inside if x.op == "leaf"])
        for x in _large(inside):
            join(x, k)
        for x in used[k]:
            access = s.loads[x]
            if _moves(access) or id(access.buffer) in written:
                join(id(access.buffer), k)
        join(id(r.to.buffer), k)
    roots = sorted({root(k) for k in group})
    if len(roots) == 1:
        return [s]
    out = []
    for first in roots:
        mine = [k for k in range(len(results)) if root(k) == first]
        leaves = {x: s.loads[x] for k in mine for x in used[k]}
        stores = [results[k] for k in mine if k < len(s.stores)]
        sums = [results[k] for k in mine if k >= len(s.stores)]
        out.append(Nest(s.axes, leaves, stores, sums, s.label, s.lane))  # type: ignore[arg-type]
    return out


def _common_first(s: Nest) -> tuple[list[Nest], Nest]:
    """Of single numbers: what many results use, in a nest before, and the nest that reads it."""
    if s.axes or s.sums or len(s.stores) < MANY:
        return [], s
    users: dict[Expr, int] = {}
    for store in s.stores:
        for x in topological([store.value]):
            users[x] = users.get(x, 0) + 1
    roots = dict.fromkeys(store.value for store in s.stores)
    every = topological(roots)
    common = {x for x in _large(every) if users[x] >= MANY and x not in roots}
    outside = {a for x in every if x not in common for a in x.args}
    outer = [x for x in every if x in common and x in outside]
    if not outer:
        return [], s
    kept = [Access(Buffer(1, x.dtype)) for x in outer]
    number = itertools.count(1 + max((x.attr for x in s.loads), default=0))
    stand = {x: leaf(next(number), x.dtype) for x in outer}
    first = Nest([], dict(s.loads), [Store(at, x) for at, x in zip(kept, outer)])
    first.loads = {x: s.loads[x] for x in topological(outer) if x.op == "leaf"}
    made = _replaced(every, stand)
    stores = [Store(store.to, made[store.value]) for store in s.stores]
    loads = {**s.loads, **dict(zip((stand[x] for x in outer), kept))}
    return _parts(first), Nest([], loads, stores, [], s.label)


def _replaced(every: list[Expr], stand: dict[Expr, Expr]) -> dict[Expr, Expr]:
    """What stands for each expression, operands first, where others stand for some."""
    made: dict[Expr, Expr] = dict(stand)
    for x in every:
        if x not in made:
            args = [made[a] for a in x.args]
            changed = any(a is not b for a, b in zip(args, x.args))
            made[x] = make(x.op, *args, dtype=x.dtype, attr=x.attr) if changed else x
    return made


def _moves(access: Access) -> bool:
    return any(stride for _, stride in access.strides)


def _large(inside: list[Expr]) -> list[Expr]:
    """The expressions that take more than a few operations."""
    size: dict[Expr, int] = {}
    for x in inside:
        size[x] = min(SHARED, (x.op not in ("leaf", "const")) + sum(size[a] for a in x.args))
    return [x for x, n in size.items() if n >= SHARED]
