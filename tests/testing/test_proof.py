"""docs/derivatives.md: complete, explained, and what a part of it, done again, gives as well."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga
from gradarray.registry import Function, arr, case, functions
from gradarray.testing.proof.exact import derivatives, mp
from gradarray.testing.proof.measure import DTYPES, compare
from gradarray.testing.proof.misses import WHY
from gradarray.testing.proof.page import UNEXPLAINED, read
from gradarray.testing.proof.rows import NoDefinition, entries, rows_of

PAGE = (Path(__file__).parents[2] / "docs" / "derivatives.md").read_text(encoding="utf-8")
RECORD = read(PAGE)

# Every function whose saturation the library promises, and one in twelve of the others.
PROMISED = {"sigmoid", "tanh", "softplus", "erf", "log1p", "expm1", "log_sigmoid", "sech"}
SAMPLE = [e for e in entries() if e.name in PROMISED or zlib.crc32(e.name.encode()) % 12 == 0]


def test_every_differentiable_function_is_on_the_page():
    missing = [e.name for e in entries() for d in DTYPES if not _rows_on_page(e.name, d)]
    assert not missing, f"no row in docs/derivatives.md: {missing}; write it anew: make proof"
    gone = {name for name, _, _ in RECORD} - {e.name for e in entries()}
    assert not gone, f"rows of functions that are no more: {gone}; write it anew: make proof"


def _rows_on_page(name, dtype):
    return [key for key in RECORD if key[0] == name and key[2] == dtype]


def test_every_miss_is_explained():
    assert UNEXPLAINED not in PAGE
    missed = {
        key[:2]
        for key, modes in RECORD.items()
        if any(c.missed for cells in modes.values() for c in cells)
    }
    assert missed == set(WHY)


@pytest.mark.parametrize("entry", SAMPLE, ids=lambda e: e.name)
def test_a_part_done_again_has_the_digits_of_the_page(entry):
    rows = rows_of(entry)
    assert {r.key for r in rows} == {k for k in RECORD if k[0] == entry.name}
    for row in rows:
        for column, cells in row.cells.items():
            for order, (got, told) in enumerate(zip(cells, RECORD[row.key][column], strict=True)):
                where = f"{row.key}, {column}, number {order}: {got}, on the page {told}"
                assert told.missed or not got.missed, where
                # NumPy's functions differ in the last place between processors: by a digit of
                # the count, which rounds down.
                assert got.digits >= told.digits - 1, where


# The judge ----------------------------------------------------------------------------------------


def test_the_exact_derivatives_are_those_of_closed_forms():
    x = mp.mpf(300)
    tanh = derivatives(lambda t: [mp.tanh(x + t)], deep=True)[0]
    s = 1 / mp.cosh(x) ** 2
    closed = [mp.tanh(x), s, -2 * mp.tanh(x) * s, 4 * s - 6 * s**2]
    for got, expected in zip(tanh, closed, strict=False):
        assert abs(got - expected) <= mp.mpf(10) ** -15 * abs(expected)
    cube = derivatives(lambda t: [(t + 2) ** 3])[0]
    assert [float(d) for d in cube] == [8, 12, 12, 6, 0]


def test_a_wrong_derivative_is_a_miss():
    sinh = functions["sinh"]
    wrong = dataclasses.replace(sinh, fn=lambda x: ga.sinh(x) + 1e-12 * ga.sin(x))
    rows = rows_of(wrong)
    missed = [r.kind for r in rows if r.missed() and r.dtype == "float64"]
    assert missed == ["inside", "edge", "as declared"]  # "large" has sinh itself above 1e8
    assert not any(r.missed() for r in rows_of(sinh))


@pytest.mark.parametrize(
    ("got", "exact", "digits", "mark"),
    [
        (1.0, 1.0, 15, ""),
        (1.0 + 2.0**-46, 1.0, 13, ""),  # 64 eps
        (1.0 + 2.0**-45, 1.0, 13, "!"),
        (np.nan, 1.0, 0, "!"),
        (np.inf, 1e400, 15, ""),
        (-np.inf, 1e400, 0, "!"),
        (1e308, 1e400, 0, "!"),
        (0.0, "1e-310", 15, ""),
        (0.0, "1e-300", 0, "!"),
        (1e-17, 0, 15, "!"),  # nothing to be relative to
    ],
)
def test_digits_and_marks(got, exact, digits, mark):
    exact = mp.mpf(10) ** 400 if exact == 1e400 else mp.mpf(exact)
    cell = compare(np.array([got]), [exact], [exact], np.float64, lambda: [mp.mpf(0)])
    assert (cell.digits, cell.mark) == (digits, mark)
    if mark == "!" and np.isfinite(got) and abs(got) < 1e300:
        cell = compare(np.array([got]), [exact], [exact], np.float64, lambda: [mp.mpf(10) ** 20])
        assert cell.mark == "~"


def test_a_function_that_cannot_be_judged_says_what_to_write():
    def scipy_only(x):
        from scipy import special

        return special.expit(x)

    entry = Function("squash", ga.sigmoid, reference=scipy_only, cases=(case(arr(2)),))
    with pytest.raises(NoDefinition, match=r"squash: .*Write its definition in mpmath's"):
        rows_of(entry)
