"""Steps: how the fuzzer makes the next line of a function from the values that are there."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import tree
from ...algebra import Elementwise
from ...array import GradArray, wrap
from ...compiler.record import record
from ...errors import GraphError
from ...registry import Function, Sample, functions
from ..draw import Call, calls_of

if TYPE_CHECKING:
    from .grow import Grower

SIZES = (1, 2, 3, 5, 16, 17, 31, 65, 100)


@functools.cache
def entries() -> tuple[list[Function], list[Function]]:
    """The functions of the registry: elementwise ones, and those with calls of their own."""
    every = sorted({id(e): e for e in functions.values()}.values(), key=lambda e: e.name)
    every = [e for e in every if e.group not in ("log_prob", "create") and "random" not in e.name]
    points = [
        e for e in every if e.op is not None and issubclass(e.op, Elementwise) and not e.cases
    ]
    return points, [e for e in every if e.cases]


@functools.cache
def traced(name: str, number: int) -> bool:
    """Can a declared call be recorded, or does it read values in Python?"""
    one = calls_of(functions[name])[number]
    xs = [wrap(np.asarray(x)[()]) for x in one.draw()]
    leaves, form = tree.flatten((tuple(xs), {}))
    try:
        with np.errstate(all="ignore"):
            record(lambda *xs: one.run(one.entry.fn, xs), leaves, form, absorbing=False)
    except (GraphError, ValueError, TypeError, np.linalg.LinAlgError):
        return False
    return True


# Elementwise functions ----------------------------------------------------------------------------


def elementwise(g: Grower) -> str | None:
    entry = g.choose(entries()[0])
    samples = calls_of(entry)[0].samples
    x = g.some()
    args = [g.within(x, samples[0])]
    for sample in samples[1:]:
        args.append(g.partner(g.values[x].shape, sample))
    if len(args) > 1 and g.chance(0.5):
        args.reverse()  # the number, or the small one, first
    return f"ga.{entry.name}({', '.join(args)})"


def operator(g: Grower) -> str | None:
    x = g.some()
    sign = g.choose(["+", "-", "*", "/", "+", "*", "**"])
    if sign == "**":
        return f"{x} ** {g.choose([2, 3, 2.0])}"
    low = 0.5 if sign == "/" else -2.0
    return f"{x} {sign} {g.partner(g.values[x].shape, Sample((), low, 2.0))}"


def choice(g: Grower) -> str | None:
    x = g.some()
    shape = g.values[x].shape
    return f"ga.where({x} > {g.choose([0, 0.5])}, {x}, {g.partner(shape, Sample(()))})"


def cast(g: Grower) -> str | None:
    return f"ga.astype({g.some()}, {g.choose(['float32', 'float64', 'float64', 'int64'])!r})"


# Declared calls -----------------------------------------------------------------------------------


def declared(g: Grower) -> str | None:
    """A call from the registry, with larger sizes in place of its own where it lets them."""
    entry = g.choose(entries()[1])
    calls = calls_of(entry)
    number = int(g.rng.integers(len(calls)))
    if not traced(entry.name, number):
        return None
    one = calls[number]
    shapes = [s.shape for s in one.samples]
    if g.chance(0.6) and not any(s.kind in ("regular", "spd") for s in one.samples):
        shapes = larger(g, shapes)  # a large matrix's decomposition is slow, and not ours
    args = [g.like(s, shape) for s, shape in zip(one.samples, shapes, strict=True)]
    spelled = as_text(one, args)
    return spelled or f"call({entry.name!r}, {number})({', '.join(args)})"


def larger(g: Grower, shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The shapes with other sizes, equal ones changed alike."""
    known = {1: 1}
    for size in sorted({n for shape in shapes for n in shape}):
        known.setdefault(size, g.choose([size, size, *SIZES[2:], g.n]))
    found = [tuple(known[n] for n in shape) for shape in shapes]
    return found if all(np.prod(s, dtype=int) <= 8000 for s in found) else shapes


def as_text(one: Call, args: list[str]) -> str:
    """The call as source; '' where an argument is nothing that can be written down."""
    values: list[Any] = [Named(a) for a in args]
    found: list[Any] = []
    one.run(lambda *a, **k: found.append((a, k)), values)
    if not found:
        return ""
    (placed, keywords) = found[0]
    parts = [_spelled(x) for x in placed] + [
        f"{k}={text}" if (text := _spelled(v)) else "" for k, v in keywords.items()
    ]
    return f"ga.{one.entry.name}({', '.join(parts)})" if all(parts) else ""


class Named:
    """Stands for an array while a call is written down."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __rmul__(self, other: Any) -> Named:
        return Named(f"1j * {self.name}")

    def __add__(self, other: Named) -> Named:
        return Named(f"({self.name} + {other.name})")


def _spelled(x: Any) -> str:
    if isinstance(x, Named):
        return x.name
    if x is None or type(x) in (bool, int, float, str):
        return re.sub(r"\b(inf|nan)\b", r"ga.\1", repr(x)) if type(x) is float else repr(x)
    if isinstance(x, (tuple, list)):
        parts = [_spelled(v) for v in x]
        if not all(parts):
            return ""
        inner = ", ".join(parts)
        if isinstance(x, list):
            return f"[{inner}]"
        return f"({inner},)" if parts else "()"
    return ""


# Products -----------------------------------------------------------------------------------------


def product(g: Grower) -> str | None:
    x = g.some(least=1)
    shape = g.values[x].shape
    k = shape[-1]
    if not k:
        return None
    m = g.choose(SIZES)
    scale = 1.5 / k**0.5
    weight = lambda *shape: g.new(Sample(shape, -scale, scale))
    kind = g.choose(["right", "right", "layer", "left", "einsum", "self", "batch", "linear"])
    if kind == "right":
        return f"{x} @ {weight(k, m)}"
    if kind == "layer":
        return f"ga.{g.choose(['tanh', 'relu', 'sigmoid'])}({x} @ {weight(k, m)} + {weight(m)})"
    if kind == "linear":
        return f"ga.linear({x}, {weight(m, k)}, {weight(m)})"
    if kind == "left" and len(shape) > 1:
        return f"{weight(m, shape[-2])} @ {x}"
    if kind == "einsum":
        return f"ga.einsum({g.choose(['...i,ji->...j', '...i,ji->j...'])!r}, {x}, {weight(m, k)})"
    if kind == "self" and len(shape) > 1:
        other = f"ga.swapaxes({x}, -1, -2)"
        return f"{x} @ {other} / {k}" if g.chance(0.5) else f"{other} @ {x} / {shape[-2]}"
    if kind == "batch" and len(shape) > 1:
        return f"ga.einsum('...ij,...jk->...ik', {x}, {weight(*shape[:-2], k, m)})"
    return None


# Sums and the like --------------------------------------------------------------------------------

_SUMS = ("sum", "sum", "mean", "max", "min", "var", "logsumexp", "prod")


def _axes(g: Grower, ndim: int) -> Any:
    if g.chance(0.3):
        return None
    axes = sorted(g.rng.permutation(ndim)[: g.rng.integers(1, ndim + 1)].tolist())
    return axes[0] if len(axes) == 1 else tuple(axes)


def reduction(g: Grower) -> str | None:
    x = g.some(least=1)
    ndim = g.values[x].ndim
    keep = ", keepdims=True" if g.chance(0.4) else ""
    return f"ga.{g.choose(_SUMS)}({x}, axis={_axes(g, ndim)}{keep})"


def feedback(g: Grower) -> str | None:
    """What is summed, over samples it may be, meets again what it was summed from."""
    x = g.some(least=1)
    axis = int(g.rng.integers(g.values[x].ndim))
    how = g.choose(["mean", "max", "sum"])
    sign = g.choose(["-", "*", "+"])
    return f"{x} {sign} 0.1 * ga.{how}({x}, axis={axis}, keepdims=True)"


def along(g: Grower) -> str | None:
    x = g.some(least=1)
    name = g.choose(["softmax", "log_softmax", "cumsum", "flip", "sort", "layer_norm"])
    axis = int(g.rng.integers(-1, g.values[x].ndim))
    if name == "layer_norm":
        return f"ga.layer_norm({x}, ({g.values[x].shape[-1]},))"
    return f"ga.{name}({x}, axis={axis})"


# Shapes -------------------------------------------------------------------------------------------


def shape(g: Grower) -> str | None:
    x = g.some(least=1)
    value = g.values[x]
    ndim, sizes = value.ndim, value.shape
    kind = g.choose(["transpose", "reshape", "index", "broadcast", "join", "expand", "part"])
    if kind == "transpose":
        return f"ga.transpose({x}, {tuple(g.rng.permutation(ndim).tolist())})"
    if kind == "expand":
        return f"ga.expand_dims({x}, {int(g.rng.integers(ndim + 1))})" if ndim < 4 else None
    if kind == "reshape":
        to = g.choose([(-1,), (sizes[0], -1), (*sizes, 1), (sizes[-1], -1)])
        return f"ga.reshape({x}, {to})" if value.size else None
    if kind == "index":
        return f"{x}[{', '.join(_index(g, n) for n in sizes)}]"
    if kind == "broadcast":
        return f"ga.broadcast_to({x}, {(g.choose([2, 3, g.n]), *sizes)})" if ndim < 4 else None
    other = g.some(like=sizes)
    if kind == "join":
        how = g.choose(["stack", "concatenate"])
        return f"ga.{how}([{x}, {other}], axis={int(g.rng.integers(ndim))})"
    axis = int(g.rng.integers(ndim))
    half = sizes[axis] // 2
    return f"ga.split({x}, [{half}], axis={axis})[{g.choose([0, 1])}]" if half else None


def _index(g: Grower, n: int) -> str:
    kind = g.choose([":", ":", ":", "cut", "step", "back", "one", "many"])
    if n < 3 or kind == ":":
        return ":"
    if kind == "cut":
        return f"1:{n - 1}"
    if kind == "step":
        return "::2"
    if kind == "back":
        return "::-1"
    if kind == "many" and g.chance(0.5):
        return str(g.rng.integers(0, n, 4).tolist())
    return str(int(g.rng.integers(-n, n)))


# How often each is tried.
STEPS: list[tuple[Callable[[Any], str | None], int]] = [
    (elementwise, 10), (operator, 6), (declared, 9), (product, 6), (reduction, 4), (feedback, 3),
    (along, 2), (shape, 6), (choice, 1), (cast, 1),
]  # fmt: skip


def arrays(value: Any) -> list[GradArray] | None:
    """The results of a line; None where there is none."""
    found, _ = tree.flatten(value)
    return found if found and all(isinstance(x, GradArray) for x in found) else None
