"""Threads: any number gives the same bits, a fork leaves none behind, and callers do not meet."""

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import bounds, loops, pool
from gradarray.compiler.expr import leaf, make
from gradarray.compiler.loops import Access, Buffer, Gemm, Nest, Store, Sum, Var
from gradarray.compiler.parallel import in_chunks

shared = pytest.mark.skipif(not pool.can_share(), reason="one thread on this system")
RNG = np.random.default_rng(3)


def parallel_loops(step: Any) -> int:
    bodies = [*step._versions.last._run.bodies, step._versions.last._run.commit]
    return sum(isinstance(s, loops.Loop) and s.parallel for body in bodies for s in body)


def at_each(step: Any, *args: Any, counts: tuple[int, ...] = (1, 2, 3, 7)) -> list[Any]:
    found = []
    for n in counts:
        with ga.threads(n):
            found.append([y.numpy().copy() for y in step(*args)])
    return found


def test_threads_are_set_and_set_back():
    before = ga.get_threads()
    with ga.threads(3):
        assert ga.get_threads() == 3
        with pytest.raises(RuntimeError), ga.threads(1):
            assert ga.get_threads() == 1
            raise RuntimeError
        assert ga.get_threads() == 3
    assert ga.get_threads() == before
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="whole number"):
            ga.set_threads(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [200_000, 199_999, 262_144])
def test_elementwise_and_sums_of_many_points(n: int):
    x = RNG.normal(size=n)

    def f(x: Any) -> tuple[Any, ...]:
        y = ga.tanh(x) * ga.exp(-x * x)
        return y, y.sum(), (y * x).max(), ga.grad(lambda x: ga.exp(ga.tanh(x)).sum())(x)

    step = ga.compile(f)
    step(x)
    assert parallel_loops(step) > 0
    first, *others = at_each(step, x)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)
    y = np.tanh(x) * np.exp(-x * x)
    slope = np.exp(np.tanh(x)) / np.cosh(x) ** 2
    # A sum of n terms errs by log2(n) eps of their magnitudes in a tree, n eps at worst in a chain.
    for a, b in zip(first, (y, y.sum(), (y * x).max(), slope), strict=True):
        np.testing.assert_allclose(a, b, 1e-14, 1e-15 * max(1.0, np.abs(y).sum()))


@pytest.mark.parametrize("shape", [(700, 600), (50_000, 7), (3, 150_000)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_along_one_axis(shape: tuple[int, int], axis: int):
    x = RNG.normal(size=shape)
    step = ga.compile(lambda x: (ga.exp(ga.sin(ga.tanh(x))).sum(axis), ga.tanh(x).max(axis)))
    first, *others = at_each(step, x)
    assert parallel_loops(step) > 0
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(first[0], np.exp(np.sin(np.tanh(x))).sum(axis), 1e-12)
    np.testing.assert_allclose(first[1], np.tanh(x).max(axis), 1e-15)


@pytest.mark.parametrize("shape", [(600, 300, 400), (300, 400, 611), (97, 1000, 97)])
def test_products(shape: tuple[int, int, int]):
    m, k, n = shape
    a, b = RNG.normal(size=(m, k)), RNG.normal(size=(k, n))
    step = ga.compile(lambda a, b: (a @ b, b.T @ a.T))
    first, *others = at_each(step, a, b)
    for other in others:
        for p, q in zip(first, other, strict=True):
            np.testing.assert_array_equal(p, q)
    size = np.abs(a) @ np.abs(b)  # a product of k terms errs by k eps of this
    assert np.all(np.abs(first[0] - a @ b) <= 2 * k * 2.3e-16 * size)
    assert np.all(np.abs(first[1].T - a @ b) <= 2 * k * 2.3e-16 * size)


def test_values_moved_by_indices():
    x, i = RNG.normal(size=100_003), RNG.integers(-100_003, 100_003, 100_003)
    picked = ga.compile(lambda x, i: x[i] * 2.0)
    put = ga.compile(ga.grad(lambda x, i, w: (x[i] * w).sum()))
    expected = np.zeros_like(x)
    np.add.at(expected, i, np.arange(x.size))
    for y in at_each(picked, x, i):
        np.testing.assert_array_equal(y, 2 * x[i])
    for y in at_each(put, x, i, np.arange(float(x.size))):
        np.testing.assert_array_equal(y, expected)  # sums of whole numbers


def test_training_in_tiles_gives_the_same_bits():
    def train() -> Any:
        ga.random.seed(0)
        layers = ga.nn.Linear(2, 64), ga.nn.Tanh(), ga.nn.Linear(64, 64), ga.nn.Linear(64, 1)
        model = ga.nn.Sequential(*layers)
        optimizer = ga.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(4099, 2)).astype("f4"), rng.normal(size=(4099, 1)).astype("f4")

        @ga.compile
        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        losses = [step(x, y).item() for _ in range(20)]
        return losses, [p.numpy().copy() for p in model.parameters()], parallel_loops(step)

    found = []
    for n in (1, 2, 5, 1):
        with ga.threads(n):
            found.append(train())
    assert found[0][2] > 0
    for losses, weights, _ in found[1:]:
        assert losses == found[0][0]
        for a, b in zip(weights, found[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


@shared
def test_workers_take_part():
    ids = set()
    libc = __import__("ctypes").CDLL(None)
    step = ga.compile(lambda x: (ga.exp(ga.tanh(x)),))
    x = RNG.normal(size=400_000)
    with ga.threads(3):
        for _ in range(3):
            step(x)
        tasks = os.listdir("/proc/self/task")
    ids.update(tasks)
    assert len(ids) >= 3 and libc is not None
    assert __import__("ctypes").c_int64.from_address(
        pool._words[0] + 64 * pool._WORDS.index("started")
    ).value >= 2


def test_several_callers_at_once():
    step = ga.compile(lambda x: (ga.exp(ga.tanh(x)).sum(), ga.tanh(x)))
    xs = [RNG.normal(size=150_000) for _ in range(3)]
    expected = [[y.numpy().copy() for y in step(x)] for x in xs]
    wrong: list[int] = []

    def run(k: int) -> None:
        for _ in range(15):
            for a, b in zip(step(xs[k]), expected[k], strict=True):
                if not np.array_equal(a.numpy(), b):
                    wrong.append(k)

    with ga.threads(3):
        threads = [threading.Thread(target=run, args=(k,)) for k in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_works():
    step = ga.compile(lambda x: (ga.exp(ga.tanh(x)).sum(), ga.tanh(x)))
    x = RNG.normal(size=150_000)
    with ga.threads(2):
        expected = [y.numpy().copy() for y in step(x)]
        for _ in range(2):
            child = os.fork()
            if not child:
                code = 1
                try:
                    same = [np.array_equal(a.numpy(), b) for a, b in zip(step(x), expected)]
                    new = ga.compile(lambda x: x * 2)(np.ones(3)).numpy().tolist() == [2.0] * 3
                    code = 0 if all(same) and new else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.array_equal(step(x)[1].numpy(), expected[1])


FORKS = """
import os, signal, sys, threading
import numpy as np, gradarray as ga
def compiled(k):
    return ga.compile(lambda x: ga.sin(x) * float(k) + ga.tanh(x @ x.T).sum())(np.ones((5, 5)))
going = True
def on():
    k = 1
    while going:
        compiled(k := k + 1)
compiled(0)
thread = threading.Thread(target=on, daemon=True)
thread.start()
for k in range(10):
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that hangs ends by this
        same = np.array_equal(ga.compile(lambda x: x * 2.0 + k)(np.ones(3)).numpy(), [2.0 + k] * 3)
        os._exit(not same)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
going = False
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_waits_for_what_another_thread_compiles():
    env = {**os.environ, "GRADARRAY_CACHE": "off"}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], env=env, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")


# The cut ------------------------------------------------------------------------------------------


def test_chunks_touch_what_the_statement_touched():
    n, m = 40_001, 9
    i, j = Var(n), Var(m)
    x, y = Buffer(n * m, np.dtype("f8")), Buffer(n * m, np.dtype("f8"))
    rows, columns = Buffer(n, np.dtype("f8")), Buffer(m, np.dtype("f8"))
    value = leaf(0, "f8")
    for _ in range(40):
        value = make("mul", value, value)
    here = ((i, m), (j, 1))
    nest = Nest(
        [i, j], {leaf(0, "f8"): Access(x, 0, here)}, [Store(Access(y, 0, here), value)],
        [Sum(Access(columns, 0, ((j, 1),)), value, fresh=False)],
    )  # fmt: skip
    product = Gemm(Access(y), Access(x), Access(rows), 5003, m, 600, 600, m, 600, False, False)
    product.a, product.b, product.c = (Access(Buffer(k, np.dtype("f8"))) for k in
                                       (5003 * m, m * 600, 5003 * 600))  # fmt: skip
    cut = in_chunks([nest, product])
    bounds.check(cut)
    assert sum(isinstance(s, loops.Loop) for s in cut) == 2

    def touched(body: list[Any], buffer: Buffer) -> np.ndarray:
        count = np.zeros(buffer.size, int)
        for s in body:
            inner, times = (s.body, s.var) if isinstance(s, loops.Loop) else ([s], None)
            for one in inner:
                if isinstance(one, Nest) and one.stores:
                    _count(count, one.stores[0].to, buffer, one.axes, times)
        return count

    def _count(count: np.ndarray, access: Access, buffer: Buffer, axes: Any, times: Any) -> None:
        if access.buffer is not buffer:
            return
        grids = [*axes, times] if times is not None else axes
        at = np.zeros((1,) * len(grids), int) + access.offset
        for k, v in enumerate(grids):
            shape = [1] * len(grids)
            shape[k] = v.extent
            at = at + access.stride(v) * np.arange(v.extent).reshape(shape)
        np.add.at(count, at.ravel(), 1)

    np.testing.assert_array_equal(touched(cut, y), 1)


def test_the_number_of_threads_of_one_function():
    """It holds inside its calls alone, the long way and the short one, and changes no bit."""
    seen: list[int] = []

    class Look(ga.Grad):
        """y = x, seen on its way."""

        @staticmethod
        def forward(x):
            seen.append(ga.get_threads())
            return x + 0.0

        @staticmethod
        def backward(y_bar, x, y):
            return y_bar

    class Layer:
        @ga.compile(threads=3)
        def f(self, x):
            return ga.tanh(Look.apply(ga.exp(ga.sin(x))))

    x = ga.array(RNG.normal(size=150_000))
    step = ga.compile(lambda x: ga.tanh(Look.apply(ga.exp(ga.sin(x)))), threads=3)
    plain = ga.compile(lambda x: ga.tanh(ga.exp(ga.sin(x)) + 0.0))
    layer = Layer()
    expected = plain(x)
    with ga.threads(1):
        for f in (step, layer.f):
            seen.clear()
            for _ in range(3):
                np.testing.assert_array_equal(f(x).numpy(), expected.numpy())
                assert ga.get_threads() == 1
            assert set(seen[-2:]) == {3}
            with pytest.raises(TypeError):
                f()
            assert ga.get_threads() == 1
    with pytest.raises(ValueError, match="compile: 0 threads"):
        ga.compile(lambda x: x, threads=0)
