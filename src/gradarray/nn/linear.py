"""Linear maps: Linear, Bilinear, Identity."""

from __future__ import annotations

import math
from typing import Any

from ..ops.functional import bilinear, linear
from . import init
from .layer import as_input, empty
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """y = x, whatever arguments it is made with.

    >>> import gradarray as ga
    >>> ga.nn.Identity()(3.0)
    3.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input

    def get_config(self) -> dict[str, Any]:
        """Nothing: its arguments mean nothing."""
        return {}


class Linear(Module):
    r"""y = x W^T + b.

    x: (..., in_features), W: (out_features, in_features), b: (out_features,),
    y: (..., out_features). Both start uniform in [-k, k], k = 1/\sqrt{in_features}. Raises
    ShapeError where the last axis of x is not in_features long.

    >>> import gradarray as ga
    >>> layer = ga.nn.Linear(3, 2)
    >>> layer(ga.array([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty((out_features, in_features), dtype)
        self.bias: Parameter | None
        self.register_parameter("bias", empty((out_features,), dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        return linear(as_input(input, self.weight.dtype), self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    r"""y_o = x_1^T A_o x_2 + b_o.

    x_1: (..., in1_features), x_2: (..., in2_features) with the same leading axes, A: (out_features,
    in1_features, in2_features), y: (..., out_features). A and b start uniform in [-k, k],
    k = 1/\sqrt{in1_features}.

    >>> import gradarray as ga
    >>> ga.nn.Bilinear(3, 4, 2)(ga.zeros((5, 3)), ga.zeros((5, 4))).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = empty((out_features, in1_features, in2_features), dtype)
        self.bias: Parameter | None
        self.register_parameter("bias", empty((out_features,), dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        dtype = self.weight.dtype
        return bilinear(
            as_input(input1, dtype, "input1"), as_input(input2, dtype, "input2"),
            self.weight, self.bias,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
