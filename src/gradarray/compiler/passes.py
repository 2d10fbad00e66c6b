"""Passes: the parts of the compiler that only make code better, and how a test does without one.

Every pass can be left out and the code still computes the same; so a result that changes when one
is left out names the pass to look at.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

# In the order of the stages.
PASSES = {
    "plain": "absorbing products become plain ones where a NaN would be seen",
    "expand": "ops that are made of library functions become them",
    "simplify": "steps are rewritten into fewer and cheaper ones",
    "factor": "powers of sech and tanh are taken out of products and sums",
    "reuse": "products whose other way round was taken are not taken",
    "split": "steps that go sample by sample run in tiles of samples",
    "fuse": "values over one box of points share a nest",
    "chunks": "large statements run in chunks, over threads",
    "code": "LLVM takes its time to choose and to order instructions",
}

_off = threading.local()


def is_on(name: str) -> bool:
    """Does this thread compile with the pass?"""
    return name not in left_out()


def left_out() -> tuple[str, ...]:
    """The passes that this thread compiles without."""
    return getattr(_off, "names", ())


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """Within, this thread compiles without these passes."""
    unknown = [name for name in names if name not in PASSES]
    if unknown:
        raise ValueError(f"no pass {unknown[0]!r}; there are {', '.join(PASSES)}")
    with leaving_out((*left_out(), *names)):
        yield


@contextlib.contextmanager
def leaving_out(names: tuple[str, ...]) -> Iterator[None]:
    """Within, this thread compiles without these passes, and with all others."""
    outer = left_out()
    _off.names = names
    try:
        yield
    finally:
        _off.names = outer
