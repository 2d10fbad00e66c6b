"""fit, evaluate and predict as compiled steps: equal to eager ones to rounding, draws included."""

import gc
import weakref

import numpy as np
import pytest

import gradarray as ga
from gradarray.train import compiled
from tests.train.common import LABELS, X, Y, make, weights

# SGD moves by lr times a gradient: 30 steps of sums in another order, of numbers of the order of
# one, are 30 x 100 roundings at most. Adam would divide them by gradients near 0.
FLOAT32 = 3000 * float(np.finfo(np.float32).eps) / 10


def close(a, b, bound=FLOAT32):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], bound, bound, err_msg=name)


def versions(model, name="train_step"):
    return len(compiled._compiled(name)._versions_for(model))


def network():
    ga.random.seed(3)
    return ga.Sequential(
        ga.nn.Linear(4, 16), ga.nn.ReLU(), ga.nn.BatchNorm1d(16), ga.nn.Dropout(0.3),
        ga.nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
def test_training_equals_eager_training(weighted):
    """Shuffling, dropout, running statistics, metrics, weights, a short last batch, validation."""
    runs = []
    for eagerly in (True, False):
        model = network()
        optimizer = ga.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        scheduler = ga.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        model.compile(
            optimizer, "cross_entropy", ["accuracy"], run_eagerly=eagerly,
            weighted_metrics=(
                [ga.train.metrics.SparseCategoricalAccuracy("heeding")] if weighted else None
            ),
        )  # fmt: skip
        history = model.fit(
            X, LABELS, batch_size=16, epochs=4, validation_split=0.2, verbose=0,
            class_weight={0: 2.0} if weighted else None,
            callbacks=ga.train.LambdaCallback(on_epoch_end=lambda *_, s=scheduler: s.step()),
        )  # fmt: skip
        grads = {name: p.grad.numpy() for name, p in model.named_parameters()}
        stream = ga.random.default_generator.state_dict()["counter"].tolist()
        assert versions(model) == (0 if eagerly else 2)  # 16 samples, and the last 8
        runs.append((history.history, weights(model), grads, stream, model.predict(X)))
    (a, aw, ag, astream, ap), (b, bw, bg, bstream, bp) = runs
    close(a, b)
    close(aw, bw)
    close(ag, bg)
    assert astream == bstream
    np.testing.assert_allclose(ap, bp, FLOAT32, FLOAT32)
    assert any((weights(network())[name] != aw[name]).any() for name in aw)


def test_a_fit_again_and_other_epochs_compile_nothing_new():
    model = make()
    model.compile("sgd", "mse", ["mae"])
    model.fit(X, Y, batch_size=20, epochs=2, verbose=0)
    count = versions(model)
    assert count == 2
    model.fit(X, Y, batch_size=20, epochs=2, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.fit(X, Y, batch_size=20, epochs=2, verbose=0)
    assert versions(model) == count


def test_what_is_switched_between_epochs_is_seen():
    def run(eagerly):
        model = network()
        model.compile(
            ga.optim.SGD(model.parameters(), lr=0.05), "cross_entropy", run_eagerly=eagerly
        )

        def switch(epoch, logs):
            if epoch == 0:
                model[0].requires_grad_(False)
            if epoch == 1:
                model[2].eval()
                model[3].p = 0.0
            if epoch == 2:
                model.optimizer.param_groups[0]["weight_decay"] = 0.1

        model.fit(
            X, LABELS, batch_size=25, epochs=5, verbose=0,
            callbacks=ga.train.LambdaCallback(on_epoch_end=switch),
        )  # fmt: skip
        return weights(model)

    close(run(True), run(False))


def test_another_compile_is_another_step():
    model = make()
    model.compile(ga.optim.SGD(model.parameters(), lr=0.0), "mse")
    a = model.fit(X, Y, batch_size=25, verbose=0).history["loss"]
    model.compile(ga.optim.SGD(model.parameters(), lr=0.0), "mae")
    b = model.fit(X, Y, batch_size=25, verbose=0).history["loss"]
    error = model.predict(X) - Y
    assert a[0] == pytest.approx((error**2).mean(), rel=1e-5)
    assert b[0] == pytest.approx(abs(error).mean(), rel=1e-5)


def test_a_step_that_cannot_be_compiled_runs_eagerly_and_says_so_once():
    class Branching(ga.Sequential):
        def train_step(self, data):
            x, y = data
            loss = ((self(x) - y) ** 2).mean()
            if loss > 1e9:
                loss = loss * 0.0
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return {"loss": loss}

    runs = []
    for eagerly in (False, True):
        ga.random.seed(7)
        model = Branching(ga.nn.Linear(4, 1))
        model.compile(ga.optim.SGD(model.parameters(), lr=0.1), "mse", run_eagerly=eagerly)
        if eagerly:
            model.fit(X, Y, batch_size=20, epochs=4, shuffle=False, verbose=0)
        else:
            with pytest.warns(UserWarning) as told:
                model.fit(X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
                model.fit(X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
            assert [one.filename for one in told] == [__file__]
            text = str(told[0].message)
            assert text.startswith("fit: train_step cannot be compiled, and runs op by op. compile")
            assert "if loss > 1e9:" in text and "ga.where or ga.cond" in text
        runs.append(weights(model))
    assert all((runs[0][name] == runs[1][name]).all() for name in runs[0])


def test_a_step_that_differs_each_time_runs_eagerly():
    class Noisy(ga.Sequential):
        def train_step(self, data):
            x, y = data
            return super().train_step((x + np.random.default_rng().normal(size=x.shape), y))

    model = Noisy(ga.nn.Linear(4, 1, dtype="float64"))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not do the same at every call"):
        model.fit(X, Y, batch_size=25, verbose=0)
    assert versions(model) == 0


def test_an_error_in_a_step_is_the_users_own_and_changes_nothing():
    class Broken(ga.Sequential):
        def train_step(self, data):
            super().train_step(data)
            raise ZeroDivisionError("mine")

    model = Broken(ga.nn.Linear(4, 1))
    model.compile("sgd", "mse")
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(X, Y, verbose=0)


def test_a_label_out_of_range_is_told_before_anything_changes():
    model = make(3)
    model.compile("sgd", "cross_entropy")
    model.fit(X, LABELS, batch_size=25, shuffle=False, verbose=0)
    before = weights(model)
    bad = LABELS.copy()
    bad[3] = 7
    with pytest.raises(IndexError, match=r"label 7 at \[3\] is out of range for 3 classes"):
        model.fit(X, bad, batch_size=25, shuffle=False, verbose=0)
    assert all((weights(model)[name] == before[name]).all() for name in before)


def test_a_model_goes_when_nobody_holds_it():
    model = make()
    model.compile("sgd", "mse", ["mae"])
    model.fit(X, Y, batch_size=25, verbose=0)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_the_same_seed_gives_the_same_bits():
    runs = []
    for _ in range(2):
        model = network()
        model.compile("adam", "cross_entropy", ["accuracy"])
        runs.append((model.fit(X, LABELS, epochs=2, verbose=0).history, weights(model)))
    (a, aw), (b, bw) = runs
    assert a == b and all((aw[name] == bw[name]).all() for name in aw)
