"""One step of a recurrent layer: RNNCell, LSTMCell, GRUCell, and the equations they share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import wrap
from ..errors import ShapeError, message
from ..ops.compare import relu
from ..ops.functional import linear
from ..ops.hyperbolic import sigmoid, tanh
from ..ops.split import split
from . import init
from .layer import as_input, empty
from .module import Module


def check_nonlinearity(nonlinearity: str, layer: str) -> str:
    """"tanh" or "relu"; raises ValueError for another word."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'{layer}: nonlinearity is "tanh" or "relu", not {nonlinearity!r}')
    return nonlinearity


def rnn_step(x_gates: Any, h_gates: Any, nonlinearity: str) -> Any:
    r"""h' = \tanh(gates)."""
    return (tanh if nonlinearity == "tanh" else relu)(x_gates + h_gates)


def lstm_step(x_gates: Any, h_gates: Any, c: Any) -> tuple[Any, Any]:
    r"""(h', c'): c' = \sigma(f) c + \sigma(i) \tanh g, h' = \sigma(o) \tanh c'."""
    i, f, g, o = split(x_gates + h_gates, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_step(x_gates: Any, h_gates: Any, h: Any) -> Any:
    r"""h' = (1 - z) n + z h, n = \tanh(x_n + r h_n)."""
    x_r, x_z, x_n = split(x_gates, 3, axis=-1)
    h_r, h_z, h_n = split(h_gates, 3, axis=-1)
    z = sigmoid(x_z + h_z)
    n = tanh(x_n + sigmoid(x_r + h_r) * h_n)
    return n + z * (h - n)


class _Cell(Module):
    """What cells share: weight_ih (gates hidden_size, input_size), weight_hh, and two biases."""

    gates: int
    pair = False

    def __init__(self, input_size: int, hidden_size: int, bias: bool, dtype: Any) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        self.register_parameter("weight_ih", empty((rows, input_size), dtype))
        self.register_parameter("weight_hh", empty((rows, hidden_size), dtype))
        self.register_parameter("bias_ih", empty((rows,), dtype) if bias else None)
        self.register_parameter("bias_hh", empty((rows,), dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Draw all weights and biases anew: uniform in [-k, k], k = 1 / \sqrt{hidden_size}."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def step(self, x_gates: Any, h_gates: Any, state: Any) -> Any:
        """The next state."""
        raise NotImplementedError

    def forward(self, input: Any, hx: Any = None) -> Any:
        dtype = self.weight_ih.dtype
        x = as_input(input, dtype)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                message(
                    "input",
                    f"shape {x.shape}; the cell takes (N, H) or (H,) with "
                    f"H=input_size={self.input_size}.",
                )
            )
        shape = (*x.shape[:-1], self.hidden_size)
        if hx is None:
            zeros = wrap(np.zeros(shape, dtype))
            hx = (zeros, zeros) if self.pair else zeros
        parts = [as_input(part, dtype, "hx") for part in (hx if self.pair else (hx,))]
        for part in parts:
            if part.shape != shape:
                raise ShapeError(message("hx", f"shape {part.shape}, for this input {shape}."))
        x_gates = linear(x, self.weight_ih, self.bias_ih)
        h_gates = linear(parts[0], self.weight_hh, self.bias_hh)
        return self.step(x_gates, h_gates, tuple(parts) if self.pair else parts[0])

    def extra_repr(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"{self.input_size}, {self.hidden_size}{bias}"


class RNNCell(_Cell):
    r"""h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh}); see `RNN`.

    x: (N, input_size) or (input_size,); h: (N, hidden_size) or (hidden_size,), 0 if not given.

    >>> import gradarray as ga
    >>> ga.nn.RNNCell(3, 5)(ga.zeros((2, 3))).shape
    (2, 5)
    """

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", *,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, dtype)
        self.nonlinearity = check_nonlinearity(nonlinearity, "RNNCell")

    def step(self, x_gates: Any, h_gates: Any, state: Any) -> Any:
        return rnn_step(x_gates, h_gates, self.nonlinearity)


class LSTMCell(_Cell):
    r"""(h', c') from x and (h, c): c' = f c + i g, h' = o \tanh c'; see `LSTM`.

    >>> import gradarray as ga
    >>> h, c = ga.nn.LSTMCell(3, 5)(ga.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates, pair = 4, True

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)

    def step(self, x_gates: Any, h_gates: Any, state: Any) -> Any:
        return lstm_step(x_gates, h_gates, state[1])


class GRUCell(_Cell):
    """h' = (1 - z) n + z h; see `GRU`.

    >>> import gradarray as ga
    >>> ga.nn.GRUCell(3, 5)(ga.zeros(3)).shape
    (5,)
    """

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)

    def step(self, x_gates: Any, h_gates: Any, state: Any) -> Any:
        return gru_step(x_gates, h_gates, state)
