r"""Discrete Fourier transforms, as linear ops.

The matrix of a transform is symmetric, so `fft` is its own transpose. A real transform keeps half
of a Hermitian spectrum: its transpose counts every value twice but those that stand for
themselves, at frequency 0 and, for an even length, at the last one. (C. Van Loan, "Computational
Frameworks for the Fast Fourier Transform", 1992, sections 1.1 and 4.3.)
"""

from __future__ import annotations

import itertools
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
from .move import roll
from .shape import astype

# A forward transform scaled one way is the transpose of a backward one scaled the other way.
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


class FFTGrad(Linear):
    r"""y_k = c \sum_j e^{-2 \pi i jk / n} x_j along each of `axes` (+ if `inverse`)."""

    always_meta = True  # of a real x the result is complex

    @staticmethod
    def forward(x: Any, axes: tuple[int, ...], inverse: bool, norm: str) -> Any:
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
    def forward(x: Any, axis: int, norm: str) -> Any:
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
    def forward(x: Any, n: int, axis: int, norm: str) -> Any:
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


def _scaling(norm: Any, op: str) -> str:
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


def _axes(x: Any, s: Any, axes: Any, op: str) -> tuple[list[int], list[int]]:
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


def _complex(op: str, x: Any, s: Any, axes: Any, norm: Any, inverse: bool) -> Any:
    x = lift(x, op)
    norm = _scaling(norm, op)
    axes, lengths = _axes(x, s, axes, op)
    if len(set(axes)) < len(axes):  # one after the other, the last first
        for n, k in reversed([*zip(lengths, axes)]):
            x = _complex(op, x, (n,), (k,), norm, inverse)
        return x
    for n, k in zip(lengths, axes):
        x = _sized(x, _length(n, x, k, op), k)
    if not axes:
        return x  # nothing to transform, as in NumPy
    return apply(FFTGrad, x, axes=tuple(axes), inverse=inverse, norm=norm)


def _to_half(op: str, x: Any, n: Any, axis: Any, norm: str) -> Any:
    x = lift(x, op)
    axis = one_axis(axis, x.ndim, op)
    return apply(RFFTGrad, _sized(x, _length(n, x, axis, op), axis), axis=axis, norm=norm)


def _from_half(op: str, x: Any, n: Any, axis: Any, norm: str) -> Any:
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
    return _complex("fft", x, None if n is None else (n,), (axis,), norm, False)


@public(name="fft.ifft", numpy=np.fft.ifft, op=FFTGrad, cases=_BOTH)
def ifft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""y_j = c \sum_{k < n} e^{2 \pi i jk / n} x_k along `axis`: the inverse of `fft`.

    c is 1 / n, with norm "ortho" 1 / sqrt n, with "forward" 1. Arguments as in `fft`.

    >>> import gradarray as ga
    >>> ga.fft.ifft([0.0, 2.0, 0.0, 2.0])
    GradArray([ 1.+0.j,  0.+0.j, -1.+0.j,  0.+0.j], dtype=complex128)
    """
    return _complex("ifft", x, None if n is None else (n,), (axis,), norm, True)


@public(name="fft.rfft", numpy=np.fft.rfft, op=RFFTGrad, cases=[*_REAL, case(arr(3), 8)])
def rfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""The first n // 2 + 1 values of `fft` of a real x; the others are their conjugates.

    Raises DTypeError for a complex x. Arguments as in `fft`.

    >>> import gradarray as ga
    >>> ga.fft.rfft([1.0, 0.0, -1.0, 0.0])
    GradArray([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex128)
    """
    return _to_half("rfft", x, n, axis, _scaling(norm, "rfft"))


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
    return _from_half("irfft", x, n, axis, _scaling(norm, "irfft"))


@public(name="fft.hfft", numpy=np.fft.hfft, op=IRFFTGrad, cases=_HALF)
def hfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    r"""The transform of a signal with x_{-j} = x_j^*, of which half is given: real, of length n.

    y_k = c \sum_j e^{-2 \pi i jk / n} x_j over all of the signal; n is 2 (m - 1) by default.

    >>> import gradarray as ga
    >>> ga.fft.hfft([1.0, 2.0, 3.0])
    GradArray([ 8., -2.,  0., -2.], dtype=float64)
    """
    return _from_half("hfft", conj(lift(x, "hfft")), n, axis, _SWAPPED[_scaling(norm, "hfft")])


@public(name="fft.ihfft", numpy=np.fft.ihfft, op=RFFTGrad, cases=_REAL)
def ihfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None) -> GradArray:
    """The inverse of `hfft`: the first n // 2 + 1 values of the inverse transform of a real x.

    >>> import gradarray as ga
    >>> ga.fft.ihfft([8.0, -2.0, 0.0, -2.0])
    GradArray([1.-0.j, 2.-0.j, 3.-0.j], dtype=complex128)
    """
    return conj(_to_half("ihfft", x, n, axis, _SWAPPED[_scaling(norm, "ihfft")]))


# Several axes -------------------------------------------------------------------------------------

_REAL_2 = [
    case(arr(3, 4)),
    case(arr(2, 3, 3), s=(2, 4), axes=(0, 2)),
    case(arr(2, 3), norm="ortho"),
]
_BOTH_2 = [*_REAL_2, case(arr(3, 2, kind="complex"), s=(2, 3), axes=(1, 0), norm="forward")]
_HALF_2 = [
    case(arr(3, 3)),
    case(arr(3, 3, kind="complex"), norm="ortho"),
    case(arr(2, 2, 3, kind="complex"), s=(3, 5), axes=(0, 2)),
]


@public(
    name="fft.fftn",
    numpy=np.fft.fftn,
    op=FFTGrad,
    cases=[*_BOTH_2, case(arr(2, 3, 2)), case(arr(3, 2), axes=(0, 0)), case(arr(3), axes=())],
)
def fftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> GradArray:
    """`fft` along each of `axes`: all of them, or the last len(s).

    `s`: a length for each axis, -1 for that of x. Raises ValueError where there are not as many.

    >>> import gradarray as ga
    >>> ga.fft.fftn([[1.0, 2.0], [3.0, 4.0]])
    GradArray([[10.+0.j, -2.+0.j],
               [-4.+0.j,  0.+0.j]], dtype=complex128)
    """
    return _complex("fftn", x, s, axes, norm, False)


@public(
    name="fft.ifftn", numpy=np.fft.ifftn, op=FFTGrad, cases=[*_BOTH_2, case(arr(2, 3, 2))]
)
def ifftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> GradArray:
    """`ifft` along each of `axes`: the inverse of `fftn`, with its arguments.

    >>> import gradarray as ga
    >>> ga.fft.ifftn([[10.0, -2.0], [-4.0, 0.0]]).real
    GradArray([[1., 2.],
               [3., 4.]], dtype=float64)
    """
    return _complex("ifftn", x, s, axes, norm, True)


@public(name="fft.fft2", numpy=np.fft.fft2, op=FFTGrad, cases=_BOTH_2)
def fft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`fftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.fft2(ga.eye(2))
    GradArray([[2.+0.j, 0.+0.j],
               [0.+0.j, 2.+0.j]], dtype=complex128)
    """
    return _complex("fft2", x, s, axes, norm, False)


@public(name="fft.ifft2", numpy=np.fft.ifft2, op=FFTGrad, cases=_BOTH_2)
def ifft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`ifftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.ifft2(4 * ga.eye(2)).real
    GradArray([[2., 0.],
               [0., 2.]], dtype=float64)
    """
    return _complex("ifft2", x, s, axes, norm, True)


def _rfftn(op: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = lift(x, op)
    axes, lengths = _axes(x, s, axes, op)
    if not axes:
        raise ValueError(message(op, "needs at least one axis."))
    y = _to_half(op, x, lengths[-1], axes[-1], _scaling(norm, op))
    for n, k in reversed([*zip(lengths[:-1], axes[:-1])]):
        y = _complex(op, y, (n,), (k,), norm, False)
    return y


def _irfftn(op: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = lift(x, op)
    given = None if s is None or list(s)[-1] == -1 else list(s)[-1]
    axes, lengths = _axes(x, s, axes, op)
    if not axes:
        raise ValueError(message(op, "needs at least one axis."))
    for n, k in itertools.islice(zip(lengths, axes), len(axes) - 1):
        x = _complex(op, x, (n,), (k,), norm, True)
    return _from_half(op, x, given, axes[-1], _scaling(norm, op))


@public(
    name="fft.rfftn", numpy=np.fft.rfftn, op=RFFTGrad, cases=[*_REAL_2, case(arr(2, 3, 2))]
)
def rfftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> GradArray:
    """`rfft` along the last of `axes`, then `fft` along the others. Arguments as in `fftn`.

    >>> import gradarray as ga
    >>> ga.fft.rfftn(ga.ones((2, 2, 4))).shape
    (2, 2, 3)
    """
    return _rfftn("rfftn", x, s, axes, norm)


@public(
    name="fft.irfftn",
    numpy=np.fft.irfftn,
    op=IRFFTGrad,
    cases=[*_HALF_2, case(arr(2, 2, 3, kind="complex"))],
)
def irfftn(x: Any, s: Any = None, axes: Any = None, norm: Any = None) -> GradArray:
    """`ifft` along all but the last of `axes`, then `irfft` along that: the inverse of `rfftn`.

    The length along it is s[-1], by default 2 (m - 1) for m values.

    >>> import gradarray as ga
    >>> x = ga.array([[1.0, 2.0], [3.0, 4.0]])
    >>> ga.fft.irfftn(ga.fft.rfftn(x))
    GradArray([[1., 2.],
               [3., 4.]], dtype=float64)
    """
    return _irfftn("irfftn", x, s, axes, norm)


@public(name="fft.rfft2", numpy=np.fft.rfft2, op=RFFTGrad, cases=_REAL_2)
def rfft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`rfftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.rfft2(ga.ones((3, 2, 4))).shape
    (3, 2, 3)
    """
    return _rfftn("rfft2", x, s, axes, norm)


@public(name="fft.irfft2", numpy=np.fft.irfft2, op=IRFFTGrad, cases=_HALF_2)
def irfft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`irfftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.irfft2(ga.ones((3, 2, 4)), s=(2, 7)).shape
    (3, 2, 7)
    """
    return _irfftn("irfft2", x, s, axes, norm)


# Frequencies --------------------------------------------------------------------------------------


def _count(n: Any, op: str) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(message(op, f"n is {n}; give 1 or more."))
    return n


def _on_cpu(device: Any, op: str) -> None:
    if device not in (None, "cpu"):
        raise ValueError(message(op, f"device={device!r}; arrays live in the machine's memory."))


_FREQUENCIES = [case(8, arr(low=0.5, high=2.0)), case(7), case(1, 0.5)]


@public(name="fft.fftfreq", numpy=np.fft.fftfreq, cases=_FREQUENCIES)
def fftfreq(n: int, d: Any = 1.0, device: Any = None, *, dtype: Any = None) -> GradArray:
    """The frequencies of the values of `fft`: [0, 1, .., -2, -1] / (n d), for samples d apart.

    >>> import gradarray as ga
    >>> ga.fft.fftfreq(4, d=0.5)
    GradArray([ 0. ,  0.5, -1. , -0.5], dtype=float64)
    """
    n = _count(n, "fftfreq")
    _on_cpu(device, "fftfreq")
    k = np.arange(n)
    k[(n + 1) // 2 :] -= n
    y = lift(k, "fftfreq") * (1 / (n * d))
    return y if dtype is None else astype(y, dtype)


@public(name="fft.rfftfreq", numpy=np.fft.rfftfreq, cases=_FREQUENCIES)
def rfftfreq(n: int, d: Any = 1.0, device: Any = None, *, dtype: Any = None) -> GradArray:
    """The frequencies of the values of `rfft`: [0, 1, .., n // 2] / (n d), for samples d apart.

    >>> import gradarray as ga
    >>> ga.fft.rfftfreq(4, d=0.5)
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """
    n = _count(n, "rfftfreq")
    _on_cpu(device, "rfftfreq")
    y = lift(np.arange(n // 2 + 1), "rfftfreq") * (1 / (n * d))
    return y if dtype is None else astype(y, dtype)


def _shifted(op: str, x: Any, axes: Any, sign: int) -> Any:
    x = lift(x, op)
    if axes is None:
        axes = range(x.ndim)
    elif not isinstance(axes, (tuple, list)):
        axes = (axes,)
    axes = tuple(one_axis(k, x.ndim, op) for k in axes)
    if not axes:
        raise ShapeError(message(op, f"no axis of shape {x.shape} to shift."))
    return roll(x, tuple(sign * (x.shape[k] // 2) for k in axes), axes)


_SHIFTS = [case(arr(5)), case(arr(2, 4)), case(arr(3, 4), axes=1), case(arr(2, 3, 2), axes=(0, 1))]


@public(name="fft.fftshift", numpy=np.fft.fftshift, cases=_SHIFTS)
def fftshift(x: Any, axes: Any = None) -> GradArray:
    """y = x with the value at frequency 0 in the middle of `axes`, of all by default.

    >>> import gradarray as ga
    >>> ga.fft.fftshift([0.0, 1.0, 2.0, -2.0, -1.0])
    GradArray([-2., -1.,  0.,  1.,  2.], dtype=float64)
    """
    return _shifted("fftshift", x, axes, 1)


@public(name="fft.ifftshift", numpy=np.fft.ifftshift, cases=_SHIFTS)
def ifftshift(x: Any, axes: Any = None) -> GradArray:
    """y = x with its middle moved to the front of `axes`: the inverse of `fftshift`.

    >>> import gradarray as ga
    >>> ga.fft.ifftshift([-2.0, -1.0, 0.0, 1.0, 2.0])
    GradArray([ 0.,  1.,  2., -2., -1.], dtype=float64)
    """
    return _shifted("ifftshift", x, axes, -1)
