"""Sized: versions of a compiled function for arguments of any number of samples (`dynamic=`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..errors import ShapeError, message, warn
from ..graph import mode
from .abstract import Abstract
from .arguments import Static, is_dynamic
from .call import MISS, Call
from .expand import expanded
from .program import Program
from .record import Output, Recorded, Slot, record
from .sizes import Free, Unsized, compared, cut, masked, numbers, resized
from .version import Version

LEAST = 8  # samples in a program for many sizes
WASTE = 8  # a program for N samples runs for N / WASTE of them at least


class Sized(Version):
    """A version for `capacity` samples, that runs for fewer. `free`: the leaves that hold them."""

    def __init__(
        self, f: Callable[..., Any], leaves: Sequence[Any], form: tree.Structure, instance: Any,
        free: Sequence[int], capacity: int, **options: Any,
    ) -> None:  # fmt: skip
        self.free, self.capacity = free, capacity
        self._numbers: dict[int, list[Any] | None] = {}
        n = leaves[free[0]].shape[0]
        self._other = n if n != capacity else capacity - 1
        super().__init__(f, self._at(leaves, capacity), form, instance, **options)
        self._way = self._padded(leaves, capacity, instance is not None)

    def _padded(self, leaves: Sequence[Any], capacity: int, method: bool) -> Any:
        """The short way of numbers of samples that were met; None where there is none.

        It is the short way of the program for all samples, whose further inputs are arguments
        behind the user's.
        """
        count = len(leaves)
        extra = self.recorded.program.inputs[len(self.recorded.reads) :]
        more = [(Slot(None, count + k, False), v) for k, v in enumerate(extra)]
        args, kwargs = self._form.children
        longer = args._replace(children=(*args.children, *[tree.LEAF] * len(extra)))
        call = Call(
            replace(self.recorded, reads=[*self.recorded.reads, *more]), self._run,
            [*self._at(leaves, capacity), *[_number(v, 1) for v in extra]],
            self._form._replace(children=(longer, kwargs)), method, self._settled, self.names,
        )  # fmt: skip
        if call.enter is None:
            return None
        return Padded(self, call.enter, leaves, int(method))

    def known(self, n: int) -> tuple[Any, ...] | None:
        """n and the numbers of n samples, if they were met."""
        values = self._numbers.get(n)
        if values is None:
            return None
        extra = self.recorded.program.inputs[len(self.recorded.reads) :]
        return tuple([_number(v, x) for v, x in zip(extra, (n, *values), strict=True)])

    @property
    def is_short(self) -> bool:
        return False  # its arguments are filled up first

    def way_in(self, leaves: Sequence[Any]) -> Any:
        return self._way

    def _at(self, leaves: Sequence[Any], n: int) -> list[Any]:
        """The arguments, with n samples."""
        out = list(leaves)
        for k in self.free:
            x = leaves[k]
            if isinstance(x, GradArray):
                out[k] = wrap(resized(x._array, n), type(x))
            else:
                out[k] = resized(np.asarray(x), n)
        return out

    def _record(self, leaves: Sequence[Any], strict: bool, once: bool) -> Recorded:
        recorded = super()._record(leaves, strict, once)
        if recorded.attached:
            raise Unsized("a result is on the graph of what requires a gradient")
        if any(slot.handle is None for slot, _ in (*recorded.writes, *recorded.gradients)):
            raise Unsized("an argument is changed, or has a gradient")
        self._whole = expanded(recorded.program)
        self._free: Free = compared(
            self._whole, self.capacity, self._again_at(leaves, self._other), self._other
        )
        axes = self._free.axes
        written = [recorded.program.outputs[at] for _, at in recorded.writes]
        if any(type(y) is Abstract and y in axes for y in written):
            raise Unsized("state has an axis of samples")
        program = masked(self._free, recorded.suspects)
        first = len(program.outputs) - recorded.suspects
        self._cuts = {
            k: axes[y] for k, y in enumerate(program.outputs[:first])
            if type(y) is Abstract and y in axes
        }  # fmt: skip
        return replace(recorded, program=program)

    def _again_at(self, leaves: Sequence[Any], n: int) -> Program:
        """The function recorded for n samples."""
        return expanded(record(self._f, self._at(leaves, n), self._form).program)

    def _numbers_at(self, leaves: Sequence[Any], n: int) -> list[Any] | None:
        """The numbers of n samples; None if the program is another one then."""
        if n not in self._numbers:
            try:
                q = self._whole if n == self.capacity else self._again_at(leaves, n)
                other = None if q is self._whole else compared(self._whole, self.capacity, q, n)
                self._numbers[n] = numbers(self._free, other, q)
            except Unsized:
                self._numbers[n] = None
        return self._numbers[n]

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """The result; MISS where the program for this size has to be asked."""
        n = leaves[self.free[0]].shape[0]
        known = self._numbers_at(leaves, n)
        if known is None:
            return MISS
        inputs = [*self._inputs(self._at(leaves, self.capacity)), np.int64(n), *known]
        try:
            values = self._run(inputs)
        except (ArithmeticError, IndexError, ValueError):
            return MISS  # what is wrong is said by the program for this size
        if values is None:
            return MISS
        for k, (axis, each) in self._cuts.items():
            values[k] = cut(values[k], axis, n * each)
        return self._end(self.recorded, leaves, values, {}, self._places)


def _number(v: Abstract, x: Any) -> Any:
    """x as the program takes it."""
    return v.weak(x) if v.weak else v.dtype.type(x)


class Padded:
    """The short way of a version for many sizes: samples go to memory for all of them."""

    def __init__(self, version: Sized, enter: Any, leaves: Sequence[Any], first: int) -> None:
        self._enter, self._version = enter, version
        args, kwargs = version._form.children
        own = args._replace(children=args.children[first:])
        self._form = version._form._replace(children=(own, kwargs))
        # Of each array of samples: its place, its type, and the form of one sample.
        self._free = [
            (k - first, type(leaves[k]), leaves[k].shape[1:], leaves[k].dtype)
            for k in version.free
        ]  # fmt: skip
        self._cuts = [
            (k, *version._cuts[x.at]) for k, x in enumerate(version.recorded.result)
            if type(x) is Output and x.at in version._cuts
        ]  # fmt: skip
        self._known: dict[int, tuple[Any, ...]] = {}
        self._spare: list[list[np.ndarray]] = []  # each call of several threads has its own

    def __call__(self, args: Any, kwargs: Any) -> Any:
        leaves, form = tree.flatten((args, kwargs))
        if form != self._form:
            return MISS
        arrays = []
        for k, kind, shape, dtype in self._free:
            x = leaves[k]
            if type(x) is not kind:
                return MISS
            if kind is not np.ndarray:
                if x._node is not None:
                    return MISS
                x = x._data
            if x.shape[1:] != shape or x.dtype != dtype or type(x) is not np.ndarray:
                return MISS
            arrays.append(x)
        n = len(arrays[0])
        more = self._known.get(n)
        if more is None:
            more = self._version.known(n)
            if more is None:
                return MISS
            self._known[n] = more
        try:
            memory = self._spare.pop()
        except IndexError:
            capacity = self._version.capacity
            memory = [np.empty((capacity, *shape), dtype) for _, _, shape, dtype in self._free]
        for (k, kind, _, _), x, y in zip(self._free, arrays, memory, strict=True):
            if len(x) != n:
                return MISS
            y[:n] = x
            y[n:] = x[-1]
            leaves[k] = y if kind is np.ndarray else wrap(y, kind)
        args, kwargs = tree.unflatten(form, leaves)
        found = self._enter((*args, *more), kwargs)
        self._spare.append(memory)
        if found is MISS or not self._cuts:
            return found
        return self._cut(found, n)

    def _cut(self, found: Any, n: int) -> Any:
        parts, form = tree.flatten(found)
        for k, axis, each in self._cuts:
            parts[k] = wrap(cut(parts[k]._data, axis, n * each))
        return tree.unflatten(form, parts)


class Family:
    """Arguments that are alike but for the number of samples: the sizes that were met."""

    def __init__(self) -> None:
        self.met: list[int] = []
        self.sized: list[Sized] = []
        self.refused = False


class Sizes:
    """The versions of a function for arguments whose number of samples is free.

    `exact`: so many sizes have programs of their own before there is one for all. `asked`: is it
    to be said where a function has no such program?
    """

    def __init__(self, exact: int = 1, asked: bool = True) -> None:
        self._exact, self._asked = exact, asked
        self._families: dict[Any, Family] = {}

    def __len__(self) -> int:
        return sum(len(family.sized) for family in self._families.values())

    def find(
        self, f: Callable[..., Any], leaves: Sequence[Any], form: tree.Structure, instance: Any,
        free: Sequence[int], key: Any, **options: Any,
    ) -> Sized | None:  # fmt: skip
        """The version for these arguments; None where the size is to have a program of its own."""
        n = leaves[free[0]].shape[0]
        alike = form, tuple(free), _without_size(key, free, instance), mode.grad
        family = self._families.setdefault(alike, Family())
        if n < 2 or family.refused or n in family.met:
            return None
        if len(family.met) < self._exact:
            family.met.append(n)
            return None
        for version in family.sized:
            if n <= version.capacity <= WASTE * n and version.fits(leaves):
                return version
        capacity = max(family.met)
        if not max(n + 1, LEAST) <= capacity <= WASTE * n:
            capacity = max(1 << (n - 1).bit_length(), LEAST)
        try:
            version = Sized(f, leaves, form, instance, free, capacity, **options)
        except Exception as reason:  # also what f raises for this number of samples alone
            family.refused = True
            if self._asked:
                warn(
                    message(
                        "compile",
                        f"the number of samples is not free: {reason}.",
                        "Each number is compiled by itself.",
                    )
                )
            return None
        family.sized.append(version)
        family.sized.sort(key=lambda v: v.capacity)
        return version


def _without_size(key: Any, free: Sequence[int], instance: Any) -> tuple[Any, ...]:
    first = instance is not None
    return tuple([
        (k[0][1:], *k[1:]) if j + first in free else k for j, k in enumerate(key)
    ])  # fmt: skip


def free_leaves(
    leaves: Sequence[Any], form: tree.Structure, dynamic: Any, first: int
) -> list[int]:
    """The arrays that hold samples: those of arguments by name and place (`dynamic`: a set), or,
    where it is True, all whose first axis is as long as that of the first one."""
    arrays = [
        k for k, x in enumerate(leaves)
        if k >= first and is_dynamic(x) and type(x) is not Static and np.ndim(x)
    ]  # fmt: skip
    if dynamic is True:
        return [k for k in arrays if leaves[k].shape[0] == leaves[arrays[0]].shape[0]]
    paths = tree.paths(form)
    found = [k for k in arrays if _argument(paths[k]) in dynamic]
    sizes = {leaves[k].shape[0] for k in found}
    if len(sizes) > 1:
        told = ", ".join(f"{tree.argument(paths[k])} has {leaves[k].shape[0]}" for k in found)
        raise ShapeError(
            message("compile", f"first axes that are to be free together differ: {told}.")
        )
    return found


def _argument(path: str) -> Any:
    """The place or the name of the argument that a leaf is in."""
    which, _, rest = path[1:].partition("]")
    name = rest[1:].partition("]")[0]
    return int(name) if which == "0" else name[1:-1]
