"""Discrete Fourier transforms, with NumPy's names; np.fft.fft(x) on a GradArray is ga.fft.fft(x).

>>> import gradarray as ga
>>> signal = ga.array([1.0, 0.0, -1.0, 0.0])
>>> ga.grad(lambda x: ga.abs(ga.fft.rfft(x))[1])(signal)
GradArray([ 1.,  0., -1.,  0.], dtype=float64)
"""

from __future__ import annotations

from .ops.fourier import fft, hfft, ifft, ihfft, irfft, rfft
from .ops.fourier_axes import (
    fft2,
    fftfreq,
    fftn,
    fftshift,
    ifft2,
    ifftn,
    ifftshift,
    irfft2,
    irfftn,
    rfft2,
    rfftfreq,
    rfftn,
)

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]
