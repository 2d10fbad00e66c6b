"""Nests taken apart do what they did together."""

from typing import Any

import numpy as np

import gradarray as ga
from gradarray.compiler.apart import apart
from gradarray.compiler.bounds import check
from gradarray.compiler.expr import Expr, leaf, make
from gradarray.compiler.loops import Access, Buffer, Nest, Store, Sum, Var

F = np.dtype("f8")


def chain(x: Expr, n: int) -> Expr:
    for _ in range(n):
        x = make("add", make("mul", x, x), x)
    return x


def test_results_with_nothing_in_common_are_nests_of_their_own():
    i = Var(8)
    buffers = [Buffer(8, F) for _ in range(6)]
    at = [Access(b, 0, ((i, 1),)) for b in buffers]
    a, b = leaf(0, F), leaf(1, F)
    loads = {a: at[0], b: at[1]}
    alone = Nest([i], loads, [Store(at[2], chain(a, 2)), Store(at[3], chain(b, 2))])
    assert [len(s.stores) for s in apart([alone])] == [1, 1]
    together = Nest([i], loads, [Store(at[2], chain(a, 2)), Store(at[3], make("add", a, b))])
    assert len(apart([together])) == 1  # both read a
    state = Nest([i], loads, [Store(at[1], chain(a, 2)), Store(at[3], chain(b, 2))])
    assert len(apart([state])) == 1  # b is read as it was
    added = Nest([i], loads, [Store(at[2], chain(a, 2))], [Sum(Access(buffers[5]), chain(b, 2))])
    parts = apart([added])
    assert [(len(s.stores), len(s.sums)) for s in parts] == [(1, 0), (0, 1)]
    check(parts)


def test_numbers_share_what_they_have_in_common():
    counts = [Buffer(1, F) for _ in range(5)]
    base, out = Buffer(1, F), [Buffer(1, F) for _ in range(5)]
    ts, b = [leaf(k, F) for k in range(5)], leaf(5, F)
    loads = {**{t: Access(c) for t, c in zip(ts, counts)}, b: Access(base)}
    common = chain(b, 9)
    stores = [Store(Access(o), chain(make("mul", common, t), 4)) for o, t in zip(out, ts)]
    parts = apart([Nest([], loads, stores)])
    assert [len(s.stores) for s in parts] == [1] * 6
    assert parts[0].stores[0].value is common
    assert {s.loads[x].buffer for s in parts[1:] for x in s.loads} == {
        *counts, parts[0].stores[0].to.buffer
    }  # fmt: skip


def test_bias_corrections_of_many_parameters():
    rng = np.random.default_rng(0)
    start = [rng.normal(size=3) for _ in range(5)]

    def train(wrapped: Any) -> list[np.ndarray]:
        ws = [ga.array(w.copy(), requires_grad=True) for w in start]
        optimizer = ga.optim.Adam(ws, lr=0.01)

        def step() -> Any:
            optimizer.zero_grad()
            loss = sum(((w - k) ** 2).sum() for k, w in enumerate(ws))
            loss.backward()
            optimizer.step()
            return loss

        step = wrapped(step)
        for _ in range(4):
            step()
        return [w.numpy().copy() for w in ws]

    for a, b in zip(train(ga.compile), train(lambda f: f), strict=True):
        np.testing.assert_allclose(a, b, 1e-12)
