"""What `compile` takes by name: optimisers, losses, metrics."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from .. import nn, optim
from ..errors import message
from .metrics import BY_NAME, Accuracy, MeanMetric, Metric

OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adamax": optim.Adamax,
    "nadam": optim.NAdam,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
}

LOSSES: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "mean_squared_error": nn.MSELoss,
    "mae": nn.L1Loss,
    "mean_absolute_error": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
    "binary_crossentropy": nn.BCELoss,
    "bce": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "categorical_crossentropy": nn.CrossEntropyLoss,
    "sparse_categorical_crossentropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
    "kl_divergence": nn.KLDivLoss,
}


def optimizer(given: Any, model: nn.Module) -> Any:
    """An optimiser from a name, a class, or as it is."""
    if isinstance(given, str):
        given = _find(given, OPTIMIZERS, "optimizer")
    if isinstance(given, type) and issubclass(given, optim.Optimizer):
        method: Any = given
        return method(model.parameters())
    if not isinstance(given, optim.Optimizer):
        raise TypeError(
            message(
                "compile",
                f"optimizer is a name or an optimiser, not {given!r}.",
                "For example optimizer=ga.optim.Adam(model.parameters(), lr=1e-3).",
            )
        )
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for group in given.param_groups for p in group["params"]):
        raise ValueError(
            message(
                "compile",
                f"the optimiser {type(given).__name__} holds none of this model's parameters.",
                "Make it with model.parameters().",
            )
        )
    return given


def loss(given: Any, model: nn.Module) -> Callable[..., Any]:
    """A loss as a function of (y_true, y_pred, reduction); nn's take (input, target)."""
    if isinstance(given, str):
        given = _find(given, LOSSES, "loss")()
    elif isinstance(given, type) and issubclass(given, nn.Module):
        given = given()
    if isinstance(given, nn.CrossEntropyLoss) and isinstance(_last(model), nn.Softmax):
        raise ValueError(
            message(
                "compile",
                "cross-entropy takes logits, and the model ends in a Softmax.",
                "Leave the Softmax out (and apply ga.softmax to what predict gives).",
            )
        )
    if isinstance(given, nn.BCEWithLogitsLoss) and isinstance(_last(model), nn.Sigmoid):
        raise ValueError(
            message(
                "compile",
                "this loss takes logits, and the model ends in a Sigmoid.",
                "Leave the Sigmoid out, or use loss='binary_crossentropy'.",
            )
        )
    if isinstance(given, nn.Module):
        return _ModuleLoss(given)
    if callable(given):
        return _CallableLoss(given)
    raise TypeError(message("compile", f"loss is a name, a loss or a function, not {given!r}."))


class _ModuleLoss:
    """A loss of `nn`: called with (input, target), its reduction switched where weights need it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.logits = isinstance(module, nn.BCEWithLogitsLoss)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.module(y_pred, y_true)

    def per_sample(self, y_true: Any, y_pred: Any) -> Any:
        outer = self.module.reduction
        self.module.reduction = "none"
        try:
            return self.module(y_pred, y_true)
        finally:
            self.module.reduction = outer


class _CallableLoss:
    """A function (y_true, y_pred) as Keras has them; what it gives is averaged."""

    logits = False

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        value = self.fn(y_true, y_pred)
        return value.mean() if value.ndim else value

    def per_sample(self, y_true: Any, y_pred: Any) -> Any:
        value = self.fn(y_true, y_pred)
        if not value.ndim:
            raise ValueError(
                message(
                    "fit",
                    "weights were given, and the loss function returns one number.",
                    "Return one loss per sample, shape (N,), so that each can be weighted.",
                )
            )
        return value


def metrics(given: Any, loss_fn: Any) -> list[Metric]:
    """Metrics from names, classes, instances or functions (y_true, y_pred)."""
    if given is None:
        return []
    if isinstance(given, (str, Metric)) or callable(given):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(message("compile", f"metrics is a list, not {given!r}."))
    return [_metric(m, loss_fn) for m in given]


def _metric(given: Any, loss_fn: Any) -> Metric:
    if isinstance(given, str):
        if given in ("accuracy", "acc"):
            return Accuracy(given, 0.0 if loss_fn is not None and loss_fn.logits else 0.5)
        return _find(given, BY_NAME, "metric")(name=given)
    if isinstance(given, type) and issubclass(given, Metric):
        return given()
    if isinstance(given, Metric):
        return given
    if callable(given):
        return _CallableMetric(given)
    raise TypeError(message("compile", f"{given!r} is no metric."))


class _CallableMetric(MeanMetric):
    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__(getattr(fn, "__name__", "metric"))
        self.fn = fn

    def values(self, y_true: Any, y_pred: Any) -> Any:
        value = self.fn(y_true, y_pred)
        return value if value.ndim else value.reshape(1)


def _last(model: nn.Module) -> nn.Module:
    """The layer whose output the model returns, as far as Sequential tells."""
    while True:
        if isinstance(model, nn.Sequential) and len(model):
            model = model[-1]
        elif isinstance(getattr(model, "module", None), nn.Module):
            model = model.module
        else:
            return model


def _find(name: str, table: dict[str, Any], what: str) -> Any:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name.lower(), table, 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        message("compile", f"no {what} is named {name!r}.", f"{hint}There are {', '.join(table)}.")
    )
