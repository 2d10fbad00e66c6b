"""Long chains of ops: nests stay bounded, and work grows as the ops do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import expr, loops, lower
from gradarray.compiler.assemble import prepared

SHAPES = [(33,), (), (3, 5)]


def chain(op: Callable[[Any, Any], Any], length: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = x
        for _ in range(length):
            y = op(y, x)
        return ga.sum(y)

    return f


OPS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    # An op, and its derivatives in y and in x, in NumPy.
    "sin": (lambda y, x: ga.sin(y), lambda y, x: (np.cos(y), 0.0)),
    "tanh": (lambda y, x: ga.tanh(y), lambda y, x: (np.cosh(y) ** -2, 0.0)),
    "both": (
        lambda y, x: ga.tanh(y * x),
        lambda y, x: (x * np.cosh(y * x) ** -2, y * np.cosh(y * x) ** -2),
    ),
}


def compiled(name: str, length: int, x: Any) -> tuple[Any, Any]:
    """The compiled derivative of a chain, and what it gives."""
    step = ga.compile(ga.grad(chain(OPS[name][0], length)))
    return step, step(ga.array(x)).numpy()


def sizes_of(step: Any) -> list[int]:
    """How many expressions each nest has."""
    native = step._versions.last._run.whole()
    statements = [s for body in [*native.bodies, native.commit] for s in loops.walk(body)]
    results = [(*s.stores, *s.sums) for s in statements if isinstance(s, loops.Nest)]
    return [len(expr.topological([one.value for one in each])) for each in results]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", OPS)
def test_nests_of_a_long_chain_are_bounded(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lower, "MOST", 200)
    x = np.linspace(0.3, 1.4, int(np.prod(shape))).reshape(shape)
    step, found = compiled(name, 60, x)
    sizes, of_one = sizes_of(step), max(sizes_of(compiled(name, 1, x)[0]))
    # Values that are made before a nest is full, and what is made of each for the way back.
    assert max(sizes) <= 2 * (lower.MOST + of_one)
    y, by_x = x, np.ones(shape)
    for _ in range(60):
        along, beside = OPS[name][1](y, x)
        y, by_x = OPS[name][0](y, x), along * by_x + beside
        y = np.asarray(y)
    # 60 ops of 3 ULP each, forward and back.
    np.testing.assert_allclose(found, by_x, rtol=60 * 60 * 2.0**-52, atol=1e-300)


def test_a_chain_of_products_with_tanh_has_as_many_steps_as_ops():
    counts = []
    for length in (20, 40, 80):
        step, _ = compiled("both", length, np.ones(4))
        counts.append(len(prepared(step._versions.last.recorded.program).steps))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])
