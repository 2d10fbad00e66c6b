"""Layers that change shapes: Flatten, Unflatten."""

from __future__ import annotations

import math
from typing import Any

from ..array import lift
from ..errors import ShapeError, message
from ..ops.axes import one_axis
from ..ops.shape import reshape
from .module import Module


class Flatten(Module):
    """The axes from start_dim to end_dim as one, C order; all but the first by default.

    >>> import gradarray as ga
    >>> ga.nn.Flatten()(ga.zeros((5, 1, 28, 28))).shape
    (5, 784)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        x = lift(input)
        shape = x.shape
        first = one_axis(self.start_dim, x.ndim, "Flatten") + x.ndim
        last = one_axis(self.end_dim, x.ndim, "Flatten") + x.ndim
        if first > last:
            raise ShapeError(
                message("Flatten", f"start_dim={self.start_dim} is behind end_dim={self.end_dim}.")
            )
        middle = math.prod(shape[first : last + 1])
        return reshape(x, (*shape[:first], middle, *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis `dim` as several of lengths `unflattened_size`, one of which may be -1.

    Raises ShapeError where the lengths do not multiply to the axis's.

    >>> import gradarray as ga
    >>> ga.nn.Unflatten(1, (1, 28, 28))(ga.zeros((5, 784))).shape
    (5, 1, 28, 28)
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        x = lift(input)
        axis = one_axis(self.dim, x.ndim, "Unflatten") + x.ndim
        sizes, length = self.unflattened_size, x.shape[axis]
        known = math.prod(n for n in sizes if n != -1)
        rest = length // known if known and sizes.count(-1) == 1 else -1
        sizes = tuple(rest if n == -1 else n for n in sizes)
        if math.prod(sizes) != length or any(n < 0 for n in sizes):
            raise ShapeError(
                message(
                    "Unflatten",
                    f"axis {self.dim} of shape {x.shape} has length {length}, which is not "
                    f"{' x '.join(map(str, self.unflattened_size))}.",
                )
            )
        return reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
