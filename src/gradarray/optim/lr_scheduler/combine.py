"""Schedulers made of schedulers: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...errors import message
from ..optimizer import Optimizer
from .base import LRScheduler
from .plateau import ReduceLROnPlateau


class _Combined(LRScheduler):
    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "schedulers")

    def take(self, optimizer: Any, schedulers: Sequence[LRScheduler]) -> None:
        """Keep the schedulers, all of which must be of this optimizer."""
        owner = type(self).__name__
        self.schedulers = list(schedulers)
        if not self.schedulers:
            raise ValueError(message(owner, "the list of schedulers is empty."))
        self.attach(self.schedulers[0].optimizer if optimizer is None else optimizer)
        for k, scheduler in enumerate(self.schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    message(
                        owner,
                        "ReduceLROnPlateau steps on a metric and cannot be combined.",
                        "Call its step(metric) beside this scheduler's.",
                    )
                )
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(message(owner, f"scheduler {k} is of another optimizer."))
        self.base_lrs = list(self.schedulers[0].base_lrs)

    def settle(self) -> None:
        self._last_lr = [group["lr"].item() for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        inner = [scheduler.state_dict() for scheduler in self.schedulers]
        return super().state_dict() | {"schedulers": inner}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        inner = state_dict.get("schedulers", ())
        if len(inner) != len(self.schedulers):
            raise ValueError(
                message(
                    "load_state_dict",
                    f"the state is of {len(inner)} schedulers, not of {len(self.schedulers)}.",
                )
            )
        before = self.state_dict()
        try:
            for scheduler, state in zip(self.schedulers, inner, strict=True):
                scheduler.load_state_dict(state)
            schedulers = self.schedulers
            super().load_state_dict(state_dict)
            self.schedulers = schedulers
        except ValueError:
            for scheduler, state in zip(self.schedulers, before["schedulers"], strict=True):
                scheduler.load_state_dict(state)
            raise


class SequentialLR(_Combined):
    r"""One scheduler after the other: scheduler i begins, at its step 0, at milestones[i - 1].

    Raises ValueError for a list without exactly one milestone fewer than schedulers, and for
    schedulers of different optimizers.

    >>> import gradarray as ga
    >>> from gradarray.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> warm = ConstantLR(optimizer, factor=0.1, total_iters=2)
    >>> then = ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = SequentialLR(optimizer, [warm, then], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.1, 0.1, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self.take(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                message(
                    "SequentialLR",
                    f"{len(schedulers)} schedulers need {len(schedulers) - 1} milestones in "
                    f"order, not {list(milestones)}.",
                )
            )
        self.milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self._step_count = 1
        # Each scheduler has set its first rate when it was made; only the first one's counts.
        self.schedulers[0].write(self.base_lrs)
        self.schedulers[0].restart()
        self.settle()

    def start(self) -> None:
        self._step_count += 1
        self.last_epoch = 0
        self.schedulers[0].start()
        self.settle()

    def step(self, epoch: Any = None) -> None:
        """Go on to the next step, of the scheduler whose turn it is."""
        if epoch is not None:
            raise ValueError(message("SequentialLR", "goes step by step: call step() alone."))
        self._step_count += 1
        self.last_epoch += 1
        which = bisect_right(self.milestones, self.last_epoch)
        if which > 0 and self.milestones[which - 1] == self.last_epoch:
            self.schedulers[which].restart()
        else:
            self.schedulers[which].step()
        self.settle()


class ChainedScheduler(_Combined):
    r"""All schedulers at once, so that their factors multiply.

    Raises ValueError for an empty list and for schedulers of different optimizers.

    >>> import gradarray as ga
    >>> from gradarray.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=1.0)
    >>> halved = ConstantLR(optimizer, factor=0.5, total_iters=5)
    >>> falling = ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = ChainedScheduler([halved, falling])
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self.take(optimizer, schedulers)
        self.last_epoch = self.schedulers[0].last_epoch
        self._step_count = 1
        self.settle()

    def start(self) -> None:
        self._step_count += 1
        self.last_epoch = 0
        for scheduler in self.schedulers:
            scheduler.start()
        self.settle()

    def step(self, epoch: Any = None) -> None:
        """Step every scheduler, in order."""
        if epoch is not None:
            raise ValueError(message("ChainedScheduler", "goes step by step: call step() alone."))
        self._step_count += 1
        for scheduler in self.schedulers:
            scheduler.step()
        self.last_epoch = self.schedulers[0].last_epoch
        self.settle()
