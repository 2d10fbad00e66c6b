"""Formulas simplified by SymPy, which is an extra: pip install gradarray[symbolic].

An expression is translated op by op, simplified there, and translated back, so that it is written
as all others are.
"""

from __future__ import annotations

import functools
from typing import Any

from .. import errors
from .expr import Expr, folded, name, number, op, plain
from .mathml import FormulaError
from .simplify import simplify

_SAME = (
    "sin", "cos", "tan", "sinh", "cosh", "tanh", "sech", "exp", "log", "sqrt", "sign", "erf",
    "erfc", "gamma", "loggamma", "digamma",
)  # fmt: skip
_OTHER = {
    "absolute": "Abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "floor": "floor", "ceil": "ceiling",
}  # fmt: skip
_THERE = {**{one: one for one in _SAME}, **_OTHER}
_BACK = {there: here for here, there in _THERE.items()}


def simplified(expr: Expr) -> Expr:
    """The same value, as SymPy simplifies it, if that is shorter."""
    sympy = _sympy()
    names: dict[str, Expr] = {}
    shorter = simplify(_Back(sympy, names).of(sympy.simplify(_there(sympy, expr, names))))
    return shorter if shorter.count() <= expr.count() else expr


def _sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise ImportError(
            errors.message(
                "formula",
                "sympy=True asks for SymPy, which is not installed.",
                "pip install gradarray[symbolic], or leave it out for the library's own rules.",
            )
        ) from None
    return sympy


def _there(sympy: Any, expr: Expr, names: dict[str, Expr]) -> Any:
    def one(e: Expr, args: list[Any]) -> Any:
        if e.op is None:
            if e.name == "π":
                return sympy.pi
            if e.name:
                names[e.name] = e
                return sympy.Symbol(e.name, real=True)
            if not e.is_number:
                raise _refused("an array")
            return _number(sympy, plain(e.value))
        known = e.op.name
        if known in _ARITHMETIC:
            return _ARITHMETIC[known](*args)
        if known in _THERE:
            return getattr(sympy, _THERE[known])(*args)
        if known == "sigmoid":
            return 1 / (1 + sympy.exp(-args[0]))
        raise _refused(known)

    return folded(expr, one)


def _number(sympy: Any, value: Any) -> Any:
    return sympy.Integer(value) if isinstance(value, int) else sympy.Float(float(value), 17)


def _refused(what: str) -> FormulaError:
    return FormulaError(
        errors.message(
            "formula",
            f"SymPy is asked for elementary functions of single numbers only, not {what}.",
            "Leave out sympy=True.",
        )
    )


_ARITHMETIC: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "negative": lambda a: -a,
    "square": lambda a: a**2,
    "reciprocal": lambda a: 1 / a,
}


class _Back:
    def __init__(self, sympy: Any, names: dict[str, Expr]) -> None:
        self.sympy, self.names = sympy, names

    def of(self, e: Any) -> Expr:
        if e.is_Symbol:
            return self.names[str(e)]
        if e.is_Integer or e.is_Float:
            return number(plain(int(e) if e.is_Integer else float(e)))
        if e.is_Rational:
            return op("divide", int(e.p), int(e.q))
        if e == self.sympy.pi:
            return name("π", float(e))
        if e == self.sympy.E:
            return op("exp", 1)
        args = [self.of(x) for x in e.args]
        if e.is_Add or e.is_Mul:
            return functools.reduce(functools.partial(op, "add" if e.is_Add else "multiply"), args)
        if e.is_Pow:
            half = e.exp == self.sympy.Rational(1, 2)
            return op("sqrt", args[0]) if half else self._power(e, args)
        known = _BACK.get(type(e).__name__)
        if known is None:
            raise _refused(type(e).__name__)
        return op(known, *args)

    def _power(self, e: Any, args: list[Expr]) -> Expr:
        if e.exp == -self.sympy.Rational(1, 2):
            return op("reciprocal", op("sqrt", args[0]))
        return op("power", *args)
