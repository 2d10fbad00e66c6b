"""Random bits from a key and a counter, as ops: a pure function, so every walk can see it.

Philox4x32-10 turns a counter of 128 bits and a key of 64 into 128 bits that no known test tells
from random ones; the next block has the counter plus one. There is no hidden state: a recorded
function that is run again gives the same numbers, and drawing is to say where in the stream to
look. Bits have no derivative; what `gradarray.random` makes of them has, in its parameters.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11, section 3.3 and table 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algebra import Elementwise
from ..array import GradArray
from ..custom import Custom
from ..record import apply
from .elementwise import exp, square

ROUNDS = 10
MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)  # added to the key after each round
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
_BLOCKS_AT_ONCE = 8192  # the working arrays of so many blocks stay in a core's own cache


class PhiloxGrad(Custom):
    """y = the first `words` words of `bits` (32 or 64) bits of the stream at (key, counter).

    key: uint32 (..., 2), counter: uint32 (..., 4), lowest words first; y: (..., words). Four
    32-bit words make a block, and block k is Philox4x32-10 of counter + k; a word of 64 bits is
    two of 32, the lower half first. Leading axes are streams of their own, and broadcast.
    """

    @staticmethod
    def forward(key: Any, counter: Any, *, words: Any, bits: Any) -> np.ndarray:
        key = np.asarray(key, np.uint64)[..., None]
        streams = np.broadcast_shapes(key.shape[:-2], counter.shape[:-1])
        blocks = blocks_of(words, bits)
        out = np.empty((*streams, blocks, 4), "<u4")
        for start in range(0, blocks, _BLOCKS_AT_ONCE):
            stop = min(start + _BLOCKS_AT_ONCE, blocks)
            low, high = _advance(counter, np.arange(start, stop, dtype=np.uint64))
            # Words 0 and 2, which are multiplied, and words 1 and 3, which are not.
            x = np.stack([low & LOW, high & LOW], -2)
            y = np.stack([low >> HALF, high >> HALF], -2)
            _rounds(x, y, key, out[..., start:stop, :])
        flat = out.reshape(*streams, blocks * 4)[..., : words * bits // 32]
        if bits == 64:
            flat = np.ascontiguousarray(flat).view("<u8")
        return flat.astype(f"u{bits // 8}")


def _rounds(x: np.ndarray, y: np.ndarray, key: np.ndarray, out: np.ndarray) -> None:
    for _ in range(ROUNDS):
        product = x * MULTIPLIERS
        x = (product >> HALF)[..., ::-1, :] ^ (y ^ key)
        y = (product & LOW)[..., ::-1, :]
        key = (key + WEYL) & LOW
    out[..., 0::2] = np.moveaxis(x, -2, -1)
    out[..., 1::2] = np.moveaxis(y, -2, -1)


def _advance(counter: Any, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper 64 bits of counter + offsets, modulo 2^128; shape (..., offsets)."""
    words = np.asarray(counter, np.uint64)
    pairs = words[..., 0::2] | words[..., 1::2] << HALF
    low, high = pairs[..., 0, None], pairs[..., 1, None]
    moved = low + offsets
    return moved, high + (moved < low)


def blocks_of(words: int, bits: int) -> int:
    """Blocks of the counter that `words` words of `bits` bits use up; a block begun is used."""
    return -(-words * bits // 128)


class AdvanceGrad(Custom):
    """y = counter + blocks, modulo 2^128; counter: uint32 (..., 4), lowest word first."""

    @staticmethod
    def forward(counter: Any, *, blocks: Any) -> np.ndarray:
        low, high = _advance(counter, np.array([blocks], np.uint64))
        words = np.concatenate([low & LOW, low >> HALF, high & LOW, high >> HALF], -1)
        return words.astype(np.uint32)


class UnitGrad(Elementwise):
    """y = the p upper bits of x as a number in [0, 1), p the digits of the result's dtype.

    y = floor(x 2^p / 2^b) 2^-p for a word x of b bits, p = 11, 24, 53 for float16, float32,
    float64: each multiple of 2^-p in [0, 1) is as likely as any other, and none is rounded.
    """

    @staticmethod
    def forward(x: Any, dtype: Any) -> Any:
        digits = np.finfo(dtype).nmant + 1
        upper = x >> x.dtype.type(8 * x.dtype.itemsize - digits)
        return upper.astype(dtype) * dtype.type(2.0**-digits)

    partials = (None,)
    tex = r"2^{{-p}} \lfloor 2^{{p-b}} {x} \rfloor"


def philox(key: Any, counter: Any, words: int, bits: int = 32) -> GradArray:
    """`words` random words of 32 or 64 bits from the stream at (key, counter)."""
    return apply(PhiloxGrad, key, counter, words=words, bits=bits)


def advance(counter: Any, blocks: int) -> GradArray:
    """The counter `blocks` blocks further."""
    return apply(AdvanceGrad, counter, blocks=blocks)


def unit(bits: Any, dtype: Any) -> GradArray:
    """Random words as numbers in [0, 1) of a floating dtype that has no more digits than they."""
    return apply(UnitGrad, bits, dtype=np.dtype(dtype))


class NormalQuantileGrad(Elementwise):
    r"""y = \Phi^{-1}(x), \Phi the normal distribution function. dy/dx = \sqrt{2\pi} e^{y^2/2}."""

    name = "normal_quantile"

    @staticmethod
    def forward(x: Any) -> Any:
        from scipy.special import ndtri  # 0.2 s to import: only where it is needed

        return ndtri(x)

    partials = (lambda y: math.sqrt(2 * math.pi) * exp(square(y) * 0.5),)
    tex = r"\Phi^{-1}({x})"
    domain = (0.01, 0.99)


def normal_quantile(x: Any) -> GradArray:
    """The number below which the normal distribution has the probability x."""
    return apply(NormalQuantileGrad, x)
