"""A long text is compiled in two halves, at the same time where there is a processor for each."""

import threading

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import ahead, ir, machine
from gradarray.compiler.fault import Refused
from gradarray.compiler.ir import ATTRIBUTES

RNG = np.random.default_rng(0)
ONE = "define void @one() #0 {\n  ret void\n}\n" + ATTRIBUTES


def loss(w: list, x):
    for a in w:
        x = ga.tanh(x @ a)
    return ga.sum(ga.sort(ga.erf(x), axis=0) * 1.5)


@pytest.mark.parametrize("processors", [1, 2])
def test_two_halves_give_what_one_text_gives(processors: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADARRAY_CACHE", "off")
    monkeypatch.setattr(machine, "processors", lambda: processors)
    args = [RNG.normal(size=(5, 5)) for _ in range(3)], RNG.normal(size=(7, 5))
    found = []
    for longest, count in ((1 << 30, 1), (1, 2)):
        monkeypatch.setattr(ir, "LONG", longest)
        step = ga.compile(ga.grad(loss))
        found.append([x.numpy() for x in step(*args)])
        native = step._versions.last._run
        assert len(native.texts) == count
        kernels = native.text.count("define internal")
        assert sum(t.count("define hidden") for t in native.texts) == (count - 1) * kernels
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_a_second_thread_is_refused_is_raised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRADARRAY_CACHE", "off")
    monkeypatch.setattr(machine, "processors", lambda: 2)
    assert len(machine.object_codes([ONE, ONE.replace("@one", "@two")])) == 2
    for texts in ([ONE, "no code"], ["no code", ONE]):
        with pytest.raises(Refused):
            machine.object_codes(texts)


def test_what_cannot_be_made_ahead_is_told_by_who_needs_it(monkeypatch: pytest.MonkeyPatch):
    made = threading.Event()

    def fails():
        made.set()
        raise OSError("no memory")

    monkeypatch.setattr(ahead, "processors", lambda: 2)
    ahead.begin(fails)
    assert made.wait(60)
