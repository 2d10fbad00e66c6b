"""Philox4x32-10 on its published vectors, and against the cipher written out in Python integers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradarray as ga
from gradarray.ops.random import advance, blocks_of, philox, unit

ALL = 0xFFFFFFFF

# Random123 1.14, tests/kat_vectors, the lines "philox4x32 10": counter, key, expected. The third
# has the digits of pi for its counter and its key.
KNOWN = [
    (
        [0x00000000, 0x00000000, 0x00000000, 0x00000000],
        [0x00000000, 0x00000000],
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
    ),
    (
        [0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF],
        [0xFFFFFFFF, 0xFFFFFFFF],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def uint32(words: list[int]) -> ga.GradArray:
    return ga.array(np.array(words, np.uint32))


def block(key: int, counter: int) -> list[int]:
    """One block, in Python integers, straight from the paper's description."""
    r0, l0, r1, l1 = ((counter >> 32 * k) & ALL for k in range(4))
    k0, k1 = key & ALL, key >> 32
    for _ in range(10):
        first, second = 0xD2511F53 * r0, 0xCD9E8D57 * r1
        r0, l0, r1, l1 = (
            (second >> 32) ^ l0 ^ k0,
            second & ALL,
            (first >> 32) ^ l1 ^ k1,
            first & ALL,
        )
        k0, k1 = (k0 + 0x9E3779B9) & ALL, (k1 + 0xBB67AE85) & ALL
    return [r0, l0, r1, l1]


def stream(key: int, counter: int, blocks: int) -> list[int]:
    return [word for k in range(blocks) for word in block(key, (counter + k) % 2**128)]


def split(number: int, count: int) -> list[int]:
    return [(number >> 32 * k) & ALL for k in range(count)]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_published_vectors(counter: list[int], key: list[int], expected: list[int]) -> None:
    words = philox(uint32(key), uint32(counter), 4)
    assert words.dtype == np.uint32
    assert words.tolist() == expected


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_reference_of_these_tests_on_published_vectors(counter, key, expected) -> None:
    join = [sum(word << 32 * k for k, word in enumerate(words)) for words in (key, counter)]
    assert block(*join) == expected


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**128 - 1) | st.sampled_from([2**32 - 2, 2**64 - 2, 2**96 - 1, 2**128 - 3]),
    st.integers(0, 21),
)
def test_stream_of_words(key: int, counter: int, words: int) -> None:
    actual = philox(uint32(split(key, 2)), uint32(split(counter, 4)), words)
    assert actual.tolist() == stream(key, counter, 6)[:words]


def test_words_of_64_bits_are_pairs() -> None:
    narrow = stream(5, 7, 3)
    wide = philox(uint32([5, 0]), uint32([7, 0, 0, 0]), 5, 64)
    assert wide.dtype == np.uint64
    assert wide.tolist() == [narrow[2 * k] + (narrow[2 * k + 1] << 32) for k in range(5)]


def test_long_streams_are_made_in_pieces() -> None:
    """What is made at once is a matter of speed: any stretch is what it is on its own."""
    long = philox(uint32([3, 1]), uint32([9, 0, 0, 0]), 100_000)
    for start in (0, 8_191, 8_192, 16_384, 24_999):
        alone = stream(3 + (1 << 32), 9 + start, 1)
        assert long.tolist()[4 * start : 4 * start + 4] == alone


def test_leading_axes_are_streams() -> None:
    keys = np.array([[1, 2], [3, 4], [5, 6]], np.uint32)
    counters = np.array([[[0, 0, 0, 0]], [[ALL, ALL, 0, 0]]], np.uint32)
    together = philox(ga.array(keys), ga.array(counters), 6).numpy()
    assert together.shape == (2, 3, 6)
    for i in range(2):
        for j in range(3):
            alone = philox(ga.array(keys[j]), ga.array(counters[i, 0]), 6)
            np.testing.assert_array_equal(together[i, j], alone.numpy())


@given(
    st.integers(0, 2**128 - 1) | st.sampled_from([2**32 - 1, 2**64 - 1, 2**96 - 1, 2**128 - 1]),
    st.integers(0, 2**63),
)
def test_advance_is_addition(counter: int, blocks: int) -> None:
    with warnings.catch_warnings(action="error"):
        moved = advance(uint32(split(counter, 4)), blocks)
    assert moved.dtype == np.uint32
    assert moved.tolist() == split((counter + blocks) % 2**128, 4)


@pytest.mark.parametrize(
    ("words", "bits", "blocks"),
    [(0, 32, 0), (1, 32, 1), (4, 32, 1), (5, 32, 2), (1, 64, 1), (2, 64, 1), (3, 64, 2)],
)
def test_blocks_used(words: int, bits: int, blocks: int) -> None:
    assert blocks_of(words, bits) == blocks


@pytest.mark.parametrize(
    ("word", "dtype", "digits"),
    [(np.uint32, np.float16, 11), (np.uint32, np.float32, 24), (np.uint64, np.float64, 53)],
)
def test_unit_interval(word: type, dtype: type, digits: int) -> None:
    """The upper digits and nothing else: the largest word stays below 1, and none is rounded."""
    bits = 8 * np.dtype(word).itemsize
    words = [0, 1, 2 ** (bits - digits) - 1, 2 ** (bits - digits), 2 ** (bits - 1), 2**bits - 1]
    numbers = unit(ga.array(np.array(words, word)), dtype)
    assert numbers.dtype == dtype
    step = 2.0**-digits
    assert numbers.tolist() == [0.0, 0.0, 0.0, step, 0.5, 1 - step]


def test_bits_take_no_part_in_a_derivative() -> None:
    key, counter = uint32([1, 2]), uint32([0, 0, 0, 0])
    slope = ga.grad(lambda x: (x * unit(philox(key, counter, 3), np.float32)).sum())(2.0)
    expected = unit(philox(key, counter, 3), np.float32).sum()
    assert slope.item() == expected.item()
