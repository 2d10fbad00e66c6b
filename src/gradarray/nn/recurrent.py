"""Recurrent layers over sequences: RNN, LSTM, GRU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, wrap
from ..errors import ShapeError, message, warn
from ..ops.contract import matmul
from ..ops.functional import linear
from ..ops.join import concatenate, stack, unstack
from ..ops.shape import expand_dims, transpose
from ..transforms.loops import scan
from . import cells, init
from .dropout import check_probability, dropout
from .layer import as_input, empty
from .module import Module

State = Any  # one array, or for the LSTM a pair (h, c)


class _Recurrent(Module):
    """What recurrent layers share: weights for each layer and direction, the scan over time."""

    gates: int
    pair = False  # is the state a pair (h, c)?
    gates_are_sums = True  # do input and state meet in a sum only?

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int, bias: bool, batch_first: bool,
        dropout: float, bidirectional: bool, dtype: Any, proj_size: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_layers < 1 or hidden_size < 1:
            raise ValueError(
                f"{type(self).__name__}: num_layers={num_layers} and hidden_size={hidden_size} "
                "must be at least 1"
            )
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{type(self).__name__}: proj_size={proj_size} is 0 for none, or less than "
                f"hidden_size={hidden_size}"
            )
        check_probability(dropout, type(self).__name__)
        if dropout and num_layers == 1:
            warn(
                f"{type(self).__name__}: dropout={dropout} acts between layers, of which there is "
                "one; it does nothing."
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first = bias, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        self.proj_size, out = proj_size, proj_size or hidden_size
        rows, directions = self.gates * hidden_size, 2 if bidirectional else 1
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * directions
            for suffix in self._suffixes(layer):
                self.register_parameter(f"weight_ih{suffix}", empty((rows, width), dtype))
                self.register_parameter(f"weight_hh{suffix}", empty((rows, out), dtype))
                if bias:
                    self.register_parameter(f"bias_ih{suffix}", empty((rows,), dtype))
                    self.register_parameter(f"bias_hh{suffix}", empty((rows,), dtype))
                if proj_size:
                    down = empty((proj_size, hidden_size), dtype)
                    self.register_parameter(f"weight_hr{suffix}", down)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}"] + [f"_l{layer}_reverse"] * self.bidirectional

    def reset_parameters(self) -> None:
        r"""Draw all weights and biases anew: uniform in [-k, k], k = 1 / \sqrt{hidden_size}."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def step(self, x_gates: Any, h_gates: Any, state: State) -> State:
        """The next state, from what input and state send to the gates; the first part is h."""
        raise NotImplementedError

    def forward(self, input: Any, hx: State = None) -> tuple[GradArray, State]:
        x, alone = self._input(input)
        states = self._states(hx, x, alone)
        last: list[Any] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                backwards = suffix.endswith("reverse")
                h, state = self._run(x, states[len(last)], suffix, backwards)
                outputs.append(h)
                last.append(state)
            x = outputs[0] if len(outputs) == 1 else concatenate(outputs, axis=-1)
            if layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training)
        parts = list(zip(*last)) if self.pair else [last]
        ends = [stack(list(part)) for part in parts]
        if alone:
            x, ends = x[:, 0], [end[:, 0] for end in ends]
        elif self.batch_first:
            x = transpose(x, (1, 0, 2))
        return x, tuple(ends) if self.pair else ends[0]

    def _run(self, x: Any, state: State, suffix: str, backwards: bool) -> tuple[Any, State]:
        """One layer in one direction over (L, N, width)."""
        w_ih, w_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        b_ih, b_hh = (getattr(self, f"bias_{k}h{suffix}", None) for k in "ih")
        # What does not wait for the step before is computed for all steps at once.
        if b_hh is not None and self.gates_are_sums:
            b_ih, b_hh = b_ih + b_hh, None
        x_gates, w_hh = linear(x, w_ih, b_ih), transpose(w_hh)
        w_hr = transpose(getattr(self, f"weight_hr{suffix}")) if self.proj_size else None

        def step(state: State, x_gate: Any) -> tuple[State, Any]:
            h_gates = matmul(state[0] if self.pair else state, w_hh)
            state = self.step(x_gate, h_gates if b_hh is None else h_gates + b_hh, state)
            if w_hr is not None:
                state = (matmul(state[0], w_hr), state[1])
            return state, state[0] if self.pair else state

        state, hidden = scan(step, state, x_gates, reverse=backwards)
        return hidden, state

    def _input(self, input: Any) -> tuple[Any, bool]:
        """The input as (L, N, input_size), and whether it came without N."""
        x = as_input(input, self.weight_ih_l0.dtype)
        order = "(N, L, H)" if self.batch_first else "(L, N, H)"
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeError(
                message(
                    "input",
                    f"shape {x.shape}; the layer takes {order} or (L, H) with "
                    f"H=input_size={self.input_size}.",
                )
            )
        alone = x.ndim == 2
        if alone:
            x = expand_dims(x, 1)
        elif self.batch_first:
            x = transpose(x, (1, 0, 2))
        if not x.shape[0]:
            raise ShapeError(message("input", f"a sequence of no steps, shape {x.shape}."))
        return x, alone

    def _states(self, hx: State, x: Any, alone: bool) -> list[State]:
        """The state with which each layer and direction begins."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        lead = (count, x.shape[1])
        shapes = [(*lead, self.proj_size or self.hidden_size), (*lead, self.hidden_size)]
        if hx is None:
            h, c = (wrap(np.zeros(shape[1:], x.dtype)) for shape in shapes)
            return [(h, c) if self.pair else h] * count
        parts = hx if self.pair else (hx,)
        if self.pair and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"{type(self).__name__}: the state is a pair (h_0, c_0)")
        columns = []
        names = (("h_0", "proj_size" if self.proj_size else "hidden_size"), ("c_0", "hidden_size"))
        for (name, width), shape, part in zip(names, shapes, parts):
            part = as_input(part, x.dtype, name)
            part = expand_dims(part, 1) if alone and part.ndim == 2 else part
            if part.shape != shape:
                raise ShapeError(
                    message(
                        name,
                        f"shape {part.shape}; the layer takes {shape}: layers times directions, "
                        f"batch (also with batch_first), {width}.",
                    )
                )
            columns.append(unstack(part))
        return list(zip(*columns)) if self.pair else list(columns[0])

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False, "proj_size": 0,
        }  # fmt: skip
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        return text


class RNN(_Recurrent):
    r"""h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}), for each layer and direction.

    x: (L, N, input_size), with batch_first=True (N, L, input_size), or (L, input_size); h_0:
    (layers times directions, N, hidden_size), 0 if not given. Gives (output, h_n): the last
    layer's h_t for every t, both directions side by side, and every layer's last h.
    nonlinearity: "tanh" or "relu". `dropout` acts on what passes from layer to layer. All weights
    start uniform in [-k, k], k = 1/\sqrt{hidden_size}. (Elman, "Finding structure in time",
    Cognitive Science 14, 1990.)

    >>> import gradarray as ga
    >>> layer = ga.nn.RNN(3, 5, batch_first=True)
    >>> output, h = layer(ga.zeros((2, 7, 3)))
    >>> output.shape, h.shape
    ((2, 7, 5), (1, 2, 5))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity = cells.check_nonlinearity(nonlinearity, type(self).__name__)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )

    def step(self, x_gates: Any, h_gates: Any, state: State) -> State:
        return cells.rnn_step(x_gates, h_gates, self.nonlinearity)


class LSTM(_Recurrent):
    r"""Long short-term memory: c_t = f_t c_{t-1} + i_t g_t, h_t = o_t \tanh c_t.

    i, f, o = \sigma(W_{i*} x_t + b_{i*} + W_{h*} h_{t-1} + b_{h*}), g with \tanh in place of
    \sigma; the weights of i, f, g, o are stacked in this order. The state is the pair (h, c);
    shapes and arguments are those of `RNN`, and it gives (output, (h_n, c_n)). With `proj_size` h
    is W_{hr} o_t \tanh c_t, of that size (Sak et al., 2014, arXiv:1402.1128). (Hochreiter &
    Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; with forget gates, Gers,
    Schmidhuber, Cummins, Neural Computation 12, 2000.)

    >>> import gradarray as ga
    >>> output, (h, c) = ga.nn.LSTM(3, 5, num_layers=2)(ga.zeros((7, 2, 3)))
    >>> output.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    gates, pair = 4, True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype,
            proj_size,
        )  # fmt: skip

    def step(self, x_gates: Any, h_gates: Any, state: State) -> State:
        return cells.lstm_step(x_gates, h_gates, state[1])


class GRU(_Recurrent):
    r"""Gated recurrent unit: h_t = (1 - z_t) n_t + z_t h_{t-1}.

    r, z = \sigma(W_{i*} x_t + b_{i*} + W_{h*} h_{t-1} + b_{h*}),
    n = \tanh(W_{in} x_t + b_{in} + r (W_{hn} h_{t-1} + b_{hn})); the weights of r, z, n are stacked
    in this order. Shapes and arguments are those of `RNN`. (Cho et al., "Learning phrase
    representations using RNN encoder-decoder", EMNLP 2014; r inside, as in cuDNN.)

    >>> import gradarray as ga
    >>> output, h = ga.nn.GRU(3, 5, bidirectional=True)(ga.zeros((7, 2, 3)))
    >>> output.shape, h.shape
    ((7, 2, 10), (2, 2, 5))
    """

    gates = 3
    gates_are_sums = False  # r stands between

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )

    def step(self, x_gates: Any, h_gates: Any, state: State) -> State:
        return cells.gru_step(x_gates, h_gates, state)
