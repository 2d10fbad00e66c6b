"""Training in Keras's manner: models, callbacks, metrics, data, files."""

from ..namespace import visible as _visible
from . import datasets, metrics
from .callback import Callback
from .callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from .data import Batches, batches, unpack
from .history import History
from .model import Model
from .progress import Progress
from .safetensors import ModelFileError
from .saving import load, register, save
from .sequential import Sequential


def __dir__() -> list[str]:
    return _visible(globals(), "datasets", "metrics")
