"""The loops that `fit`, `evaluate` and `predict` run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..array import GradArray
from ..graph import no_grad
from .callback import CallbackList
from .compiled import Step
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

    def add(self, logs: Mapping[str, Any] | None, data: Any) -> None:
        """Add what one step reported."""
        self._latest = logs or {}
        for name, value in self._latest.items():
            if isinstance(value, GradArray):
                mean = self._means.setdefault(name, Mean(name))
                mean.update_state(value.detach(), float(first_length(data)))

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
                    found = test(model, validation, calls, None, interrupt.check)
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
    for step, data in enumerate(train):
        calls.call("on_train_batch_begin", step)
        report.add(run(data), data)
        if not step:
            model.remember_input(unpack(data)[0])
        if watched:
            calls.call("on_train_batch_end", step, report.read())
        bar.update(step + 1, report.read)
        interrupt.check()
        if model.stop_training:
            break
    return report.read()


def test(
    model: Model,
    source: Source,
    calls: CallbackList,
    bar: Progress | None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The metrics over all batches, without training."""
    model.reset_metrics()
    report = Report()
    run = Step(model, "test_step")
    with modes(model, False), no_grad():
        calls.call("on_test_begin")
        if bar is not None:
            bar.begin(source.total)
        for step, data in enumerate(source):
            calls.call("on_test_batch_begin", step)
            report.add(run(data), data)
            if calls.watches("on_test_batch_end"):
                calls.call("on_test_batch_end", step, report.read())
            if bar is not None:
                bar.update(step + 1, report.read)
            check()
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
        for step, data in enumerate(source):
            calls.call("on_predict_batch_begin", step)
            if not step:
                model.remember_input(unpack(data)[0])
            outputs.append(tree.map(lambda a: a.numpy(), run(data)))
            calls.call("on_predict_batch_end", step)
            bar.update(step + 1)
        bar.end()
        calls.call("on_predict_end")
    return tree.map(lambda *parts: np.concatenate(parts), *outputs)
