"""Steps that call Python inside: the short way, state in place, errors, other threads."""

import threading

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler.call import MISS
from gradarray.compiler.objects import slots
from gradarray.train import compiled
from tests.compiler.common import same

pytestmark = pytest.mark.skipif(slots() is None, reason="another interpreter's objects")


class TwiceGrad(ga.Grad):
    """y = 2 x, by Python, which refuses numbers above a million."""

    @staticmethod
    def forward(x):
        if np.any(x > 1e6):
            raise ZeroDivisionError("too much")
        return 2.0 * x

    @staticmethod
    def backward(y_bar, x, y):
        return TwiceGrad.apply(y_bar)


class PairGrad(ga.Grad):
    """(x + y, x - y) of a vector and a number."""

    @staticmethod
    def forward(x, y):
        return x + y, x - y

    @staticmethod
    def backward(y_bars, x, y, out):
        a, b = y_bars
        return a + b, (a - b).sum()


def make():
    w = ga.array([1.0, -2.0, 3.0], requires_grad=True)
    optimizer = ga.optim.SGD([w], lr=0.001, momentum=0.5)

    def step(x):
        optimizer.zero_grad()
        a, b = PairGrad.apply(TwiceGrad.apply(ga.tanh(w * x)), (w * w).sum())
        loss = (a * a + ga.sin(b)).sum()
        loss.backward()
        optimizer.step()
        return loss, a.detach()

    return w, step


def test_it_goes_the_short_way_with_its_state_in_place():
    (w, eager), (v, f) = make(), make()
    step = ga.compile(f)
    x = ga.array([0.5, 1.5, -1.0])
    for k in range(5):
        same(step(x), eager(x))
        if k == 1:
            at = id(v._data)
    assert id(v._data) == at
    same(v, w)
    (version,) = step._versions.of.values()
    assert version[0]._run.hosted and step._versions.short[0]((x,), {}) is not MISS


def test_an_error_inside_is_the_users_own_and_changes_nothing():
    (w, f) = make()
    step = ga.compile(f)
    x = ga.array([0.5, 1.5, -1.0])
    step(x)
    bad = ga.compile(lambda y: TwiceGrad.apply(y) * w)
    same(bad(x), 2 * x * w)
    same(bad(x), 2 * x * w)
    with pytest.raises(ZeroDivisionError, match="too much"):
        bad(ga.array([0.5, 2e6, 1.0]))
    same(bad(x), 2 * x * w)

    class Model:
        total = ga.array(np.zeros(3))

        @ga.compile
        def add(self, x):
            self.total += x
            return TwiceGrad.apply(self.total).sum()

    model = Model()
    for k in range(3):
        assert model.add(x).item() == 2.0 * (k + 1)
    with pytest.raises(ZeroDivisionError):
        model.add(ga.array([0.0, 5e6, 0.0]))
    same(model.total, 3 * x)
    assert model.add(x).item() == 8.0


def test_several_threads_at_once():
    step = ga.compile(lambda x: TwiceGrad.apply(ga.exp(TwiceGrad.apply(x))))
    xs = [np.random.default_rng(k).normal(size=400) for k in range(4)]
    step(xs[0])
    wrong = []

    def run(x):
        for _ in range(100):
            if not np.allclose(step(x).numpy(), 2 * np.exp(2 * x), 1e-14):
                wrong.append(1)

    threads = [threading.Thread(target=run, args=(x,)) for x in xs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_batches_in_one_entry():
    class Layer(ga.nn.Module):
        def forward(self, x):
            return TwiceGrad.apply(x)

    x = np.random.default_rng(1).normal(size=(100, 3))
    runs = []
    for eagerly in (True, False):
        ga.random.seed(5)
        model = ga.Sequential(ga.nn.Linear(3, 4), Layer(), ga.nn.Linear(4, 1)).double()
        model.compile(ga.optim.SGD(model.parameters(), lr=0.01), "mse", run_eagerly=eagerly)
        model.fit(x, x[:, :1], batch_size=10, epochs=2, verbose=0)
        runs.append(model.state_dict())
    step = compiled.Step(model, "train_step")
    assert step.many((ga.array(x[:10]), ga.array(x[:10, :1]))) is not None
    # 20 steps of sums in another order, of numbers of the order of one.
    for name in runs[0]:
        np.testing.assert_allclose(runs[0][name], runs[1][name], 1e-12, 1e-13)
