"""The state of modules: changing a value in place, and reading and writing a whole state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..array import GradArray, from_user, wrap
from ..errors import GraphError, ShapeError, message
from ..graph import no_grad
from ..ops.shape import astype
from ..transforms.batch import Batched

if TYPE_CHECKING:
    from .module import Module


def set_value(target: GradArray, value: Any) -> GradArray:
    """Bind the handle `target` to `value`, cast to its dtype; nothing of this is recorded.

    What was computed from the old value keeps it, and whoever holds the handle sees the new one.
    """
    with no_grad():
        value = value if isinstance(value, GradArray) else wrap(from_user(value))
        if value.shape != target.shape:
            raise ShapeError(
                message("set", f"shape {value.shape} does not fit an array of {target.shape}.")
            )
        value = value if value.dtype == target.dtype else astype(value, target.dtype)
        bind(target, value.detach())
    return target


def bind(target: GradArray, value: GradArray) -> None:
    """Bind the handle `target` to the value and graph of another."""
    if type(target) is Batched:
        target._assign("set", value)
    elif type(value) is Batched:
        raise GraphError(
            message(
                "set",
                "inside vmap a module's state would differ from example to example.",
                "Use model.eval(), or a layer without state (track_running_stats=False).",
            )
        )
    else:
        target._rebind(value._data, value._node)


def handle_on(value: GradArray) -> GradArray:
    """A handle of its own on the same value."""
    return value.detach() if value._node is None else astype(value, value.dtype)


class LoadResult(NamedTuple):
    """What `load_state_dict(strict=False)` did not find, and what it had no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"LoadResult(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def state_dict(module: Module, prefix: str = "") -> dict[str, np.ndarray]:
    """Parameters and persistent buffers by name, in PyTorch's order, as copies."""
    return {name: handle._array.copy() for name, handle in entries(module, prefix).items()}


def entries(module: Module, prefix: str = "") -> dict[str, GradArray]:
    """The handles that a state dict reads and writes; a shared one stands under each name."""
    out: dict[str, GradArray] = {}
    for path, part in module.named_modules(prefix=prefix.rstrip("."), remove_duplicate=False):
        dot = f"{path}." if path else ""
        for name, handle in (*part._parameters.items(), *part._buffers.items()):
            if handle is not None and name not in part._transient:
                out[dot + name] = handle
    return out


def load_state_dict(
    module: Module, state: Mapping[str, Any], strict: bool = True
) -> LoadResult:
    """Write the values of `state` into the module; all is checked before the first is written."""
    if not isinstance(state, Mapping):
        raise TypeError(
            message(
                "load_state_dict",
                f"takes a mapping from names to arrays, not {type(state).__name__}.",
            )
        )
    targets = entries(module)
    missing = [name for name in targets if name not in state]
    unexpected = [name for name in state if name not in targets]
    faults = []
    if strict and missing:
        faults.append(f"missing: {', '.join(missing)}.")
    if strict and unexpected:
        faults.append(f"unexpected: {', '.join(map(str, unexpected))}.")
    values: dict[str, np.ndarray] = {}
    for name, target in targets.items():
        if name not in state:
            continue
        value = state[name]
        value = value._array if isinstance(value, GradArray) else np.asarray(value)
        if value.shape != target.shape:
            faults.append(f"{name} has shape {value.shape}, this model's is {target.shape}.")
        elif value.dtype.kind not in "biufc" or not _fits(value.dtype, target.dtype):
            faults.append(f"{name} has dtype {value.dtype}, this model's is {target.dtype}.")
        else:
            values[name] = np.array(value, target.dtype)
    if faults:
        count = f"{len(state)} arrays for the {len(targets)} of {type(module).__name__}"
        raise ValueError(
            message(
                "load_state_dict",
                f"{count} do not fit, and nothing was changed:\n  " + "\n  ".join(faults) + "\n ",
                "Build the model as it was when it was saved"
                + (", or say strict=False to pass over missing and unexpected names." * strict),
            )
        )
    for name, value in values.items():
        set_value(targets[name], wrap(value if value.shape else value[()]))
    return LoadResult(missing, unexpected)


def _fits(given: np.dtype, wanted: np.dtype) -> bool:
    """May values of this dtype be cast to the model's? Not from complex to real."""
    return wanted.kind == "c" or given.kind != "c"
