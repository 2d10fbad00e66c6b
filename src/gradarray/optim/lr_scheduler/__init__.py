"""Learning-rate schedulers, under PyTorch's names and with its numbers.

`scheduler.step()` is called after `optimizer.step()`, once an epoch (or once a batch, for CyclicLR
and OneCycleLR), and writes into the learning rates of `optimizer.param_groups`.
"""

from ...namespace import visible as _visible
from .base import LRScheduler
from .combine import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cycles import CyclicLR, OneCycleLR
from .functions import LambdaLR, MultiplicativeLR
from .multiples import (
    ConstantLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau


def __dir__() -> list[str]:
    return _visible(globals())
