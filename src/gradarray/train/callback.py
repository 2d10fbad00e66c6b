"""Callback: what can be done at the beginning and end of training, epochs and batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Logs = dict[str, float] | None


class Callback:
    """Base class: define the methods you need; `self.model` is the model, `self.params` the run.

    Epochs and batches count from 0. Setting `self.model.stop_training = True` ends training after
    the step at hand. At the end of an epoch `logs` holds its metrics; what a callback adds to it
    enters the History. KeyboardInterrupt may be raised anywhere, as by Ctrl-C.

    >>> import gradarray as ga
    >>> class Tell(ga.train.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print("epoch", epoch, "done")
    >>> Tell().on_epoch_end(0)
    epoch 0 done
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None: ...
    def on_train_end(self, logs: Logs = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_test_begin(self, logs: Logs = None) -> None: ...
    def on_test_end(self, logs: Logs = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_begin(self, logs: Logs = None) -> None: ...
    def on_predict_end(self, logs: Logs = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None: ...


class CallbackList:
    """Several callbacks called as one, in order."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"a callback is an instance of ga.train.Callback, not {callback!r}; "
                    "give a class as an instance: EarlyStopping()"
                )
            callback.set_model(model)
            callback.set_params(params)
        self._watching = {
            event: [
                getattr(c, event)
                for c in self.callbacks
                if getattr(type(c), event) is not getattr(Callback, event)
                or event in c.__dict__
            ]
            for event in dir(Callback)
            if event.startswith("on_")
        }

    def watches(self, event: str) -> bool:
        """Does any callback listen to `event`?"""
        return bool(self._watching[event])

    def call(self, event: str, *args: Any) -> None:
        for fn in self._watching[event]:
            fn(*args)
