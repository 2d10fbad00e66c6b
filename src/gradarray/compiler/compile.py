"""compile: a function of arrays, recorded at its first call, and run as one piece from then on."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray, wrap
from ..errors import message
from ..graph import mode
from .native import Native
from .record import Output, Recorded, Slot, changed_each_time, is_dynamic, mismatch, record


class Compiled:
    """A function that is recorded once for each form of its arguments."""

    def __init__(self, f: Callable[..., Any], check: bool) -> None:
        functools.update_wrapper(self, f)
        self._f, self._check = f, check
        self._versions: dict[Any, list[Version]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if mode.trace is not None or mode.levels or mode.watchers or mode.raw:
            return self._f(*args, **kwargs)  # part of a larger recording, or watched op by op
        leaves, form = tree.flatten((args, kwargs))
        key = (form, tuple([_key(leaf) for leaf in leaves]), mode.grad)
        for version in self._versions.get(key, ()):
            if version.fits():
                return version(leaves)
        version = Version(self._f, leaves, form)
        if version.recorded.attached:
            return self._f(*args, **kwargs)
        self._versions.setdefault(key, []).append(version)
        return version(leaves)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def show(self, what: str = "graph") -> str:
        """The recorded program as text."""
        versions = [v for vs in self._versions.values() for v in vs]
        if not versions:
            raise RuntimeError(message("show", "nothing is recorded yet.", "Call it once."))
        return versions[-1].recorded.program.show()


def _key(leaf: Any) -> Any:
    if isinstance(leaf, GradArray):
        return leaf.shape, leaf.dtype, leaf._node is not None, leaf._gradient is not None
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.shape, leaf.dtype
    if is_dynamic(leaf):
        return type(leaf)
    try:
        hash(leaf)
    except TypeError:
        return id(leaf)
    return type(leaf), leaf


class Version:
    """One recording of a function, and how it is run."""

    def __init__(self, f: Callable[..., Any], leaves: Sequence[Any], form: tree.Structure) -> None:
        self._f, self._form = f, form
        self.static = [leaf for leaf in leaves if not is_dynamic(leaf)]  # keeps their ids
        first = record(f, leaves, form, absorbing=False)
        self.recorded = record(f, leaves, form, absorbing=False)
        what = mismatch(first.program, self.recorded.program)
        if what:
            warnings.warn(changed_each_time(f, what), stacklevel=3)
        self._run = Native(self.recorded.program)
        self._forms = [
            (slot.handle, value.shape, value.dtype, slot.gradient)
            for slot, value in self.recorded.reads
            if slot.handle is not None
        ]
        self._absorbing: tuple[Recorded, Any] | None = None

    def fits(self) -> bool:
        """Have the arrays that the function reaches from outside the forms that they had?"""
        for handle, shape, dtype, of_gradient in self._forms:
            x = handle._gradient if of_gradient else handle
            if x is None or x.shape != shape or x.dtype != dtype:
                return False
        return all(handle._gradient is None for handle in self.recorded.absent)

    def __call__(self, leaves: Sequence[Any]) -> Any:
        recorded = self.recorded
        values = self._run([_read(slot, leaves) for slot, _ in recorded.reads])
        count = recorded.suspects
        if count and any(np.isnan(v).any() for v in values[len(values) - count :]):
            recorded, values = self._again(leaves)
        for slot in recorded.cleared:
            slot.owner(leaves)._gradient = None
        for slot, at in recorded.writes:
            owner = slot.owner(leaves)
            if slot.gradient:
                owner._gradient = wrap(values[at])
            elif isinstance(owner, GradArray):
                owner._rebind(values[at])
        out = [wrap(values[x.at]) if type(x) is Output else x for x in recorded.result]
        return tree.unflatten(recorded.form, out)

    def _again(self, leaves: Sequence[Any]) -> tuple[Recorded, list[Any]]:
        """The same with absorbing products, in which a 0 wins over what is infinite."""
        if self._absorbing is None:
            recorded = record(self._f, leaves, self._form, absorbing=True)
            self._absorbing = recorded, Native(recorded.program)
        recorded, run = self._absorbing
        return recorded, run([_read(slot, leaves) for slot, _ in recorded.reads])


def _read(slot: Slot, leaves: Sequence[Any]) -> Any:
    owner = slot.owner(leaves)
    if isinstance(owner, GradArray):
        return (owner._gradient if slot.gradient else owner)._data  # type: ignore[union-attr]
    return owner


def compile(f: Callable[..., Any] | None = None, *, check: bool = False) -> Any:
    r"""f as one recorded program: run with no Python between its operations.

    >>> import gradarray as ga
    >>> step = ga.compile(lambda x: (x * ga.exp(x)).sum())
    >>> step(ga.array([0.0, 1.0]))
    GradArray(2.71828183, dtype=float64)
    """
    if f is None:
        return functools.partial(compile, check=check)
    return Compiled(f, check)
