r"""Discrete Fourier transforms, as linear ops.

The matrix of a transform is symmetric, so `fft` is its own transpose. A real transform keeps half
of a Hermitian spectrum: its transpose counts every value twice but those that stand for
themselves, at frequency 0 and, for an even length, at the last one. (C. Van Loan, "Computational
Frameworks for the Fast Fourier Transform", 1992, sections 1.1 and 4.3.)
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..algebra import Linear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from .axes import one_axis
from .complex import conj
from .frame import pad
from .indexing import IndexGrad
from .keys import ALL

# A forward transform scaled one way is the transpose of a backward one scaled the other way.
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


class FFTGrad(Linear):
    r"""y_k = c \sum_j e^{-2 \pi i jk / n} x_j along each of `axes` (+ if `inverse`)."""

    always_meta = True  # of a real x the result is complex

    @staticmethod
    def forward(x: Any, axes: tuple[int, ...], inverse: bool, norm: Any) -> Any:
        if len(axes) == 1:
            return (np.fft.ifft if inverse else np.fft.fft)(x, axis=axes[0], norm=norm)
        return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)

    transpose = staticmethod(
        lambda y_bar, axes, inverse, norm: apply(
            FFTGrad, y_bar, axes=axes, inverse=inverse, norm=norm
        )
    )
    tex = r"\mathcal{F} {x}"


class RFFTGrad(Linear):
    r"""y_k = c \sum_j e^{-2 \pi i jk / n} x_j of a real x along `axis`, k up to n / 2."""

    always_meta = True  # of a real x the result is complex

    @staticmethod
    def forward(x: Any, axis: int, norm: Any) -> Any:
        return np.fft.rfft(x, axis=axis, norm=norm)

    @staticmethod
    def transpose(y_bar: Any, x_like: Any, axis: int, norm: str) -> Any:
        # Re(c e^{-i t}) = Re(c^* e^{i t}): the terms of a real inverse transform, halved.
        n = x_like.shape[axis]
        return apply(
            IRFFTGrad, conj(y_bar) * _pairs(y_bar, n, axis, 0.5), n=n, axis=axis,
            norm=_SWAPPED[norm],
        )  # fmt: skip

    tex = r"\mathcal{F} {x}"


class IRFFTGrad(Linear):
    r"""y_j = c \Re \sum_k m_k e^{2 \pi i jk / n} x_k along `axis`, k up to n / 2.

    m_k = 2, and 1 for k = 0 and k = n / 2.
    """

    always_meta = True  # of a complex x the result is real

    @staticmethod
    def forward(x: Any, n: int, axis: int, norm: Any) -> Any:
        return np.fft.irfft(x, n, axis=axis, norm=norm)

    @staticmethod
    def transpose(y_bar: Any, n: int, axis: int, norm: str) -> Any:
        spectrum = conj(apply(RFFTGrad, y_bar, axis=axis, norm=_SWAPPED[norm]))
        return spectrum * _pairs(spectrum, n, axis, 2.0)

    tex = r"\mathcal{F}^{-1} {x}"


def _pairs(like: Any, n: int, axis: int, value: float) -> np.ndarray:
    """`value` at the frequencies that stand for two, 1 at those that stand for themselves."""
    weights = np.full(n // 2 + 1, value, np.finfo(like.dtype).dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights.reshape(-1, *(1,) * (-axis - 1))


# Arguments ----------------------------------------------------------------------------------------


def scaling(norm: Any, op: str) -> str:
    if norm is None:
        return "backward"
    if norm not in _SWAPPED:
        raise ValueError(
            message(op, f"norm={norm!r}; known are {', '.join(map(repr, _SWAPPED))}.")
        )
    return norm


def _length(n: Any, x: Any, axis: int, op: str) -> int:
    n = x.shape[axis] if n is None else operator.index(n)
    if n < 1:
        raise ShapeError(
            message(op, f"a transform of length {n} along axis {axis} of shape {x.shape}.")
        )
    return n


def _sized(x: Any, n: int, axis: int) -> Any:
    """x cut, or filled up with zeros, to length n along `axis`."""
    have = x.shape[axis]
    if n < have:
        index = (*(ALL,) * (x.ndim + axis), slice(0, n), *(ALL,) * (-axis - 1))
        return apply(IndexGrad, x, index=index)
    if n > have:
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, n - have)
        return pad(x, widths)
    return x


def axes_of(x: Any, s: Any, axes: Any, op: str) -> tuple[list[int], list[int]]:
    """The axes to transform, and a length for each."""
    if s is not None:
        s = [operator.index(n) for n in s]
    if axes is None:
        axes = range(-x.ndim if s is None else -len(s), 0)
    axes = [one_axis(k, x.ndim, op) for k in axes]
    if s is None:
        s = [-1] * len(axes)
    if len(s) != len(axes):
        raise ValueError(
            message(op, f"{len(s)} lengths for {len(axes)} axes.", "Give one for each axis.")
        )
    return axes, [x.shape[k] if n == -1 else n for n, k in zip(s, axes)]


def complex_transform(op: str, x: Any, s: Any, axes: Any, norm: Any, inverse: bool) -> Any:
    x = lift(x, op)
    norm = scaling(norm, op)
    axes, lengths = axes_of(x, s, axes, op)
    if len(set(axes)) < len(axes):  # one after the other, the last first
        for n, k in reversed([*zip(lengths, axes)]):
            x = complex_transform(op, x, (n,), (k,), norm, inverse)
        return x
    for n, k in zip(lengths, axes):
        x = _sized(x, _length(n, x, k, op), k)
    if not axes:
        return x  # nothing to transform, as in NumPy
    return apply(FFTGrad, x, axes=tuple(axes), inverse=inverse, norm=norm)


def to_half(op: str, x: Any, n: Any, axis: Any, norm: str) -> Any:
    x = lift(x, op)
    axis = one_axis(axis, x.ndim, op)
    return apply(RFFTGrad, _sized(x, _length(n, x, axis, op), axis), axis=axis, norm=norm)


def from_half(op: str, x: Any, n: Any, axis: Any, norm: str) -> Any:
    x = lift(x, op)
    axis = one_axis(axis, x.ndim, op)
    n = _length(2 * (x.shape[axis] - 1) if n is None else n, x, axis, op)
    return apply(IRFFTGrad, _sized(x, n // 2 + 1, axis), n=n, axis=axis, norm=norm)


# One axis -----------------------------------------------------------------------------------------

_REAL = [case(arr(6)), case(arr(5), norm="ortho"), case(arr(2, 4, 2), 3, axis=1, norm="forward")]
_BOTH = [
    *_REAL,
    case(arr(5, kind="complex"), n=7),
    case(arr(2, 4, kind="complex"), axis=0, norm="ortho"),
]


@public(name="fft.fft", numpy=np.fft.fft, op=FFTGrad, cases=_BOTH)
def fft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""y_k = c \sum_{j < n} e^{-2 \pi i jk / n} x_j along `axis`, complex.

    `n`: x is cut, or filled up with zeros, to this length. c is 1, with norm "ortho" 1 / sqrt n,
    with "forward" 1 / n. Raises ShapeError for a length 0. x_bar is the transform of y_bar.

    >>> import gradarray as ga
    >>> ga.fft.fft([1.0, 0.0, -1.0, 0.0])
    GradArray([0.+0.j, 2.+0.j, 0.+0.j, 2.+0.j], dtype=complex128)
    """
    x = lift(x, "fft")
    return complex_transform("fft", x, None if n is None else (n,), (axis,), norm, False)


@public(name="fft.ifft", numpy=np.fft.ifft, op=FFTGrad, cases=_BOTH)
def ifft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""y_j = c \sum_{k < n} e^{2 \pi i jk / n} x_k along `axis`: the inverse of `fft`.

    c is 1 / n, with norm "ortho" 1 / sqrt n, with "forward" 1. Arguments as in `fft`.

    >>> import gradarray as ga
    >>> ga.fft.ifft([0.0, 2.0, 0.0, 2.0])
    GradArray([ 1.+0.j,  0.+0.j, -1.+0.j,  0.+0.j], dtype=complex128)
    """
    return complex_transform("ifft", x, None if n is None else (n,), (axis,), norm, True)


@public(name="fft.rfft", numpy=np.fft.rfft, op=RFFTGrad, cases=[*_REAL, case(arr(3), 8)])
def rfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""The first n // 2 + 1 values of `fft` of a real x; the others are their conjugates.

    Raises DTypeError for a complex x. Arguments as in `fft`.

    >>> import gradarray as ga
    >>> ga.fft.rfft([1.0, 0.0, -1.0, 0.0])
    GradArray([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex128)
    """
    return to_half("rfft", x, n, axis, scaling(norm, "rfft"))


_HALF = [
    case(arr(4)),
    case(arr(4, kind="complex")),
    case(arr(4, kind="complex"), 7, norm="ortho"),
    case(arr(2, 3, kind="complex"), 8, axis=0, norm="forward"),
    case(arr(5, kind="complex"), 4),
    case(arr(2, kind="complex"), 1),
]


@public(name="fft.irfft", numpy=np.fft.irfft, op=IRFFTGrad, cases=_HALF)
def irfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""The inverse of `rfft`: real, of length n, by default 2 (m - 1) for m values.

    Of x_0, and for an even n of x_{n/2}, the imaginary part counts for nothing. `norm` as in
    `ifft`.

    >>> import gradarray as ga
    >>> ga.fft.irfft([0.0, 2.0, 0.0])
    GradArray([ 1.,  0., -1.,  0.], dtype=float64)
    """
    return from_half("irfft", x, n, axis, scaling(norm, "irfft"))


@public(name="fft.hfft", numpy=np.fft.hfft, op=IRFFTGrad, cases=_HALF)
def hfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""The transform of a signal with x_{-j} = x_j^*, of which half is given: real, of length n.

    y_k = c \sum_j e^{-2 \pi i jk / n} x_j over all of the signal; n is 2 (m - 1) by default.

    >>> import gradarray as ga
    >>> ga.fft.hfft([1.0, 2.0, 3.0])
    GradArray([ 8., -2.,  0., -2.], dtype=float64)
    """
    return from_half("hfft", conj(lift(x, "hfft")), n, axis, _SWAPPED[scaling(norm, "hfft")])


@public(name="fft.ihfft", numpy=np.fft.ihfft, op=RFFTGrad, cases=_REAL)
def ihfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    """The inverse of `hfft`: the first n // 2 + 1 values of the inverse transform of a real x.

    >>> import gradarray as ga
    >>> ga.fft.ihfft([8.0, -2.0, 0.0, -2.0])
    GradArray([1.-0.j, 2.-0.j, 3.-0.j], dtype=complex128)
    """
    return conj(to_half("ihfft", x, n, axis, _SWAPPED[scaling(norm, "ihfft")]))
