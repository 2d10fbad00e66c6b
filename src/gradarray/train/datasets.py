"""Real images to train on, read from what is installed: nothing is downloaded.

| function | images | classes | comes with |
| --- | --- | --- | --- |
| `digits` | 1,797 of 8x8 | the digits 0 to 9 | scikit-learn: `pip install gradarray[demo]` |
| `fashion_mnist` | 70,000 of 28x28 | ten kinds of clothes | Debian: `dataset-fashion-mnist` |
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the four files."""

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
"""What the labels 0 to 9 mean."""

_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DEFLATE_RATIO = 1032  # 258 bytes for two bits is the most that deflate can express


class Part(NamedTuple):
    """Samples and their labels: `x, y = part`."""

    x: np.ndarray
    y: np.ndarray


class Split(NamedTuple):
    """What is trained on and what is tested on: `(x_train, y_train), (x_test, y_test) = split`."""

    train: Part
    test: Part


def digits(seed: int = 0, test_size: float = 0.2) -> Split:
    """The 1,797 handwritten digits that scikit-learn ships, split so that each digit is in both.

    Images are float32 of shape (N, 64), rows of 8x8 pixels after one another, scaled from the
    original 0 to 16 to [0, 1]; labels are int64 of shape (N,). The split is stratified: every
    digit has the same share in both parts, as far as whole samples allow. One seed is one split.

    Raises ModuleNotFoundError without scikit-learn, and ValueError for a `test_size` that is not
    strictly between 0 and 1.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998 (its test set).

    >>> (x_train, y_train), (x_test, y_test) = digits(seed=0)
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((1437, 64), (1437,), (360, 64), (360,))
    """
    if isinstance(test_size, int) or not 0 < test_size < 1:
        raise ValueError(
            f"digits: test_size is the share of the samples to test on, strictly between 0 and 1, "
            f"not {test_size!r}"
        )
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "digits: the images come with scikit-learn, which is not installed; "
            "pip install 'gradarray[demo]'"
        ) from error
    bunch: Any = load_digits()
    x = (bunch.data / 16).astype(np.float32)
    y = bunch.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(y)), test_size=test_size, random_state=seed, stratify=y
    )
    return Split(Part(x[train], y[train]), Part(x[test], y[test]))


def fashion_mnist(
    dtype: Any = np.float32, folder: str | os.PathLike[str] = FASHION_MNIST_FOLDER
) -> Split:
    """Fashion-MNIST: 60,000 images of clothes to train on and 10,000 to test on, in ten classes.

    Images have the shape (N, 28, 28). With a floating `dtype` they are scaled to [0, 1], with
    uint8 they are the original 0 to 255. Labels are int64 of shape (N,), and
    `FASHION_MNIST_CLASSES` names them. `folder` holds the four idx files of the original.

    Raises FileNotFoundError where the files are not installed, and ValueError for a file that is
    broken or holds something else, and for another dtype.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
    Machine Learning Algorithms", arXiv:1708.07747, 2017.

    >>> if fashion_mnist_available():
    ...     (x_train, y_train), (x_test, y_test) = fashion_mnist(np.uint8)
    ...     assert x_train.shape == (60000, 28, 28) and x_train.max() == 255
    """
    dtype = np.dtype(dtype)
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"fashion_mnist: dtype is a floating one or uint8, not {dtype}")
    if not fashion_mnist_available(folder):
        raise FileNotFoundError(
            f"fashion_mnist: {os.fspath(folder)} has not all of {', '.join(_fashion_files())}; on "
            "Debian and Ubuntu: apt-get install dataset-fashion-mnist"
        )
    parts = []
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        images = read_idx(Path(folder, f"{name}-images-idx3-ubyte.gz"), (count, 28, 28), "u1")
        labels = read_idx(Path(folder, f"{name}-labels-idx1-ubyte.gz"), (count,), "u1")
        if labels.max() > 9:
            raise ValueError(f"fashion_mnist: the label {labels.max()} in {name}; they go to 9")
        if dtype != np.uint8:
            images = images.astype(dtype)
            images /= 255
        parts.append(Part(images, labels.astype(np.int64)))
    return Split(*parts)


def fashion_mnist_available(folder: str | os.PathLike[str] = FASHION_MNIST_FOLDER) -> bool:
    """Whether the four files that `fashion_mnist` reads are there."""
    return all(Path(folder, name).is_file() for name in _fashion_files())


def _fashion_files() -> list[str]:
    kinds = ("images-idx3", "labels-idx1")
    return [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in kinds]


def read_idx(
    path: str | os.PathLike[str],
    shape: tuple[int, ...] | None = None,
    dtype: Any = None,
) -> np.ndarray:
    """Read one array from a gzipped idx file, the format of the MNIST family.

    Such a file is two zero bytes, a byte for the dtype, a byte for the number of dimensions, each
    dimension as four big-endian bytes, and the values in C order, big-endian. What the header
    claims is checked against what so many compressed bytes can hold before memory is taken for it.

    Raises ValueError if the file is no gzipped idx file, is truncated or too long, or if `shape`
    or `dtype` is given and is another one; OSError if it cannot be read.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
    """
    where = os.fspath(path)
    try:
        with gzip.open(where, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_DTYPES:
                raise ValueError(f"{where}: not an idx file: it begins with {head.hex(' ')}")
            stored = np.dtype(_IDX_DTYPES[head[2]])
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise ValueError(f"{where}: truncated in the list of its {head[3]} dimensions")
            found = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
            if shape is not None and found != tuple(shape):
                raise ValueError(f"{where}: has the shape {found}, not {tuple(shape)}")
            if dtype is not None and stored != np.dtype(dtype):
                raise ValueError(f"{where}: has the dtype {stored}, not {np.dtype(dtype)}")
            needed = math.prod(found) * stored.itemsize
            if needed > _DEFLATE_RATIO * os.path.getsize(where):
                raise ValueError(
                    f"{where}: truncated: the shape {found} needs {needed} bytes, more than the "
                    f"{os.path.getsize(where)} compressed ones can hold"
                )
            data = file.read(needed)
            if len(data) < needed:
                raise ValueError(
                    f"{where}: truncated: the shape {found} needs {needed} bytes of values, but "
                    f"{len(data)} are there"
                )
            if file.read(1):
                raise ValueError(f"{where}: too long: values go on after the shape {found} is full")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{where}: not a whole gzip file: {error}") from error
    # A copy: what lies in `bytes` cannot be written to.
    return np.frombuffer(data, stored).astype(stored.newbyteorder("=")).reshape(found)
