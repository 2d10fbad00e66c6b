"""Optimisers, learning-rate schedulers and gradient clipping, under PyTorch's names."""

from ..namespace import visible as _visible
from . import lr_scheduler
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .clip import clip_grad_norm_, clip_grad_value_
from .lbfgs import LBFGS
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .sgd import SGD


def __dir__() -> list[str]:
    return _visible(globals(), "lr_scheduler")
