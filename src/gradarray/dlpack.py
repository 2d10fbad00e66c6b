"""DLPack: arrays to and from other libraries, through memory that they describe to one another.

Gradients do not cross: an array that requires one has to be detached first. Memory that is lent
is read-only, since a recorded result may still need its values, and what cannot be told so gets a
copy. (https://dmlc.github.io/dlpack/latest, https://data-apis.org/array-api/2024.12)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import GradArray, has_values, method, wrap
from .errors import message
from .standard import check_device

__all__ = ["from_dlpack"]

_CPU = (1, 0)  # kDLCPU, and which one
_VERSIONED = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # earlier NumPy speaks version 0 only


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> GradArray:
    """A GradArray of the values of another library's array, which has `__dlpack__`.

    They are copied, since the caller's memory is the caller's. With copy=False the memory is
    shared: what its owner writes there later shows here, also in what was recorded. The result is
    a constant; of an array that requires a gradient take .detach() first. Raises ValueError for
    a device other than "cpu", BufferError where the array cannot be given out.

    >>> import gradarray as ga
    >>> import numpy as np
    >>> ga.from_dlpack(np.array([1.0, 2.0]))
    GradArray([1., 2.], dtype=float64)
    """
    check_device(device, "from_dlpack")
    if not hasattr(x, "__dlpack__"):
        raise TypeError(
            message("from_dlpack", f"a {type(x).__name__} has no __dlpack__.", "Use ga.array(x).")
        )
    data = np.from_dlpack(x, device=device) if device and _VERSIONED else np.from_dlpack(x)
    if copy is False:
        data = data.view()
        data.flags.writeable = False
    else:
        data = data.copy()
    return wrap(data if data.shape else data[()])


@method("__dlpack_device__")
def _dlpack_device(x: GradArray) -> tuple[int, int]:
    """(1, 0): the machine's memory."""
    return _CPU


@method("__dlpack__")
def _dlpack(
    x: GradArray,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule: of the read-only memory for consumers of version 1, else of a copy."""
    if x._node is not None or not has_values(x):
        raise BufferError(
            message(
                "__dlpack__",
                "this array requires a gradient, and another library's would lose its graph."
                if has_values(x)
                else "this is one example inside vmap, which has no memory of its own.",
                "Say so with x.detach()." if has_values(x) else "Take it outside of vmap.",
            )
        )
    if stream is not None:
        raise BufferError(message("__dlpack__", "the machine's memory has no streams."))
    if dl_device is not None and tuple(dl_device) != _CPU:
        raise BufferError(
            message("__dlpack__", f"cannot give to device {dl_device}, only to the CPU, {_CPU}.")
        )
    versioned = _VERSIONED and max_version is not None and max_version[0] >= 1
    if versioned:
        if copy:
            return x._array.__dlpack__(max_version=max_version, copy=True)
        return x.numpy().__dlpack__(max_version=max_version)
    if copy is False:
        raise BufferError(
            message(
                "__dlpack__",
                "the memory is read-only, which a consumer of DLPack below version 1 cannot see.",
                "Let it copy, or use x.numpy().",
            )
        )
    return x._array.copy().__dlpack__()
