"""The table of `model.summary()`: layers, output shapes, parameters, bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import nn, tree
from ..array import GradArray, lift, wrap
from ..graph import no_grad

_HEAD = ("layer", "type", "output", "parameters", "bytes")
_TEXTS = 3  # the columns that are texts; the others are numbers


class Form:
    """Shape and dtype of an input."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


def table(model: nn.Module, input: Any) -> str:
    """The summary as text; shapes come from one recorded call on `input`, or on zeros of its form.

    A row is a layer without parts, or a module with parameters beside those of its parts.
    """
    shapes = {} if input is None else _shapes(model, input)
    root = model
    if list(model._modules) == ["module"]:  # a wrapper adds nothing to the names
        root = model._modules["module"] or model
    rows: list[tuple[str, ...]] = []
    for path, layer in root.named_modules():
        own = list(layer.parameters(recurse=False))
        if own or (not any(True for _ in layer.children()) and path):
            name = path or type(layer).__name__
            count, size = sum(p.size for p in own), sum(p.nbytes for p in own)
            shape = shapes.get(id(layer), "")
            rows.append((name, type(layer).__name__, shape, f"{count:,}", f"{size:,}"))
    widths = [max(len(row[k]) for row in (_HEAD, *rows)) for k in range(len(_HEAD))]

    def line(row: tuple[str, ...]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(
            text.ljust(width) if k < _TEXTS else text.rjust(width)
            for k, (text, width) in enumerate(cells)
        )

    rule = "─" * len(line(_HEAD))
    amounts = {
        "trainable": [p for p in model.parameters() if p.requires_grad],
        "frozen": [p for p in model.parameters() if not p.requires_grad],
        "buffers": list(model.buffers()),
    }
    tail = [f"{what:9}  {_amount(held)}" for what, held in amounts.items() if held]
    return "\n".join([type(root).__name__, rule, line(_HEAD), rule, *map(line, rows), rule, *tail])


def _amount(arrays: Iterable[GradArray]) -> str:
    total, size = (sum(n) for n in zip(*((a.size, a.nbytes) for a in arrays), strict=True))
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{total:,} values, {size / scale:.4g} {unit}"
    return f"{total:,} values, {size} bytes"


def _shapes(model: nn.Module, input: Any) -> dict[int, str]:
    """Output shapes by layer, seen by hooks during one call."""
    if isinstance(input, tuple) and all(isinstance(n, int) for n in input):
        kind = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
        input = Form(input, kind)
    x = tree.map(
        lambda a: wrap(np.zeros(a.shape, a.dtype)) if isinstance(a, Form) else lift(a),
        np.asarray(input) if isinstance(input, list) else input,
    )
    found: dict[int, str] = {}

    def look(layer: nn.Module, args: Any, y: Any) -> None:
        first = y[0] if isinstance(y, tuple) else y
        if hasattr(first, "shape"):
            found[id(layer)] = str(tuple(first.shape))

    modules = list(model.modules())
    modes = [module.training for module in modules]
    handles = [module.register_forward_hook(look) for module in modules]
    model.eval()
    try:
        with no_grad():
            model(x)
    finally:
        for module, mode, handle in zip(modules, modes, handles, strict=True):
            handle.remove()
            module.training = mode
    return found
