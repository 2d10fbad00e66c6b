"""A group of parameters with options of its own, and which values an option may take."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import message
from ..graph import flags, mode

_POSITIVE = (0.0, math.inf, "a finite number, at least 0")
_SHARE = (0.0, 1.0, "a number from 0 to 1")
_DECAY = (0.0, math.nextafter(1.0, 0.0), "a number from 0 to 1, below 1")

# The options that are numbers: the least and the greatest value, in words for the error.
RANGES: dict[str, tuple[float, float, str]] = {
    "lr": _POSITIVE,
    "betas": _DECAY,
    "eps": _POSITIVE,
    "weight_decay": _POSITIVE,
    "momentum": _POSITIVE,
    "dampening": (-math.inf, math.inf, "a finite number"),
    "alpha": _SHARE,
    "rho": _SHARE,
    "lr_decay": _POSITIVE,
    "initial_accumulator_value": _POSITIVE,
    "momentum_decay": _POSITIVE,
    "tolerance_grad": _POSITIVE,
    "tolerance_change": _POSITIVE,
}

PAIRS = {"betas"}

# What a user may be used to from elsewhere, and what to write here.
FOREIGN = {
    "learning_rate": "write lr=",
    "beta_1": "write betas=(beta_1, beta_2)",
    "beta_2": "write betas=(beta_1, beta_2)",
    "epsilon": "write eps=",
    "decay": "write weight_decay=, or use a scheduler from optim.lr_scheduler",
    "clipnorm": "call nn.utils.clip_grad_norm_ before step()",
    "global_clipnorm": "call nn.utils.clip_grad_norm_ before step()",
    "clipvalue": "call nn.utils.clip_grad_value_ before step()",
    "foreach": "leave it out: there is one implementation",
    "fused": "leave it out: there is one implementation",
    "capturable": "leave it out: every step can be recorded and compiled",
    "differentiable": "leave it out: write the update in a function and use ga.grad",
}


def refuse_foreign(owner: str, names: Iterable[str], init: Callable[..., Any]) -> None:
    """Raise for a keyword that `init` has not but another library has, and name the one to use."""
    for name in names:
        if name in FOREIGN and name not in inspect.signature(init).parameters:
            raise TypeError(message(owner, f"there is no {name}= here: {FOREIGN[name]}."))


def number(owner: str, name: str, value: Any) -> np.float64:
    """`value` as a number that option `name` may have."""
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        out = float(value)
    except (TypeError, ValueError):
        raise TypeError(message(owner, f"{name} is a number, not {value!r}.")) from None
    low, high, words = RANGES.get(name, (-math.inf, math.inf, "a finite number"))
    if not (math.isfinite(out) and low <= out <= high):
        raise ValueError(message(owner, f"{name} is {words}, not {out}."))
    return np.float64(out)


def _is_numeric(name: str, value: Any) -> bool:
    if name == "initial_lr":  # a scheduler's note, which no step reads
        return False
    if name in RANGES:
        return True
    if isinstance(value, (tuple, list)):
        return bool(value) and all(_is_numeric(name, v) for v in value)
    return isinstance(value, (float, np.floating, GradArray))


def _empty(name: str, value: Any) -> Any:
    """The arrays that an option is written into: one, or a tuple of as many as it has numbers."""
    if name in PAIRS:
        count = 2
    elif name in RANGES or not isinstance(value, (tuple, list)):
        return wrap(np.float64(0.0))
    else:
        count = len(value)
    return tuple(wrap(np.float64(0.0)) for _ in range(count))


class Group(MutableMapping[str, Any]):
    """Parameters that share options; `optimizer.param_groups` is a list of these.

    A numeric option is a 0-d float64 GradArray (`betas` a tuple of two), made once: reading gives
    it, and assigning writes the number into it, so that whatever has recorded it sees the change.
    Other options (flags) are kept as they are, and so are further entries, a scheduler's
    `initial_lr` for example.

    Raises ValueError for a number out of the option's range, TypeError for what is no number.

    >>> import gradarray as ga
    >>> w = ga.array([1.0], requires_grad=True)
    >>> group = ga.optim.SGD([w], lr=0.1).param_groups[0]
    >>> rate = group["lr"]
    >>> group["lr"] = 0.01
    >>> rate
    GradArray(0.01, dtype=float64)
    """

    def __init__(
        self,
        owner: str,
        params: list[GradArray],
        names: list[str] | None,
        options: dict[str, Any],
        changed: Callable[[Group], None],
    ) -> None:
        self._owner = owner
        self.params = params
        self.names = names
        self._numeric: dict[str, Any] = {}
        self._other: dict[str, Any] = {}
        self._nonzero: set[str] = set()
        for name, value in options.items():
            if _is_numeric(name, value):
                self._numeric[name] = _empty(name, value)
                self._write(name, value)
            else:
                self._other[name] = value
        self._changed = changed

    def check(self, name: str, value: Any) -> Any:
        """`value` as the option `name` would hold it; nothing is changed."""
        if name not in self._numeric:
            return value
        held = self._numeric[name]
        if not isinstance(held, tuple):
            return number(self._owner, name, value)
        if not isinstance(value, (tuple, list)) or len(value) != len(held):
            raise TypeError(message(self._owner, f"{name} is {len(held)} numbers, not {value!r}."))
        return tuple(number(self._owner, name, v) for v in value)

    def _write(self, name: str, value: Any) -> None:
        value = self.check(name, value)
        held = self._numeric[name]
        many = isinstance(held, tuple)
        for handle, v in zip(held, value, strict=True) if many else ((held, value),):
            handle._assign("param_groups", wrap(v))
        on = many or value != 0
        if on != (name in self._nonzero):
            flags.settings += 1
            (self._nonzero.add if on else self._nonzero.discard)(name)

    def _settings(self) -> Any:
        """What decides what a step computes, beside values."""
        return set(self._nonzero), {k: v for k, v in self._other.items() if k != "initial_lr"}

    def on(self, name: str) -> bool:
        """Has the option a value other than 0? Decides which slots there are."""
        return name in self._nonzero

    def options(self, read: Callable[[GradArray], Any]) -> SimpleNamespace:
        """All options as attributes, numbers by `read`; `on` holds the names that are not 0."""
        if flags.special and mode.trace is not None:
            mode.trace.note(self)
        out = SimpleNamespace(**self._other)
        for name, held in self._numeric.items():
            value = tuple(map(read, held)) if isinstance(held, tuple) else read(held)
            setattr(out, name, value)
        out.on = self._nonzero
        return out

    def values_of_options(self) -> dict[str, Any]:
        """All entries but the parameters, as numbers, flags and lists of numbers."""
        out = {
            name: [v.item() for v in held] if isinstance(held, tuple) else held.item()
            for name, held in self._numeric.items()
        }
        return out | self._other

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return self.params
        if name == "param_names" and self.names is not None:
            return self.names
        return self._numeric[name] if name in self._numeric else self._other[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in ("params", "param_names"):
            raise TypeError(
                message(
                    "param_groups",
                    f"the {name} of a group cannot be replaced: their state would be lost.",
                    "Use optimizer.add_param_group, or make a new optimizer.",
                )
            )
        if name in self._numeric:
            self._write(name, value)
        elif name in FOREIGN and name not in self._other:
            raise TypeError(message(self._owner, f"there is no {name} here: {FOREIGN[name]}."))
        else:
            self._other[name] = value
            flags.settings += 1
        self._changed(self)

    def __delitem__(self, name: str) -> None:
        raise TypeError(message("param_groups", f"the entry {name!r} cannot be removed."))

    def __iter__(self) -> Iterator[str]:
        yield "params"
        if self.names is not None:
            yield "param_names"
        yield from self._numeric
        yield from self._other

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v}" for k, v in self.values_of_options().items())
        return f"Group({len(self.params)} parameters, {options})"
