"""Many batches in one native entry: equal to eager training, interruptible, and whole."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler.many import Many
from gradarray.compiler.objects import slots
from gradarray.compiler.rows import Rows
from gradarray.train import compiled

pytestmark = pytest.mark.skipif(slots() is None, reason="another interpreter's objects")

rng = np.random.default_rng(11)
N = 330
X = rng.normal(size=(N, 4))
LABELS = rng.integers(0, 3, N)
Y = X[:, :1] - X[:, 1:2] ** 2

# Sums in another order, of numbers of the order of one, by SGD in float64: 50 steps, ten times as
# much with momentum, and what a normalisation divides by is at least sqrt(1e-5).
BOUND = 50 * 10 / np.sqrt(1e-5) * float(np.finfo(np.float64).eps)


@pytest.fixture
def entries(monkeypatch):
    """How many batches each entry ran."""
    counts = []
    outer = Many.__call__

    def counted(self, rows, stop=None):
        found = outer(self, rows, stop)
        counts.append(found[0])
        return found

    monkeypatch.setattr(Many, "__call__", counted)
    return counts


def network():
    ga.random.seed(3)
    return ga.Sequential(
        ga.nn.Linear(4, 16), ga.nn.ReLU(), ga.nn.BatchNorm1d(16), ga.nn.Dropout(0.3),
        ga.nn.Linear(16, 3),
    ).double()  # fmt: skip


def small(kind=ga.Sequential):
    ga.random.seed(7)
    return kind(ga.nn.Linear(4, 8), ga.nn.Tanh(), ga.nn.Linear(8, 1)).double()


def weights(model):
    return {name: value.copy() for name, value in model.state_dict().items()}


def close(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], BOUND, BOUND, err_msg=name)


def equal(a, b):
    assert a.keys() == b.keys()
    assert all((a[name] == b[name]).all() for name in a)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_it_equals_eager_training(entries, shuffle, weighted):
    """Draws, running statistics, metrics, weights, a short last batch, validation, a schedule."""
    runs = []
    for eagerly in (True, False):
        model = network()
        optimizer = ga.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        schedule = ga.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
        model.compile(optimizer, "cross_entropy", ["accuracy"], run_eagerly=eagerly)
        history = model.fit(
            X, LABELS, batch_size=16, epochs=3, validation_split=0.2, verbose=0, shuffle=shuffle,
            sample_weight=np.arange(N) % 3 + 0.5 if weighted else None,
            callbacks=ga.train.LambdaCallback(on_epoch_end=lambda *_, s=schedule: s.step()),
        )  # fmt: skip
        grads = {name: p.grad.numpy() for name, p in model.named_parameters()}
        stream = ga.random.default_generator.state_dict()["counter"].tolist()
        found = model.evaluate(X, LABELS, batch_size=16, verbose=0, return_dict=True)
        assert bool(entries) != eagerly
        runs.append((history.history, weights(model), grads, stream, found, model.predict(X)))
    # 264 of 330 samples: 16 whole batches of which 15 are ahead, in 3 epochs; 66 held out, and
    # then all of them twice.
    assert sum(entries) == 3 * 15 + 3 * 3 + 19 + 9
    (a, aw, ag, astream, af, ap), (b, bw, bg, bstream, bf, bp) = runs
    for eager, other in ((a, b), (aw, bw), (ag, bg), (af, bf)):
        close(eager, other)
    assert astream == bstream
    np.testing.assert_allclose(ap, bp, BOUND, BOUND)


LAYOUTS = {
    "by columns": np.asfortranarray,
    "every other": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backward": lambda a: a[::-1].copy()[::-1],
    "other bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "columns of more": lambda a: np.concatenate([a, a], axis=1)[:, :4],
    "float32": lambda a: a.astype("f4"),
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_may_lie_in_any_way_and_stay_as_they_are(entries, layout):
    x = LAYOUTS[layout](X)
    runs = []
    for given in (np.asarray(x, x.dtype.newbyteorder("="), order="C").copy(), x):
        model = small()
        model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse")
        model.fit(given, Y, batch_size=30, epochs=2, verbose=0, shuffle=True)
        model.fit(given, Y, batch_size=30, epochs=1, verbose=0, shuffle=False)
        runs.append((weights(model), model.predict(given, batch_size=30)))
    assert sum(entries) == 2 * 4 * 10
    equal(runs[0][0], runs[1][0])
    np.testing.assert_array_equal(runs[0][1], runs[1][1])


def test_inputs_and_outputs_may_be_pytrees(entries):
    class Two(ga.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = ga.nn.Linear(4, 2).double(), ga.nn.Linear(3, 2).double()

        def forward(self, x):
            y = self.a(x["a"]) + self.b(x["b"])
            return {"sum": y, "first": y[:, 0], "all": y.mean()[None]}

        def train_step(self, data):
            x, y = data
            loss = ((self(x)["sum"] - y) ** 2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return {"loss": loss, "one": 1.0}

    x = {"a": X, "b": X[:, 1:].astype("f4")}
    runs = []
    for eagerly in (True, False):
        ga.random.seed(1)
        model = Two()
        model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse", run_eagerly=eagerly)
        history = model.fit(x, Y, batch_size=32, epochs=2, verbose=0).history
        runs.append((history, weights(model), model.predict(x)))
    assert sum(entries) == 2 * 9 + 9
    for a, b in zip(*runs):
        close(a, b)
    assert runs[0][2]["first"].shape == (N,) and runs[0][2]["all"].shape == (11,)


class Noisy(ga.Sequential):
    """Augments its data, and reports losses as arrays, of which the mean is told."""

    def train_step(self, data):
        x, y = data
        loss = ((self(x + 0.1 * ga.random.normal(size=x.shape)) - y) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss, "twice": (2 * loss).reshape(1)}


class Wave(ga.Model):
    """A complex product, and the mean of |e|^2 of its errors e."""

    def __init__(self, w):
        super().__init__()
        self.w = ga.nn.Parameter(w)

    def forward(self, x):
        return x @ self.w

    def train_step(self, data):
        x, y = data
        self.optimizer.zero_grad()
        e = self(x) - y
        loss = ga.mean(ga.real(e * ga.conj(e)))
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


@pytest.mark.parametrize("kind", ["D", "F"])
def test_complex_numbers(entries, kind):
    """Data, parameters, gradients and results; predictions against NumPy's product."""
    w = (X[:4, :2] + 1j * X[4:8, :2]).astype(kind)
    x = (X + 1j * X[:, ::-1]).astype(kind)
    eps = float(np.finfo(kind).eps)
    for given in (x, np.real(x).copy()):
        y = Wave(w).predict(given, batch_size=16)
        assert y.dtype == kind and y.shape == (N, 2)
        # Four complex products in a sum: each part is a sum of eight products, in any order.
        assert (abs(y - given @ w) <= 2 * 8 * eps * (abs(given) @ abs(w))).all()
    assert sum(entries) == 2 * 19
    runs = []
    for eagerly in (True, False):
        model = Wave(w)
        model.compile(ga.optim.SGD(model.parameters(), lr=0.01), "mse", run_eagerly=eagerly)
        history = model.fit(x, x @ w[::-1], batch_size=16, epochs=2, shuffle=False, verbose=0)
        runs.append((history.history, weights(model), {"w": model.w.grad.numpy()}))
    assert sum(entries) == 4 * 19
    for eager, other in zip(*runs):
        assert eager.keys() == other.keys()
        for name in eager:
            assert np.asarray(other[name]).dtype == np.asarray(eager[name]).dtype
            # 42 steps that shrink errors; numbers below a hundred in sums of 8 or 16 terms.
            np.testing.assert_allclose(eager[name], other[name], 0, 42 * 16 * 100 * eps)


def test_a_step_of_ones_own_that_draws(entries):
    runs = []
    for eagerly in (True, False):
        model = small(Noisy)
        model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse", run_eagerly=eagerly)
        history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0).history
        runs.append((history, weights(model)))
    assert sum(entries) == 3 * 19
    for a, b in zip(*runs):
        close(a, b)
    np.testing.assert_allclose(runs[1][0]["twice"], 2 * np.array(runs[1][0]["loss"]), 1e-12)


class Accumulating(ga.Sequential):
    """Gradients add up from batch to batch: each is a call of its own."""

    def train_step(self, data):
        x, y = data
        loss = ((self(x) - y) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return {"told": loss}


class Counting(ga.Sequential):
    """What it reports is its state."""

    def train_step(self, data):
        super().train_step(data)
        self.seen += 1.0
        return {"told": self.seen}


@pytest.mark.parametrize(("kind", "ahead"), [(Accumulating, 0), (Counting, 18)])
def test_gradients_that_add_up_and_results_that_are_state(entries, kind, ahead):
    runs = []
    for eagerly in (True, False):
        model = small(kind)
        model.register_buffer("seen", ga.array(0.0))
        model.compile(ga.optim.SGD(model.parameters(), lr=1e-3), "mse", run_eagerly=eagerly)
        history = model.fit(X, Y, epochs=2, verbose=0).history
        runs.append((history, weights(model)))
    assert sum(entries) == ahead
    for a, b in zip(*runs):
        close(a, b)


@pytest.mark.parametrize("event", ["on_train_batch_begin", "on_train_batch_end"])
def test_who_listens_to_batches_hears_each(entries, event):
    model, heard = small(), []
    model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse")

    def listen(step, logs=None):
        heard.append((step, weights(model)["0.weight"], logs and logs["loss"]))

    model.fit(
        X, Y, batch_size=30, verbose=0, callbacks=ga.train.LambdaCallback(**{event: listen})
    )  # fmt: skip
    assert not entries and [step for step, *_ in heard] == list(range(11))
    assert all((a[1] != b[1]).any() for a, b in itertools.pairwise(heard))


def test_steps_per_epoch_go_on_where_the_last_ones_stopped(entries):
    runs = []
    for eagerly in (True, False):
        model, seen = small(), []
        model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse", run_eagerly=eagerly)
        model.fit(
            X, Y, batch_size=30, epochs=4, steps_per_epoch=7, verbose=0, shuffle=True,
            callbacks=ga.train.LambdaCallback(on_epoch_end=lambda *_, s=seen: s.append(_)),
        )  # fmt: skip
        assert len(seen) == 4
        runs.append(weights(model))
    # 11 batches a pass, each begun and each epoch's first one run as a call.
    assert sum(entries) == 28 - 6
    close(*runs)


def test_the_bar_counts_every_batch(capsys, entries):
    model = small()
    model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse")
    model.fit(X, Y, batch_size=30, verbose=2)
    assert sum(entries) == 10 and "- 11/11 -" in capsys.readouterr().out


# What ends an entry -------------------------------------------------------------------------------


@pytest.fixture
def listening():
    """As in a terminal: a job that a shell starts in the background ignores the key."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def steps_of(model):
    return int(next(iter(model.optimizer.state.values()))["step"])


def trained(batches, count):
    """A model after so many batches, each of them a call."""
    model = small()
    model.compile(ga.optim.Adam(model.parameters(), lr=0.01), "mse")
    model.fit(
        batches[:count], verbose=0,
        callbacks=ga.train.LambdaCallback(on_train_batch_end=lambda *_: None),
    )  # fmt: skip
    return model


LONG_X = np.tile(X, (400, 1))
LONG_Y = np.tile(Y, (400, 1))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("long", [False, True])
def test_the_key_in_the_middle_of_an_entry(monkeypatch, entries, listening, own, long):
    """The batch at hand is finished, or a handler that raises ends it before it changes anything;
    parameters and slots are those after whole batches, to the last bit."""
    monkeypatch.setattr(compiled, "SHORT", 10.0)
    monkeypatch.setattr(compiled, "LONG", 10.0)
    if long:
        monkeypatch.setattr("gradarray.compiler.call.LONG", 0.0)  # Python's lock is let go
    model = small()
    model.compile(ga.optim.Adam(model.parameters(), lr=0.01), "mse")
    model.fit(X[:60], Y[:60], batch_size=30, epochs=1, verbose=0, shuffle=False)
    begun = steps_of(model)

    def press():
        while not entries:
            time.sleep(0.001)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def handler(number, frame):
        raise KeyboardInterrupt

    if own:
        signal.signal(signal.SIGINT, handler)
    entries.clear()
    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(LONG_X, LONG_Y, batch_size=30, epochs=1000, verbose=0, shuffle=False)
    thread.join()
    steps = steps_of(model)
    assert begun < steps < begun + 1000 * 4400
    known = [(X[k : k + 30], Y[k : k + 30]) for k in (0, 30)]
    each = [(X[k : k + 30], Y[k : k + 30]) for k in range(0, N, 30)]
    known += [each[k % 11] for k in range(steps - begun)]
    same = trained(known, steps)
    equal(weights(model), weights(same))
    for a, b in zip(model.optimizer.state.values(), same.optimizer.state.values()):
        assert all((a[name].numpy() == b[name].numpy()).all() for name in a)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()


def test_a_label_out_of_range_leaves_what_whole_batches_made(entries):
    runs = []
    bad = LABELS.copy()
    bad[150] = 9  # in the sixth batch of 30
    for labels, eagerly in ((bad, False), (LABELS[:150], True)):
        ga.random.seed(2)
        model = ga.Sequential(ga.nn.Linear(4, 3)).double()
        model.compile(
            ga.optim.SGD(model.parameters(), lr=0.05), "cross_entropy", run_eagerly=eagerly
        )
        arguments = {"batch_size": 30, "shuffle": False, "verbose": 0}
        if eagerly:
            model.fit(X[:150], labels, **arguments)
        else:
            with pytest.raises(IndexError, match=r"label 9 at \[0\] is out of range for 3 classes"):
                model.fit(X, labels, **arguments)
        runs.append(weights(model))
    assert sum(entries) == 4
    close(*runs)


def test_a_nan_of_a_masked_branch_in_one_batch(entries):
    """The batch is run again with absorbing products; those after it go on in entries."""

    class Masked(ga.Sequential):
        def train_step(self, data):
            x, y = data
            z = self(x)
            u = x[:, :1]
            loss = ((ga.where(u > 0, ga.log(u * ga.exp(z)), z) - y) ** 2).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return {"loss": loss}

    x = abs(X)
    x[100, 0] = 0.0
    runs = []
    for eagerly in (True, False):
        ga.random.seed(2)
        model = Masked(ga.nn.Linear(4, 1)).double()
        model.compile(ga.optim.SGD(model.parameters(), lr=0.01), "mse", run_eagerly=eagerly)
        with np.errstate(divide="ignore"):
            history = model.fit(x, Y, batch_size=30, shuffle=False, verbose=0).history
        runs.append((history, weights(model)))
    assert np.isfinite(runs[0][0]["loss"]).all()
    assert entries == [2, 0, 0, 6]  # the fourth batch, and one that puts state in place again
    for a, b in zip(*runs):
        close(a, b)


def test_an_entry_takes_a_moment(monkeypatch, entries):
    monkeypatch.setattr(compiled, "SHORT", 0.002)
    model = small()
    model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse")
    model.fit(LONG_X, LONG_Y, batch_size=30, verbose=0)
    assert entries[0] == compiled.FIRST and 4 < len(entries) and sum(entries) == 4399
    assert max(entries) < 4000


def test_rows_of_another_form_are_not_run():
    model = small()
    model.compile(ga.optim.SGD(model.parameters(), lr=0.05), "mse")
    model.fit(X, Y, batch_size=30, verbose=0)
    step = compiled.Step(model, "train_step")
    many = step.many((ga.array(X[:30]), ga.array(Y[:30])))
    before = weights(model)
    for x, y, size in ((X, Y, 29), (X[:, :3], Y, 30), (X.astype("f4"), Y, 30)):
        assert many(Rows([x, y], None, 0, size, 2))[0] == 0
    equal(before, weights(model))
    assert many(Rows([X, Y], None, 0, 30, 2))[0] == 2


def test_another_thread_that_predicts_meanwhile(monkeypatch):
    """It comes in where an entry of the same model is prepared, and takes batches one by one."""
    model, outer, inner = small(), Many._results, []
    model.eval()
    model.predict(X, batch_size=16)

    def beside():
        inner.append(model.predict(2 * X, batch_size=16))

    def results(self, count):
        if not inner:
            thread = threading.Thread(target=beside)
            monkeypatch.setattr(Many, "_results", outer)
            thread.start()
            thread.join()
        return outer(self, count)

    monkeypatch.setattr(Many, "_results", results)
    found = model.predict(X, batch_size=16)
    monkeypatch.setattr(Many, "_results", outer)
    assert (found == model.predict(X, batch_size=16)).all()
    assert (inner[0] == model.predict(2 * X, batch_size=16)).all()
