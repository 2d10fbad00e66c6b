"""Callbacks, with the decisions that Keras takes on the same numbers."""

import csv
import inspect

import numpy as np
import pytest

import gradarray as ga
from gradarray import train
from tests.train.common import X, Y, equal, make, weights


class Told(ga.Model):
    """A model whose metrics are told in advance, epoch by epoch."""

    def __init__(self, **values):
        super().__init__(ga.nn.Linear(1, 1))
        self.values, self.steps = values, 0
        self.compile(ga.optim.SGD(self.parameters(), lr=1.0), "mse", run_eagerly=True)

    def train_step(self, data):
        self.module.bias.grad = [-1.0]  # each step adds the learning rate to the bias
        self.optimizer.step()
        logs = {name: series[self.steps] for name, series in self.values.items()}
        self.steps += 1
        return logs

    def run(self, *callbacks, epochs=None):
        epochs = epochs or len(next(iter(self.values.values())))
        return self.fit(
            np.zeros((1, 1)), np.zeros((1, 1)), epochs=epochs, callbacks=callbacks, verbose=0
        )


def signature(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    return {p.name: p.default for p in parameters}


REQUIRED = inspect.Parameter.empty


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            train.EarlyStopping,
            {
                "monitor": "val_loss", "min_delta": 0, "patience": 0, "verbose": 0, "mode": "auto",
                "baseline": None, "restore_best_weights": False, "start_from_epoch": 0,
            },
        ),
        (
            train.ModelCheckpoint,
            {
                "filepath": REQUIRED, "monitor": "val_loss", "verbose": 0, "save_best_only": False,
                "save_weights_only": False, "mode": "auto", "save_freq": "epoch",
                "initial_value_threshold": None,
            },
        ),
        (train.LearningRateScheduler, {"schedule": REQUIRED, "verbose": 0}),
        (
            train.ReduceLROnPlateau,
            {
                "monitor": "val_loss", "factor": 0.1, "patience": 10, "verbose": 0, "mode": "auto",
                "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0,
            },
        ),
        (train.CSVLogger, {"filename": REQUIRED, "separator": ",", "append": False}),
        (train.TerminateOnNaN, {}),
    ],
)  # fmt: skip
def test_arguments_and_defaults_are_those_of_keras(cls, expected):
    assert signature(cls) == expected
    assert list(signature(cls)) == list(expected)


# EarlyStopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "series", "ran"),
    [
        ({}, [3, 2, 2, 1], 3),
        ({"patience": 1}, [3, 2, 2, 1], 3),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1], 6),
        ({"patience": 2}, [3, 4, 4, 1], 3),
        ({"min_delta": 0.5, "patience": 1}, [3, 2.6, 2.4, 2.3, 1], 2),
        ({"mode": "max", "patience": 1}, [1, 2, 3, 2, 9], 4),
        ({"baseline": 1.0, "patience": 2}, [3, 3, 3, 3], 2),
        ({"baseline": 1.0, "patience": 2}, [3, 2, 1.5, 0.5], 4),
        ({"baseline": 1.0, "patience": 2}, [3, 0.9, 0.8, 0.9, 0.9], 5),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 5, 0], 5),
        ({"patience": 1}, [1.0, float("nan"), float("nan"), 1.0], 2),
    ],
)
def test_early_stopping(options, series, ran):
    model = Told(loss=series)
    assert len(model.run(train.EarlyStopping(monitor="loss", **options)).epoch) == ran


def test_a_metric_that_should_grow_is_known_by_its_name():
    model = Told(accuracy=[0.1, 0.2, 0.3, 0.2, 0.9])
    assert len(model.run(train.EarlyStopping(monitor="accuracy")).epoch) == 4


def test_early_stopping_restores_the_best_weights(capsys):
    model = Told(loss=[3, 1, 2, 2])
    start = model.module.bias.item()
    stop = train.EarlyStopping("loss", patience=2, restore_best_weights=True, verbose=1)
    assert len(model.run(stop).epoch) == 4
    # After epoch 2 the bias had moved by two learning rates of 1, in float32 near one.
    assert model.module.bias.item() == pytest.approx(start + 2, abs=1e-6)
    assert stop.best_epoch == 1 and stop.stopped_epoch == 3
    assert capsys.readouterr().out == (
        "Epoch 4: early stopping\nRestoring weights of the best epoch: 2\n"
    )


def test_early_stopping_begins_anew_with_every_fit():
    stop = train.EarlyStopping("loss")
    assert len(Told(loss=[1, 2]).run(stop).epoch) == 2
    assert len(Told(loss=[9, 8, 7]).run(stop).epoch) == 3


@pytest.mark.parametrize("cls", [train.EarlyStopping, train.ReduceLROnPlateau])
def test_a_monitor_that_is_not_there(cls):
    with pytest.raises(KeyError, match=r"monitor='val_loss' is not among the metrics: loss.*valid"):
        Told(loss=[1, 2]).run(cls())
    with pytest.raises(ValueError, match="mode is 'auto', 'min' or 'max', not 'up'"):
        cls(mode="up")


# ModelCheckpoint ----------------------------------------------------------------------------------


def test_a_checkpoint_every_epoch(tmp_path, capsys):
    model = make()
    model.compile("adam", "mse")
    path = tmp_path / "deep" / "{epoch:02d}-{loss:.3f}.safetensors"
    history = model.fit(
        X, Y, epochs=2, callbacks=train.ModelCheckpoint(path, verbose=1), verbose=0
    ).history["loss"]
    names = sorted(p.name for p in (tmp_path / "deep").iterdir())
    assert names == [f"{k + 1:02d}-{history[k]:.3f}.safetensors" for k in range(2)]
    last = ga.load(tmp_path / "deep" / names[-1])
    assert equal(weights(last), weights(model))
    assert capsys.readouterr().out.startswith("Epoch 1: saved ")


def test_only_the_best_is_kept(tmp_path):
    model = Told(loss=[3, 1, 2, 0.5])
    keep = train.ModelCheckpoint(
        tmp_path / "{epoch}.safetensors", "loss", save_best_only=True, save_weights_only=True
    )
    model.run(keep)
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["1", "2", "4"]
    model.load_weights(tmp_path / "2.safetensors")
    with pytest.raises(ValueError, match="no configuration"):
        ga.load(tmp_path / "2.safetensors")


def test_an_improvement_on_a_threshold(tmp_path):
    keep = train.ModelCheckpoint(
        tmp_path / "{epoch}.safetensors", "loss", save_best_only=True, save_weights_only=True,
        initial_value_threshold=2.5,
    )  # fmt: skip
    Told(loss=[3, 2, 2.2]).run(keep)
    assert [p.stem for p in tmp_path.iterdir()] == ["2"]


def test_a_checkpoint_every_few_batches(tmp_path):
    model = make()
    model.compile("adam", "mse")
    keep = train.ModelCheckpoint(tmp_path / "{epoch}-{batch}.safetensors", save_freq=3)
    model.fit(X, Y, batch_size=10, epochs=2, callbacks=keep, verbose=0)  # 5 batches an epoch
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["1-3", "2-1", "2-4"]


def test_a_checkpoint_under_an_unknown_name():
    with pytest.raises(KeyError, match="names 'val_loss', which is no metric of this run"):
        Told(loss=[1]).run(train.ModelCheckpoint("{val_loss}.safetensors"))
    with pytest.raises(ValueError, match="save_freq is 'epoch' or a count, not 0"):
        train.ModelCheckpoint("x", save_freq=0)


# Learning rates -----------------------------------------------------------------------------------


def test_a_schedule_sets_the_rate_of_each_epoch(capsys):
    model = Told(loss=[1, 1, 1])
    start = model.module.bias.item()
    halve = train.LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr, verbose=1)
    history = model.run(halve)
    assert history.history["learning_rate"] == [1.0, 0.5, 0.25]
    assert model.module.bias.item() == pytest.approx(start + 1.75, abs=1e-6)
    assert capsys.readouterr().out.splitlines()[1] == "Epoch 2: learning rate 0.5"


def test_a_schedule_writes_into_the_optimizer_that_is_there():
    model = Told(loss=[1])
    rate = model.optimizer.param_groups[0]["lr"]
    model.run(train.LearningRateScheduler(lambda epoch, lr: 0.125))
    assert model.optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.125


@pytest.mark.parametrize("bad", [None, "0.1", True])
def test_a_schedule_returns_a_number(bad):
    with pytest.raises(TypeError, match="which is no learning rate"):
        Told(loss=[1]).run(train.LearningRateScheduler(lambda epoch, lr: bad))


def test_a_scheduler_of_optim_goes_with_fit():
    model = Told(loss=[1, 1, 1])
    scheduler = ga.optim.lr_scheduler.ExponentialLR(model.optimizer, gamma=0.5)
    model.run(train.LambdaCallback(on_epoch_end=lambda epoch, logs: scheduler.step()))
    assert model.optimizer.param_groups[0]["lr"].item() == 0.125


@pytest.mark.parametrize(
    ("options", "series", "rates"),
    [
        ({"patience": 1}, [3, 3, 3, 2, 2], [1, 1, 0.5, 0.25, 0.25]),
        ({"patience": 2}, [3, 3, 3, 3, 3], [1, 1, 1, 0.5, 0.5]),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.4], [1, 1, 0.5]),
        ({"patience": 1, "cooldown": 2}, [3, 3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 1, "min_lr": 0.4}, [3, 3, 3, 3], [1, 1, 0.5, 0.4]),
        ({"patience": 1, "mode": "max"}, [1, 2, 2], [1, 1, 1]),
    ],
)
def test_the_rate_falls_on_a_plateau(options, series, rates):
    model = Told(loss=series)
    history = model.run(train.ReduceLROnPlateau("loss", factor=0.5, **options))
    assert history.history["learning_rate"] == rates


def test_the_rate_is_told_when_it_falls(capsys):
    Told(loss=[1, 1]).run(train.ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1))
    assert capsys.readouterr().out == "Epoch 2: learning rate 1 -> 0.5\n"
    with pytest.raises(ValueError, match="factor is below 1, not 2"):
        train.ReduceLROnPlateau(factor=2)


# CSVLogger ----------------------------------------------------------------------------------------


def rows(path, separator=","):
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_a_row_of_a_file_for_every_epoch(tmp_path):
    path = tmp_path / "run.csv"
    Told(loss=[3, 2.5], accuracy=[0, 1]).run(train.CSVLogger(path))
    assert rows(path) == [["epoch", "accuracy", "loss"], ["0", "0.0", "3.0"], ["1", "1.0", "2.5"]]
    Told(loss=[9]).run(train.CSVLogger(path, separator=";"))
    assert rows(path, ";") == [["epoch", "loss"], ["0", "9.0"]]


def test_rows_are_appended_under_the_columns_of_the_file(tmp_path):
    path = tmp_path / "run.csv"
    Told(loss=[3], accuracy=[0]).run(train.CSVLogger(path, append=True))
    Told(accuracy=[1], more=[5]).run(train.CSVLogger(path, append=True))
    assert rows(path) == [["epoch", "accuracy", "loss"], ["0", "0.0", "3.0"], ["0", "1.0", "NA"]]


def test_an_epoch_without_validation_has_a_gap(tmp_path):
    path = tmp_path / "run.csv"
    model = make()
    model.compile("adam", "mse")
    model.fit(
        X, Y, epochs=2, validation_split=0.2, validation_freq=2, callbacks=train.CSVLogger(path),
        verbose=0,
    )  # fmt: skip
    head, first, second = rows(path)
    assert head == ["epoch", "loss", "val_loss"]
    assert first[2] == "NA" and float(second[2]) > 0


def test_the_file_is_closed_and_whole_after_an_interruption(tmp_path):
    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    log = train.CSVLogger(tmp_path / "run.csv")
    with pytest.raises(KeyboardInterrupt):
        Told(loss=[1, 2, 3]).run(log, train.LambdaCallback(on_epoch_end=stop))
    assert log._file is None
    assert len(rows(tmp_path / "run.csv")) == 3


# TerminateOnNaN, LambdaCallback, Callback ---------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_training_ends_at_a_loss_that_is_no_number(bad, capsys):
    model = make()
    model.compile("sgd", "mse")
    y = Y.copy()
    y[25] = bad
    seen = []
    look = train.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    options = {"batch_size": 10, "epochs": 3, "shuffle": False, "verbose": 0}
    with np.errstate(invalid="ignore"):
        history = model.fit(X, y, callbacks=[train.TerminateOnNaN(), look], **options)
    assert seen == [0, 1, 2] and len(history.epoch) == 1
    assert capsys.readouterr().out == f"Batch 3: the loss is {bad}, training stops\n"


EVENTS = [
    "train_begin", "epoch_begin 0", "train_batch_begin 0", "train_batch_end 0",
    "train_batch_begin 1", "train_batch_end 1", "test_begin", "test_batch_begin 0",
    "test_batch_end 0", "test_end", "epoch_end 0", "train_end",
    "test_begin", "test_batch_begin 0", "test_batch_end 0", "test_end",
    "predict_begin", "predict_batch_begin 0", "predict_batch_end 0", "predict_end",
]  # fmt: skip


def test_events_come_in_order_with_their_numbers():
    told = []

    class Tell(train.Callback):
        def __getattribute__(self, name):
            if not name.startswith("on_"):
                return super().__getattribute__(name)
            return lambda *args: told.append(
                " ".join([name[3:], *(str(a) for a in args if isinstance(a, int))])
            )

    events = {name for name in dir(train.Callback) if name.startswith("on_")}
    body = {name: lambda self, *args: None for name in events}
    tell = type("Tell", (Tell,), body)()
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=25, validation_data=(X, Y), validation_batch_size=50,
              callbacks=tell, verbose=0)  # fmt: skip
    model.evaluate(X, Y, batch_size=50, callbacks=[tell], verbose=0)
    model.predict(X, batch_size=50, callbacks=[tell])
    assert told == EVENTS
    assert {event.split()[0] for event in told} == {name[3:] for name in events}


def test_a_callback_knows_its_model_and_run():
    class Look(train.Callback):
        def on_train_begin(self, logs=None):
            self.seen = dict(self.params)

    look = Look()
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=10, epochs=2, callbacks=[look], verbose=0)
    assert look.model is model
    assert look.seen == {"epochs": 2, "steps": 5, "verbose": 0, "validation": False}


def test_what_a_callback_adds_to_the_logs_enters_the_history():
    def add(epoch, logs):
        logs["extra"] = 10 * epoch

    history = Told(loss=[1, 2]).run(train.LambdaCallback(on_epoch_end=add))
    assert history.history == {"loss": [1.0, 2.0], "extra": [0.0, 10.0]}


def test_stop_training_ends_after_the_step():
    def stop(batch, logs):
        model.stop_training = batch == 1

    model = make()
    model.compile("adam", "mse")
    seen = []
    calls = [
        train.LambdaCallback(on_train_batch_end=stop),
        train.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch)),
    ]
    assert len(model.fit(X, Y, batch_size=10, epochs=3, callbacks=calls, verbose=0).epoch) == 1
    assert seen == [0, 1]
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2  # the wish is for one run


def test_an_event_that_there_is_not():
    with pytest.raises(TypeError, match="no event 'on_epoch'; there are on_epoch_begin"):
        train.LambdaCallback(on_epoch=print)


def test_a_callback_that_fails_at_the_start_does_not_hide_its_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Told(loss=[1]).run(
            train.CSVLogger(tmp_path / "none" / "run.csv"), train.EarlyStopping("loss")
        )


def test_a_schedule_may_take_the_epoch_alone():
    told = Told(loss=[1.0, 1.0, 1.0]).run(train.LearningRateScheduler(lambda epoch: 0.1**epoch))
    np.testing.assert_allclose(told.history["learning_rate"], [1.0, 0.1, 0.01])


def test_a_missing_metric_is_told_as_text():
    with pytest.raises(KeyError) as caught:
        Told(loss=[1.0]).run(train.EarlyStopping())
    assert str(caught.value).startswith("EarlyStopping: monitor='val_loss' is not among")
