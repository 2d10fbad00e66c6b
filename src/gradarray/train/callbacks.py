"""Callbacks with Keras's names, arguments and defaults."""

from __future__ import annotations

import csv
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..array import GradArray
from ..errors import UnknownNameError, message
from .callback import Callback, Logs


class _Monitor:
    """Is a watched value better than the best so far?"""

    def __init__(self, owner: str, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(message(owner, f"mode is 'auto', 'min' or 'max', not {mode!r}."))
        self.owner, self.name, self.min_delta = owner, monitor, abs(min_delta)
        grows = ("acc", "auc", "precision", "recall", "f1", "r2")
        self.up = mode == "max" or (mode == "auto" and any(word in monitor for word in grows))
        self.reset()

    def reset(self) -> None:
        self.best = -math.inf if self.up else math.inf

    def value(self, logs: Logs) -> float:
        if not logs or self.name not in logs:
            raise UnknownNameError(
                message(
                    self.owner,
                    f"monitor={self.name!r} is not among the metrics: "
                    f"{', '.join(sorted(logs or {})) or 'none'}.",
                    "A val_ metric needs validation_data or validation_split in fit.",
                )
            )
        return logs[self.name]

    def better(self, value: float, than: float | None = None) -> bool:
        best = self.best if than is None else than
        if self.up:
            return value - self.min_delta > best
        return value + self.min_delta < best


class EarlyStopping(Callback):
    """Stop when `monitor` has not improved by `min_delta` for `patience` epochs.

    With `restore_best_weights` the model gets back its weights of the best epoch. Raises KeyError
    if `monitor` is not among the metrics.

    >>> import gradarray as ga
    >>> stop = ga.train.EarlyStopping(monitor="loss", patience=2)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor = _Monitor("EarlyStopping", monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def on_train_begin(self, logs: Logs = None) -> None:
        self.monitor.reset()
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best_weights: Any = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.monitor.value(logs)
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.state_dict(), epoch
        self.wait += 1
        if self.monitor.better(value):
            self.monitor.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.state_dict()
            if self.baseline is None or self.monitor.better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
            if self.verbose:
                print(f"Restoring weights of the best epoch: {self.best_epoch + 1}")


class ModelCheckpoint(Callback):
    """Save the model (or its weights) after every epoch, or every `save_freq` batches.

    `filepath` may hold `{epoch:02d}`, `{batch}` (both from 1) and metrics, `{val_loss:.3f}`. With
    `save_best_only` only an improvement of `monitor` is saved. Each save is atomic. Raises KeyError
    for a metric that the run does not have.

    >>> import gradarray as ga
    >>> keep = ga.train.ModelCheckpoint("model-{epoch:02d}.safetensors", monitor="loss")
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(
                message("ModelCheckpoint", f"save_freq is 'epoch' or a count, not {save_freq!r}.")
            )
        self.filepath, self.verbose = str(filepath), verbose
        self.monitor = _Monitor("ModelCheckpoint", monitor, mode)
        if initial_value_threshold is not None:
            self.monitor.best = initial_value_threshold
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq, self._seen, self._epoch = save_freq, 0, 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if isinstance(self.save_freq, int):
            self._seen += 1
            if self._seen % self.save_freq == 0:
                self._save(self._epoch, logs, batch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Logs, batch: int = 0) -> None:
        if self.save_best_only:
            value = self.monitor.value(logs)
            if not self.monitor.better(value):
                return
            self.monitor.best = value
        try:
            path = self.filepath.format(epoch=epoch + 1, batch=batch + 1, **(logs or {}))
        except KeyError as error:
            raise UnknownNameError(
                message(
                    "ModelCheckpoint",
                    f"filepath {self.filepath!r} names {error}, which is no metric of this run.",
                )
            ) from None
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")


class LearningRateScheduler(Callback):
    """Set the learning rate at every epoch to `schedule(epoch, lr)`, or `schedule(epoch)`.

    Epochs count from 0. A scheduler of `ga.optim.lr_scheduler` goes with `fit` as
    `LambdaCallback(on_epoch_end=lambda epoch, logs: scheduler.step())`.

    >>> import gradarray as ga
    >>> halve = ga.train.LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        self._takes = _positions(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for group in self.model.optimizer.param_groups:
            rate = self.schedule(*(epoch, float(group["lr"]))[: self._takes])
            if isinstance(rate, bool) or not isinstance(rate, (float, int, np.number, GradArray)):
                raise TypeError(
                    message(
                        "LearningRateScheduler",
                        f"schedule(epoch, lr) returned {rate!r}, which is no learning rate.",
                    )
                )
            group["lr"] = float(rate)
        if self.verbose:
            lr = float(self.model.optimizer.param_groups[0]["lr"])
            print(f"Epoch {epoch + 1}: learning rate {lr:.4g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.param_groups[0]["lr"])


def _positions(schedule: Callable[..., Any]) -> int:
    """Does a schedule take the epoch alone (1), or the rate too (2)?"""
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return 1
    except ValueError:  # written in C, and telling nothing
        pass
    return 2


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    >>> import gradarray as ga
    >>> slower = ga.train.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 < factor < 1:
            raise ValueError(message("ReduceLROnPlateau", f"factor is below 1, not {factor}."))
        self.monitor = _Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs: Logs = None) -> None:
        self.monitor.reset()
        self.wait = self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.monitor.value(logs)
        groups = self.model.optimizer.param_groups
        if logs is not None:
            logs["learning_rate"] = float(groups[0]["lr"])
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self.monitor.better(value):
            self.monitor.best, self.wait = value, 0
            return
        if self.cooling > 0:
            return
        self.wait += 1
        if self.wait < self.patience:
            return
        for group in groups:
            old = float(group["lr"])
            if old > self.min_lr:
                group["lr"] = max(old * self.factor, self.min_lr)
                if self.verbose:
                    print(f"Epoch {epoch + 1}: learning rate {old:.4g} -> {float(group['lr']):.4g}")
        self.cooling, self.wait = self.cooldown, 0


class CSVLogger(Callback):
    """Write every epoch's metrics as a row of a CSV file, what an epoch has not as NA.

    With `append` the rows are added to an existing file, under the columns that it has.

    >>> import gradarray as ga
    >>> log = ga.train.CSVLogger("run.csv")
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = Path(filename), separator, append
        self._file: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._columns: list[str] = []
        if self.append and self.filename.exists():
            with self.filename.open(newline="") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator), [])
        self._has_header = bool(self._columns)
        self._file = self.filename.open("a" if self.append else "w", newline="")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        if not self._columns:
            names = sorted(logs)
            # The first epoch need not be one that is validated.
            if self.params.get("validation") and not any(n.startswith("val_") for n in names):
                names += [f"val_{name}" for name in names if name != "learning_rate"]
            self._columns = ["epoch", *names]
        writer = csv.DictWriter(
            self._file,
            self._columns,
            delimiter=self.separator,
            extrasaction="ignore",
            restval="NA",
        )
        if not self._has_header:
            writer.writeheader()
            self._has_header = True
        writer.writerow({"epoch": epoch, **logs})
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class TerminateOnNaN(Callback):
    """Stop training when a batch's loss is NaN or infinite.

    >>> import gradarray as ga
    >>> guard = ga.train.TerminateOnNaN()
    """

    def on_train_begin(self, logs: Logs = None) -> None:
        self._told = ""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self._told = f"Batch {batch + 1}: the loss is {loss}, training stops"
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self._told:
            print(self._told)


class LambdaCallback(Callback):
    """A callback from functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: ...)`.

    >>> import gradarray as ga
    >>> tell = ga.train.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
    >>> tell.on_epoch_end(3, {})
    3
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__()
        for event, fn in functions.items():
            if not event.startswith("on_") or not hasattr(Callback, event):
                known = ", ".join(e for e in dir(Callback) if e.startswith("on_"))
                raise TypeError(
                    message("LambdaCallback", f"no event {event!r}; there are {known}.")
                )
            self.__dict__[event] = fn
