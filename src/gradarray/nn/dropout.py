"""Dropout: random zeros in training, of single values or of whole channels."""

from __future__ import annotations

from typing import Any

from .. import random
from ..array import GradArray, lift
from ..errors import ShapeError, message
from ..ops.compare import greater_equal
from ..ops.shape import astype
from .module import Module


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
    """`dropout` of whole channels of (N, C, L) or (C, L).

    >>> import gradarray as ga
    >>> ga.nn.functional.dropout1d(ga.ones((2, 3, 4))).shape
    (2, 3, 4)
    """
    return feature_dropout(input, p, training, inplace, 1, generator, "dropout1d")


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
    generator: Any = None,
) -> GradArray:  # fmt: skip
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W).

    >>> import gradarray as ga
    >>> ga.nn.functional.dropout2d(ga.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """
    return feature_dropout(input, p, training, inplace, 2, generator, "dropout2d")


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
    generator: Any = None,
) -> GradArray:  # fmt: skip
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import gradarray as ga
    >>> ga.nn.functional.dropout3d(ga.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """
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


class _Dropout(Module):
    function: Any

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Any = None) -> None:
        super().__init__()
        check_probability(p, type(self).__name__)
        self.p, self.inplace, self.generator = p, inplace, generator

    def forward(self, input: Any) -> Any:
        return type(self).function(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    r"""y = x m / (1 - p) in training, each m 0 with probability p, else 1; y = x in eval mode.

    The numbers come from `generator`, by default from the stream of `ga.random`. Raises
    ValueError unless 0 <= p <= 1. (Srivastava et al., "Dropout", JMLR 15, 2014.)

    >>> import gradarray as ga
    >>> layer = ga.nn.Dropout(0.25)
    >>> sorted(set(layer(ga.ones(1000)).numpy().round(2).tolist()))
    [0.0, 1.33]
    >>> layer.eval()(ga.ones(2))
    GradArray([1., 1.], dtype=float64)
    """

    function = dropout


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of (N, C, L) or (C, L).

    >>> import gradarray as ga
    >>> ga.nn.Dropout1d()(ga.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    function = dropout1d


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of (N, C, H, W) or (C, H, W).

    >>> import gradarray as ga
    >>> ga.nn.Dropout2d()(ga.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    function = dropout2d


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import gradarray as ga
    >>> ga.nn.Dropout3d()(ga.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    function = dropout3d
