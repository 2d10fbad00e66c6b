"""Initialisers: each fills a parameter in place, outside any graph, and returns it.

`generator` is the stream to draw from, by default the one of `ga.random`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .. import linalg, random
from ..array import GradArray, wrap
from ..errors import ShapeError, message
from ..graph import no_grad
from ..ops.compare import where
from .state import set_value

Nonlinearity = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip

_GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
_ONE = ("linear", "sigmoid", *(f"conv{k}{n}d" for k in ("", "_transpose") for n in (1, 2, 3)))


def calculate_gain(nonlinearity: Nonlinearity, param: float | None = None) -> float:
    r"""The factor by which weights before a nonlinearity are larger, to keep the variance.

    1 for linear maps, convolutions and sigmoid; 5/3 for tanh, \sqrt 2 for relu,
    \sqrt{2/(1+param^2)} for leaky_relu of slope `param` (0.01 by default), 3/4 for selu. Raises
    ValueError for another name.

    >>> import gradarray as ga
    >>> ga.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _ONE:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"the slope of leaky_relu is a number, not {slope!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_ONE, *_GAINS, "leaky_relu"])
        raise ValueError(f"no gain is known for {nonlinearity!r}; it is for {known}")
    return _GAINS[nonlinearity]


def _drawn(
    kind: Literal["uniform", "normal"],
    low: float,
    high: float,
    like: GradArray,
    generator: random.Generator | None,
) -> GradArray:
    """Random numbers of the shape and dtype of `like`: the one place that draws them."""
    source: Any = random if generator is None else generator
    return getattr(source, kind)(low, high, size=like.shape, dtype=like.dtype)


# Plain distributions ------------------------------------------------------------------------------


def uniform_(
    tensor: GradArray, a: float = 0.0, b: float = 1.0, generator: Any = None
) -> GradArray:
    """Fill with U(a, b).

    >>> import gradarray as ga
    >>> w = ga.nn.init.uniform_(ga.nn.Parameter([0.0] * 100), -1.0, 1.0)
    >>> bool((abs(w) <= 1).all())
    True
    """
    return set_value(tensor, _drawn("uniform", a, b, tensor, generator))


def normal_(
    tensor: GradArray, mean: float = 0.0, std: float = 1.0, generator: Any = None
) -> GradArray:
    """Fill with N(mean, std^2).

    >>> import gradarray as ga
    >>> w = ga.nn.init.normal_(ga.nn.Parameter([0.0] * 100), std=0.1)
    >>> bool(abs(w.mean()) < 0.1)
    True
    """
    return set_value(tensor, _drawn("normal", mean, std, tensor, generator))


def constant_(tensor: GradArray, val: float) -> GradArray:
    """Fill with one number.

    >>> import gradarray as ga
    >>> ga.nn.init.constant_(ga.nn.Parameter([0.0, 0.0]), 0.5)
    Parameter([0.5, 0.5], dtype=float32, requires_grad=True)
    """
    return set_value(tensor, wrap(np.full(tensor.shape, val, tensor.dtype)))


def ones_(tensor: GradArray) -> GradArray:
    """Fill with 1.

    >>> import gradarray as ga
    >>> ga.nn.init.ones_(ga.nn.Parameter([0.0, 0.0]))
    Parameter([1., 1.], dtype=float32, requires_grad=True)
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: GradArray) -> GradArray:
    """Fill with 0.

    >>> import gradarray as ga
    >>> ga.nn.init.zeros_(ga.nn.Parameter([1.0, 1.0]))
    Parameter([0., 0.], dtype=float32, requires_grad=True)
    """
    return constant_(tensor, 0.0)


def eye_(tensor: GradArray) -> GradArray:
    """Fill a matrix with the identity: 1 on the diagonal.

    >>> import gradarray as ga
    >>> ga.nn.init.eye_(ga.nn.Linear(2, 2).weight).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim != 2:
        raise ShapeError(message("eye_", f"takes a matrix, not shape {tensor.shape}."))
    return set_value(tensor, wrap(np.eye(*tensor.shape, dtype=tensor.dtype)))


def trunc_normal_(
    tensor: GradArray,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> GradArray:
    """Fill with N(mean, std^2), restricted to [a, b]. Raises ValueError unless a < b, std > 0.

    >>> import gradarray as ga
    >>> w = ga.nn.init.trunc_normal_(ga.nn.Parameter([0.0] * 100), std=2.0)
    >>> bool((abs(w) <= 2).all())
    True
    """
    source: Any = random if generator is None else generator
    values = source.truncated_normal(mean, std, a, b, size=tensor.shape, dtype=tensor.dtype)
    return set_value(tensor, values)


# By the number of inputs and outputs --------------------------------------------------------------


def _fans(tensor: GradArray, op: str) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, ...): its axes beyond two are a kernel's."""
    if tensor.ndim < 2:
        raise ShapeError(
            message(
                op,
                f"an array of shape {tensor.shape} has no fan-in and fan-out.",
                "It takes a weight of at least two axes (out, in, ...); use uniform_ for a bias.",
            )
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: GradArray, gain: float = 1.0, generator: Any = None) -> GradArray:
    r"""Fill with U(-a, a), a = gain \sqrt{6 / (fan_in + fan_out)}.

    (Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, equation 16.)

    >>> import gradarray as ga
    >>> w = ga.nn.init.xavier_uniform_(ga.nn.Linear(2, 4).weight)
    >>> bool((abs(w) <= 1).all())
    True
    """
    bound = gain * math.sqrt(6 / sum(_fans(tensor, "xavier_uniform_")))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: GradArray, gain: float = 1.0, generator: Any = None) -> GradArray:
    r"""Fill with N(0, s^2), s = gain \sqrt{2 / (fan_in + fan_out)} (source: `xavier_uniform_`).

    >>> import gradarray as ga
    >>> ga.nn.init.xavier_normal_(ga.nn.Linear(2, 4).weight).shape
    (4, 2)
    """
    std = gain * math.sqrt(2 / sum(_fans(tensor, "xavier_normal_")))
    return normal_(tensor, 0.0, std, generator)


def _kaiming(tensor: GradArray, a: float, mode: str, nonlinearity: Any, op: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{op}: mode is "fan_in" or "fan_out", not {mode!r}')
    fan = _fans(tensor, op)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: GradArray,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    generator: Any = None,
) -> GradArray:
    r"""Fill with U(-k, k), k = gain \sqrt{3 / fan}; `a` is the slope of leaky_relu.

    (He et al., "Delving deep into rectifiers", ICCV 2015, section 2.2.)

    >>> import gradarray as ga
    >>> w = ga.nn.init.kaiming_uniform_(ga.nn.Linear(6, 4).weight, nonlinearity="relu")
    >>> bool((abs(w) <= 1).all())
    True
    """
    std = _kaiming(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)


def kaiming_normal_(
    tensor: GradArray,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    generator: Any = None,
) -> GradArray:
    r"""Fill with N(0, s^2), s = gain / \sqrt{fan} (source: `kaiming_uniform_`).

    >>> import gradarray as ga
    >>> ga.nn.init.kaiming_normal_(ga.nn.Linear(2, 4).weight).shape
    (4, 2)
    """
    std = _kaiming(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: GradArray, gain: float = 1.0, generator: Any = None) -> GradArray:
    r"""Fill with gain Q, Q a random matrix with orthonormal rows or columns, W W^T = gain^2 I.

    An array of more than two axes is seen as a matrix (first axis, all others). Q comes from the
    QR decomposition of a normal matrix, its columns' signs those of R's diagonal, which makes it
    uniform (Mezzadri, "How to generate random matrices from the classical compact groups",
    Notices of the AMS 54, 2007, section 5).

    >>> import gradarray as ga
    >>> w = ga.nn.init.orthogonal_(ga.nn.Linear(3, 3, dtype="float64").weight).numpy()
    >>> import numpy as np
    >>> np.allclose(w @ w.T, np.eye(3))
    True
    """
    if tensor.ndim < 2:
        raise ShapeError(
            message("orthogonal_", f"takes at least two axes, not shape {tensor.shape}.")
        )
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    tall = (max(rows, columns), min(rows, columns))
    normal = _drawn("normal", 0.0, 1.0, wrap(np.empty(tall, np.float64)), generator)
    with no_grad():
        q, r = linalg.qr(normal)
        q = q * where(linalg.diagonal(r) < 0, -1.0, 1.0)
        q = q if rows >= columns else q.T
        return set_value(tensor, gain * q.reshape(tensor.shape))


def dirac_(tensor: GradArray, groups: int = 1) -> GradArray:
    """Fill a convolution's weight so that it passes on its channels unchanged.

    Raises ShapeError unless it has 3 to 5 axes, ValueError unless `groups` divides the first.

    >>> import gradarray as ga
    >>> ga.nn.init.dirac_(ga.nn.Conv1d(1, 1, 3).weight).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    if not 3 <= tensor.ndim <= 5:
        raise ShapeError(message("dirac_", f"takes 3 to 5 axes, not shape {tensor.shape}."))
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: {groups} groups do not divide {tensor.shape[0]} channels")
    each = tensor.shape[0] // groups
    values = np.zeros(tensor.shape, tensor.dtype)
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for g in range(groups):
        for k in range(min(each, tensor.shape[1])):
            values[(g * each + k, k, *centre)] = 1
    return set_value(tensor, wrap(values))


def __dir__() -> list[str]:
    return ["calculate_gain", *(n for n in globals() if n.endswith("_") and n[0] != "_")]
