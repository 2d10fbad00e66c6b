"""Every function of the registry, compiled, gives what it gives eagerly: values and derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.array import wrap
from gradarray.compiler import trace
from gradarray.errors import GraphError
from gradarray.registry import Function, functions
from gradarray.testing.draw import Call, calls_of, float_results, results
from tests.compiler.common import floating, in_every_mode, same

# The number of their results depends on values, which a compiled function does not know.
COUNTING = {
    "argwhere", "compress", "extract", "flatnonzero", "nonzero", "unique", "unique_all",
    "unique_counts", "unique_inverse", "unique_values",
}  # fmt: skip
# What looks at values while Python runs: a Python bool is the result, or decides how many results
# there are. Said by an error, never by a wrong number.
READING = {"allclose", "array_equal", "histogram", "one_hot"}
ENTRIES = sorted({id(e): e for e in functions.values()}.values(), key=lambda e: e.name)


@pytest.fixture(autouse=True)
def declared_forms_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form that is known without computing is that of what is computed."""
    infer = trace._inferred

    def checked(op: Any, raw: Any, params: Any) -> Any:
        found = infer(op, raw, params)
        with np.errstate(all="ignore"):
            y = op.forward(*[trace.example(x) for x in raw], **params)
        forms = [(np.shape(part), np.asarray(part).dtype) for part in
                 (y if isinstance(y, tuple) else (y,))]  # fmt: skip
        assert (found if isinstance(found, list) else [found]) == forms, op
        return found

    monkeypatch.setattr(trace, "_forms", {})
    monkeypatch.setattr(trace, "_inferred", checked)


def agree(call: Call, what: str, f: Callable[..., Any], *args: Any) -> bool:
    """ga.compile(f)(*args) equals f(*args), to rounding of the terms; False if it is refused."""
    with np.errstate(all="ignore"):
        expected = results(f(*args))
    try:
        got = results(ga.compile(f)(*args))
    except (GraphError, ValueError) as error:
        assert call.entry.name in COUNTING | READING, f"{call}, {what}: {error}"
        return False
    same(got, expected, where=f"{call}, {what}")
    return True


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_compiled_equals_eager(entry: Function) -> None:
    recorded = []
    for call in calls_of(entry):
        rng = call.rng()
        xs = [wrap(np.asarray(x)[()]) for x in call.draw()]
        run = lambda *xs, call=call: call.run(call.entry.fn, list(xs))
        try:
            with np.errstate(all="ignore"):
                run(*xs)
        except (ValueError, TypeError, np.linalg.LinAlgError):
            continue  # an example of what the function refuses
        recorded.append(agree(call, "value", run, *xs))
        if not call.moving:
            continue

        def f(*moving: Any, run: Any = run, xs: Any = xs, call: Call = call) -> tuple[Any, ...]:
            full = list(xs)
            for k, x in zip(call.moving, moving, strict=True):
                full[k] = x
            return tuple(floating(float_results(run(*full))))

        moving = [xs[k] for k in call.moving]
        for what, made in in_every_mode(f, moving, rng):
            recorded.append(agree(call, what, made, *moving))
    assert all(recorded) != (entry.name in COUNTING | READING)
