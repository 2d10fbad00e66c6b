"""Schedulers whose rate is the initial rate times a number that depends on the step alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from ..optimizer import Optimizer
from .base import LRScheduler, positive, within


class Multiple(LRScheduler):
    """lr_t = lr_0 f(t): declares f and the ratio f(t) / f(t - 1)."""

    def multiple(self, t: float) -> float:
        """f(t)."""
        raise NotImplementedError(f"{type(self).__name__} declares no multiple")

    def ratio(self, t: float) -> float:
        """f(t) / f(t - 1); f(0) where t = 0."""
        raise NotImplementedError(f"{type(self).__name__} declares no ratio")

    def chained(self, k: int, lr: float) -> float:
        return lr * self.ratio(self.last_epoch)

    def closed(self, k: int) -> float:
        return self.base_lrs[k] * self.multiple(self.last_epoch)


class StepLR(Multiple):
    r"""Multiplies the rate by gamma every `step_size` steps.

        lr_t = lr_0 gamma^floor(t / step_size)

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        positive("StepLR", step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        return self.gamma ** (t // self.step_size)

    def ratio(self, t: float) -> float:
        return self.gamma if t > 0 and t % self.step_size == 0 else 1.0


class MultiStepLR(Multiple):
    r"""Multiplies the rate by gamma at each milestone.

        lr_t = lr_0 gamma^(number of milestones up to t)

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(4):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        return self.gamma ** bisect_right(self.milestones, t)

    def ratio(self, t: float) -> float:
        return self.gamma ** self.milestones.count(int(t))


class ConstantLR(Multiple):
    r"""Multiplies the rate by `factor` for the first `total_iters` steps.

        lr_t = lr_0 factor  for t < total_iters,  lr_0 from then on

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        within("ConstantLR", 0, 1, factor=factor)
        positive("ConstantLR", factor=factor)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        return self.factor if t < self.total_iters else 1.0

    def ratio(self, t: float) -> float:
        if t == 0:
            return self.factor
        return 1 / self.factor if t == self.total_iters else 1.0


class LinearLR(Multiple):
    r"""Multiplies the rate by a number that goes from `start_factor` to `end_factor`.

        lr_t = lr_0 (start + (end - start) min(t, total_iters) / total_iters)

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        within("LinearLR", 0, 1, start_factor=start_factor, end_factor=end_factor)
        positive("LinearLR", start_factor=start_factor, total_iters=total_iters)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(t, self.total_iters) / self.total_iters

    def ratio(self, t: float) -> float:
        if t == 0:
            return self.start_factor
        if t > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)


class ExponentialLR(Multiple):
    r"""Multiplies the rate by gamma at every step.

        lr_t = lr_0 gamma^t

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        return self.gamma**t

    def ratio(self, t: float) -> float:
        return self.gamma if t > 0 else 1.0


class PolynomialLR(Multiple):
    r"""Takes the rate to 0 in `total_iters` steps, along a power.

        lr_t = lr_0 (1 - min(t, total_iters) / total_iters)^power

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = ga.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        positive("PolynomialLR", total_iters=total_iters)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def multiple(self, t: float) -> float:
        return (1 - min(t, self.total_iters) / self.total_iters) ** self.power

    def ratio(self, t: float) -> float:
        if t == 0 or t > self.total_iters:
            return 1.0
        return self.multiple(t) / self.multiple(t - 1)
