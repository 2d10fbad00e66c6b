"""The rows of the proof: every function on every kind of argument, compared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import tree
from ...array import GradArray
from ...registry import Function, functions
from ..draw import Call, calls_of
from ..numeric import Where, quiet
from ..op_derivatives import Derivatives
from ..problem import direction
from .arrays import ARRAYS
from .cases import CASES, fixed
from .exact import ORDERS, derivatives, exactly, mp
from .measure import DTYPES, Cell, Row, compare
from .modes import Along, array_of
from .points import POINTS, Points
from .scalars import EXACT

_NUDGE = 2.0**-30


def entries() -> list[Function]:
    """Every differentiable function once, by name."""
    found = {id(e): e for e in functions.values() if e.differentiable}
    return sorted(found.values(), key=lambda entry: entry.name)


def rows_of(entry: Function) -> list[Row]:
    """All rows of one function: at points, and as declared."""
    points = POINTS.get(entry.name, Points())
    rows: list[Row | None] = []
    try:
        for kind, where in points.kinds.items():
            rows += [at_points(entry, kind, where, points, name) for name in DTYPES]
        for kind in dict.fromkeys(at.kind for at in CASES.get(entry.name, ())):
            rows += [at_cases(entry, kind, name) for name in DTYPES]
        rows += [as_declared(entry, name) for name in DTYPES]
    except (TypeError, AttributeError) as error:
        raise NoDefinition(
            f"{entry.name}: its reference does not run on numbers of any precision ({error}). "
            "Write its definition in mpmath's functions: EXACT in scalars.py, or ARRAYS in "
            "arrays.py, of gradarray.testing.proof."
        ) from error
    found = [row for row in rows if row is not None]
    if not found:
        raise NoDefinition(
            f"{entry.name}: declared differentiable, but nothing that is drawn moves. "
            "Declare cases=[...], or differentiable=False."
        )
    return found


def judged(name: str) -> list[Row] | NoDefinition:
    """The rows of a function by name, or why there are none: what a process hands back."""
    try:
        return rows_of(functions[name])
    except NoDefinition as error:
        return error


class NoDefinition(Exception):
    """A function that the proof cannot judge."""


# At points ----------------------------------------------------------------------------------------


def at_points(
    entry: Function, kind: str, where: Sequence[Any], points: Points, dtype: str
) -> Row | None:
    """An elementwise function at points: along every operand, and along all of them."""
    kept = [p if isinstance(p, tuple) else (p,) for p in where]
    kept = [p for p in kept if all(_fits(x, DTYPES[dtype]) for x in p)]
    if not kept:
        return None
    count = len(kept[0])
    xs = [np.array([p[k] for p in kept], DTYPES[dtype]) for k in range(count)]
    units = [[float(j == k) for j in range(count)] for k in range(count)]
    row = Row(entry.name, kind, dtype, ", ".join(map(_shown, kept)))
    for unit in units if count == 1 else [*units, [1.0] * count]:
        vs = [np.full_like(x, v) for x, v in zip(xs, unit, strict=True)]
        exact = [
            _at_point(entry, points, [float(x[i]) for x in xs], unit, kept[i])
            for i in range(len(kept))
        ]

        def rough(order: int, unit: list[float] = unit) -> list[Any]:
            return [
                _rough(entry, points, [float(x[i]) for x in xs], unit, kept[i], order)
                for i in range(len(kept))
            ]

        found = Along(xs, vs, elementwise=True).every(entry.fn)
        value = quiet(entry.fn, *xs)
        _compare(row, value, found, exact, exact, rough, DTYPES[dtype])
    return row


def _fits(x: float, dtype: Any) -> bool:
    with np.errstate(all="ignore"):
        y = dtype(x)
    return bool(np.isfinite(y)) and (x == 0 or abs(y) >= np.finfo(dtype).tiny)


def _shown(point: tuple[float, ...]) -> str:
    text = ", ".join(f"{x:.8g}" for x in point)
    return text if len(point) == 1 else f"({text})"


def _at_point(
    entry: Function, points: Points, at: list[float], unit: list[float], label: Any
) -> list[Any]:
    """The exact derivatives of order 0 to 4 at one point along one direction."""
    documented = points.documented.get(label if len(label) > 1 else label[0])
    if documented is not None:
        total = sum(unit)
        return [mp.mpf(d) * (total if k == 1 else 1) for k, d in enumerate(documented)]
    return _differenced(entry, points, [mp.mpf(x) for x in at], unit)


def _differenced(entry: Function, points: Points, at: list[Any], unit: list[float]) -> list[Any]:
    f = scalar(entry)
    return derivatives(
        lambda t: [f(*[x + t * v for x, v in zip(at, unit, strict=True)])],
        min(_radius(x, points) for x, v in zip(at, unit, strict=True) if v),
        deep=True,
    )[0]


def _radius(x: Any, points: Points) -> Any:
    near = [abs(x - mp.mpf(s)) for s in points.singular]
    return min([max(abs(x), mp.mpf(1)), *[d for d in near if d]])


def _rough(
    entry: Function, points: Points, at: list[float], unit: list[float], label: Any, order: int
) -> Any:
    """How large what is added up may be: what a relative change of 1 in each operand would do,
    by its slope, and the derivative along a direction in which the terms do not cancel."""
    if (label if len(label) > 1 else label[0]) in points.documented:
        return mp.mpf(0)
    base = _differenced(entry, points, [mp.mpf(x) for x in at], unit)[order]
    total = mp.mpf(0)
    for k in range(len(at)):
        moved = [mp.mpf(x) * (1 + _NUDGE * (j == k)) for j, x in enumerate(at)]
        total += abs(_differenced(entry, points, moved, unit)[order] - base) / _NUDGE
    if sum(unit) > 1:
        turned = [-v / 2 if k else v for k, v in enumerate(unit)]
        total += abs(_differenced(entry, points, [mp.mpf(x) for x in at], turned)[order])
    return total


@functools.cache
def _scalar_named(name: str) -> Callable[..., Any] | None:
    return EXACT.get(name)


def scalar(entry: Function) -> Callable[..., Any]:
    """The function on numbers of any precision."""
    exact = _scalar_named(entry.name)
    if exact is not None:
        return exact
    reference = entry.reference
    assert reference is not None, entry.name
    return lambda *xs: _one(reference(*[exactly(x) for x in xs]))


def _one(y: Any) -> Any:
    return np.asarray(y, object).item()


# On arrays ----------------------------------------------------------------------------------------


def as_declared(entry: Function, dtype: str) -> Row | None:
    """The calls that check_op tests."""
    calls = [(call, None) for call in calls_of(entry) if call.moving]
    return at_calls(entry, "as declared", calls, dtype)


def at_cases(entry: Function, kind: str, dtype: str) -> Row | None:
    """The calls on arrays that are chosen, not drawn."""
    cases = [at for at in CASES.get(entry.name, ()) if at.kind == kind]
    calls = [(fixed(entry, at), at.documented) for at in cases]
    kept = [c for c in calls if all(_fits(x, DTYPES[dtype]) for a in c[0].arrays for x in a.flat)]
    return at_calls(entry, kind, kept, dtype)


def at_calls(
    entry: Function,
    kind: str,
    calls: Sequence[tuple[Call, tuple[float, ...] | None]],
    dtype: str,
) -> Row | None:
    """Calls on arrays, each as one number <v, f(x)> along a direction through all operands."""
    row = Row(entry.name, kind, dtype)
    for call, documented in calls:
        d = Derivatives(call, Where(str(call)), DTYPES[dtype])
        if not any(x.size for x in d.xs):
            continue
        parts = [[mp.mpf(y) for y in documented]] if documented else _parts(call, d)
        exact = [[mp.fsum(part[k] for part in parts) for k in range(ORDERS + 1)]]
        # Directions are of size 1: so is what cancels where the sum is 0.
        sizes = [mp.fsum(abs(part[k]) for part in parts) for k in range(ORDERS + 1)]
        scale = [[size or mp.mpf(1) for size in sizes]]

        def rough(order: int, call: Call = call, d: Derivatives = d, exact: Any = exact) -> Any:
            return [_rough_call(call, d, exact[0], order)]

        found = Along(d.xs, d.ws, elementwise=False).every(d.along)
        value = quiet(d.along, *d.xs)
        # A cast to float32 leaves the digits of that.
        coarsest = max([*d.xs, *d.ys], key=lambda x: np.finfo(x.dtype).eps).dtype
        _compare(row, value, found, exact, scale, rough, np.finfo(coarsest).dtype)
    return row if row.cells else None


def _parts(
    call: Call, d: Derivatives, xs: Sequence[Any] | None = None, ws: Sequence[Any] | None = None
) -> list[list[Any]]:
    """The exact derivatives of every term v_i f_i(x + t w)."""
    xs = [exactly(x) for x in d.xs] if xs is None else xs
    ws = [exactly(w) for w in d.ws] if ws is None else ws
    vs = [v for part in d.vs for v in exactly(part).ravel()]
    f = ARRAYS.get(call.entry.name) or _by_scalars(call.entry) or call.entry.reference
    assert f is not None, call.entry.name
    shown = tree.flatten(call.run(call.entry.fn, d.placed(d.xs)))[0]
    kinds = [y.dtype.kind if isinstance(y, GradArray) else "" for y in shown]

    def terms(t: Any) -> list[Any]:
        placed = d.placed([x + t * w for x, w in zip(xs, ws, strict=True)])
        found = _real_parts(call.run(f, placed), kinds)
        return [v * y for v, y in zip(vs, found, strict=True)]

    return derivatives(terms)


def _real_parts(result: Any, kinds: Sequence[str]) -> list[Any]:
    """The numbers of the floating results; of complex ones the real parts, then the imaginary."""
    out: list[Any] = []
    for y, kind in zip(tree.flatten(result)[0], kinds, strict=True):
        if kind and kind in "fc":
            flat = [mp.mpmathify(z) for z in np.asarray(y).ravel()]
            out += [mp.re(z) for z in flat]
            if kind == "c":
                out += [mp.im(z) for z in flat]
    return out


def _by_scalars(entry: Function) -> Callable[..., Any] | None:
    f = _scalar_named(entry.name)
    if f is None:
        return None

    def on_arrays(*args: Any, **kwargs: Any) -> Any:
        return np.frompyfunc(functools.partial(f, **kwargs), len(args), 1)(*args)

    return on_arrays


def _rough_call(call: Call, d: Derivatives, base: list[Any], order: int) -> Any:
    """How large what is added up may be: by relative changes of the operands, and along
    directions no larger, but with other signs, in which the terms do not cancel."""
    rng = call.rng()
    found = mp.mpf(0)
    for _ in range(3):
        noise = [exactly(direction(rng, x.astype(float))) for x in d.xs]
        xs = [exactly(x) * (1 + n * _NUDGE) for x, n in zip(d.xs, noise, strict=True)]
        there = mp.fsum(part[order] for part in _parts(call, d, xs))
        found = max(found, abs(there - base[order]) / _NUDGE)
        ws = [exactly(w * direction(rng, w)) for w in d.ws]
        found = max(found, mp.fsum(abs(part[order]) for part in _parts(call, d, ws=ws)))
    return found


# Comparing ----------------------------------------------------------------------------------------


def _compare(
    row: Row,
    value: Any,
    found: dict[str, list[np.ndarray]],
    exact: Sequence[Sequence[Any]],
    scale: Sequence[Sequence[Any]],
    rough: Callable[[int], list[Any]],
    dtype: Any,
) -> None:
    """Every mode and order with the exact numbers, [[order 0, 1, ..] of every component]."""
    rough = functools.cache(rough)

    def cell(got: Any, order: int) -> Cell:
        wanted = [e[order] for e in exact]
        sizes = [s[order] for s in scale]
        return compare(got, wanted, sizes, dtype, lambda: rough(order))

    row.meet("value", [cell(array_of(value), 0)])
    for mode, results in found.items():
        first = ORDERS - len(results) + 1
        row.meet(mode, [cell(y, order) for order, y in enumerate(results, first)])
