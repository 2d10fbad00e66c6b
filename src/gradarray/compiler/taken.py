"""Rows of a matrix by index, as the compiler sees them: indices are looked at once, before.

`InRange` is the look; `Taken` and `AddedUp` follow indices that have been looked at, in any order
and shape, and in tiles too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.scatter import ScatterAddGrad


class InRange:
    """y = an index into a length, from 0 on; outside it is an IndexError."""

    name = "index"
    shape_of = staticmethod(lambda x, count: x)
    dtype_of = staticmethod(lambda x, count: np.dtype(np.int64))

    @staticmethod
    def forward(x: Any, count: int) -> Any:
        x = np.asarray(x, np.int64)
        if x.size and not (-count <= x.min() and x.max() < count):
            raise IndexError(f"an index is out of bounds for length {count}")
        return np.where(x < 0, x + count, x)[()]


class Taken:
    """y_{i..} = the row x_i of a matrix, for an index in range."""

    name = "gather"
    shape_of = staticmethod(lambda x, index: (*index, x[-1]))
    dtype_of = staticmethod(lambda x, index: x)

    @staticmethod
    def forward(x: Any, index: Any) -> Any:
        return np.take(x, index, axis=0)


class AddedUp:
    """y_j = the sum of the rows x_{i..} whose index, in range, is j; y has `rows` rows."""

    name = "scatter_add"
    shape_of = staticmethod(lambda x, index, rows: (rows, x[-1]))
    dtype_of = staticmethod(lambda x, index, rows: x)

    @staticmethod
    def forward(x: Any, index: Any, rows: int) -> Any:
        return ScatterAddGrad.forward(x, index, axis=-2, lengths=(rows,))
