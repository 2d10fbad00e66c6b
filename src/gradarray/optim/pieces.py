"""What several methods share, each declared once; on plain arrays and on GradArrays alike."""

from __future__ import annotations

from typing import Any

from ..ops.compare import where


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
