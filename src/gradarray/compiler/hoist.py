"""Hoist: sums over the steps of a loop that are one product after it.

The cotangent of a matrix that every step multiplies with is a sum of products, one a step. Their
factors are stacked instead, and multiplied once: steps and examples are then summed in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..graph import mode
from ..ops.arithmetic import AddGrad
from ..ops.contract import MatMulGrad
from ..ops.einsum import ContractGrad, contract
from ..ops.shape import TransposeGrad
from .abstract import Abstract
from .program import Step

LEAST = 4096  # multiplications a step, below which a sum in the loop costs less


@dataclass
class Product:
    """A term of the sum: factors of one step with the labels of their axes, turned afterwards."""

    a: Abstract
    b: Abstract
    labels: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    turns: list[Step]

    def of_all(self, a: Any, b: Any) -> Any:
        """The sum over all steps, from stacked factors."""
        la, lb, ly = self.labels
        y = contract(a, b, (-1, *la), (-1, *lb), ly)
        for step in reversed(self.turns):
            y = mode.trace.run(step.op, [y], step.params)
        return y


def products_of(total: Any) -> list[Product] | None:
    """The products whose sum this value of a body is; None if it is not only that."""
    terms, found = [total], []
    while terms:
        x = terms.pop()
        step = x.step if type(x) is Abstract else None
        if step is None:
            return None
        if step.op is AddGrad and all(
            type(y) is Abstract and y.shape == x.shape for y in step.operands
        ):
            terms += step.operands
            continue
        product = _product(x)
        if product is None:
            return None
        found.append(product)
    return found


def _product(x: Abstract) -> Product | None:
    turns = []
    step = x.step
    while step is not None and step.op is TransposeGrad:
        turns.append(step)
        step = step.operands[0].step
    if step is None or step.op not in (MatMulGrad, ContractGrad):
        return None
    a, b = step.operands
    if type(a) is not Abstract or type(b) is not Abstract or a.dtype != b.dtype:
        return None
    if step.op is MatMulGrad:
        n = step.values[0].ndim - 2
        if a.ndim != n + 2 or b.ndim != n + 2 or a.shape[:n] != b.shape[:n]:
            return None
        labels = (*range(n), n, n + 1), (*range(n), n + 1, n + 2), (*range(n), n, n + 2)
    else:
        p = step.params
        labels = p["la"], p["lb"], p["ly"]
    size: dict[Any, int] = {}
    for part, v in zip(labels, (a, b)):
        for label, length in zip(part, v.shape):
            if size.setdefault(label, length) != length:
                return None
    work = 1
    for length in size.values():
        work *= length
    if work < LEAST:
        return None
    names = {label: k for k, label in enumerate(size)}
    la, lb, ly = (tuple(names[label] for label in part) for part in labels)
    (a, la), (b, lb) = _turned(a, la), _turned(b, lb)
    return Product(a, b, (la, lb, ly), turns)


def _turned(x: Abstract, labels: tuple[int, ...]) -> tuple[Abstract, tuple[int, ...]]:
    """What x is a transpose of, with the labels of its axes."""
    while x.step is not None and x.step.op is TransposeGrad:
        order = [a % x.ndim for a in x.step.params["axes"]]
        before = [0] * len(labels)
        for label, a in zip(labels, order):
            before[a] = label
        x, labels = x.step.operands[0], tuple(before)
    return x, labels
