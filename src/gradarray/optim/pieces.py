"""What several methods share, each declared once; on plain arrays and on GradArrays alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.compare import where
from ..ops.complex import imag, is_complex, real
from ..ops.join import stack


def ema(m: Any, x: Any, beta: Any, rest: Any) -> Any:
    r"""The exponential moving average, m \leftarrow \beta m + (1 - \beta) x; `rest` is 1 - beta."""
    return beta * m + rest * x


def bias_correction(beta: Any, t: Any) -> Any:
    r"""1 - \beta^t: the weight that an average started at 0 has gathered after t steps."""
    return 1 - beta**t


def flush(x: Any, size: Any, tiny: float) -> Any:
    """x, and 0 where `size`, its magnitude, is below `tiny`, the smallest normal number.

    A decaying average ends among the subnormal numbers, where arithmetic is 100 times slower on
    many processors and where it may stick instead of reaching 0.
    """
    return x * (size >= tiny)


def positive_part(x: Any) -> Any:
    """max(x, 0), for a difference that only rounding can make negative; NaN stays NaN."""
    return where(x < 0, 0.0, x)


def as_real(x: Any) -> Any:
    """Complex numbers as pairs of real ones along a new last axis; real numbers as they are.

    A method that treats each number alone (Adam's squares) treats the two parts alone: the step is
    the one that two real parameters would take.
    """
    return stack([real(x), imag(x)], -1) if is_complex(x) else x


def as_complex(x: Any) -> Any:
    """The complex numbers of such pairs."""
    return x[..., 0] + 1j * x[..., 1]


def real_form(x: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of `as_real(x)`."""
    return (*x.shape, 2) if is_complex(x) else x.shape, x.dtype.type(0).real.dtype
