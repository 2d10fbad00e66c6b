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

from . import expr
from .expr import BOOL, Expr, cast, const, make, select
from .functions import FUNCTIONS, Missing

_WEAK = (bool, int, float)


class Unsupported(Exception):
    """An operation that has no expression."""


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
    if ufunc.nout != 1 or ufunc.nin != len(xs):
        raise Unsupported(ufunc.__name__)
    rule = UFUNCS.get(ufunc.__name__)
    if rule is None:
        raise Unsupported(ufunc.__name__)
    kinds = [x.weak if x.weak in (int, float) else x.dtype for x in xs]
    try:
        *loop, out = ufunc.resolve_dtypes((*kinds, None))
    except TypeError as error:
        raise Unsupported(str(error)) from None
    if any(d.kind not in "biuf" or d == np.float16 for d in (*loop, out)):
        raise Unsupported(f"{ufunc.__name__} on {out}")
    y = rule(*[_cast(x.e, d) for x, d in zip(xs, loop)])
    return Scalar(_cast(y, out))


def _cast(x: Expr, dtype: np.dtype) -> Expr:
    if dtype.kind not in "biuf" or dtype == np.float16:
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


# NumPy's ufuncs in primitives ---------------------------------------------------------------------


def _p(name: str) -> Callable[..., Expr]:
    return lambda *xs: make(name, *xs)


def _isnan(x: Expr) -> Expr:
    return make("ne", x, x) if x.dtype.kind == "f" else const(False, BOOL)


def _isinf(x: Expr) -> Expr:
    if x.dtype.kind != "f":
        return const(False, BOOL)
    return make("eq", make("abs", x), const(np.inf, x.dtype))


def _isfinite(x: Expr) -> Expr:
    if x.dtype.kind != "f":
        return const(True, BOOL)
    return make("lt", make("abs", x), const(np.inf, x.dtype))


def _sign(x: Expr) -> Expr:
    zero, one = const(0, x.dtype), const(1, x.dtype)
    up = select(make("gt", x, zero), one, zero)
    if x.dtype.kind == "u":
        return up
    y = select(make("lt", x, zero), const(-1, x.dtype), up)
    return select(_isnan(x), x, y) if x.dtype.kind == "f" else y


def _signbit(x: Expr) -> Expr:
    kind = np.dtype(f"i{x.dtype.itemsize}")
    return make("lt", expr.bits(x, kind), const(0, kind))


def _bool_or(name: str, logical: str) -> Callable[..., Expr]:
    """Of truth values and, or; of numbers the primitive."""
    return lambda *xs: make(logical if xs[0].dtype == BOOL else name, *xs)


def _true(x: Expr) -> Expr:
    return x if x.dtype == BOOL else make("ne", x, const(0, x.dtype))


def _logical(name: str) -> Callable[..., Expr]:
    return lambda *xs: make(name, *map(_true, xs))


def _negative(x: Expr) -> Expr:
    return make("neg", x)


def _absolute(x: Expr) -> Expr:
    return x if x.dtype.kind in "bu" else make("abs", x)


def _floor_divide(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "f":
        # As NumPy: from the remainder, so that a = floor(a/b) b + (a mod b) holds.
        mod = make("rem", a, b)
        div = make("div", make("sub", a, mod), b)
        zero, one = const(0, a.dtype), const(1, a.dtype)
        wrong = _and(make("ne", mod, zero), _differ(b, mod))
        div = select(wrong, make("sub", div, one), div)
        down = make("floor", div)
        half = const(0.5, a.dtype)
        near = select(make("gt", make("sub", div, down), half), make("add", down, one), down)
        quotient = make("div", a, b)
        flat = select(make("ne", div, zero), near, make("copysign", zero, quotient))
        return select(make("eq", b, zero), quotient, flat)
    zero, one = const(0, a.dtype), const(1, a.dtype)
    by_zero = make("eq", b, zero)
    safe = select(by_zero, one, b)
    if a.dtype.kind == "u":
        return select(by_zero, zero, make("div", a, safe))
    minus = const(-1, a.dtype)
    least = make("and", _as(make("eq", safe, minus), a), one)
    safe = select(make("eq", safe, minus), one, safe)
    div = make("div", a, safe)
    mod = make("rem", a, safe)
    wrong = _and(make("ne", mod, zero), _differ(safe, mod))
    div = select(wrong, make("sub", div, one), div)
    div = select(make("ne", least, zero), make("neg", a), div)
    return select(by_zero, zero, div)


def _remainder(a: Expr, b: Expr) -> Expr:
    zero = const(0, a.dtype)
    if a.dtype.kind == "f":
        mod = make("rem", a, b)
        moved = select(_differ(b, mod), make("add", mod, b), mod)
        return select(make("ne", mod, zero), moved, make("copysign", zero, b))
    by_zero, one = make("eq", b, zero), const(1, a.dtype)
    safe = select(by_zero, one, b)
    if a.dtype.kind == "u":
        return select(by_zero, zero, make("rem", a, safe))
    safe = select(make("eq", safe, const(-1, a.dtype)), one, safe)
    mod = make("rem", a, safe)
    wrong = _and(make("ne", mod, zero), _differ(safe, mod))
    return select(by_zero, zero, select(wrong, make("add", mod, safe), mod))


def _fmod(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "f":
        return make("rem", a, b)
    zero, one = const(0, a.dtype), const(1, a.dtype)
    by_zero = make("eq", b, zero)
    safe = select(by_zero, one, b)
    if a.dtype.kind == "i":
        safe = select(make("eq", safe, const(-1, a.dtype)), one, safe)
    return select(by_zero, zero, make("rem", a, safe))


def _and(a: Expr, b: Expr) -> Expr:
    return make("and", a, b)


def _as(x: Expr, like: Expr) -> Expr:
    return cast(x, like.dtype)


def _differ(a: Expr, b: Expr) -> Expr:
    """Are the signs of two numbers different?"""
    zero = const(0, a.dtype)
    return make("xor", make("lt", a, zero), make("lt", b, zero))


def _heaviside(x: Expr, at_0: Expr) -> Expr:
    zero, one = const(0, x.dtype), const(1, x.dtype)
    y = select(make("lt", x, zero), zero, select(make("gt", x, zero), one, at_0))
    return select(_isnan(x), x, y)


def _square(x: Expr) -> Expr:
    return make("mul", x, x)


def _reciprocal(x: Expr) -> Expr:
    return make("div", const(1, x.dtype), x)


# NumPy's own short ways, and those of two multiplications, whose error is below 2 ulp too.
_SHORT_POWERS: dict[float, Callable[[Expr], Expr]] = {
    0.0: lambda x: const(1, x.dtype),
    0.5: lambda x: make("sqrt", x),
    1.0: lambda x: x,
    2.0: _square,
    3.0: lambda x: make("mul", x, _square(x)),
    4.0: lambda x: _square(_square(x)),
    -1.0: _reciprocal,
    -2.0: lambda x: _square(_reciprocal(x)),
}


def _power(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "f":
        if b.op == "const":
            short = _SHORT_POWERS.get(float(expr.value_of(b)))
            if short is not None:
                return short(a)
        return function("power", a, b)
    raise Unsupported("a power of integers")


def _shift(name: str) -> Callable[..., Expr]:
    def shift(a: Expr, b: Expr) -> Expr:
        size = const(8 * a.dtype.itemsize, a.dtype)
        inside = make("lt", b, size)
        if b.dtype.kind == "i":
            inside = _and(inside, make("ge", b, const(0, b.dtype)))
        zero = const(0, a.dtype)
        beyond = zero
        if name == "shr" and a.dtype.kind == "i":
            beyond = select(make("lt", a, zero), const(-1, a.dtype), zero)
        return select(inside, make(name, a, select(inside, b, zero)), beyond)

    return shift


def function(name: str, *xs: Expr) -> Expr:
    """An elementary function of the library, in primitives."""
    try:
        return FUNCTIONS[name](*xs)
    except (KeyError, Missing):
        raise Unsupported(name) from None


UFUNCS: dict[str, Callable[..., Expr]] = {
    "add": _bool_or("add", "or"),
    "subtract": _p("sub"),
    "multiply": _bool_or("mul", "and"),
    "divide": _p("div"),
    "true_divide": _p("div"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "negative": _negative,
    "positive": lambda x: x,
    "absolute": _absolute,
    "fabs": _absolute,
    "conjugate": lambda x: x,
    "sign": _sign,
    "signbit": _signbit,
    "copysign": _p("copysign"),
    "heaviside": _heaviside,
    "square": _square,
    "reciprocal": _reciprocal,
    "sqrt": _p("sqrt"),
    "power": _power,
    "float_power": _power,
    "floor": lambda x: x if x.dtype.kind in "biu" else make("floor", x),
    "ceil": lambda x: x if x.dtype.kind in "biu" else make("ceil", x),
    "trunc": lambda x: x if x.dtype.kind in "biu" else make("trunc", x),
    "rint": _p("rint"),
    "maximum": _bool_or("max", "or"),
    "minimum": _bool_or("min", "and"),
    "fmax": _bool_or("fmax", "or"),
    "fmin": _bool_or("fmin", "and"),
    "less": _p("lt"),
    "less_equal": _p("le"),
    "greater": _p("gt"),
    "greater_equal": _p("ge"),
    "equal": _p("eq"),
    "not_equal": _p("ne"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": _logical("not"),
    "bitwise_and": _p("and"),
    "bitwise_or": _p("or"),
    "bitwise_xor": _p("xor"),
    "invert": _p("not"),
    "left_shift": _shift("shl"),
    "right_shift": _shift("shr"),
    "isnan": _isnan,
    "isinf": _isinf,
    "isfinite": _isfinite,
    "deg2rad": lambda x: make("mul", x, const(np.pi / 180, x.dtype)),
    "rad2deg": lambda x: make("mul", x, const(180 / np.pi, x.dtype)),
    "radians": lambda x: make("mul", x, const(np.pi / 180, x.dtype)),
    "degrees": lambda x: make("mul", x, const(180 / np.pi, x.dtype)),
}
for _name in FUNCTIONS:
    UFUNCS.setdefault(_name, lambda *xs, _name=_name: function(_name, *xs))
