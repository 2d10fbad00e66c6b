"""Gradient clipping, by norm and by value; what `nn.utils` offers under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import message
from ..graph import no_grad
from ..ops.compare import maximum, minimum
from ..ops.complex import is_complex
from ..ops.powers import sqrt
from ..ops.reduce import max as largest
from ..ops.reduce import sum as total
from ..ops.shape import astype
from .pieces import as_complex, as_real, real_form


def get_total_norm(
    tensors: GradArray | Iterable[GradArray],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> GradArray:
    r"""The norm of all arrays together, as if they were one vector; 0-d, and 0 for no arrays.

        (\sum_i |x_i|^p)^{1/p},  max_i |x_i| for p = inf

    Each array is summed in its own dtype, the sums in float64; the result has the widest of the
    dtypes. Raises ValueError for a `norm_type` that is not above 0 and, with `error_if_nonfinite`,
    for a norm that is not finite.

    >>> import gradarray as ga
    >>> from gradarray.optim.clip import get_total_norm
    >>> get_total_norm([ga.array([3.0]), ga.array([0.0, 4.0])])
    GradArray(5., dtype=float64)
    """
    arrays = [tensors] if isinstance(tensors, GradArray) else list(tensors)
    if not norm_type > 0:
        raise ValueError(message("get_total_norm", f"norm_type is above 0, not {norm_type}."))
    with no_grad():
        norm = _norm([x for x in arrays if x.size], float(norm_type))
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise ValueError(
            message(
                "get_total_norm",
                f"the norm of order {norm_type} is {norm.item()}.",
                "A gradient has overflowed or is NaN; look at the loss and the learning rate.",
            )
        )
    return norm


def _norm(arrays: list[GradArray], p: float) -> GradArray:
    if not arrays:
        return wrap(np.float64(0.0))
    dtype = np.result_type(*(real_form(x)[1] for x in arrays))
    if p == math.inf:
        norm = astype(largest(abs(arrays[0])), np.float64)
        for x in arrays[1:]:
            norm = maximum(norm, largest(abs(x)))
        return astype(norm, dtype)
    power: Any = wrap(np.float64(0.0))
    for x in arrays:
        power = power + total(x * x if p == 2 and not is_complex(x) else abs(x) ** p)
    return astype(sqrt(power) if p == 2 else power ** (1 / p), dtype)


def clip_grads_with_norm_(
    parameters: GradArray | Iterable[GradArray], max_norm: float, total_norm: Any
) -> None:
    r"""Scale the gradients of `parameters` so that a total norm becomes at most `max_norm`.

        g <- g min(1, max_norm / (total_norm + 1e-6))

    Raises ValueError for a `max_norm` that is negative or NaN.

    >>> import gradarray as ga
    >>> from gradarray.optim.clip import clip_grads_with_norm_
    >>> w = ga.array([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grads_with_norm_(w, 1.0, 10.0)
    >>> w.grad
    GradArray([0.59999994, 0.79999992], dtype=float64)
    """
    if not max_norm >= 0:
        raise ValueError(message("clip_grad_norm_", f"max_norm is at least 0, not {max_norm}."))
    with no_grad():
        share = minimum(1.0, max_norm / (total_norm + 1e-6))
        for g in _gradients(parameters):
            factor = astype(share, g.dtype) if hasattr(share, "dtype") else share
            g._assign("clip_grad_norm_", g * factor)


def clip_grad_norm_(
    parameters: GradArray | Iterable[GradArray],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> GradArray:
    r"""Scale the gradients, in place, so that their total norm is at most `max_norm`.

        g <- g min(1, max_norm / (norm + 1e-6))

    The norm, before clipping, is returned (0-d). Parameters without a gradient are skipped. Raises
    ValueError as `get_total_norm` does, with nothing changed.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.

    >>> import gradarray as ga
    >>> from gradarray.optim.clip import clip_grad_norm_
    >>> w = ga.array([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], max_norm=1.0)
    GradArray(10., dtype=float64)
    >>> w.grad
    GradArray([0.59999994, 0.79999992], dtype=float64)
    """
    parameters = [parameters] if isinstance(parameters, GradArray) else list(parameters)
    norm = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grad_value_(parameters: GradArray | Iterable[GradArray], clip_value: float) -> None:
    r"""Limit each component of the gradients (of complex ones each part), in place, to
    [-clip_value, clip_value].

    Parameters without a gradient are skipped. Raises ValueError for a negative or NaN `clip_value`.

    >>> import gradarray as ga
    >>> from gradarray.optim.clip import clip_grad_value_
    >>> w = ga.array([3.0, -0.25], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value_([w], 1.0)
    >>> w.grad
    GradArray([ 1. , -0.5], dtype=float64)
    """
    if not clip_value >= 0:
        raise ValueError(
            message("clip_grad_value_", f"clip_value is at least 0, not {clip_value}.")
        )
    limit = float(clip_value)
    with no_grad():
        for g in _gradients(parameters):
            near = minimum(maximum(as_real(g), -limit), limit)
            g._assign("clip_grad_value_", as_complex(near) if is_complex(g) else near)


def _gradients(parameters: GradArray | Iterable[GradArray]) -> list[GradArray]:
    parameters = [parameters] if isinstance(parameters, GradArray) else parameters
    return [p._gradient for p in parameters if p._gradient is not None]
