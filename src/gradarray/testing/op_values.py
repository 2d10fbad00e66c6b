"""What check_op asks of a function's values: those of its reference, in every dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..algebra import Elementwise
from ..array import GradArray
from .draw import Call, handle, results
from .numeric import (
    Arrays,
    Where,
    agree,
    eps_of,
    largest,
    quiet,
    rounding_bound,
    sensitivity,
)

EDGES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan])

# What a function may raise where its reference raises: never an AttributeError or the like.
COMPLAINTS = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError)


def reference_of(call: Call, where: Where) -> Callable[..., Any]:
    reference = call.entry.reference
    if reference is None:
        raise where.fail("nothing to compare its values with; declare numpy= or reference=")
    return reference


def is_library(reference: Any) -> bool:
    """Is the reference NumPy's or SciPy's own, to be followed at every edge?"""
    module = getattr(reference, "__module__", None) or "numpy"
    return isinstance(reference, np.ufunc) or module.partition(".")[0] in ("numpy", "scipy")


def check_values(call: Call, where: Where) -> None:
    """Values, dtype and shape on float64 and float32, for GradArrays and for plain arrays."""
    reference = reference_of(call, where)
    entry = call.entry
    each = entry.op is not None and issubclass(entry.op, Elementwise)
    arrays = call.draw()
    sensitive = _sensitivity(call, reference, arrays)
    for dtype in (np.float64, np.float32):
        here = where / np.dtype(dtype).name
        arrays = call.draw(dtype)
        expected = results(quiet(call.run, reference, arrays))
        value = quiet(call.run, entry.fn, [handle(x) for x in arrays])
        got = results(value)
        check_forms(here, got, expected, lenient=not is_library(reference))
        bounds = [
            rounding_bound(y, s, eps_of([x, y]), each)
            for x, y, s in zip(got, expected, sensitive, strict=True)
        ]
        for x, y, bound in zip(got, expected, bounds, strict=True):
            agree(here, x, y, bound)
        callers = [x.copy() for x in arrays]
        plain = quiet(call.run, entry.fn, callers)
        for x, y, bound in zip(results(plain), got, bounds, strict=True):
            agree(here / "given NumPy arrays", x, y, bound, "given GradArrays")
        check_kept_apart(here, plain, callers)


def _sensitivity(call: Call, reference: Callable[..., Any], arrays: Arrays) -> Arrays:
    """How much the reference's results follow the floating operands."""
    at = [k for k, x in enumerate(arrays) if x.dtype.kind == "f"]

    def f(xs: Arrays) -> Arrays:
        moved = list(arrays)
        for k, x in zip(at, xs, strict=True):
            moved[k] = x
        return results(quiet(call.run, reference, moved))

    return sensitivity(f, [arrays[k] for k in at], call.rng())


def check_protocol(call: Call, where: Where) -> None:
    """The NumPy function that it stands in for, called on GradArrays, is this function."""
    numpy_function = call.entry.reference
    if not call.samples or not any(numpy_function is f for f in call.entry.numpy):
        return
    arrays = call.draw()
    value = quiet(call.run, numpy_function, [handle(x) for x in arrays])
    own = quiet(call.run, call.entry.fn, [handle(x) for x in arrays])
    here = where / f"as {_name_of(numpy_function)}"
    for x in tree.flatten(value)[0]:
        if not isinstance(x, (GradArray, int)):
            raise here.fail(f"gives {type(x).__name__}, which has left the graph")
    check_forms(here, results(value), results(own))
    for x, y in zip(results(value), results(own), strict=True):
        agree(here, x, y, 0.0, "the function itself")


def _name_of(numpy_function: Any) -> str:
    return f"np.{getattr(numpy_function, '__name__', numpy_function)}"


def check_kept_apart(where: Where, value: Any, callers: Arrays) -> None:
    """The result does not live in the caller's memory, which they may change later."""
    for y in tree.flatten(value)[0]:
        if not isinstance(y, GradArray):
            continue
        for x in callers:
            if x.size and np.shares_memory(y._array, x):
                raise where.fail("the result shares the memory of the NumPy array it was given")


def check_forms(where: Where, got: Arrays, expected: Arrays, lenient: bool = False) -> None:
    """Equal counts, shapes and dtypes.

    `lenient`: a reference written in float64 throughout may be followed in float32.
    """
    if len(got) != len(expected):
        raise where.fail(f"{len(got)} results, the reference gives {len(expected)}")
    for x, y in zip(got, expected, strict=True):
        if x.shape != y.shape:
            raise where.fail(f"shape {x.shape}, the reference gives {y.shape}")
        narrower = lenient and x.dtype.kind == y.dtype.kind and x.dtype.itemsize < y.itemsize
        if x.dtype != y.dtype and not narrower:
            raise where.fail(f"dtype {x.dtype}, the reference gives {y.dtype}")


def same_as_reference(where: Where, call: Call, arrays: Sequence[Any]) -> None:
    """The same values, dtypes and shapes as the reference, or an error where that raises one."""
    reference = call.entry.reference
    assert reference is not None
    strict = is_library(reference)
    try:
        expected = results(quiet(call.run, reference, arrays))
    except Exception as error:
        # Another exception is an accident inside the reference, and no rule to follow.
        if strict and isinstance(error, (ValueError, TypeError)):
            _must_raise(where, call, arrays, error)
        return
    if any(y.dtype.kind not in "biufc" for y in expected):
        return
    lifted = [handle(x) if isinstance(x, np.ndarray) else x for x in arrays]
    try:
        got = results(quiet(call.run, call.entry.fn, lifted))
    except Exception as error:
        if not strict and isinstance(error, COMPLAINTS) and any(np.size(x) == 0 for x in arrays):
            return  # a formula is no authority on what to refuse
        shown = ", ".join(f"{y.dtype}{list(y.shape)}" for y in expected)
        raise where.fail(
            f"raises {type(error).__name__}: {error}, where the reference gives {shown}"
        ) from error
    check_forms(where, got, expected, lenient=not strict)
    for x, y in zip(got, expected, strict=True):
        # By the largest operand and result: these inputs are of order one, and few.
        size = max([largest(y), *(largest(np.asarray(a)) for a in arrays), 0.0])
        bound = rounding_bound(y, np.full(y.shape, size), eps_of([x, y]), True)
        if not strict:
            # A formula written for a test may lose what the function keeps (inf - inf).
            x = np.where(np.isnan(y), np.nan, x) if y.dtype.kind == "f" else x
        agree(where, x, y, bound)
        if strict and x.dtype.kind == "f" and _is_elementwise(call):
            _check_signed_zeros(where, x, y)


def _must_raise(where: Where, call: Call, arrays: Sequence[Any], error: Exception) -> None:
    lifted = [handle(x) if isinstance(x, np.ndarray) else x for x in arrays]
    try:
        got = quiet(call.run, call.entry.fn, lifted)
    except COMPLAINTS:
        return
    raise where.fail(
        f"gives {got!r}, where the reference raises {type(error).__name__}: {error}"
    ) from None


def _check_signed_zeros(where: Where, got: np.ndarray, expected: np.ndarray) -> None:
    wrong = (got == 0) & (expected == 0) & (np.signbit(got) != np.signbit(expected))
    if wrong.any():
        at = list(map(int, np.argwhere(wrong)[0]))
        raise where.fail(f"at {at} got {got[tuple(at)]!r}, the reference gives its opposite")


# Layouts ----------------------------------------------------------------------------------------


def layouts() -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """Ways to hold the same values in memory."""
    yield "strided", _strided
    yield "reversed", lambda x: x[_backwards(x)].copy()[_backwards(x)]
    yield "in Fortran order", lambda x: np.array(x, order="F")
    yield "read-only", _read_only
    yield "0-d as arrays", np.array


def _strided(x: np.ndarray) -> np.ndarray:
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    view = wide[(..., *(slice(None, None, 2),) * x.ndim)]
    view[...] = x
    return view


def _backwards(x: np.ndarray) -> tuple[Any, ...]:
    return (..., *(slice(None, None, -1),) * x.ndim)


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


# Edges ------------------------------------------------------------------------------------------


def check_edges(call: Call, where: Where) -> None:
    """Zeros, infinities, NaN, ties, empty and 0-d arrays, integers, booleans: as the reference."""
    floating = [k for k, s in enumerate(call.samples) if s.differentiable]
    if not floating:
        return
    strict = is_library(reference_of(call, where))
    arrays = call.draw()
    for label, edged in _edge_inputs(call, arrays, floating):
        same_as_reference(where / label, call, edged)
    if not strict:
        return
    integers = call.rng().integers(1, 4, 64)
    for dtype in (np.float16, np.int64, np.int32, np.uint8, np.bool_):
        typed = list(arrays)
        for k in floating:
            typed[k] = np.resize(integers, arrays[k].shape).astype(dtype)
        same_as_reference(where / np.dtype(dtype).name, call, typed)
    if len(call.samples) == 2 and len(floating) == 2 and _is_elementwise(call):
        for label, pair in _mixed(call):
            same_as_reference(where / label, call, pair)


def _is_elementwise(call: Call) -> bool:
    op = call.entry.op
    return op is not None and issubclass(op, Elementwise)


def _edge_inputs(
    call: Call, arrays: Arrays, floating: list[int]
) -> Iterator[tuple[str, list[Any]]]:
    rng = call.rng()
    if _is_elementwise(call) and len(call.samples) <= 2:
        grid = np.meshgrid(*(EDGES,) * len(call.samples))
        yield "at edge values", [g.copy() for g in grid]
        yield "empty", [np.zeros((0, 3)) for _ in grid]
    else:
        for label, values in (
            ("with infinities", EDGES[:8]),
            ("with NaN", EDGES[[2, 3, 4, 8]]),
        ):
            edged = list(arrays)
            for k in floating:
                edged[k] = rng.choice(values, arrays[k].shape)
            yield label, edged
        for axis in range(max((x.ndim for x in arrays), default=0)):
            if len(arrays) == 1:
                shape = list(arrays[0].shape)
                shape[axis] = 0
                yield f"empty {shape}", [np.zeros(shape)]
        # With an axis NumPy's own functions differ on 0-d arrays.
        if len(arrays) == 1 and call.case.args == call.samples and not call.case.kwargs:
            yield "0-d", [np.array(0.5)]
    ties = list(arrays)
    for k in floating:
        ties[k] = np.round(arrays[k])
    yield "with ties", ties


def _mixed(call: Call) -> Iterator[tuple[str, list[Any]]]:
    single, double = np.array([0.5, 1.5], np.float32), np.array([1.0, 2.0])
    whole, small = np.array([1, 2]), np.array([1, 2], np.int32)
    yield "float32 and a Python float", [single, 1.5]
    yield "a Python int and float32", [2, single]
    yield "float32 and float64", [single, double]
    yield "float32 and a 0-d float64", [single, np.array(1.5)]
    yield "float32 and a float64 scalar", [single, np.float64(1.5)]
    yield "int32 and float32", [small, single]
    yield "int64 and int32", [whole, small]
    yield "booleans and a Python float", [np.array([True, False]), 1.5]
    yield "integers and a Python int", [whole, 2]
