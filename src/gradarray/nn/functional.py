"""Functions of networks under PyTorch's names and arguments (`input`, `dim`, `keepdim`).

Most are functions of `gradarray` with their arguments renamed; `axis` and `x` of NumPy's face are
`dim` and `input` here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..array import GradArray, lift
from ..ops import activations, attention, avgpool, conv, piecewise, pool
from ..ops import functional as composed
from ..ops import normalize as norms
from ..ops.compare import relu as _relu
from ..ops.contract import matmul
from ..ops.hyperbolic import sigmoid as _sigmoid
from ..ops.hyperbolic import tanh as _tanh
from .batch_norm import batch_norm, instance_norm
from .dropout import dropout, dropout1d, dropout2d, dropout3d
from .loss_classes import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    multi_margin_loss,
    nll_loss,
)
from .loss_pairs import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from .loss_values import (
    gaussian_nll_loss,
    huber_loss,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from .names import check_arguments
from .upsampling import interpolate

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pairwise_distance",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def _renamed(fn: Callable[..., Any], name: str = "", **names: str) -> Callable[..., Any]:
    """`fn` under PyTorch's names of its arguments: {its name: PyTorch's}."""
    signature = inspect.signature(fn)
    names = {"x": "input"} | names
    names = {old: new for old, new in names.items() if old in signature.parameters}
    back = {new: old for old, new in names.items()}

    @functools.wraps(fn)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        for given in names.keys() & kwargs.keys():
            raise TypeError(f"{label}() has no argument {given!r}. Here it is {names[given]!r}.")
        if not kwargs.keys() <= known:
            check_arguments(f"{label}()", renamed.__signature__, kwargs)  # type: ignore[attr-defined]
        return fn(*args, **{back.get(k, k): v for k, v in kwargs.items()})

    known = back.keys() | signature.parameters.keys()
    label = renamed.__name__ = renamed.__qualname__ = name or fn.__name__
    renamed.__module__ = __name__
    renamed.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            p.replace(name=names.get(p.name, p.name)) for p in signature.parameters.values()
        ]
    )
    doc = inspect.getdoc(fn) or ""
    for old, new in names.items():
        doc = doc.replace(f"`{old}`", f"`{new}`")
    renamed.__doc__ = f"`gradarray.{fn.__name__}` under PyTorch's argument names.\n\n{doc}"
    return renamed


# Activations --------------------------------------------------------------------------------------

relu = _renamed(_relu)
sigmoid = _renamed(_sigmoid)
tanh = _renamed(_tanh)
relu6 = _renamed(piecewise.relu6)
leaky_relu = _renamed(piecewise.leaky_relu)
prelu = _renamed(piecewise.prelu)
elu = _renamed(activations.elu)
celu = _renamed(activations.celu)
selu = _renamed(activations.selu)
gelu = _renamed(activations.gelu)
silu = _renamed(activations.silu)
mish = _renamed(activations.mish)
softplus = _renamed(activations.softplus)
softsign = _renamed(activations.softsign)
logsigmoid = _renamed(activations.log_sigmoid, "logsigmoid")
hardsigmoid = _renamed(piecewise.hard_sigmoid, "hardsigmoid")
hardtanh = _renamed(piecewise.hard_tanh, "hardtanh")
hardswish = _renamed(piecewise.hard_swish, "hardswish")
hardshrink = _renamed(piecewise.hardshrink)
softshrink = _renamed(piecewise.softshrink)
tanhshrink = _renamed(activations.tanhshrink)
threshold = _renamed(piecewise.threshold)
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
max_pool1d = _renamed(pool.max_pool1d)
max_pool2d = _renamed(pool.max_pool2d)
max_pool3d = _renamed(pool.max_pool3d)
adaptive_max_pool1d = _renamed(pool.adaptive_max_pool1d)
adaptive_max_pool2d = _renamed(pool.adaptive_max_pool2d)
adaptive_max_pool3d = _renamed(pool.adaptive_max_pool3d)
avg_pool1d = _renamed(avgpool.avg_pool1d)
avg_pool2d = _renamed(avgpool.avg_pool2d)
avg_pool3d = _renamed(avgpool.avg_pool3d)
adaptive_avg_pool1d = _renamed(avgpool.adaptive_avg_pool1d)
adaptive_avg_pool2d = _renamed(avgpool.adaptive_avg_pool2d)
adaptive_avg_pool3d = _renamed(avgpool.adaptive_avg_pool3d)

# Normalisation and distances ----------------------------------------------------------------------

layer_norm = _renamed(norms.layer_norm)
rms_norm = _renamed(norms.rms_norm)
group_norm = _renamed(norms.group_norm)
normalize = _renamed(norms.normalize, axis="dim")
cosine_similarity = _renamed(norms.cosine_similarity, axis="dim")
pairwise_distance = _renamed(norms.pairwise_distance, keepdims="keepdim")


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
