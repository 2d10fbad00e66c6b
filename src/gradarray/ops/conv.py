"""Convolutions over one, two and three spatial axes, and their transposes.

Three Multilinear ops, each the transpose of the other two: correlation of an array with a kernel,
the transposed correlation, and the correlation of an array with an output, which is a kernel.
Their rules stay among the three, so derivatives of any order do.
"""

from __future__ import annotations

import operator
from typing import Any

from ..algebra import Multilinear
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..record import apply
from ..registry import arr, case, public
from . import definitions
from .columns import Geometry, correlate, correlate_back, correlate_weight
from .shape import reshape
from .spatial import batched, paddings, per_axis

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


# Static parameters of all three: `at`, the geometry, `groups`, and `size`, the spatial shape of
# the result (a stride leaves that of a transpose open).


class ConvGrad(Multilinear):
    r"""y_{not} = \sum_{ck} x_{nc, t s + k d - p} w_{ock}: groups of channels, spatial axes t."""

    name = "conv"
    operands = ("x", "w")
    forward = staticmethod(lambda x, w, size, groups, at: correlate(x, w, size, groups, at))
    shape_of = staticmethod(lambda x, w, size, groups, at: (x[0], w[0], *size))
    transposes = (
        lambda y_bar, w, x_like, groups, at: apply(
            ConvTransposeGrad, y_bar, w, size=x_like.shape[2:], groups=groups, at=at
        ),
        lambda y_bar, x, w_like, groups, at: apply(
            ConvWeightGrad, x, y_bar, size=w_like.shape[2:], groups=groups, at=at
        ),
    )
    tex = r"{x} \star {w}"


class ConvTransposeGrad(Multilinear):
    r"""x_{nci} = \sum_{ok} z_{not} w_{ock} over t s + k d - p = i: the transpose of conv in x."""

    name = "conv_transpose"
    operands = ("z", "w")
    forward = staticmethod(lambda z, w, size, groups, at: correlate_back(z, w, size, groups, at))
    shape_of = staticmethod(lambda z, w, size, groups, at: (z[0], w[1] * groups, *size))
    transposes = (
        lambda x_bar, w, z_like, groups, at: apply(
            ConvGrad, x_bar, w, size=z_like.shape[2:], groups=groups, at=at
        ),
        lambda x_bar, z, w_like, groups, at: apply(
            ConvWeightGrad, x_bar, z, size=w_like.shape[2:], groups=groups, at=at
        ),
    )
    tex = r"{z} \star^T {w}"


class ConvWeightGrad(Multilinear):
    r"""w_{ock} = \sum_{nt} x_{nc, t s + k d - p} z_{not}: the transpose of conv in its kernel."""

    name = "conv_weight"
    operands = ("x", "z")
    forward = staticmethod(lambda x, z, size, groups, at: correlate_weight(x, z, size, groups, at))
    shape_of = staticmethod(lambda x, z, size, groups, at: (z[1], x[1] // groups, *size))
    transposes = (
        lambda w_bar, z, x_like, groups, at: apply(
            ConvTransposeGrad, z, w_bar, size=x_like.shape[2:], groups=groups, at=at
        ),
        lambda w_bar, x, z_like, groups, at: apply(
            ConvGrad, x, w_bar, size=z_like.shape[2:], groups=groups, at=at
        ),
    )
    tex = r"{x} \star {z}"


# Arguments ----------------------------------------------------------------------------------------


def _weights(x: Any, weight: Any, groups: Any, op: str, takes: int) -> int:
    """Check kernels against the input's channels; the kernels' axis `takes` meets them."""
    groups = operator.index(groups)
    if groups < 1:
        raise ValueError(message(op, f"groups={groups} must be at least 1."))
    if weight.ndim != x.ndim:
        raise ShapeError(
            message(op, f"weight of shape {weight.shape} must have {x.ndim} axes, as the input.")
        )
    channels = x.shape[1]
    wanted = weight.shape[1] * groups if takes == 1 else weight.shape[0]
    if channels != wanted:
        times = f" in {groups} groups, {wanted} together" if takes == 1 and groups > 1 else ""
        raise ShapeError(
            message(
                op,
                f"input {x.shape} has {channels} channels (axis 1), weight {weight.shape} takes "
                f"{weight.shape[takes]} (axis {takes}){times}.",
                "The channels of input and weight must be equal.",
            )
        )
    if weight.shape[0] % groups:
        raise ShapeError(
            message(
                op,
                f"axis 0 of weight {weight.shape} does not divide into {groups} groups.",
                "Make it a multiple of groups.",
            )
        )
    return groups


def _with_bias(y: Any, bias: Any, n: int, op: str) -> Any:
    if bias is None:
        return y
    bias = lift(bias, op)
    if bias.shape != (y.shape[1],):
        raise ShapeError(
            message(op, f"bias of shape {bias.shape} must be ({y.shape[1]},), one per channel.")
        )
    return y + reshape(bias, (y.shape[1], *(1,) * n))


def _conv(
    n: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> GradArray:
    op = f"conv{n}d"
    x, alone = batched(lift(x, op), n, op)
    weight = lift(weight, op)
    groups = _weights(x, weight, groups, op, takes=1)
    kernel, length = weight.shape[2:], x.shape[2:]
    stride = per_axis(stride, n, op, "stride", 1)
    dilation = per_axis(dilation, n, op, "dilation", 1)
    low, high = paddings(padding, kernel, stride, dilation, op)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    room = [p + m + q for p, m, q in zip(low, length, high)]
    for axis, (span, have) in enumerate(zip(spans, room)):
        if span > have or span < 1:
            raise ShapeError(
                message(
                    op,
                    f"along spatial axis {axis} the kernel covers {span} values, the input has "
                    f"{have} with its padding (input {x.shape}, weight {weight.shape}).",
                    "Use a smaller kernel or dilation, or more padding.",
                )
            )
    size = tuple((have - span) // s + 1 for span, have, s in zip(spans, room, stride))
    at = Geometry(stride, dilation, low)
    y = apply(ConvGrad, x, weight, size=size, groups=groups, at=at)
    y = _with_bias(y, bias, n, op)
    return reshape(y, y.shape[1:]) if alone else y


def _conv_transpose(
    n: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> GradArray:
    op = f"conv_transpose{n}d"
    x, alone = batched(lift(x, op), n, op)
    weight = lift(weight, op)
    groups = _weights(x, weight, groups, op, takes=0)
    stride = per_axis(stride, n, op, "stride", 1)
    dilation = per_axis(dilation, n, op, "dilation", 1)
    low = per_axis(padding, n, op, "padding", 0)
    more = per_axis(output_padding, n, op, "output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(more, stride, dilation)):
        raise ValueError(
            message(
                op,
                f"output_padding={more} must be below stride {stride} or dilation {dilation}.",
                "It only chooses among the sizes that a strided convolution maps to one.",
            )
        )
    size = tuple(
        (m - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for m, s, p, d, k, e in zip(x.shape[2:], stride, low, dilation, weight.shape[2:], more)
    )
    if any(m < 1 for m in size):
        raise ShapeError(
            message(
                op,
                f"input {x.shape} and weight {weight.shape} give an output of shape {size}.",
                "Use less padding.",
            )
        )
    at = Geometry(stride, dilation, low)
    y = apply(ConvTransposeGrad, x, weight, size=size, groups=groups, at=at)
    y = _with_bias(y, bias, n, op)
    return reshape(y, y.shape[1:]) if alone else y


# The public functions -----------------------------------------------------------------------------


@public(
    op=ConvGrad,
    reference=definitions.conv,
    cases=[
        case(arr(2, 2, 7), arr(3, 2, 3)),
        case(arr(2, 4, 8), arr(4, 2, 3), arr(4), stride=2, padding=2, dilation=2, groups=2),
        case(arr(2, 1, 6), arr(2, 1, 4), padding="same"),
    ],
)
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> GradArray:
    r"""y_{not} = b_o + \sum_{ck} x_{nc, ts + kd - p} w_{ock}: cross-correlation along one axis.

    x (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,); y (N, O, (L + 2p - d(K-1) - 1) // s
    + 1). `padding` is a number, "valid" (0) or "same" (stride 1; odd padding goes after). Raises
    ShapeError where channels and groups do not fit or the kernel is larger than the padded input.

    >>> import gradarray as ga
    >>> ga.conv1d([[1.0, 2.0, 4.0]], [[[1.0, -1.0]]])
    GradArray([[-1., -2.]], dtype=float64)
    """
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


@public(
    op=ConvGrad,
    reference=definitions.conv,
    cases=[
        case(arr(2, 2, 5, 4), arr(3, 2, 3, 2)),
        case(arr(2, 2, 5, 6), arr(2, 1, 3, 3), arr(2), stride=(2, 1), padding=(1, 2), groups=2),
        case(arr(1, 2, 5, 5), arr(2, 2, 2, 2), dilation=(2, 1), padding="same"),
    ],
)
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> GradArray:
    r"""y_{noij} = b_o + \sum_{cuv} x_{nc, is + ud - p, js + vd - p} w_{ocuv}: over two axes.

    x (N, C, H, W) or (C, H, W), weight (O, C / groups, U, V), bias (O,); stride, padding and
    dilation a number or one per axis; the rest as in `conv1d`.

    >>> import gradarray as ga
    >>> x = ga.array([[[1.0, 2.0], [3.0, 5.0]]])
    >>> ga.conv2d(x, [[[[1.0, 1.0]]]])
    GradArray([[[3.],
                [8.]]], dtype=float64)
    """
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


@public(
    op=ConvGrad,
    reference=definitions.conv,
    cases=[case(arr(1, 2, 3, 4, 3), arr(2, 2, 2, 2, 2), stride=(1, 2, 1), padding=1)],
)
def conv3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> GradArray:
    r"""y_{not} = b_o + \sum_{ck} x_{nc, ts + kd - p} w_{ock}, t and k triples of indices.

    x (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, T, U, V), bias (O,); the rest as in
    `conv1d`.

    >>> import gradarray as ga
    >>> ga.conv3d([[[[1.0, 2.0]]]], [[[[[1.0, 1.0]]]]])
    GradArray([[[[3.]]]], dtype=float64)
    """
    return _conv(3, x, weight, bias, stride, padding, dilation, groups)


@public(
    op=ConvTransposeGrad,
    reference=definitions.conv_transpose,
    cases=[
        case(arr(2, 3, 4), arr(3, 2, 3)),
        case(arr(2, 4, 3), arr(4, 1, 3), arr(2), 3, 1, 2, 2),
    ],
)
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> GradArray:
    r"""y_{noi} = b_o + \sum_{ck} x_{nct} w_{cok} over ts + kd - p = i: `conv1d` transposed in x.

    x (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,); y has length (L-1)s - 2p + d(K-1) +
    output_padding + 1. Raises ShapeError where channels do not fit or nothing is left of y.

    >>> import gradarray as ga
    >>> ga.conv_transpose1d([[1.0, 2.0]], [[[1.0, -1.0]]])
    GradArray([[ 1.,  1., -2.]], dtype=float64)
    """
    return _conv_transpose(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


@public(
    op=ConvTransposeGrad,
    reference=definitions.conv_transpose,
    cases=[
        case(arr(2, 2, 3, 2), arr(2, 3, 2, 3)),
        case(arr(1, 2, 3, 2), arr(2, 1, 3, 2), stride=2, padding=1, output_padding=1, groups=2),
    ],
)
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> GradArray:
    r"""y_{noi} = b_o + \sum_{ck} x_{nct} w_{cok} over ts + kd - p = i, i, t and k pairs of indices.

    x (N, C, H, W) or (C, H, W), weight (C, O / groups, U, V), bias (O,); the rest as in
    `conv_transpose1d`.

    >>> import gradarray as ga
    >>> ga.conv_transpose2d([[[1.0, 2.0]]], [[[[1.0], [3.0]]]])
    GradArray([[[1., 2.],
                [3., 6.]]], dtype=float64)
    """
    return _conv_transpose(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


@public(
    op=ConvTransposeGrad,
    reference=definitions.conv_transpose,
    cases=[case(arr(1, 2, 2, 3, 2), arr(2, 2, 2, 1, 2), stride=2)],
)
def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> GradArray:
    r"""y_{noi} = b_o + \sum_{ck} x_{nct} w_{cok} over ts + kd - p = i, i, t and k triples.

    x (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, T, U, V), bias (O,); the rest as in
    `conv_transpose1d`.

    >>> import gradarray as ga
    >>> ga.conv_transpose3d([[[[2.0]]]], [[[[[1.0, 3.0]]]]])
    GradArray([[[[2., 6.]]]], dtype=float64)
    """
    return _conv_transpose(3, x, weight, bias, stride, padding, output_padding, groups, dilation)
