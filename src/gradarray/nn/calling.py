"""What goes with calling a module: hooks, and errors that say which part raised them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ShapeError, part_of
from ..graph import mode

if TYPE_CHECKING:
    from .module import Module

LOCATED = (ShapeError, DTypeError, IndexError)  # what is about the arrays that a layer was given


def locate(outer: Module, error: Any) -> None:
    """Put into the message of `error` where in `outer` it was raised."""
    inner, text = error.__dict__.setdefault("_raised_in", (outer, str(error)))
    error.args = (f"in {part_of(outer, inner)}: {text}",)


@contextlib.contextmanager
def inside(module: Module) -> Iterator[None]:
    """Within, those who watch the ops know which layer they are in."""
    outer, mode.layers = mode.layers, (*mode.layers, module)
    try:
        yield
    finally:
        mode.layers = outer
