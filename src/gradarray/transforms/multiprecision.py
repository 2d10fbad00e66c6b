"""A recorded run of scalar ops once more in mpmath, where no floating type is wide enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import message

DIGITS = 50

# Elementwise ops as functions of mpmath numbers (mp is its context), by the ops' names.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda mp, a, b: a + b,
    "subtract": lambda mp, a, b: a - b,
    "multiply": lambda mp, a, b: a * b,
    "divide": lambda mp, a, b: a / b,
    "remainder": lambda mp, a, b: a - b * mp.floor(a / b),
    "reciprocal": lambda mp, x: 1 / x,
    "square": lambda mp, x: x * x,
    "power": lambda mp, a, b: mp.power(a, b),
    "fixed_power": lambda mp, x, n: mp.power(x, n),
    "rsqrt": lambda mp, x: 1 / mp.sqrt(x),
    "exp2": lambda mp, x: mp.power(2, x),
    "log2": lambda mp, x: mp.log(x, 2),
    "logaddexp": lambda mp, a, b: mp.log(mp.exp(a) + mp.exp(b)),
    "sech": lambda mp, x: mp.sech(x),
    "sigmoid": lambda mp, x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda mp, x, beta: mp.log1p(mp.exp(beta * x)) / beta,
    "sinc": lambda mp, x: mp.sincpi(x),
    "gammaln": lambda mp, x: mp.log(abs(mp.gamma(x))),
    "logit": lambda mp, x: mp.log(x / (1 - x)),
    "xlogy": lambda mp, a, b: a * mp.log(b) if a else mp.mpf(0),
    "where": lambda mp, cond, a, b: a if cond else b,
    "maximum": lambda mp, a, b: max(a, b),
    "minimum": lambda mp, a, b: min(a, b),
    "clip": lambda mp, x, low, high: min(max(x, low), high),
    "relu": lambda mp, x: max(x, mp.mpf(0)),
    **{name: lambda mp, x: x for name in ("positive", "astype", "reshape", "alias")},
}

# Those that mpmath has under a name of its own.
_NAMES = {
    "negative": "fneg", "absolute": "fabs", "fabs": "fabs", "arctan2": "atan2",
    **{name: name for name in ("sqrt", "cbrt", "exp", "expm1", "log", "log10", "log1p", "hypot")},
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: name for name in ("erf", "erfc", "erfinv", "gamma", "digamma", "beta")},
    "ndtr": "ncdf", "sign": "sign",
}


def replayed(rows: Sequence[Any]) -> list[Any]:
    """The results of the rows (op, line, operands, params, result), each of exact operands.

    A value that no row made is taken as it is. Raises ImportError without mpmath, TypeError for
    an op that is not known on scalars.
    """
    op = "precision_report"
    try:
        mp: Any = import_module("mpmath").mp.clone()
    except ImportError:
        raise ImportError(
            message(
                op,
                "float64 has no wider type on this machine, and mpmath is not installed.",
                "Install it (pip install mpmath), or look at f in float32.",
            )
        ) from None
    mp.dps = DIGITS
    exact: dict[int, Any] = {}
    out = []
    for row in rows:
        if np.shape(row.y):
            what = f"{row.op} works on an array of shape {np.shape(row.y)}"
            mend = "mpmath is for scalars: give f one number, or look at it in float32."
            raise TypeError(message(op, f"{what}, in float64.", mend))
        function = _FUNCTIONS.get(row.op)
        if function is None and row.op in _NAMES:
            named = _NAMES[row.op]
            function = lambda mp, *xs, named=named: getattr(mp, named)(*xs)
        if function is None:
            mend = "Look at f in float32, against float64."
            raise TypeError(message(op, f"{row.op} is not known in mpmath.", mend))
        operands = [exact[id(x)] if id(x) in exact else _number(mp, x) for x in row.raw]
        params = {k: v for k, v in row.params.items() if k in ("n", "beta")}
        value = exact[id(row.y)] = function(mp, *operands, **params)
        out.append(value)
    return out


def _number(mp: Any, x: Any) -> Any:
    x = np.asarray(x)
    return bool(x) if x.dtype.kind == "b" else mp.mpf(float(x))
