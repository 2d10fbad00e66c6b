"""Functions of networks under PyTorch's names and arguments (`input`, `dim`, `keepdim`).

Most are functions of `gradarray` with their arguments renamed; `axis` and `x` of NumPy's face are
`dim` and `input` here. What draws random numbers or keeps running statistics is written here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .. import random
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..ops import activations, attention, conv
from ..ops import functional as composed
from ..ops import normalize as norms
from ..ops.compare import greater_equal
from ..ops.compare import relu as _relu
from ..ops.contract import matmul
from ..ops.hyperbolic import sigmoid as _sigmoid
from ..ops.hyperbolic import tanh as _tanh
from ..ops.shape import astype
from .loss_classes import *
from .loss_pairs import *
from .loss_values import *


def _renamed(fn: Callable[..., Any], name: str = "", **names: str) -> Callable[..., Any]:
    """`fn` under PyTorch's names of its arguments: {its name: PyTorch's}."""
    signature = inspect.signature(fn)
    names = {old: new for old, new in ({"x": "input"} | names).items() if old in signature.parameters}
    back = {new: old for old, new in names.items()}

    @functools.wraps(fn)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        for given in names.keys() & kwargs.keys():
            raise TypeError(f"{label}() has no argument {given!r}. Here it is {names[given]!r}.")
        return fn(*args, **{back.get(k, k): v for k, v in kwargs.items()})

    label = renamed.__name__ = renamed.__qualname__ = name or fn.__name__
    renamed.__module__ = __name__
    renamed.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            p.replace(name=names.get(p.name, p.name)) for p in signature.parameters.values()
        ]
    )
    renamed.__doc__ = f"`gradarray.{fn.__name__}` under PyTorch's argument names.\n\n{fn.__doc__}"
    return renamed


# Activations --------------------------------------------------------------------------------------

relu = _renamed(_relu)
sigmoid = _renamed(_sigmoid)
tanh = _renamed(_tanh)
relu6 = _renamed(activations.relu6)
leaky_relu = _renamed(activations.leaky_relu)
prelu = _renamed(activations.prelu)
elu = _renamed(activations.elu)
celu = _renamed(activations.celu)
selu = _renamed(activations.selu)
gelu = _renamed(activations.gelu)
silu = _renamed(activations.silu)
mish = _renamed(activations.mish)
softplus = _renamed(activations.softplus)
softsign = _renamed(activations.softsign)
logsigmoid = _renamed(activations.log_sigmoid, "logsigmoid")
hardsigmoid = _renamed(activations.hard_sigmoid, "hardsigmoid")
hardtanh = _renamed(activations.hard_tanh, "hardtanh")
hardswish = _renamed(activations.hard_swish, "hardswish")
hardshrink = _renamed(activations.hardshrink)
softshrink = _renamed(activations.softshrink)
tanhshrink = _renamed(activations.tanhshrink)
threshold = _renamed(activations.threshold)
glu = _renamed(composed.glu, axis="dim")
softmax = _renamed(composed.softmax, axis="dim")
log_softmax = _renamed(composed.log_softmax, axis="dim")
softmin = _renamed(composed.softmin, axis="dim")

# Linear maps, convolutions, tables ----------------------------------------------------------------

one_hot = _renamed(composed.one_hot, x="tensor")
linear = _renamed(composed.linear)
bilinear = _renamed(composed.bilinear, x1="input1", x2="input2")
embedding = _renamed(composed.embedding)
conv1d = _renamed(conv.conv1d)
conv2d = _renamed(conv.conv2d)
conv3d = _renamed(conv.conv3d)
conv_transpose1d = _renamed(conv.conv_transpose1d)
conv_transpose2d = _renamed(conv.conv_transpose2d)
conv_transpose3d = _renamed(conv.conv_transpose3d)

# Normalisation and distances ----------------------------------------------------------------------

layer_norm = _renamed(norms.layer_norm)
rms_norm = _renamed(norms.rms_norm)
group_norm = _renamed(norms.group_norm)
normalize = _renamed(norms.normalize, axis="dim")
cosine_similarity = _renamed(norms.cosine_similarity, axis="dim")
pairwise_distance = _renamed(norms.pairwise_distance, keepdims="keepdim")


# Random -------------------------------------------------------------------------------------------


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Any = None,
) -> GradArray:
    r"""y = x m / (1 - p), each m 0 with probability p, else 1, and y = x unless `training`.

    The numbers come from `generator`, by default from `ga.random`. Raises ValueError unless p is
    in [0, 1]. (Srivastava et al., "Dropout", JMLR 15, 2014.)

    >>> import gradarray as ga
    >>> y = ga.nn.functional.dropout(ga.ones(1000), p=0.5)
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    input = lift(input, "dropout")
    return _dropped(input, p, training, input.shape, generator, "dropout")


def feature_dropout(
    input: Any, p: float, training: bool, inplace: bool, axes: int, generator: Any, op: str
) -> GradArray:
    """Dropout of whole channels: one draw for the last `axes` axes together."""
    input = lift(input, op)
    if input.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            message(
                op,
                f"input of shape {input.shape}; it takes (N, C, ...) or (C, ...) with {axes} "
                "axes after the channels.",
            )
        )
    shape = (*input.shape[: input.ndim - axes], *(1,) * axes)
    return _dropped(input, p, training, shape, generator, op)


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
    generator: Any = None,
) -> GradArray:  # fmt: skip
    """`dropout` of whole channels of (N, C, L) or (C, L)."""
    return feature_dropout(input, p, training, inplace, 1, generator, "dropout1d")


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
    generator: Any = None,
) -> GradArray:  # fmt: skip
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W)."""
    return feature_dropout(input, p, training, inplace, 2, generator, "dropout2d")


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
    generator: Any = None,
) -> GradArray:  # fmt: skip
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return feature_dropout(input, p, training, inplace, 3, generator, "dropout3d")


def _dropped(
    x: Any, p: float, training: bool, shape: tuple[int, ...], generator: Any, op: str
) -> GradArray:
    check_probability(p, op)
    if not training or p == 0:
        return x
    if p == 1:
        return x * x.dtype.type(0)
    source: Any = random if generator is None else generator
    kept = greater_equal(source.uniform(size=shape, dtype="float32"), p)
    return x * (astype(kept, x.dtype) / (1 - p))


def check_probability(p: float, op: str) -> None:
    """Raise ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(message(op, f"p={p} is a probability, from 0 to 1."))


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    generator: Any = None,
) -> GradArray:
    r"""y = dropout(softmax(q k^T / \sqrt E + mask)) v: `gradarray.scaled_dot_product_attention`.

    The weights are dropped with probability `dropout_p`, always: pass 0.0 outside training.

    >>> import gradarray as ga
    >>> F = ga.nn.functional
    >>> F.scaled_dot_product_attention([[0.0]], [[1.0], [2.0]], [[3.0], [5.0]])
    GradArray([[4.]], dtype=float64)
    """
    op = "scaled_dot_product_attention"
    query, key, value = lift(query, op), lift(key, op), lift(value, op)
    attention.check_values(key, value, op)
    weights = attention.attention_weights(query, key, attn_mask, is_causal, scale, op)
    return matmul(dropout(weights, dropout_p, generator=generator), value)
