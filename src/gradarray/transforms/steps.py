"""Steps of a loop with a carry: run one after another, the carry checked at each."""

from __future__ import annotations

import itertools
from typing import Any

from .. import tree
from ..array import GradArray, lift
from ..errors import DTypeError, ShapeError, message
from ..ops.join import stack, unstack

CARRY = "the carry{path} changes {what}, from {old} to {new}."
BRANCHES = "the branches' results{path} differ in {what}, {new} and {old}."


class Form:
    """What a carry is at the start of a loop: structure, shapes and dtypes, kept by every step."""

    __slots__ = ("complaint", "forms", "op", "structure")

    def __init__(self, op: str, carry: Any, complaint: str = CARRY) -> None:
        leaves, self.structure = tree.flatten(carry)
        self.forms = [(x.shape, x.dtype) for x in leaves]
        self.op, self.complaint = op, complaint

    def kept(self, carry: Any) -> Any:
        """The carry after a step, its numbers as arrays; raises where its form is another one."""
        if self.structure is tree.LEAF and self._is(carry, 0):
            return carry
        leaves, came = tree.flatten(carry)
        if came != self.structure:
            old, new = tree.describe(self.structure), tree.describe(came)
            raise TypeError(self._says("structure", old, new))
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
        path = tree.paths(self.structure)[k]
        if x.shape != shape:
            raise ShapeError(self._says("shape", shape, x.shape, path))
        if x.dtype != dtype:
            mend = "Start with the dtype that the step gives." if self.complaint is CARRY else ""
            raise DTypeError(self._says("dtype", dtype, x.dtype, path, mend))
        return x

    def _says(self, what: str, old: Any, new: Any, path: str = "", mend: str = "") -> str:
        text = self.complaint.format(path=path, what=what, old=old, new=new)
        return message(self.op, text, mend)


def run_scan(
    f: Any, init: Any, xs: Any, steps: int, reverse: bool, op: str = "scan"
) -> tuple[Any, Any]:
    """The loop itself, every step recorded."""
    leaves, structure = tree.flatten(xs)
    columns = [unstack(x)[:: -1 if reverse else 1] for x in leaves]
    rows: Any = zip(*columns, strict=True) if columns else itertools.repeat((), steps)
    alone = structure is tree.LEAF
    carry, ys = init, []
    form = Form(op, init)
    for row in rows:
        carry, y = step(f, carry, row[0] if alone else tree.unflatten(structure, row), form)
        ys.append(y)
    if reverse:
        ys.reverse()
    try:
        return carry, tree.map(lambda *parts: stack(list(parts)), *ys) if ys else None
    except ValueError as error:
        what = str(error).partition("\n")[0]
        raise ShapeError(
            message(op, f"the y of one step has another form than that of another: {what}")
        ) from None


def step(f: Any, carry: Any, x: Any, form: Form) -> tuple[Any, Any]:
    """One step, its carry checked."""
    result = f(carry, x)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(message(form.op, "the step must return (carry, y)."))
    return form.kept(result[0]), result[1]
