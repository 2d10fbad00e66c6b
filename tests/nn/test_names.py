"""Names of parameters and buffers, as PyTorch's documentation gives them; files use these names."""

import inspect

import pytest

from gradarray import nn

STATES = [
    (nn.Linear(3, 2), {"weight": (2, 3), "bias": (2,)}),
    (nn.Bilinear(3, 4, 2), {"weight": (2, 3, 4), "bias": (2,)}),
    (nn.Conv1d(4, 6, 3, groups=2), {"weight": (6, 2, 3), "bias": (6,)}),
    (nn.Conv2d(4, 6, (3, 5)), {"weight": (6, 4, 3, 5), "bias": (6,)}),
    (nn.Conv3d(4, 6, 3, bias=False), {"weight": (6, 4, 3, 3, 3)}),
    (nn.ConvTranspose1d(4, 6, 3, groups=2), {"weight": (4, 3, 3), "bias": (6,)}),
    (nn.ConvTranspose2d(4, 6, 3), {"weight": (4, 6, 3, 3), "bias": (6,)}),
    (nn.ConvTranspose3d(4, 6, 3), {"weight": (4, 6, 3, 3, 3), "bias": (6,)}),
    (
        nn.BatchNorm2d(3),
        {
            "weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,),
            "num_batches_tracked": (),
        },
    ),
    (nn.InstanceNorm1d(3), {}),
    (nn.LayerNorm((2, 3)), {"weight": (2, 3), "bias": (2, 3)}),
    (nn.GroupNorm(2, 4), {"weight": (4,), "bias": (4,)}),
    (nn.RMSNorm(3), {"weight": (3,)}),
    (nn.Embedding(5, 2), {"weight": (5, 2)}),
    (nn.PReLU(3), {"weight": (3,)}),
    (
        nn.LSTM(3, 4),
        {
            "weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,),
            "bias_hh_l0": (16,),
        },
    ),
    (
        nn.GRUCell(3, 4),
        {"weight_ih": (12, 3), "weight_hh": (12, 4), "bias_ih": (12,), "bias_hh": (12,)},
    ),
    (
        nn.MultiheadAttention(4, 2),
        {
            "in_proj_weight": (12, 4), "in_proj_bias": (12,), "out_proj.weight": (4, 4),
            "out_proj.bias": (4,),
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "state"), STATES, ids=lambda value: type(value).__name__)
def test_names_and_shapes(layer, state):
    found = layer.state_dict()
    assert list(found) == list(state)
    assert {name: value.shape for name, value in found.items()} == state


SIGNATURES = {
    "Linear": "in_features, out_features, bias=True",
    "Bilinear": "in1_features, in2_features, out_features, bias=True",
    "Conv2d": "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, "
    "bias=True, padding_mode='zeros'",
    "ConvTranspose2d": "in_channels, out_channels, kernel_size, stride=1, padding=0, "
    "output_padding=0, groups=1, bias=True, dilation=1, padding_mode='zeros'",
    "MaxPool2d": "kernel_size, stride=None, padding=0, dilation=1, return_indices=False, "
    "ceil_mode=False",
    "AvgPool2d": "kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
    "divisor_override=None",
    "AdaptiveAvgPool2d": "output_size",
    "BatchNorm2d": "num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True",
    "InstanceNorm2d": "num_features, eps=1e-05, momentum=0.1, affine=False, "
    "track_running_stats=False",
    "LayerNorm": "normalized_shape, eps=1e-05, elementwise_affine=True, bias=True",
    "GroupNorm": "num_groups, num_channels, eps=1e-05, affine=True",
    "RMSNorm": "normalized_shape, eps=None, elementwise_affine=True",
    "Dropout": "p=0.5, inplace=False",
    "Embedding": "num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, "
    "scale_grad_by_freq=False",
    "RNN": "input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, "
    "batch_first=False, dropout=0.0, bidirectional=False",
    "LSTM": "input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, "
    "bidirectional=False, proj_size=0",
    "GRU": "input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, "
    "bidirectional=False",
    "RNNCell": "input_size, hidden_size, bias=True, nonlinearity='tanh'",
    "MultiheadAttention": "embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, "
    "add_zero_attn=False, kdim=None, vdim=None, batch_first=False",
    "TransformerEncoderLayer": "d_model, nhead, dim_feedforward=2048, dropout=0.1, "
    "activation='relu', layer_norm_eps=1e-05, batch_first=False, norm_first=False, bias=True",
    "TransformerEncoder": "encoder_layer, num_layers, norm=None",
    "Flatten": "start_dim=1, end_dim=-1",
    "Unflatten": "dim, unflattened_size",
    "Upsample": "size=None, scale_factor=None, mode='nearest', align_corners=None",
    "ReLU": "inplace=False",
    "LeakyReLU": "negative_slope=0.01, inplace=False",
    "ELU": "alpha=1.0, inplace=False",
    "GELU": "approximate='none'",
    "Softplus": "beta=1.0, threshold=20.0",
    "Hardtanh": "min_val=-1.0, max_val=1.0, inplace=False",
    "Hardshrink": "lambd=0.5",
    "Threshold": "threshold, value, inplace=False",
    "PReLU": "num_parameters=1, init=0.25",
    "MSELoss": "reduction='mean'",
    "SmoothL1Loss": "reduction='mean', beta=1.0",
    "HuberLoss": "reduction='mean', delta=1.0",
    "CrossEntropyLoss": "weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0",
    "NLLLoss": "weight=None, ignore_index=-100, reduction='mean'",
    "BCEWithLogitsLoss": "weight=None, reduction='mean', pos_weight=None",
    "KLDivLoss": "reduction='mean', log_target=False",
    "CosineEmbeddingLoss": "margin=0.0, reduction='mean'",
    "HingeEmbeddingLoss": "margin=1.0, reduction='mean'",
    "MultiMarginLoss": "p=1, margin=1.0, weight=None, reduction='mean'",
    "CosineSimilarity": "dim=1, eps=1e-08",
    "PairwiseDistance": "p=2.0, eps=1e-06, keepdim=False",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_their_order_and_defaults(name):
    parameters = list(inspect.signature(getattr(nn, name).__init__).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    shown = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in positional
    ]
    assert ", ".join(shown) == SIGNATURES[name]


def test_every_function_is_documented():
    for name in nn.functional.__all__:
        doc = getattr(nn.functional, name).__doc__
        assert doc, name
        assert len(doc.strip()) > 20, name


def test_functions_take_pytorchs_argument_names():
    first = {
        "softmax": "input, dim", "log_softmax": "input, dim", "relu": "input",
        "normalize": "input, p, dim, eps", "conv2d": "input, weight, bias, stride, padding, "
        "dilation, groups", "layer_norm": "input, normalized_shape, weight, bias, eps",
        "linear": "input, weight, bias", "one_hot": "tensor, num_classes",
        "embedding": "input, weight, padding_idx", "mse_loss": "input, target, reduction",
        "cosine_similarity": "x1, x2, dim, eps", "pairwise_distance": "x1, x2, p, eps, keepdim",
        "glu": "input, dim", "batch_norm": "input, running_mean, running_var, weight, bias, "
        "training, momentum, eps",
    }  # fmt: skip
    for name, expected in first.items():
        signature = inspect.signature(getattr(nn.functional, name))
        assert ", ".join(signature.parameters) == expected
    assert nn.functional.softmax(input=[[0.0, 0.0]], dim=1).tolist() == [[0.5, 0.5]]
