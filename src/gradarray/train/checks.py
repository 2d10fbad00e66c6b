"""What `fit` refuses before it starts."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..errors import message


def check_layers(model: nn.Module, op: str) -> None:
    """Refuse layers that read the batch along the second axis: it comes first."""
    for path, layer in model.named_modules():
        if getattr(layer, "batch_first", True) is False:
            name = f"{path} ({type(layer).__name__})" if path else type(layer).__name__
            raise ValueError(
                message(
                    op,
                    f"{name} has batch_first=False, and would take the samples for steps of time.",
                    "Make it with batch_first=True.",
                )
            )


def check_optimizer(model: nn.Module, optimizer: Any, complete: bool) -> None:
    """Refuse an optimiser that does not hold what it should train.

    `complete`: `compile` made the optimiser by its name, from all parameters of that moment.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    own = dict(model.named_parameters())
    if not held & {id(p) for p in own.values()}:
        raise ValueError(
            message(
                "compile",
                f"the optimiser {type(optimizer).__name__} holds none of this model's parameters.",
                "Make it with model.parameters().",
            )
        )
    new = [path for path, p in own.items() if id(p) not in held and p.requires_grad]
    if complete and new:
        raise ValueError(
            message(
                "fit",
                f"parameters were added after compile, and would not be trained: {', '.join(new)}.",
                "Call compile again.",
            )
        )
