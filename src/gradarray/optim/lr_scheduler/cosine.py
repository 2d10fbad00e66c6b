"""Schedulers along half a cosine."""

from __future__ import annotations

import math

from ...errors import message
from ..optimizer import Optimizer
from .base import LRScheduler, positive


class CosineAnnealingLR(LRScheduler):
    r"""Takes the rate from its initial value to `eta_min` in `T_max` steps, along a cosine.

        lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2

    Further steps take it up again, and so on. Computed from the rate that the group has, so that
    it can be chained with other schedulers.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
    2017 (the annealing, without restarts).

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        positive("CosineAnnealingLR", T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def chained(self, k: int, lr: float) -> float:
        t = self.last_epoch
        if t == 0:
            return lr
        if self._step_count == 1:
            return self.closed(k)
        before = self._share(t - 1)
        if before == 0:  # at the bottom, where the ratio says nothing
            return lr + (self.base_lrs[k] - self.eta_min) * self._share(t)
        return self.eta_min + (lr - self.eta_min) * (self._share(t) / before)

    def closed(self, k: int) -> float:
        height = self.base_lrs[k] - self.eta_min
        return self.eta_min + height * self._share(self.last_epoch)

    def _share(self, t: float) -> float:
        return (1 + math.cos(math.pi * t / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Anneals along a cosine again and again, from the initial rate each time.

        lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi s / T)) / 2

    s counts the steps since the last restart; T, the length of a period, is `T_0` at first and is
    multiplied by `T_mult` at each restart. `step(epoch)` takes fractions of an epoch.

    Source: Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR
    2017.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> [round(rate, 4) for rate in rates]
    [1.0, 0.5, 1.0, 0.8536]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    message(
                        "CosineAnnealingWarmRestarts", f"{name} is a positive integer, not {value}."
                    )
                )
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def chained(self, k: int, lr: float) -> float:
        s, period = self._position()
        height = self.base_lrs[k] - self.eta_min
        return self.eta_min + height * (1 + math.cos(math.pi * s / period)) / 2

    def _position(self) -> tuple[float, int]:
        """Steps since the last restart, and the length of the period."""
        s, period = self.last_epoch, self.T_0
        if self.T_mult == 1:
            return s % period, period
        while s >= period:
            s -= period
            period *= self.T_mult
        return s, period
