"""NumPy's ufuncs in primitives: expressions for operands of the dtypes that NumPy would cast to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import expr
from .expr import BOOL, Expr, Unsupported, cast, const, make, select
from .functions import FUNCTIONS, Missing


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
    zero, one = const(0, a.dtype), const(1, a.dtype)
    if a.dtype.kind == "f":
        # As NumPy: from the remainder, so that a = floor(a/b) b + (a mod b) holds.
        mod = _float_rem(a, b)
        div = make("div", make("sub", a, mod), b)
        div = select(_rounded_up(mod, b), make("sub", div, one), div)
        down = make("floor", div)
        half = const(0.5, a.dtype)
        near = select(make("gt", make("sub", div, down), half), make("add", down, one), down)
        quotient = make("div", a, b)
        flat = select(make("ne", div, zero), near, make("copysign", zero, quotient))
        return select(make("eq", b, zero), quotient, flat)
    by = _divisor(b)
    div = make("div", a, by)
    if a.dtype.kind == "i":
        up = _rounded_up(make("rem", a, by), by)
        div = select(up, make("sub", div, one), div)
        div = select(make("eq", b, const(-1, a.dtype)), make("neg", a), div)
    return select(make("eq", b, zero), zero, div)


def _remainder(a: Expr, b: Expr) -> Expr:
    zero = const(0, a.dtype)
    if a.dtype.kind == "f":
        mod = _float_rem(a, b)
        moved = select(_differ(b, mod), make("add", mod, b), mod)
        return select(make("ne", mod, zero), moved, make("copysign", zero, b))
    by = _divisor(b)
    mod = make("rem", a, by)
    if a.dtype.kind == "i":
        mod = select(_rounded_up(mod, by), make("add", mod, by), mod)
    return select(make("eq", b, zero), zero, mod)


def _fmod(a: Expr, b: Expr) -> Expr:
    if a.dtype.kind == "f":
        return _float_rem(a, b)
    zero = const(0, a.dtype)
    return select(make("eq", b, zero), zero, make("rem", a, _divisor(b)))


def _float_rem(a: Expr, b: Expr) -> Expr:
    """a - trunc(a/b) b, exactly, without a loop where a/b has fewer digits than a number.

    The rounded quotient of magnitudes is the true one, or an integer just above it; a - q b is a
    number in both cases, since it is a multiple of the smaller unit in the last place and not
    larger than b, or than a.
    """
    zero, most = const(0, a.dtype), const(2.0 ** np.finfo(a.dtype).nmant, a.dtype)
    over, under = make("abs", a), make("abs", b)
    quotient = make("div", over, under)
    left = make("fma", make("neg", make("trunc", quotient)), under, over)
    left = select(make("lt", left, zero), make("add", left, under), left)
    plain = make("and", make("lt", quotient, most), _isfinite(b))
    rest = make("rem", a, b)
    return make("rare", make("not", plain), make("copysign", left, a), rest)


def _divisor(b: Expr) -> Expr:
    """b; 1 in the place of 0, and of -1, by which the least number has no quotient."""
    one = const(1, b.dtype)
    by = select(make("eq", b, const(0, b.dtype)), one, b)
    return by if b.dtype.kind == "u" else select(make("eq", by, const(-1, b.dtype)), one, by)


def _rounded_up(mod: Expr, b: Expr) -> Expr:
    """Has a quotient with this remainder been rounded up, where it is to be rounded down?"""
    return make("and", make("ne", mod, const(0, mod.dtype)), _differ(b, mod))


def _differ(a: Expr, b: Expr) -> Expr:
    """Are the signs of two numbers different?"""
    zero = const(0, a.dtype)
    return make("xor", make("lt", a, zero), make("lt", b, zero))


def _modf(x: Expr) -> tuple[Expr, Expr]:
    """What is behind the point, and before it, both with the sign of x."""
    whole = make("trunc", x)
    part = select(_isinf(x), const(0, x.dtype), make("sub", x, whole))
    return make("copysign", part, x), whole


def _frexp(x: Expr) -> tuple[Expr, Expr]:
    """Mantissa and exponent, out of the bits; a subnormal number is made a normal one before."""
    info = np.finfo(x.dtype)
    kind = np.dtype(f"u{x.dtype.itemsize}")
    digits, bias = info.nmant, info.maxexp - 1
    mask = (1 << info.nexp) - 1
    low = make("lt", make("abs", x), const(info.tiny, x.dtype))
    scaled = select(low, make("mul", x, const(2.0 ** (digits + 2), x.dtype)), x)
    up = select(low, const(digits + 2, np.int32), const(0, np.int32))
    word, by = expr.bits(scaled, kind), const(digits, kind)
    power = make("and", make("shr", word, by), const(mask, kind))
    power = make("sub", make("sub", cast(power, np.int32), const(bias - 1, np.int32)), up)
    rest = make("and", word, const(((1 << 8 * kind.itemsize) - 1) ^ (mask << digits), kind))
    part = expr.bits(make("or", rest, const((bias - 1) << digits, kind)), x.dtype)
    number = make("and", make("ne", x, const(0, x.dtype)), _isfinite(x))
    return select(number, part, x), select(number, power, const(0, np.int32))


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
            inside = make("and", inside, make("ge", b, const(0, b.dtype)))
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


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": _bool_or("add", "or"),
    "subtract": _p("sub"),
    "multiply": _bool_or("mul", "and"),
    "divide": _p("div"),
    "true_divide": _p("div"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "modf": _modf,
    "frexp": _frexp,
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
