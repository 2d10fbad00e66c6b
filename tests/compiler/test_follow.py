"""Loops followed place by place: what is wrong is seen, recalled programs too, in little memory."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import follow, loops, recall
from gradarray.compiler.follow import followed
from gradarray.compiler.loops import Access, Buffer, Loop, Nest, Store, Var
from gradarray.compiler.native import Native
from gradarray.compiler.record import record


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADARRAY_CACHE", str(tmp_path / "code"))
    monkeypatch.setattr(recall, "enabled", True)


def program(f: Any, *args: Any) -> Any:
    leaves, form = ga.tree.flatten((args, {}))
    return record(f, leaves, form).program


def steps(x: Any, w: Any) -> Any:
    def loss(w: Any) -> Any:
        return (ga.softmax(ga.tanh(x @ w)) ** 2).mean()

    return ga.value_and_grad(loss)(w)


RNG = np.random.default_rng(0)
GIVEN = ga.array(RNG.normal(size=(300, 9))), ga.array(RNG.normal(size=(9, 70)))


def used(native: Native) -> set[Buffer]:
    """The buffers of the arena."""
    every = [s for body in (*native.bodies, native.commit) for s in loops.walk(body)]
    touched = [a.buffer for s in every for a, _ in loops.accesses(s)]
    return {b for b in touched if b.place == "arena"}


def test_what_is_made_and_what_is_recalled_is_followed():
    p = program(steps, *GIVEN)
    made, again = Native(p), Native(p)
    assert again.is_recalled and not made.is_recalled
    assert followed(made) and followed(again)


def test_memory_that_two_buffers_share_is_seen():
    native = Native(program(lambda x, w: (ga.exp(x @ w) @ w.T, ga.sin(x @ w) @ w.T), *GIVEN))
    assert followed(native)
    for buffer in used(native):
        buffer.offset = 0
    with pytest.raises(AssertionError, match="a product reads what"):
        followed(native)


def test_what_is_read_before_it_is_written_is_seen():
    native = Native(program(lambda x: ga.exp(x).sum() * x, GIVEN[0]))
    (body,) = native.bodies
    body.reverse()
    with pytest.raises(AssertionError, match="nobody wrote"):
        followed(native)


def test_turns_that_write_one_place_are_seen():
    native = Native(program(lambda x: ga.exp(x), GIVEN[0]))
    (body,) = native.bodies
    (nest,) = body
    assert isinstance(nest, Nest) and followed(native)
    body[:] = [Loop(Var(2), [nest], parallel=True)]
    with pytest.raises(AssertionError, match="another turn"):
        followed(native)


def test_a_recalled_program_with_other_places_is_seen():
    p = program(steps, *GIVEN)
    Native(p)
    for spoil, what in (
        (lambda again: setattr(again, "codes", ["another"]), "code"),
        (lambda again: setattr(again.lowering.inputs[0], "index", 1), "inputs"),
        (lambda again: setattr(again, "own_at", again.own_at + 64), "memory"),
        (lambda again: again.lowering.outputs.reverse(), "outputs"),
    ):
        again = Native(p)
        assert again.is_recalled
        spoil(again)
        with pytest.raises(AssertionError, match=f"recalled with {what}"):
            followed(again)


def test_indices_into_a_large_table_take_little_memory():
    """A place that may be any of 90,000, for each of 40,000 points, is 90,000 places."""
    i = ga.array(np.arange(200)[:, None])
    native = Native(program(lambda x, i: x[i, i.T] * 2.0, ga.array(RNG.normal(size=(300, 300))), i))
    assert any(a.through for s in loops.walk(native.bodies[0]) for a, _ in loops.accesses(s))
    tracemalloc.start()
    assert followed(native)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6  # 9 GB with a place for each pair


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[ga.arange(3000)[:, None], ga.arange(3000)[None]],
        lambda x: x @ x,
        lambda x: ga.scan(lambda c, _: (ga.sin(c), None), x[0, 0], length=300_000)[0],
    ],
    ids=["indices", "a product", "a loop"],
)
def test_what_is_too_large_is_left(f: Any, monkeypatch: pytest.MonkeyPatch):
    native = Native(program(f, ga.zeros((3000, 3000))))
    monkeypatch.setattr(follow, "Follow", None)  # it does not even begin
    assert not followed(native)


def test_each_statement_is_counted():
    """No statement touches more places than were counted before."""
    seen = [0]
    places = follow.Follow.places

    def counting(self: Any, *args: Any) -> np.ndarray:
        found = places(self, *args)
        seen[0] += found.size
        return found

    x = ga.array(RNG.normal(size=(6, 2, 12, 12)))
    w = ga.array(RNG.normal(size=(3, 2, 3, 3)))
    s = ga.array(RNG.normal(size=(5, 40, 40)))
    cases = [
        (lambda x, w: ga.grad(lambda w: ga.tanh(ga.conv2d(x, w)).sum())(w), x, w),
        (lambda s: (ga.linalg.inv(s), ga.sort(s), ga.searchsorted(s[0, 0], s[1])), s),
        (lambda s: ga.swapaxes(s, 1, 2) @ s, s),
    ]
    for f, *args in cases:
        native = Native(program(f, *args))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(follow.Follow, "places", counting)
            seen[0] = 0
            assert followed(native)
        counted = sum(map(follow.touched, [*native.bodies, native.commit]))
        assert 0 < seen[0] <= 2 * counted


def test_a_nest_that_writes_a_place_twice_is_seen():
    b, i = Buffer(8, np.dtype("f8"), "output"), Var(4)
    native = Native(program(lambda x: x * 2.0, GIVEN[0]))
    nest = native.bodies[0][0]
    value = nest.stores[0].value
    native.bodies[0][:] = [Nest([i], {}, [Store(Access(b, 0, ((i, 0),)), value)])]
    with pytest.raises(AssertionError, match="twice"):
        followed(native)
