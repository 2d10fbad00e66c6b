"""Networks: modules, layers, losses and initialisers, under PyTorch's names."""

from typing import Any

from ..namespace import visible as _visible
from . import functional, init, names, utils
from .activations import *
from .attention import MultiheadAttention
from .batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from .cells import GRUCell, LSTMCell, RNNCell
from .containers import ModuleDict, ModuleList, Sequential
from .conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from .distance import CosineSimilarity, PairwiseDistance
from .dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from .embedding import Embedding
from .layer_norm import GroupNorm, LayerNorm, RMSNorm
from .linear import Bilinear, Identity, Linear
from .losses import *
from .module import Module
from .parameter import Parameter
from .pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .recurrent import GRU, LSTM, RNN
from .reshaping import Flatten, Unflatten
from .softmax import GLU, LogSoftmax, Softmax, Softmax2d, Softmin
from .stateless import functional_call
from .transformer import TransformerEncoder, TransformerEncoderLayer
from .upsampling import Upsample


def __getattr__(name: str) -> Any:
    if name in names.LAYERS:
        raise AttributeError(f"ga.nn has no {name}; here it is {names.LAYERS[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return _visible(globals(), "functional", "init", "utils")
