"""Names of the other face: what Keras calls a layer or an argument, and what it is called here."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

_CONV = "Conv{n}d(in_channels, out_channels, kernel_size)"

LAYERS = {
    "Dense": "Linear(in_features, out_features)",
    "Activation": "an activation layer such as ReLU()",
    "BatchNormalization": "BatchNorm1d or BatchNorm2d(num_features)",
    "LayerNormalization": "LayerNorm(normalized_shape)",
    "GroupNormalization": "GroupNorm(num_groups, num_channels)",
    "RMSNormalization": "RMSNorm(normalized_shape)",
    "MultiHeadAttention": "MultiheadAttention(embed_dim, num_heads)",
    "SimpleRNN": "RNN(input_size, hidden_size)",
    "Reshape": "Unflatten(dim, unflattened_size)",
    "SpatialDropout2D": "Dropout2d(p)",
    "MeanSquaredError": "MSELoss()",
    "MeanAbsoluteError": "L1Loss()",
    "Huber": "HuberLoss()",
    "BinaryCrossentropy": "BCELoss(), or BCEWithLogitsLoss() for logits",
    "CategoricalCrossentropy": "CrossEntropyLoss(), which takes logits",
    "SparseCategoricalCrossentropy": "CrossEntropyLoss(), which takes logits and class numbers",
    "KLDivergence": "KLDivLoss()",
}
for _n in (1, 2, 3):
    LAYERS[f"Conv{_n}D"] = _CONV.format(n=_n)
    LAYERS[f"Conv{_n}DTranspose"] = _CONV.format(n=f"Transpose{_n}")
    LAYERS[f"MaxPooling{_n}D"] = LAYERS[f"MaxPool{_n}D"] = f"MaxPool{_n}d(kernel_size)"
    LAYERS[f"AveragePooling{_n}D"] = LAYERS[f"AvgPool{_n}D"] = f"AvgPool{_n}d(kernel_size)"
    LAYERS[f"GlobalAveragePooling{_n}D"] = f"AdaptiveAvgPool{_n}d(1)"
    LAYERS[f"GlobalMaxPooling{_n}D"] = f"AdaptiveMaxPool{_n}d(1)"
del _n

ARGUMENTS = {
    "units": ("out_features", "hidden_size"),
    "input_dim": ("num_embeddings", "in_features"),
    "output_dim": ("embedding_dim",),
    "input_shape": ("in_features", "in_channels"),
    "filters": ("out_channels",),
    "strides": ("stride",),
    "dilation_rate": ("dilation",),
    "use_bias": ("bias",),
    "rate": ("p",),
    "pool_size": ("kernel_size",),
    "epsilon": ("eps",),
    "axis": ("dim",),
    "center": ("bias",),
    "key_dim": ("embed_dim",),
    "recurrent_dropout": ("dropout",),
    "reduction_axis": ("dim",),
    "alpha": ("negative_slope",),
    "delta": ("beta",),
}

REMARKS = {
    "activation": "Put the activation behind the layer, as a layer of its own: ReLU().",
    "from_logits": "CrossEntropyLoss and BCEWithLogitsLoss take logits, BCELoss probabilities.",
    "return_sequences": "The first result of a recurrent layer holds every step.",
    "return_state": "The second result of a recurrent layer is its last state.",
    "kernel_initializer": "Initialise it afterwards: nn.init.xavier_uniform_(layer.weight).",
    "bias_initializer": "Initialise it afterwards: nn.init.zeros_(layer.bias).",
    "device": "Arrays live in the machine's memory; leave it out.",
    "inplace": "Leave it out: a result has memory of its own.",
    "sparse": "Leave it out: the gradient of a table is an array.",
    "swap": "Take the smaller of both distances before the loss.",
    "recompute_scale_factor": "Leave it out: give size= for exact sizes.",
    "name": "A layer is named by the attribute it is assigned to; leave it out.",
    "size_average": 'Say reduction="mean" or "sum".',
    "reduce": 'Say reduction="none" for the losses one by one.',
    "lr": "A learning rate belongs to an optimiser of ga.optim.",
}

ATTRIBUTES = {
    "add": "append(module)",
    "weights": "parameters() and buffers()",
    "variables": "parameters() and buffers()",
    "trainable_weights": "parameters()",
    "trainable_variables": "parameters()",
    "trainable": "requires_grad_(False) to freeze",
    "get_weights": "state_dict()",
    "set_weights": "load_state_dict(state)",
    "count_params": "sum(p.size for p in module.parameters())",
    "get_layer": "get_submodule(path)",
    "cuda": "to(dtype); arrays live in the machine's memory",
    "cpu": "to(dtype); arrays live in the machine's memory",
    "register_full_backward_hook": "a forward hook that calls output.register_hook(hook)",
    "register_backward_hook": "a forward hook that calls output.register_hook(hook)",
}


def check_arguments(label: str, signature: inspect.Signature, given: Iterable[str]) -> None:
    """Raise TypeError for a keyword of the other face, naming the right one."""
    known = signature.parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    for name in given:
        if name in known:
            continue
        right = [candidate for candidate in ARGUMENTS.get(name, ()) if candidate in known]
        if right:
            mend = f"Here it is called {right[0]!r}."
        elif name in REMARKS:
            mend = REMARKS[name]
        else:
            continue
        raise TypeError(f"{label} has no argument {name!r}. {mend}")
