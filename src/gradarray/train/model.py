"""Model: a module with compile, fit, evaluate and predict, as Keras has them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import nn, tree
from ..array import GradArray, lift, wrap
from ..errors import message
from ..graph import no_grad
from . import named
from .callback import Callback, CallbackList
from .data import Batches, split_last
from .history import History
from .interrupt import BetweenBatches
from .metrics import Mean
from .progress import Progress

_ELSEWHERE = {
    "lr": "optimizer=ga.optim.Adam(model.parameters(), lr=...)",
    "learning_rate": "optimizer=ga.optim.Adam(model.parameters(), lr=...)",
    "criterion": "loss=",
    "metric": "metrics=[...]",
}


class Model(nn.Module):
    """A module that can be trained in one call.

    `ga.Model(module)` wraps any module; a subclass defines `forward` (and, if it wants,
    `train_step(data)`); `ga.Sequential` is a Model made of layers.

    >>> import gradarray as ga
    >>> ga.random.seed(0)
    >>> model = ga.Model(ga.nn.Linear(1, 1))
    >>> model.compile(optimizer=ga.optim.SGD(model.parameters(), lr=0.1), loss="mse")
    >>> x = [[0.0], [1.0], [2.0]]
    >>> history = model.fit(x, [[1.0], [3.0], [5.0]], epochs=200, verbose=0)
    >>> model.predict([[3.0]]).round(2)
    array([[7.]], dtype=float32)
    """

    optimizer: Any
    history: History | None

    def __init__(self, module: nn.Module | None = None) -> None:
        super().__init__()
        if module is not None:
            if not isinstance(module, nn.Module):
                raise TypeError(
                    message("Model", f"wraps a module, not {type(module).__name__}.")
                )
            self.module = module
        self._compiled: Any = None
        self.optimizer = None
        self.history = None
        self.stop_training = False

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

    # compile ------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        **elsewhere: Any,
    ) -> None:
        """Choose the optimiser, the loss and the metrics for `fit` and `evaluate`.

        `optimizer`: a name ("adam"), or an instance made with the model's parameters. `loss`: a
        name ("mse", "cross_entropy"), a loss of `ga.nn`, or a function of (y_true, y_pred).
        `metrics`: a list of names ("accuracy"), metrics, or functions of (y_true, y_pred). Raises
        TypeError for a keyword of another library, ValueError for an unknown name.
        """
        for name in elsewhere:
            if name in _ELSEWHERE:
                raise TypeError(
                    message("compile", f"there is no {name}= here: write {_ELSEWHERE[name]}.")
                )
            raise TypeError(message("compile", f"has no argument {name!r}."))
        chosen = named.optimizer(optimizer, self)
        loss_fn = named.loss(loss, self) if loss is not None else None
        measures = named.metrics(metrics, loss_fn)
        self.optimizer = chosen
        self._compiled = (loss_fn, measures, Mean("loss"))

    @property
    def metrics(self) -> list[Any]:
        """The metrics that were compiled, the mean loss first."""
        _, measures, mean_loss = self._require_compiled("metrics")
        return [mean_loss, *measures]

    def _require_compiled(self, what: str) -> Any:
        if self._compiled is None:
            raise RuntimeError(
                message(
                    what,
                    "the model has not been compiled.",
                    'Call model.compile(optimizer="adam", loss="mse") first.',
                )
            )
        return self._compiled

    # Steps --------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> GradArray:
        """The compiled loss of a batch, each sample's weighted where weights are given."""
        loss_fn = self._require_compiled("compute_loss")[0]
        if loss_fn is None:
            raise RuntimeError(
                message(
                    "fit",
                    "compile was given no loss.",
                    'Say model.compile(loss="mse"), or define train_step.',
                )
            )
        y_pred = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        if sample_weight is None:
            return loss_fn(y, y_pred)
        losses = loss_fn.per_sample(y, y_pred)
        if losses.ndim > 1:
            losses = losses.reshape(losses.shape[0], -1).mean(axis=1)
        weight = lift(sample_weight).astype(losses.dtype)
        if weight.shape != losses.shape:
            raise ValueError(
                message(
                    "fit",
                    f"sample_weight has shape {weight.shape}, the losses have {losses.shape}.",
                    "Give one weight per sample.",
                )
            )
        return (losses * weight).mean()

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """One step on one batch (x, y) or (x, y, sample_weight); returns the metrics by name.

        A subclass may define its own in plain GradArray code.
        """
        x, y, weight = unpack(data)
        y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred, weight)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.measure(loss, y, y_pred, weight)

    def test_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """The metrics of one batch, without training."""
        x, y, weight = unpack(data)
        y_pred = self(x)
        return self.measure(self.compute_loss(x, y, y_pred, weight), y, y_pred, weight)

    def predict_step(self, data: tuple[Any, ...]) -> Any:
        """The output for one batch."""
        return self(unpack(data)[0])

    def measure(self, loss: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Add a batch to the metrics; the running values by name (computed when they are read)."""
        _, measures, mean_loss = self._require_compiled("measure")
        y_pred = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        with no_grad():
            mean_loss.add(loss.detach(), len(y_pred))
            for m in measures:
                m.update_state(y, y_pred, sample_weight)
        return {m.name: m.result for m in (mean_loss, *measures)}

    # fit ----------------------------------------------------------------------------------------

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
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for `epochs` passes over the data; returns the History of every epoch's metrics.

        `x`, `y`: arrays whose first axes count the samples, or `x` any iterable of batches
        (x, y[, sample_weight]). `validation_split`: the last share of the samples, taken before
        shuffling. `class_weight`: a weight per class number. `verbose`: 0 nothing, 1 or "auto" a
        bar (a line per epoch where no bar can be drawn), 2 a line per epoch. Ctrl-C ends training
        after the step at hand: the model stays usable and `model.history` holds every finished
        epoch.
        """
        self._require_compiled("fit")
        check_layers(self)
        train, validation = self._data(
            x, y, sample_weight, batch_size, shuffle, validation_split, validation_data,
            validation_batch_size,
        )  # fmt: skip
        self.history = history = History()
        total = steps_per_epoch or (len(train) if hasattr(train, "__len__") else None)
        listed = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        params = {"epochs": epochs, "steps": total, "verbose": verbose}
        calls = CallbackList([*listed, history], self, params)
        bar = Progress(epochs, verbose=verbose)
        was_training = self.training
        self.stop_training = False
        endless = iter(train) if steps_per_epoch else None
        with BetweenBatches() as interrupt:
            try:
                calls.call("on_train_begin")
                for epoch in range(initial_epoch, epochs):
                    source = train if endless is None else _again(train, endless)
                    batches = itertools.islice(source, steps_per_epoch)
                    logs = self._epoch(epoch, batches, total, calls, bar, interrupt, class_weight)
                    if validation is not None and (epoch + 1) % validation_freq == 0:
                        logs |= {
                            f"val_{k}": v for k, v in self._test(validation, calls, None).items()
                        }
                    calls.call("on_epoch_end", epoch, logs)
                    bar.end(logs)
                    interrupt.check()
                    if self.stop_training:
                        break
            finally:
                bar.close()
                self.train(was_training)
                calls.call("on_train_end", {k: v[-1] for k, v in history.history.items() if v})
        return history

    def _epoch(
        self,
        epoch: int,
        batches: Iterable[Any],
        total: int | None,
        calls: CallbackList,
        bar: Progress,
        interrupt: BetweenBatches,
        class_weight: Mapping[int, float] | None,
    ) -> dict[str, float]:
        for metric in self.metrics:
            metric.reset_state()
        calls.call("on_epoch_begin", epoch)
        self.train(True)
        bar.begin(total, epoch + 1)
        logs: dict[str, Any] = {}
        watched = calls.watches("on_train_batch_end")
        step = 0
        for step, data in enumerate(batches, 1):
            calls.call("on_train_batch_begin", step - 1)
            if class_weight is not None:
                data = _weighted(data, class_weight)
            logs = self.train_step(_lifted(data))
            if watched:
                calls.call("on_train_batch_end", step - 1, _read(logs))
            bar.update(step, lambda logs=logs: _read(logs))
            interrupt.check()
            if self.stop_training:
                break
        if not step:
            raise ValueError(
                message(
                    "fit",
                    f"epoch {epoch + 1} got no batch.",
                    "An iterator can be passed through once; give a list, ga.train.batches(...), "
                    "or steps_per_epoch=.",
                )
            )
        return _read(logs)

    def _data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        shuffle: bool,
        validation_split: float,
        validation_data: Any,
        validation_batch_size: int | None,
    ) -> tuple[Any, Any]:
        size = batch_size or 32
        if is_batches(x, y):
            if validation_split:
                raise ValueError(
                    message("fit", "validation_split needs arrays, not batches.", "Give both.")
                )
            train: Any = x
        else:
            parts = (x, y, sample_weight)
            if validation_split and validation_data is None:
                parts, validation_data = split_last(parts, validation_split)
            train = Batches(*parts, batch_size=size, shuffle=shuffle)
        if validation_data is None or is_batches(validation_data, None):
            return train, validation_data
        if not isinstance(validation_data, (tuple, list)):
            raise TypeError(message("fit", "validation_data is (x, y), or batches."))
        return train, Batches(*validation_data, batch_size=validation_batch_size or size)

    # evaluate and predict -----------------------------------------------------------------------

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        callbacks: Iterable[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, and the metrics if there are any: a number, a list, or a dict."""
        self._require_compiled("evaluate")
        data = x if is_batches(x, y) else Batches(x, y, sample_weight, batch_size or 32)
        calls = CallbackList(callbacks or (), self, {"verbose": verbose})
        logs = self._test(data, calls, Progress(verbose=verbose))
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def _test(self, data: Any, calls: CallbackList, bar: Progress | None) -> dict[str, float]:
        for metric in self.metrics:
            metric.reset_state()
        logs: dict[str, Any] = {}
        was_training = self.training
        self.eval()
        try:
            calls.call("on_test_begin")
            if bar is not None:
                bar.begin(len(data) if hasattr(data, "__len__") else None)
            with no_grad():
                for step, batch in enumerate(data, 1):
                    calls.call("on_test_batch_begin", step - 1)
                    logs = self.test_step(_lifted(batch))
                    if calls.watches("on_test_batch_end"):
                        calls.call("on_test_batch_end", step - 1, _read(logs))
                    if bar is not None:
                        bar.update(step, lambda logs=logs: _read(logs))
            found = _read(logs)
            calls.call("on_test_end", found)
            if bar is not None:
                bar.end(found)
        finally:
            self.train(was_training)
        return found

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        callbacks: Iterable[Callback] | None = None,
    ) -> Any:
        """The outputs for all samples, as a NumPy array (or a pytree of them)."""
        data = x if is_batches(x, None) else Batches(x, batch_size=batch_size or 32)
        calls = CallbackList(callbacks or (), self, {"verbose": verbose})
        bar = Progress(verbose=verbose)
        outputs: list[Any] = []
        was_training = self.training
        self.eval()
        try:
            calls.call("on_predict_begin")
            bar.begin(len(data) if hasattr(data, "__len__") else None)
            with no_grad():
                for step, batch in enumerate(data, 1):
                    calls.call("on_predict_batch_begin", step - 1)
                    batch = batch if isinstance(batch, tuple) else (batch,)
                    y = self.predict_step(_lifted(batch))
                    outputs.append(tree.map(lambda a: a.numpy(), y))
                    calls.call("on_predict_batch_end", step - 1)
                    bar.update(step)
            bar.end()
            calls.call("on_predict_end")
        finally:
            self.train(was_training)
        if not outputs:
            raise ValueError(message("predict", "no samples were given."))
        return tree.map(lambda *parts: np.concatenate(parts), *outputs)

    def summary(self, input: Any = None, print_fn: Any = print) -> None:
        """Print the layers with their output shapes, parameter counts and bytes.

        `input`: an array, or its shape; without it the shapes stay blank.
        """
        from .summary import table

        print_fn(table(self, input))

    # Files --------------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the parameters, the buffers and the configuration to a file; see `ga.load`."""
        from .saving import save

        save(self, path)

    def save_weights(self, path: Any) -> None:
        """Write the parameters and buffers alone."""
        from .saving import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any, strict: bool = True) -> Any:
        """Read parameters and buffers from a file; nothing changes if it does not fit."""
        from .saving import load_weights

        return load_weights(self, path, strict)


class Sequential(Model, nn.Sequential):
    """Layers one after another, with compile, fit, evaluate and predict.

    >>> import gradarray as ga
    >>> model = ga.Sequential(ga.nn.Linear(2, 8), ga.nn.Tanh())
    >>> model.add(ga.nn.Linear(8, 1))
    >>> len(model)
    3
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
            layers = tuple(layers[0])  # Keras gives a list
        Model.__init__(self)
        nn.Sequential.__init__(self, *layers)

    def forward(self, x: Any) -> Any:
        return nn.Sequential.forward(self, x)

    def add(self, layer: nn.Module) -> None:
        """Add a layer at the end."""
        self.append(layer)


# Data as fit takes it ---------------------------------------------------------------------------


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch, None for what it lacks."""
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if len(data) > 3 or not data:
        raise ValueError(
            message(
                "fit",
                f"a batch is (x, y) or (x, y, sample_weight); this one has {len(data)} parts.",
            )
        )
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def is_batches(x: Any, y: Any) -> bool:
    """Is `x` an iterable of batches rather than an array?"""
    if y is not None or isinstance(x, (np.ndarray, GradArray, dict, str)) or x is None:
        return False
    if isinstance(x, (Batches, Iterator)):
        return True
    if isinstance(x, (list, tuple)):
        first = x[0] if len(x) else None
        return isinstance(first, (tuple, list)) and bool(first) and hasattr(first[0], "shape")
    return hasattr(x, "__iter__") and not hasattr(x, "shape")


def _again(train: Any, endless: Iterator[Any]) -> Iterator[Any]:
    """Go on through an iterable across epochs, and begin anew where it ends."""
    while True:
        yield from endless
        endless = iter(train)


def _lifted(data: Any) -> Any:
    return tree.map(lambda a: a if isinstance(a, GradArray) else lift(a), data)


def _read(logs: Mapping[str, Any]) -> dict[str, float]:
    values: list[tuple[str, Any]] = [(k, v() if callable(v) else v) for k, v in logs.items()]
    return {k: float(v) for k, v in values}


def _weighted(data: Any, class_weight: Mapping[int, float]) -> Any:
    x, y, weight = unpack(data)
    labels = _values(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    labels = labels.reshape(-1)
    unknown = sorted({int(c) for c in labels} - {int(c) for c in class_weight})
    if unknown:
        raise ValueError(
            message("fit", f"class_weight has no weight for class {unknown[0]}.")
        )
    factors = np.array([class_weight[int(c)] for c in labels])
    if weight is not None:
        factors = factors * _values(weight)
    return x, y, wrap(factors)


def _values(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, GradArray) else np.asarray(x)


def check_layers(model: nn.Module) -> None:
    """Refuse layers that read the batch along the second axis: `fit` gives it first."""
    for path, layer in model.named_modules():
        if getattr(layer, "batch_first", True) is False:
            raise ValueError(
                message(
                    "fit",
                    f"{path} ({type(layer).__name__}) has batch_first=False, and would read the "
                    "batch as time.",
                    "Make it with batch_first=True.",
                )
            )
