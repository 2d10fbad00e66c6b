"""Pair arithmetic: what NumPy computes with complex numbers, in library functions on their parts.

An op's own `forward` runs on pairs and so tells what becomes of the parts, as it runs on a Scalar
to tell what becomes of an element. The formulas are those of NumPy and of C99; what has none here
raises Unsupported, and the op stays a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..ops.compare import equal, greater_equal, isnan, less, not_equal, where
from ..ops.exponential import exp, log
from ..ops.hyperbolic import cosh, sinh
from ..ops.logical import isfinite, isinf, logical_and, logical_or
from ..ops.powers import hypot, sqrt
from ..ops.shape import astype
from ..ops.trigonometric import arctan2, cos, sin, tan
from .expr import Unsupported

MOST = 100  # whole exponents up to this are products, as in NumPy


def real_of(dtype: Any) -> np.dtype:
    """The dtype of the parts."""
    return np.dtype(f"f{np.dtype(dtype).itemsize // 2}")


def complex_of(dtype: Any) -> np.dtype:
    """The dtype of numbers whose parts have this one."""
    return np.result_type(dtype, np.complex64)


class Pair(NDArrayOperatorsMixin):
    """re + i im, of arrays or numbers; a real one has no `im`."""

    __slots__ = ("im", "re")

    def __init__(self, re: Any, im: Any = None) -> None:
        self.re, self.im = re, im

    @property
    def dtype(self) -> np.dtype:
        parts = [x for x in (self.re, self.im) if x is not None]
        real = np.result_type(*[getattr(x, "dtype", x) for x in parts])
        return real if self.im is None else complex_of(real)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(np.shape(self.re), np.shape(self.im))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def real(self) -> Pair:
        return Pair(self.re)

    @property
    def imag(self) -> Pair:
        return Pair(0.0 * self.re if self.im is None else self.im)

    def conj(self) -> Pair:
        return self if self.im is None else Pair(self.re, -self.im)

    def astype(self, dtype: Any, copy: bool = True) -> Pair:
        dtype = np.dtype(dtype)
        if dtype.kind != "c":
            if dtype.kind == "b":
                return Pair(astype(self.re, bool)) if self.im is None else _not_zero(self)
            return Pair(astype(self.re, dtype))
        part = dtype.type(0).real.dtype
        a = whole(self)
        im = astype(a.im, part) if hasattr(a.im, "dtype") else part.type(a.im)
        return Pair(astype(a.re, part), im)

    def __getitem__(self, key: Any) -> Pair:
        if key in ((), Ellipsis):
            return self
        raise Unsupported(f"[{key!r}] of complex numbers")

    def __array_ufunc__(self, ufunc: np.ufunc, how: str, *operands: Any, **kwargs: Any) -> Any:
        kwargs.pop("dtype", None)
        if how != "__call__" or kwargs:
            raise Unsupported(f"{ufunc.__name__}.{how} of complex numbers")
        pairs = [as_pair(x) for x in operands]
        if all(x.im is None for x in pairs):
            return Pair(ufunc(*[x.re for x in pairs]))
        rule = UFUNCS.get(ufunc.__name__)
        if rule is None:
            raise Unsupported(f"{ufunc.__name__} of complex numbers")
        if ufunc.__name__ == "power":
            return rule(whole(pairs[0]), pairs[1])
        return rule(*map(whole, pairs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = _FUNCTIONS.get(function)
        if rule is None:
            raise Unsupported(f"{getattr(function, '__name__', function)} of complex numbers")
        return rule(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        raise Unsupported(f".{name} of complex numbers")


def as_pair(x: Any) -> Pair:
    if isinstance(x, Pair):
        return x
    if isinstance(x, complex) and not isinstance(x, np.generic):
        return Pair(x.real, x.imag)
    if getattr(getattr(x, "dtype", None), "kind", "") == "c":
        return Pair(np.real(x), np.imag(x)) if np.ndim(x) else Pair(x.real, x.imag)
    return Pair(x)


def whole(x: Pair) -> Pair:
    """The pair with an imaginary part, as NumPy casts a real operand."""
    return Pair(x.re, 0.0) if x.im is None else x


# Formulas -----------------------------------------------------------------------------------------


def multiply(a: Pair, b: Pair) -> Pair:
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def divide(a: Pair, b: Pair) -> Pair:
    """Smith's: by the larger part of b first."""
    swap = less(abs(b.re), abs(b.im))
    p, q = where(swap, b.im, b.re), where(swap, b.re, b.im)
    ratio = q / p
    scale = 1 / (p + q * ratio)
    re = where(swap, a.re * ratio + a.im, a.re + a.im * ratio) * scale
    im = where(swap, a.im * ratio - a.re, a.im - a.re * ratio) * scale
    zero = logical_and(equal(p, 0), equal(q, 0))
    size = abs(p)
    return Pair(where(zero, a.re / size, re), where(zero, a.im / size, im))


def _size(a: Pair) -> Any:
    return hypot(a.re, a.im)


def _exp(a: Pair) -> Pair:
    size = exp(a.re)
    return Pair(size * cos(a.im), where(equal(a.im, 0), a.im, size * sin(a.im)))


def _log(a: Pair) -> Pair:
    return Pair(log(_size(a)), arctan2(a.im, a.re))


def _sqrt(a: Pair) -> Pair:
    t = sqrt(0.5 * (abs(a.re) + _size(a)))
    zero = equal(t, 0)
    other = abs(a.im) / where(zero, 1, 2 * t)
    right = greater_equal(a.re, 0)
    re, im = where(right, t, other), where(right, other, t)
    return Pair(re, where(less(a.im, 0), -im, im))


def _power(a: Pair, b: Pair) -> Pair:
    n = _whole_number(b)
    if n is not None:
        y = _whole_power(a, abs(n))
        return y if n >= 0 else divide(Pair(1.0, 0.0), y)
    b = whole(b)
    y = _exp(multiply(b, _log(a)))
    zero = logical_and(equal(a.re, 0), equal(a.im, 0))
    none = logical_and(equal(b.re, 0), equal(b.im, 0))
    fine = logical_or(none, logical_and(less(0, b.re), equal(b.im, 0)))
    at_0 = where(fine, where(none, 1.0, 0.0), np.nan)
    return Pair(where(zero, at_0, y.re), where(zero, where(fine, 0.0, np.nan), y.im))


def _whole_number(b: Pair) -> int | None:
    """A small whole exponent that is a constant."""
    if b.im is not None or not isinstance(b.re, (int, float, np.integer, np.floating)):
        return None
    n = float(b.re)
    return int(n) if n.is_integer() and abs(n) < MOST else None


def _whole_power(a: Pair, n: int) -> Pair:
    y = Pair(1.0 + 0.0 * a.re, 0.0 * a.im) if n == 0 else None
    while n:
        if n & 1:
            y = a if y is None else multiply(y, a)
        n >>= 1
        a = multiply(a, a) if n else a
    assert y is not None
    return y


def _tanh(a: Pair) -> Pair:
    far = less(20, abs(a.re))
    x = where(far, 0, a.re)
    t, s = tan(a.im), sinh(x)
    slope = 1 + t * t
    below = 1 + slope * s * s
    near = Pair(slope * sqrt(1 + s * s) * s / below, t / below)
    e = 4 * sin(a.im) * cos(a.im) * exp(-2 * abs(a.re))
    side = where(less(a.re, 0), -1.0, 1.0)
    return Pair(where(far, side, near.re), where(far, e, near.im))


def _turned(f: Callable[[Pair], Pair]) -> Callable[[Pair], Pair]:
    """-i f(i z), which is tan for tanh."""

    def turned(a: Pair) -> Pair:
        y = f(Pair(-a.im, a.re))
        return Pair(y.im, -y.re)

    return turned


def _sign(a: Pair) -> Pair:
    size = _size(a)
    zero = equal(size, 0)
    size = where(zero, 1, size)
    return Pair(where(zero, 0, a.re / size), where(zero, 0, a.im / size))


def _not_zero(a: Pair) -> Pair:
    return Pair(logical_or(not_equal(a.re, 0), not_equal(a.im, 0)))


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: Pair(a.re + b.re, a.im + b.im),
    "subtract": lambda a, b: Pair(a.re - b.re, a.im - b.im),
    "multiply": multiply,
    "divide": divide,
    "true_divide": divide,
    "negative": lambda a: Pair(-a.re, -a.im),
    "positive": lambda a: a,
    "conjugate": lambda a: Pair(a.re, -a.im),
    "absolute": lambda a: Pair(_size(a)),
    "square": lambda a: multiply(a, a),
    "reciprocal": lambda a: divide(Pair(1.0, 0.0), a),
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "power": _power,
    "sin": lambda a: Pair(sin(a.re) * cosh(a.im), cos(a.re) * sinh(a.im)),
    "cos": lambda a: Pair(cos(a.re) * cosh(a.im), -(sin(a.re) * sinh(a.im))),
    "sinh": lambda a: Pair(sinh(a.re) * cos(a.im), cosh(a.re) * sin(a.im)),
    "cosh": lambda a: Pair(cosh(a.re) * cos(a.im), sinh(a.re) * sin(a.im)),
    "tanh": _tanh,
    "tan": _turned(_tanh),
    "sign": _sign,
    "equal": lambda a, b: Pair(logical_and(equal(a.re, b.re), equal(a.im, b.im))),
    "not_equal": lambda a, b: Pair(logical_or(not_equal(a.re, b.re), not_equal(a.im, b.im))),
    "isnan": lambda a: Pair(logical_or(isnan(a.re), isnan(a.im))),
    "isinf": lambda a: Pair(logical_or(isinf(a.re), isinf(a.im))),
    "isfinite": lambda a: Pair(logical_and(isfinite(a.re), isfinite(a.im))),
}


def _where(c: Any, a: Any, b: Any) -> Pair:
    c, a, b = map(as_pair, (c, a, b))
    condition = c.re if c.im is None else _not_zero(c).re
    if a.im is None and b.im is None:
        return Pair(where(condition, a.re, b.re))
    a, b = whole(a), whole(b)
    return Pair(where(condition, a.re, b.re), where(condition, a.im, b.im))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.real: lambda x: x.real,
    np.imag: lambda x: x.imag,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.copy: lambda x: x,
}
