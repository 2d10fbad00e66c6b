"""Attention and the transformer's encoder against NumPy, head by head."""

import math

import numpy as np
import pytest
from scipy.special import softmax

import gradarray as ga
from gradarray import nn
from gradarray.testing import check

RNG = np.random.default_rng(5)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
N, L, S, E, HEADS = 2, 3, 4, 6, 2

CAUSAL = np.tri(L, S, dtype=bool)
PADDING = np.array([[False, False, True, False], [False, True, False, True]])
ADDED = RNG.normal(size=(L, S))


def by_hand(layer, query, key, value, shut=None, added=None):
    """(y, weights per head) for inputs (N, L, E), one head after another."""
    state = layer.state_dict()
    if "in_proj_weight" in state:
        weights = np.split(state["in_proj_weight"], 3)
    else:
        weights = [state[f"{part}_proj_weight"] for part in "qkv"]
    biases = np.split(state.get("in_proj_bias", np.zeros(3 * layer.embed_dim)), 3)
    q, k, v = (
        x @ w.T + b for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    more = [(state["bias_k"], state["bias_v"])] if "bias_k" in state else []
    more += [(np.zeros((1, 1, E)),) * 2] if layer.add_zero_attn else []
    for key_row, value_row in more:
        k, v = (np.concatenate([x, np.repeat(row, len(x), 0)], 1)
                for x, row in ((k, key_row), (v, value_row)))  # fmt: skip
    beside = lambda mask: np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, len(more))])
    shut, added = (mask if mask is None else beside(mask) for mask in (shut, added))
    width = layer.embed_dim // layer.num_heads
    heads, all_weights = [], []
    for h in range(layer.num_heads):
        part = slice(h * width, (h + 1) * width)
        scores = np.einsum("nle,nse->nls", q[..., part], k[..., part]) / math.sqrt(width)
        scores = scores + (0 if added is None else added)
        scores = np.where(np.zeros(scores.shape, bool) if shut is None else shut, -np.inf, scores)
        weight = softmax(scores, -1)
        all_weights.append(weight)
        heads.append(np.einsum("nls,nse->nle", weight, v[..., part]))
    y = np.concatenate(heads, -1) @ state["out_proj.weight"].T
    return y + state.get("out_proj.bias", 0.0), np.stack(all_weights, 1)


def randomised(layer):
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -1.0, 1.0)
    return layer


MASKS = {
    "none": ({}, None, None),
    "boolean": ({"attn_mask": ~CAUSAL}, ~CAUSAL, None),
    "added": ({"attn_mask": ADDED}, None, ADDED),
    "padding": ({"key_padding_mask": PADDING}, PADDING[:, None], None),
    "both": (
        {"attn_mask": ~CAUSAL, "key_padding_mask": PADDING},
        ~CAUSAL | PADDING[:, None],
        None,
    ),
    "added and padding": (
        {"attn_mask": ADDED, "key_padding_mask": PADDING},
        PADDING[:, None],
        ADDED,
    ),
    "causal": ({"is_causal": True}, ~CAUSAL, None),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("batch_first", [True, False])
def test_against_one_head_after_another(name, batch_first):
    kwargs, shut, added = MASKS[name]
    layer = randomised(nn.MultiheadAttention(E, HEADS, batch_first=batch_first, dtype="float64"))
    inputs = [RNG.normal(size=(N, n, E)) for n in (L, S, S)]
    y, weights = by_hand(layer, *inputs, shut, added)
    turned = inputs if batch_first else [x.transpose(1, 0, 2) for x in inputs]
    got, mean = layer(*turned, **kwargs)
    got = got.numpy() if batch_first else got.numpy().transpose(1, 0, 2)
    assert np.allclose(got, y, **CLOSE)
    assert np.allclose(mean.numpy(), weights.mean(1), **CLOSE)
    _, each = layer(*turned, **kwargs, average_attn_weights=False)
    assert np.allclose(each.numpy(), weights, **CLOSE)
    assert layer(*turned, **kwargs, need_weights=False)[1] is None


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("bias_kv", "zero"), [(True, False), (False, True), (True, True)])
def test_a_learned_key_and_one_of_zeros_that_no_mask_hides(name, bias_kv, zero):
    kwargs, shut, added = MASKS[name]
    layer = randomised(
        nn.MultiheadAttention(
            E, HEADS, add_bias_kv=bias_kv, add_zero_attn=zero, batch_first=True, dtype="float64"
        )
    )
    inputs = [RNG.normal(size=(N, n, E)) for n in (L, S, S)]
    y, weights = by_hand(layer, *inputs, shut, added)
    assert weights.shape == (N, HEADS, L, S + bias_kv + zero)
    got, each = layer(*inputs, **kwargs, average_attn_weights=False)
    assert np.allclose(got.numpy(), y, **CLOSE)
    assert np.allclose(each.numpy(), weights, **CLOSE)
    rows = {"bias_k": (1, 1, E), "bias_v": (1, 1, E)} if bias_kv else {}
    names = list(layer.state_dict())
    assert names[2:-2] == list(rows)
    got.sum().backward()
    assert all(getattr(layer, row).grad.shape == shape for row, shape in rows.items())


def test_a_mask_for_every_head():
    layer = randomised(nn.MultiheadAttention(E, HEADS, batch_first=True, dtype="float64"))
    x = RNG.normal(size=(N, L, E))
    masks = RNG.normal(size=(N, HEADS, L, L))
    scores_only = [by_hand(layer, x, x, x, added=masks[:, h])[1][:, h] for h in range(HEADS)]
    _, each = layer(x, x, x, attn_mask=masks.reshape(-1, L, L), average_attn_weights=False)
    assert np.allclose(each.numpy(), np.stack(scores_only, 1), **CLOSE)


def test_self_attention_and_inputs_of_other_widths():
    x = RNG.normal(size=(N, L, E))
    layer = randomised(nn.MultiheadAttention(E, HEADS, batch_first=True, dtype="float64"))
    assert np.allclose(layer(x, x, x)[0].numpy(), by_hand(layer, x, x, x)[0], **CLOSE)
    widths = {"kdim": 5, "vdim": 7, "bias": False}
    layer = randomised(
        nn.MultiheadAttention(E, HEADS, **widths, batch_first=True, dtype="float64")
    )
    assert list(layer.state_dict()) == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight",
    ]  # fmt: skip
    key, value = RNG.normal(size=(N, S, 5)), RNG.normal(size=(N, S, 7))
    got, _ = layer(x, key, value)
    assert np.allclose(got.numpy(), by_hand(layer, x, key, value)[0], **CLOSE)
    alone, weights = layer(x[0], key[0], value[0])
    assert np.allclose(alone.numpy(), got.numpy()[0], **CLOSE)
    assert weights.shape == (L, S)


def test_names_and_starting_values():
    layer = nn.MultiheadAttention(E, HEADS)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {
        "in_proj_weight": (3 * E, E),
        "in_proj_bias": (3 * E,),
        "out_proj.weight": (E, E),
        "out_proj.bias": (E,),
    }
    assert np.abs(layer.in_proj_weight.numpy()).max() <= math.sqrt(6 / (4 * E))
    assert not layer.in_proj_bias.numpy().any()
    assert not layer.out_proj.bias.numpy().any()


def test_a_query_without_any_key_gets_nothing():
    q, k, v = (RNG.normal(size=(2, n, 3)) for n in (2, 4, 4))
    shut = np.ones((2, 4), bool)
    shut[1] = False

    def f(q, k, v):
        return ga.scaled_dot_product_attention(q, k, v, shut)

    assert not f(q, k, v).numpy()[:, 1].any()
    gradients = ga.grad(lambda *args: f(*args).sum(), (0, 1, 2))(*map(ga.array, (q, k, v)))
    assert all(np.isfinite(g.numpy()).all() for g in gradients)
    assert not gradients[0].numpy()[:, 1].any()


def test_gradients_of_attention():
    layer = randomised(nn.MultiheadAttention(4, 2, batch_first=True, dtype="float64"))
    params = {k: v.detach() for k, v in layer.parameters_dict().items()}
    x = RNG.normal(size=(1, 2, 4))
    call = lambda p, x: nn.functional_call(layer, p, x, x, x, need_weights=False)[0].sum()
    check(call, params, x)


def test_dropout_of_weights_in_training_only():
    layer = nn.MultiheadAttention(E, HEADS, dropout=1.0, batch_first=True)
    x = RNG.normal(size=(N, L, E))
    assert not layer(x, x, x)[1].numpy().any()
    assert np.allclose(layer.eval()(x, x, x)[1].numpy().sum(-1), 1, rtol=1e-6)
    F = nn.functional
    y = F.scaled_dot_product_attention(x, x, x, dropout_p=1.0)
    assert not y.numpy().any()
    same = ga.scaled_dot_product_attention(x, x, x).numpy()
    assert np.array_equal(F.scaled_dot_product_attention(x, x, x).numpy(), same)


def test_attention_errors():
    layer = nn.MultiheadAttention(E, HEADS)
    x, key = np.ones((L, N, E)), np.ones((S, N, E))
    with pytest.raises(ValueError, match="num_heads=4 must divide embed_dim=6"):
        nn.MultiheadAttention(6, 4)
    with pytest.raises(ga.ShapeError, match=r"key: shape \(4, 2, 5\); .* with E=6"):
        layer(x, key[..., :5], key)
    with pytest.raises(ga.ShapeError, match="Is batch_first set"):
        layer(x, key[:, :1], key[:, :1])
    with pytest.raises(ga.ShapeError, match=r"attn_mask: shape \(4, 3\).*\(3, 4\)"):
        layer(x, key, key, attn_mask=np.ones((S, L), bool))
    with pytest.raises(ga.ShapeError, match="key_padding_mask"):
        layer(x, key, key, key_padding_mask=np.ones((S, N), bool))
    with pytest.raises(ga.DTypeError, match="boolean or floating"):
        layer(x, key, key, attn_mask=np.ones((L, S), int))
    with pytest.raises(ga.ShapeError, match="query, key, value"):
        layer(x, key[:, 0], key[:, 0])
    with pytest.raises(ga.ShapeError, match="with the same E"):
        ga.scaled_dot_product_attention(x, key[..., :5], key)
    with pytest.raises(ga.ShapeError, match="with the same S"):
        ga.scaled_dot_product_attention(x[0], key[0], key[0, :1])
    with pytest.raises(ga.ShapeError, match=r"a mask of shape \(5, 5\)"):
        ga.scaled_dot_product_attention(x[0], key[0], key[0], np.ones((5, 5), bool))
    with pytest.raises(ValueError, match="Give one of them"):
        ga.scaled_dot_product_attention(x, x, x, np.ones((N, N), bool), is_causal=True)


# The encoder --------------------------------------------------------------------------------------


def norm(x, state, name):
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return y * state[f"{name}.weight"] + state[f"{name}.bias"]


@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_layer_by_hand(norm_first):
    layer = randomised(
        nn.TransformerEncoderLayer(
            E, HEADS, 8, dropout=0.0, batch_first=True, norm_first=norm_first, dtype="float64"
        )
    )
    state = layer.state_dict()
    x = RNG.normal(size=(N, L, E))

    def feed(x):
        hidden = np.maximum(x @ state["linear1.weight"].T + state["linear1.bias"], 0)
        return hidden @ state["linear2.weight"].T + state["linear2.bias"]

    def attend(x):
        return by_hand(layer.self_attn, x, x, x)[0]

    if norm_first:
        middle = x + attend(norm(x, state, "norm1"))
        expected = middle + feed(norm(middle, state, "norm2"))
    else:
        middle = norm(x + attend(x), state, "norm1")
        expected = norm(middle + feed(middle), state, "norm2")
    assert np.allclose(layer(x).numpy(), expected, **CLOSE)
    assert np.allclose(layer(x[0]).numpy(), expected[0], **CLOSE)


def test_the_encoder_stacks_copies_that_are_trained_apart():
    layer = nn.TransformerEncoderLayer(E, HEADS, 8, dropout=0.0, activation="gelu", dtype="float64")
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(E, dtype="float64"))
    x = RNG.normal(size=(L, N, E))
    expected = encoder.norm(encoder.layers[1](encoder.layers[0](x)))
    assert np.array_equal(encoder(x).numpy(), expected.numpy())
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight
    assert len(list(encoder.parameters())) == 2 * 12 + 2
    encoder(x).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    assert all(p.grad is None for p in layer.parameters())


def test_masks_pass_through_the_encoder():
    layer = nn.TransformerEncoderLayer(E, HEADS, 8, dropout=0.0, dtype="float64", batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2)
    x = RNG.normal(size=(N, L, E))
    other = x.copy()
    other[:, 2:] += 1
    # What comes later, or is padding, changes nothing before.
    for kwargs in (
        {"is_causal": True},
        {"mask": ~np.tri(L, dtype=bool)},
        {"src_key_padding_mask": np.array([[False, False, True]] * N)},
    ):
        a, b = encoder(x, **kwargs).numpy(), encoder(other, **kwargs).numpy()
        assert np.array_equal(a[:, :2], b[:, :2])
        assert not np.array_equal(encoder(x).numpy()[:, :2], encoder(other).numpy()[:, :2])


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_float32_encoder_stays_in_float32(norm_first):
    layer = nn.TransformerEncoderLayer(E, HEADS, 8, norm_first=norm_first)
    assert layer(RNG.normal(size=(L, N, E))).dtype == np.float32


def test_names_in_an_encoder_layer():
    layer = nn.TransformerEncoderLayer(E, HEADS, 8)
    assert list(layer.state_dict()) == [
        "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight",
        "self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight",
        "linear2.bias", "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
    ]  # fmt: skip
    with pytest.raises(ValueError, match='activation is "relu", "gelu" or a function'):
        nn.TransformerEncoderLayer(E, HEADS, activation="tanh")
    own = nn.TransformerEncoderLayer(E, HEADS, 8, activation=ga.tanh)
    assert own(np.ones((L, N, E))).shape == (L, N, E)
