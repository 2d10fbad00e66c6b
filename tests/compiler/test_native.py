"""The call of a compiled step: what it reads, what it writes, and what stays as it was."""

import gc
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler.gate import Gate, Record
from gradarray.compiler.gate_text import BUSY, DONE, ITS_DATA, MISFIT, THERE
from gradarray.compiler.objects import ALIGNED, CONTIGUOUS, slots

native_objects = pytest.mark.skipif(slots() is None, reason="another interpreter's objects")


def short_way(step: Any) -> Callable[[Any, Any], Any]:
    enter = step._versions.short[0] if step._versions.short else None
    assert enter is not None
    return enter


class Counter:
    """State: a vector that grows by what it is given, and how often it was."""

    def __init__(self, n: int = 3, dtype: str = "f8") -> None:
        self.total = ga.array(np.zeros(n, dtype))
        self.count = ga.array(0.0)

    def add(self, x: Any) -> Any:
        self.total += x
        self.count += 1
        return self.total.sum() / self.count


# The short way ------------------------------------------------------------------------------------


@native_objects
def test_a_call_goes_the_short_way_and_gives_fresh_arrays():
    step = ga.compile(lambda x, y: (x * y, x.sum()))
    x, y = ga.array([1.0, 2.0]), ga.array([3.0, 4.0])
    step(x, y)
    assert not step._versions.short  # a first call does not wait for it
    step(x, y)
    enter = short_way(step)
    one, two = enter((x, y), {}), enter((x, y), {})
    np.testing.assert_array_equal(one[0].numpy(), [3.0, 8.0])
    assert one[1].item() == 3.0
    one[0]._data[:] = 0
    np.testing.assert_array_equal(two[0].numpy(), [3.0, 8.0])


@native_objects
def test_pytrees_numbers_and_static_values_go_the_short_way():
    def f(tree: Any, scale: float, *, times: int, names: Any) -> Any:
        return {"a": [tree["x"] * scale * times, tree["y"][0]], "n": names}

    step = ga.compile(f)
    tree = {"x": ga.array([1.0, 2.0]), "y": (ga.array(5.0), None)}
    expected = [6.0, 12.0]
    for _ in range(2):
        found = step(tree, 3.0, times=2, names="s")
        np.testing.assert_array_equal(found["a"][0].numpy(), expected)
        assert found["a"][1].item() == 5.0 and found["n"] == "s"
    enter = short_way(step)
    from gradarray.compiler.call import MISS

    given = {"times": 2, "names": "s"}
    assert enter((tree, 4.0), given) is not MISS
    assert enter((tree, 4), given) is MISS
    assert enter((tree, 4.0), {"times": 3, "names": "s"}) is MISS
    assert enter((tree, 4.0), {"names": "s", "times": 2}) is MISS  # the order is part of the form
    assert enter(({"x": tree["x"]}, 4.0), given) is MISS
    np.testing.assert_array_equal(step(tree, 4.0, times=3, names="s")["a"][0].numpy(), [12.0, 24.0])


@native_objects
@pytest.mark.parametrize(
    "x",
    [
        np.arange(8.0).reshape(4, 2)[::2],  # strided
        np.arange(4.0).reshape(2, 2).T,  # the other order
        np.arange(4.0).reshape(2, 2).astype(">f8"),  # the other bytes
        np.frombuffer(b"x" + np.arange(4.0).tobytes(), np.uint8)[1:].view("f8").reshape(2, 2),
    ],
)
def test_arrays_that_lie_otherwise_are_copied(x: np.ndarray):
    step = ga.compile(lambda x: x * 2 + 1)
    step(np.ones((2, 2)))
    np.testing.assert_array_equal(step(x).numpy(), np.asarray(x, "f8") * 2 + 1)


@native_objects
def test_what_the_gate_lets_through():
    table, busy = np.zeros(3, np.int64), np.zeros(1, np.int64)
    a = np.ones((2, 3), np.float32)

    def gate(**form: Any) -> Gate:
        given = {"shape": (2, 3), "dtype": np.dtype("f4"), "flags": CONTIGUOUS | ALIGNED} | form
        at = busy.ctypes.data, 0, table.ctypes.data
        return Gate([Record(1, 0, **given)], 1, *at, [], 0, 0, False)

    plain = gate()
    assert plain.call(a) == DONE and table[1] == a.ctypes.data
    for other in (a.T, a[:, ::2], a.astype("f8"), a.astype(">f4"), a[0], a[None], None, 1.0, "a"):
        assert plain.call(other) == MISFIT
    assert plain.call() == plain.call(a, a) == MISFIT
    alone = gate(references=2)  # the name here, and the argument
    assert alone.call(a) == DONE
    held = [a]
    assert alone.call(a) == MISFIT
    del held
    number = gate(shape=(), dtype=None, scalar=float)
    assert number.call(2.5) == DONE and number.call(2) == number.call(np.float64(2)) == MISFIT
    handle = gate(through=ITS_DATA, type=ga.GradArray, node=THERE)
    w = ga.array(a, requires_grad=True)
    assert handle.call(w) == DONE and handle.call(w.detach()) == handle.call(a) == MISFIT
    busy[0] = 1
    assert plain.call(a) == gate().call(a) == BUSY


# State --------------------------------------------------------------------------------------------


@native_objects
def test_state_stays_where_it_lies():
    c = Counter()
    step = ga.compile(c.add)
    for k in range(1, 6):
        mean = step(np.full(3, 2.0))
        np.testing.assert_array_equal(c.total.numpy(), np.full(3, 2.0 * k))
        assert c.count.item() == k and mean.item() == 6.0
        if k == 2:
            where = c.total._data, c.count._data
            at = id(where[0]), id(where[1])
            del where
    assert (id(c.total._data), id(c.count._data)) == at


@native_objects
def test_what_others_hold_of_the_state_is_not_changed():
    c = Counter()
    step = ga.compile(c.add)
    step(np.ones(3))
    step(np.ones(3))
    copies = []
    for k in range(3, 6):
        copies.append((c.total.detach(), c.total.numpy(), memoryview(c.total._data), k - 1))
        step(np.ones(3))
    for handle, view, raw, value in copies:
        np.testing.assert_array_equal(handle.numpy(), np.full(3, float(value)))
        np.testing.assert_array_equal(view, np.full(3, float(value)))
        assert list(raw) == [value] * 3
    np.testing.assert_array_equal(c.total.numpy(), np.full(3, 5.0))


@native_objects
def test_state_that_cannot_be_written_in_place_is_copied_first():
    fixed = np.zeros(3)
    fixed.flags.writeable = False
    base = np.zeros(8)
    for data in (fixed, base[1:4], base[::3], np.zeros(3).astype(">f8").astype("f8")):
        c = Counter()
        step = ga.compile(c.add)
        step(np.ones(3))
        c.total._data = data
        before = data.copy()
        step(np.ones(3))
        np.testing.assert_array_equal(c.total.numpy(), before + 1)
        np.testing.assert_array_equal(data, before)


@native_objects
def test_the_state_itself_may_be_an_argument():
    c = Counter()
    step = ga.compile(c.add)
    step(np.ones(3))
    for k in range(3):
        step(c.total)  # doubles it
        np.testing.assert_array_equal(c.total.numpy(), np.full(3, 2.0 ** (k + 1)))
    view = c.total.numpy()
    step(view[::-1])
    np.testing.assert_array_equal(c.total.numpy(), np.full(3, 16.0))
    np.testing.assert_array_equal(view, np.full(3, 8.0))


def test_states_that_change_places():
    a, b, c = (ga.array(np.full(4, float(k))) for k in range(3))

    def turn() -> None:
        x, y, z = a * 1, b * 1, c * 1
        a[...] = y
        b[...] = z
        c[...] = x

    step = ga.compile(turn)
    for k in range(1, 5):
        step()
        assert [v.numpy()[0] for v in (a, b, c)] == [(k + j) % 3 for j in range(3)]


def test_a_state_that_others_read_after_it_is_known():
    a, b = ga.array(np.arange(6.0).reshape(2, 3)), ga.array(np.ones((2, 3)))

    def update() -> Any:
        new = a + b
        b[...] = ga.flip(a, 0) * 2  # a as it was
        a[...] = new
        return a.sum()

    step = ga.compile(update)
    x, y = a.numpy().copy(), b.numpy().copy()
    for _ in range(3):
        found = step()
        x, y = x + y, 2 * x[::-1]
        np.testing.assert_array_equal(a.numpy(), x)
        np.testing.assert_array_equal(b.numpy(), y)
        assert found.item() == x.sum()


def test_two_states_with_one_array_part():
    shared = np.zeros(2)
    a, b = ga.array([0.0, 0.0]), ga.array([0.0, 0.0])
    a._data = b._data = shared

    def update(x: Any) -> None:
        a[...] = a + x
        b[...] = b - 2 * x

    step = ga.compile(update)
    for k in range(1, 4):
        step(np.ones(2))
        np.testing.assert_array_equal(a.numpy(), np.full(2, 1.0 * k))
        np.testing.assert_array_equal(b.numpy(), np.full(2, -2.0 * k))
    np.testing.assert_array_equal(shared, 0)


# NaN, interruptions, threads ----------------------------------------------------------------------


def test_a_nan_runs_again_before_state_is_written():
    w = ga.array([1.0, 2.0], requires_grad=True)
    total = ga.array(0.0)

    def update(x: Any) -> Any:
        w.zero_grad()
        loss = ga.where(x > 0, ga.log(x) * w, 0.0).sum()
        loss.backward()
        with ga.no_grad():
            w[...] = w - 0.5 * w.grad  # type: ignore[operator]
        total[...] = total + 1
        return loss

    step = ga.compile(ga.compile(update)._f)
    for k, x in enumerate(([1.0, np.e], [np.e, 0.0], [np.e, np.e]), 1):
        before = w.numpy().copy()
        step(np.array(x))
        slope = np.log(np.where(np.array(x) > 0, x, 1.0))  # 0 where masked, not 0 * inf
        np.testing.assert_allclose(w.numpy(), before - 0.5 * slope, rtol=1e-15)
        assert total.item() == k


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_an_interrupted_step_leaves_all_state_as_it_was():
    n = 1_000_000
    state = ga.array(np.zeros(n))

    def slow(x: Any) -> None:
        y = x
        for _ in range(60):
            y = ga.exp(ga.tanh(y)) * 0.1
        state[...] = state + y.sum() * 0 + 1

    step = ga.compile(slow)
    x = np.linspace(0, 1, n)
    step(x)
    step(x)
    held = state.numpy()[0]

    class Stop(Exception):
        pass

    def stop(*args: Any) -> None:
        raise Stop

    start = time.perf_counter()
    step(x)
    took = time.perf_counter() - start
    old = signal.signal(signal.SIGALRM, stop)
    seen = 0
    try:
        for share in (0.2, 0.4, 0.6):
            before = state.numpy().copy()
            assert before[0] >= held
            try:
                signal.setitimer(signal.ITIMER_REAL, took * share)
                step(x)
            except Stop:
                seen += 1
                np.testing.assert_array_equal(state.numpy(), before)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert seen
    before = state.numpy().copy()
    step(x)
    np.testing.assert_array_equal(state.numpy(), before + 1)


def test_several_threads_call_one_step():
    def f(x: Any) -> Any:
        y = x
        for _ in range(20):
            y = ga.tanh(y) + 0.5 * x
        return y

    step = ga.compile(f)
    xs = [np.full(40_000, 0.1 * k) for k in range(4)]
    expected = [step(x).numpy().copy() for x in xs]
    wrong = []

    def run(k: int) -> None:
        for _ in range(30):
            if not np.array_equal(step(xs[k]).numpy(), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@native_objects
def test_calls_leak_nothing():
    c = Counter(1000)
    step = ga.compile(c.add)
    x = ga.array(np.ones(1000))
    import sys

    step(x)
    step(x)
    gc.collect()
    before = sys.getrefcount(x), sys.getrefcount(x._data), sys.getrefcount(None)
    objects = len(gc.get_objects())
    for _ in range(2000):
        step(x)
    gc.collect()
    after = sys.getrefcount(x), sys.getrefcount(x._data), sys.getrefcount(None)
    assert after[:2] == before[:2] and abs(after[2] - before[2]) < 1000
    assert len(gc.get_objects()) - objects < 100


@native_objects
def test_state_whose_dtype_is_an_object_of_its_own_goes_the_short_way_again():
    """As arrays from files may have it: equal to NumPy's float64, and not the same object."""
    c = Counter()
    step = ga.compile(c.add)
    step(np.ones(3))
    c.total._data = np.zeros(3, np.dtype("f8", copy=True))
    assert c.total._data.dtype is not np.dtype("f8")
    step(np.ones(3))
    assert c.total._data.dtype is np.dtype("f8")
    from gradarray.compiler.call import MISS

    assert short_way(step)((np.ones(3),), {}) is not MISS
