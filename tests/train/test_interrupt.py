"""Ctrl-C: the step is finished, the model usable, the history whole."""

import os
import signal
import threading

import numpy as np
import pytest

import gradarray as ga
from gradarray.train.interrupt import BetweenBatches
from tests.train.common import X, Y, equal, make, weights


@pytest.fixture(autouse=True)
def _python_listens():
    """As in a terminal: a job that a shell starts in the background ignores the key."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)


def usable(model):
    """It predicts, and trains on."""
    assert np.isfinite(model.predict(X)).all()
    assert model.training
    history = model.fit(X, Y, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2


@pytest.mark.parametrize(
    ("event", "at", "epochs"),
    [
        ("on_train_batch_end", 2, 0),
        ("on_train_batch_begin", 2, 0),
        ("on_epoch_begin", 1, 1),
        ("on_test_batch_end", 0, 0),
        ("on_epoch_end", 2, 2),
    ],
)
def test_an_interruption_in_a_callback(event, at, epochs):
    def interrupt(number, logs=None):
        if number == at:
            raise KeyboardInterrupt

    model = make()
    model.compile("adam", "mse")
    stop = ga.train.LambdaCallback(**{event: interrupt})
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=10, epochs=5, validation_split=0.2, callbacks=stop, verbose=0)
    history = model.history
    assert len(history.epoch) == epochs
    assert {len(values) for values in history.history.values()} <= {epochs}
    usable(model)


def test_the_key_pressed_inside_a_step_lets_it_finish():
    class Pressed(ga.Sequential):
        def train_step(self, data):
            self.steps += 1
            if self.steps == 8:
                press()  # 5 steps make an epoch: in the middle of the second
            return super().train_step(data)

    ga.random.seed(7)
    model = Pressed(ga.nn.Linear(4, 8), ga.nn.Tanh(), ga.nn.Linear(8, 1))
    model.steps = 0
    model.compile("adam", "mse", run_eagerly=True)
    options = {"batch_size": 10, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, **options)
    assert model.steps == 8 and model.history.epoch == [0]

    same = make()
    same.compile("adam", "mse", run_eagerly=True)
    batches = [(X[k : k + 10], Y[k : k + 10]) for k in (0, 10, 20, 30, 40, 0, 10, 20)]
    same.fit(batches, verbose=0)
    assert equal(weights(model), weights(same))
    for name, state in zip(model.optimizer.state.values(), same.optimizer.state.values()):
        assert all((name[k].numpy() == state[k].numpy()).all() for k in state)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    usable(model)


def test_a_second_press_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt), BetweenBatches():
        press()
        done.append("first")
        press()
        done.append("second")
    assert done == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("event", ["on_train_begin", "on_train_batch_end", "on_train_end"])
def test_a_press_after_the_last_look_is_raised_at_the_end(event):
    model = make()
    model.compile("adam", "mse")
    stop = ga.train.LambdaCallback(**{event: lambda *args: press()})
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=1, callbacks=stop, verbose=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    usable(model)


def test_a_press_before_an_error_is_raised_with_it():
    with pytest.raises(KeyboardInterrupt) as caught, BetweenBatches():
        press()
        raise ValueError("the step's own")
    assert isinstance(caught.value.__context__, ValueError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_users_own_is_left_alone():
    pressed = []
    outer = signal.signal(signal.SIGINT, lambda *args: pressed.append(1))
    try:
        with BetweenBatches() as between:
            press()
            between.check()
    finally:
        signal.signal(signal.SIGINT, outer)
    assert pressed == [1]


def test_training_in_another_thread():
    model = make()
    model.compile("adam", "mse")
    failed = []

    def run():
        try:
            model.fit(X, Y, epochs=2, verbose=0)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed and model.history.epoch == [0, 1]
