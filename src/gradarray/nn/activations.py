"""Activation functions as modules; the formulas are those of the functions of the same names."""

from __future__ import annotations

from typing import Any

from ..array import lift
from ..errors import ShapeError, message
from ..ops import activations as ops
from ..ops import functional as composed
from ..ops import piecewise
from ..ops.compare import relu
from ..ops.exponential import sigmoid
from ..ops.hyperbolic import tanh
from . import init as initialisers
from .layer import as_input, empty
from .module import Module

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid",
    "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    "Threshold",
]  # fmt: skip


class _Activation(Module):
    """An activation without parameters: `function`, and the arguments that `fields` names."""

    function: Any
    fields: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return type(self).function(input, *(getattr(self, name) for name in self.fields))

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self.fields]
        if self.__dict__.get("inplace"):
            shown.append("inplace=True")
        return ", ".join(shown)


class _InPlace(_Activation):
    """`inplace` is accepted for PyTorch's sake; values are never changed in place."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class ReLU(_InPlace):
    r"""y = \max(x, 0).

    >>> import gradarray as ga
    >>> ga.nn.ReLU()([-1.0, 2.0])
    GradArray([0., 2.], dtype=float64)
    """

    function = relu


class ReLU6(_InPlace):
    """y = x, cut off at 0 and 6."""

    function = piecewise.relu6


class SELU(_InPlace):
    r"""y = \lambda x for x > 0, else \lambda \alpha (e^x - 1): see `gradarray.selu`."""

    function = ops.selu


class SiLU(_InPlace):
    """y = x sigmoid(x), also called swish."""

    function = ops.silu


class Mish(_InPlace):
    r"""y = x \tanh(\log(1 + e^x))."""

    function = ops.mish


class Hardsigmoid(_InPlace):
    """y = x/6 + 1/2, cut off at 0 and 1."""

    function = piecewise.hard_sigmoid


class Hardswish(_InPlace):
    """y = x hardsigmoid(x)."""

    function = piecewise.hard_swish


class Sigmoid(_Activation):
    r"""y = 1 / (1 + e^{-x}).

    >>> import gradarray as ga
    >>> ga.nn.Sigmoid()(0.0)
    GradArray(0.5, dtype=float64)
    """

    function = sigmoid


class Tanh(_Activation):
    r"""y = \tanh x."""

    function = tanh


class LogSigmoid(_Activation):
    r"""y = \log sigmoid(x)."""

    function = ops.log_sigmoid


class Softsign(_Activation):
    """y = x / (1 + |x|)."""

    function = ops.softsign


class Tanhshrink(_Activation):
    r"""y = x - \tanh x."""

    function = ops.tanhshrink


class LeakyReLU(_Activation):
    """y = x for x > 0, else negative_slope x."""

    function = piecewise.leaky_relu
    fields = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(_Activation):
    """y = x for x > 0, else alpha (e^x - 1)."""

    function = ops.elu
    fields = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class CELU(_Activation):
    r"""y = x for x > 0, else alpha (e^{x/alpha} - 1)."""

    function = ops.celu
    fields = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class GELU(_Activation):
    r"""y = x \Phi(x), \Phi the standard normal's; approximate="tanh" for the approximate form."""

    function = ops.gelu
    fields = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is "none" or "tanh", not {approximate!r}')
        self.approximate = approximate


class Softplus(_Activation):
    r"""y = \log(1 + e^{\beta x}) / \beta, and x where \beta x > threshold."""

    function = ops.softplus
    fields = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold


class Hardtanh(_Activation):
    """y = x, cut off at min_val and max_val."""

    function = piecewise.hard_tanh
    fields = ("min_val", "max_val")

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace


class _Shrink(_Activation):
    fields = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """y = x where |x| > lambd, else 0."""

    function = piecewise.hardshrink


class Softshrink(_Shrink):
    """y = x moved towards 0 by lambd, and 0 within lambd of it."""

    function = piecewise.softshrink


class Threshold(_Activation):
    """y = x where x > threshold, else `value`."""

    function = piecewise.threshold
    fields = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace


class PReLU(Module):
    """y = x for x > 0, else w x, the slopes w trained: one, or one per channel (axis 1).

    >>> import gradarray as ga
    >>> ga.nn.PReLU()([[-1.0, 2.0]])
    GradArray([[-0.25,  2.  ]], dtype=float32, grad_op=PReLUGrad)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = empty((num_parameters,), dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every slope to `init`."""
        initialisers.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        return piecewise.prelu(as_input(input, self.weight.dtype), self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class _AlongAxis(Module):
    """A function along one axis, named `dim`."""

    function: Any

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return type(self).function(input, axis=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    r"""y_i = e^{x_i} / \sum_j e^{x_j} along `dim`, the last axis by default.

    >>> import gradarray as ga
    >>> ga.nn.Softmax(dim=1)([[0.0, 0.0]])
    GradArray([[0.5, 0.5]], dtype=float64)
    """

    function = composed.softmax


class LogSoftmax(_AlongAxis):
    r"""y_i = x_i - \log \sum_j e^{x_j} along `dim`, the last axis by default."""

    function = composed.log_softmax


class Softmin(_AlongAxis):
    r"""y_i = e^{-x_i} / \sum_j e^{-x_j} along `dim`, the last axis by default."""

    function = composed.softmin


class GLU(_AlongAxis):
    r"""y = a \sigma(b), a and b the halves of x along `dim`."""

    function = composed.glu


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        input = lift(input)
        if input.ndim not in (3, 4):
            raise ShapeError(
                message("Softmax2d", f"takes (N, C, H, W) or (C, H, W), not {input.shape}.")
            )
        return composed.softmax(input, axis=-3)

