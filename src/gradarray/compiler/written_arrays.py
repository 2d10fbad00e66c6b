"""Arrays of NumPy's that a function writes into: each can be written, and is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import GradArray
from ..errors import message
from .record import Recorded


def check(recorded: Recorded, form: tree.Structure, leaves: Sequence[Any]) -> None:
    """Raise ValueError, before anything is written, where one is read-only, or shares memory with
    another array: a program reads and writes arrays as if each had memory of its own."""
    for slot, _ in recorded.writes:
        x = slot.owner(leaves)
        if not isinstance(x, np.ndarray):
            continue  # what is behind a handle is copied where others hold it
        k, name = slot.argument, _name(form, slot.argument)
        if not x.flags.writeable:
            what = f"the function writes into {name}, a NumPy array that is read-only."
            raise ValueError(message("compile", what, "Give a copy."))
        for other, found in _others(recorded, form, leaves, k):
            if _share(x, found):
                raise ValueError(
                    message(
                        "compile",
                        f"the function writes into {name}, which shares memory with {other}.",
                        "Give a copy of one of them.",
                    )
                )


def _name(form: tree.Structure, k: int) -> str:
    return tree.argument(tree.paths(form)[k])


def _others(
    recorded: Recorded, form: tree.Structure, leaves: Sequence[Any], but: int
) -> Iterator[tuple[str, Any]]:
    for k, leaf in enumerate(leaves):
        if k != but and isinstance(leaf, (np.ndarray, GradArray)):
            yield _name(form, k), leaf
    for handle, shape, dtype, _ in recorded.outside:
        yield f"an array {dtype}{list(shape)} that it takes from outside", handle


def _share(x: np.ndarray, other: Any) -> bool:
    y = other._data if isinstance(other, GradArray) else other
    if not np.may_share_memory(x, y):
        return False
    try:
        return np.shares_memory(x, y, max_work=10_000)  # pyright: ignore[reportArgumentType]
    except RuntimeError:  # too long to find out
        return True
