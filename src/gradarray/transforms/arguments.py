"""What every functional transform does with arguments and results: pytrees, aliases, checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..algebra import given
from ..array import GradArray, from_user, wrap
from ..errors import DTypeError, ShapeError, check_function, message
from ..graph import Grad, mode
from ..ops.control import alias
from .batch import leaving


class Arguments:
    """The arguments of a transformed function, those to differentiate passed through aliases.

    Nothing older than an alias can depend on it: nested derivatives cannot be confused, and a
    sweep knows where to stop.
    """

    __slots__ = ("aliases", "args", "floor", "forms", "op", "single")

    def __init__(self, args: tuple[Any, ...], argnums: int | Sequence[int], op: str) -> None:
        self.op = op
        self.single = isinstance(argnums, int)
        numbers = (argnums,) if isinstance(argnums, int) else _numbers(argnums, op)
        self.args = list(args)
        self.aliases: list[GradArray] = []
        self.forms: list[tree.Structure] = []
        for k in numbers:
            if not -len(args) <= k < len(args):
                raise TypeError(
                    message(op, f"argnums={k}, but the function got {len(args)} arguments.")
                )
        if len(numbers) > 1 and len({k % len(args) for k in numbers}) < len(numbers):
            raise TypeError(message(op, f"argnums={numbers} names one argument twice."))
        for k in numbers:
            if isinstance(args[k], (GradArray, float, np.ndarray)):
                x = entered(primal(args[k], op, k, tree.LEAF, 0))
                self.aliases.append(x)
                self.forms.append(tree.LEAF)
                self.args[k] = x
                continue
            leaves, form = tree.flatten(args[k])
            aliased = [entered(primal(x, op, k, form, n)) for n, x in enumerate(leaves)]
            self.aliases += aliased
            self.forms.append(form)
            self.args[k] = aliased[0] if form is tree.LEAF else tree.unflatten(form, aliased)
        if not self.aliases:
            which = ", ".join(map(str, numbers)) or "()"
            raise TypeError(message(op, f"no array to differentiate in argument {which}."))
        node = self.aliases[0]._node
        assert node is not None
        self.floor = node.seq

    @property
    def nodes(self) -> list[Grad]:
        """The aliases' nodes, at which a sweep ends."""
        return [x._node for x in self.aliases if x._node is not None]

    def rebuild(self, leaves: list[Any]) -> Any:
        """One pytree per differentiated argument (alone if `argnums` was an integer)."""
        if self.single and self.forms[0] is tree.LEAF:
            return leaves[0]
        out, at = [], 0
        for form in self.forms:
            count = len(tree.paths(form))
            out.append(tree.unflatten(form, leaves[at : at + count]))
            at += count
        return out[0] if self.single else tuple(out)

    def leave(self, y: Any, attach: bool) -> Any:
        """A result, on the graph only if that reaches something older than the arguments."""
        if isinstance(y, GradArray):
            node = y._node
            if node is None:
                return y
            reaches = node.seq < self.floor or graph.ancestry([node], self.floor)[1]
            return y if attach and reaches else y.detach()
        if y is None or isinstance(y, (float, int, str)):
            return y
        leaves, form = tree.flatten(y)
        if form is tree.LEAF:
            return y
        return tree.unflatten(form, [self.leave(leaf, attach) for leaf in leaves])


def entered(x: GradArray) -> GradArray:
    """An alias of `x`, inside vmap with a value of its own for each example."""
    return alias(given.on_all_levels(x) if mode.levels else x)


def _numbers(argnums: Any, op: str) -> tuple[int, ...]:
    if isinstance(argnums, (tuple, list)) and all(isinstance(k, int) for k in argnums):
        return tuple(argnums)
    raise TypeError(
        message(
            op,
            f"argnums={argnums!r} is neither an integer nor a tuple of them.",
            "It says which arguments of the function are differentiated.",
        )
    )


def primal(x: Any, op: str, k: int, form: tree.Structure, n: int) -> GradArray:
    """One leaf of an argument as a GradArray that can be differentiated."""
    if not isinstance(x, GradArray):
        if isinstance(x, int) and not isinstance(x, bool):
            x = float(x)
        at = op if type(x) is float else f"{op}: argument {k}{tree.paths(form)[n]}"
        x = wrap(from_user(x, at))
    if x.dtype.kind not in "fc":
        where = f"argument {k}{tree.paths(form)[n]}"
        raise DTypeError(
            message(
                op,
                f"{where} has dtype {x.dtype}, which has no derivative.",
                "Make it floating, or differentiate by the others only.",
            )
        )
    return x


def call(
    f: Callable[..., Any], arguments: Arguments, kwargs: dict[str, Any], has_aux: bool
) -> tuple[Any, Any]:
    """(y, aux) of f on the aliased arguments, recorded whatever the mode outside is."""
    if not callable(f):
        check_function(f, arguments.op)
    outer = mode.raw
    mode.raw = 0
    try:
        if mode.grad:
            result = f(*arguments.args, **kwargs)
        else:
            with graph.enable_grad():
                result = f(*arguments.args, **kwargs)
    finally:
        mode.raw = outer
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            message(
                arguments.op,
                f"with has_aux the function returns (value, aux), not {_told(result)}.",
            )
        )
    return result


def _told(result: Any) -> str:
    """What a function returned, in a word."""
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    return type(result).__name__


def outputs(y: Any, op: str) -> tuple[list[GradArray], tree.Structure]:
    """The arrays in a result, and its structure."""
    leaves, form = tree.flatten(y)
    if y is None:
        raise TypeError(
            message(op, "the function returned None.", "Is there a `return` in it?")
        )
    return [
        x if isinstance(x, GradArray) else constant(x, op, tree.paths(form)[n])
        for n, x in enumerate(leaves)
    ], form


def constant(y: Any, op: str, path: str = "") -> GradArray:
    """What a function returns that is on no graph; `return 1` in a branch means the real number."""
    return wrap(from_user(float(y) if type(y) is int else y, f"{op}: the result{path}"))


def scalar_output(y: Any, op: str, holomorphic: bool | None = None) -> GradArray:
    """The result of a function that must give one real number; if `holomorphic` a complex one.

    None: the transform has no such keyword.
    """
    if not isinstance(y, GradArray):
        if isinstance(y, (tuple, list, dict)) or y is None:
            raise TypeError(
                message(
                    op,
                    f"the function returned {_told(y)}, not one scalar.",
                    "Is there a `return` in it?" if y is None else
                    "For (value, aux) say has_aux=True; for several outputs use vjp.",
                )
            )
        y = constant(y, op)
    if y.shape != ():
        raise ShapeError(
            message(
                op,
                f"the function returned shape {y.shape}, not a scalar.",
                "Reduce it (.sum(), .mean()), or use vjp for a pull of several outputs.",
            )
        )
    if y.dtype.kind not in "fc":
        raise DTypeError(
            message(op, f"the function returned dtype {y.dtype}, which has no derivative.")
        )
    if y.dtype.kind == "c" and not holomorphic:
        say = "" if holomorphic is None else "say holomorphic=True for an analytic one, "
        raise DTypeError(
            message(
                op,
                f"the function returned dtype {y.dtype}; a gradient is that of a real function.",
                f"Take ga.real(y) or ga.abs(y), {say}or use vjp or jvp for a complex one.",
            )
        )
    return y


def matching(
    value: Any, likes: Sequence[GradArray], form: tree.Structure, op: str, what: str
) -> list[Any]:
    """The leaves of a pytree of tangents or cotangents, checked against what they belong to."""
    leaves, came = tree.flatten(value)
    if came != form:
        raise TypeError(
            message(
                op,
                f"the {what} has structure {tree.describe(came)}, expected {tree.describe(form)}.",
            )
        )
    out = []
    for x, like, path in zip(leaves, likes, tree.paths(form), strict=True):
        if not isinstance(x, GradArray):
            x = wrap(from_user(x, f"{op}: the {what}{path}"))
            if x.dtype != like.dtype and x.dtype.kind in "biuf":
                x = wrap(x._data.astype(like.dtype))
        if x.shape != like.shape:
            raise ShapeError(
                message(op, f"the {what}{path} has shape {x.shape}, its array has {like.shape}.")
            )
        if x.dtype != like.dtype:
            raise DTypeError(
                message(op, f"the {what}{path} has dtype {x.dtype}, its array has {like.dtype}.")
            )
        out.append(given.on_all_levels(x) if mode.levels else x)
    return out


def zeros_like(x: GradArray) -> Any:
    return np.zeros(x.shape, x.dtype) if x.shape else x.dtype.type(0)


def completed(xs: Sequence[GradArray], found: Sequence[Any]) -> list[GradArray]:
    """Derivatives as GradArrays, zeros where nothing arrived."""
    return [
        x._like(wrap(zeros_like(x._base())))
        if value is None
        else leaving(value if isinstance(value, GradArray) else wrap(value), x)
        for x, value in zip(xs, found, strict=True)
    ]
