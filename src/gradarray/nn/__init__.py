"""Networks: modules, layers, losses and initialisers, under PyTorch's names."""

from typing import Any

from . import functional, init, names
from .activations import *
from .containers import ModuleDict, ModuleList, Sequential
from .linear import Bilinear, Identity, Linear
from .losses import *
from .module import Module
from .parameter import Parameter
from .stateless import functional_call


def __getattr__(name: str) -> Any:
    if name in names.LAYERS:
        raise AttributeError(f"ga.nn has no {name}; here it is {names.LAYERS[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
