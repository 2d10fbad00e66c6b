"""Batch: one function over many examples at once. vmap.

Inside `vmap(f)` an argument is a `Batched` handle: to f it has the shape of one example, behind it
stands an array with the examples along its first axis. Every op applied to it is carried out, by
its kind, on the arrays behind, and recorded there, so the derivative walks see ordinary nodes.
Axes are counted from the end, so most ops need no rule of their own; the table below has those
that do, and what neither a kind nor the table covers runs example by example.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import graph, registry, tree
from ..algebra import Elementwise, Kind, Linear, Reduction, given
from ..array import Formed, GradArray, lift, wrap
from ..errors import GraphError, ShapeError, check_function, message
from ..graph import Leaf, flags, mode
from ..ops.join import stack
from ..ops.layout import moveaxis
from ..ops.shape import broadcast_to, reshape
from ..record import PickGrad, apply


class Level:
    """One vmap that is running: how many examples, and how random numbers are drawn."""

    __slots__ = ("active", "depth", "randomness", "size")

    def __init__(self, size: int, depth: int, randomness: str) -> None:
        self.size, self.depth, self.randomness = size, depth, randomness
        self.active = True


def refuse() -> NoReturn:
    raise GraphError(
        message(
            "vmap",
            "a value was read (by `if`, `while`, float(), .item(), .numpy(), or a mask whose "
            "result's shape depends on it), but it differs from example to example.",
            "Choose with ga.where, or loop with ga.while_loop.",
        )
    )


class Form(Formed):
    """Stands for the values of one example, which differ from example to example."""

    __slots__ = ("_inner",)

    def __init__(self, inner: GradArray) -> None:
        self._inner = inner

    @property
    def shape(self) -> tuple[int, ...]:
        return self._inner.shape[1:]

    @property
    def dtype(self) -> Any:
        return self._inner.dtype

    def __getattr__(self, name: str) -> Any:
        refuse()

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        refuse()

    __array__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = _refuse


class Batched(GradArray):
    """One example, to the function; `inner` has all of them along its first axis."""

    __slots__ = ("inner", "level")

    inner: GradArray
    level: Level

    @property
    def _data(self) -> Form:  # type: ignore[override]
        if not self.level.active:
            raise GraphError(
                message(
                    "vmap",
                    "an array that was made inside vmap is used outside.",
                    "Return it from the function instead of storing it.",
                )
            )
        return Form(self.inner)

    @property
    def _node(self) -> Any:  # type: ignore[override]
        return self.inner._node

    @property
    def _array(self) -> Any:  # type: ignore[override]
        return self._data

    _gradient = None

    def _base(self) -> GradArray:
        return base(self)

    def _like(self, value: GradArray) -> GradArray:
        return rewrap(self, value)

    def detach(self) -> GradArray:
        return batched(self.inner.detach(), self.level)

    def numpy(self) -> Any:
        return self._data._refuse()

    def requires_grad_(self, requires_grad: bool = True) -> GradArray:
        raise GraphError(
            message(
                "requires_grad_",
                "an example inside vmap is no leaf: it has no gradient of its own.",
                "Take ga.grad inside vmap, or call it on the array of all examples.",
            )
        )

    def _assign(self, op: str, value: GradArray) -> GradArray:
        self.inner = on_level(value, self.level)
        return self

    def __repr__(self) -> str:
        return f"<one of {self.level.size} examples: {self.dtype}{list(self.shape)}>"


def batched(inner: GradArray, level: Level) -> Batched:
    out = object.__new__(Batched)
    out.inner, out.level = inner, level
    return out


def base(x: Any) -> Any:
    """The array behind a Batched handle, through all levels; anything else as it is."""
    while type(x) is Batched:
        x = x.inner
    return x


def on_level(x: Any, level: Level) -> GradArray:
    """The array with `level`'s examples along its first axis; the same for each if it has none."""
    if type(x) is Batched and x.level is level:
        return x.inner
    x = x if isinstance(x, GradArray) else lift(x)
    if type(x) is Batched and x.level.depth > level.depth:
        return batched(moveaxis(on_level(x.inner, level), 0, 1), x.level)
    return broadcast_to(x, (level.size, *x.shape))


def on_all_levels(x: GradArray) -> GradArray:
    """`x` as a Batched handle of every vmap that is running, so that each example has its own."""
    for level in mode.levels:
        if not any(b is level for b in levels_of(x)):
            x = batched(on_level(x, level), level) if not levels_of(x) else insert_level(x, level)
    return x


def levels_of(x: Any) -> list[Level]:
    found = []
    while type(x) is Batched:
        found.append(x.level)
        x = x.inner
    return found


def insert_level(x: Any, level: Level) -> Batched:
    """`x` with one more level, kept in order: the innermost vmap is the outermost handle."""
    if type(x) is Batched and x.level.depth > level.depth:
        return batched(_insert_behind(x.inner, level), x.level)
    return batched(on_level(x, level), level)


def _insert_behind(inner: Any, level: Level) -> GradArray:
    return insert_level(inner, level)


def rewrap(like: Any, value: GradArray) -> GradArray:
    """`value`, of the shape behind `like`, as a handle on the same levels."""
    for level in reversed(levels_of(like)):
        value = batched(value, level)
    return value


# A derivative with examples of its own, in a sweep over what was recorded without them ------------
#
# `vmap(pull)` and `vmap(push)` send a batch through one recording. Its nodes know the vmaps that
# ran when it was made, as leading axes, and not those that came later: for these the derivative
# stays a handle.


def entering(c: Any, like: GradArray) -> Any:
    """`c`, which belongs to `like`, as a sweep through `like`'s graph takes it."""
    known = levels_of(like)
    if not known and type(c) is not Batched:
        return c
    for level in reversed(known):
        if level not in levels_of(c):
            c = insert_level(c, level)
    later = [level for level in levels_of(c) if level not in known]
    value, m = base(c), len(known)
    if not later:
        return value
    if m:
        value = moveaxis(value, tuple(range(m, m + len(later))), tuple(range(len(later))))
    for level in reversed(later):
        value = batched(value, level)
    return value


def leaving(c: GradArray, like: GradArray) -> GradArray:
    """`c`, found by a sweep at `like`'s node, as a handle that belongs to `like`."""
    if type(c) is not Batched:
        return like._like(c)
    known, later = levels_of(like), levels_of(c)
    value, e = base(c), len(later)
    if known:
        value = moveaxis(value, tuple(range(e)), tuple(range(len(known), len(known) + e)))
    for level in (*reversed(known), *reversed(later)):
        value = batched(value, level)
    return value


def later_levels(values: Iterable[Any]) -> tuple[Level, ...]:
    """The vmaps whose examples these derivatives still carry as handles, the innermost last."""
    found = {level for value in values for level in levels_of(value)}
    return tuple(sorted(found, key=lambda level: level.depth))


@contextlib.contextmanager
def only_levels(levels: tuple[Level, ...]) -> Iterator[None]:
    """Within, just these vmaps are running in this thread."""
    outer, mode.levels = mode.levels, levels
    with graph._lock:
        flags.special += 1
    try:
        yield
    finally:
        mode.levels = outer
        with graph._lock:
            flags.special -= 1


def plainly(order: Iterable[Any]) -> bool:
    """Can a sweep through these nodes multiply kept arrays with handles as they are?

    Rules of the library can; a user's, and those of a function that is run again, see handles,
    and under trace all do.
    """
    if graph.watched or mode.watchers or mode.trace is not None:
        return False
    return all(getattr(type(node), "library", False) or type(node) in _MADE for node in order)


_MADE = (PickGrad, Leaf)


# One op on Batched operands -----------------------------------------------------------------------


def apply_batched(op: type[Kind], operands: Sequence[Any], params: dict[str, Any]) -> Any:
    """Carry out `op` on the arrays behind, for the innermost vmap among the operands."""
    level: Any = None
    for x in operands:
        if type(x) is Batched and (level is None or x.level.depth > level.depth):
            level = x.level
    here = [type(x) is Batched and x.level is level for x in operands]
    xs = [x.inner if h else x for x, h in zip(operands, here)]
    rule = RULES.get(op)
    if rule is None:
        rule = RULES[op] = _rule_of(op)
    if rule is aligned and not (mode.grad or mode.watchers or mode.trace):
        y = _computed(op, xs, here, params)
        if y is not None:
            return batched(y, level)
    y = rule(op, level, xs, here, params)
    if isinstance(y, tuple):
        return tuple([batched(part, level) for part in y])
    return batched(y, level)


def _computed(op: Any, xs: list[Any], here: list[bool], params: Any) -> GradArray | None:
    """The short way, where nothing is recorded: NumPy's own call if all ranks are one."""
    raw = []
    rank = -1
    for x, h in zip(xs, here):
        kind = type(x)
        if kind is GradArray:
            x = x._data
        elif kind is not np.ndarray:
            if kind is float or kind is int:
                raw.append(x)
                continue
            return None
        n = len(x.shape) - h
        if n != rank >= 0:
            return None
        rank = n
        raw.append(x)
    try:
        y = op.forward(*raw, **params)
    except (ValueError, TypeError):
        return None  # told on the long way
    return None if type(y) is tuple else wrap(y)


def _rule_of(op: Any) -> Any:
    """How an op that is not in the table is carried out."""
    if issubclass(op, Elementwise) or getattr(op, "trailing", False):
        return aligned
    if issubclass(op, (Reduction, Linear)) or op.__name__ in TRAILING:
        return carried
    return one_by_one


def ndim_of(x: Any, here: bool) -> int:
    shape = getattr(x, "shape", None)
    return (np.ndim(x) if shape is None else len(shape)) - here


def aligned(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Elementwise: axes of length 1 after the examples, so that all have the same rank."""
    if len(xs) > 1:
        ranks = [ndim_of(x, h) for x, h in zip(xs, here)]
        rank = max(ranks)
        if rank != min(ranks):
            xs = [_with_rank(x, h, rank) for x, h in zip(xs, here)]
    return apply(op, *xs, **params)


def _with_rank(x: Any, here: bool, rank: int) -> Any:
    missing = rank - ndim_of(x, here)
    if not here or not missing:
        return x
    return reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))


def _all_here(op: Any, level: Level, xs: list[Any], here: list[bool]) -> list[Any]:
    """Every operand but the indices with its own examples, if any of them has."""
    if len(xs) == 1 or not any(h for k, h in enumerate(here) if k not in op.index):
        return xs
    return [
        x if h or k in op.index else on_level(x, level) for k, (x, h) in enumerate(zip(xs, here))
    ]


def carried(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Axes are counted from the end: the examples are one more axis in front."""
    if op.index and any(here[k] for k in op.index if k < len(here)):
        return one_by_one(op, level, xs, here, params)
    return apply(op, *_all_here(op, level, xs, here), **params)


def one_by_one(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Any op: example by example, then stacked."""
    rows = []
    for k in range(level.size):
        rows.append(apply(op, *[x[k] if h else x for x, h in zip(xs, here)], **params))
    if not rows:
        raise ShapeError(message("vmap", f"no examples to apply {op.name} to."))
    if isinstance(rows[0], tuple):
        return tuple(stack(list(parts)) for parts in zip(*rows))
    return stack(rows)


# Ops whose parameters speak of all axes, or that have an axis of examples already -----------------


def _reshaped(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    return apply(op, xs[0], **{**params, "shape": (level.size, *params["shape"])})


def _broadcast(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    x = _with_rank(xs[0], True, len(params["shape"]))
    return apply(op, x, shape=(level.size, *params["shape"]))


def _transposed(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    axes = params["axes"]
    return apply(op, xs[0], axes=(-len(axes) - 1, *axes))


def _set(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    x, v = (on_level(xs[0], level) if not here[0] else xs[0]), xs[1]
    if here[1]:
        place = np.broadcast_to(0, x.shape[1:])[(Ellipsis, *params["index"])]
        v = _with_rank(v, True, place.ndim)
    return apply(op, x, v, **params)


def _matmul(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    return aligned(op, level, xs, here, params)


def _contract(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    used = {*params["la"], *params["lb"]}  # of a vmap that ended too, where a sweep has its own
    mark = next(("example", k) for k in itertools.count() if ("example", k) not in used)
    la, lb = ((mark, *params[n]) if h else params[n] for n, h in zip(("la", "lb"), here))
    return apply(op, *xs, la=la, lb=lb, ly=(mark, *params["ly"]))


def _indexed(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """gather, scatter_add, put: with indices of its own, an example's number is one index more."""
    movable = op.movable
    if not any(here[movable:]):
        return _put_carried(op, level, xs, here, params)
    axis = params["axis"]
    rank = max(ndim_of(x, h) for x, h in zip(xs[movable:], here[movable:]))
    indices = [_with_rank(x, h, rank) for x, h in zip(xs[movable:], here[movable:])]
    indices = [np.arange(level.size).reshape(-1, *(1,) * rank), *indices]
    k = len(indices) - 1
    if op.name == "last":
        lengths = (level.size, *params["lengths"])
        return apply(op, *indices, lengths=lengths, after=params["after"])
    x = on_level(xs[0], level) if not here[0] else xs[0]
    if op.name == "scatter_add":
        # x's axes: examples, outer, those of the indices, inner; the examples go to the indices.
        inner = -axis - k
        x = moveaxis(x, 0, x.ndim - inner - rank - 1)
        lengths = (level.size, *params["lengths"])
        y = apply(op, x, *indices, axis=axis - 1, lengths=lengths)
        return moveaxis(y, y.ndim + axis - 1, 0)
    x = moveaxis(x, 0, x.ndim + axis - 1)
    if op.name == "gather":
        y = apply(op, x, *indices, axis=axis - 1)
        inner = -axis - k
        return moveaxis(y, y.ndim - inner - rank - 1, 0)
    inner = -axis - k
    v = xs[1]
    full = rank + inner + (x.ndim - 1 + axis)
    v = _with_rank(v, True, full) if here[1] else v
    if here[1]:
        v = moveaxis(v, 0, v.ndim - inner - rank - 1)
    elif ndim_of(v, False) > rank + inner:
        v = reshape(v, (*v.shape[: v.ndim - rank - inner], 1, *v.shape[v.ndim - rank - inner :]))
    y = apply(op, x, v, *indices, axis=axis - 1)
    return moveaxis(y, y.ndim + axis - 1, 0)


def _put_carried(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    if op.name != "put":
        return carried(op, level, xs, here, params)
    x = on_level(xs[0], level) if not here[0] else xs[0]
    k = len(xs) - 2
    rank = max(ndim_of(i, False) for i in xs[2:])
    v = _with_rank(xs[1], True, x.ndim - 1 - k + rank) if here[1] else xs[1]
    return apply(op, x, v, *xs[2:], **params)


def _value_shaped(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Results whose shape depends on values: they differ from example to example."""
    what = "unique" if op.name == "unique" else "a boolean mask (or nonzero)"
    raise GraphError(
        message(
            "vmap",
            f"{what} gives a result whose shape depends on the values: it differs from example "
            "to example.",
            "Keep the shape: ga.where(mask, x, fill), and not x[mask].",
        )
    )


def _among(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Places of values among shared edges: any number of values at once."""
    edges = 1 if op.name == "digitize" else 0
    if here[edges]:
        return one_by_one(op, level, xs, here, params)
    return apply(op, *xs, **params)


def _merged(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Ops on (samples, channels, ...): the examples are more samples."""
    xs = [x if h else on_level(x, level) for x, h in zip(xs, here)]
    n = xs[0].shape[1]
    y = apply(op, *[reshape(x, (level.size * n, *x.shape[2:])) for x in xs], **params)
    return reshape(y, (level.size, n, *y.shape[1:]))


def _convolved(op: Any, level: Level, xs: list[Any], here: list[bool], params: Any) -> Any:
    """Convolutions: more samples where the kernel is shared, more groups where it is not."""
    if op.name != "conv_weight" and not here[1]:
        n = xs[0].shape[1]
        x = reshape(xs[0], (level.size * n, *xs[0].shape[2:]))
        y = apply(op, x, xs[1], **params)
        return reshape(y, (level.size, n, *y.shape[1:]))
    a, b = (x if h else on_level(x, level) for x, h in zip(xs, here))
    groups = level.size * params["groups"]
    a = _examples_to_channels(a)
    b = reshape(b, (-1, *b.shape[2:])) if op.name != "conv_weight" else _examples_to_channels(b)
    y = apply(op, a, b, **{**params, "groups": groups})
    if op.name == "conv_weight":
        return reshape(y, (level.size, -1, *y.shape[1:]))
    return moveaxis(reshape(y, (y.shape[0], level.size, -1, *y.shape[2:])), 1, 0)


def _examples_to_channels(x: Any) -> Any:
    x = moveaxis(x, 0, 1)
    return reshape(x, (x.shape[0], -1, *x.shape[3:]))


# Hand-written ops that act on trailing axes and carry leading ones.
TRAILING = {
    f"{name}Grad"
    for name in (
        ["ArgSort", "ArgPartition", "TopK", "CumArg", "LogCumSumExp", "LinearRecurrence", "CumProd"]
    )
}

RULES: dict[Any, Any] = {
    registry.ops[name]: rule
    for name, rule in {
        "reshape": _reshaped,
        "place": _reshaped,
        "broadcast_to": _broadcast,
        "transpose": _transposed,
        "set": _set,
        "matmul": _matmul,
        "contract": _contract,
        "gather": _indexed,
        "scatter_add": _indexed,
        "put": _indexed,
        "last": _indexed,
        "plane_gather": _merged,
        "plane_scatter": _merged,
        "window_sum": _merged,
        "window_spread": _merged,
        "unfold": _merged,
        "fold": _merged,
        "max_places": _merged,
        "adaptive_max_places": _merged,
        "nonzero": _value_shaped,
        "argwhere": _value_shaped,
        "unique": _value_shaped,
        "digitize": _among,
        "searchsorted": _among,
        "conv": _convolved,
        "conv_transpose": _convolved,
        "conv_weight": _convolved,
    }.items()
}


# vmap -------------------------------------------------------------------------------------------


def vmap(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    r"""f for a batch of examples: y_b = f(x_b), in one pass over arrays of all examples.

    `in_axes`: along which axis each argument holds its examples (an integer, None for an argument
    that all share, or a tuple with a pytree of these per argument); `out_axes` likewise for the
    results. `randomness`: how random numbers are drawn inside f, "same" for every example or
    "different" for each; drawing under "error" raises. Nests with itself and with every
    derivative: `vmap(grad(loss), in_axes=(None, 0))` gives per-sample gradients. Raises
    ShapeError where the numbers of examples differ, GraphError where f reads a value.

    >>> import gradarray as ga
    >>> ga.vmap(ga.grad(lambda x: x**3))(ga.array([1.0, 2.0]))
    GradArray([ 3., 12.], dtype=float64)
    """
    if randomness not in ("error", "same", "different"):
        raise ValueError(
            message("vmap", f"randomness is 'error', 'same' or 'different', not {randomness!r}.")
        )

    check_function(f, "vmap")

    @functools.wraps(f, assigned=("__name__", "__doc__"), updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, form = tree.flatten((args, kwargs))
        paths = tree.paths(form)
        axes = _axes_of(in_axes, args) + [0] * len(tree.flatten(kwargs)[0])
        # A shared ndarray too: indexed by an example's index, NumPy would ask for the value.
        leaves = [
            lift(x, f"vmap: {tree.argument(path)}")
            if k is not None or isinstance(x, np.ndarray)
            else x
            for x, k, path in zip(leaves, axes, paths)
        ]
        size = _examples(leaves, axes, paths)
        level = Level(size, len(mode.levels), randomness)
        inputs = [
            x if k is None else batched(moveaxis(x, k, 0) if k else x, level)
            for x, k in zip(leaves, axes)
        ]
        inner_args, inner_kwargs = tree.unflatten(form, inputs)
        with _running(level):
            y = f(*inner_args, **inner_kwargs)
            outs, out_form = tree.flatten(y)
            placed = _prefix(out_axes, y, "out_axes")
            results = [_out(value, k, level) for value, k in zip(outs, placed)]
        return tree.unflatten(out_form, results)

    return mapped


class _running:
    """Within, `level` is one of the running vmaps of this thread."""

    def __init__(self, level: Level) -> None:
        self.level = level

    def __enter__(self) -> None:
        self.outer_raw, mode.raw = mode.raw, 0
        mode.levels = (*mode.levels, self.level)
        with graph._lock:
            flags.special += 1

    def __exit__(self, *exc: object) -> None:
        self.level.active = False
        mode.levels = mode.levels[:-1]
        mode.raw = self.outer_raw
        with graph._lock:
            flags.special -= 1


def _out(value: Any, axis: Any, level: Level) -> GradArray:
    if axis is None:
        if type(value) is Batched and value.level is level:
            raise ValueError(
                message(
                    "vmap",
                    "out_axes=None for a result that differs from example to example.",
                    "Give the axis along which they shall stand.",
                )
            )
        return value
    value = value if isinstance(value, GradArray) else lift(value, "vmap: the result")
    value = on_level(value, level)
    if not -value.ndim <= axis < value.ndim:
        raise ShapeError(
            message(
                "vmap",
                f"out_axes={axis}, but a result with its examples has the shape {value.shape} and "
                f"{value.ndim} axes.",
            )
        )
    return moveaxis(value, 0, axis) if axis else value


def _axes_of(in_axes: Any, args: tuple[Any, ...]) -> list[Any]:
    if in_axes is None or isinstance(in_axes, int):
        return [in_axes] * len(tree.flatten(args)[0])
    if not isinstance(in_axes, (tuple, list)) or len(in_axes) != len(args):
        raise ValueError(
            message(
                "vmap",
                f"in_axes={in_axes!r} for {len(args)} arguments.",
                "Give an integer, or a tuple with one entry (an integer, None or a pytree of "
                "these) per argument.",
            )
        )
    out: list[Any] = []
    for k, (axes, arg) in enumerate(zip(in_axes, args)):
        out += _prefix(axes, arg, f"in_axes[{k}]")
    return out


def _prefix(axes: Any, value: Any, what: str) -> list[Any]:
    """The axes for all leaves of `value` from a pytree prefix of them."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(tree.flatten(value)[0])
    if isinstance(axes, dict) and isinstance(value, dict) and axes.keys() == value.keys():
        return [n for k in value for n in _prefix(axes[k], value[k], f"{what}[{k!r}]")]
    lists = isinstance(axes, (tuple, list)) and isinstance(value, (tuple, list))
    if lists and len(axes) == len(value):
        pairs = enumerate(zip(axes, value))
        return [n for k, (a, v) in pairs for n in _prefix(a, v, f"{what}[{k}]")]
    raise ValueError(
        message(
            "vmap",
            f"{what} is {axes!r}, for a value of structure "
            f"{tree.describe(tree.flatten(value)[1])}.",
            "Give an integer, None, or these in the value's structure (* stands for an array).",
        )
    )


def _examples(leaves: list[Any], axes: list[Any], paths: list[str]) -> int:
    sizes = {}
    for x, axis, path in zip(leaves, axes, paths):
        if axis is None:
            continue
        if not -x.ndim <= axis < x.ndim:
            raise ShapeError(
                message(
                    "vmap",
                    f"{tree.argument(path)} of shape {x.shape} has no axis {axis}.",
                    "Say in_axes=None for an argument that all examples share.",
                )
            )
        sizes[path] = x.shape[axis]
    if not sizes:
        raise ValueError(message("vmap", "in_axes is None for every argument: nothing to map."))
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{tree.argument(p)} has {n}" for p, n in sizes.items())
        raise ShapeError(
            message(
                "vmap",
                f"the numbers of examples differ: {told}.",
                "Say in in_axes along which axis each has them, None for one that all share.",
            )
        )
    return next(iter(sizes.values()))


# Random numbers -----------------------------------------------------------------------------------


def drawn(words: Callable[[int, int], GradArray], count: int, bits: int) -> GradArray:
    """`count` random words inside vmap: the same for every example, or for each its own."""
    levels, mode.levels = mode.levels, ()
    try:
        own = [level for level in levels if level.randomness == "different"]
        if any(level.randomness == "error" for level in levels):
            raise GraphError(
                message(
                    "vmap",
                    "random numbers are drawn inside, and randomness='error'.",
                    "Say vmap(..., randomness='different') or 'same'.",
                )
            )
        sizes = [level.size for level in own]
        y = reshape(words(math.prod(sizes) * count, bits), (*sizes, count))
    finally:
        mode.levels = levels
    for level in own:
        y = batched(y, level)
    return y


given.apply_batched = apply_batched
given.drawn = drawn
given.on_all_levels = on_all_levels
