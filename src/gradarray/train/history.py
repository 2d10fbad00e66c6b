"""History: what a training run measured, epoch by epoch."""

from __future__ import annotations

from typing import Any

from .callback import Callback


class History(Callback):
    """The metrics of every finished epoch; `fit` returns one.

    `history` maps a metric's name to a list with one value per epoch, `epoch` lists the epochs.
    All lists have the same length, also after an interrupted run.

    >>> from gradarray.train import History
    >>> h = History()
    >>> h.on_epoch_end(0, {"loss": 0.5})
    >>> h.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        missing = float("nan")
        seen = len(self.epoch)
        names = [*self.history, *(name for name in logs if name not in self.history)]
        # Bound at once, so that an interruption finds lists of one length.
        self.history = {
            name: [*self.history.get(name, [missing] * seen), float(logs.get(name, missing))]
            for name in names
        }
        self.epoch = [*self.epoch, epoch]

    def plot(self, path: Any = None, *, title: str = "") -> Any:
        """Draw the curves, one picture per metric with its validation beside it.

        With `path` the picture is saved there. Returns the matplotlib figure. Raises ImportError
        without matplotlib, naming the extra that brings it.
        """
        from .plotting import curves

        return curves(self.epoch, self.history, path, title)

    def __repr__(self) -> str:
        last = ", ".join(f"{k}: {v[-1]:.4g}" for k, v in self.history.items() if v)
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"
