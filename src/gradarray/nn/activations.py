"""Activation functions as modules: each calls the function of `gradarray` with its formula."""

from __future__ import annotations

from typing import Any

from ..ops import activations as ops
from ..ops import piecewise
from ..ops.compare import relu
from ..ops.exponential import sigmoid
from ..ops.hyperbolic import tanh
from . import init as initialisers
from .layer import as_input, empty
from .module import Module

__all__ = [
    "CELU", "ELU", "GELU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softplus",
    "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
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
    """y = x, cut off at 0 and 6.

    >>> import gradarray as ga
    >>> ga.nn.ReLU6()([-1.0, 3.0, 8.0])
    GradArray([0., 3., 6.], dtype=float64)
    """

    function = piecewise.relu6


class SELU(_InPlace):
    r"""y = \lambda x for x > 0, else \lambda \alpha (e^x - 1): see `gradarray.selu`.

    >>> import gradarray as ga
    >>> ga.nn.SELU()([0.0, 1.0])
    GradArray([0.        , 1.05070099], dtype=float64)
    """

    function = ops.selu


class SiLU(_InPlace):
    """y = x sigmoid(x), also called swish.

    >>> import gradarray as ga
    >>> ga.nn.SiLU()([0.0, 2.0])
    GradArray([0.        , 1.76159416], dtype=float64)
    """

    function = ops.silu


class Mish(_InPlace):
    r"""y = x \tanh(\log(1 + e^x)).

    >>> import gradarray as ga
    >>> ga.nn.Mish()([0.0, 2.0])
    GradArray([0.        , 1.94395896], dtype=float64)
    """

    function = ops.mish


class Hardsigmoid(_InPlace):
    """y = x/6 + 1/2, cut off at 0 and 1.

    >>> import gradarray as ga
    >>> ga.nn.Hardsigmoid()([-3.0, 0.0, 9.0])
    GradArray([0. , 0.5, 1. ], dtype=float64)
    """

    function = piecewise.hard_sigmoid


class Hardswish(_InPlace):
    """y = x hardsigmoid(x).

    >>> import gradarray as ga
    >>> ga.nn.Hardswish()([1.0, 9.0])
    GradArray([0.66666667, 9.        ], dtype=float64)
    """

    function = piecewise.hard_swish


class Sigmoid(_Activation):
    r"""y = 1 / (1 + e^{-x}).

    >>> import gradarray as ga
    >>> ga.nn.Sigmoid()(0.0)
    GradArray(0.5, dtype=float64)
    """

    function = sigmoid


class Tanh(_Activation):
    r"""y = \tanh x.

    >>> import gradarray as ga
    >>> ga.nn.Tanh()([0.0, 1.0])
    GradArray([0.        , 0.76159416], dtype=float64)
    """

    function = tanh


class LogSigmoid(_Activation):
    r"""y = \log sigmoid(x).

    >>> import gradarray as ga
    >>> ga.nn.LogSigmoid()([0.0, 2.0])
    GradArray([-0.69314718, -0.12692801], dtype=float64)
    """

    function = ops.log_sigmoid


class Softsign(_Activation):
    """y = x / (1 + |x|).

    >>> import gradarray as ga
    >>> ga.nn.Softsign()([-1.0, 3.0])
    GradArray([-0.5 ,  0.75], dtype=float64)
    """

    function = ops.softsign


class Tanhshrink(_Activation):
    r"""y = x - \tanh x.

    >>> import gradarray as ga
    >>> ga.nn.Tanhshrink()([0.0, 1.0])
    GradArray([0.        , 0.23840584], dtype=float64)
    """

    function = ops.tanhshrink


class LeakyReLU(_Activation):
    """y = x for x > 0, else negative_slope x.

    >>> import gradarray as ga
    >>> ga.nn.LeakyReLU(0.1)([-1.0, 2.0])
    GradArray([-0.1,  2. ], dtype=float64)
    """

    function = piecewise.leaky_relu
    fields = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(_Activation):
    """y = x for x > 0, else alpha (e^x - 1).

    >>> import gradarray as ga
    >>> ga.nn.ELU()([-1.0, 2.0])
    GradArray([-0.63212056,  2.        ], dtype=float64)
    """

    function = ops.elu
    fields = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class CELU(_Activation):
    r"""y = x for x > 0, else alpha (e^{x/alpha} - 1).

    >>> import gradarray as ga
    >>> ga.nn.CELU()([-1.0, 2.0])
    GradArray([-0.63212056,  2.        ], dtype=float64)
    """

    function = ops.celu
    fields = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class GELU(_Activation):
    r"""y = x \Phi(x), \Phi the standard normal's; approximate="tanh" for the approximate form.

    >>> import gradarray as ga
    >>> ga.nn.GELU()([-1.0, 2.0])
    GradArray([-0.15865525,  1.95449974], dtype=float64)
    """

    function = ops.gelu
    fields = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is "none" or "tanh", not {approximate!r}')
        self.approximate = approximate


class Softplus(_Activation):
    r"""y = \log(1 + e^{\beta x}) / \beta, and x where \beta x > threshold.

    >>> import gradarray as ga
    >>> ga.nn.Softplus()([0.0, 2.0])
    GradArray([0.69314718, 2.12692801], dtype=float64)
    """

    function = ops.softplus
    fields = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold


class Hardtanh(_Activation):
    """y = x, cut off at min_val and max_val.

    >>> import gradarray as ga
    >>> ga.nn.Hardtanh()([-3.0, 0.5])
    GradArray([-1. ,  0.5], dtype=float64)
    """

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
    """y = x where |x| > lambd, else 0.

    >>> import gradarray as ga
    >>> ga.nn.Hardshrink()([-2.0, 0.25])
    GradArray([-2.,  0.], dtype=float64)
    """

    function = piecewise.hardshrink


class Softshrink(_Shrink):
    """y = x moved towards 0 by lambd, and 0 within lambd of it.

    >>> import gradarray as ga
    >>> ga.nn.Softshrink()([-2.0, 0.25])
    GradArray([-1.5,  0. ], dtype=float64)
    """

    function = piecewise.softshrink


class Threshold(_Activation):
    """y = x where x > threshold, else `value`.

    >>> import gradarray as ga
    >>> ga.nn.Threshold(0.5, -1.0)([0.25, 2.0])
    GradArray([-1.,  2.], dtype=float64)
    """

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
