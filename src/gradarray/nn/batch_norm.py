"""Normalisation by statistics that run along: BatchNorm1d/2d/3d, InstanceNorm1d/2d/3d."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift, wrap
from ..errors import ShapeError, message
from ..graph import no_grad
from ..ops import normalize as ops
from ..ops.powers import rsqrt
from . import init
from .layer import as_input, claim, dtype_of, empty
from .module import Module
from .state import set_value


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> GradArray:
    r"""y = w_c (x - \mu_c) / \sqrt{\sigma_c^2 + eps} + b_c for each channel c (axis 1).

    In training \mu and \sigma are the batch's, over all axes but the channels', and running_mean
    and running_var (if not None) are moved to (1 - momentum) old + momentum new, the variance by
    n/(n - 1). Otherwise the running ones are used. Raises ValueError for one value per channel in
    training.

    >>> import gradarray as ga
    >>> m, v = ga.zeros(1), ga.ones(1)
    >>> F = ga.nn.functional
    >>> F.batch_norm([[1.0], [3.0]], m, v, training=True, eps=0.0).tolist(), m.tolist(), v.tolist()
    ([[-1.0], [1.0]], [0.2], [1.1])
    """
    x = lift(input, "batch_norm")
    if x.ndim < 2:
        raise ShapeError(message("batch_norm", f"input of shape {x.shape}; it is (N, C, ...)."))
    axes = (-x.ndim, *range(2 - x.ndim, 0))
    return _running_norm(
        x, axes, running_mean, running_var, weight, bias, training, momentum, eps, "batch_norm"
    )


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> GradArray:
    r"""y = w_c (x - \mu_{nc}) / \sqrt{\sigma_{nc}^2 + eps} + b_c over the axes after channels.

    With use_input_stats=False \mu and \sigma are the running ones, as in `batch_norm`.

    >>> import gradarray as ga
    >>> ga.nn.functional.instance_norm([[[1.0, 3.0]]], eps=0.0)
    GradArray([[[-1.,  1.]]], dtype=float64)
    """
    x = lift(input, "instance_norm")
    if x.ndim < 3:
        raise ShapeError(
            message("instance_norm", f"input of shape {x.shape}; it is (N, C, L, ...).")
        )
    axes = tuple(range(2 - x.ndim, 0))
    return _running_norm(
        x, axes, running_mean, running_var, weight, bias, use_input_stats, momentum, eps,
        "instance_norm",
    )  # fmt: skip


def _running_norm(
    x: Any, axes: tuple[int, ...], running_mean: Any, running_var: Any, weight: Any, bias: Any,
    training: bool, momentum: Any, eps: float, op: str,
) -> GradArray:  # fmt: skip
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(message(op, "no running statistics, and training=False."))
        rest = x - ops.per_channel(running_mean, x.ndim - 2)
        variance = ops.per_channel(running_var, x.ndim - 2)
    else:
        n = math.prod(x.shape[k] for k in axes)
        if n < 2:
            raise ValueError(
                message(
                    op,
                    f"input of shape {x.shape} has {n} value per channel, whose variance is 0.",
                    "Use a larger batch, or model.eval().",
                )
            )
        rest, centre, variance = ops.moments(x, axes)
        if running_mean is not None:
            _follow(running_mean, centre, momentum)
        if running_var is not None:
            _follow(running_var, variance * (n / (n - 1)), momentum)
    return ops.scaled(rest * rsqrt(variance + eps), weight, bias, x.ndim - 2)


def _follow(running: GradArray, new: Any, momentum: Any) -> None:
    """running = (1 - momentum) running + momentum new, averaged over samples."""
    with no_grad():
        new = new.reshape(new.shape[0], new.shape[1]).mean(0)
        set_value(running, running * (1 - momentum) + new * momentum)


class _ByChannel(Module):
    """What batch and instance normalisation share: a scale and running statistics per channel."""

    axes: tuple[int, ...]  # numbers of axes that the input may have
    takes: str

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, bias: bool, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        kind = dtype_of(dtype)
        self.register_parameter("weight", empty((num_features,), kind) if affine else None)
        shifted = affine and bias
        self.register_parameter("bias", empty((num_features,), kind) if shifted else None)
        tracked = track_running_stats
        size = (num_features,)
        claim(2 * num_features if tracked else 0, 2)
        self.register_buffer("running_mean", wrap(np.zeros(size, kind)) if tracked else None)
        self.register_buffer("running_var", wrap(np.ones(size, kind)) if tracked else None)
        self.register_buffer("num_batches_tracked", wrap(np.float64(0)) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, no statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _input(self, input: Any) -> Any:
        own = self.running_mean if self.weight is None else self.weight
        input = as_input(input, None if own is None else own.dtype)
        channels = input.shape[self._channel_axis(input.ndim)] if input.ndim > 1 else None
        if input.ndim not in self.axes or channels != self.num_features:
            raise ShapeError(
                message(
                    "input",
                    f"shape {input.shape}; the layer takes {self.takes} with "
                    f"C={self.num_features} channels.",
                    "Change num_features, or reshape the input.",
                )
            )
        return input

    def _channel_axis(self, ndim: int) -> int:
        return 1

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ByChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, input: Any) -> Any:
        input = self._input(input)
        factor: Any = 0.0 if self.momentum is None else self.momentum
        count = None
        if self.training and self.num_batches_tracked is not None:
            count = self.num_batches_tracked + 1
            if self.momentum is None:
                factor = 1 / count
        y = batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            factor,
            self.eps,
        )
        if count is not None and self.num_batches_tracked is not None:
            set_value(self.num_batches_tracked, count)
        return y


class BatchNorm1d(_BatchNorm):
    r"""y = w_c (x - \mu_c) / \sqrt{\sigma_c^2 + eps} + b_c for each channel c.

    x: (N, C) or (N, C, L), C = num_features; w and b: (C,), starting at 1 and 0 (none with
    affine=False). In training mean and variance are the batch's (its variance with 1/n), and the
    running ones become (1 - momentum) old + momentum new (the variance with 1/(n - 1));
    momentum=None averages over all batches. In eval mode the running ones are used. Raises
    ShapeError for other shapes, ValueError for one value per channel in training. (Ioffe &
    Szegedy, "Batch normalization", ICML 2015.)

    >>> import gradarray as ga
    >>> layer = ga.nn.BatchNorm1d(2)
    >>> layer(ga.array([[1.0, 5.0], [3.0, 5.0]])).numpy().round(3)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    >>> layer.running_mean
    GradArray([0.2, 0.5], dtype=float32)
    """

    axes, takes = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images, x: (N, C, H, W).

    >>> import gradarray as ga
    >>> ga.nn.BatchNorm2d(3)(ga.random.normal(size=(2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    axes, takes = (4,), "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes, x: (N, C, D, H, W).

    >>> import gradarray as ga
    >>> ga.nn.BatchNorm3d(3)(ga.random.normal(size=(2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    axes, takes = (5,), "(N, C, D, H, W)"


class _InstanceNorm(_ByChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def _channel_axis(self, ndim: int) -> int:
        return 0 if ndim == self.axes[0] else 1

    def forward(self, input: Any) -> Any:
        input = self._input(input)
        alone = input.ndim == self.axes[0]
        x = input.reshape(1, *input.shape) if alone else input
        y = instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.reshape(input.shape) if alone else y


class InstanceNorm1d(_InstanceNorm):
    r"""y = w_c (x - \mu_{nc}) / \sqrt{\sigma_{nc}^2 + eps} + b_c, for each sample and channel.

    x: (N, C, L) or (C, L), C = num_features. Without scale and running statistics by default.
    (Ulyanov, Vedaldi, Lempitsky, "Instance normalization", arXiv:1607.08022.)

    >>> import gradarray as ga
    >>> ga.nn.InstanceNorm1d(1)([[[1.0, 3.0]]]).numpy().round(3)
    array([[[-1.,  1.]]])
    """

    axes, takes = (2, 3), "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images, x: (N, C, H, W) or (C, H, W).

    >>> import gradarray as ga
    >>> ga.nn.InstanceNorm2d(3)(ga.random.normal(size=(2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    axes, takes = (3, 4), "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes, x: (N, C, D, H, W) or (C, D, H, W).

    >>> import gradarray as ga
    >>> ga.nn.InstanceNorm3d(3)(ga.random.normal(size=(2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    axes, takes = (4, 5), "(N, C, D, H, W) or (C, D, H, W)"
