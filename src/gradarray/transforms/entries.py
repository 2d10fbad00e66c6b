"""Entries: a sparse matrix where a function is compiled, and has no values yet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..array import GradArray, is_foreign, lift
from ..errors import ShapeError, message
from ..lazy import sparse
from ..ops.create import zeros
from ..ops.scatter import scatter
from ..ops.shape import reshape


class _Fields(NamedTuple):
    data: GradArray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]


class Entries(_Fields):
    """A sparse matrix by rows; made of values that are there, it is a csr_array.

    It is a tuple of its fields, so that a compiled function gives the csr_array for it.
    """

    __slots__ = ()

    def __new__(cls, data: GradArray, indices: Any, indptr: Any, shape: Any) -> Any:
        if is_foreign(data._data):
            return super().__new__(cls, data, indices, indptr, shape)
        return sparse.csr_array((data._array, indices, indptr), shape=shape)

    @property
    def nnz(self) -> int:
        return self.indices.size

    @property
    def rows(self) -> np.ndarray:
        """The row of each entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def toarray(self) -> GradArray:
        """The matrix in full."""
        full = zeros(self.shape, self.data.dtype)
        full[self.rows, self.indices] = self.data
        return full

    def __matmul__(self, x: Any) -> GradArray:
        """The product with a vector, or with the columns of a matrix."""
        x = lift(x, "sparse product")
        if x.ndim not in (1, 2) or x.shape[0] != self.shape[1]:
            raise ShapeError(
                message("sparse product", f"a matrix {self.shape} and an array {x.shape}.")
            )
        terms = reshape(self.data, (-1, *(1,) * (x.ndim - 1))) * x[self.indices]
        return scatter(terms, (self.rows,), -x.ndim, self.shape[:1])
