"""Recurrent layers against the equations written out in NumPy."""

import math

import numpy as np
import pytest
from scipy.special import expit

import gradarray as ga
from gradarray import nn
from gradarray.testing import check

RNG = np.random.default_rng(4)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # five steps of some tens of roundings
LENGTH, BATCH, INPUT, HIDDEN = 5, 2, 3, 4


def rnn(gates_x, gates_h, state):
    return np.tanh(gates_x + gates_h)


def lstm(gates_x, gates_h, state):
    i, f, g, o = np.split(gates_x + gates_h, 4, axis=-1)
    c = expit(f) * state[1] + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def gru(gates_x, gates_h, h):
    (rx, zx, nx), (rh, zh, nh) = np.split(gates_x, 3, -1), np.split(gates_h, 3, -1)
    r, z = expit(rx + rh), expit(zx + zh)
    return (1 - z) * np.tanh(nx + r * nh) + z * h


KINDS = {"RNN": (nn.RNN, rnn, 1), "LSTM": (nn.LSTM, lstm, 4), "GRU": (nn.GRU, gru, 3)}


def by_hand(kind, layer, x, states):
    """(output, last states) over x (L, N, input), from a state for each layer and direction."""
    step = KINDS[kind][1]
    state = layer.state_dict()
    ends = []
    for k in range(layer.num_layers):
        outputs = []
        for suffix in [f"_l{k}"] + [f"_l{k}_reverse"] * layer.bidirectional:
            w_ih, w_hh = state[f"weight_ih{suffix}"], state[f"weight_hh{suffix}"]
            b_ih, b_hh = (state.get(f"bias_{n}h{suffix}", 0.0) for n in "ih")
            now = states[len(ends)]
            hidden = np.zeros((*x.shape[:2], layer.proj_size or layer.hidden_size))
            order = range(len(x))
            for t in reversed(order) if suffix.endswith("reverse") else order:
                h = now[0] if kind == "LSTM" else now
                now = step(x[t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh, now)
                if layer.proj_size:
                    now = (now[0] @ state[f"weight_hr{suffix}"].T, now[1])
                hidden[t] = now[0] if kind == "LSTM" else now
            outputs.append(hidden)
            ends.append(now)
        x = np.concatenate(outputs, -1)
    return x, ends


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True},
     {"bias": False}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("given", [False, True])
def test_against_a_loop_over_the_equations(kind, options, given):
    layer = KINDS[kind][0](INPUT, HIDDEN, **options, dtype="float64")
    count = layer.num_layers * (1 + layer.bidirectional)
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    make = RNG.normal if given else lambda size: np.zeros(size)
    h, c = make(size=(count, BATCH, HIDDEN)), make(size=(count, BATCH, HIDDEN))
    pair = kind == "LSTM"
    states = list(zip(h, c, strict=True)) if pair else list(h)
    expected, ends = by_hand(kind, layer, x, states)
    start = ((h, c) if pair else h) if given else None
    output, last = layer(x, start)
    assert np.allclose(output.numpy(), expected, **CLOSE)
    lasts = last if pair else (last,)
    for k, part in enumerate(lasts):
        wanted = np.stack([end[k] if pair else end for end in ends])
        assert np.allclose(part.numpy(), wanted, **CLOSE)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_an_lstm_whose_h_is_projected(options):
    layer = nn.LSTM(INPUT, HIDDEN, **options, proj_size=2, dtype="float64")
    count = layer.num_layers * (1 + layer.bidirectional)
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    h, c = RNG.normal(size=(count, BATCH, 2)), RNG.normal(size=(count, BATCH, HIDDEN))
    expected, ends = by_hand("LSTM", layer, x, list(zip(h, c, strict=True)))
    output, last = layer(x, (h, c))
    assert np.allclose(output.numpy(), expected, **CLOSE)
    for k, part in enumerate(last):
        assert np.allclose(part.numpy(), np.stack([end[k] for end in ends]), **CLOSE)
    assert [part.shape[-1] for part in layer(x)[1]] == [2, HIDDEN]
    with pytest.raises(ga.ShapeError, match=r"h_0: .*\(also with batch_first\), proj_size"):
        layer(x, (c, c))
    with pytest.raises(ValueError, match="less than hidden_size"):
        nn.LSTM(INPUT, HIDDEN, proj_size=HIDDEN)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_first_and_without_a_batch(kind):
    layer = KINDS[kind][0](INPUT, HIDDEN, dtype="float64")
    other = KINDS[kind][0](INPUT, HIDDEN, batch_first=True, dtype="float64")
    other.load_state_dict(layer.state_dict())
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    output, last = layer(x)
    turned, same = other(x.transpose(1, 0, 2))
    assert np.array_equal(turned.numpy(), output.numpy().transpose(1, 0, 2))
    alone, end = layer(x[:, 0])
    assert np.allclose(alone.numpy(), output.numpy()[:, 0], **CLOSE)
    for a, b, c in zip(*(s if kind == "LSTM" else (s,) for s in (last, same, end)), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
        assert np.allclose(c.numpy(), a.numpy()[:, 0], **CLOSE)
    single = tuple(s[:, 0] for s in last) if kind == "LSTM" else last[:, 0]
    assert layer(x[:, 0], single)[0].shape == (LENGTH, HIDDEN)


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_of_the_weights(kind):
    gates = KINDS[kind][2]
    layer = KINDS[kind][0](INPUT, HIDDEN, num_layers=2, bidirectional=True)
    names = [
        f"{part}_l{k}{direction}"
        for k in range(2)
        for direction in ("", "_reverse")
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    state = layer.state_dict()
    assert list(state) == names
    assert state["weight_ih_l0"].shape == (gates * HIDDEN, INPUT)
    assert state["weight_ih_l1"].shape == (gates * HIDDEN, 2 * HIDDEN)
    assert state["weight_hh_l1_reverse"].shape == (gates * HIDDEN, HIDDEN)
    bound = 1 / math.sqrt(HIDDEN)
    assert max(np.abs(v).max() for v in state.values()) <= bound


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_time(kind):
    layer = KINDS[kind][0](2, 2, bidirectional=True, dtype="float64")
    x = RNG.normal(size=(3, 1, 2))
    params = {k: v.detach() for k, v in layer.parameters_dict().items()}
    check(lambda p, v: nn.functional_call(layer, p, v)[0].sum(), params, x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_one_step_of_the_layer(kind):
    layer = KINDS[kind][0](INPUT, HIDDEN, dtype="float64")
    cell = getattr(nn, kind + "Cell")(INPUT, HIDDEN, dtype="float64")
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    output, _ = layer(x)
    state = None
    for t in range(LENGTH):
        state = cell(x[t], state)
        h = state[0] if kind == "LSTM" else state
        assert np.allclose(h.numpy(), output.numpy()[t], **CLOSE)
    alone = cell(x[0, 0])
    alone = alone[0] if kind == "LSTM" else alone
    assert np.allclose(alone.numpy(), output.numpy()[0, 0], **CLOSE)


def test_relu_cells_and_nonlinearities():
    layer = nn.RNN(INPUT, HIDDEN, nonlinearity="relu", bias=False, dtype="float64")
    x = RNG.normal(size=(1, BATCH, INPUT))
    expected = np.maximum(x[0] @ layer.weight_ih_l0.numpy().T, 0)
    assert np.allclose(layer(x)[0].numpy()[0], expected, **CLOSE)
    assert (nn.RNNCell(INPUT, HIDDEN, nonlinearity="relu")(x[0]).numpy() >= 0).all()
    for make in (nn.RNN, nn.RNNCell):
        with pytest.raises(ValueError, match='nonlinearity is "tanh" or "relu"'):
            make(INPUT, HIDDEN, nonlinearity="sigmoid")


def test_dropout_acts_between_layers_in_training_only():
    layer = nn.LSTM(INPUT, HIDDEN, num_layers=2, dropout=1.0, bias=False)
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    # Everything between the layers is dropped, and without biases nothing comes out of nothing.
    assert not layer(x)[0].numpy().any()
    assert layer.eval()(x)[0].numpy().any()
    with pytest.warns(UserWarning, match="there is one"):
        nn.GRU(INPUT, HIDDEN, dropout=0.5)


def test_errors():
    layer = nn.LSTM(INPUT, HIDDEN)
    x = np.ones((LENGTH, BATCH, INPUT))
    with pytest.raises(ga.ShapeError, match=r"takes \(L, N, H\) or \(L, H\) with H=input_size=3"):
        layer(np.ones((LENGTH, BATCH, 7)))
    with pytest.raises(ga.ShapeError, match=r"\(N, L, H\)"):
        nn.LSTM(INPUT, HIDDEN, batch_first=True)(np.ones(3))
    with pytest.raises(TypeError, match=r"a pair \(h_0, c_0\)"):
        layer(x, np.zeros((1, BATCH, HIDDEN)))
    with pytest.raises(ga.ShapeError, match=r"h_0: shape \(2, 2, 4\); the layer takes \(1, 2, 4\)"):
        layer(x, (np.zeros((2, BATCH, HIDDEN)), np.zeros((1, BATCH, HIDDEN))))
    with pytest.raises(ga.ShapeError, match="a sequence of no steps"):
        layer(np.ones((0, BATCH, INPUT)))
    with pytest.raises(ga.ShapeError, match="H=input_size=3"):
        nn.GRUCell(INPUT, HIDDEN)(np.ones((BATCH, 7)))
    with pytest.raises(ga.ShapeError, match=r"hx: shape \(2, 5\)"):
        nn.GRUCell(INPUT, HIDDEN)(np.ones((BATCH, INPUT)), np.ones((BATCH, 5)))
    with pytest.raises(ValueError, match="num_layers=0"):
        nn.RNN(INPUT, HIDDEN, num_layers=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_single_sequences_add_up_to_that_of_the_batch(kind):
    layer = KINDS[kind][0](INPUT, HIDDEN, bidirectional=True, dtype="float64")
    x = RNG.normal(size=(LENGTH, BATCH, INPUT))
    params = {k: v.detach() for k, v in layer.parameters_dict().items()}
    loss = lambda p, x: (nn.functional_call(layer, p, x)[0] ** 2).sum()
    whole = ga.grad(loss)(params, x)
    alone = ga.vmap(ga.grad(loss), in_axes=(None, 1))(params, x)
    for name, slope in whole.items():
        assert alone[name].shape == (BATCH, *slope.shape)
        assert np.allclose(alone[name].numpy().sum(0), slope.numpy(), **CLOSE)
    # Where input and state meet in a sum only, both biases have one derivative; not for GRU's n.
    for suffix in ("_l0", "_l0_reverse"):
        ih, hh = (whole[f"bias_{k}h{suffix}"].numpy() for k in "ih")
        same = np.isclose(ih, hh, **CLOSE)
        summed = np.arange(len(ih)) < (2 * HIDDEN if kind == "GRU" else len(ih))
        assert np.array_equal(same, summed)


@pytest.mark.parametrize("kind", KINDS)
def test_along_a_direction_in_three_ways(kind):
    layer = KINDS[kind][0](INPUT, HIDDEN, dtype="float64")
    x, v = RNG.normal(size=(2, LENGTH, BATCH, INPUT))
    f = lambda x: (layer(x)[0] ** 2).sum()
    pushed = ga.jvp(f, (x,), (v,))[1].item()
    assert pushed == pytest.approx((ga.grad(f)(x).numpy() * v).sum(), rel=1e-12)
    curved = ga.directional(f, x, v, order=2).item()
    assert curved == pytest.approx((ga.hvp(f)(x, v).numpy() * v).sum(), rel=1e-12)
