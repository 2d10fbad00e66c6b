"""A scheduler that watches a metric."""

from __future__ import annotations

from typing import Any

from ...errors import message
from ..optimizer import Optimizer
from .base import LRScheduler, one_of


class ReduceLROnPlateau(LRScheduler):
    r"""Multiplies the rate by `factor` when a metric has stopped improving.

        after more than `patience` steps without improvement:  lr <- max(lr factor, min_lr)

    A metric improves (mode "min") when it is below best (1 - threshold), or below best - threshold
    with `threshold_mode="abs"`; mode "max" is the mirror image. After a reduction, `cooldown` steps
    pass before steps without improvement count again. A change of lr by `eps` or less is not made.
    NaN is never an improvement.

    Raises ValueError for a factor of 1 or more; TypeError if `step` is called without the metric.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.attach(optimizer)
        owner = "ReduceLROnPlateau"
        if not 0 <= factor < 1:
            raise ValueError(message(owner, f"factor is from 0 to 1, below 1, not {factor}."))
        one_of(owner, ("min", "max"), mode=mode)
        one_of(owner, ("rel", "abs"), threshold_mode=threshold_mode)
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = self.per_group("min_lr", min_lr)
        self.base_lrs = [group["lr"].item() for group in optimizer.param_groups]
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0
        self.last_epoch = 0
        self._last_lr = list(self.base_lrs)

    def step(self, metrics: Any = None, epoch: float | None = None) -> None:
        """Take in the metric of an epoch, a number, and reduce the rates if it is time."""
        if metrics is None:
            raise TypeError(message("ReduceLROnPlateau.step", "needs the metric that it watches."))
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.write(self._reduced())
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [group["lr"].item() for group in self.optimizer.param_groups]

    def is_better(self, value: float) -> bool:
        """Is `value` an improvement on the best so far?"""
        if self.best is None:
            return value == value
        sign = 1.0 if self.mode == "min" else -1.0
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return sign * value < sign * self.best - margin

    def _reduced(self) -> list[float]:
        out = []
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            lr = group["lr"].item()
            lower = max(lr * self.factor, least)
            out.append(lower if lr - lower > self.eps else lr)
        return out
