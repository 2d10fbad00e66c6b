"""DFT: discrete Fourier transforms as stages of sums over a few values.

A transform of length n1 n2 is transforms of length n1, a rotation of every value, and transforms
of length n2. Every stage is elementwise on parts of the array, and so a nest. (J. W. Cooley, J. W.
Tukey, "An algorithm for the machine calculation of complex Fourier series", Math. Comp. 19, 1965.)
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..ops.contract import matmul
from ..ops.join import ConcatenateGrad, StackGrad
from ..ops.layout import moveaxis
from ..ops.shape import astype, reshape
from ..record import apply
from .expr import Unsupported
from .pair_math import Pair, multiply

WRITTEN = 13  # the largest prime factor that is written out
LONGEST = 512  # and what may be left of a length, which is a product with its matrix


def fft(x: Pair, axes: tuple[int, ...], inverse: bool, norm: str) -> Pair:
    """FFTGrad."""
    for axis in axes:
        x = _along(x, axis, inverse, norm)
    return x


def rfft(x: Pair, axis: int, norm: str) -> Pair:
    """RFFTGrad: the first half."""
    return _along(x, axis, False, norm, half=True)


def irfft(x: Pair, n: int, axis: int, norm: str) -> Pair:
    """IRFFTGrad: a real result from the first half of its spectrum."""
    x = _last(x if x.im is not None else Pair(x.re, 0 * x.re), axis)
    m = n // 2
    ends = np.ones(m + 1, x.re.dtype)
    ends[0] = 0
    if n % 2 == 0:
        ends[-1] = 0
    x = Pair(x.re, x.im * ends)
    if n % 2 == 0:
        # Of the even places the real part, of the odd ones the imaginary part.
        back = _reversed(x)
        turned = multiply(_minus(x, back), _roots(n, m + 1, 1, x.re.dtype))
        z = Pair(x.re + back.re - turned.im, x.im + back.im + turned.re)
        z = _transformed(Pair(z.re[..., :m], z.im[..., :m]), 1)
        y = apply(StackGrad, z.re, z.im, axis=-1)
        y = reshape(y, (*y.shape[:-2], n))
    else:
        other = _reversed(x)
        y = _transformed(_joined(x, Pair(other.re[..., :m], other.im[..., :m])), 1).re
    return Pair(_scaled(moveaxis(y, -1, axis), n, True, norm))


def _along(x: Pair, axis: int, inverse: bool, norm: str, half: bool = False) -> Pair:
    if x.re.dtype.kind != "f":
        x = Pair(astype(x.re, np.float64))
    n = x.shape[axis]
    x = _last(x, axis)
    if x.im is not None:
        y = _transformed(x, 1 if inverse else -1)
    elif n % 2:
        y = _transformed(Pair(x.re, 0 * x.re), 1 if inverse else -1)
        y = Pair(y.re[..., : n // 2 + 1], y.im[..., : n // 2 + 1]) if half else y
    else:
        y = _of_real(x.re)
        if not half:
            back = _reversed(y)
            y = _joined(y, Pair(back.re[..., 1:-1], back.im[..., 1:-1]))
        y = Pair(y.re, -y.im) if inverse else y
    return Pair(*[_scaled(moveaxis(part, -1, axis), n, inverse, norm) for part in (y.re, y.im)])


def _last(x: Pair, axis: int) -> Pair:
    return Pair(*[None if part is None else moveaxis(part, axis, -1) for part in (x.re, x.im)])


def _scaled(x: Any, n: int, inverse: bool, norm: str) -> Any:
    if norm == "ortho":
        return x * (1 / math.sqrt(n))
    return x * (1 / n) if (norm == "backward") == inverse else x


def _of_real(x: Any) -> Pair:
    """The first half of the transform of real numbers, an even count of them: that of half as many
    complex ones, taken apart.
    """
    n = x.shape[-1]
    z = _transformed(Pair(x[..., 0::2], x[..., 1::2]), -1)
    z = _joined(z, Pair(z.re[..., :1], z.im[..., :1]))
    back = _reversed(z)
    odd = _minus(z, back)  # times -i
    odd = multiply(Pair(odd.im, -odd.re), _roots(n, n // 2 + 1, -1, x.dtype))
    return Pair(0.5 * (z.re + back.re + odd.re), 0.5 * (z.im + back.im + odd.im))


def _reversed(x: Pair) -> Pair:
    """The conjugates, the last first."""
    return Pair(x.re[..., ::-1], -x.im[..., ::-1])


def _joined(a: Pair, b: Pair) -> Pair:
    both = (a.re, b.re), (a.im, b.im)
    return Pair(*[apply(ConcatenateGrad, *parts, axis=-1) for parts in both])


def _transformed(x: Pair, sign: int) -> Pair:
    """y_k = sum of e^{sign 2 pi i jk / n} x_j along the last axis.

    With n = r m, j = j1 m + j2, k = k1 + r k2 every stage sums over j1 and turns the result by
    e^{2 pi i j2 k1 / n}; it is written as [j2, k1], so that the last stage leaves it in order.
    (Stockham's form; Van Loan 1992, section 1.7.)
    """
    n = x.shape[-1]
    radices = _factors(n)
    if radices[-1] > LONGEST:
        raise Unsupported(f"a transform of length {n}, which has no small factor")
    lead, kind, done = x.shape[:-1], x.re.dtype, 1
    for r in radices:
        m = n // done // r
        if r > WRITTEN:  # the last
            return _by_matrix(x, r, sign, kind)
        parts = [_pieces(part, (*lead, r, m, done), r) for part in (x.re, x.im)]
        pieces = [Pair(*both) for both in zip(*parts, strict=True)]
        out = _short(pieces, sign, kind)
        turns = _turns(m, r, m * r, sign, kind.str)
        turned = [out[0]] + [
            multiply(y, Pair(*[t[:, k : k + 1] for t in turns])) if m > 1 else y
            for k, y in enumerate(out[1:], 1)
        ]
        parts = [apply(StackGrad, *both, axis=-2) for both in (
            [y.re for y in turned], [y.im for y in turned])]  # fmt: skip
        x = Pair(*[reshape(part, (*lead, n)) for part in parts])
        done *= r
    return x


def _by_matrix(x: Pair, r: int, sign: int, kind: np.dtype) -> Pair:
    """The last stage as a product, for a factor that is not small."""
    n = x.shape[-1]
    re, im = (reshape(part, (*part.shape[:-1], r, n // r)) for part in (x.re, x.im))
    c, s = _turns(r, r, r, sign, kind.str)
    y = matmul(c, re) - matmul(s, im), matmul(c, im) + matmul(s, re)
    return Pair(*[reshape(part, (*part.shape[:-2], n)) for part in y])


def _factors(n: int) -> list[int]:
    """Of a length, fours first, then primes."""
    found = []
    for r in (4, 2, 3, 5, 7, 11, 13):
        while n % r == 0 and n > 1:
            found.append(r)
            n //= r
    return [*found, n] if n > 1 or not found else found


def _pieces(part: Any, shape: tuple[int, ...], r: int) -> list[Any]:
    part = reshape(part, shape)
    return [part[..., k, :, :] for k in range(r)]


def _short(x: list[Pair], sign: int, kind: np.dtype) -> list[Pair]:
    """The transform of a few values."""
    if len(x) == 1:
        return x
    if len(x) == 2:
        return [_plus(*x), _minus(*x)]
    if len(x) == 4:
        a, b, c, d = x
        even, odd = _plus(a, c), _minus(a, c)
        other, turned = _plus(b, d), _minus(b, d)
        turned = Pair(-turned.im, turned.re) if sign > 0 else Pair(turned.im, -turned.re)
        return [_plus(even, other), _plus(odd, turned), _minus(even, other), _minus(odd, turned)]
    n = len(x)
    re, im = _turns(n, n, n, sign, kind.str)
    out = []
    for k in range(n):
        y = x[0]
        for j in range(1, n):
            c, s = re[j, k], im[j, k]
            y = _plus(y, Pair(x[j].re * c - x[j].im * s, x[j].re * s + x[j].im * c))
        out.append(y)
    return out


def _plus(a: Pair, b: Pair) -> Pair:
    return Pair(a.re + b.re, a.im + b.im)


def _minus(a: Pair, b: Pair) -> Pair:
    return Pair(a.re - b.re, a.im - b.im)


@functools.cache
def _turns(rows: int, columns: int, n: int, sign: int, kind: str) -> tuple[Any, Any]:
    """The parts of e^{sign 2 pi i jk / n} for j < rows, k < columns."""
    angle = 2 * np.pi / n * (np.outer(np.arange(rows), np.arange(columns)) % n)
    return np.cos(angle).astype(kind), (sign * np.sin(angle)).astype(kind)


def _roots(n: int, count: int, sign: int, dtype: np.dtype) -> Pair:
    """e^{sign 2 pi i k / n} for k < count."""
    re, im = _turns(2, count, n, sign, dtype.str)
    return Pair(re[1], im[1])
