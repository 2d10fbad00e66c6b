"""The Python array API standard (2024.12): what arrays and the namespace tell of themselves.

`gradarray` is the namespace. Its functions take NumPy's arguments, of which the standard's are a
part. (https://data-apis.org/array-api/2024.12)
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from .array import GradArray, method
from .errors import message

__all__ = ["__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2024.12"
_VERSIONS = (None, "2021.12", "2022.12", "2023.12", "2024.12")

_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


def check_device(device: Any, op: str = "device") -> None:
    """Raise unless `device` is where all arrays live."""
    if device is not None and device != "cpu":
        raise ValueError(
            message(
                op,
                f"there is no device {device!r}: arrays live in the machine's memory.",
                'Leave device out, or say "cpu".',
            )
        )


class __array_namespace_info__:
    """What the namespace can do, as the array API standard asks for it.

    >>> import gradarray as ga
    >>> info = ga.__array_namespace_info__()
    >>> info.default_device(), info.devices()
    ('cpu', ['cpu'])
    >>> info.dtypes(kind="real floating")
    {'float32': dtype('float32'), 'float64': dtype('float64')}
    """

    def capabilities(self) -> dict[str, Any]:
        """Boolean masks as indices, shapes that depend on values, and the most axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The one device there is."""
        return "cpu"

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of Python's numbers, and of indices."""
        check_device(device, "default_dtypes")
        return {
            "real floating": np.dtype(float),
            "complex floating": np.dtype(complex),
            "integral": np.dtype(int),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name: all, or those of a kind, or of a tuple of kinds."""
        check_device(device, "dtypes")
        if kind is None:
            kind = ("bool", "numeric")
        kinds = kind if isinstance(kind, tuple) else (kind,)
        for k in kinds:
            if k not in _KINDS:
                raise ValueError(
                    message("dtypes", f"there is no kind {k!r}.", f"It is {', '.join(_KINDS)}.")
                )
        return {name: np.dtype(name) for k in kinds for name in _KINDS[k]}

    def devices(self) -> list[Any]:
        """All devices."""
        return ["cpu"]


@method("__array_namespace__")
def _namespace(x: GradArray, *, api_version: str | None = None) -> ModuleType:
    """The module whose functions take this array: `gradarray`."""
    if api_version not in _VERSIONS:
        raise ValueError(
            message(
                "__array_namespace__",
                f"version {api_version!r} of the array API standard is not known.",
                f"This is {__array_api_version__}.",
            )
        )
    return sys.modules[__name__.partition(".")[0]]


_device: Any = property(lambda x: "cpu", doc='Where the array lives: "cpu", the machine\'s memory.')
method("device")(_device)


@method("to_device")
def _to_device(x: GradArray, device: Any, /, *, stream: Any = None) -> GradArray:
    """The array itself, for the one device there is."""
    check_device(device, "to_device")
    if stream is not None:
        raise ValueError(message("to_device", "the machine's memory has no streams."))
    return x
