"""What schedulers share: the count of steps, writing the rates, saving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import message
from ..groups import Group
from ..optimizer import Optimizer


class LRScheduler:
    """Sets the learning rate of every group of an optimizer, once per call of `step`.

    A scheduler declares `chained`, the rate from the one that a group has now, so that schedulers
    on the same optimizer multiply; and, if there is one, `closed`, the rate from the initial one.
    `base_lrs` are the initial rates, `last_epoch` the number of steps so far.

    Raises TypeError for what is no optimizer, ValueError if `last_epoch` is given and a group has
    no "initial_lr" to go on from.

    >>> import gradarray as ga
    >>> class Halving(ga.optim.lr_scheduler.LRScheduler):
    ...     def chained(self, k, lr):
    ...         return lr / 2 if self.last_epoch > 0 else lr
    >>> optimizer = ga.optim.SGD([ga.array([1.0], requires_grad=True)], lr=0.1)
    >>> scheduler = Halving(optimizer)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.attach(optimizer)
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch != -1 and "initial_lr" not in group:
                raise ValueError(
                    message(
                        type(self).__name__,
                        f"last_epoch={last_epoch} goes on from a run before, but group {k} has "
                        'no "initial_lr".',
                        "Load the optimizer's state first, or leave last_epoch out.",
                    )
                )
            if "initial_lr" not in group:
                group["initial_lr"] = group["lr"].item()
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch: float = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self.step()

    def attach(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                message(
                    type(self).__name__,
                    f"the first argument is an optimizer, not a {type(optimizer).__name__}.",
                )
            )
        self.optimizer = optimizer

    def chained(self, k: int, lr: float) -> float:
        """The rate of group k at `last_epoch`, from the one it has, `lr`."""
        raise NotImplementedError(f"{type(self).__name__} declares no rate")

    def closed(self, k: int) -> float | None:
        """The rate of group k at `last_epoch`, from its initial one, if there is a formula."""
        return None

    def get_lr(self) -> list[float]:
        """The rates at `last_epoch`, computed from those that the groups have."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                message(
                    type(self).__name__,
                    f"was made for {len(self.base_lrs)} parameter groups, now there are "
                    f"{len(groups)}.",
                    "Call add_param_group before the scheduler is made.",
                )
            )
        return [self.chained(k, group["lr"].item()) for k, group in enumerate(groups)]

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one for each group."""
        return self._last_lr

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to `epoch`, and set the rates."""
        self._step_count += 1
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr()
        if epoch is not None:
            closed = [self.closed(k) for k in range(len(rates))]
            rates = [a if b is None else b for a, b in zip(rates, closed, strict=True)]
        self.write(rates)

    def restart(self) -> None:
        """Begin again from the initial rates, as SequentialLR asks when its turn comes."""
        self.write(self.base_lrs)
        self.start()

    def start(self) -> None:
        """Take step 0, from the rates that the groups have."""
        self._step_count += 1
        self.last_epoch = 0
        self.write(self.get_lr())

    def write(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"].item() for group in self.optimizer.param_groups]

    def per_group(self, name: str, value: Any) -> list[float]:
        """One number for every group, from a number or from a list of them."""
        groups = self.optimizer.param_groups
        if isinstance(value, (list, tuple)):
            if len(value) != len(groups):
                raise ValueError(
                    message(
                        type(self).__name__,
                        f"{name} has {len(value)} values for {len(groups)} parameter groups.",
                    )
                )
            return [float(v) for v in value]
        return [float(value)] * len(groups)

    def state_dict(self) -> dict[str, Any]:
        """The state as plain numbers and lists, functions left out; goes into JSON."""
        return {k: v for k, v in self.__dict__.items() if k not in self.unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; the rates themselves are in the optimizer's state.

        Raises ValueError, changing nothing, for the state of another scheduler.
        """
        own = self.state_dict()
        if set(state_dict) != set(own):
            raise ValueError(
                message(
                    "load_state_dict",
                    f"this is not the state of a {type(self).__name__}: it has the keys "
                    f"{sorted(state_dict)}, not {sorted(own)}.",
                )
            )
        if len(state_dict["base_lrs"]) != len(own["base_lrs"]):
            raise ValueError(
                message(
                    "load_state_dict",
                    f"the state is of {len(state_dict['base_lrs'])} parameter groups, this "
                    f"optimizer has {len(own['base_lrs'])}.",
                )
            )
        self.__dict__.update(state_dict)


def positive(owner: str, **values: float) -> None:
    """Raise unless every value is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(message(owner, f"{name} is above 0, not {value}."))


def within(owner: str, low: float, high: float, **values: float) -> None:
    """Raise unless every value is in [low, high]."""
    for name, value in values.items():
        if not low <= value <= high:
            raise ValueError(message(owner, f"{name} is from {low} to {high}, not {value}."))


def one_of(owner: str, allowed: tuple[str, ...], **values: str) -> None:
    """Raise unless every value is one of the words allowed."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(message(owner, f"{name} is one of {allowed}, not {value!r}."))


def momentum_of(owner: str, group: Group) -> str:
    """The option of a group that plays the part of momentum."""
    for name in ("momentum", "betas"):
        if name in group:
            return name
    raise ValueError(
        message(owner, "this optimizer has no momentum to cycle.", "Give cycle_momentum=False.")
    )


def set_momentum(owner: str, group: Group, value: float) -> None:
    """Write momentum, or the first of betas."""
    if momentum_of(owner, group) == "momentum":
        group["momentum"] = value
    else:
        group["betas"] = (value, *(beta.item() for beta in group["betas"][1:]))
