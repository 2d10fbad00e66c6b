"""Arguments: which are values of a program and which are static, and what tells forms apart."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray
from ..errors import message
from ..graph import mode


@dataclass(frozen=True)
class Static:
    """An argument declared static: part of the program, recorded anew for another value."""

    value: Any


def is_dynamic(leaf: Any) -> bool:
    """Is this argument a value of the program? Others are static: a new one records anew."""
    return isinstance(leaf, (GradArray, np.ndarray, np.generic)) or weak_of(leaf) is not None


def weak_of(leaf: Any) -> type | None:
    """The type of a number of Python's that is a value of the program, and does not promote."""
    return type(leaf) if type(leaf) in (float, complex) else None


def unboxed(leaf: Any) -> Any:
    return leaf.value if type(leaf) is Static else leaf


# What was declared -----------------------------------------------------------------------------


class Declared:
    """Which arguments were declared static (or dynamic), by place and by name."""

    def __init__(
        self, f: Any, numbers: Any, names: Any,
        words: tuple[str, str] = ("static_argnums", "static_argnames"),
    ) -> None:  # fmt: skip
        numbers = (numbers,) if isinstance(numbers, int) else tuple(numbers)
        names = (names,) if isinstance(names, str) else tuple(names)
        self.numbers, self.names = set(numbers), set(names)
        if not numbers and not names:
            return
        try:
            parameters = inspect.signature(f).parameters
        except (TypeError, ValueError):
            return
        places = [p.name for p in parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
        free = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        many = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
        for name in names:
            if name not in parameters and not free:
                raise ValueError(
                    message("compile", f"{words[1]} has {name!r}, which is no argument.")
                )
        for k in numbers:
            if not many and not -len(places) <= k < len(places):
                raise ValueError(
                    message("compile", f"{words[0]} has {k}, of {len(places)} arguments.")
                )
        self.names |= {places[k] for k in numbers if -len(places) <= k < len(places)}
        self.numbers |= {places.index(name) for name in self.names if name in places}

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)

    def boxed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        count = len(args)
        at = {k % count for k in self.numbers if -count <= k < count}
        return (
            tuple([_box(x, f"argument {k}") if k in at else x for k, x in enumerate(args)]),
            {k: _box(x, f"argument {k}") if k in self.names else x for k, x in kwargs.items()},
        )


def declared_dynamic(f: Any, dynamic: Any) -> Any:
    """True, or the places and names of arguments, each by both where it has both; or nothing."""
    if isinstance(dynamic, bool) or dynamic is None:
        return dynamic or None
    given = tuple(dynamic) if isinstance(dynamic, (tuple, list, set, frozenset)) else (dynamic,)
    if not all(type(x) in (int, str) for x in given):
        raise TypeError(
            message(
                "compile", f"dynamic is True, or names or places of arguments, not {dynamic!r}."
            )
        )
    numbers = [x for x in given if type(x) is int]
    names = [x for x in given if type(x) is str]
    found = Declared(f, numbers, names, ("dynamic", "dynamic"))
    return found.numbers | found.names


def _box(value: Any, what: str) -> Static:
    if type(value) is Static:
        return value
    if isinstance(value, GradArray):
        hashable = False
    else:
        try:
            hash(value)
            hashable = True
        except TypeError:
            hashable = False
    if not hashable:
        raise TypeError(
            message(
                "compile",
                f"{what} was declared static, and a {type(value).__name__} is no constant.",
                "Static values are hashable: numbers, strings, tuples of them.",
            )
        )
    return Static(value)


# Forms -------------------------------------------------------------------------------------------


def key_of(leaves: Sequence[Any], form: tree.Structure, first: int) -> tuple[Any, ...]:
    """Equal for arguments that may share a version; the leaves before `first` do not count."""
    return form, tuple([_key(leaf) for leaf in leaves[first:]]), mode.grad, _repeated(leaves)


def _key(leaf: Any) -> Any:
    if isinstance(leaf, GradArray):
        return leaf.shape, leaf.dtype, leaf._node is not None, type(leaf)
    if is_dynamic(leaf):
        return (leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else type(leaf)
    leaf = unboxed(leaf)
    try:
        hash(leaf)
    except TypeError:
        return type(leaf), id(leaf)
    return type(leaf), leaf


def _repeated(leaves: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Which arrays are given again, and where they were given first."""
    first: dict[int, int] = {}
    arrays = [(k, id(x)) for k, x in enumerate(leaves) if isinstance(x, GradArray)]
    return tuple([(k, first[i]) for k, i in arrays if first.setdefault(i, k) != k])
