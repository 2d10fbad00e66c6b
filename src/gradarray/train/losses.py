"""A compiled loss: called with (y_true, y_pred) whatever it is made of, and weighted by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nn
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..ops.shape import astype


class ModuleLoss:
    """A loss of `nn`, or a module of the user's: called with (input, target)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.module(y_pred, y_true)

    def weighted(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """The losses of the samples, times their weights, summed or averaged as the loss does."""
        name = type(self.module).__name__
        reduction = getattr(self.module, "reduction", None)
        if reduction is None:
            raise ValueError(
                message(
                    "fit",
                    f"weights were given, and {name} has no reduction to switch off.",
                    "Derive it from a loss of ga.nn, or give compile a function of (y_true, "
                    "y_pred) that returns one loss per sample.",
                )
            )
        self.module.reduction = "none"
        try:
            losses = self.module(y_pred, y_true)
        finally:
            self.module.reduction = reduction
        return _weighted(losses, weight, "sum" if reduction == "sum" else "mean")


class FunctionLoss:
    """A function of (y_true, y_pred) as Keras has them; what it gives is averaged."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        value = self._values(y_true, y_pred)
        return value.mean() if value.ndim else value

    def _values(self, y_true: Any, y_pred: Any) -> Any:
        name = getattr(self.fn, "__name__", "loss")
        check_broadcast(y_true, y_pred, name)
        if getattr(y_true, "requires_grad", False):
            raise ValueError(
                message(
                    name,
                    "y_true requires a gradient. Were the arguments swapped?",
                    "The order is (y_true, y_pred); if this is meant, give y.detach().",
                )
            )
        value = self.fn(y_true, y_pred)
        if not isinstance(value, GradArray):
            raise TypeError(
                message(
                    name,
                    f"the loss function returned a {type(value).__name__}, which has no gradient.",
                    "Write it in gradarray functions and operators.",
                )
            )
        return value

    def weighted(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """The mean of the losses of the samples, times their weights."""
        value = self._values(y_true, y_pred)
        if not value.ndim:
            raise ValueError(
                message(
                    "fit",
                    "weights were given, and the loss function returns one number.",
                    "Return one loss per sample, shape (N,), so that each can be weighted.",
                )
            )
        return _weighted(value, weight, "mean")


def _weighted(losses: Any, weight: Any, reduction: str) -> Any:
    weight = astype(lift(weight), losses.dtype)
    if weight.shape != losses.shape[:1]:
        raise ShapeError(
            message(
                "fit",
                f"sample_weight has shape {weight.shape}, for {len(losses)} samples.",
                "Give one weight per sample.",
            )
        )
    if losses.ndim > 1:
        flat = losses.reshape(losses.shape[0], -1)
        losses = flat.sum(axis=1) if reduction == "sum" else flat.mean(axis=1)
    losses = losses * weight
    return losses.sum() if reduction == "sum" else losses.mean()


def check_broadcast(y_true: Any, y_pred: Any, name: str) -> None:
    """Refuse (N,) against (N, 1): their difference would be (N, N)."""
    shapes = [getattr(v, "shape", None) for v in (y_true, y_pred)]
    a, b = shapes
    if a is None or b is None or a == b or len(a) == len(b):
        return
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    if longer == (*shorter, 1):
        raise ShapeError(
            message(
                name,
                f"y_true has shape {a}, y_pred {b}: they would broadcast against each other.",
                "Give both one shape: y.reshape(-1, 1), or y[:, None].",
            )
        )
