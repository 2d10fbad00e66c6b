"""Model: a module with compile, fit, evaluate and predict, as Keras has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import nn, tree
from ..array import GradArray
from ..errors import message
from ..graph import no_grad
from . import loop, named, saving, summary, weights
from .callback import Callback, CallbackList
from .checks import check_layers, check_optimizer
from .data import (
    Batches,
    Source,
    as_batches,
    first_length,
    is_batches,
    refuse_beside_batches,
    split_last,
    unpack,
)
from .history import History
from .interrupt import BetweenBatches
from .metrics import Mean, Metric
from .progress import Progress

_ADAM = "optimizer=ga.optim.Adam(model.parameters(), lr=...)"
_ELSEWHERE = {
    "lr": _ADAM,
    "learning_rate": _ADAM,
    "criterion": "loss=...",
    "loss_fn": "loss=...",
    "metric": "metrics=[...]",
}


class Model(nn.Module):
    """A module that can be trained in one call.

    `ga.Model(module)` wraps any module; a subclass defines `forward`, and may define `train_step`;
    `ga.Sequential` is a Model made of layers.

    >>> import gradarray as ga
    >>> ga.random.seed(0)
    >>> model = ga.Model(ga.nn.Linear(1, 1))
    >>> model.compile(optimizer=ga.optim.SGD(model.parameters(), lr=0.1), loss="mse")
    >>> x = [[0.0], [1.0], [2.0]]
    >>> history = model.fit(x, [[1.0], [3.0], [5.0]], epochs=200, verbose=0)
    >>> model.predict([[3.0]]).round(2)
    array([[7.]], dtype=float32)
    """

    # Here, and not in __init__ alone, for a subclass that does not call it.
    optimizer: Any = None
    history: History | None = None
    stop_training: bool = False
    _compiled: Any = None
    _input: Any = None
    _unsettled = frozenset({"stop_training", "_input"})

    def __init__(self, module: nn.Module | None = None) -> None:
        super().__init__()
        if module is not None:
            if not isinstance(module, nn.Module):
                raise TypeError(
                    message(
                        "Model",
                        f"wraps a module, not {type(module).__name__}.",
                        "For several layers: ga.Sequential(...).",
                    )
                )
            self.module = module

    def _settings(self) -> Any:
        return super()._settings(), id(self.optimizer), id(self._compiled)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if "module" not in self._modules:
            return super().forward(*args, **kwargs)
        return self.module(*args, **kwargs)

    # A wrapper adds nothing to the names: the module's files load into the model, and back.

    def state_dict(self, *, prefix: str = "") -> dict[str, np.ndarray]:
        if type(self) is Model and "module" in self._modules:
            return self.module.state_dict(prefix=prefix)
        return super().state_dict(prefix=prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        if type(self) is Model and "module" in self._modules:
            return self.module.load_state_dict(state_dict, strict)
        return super().load_state_dict(state_dict, strict)

    # compile --------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        run_eagerly: bool = False,
        **elsewhere: Any,
    ) -> None:
        """Choose the optimiser, the loss and the metrics for `fit` and `evaluate`.

        Their steps (and that of `predict`) are compiled to native code, as `ga.compile` does it;
        with `run_eagerly` they are carried out op by op, as they are where they cannot be compiled.

        `optimizer`: a name ("adam", with the defaults of `ga.optim`), or an instance made with the
        model's parameters. `loss`: a name ("mse", "cross_entropy"), a loss of `ga.nn`, which is
        called with (input, target), or a function of (y_true, y_pred). `metrics`: a list of names
        ("accuracy"), metrics, or functions of (y_true, y_pred); those in `weighted_metrics` heed
        sample and class weights. Raises TypeError for a keyword of another library, ValueError for
        an unknown name.
        """
        for name in elsewhere:
            what = f"there is no {name}= here."
            mend = f"Write {_ELSEWHERE[name]}." if name in _ELSEWHERE else ""
            raise TypeError(message("compile", what, mend))
        chosen, complete = named.optimizer(optimizer, self)
        check_optimizer(self, chosen, complete)
        loss_fn = None if loss is None else named.loss(loss, self)
        plain, weighted = named.metrics(metrics, weighted_metrics, loss_fn)
        self.optimizer = chosen
        self._compiled = _Compiled(loss_fn, plain, weighted, complete, run_eagerly)

    @property
    def metrics(self) -> list[Metric]:
        """The compiled metrics, the mean loss first."""
        compiled = self._require_compiled("metrics")
        return [compiled.mean_loss, *compiled.metrics, *compiled.weighted]

    def reset_metrics(self) -> None:
        """Forget what the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def _require_compiled(self, what: str) -> _Compiled:
        if self._compiled is None:
            raise RuntimeError(
                message(
                    what,
                    "the model has not been compiled.",
                    'Call model.compile(optimizer="adam", loss="mse") first.',
                )
            )
        return self._compiled

    # Steps ----------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> GradArray:
        """The compiled loss of a batch, with each sample's weight where weights are given.

        Of a model that returns a tuple, the first is compared with y.
        """
        loss_fn = self._require_compiled("compute_loss").loss
        if loss_fn is None:
            raise RuntimeError(
                message(
                    "fit",
                    "compile was given no loss.",
                    'Say compile(loss="mse"), or define train_step (and test_step for validation).',
                )
            )
        if y is None:
            raise ValueError(
                message("fit", "there is no y to compare with.", "Give fit(x, y), or define "
                        "train_step (and test_step for validation).")
            )  # fmt: skip
        y_pred = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        if sample_weight is None:
            return loss_fn(y, y_pred)
        return loss_fn.weighted(y, y_pred, sample_weight)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, loss: Any = None
    ) -> dict[str, Any]:
        """Add a batch to the metrics, and its loss; functions by name that give the values."""
        compiled = self._require_compiled("compute_metrics")
        y_pred = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        with no_grad():
            if loss is not None:
                compiled.mean_loss.update_state(loss.detach(), float(first_length(y_pred)))
            for metric in compiled.metrics:
                metric.update_state(y, y_pred)
            for metric in compiled.weighted:
                metric.update_state(y, y_pred, sample_weight)
        return {metric.name: metric.result for metric in self.metrics}

    def train_step(self, data: tuple[Any, ...]) -> Mapping[str, Any]:
        """One step on one batch, (x, y) or (x, y, sample_weight); returns metrics by name.

        A subclass may define its own in plain GradArray code. What it returns by name may be
        GradArrays, of which `fit` tells the mean over the epoch, or numbers, told as they are.

        >>> import gradarray as ga
        >>> class Decayed(ga.Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         loss = ((self(x) - y) ** 2).mean()
        ...         penalty = sum((p * p).sum() for p in self.parameters())
        ...         self.optimizer.zero_grad()
        ...         (loss + 0.01 * penalty).backward()
        ...         self.optimizer.step()
        ...         return {"loss": loss, "penalty": penalty}
        >>> model = Decayed(ga.nn.Linear(2, 1))
        >>> model.compile(optimizer="adam")
        >>> history = model.fit([[1.0, 2.0]], [[3.0]], epochs=2, verbose=0)
        >>> list(history.history)
        ['loss', 'penalty']
        """
        x, y, weight = unpack(data)
        y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred, weight)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.compute_metrics(x, y, y_pred, weight, loss)

    def test_step(self, data: tuple[Any, ...]) -> Mapping[str, Any]:
        """The metrics of one batch, without training."""
        x, y, weight = unpack(data)
        y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred, weight)
        return self.compute_metrics(x, y, y_pred, weight, loss)

    def predict_step(self, data: tuple[Any, ...]) -> Any:
        """The output for one batch."""
        return self(unpack(data)[0])

    # fit, evaluate, predict -----------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for `epochs` passes over the data; returns the History of every epoch's metrics.

        `x`, `y`: arrays whose first axes count the samples, or `x` any iterable of batches
        (x, y[, sample_weight]), see `ga.train.batches`. Batches of arrays have `batch_size` (32)
        samples, `shuffle`d anew each epoch by `ga.random`. `validation_split`: the last share of
        the samples, taken before shuffling. `validation_data`: (x, y[, sample_weight]) or batches.
        `class_weight`: a weight per class number. `verbose`: 0 nothing, 1 or "auto" a bar (a line
        per epoch where no bar can be drawn), 2 a line per epoch. Training starts with epoch number
        `initial_epoch`, and ends after the step at hand when `model.stop_training` is set.

        Ctrl-C, too, ends it after the step at hand, and is raised; the model stays usable, and
        `model.history` holds every finished epoch. Raises ValueError for a recurrent or attention
        layer that does not take the batch first, and for labels or shapes that do not fit.

        >>> import gradarray as ga
        >>> ga.random.seed(0)
        >>> model = ga.Sequential(ga.nn.Linear(2, 8), ga.nn.Tanh(), ga.nn.Linear(8, 2))
        >>> model.compile(ga.optim.Adam(model.parameters(), lr=0.1), "cross_entropy", ["accuracy"])
        >>> x, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
        >>> history = model.fit(x, y, epochs=50, verbose=0)
        >>> history.history["accuracy"][-1]
        1.0
        """
        compiled = self._require_compiled("fit")
        check_layers(self, "fit")
        check_optimizer(self, self.optimizer, compiled.complete)
        for name, value in (("epochs", epochs), ("validation_freq", validation_freq)):
            if not isinstance(value, (int, np.integer)) or value < (name != "epochs"):
                raise ValueError(message("fit", f"{name} is a number of epochs, not {value!r}."))
        if class_weight is not None:
            weights.check_class_weight(class_weight)
        size = 32 if batch_size is None else batch_size
        if is_batches(x, y):
            refuse_beside_batches(
                "fit", y=y, batch_size=batch_size, sample_weight=sample_weight,
                validation_split=validation_split or None,
            )  # fmt: skip
            train: Any = x if class_weight is None else weights.Weighted(x, class_weight)
        else:
            parts = (x, y, sample_weight)
            if validation_split and validation_data is None:
                parts, validation_data = split_last(parts, validation_split)
            if class_weight is not None:
                parts = (*parts[:2], weights.by_class(parts[1], class_weight, parts[2]))
            train = Batches(*parts, batch_size=size, shuffle=shuffle)
        passes = max(epochs - initial_epoch, 0)
        source = Source(train, "fit", steps_per_epoch, passes, resume=True)
        held_out: Source | None = None
        if validation_data is not None:
            again = size if validation_batch_size is None else validation_batch_size
            held_out = Source(
                as_batches(validation_data, again), "fit (validation)", validation_steps, passes
            )
        self.history = history = History()
        listed = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        params = {
            "epochs": epochs, "steps": source.total, "verbose": verbose,
            "validation": held_out is not None,
        }  # fmt: skip
        calls = CallbackList([*listed, history], self, params)
        self.stop_training = False
        bar = Progress(epochs, verbose=verbose)
        span = range(initial_epoch, epochs)
        loop.fit(self, source, held_out, calls, bar, span, validation_freq)
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, and the metrics if there are any: a number, a list, or a dict.

        `x`, `y` and `sample_weight` are as for `fit`.
        """
        self._require_compiled("evaluate")
        check_layers(self, "evaluate")
        if is_batches(x, y):
            refuse_beside_batches(
                "evaluate", y=y, batch_size=batch_size, sample_weight=sample_weight
            )
            data = x
        else:
            data = Batches(x, y, sample_weight, 32 if batch_size is None else batch_size)
        calls = _calls(self, callbacks, verbose)
        logs = loop.test(
            self, Source(data, "evaluate", steps), calls, Progress(verbose=verbose),
            BetweenBatches(),
        )  # fmt: skip
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
    ) -> Any:
        """The outputs for all samples, as a NumPy array (or a pytree of them).

        `x`: an array, or batches, of which the first part of each is used.
        """
        check_layers(self, "predict")
        size = 32 if batch_size is None else batch_size
        data = x if is_batches(x) else Batches(x, batch_size=size)
        calls = _calls(self, callbacks, verbose)
        return loop.predict(self, Source(data, "predict", steps), calls, Progress(verbose=verbose))

    # What it looks like ---------------------------------------------------------------------------

    def remember_input(self, x: Any) -> None:
        """Keep the form of an input, one sample of it, for `summary`."""
        self._input = tree.map(lambda a: summary.Form((1, *a.shape[1:]), a.dtype), x)

    def summary(self, input: Any = None, print_fn: Any = print) -> None:
        """Print the layers with their output shapes, parameter counts and bytes.

        `input`: an array, or the shape of one. Without it the shapes are those for one sample of
        what the model last saw in `fit` or `predict`, and blank where it has seen nothing.
        """
        print_fn(summary.table(self, self._input if input is None else input))

    # Files ----------------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the parameters, the buffers and the configuration to a file; see `ga.load`."""
        saving.save(self, path)

    def save_weights(self, path: Any) -> None:
        """Write the parameters and buffers alone."""
        saving.save_weights(self, path)

    def load_weights(self, path: Any, strict: bool = True) -> Any:
        """Read parameters and buffers from a file; nothing changes if it does not fit."""
        return saving.load_weights(self, path, strict)


saving.enter("Model", Model)


class _Compiled:
    """What `compile` chose; `complete`: it made the optimiser of all parameters."""

    def __init__(
        self,
        loss: Any,
        metrics: list[Metric],
        weighted: list[Metric],
        complete: bool,
        run_eagerly: bool,
    ) -> None:
        self.loss, self.metrics, self.weighted, self.complete = loss, metrics, weighted, complete
        self.run_eagerly = run_eagerly
        self.mean_loss = Mean("loss")


def _calls(model: Model, callbacks: Any, verbose: Any) -> CallbackList:
    listed = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
    return CallbackList(listed, model, {"verbose": verbose})
