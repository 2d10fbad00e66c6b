"""History and its picture."""

import math
import sys

import pytest

import gradarray as ga
from gradarray.train import History
from tests.train.common import X, Y, make


def made(**series):
    history = History()
    for epoch in range(len(next(iter(series.values())))):
        logs = {name: values[epoch] for name, values in series.items()}
        history.on_epoch_end(epoch, {k: v for k, v in logs.items() if v is not None})
    return history


def lines(axes):
    return {one.get_label(): (list(one.get_xdata()), list(one.get_ydata())) for one in axes.lines}


def test_the_lists_have_one_length_whatever_comes_when():
    history = made(loss=[3, 2, 1], val_loss=[None, 5, None])
    assert history.epoch == [0, 1, 2]
    assert history.history["loss"] == [3.0, 2.0, 1.0]
    assert [math.isnan(v) for v in history.history["val_loss"]] == [True, False, True]


def test_a_picture_with_one_axes_a_metric(tmp_path):
    rates = {"learning_rate": [1, 1, 1]}
    history = made(loss=[3, 2, 1], accuracy=[0, 0.5, 1], val_loss=[4, 3, 3], **rates)
    path = tmp_path / "curves.png"
    figure = history.plot(path, title="Run")
    assert path.read_bytes().startswith(b"\x89PNG")
    loss, accuracy = figure.axes
    assert (loss.get_title(loc="left"), accuracy.get_title(loc="left")) == ("loss", "accuracy")
    assert lines(loss) == {"training": ([1, 2, 3], [3, 2, 1]), "validation": ([1, 2, 3], [4, 3, 3])}
    assert lines(accuracy) == {"training": ([1, 2, 3], [0, 0.5, 1])}
    assert figure.get_suptitle() == "Run"


def test_the_line_goes_over_epochs_that_were_not_validated():
    figure = made(loss=[3, 2, 1, 0], val_loss=[None, 5, None, 4]).plot()
    assert lines(figure.axes[0])["validation"] == ([2, 4], [5, 4])


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no epoch was finished"):
        History().plot()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'gradarray\[plot\]'"):
        made(loss=[1]).plot()


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_elsewhere_than_on_a_terminal_there_is_one_line_an_epoch(capsys, verbose):
    model = make()
    model.compile("adam", "mse", ["mae"])
    model.fit(X, Y, batch_size=10, epochs=2, validation_split=0.2, verbose=verbose)
    out = capsys.readouterr().out
    assert "\r" not in out
    first, second = out.splitlines()
    assert first.startswith("Epoch 1/2 - 4/4 - ") and second.startswith("Epoch 2/2 - 4/4 - ")
    names = [part.split(":")[0] for part in second.split(" - ")[4:]]
    assert names == ["loss", "mae", "val_loss", "val_mae"]
    values = [float(part.split(": ")[1]) for part in second.split(" - ")[4:]]
    told = [series[-1] for series in model.history.history.values()]
    assert values == pytest.approx(told, abs=5e-5)  # four digits are shown
    assert "step" in first


def test_verbose_0_is_silent_and_predict_says_nothing_unasked(capsys):
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""
    model.evaluate(X, Y, batch_size=25)
    assert capsys.readouterr().out.startswith("2/2 - ")


def test_on_a_terminal_the_bar_is_redrawn(monkeypatch, capsys):
    monkeypatch.setattr("gradarray.train.progress.can_redraw", lambda stream: True)
    model = make()
    model.compile("adam", "mse")
    say = ga.train.LambdaCallback(on_epoch_end=lambda epoch, logs: print("said"))
    model.fit(X, Y, batch_size=10, epochs=2, callbacks=say)
    out = capsys.readouterr().out
    assert out.count("\r") >= 4 and "ETA" in out
    # What a callback prints stands on a line of its own.
    assert [line for line in out.replace("\r", "\n").splitlines() if "said" in line] == ["said"] * 2
