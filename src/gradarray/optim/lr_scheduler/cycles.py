"""Schedulers that take the rate up and down, and momentum the other way; one step a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ...errors import message
from ..optimizer import Optimizer
from .base import LRScheduler, momentum_of, one_of, positive, set_momentum, within


class CyclicLR(LRScheduler):
    r"""Takes the rate up and down between `base_lr` and `max_lr`, in triangles.

        lr_t = base_lr + (max_lr - base_lr) h(t) s,   momentum_t = max_momentum - (..) h(t) s

    h rises from 0 to 1 in `step_size_up` steps and falls in `step_size_down`. s is 1 for the mode
    "triangular", 2^(1 - cycle) for "triangular2", gamma^t for "exp_range"; or `scale_fn` of the
    cycle (counted from 1) or of t, as `scale_mode` says. For Adam and the like beta1 is the
    momentum.

    Raises ValueError if momentum is to be cycled and the optimizer has none.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], momentum=0.9)
    >>> scheduler = ga.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.5, step_size_up=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> [round(rate, 4) for rate in rates]
    [0.1, 0.3, 0.5, 0.3, 0.1]
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.attach(optimizer)
        step_size_down = step_size_up if step_size_down is None else step_size_down
        positive("CyclicLR", step_size_up=step_size_up, step_size_down=step_size_down)
        one_of("CyclicLR", ("triangular", "triangular2", "exp_range"), mode=mode)
        one_of("CyclicLR", ("cycle", "iterations"), scale_mode=scale_mode)
        bases = self.per_group("base_lr", base_lr)
        if last_epoch == -1:
            for group, base in zip(optimizer.param_groups, bases, strict=True):
                group["lr"] = base
                group["initial_lr"] = base
        self.max_lrs = self.per_group("max_lr", max_lr)
        self.step_size_up, self.step_size_down = step_size_up, step_size_down
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        self.scale_fn = scale_fn
        self.cycle_momentum = cycle_momentum
        self.base_momentums = self.per_group("base_momentum", base_momentum)
        self.max_momentums = self.per_group("max_momentum", max_momentum)
        if cycle_momentum:
            for group in optimizer.param_groups:
                momentum_of("CyclicLR", group)
        super().__init__(optimizer, last_epoch)

    def chained(self, k: int, lr: float) -> float:
        height = self._height()
        if self.cycle_momentum:
            top, bottom = self.max_momentums[k], self.base_momentums[k]
            group = self.optimizer.param_groups[k]
            set_momentum("CyclicLR", group, top - (top - bottom) * height)
        return self.base_lrs[k] + (self.max_lrs[k] - self.base_lrs[k]) * height

    def _height(self) -> float:
        t, up, down = self.last_epoch, self.step_size_up, self.step_size_down
        before, s = divmod(t, up + down)
        h = s / up if s <= up else (up + down - s) / down
        if self.scale_fn is not None:
            return h * self.scale_fn(before + 1 if self.scale_mode == "cycle" else t)
        scale = {"triangular": 1.0, "triangular2": 0.5**before, "exp_range": self.gamma**t}
        return h * scale[self.mode]


class OneCycleLR(LRScheduler):
    r"""Takes the rate up to `max_lr` once and then down to almost nothing; momentum the other way.

        max_lr / div_factor  ->  max_lr  ->  max_lr / (div_factor final_div_factor)

    The rise takes the share `pct_start` of `total_steps` (or epochs times steps_per_epoch). Between
    a and b the way is b + (a - b) (1 + cos(pi s)) / 2, or a + (b - a) s with
    `anneal_strategy="linear"`, for s from 0 to 1. With `three_phase` it comes down to the first
    rate as fast as it rose, and then to the last. For Adam and the like beta1 is the momentum.

    Raises ValueError if no length is given, if momentum is to be cycled and the optimizer has none,
    and for more than `total_steps` steps; after the last of them the last rate stays.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    >>> import gradarray as ga
    >>> optimizer = ga.optim.Adam([ga.array([1.0], requires_grad=True)])
    >>> scheduler = ga.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(2):
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.attach(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    message("OneCycleLR", "give total_steps, or both epochs and steps_per_epoch.")
                )
            total_steps = epochs * steps_per_epoch
        positive("OneCycleLR", total_steps=total_steps, div_factor=div_factor)
        positive("OneCycleLR", final_div_factor=final_div_factor)
        within("OneCycleLR", 0, 1, pct_start=pct_start)
        one_of("OneCycleLR", ("cos", "linear"), anneal_strategy=anneal_strategy)
        self.total_steps, self.pct_start, self.three_phase = total_steps, pct_start, three_phase
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.max_lrs = self.per_group("max_lr", max_lr)
        self.first_lrs = [top / div_factor for top in self.max_lrs]
        self.last_lrs = [first / final_div_factor for first in self.first_lrs]
        self.base_momentums = self.per_group("base_momentum", base_momentum)
        self.max_momentums = self.per_group("max_momentum", max_momentum)
        for group, first in zip(optimizer.param_groups, self.first_lrs, strict=True):
            if cycle_momentum:
                momentum_of("OneCycleLR", group)
            if last_epoch == -1:
                group["initial_lr"] = first
        super().__init__(optimizer, last_epoch)

    def chained(self, k: int, lr: float) -> float:
        first, top, last = self.first_lrs[k], self.max_lrs[k], self.last_lrs[k]
        low, high = self.base_momentums[k], self.max_momentums[k]
        rise_end = self.pct_start * self.total_steps - 1
        if self.three_phase:
            ends = [0.0, rise_end, 2 * rise_end, self.total_steps - 1]
            rates, momenta = [first, top, first, last], [high, low, high, high]
        else:
            ends = [0.0, rise_end, self.total_steps - 1]
            rates, momenta = [first, top, last], [high, low, high]
        if self.cycle_momentum:
            group = self.optimizer.param_groups[k]
            set_momentum("OneCycleLR", group, self._between(ends, momenta))
        return self._between(ends, rates)

    def _between(self, ends: list[float], values: list[float]) -> float:
        """The value at `last_epoch`, with values[i] at ends[i]."""
        t = self.last_epoch
        i = next((i for i in range(1, len(ends)) if t <= ends[i]), len(ends) - 1)
        a, b = values[i - 1], values[i]
        length = ends[i] - ends[i - 1]
        s = min((t - ends[i - 1]) / length, 1.0) if length > 0 else 1.0
        if self.anneal_strategy == "linear":
            return a + (b - a) * s
        return b + (a - b) * (1 + math.cos(math.pi * s)) / 2

    def step(self, epoch: Any = None) -> None:
        t = self.last_epoch + 1 if epoch is None else epoch
        if t > self.total_steps:  # a loop that steps last, too, has total_steps of them
            raise ValueError(
                message(
                    "OneCycleLR",
                    f"step {t} of a cycle of {self.total_steps}.",
                    "Give a larger total_steps: epochs times batches.",
                )
            )
        super().step(epoch)
