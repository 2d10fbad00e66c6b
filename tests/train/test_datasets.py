"""The data sets: what their publishers say of them, and what is said where they are missing."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gradarray.train import datasets
from gradarray.train.datasets import digits, fashion_mnist, fashion_mnist_available, read_idx

# --- digits ---------------------------------------------------------------------------------------


def test_digits_shapes_and_range() -> None:
    (x_train, y_train), (x_test, y_test) = digits()
    assert (x_train.shape, x_test.shape) == ((1437, 64), (360, 64))
    assert (y_train.shape, y_test.shape) == ((1437,), (360,))
    assert x_train.dtype == x_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.int64
    assert x_train.min() == x_test.min() == 0.0
    assert x_train.max() == x_test.max() == 1.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_are_all_there_once(seed: int) -> None:
    """Rows of both parts together, sorted, are scikit-learn's rows, sorted."""
    (x_train, y_train), (x_test, y_test) = digits(seed)
    rows = np.concatenate([np.c_[x_train * 16, y_train], np.c_[x_test * 16, y_test]])
    bunch = load_digits()
    original = np.c_[bunch.data, bunch.target]
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], original[np.lexsort(original.T)])


@pytest.mark.parametrize(("seed", "test_size"), [(0, 0.2), (1, 0.2), (2, 0.5), (3, 0.1)])
def test_digits_are_stratified(seed: int, test_size: float) -> None:
    split = digits(seed, test_size)
    train, test = (np.bincount(part.y, minlength=10) for part in split)
    # one sample more or less than the exact share is what whole samples cost
    assert np.all(np.abs(test - test_size * (train + test)) < 1)


def test_one_seed_is_one_split() -> None:
    first, again, other = digits(5), digits(5), digits(6)
    np.testing.assert_array_equal(first.test.x, again.test.x)
    np.testing.assert_array_equal(first.train.y, again.train.y)
    assert not np.array_equal(first.test.y, other.test.y)


@pytest.mark.parametrize("test_size", [0, 1, 0.0, 1.0, -0.5, 360, float("nan")])
def test_test_size_out_of_range(test_size) -> None:
    with pytest.raises(ValueError, match="test_size is the share"):
        digits(test_size=test_size)


def test_digits_without_scikit_learn(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gradarray\[demo\]'"):
        digits()


# --- idx files ------------------------------------------------------------------------------------


def idx(array: np.ndarray, code: int) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    big_endian = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + big_endian


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")]
)
@pytest.mark.parametrize("shape", [(4,), (2, 3), (0, 5), ()])
def test_idx_of_every_dtype(tmp_path: Path, code: int, dtype: str, shape) -> None:
    rng = np.random.default_rng(3)
    array = rng.integers(0, 100, shape).astype(dtype)
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array, code)))
    back = read_idx(tmp_path / "a.gz")
    np.testing.assert_array_equal(back, array, strict=True)
    assert back.dtype.isnative
    assert back.flags.writeable


GOOD = idx(np.arange(200, dtype=np.uint8).reshape(10, 20), 8)


PACKED = gzip.compress(GOOD)

BROKEN = {
    "empty": (gzip.compress(b""), "not an idx file"),
    "header cut": (gzip.compress(b"\0\0\x08"), "not an idx file"),
    "a picture": (gzip.compress(b"\x89PNG"), "not an idx file: it begins with 89 50 4e 47"),
    "unknown dtype": (gzip.compress(b"\0\0\x07" + GOOD[3:]), "not an idx file"),
    "dimensions cut": (gzip.compress(GOOD[:9]), "truncated in the list of its 2 dimensions"),
    "values cut": (gzip.compress(GOOD[:-1]), "needs 200 bytes of values, but 199"),
    "too long": (gzip.compress(GOOD + b"x"), "too long"),
    "claims 2^131 bytes": (gzip.compress(b"\0\0\x0e\x04" + b"\xff" * 16), "ones can hold"),
    "gzip cut": (PACKED[:-12], "not a whole gzip file"),
    "broken gzip": (PACKED[:10] + b"\x07" + PACKED[11:], "not a whole gzip file"),
    "wrong check sum": (PACKED[:-5] + bytes([PACKED[-5] ^ 1]) + PACKED[-4:], "CRC"),
    "no gzip": (GOOD, "not a whole gzip file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_idx_file(tmp_path: Path, name: str) -> None:
    content, fault = BROKEN[name]
    path = tmp_path / "broken.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_idx(path)
    assert fault in str(caught.value)
    assert str(path) in str(caught.value)


def test_other_shape_or_dtype_than_expected(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(GOOD))
    assert read_idx(tmp_path / "a.gz", (10, 20), np.uint8).shape == (10, 20)
    with pytest.raises(ValueError, match=r"has the shape \(10, 20\), not \(20, 10\)"):
        read_idx(tmp_path / "a.gz", (20, 10))
    with pytest.raises(ValueError, match="has the dtype uint8, not int8"):
        read_idx(tmp_path / "a.gz", dtype=np.int8)


# --- Fashion-MNIST --------------------------------------------------------------------------------


def fake_fashion_mnist(folder: Path, label: int = 9) -> np.ndarray:
    """Files of the right names and shapes; all of image i is i modulo 256. Gives those values."""
    values = (np.arange(60_000) % 256).astype(np.uint8)
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        images = np.broadcast_to(values[:count, None, None], (count, 28, 28))
        labels = np.full(count, label, np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{name}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array, 8), compresslevel=1))
    return values


def test_fashion_mnist_reads_the_four_files(tmp_path: Path) -> None:
    values = fake_fashion_mnist(tmp_path)
    assert fashion_mnist_available(tmp_path)
    (x_train, y_train), (x_test, y_test) = fashion_mnist(folder=tmp_path)
    assert (x_train.shape, x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (y_train.shape, y_test.shape) == ((60_000,), (10_000,))
    assert (x_train.dtype, y_train.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(x_train[:, 3, 5], values.astype(np.float32) / np.float32(255))
    assert np.all(y_test == 9)
    original = fashion_mnist(np.uint8, tmp_path)
    assert original.train.x.dtype == np.uint8
    np.testing.assert_array_equal(original.test.x[:, 27, 27], values[:10_000])


def test_fashion_mnist_with_a_label_out_of_range(tmp_path: Path) -> None:
    fake_fashion_mnist(tmp_path, label=10)
    with pytest.raises(ValueError, match="the label 10 in train"):
        fashion_mnist(folder=tmp_path)


def test_fashion_mnist_not_installed(tmp_path: Path) -> None:
    assert not fashion_mnist_available(tmp_path)
    with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
        fashion_mnist(folder=tmp_path)


@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.complex64])
def test_fashion_mnist_of_another_dtype(dtype, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a floating one or uint8"):
        fashion_mnist(dtype, tmp_path)


@pytest.mark.skipif(not fashion_mnist_available(), reason="dataset-fashion-mnist not installed")
def test_installed_fashion_mnist_is_as_published() -> None:
    """6,000 and 1,000 images a class; mean 0.2860 and deviation 0.3530 are widely published."""
    (x_train, y_train), (x_test, y_test) = fashion_mnist()
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert round(float(x_train.mean(dtype=np.float64)), 4) == 0.2860
    assert round(float(x_train.std(dtype=np.float64)), 4) == 0.3530
    assert datasets.FASHION_MNIST_CLASSES[y_train[0]] == "ankle boot"
    assert x_test.max() == 1.0
