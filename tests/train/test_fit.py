"""fit, evaluate and predict: the same numbers as by hand, on arrays and on batches."""

import copy

import numpy as np
import pytest

import gradarray as ga
from tests.train.common import LABELS, X, Y, equal, make, weights

# The four-line loop -------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("optimizer", "loss", "outputs", "y"),
    [
        (lambda p: ga.optim.SGD(p, lr=0.1, momentum=0.9), ga.nn.MSELoss(), 1, Y),
        (lambda p: ga.optim.Adam(p, lr=0.01), ga.nn.CrossEntropyLoss(), 3, LABELS),
    ],
)
def test_the_four_line_loop_gives_the_same_weights(optimizer, loss, outputs, y, shuffle):
    by_fit = make(outputs)
    metrics = ["mae"] if outputs == 1 else ["accuracy"]
    by_fit.compile(optimizer(by_fit.parameters()), loss, metrics, run_eagerly=True)
    by_fit.fit(X, y, batch_size=16, epochs=3, shuffle=shuffle, verbose=0)

    by_hand = make(outputs)
    opt = optimizer(by_hand.parameters())
    batches = ga.train.batches(X, y, batch_size=16, shuffle=shuffle)
    for _ in range(3):
        for x_batch, y_batch in batches:
            value = loss(by_hand(x_batch), y_batch)
            opt.zero_grad()
            value.backward()
            opt.step()

    assert equal(weights(by_fit), weights(by_hand))
    assert not equal(weights(by_fit), weights(make(outputs)))


def test_batches_are_what_arrays_are():
    by_arrays, by_batches, by_list = make(), make(), make()
    for model in (by_arrays, by_batches, by_list):
        model.compile(ga.optim.SGD(model.parameters(), lr=0.1), "mse")
    by_arrays.fit(X, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    by_batches.fit(ga.train.batches(X, Y, batch_size=20), epochs=2, verbose=0)
    by_list.fit([(X[:20], Y[:20]), (X[20:40], Y[20:40]), (X[40:], Y[40:])], epochs=2, verbose=0)
    assert equal(weights(by_arrays), weights(by_batches))
    assert equal(weights(by_arrays), weights(by_list))


def test_a_generator_with_steps_per_epoch():
    def endless():
        while True:
            yield X[:10], Y[:10]

    model, same = make(), make()
    model.compile(ga.optim.SGD(model.parameters(), lr=0.1), "mse")
    same.compile(ga.optim.SGD(same.parameters(), lr=0.1), "mse")
    model.fit(endless(), epochs=3, steps_per_epoch=4, verbose=0)
    same.fit(X[:10], Y[:10], epochs=12, batch_size=10, shuffle=False, verbose=0)
    assert equal(weights(model), weights(same))


def test_shuffling_repeats_with_the_seed():
    runs = []
    for seed in (3, 3, 4):
        model = make()
        model.compile("adam", "mse")
        ga.random.seed(seed)
        runs.append(model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history["loss"])
    assert runs[0] == runs[1] != runs[2]


# What the history says ----------------------------------------------------------------------------


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    model = make(dtype="float64")
    model.compile(ga.optim.SGD(model.parameters(), lr=0.0), "mse", ["mae"])
    history = model.fit(X, Y, batch_size=16, verbose=0).history  # 16, 16, 16 and 2
    error = model.predict(X) - Y
    # A mean of 50 float64 numbers, in parts and at once.
    assert history["loss"][0] == pytest.approx((error**2).mean(), rel=1e-14)
    assert history["mae"][0] == pytest.approx(abs(error).mean(), rel=1e-14)


def test_history_has_all_epochs_and_their_validation():
    model = make()
    model.compile("adam", "mse", ["mae"])
    history = model.fit(X, Y, epochs=3, validation_data=(X[:9], Y[:9]), verbose=0)
    assert history is model.history
    assert history.epoch == [0, 1, 2]
    assert {name: len(values) for name, values in history.history.items()} == {
        "loss": 3, "mae": 3, "val_loss": 3, "val_mae": 3,
    }  # fmt: skip
    found = model.evaluate(X[:9], Y[:9], verbose=0, return_dict=True)
    assert found == {"loss": history.history["val_loss"][-1], "mae": history.history["val_mae"][-1]}
    assert repr(history).startswith("<History of 3 epochs: loss: ")


def test_validation_split_takes_the_last_samples_before_shuffling():
    by_split, by_hand = make(), make()
    for model in (by_split, by_hand):
        model.compile(ga.optim.SGD(model.parameters(), lr=0.1), "mse")
    ga.random.seed(1)
    split = by_split.fit(X, Y, epochs=2, batch_size=8, validation_split=0.2, verbose=0)
    ga.random.seed(1)
    hand = by_hand.fit(
        X[:40], Y[:40], epochs=2, batch_size=8, validation_data=(X[40:], Y[40:]), verbose=0
    )
    assert split.history == hand.history
    assert equal(weights(by_split), weights(by_hand))


def test_validation_every_other_epoch():
    model = make()
    model.compile("adam", "mse")
    data = ga.train.batches(X, Y, batch_size=10)
    history = model.fit(
        X, Y, epochs=4, validation_data=data, validation_freq=2, validation_steps=2, verbose=0
    )
    values = history.history["val_loss"]
    assert [np.isnan(v) for v in values] == [True, False, True, False]
    assert values[-1] == model.evaluate(X[:20], Y[:20], batch_size=10, verbose=0)


def test_validation_does_not_train_or_draw():
    runs = []
    for held_out in (None, (X, Y)):
        ga.random.seed(0)
        model = ga.Sequential(ga.nn.Linear(4, 8), ga.nn.Dropout(0.5), ga.nn.Linear(8, 1))
        model.compile("adam", "mse")
        model.fit(X, Y, epochs=2, validation_data=held_out, verbose=0)
        runs.append(weights(model))
    assert equal(*runs)


def test_initial_epoch():
    model = make()
    model.compile("adam", "mse")
    assert model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).epoch == []


# Modes --------------------------------------------------------------------------------------------


def test_a_frozen_layer_stays_at_inference_and_all_come_back():
    model = ga.Sequential(ga.nn.Linear(4, 3), ga.nn.BatchNorm1d(3), ga.nn.Linear(3, 1))
    model[1].eval()
    model.compile("adam", "mse")
    seen = []
    look = ga.train.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append([m.training for m in model]),
        on_test_batch_end=lambda batch, logs: seen.append([m.training for m in model]),
    )
    model.fit(X, Y, batch_size=50, validation_data=(X, Y), callbacks=look, verbose=0)
    assert seen == [[True, False, True], [False, False, False]]
    assert [m.training for m in model] == [True, False, True]
    assert model[1].num_batches_tracked.item() == 0
    model.eval()
    model.fit(X, Y, batch_size=50, verbose=0)
    assert not any(m.training for m in model.modules())
    assert model[1].num_batches_tracked.item() == 1  # a model at inference trains as a whole


def test_evaluate_and_predict_use_inference_and_record_nothing():
    model = ga.Sequential(ga.nn.Linear(4, 50), ga.nn.Dropout(0.5), ga.nn.Linear(50, 1))
    model.compile("adam", "mse")
    assert (model.predict(X) == model.predict(X)).all()
    assert model.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert model.training and model[1].training
    assert all(p.grad is None for p in model.parameters())


# evaluate and predict -----------------------------------------------------------------------------


def test_evaluate_gives_a_number_a_list_or_a_dict():
    model = make()
    model.compile("adam", "mse")
    loss = model.evaluate(X, Y, verbose=0)
    assert isinstance(loss, float)
    model.compile("adam", "mse", ["mae"])
    values = model.evaluate(X, Y, verbose=0)
    assert values[0] == loss and len(values) == 2
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == dict(zip(["loss", "mae"], values))
    assert model.evaluate(ga.train.batches(X, Y), verbose=0) == values


def test_predict_joins_the_batches():
    model = make(3)
    at_once = model(ga.array(X)).numpy()
    # Products of matrices of other sizes may add in another order: float32 of the order of one.
    for x in (X, ga.train.batches(X, Y, batch_size=7), (b for b in [X[:20], X[20:]])):
        found = model.predict(x, batch_size=7 if x is X else None)
        assert isinstance(found, np.ndarray) and found.dtype == np.float32
        np.testing.assert_allclose(found, at_once, atol=1e-6)
    assert model.predict(X, batch_size=20, steps=2).shape == (40, 3)


def test_predict_of_a_model_with_several_results():
    class Two(ga.Model):
        def forward(self, x):
            return {"sum": x.sum(1), "parts": (x, 2 * x)}

    found = Two().predict(X, batch_size=20)
    assert found["sum"].shape == (50,)
    assert (found["parts"][1] == 2 * X).all()


def test_a_model_of_several_inputs():
    class Product(ga.Model):
        def __init__(self):
            super().__init__()
            self.layer = ga.nn.Linear(4, 1)

        def forward(self, inputs):
            return self.layer(inputs["a"] * inputs["b"])

    model = Product()
    model.compile("adam", "mse")
    inputs = {"a": X, "b": X}
    assert len(model.fit(inputs, Y, epochs=2, verbose=0).epoch) == 2
    assert model.predict(inputs).shape == (50, 1)


def test_of_a_tuple_the_first_is_compared():
    class WithState(ga.Model):
        def __init__(self):
            super().__init__()
            self.rnn = ga.nn.GRU(1, 1, batch_first=True)

        def forward(self, x):
            return self.rnn(x)

    model = WithState()
    model.compile("adam", "mse", ["mae"])
    history = model.fit(X[..., None], X[..., None], verbose=0).history
    assert set(history) == {"loss", "mae"}


def test_a_copy_of_a_compiled_model_trains_apart():
    model = make()
    model.compile("adam", "mse", ["mae"])
    model.fit(X, Y, epochs=1, shuffle=False, verbose=0)
    other = copy.deepcopy(model)
    before = weights(model)
    a = other.fit(X, Y, epochs=2, shuffle=False, verbose=0).history
    assert equal(weights(model), before)
    b = model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history
    assert equal(weights(model), weights(other)) and a == b
