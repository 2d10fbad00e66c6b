"""The story as data, its tables, and the finite-difference check."""

import csv
import io
import json
import sys

import numpy as np
import pytest

import gradarray as ga
from gradarray.glass.data import SCHEMA, number, value
from gradarray.glass.differences import checks
from gradarray.glass.explain import explain
from tests.glass import stories


def same(told, x):
    """Numbers as JSON has them are the engine's, to the last bit of their dtype."""
    return np.array_equal(np.array(told, np.asarray(x).dtype), x)


@pytest.mark.parametrize("name", ["textbook", "network", "tower"])
def test_json_holds_the_engines_numbers(name):
    told = getattr(stories, name)()
    data = json.loads(told.to_json(elements=200))
    assert data["schema"] == SCHEMA and data["result"] == told.result.number
    assert [row["name"] for row in data["rows"]] == [row.name for row in told.rows]
    for row, one in zip(told.rows, data["rows"], strict=True):
        assert same(one["value"]["elements"], row.value)
        if row.adjoint is not None:
            assert same(one["adjoint"]["elements"], row.adjoint)
            total = sum((np.array(t["value"]["elements"]) for t in one["terms"]), 0.0)
            if one["terms"]:  # in float64 or float32, in whatever order
                scale = np.max(np.abs(row.adjoint)) + 1e-30
                assert np.max(np.abs(total - row.adjoint)) <= 1e-5 * scale
        assert [o["row"] for o in one["operands"] if "row" in o] == [
            x.number for x in row.operands if hasattr(x, "number")
        ]


@pytest.mark.parametrize("x", [0.1, 1 / 3, 1e-320, -0.0, 5e300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_number_reads_back_as_itself(x, dtype):
    with np.errstate(over="ignore", under="ignore"):
        x = dtype(x)
    if np.isfinite(x):
        back = dtype(json.loads(json.dumps(number(x))))
        assert back.tobytes() == x.tobytes()


def test_what_json_has_no_word_for_is_text():
    told = value(np.array([np.nan, np.inf, -np.inf, 1.0]))
    assert told["elements"] == ["nan", "inf", "-inf", 1.0]
    assert told["min"] == told["max"] == 1.0 and told["rms"] == "nan"
    assert number(np.complex64(1 + 2j)) == "1+2j"
    json.dumps(told, allow_nan=False)


def test_csv_reads_back():
    told = stories.network()
    rows = [*csv.DictReader(io.StringIO(told.to_csv()))]
    assert [r["name"] for r in rows] == [r.name for r in told.rows]
    assert np.float32(rows[-1]["value"]) == told.result.value


def test_csv_holds_no_formula_for_a_spreadsheet():
    x = ga.array(2.0, requires_grad=True)
    told = explain(ga.exp(x))
    told.rows[0].name = "=1+1"
    assert "\n'=1+1," in told.to_csv()


def test_a_frame_of_pandas():
    told = stories.textbook()
    frame = told.to_table()
    assert [*frame["name"]] == ["x", "a", "b", "c", "d", "e", "f"]
    assert frame["adjoint"].iloc[0] == told.rows[0].adjoint


def test_without_pandas_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"gradarray\[table\]"):
        stories.textbook().to_table()


# Finite differences -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["textbook", "network", "tower"])
def test_every_adjoint_agrees_with_differences(name):
    told = getattr(stories, name)()
    found = checks(told.story, work=10**7)
    for row in told.rows:
        if row.adjoint is None or row.kind == "constant":
            assert isinstance(found[row], str)
        else:
            assert found[row] and all(c.agrees for c in found[row]), row.name


def test_a_wrong_adjoint_is_told():
    told = stories.textbook()
    told["c"].adjoint *= 1.001
    found = checks(told.story)
    assert [row.name for row in told.rows if not found[row][0].agrees] == ["c"]


def test_work_is_bounded_and_inputs_come_first():
    told = stories.chain(300)
    found = checks(told.story, work=3000)
    assert found[told.rows[0]][0].agrees
    assert found[told.rows[1]] == "it would take too long here"


def test_the_difference_is_the_derivative():
    told = explain(lambda x: ga.sum(x**3))(np.array([1.0, 2.0, -3.0, 0.5]))
    x = told.rows[0]
    for c in checks(told.story)[x]:
        true = 3 * x.value[c.index] ** 2
        assert abs(c.difference - true) <= 4 * c.uncertainty + 1e-12


def test_why_there_is_no_check():
    told = explain(lambda z: ga.real(z * z))(np.complex128(1 + 1j))
    assert checks(told.story)[told.rows[0]] == "it is not real"
