"""What check_op asks of a function's derivatives, to any order that its declaration promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import graph, tree
from ..array import GradArray, wrap
from ..ops.complex import imag, real
from ..transforms.pull import grad
from ..transforms.push import jvp
from .draw import Call, float_results, handle
from .numeric import (
    ROUNDINGS,
    Arrays,
    Where,
    agree,
    complex_step,
    differences,
    eps_of,
    floats,
    largest,
    quiet,
    sensitivity,
)
from .op_values import layouts
from .problem import Problem, dot, inner


class Derivatives(Problem):
    """One call as f(xs) -> floating results, xs the arrays that are differentiated."""

    def __init__(self, call: Call, where: Where, dtype: Any = np.float64) -> None:
        self.call = call
        self.arrays = call.draw(dtype)
        self.at = call.moving
        super().__init__(self._f, [self.arrays[k] for k in self.at], call.rng(), where)

    def _f(self, *xs: Any) -> tuple[GradArray, ...]:
        found = float_results(self.call.run(self.call.entry.fn, self.placed(xs)))
        # Of a complex result both parts, so that everything is about real numbers.
        return tuple(
            part
            for y in found
            for part in ((real(y), imag(y)) if y.dtype.kind == "c" else (y,))
        )

    def placed(self, xs: Sequence[Any]) -> list[Any]:
        """All arrays of the call, with these in place of those that are differentiated."""
        out: list[Any] = list(self.arrays)
        for k, x in zip(self.at, xs, strict=True):
            out[k] = x
        return out


def check_unattached(call: Call, where: Where) -> None:
    """A function declared without derivative gives results that require none."""
    arrays = call.draw()
    leaves = [wrap(x) for x in arrays]
    for leaf in leaves:
        if leaf.dtype.kind in "fc":
            leaf.requires_grad_()
    for y in float_results(call.run(call.entry.fn, leaves)):
        if y.requires_grad:
            raise where.fail("declared without derivative, but its result requires one")


def check_first(d: Derivatives) -> None:
    """Push against differences and the complex step; pull against push; pull against backward()."""
    where = d.where
    if not d.ys:
        raise where.fail("no floating result; declare differentiable=False")
    eps = eps_of([*d.xs, *d.ys])
    y_dots, x_bars = d.pushed(d.xs), d.pulled(d.xs)
    for name, forms, likes in (("tangent", y_dots, d.ys), ("cotangent", x_bars, d.xs)):
        for got, like in zip(forms, likes, strict=True):
            if got.shape != like.shape or got.dtype != like.dtype:
                raise where.fail(
                    f"a {name} of form {got.dtype}{list(got.shape)} for an array of form "
                    f"{like.dtype}{list(like.shape)}"
                )
    check_differences(where / "push", d.values, d.xs, d.ws, y_dots)
    _check_complex_step(d, y_dots, eps)
    check_adjoint(d, y_dots, x_bars)
    _check_unit_vectors(d, x_bars, eps)
    _check_backward(d, x_bars)


def check_adjoint(
    d: Derivatives, y_dots: Arrays | None = None, x_bars: Arrays | None = None
) -> None:
    """<v, J w> = <J^T v, w>, to 64 eps times the magnitudes of the products."""
    y_dots = d.pushed(d.xs) if y_dots is None else y_dots
    x_bars = d.pulled(d.xs) if x_bars is None else x_bars
    (left, left_size), (right, right_size) = dot(d.vs, y_dots), dot(x_bars, d.ws)
    agree(
        d.where / "adjoint identity, <v, J w>",
        np.array(left),
        np.array(right),
        ROUNDINGS * eps_of([*d.xs, *d.ys]) * (left_size + right_size),
        "<J^T v, w>",
    )


def check_differences(
    where: Where, f: Callable[[Arrays], Arrays], xs: Arrays, vs: Arrays, got: Arrays
) -> None:
    """The derivative `got` along vs against extrapolated differences of f."""
    expected, errors = quiet(differences, f, xs, vs)
    eps = eps_of([*xs, *floats(quiet(f, xs))])
    for x, y, error in zip(got, expected, errors, strict=True):
        scale = max(largest(y), 1.0)
        settled = error <= np.sqrt(eps) * scale
        if not settled.all():
            at = list(map(int, np.argwhere(~settled)[0]))
            raise where.fail(
                f"differences do not settle at {at} (estimated error {error[tuple(at)]:.3g}): "
                "draw the case away from kinks and from the edge of the domain"
            )
        # The estimate is of the error of differences; rounding of the derivative comes on top.
        agree(where, x, y, 4 * error + ROUNDINGS * eps * scale, "central differences")


def _check_complex_step(d: Derivatives, y_dots: Arrays, eps: float) -> None:
    reference = d.call.entry.reference
    if reference is None:
        return

    def f(xs: Arrays) -> Arrays:
        leaves = quiet(d.call.run, reference, d.placed(xs))
        return _arrays(leaves)

    exact = complex_step(f, d.xs, d.ws)
    if exact is None or [e.shape for e in exact] != [y.shape for y in y_dots]:
        return
    # abs, maximum or a conjugate take complex numbers but are not analytic: the step then gives
    # something else altogether, and the differences above have judged already.
    for e, y in zip(exact, y_dots, strict=True):
        if not np.allclose(e, y, rtol=1e-5, atol=1e-5):
            return
    sensitive = sensitivity(lambda xs: complex_step(f, xs, d.ws) or exact, d.xs, d.call.rng())
    for e, y, s in zip(exact, y_dots, sensitive, strict=True):
        bound = ROUNDINGS * eps * (largest(e) + largest(s))
        agree(d.where / "push", y, e, bound, "the complex step")


def _arrays(value: Any) -> Arrays:
    return [np.asarray(x) for x in tree.flatten(value)[0]]


def _check_unit_vectors(d: Derivatives, x_bars: Arrays, eps: float) -> None:
    # Entry j of J^T v is <v, J e_j>: the other mode, one column at a time, for a few columns.
    rng = d.call.rng()
    for k, x in enumerate(d.xs):
        for j in rng.permutation(x.size)[:2]:
            unit = [np.zeros_like(other) for other in d.xs]
            unit[k].flat[j] = 1
            _, column = jvp(d.f, [*map(handle, d.xs)], [*map(handle, unit)])
            total, size = dot(d.vs, [c._array for c in column])
            agree(
                d.where / f"pull, operand {k}, entry {int(j)}",
                np.array(x_bars[k].flat[j]),
                np.array(total),
                ROUNDINGS * eps * (size + largest(x_bars[k])),
                "push",
            )


def _check_backward(d: Derivatives, x_bars: Arrays) -> None:
    leaves = [handle(x).requires_grad_() for x in d.xs]
    y = inner(d.f(*leaves), d.vs)
    if not y.requires_grad:
        return
    y.backward()
    for k, (leaf, x_bar) in enumerate(zip(leaves, x_bars, strict=True)):
        got = np.zeros_like(x_bar) if leaf.grad is None else leaf.grad._array
        bound = ROUNDINGS * eps_of([x_bar]) * largest(x_bar)
        agree(d.where / f"backward(), operand {k}", got, x_bar, bound, "vjp")


def check_second(d: Derivatives) -> None:
    """The second derivative along w in all four mixes of modes, and by differences."""
    where = d.where / "second order"
    xs = [handle(x) for x in d.xs]
    ws = [handle(w) for w in d.ws]
    argnums = tuple(range(len(xs)))
    gradient = grad(d.along, argnums)

    def slope(*args: Any) -> Any:
        return jvp(d.along, args, ws)[1]

    forward_over_reverse = [h._array for h in jvp(gradient, xs, ws)[1]]
    reverse_over_forward = [h._array for h in grad(slope, argnums)(*xs)]
    reverse_over_reverse = [
        h._array for h in grad(lambda *args: inner(gradient(*args), d.ws), argnums)(*xs)
    ]
    forward_over_forward = float(jvp(slope, xs, ws)[1])
    size = max(map(largest, [*forward_over_reverse, *reverse_over_forward, *d.pulled(d.xs)]))
    moved = sensitivity(
        lambda args: [h._array for h in jvp(gradient, [*map(handle, args)], ws)[1]],
        d.xs,
        d.call.rng(),
    )
    bound = ROUNDINGS * eps_of([*d.xs, *d.ys]) * (size + max(map(largest, moved)))
    for k, other in enumerate(reverse_over_forward):
        here = where / f"operand {k}"
        mixed = forward_over_reverse[k]
        agree(here / "reverse over forward", other, mixed, bound, "forward over reverse")
        agree(
            here / "reverse over reverse",
            reverse_over_reverse[k],
            mixed,
            bound,
            "forward over reverse",
        )
    twice, products = dot(forward_over_reverse, d.ws)
    count = sum(x.size for x in d.xs)
    agree(
        where / "forward over forward",
        np.array(forward_over_forward),
        np.array(twice),
        bound * max(count, 1) + ROUNDINGS * eps_of(d.ys) * products,
        "<w, H w>",
    )
    check_differences(where / "forward over reverse", d.pulled, d.xs, d.ws, forward_over_reverse)


def check_higher(d: Derivatives, order: int) -> None:
    """The derivative of this order along w: forward over all, against reverse, and differences."""
    where = d.where / f"order {order}"
    xs = [handle(x) for x in d.xs]
    ws = [handle(w) for w in d.ws]
    below: Callable[..., Any] = d.along
    for _ in range(order - 1):
        below = _slope(below, ws)
    pushed = jvp(below, xs, ws)[1]._array
    pulled, size = dot([g._array for g in grad(below, tuple(range(len(xs))))(*xs)], d.ws)
    eps = eps_of([*d.xs, *d.ys])
    bound = ROUNDINGS * eps * (size + abs(pulled) + 1.0)
    agree(where / "pushed", pushed, np.array(pulled), bound, "the gradient of the order below")
    check_differences(where, lambda args: [below(*map(handle, args))._array], d.xs, d.ws, [pushed])


def _slope(f: Callable[..., Any], ws: list[Any]) -> Callable[..., Any]:
    return lambda *args: jvp(f, args, ws)[1]


def check_float32(d64: Derivatives) -> None:
    """float32 in, float32 out, in values, tangents and cotangents, and at every node between."""
    d = Derivatives(d64.call, d64.where / "float32", np.float32)
    cast = "cast" in d.call.entry.tags
    y_dots, x_bars = d.pushed(d.xs), d.pulled(d.xs)
    for what, found, likes in (("tangent", y_dots, d.ys), ("cotangent", x_bars, d.xs)):
        for got, like in zip(found, likes, strict=True):
            if got.dtype != like.dtype:
                raise d.where.fail(f"a {what} of dtype {got.dtype} for an array of {like.dtype}")
    if all(y.dtype == np.float32 for y in d.ys) and not cast:
        _check_no_float64(d)
    wide = [x.astype(np.float64) for x in d.xs]
    d64.arrays = [x.astype(np.float64) if x.dtype == np.float32 else x for x in d.arrays]
    d64.vs = [v.astype(y.dtype) for v, y in zip(d.vs, d64.ys, strict=True)]
    exact = d64.pulled(wide)
    sensitive = sensitivity(d64.pulled, wide, d.call.rng())
    for k, (x, y, s) in enumerate(zip(x_bars, exact, sensitive, strict=True)):
        bound = ROUNDINGS * eps_of([x, *d.ys]) * (largest(y) + largest(s))
        agree(d.where / f"cotangent of operand {k}", x, y, bound, "the one in float64")


def _check_no_float64(d: Derivatives) -> None:
    """No node on the way, and none of the reverse sweep, works in float64."""
    leaves = [handle(x).requires_grad_() for x in d.xs]
    seeds = [handle(v).requires_grad_() for v in d.vs]
    y = inner(d.f(*leaves), seeds)
    gradients = [grad(lambda *xs: inner(d.f(*xs), seeds), k)(*leaves) for k in range(len(leaves))]
    roots = [r._node for r in (y, *gradients) if r._node is not None]
    order, _ = graph.ancestry(roots)
    for node in order:
        kept = [s for s in node.saved or () if isinstance(s, (np.ndarray, np.generic))]
        metas = node.metas or ()
        wide = [s for s in (*kept, *metas) if getattr(s, "dtype", None) in (np.float64, complex)]
        if wide:
            raise d.where.fail(f"{node.name} works in float64 although all operands are float32")


def check_layouts(d: Derivatives) -> None:
    """Strided, reversed, Fortran-ordered and read-only operands give what contiguous ones give."""
    plain, x_bars = d.values(d.xs), d.pulled(d.xs)
    arrays = d.arrays
    for label, layout in layouts():
        d.arrays = [layout(x) for x in arrays]
        moved = [d.arrays[k] for k in d.at]
        where = d.where / f"operands {label}"
        # The order in which a sum is taken may follow the memory: equal up to rounding.
        eps = ROUNDINGS * eps_of([*d.xs, *d.ys])
        values, pulled = quiet(d.values, moved), d.pulled(moved)
        for before, after in zip(arrays, d.arrays, strict=True):
            if not np.array_equal(before, after):
                raise where.fail("an operand was changed in place")
        for got, like in zip(values, plain, strict=True):
            agree(where, got, like, eps * max(largest(like), 1.0), "contiguous operands")
        for got, like in zip(pulled, x_bars, strict=True):
            agree(where / "pull", got, like, eps * max(largest(like), 1.0), "contiguous operands")
    d.arrays = arrays


def check_empty(d: Derivatives) -> None:
    """An empty operand has an empty gradient of its own form."""
    call = d.call.with_shapes([(0, 3)] * len(d.call.samples))
    empty = Derivatives(call, d.where / "empty")
    for x, x_bar in zip(empty.xs, empty.pulled(empty.xs), strict=True):
        if x_bar.shape != x.shape or x_bar.dtype != x.dtype:
            raise empty.where.fail(
                f"a gradient of form {x_bar.dtype}{list(x_bar.shape)}, not {x.dtype}{list(x.shape)}"
            )
