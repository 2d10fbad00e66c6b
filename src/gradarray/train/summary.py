"""The table of `model.summary()`: layers, output shapes, parameters, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..array import GradArray, lift, wrap
from ..graph import no_grad


def table(model: nn.Module, input: Any) -> str:
    """The summary as text; shapes come from one recorded call on zeros of the input's shape."""
    shapes = {} if input is None else _shapes(model, input)
    rows = []
    for path, layer in model.named_modules():
        if path and not any(True for _ in layer.children()):
            count = sum(p.size for p in layer.parameters(recurse=False))
            rows.append(
                (path, type(layer).__name__, shapes.get(id(layer), ""), f"{count:,}")
            )
    head = ("layer", "type", "output", "parameters")
    widths = [max(len(r[k]) for r in (head, *rows)) for k in range(4)]

    def line(row: tuple[str, ...]) -> str:
        left = "  ".join(text.ljust(w) for text, w in zip(row[:3], widths, strict=False))
        return f"{left}  {row[3].rjust(widths[3])}".rstrip()

    rule = "─" * len(line(head))
    trained = [p for p in model.parameters() if p.requires_grad]
    frozen = [p for p in model.parameters() if not p.requires_grad]
    buffers = list(model.buffers())
    tail = [f"trainable  {_amount(trained)}"]
    if frozen:
        tail.append(f"frozen     {_amount(frozen)}")
    if buffers:
        tail.append(f"buffers    {_amount(buffers)}")
    name = type(getattr(model, "module", model)).__name__
    return "\n".join([name, rule, line(head), rule, *map(line, rows), rule, *tail])


def _amount(arrays: Sequence[GradArray]) -> str:
    total, size = sum(a.size for a in arrays), sum(a.nbytes for a in arrays)
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{total:,} values, {size / scale:.4g} {unit}"
    return f"{total:,} values, {size} bytes"


def _shapes(model: nn.Module, input: Any) -> dict[int, str]:
    """Output shapes by layer, seen by hooks during one call."""
    if isinstance(input, tuple) and all(isinstance(n, int) for n in input):
        kind = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        x: Any = wrap(np.zeros(input, kind))
    else:
        x = lift(input)
    found: dict[int, str] = {}

    def look(layer: nn.Module, args: Any, y: Any) -> None:
        first = y[0] if isinstance(y, tuple) else y
        if hasattr(first, "shape"):
            found[id(layer)] = str(tuple(first.shape))

    handles = [layer.register_forward_hook(look) for layer in model.modules()]
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    return found
