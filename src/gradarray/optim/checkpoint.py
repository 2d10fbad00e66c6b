"""An optimizer's state as plain arrays and JSON, and back: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import message

if TYPE_CHECKING:
    from .optimizer import Optimizer


def save(optimizer: Optimizer) -> dict[str, Any]:
    state: dict[int, dict[str, np.ndarray]] = {}
    groups = []
    index = 0
    for group in optimizer.param_groups:
        entry = group.values_of_options()
        if group.names is not None:
            entry["param_names"] = list(group.names)
        entry["params"] = list(range(index, index + len(group.params)))
        for p in group.params:
            state[index] = {k: np.array(v._data) for k, v in optimizer.state[p].items()}
            index += 1
        groups.append(entry)
    return {"state": state, "param_groups": groups}


def load(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    try:
        groups, state = list(saved["param_groups"]), dict(saved["state"])
    except (KeyError, TypeError):
        raise _misfit(
            'it has not the two keys "state" and "param_groups" of a state_dict'
        ) from None
    options = _options(optimizer, groups)
    arrays = _arrays(optimizer, state)
    for group, values in zip(optimizer.param_groups, options, strict=True):
        for name, value in values.items():
            group[name] = value
    for held, value in arrays:
        # A 0-d value as a NumPy scalar: its powers differ in the last bit from a 0-d array's.
        held._rebind(value[()])


def _options(optimizer: Optimizer, groups: list[Any]) -> list[dict[str, Any]]:
    """The options of every group, checked."""
    own = optimizer.param_groups
    if len(groups) != len(own):
        raise _misfit(f"it has {len(groups)} parameter groups, this optimizer {len(own)}")
    out = []
    for k, (group, theirs) in enumerate(zip(own, groups, strict=True)):
        if len(theirs.get("params", ())) != len(group.params):
            raise _misfit(
                f"group {k} has {len(theirs.get('params', ()))} parameters, "
                f"this optimizer's {len(group.params)}"
            )
        names = theirs.get("param_names")
        if names is not None and group.names is not None and list(names) != group.names:
            raise _misfit(f"group {k} has the parameters {names}, this optimizer's {group.names}")
        missing = [name for name in optimizer.defaults if name not in theirs]
        if missing:
            raise _misfit(f"group {k} lacks the option {', '.join(missing)}")
        values = {n: v for n, v in theirs.items() if n not in ("params", "param_names")}
        out.append({name: group.check(name, value) for name, value in values.items()})
    return out


def _arrays(optimizer: Optimizer, state: dict[Any, Any]) -> list[tuple[Any, np.ndarray]]:
    """(array of the optimizer, value for it) for every slot, checked."""
    state = {str(k): v for k, v in state.items()}  # JSON turns integer keys into text
    params = [p for group in optimizer.param_groups for p in group.params]
    if set(state) != {str(k) for k in range(len(params))}:
        raise _misfit(f"it has the state of {len(state)} parameters, not of {len(params)}")
    out = []
    for k, p in enumerate(params):
        own, theirs = optimizer.state[p], state[str(k)]
        if set(theirs) != set(own):
            raise _misfit(
                f"parameter {k} has the slots {sorted(theirs)}, this optimizer's {sorted(own)}",
                "Make the optimizer with the options that the saved one had.",
            )
        for name, held in own.items():
            value = np.asarray(theirs[name])
            skip = 1 if name in optimizer.growing else 0
            if value.ndim != held.ndim or value.shape[skip:] != held.shape[skip:]:
                raise _misfit(f"{name} of parameter {k} has shape {value.shape}, here {held.shape}")
            if value.dtype.kind not in "fiu":
                raise _misfit(f"{name} of parameter {k} has dtype {value.dtype}")
            out.append((held, np.array(value, held.dtype)))
    return out


def _misfit(what: str, mend: str = "It must come from the same method on the same model.") -> Any:
    return ValueError(message("load_state_dict", f"this state does not fit: {what}.", mend))
