"""Expr: what is computed at one point of a loop, as a graph of scalar operations.

The primitives are those that every vector unit has; an elementary function is made of them (see
`functions`), so two functions of one argument share what they have in common. Equal expressions
are one object.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Iterable
from typing import Any

import numpy as np

# name: (number of operands, what the result is)
#   same     of the operands' dtype          bool   a truth value
#   cast     of the dtype that is asked for  first  of the first operand's dtype
PRIMITIVES: dict[str, tuple[int, str]] = {
    "add": (2, "same"), "sub": (2, "same"), "mul": (2, "same"), "div": (2, "same"),
    "rem": (2, "same"), "neg": (1, "same"), "abs": (1, "same"), "sqrt": (1, "same"),
    "fma": (3, "same"),  # a * b + c, rounded once
    "floor": (1, "same"), "ceil": (1, "same"), "trunc": (1, "same"), "rint": (1, "same"),
    "copysign": (2, "same"),
    "min": (2, "same"), "max": (2, "same"),  # a NaN wins, as in np.minimum
    "fmin": (2, "same"), "fmax": (2, "same"),  # a NaN loses, as in np.fmin
    "and": (2, "same"), "or": (2, "same"), "xor": (2, "same"), "not": (1, "same"),
    "shl": (2, "same"), "shr": (2, "same"),  # shr keeps the sign of signed integers
    "lt": (2, "bool"), "le": (2, "bool"), "gt": (2, "bool"), "ge": (2, "bool"),
    "eq": (2, "bool"), "ne": (2, "bool"),  # ne alone is true of a NaN
    "select": (3, "second"),  # condition, then, else
    "rare": (3, "second"),  # select(condition, second, first): computed only if a lane asks for it
    "libm": (1, "same"),  # the C library's function `attr`, lane by lane
    "cast": (1, "cast"),  # by value: floats to integers toward zero
    "bits": (1, "cast"),  # the same bits under another dtype of the same size
    "leaf": (0, "cast"),  # an operand of the loop; `attr` is its number
    "const": (0, "cast"),  # `attr` is a NumPy scalar's bytes
}  # fmt: skip

BOOL = np.dtype(bool)


class Expr:
    """One scalar operation on others, or a leaf, or a constant."""

    __slots__ = ("__weakref__", "args", "attr", "below", "dtype", "op")

    op: str
    args: tuple[Expr, ...]
    dtype: np.dtype
    attr: Any
    below: list[Any]  # what it is made of: without rare cases, with them; None where not yet asked

    def __repr__(self) -> str:
        return show(self)


def has_code(dtype: np.dtype, kinds: str = "biuf") -> bool:
    """Are there primitives on these numbers? Of floating ones on float32 and float64 alone."""
    return dtype.kind in kinds and (dtype.kind != "f" or dtype.itemsize in (4, 8))


class Unsupported(Exception):
    """An operation that has no expression."""


_known: weakref.WeakValueDictionary[Any, Expr] = weakref.WeakValueDictionary()


def make(op: str, *args: Expr, dtype: Any = None, attr: Any = None) -> Expr:
    """The expression; the very same object if it has been made before."""
    count, result = PRIMITIVES[op]
    assert len(args) == count, op
    if result == "same":
        kinds = {a.dtype for a in args}
        assert len(kinds) == 1, f"{op} of {', '.join(map(str, kinds))}"
        dtype = args[0].dtype
    elif result == "bool":
        assert args[0].dtype == args[1].dtype, f"{op} of {args[0].dtype} and {args[1].dtype}"
        dtype = BOOL
    elif result == "second":
        assert args[0].dtype == BOOL and args[1].dtype == args[2].dtype, op
        dtype = args[1].dtype
    dtype = np.dtype(dtype)
    key = (op, args, dtype, attr)
    found = _known.get(key)
    if found is None:
        found = Expr()
        found.op, found.args, found.dtype, found.attr = op, args, dtype, attr
        found.below = [None, None]
        _known[key] = found
    return found


def leaf(number: int, dtype: Any) -> Expr:
    return make("leaf", dtype=dtype, attr=number)


def const(value: Any, dtype: Any) -> Expr:
    dtype = np.dtype(dtype)
    with np.errstate(all="ignore"):
        return make("const", dtype=dtype, attr=np.asarray(value).astype(dtype).tobytes())


def value_of(x: Expr) -> Any:
    """The NumPy scalar of a constant."""
    return np.frombuffer(x.attr, x.dtype)[0]


def cast(x: Expr, dtype: Any) -> Expr:
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if x.op == "const":
        return const(value_of(x), dtype)
    return make("cast", x, dtype=dtype)


def bits(x: Expr, dtype: Any) -> Expr:
    return x if x.dtype == np.dtype(dtype) else make("bits", x, dtype=dtype)


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    return a if a is b else make("select", condition, a, b)


def topological(roots: Iterable[Expr], rare: bool = True) -> list[Expr]:
    """Every expression below `roots` once, operands first; without `rare`, no rare cases."""
    found: dict[Expr, None] = {}
    for root in roots:
        found.update(dict.fromkeys(_below(root, rare)))
        found[root] = None
    return list(found)


def _below(root: Expr, rare: bool) -> tuple[Expr, ...]:
    """What an expression is made of, operands first; remembered, for every stage asks."""
    known = root.below[rare]
    if known is None:
        of = _args if rare else _usual_args
        known = root.below[rare] = tuple(_in_order(root, of)[:-1])
    return known


def _args(x: Expr) -> tuple[Expr, ...]:
    return x.args


def _usual_args(x: Expr) -> tuple[Expr, ...]:
    return x.args[:2] if x.op == "rare" else x.args


def down_to(root: Expr, ends: Container[Expr]) -> list[Expr]:
    """What `root` is made of, operands first, but nothing below the ends."""
    return _in_order(root, lambda x: () if x in ends else x.args)


def _in_order(root: Expr, of: Callable[[Expr], tuple[Expr, ...]]) -> list[Expr]:
    """All that is reached from `root` by `of`, which says what an expression is made of; first
    what others are made of, and `root` last."""
    found: list[Expr] = []
    seen: set[Expr] = set()
    stack = [(root, False)]
    while stack:
        x, ready = stack.pop()
        if ready:
            found.append(x)
        elif x not in seen:
            seen.add(x)
            stack.append((x, True))
            stack += [(a, False) for a in reversed(of(x))]
    return found


def rebuilt(parts: list[Expr], ends: dict[Expr, Expr]) -> Expr:
    """The last of these parts, which are in order, on other expressions in the place of ends."""
    made: dict[Expr, Expr] = {}
    for x in parts:
        if x in ends:
            made[x] = ends[x]
        elif x.args:
            made[x] = make(x.op, *[made[a] for a in x.args], dtype=x.dtype, attr=x.attr)
        else:
            made[x] = x
    return made[parts[-1]]


def substitute(root: Expr, leaves: dict[int, Expr]) -> Expr:
    """`root` with other expressions in the place of its leaves, by number."""
    parts = topological([root])
    return rebuilt(parts, {x: leaves[x.attr] for x in parts if x.op == "leaf" and x.attr in leaves})


def show(root: Expr) -> str:
    """An expression as text, each shared part written out."""
    if root.op == "leaf":
        return f"x{root.attr}"
    if root.op == "const":
        return repr(value_of(root).item())
    kind = f"[{root.dtype}]" if root.op in ("cast", "bits") else ""
    return f"{root.op}{kind}({', '.join(map(show, root.args))})"
