"""Schedulers that call a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...errors import message
from ..optimizer import Optimizer
from .base import LRScheduler


class _OfFunction(LRScheduler):
    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.attach(optimizer)
        count = len(optimizer.param_groups)
        many = isinstance(lr_lambda, (list, tuple))
        self.lr_lambdas: list[Callable[[float], float]] = (
            list(lr_lambda) if many else [lr_lambda] * count
        )
        if len(self.lr_lambdas) != count:
            raise ValueError(
                message(
                    type(self).__name__,
                    f"{len(self.lr_lambdas)} functions for {count} parameter groups.",
                )
            )
        super().__init__(optimizer, last_epoch)


class LambdaLR(_OfFunction):
    r"""Multiplies the initial rate by a function of the step.

        lr_t = lr_0 f(t)

    `lr_lambda` is f, or a list with one for each group. It is not part of `state_dict`.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def chained(self, k: int, lr: float) -> float:
        return self.base_lrs[k] * self.lr_lambdas[k](self.last_epoch)


class MultiplicativeLR(_OfFunction):
    r"""Multiplies the rate by a function of the step, again and again.

        lr_t = lr_{t-1} f(t)

    `lr_lambda` is f, or a list with one for each group. It is not part of `state_dict`.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda t: 0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def chained(self, k: int, lr: float) -> float:
        return lr * self.lr_lambdas[k](self.last_epoch) if self.last_epoch > 0 else lr

    def restart(self) -> None:
        self.start()  # it goes on from the rate that it finds
