"""A story as plain data: what the page shows, and `to_json`, `to_csv` and `to_table` give.

Schema "gradarray.story/1", one JSON object:

- `title`: the name of what is explained; `result`: the `id` of its row.
- `rows`, oldest first. Of each: `id`; `name`; `kind` (input, parameter, constant, result); `op`;
  `formula`, in text, and `plugged`, with numbers in place of names (null but for results);
  `shape`, `dtype`; `value`, `adjoint` (a value, or null); `symbol` of the adjoint; `operands`
  (each `{"row": id}`, or `{"number": text}` for a constant); `states` ("not kept", "not
  required", "not reached", "freed", "saturated", "subgradient", "not finite"); `kinks` (of each
  `name`, the `slope` taken there, and how many `times`); `loops` of a compiled function into which
  it was fused (null where nothing is compiled); `scope` (titles, outermost first);
  `place` (`file`, without its folders, `line`, `code`; null where unknown).
- `terms` of a row, whose sum is its adjoint. Of each: `to`, the row that uses it, and as which
  `operand`; `local`, the local derivative, in text, and `slope`, its value (null where the op is
  not pointwise); `whole`, the term in text; `value`; `sums`, what is summed over, in words.
- `check` of a row: a list of `index`, `adjoint`, `difference` (a central difference quotient in
  float64), `uncertainty`, `agrees`; or the reason why it was not checked.
- A value: `shown` (as the table prints it), `shape`, `dtype`, `elements` (nested lists, exact; only
  of small arrays), and of arrays `min`, `max`, `mean` (of what is finite) and `rms`. Numbers that
  JSON has no word for are texts: "nan", "inf", "-inf", and complex ones such as "1+2j".
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from ..errors import message
from .differences import Check, checks
from .numbers import shape, shown
from .scopes import Scope
from .states import states, subgradients
from .story import Row, Story, Term
from .text import factor_text, text

SCHEMA = "gradarray.story/1"
ELEMENTS = 12  # of an array that is told whole


def to_data(story: Story, elements: int = ELEMENTS, check: bool = True) -> dict[str, Any]:
    """The story as dicts, lists, texts and numbers."""
    found = checks(story) if check else {}
    return {
        "schema": SCHEMA,
        "title": story.result.name,
        "result": story.result.number,
        "rows": [_row(row, elements, found.get(row)) for row in story.rows],
    }


def to_json(story: Story, elements: int = ELEMENTS, indent: int | None = None) -> str:
    """The story as JSON; see this module for what it holds."""
    return json.dumps(to_data(story, elements), ensure_ascii=False, indent=indent, allow_nan=False)


def _row(row: Row, elements: int, found: list[Check] | str | None) -> dict[str, Any]:
    is_result = row.kind == "result"
    return {
        "id": row.number,
        "name": row.name,
        "kind": row.kind,
        "op": None if row.op is None else row.op.name,
        "formula": text(row.formula) if is_result else None,
        "plugged": text(row.formula, numbers=True) if is_result and row.is_kept else None,
        "shape": list(row.shape) if row.is_kept or row.form is not None else None,
        "dtype": None if row.dtype is None else str(row.dtype),
        "value": value(row.value, elements),
        "symbol": row.symbol,
        "adjoint": value(row.adjoint, elements),
        "operands": [_operand(x) for x in row.operands],
        "terms": [_term(term, elements) for term in row.terms],
        "states": [*states(row)],
        "kinks": [{"name": n, "slope": number(v), "times": t} for n, v, t in subgradients(row)],
        "loops": None if row.loops is None else list(row.loops),
        "scope": [scope_title(one) for one in row.scope],
        "place": place_of(row),
        "check": found if found is None or isinstance(found, str) else [_check(c) for c in found],
    }


def _operand(x: Any) -> dict[str, Any]:
    if isinstance(x, Row):
        return {"row": x.number}
    return {"number": shown(x)}


def _term(term: Term, elements: int) -> dict[str, Any]:
    local, pulled = term.local, term.pulled
    return {
        "to": term.to.number,
        "operand": term.operand,
        "local": None if local is None else factor_text(local),
        "slope": None if local is None else value(local.value, elements),
        "whole": None if pulled is None else text(pulled.whole),
        "value": value(term.bar, elements),
        "sums": sums(term),
    }


def sums(term: Term) -> list[dict[str, Any]]:
    """The sums over axes along which a value was broadcast: `axis` and the `shape` before."""
    return [{"axis": [*axes], "shape": shape(before)} for axes, before in term.sums]


def scope_title(one: Scope) -> str:
    return " ".join(part for part in (one.label, one.what) if part)


def place_of(row: Row) -> dict[str, Any] | None:
    """The line of the user's code, without the folders of their machine."""
    if row.made is None or not row.made.spots:
        return None
    import linecache

    spot = row.made.spots[0]
    name = spot.code.co_filename
    code = linecache.getline(name, spot.line).strip()
    return {"file": os.path.basename(name), "line": spot.line, "code": code}


def _check(c: Check) -> dict[str, Any]:
    return {
        "index": [*c.index],
        "adjoint": number(c.adjoint),
        "difference": number(c.difference),
        "uncertainty": number(c.uncertainty),
        "agrees": c.agrees,
    }


# Values -------------------------------------------------------------------------------------------


def value(x: Any, elements: int = ELEMENTS) -> dict[str, Any] | None:
    """A value with its form, its range, and its elements where they are few."""
    if x is None:
        return None
    array = np.asarray(x)
    out: dict[str, Any] = {"shown": shown(x), "shape": [*array.shape], "dtype": str(array.dtype)}
    if array.dtype.kind not in "biufc":
        return out
    if array.size <= elements:
        out["elements"] = _nested(array)
    if array.ndim and array.size and array.dtype.kind in "iuf":
        fine = array[np.isfinite(array)]
        if fine.size:
            out.update(min=number(fine.min()), max=number(fine.max()))
            out["mean"] = number(fine.mean(dtype=np.float64).astype(array.dtype))
    if array.ndim and array.size and array.dtype.kind in "fc":
        size = np.abs(array).astype(np.float64)
        with np.errstate(over="ignore"):
            out["rms"] = number(np.sqrt(np.mean(size * size)))
    return out


def number(x: Any) -> Any:
    """A number as JSON has it: the shortest decimal that reads back as this one of its dtype."""
    x = np.asarray(x)[()]
    if x.dtype.kind in "biu":
        return x.item()
    if x.dtype.kind == "c" or not np.isfinite(x):
        return str(x).strip("()")
    return float(str(x))


def _nested(array: Any) -> Any:
    return [_nested(part) for part in array] if array.ndim else number(array)


# Tables -------------------------------------------------------------------------------------------

COLUMNS: tuple[str, ...] = (
    "name", "kind", "op", "formula", "shape", "dtype", "value", "adjoint", "states", "line",
)  # fmt: skip


def records(story: Story) -> list[dict[str, Any]]:
    """One flat row for each value: numbers where it is a scalar, texts where it is not."""
    out = []
    for row in story.rows:
        place = place_of(row)
        cells = (
            row.name, row.kind, "" if row.op is None else row.op.name,
            text(row.formula) if row.kind == "result" else "", shape(row.shape),
            "" if row.dtype is None else str(row.dtype), _cell(row.value), _cell(row.adjoint),
            ", ".join(states(row)), "" if place is None else f"{place['file']}:{place['line']}",
        )  # fmt: skip
        out.append(dict(zip(COLUMNS, cells, strict=True)))
    return out


def _cell(x: Any) -> Any:
    if x is None:
        return None
    return number(x) if np.ndim(x) == 0 and not isinstance(x, tuple) else shown(x)


def to_csv(story: Story) -> str:
    """One line for each value, oldest first, with a head of names; texts are quoted by need.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for record in records(story):
        writer.writerow({k: _inert(v) for k, v in record.items()})
    return out.getvalue()


def _inert(x: Any) -> Any:
    return f"'{x}" if isinstance(x, str) and x[:1] in tuple("=+-@\t\r") else x


def to_table(story: Story) -> Any:
    """A pandas frame of one row for each value; it asks for pandas (`gradarray[table]`)."""
    try:
        import pandas
    except ImportError:
        raise ModuleNotFoundError(
            message(
                "to_table", "pandas is not installed.",
                "Run pip install 'gradarray[table]', or use to_csv() or to_json().",
            )
        ) from None  # fmt: skip
    return pandas.DataFrame(records(story), columns=list(COLUMNS))
