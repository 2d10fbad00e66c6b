"""Which coefficients a truncated power series has, and how they combine.

A coefficient has a multi-index a: how often the series is differentiated along each of its
directions. With one direction these are the orders 0, 1, .., K. A set of them holds, with every
a, all b <= a, in positions sorted by total order, so that position 0 is the value itself.
"""

from __future__ import annotations

import functools
import itertools
import math

Index = tuple[int, ...]


class Orders:
    """A downward-closed set of multi-indices, with the sums over pairs that series need."""

    __slots__ = ("_splits", "at", "chain", "count", "half", "indices", "lower", "products")

    def __init__(self, indices: tuple[Index, ...]) -> None:
        self.indices = indices
        self.count = len(indices)
        self.at = {a: k for k, a in enumerate(indices)}
        # products[k]: the pairs (b, c) with b + c = a, all of them.
        self.products = [self._pairs(a) for a in indices]
        # half[k]: each such pair once, and whether it counts twice.
        self.half = [[(b, c, b < c) for b, c in pairs if b <= c] for pairs in self.products]
        # chain[k]: (a_i, [(b_i, b, c) with b_i > 0]) for y' = p x' along the first i with a_i > 0:
        # a_i y_a = sum of b_i x_b p_c.
        self.chain: list[tuple[int, list[tuple[int, int, int]]]] = []
        # lower[k]: (i, a_i, position of a - e_i).
        self.lower: list[tuple[int, int, int]] = []
        for a, pairs in zip(indices, self.products, strict=True):
            i = next((i for i, n in enumerate(a) if n), 0)
            terms = [(indices[b][i], b, c) for b, c in pairs if indices[b][i]]
            self.chain.append((a[i] if a else 0, terms))
            below = (*a[:i], a[i] - 1, *a[i + 1 :])
            self.lower.append((i, a[i], self.at.get(below, 0)))
        self._splits: dict[tuple[int, int], list[tuple[int, ...]]] = {}

    def _pairs(self, a: Index) -> list[tuple[int, int]]:
        out = []
        for b in itertools.product(*(range(n + 1) for n in a)):
            rest = tuple(n - m for n, m in zip(a, b))
            out.append((self.at[b], self.at[rest]))
        return sorted(out)

    def raised(self, k: int, i: int) -> tuple[int, int] | None:
        """(a_i + 1, position of a + e_i), None where the set does not have it."""
        a = self.indices[k]
        above = self.at.get((*a[:i], a[i] + 1, *a[i + 1 :]))
        return None if above is None else (a[i] + 1, above)

    def splits(self, k: int, parts: int) -> list[tuple[int, ...]]:
        """All ways to write the index as a sum of so many."""
        if parts == 1:
            return [(k,)]
        found = self._splits.get((k, parts))
        if found is None:
            found = [
                (b, *rest) for b, c in self.products[k] for rest in self.splits(c, parts - 1)
            ]
            self._splits[k, parts] = found
        return found

    def factorial(self, k: int) -> float:
        """a! = a_1! a_2! ..: a derivative is this times its coefficient."""
        return float(math.prod(math.factorial(n) for n in self.indices[k]))


@functools.lru_cache(maxsize=64)
def up_to(order: int) -> Orders:
    """0, 1, .., `order` along one direction."""
    return Orders(tuple((k,) for k in range(order + 1)))


@functools.lru_cache(maxsize=64)
def closure(wanted: tuple[Index, ...]) -> Orders:
    """The smallest set that has these."""
    found = {b for a in wanted for b in itertools.product(*(range(n + 1) for n in a))}
    return Orders(tuple(sorted(found, key=lambda a: (sum(a), tuple(-n for n in a)))))
