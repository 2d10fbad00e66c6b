"""Pytrees: nested tuples, lists, dicts and named tuples with arrays at the leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Structure(NamedTuple):
    """The form of a pytree without its leaves."""

    kind: Any  # a container type, None for a leaf, "none" for None (no leaves)
    keys: tuple[Any, ...]
    children: tuple[Structure, ...]


LEAF = Structure(None, (), ())
NONE = Structure("none", (), ())


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a pytree in order, and its structure."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    kind = type(tree)
    if tree is None:
        return NONE
    if isinstance(tree, dict):
        keys = tuple(tree)
        return Structure(kind, keys, tuple([_flatten(tree[k], leaves) for k in keys]))
    if isinstance(tree, (tuple, list)):
        return Structure(kind, (), tuple([_flatten(v, leaves) for v in tree]))
    leaves.append(tree)
    return LEAF


def unflatten(structure: Structure, leaves: list[Any] | tuple[Any, ...]) -> Any:
    """The pytree of this structure with these leaves."""
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    if kind == "none":
        return None
    children = [_unflatten(child, leaves) for child in structure.children]
    if issubclass(kind, dict):
        return _like_dict(kind, zip(structure.keys, children, strict=True))
    if issubclass(kind, list):
        return children if kind is list else kind(children)
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def _like_dict(kind: type, items: Any) -> Any:
    # A defaultdict or the like: its own constructor takes something else first.
    try:
        return kind(items)
    except TypeError:
        return dict(items)


def map(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `fn` leaf by leaf over pytrees of one structure.

    >>> from gradarray import tree
    >>> tree.map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        more, form = flatten(other)
        if not same(form, structure):
            raise ValueError(
                f"pytrees differ in structure: {describe(structure)}, {describe(form)}"
            )
        columns.append(more)
    return unflatten(structure, [fn(*row) for row in zip(*columns, strict=True)])


def same(a: Structure, b: Structure) -> bool:
    """Equal structures; a dict's order of keys does not matter, tuple against list does."""
    return a == b


def paths(structure: Structure, prefix: str = "") -> list[str]:
    """For every leaf, how it is reached: `[0]['w']`."""
    if structure.kind is None:
        return [prefix]
    out: list[str] = []
    names: Any = structure.keys or range(len(structure.children))
    for key, child in zip(names, structure.children, strict=True):
        out += paths(child, f"{prefix}[{key!r}]")
    return out


def argument(path: str) -> str:
    """`[0][2]['w']`, from (args, kwargs), is argument 2['w']; `[1]['w']` the keyword w."""
    which, _, rest = path[1:].partition("]")
    name, _, inner = rest.removeprefix("[").partition("]")
    return f"argument {name}{inner}" if which == "0" else f"argument {name[1:-1]}{inner}"


def describe(structure: Structure) -> str:
    """A short picture of a structure, `*` for a leaf."""
    return repr(unflatten(structure, [_Star()] * len(paths(structure))))


class _Star:
    def __repr__(self) -> str:
        return "*"
