"""Scalar: one element of an array, on which an op's own `forward` runs and tells what it does.

`np.sqrt(x)`, `x * y`, `np.where(c, x, y)` on a Scalar give the expression of the result, cast and
promoted as NumPy would. So an elementwise op is compiled from the function that it is carried out
by eagerly, and from nothing else. What cannot be told so raises Unsupported: the op then stays
what it is, a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .expr import BOOL, Expr, Unsupported, cast, const, has_code, make, select
from .ufuncs import UFUNCS

_WEAK = (bool, int, float)


class Scalar(NDArrayOperatorsMixin):
    """An element; `weak` is the Python type of a number that does not promote."""

    __slots__ = ("e", "weak")
    shape = ()
    ndim = 0
    size = 1

    def __init__(self, e: Expr, weak: type | None = None) -> None:
        self.e, self.weak = e, weak

    @property
    def dtype(self) -> np.dtype:
        return self.e.dtype

    @property
    def real(self) -> Scalar:
        return self

    def astype(self, dtype: Any, copy: bool = True) -> Scalar:
        return Scalar(_cast(self.e, np.dtype(dtype)))

    def copy(self) -> Scalar:
        return self

    def __getitem__(self, key: Any) -> Scalar:
        if key in ((), Ellipsis):
            return self
        raise Unsupported(f"[{key!r}] of an element")

    def __array_ufunc__(self, ufunc: np.ufunc, how: str, *operands: Any, **kwargs: Any) -> Any:
        kwargs.pop("dtype", None)
        if how != "__call__" or kwargs:
            raise Unsupported(f"{ufunc.__name__}.{how}")
        return apply(ufunc, operands)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = _ARRAY_FUNCTIONS.get(function)
        if rule is None:
            raise Unsupported(getattr(function, "__name__", str(function)))
        return rule(*args, **kwargs)

    def __bool__(self) -> bool:
        raise Unsupported("a choice by value in Python")

    __float__ = __int__ = __index__ = __array__ = __bool__  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(f".{name} of an element")


def as_scalar(x: Any) -> Scalar:
    if isinstance(x, Scalar):
        return x
    if type(x) in _WEAK:
        return Scalar(const(x, np.result_type(type(x))), type(x))
    if isinstance(x, (np.ndarray, np.generic)) and x.shape == () and x.dtype.kind in "biuf":
        return Scalar(const(x, x.dtype))
    raise Unsupported(f"a number of type {type(x).__name__}")


def apply(ufunc: np.ufunc, operands: Any) -> Any:
    """ufunc(*operands), with the operands cast to the loop that NumPy would choose."""
    xs = [as_scalar(x) for x in operands]
    if ufunc.nin != len(xs):
        raise Unsupported(ufunc.__name__)
    rule = UFUNCS.get(ufunc.__name__)
    if rule is None:
        raise Unsupported(ufunc.__name__)
    kinds = [x.weak if x.weak in (int, float) else x.dtype for x in xs]
    try:
        dtypes = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
    except TypeError as error:
        raise Unsupported(str(error)) from None
    if not all(map(has_code, dtypes)):
        raise Unsupported(f"{ufunc.__name__} on {dtypes[-1]}")
    y = rule(*[_cast(x.e, d) for x, d in zip(xs, dtypes)])
    if ufunc.nout == 1:
        return Scalar(_cast(y, dtypes[-1]))
    return tuple([Scalar(_cast(part, d)) for part, d in zip(y, dtypes[ufunc.nin :], strict=True)])


def _cast(x: Expr, dtype: np.dtype) -> Expr:
    if not has_code(dtype):
        raise Unsupported(f"{dtype}")
    if dtype == BOOL and x.dtype != BOOL:
        return make("ne", x, const(0, x.dtype))
    return cast(x, dtype)


# NumPy's functions --------------------------------------------------------------------------------


def _where(condition: Any, a: Any, b: Any) -> Scalar:
    c, x, y = as_scalar(condition), as_scalar(a), as_scalar(b)
    dtype = np.result_type(*[
        v.weak(0) if v.weak else v.dtype for v in (x, y)
    ])  # fmt: skip
    return Scalar(select(_cast(c.e, BOOL), _cast(x.e, dtype), _cast(y.e, dtype)))


def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _round(x: Any, decimals: int = 0) -> Any:
    """As NumPy: scaled by a power of ten, rounded, scaled back."""
    if x.dtype.kind != "f":
        raise Unsupported("round of integers")
    ten = x.dtype.type(10.0 ** abs(decimals))
    if decimals == 0:
        return np.rint(x)
    return np.rint(x * ten) / ten if decimals > 0 else np.rint(x / ten) * ten


def _nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if x.dtype.kind != "f":
        return x
    kind, info = x.dtype.type, np.finfo(x.dtype)
    high = kind(info.max if posinf is None else posinf)
    low = kind(info.min if neginf is None else neginf)
    y = np.where(np.isnan(x), kind(nan), x)
    return np.where(np.equal(x, np.inf), high, np.where(np.equal(x, -np.inf), low, y))


def _sinc(x: Any) -> Any:
    y = np.pi * x
    zero = np.equal(x, 0)
    return np.where(zero, y.dtype.type(1), np.sin(y) / np.where(zero, y.dtype.type(1), y))


_ARRAY_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.clip: _clip,
    np.round: _round,
    np.nan_to_num: _nan_to_num,
    np.sinc: _sinc,
    np.isposinf: lambda x: np.equal(x, np.inf),
    np.isneginf: lambda x: np.equal(x, -np.inf),
    np.shape: lambda x: (),
    np.ndim: lambda x: 0,
    np.zeros_like: lambda x, dtype=None: Scalar(const(0, dtype or x.dtype)),
    np.ones_like: lambda x, dtype=None: Scalar(const(1, dtype or x.dtype)),
    np.real: lambda x: x,
    np.result_type: lambda *xs: np.result_type(
        *[x.weak(0) if isinstance(x, Scalar) and x.weak else getattr(x, "dtype", x) for x in xs]
    ),
    np.copy: lambda x: x,
}
