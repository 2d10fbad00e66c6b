"""Fourier transforms of several axes, their frequencies and shifts."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..registry import arr, case, public
from .axes import one_axis
from .fourier import (
    FFTGrad,
    IRFFTGrad,
    RFFTGrad,
    axes_of,
    complex_transform,
    from_half,
    scaling,
    to_half,
)
from .move import roll
from .shape import astype

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
    return complex_transform("fftn", x, s, axes, norm, False)


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
    return complex_transform("ifftn", x, s, axes, norm, True)


@public(name="fft.fft2", numpy=np.fft.fft2, op=FFTGrad, cases=_BOTH_2)
def fft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`fftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.fft2(ga.eye(2))
    GradArray([[2.+0.j, 0.+0.j],
               [0.+0.j, 2.+0.j]], dtype=complex128)
    """
    return complex_transform("fft2", x, s, axes, norm, False)


@public(name="fft.ifft2", numpy=np.fft.ifft2, op=FFTGrad, cases=_BOTH_2)
def ifft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> GradArray:
    """`ifftn` over two axes, the last by default.

    >>> import gradarray as ga
    >>> ga.fft.ifft2(4 * ga.eye(2)).real
    GradArray([[2., 0.],
               [0., 2.]], dtype=float64)
    """
    return complex_transform("ifft2", x, s, axes, norm, True)


def _rfftn(op: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = lift(x, op)
    axes, lengths = axes_of(x, s, axes, op)
    if not axes:
        raise ValueError(message(op, "needs at least one axis."))
    y = to_half(op, x, lengths[-1], axes[-1], scaling(norm, op))
    for n, k in reversed([*zip(lengths[:-1], axes[:-1])]):
        y = complex_transform(op, y, (n,), (k,), norm, False)
    return y


def _irfftn(op: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    x = lift(x, op)
    given = None if s is None or list(s)[-1] == -1 else list(s)[-1]
    axes, lengths = axes_of(x, s, axes, op)
    if not axes:
        raise ValueError(message(op, "needs at least one axis."))
    for n, k in itertools.islice(zip(lengths, axes), len(axes) - 1):
        x = complex_transform(op, x, (n,), (k,), norm, True)
    return from_half(op, x, given, axes[-1], scaling(norm, op))


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
