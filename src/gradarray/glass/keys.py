"""Which expressions are equal: a number that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .expr import Expr, folded, plain


class Keys:
    """Numbers for expressions; only equal ones have the same."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}
        self._numbers: dict[Any, int] = {}
        self._alive: list[Expr] = []  # what `_of` knows by id

    def __call__(self, e: Expr) -> int:
        found = self._of.get(id(e))
        if found is None:
            found = folded(e, self._one)
        return found

    def _one(self, e: Expr, args: list[int]) -> int:
        if e.op is not None:
            order = sorted(args) if e.op.name in ("add", "multiply") else args
            what = e.op.name, tuple(order), e.which, *map(frozen, e.params.items())
        elif e.name:
            what = "name", e.name
        else:
            what = "constant", frozen(e.value)
        found = self._numbers.setdefault(what, len(self._numbers))
        self._of[id(e)] = found
        self._alive.append(e)
        return found


def frozen(x: Any) -> Any:
    """Something hashable that only equal values share."""
    if isinstance(x, (tuple, list)):
        return tuple([frozen(part) for part in x])
    if isinstance(x, slice):
        return "slice", x.start, x.stop, x.step
    if isinstance(x, np.generic) or (isinstance(x, np.ndarray) and not x.ndim):
        return frozen(x.item())
    if isinstance(x, (int, float, complex, bool)):
        return type(x).__name__ if x != x else repr(plain(x))
    return x if isinstance(x, str) or x is None else id(x)
