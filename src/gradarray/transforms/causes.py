"""The likely cause of a NaN or an infinity, in words, from the op and the values that it met."""

from __future__ import annotations

from typing import Any

import numpy as np

# Words for a value that an elementwise op made, from its operands `v` at that place; an op that is
# not here, or whose rule says nothing, is told by its operands' sizes alone.
_VALUES: dict[str, Any] = {
    "log": lambda v: _log(v["x"]),
    "log2": lambda v: _log(v["x"]),
    "log10": lambda v: _log(v["x"]),
    "log1p": lambda v: _log(v["x"] + 1, " 1 + x,"),
    "sqrt": lambda v: "the square root of a negative number" if v["x"] < 0 else "",
    "rsqrt": lambda v: "the root of a negative number" if v["x"] < 0 else "a division by 0",
    "divide": lambda v: _quotient(v["a"], v["b"]),
    "remainder": lambda v: _quotient(v["a"], v["b"]),
    "fmod": lambda v: _quotient(v["a"], v["b"]),
    "floor_divide": lambda v: _quotient(v["a"], v["b"]),
    "reciprocal": lambda v: _quotient(1, v["x"]),
    "power": lambda v: _power(v["a"], v["b"]),
    "fixed_power": lambda v: _power(v["x"], v["n"]),
    "add": lambda v: _infinities(v, "inf - inf"),
    "subtract": lambda v: _infinities(v, "inf - inf"),
    "multiply": lambda v: _infinities(v, "0 * inf"),
    "absorb": lambda v: _infinities(v, "0 * inf"),
    "arcsin": lambda v: "outside [-1, 1]" if abs(v["x"]) > 1 else "",
    "arccos": lambda v: "outside [-1, 1]" if abs(v["x"]) > 1 else "",
    "arccosh": lambda v: "below 1" if v["x"] < 1 else "",
    "arctanh": lambda v: _inverse(v["x"], -1, 1, "arctanh"),
    "erfinv": lambda v: _inverse(v["x"], -1, 1, "erfinv"),
    "logit": lambda v: _inverse(v["x"], 0, 1, "logit"),
    "gamma": lambda v: _gamma("gamma", v["x"]),
    "gammaln": lambda v: _gamma("gammaln", v["x"]),
    "digamma": lambda v: _gamma("digamma", v["x"]),
}  # fmt: skip


def of_value(op: Any, values: dict[str, Any], made: Any, dtype: Any) -> str:
    """Why `op` made this value of operands that stand at its place; of any if there are none."""
    rule = _VALUES.get(op.name)
    known = {name: v for name, v in values.items() if v is not None}
    if rule is not None and known and len(known) == len(values):
        try:
            words = rule(known)
        except (KeyError, TypeError):  # complex numbers have no order
            words = _log(known["x"]) if op.name.startswith("log") and "x" in known else ""
        if words:
            return words
    if np.isnan(made):
        if any(np.isinf(v) for v in known.values()):
            return f"{op.name} has no value at an infinity"
        return f"outside the domain of {op.name}" if known else ""
    if known and all(abs(v) <= 1 for v in known.values()):
        return f"{op.name} is infinite there"
    return f"{op.name} overflows {dtype}, which ends at {np.finfo(dtype).max:.2g}"


def of_array(op: Any, infinite: bool, made: Any, dtype: Any) -> str:
    """Why `op`, which takes whole arrays, made this value; `infinite`: do they hold infinities?"""
    if np.isnan(made):
        return "inf - inf, or 0 * inf, among what it sums" if infinite else ""
    return f"{op.name} overflows {dtype}, which ends at {np.finfo(dtype).max:.2g}"


def of_slope(op: Any, values: dict[str, Any], came: Any, made: Any) -> str:
    """Why a derivative that went through `op` is not finite, from what it kept and what came."""
    known = [v for v in values.values() if v is not None]
    if np.isnan(made):
        if (came is not None and came == 0) or any(v == 0 for v in known):
            return "0 * inf, as from a masked branch"
        return "inf - inf, or 0 * inf"
    tiny = [v for v in known if abs(v) < 1e-30]
    if tiny and any(tiny) and op.name == "log":
        return "the slope 1/x of log overflows at so small an x"
    if tiny:
        return f"the slope of {op.name} is infinite, or overflows, so near to 0"
    if came is not None and abs(came) <= 1 and any(abs(v) == 1 for v in known):
        return f"the slope of {op.name} is infinite there"
    return "a product along the chain overflows"


def _log(x: Any, of: str = "") -> str:
    if x == 0:
        return f"the logarithm of{of} 0"
    if not isinstance(x, (complex, np.complexfloating)) and x < 0:
        return f"the logarithm of{of} a negative number"
    return ""


def _inverse(x: Any, low: Any, high: Any, name: str) -> str:
    """The inverse of a function that goes from low to high: its ends, and what lies beyond."""
    if x in (low, high):
        return f"{name} is infinite at {low} and {high}"
    return f"outside ({low}, {high})" if not low < x < high else ""


def _quotient(a: Any, b: Any) -> str:
    if b == 0:
        return "0 / 0" if a == 0 else "a division by 0"
    if np.isinf(a) and np.isinf(b):
        return "inf / inf"
    return "the quotient overflows" if abs(b) < 1 and np.isfinite(a) else ""


def _power(a: Any, b: Any) -> str:
    if a < 0 and b % 1:
        return "a negative number to a broken power"
    return "0 to a negative power" if a == 0 and b < 0 else ""


def _infinities(v: dict[str, Any], words: str) -> str:
    return words if any(np.isinf(x) for x in v.values()) else ""


def _gamma(name: str, x: Any) -> str:
    return f"{name} is infinite at 0, -1, -2, .." if x <= 0 and x == np.floor(x) else ""
