"""Reading and writing the safetensors format: named arrays in one file, with nothing to execute.

A file is three parts, one after another:

    8 bytes     the length n of the header, an unsigned little-endian integer
    n bytes     the header, JSON: name -> {"dtype", "shape", "data_offsets": [begin, end]},
                and "__metadata__" -> {text: text}; spaces may follow it
    the rest    the arrays' bytes, little-endian, in C order; offsets count from here

The arrays lie back to back, so every byte of the file belongs to exactly one thing. A file comes
from anywhere, so `read` checks all of that against the size of the file before it makes the first
array: what a header claims never decides how much memory is taken.

Source: the format's description, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import Any, NamedTuple

import numpy as np

from .atomic import write_atomic

MAX_HEADER_BYTES = 100_000_000
"""The longest header that is read or written; other readers of the format refuse more, too."""

_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_MAX_DIMENSIONS = 64  # NumPy's own limit
_WIDEST = 8  # bytes of the widest dtype
_MAX_BYTES = 2**63 - 1  # the largest size that NumPy can count

_BFLOAT16 = "BF16"
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "I8": np.dtype(np.int8),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype(np.uint8),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"),
    _BFLOAT16: np.dtype("<u2"),  # the upper half of a float32's bits
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items() if name != _BFLOAT16}


class ModelFileError(ValueError):
    """A file is not a valid safetensors file; the message names the file, the tensor, the fault."""


class _Entry(NamedTuple):
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


# --- reading --------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file: its arrays by name, in the order of the header, and its metadata.

    Dtypes are bool, int8 to int64, uint8 to uint64, float16, float32, float64 and complex64.
    bfloat16, which NumPy does not have, comes as float32; every value is kept exactly. Metadata
    is {} where the file has none.

    Raises ModelFileError (a ValueError) if anything in the file breaks the format: a truncated or
    overlong file, a header that is too long, no JSON or has a key twice, an unknown dtype, a shape
    or offsets that do not fit each other or the file, holes or overlaps between tensors. All is
    checked before memory for an array is taken. Raises OSError if the file cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     write(path, {"bias": np.array([0.5, -1.0])}, {"made by": "me"})
    ...     tensors, metadata = read(path)
    >>> tensors["bias"], metadata
    (array([ 0.5, -1. ]), {'made by': 'me'})
    """
    where = os.fspath(path)
    with open(where, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, start = _read_header(file, size, where)
        metadata = _check_metadata(header.pop(_METADATA, {}), where)
        entries = [_check_entry(name, info, where) for name, info in header.items()]
        _check_layout(entries, size - start, where)
        tensors: dict[str, np.ndarray] = {}
        for entry in entries:
            file.seek(start + entry.begin)
            tensors[entry.name] = _read_tensor(file, entry, where)
    return tensors, metadata


def _read_header(file: BufferedReader, size: int, where: str) -> tuple[dict[str, Any], int]:
    if size < _LENGTH_BYTES:
        raise ModelFileError(
            f"{where}: truncated: {size} bytes, but a safetensors file begins with "
            f"{_LENGTH_BYTES} bytes that hold the length of its header"
        )
    length = int.from_bytes(_read_exactly(file, _LENGTH_BYTES, where), "little")
    if length > MAX_HEADER_BYTES:
        raise ModelFileError(
            f"{where}: the header claims {length} bytes, more than the {MAX_HEADER_BYTES} that "
            "are allowed; this is hardly a safetensors file"
        )
    if length > size - _LENGTH_BYTES:
        raise ModelFileError(
            f"{where}: truncated: the header claims {length} bytes, but only "
            f"{size - _LENGTH_BYTES} follow"
        )
    raw = _read_exactly(file, length, where)
    if not raw.startswith(b"{"):
        raise ModelFileError(f"{where}: the header does not begin with '{{', it is {raw[:20]!r}")
    try:
        header = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ModelFileError(f"{where}: the header is nested too deeply") from error
    except ValueError as error:  # includes broken UTF-8, broken JSON and what the hooks refuse
        raise ModelFileError(f"{where}: the header is not valid JSON: {error}") from error
    return header, _LENGTH_BYTES + length


def _read_exactly(file: BufferedReader, count: int, where: str) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ModelFileError(f"{where}: the file became shorter while it was read")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        key.encode("utf-8")  # half of a surrogate pair can be escaped in JSON, but is no text
        if key in result:
            raise ValueError(f"the key {key!r} is there twice")
        result[key] = value
    return result


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _check_metadata(metadata: Any, where: str) -> dict[str, str]:
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{where}: {_METADATA} is {_show(metadata)}, not an object")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ModelFileError(f"{where}: {_METADATA}[{key!r}] is {_show(value)}, not a text")
    return metadata


def _check_entry(name: str, info: Any, where: str) -> _Entry:
    """What the header says of one tensor, if it is well-formed and agrees with itself."""
    place = f"{where}: tensor {name!r}"
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(
            f"{place}: described by {_show(info)}, which should be an object with exactly "
            "'dtype', 'shape' and 'data_offsets'"
        )
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ModelFileError(f"{place}: unknown dtype {_show(dtype)}; known are {_known()}")
    if not isinstance(shape, list) or not all(_is_count(n) for n in shape):
        raise ModelFileError(
            f"{place}: shape {_show(shape)} is not a list of integers from 0 to 2^63 - 1"
        )
    if len(shape) > _MAX_DIMENSIONS:
        raise ModelFileError(
            f"{place}: {len(shape)} dimensions, but NumPy has at most {_MAX_DIMENSIONS}"
        )
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise ModelFileError(
            f"{place}: data_offsets {_show(offsets)} are not two integers from 0 to "
            "2^63 - 1, begin and end"
        )
    begin, end = offsets
    itemsize = _DTYPES[dtype].itemsize
    # Without elements an array spans nothing, yet NumPy refuses it if its other sizes overflow.
    if math.prod(n for n in shape if n) > _MAX_BYTES // _WIDEST:
        raise ModelFileError(f"{place}: shape {_show(shape)} is larger than any array can be")
    needed = math.prod(shape) * itemsize
    if end - begin != needed:
        raise ModelFileError(
            f"{place}: shape {_show(shape)} of {dtype} needs {needed} bytes, but data_offsets "
            f"[{begin}, {end}] span {end - begin}"
        )
    return _Entry(name, dtype, tuple(shape), begin, end)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_BYTES  # True is an int, but not a count


def _known() -> str:
    return ", ".join(_DTYPES)


def _show(value: Any) -> str:
    """`value` as JSON, short: a hostile header should not fill the screen."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_layout(entries: list[_Entry], size: int, where: str) -> None:
    """The tensors cover the `size` bytes after the header from first to last, each byte once."""
    position = 0
    previous = "the header"
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        place = f"{where}: tensor {entry.name!r}"
        if entry.end > size:
            raise ModelFileError(
                f"{place}: ends at byte {entry.end} of the data, but the file has only {size}; "
                "it is truncated, or its header is wrong"
            )
        if entry.begin != position:
            fault = "overlaps" if entry.begin < position else "leaves a hole after"
            raise ModelFileError(
                f"{place}: begins at byte {entry.begin} and {fault} {previous}, which ends at "
                f"byte {position}"
            )
        position = entry.end
        previous = f"tensor {entry.name!r}"
    if position != size:
        raise ModelFileError(
            f"{where}: {size - position} bytes at the end belong to no tensor: {previous} ends at "
            f"byte {position} of {size}"
        )


def _read_tensor(file: BufferedReader, entry: _Entry, where: str) -> np.ndarray:
    stored = np.empty(entry.shape, _DTYPES[entry.dtype])
    if stored.size:
        octets = stored.reshape(-1).view(np.uint8)
        if file.readinto(octets.data) != stored.nbytes:
            raise ModelFileError(
                f"{where}: tensor {entry.name!r}: the file became shorter while it was read"
            )
        if stored.dtype == np.bool_ and octets.max() > 1:
            raise ModelFileError(
                f"{where}: tensor {entry.name!r}: a BOOL is 0 or 1, but a byte is {octets.max()}"
            )
    if entry.dtype == _BFLOAT16:
        return np.asarray(stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


# --- writing --------------------------------------------------------------------------------------


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name, and texts by name, to a safetensors file, in one step.

    The new file takes the place of an old one only when it is whole and on the disk; if anything
    fails, the old one is still there, untouched. Arrays may be of any layout and byte order, they
    are written little-endian in C order. The widest dtypes come first, which keeps every array
    aligned to its dtype in the file; within a dtype the order of `tensors` is kept.

    Raises TypeError for a name or metadata that is no text, and for what is no array or has a
    dtype that the format does not know; ValueError for a name that the format keeps for itself or
    that UTF-8 cannot hold, and for a header over MAX_HEADER_BYTES; OSError if writing fails.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     write(path, {"weight": np.eye(2, dtype=np.float32)})
    ...     path.stat().st_size
    88
    """
    ordered = sorted(
        ((name, _check_array(name, array)) for name, array in tensors.items()),
        key=lambda item: -item[1].itemsize,
    )
    header: dict[str, Any] = {}
    if metadata:
        header[_METADATA] = _check_written_metadata(metadata)
    position = 0
    for name, array in ordered:
        end = position + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [position, end],
        }
        position = end
    try:
        raw = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{error.object[error.start]!r} in a name or in the metadata is no text: "
            "UTF-8 cannot hold half of a surrogate pair"
        ) from error
    raw += b" " * (-len(raw) % _ALIGNMENT)
    if len(raw) > MAX_HEADER_BYTES:
        raise ValueError(
            f"names, shapes and metadata take {len(raw)} bytes, more than the {MAX_HEADER_BYTES} "
            "that a safetensors header may have"
        )
    write_atomic(path, _pieces(raw, [array for _, array in ordered]))


def _pieces(header: bytes, arrays: list[np.ndarray]) -> Iterator[bytes | memoryview]:
    yield len(header).to_bytes(_LENGTH_BYTES, "little")
    yield header
    for array in arrays:
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        if flat.size:
            yield flat.view(np.uint8).data


def _check_array(name: Any, array: Any) -> np.ndarray:
    if not isinstance(name, str):
        raise TypeError(f"the name of a tensor is a text, not {name!r}")
    if name == _METADATA:
        raise ValueError(f"no tensor can be named {name!r}: the format keeps that name for itself")
    if not isinstance(array, np.ndarray | np.generic):
        raise TypeError(f"tensor {name!r} is a {type(array).__name__}, not a NumPy array")
    array = np.asarray(array)
    if array.dtype.newbyteorder("<") not in _NAMES:
        raise TypeError(
            f"tensor {name!r} has dtype {array.dtype}, which safetensors files do not know; "
            f"convert it to one of {', '.join(str(d.newbyteorder('=')) for d in _NAMES)}"
        )
    return array


def _check_written_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"metadata maps texts to texts, not {key!r} to {value!r}; turn numbers and "
                "structures into text first, for example with json.dumps"
            )
    return dict(metadata)
