"""Every layer and loss of gradarray.nn, compiled, gives what it gives eagerly, in every mode."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray import nn
from tests.compiler.common import floating, in_every_mode, same

D = {"dtype": "float64"}
EVEN = {1: (2, 4, 7), 2: (2, 4, 6, 5), 3: (2, 4, 4, 4, 3)}  # planes of each number of axes


def _planes(n: int) -> np.ndarray:
    """Values that are not equal: the largest of a window is one."""
    size = int(np.prod(EVEN[n]))
    return np.random.default_rng(n).permutation(size).reshape(EVEN[n]) / 7.0 - size / 14.0


def _x(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def _classes(*shape: int, below: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, below, shape)


def _signs(*shape: int) -> np.ndarray:
    return np.where(_x(*shape, seed=6) > 0, 1.0, -1.0)


POINTS = (
    nn.CELU, nn.ELU, nn.GELU, nn.GLU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh,
    nn.Identity, nn.LeakyReLU, nn.LogSigmoid, nn.LogSoftmax, nn.Mish, nn.ReLU, nn.ReLU6, nn.SELU,
    nn.SiLU, nn.Sigmoid, nn.Softmax, nn.Softmin, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh,
    nn.Tanhshrink,
)  # fmt: skip

# A layer, as a function that makes it, and what it is called with.
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    **{layer.__name__: (layer, (_x(3, 6),)) for layer in POINTS},
    "GELU, tanh": (lambda: nn.GELU("tanh"), (_x(3, 6),)),
    "PReLU": (lambda: nn.PReLU(4, **D), (_planes(1),)),
    "Threshold": (lambda: nn.Threshold(0.1, -3.0), (_x(3, 6),)),
    "Softmax2d": (nn.Softmax2d, (_planes(2),)),
    "Flatten": (nn.Flatten, (_planes(2),)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 2)), (_planes(1),)),
    "Linear": (lambda: nn.Linear(6, 5, **D), (_x(3, 6),)),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 2, **D), (_x(5, 3), _x(5, 4, seed=1))),
    "Embedding": (lambda: nn.Embedding(7, 3, 2, **D), (_classes(4, 5, below=7),)),
    "Sequential": (
        lambda: nn.Sequential(nn.Linear(6, 5, **D), nn.Tanh(), nn.Linear(5, 2, **D)), (_x(9, 6),)
    ),
    "LayerNorm": (lambda: nn.LayerNorm((4, 7), **D), (_planes(1),)),
    "RMSNorm": (lambda: nn.RMSNorm(7, **D), (_planes(1),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, **D), (_planes(2),)),
    "CosineSimilarity": (nn.CosineSimilarity, (_x(3, 6), _x(3, 6, seed=1))),
    "PairwiseDistance": (nn.PairwiseDistance, (_x(3, 6), _x(3, 6, seed=1))),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (_planes(2),)),
    "Upsample, bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (_planes(2),)),
    "RNN": (lambda: nn.RNN(3, 4, num_layers=2, **D), (_x(6, 2, 3),)),
    "LSTM": (lambda: nn.LSTM(3, 4, bidirectional=True, **D), (_x(6, 2, 3),)),
    "GRU": (lambda: nn.GRU(3, 4, batch_first=True, **D), (_x(2, 6, 3),)),
    "RNNCell": (lambda: nn.RNNCell(3, 4, **D), (_x(2, 3), _x(2, 4, seed=1))),
    "GRUCell": (lambda: nn.GRUCell(3, 4, **D), (_x(2, 3), _x(2, 4, seed=1))),
    "LSTMCell": (
        lambda: nn.LSTMCell(3, 4, **D), (_x(2, 3), (_x(2, 4, seed=1), _x(2, 4, seed=2)))
    ),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(6, 2, batch_first=True, **D),
        (_x(2, 5, 6), _x(2, 4, 6, seed=1), _x(2, 4, 6, seed=2)),
    ),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 8, 0.25, batch_first=True, **D), (_x(2, 5, 6),)
    ),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", **D), 2),
        (_x(5, 2, 6),),
    ),
    "Dropout": (nn.Dropout, (_x(8, 9),)),
    "L1Loss": (nn.L1Loss, (_x(4, 3), _x(4, 3, seed=1))),
    "MSELoss": (nn.MSELoss, (_x(4, 3), _x(4, 3, seed=1))),
    "HuberLoss": (nn.HuberLoss, (_x(4, 3), _x(4, 3, seed=1))),
    "SmoothL1Loss": (nn.SmoothL1Loss, (_x(4, 3), _x(4, 3, seed=1))),
    "BCELoss": (nn.BCELoss, (_x(4, 3, low=0.1, high=0.9), _x(4, 3, seed=1, low=0.0, high=1.0))),
    "BCEWithLogitsLoss": (
        nn.BCEWithLogitsLoss, (_x(4, 3), _x(4, 3, seed=1, low=0.0, high=1.0))
    ),
    "CrossEntropyLoss": (
        lambda: nn.CrossEntropyLoss(label_smoothing=0.1), (_x(6, 5), _classes(6, below=5))
    ),
    "NLLLoss": (nn.NLLLoss, (_x(6, 5), _classes(6, below=5))),
    "MultiMarginLoss": (nn.MultiMarginLoss, (_x(6, 5), _classes(6, below=5))),
    "KLDivLoss": (nn.KLDivLoss, (_x(4, 3), _x(4, 3, seed=1, low=0.1, high=1.0))),
    "PoissonNLLLoss": (nn.PoissonNLLLoss, (_x(4, 3), _x(4, 3, seed=1, low=1.0, high=5.0))),
    "GaussianNLLLoss": (
        nn.GaussianNLLLoss, (_x(4, 3), _x(4, 3, seed=1), _x(4, 3, seed=2, low=0.5, high=2.0))
    ),
    "SoftMarginLoss": (nn.SoftMarginLoss, (_x(4, 3), _signs(4, 3))),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, (_x(4, 3), _signs(4, 3))),
    "MarginRankingLoss": (nn.MarginRankingLoss, (_x(9), _x(9, seed=1), _signs(9))),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss, (_x(4, 3), _x(4, 3, seed=1), _signs(4))),
    "TripletMarginLoss": (
        nn.TripletMarginLoss, (_x(4, 3), _x(4, 3, seed=1), _x(4, 3, seed=2))
    ),
}  # fmt: skip
for _n in (1, 2, 3):
    _args = (_planes(_n),)
    CASES |= {
        f"Conv{_n}d": (lambda n=_n: getattr(nn, f"Conv{n}d")(4, 6, 3, padding=1, **D), _args),
        f"Conv{_n}d, groups": (
            lambda n=_n: getattr(nn, f"Conv{n}d")(4, 4, 2, stride=2, groups=2, **D), _args
        ),
        f"ConvTranspose{_n}d": (
            lambda n=_n: getattr(nn, f"ConvTranspose{n}d")(4, 3, 2, stride=2, **D), _args
        ),
        f"MaxPool{_n}d": (lambda n=_n: getattr(nn, f"MaxPool{n}d")(2), _args),
        f"AvgPool{_n}d": (lambda n=_n: getattr(nn, f"AvgPool{n}d")(3, 1, 1), _args),
        f"AdaptiveMaxPool{_n}d": (lambda n=_n: getattr(nn, f"AdaptiveMaxPool{n}d")(2), _args),
        f"AdaptiveAvgPool{_n}d": (lambda n=_n: getattr(nn, f"AdaptiveAvgPool{n}d")(3), _args),
        f"BatchNorm{_n}d": (lambda n=_n: getattr(nn, f"BatchNorm{n}d")(4, **D), _args),
        f"InstanceNorm{_n}d": (
            lambda n=_n: getattr(nn, f"InstanceNorm{n}d")(4, affine=True, **D), _args
        ),
        f"Dropout{_n}d": (lambda n=_n: getattr(nn, f"Dropout{n}d")(0.25), _args),
    }  # fmt: skip


# Which argument of a loss is the target, which has no derivative.
TARGETS = {"MarginRankingLoss": 2, "CosineEmbeddingLoss": 2, "TripletMarginLoss": None}


def test_no_layer_is_left_out() -> None:
    every = {
        name for name in dir(nn)
        if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }  # fmt: skip
    tried = {name.split(",")[0] for name in CASES}
    # These hold others and compute nothing.
    assert every - tried == {"Module", "ModuleDict", "ModuleList"}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_equals_eager(name: str, training: bool) -> None:
    make, args = CASES[name]
    ga.random.seed(1)
    layer = make().train(training)
    paths = list(layer.parameters_dict())
    leaves, form = ga.tree.flatten(args)
    still = TARGETS.get(name, 1 if name.endswith("Loss") else None)
    moving = [k for k, x in enumerate(leaves) if x.dtype.kind == "f" and k != still]
    xs = [p.detach() for p in layer.parameters()] + [ga.array(leaves[k]) for k in moving]

    def f(*xs: Any) -> tuple[Any, ...]:
        params = dict(zip(paths, xs, strict=False))
        full = list(leaves)
        for k, x in zip(moving, xs[len(paths) :], strict=True):
            full[k] = x
        return tuple(floating(nn.functional_call(layer, params, *ga.tree.unflatten(form, full))))

    def at_one_seed(f: Callable[..., Any]) -> Any:
        ga.random.seed(7)  # dropout draws the same each time
        return f(*xs)

    made = [("value", f), *in_every_mode(f, xs, np.random.default_rng(2))]
    for what, g in made:
        same(at_one_seed(ga.compile(g)), at_one_seed(g), where=f"{name}, {what}")
    # As it is called: with its own parameters, and running statistics written.
    once, again = make().train(training), make().train(training)
    again.load_state_dict(once.state_dict())
    inputs = ga.tree.unflatten(form, [ga.array(x) for x in leaves])
    got, expected = (at_one_seed(lambda *_, f=f: f(*inputs)) for f in (ga.compile(once), again))
    same(floating(got), floating(expected), where=name)
    same(once.state_dict(), again.state_dict(), where=f"{name}, state")
