"""What `compile` takes: optimisers, losses and metrics by name, as instances, or as functions."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from .. import nn, optim
from ..errors import message
from . import metrics as m
from .losses import FunctionLoss, ModuleLoss, check_broadcast

OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "adamax": optim.Adamax,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
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
    "bce": nn.BCELoss,
    "binary_crossentropy": nn.BCELoss,
    "bce_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss,
    "categorical_crossentropy": nn.CrossEntropyLoss,
    "sparse_categorical_crossentropy": nn.CrossEntropyLoss,
    "nll": nn.NLLLoss,
}

_CLASS_AXIS_1 = (nn.CrossEntropyLoss, nn.NLLLoss)


def optimizer(given: Any, model: nn.Module) -> tuple[Any, bool]:
    """An optimiser from a name or a class (made here, of all parameters: True), or as it is."""
    if isinstance(given, str):
        given = _find(given, OPTIMIZERS, "optimizer")
    if isinstance(given, type) and issubclass(given, optim.Optimizer):
        method: Any = given
        return method(model.parameters()), True
    if not isinstance(given, optim.Optimizer):
        raise TypeError(
            message(
                "compile",
                f"optimizer is a name or an optimiser, not {given!r}.",
                "For example optimizer=ga.optim.Adam(model.parameters(), lr=1e-3).",
            )
        )
    return given, False


def loss(given: Any, model: nn.Module) -> ModuleLoss | FunctionLoss:
    """A loss called with (y_true, y_pred); those of `nn`, and any module, take (input, target)."""
    if isinstance(given, str):
        given = _find(given, LOSSES, "loss")
    if isinstance(given, type) and issubclass(given, nn.Module):
        given = given()
    last = type(last_layer(model))
    if isinstance(given, nn.CrossEntropyLoss) and last in (nn.Softmax, nn.LogSoftmax):
        mend = "Leave it out (and apply ga.softmax to what predict gives)"
        mend += ", or use loss='nll'." if last is nn.LogSoftmax else "."
        raise ValueError(
            message(
                "compile", f"cross-entropy takes logits, and the model ends in {last.__name__}.",
                mend,
            )
        )  # fmt: skip
    if isinstance(given, nn.BCEWithLogitsLoss) and last is nn.Sigmoid:
        raise ValueError(
            message(
                "compile",
                "this loss takes logits, and the model ends in a Sigmoid.",
                "Leave the Sigmoid out, or use loss='binary_crossentropy'.",
            )
        )
    if isinstance(given, nn.Module):
        return ModuleLoss(given)
    if callable(given):
        return FunctionLoss(given)
    raise TypeError(
        message(
            "compile",
            f"loss is a name, a loss of ga.nn or a function of (y_true, y_pred), not {given!r}.",
        )
    )


def metrics(plain: Any, weighted: Any, loss_fn: Any) -> tuple[list[m.Metric], list[m.Metric]]:
    """Both lists of metrics, from names, classes, instances or functions of (y_true, y_pred)."""
    found = [[_metric(each, loss_fn) for each in _listed(given)] for given in (plain, weighted)]
    names = ["loss", *(metric.name for metric in (*found[0], *found[1]))]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                message(
                    "compile",
                    f"two metrics are named {name!r}.",
                    "Give one of them another: metrics.Precision(name=...).",
                )
            )
    return found[0], found[1]


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, (str, m.Metric)) or callable(given):
        return [given]
    if isinstance(given, (list, tuple)):
        return list(given)
    raise TypeError(message("compile", f"metrics is a list, not {given!r}."))


def _metric(given: Any, loss_fn: Any) -> m.Metric:
    if isinstance(given, str):
        return _by_name(given, loss_fn)
    if isinstance(given, type) and issubclass(given, m.Metric):
        return given()
    if isinstance(given, m.Metric):
        return given
    if callable(given):
        return _FunctionMetric(given)
    raise TypeError(message("compile", f"{given!r} is no metric."))


def _by_name(name: str, loss_fn: Any) -> m.Metric:
    """A metric that reads predictions as the loss does: as logits, classes along axis 1."""
    kind: Any = _find(name, m.BY_NAME, "metric")
    module = getattr(loss_fn, "module", None)
    logits = isinstance(module, nn.BCEWithLogitsLoss)
    if kind is m.Accuracy:
        axis = 1 if isinstance(module, _CLASS_AXIS_1) else -1
        return kind(name, 0.0 if logits else 0.5, axis)
    if logits and kind is m.BinaryAccuracy:
        return kind(name, threshold=0.0)
    if logits and kind in (m.Precision, m.Recall, m.F1Score):
        return kind(thresholds=0.0, name=name)
    if logits and kind is m.AUC:
        return kind(name=name, from_logits=True)
    return kind(name=name)


class _FunctionMetric(m.MeanMetric):
    """A function (y_true, y_pred) as a metric: the mean of what it gives."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__(getattr(fn, "__name__", "metric"))
        self.fn = fn

    def values(self, y_true: Any, y_pred: Any) -> Any:
        check_broadcast(y_true, y_pred, self.name)
        return self.fn(y_true, y_pred)


def last_layer(model: nn.Module) -> nn.Module:
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
    near = difflib.get_close_matches(name.lower(), table, 5)
    near.sort(key=lambda known: abs(len(known) - len(name)))  # letters swapped more than forgotten
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        message("compile", f"no {what} is named {name!r}.", f"{hint}There are {', '.join(table)}.")
    )
