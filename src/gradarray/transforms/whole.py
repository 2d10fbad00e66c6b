"""A node that stands for a whole function, and what it has in the place of an op's plan.

checkpoint, custom_gradient, implicit functions and compiled loops and branches record one; a walk
that comes to it is told by the node's own object how it goes on.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from .. import graph
from ..algebra import given
from ..array import GradArray, lift
from ..graph import Grad
from ..plan import RECORDED_SWEEP


class WholeGrad(Grad, internal=True):
    """One call of a function, without what it did inside."""

    __slots__ = ()
    operands = ()
    forward = staticmethod(lambda *xs: xs)
    several: ClassVar[bool] = True  # cotangents and results come as tuples, also of one

    @property
    def inputs(self) -> tuple[GradArray, ...]:
        return given.inputs_of(self)

    def backward(self, y_bar: Any) -> tuple[Any, ...]:
        graph.check_alive(self)
        bars = tuple(map(lift, y_bar if isinstance(y_bar, tuple) else (y_bar,)))
        return self.plan.pulls[RECORDED_SWEEP](self, bars if self.several else bars[0])


class Way:
    """How walks go through such a node: `_pull(variant, node, y_bar)`, `_push(.., x_dots)`."""

    keep: ClassVar[tuple[int, ...]] = ()
    where_saved: ClassVar[dict[int, int]] = {}

    def __init__(self) -> None:
        self.pulls = [functools.partial(self._pull, variant) for variant in range(3)]

    def pull(self, variant: int, needed: tuple[bool, ...]) -> Any:
        return self.pulls[variant]

    def push(self, variant: int, moving: tuple[bool, ...]) -> Any:
        return functools.partial(self._push, variant)

    def _pull(self, variant: int, node: Any, y_bar: Any) -> tuple[Any, ...]:
        raise NotImplementedError

    def _push(self, variant: int, node: Any, x_dots: Any) -> Any:
        raise NotImplementedError
