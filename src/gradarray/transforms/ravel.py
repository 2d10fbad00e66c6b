"""A pytree of arrays as one real vector, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..ops.complex import imag, real
from ..ops.join import concatenate
from ..ops.shape import astype, reshape


class Ravel:
    """The form of a pytree; a complex array is its real part, then its imaginary part."""

    def __init__(self, value: Any, op: str, what: str) -> None:
        leaves, self.form = tree.flatten(value)
        self.op, self.what = op, what
        self.shapes, self.dtypes = [], []
        for x, path in zip(leaves, tree.paths(self.form), strict=True):
            x = lift(x, op)
            if x.dtype.kind not in "biufc":
                raise DTypeError(message(op, f"the {what}{path} has dtype {x.dtype}."))
            self.shapes.append(x.shape)
            self.dtypes.append(x.dtype if x.dtype.kind in "fc" else np.dtype(float))
        if not leaves:
            raise TypeError(message(op, f"the {what} holds no array."))
        parts = [np.empty(0, d).real.dtype for d in self.dtypes]
        self.dtype = np.result_type(*parts)
        self.sizes = [
            math.prod(s) * (2 if d.kind == "c" else 1) for s, d in zip(self.shapes, self.dtypes)
        ]
        self.size = sum(self.sizes)

    def flat(self, value: Any) -> GradArray:
        """The vector of a pytree of this form. Raises TypeError, ShapeError for another one."""
        leaves, form = tree.flatten(value)
        if form != self.form:
            raise TypeError(
                message(
                    self.op,
                    f"the {self.what} has structure {tree.describe(form)}, expected "
                    f"{tree.describe(self.form)}.",
                )
            )
        parts = []
        paths = tree.paths(form)
        for x, shape, dtype, path in zip(leaves, self.shapes, self.dtypes, paths, strict=True):
            x = lift(x, self.op)
            if x.shape != shape:
                raise ShapeError(
                    message(
                        self.op, f"the {self.what}{path} has shape {x.shape}, expected {shape}."
                    )
                )
            if x.dtype.kind == "c" and dtype.kind != "c":
                what = f"the {self.what}{path} has dtype {x.dtype}, expected {dtype}."
                raise DTypeError(message(self.op, what))
            x = reshape(x, -1) if len(shape) != 1 else x
            for part in (real(x), imag(x)) if dtype.kind == "c" else (x,):
                parts.append(part if part.dtype == self.dtype else astype(part, self.dtype))
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def tree(self, flat: GradArray) -> Any:
        """The pytree that a vector stands for."""
        leaves, at = [], 0
        for shape, dtype, size in zip(self.shapes, self.dtypes, self.sizes, strict=True):
            x = flat if size == self.size else flat[at : at + size]
            if dtype.kind == "c":
                x = x[: size // 2] + 1j * x[size // 2 :]
            x = reshape(x, shape) if len(shape) != 1 else x
            leaves.append(x if x.dtype == dtype else astype(x, dtype))
            at += size
        return tree.unflatten(self.form, leaves)
