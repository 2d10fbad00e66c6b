"""Values of elementary and special functions against the tables in NumPy's and SciPy's wheels.

NumPy's `umath-validation-set-*.csv` hold arguments and results in hexadecimal with a bound in ulps;
SciPy's `boost.npz` the tables of the Boost project, computed with many digits.
"""

from importlib import resources

import numpy as np
import pytest
import scipy.special

import gradarray as ga

NUMPY = [
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh", "exp"),
    *("exp2", "expm1", "log", "log10", "log1p", "log2", "sin", "sinh", "tan", "tanh"),
]


def numpy_table(name):
    """{dtype: (arguments, results, ulps)} of a table in NumPy's wheel."""
    path = resources.files("numpy") / f"_core/tests/data/umath-validation-set-{name}.csv"
    if not path.is_file():
        pytest.skip(f"this wheel of numpy {np.__version__} has no {path.name}")
    rows = [line.split(",") for line in path.read_text().splitlines()[1:] if line[:1] == "n"]
    out = {}
    for word in {row[0] for row in rows}:
        dtype = np.dtype(word.removeprefix("np."))
        mine = [row for row in rows if row[0] == word]
        bits = f"u{dtype.itemsize}"
        arguments, results = (
            np.array([int(row[k], 16) for row in mine], bits).view(dtype) for k in (1, 2)
        )
        out[dtype] = arguments, results, np.array([int(row[3]) for row in mine])
    return out


def watched(f, *xs):
    """f(*xs), and the names of the library's ops that were applied."""

    class Watcher:
        sweeping, names = 0, set()

        def forward(self, op, raw, params, y):
            self.names.add(op.name)

        def recorded(self, node):
            """Not needed here."""

    watcher = Watcher()
    with ga.graph.watching(watcher), np.errstate(all="ignore"):
        return f(*map(ga.array, xs)).numpy(), watcher.names


@pytest.mark.parametrize("name", NUMPY)
def test_elementary_functions(name):
    for dtype, (x, expected, ulps) in numpy_table(name).items():
        y, names = watched(getattr(ga, name), x)
        assert y.dtype == dtype and names == {name}  # the op computed it, in its own dtype
        same = (y == expected) | (np.isnan(y) & np.isnan(expected))
        with np.errstate(all="ignore"):
            off = np.abs(y.astype(np.float64) - expected) / np.spacing(np.abs(expected))
        # One ulp above the table's bound: NumPy's own claim is for its vectorised loops alone.
        wrong = ~same & ~(off <= ulps + 1)
        assert not wrong.any(), (x[wrong][:3], y[wrong][:3], expected[wrong][:3])


# function: the tables that it is held against, with the columns of its arguments and result
SPECIAL = [
    ("erf", "erf_data", (0,), 1),
    ("erf", "erf_large_data", (0,), 1),
    ("erf", "erf_small_data", (0,), 1),
    ("erfc", "erf_data", (0,), 2),
    ("erfc", "erf_large_data", (0,), 2),
    ("erfc", "erf_small_data", (0,), 2),
    ("erfinv", "erf_inv_data", (0,), 1),
    ("erfcinv", "erfc_inv_data", (0,), 1),
    ("erfcinv", "erfc_inv_big_data", (0,), 1),
    ("gamma", "test_gamma_data_ipp-near_0", (0,), 1),
    ("gamma", "test_gamma_data_ipp-near_1", (0,), 1),
    ("gamma", "test_gamma_data_ipp-near_2", (0,), 1),
    ("gamma", "test_gamma_data_ipp-near_m10", (0,), 1),
    ("gamma", "test_gamma_data_ipp-factorials", (0,), 1),
    ("gammaln", "test_gamma_data_ipp-near_0", (0,), 2),
    ("gammaln", "test_gamma_data_ipp-near_m10", (0,), 2),
    ("gammaln", "test_gamma_data_ipp-factorials", (0,), 2),
    ("digamma", "digamma_data", (0,), 1),
    ("digamma", "digamma_small_data", (0,), 1),
    ("beta", "beta_med_data", (0, 1), 2),
    ("beta", "beta_exp_data", (0, 1), 2),
    ("betainc", "ibeta_small_data", (0, 1, 2), 5),
    ("betainc", "ibeta_data", (0, 1, 2), 5),
    ("betainc", "ibeta_int_data", (0, 1, 2), 5),
    ("gammainc", "igamma_small_data", (0, 1), 5),
    ("gammainc", "igamma_med_data", (0, 1), 5),
    ("gammainc", "igamma_int_data", (0, 1), 5),
    ("gammaincc", "igamma_small_data", (0, 1), 3),
    ("gammaincc", "igamma_med_data", (0, 1), 3),
    ("gammaincc", "igamma_int_data", (0, 1), 3),
    ("zeta", "zeta_data", (0,), 1),
]


def scipy_table(name):
    path = resources.files("scipy") / "special/tests/data/boost.npz"
    if not path.is_file():
        pytest.skip(f"this wheel of scipy {scipy.__version__} has no special/tests/data/boost.npz")
    key = name if "_ipp-" in name else f"{name}_ipp-{name}"
    with np.load(str(path)) as tables:
        return tables[key]


@pytest.mark.parametrize(("name", "table", "columns", "result"), SPECIAL)
def test_special_functions(name, table, columns, result):
    rows = scipy_table(table)
    if table == "erfc_inv_big_data":
        rows = rows[rows[:, 0] > 0]  # the others are below the least double
    xs, expected = [rows[:, k].astype(float) for k in columns], rows[:, result].astype(float)
    y, names = watched(getattr(ga.special, name), *xs)
    assert names and y.dtype == np.float64  # the op computed it
    eps = np.finfo(float).eps
    roundings = 64.0
    if name == "beta":  # exp(ln G(a) + ln G(b) - ln G(a + b)): each term's rounding counts in full
        roundings = 64 + 2 * np.abs(scipy.special.gammaln(xs[0] + xs[1]))
    bound = roundings * eps * np.abs(expected) + np.finfo(float).tiny
    # The table's arguments were rounded: what a step of 2 eps in each changes is no error.
    with np.errstate(all="ignore"):
        for k in range(len(xs)):
            for step in (1 - 2 * eps, 1 + 2 * eps):
                moved = [x * step if j == k else x for j, x in enumerate(xs)]
                change = np.abs(getattr(scipy.special, name)(*moved) - expected)
                bound = np.maximum(bound, np.nan_to_num(change, nan=0, posinf=0) * 2)
    wrong = ~(np.abs(y - expected) <= bound) & (y != expected)
    assert not wrong.any(), (wrong.sum(), [x[wrong][:3] for x in xs], y[wrong][:3])
