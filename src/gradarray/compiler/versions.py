"""Versions: what a function was compiled for, and which one a call takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import tree
from ..errors import message, warn
from ..graph import mode
from .arguments import is_dynamic, unboxed
from .call import MISS
from .sized import Sizes
from .version import Version

# From so many versions on that differ in static values alone, a word is said.
MANY = 8
WAYS = 8  # versions with a short way in


class Versions:
    """What a function was compiled for: a list for each form, of which one fits."""

    def __init__(self) -> None:
        self.of: dict[Any, list[Version]] = {}
        self.met: dict[Any, int] = {}
        self.static: dict[Any, list[Any]] = {}  # the keys that differ in static values alone
        self.last: Version | None = None
        self.sizes: Sizes | None = None  # versions for many sizes
        # The short ways in, of the versions that were called last, with and without gradients.
        self.short: tuple[Any, ...] = ()
        self._without: tuple[Any, ...] = ()

    def ways(self) -> tuple[Any, ...]:
        """The short ways in where this thread may be in another mode than the usual one."""
        if is_watched():
            return ()
        return self.short if mode.grad else self._without

    def came_to(self, version: Version, leaves: Sequence[Any]) -> None:
        """A version was found the long way: next time it is asked first."""
        enter = version.way_in(leaves)
        if enter is None:
            return
        ways = self.short if mode.grad else self._without
        ways = (enter, *[way for way in ways if way is not enter])[:WAYS]
        if mode.grad:
            self.short = ways
        else:
            self._without = ways

    def taken(self, args: Any, kwargs: Any) -> Any:
        """The result of a short way in; MISS where there is none."""
        for enter in self.ways():
            found = enter(args, kwargs)
            if found is not MISS:
                return found
        return MISS

    def known(self, key: Any, leaves: Sequence[Any]) -> Version | None:
        """The version for these arguments, if there is one."""
        for version in self.of.get(key, ()):
            if version.fits(leaves):
                return version
        return None

    def add(
        self, version: Version, key: Any, leaves: Sequence[Any], form: tree.Structure, name: str
    ) -> None:
        """One more; `name`: of the function."""
        alike = self.of.setdefault(key, [])
        alike.append(version)
        self.last = version
        if len(alike) == MANY and (changed := alike[-2].names.changed()):
            warn(
                message(
                    "compile",
                    f"{name} was compiled {MANY} times, since {changed[0].what}, which it reads by "
                    "name, was another one each time.",
                    "Give what changes as an argument, or write into the array that is there "
                    "(a[...] = v).",
                )
            )
        self._tell_if_many(name, key, leaves, form)

    def _tell_if_many(
        self, name: str, key: Any, leaves: Sequence[Any], form: tree.Structure
    ) -> None:
        """A word where versions differ in a static value alone that seems to be a new one often."""
        first = len(leaves) - len(key[1])
        dynamic = tuple([k if is_dynamic(x) else None for x, k in zip(leaves[first:], key[1])])
        alike = self.static.setdefault((form, dynamic, key[2]), [])
        alike.append(key[1])
        if len(alike) != MANY:
            return
        paths = tree.paths(form)[first:]
        changing = [k for k, column in enumerate(zip(*alike)) if len(set(column)) > 1]
        if not changing:
            return
        k = changing[0]
        what, last = tree.argument(paths[k]), unboxed(leaves[first:][k])
        warn(
            message(
                "compile",
                f"{name} was compiled {MANY} times for values of {what}, the last "
                f"{last!r}: a static value is part of the program.",
                "Give a number that changes as an array or a float (np.int64(n), ga.array(n)).",
            )
        )

    def __len__(self) -> int:
        return sum(map(len, self.of.values()))

    def shown(self, what: str) -> str:
        if self.last is None:
            raise RuntimeError(message("show", "nothing is compiled yet.", "Call it once."))
        return self.last.show(what)

    def exported(self, folder: Any, name: str) -> list[Path]:
        if self.last is None:
            raise RuntimeError(message("export", "nothing is compiled yet.", "Call it once."))
        return self.last.export(folder, name)


def is_watched() -> bool:
    """Is this part of a larger recording, or looked at op by op?"""
    return bool(mode.trace is not None or mode.levels or mode.watchers or mode.raw)
