"""Steps of a loop with a carry: run one after another, the carry checked at each."""

from __future__ import annotations

import itertools
from typing import Any

from .. import tree
from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..ops.join import stack, unstack


class Form:
    """What a carry is at the start of a loop: structure, shapes and dtypes, kept by every step."""

    __slots__ = ("forms", "op", "structure", "what")

    def __init__(self, op: str, carry: Any, what: str = "carry") -> None:
        leaves, self.structure = tree.flatten(carry)
        self.forms = [(x.shape, x.dtype) for x in leaves]
        self.op, self.what = op, what

    def kept(self, carry: Any) -> Any:
        """The carry after a step, its numbers as arrays; raises where its form is another one."""
        if self.structure is tree.LEAF and self._is(carry, 0):
            return carry
        leaves, came = tree.flatten(carry)
        if came != self.structure:
            raise TypeError(
                message(
                    self.op,
                    f"the {self.what} changes structure, from {tree.describe(self.structure)} to "
                    f"{tree.describe(came)}.",
                )
            )
        if all(map(self._is, leaves, range(len(leaves)))):
            return carry
        return tree.unflatten(came, [self._array(x, k) for k, x in enumerate(leaves)])

    def _is(self, x: Any, k: int) -> bool:
        """Is x an array of the form of leaf k? (The quick answer: else it is looked at again.)"""
        return type(x) is GradArray and (x._data.shape, x._data.dtype) == self.forms[k]

    def _array(self, x: Any, k: int) -> Any:
        shape, dtype = self.forms[k]
        plain = not hasattr(x, "dtype")
        x = lift(x, self.op)
        if plain and x.dtype != dtype and x.dtype.kind in "biuf":
            x = x.astype(dtype)
        if x.shape != shape:
            raise ShapeError(
                message(self.op, f"the {self._path(k)} changes shape, from {shape} to {x.shape}.")
            )
        if x.dtype != dtype:
            raise DTypeError(
                message(
                    self.op,
                    f"the {self._path(k)} changes dtype, from {dtype} to {x.dtype}.",
                    "Start with the dtype that the step gives.",
                )
            )
        return x

    def _path(self, k: int) -> str:
        return self.what + tree.paths(self.structure)[k]


def run_scan(f: Any, init: Any, xs: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    """The loop itself, every step recorded."""
    leaves, structure = tree.flatten(xs)
    columns = [unstack(x)[:: -1 if reverse else 1] for x in leaves]
    rows: Any = zip(*columns, strict=True) if columns else itertools.repeat((), steps)
    alone = structure is tree.LEAF
    carry, ys = init, []
    form = Form("scan", init)
    for row in rows:
        carry, y = step(f, carry, row[0] if alone else tree.unflatten(structure, row), form)
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, tree.map(lambda *parts: stack(list(parts)), *ys) if ys else None


def step(f: Any, carry: Any, x: Any, form: Form) -> tuple[Any, Any]:
    """One step, its carry checked."""
    result = f(carry, x)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(message(form.op, "the step must return (carry, y)."))
    return form.kept(result[0]), result[1]
