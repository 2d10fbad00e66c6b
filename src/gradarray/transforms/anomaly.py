"""Looking for trouble: which op made the first NaN or infinity, at which line, and why.

Inside `detect_anomaly()` every result is looked at as it is made, and every cotangent, tangent and
coefficient as it passes through a node: one sum each, which is NaN or infinite if any part is.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import graph
from ..algebra import Elementwise
from ..errors import AnomalyError, part_of, shown_place, user_place
from ..graph import Grad, mode
from . import causes

# What may be wrong with an array, from bad to worse: an op is to blame if its result is worse
# than all that it was given.
_INFINITE, _NAN = 1, 2


@contextlib.contextmanager
def detect_anomaly(check_inf: bool = True) -> Iterator[None]:
    """Within, the first op that makes a NaN or an infinity raises AnomalyError.

    Forward, in any order of backward, and in series: the error names the op, the layer, the line
    of yours that called it, the inputs that did it and the likely cause. What comes in from outside
    is not an anomaly, a NaN made of an infinity that did (inf - inf) is one. A branch that
    `ga.where` masks counts, since it was computed. Without `check_inf` only NaN is looked for.

    >>> import gradarray as ga
    >>> try:
    ...     with ga.detect_anomaly():
    ...         ga.log(ga.array([1.0, -2.0]))
    ... except ga.AnomalyError as error:
    ...     print(str(error).splitlines()[0])
    log: made nan from x = -2.0 (at index (1,)): the logarithm of a negative number.
    """
    graph.refuse_recorded("detect_anomaly")
    with graph.watching(_Watcher(check_inf)), np.errstate(all="ignore"):
        yield


class _Watcher:
    def __init__(self, check_inf: bool) -> None:
        self.least = _INFINITE if check_inf else _NAN
        self.sweeping = 0
        # Where each node was recorded: the line, and the layers around it.
        self.places: weakref.WeakKeyDictionary[Grad, Any] = weakref.WeakKeyDictionary()

    def forward(self, op: Any, raw: list[Any], params: dict[str, Any], y: Any) -> None:
        """A result was computed.

        Inside a rule a partial may be infinite where the product makes 0 of it: there only what
        passes through the node counts.
        """
        if self.sweeping:
            return
        for part in y if type(y) is tuple else (y,):
            wrong = self.wrong(part)
            if wrong and wrong > self.worst(raw):
                names: Any = op.operand_names(len(raw)) if hasattr(op, "operand_names") else ()
                inputs: dict[str, Any] = dict(zip(names, raw, strict=False))
                inputs.update((k, v) for k, v in params.items() if type(v) in (int, float))
                found = _Found(op, inputs, np.asarray(part), wrong)
                place = (user_place(), mode.layers)
                raise AnomalyError(found.told(f"made {found.value} from", found.cause(), place))

    def recorded(self, node: Grad) -> None:
        """A node was made: remember the line."""
        self.places[node] = (user_place(), mode.layers)

    def passed(self, node: Grad, came: Any, went: Any, direction: str) -> None:
        """A cotangent (a tangent, a coefficient) went through a node."""
        for part in _arrays(went):
            wrong = self.wrong(part)
            if not wrong or wrong <= self.worst([*_arrays(came), *(node.saved or ())]):
                continue
            plan: Any = node.plan
            names = plan.op.operand_names(plan.count) if hasattr(plan, "op") else ()
            kept = [names[k] for k in plan.keep] if names else []
            inputs = dict(zip(kept, node.saved or (), strict=False))
            found = _Found(type(node), inputs, np.asarray(part), wrong)
            # A cotangent was that of the result, whose form may be another one.
            coming = [c for c in _arrays(came) if np.shape(c) == np.shape(part)]
            bar = found.at(coming[0]) if len(coming) == 1 else None
            made = f"its derivative, {direction}, is {found.value}"
            made += " at" if bar is None or bar == 1 else f" from {bar.item()} at"
            place = self.places.get(node, (("", 0), ()))
            raise AnomalyError(found.told(made, found.cause_of_slope(bar), place))

    def wrong(self, x: Any) -> int:
        """0, or what is wrong with x, as far as it is looked for."""
        if isinstance(x, (np.ndarray, np.generic)):
            if x.dtype.kind not in "fc":
                return 0
        elif not isinstance(x, float):
            return 0
        total: Any = np.add.reduce(x, axis=None) if isinstance(x, np.ndarray) else x
        if total - total == 0:  # (a sum may overflow, and then more is looked at)
            return 0
        wrong = _NAN if np.isnan(x).any() else 0 if np.isfinite(x).all() else _INFINITE
        return wrong if wrong >= self.least else 0

    def worst(self, xs: Any) -> int:
        return max(map(self.wrong, xs), default=0)


def _arrays(value: Any) -> Iterator[Any]:
    """The arrays in what passes through a node: raw ones, handles, tuples, an exact zero (None)."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays(part)
    elif hasattr(value, "_base"):
        yield value._base()._data
    elif isinstance(value, (np.ndarray, np.generic)):
        yield value


class _Found:
    """A result that is not finite, and what it was made from."""

    def __init__(self, op: Any, inputs: dict[str, Any], y: Any, wrong: int) -> None:
        self.op, self.inputs, self.y = op, inputs, y
        bad = np.isnan(y) if wrong == _NAN else ~np.isfinite(y)
        self.index = tuple(int(k) for k in np.argwhere(bad)[0])
        self.value = y[self.index]
        self.pointwise = isinstance(op, type) and issubclass(op, Elementwise)

    def at(self, x: Any) -> Any:
        """The value of an operand that belongs to the place of the result, None if none does."""
        if isinstance(x, (int, float, np.generic)):
            return x
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "biufc":
            return None
        if x.size == 1:
            return x.reshape(())[()]
        if self.pointwise:
            with contextlib.suppress(ValueError):
                return np.broadcast_to(x, self.y.shape)[self.index]
        return None

    def cause(self) -> str:
        if self.pointwise:
            values = {name: self.at(x) for name, x in self.inputs.items()}
            return causes.of_value(self.op, values, self.value, self.y.dtype)
        infinite = any(np.isinf(x).any() for x in self.inputs.values() if _is_floating(x))
        return causes.of_array(self.op, infinite, self.value, self.y.dtype)

    def cause_of_slope(self, bar: Any) -> str:
        values = {name: self.at(x) for name, x in self.inputs.items()}
        return causes.of_slope(self.op, values, bar, self.value)

    def told(self, made: str, cause: str, place: Any) -> str:
        line, layers = place
        text = f"in {part_of(layers[0], layers[-1])}: " if layers else ""
        shown = [f"{name}{self._shown(x)}" for name, x in self.inputs.items() if _is_shown(x)]
        text += f"{self.op.name}: {made} {', '.join(shown)}" if shown else (
            f"{self.op.name}: {made.rpartition(' ')[0]}"
        )
        if self.index:
            text += f" (at index {self.index})"
        text += f": {cause}." if cause else "."
        where = shown_place(line)
        return f"{text}\n  at {where}" if where else text

    def _shown(self, x: Any) -> str:
        value = self.at(x)
        if value is not None:
            return f" = {value.item() if hasattr(value, 'item') else value!r}"
        if not x.size:
            return f" of shape {x.shape}"
        return f" of shape {x.shape}, from {np.min(x).item()} to {np.max(x).item()}"


def _is_floating(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, float)) and np.asarray(x).dtype.kind in "fc"


def _is_shown(x: Any) -> bool:
    return isinstance(x, (int, float)) or (
        isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc"
    )
