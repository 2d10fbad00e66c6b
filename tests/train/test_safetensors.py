"""The safetensors reader and writer, against the safetensors package and against bad files."""

from __future__ import annotations

import ast
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import SafetensorError, safe_open

from gradarray.train import atomic, safetensors
from gradarray.train.safetensors import ModelFileError, read, write

REAL_DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
DTYPES = [*REAL_DTYPES, "c8"]


def example(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    raw = rng.integers(0, 2 if dtype == "?" else 256, 24 * np.dtype(dtype).itemsize, np.uint8)
    return raw.view(dtype).reshape(2, 3, 4)


def bits(array: np.ndarray) -> bytes:
    """What two arrays must share to be the same, NaN's payloads included."""
    return array.tobytes()


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(actual) == set(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        assert actual[name].shape == array.shape, name
        assert bits(actual[name]) == bits(array), name


# --- both ways with the reference implementation --------------------------------------------------


def test_package_reads_what_is_written(tmp_path: Path) -> None:
    tensors = {f"layer.{dtype}": example(dtype) for dtype in REAL_DTYPES}
    tensors |= {"scalar": np.array(3.5), "none": np.zeros((3, 0, 2), np.float32)}
    write(tmp_path / "own", tensors, {"format": "np", "이름": "값"})
    assert_same(reference.load_file(tmp_path / "own"), tensors)
    with safe_open(tmp_path / "own", "np") as file:
        assert file.metadata() == {"format": "np", "이름": "값"}


def test_reads_what_package_writes(tmp_path: Path) -> None:
    tensors = {f"layer.{dtype}": example(dtype) for dtype in REAL_DTYPES}
    tensors |= {"scalar": np.array(3.5), "none": np.zeros((3, 0, 2), np.float32)}
    reference.save_file(tensors, tmp_path / "theirs", {"format": "np", "이름": "값"})
    actual, metadata = read(tmp_path / "theirs")
    assert_same(actual, tensors)
    assert metadata == {"format": "np", "이름": "값"}


def test_same_bytes_as_package(tmp_path: Path) -> None:
    tensors = {"b": example("f4"), "c": example("i8"), "d": example("u1")}
    write(tmp_path / "own", tensors)
    assert (tmp_path / "own").read_bytes() == reference.save(tensors)


def test_complex64_has_its_published_name_and_layout(tmp_path: Path) -> None:
    write(tmp_path / "own", {"z": np.array([1 + 2j, complex(0, -3.5)], np.complex64)})
    raw = (tmp_path / "own").read_bytes()
    assert b'"dtype":"C64"' in raw
    assert raw[-16:] == np.array([1, 2, 0, -3.5], "<f4").tobytes()
    assert_same(
        read(tmp_path / "own")[0], {"z": np.array([1 + 2j, complex(0, -3.5)], np.complex64)}
    )


# --- round trips ----------------------------------------------------------------------------------

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda name: name != "__metadata__"
)
arrays = hnp.arrays(
    st.sampled_from([np.dtype(code) for code in DTYPES]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)


@settings(deadline=None)  # the disk decides
@given(
    st.dictionaries(names, arrays, max_size=4),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), names, max_size=3),
)
def test_round_trip(tmp_path_factory, tensors, metadata) -> None:
    path = tmp_path_factory.mktemp("round") / "trip"
    write(path, tensors, metadata)
    actual, actual_metadata = read(path)
    assert_same(actual, tensors)
    assert actual_metadata == metadata


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">f8", ">c8"])
def test_other_byte_order_keeps_the_values(tmp_path: Path, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    write(tmp_path / "file", {"x": array})
    back = read(tmp_path / "file")[0]["x"]
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, array)


def test_layouts_other_than_c_order(tmp_path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    views = {"T": base.T, "step": base[::-1, ::2], "wide": np.broadcast_to(base[0], (3, 6))}
    write(tmp_path / "file", views)
    for name, array in read(tmp_path / "file")[0].items():
        np.testing.assert_array_equal(array, views[name])
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_arrays_are_aligned_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, {"odd": np.zeros(3, np.uint8), "half": np.zeros(3, np.float16), "d": np.zeros(1)})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    for info in json.loads(raw[8 : 8 + length]).values():
        itemsize = {"U8": 1, "F16": 2, "F64": 8}[info["dtype"]]
        assert (8 + length + info["data_offsets"][0]) % itemsize == 0


def test_no_tensors_and_no_metadata(tmp_path: Path) -> None:
    write(tmp_path / "file", {})
    assert read(tmp_path / "file") == ({}, {})


def test_bfloat16_comes_as_float32_with_the_same_values(tmp_path: Path) -> None:
    # sign, eight bits of exponent, seven of fraction: the values are read off by hand
    patterns = np.array([0x3F80, 0xBFC0, 0x4049, 0x0001, 0x7F80, 0x8000], "<u2")
    expected = [1.0, -1.5, 3.140625, 2.0**-133, np.inf, -0.0]
    save_raw(tmp_path / "file", {"x": entry("BF16", [2, 3], 0, 12)}, patterns.tobytes())
    back = read(tmp_path / "file")[0]["x"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back.ravel(), np.array(expected, np.float32))
    assert np.signbit(back[1, 2])


def test_bfloat16_without_dimensions_is_an_array(tmp_path: Path) -> None:
    save_raw(tmp_path / "file", {"x": entry("BF16", [], 0, 2)}, b"\xc0\xbf")
    back = read(tmp_path / "file")[0]["x"]
    assert isinstance(back, np.ndarray)
    assert back.tolist() == -1.5


# --- files that must be refused -------------------------------------------------------------------


def entry(dtype: Any, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def packed(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def save_raw(path: Path, header: dict[str, Any], data: bytes) -> None:
    path.write_bytes(packed(json.dumps(header).encode(), data))


def described(data: bytes = b"", **header: Any) -> bytes:
    return packed(json.dumps(header).encode(), data)


GOOD = described(bytes(8), w=entry("F32", [2], 0, 8))
HUGE = 2**62

BAD = {
    "empty": (b"", "truncated: 0 bytes"),
    "no length": (GOOD[:7], "truncated: 7 bytes"),
    "header cut": (GOOD[:30], "truncated: the header claims"),
    "data cut": (GOOD[:-1], "'w': ends at byte 8 of the data, but the file has only 7"),
    "data too long": (GOOD + b"x", "1 bytes at the end belong to no tensor"),
    "data without tensors": (packed(b"{}", b"abc"), "3 bytes at the end"),
    "length over the cap": (packed(b"{}", length=100_000_001), "claims 100000001 bytes, more than"),
    "length of 2^64 - 1": (packed(b"{}", length=2**64 - 1), "more than the 100000000"),
    "length over the file": (packed(b"{}", length=3), "truncated: the header claims 3"),
    "length 0": (packed(b""), "does not begin with"),
    "a pickle": (packed(b"\x80\x04cos\nsystem\n"), "does not begin with"),
    "a list": (packed(b"[]"), "does not begin with"),
    "leading space": (packed(b" {}"), "does not begin with"),
    "not UTF-8": (packed(b'{"\xff": 1}'), "not valid JSON"),
    "not JSON": (packed(b"{w: 1}"), "not valid JSON"),
    "two documents": (packed(b"{}{}"), "not valid JSON"),
    "NaN": (packed(b'{"w": NaN}'), "NaN is not a JSON value"),
    "half of a surrogate pair": (packed(b'{"\\ud800": 1}'), "not valid JSON"),
    "deeply nested": (packed(b'{"w":' + b"[" * 200_000), "nested too deeply"),
    "number of 10,000 digits": (packed(b'{"w": 1' + b"0" * 10_000 + b"}"), "not valid JSON"),
    "tensor twice": (
        packed(
            b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"a",
        ),
        "'w' is there twice",
    ),
    "shape twice": (
        packed(b'{"w":{"dtype":"U8","shape":[1],"shape":[0],"data_offsets":[0,1]}}', b"a"),
        "'shape' is there twice",
    ),
    "metadata is a list": (described(__metadata__=[]), "__metadata__ is []"),
    "metadata is null": (described(__metadata__=None), "__metadata__ is null"),
    "metadata holds a number": (described(__metadata__={"a": 1}), "__metadata__['a'] is 1"),
    "entry is a number": (described(w=3), "'w': described by 3"),
    "entry without dtype": (
        described(w={"shape": [], "data_offsets": [0, 0]}),
        "'w': described by",
    ),
    "entry with more": (described(w=entry("U8", [0], 0, 0) | {"scale": 2}), "with exactly"),
    "unknown dtype": (described(w=entry("F8_E4M3", [0], 0, 0)), "'w': unknown dtype \"F8_E4M3\""),
    "dtype is a list": (described(w=entry(["F32"], [0], 0, 0)), "unknown dtype ["),
    "shape is a number": (described(bytes(8), w=entry("F32", 2, 0, 8)), "'w': shape 2 is not"),
    "negative size": (described(bytes(8), w=entry("F32", [-1, -2], 0, 8)), "'w': shape [-1, -2]"),
    "float size": (described(bytes(8), w=entry("F32", [2.0], 0, 8)), "'w': shape [2.0]"),
    "boolean size": (described(bytes(4), w=entry("F32", [True], 0, 4)), "'w': shape [true]"),
    "65 dimensions": (described(bytes(1), w=entry("U8", [1] * 65, 0, 1)), "65 dimensions"),
    "three offsets": (
        described(w={"dtype": "U8", "shape": [0], "data_offsets": [0, 0, 0]}),
        "'w': data_offsets [0, 0, 0]",
    ),
    "negative offset": (described(w=entry("U8", [0], -1, -1)), "'w': data_offsets [-1, -1]"),
    "offset of text": (described(w=entry("U8", [0], "0", 0)), "'w': data_offsets"),
    "offset over 2^63": (described(w=entry("U8", [0], 2**63, 2**63)), "'w': data_offsets"),
    "end before begin": (described(bytes(4), w=entry("F32", [1], 4, 0)), "span -4"),
    "span too short": (described(bytes(8), w=entry("F32", [3], 0, 8)), "needs 12 bytes"),
    "span too long": (described(bytes(8), w=entry("F32", [1], 0, 8)), "needs 4 bytes"),
    # 2^62 * 4 and 2^32 * 2^32 are 0 modulo 2^64: arithmetic that wraps would accept an empty span
    "product wraps": (described(w=entry("F32", [HUGE], 0, 0)), "larger than any array"),
    "product of sizes wraps": (described(w=entry("U8", [2**32] * 2, 0, 0)), "larger than any"),
    "huge beside a zero": (described(w=entry("F32", [0, HUGE, HUGE], 0, 0)), "larger than any"),
    "claims a terabyte": (
        described(bytes(8), w=entry("U8", [2**40], 0, 2**40)),
        "'w': ends at byte 1099511627776",
    ),
    "hole at the start": (
        described(bytes(8), w=entry("F32", [1], 4, 8)),
        "'w': begins at byte 4 and leaves a hole after the header",
    ),
    "hole between": (
        described(bytes(12), a=entry("F32", [1], 0, 4), b=entry("F32", [1], 8, 12)),
        "'b': begins at byte 8 and leaves a hole after tensor 'a'",
    ),
    "overlap": (
        described(bytes(8), a=entry("F32", [2], 0, 8), b=entry("F32", [1], 4, 8)),
        "'b': begins at byte 4 and overlaps tensor 'a'",
    ),
    "same bytes twice": (
        described(bytes(4), a=entry("F32", [1], 0, 4), b=entry("F32", [1], 0, 4)),
        "'b': begins at byte 0 and overlaps tensor 'a'",
    ),
    "empty tensor in a hole": (
        described(bytes(8), a=entry("F32", [2], 0, 8), b=entry("F32", [0], 4, 4)),
        "'b': begins at byte 4 and overlaps tensor 'a'",
    ),
    "BOOL of 2": (described(b"\x00\x02", w=entry("BOOL", [2], 0, 2)), "'w': a BOOL is 0 or 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused(tmp_path: Path, name: str) -> None:
    content, fault = BAD[name]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read(path)
    text = str(caught.value)
    assert str(path) in text
    assert fault in text
    assert len(text) < 1000 + len(str(path))


# What the package lets pass, though the format's description or plain sense forbids it.
LENIENT = {"leading space", "tensor twice", "metadata is null", "entry with more", "BOOL of 2"}


@pytest.mark.parametrize("name", sorted(set(BAD) - LENIENT))
def test_the_package_refuses_the_same_file(name: str) -> None:
    with pytest.raises((SafetensorError, KeyError, ValueError)):
        reference.load(BAD[name][0])


@pytest.mark.parametrize("name", BAD)
def test_nothing_is_allocated_for_a_bad_header(tmp_path: Path, name: str, monkeypatch) -> None:
    if name == "BOOL of 2":  # a fault of the contents, which can only be seen in them
        return
    (tmp_path / "bad").write_bytes(BAD[name][0])

    def refuse(*args: Any) -> None:
        raise AssertionError(f"allocated {args}")

    monkeypatch.setattr(safetensors.np, "empty", refuse)
    with pytest.raises(ModelFileError):
        read(tmp_path / "bad")


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_changed_byte_is_read_or_refused(tmp_path_factory, position: int, value: int) -> None:
    path = tmp_path_factory.mktemp("changed") / "file"
    path.write_bytes(GOOD[:position] + bytes([value]) + GOOD[position + 1 :])
    try:
        tensors, _ = read(path)
    except ModelFileError:
        return
    assert sum(array.nbytes for array in tensors.values()) == 8


def test_header_may_end_in_spaces(tmp_path: Path) -> None:
    header = json.dumps({"w": entry("F32", [2], 0, 8)}).encode() + b"   "
    (tmp_path / "file").write_bytes(packed(header, np.array([1, 2], "<f4").tobytes()))
    assert read(tmp_path / "file")[0]["w"].tolist() == [1.0, 2.0]


def test_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        read(tmp_path / "none")


def test_model_file_error_is_a_value_error() -> None:
    assert issubclass(ModelFileError, ValueError)


# --- what is not written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "metadata", "kind", "fault"),
    [
        ({"w": [1.0]}, None, TypeError, "'w' is a list, not a NumPy array"),
        ({3: np.zeros(1)}, None, TypeError, "not 3"),
        ({"w": np.zeros(1, object)}, None, TypeError, "dtype object"),
        ({"w": np.zeros(1, "U3")}, None, TypeError, "dtype <U3"),
        ({"w": np.zeros(1, complex)}, None, TypeError, "dtype complex128"),
        ({"w": np.zeros(1, np.longdouble)}, None, TypeError, "safetensors files do not know"),
        ({"w": np.zeros(1, "M8[s]")}, None, TypeError, "safetensors files do not know"),
        ({"w": np.zeros(1, "f4,i2")}, None, TypeError, "safetensors files do not know"),
        ({"__metadata__": np.zeros(1)}, None, ValueError, "keeps that name"),
        ({"\ud800": np.zeros(1)}, None, ValueError, "surrogate"),
        ({}, {"epoch": 3}, TypeError, "'epoch' to 3"),
        ({}, {3: "epoch"}, TypeError, "json.dumps"),
        ({}, {"a": "\udfff"}, ValueError, "surrogate"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path: Path, tensors, metadata, kind, fault) -> None:
    with pytest.raises(kind) as caught:
        write(tmp_path / "file", tensors, metadata)
    assert fault in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_header_over_the_cap_is_not_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(safetensors, "MAX_HEADER_BYTES", 64)
    with pytest.raises(ValueError, match="more than the 64"):
        write(tmp_path / "file", {"w" * 64: np.zeros(1)})


# --- all or nothing -------------------------------------------------------------------------------


class _FullDisk(OSError):
    pass


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch, function: str) -> None:
    path = tmp_path / "model"
    write(path, {"w": np.ones(3)})
    before = path.read_bytes()

    def fail(*args: Any) -> None:
        raise _FullDisk

    monkeypatch.setattr(atomic.os, function, fail)
    with pytest.raises(_FullDisk):
        write(path, {"w": np.zeros(300)})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_interrupt_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def chunks():
        yield b"new, and then"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write_atomic(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_order_of_the_steps(tmp_path: Path, monkeypatch) -> None:
    """Written and on the disk before the rename, and the folder after it."""
    calls: list[str] = []
    opened: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "fsync", "replace")}

    def note_open(name: str, *args: Any) -> int:
        descriptor = real["open"](name, *args)
        opened[descriptor] = name
        return descriptor

    def note_fsync(descriptor: int) -> None:
        at = Path(opened[descriptor])
        calls.append("fsync folder" if at.is_dir() else f"fsync {at.stat().st_size} bytes")
        real["fsync"](descriptor)

    def note_replace(source: str, target: str) -> None:
        assert Path(source).parent == Path(target).parent == tmp_path
        calls.append(f"rename to {Path(target).name}")
        real["replace"](source, target)

    monkeypatch.setattr(atomic.os, "open", note_open)
    monkeypatch.setattr(atomic.os, "fsync", note_fsync)
    monkeypatch.setattr(atomic.os, "replace", note_replace)
    atomic.write_atomic(tmp_path / "file", [b"12345"])
    assert calls == ["fsync 5 bytes", "rename to file", "fsync folder"]


def test_missing_folder_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write(tmp_path / "none" / "file", {})


def test_permissions_are_the_users(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write(tmp_path / "new", {})
        (tmp_path / "private").write_bytes(b"")
        (tmp_path / "private").chmod(0o600)
        write(tmp_path / "private", {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", {"w": np.ones(2)})
    assert (tmp_path / "link").is_symlink()
    assert read(tmp_path / "file")[0]["w"].tolist() == [1.0, 1.0]


def test_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    write(path, {"w": np.ones(100_000)})
    real = safetensors._check_layout

    def check_and_cut(*args: Any) -> None:
        real(*args)
        os.truncate(path, 5_000)

    monkeypatch.setattr(safetensors, "_check_layout", check_and_cut)
    with pytest.raises(ModelFileError, match="'w': the file became shorter"):
        read(path)


def test_no_file_of_a_model_goes_through_pickle() -> None:
    root = Path(safetensors.__file__).parents[1]
    # The compiler's own cache does: it holds machine code that is run, in a folder of the user's
    # alone, so that whoever could write into it needs no pickle.
    for path in {*root.rglob("*.py")} - {root / "compiler" / "recall.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module]
            assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & set(modules), path
