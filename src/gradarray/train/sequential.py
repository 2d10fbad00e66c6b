"""Sequential: layers one after another, with compile, fit, evaluate and predict."""

from __future__ import annotations

from typing import Any

from .. import nn
from . import saving
from .model import Model


class Sequential(Model, nn.Sequential):
    """Layers one after another, with compile, fit, evaluate and predict.

    Takes layers, a list of them, or an OrderedDict of names and layers. A layer that returns a
    tuple (a recurrent layer's outputs and state) passes on the first of it.

    >>> import gradarray as ga
    >>> model = ga.Sequential(ga.nn.Linear(2, 8), ga.nn.Tanh())
    >>> model.add(ga.nn.Linear(8, 1))
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
            layers = tuple(layers[0])  # as in Keras
        Model.__init__(self)
        nn.Sequential.__init__(self, *layers)

    def forward(self, x: Any) -> Any:
        return nn.Sequential.forward(self, x)

    def add(self, layer: nn.Module) -> None:
        """Add a layer at the end. Compile afterwards: an optimiser holds the parameters of then."""
        self.append(layer)


saving.enter("Sequential", Sequential)
