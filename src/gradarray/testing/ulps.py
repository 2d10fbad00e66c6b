"""How far the compiler's elementary functions are off, in ulps, against mpmath.

`python -m gradarray.testing.ulps docs` writes docs/functions.md.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np

from ..compiler import bounds
from ..compiler.emit import Entry
from ..compiler.expr import Expr, leaf
from ..compiler.functions import FUNCTIONS
from ..compiler.ir import ATTRIBUTES, Module
from ..compiler.loops import Access, Buffer, Nest, Store, Var
from ..compiler.machine import Loaded, host, object_code
from .ulp_cases import CASES, Argument, Case

mp: Any = mpmath.mp
DIGITS = 50
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def native(fn: Callable[..., Expr], *xs: np.ndarray) -> np.ndarray:
    """fn of every element, as code in memory: one nest over arrays of one length and dtype."""
    dtype, size = xs[0].dtype, xs[0].size
    along = Var(size)
    buffers = [Buffer(size, dtype, "given", index=k) for k in range(len(xs) + 1)]
    *loads, store = [Access(b, 0, ((along, 1),)) for b in buffers]
    leaves = [leaf(k, dtype) for k in range(len(xs))]
    nest = Nest([along], dict(zip(leaves, loads, strict=True)), [Store(store, fn(*leaves))])
    bounds.check([nest])
    module = Module(host())
    Entry(module, "entry").write([nest])
    code = Loaded([object_code(module.text() + ATTRIBUTES)], ("entry",), {})
    y = np.empty(size, dtype)
    given = [np.ascontiguousarray(x) for x in xs]
    table = np.array([x.ctypes.data for x in (*given, y)], np.int64)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.addresses["entry"])
    run(None, table.ctypes.data)
    return y


def points(argument: Argument, dtype: np.dtype, count: int, rng: np.random.Generator) -> np.ndarray:
    """Half of them in the core; from end to end; of every magnitude; and the ends."""
    double = int(dtype == np.float64)
    low, high = argument.low[double], argument.high[double]
    quarter = count // 4
    info = np.finfo(dtype)
    most = max(abs(low), abs(high))
    least = float(info.smallest_subnormal) if low <= 0 <= high else min(abs(low), abs(high))
    magnitudes = np.exp2(rng.uniform(np.log2(max(least, 1e-323)), np.log2(most), 2 * quarter))
    magnitudes = magnitudes * rng.choice([-1, 1], magnitudes.size)
    magnitudes = magnitudes[(magnitudes >= low) & (magnitudes <= high)][:quarter]
    every = np.concatenate([
        [low, high],
        low / 2 + rng.uniform(size=quarter) * (high / 2 - low / 2) + low / 2,
        magnitudes,
    ])  # fmt: skip
    core = rng.uniform(*argument.core, count - every.size)
    x = np.concatenate([every, core]).astype(dtype)
    x = x[(x >= low) & (x <= high) & np.isfinite(x) & (x != 0)]
    return np.resize(x, count)


def error(case: Case, got: Any, xs: Sequence[Any], dtype: np.dtype) -> float:
    """|got - exact| in ulps of the exact result."""
    info = np.finfo(dtype)
    exact = case.exact(*[mp.mpf(float(x)) for x in xs])
    if mp.isinf(exact):
        return 0.0 if got == float(exact) else float("inf")
    size = max(abs(exact), case.least)
    if case.largest:
        size = max(size, *(abs(mp.mpf(float(x))) for x in xs))
    exponent = mp.frexp(size)[1] - 1 if size else info.minexp
    ulp = mp.ldexp(mp.mpf(1), max(int(exponent), int(info.minexp)) - info.nmant)
    largest = mp.mpf(float(info.max))
    if abs(exact) >= largest + ulp / 2:
        return 0.0 if got == np.copysign(np.inf, float(mp.sign(exact))) else float("inf")
    if not np.isfinite(got):
        return float("inf")
    return float(abs(mp.mpf(float(got)) - exact) / ulp)


class Measured(NamedTuple):
    worst: float
    at: tuple[Any, ...]


def measure(case: Case, dtype: np.dtype, count: int = 1000, seed: int = 0) -> Measured:
    """The largest error over random arguments."""
    rng = np.random.default_rng(seed)
    count //= case.cost
    xs = [points(argument, dtype, count, rng) for argument in case.arguments]
    xs = [xs[0], *(rng.permutation(x) for x in xs[1:])]
    got = native(FUNCTIONS[case.name.partition(",")[0]], *xs)
    worst = Measured(-1.0, ())
    with mp.workdps(DIGITS):
        for y, *x in zip(got, *xs, strict=True):
            e = error(case, y, x, dtype)
            if not e <= worst.worst:
                worst = Measured(e, tuple(x))
    return worst


# The page -----------------------------------------------------------------------------------------

_HEAD = """# Elementary functions of the compiler

`ga.compile` makes its elementary functions of additions, products, comparisons and choices
(`compiler/functions`), from coefficients that `python -m gradarray.testing.approximate` derives.
This page is written by `make proof`: for each function the largest error found against
[mpmath](https://mpmath.org), in ulps of the exact result (of a subnormal one too), over {count}
random arguments of the range, half of them in the core; "held to" is what the tests allow.
Functions of two arguments have a range for each. Where the range stands beyond 1e5, sine, cosine
and tangent ask the C library.

| function | range | core | float32 | float64 | held to |
| --- | --- | --- | --- | --- | --- |
"""

_TAIL = """
Of gammaln and psi the ulps are those of max(1, |y|), of logaddexp and logaddexp2 those of the
largest of |a|, |b| and |y|. At 0 of either sign, at infinities and NaN all of them give what NumPy
and SciPy give (`tests/compiler/test_functions.py`).
"""


def _range(argument: Argument) -> str:
    low, high = ({f"{float(x):.4g}": 0 for x in ends} for ends in argument[:2])
    return f"{' / '.join(low)} to {' / '.join(high)}"


def page(count: int = 8000) -> str:
    lines = []
    for case in CASES:
        found = [measure(case, dtype, count) for dtype in DTYPES]
        ranges = "; ".join(dict.fromkeys(map(_range, case.arguments)))
        cores = "; ".join(dict.fromkeys(f"{a.core[0]:g} to {a.core[1]:g}" for a in case.arguments))
        lines.append(
            f"| {case.name} | {ranges} | {cores} | {found[0].worst:.2f} | {found[1].worst:.2f} "
            f"| {case.limit:g} |"
        )
    return _HEAD.format(count=f"up to {count:,}") + "\n".join(lines) + "\n" + _TAIL


if __name__ == "__main__":
    (Path(sys.argv[1]) / "functions.md").write_text(page(), encoding="utf-8")
