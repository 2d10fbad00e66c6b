"""A step that does not come to its end leaves parameters, slots and streams as they were."""

import signal
import threading

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import native
from tests.compiler.common import same


def make(n=6):
    ga.random.seed(1)
    model = ga.nn.Sequential(
        ga.nn.Linear(4, n), ga.nn.BatchNorm1d(n), ga.nn.Dropout(0.2), ga.nn.Linear(n, 3)
    ).double()
    optimizer = ga.optim.Adam(model.parameters(), lr=0.01)
    loss_fn = ga.nn.CrossEntropyLoss()

    @ga.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def state():
        slots = [v.numpy().copy() for s in optimizer.state.values() for v in s.values()]
        counter = ga.random.default_generator.state_dict()["counter"].tolist()
        return [v.copy() for v in model.state_dict().values()], slots, counter

    return step, state


X = np.random.default_rng(0).normal(size=(32, 4))
Y = np.random.default_rng(1).integers(0, 3, 32)


def unchanged(before, after):
    assert before[2] == after[2]
    for a, b in zip(before[0] + before[1], after[0] + after[1], strict=True):
        np.testing.assert_array_equal(a, b)


WRONG = {
    "a label out of range": (X, np.where(np.arange(32) == 7, 3, Y), IndexError),
    "another number of labels": (X, Y[:-1], ga.ShapeError),
    "another width": (X[:, :3], Y, ga.ShapeError),
    "text": ("x", Y, Exception),
    "labels that are no integers": (X, Y + 0.5, Exception),
    "nothing": (None, Y, Exception),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument(name):
    x, y, error = WRONG[name]
    step, state = make()
    for _ in range(3):
        step(X, Y)
    before = state()
    for _ in range(2):
        with pytest.raises(error):
            step(x, y)
        unchanged(before, state())
    assert np.isfinite(step(X, Y).item())


@pytest.mark.parametrize("where", ["results", "memory"])
@pytest.mark.parametrize("way", ["short", "long"])
def test_out_of_memory(where, way, monkeypatch):
    step, state = make()
    for _ in range(3):
        step(X, Y)
    before = state()
    if way == "long":
        monkeypatch.setattr(step._versions, "short", ())
    (version,) = step._versions.of.values()

    def fail(*args, **kwargs):
        raise MemoryError

    with monkeypatch.context() as patched:
        if way == "short":  # what the written call makes its results with
            enter = step._versions.short[0]
            patched.setitem(enter.__globals__, "empty", fail)
        elif where == "results":
            patched.setattr(native.np, "empty", fail)
        else:
            version[0]._run._spare.clear()
            patched.setattr(native, "_aligned", fail)
        with pytest.raises(MemoryError):
            step(X, Y)
    unchanged(before, state())
    assert np.isfinite(step(X, Y).item())
    assert state()[2] != before[2]


def test_a_key_in_a_long_step():
    """The handler raises: the step has run, and nothing of it is written."""
    w = ga.array(np.zeros(200_000), requires_grad=True)
    optimizer = ga.optim.Adam([w], lr=0.1)
    x = np.random.default_rng(3).normal(size=200_000)

    @ga.compile
    def step(x):
        optimizer.zero_grad()
        y = x + w
        for _ in range(30):
            y = ga.sin(ga.exp(-y * y))
        y.sum().backward()
        optimizer.step()

    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        step(x)
        step(x)
        seen = 0
        for delay in (0.001, 0.003, 0.005) * 4:
            before = w.numpy().copy(), int(optimizer.state[w]["step"])
            timer = threading.Timer(delay, signal.raise_signal, (signal.SIGINT,))
            done = 0
            try:  # on a busy machine the key comes while the timer starts, or after all steps
                timer.start()
                for _ in range(200):
                    step(x)
                    done += 1
                timer.join()
            except KeyboardInterrupt:
                seen += 1
            steps = int(optimizer.state[w]["step"]) - before[1]
            assert steps in (done, done + 1)  # the key may also be seen between two calls
            assert (steps == 0) == bool((before[0] == w.numpy()).all())
    finally:
        signal.signal(signal.SIGINT, outer)
    assert seen


def test_arrays_that_overlap_state():
    """An argument that is a view of what the step writes is read as it was, and the array itself,
    which the function changes under its own hands, as it is then."""

    def run(wrap):
        total = ga.array(np.arange(6.0))

        @wrap
        def f(x):
            total[...] = total + x[::-1]
            return total.sum() + x.sum()

        out = [f(np.ones(6)).item() for _ in range(2)]
        view = total._array
        out.append(f(view).item())
        out.append(f(view[::-1]).item())
        out.append(f(ga.array(total)).item())
        out.append(f(total.detach()).item())
        out.append(f(total).item())
        out.append(f(np.ones(6)).item())
        out.append(f(total).item())
        return out, total.numpy().copy(), view.copy()

    same(run(ga.compile), run(lambda f: f))


def test_one_array_given_twice_and_changed():
    def f(a, b):
        a[0] = 5.0
        return (a + b).sum()

    g = ga.compile(f)
    for wrap in (f, g):
        x = np.ones(3)
        both = wrap(ga.array(x), ga.array(x))
        assert both.item() == 10.0
    a = ga.array(np.ones(3))
    b = ga.array(np.ones(3))
    for _ in range(2):
        assert g(a, a).item() == f(b, b).item() == 14.0
        same(a, b)
        a[0], b[0] = 1.0, 1.0


def test_parameters_that_may_not_be_written():
    """Read-only memory behind one is left as it is; the parameter gets memory of its own."""
    frozen = ga.array(np.ones(3))
    data = np.ones(3)
    data.flags.writeable = False
    frozen._data = data
    add = ga.compile(lambda x: frozen.__iadd__(x).sum())
    assert add(np.ones(3)).item() == 6.0 and add(np.ones(3)).item() == 9.0
    np.testing.assert_array_equal(data, 1.0)
    same(frozen, ga.array([3.0, 3.0, 3.0]))


def test_an_argument_that_is_changed_and_read_only():
    seen = ga.array(0.0)

    @ga.compile
    def f(x):
        nonlocal seen
        seen += 1.0
        x[0] = 5.0
        return x.sum()

    good, bad = np.ones(3), np.ones(3)
    bad.flags.writeable = False
    f(good)
    for _ in range(2):
        with pytest.raises(ValueError, match="argument 0, a NumPy array that is read-only"):
            f(bad)
        assert seen.item() == 1.0
        np.testing.assert_array_equal(bad, 1.0)
    f(good)
    assert seen.item() == 2.0
