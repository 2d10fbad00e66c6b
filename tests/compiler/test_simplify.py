"""Programs with less: what is rewritten is equal, and is rewritten."""

from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import assemble
from gradarray.compiler.program import Program, Step
from gradarray.ops.contract import MatMulGrad

from .common import same

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(5, 4))
WEIGHT = RNG.normal(size=(3, 4))
BIAS = RNG.normal(size=3)
WORDS = RNG.integers(0, 4, (6, 8))  # the last row is never taken


def scores(table: Any, weight: Any, bias: Any, words: Any) -> Any:
    rows = ga.transpose(table[words], (1, 0, 2))
    return ga.tanh(rows @ weight.T + bias)


def loss(*args: Any) -> Any:
    return (scores(*args) ** 2).sum()


def lowered(monkeypatch: pytest.MonkeyPatch, f: Any, *args: Any) -> list[Step]:
    """The steps of the compiled function, as they are lowered."""
    programs: list[Program] = []
    prepared = assemble.prepared

    def noted(program: Program) -> Program:
        programs.append(prepared(program))
        return programs[-1]

    monkeypatch.setattr(assemble, "prepared", noted)
    ga.compile(f)(*args)
    return programs[-1].steps


def products(monkeypatch: pytest.MonkeyPatch, f: Any, *args: Any) -> list[int]:
    """The multiplications of each of its products."""
    steps = [step for step in lowered(monkeypatch, f, *args) if step.op is MatMulGrad]
    return [step.values[0].size * step.operands[0].shape[-1] for step in steps]


@pytest.mark.parametrize("words", [WORDS, WORDS - 5])
def test_a_product_of_rows_taken_by_index_is_one_of_the_table(
    words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    args: Any = [*[ga.array(x) for x in (TABLE, WEIGHT, BIAS)], words]
    f = ga.grad(loss, (0, 1, 2))
    same(ga.compile(scores)(*args), scores(*args))
    same(ga.compile(f)(*args), f(*args))
    sizes = products(monkeypatch, f, *args)
    assert sizes and max(sizes) == TABLE.size * 3  # not words.size * 4 * 3


def test_rows_that_are_never_taken_are_no_part_of_a_product() -> None:
    table = TABLE.copy()
    table[4] = np.inf
    words = np.ravel(WORDS)

    def f(table: Any, b: Any) -> Any:
        return table[words].T @ b

    b = RNG.normal(size=(words.size, 3))
    same(ga.compile(f)(ga.array(table), b), f(ga.array(table), b))


def test_a_loop_keeps_a_sum_instead_of_its_product() -> None:
    w, xs = RNG.normal(size=(4, 4)), RNG.normal(size=(7, 2, 4))

    def loss(w: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = ga.tanh(h @ w + x)
            return h, ga.sin(h @ w + x)

        return (ga.scan(step, ga.zeros((2, 4)), xs)[1] ** 2).sum()

    f = ga.grad(loss, (0, 1))
    same(ga.compile(f)(ga.array(w), ga.array(xs)), f(ga.array(w), ga.array(xs)))


def test_axes_made_one_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = RNG.normal(size=(4, 6, 5)), RNG.normal(size=(5, 7))
    labels = RNG.integers(0, 7, (4, 6))

    def loss(x: Any, w: Any, labels: Any) -> Any:
        scores = ga.tanh(ga.transpose(x, (1, 0, 2)) @ w).reshape(-1, 7)
        return ga.nn.functional.cross_entropy(scores * 3, labels.T.reshape(-1))

    f = ga.grad(loss, (0, 1))
    args: Any = ga.array(x), ga.array(w), labels
    same(ga.compile(f)(*args), f(*args))
    shapes = [v.shape for step in lowered(monkeypatch, f, *args) for v in step.values]
    assert (6, 4, 7) in shapes and (24, 7) not in shapes


SUMS: dict[tuple[int, ...], str] = {
    (0, 1, 2): "abk,abj->jk",
    (1, 0, 2): "bak,abj->jk",
    (2, 1, 0): "kba,abj->jk",
}


@pytest.mark.parametrize("order", SUMS)
def test_sums_over_axes_that_lie_in_another_order(order: tuple[int, ...]) -> None:
    x, y = RNG.normal(size=(24, 17, 31)), RNG.normal(size=(17, 24, 30))

    def f(x: Any, y: Any) -> Any:
        x, y = ga.transpose(x * 2, order), ga.transpose(y * 2, (1, 0, 2))
        return ga.einsum(SUMS[order], x, y)

    args: Any = ga.array(x), ga.array(y)
    same(ga.compile(f)(*args), f(*args))
