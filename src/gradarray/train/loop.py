"""The loops that `fit`, `evaluate` and `predict` run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..array import GradArray
from ..graph import no_grad
from .callback import CallbackList
from .compiled import Ahead, Step
from .data import Source, first_length, unpack
from .interrupt import BetweenBatches
from .metrics import Mean
from .progress import Progress

if TYPE_CHECKING:
    from .model import Model


class Report:
    """What the steps of a pass report, by name.

    A GradArray is a batch's value, of which the mean over the samples is told; a number, or a
    function that gives one when it is needed, already speaks for all batches.
    """

    def __init__(self) -> None:
        self._latest: Mapping[str, Any] = {}
        self._means: dict[str, Mean] = {}

    def add(self, logs: Mapping[str, Any] | None, data: Any, many: int = 0) -> None:
        """Add what one step reported, or `many`, arrays with the steps along their first axis."""
        self._latest = logs or {}
        for name, value in self._latest.items():
            if not isinstance(value, GradArray):
                continue
            mean = self._means.setdefault(name, Mean(name))
            samples = float(first_length(data))
            if many and value.ndim == 1:
                mean.update_state(value, np.full(many, samples))
                continue
            for one in value if many else (value.detach(),):
                mean.update_state(one, samples)

    def read(self) -> dict[str, float]:
        """The values so far, as numbers."""
        found: dict[str, float] = {}
        for name, value in self._latest.items():
            if isinstance(value, GradArray):
                found[name] = self._means[name].result()
            else:
                given: Any = value() if callable(value) else value
                found[name] = float(given)
        return found


@contextmanager
def modes(model: Model, training: bool) -> Iterator[None]:
    """Set the model to training or inference, and every layer back as it was at the end.

    Layers that stand at inference in a model that is training are left so: they are frozen.
    """
    before = [(module, module.training) for module in model.modules()]
    if not (training and model.training):
        model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


def fit(
    model: Model,
    train: Source,
    validation: Source | None,
    calls: CallbackList,
    bar: Progress,
    epochs: range,
    validation_freq: int,
) -> None:
    """Train for these epochs."""
    last: dict[str, float] = {}
    run = Step(model, "train_step")
    with BetweenBatches() as interrupt, modes(model, True):
        calls.call("on_train_begin")
        try:
            for epoch in epochs:
                calls.call("on_epoch_begin", epoch)
                logs = _train_epoch(model, run, train, calls, bar, epoch, interrupt)
                if validation is not None and (epoch + 1) % validation_freq == 0:
                    found = test(model, validation, calls, None, interrupt)
                    logs |= {f"val_{name}": value for name, value in found.items()}
                bar.end(logs)
                calls.call("on_epoch_end", epoch, logs)
                last = logs
                interrupt.check()
                if model.stop_training:
                    break
        finally:
            bar.close()
            calls.call("on_train_end", last)


def _train_epoch(
    model: Model,
    run: Step,
    train: Source,
    calls: CallbackList,
    bar: Progress,
    epoch: int,
    interrupt: BetweenBatches,
) -> dict[str, float]:
    model.reset_metrics()
    if not model.training:
        model.train()
    bar.begin(train.total, epoch + 1)
    report = Report()
    watched = calls.watches("on_train_batch_end")
    for step, data, logs, many in _steps(run, train, calls, "train", interrupt):
        report.add(logs, data, many)
        if step == 1:
            model.remember_input(unpack(data)[0])
        if watched:
            calls.call("on_train_batch_end", step - 1, report.read())
        bar.update(step, report.read)
        interrupt.check()
        if model.stop_training:
            break
    return report.read()


def _steps(
    run: Step, source: Source, calls: CallbackList, kind: str, interrupt: BetweenBatches
) -> Iterator[tuple[int, Any, Any, int]]:
    """Run the steps of a pass: (how many were run, a batch, what it gave, 0), and where nobody
    listens batch by batch, (how many, a batch like these, what they gave, stacked, how many)."""
    begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
    ahead = None
    if not (calls.watches(begin) or calls.watches(end)):
        ahead = Ahead(run, source, interrupt.word)
    step = 0
    for data in source:
        calls.call(begin, step)
        step += 1
        yield step, data, run(data), 0
        while ahead is not None:
            many, result = ahead(data)
            if not many:
                break
            step += many
            yield step, data, result, many


def test(
    model: Model,
    source: Source,
    calls: CallbackList,
    bar: Progress | None,
    interrupt: BetweenBatches,
) -> dict[str, float]:
    """The metrics over all batches, without training."""
    model.reset_metrics()
    report = Report()
    run = Step(model, "test_step")
    with modes(model, False), no_grad():
        calls.call("on_test_begin")
        if bar is not None:
            bar.begin(source.total)
        for step, data, found, many in _steps(run, source, calls, "test", interrupt):
            report.add(found, data, many)
            if calls.watches("on_test_batch_end"):
                calls.call("on_test_batch_end", step - 1, report.read())
            if bar is not None:
                bar.update(step, report.read)
            interrupt.check()
        logs = report.read()
        if bar is not None:
            bar.end(logs)
        calls.call("on_test_end", logs)
    return logs


def predict(model: Model, source: Source, calls: CallbackList, bar: Progress) -> Any:
    """The outputs for all batches, one after another."""
    outputs: list[Any] = []
    run = Step(model, "predict_step")
    with modes(model, False), no_grad():
        calls.call("on_predict_begin")
        bar.begin(source.total)
        for step, data, y, many in _steps(run, source, calls, "predict", BetweenBatches()):
            if step == 1:
                model.remember_input(unpack(data)[0])
            outputs.append(tree.map(_joined if many else GradArray.numpy, y))
            calls.call("on_predict_batch_end", step - 1)
            bar.update(step)
        bar.end()
        calls.call("on_predict_end")
    return tree.map(lambda *parts: np.concatenate(parts), *outputs)


def _joined(stacked: GradArray) -> np.ndarray:
    """The outputs for many batches, one after another."""
    y = stacked.numpy()
    return y.reshape(-1, *y.shape[2:])
